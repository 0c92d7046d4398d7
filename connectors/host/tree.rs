//! Documents as trees: JSON with or without comments, YAML and TOML, all read into one shape of bounded size.
//! It must never keep a text that is not wiped when dropped, nor tell what a malformed document said.

use std::{cell::Cell, fmt};

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor};
use zeroize::{Zeroize, Zeroizing};

/// Most nodes of one document; YAML aliases can make a small file very large.
pub(super) const NODES_MAX: usize = 200_000;
/// Most documents in one YAML file.
const DOCUMENTS_MAX: usize = 64;

/// A node of a document.
#[derive(Default)]
pub(crate) enum Node {
    /// Nothing.
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// A number, as text.
    Number(String),
    /// A text; wiped when dropped.
    Text(Zeroizing<String>),
    /// A list.
    List(Vec<Node>),
    /// A map, in the order of the document.
    Map(Vec<(String, Node)>),
}

/// The document cannot be understood; which line says more, if known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub Option<usize>);

static NOTHING: Node = Node::Null;

impl Node {
    /// A JSON document.
    pub(crate) fn json(bytes: &[u8]) -> Result<Node, Malformed> {
        let mut parser = serde_json::Deserializer::from_slice(unmarked(bytes));
        let budget = Cell::new(NODES_MAX);
        let node = Seed(&budget).deserialize(&mut parser).map_err(|error| Malformed(Some(error.line())))?;
        parser.end().map_err(|error| Malformed(Some(error.line())))?;
        Ok(node)
    }

    /// A JSON document with comments and trailing commas, as editors allow them.
    pub(crate) fn json_with_comments(bytes: &[u8]) -> Result<Node, Malformed> {
        Self::json(&without_comments(unmarked(bytes)))
    }

    /// The documents of a YAML stream.
    pub(crate) fn yaml(bytes: &[u8]) -> Result<Vec<Node>, Malformed> {
        let mut documents = Vec::new();
        let budget = Cell::new(NODES_MAX);
        for parser in serde_yaml_ng::Deserializer::from_slice(unmarked(bytes)).take(DOCUMENTS_MAX) {
            let node = Seed(&budget).deserialize(parser);
            documents.push(node.map_err(|error| Malformed(error.location().map(|it| it.line())))?);
        }
        Ok(documents)
    }

    /// A TOML document.
    pub(crate) fn toml(bytes: &[u8]) -> Result<Node, Malformed> {
        let text = std::str::from_utf8(unmarked(bytes)).map_err(|_| Malformed(None))?;
        let line = |error: &toml::de::Error| {
            let before = text.get(..error.span()?.start)?;
            Some(before.matches('\n').count() + 1)
        };
        let parser = toml::Deserializer::parse(text).map_err(|error| Malformed(line(&error)))?;
        let budget = Cell::new(NODES_MAX);
        Seed(&budget).deserialize(parser).map_err(|error| Malformed(line(&error)))
    }

    /// The member of that name; null if there is none.
    pub(crate) fn get(&self, name: &str) -> &Node {
        self.entries().iter().find(|(its, _)| its == name).map_or(&NOTHING, |(_, node)| node)
    }

    /// The member at the end of that way of names.
    pub(crate) fn at(&self, way: &[&str]) -> &Node {
        way.iter().fold(self, |node, name| node.get(name))
    }

    /// The text, if it is one.
    pub(crate) fn text(&self) -> Option<&str> {
        if let Node::Text(text) = self { Some(text) } else { None }
    }

    /// A text or number as text.
    pub(crate) fn scalar(&self) -> Option<&str> {
        match self {
            Node::Text(text) => Some(text),
            Node::Number(digits) => Some(digits),
            _ => None,
        }
    }

    /// Whether it is the value true.
    pub(crate) fn is_true(&self) -> bool {
        matches!(self, Node::Bool(true))
    }

    /// Whether it is nothing.
    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Node::Null)
    }

    /// Members of a map; none if it is no map.
    pub(crate) fn entries(&self) -> &[(String, Node)] {
        if let Node::Map(entries) = self { entries } else { &[] }
    }

    /// Elements of a list; none if it is no list.
    pub(crate) fn items(&self) -> &[Node] {
        if let Node::List(items) = self { items } else { &[] }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Node(..)")
    }
}

struct Seed<'b>(&'b Cell<usize>);

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Node;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        let left = self.0.get().checked_sub(1).ok_or_else(|| D::Error::custom("too many nodes"))?;
        self.0.set(left);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Node;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a document")
    }
    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }
    fn visit_none<E: Error>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }
    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Node, D::Error> {
        self.deserialize(inner)
    }
    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Node, D::Error> {
        self.deserialize(inner)
    }
    fn visit_bool<E: Error>(self, it: bool) -> Result<Node, E> {
        Ok(Node::Bool(it))
    }
    fn visit_i64<E: Error>(self, it: i64) -> Result<Node, E> {
        Ok(Node::Number(it.to_string()))
    }
    fn visit_u64<E: Error>(self, it: u64) -> Result<Node, E> {
        Ok(Node::Number(it.to_string()))
    }
    fn visit_f64<E: Error>(self, it: f64) -> Result<Node, E> {
        Ok(Node::Number(it.to_string()))
    }
    fn visit_str<E: Error>(self, it: &str) -> Result<Node, E> {
        Ok(Node::Text(Zeroizing::new(it.to_owned())))
    }
    fn visit_string<E: Error>(self, it: String) -> Result<Node, E> {
        Ok(Node::Text(Zeroizing::new(it)))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(Seed(self.0))? {
            items.push(item);
        }
        Ok(Node::List(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key_seed(Seed(self.0))? {
            let value = map.next_value_seed(Seed(self.0))?;
            let name = match &key {
                Node::Bool(it) => it.to_string(),
                other => other.scalar().unwrap_or_default().to_owned(),
            };
            entries.push((name, value));
        }
        Ok(Node::Map(entries))
    }
    // A YAML tag such as `!reference`: the tag does not matter here.
    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<Node, A::Error> {
        let (_, inner) = tagged.variant_seed(Seed(self.0))?;
        inner.newtype_variant_seed(Seed(self.0))
    }
}

fn unmarked(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// The document with comments and trailing commas blanked out, so that line numbers stay right.
fn without_comments(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(bytes.len()));
    let mut rest = bytes;
    let mut comma: Option<usize> = None;
    while let [first, after @ ..] = rest {
        rest = match (first, after.first()) {
            (b'"', _) => {
                comma = None;
                let end = end_of_string(after);
                out.push(b'"');
                out.extend_from_slice(after.get(..end).unwrap_or_default());
                after.get(end..).unwrap_or_default()
            }
            (b'/', Some(b'/')) => {
                let end = after.iter().position(|byte| *byte == b'\n').unwrap_or(after.len());
                after.get(end..).unwrap_or_default()
            }
            (b'/', Some(b'*')) => {
                let body = after.get(1..).unwrap_or_default();
                let end = body.windows(2).position(|pair| pair == b"*/").map_or(body.len(), |at| at + 2);
                let (comment, behind) = body.split_at(end);
                out.extend(comment.iter().filter(|byte| **byte == b'\n'));
                behind
            }
            (b']' | b'}', _) => {
                if let Some(at) = comma.take().and_then(|at| out.get_mut(at)) {
                    at.zeroize();
                    *at = b' ';
                }
                out.push(*first);
                after
            }
            (byte, _) => {
                if *byte == b',' {
                    comma = Some(out.len());
                } else if !byte.is_ascii_whitespace() {
                    comma = None;
                }
                out.push(*byte);
                after
            }
        };
    }
    out
}

/// Where a string that began before `text` ends, closing quote included.
fn end_of_string(text: &[u8]) -> usize {
    let mut escaped = false;
    for (at, byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_trailing_commas_are_forgiven_outside_of_strings() {
        let text = br#"{ // a "comment"
            "a": "x // no comment, ]", /* , */
            "b": [1, 2, ],
        }"#;
        let node = Node::json_with_comments(text).unwrap();
        assert_eq!(node.get("a").text(), Some("x // no comment, ]"));
        assert_eq!(node.get("b").items().len(), 2);
    }

    #[test]
    fn a_small_document_cannot_become_a_large_tree() {
        let mut bomb = String::from("a: &a [x,x,x,x,x,x,x,x,x,x]\n");
        for (name, of) in ["b", "c", "d", "e", "f", "g"].iter().zip(["a", "b", "c", "d", "e", "f"]) {
            bomb.push_str(&format!("{name}: &{name} [*{of},*{of},*{of},*{of},*{of},*{of},*{of},*{of},*{of},*{of}]\n"));
        }
        assert!(Node::yaml(bomb.as_bytes()).is_err());
    }

    #[test]
    fn tags_and_odd_keys_of_yaml_are_read_through() {
        let nodes = Node::yaml(b"1: !reference [a, b]\ntrue: x\n---\nsecond: y\n").unwrap();
        assert_eq!(nodes[0].get("1").items().len(), 2);
        assert_eq!(nodes[0].get("true").text(), Some("x"));
        assert_eq!(nodes[1].get("second").text(), Some("y"));
    }

    #[test]
    fn what_is_malformed_says_where_and_not_what() {
        assert_eq!(Node::toml(b"a = 1\nb = \"unclosed secret\n").unwrap_err(), Malformed(Some(2)));
        assert_eq!(Node::json(b"{\n\"a\": nope}").unwrap_err(), Malformed(Some(2)));
        assert!(!format!("{:?}", Node::json(b"[\"value\"]").unwrap()).contains("value"));
    }
}
