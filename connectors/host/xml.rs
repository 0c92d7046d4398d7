//! XML documents, read into the same shape as every other document.
//! It must never resolve an entity that the document defines itself: that is how small files become large ones.
//!
//! An element with neither attributes nor elements in it is its text; every other one is a map of its attributes (their
//! names behind `@`), its elements in their order, and its own text under the empty name.

use quick_xml::{
    Reader, XmlVersion,
    escape::resolve_predefined_entity,
    events::{BytesRef, BytesStart, Event},
};
use zeroize::Zeroizing;

use super::tree::{Malformed, NODES_MAX, Node};

/// Deepest nesting taken.
const DEPTH_MAX: usize = 64;

/// An element that is not closed yet.
#[derive(Default)]
struct Open {
    name: String,
    inside: Vec<(String, Node)>,
    text: Zeroizing<String>,
}

impl Node {
    /// An XML document: a map of its one element.
    pub(crate) fn xml(bytes: &[u8]) -> Result<Node, Malformed> {
        let text = std::str::from_utf8(bytes).map_err(|_| Malformed(None))?;
        let mut reader = Reader::from_str(text);
        let mut open = vec![Open::default()];
        let mut left = NODES_MAX;
        loop {
            let event = reader.read_event();
            let line =
                |at: u64| usize::try_from(at).ok().and_then(|at| Some(text.get(..at)?.matches('\n').count() + 1));
            let malformed = Malformed(line(reader.buffer_position()));
            match event.map_err(|_| malformed)? {
                Event::Start(tag) => {
                    open.push(Open::of(&tag, &mut left).ok_or(malformed)?);
                    if open.len() > DEPTH_MAX {
                        return Err(malformed);
                    }
                }
                Event::Empty(tag) => {
                    let element = Open::of(&tag, &mut left).ok_or(malformed)?;
                    close(&mut open, element);
                }
                Event::End(_) => {
                    let element = open.pop().filter(|_| !open.is_empty()).ok_or(malformed)?;
                    close(&mut open, element);
                }
                Event::Text(said) => say(&mut open, &said.xml10_content()),
                Event::CData(said) => say(&mut open, &said.xml10_content()),
                Event::GeneralRef(reference) => say(&mut open, &resolved(&reference).ok_or(malformed)?),
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
                Event::DocType(_) => return Err(malformed),
                Event::Eof => {
                    let Some(document) = open.pop().filter(|_| open.is_empty()) else { return Err(malformed) };
                    return Ok(Node::Map(document.inside));
                }
            }
        }
    }

    /// The elements of that name right in this one.
    pub(crate) fn each<'n>(&'n self, name: &'n str) -> impl Iterator<Item = &'n Node> {
        self.entries().iter().filter(move |(its, _)| its == name).map(|(_, node)| node)
    }
}

impl Open {
    /// An element that begins; `None` if its attributes make no sense or the document is too large.
    fn of(tag: &BytesStart<'_>, left: &mut usize) -> Option<Self> {
        let mut element = Self { name: tag.local_name().as_ref().to_owned(), ..Self::default() };
        *left = left.checked_sub(1)?;
        for attribute in tag.attributes() {
            *left = left.checked_sub(1)?;
            let attribute = attribute.ok()?;
            let value = attribute.normalized_value(XmlVersion::Implicit1_0).ok()?;
            let name = format!("@{}", attribute.key.as_ref());
            element.inside.push((name, Node::Text(Zeroizing::new(value.into_owned()))));
        }
        Some(element)
    }
}

fn close(open: &mut [Open], mut element: Open) {
    let text = Zeroizing::new(element.text.trim().to_owned());
    let node = match (element.inside.is_empty(), text.is_empty()) {
        (true, true) => Node::Null,
        (true, false) => Node::Text(text),
        (false, said) => {
            if !said {
                element.inside.push((String::new(), Node::Text(text)));
            }
            Node::Map(element.inside)
        }
    };
    if let Some(around) = open.last_mut() {
        around.inside.push((element.name, node));
    }
}

fn say(open: &mut [Open], text: &str) {
    if let Some(element) = open.last_mut() {
        element.text.push_str(text);
    }
}

fn resolved(reference: &BytesRef<'_>) -> Option<String> {
    match reference.resolve_char_ref().ok()? {
        Some(letter) => Some(letter.to_string()),
        None => resolve_predefined_entity(reference).map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_attributes_and_references_are_read() {
        let text = br#"<?xml version="1.0"?><a:settings xmlns:a="x"><!-- <b>no</b> -->
            <b id="1&amp;2">one</b><b> t&lt;w&#111; </b><c><![CDATA[<x>]]></c><d/></a:settings>"#;
        let document = Node::xml(text).unwrap();
        let settings = document.get("settings");
        let both: Vec<_> = settings.each("b").collect();
        assert_eq!((both[0].get("@id").text(), both[0].get("").text()), (Some("1&2"), Some("one")));
        assert_eq!(both[1].text(), Some("t<wo"));
        assert_eq!(settings.get("c").text(), Some("<x>"));
        assert!(settings.get("d").is_null());
    }

    #[test]
    fn what_is_malformed_says_where_and_no_entity_of_its_own_is_resolved() {
        assert_eq!(Node::xml(b"<a>\n<b></a>").unwrap_err(), Malformed(Some(2)));
        assert!(Node::xml(b"<a>").is_err());
        assert!(Node::xml(b"</a>").is_err());
        assert!(Node::xml(br#"<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>"#).is_err());
        assert!(Node::xml(b"<a>&b;</a>").is_err());
        assert!(Node::xml("<a>".repeat(100_000).as_bytes()).is_err());
        assert!(Node::xml(&[b'<', 0xff, b'>']).is_err());
    }
}
