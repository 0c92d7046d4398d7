//! JSON Pointers (RFC 6901): the only way in which a manifest says where something stands.
//! It must never take what is absent for null, nor null for a value.

use std::fmt;

use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::Value;

/// A place in a JSON document; the empty one is the whole document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pointer {
    text: String,
    tokens: Vec<String>,
}

/// What stands at a place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Found<'a> {
    /// Nothing: the document has no such place.
    Absent,
    /// Null, or something within null.
    Null,
    /// A value.
    Value(&'a Value),
}

impl Pointer {
    /// The whole document.
    pub(super) fn root() -> Self {
        Self { text: String::new(), tokens: Vec::new() }
    }

    /// Reads a pointer. A text that does not begin with a slash is none.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self::root());
        }
        let tokens = text.strip_prefix('/').ok_or_else(|| "a JSON Pointer begins with a slash".to_owned())?;
        let tokens: Vec<String> = tokens.split('/').map(|it| it.replace("~1", "/").replace("~0", "~")).collect();
        Ok(Self { text: text.to_owned(), tokens })
    }

    /// What stands there.
    pub(super) fn of<'a>(&self, document: &'a Value) -> Found<'a> {
        let mut at = document;
        for token in &self.tokens {
            let next = match at {
                Value::Null => return Found::Null,
                Value::Object(members) => members.get(token),
                Value::Array(elements) => token.parse().ok().and_then(|index: usize| elements.get(index)),
                _ => None,
            };
            match next {
                Some(next) => at = next,
                None => return Found::Absent,
            }
        }
        if at.is_null() { Found::Null } else { Found::Value(at) }
    }

    /// Takes what stands there out of the document, and leaves null; `None` if there is nothing.
    pub(super) fn take(&self, document: &mut Value) -> Option<Value> {
        let mut at = document;
        for token in &self.tokens {
            at = match at {
                Value::Object(members) => members.get_mut(token)?,
                Value::Array(elements) => elements.get_mut(token.parse::<usize>().ok()?)?,
                _ => return None,
            };
        }
        Some(at.take())
    }

    /// The last member's name.
    pub(super) fn last(&self) -> &str {
        self.tokens.last().map_or("", String::as_str)
    }
}

impl<'a> Found<'a> {
    pub(super) fn value(self) -> Option<&'a Value> {
        match self {
            Found::Value(value) => Some(value),
            Found::Absent | Found::Null => None,
        }
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Pointer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn absent_null_and_there_are_three_things() {
        let document = json!({"a": {"b/c": [null, {"d": 0}], "e": null}, "": 1});
        let table = [
            ("/a/b~1c/1/d", Found::Value(&json!(0))),
            ("/a/b~1c/0", Found::Null),
            ("/a/e/f/g", Found::Null),
            ("/a/f", Found::Absent),
            ("/a/b~1c/2", Found::Absent),
            ("/", Found::Value(&json!(1))),
            ("", Found::Value(&document)),
        ]
        .map(|(text, found)| (text, format!("{found:?}")));
        for (text, found) in table {
            assert_eq!(format!("{:?}", Pointer::parse(text).unwrap().of(&document)), found, "{text}");
        }
        assert!(Pointer::parse("a/b").is_err());
    }
}
