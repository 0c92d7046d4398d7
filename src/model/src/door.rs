//! The doors: one function for each way on which text from outside reaches a reader, with one corpus of hostile text.
//! It must never let a text move a cursor, reorder a line, hide a character, start a formula, open a tag, mention or link.

use std::{borrow::Cow, fmt::Write as _};

/// Longest text that goes into one field of a log line, in bytes.
const LOG_MAX: usize = 2048;

/// To a terminal: whatever is not plainly visible is shown as an escape.
pub fn terminal(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for letter in text.chars() {
        match letter {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            _ if is_hidden(letter) => {
                // Writing to a String cannot fail.
                let _ = write!(shown, "\\u{{{:x}}}", u32::from(letter));
            }
            _ => shown.push(letter),
        }
    }
    Cow::Owned(shown)
}

/// To a cell of a CSV file: shown as on a terminal, and kept from being taken for a formula by a spreadsheet.
pub fn csv_cell(text: &str) -> Cow<'_, str> {
    let first = text.chars().find(|letter| *letter != ' ');
    let formula =
        matches!(first, Some('=' | '+' | '-' | '@' | '\t' | '\r' | '\u{ff1d}' | '\u{ff0b}' | '\u{ff0d}' | '\u{ff20}'));
    let shown = terminal(text);
    if formula { Cow::Owned(format!("'{shown}")) } else { shown }
}

/// To a page: neither tags nor attributes can be opened or closed.
pub fn html(text: &str) -> Cow<'_, str> {
    let shown = terminal(text);
    if !shown.contains(['&', '<', '>', '"', '\'', '`']) {
        return shown;
    }
    let mut safe = String::with_capacity(shown.len() + 16);
    for letter in shown.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '`' => safe.push_str("&#96;"),
            _ => safe.push(letter),
        }
    }
    Cow::Owned(safe)
}

/// To a log line: one line, bounded.
pub fn log(text: &str) -> Cow<'_, str> {
    match text.char_indices().find(|(at, _)| *at >= LOG_MAX) {
        Some((end, _)) => Cow::Owned(format!("{}…", terminal(text.get(..end).unwrap_or_default()))),
        None => terminal(text),
    }
}

/// To a chat or a ticket: what stands between two back-ticks. Nothing in there is formatted, linked or mentioned, by
/// CommonMark 0.31 (6.1) and by the makers of each chat; the back-tick itself becomes a letter that looks like it.
pub fn code(text: &str) -> Cow<'_, str> {
    let shown = terminal(text);
    if shown.contains('`') { Cow::Owned(shown.replace('`', "\u{2cb}")) } else { shown }
}

/// The same where a chat reads `<…>` and `&…;` even there (Slack, "Formatting text for app surfaces").
pub fn slack_code(text: &str) -> Cow<'_, str> {
    let shown = code(text);
    if !shown.contains(['&', '<', '>']) {
        return shown;
    }
    Cow::Owned(shown.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"))
}

/// Control, bidirectional, zero-width, filler, tag and private characters, and line separators.
pub fn is_hidden(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{e000}'..='\u{f8ff}' | '\u{e0000}'..='\u{e0fff}' | '\u{f0000}'..='\u{10ffff}')
}

/// Text that an attacker would put into a name, for the tests of every door.
#[cfg(any(test, feature = "testing"))]
pub mod corpus {
    /// Texts that an attacker would put into a name, each with what it tries.
    pub const HOSTILE: &[(&str, &str)] = &[
        ("\u{1b}[2J\u{1b}[H", "clears the screen"),
        ("\u{1b}]0;owned\u{7}", "sets the window title"),
        ("\u{1b}]8;;http://evil.invalid\u{1b}\\click\u{1b}]8;;\u{1b}\\", "makes a link"),
        ("\u{9b}31m", "starts a sequence with one C1 byte"),
        ("a\rb", "overwrites the line"),
        ("a\nCRITICAL forged", "forges a line"),
        ("a\u{8}\u{8}b", "erases letters"),
        ("admin\u{202e}nimda", "turns the writing direction"),
        ("\u{2066}x\u{2069}", "isolates"),
        ("ad\u{200b}min", "hides a zero-width space"),
        ("\u{feff}admin", "hides a byte-order mark"),
        ("a\u{2028}b", "separates lines"),
        ("x\u{e0041}\u{e0042}", "hides tag letters"),
        ("a\u{0}b", "ends the string for C"),
        ("a\u{7f}b", "deletes"),
        ("=cmd|'/c calc'!A1", "is a formula"),
        ("+1+1", "is a formula"),
        ("-1+1", "is a formula"),
        ("@SUM(A1)", "is a formula"),
        ("\t=1", "is a formula behind a tab"),
        ("\r=1", "is a formula behind a return"),
        (" =1", "is a formula behind a blank"),
        ("\u{ff1d}1", "is a formula in full width"),
        ("<script>alert(1)</script>", "is a script"),
        ("\" onmouseover=\"x", "leaves an attribute"),
        ("' onmouseover='x", "leaves an attribute"),
        ("<!channel> <@U012AB3CD>", "wakes everybody up"),
        ("@everyone @here @ann", "mentions"),
        ("`x` <http://evil.invalid|click>", "leaves the code and makes a link"),
        ("[click](http://evil.invalid)", "makes a link"),
        ("*bold* _it_ ~no~", "formats"),
    ];
}

#[cfg(test)]
mod tests {
    use super::{corpus::HOSTILE, *};

    /// Said independently of the doors: apart from what attacks, the corpus is printable ASCII and one wide sign; and a back-tick's stand-in.
    fn is_plain(letter: char) -> bool {
        matches!(letter, ' '..='~' | '\u{ff1d}' | '\u{2cb}')
    }

    #[test]
    fn no_hidden_character_passes_any_door() {
        for (text, tries) in HOSTILE {
            for shown in [terminal(text), csv_cell(text), html(text), log(text), code(text), slack_code(text)] {
                assert!(shown.chars().all(is_plain), "{tries}: {shown:?}");
            }
        }
    }

    #[test]
    fn no_cell_starts_a_formula() {
        for (text, tries) in HOSTILE {
            let cell = csv_cell(text);
            let first = cell.trim_start().chars().next().unwrap();
            assert!(!"=+-@\t\r\u{ff1d}".contains(first), "{tries}: {cell:?}");
        }
    }

    #[test]
    fn no_page_is_opened() {
        for (text, tries) in HOSTILE {
            assert!(!html(text).contains(['<', '>', '"', '\'']), "{tries}");
        }
    }

    #[test]
    fn nothing_leaves_the_code_it_stands_in() {
        for (text, tries) in HOSTILE {
            assert!(!code(text).contains('`'), "{tries}");
            assert!(!slack_code(text).contains(['`', '<', '>']), "{tries}");
        }
        assert_eq!(slack_code("a<b & `c`"), "a&lt;b &amp; \u{2cb}c\u{2cb}");
    }

    #[test]
    fn plain_text_passes_as_it_is() {
        for text in ["deploy-bot", "Grüße, 東京 — naïve", "C:\\Users\\x", "a.b@example.com"] {
            assert_eq!(terminal(text), text);
            assert_eq!(csv_cell(text), text);
            assert_eq!(log(text), text);
        }
        assert!(log(&"é".repeat(4000)).len() <= LOG_MAX + 8);
    }
}
