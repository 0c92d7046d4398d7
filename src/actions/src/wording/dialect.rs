//! How each kind of reader marks text up, and what keeps a text from outside from doing so.
//! It must never give a text from outside back unmarked where its reader would take marks in it for marks.

use provost_model::door;

/// What a reader takes for mark-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Nothing: mail, logs, terminals.
    Plain,
    /// Slack's own.
    Slack,
    /// CommonMark and what grew from it: Mattermost, Discord, code hosts.
    Markdown,
    /// HTML, with a line's end for a `<br>`.
    Html,
}

impl Dialect {
    /// A text from outside: shown as it is, and nothing more.
    pub fn outside(self, text: &str) -> String {
        match self {
            Dialect::Plain => door::terminal(text).into_owned(),
            Dialect::Slack => quoted(&door::slack_code(text)),
            Dialect::Markdown => quoted(&door::code(text)),
            Dialect::Html => door::html(text).into_owned(),
        }
    }

    /// A text of our own: it has no marks but back-ticks around what is typed, and may have signs that a reader would take for
    /// one.
    pub fn ours(self, text: &str) -> String {
        match self {
            Dialect::Plain => text.to_owned(),
            Dialect::Slack => text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"),
            Dialect::Markdown => {
                let mut safe = String::with_capacity(text.len());
                for letter in text.chars() {
                    if matches!(letter, '\\' | '*' | '_' | '~' | '[' | ']' | '<' | '>' | '|') {
                        safe.push('\\');
                    }
                    safe.push(letter);
                }
                safe
            }
            Dialect::Html => door::html(text).into_owned(),
        }
    }

    /// What is safe already, in bold.
    pub fn bold(self, safe: &str) -> String {
        match self {
            Dialect::Plain => safe.to_owned(),
            Dialect::Slack => format!("*{safe}*"),
            Dialect::Markdown => format!("**{safe}**"),
            Dialect::Html => format!("<b>{safe}</b>"),
        }
    }

    /// The whole text, as its reader wants lines to end.
    pub(super) fn finished(self, text: &str) -> String {
        match self {
            Dialect::Plain | Dialect::Slack => text.to_owned(),
            // A line's end alone joins lines; two blanks before it keep them apart (CommonMark 0.31, 6.7).
            Dialect::Markdown => text.replace("\n\n", "\u{0}").replace('\n', "  \n").replace('\u{0}', "\n\n"),
            Dialect::Html => text.replace('\n', "<br>\n"),
        }
    }
}

/// Between back-ticks; nothing between two of them would be none.
fn quoted(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("`{text}`") }
}
