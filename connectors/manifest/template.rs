//! Texts with holes: `Bearer {token}`, `/v1/projects/{parent}/keys`. A hole is filled, and that is all that happens.
//! It must never know an expression: what needs one becomes Rust.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Deserializer, de::Error as _};

/// A text with named holes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Plain(String),
    Hole(String),
}

/// What holes are filled with, by name.
pub(super) type Fillings = BTreeMap<String, String>;

impl Template {
    /// Reads a text with holes in braces.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((plain, hole)) = rest.split_once('{') {
            let (name, after) = hole.split_once('}').ok_or("a { has no }")?;
            if name.is_empty() || !name.chars().all(|it| it.is_ascii_alphanumeric() || matches!(it, '_' | '-')) {
                return Err("between { and } stands a name of letters, digits, _ and -".to_owned());
            }
            if !plain.is_empty() {
                pieces.push(Piece::Plain(plain.to_owned()));
            }
            pieces.push(Piece::Hole(name.to_owned()));
            rest = after;
        }
        if rest.contains('}') {
            return Err("a } has no {".to_owned());
        }
        if !rest.is_empty() {
            pieces.push(Piece::Plain(rest.to_owned()));
        }
        Ok(Self { text: text.to_owned(), pieces })
    }

    /// The names of its holes, in order.
    pub(super) fn holes(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Plain(_) => None,
            Piece::Hole(name) => Some(name.as_str()),
        })
    }

    /// The text with its holes filled; an error names the hole nobody fills.
    pub(super) fn fill(&self, with: &Fillings) -> Result<String, String> {
        let mut filled = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Plain(text) => filled.push_str(text),
                Piece::Hole(name) => {
                    filled.push_str(with.get(name).ok_or_else(|| format!("nothing fills {{{name}}}"))?)
                }
            }
        }
        Ok(filled)
    }

    /// The values of its holes, in order.
    pub(super) fn values(&self, with: &Fillings) -> Result<Vec<String>, String> {
        self.holes().map(|name| with.get(name).cloned().ok_or_else(|| format!("nothing fills {{{name}}}"))).collect()
    }

    /// As it was written.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_filled_and_nothing_else_happens() {
        let with = Fillings::from([("a".to_owned(), "{b}".to_owned()), ("b".to_owned(), "2".to_owned())]);
        let template = Template::parse("x {a}/{b}").unwrap();
        assert_eq!(template.holes().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(template.fill(&with).unwrap(), "x {b}/2");
        assert_eq!(Template::parse("{c}").unwrap().fill(&with).unwrap_err(), "nothing fills {c}");
        for wrong in ["{", "{}", "a}", "{a b}", "{a+1}"] {
            assert!(Template::parse(wrong).is_err(), "{wrong}");
        }
    }
}
