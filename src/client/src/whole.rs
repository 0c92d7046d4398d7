//! Whether an answer is whole. In XML: one element, every tag closed in order, every reference known. In JSON: one object.
//! It must never take an answer that breaks off for one that has ended: the SDK's reader cannot tell them apart.

use quick_xml::{
    Reader, XmlVersion,
    escape::resolve_predefined_entity,
    events::{BytesRef, BytesStart, Event},
};
use serde::de::IgnoredAny;

/// Deepest nesting taken.
const DEPTH_MAX: usize = 64;

/// Whether a body is one whole element of XML without a document type, or one whole object of JSON.
pub(crate) fn is_whole(body: &[u8]) -> bool {
    match body.trim_ascii_start().first() {
        // Whoever expects XML finds no element in it, and says so.
        Some(b'{') => serde_json::from_slice::<IgnoredAny>(body).is_ok(),
        // A compressed file carries its own checksum: whoever unpacks it finds out.
        Some(0x1f) => body.starts_with(&[0x1f, 0x8b]),
        _ => is_whole_xml(body),
    }
}

fn is_whole_xml(body: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(body) else { return false };
    let mut reader = Reader::from_str(text);
    let (mut depth, mut elements) = (0_usize, 0_usize);
    loop {
        let fine = match reader.read_event() {
            Ok(Event::Start(tag)) => {
                elements += usize::from(depth == 0);
                depth += 1;
                depth <= DEPTH_MAX && are_sound(&tag)
            }
            Ok(Event::Empty(tag)) => {
                elements += usize::from(depth == 0);
                are_sound(&tag)
            }
            Ok(Event::End(_)) => {
                depth = depth.saturating_sub(1);
                true
            }
            Ok(Event::Text(text)) => depth > 0 || text.trim().is_empty(),
            Ok(Event::GeneralRef(reference)) => depth > 0 && is_known(&reference),
            Ok(Event::Eof) => return depth == 0 && elements == 1,
            Ok(Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::CData(_)) => true,
            Ok(Event::DocType(_)) | Err(_) => false,
        };
        if !fine {
            return false;
        }
    }
}

fn are_sound(tag: &BytesStart<'_>) -> bool {
    tag.attributes().all(|attribute| attribute.is_ok_and(|it| it.normalized_value(XmlVersion::Implicit1_0).is_ok()))
}

fn is_known(reference: &BytesRef<'_>) -> bool {
    match reference.resolve_char_ref() {
        Ok(Some(_)) => true,
        Ok(None) => resolve_predefined_entity(reference).is_some(),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_closed_element_is_whole() {
        let whole = [
            r#"<?xml version="1.0" encoding="UTF-8"?><a xmlns="https://x/y"><b>1 &lt; &#50;</b><c/><!-- d --></a>"#,
            "<a/>\n",
            "<a><b>x</b>\r\n</a>",
            "{\"a\":[{\"b\":null}]}\n",
            "{}",
        ];
        for text in whole {
            assert!(is_whole(text.as_bytes()), "{text}");
        }
        let broken = [
            "",
            " ",
            "[]",
            "{\"a\":1",
            "{\"a\":}",
            "{} {}",
            "{\"a\":\"\u{1}\"}",
            "<html>not what you think",
            "<a><b>1</b>",
            "<a><b>1</a></b>",
            "<a><b>1</b></a",
            "<a></a><a></a>",
            "<a>&nothing;</a>",
            "<a b=\"&nothing;\"/>",
            "<a b=c/>",
            "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>",
            "<a/>more",
            "<a><AccessKeyId>A</mem</a>",
        ];
        for text in broken {
            assert!(!is_whole(text.as_bytes()), "{text}");
        }
        assert!(!is_whole(&[b'<', 0xff, b'>']));
        assert!(is_whole(&[0x1f, 0x8b, 8]) && !is_whole(&[0x1f, 0x8a, 8]));
        assert!(!is_whole("<a>".repeat(100_000).as_bytes()));
    }
}
