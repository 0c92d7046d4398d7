//! What is wrong with a manifest, and where in its text.
//! It must never repeat a value it refuses: that value may be a secret in the wrong place.

use std::{fmt, ops::Range};

/// One thing that is wrong, with the line and column where it begins, both counted from 1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Line.
    pub line: usize,
    /// Column, in characters.
    pub column: usize,
    /// What is wrong, and what would be right.
    pub said: String,
}

impl Fault {
    /// A fault at that byte of the text.
    pub(super) fn at(text: &str, byte: usize, said: impl Into<String>) -> Self {
        let before = text.get(..byte).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Self { line, column, said: said.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.said)
    }
}

/// Collects everything that is wrong with one text, so that one look shows all of it.
pub(super) struct Faults<'a> {
    text: &'a str,
    found: Vec<Fault>,
}

impl<'a> Faults<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, found: Vec::new() }
    }

    /// Notes a fault at the beginning of that range of bytes.
    pub(super) fn note(&mut self, span: &Range<usize>, said: impl Into<String>) {
        self.found.push(Fault::at(self.text, span.start, said));
    }

    /// What was found, in the order of the text.
    pub(super) fn into_found(mut self) -> Vec<Fault> {
        self.found.sort();
        self.found.dedup();
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_are_counted_from_one_and_in_characters() {
        let text = "a = 1\nä = \"x\"\n";
        let told = |byte| Fault::at(text, byte, "x").to_string();
        assert_eq!(told(0), "1:1: x");
        assert_eq!(told(text.find('"').unwrap()), "2:5: x");
        assert_eq!(told(9_999), "3:1: x");
    }
}
