//! What is wrong with an expression: said in a sentence, with the place pointed at.
//! It must never show the expression without passing the terminal's door.

use std::{fmt, ops::Range};

use crate::output::door;

/// Why an expression cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterError {
    said: String,
    place: Option<(String, usize, usize)>,
}

impl FilterError {
    /// A fault without a place.
    pub(super) fn plain(said: impl Into<String>) -> Self {
        Self { said: said.into(), place: None }
    }

    /// A fault at these bytes of the expression.
    pub(super) fn at(said: impl Into<String>, source: &str, place: Range<usize>) -> Self {
        let line_start = source.get(..place.start).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
        let line = source.get(line_start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
        let before = source.get(line_start..place.start).unwrap_or_default();
        let column = door::terminal(before).chars().count();
        let width = source.get(place).map_or(1, |text| text.chars().count()).max(1);
        Self { said: said.into(), place: Some((door::terminal(line).into_owned(), column, width)) }
    }
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&door::terminal(&self.said))?;
        if let Some((line, column, width)) = &self.place {
            write!(f, "\n  {line}\n  {:column$}{}", "", "^".repeat(*width))?;
        }
        Ok(())
    }
}

impl std::error::Error for FilterError {}
