//! An answer in XML, as a tree of elements with text: all that AWS's older protocols need.
//! It must never resolve an entity that the document defines itself, nor show a text in its debug form.

use std::fmt;

use quick_xml::{Reader, escape::resolve_predefined_entity, events::Event};
use zeroize::Zeroizing;

/// Deepest nesting taken.
const DEPTH_MAX: usize = 32;
/// Most elements of one document.
const ELEMENTS_MAX: usize = 100_000;

/// An element: its name, its text, and the elements in it. Attributes are left out.
#[derive(Clone, Default)]
pub struct Element {
    name: String,
    text: Zeroizing<String>,
    inside: Vec<Element>,
}

impl Element {
    /// The one element of a document; `None` if it is not whole, or has a document type.
    pub(super) fn parse(document: &[u8]) -> Option<Self> {
        let mut reader = Reader::from_str(std::str::from_utf8(document).ok()?);
        let (mut open, mut count) = (vec![Self::default()], 0_usize);
        loop {
            match reader.read_event().ok()? {
                Event::Start(tag) => {
                    count += 1;
                    open.push(Self { name: tag.local_name().as_ref().to_owned(), ..Self::default() });
                }
                Event::Empty(tag) => {
                    count += 1;
                    let element = Self { name: tag.local_name().as_ref().to_owned(), ..Self::default() };
                    open.last_mut()?.inside.push(element);
                }
                Event::End(_) => {
                    let element = open.pop()?;
                    open.last_mut()?.inside.push(element);
                }
                Event::Text(said) => open.last_mut()?.text.push_str(&said.xml10_content()),
                Event::CData(said) => open.last_mut()?.text.push_str(&said.xml10_content()),
                Event::GeneralRef(reference) => match reference.resolve_char_ref().ok()? {
                    Some(letter) => open.last_mut()?.text.push(letter),
                    None => open.last_mut()?.text.push_str(resolve_predefined_entity(&reference)?),
                },
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
                Event::DocType(_) => return None,
                Event::Eof => break,
            }
            if open.len() > DEPTH_MAX || count > ELEMENTS_MAX {
                return None;
            }
        }
        let document = open.pop().filter(|document| open.is_empty() && document.text.trim().is_empty())?;
        let mut elements = document.inside.into_iter();
        elements.next().filter(|_| elements.next().is_none())
    }

    /// Its name, without a prefix.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its own text.
    pub fn text(&self) -> &str {
        self.text.trim()
    }

    /// The elements right in it.
    pub fn inside(&self) -> &[Element] {
        &self.inside
    }

    /// The first element of that name in it, however deep.
    pub fn find(&self, name: &str) -> Option<&Element> {
        self.inside.iter().find_map(|it| if it.name == name { Some(it) } else { it.find(name) })
    }

    /// The text of the first element of that name in it; `None` where it is missing or empty.
    pub fn said(&self, name: &str) -> Option<&str> {
        self.find(name).map(Element::text).filter(|text| !text.is_empty())
    }
}

impl fmt::Debug for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Element").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_one_whole_element() {
        let found = Element::parse(b"<?xml version='1.0'?><A xmlns='x'><B>1 &amp; &#50;</B><C><B>3</B></C><D/></A>");
        let found = found.unwrap();
        assert_eq!((found.name(), found.said("B"), found.inside().len()), ("A", Some("1 & 2"), 3));
        assert_eq!((found.find("C").unwrap().said("B"), found.said("D"), found.said("E")), (Some("3"), None, None));
        assert!(!format!("{found:?}").contains('3'));
        let deep = "<a>".repeat(40) + &"</a>".repeat(40);
        for wrong in ["", "<A>", "<A></B>", "<A/><B/>", "<!DOCTYPE A><A/>", "<A>&x;</A>", "x<A/>", "{}", &deep] {
            assert!(Element::parse(wrong.as_bytes()).is_none(), "{wrong}");
        }
    }
}
