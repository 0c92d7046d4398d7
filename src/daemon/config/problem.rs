//! One thing wrong with a configuration: where, what, and what to do.
//! It must never quote the offending text: it may be a secret somebody typed in.

use std::{fmt, ops::Range, path::Path};

use serde::Serialize;

/// A problem and its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The setting, such as `sources[1].schedule`; empty if the text as a whole is at fault.
    pub setting: String,
    /// Line, counted from one, if known.
    pub line: Option<usize>,
    /// Column, counted from one, if known.
    pub column: Option<usize>,
    /// What is wrong, and what to do.
    pub said: String,
}

impl Problem {
    /// A problem with that setting.
    pub fn new(setting: impl Into<String>, said: impl Into<String>) -> Self {
        Self { setting: setting.into(), line: None, column: None, said: said.into() }
    }

    /// The file cannot be read.
    pub(super) fn of_file(file: &Path, error: &std::io::Error) -> Self {
        Self::new("", format!("{} cannot be read: {error}", file.display()))
    }

    /// The same problem at these bytes of the text.
    pub(super) fn located(mut self, text: &str, span: Option<Range<usize>>) -> Self {
        if let Some(before) = span.and_then(|span| text.get(..span.start)) {
            let line_start = before.rfind('\n').map_or(0, |at| at + 1);
            self.line = Some(before.matches('\n').count() + 1);
            self.column = Some(before.get(line_start..).map_or(0, |rest| rest.chars().count()) + 1);
        }
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use crate::output::door::terminal;
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, "line {line}, column {column}: ")?;
        }
        if !self.setting.is_empty() {
            write!(f, "{}: ", terminal(&self.setting))?;
        }
        f.write_str(&terminal(&self.said))
    }
}

/// The candidate most like a mistyped name, if one is like it.
pub fn nearest<'a>(typed: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|name| (strsim::jaro_winkler(typed, name), name))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, name)| name)
}
