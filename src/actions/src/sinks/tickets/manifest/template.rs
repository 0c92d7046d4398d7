//! Texts and documents with holes: `Issue {key}`, `{ issue = { subject = "{title}" } }`. A hole is filled, and that is all.
//! It must never put a value anywhere but into one text or number of a document: nothing is joined to JSON's own text.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// What holes are filled with, by name.
pub(super) type Fillings = BTreeMap<String, String>;

/// A text with named holes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Text(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Plain(String),
    Hole(String),
}

/// A document of JSON with holes in its texts.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Document {
    /// A text.
    Text(Text),
    /// A whole number, from what fills the one hole that it is.
    Number(String),
    /// What is the same in every call.
    Constant(Value),
    List(Vec<Document>),
    Object(Vec<(String, Document)>),
}

impl Text {
    /// Reads a text with holes in braces; two braces stand for one.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let (mut pieces, mut plain, mut rest) = (Vec::new(), String::new(), text);
        while let Some(at) = rest.find(['{', '}']) {
            let (before, behind) = rest.split_at(at);
            plain.push_str(before);
            if let Some((brace, after)) = ["{{", "}}"].iter().find_map(|it| Some((*it, behind.strip_prefix(*it)?))) {
                plain.extend(brace.chars().next());
                rest = after;
                continue;
            }
            let hole = behind.strip_prefix('{').ok_or("a } has no {")?;
            let (name, after) = hole.split_once('}').ok_or("a { has no }")?;
            if !is_name(name) {
                return Err("between { and } stands a name of small letters, digits and _");
            }
            if !plain.is_empty() {
                pieces.push(Piece::Plain(std::mem::take(&mut plain)));
            }
            pieces.push(Piece::Hole(name.to_owned()));
            rest = after;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Plain(plain));
        }
        Ok(Self(pieces))
    }

    /// The names of its holes, in order.
    pub(super) fn holes(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Plain(_) => None,
            Piece::Hole(name) => Some(name.as_str()),
        })
    }

    /// A text and the one hole at its end, if it is of that form.
    pub(super) fn as_prefix(&self) -> Option<(&str, &str)> {
        match self.0.as_slice() {
            [Piece::Hole(name)] => Some(("", name)),
            [Piece::Plain(before), Piece::Hole(name)] => Some((before, name)),
            _ => None,
        }
    }

    /// The text with its holes filled.
    pub(super) fn fill(&self, with: &Fillings) -> Result<String, String> {
        let mut filled = String::new();
        for piece in &self.0 {
            filled.push_str(match piece {
                Piece::Plain(text) => text,
                Piece::Hole(name) => filling(with, name)?,
            });
        }
        Ok(filled)
    }
}

impl Document {
    /// Reads what stands in a manifest; an error says where in it.
    pub(super) fn parse(place: &str, value: &toml::Value) -> Result<Self, String> {
        let wrong = |said: &str| format!("{place}: {said}");
        Ok(match value {
            toml::Value::String(text) => match text.strip_prefix("{#").and_then(|it| it.strip_suffix('}')) {
                Some(name) if is_name(name) => Self::Number(name.to_owned()),
                _ => Self::Text(Text::parse(text).map_err(wrong)?),
            },
            toml::Value::Integer(number) => Self::Constant((*number).into()),
            toml::Value::Boolean(it) => Self::Constant((*it).into()),
            toml::Value::Float(number) => {
                let number = serde_json::Number::from_f64(*number);
                Self::Constant(Value::Number(number.ok_or_else(|| wrong("this is no number of JSON"))?))
            }
            toml::Value::Datetime(_) => return Err(wrong("JSON knows no dates: write it as a text")),
            toml::Value::Array(all) => {
                let each = all.iter().enumerate().map(|(at, it)| Self::parse(&format!("{place}[{at}]"), it));
                Self::List(each.collect::<Result<_, _>>()?)
            }
            toml::Value::Table(members) => {
                let each =
                    members.iter().map(|(name, it)| Ok((name.clone(), Self::parse(&format!("{place}.{name}"), it)?)));
                Self::Object(each.collect::<Result<_, String>>()?)
            }
        })
    }

    /// The names of its holes.
    pub(super) fn holes(&self) -> Vec<&str> {
        match self {
            Self::Text(text) => text.holes().collect(),
            Self::Number(name) => vec![name],
            Self::Constant(_) => Vec::new(),
            Self::List(all) => all.iter().flat_map(Self::holes).collect(),
            Self::Object(members) => members.iter().flat_map(|(_, it)| it.holes()).collect(),
        }
    }

    /// The document with its holes filled.
    pub(super) fn fill(&self, with: &Fillings) -> Result<Value, String> {
        Ok(match self {
            Self::Text(text) => Value::String(text.fill(with)?),
            Self::Number(name) => {
                let number = filling(with, name)?.parse::<i64>();
                number.map_err(|_| format!("{{#{name}}} is to be a number, and what fills it is none"))?.into()
            }
            Self::Constant(value) => value.clone(),
            Self::List(all) => Value::Array(all.iter().map(|it| it.fill(with)).collect::<Result<_, _>>()?),
            Self::Object(members) => {
                let each = members.iter().map(|(name, it)| Ok((name.clone(), it.fill(with)?)));
                Value::Object(each.collect::<Result<Map<_, _>, String>>()?)
            }
        })
    }
}

/// Whether a word can name a hole, a slot or a setting.
pub(super) fn is_name(word: &str) -> bool {
    let fits = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '_';
    (1..=40).contains(&word.len()) && word.chars().all(fits)
}

fn filling<'a>(with: &'a Fillings, name: &str) -> Result<&'a str, String> {
    with.get(name).map(String::as_str).ok_or_else(|| format!("nothing fills {{{name}}}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with() -> Fillings {
        [("title", "a\"}, {\"b\\\n{key}"), ("key", "7")].map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    #[test]
    fn a_hole_is_filled_once_and_two_braces_are_one() {
        for (text, filled) in [
            ("#{key}: {title}", "#7: a\"}, {\"b\\\n{key}"),
            ("{{noformat}}{key}{{noformat}}", "{noformat}7{noformat}"),
            ("{{{key}}}", "{7}"),
            ("", ""),
        ] {
            assert_eq!(Text::parse(text).unwrap().fill(&with()).unwrap(), filled, "{text}");
        }
        for text in ["{", "}", "{key", "a}b", "{}", "{a b}", "{Key}", "{#key}x", "{{key}"] {
            assert!(Text::parse(text).is_err(), "{text}");
        }
        assert_eq!(Text::parse("{keys}").unwrap().fill(&with()).unwrap_err(), "nothing fills {keys}");
    }

    #[test]
    fn whatever_fills_a_hole_stays_in_its_text() {
        let table: toml::Table =
            "i = { s = \"x {title}\", n = \"{#key}\", c = [1, true, 0.5, \"{key}\"] }".parse().unwrap();
        let document = Document::parse("body", &toml::Value::Table(table)).unwrap();
        let expected = json!({"i": {"s": "x a\"}, {\"b\\\n{key}", "n": 7, "c": [1, true, 0.5, "7"]}});
        assert_eq!(document.fill(&with()).unwrap(), expected);
        let number = Document::Number("title".into()).fill(&with()).unwrap_err();
        assert!(number.contains("{#title}") && !number.contains("a\""), "{number}");
        for text in ["x = 1979-05-27", "x = nan", "x = { y = [\"{\"] }"] {
            let table: toml::Table = text.parse().unwrap();
            let said = Document::parse("body", &toml::Value::Table(table)).unwrap_err();
            assert!(said.starts_with("body.x"), "{said}");
        }
    }
}
