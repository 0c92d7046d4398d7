//! What keeps a text from doing anything in a tracker: a ticket's title, Jira's wiki, Roundup's messages.
//! It must never change how long or how clear a text is more than it takes: people search by names.

use provost_model::door;

use crate::Case;

/// Longest name in a title, and longest title, in letters. GitLab and Jira take 255, GitHub 256.
const NAME_MAX: usize = 80;
const TITLE_MAX: usize = 200;

/// What a case is called as a ticket: how bad it is, what is wrong, with what.
pub(super) fn title(case: &Case) -> String {
    let fault = case.faults.first().map_or("nothing told", |fault| fault.title.as_str());
    let (severity, kind) = (case.severity.word(), case.kind.replace('_', " "));
    cut(&format!("{severity}: {fault}: {kind} {}", dead(&cut(&case.name, NAME_MAX))), TITLE_MAX)
}

/// A text from outside in a title. Titles know no code: in them GitLab still reads what begins with `@`, `#`, `!`, `$`, `%`,
/// `~`, `&`, `^`, `*`, `[` or `<` as a person, an issue or something else of its own, and colons as faces and addresses
/// (GitLab Docs, "GitLab-specific references"); GitHub reads back-ticks and colons. Letters that look like them do nothing.
fn dead(text: &str) -> String {
    let look_alike = |letter| match letter {
        ':' => '\u{a789}',
        '`' => '\u{2cb}',
        '@' | '#' | '!' | '$' | '%' | '~' | '&' | '^' | '*' | '[' | ']' | '<' | '>' => wide(letter),
        _ => letter,
    };
    door::terminal(text).chars().map(look_alike).collect()
}

/// A text between the two marks of Jira's wiki that keep everything in there as it is. Nothing in it can end that, and nothing
/// in it is a mention where mentions are looked for before the marks are.
pub(super) fn noformat(text: &str) -> String {
    let shown: String =
        text.chars().map(|letter| if matches!(letter, '{' | '[') { wide(letter) } else { letter }).collect();
    format!("{{noformat}}\n{shown}\n{{noformat}}")
}

/// What Roundup's own trackers call their kinds of items: a number behind one makes a link.
const ITEMS: [&str; 13] = [
    "bug",
    "component",
    "file",
    "issue",
    "keyword",
    "milestone",
    "msg",
    "priority",
    "query",
    "severity",
    "status",
    "task",
    "user",
];

/// A text in which Roundup finds nothing to link: no address, no mail, no item (roundup/cgi/templating.py, `hyper_re`).
pub(super) fn unlinked(text: &str) -> String {
    let text = text.replace("://", "\u{a789}//").replace('@', "\u{ff20}");
    let mut shown = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find(is_word) {
        let (before, behind) = rest.split_at(at);
        let (word, following) = behind.split_at(behind.find(|it| !is_word(it)).unwrap_or(behind.len()));
        shown.push_str(before);
        let small = word.to_ascii_lowercase();
        let is_item = ITEMS.contains(&small.as_str()) && following.trim_start().starts_with(char::is_numeric);
        let is_host = small.ends_with("www") && following.starts_with('.');
        match word.char_indices().last().filter(|_| is_item || is_host) {
            Some((last, letter)) => {
                shown.push_str(word.get(..last).unwrap_or_default());
                shown.push(wide(letter));
            }
            None => shown.push_str(word),
        }
        rest = following;
    }
    shown.push_str(rest);
    shown
}

/// A text for a tracker of which nobody says how it marks texts up: what begins a link, a mention, a macro or a tag in any of
/// the usual languages is a letter that looks like it. Names keep their hyphens and underscores, so that they can be found.
pub(super) fn lifeless(text: &str) -> String {
    let text = unlinked(text);
    let mut shown = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let is_last = letters.peek().is_none_or(|next| next.is_whitespace());
        shown.push(match letter {
            // A word with a colon and something behind it names things of a tracker's own, or faces.
            ':' if !is_last => '\u{a789}',
            '@' | '#' | '!' | '$' | '%' | '~' | '&' | '^' | '*' | '[' | ']' | '{' | '}' | '<' | '>' | '|' | '`'
            | '\\' | '"' => wide(letter),
            _ => letter,
        });
    }
    shown
}

fn is_word(letter: char) -> bool {
    letter.is_ascii_alphabetic() || letter == '_'
}

/// The full-width form of a printable sign of ASCII: it looks like it and is another.
fn wide(letter: char) -> char {
    match u32::from(letter) {
        code @ 0x21..=0x7e => char::from_u32(code + 0xfee0).unwrap_or(letter),
        _ => letter,
    }
}

fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use provost_model::door::{corpus::HOSTILE, is_hidden};

    use super::*;

    fn titled(name: &str) -> String {
        let mut case = crate::wording::sample().cases.remove(0);
        case.name = name.to_owned();
        title(&case)
    }

    #[test]
    fn a_title_says_how_bad_what_and_of_whom_and_does_nothing() {
        assert_eq!(titled("deploy-bot_2"), "high: not used for a long time: access key deploy-bot_2");
        let ours = "high: not used for a long time: access key ";
        let names =
            ["fixes #1 !2 $3 %4 ~5 &6 ^7 *iteration:8 [vulnerability:9]", "@all :tada: https://evil.invalid `x`"];
        for text in HOSTILE.iter().map(|(text, _)| *text).chain(names) {
            let title = titled(text);
            let name = title.strip_prefix(ours).unwrap();
            assert!(
                !name.contains(['@', '#', '!', '$', '%', '~', '&', '^', '*', '[', '<', ':', '`', '\n']),
                "{title:?}"
            );
            assert!(!title.chars().any(is_hidden), "{title:?}");
        }
        // What is escaped for a terminal may grow, but not beyond the title.
        let long = titled(&"\u{202e}".repeat(5000));
        assert!(long.chars().count() <= TITLE_MAX && long.ends_with('…'), "{long}");
    }

    #[test]
    fn nothing_ends_what_keeps_a_text_as_it_is() {
        for text in ["{noformat}[~ann] h1. x {noformat}", "[evil|http://evil.invalid]", "a\nb"] {
            let shown = noformat(text);
            let inner = shown.strip_prefix("{noformat}\n").and_then(|it| it.strip_suffix("\n{noformat}")).unwrap();
            assert!(!inner.contains(['{', '[']), "{shown}");
        }
    }

    #[test]
    fn no_language_of_a_tracker_finds_a_mark_in_it() {
        for text in [
            "[[x]] {{macro}} {code} @ann #7 \"a\":http://x ![i](j) <b> |t| `c` ~u ^s *b %c",
            "commit:abc :tada: http://x",
        ] {
            let shown = lifeless(text);
            assert_eq!(shown.chars().count(), text.chars().count());
            let marks = ['[', ']', '{', '}', '@', '#', '"', '!', '<', '>', '|', '`', '~', '^', '*', '%'];
            assert!(!shown.contains(marks) && !shown.replace(": ", "").contains(':'), "{shown}");
        }
        assert_eq!(lifeless("Owner: deploy-bot_2, due 2026-01-01"), "Owner: deploy-bot_2, due 2026-01-01");
    }

    #[test]
    fn roundup_links_nothing_of_it() {
        for (text, shown) in [
            ("http://evil.invalid", "http\u{a789}//evil.invalid"),
            ("www.evil.invalid WWW.x.de", "ww\u{ff57}.evil.invalid WW\u{ff37}.x.de"),
            ("ann@example.org", "ann\u{ff20}example.org"),
            ("issue1 User 2, msg\t3", "issu\u{ff45}1 Use\u{ff52} 2, ms\u{ff47}\t3"),
            ("issued 1 AKIA1234 user: 1", "issued 1 AKIA1234 user: 1"),
            ("", ""),
        ] {
            assert_eq!(unlinked(text), shown);
        }
    }
}
