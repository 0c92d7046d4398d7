//! An answer taken whole: status, headers and the decompressed body, within bounds.
//! It must never let the body into an error: what cannot be read may be a secret.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use provost_model::Why;
use serde::de::DeserializeOwned;
use url::Url;

use super::Element;
use crate::Failure;

/// Deepest place of a fault that is named.
const PLACE_MAX: usize = 120;

/// What a provider answered to one question, successfully.
#[derive(Clone)]
pub struct Answer {
    pub(super) operation: String,
    /// Where it came from.
    pub(super) url: Url,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) gaps: Vec<Gap>,
}

/// A part that a GraphQL answer lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Where it would be, as a JSON Pointer; empty if the provider did not say.
    pub place: String,
    /// The provider's word for the reason, such as `FORBIDDEN`.
    pub code: String,
    /// What to do about it.
    pub why: Why,
    /// What the provider said, bounded and without secrets.
    pub said: String,
}

impl Answer {
    /// Whether nothing changed since the entity tag that was sent along.
    pub fn unchanged(&self) -> bool {
        self.status == StatusCode::NOT_MODIFIED
    }

    /// Whether there is nothing at that place, or no such place; only where the question allowed for it.
    pub fn is_missing(&self) -> bool {
        self.status == StatusCode::NOT_FOUND
    }

    /// The status: 2xx or 304, or 404 where the question allowed for it.
    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// The body as JSON of that shape. Fails on an unchanged answer too, which has no body.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        let mut reader = serde_json::Deserializer::from_slice(&self.body);
        let mut track = serde_path_to_error::Track::new();
        let read = T::deserialize(serde_path_to_error::Deserializer::new(&mut reader, &mut track));
        let read = read.and_then(|value| reader.end().map(|()| value));
        read.map_err(|error| {
            let place: String = track.path().to_string().chars().take(PLACE_MAX).collect();
            let said = match error.classify() {
                serde_json::error::Category::Data => format!("the answer has another shape than expected at {place}"),
                serde_json::error::Category::Eof => "the answer breaks off".to_owned(),
                _ => format!("the answer is no JSON from line {}, column {}", error.line(), error.column()),
            };
            Failure::new(&self.operation, Why::Malformed, "", &said)
        })
    }

    /// The body as XML.
    pub fn xml(&self) -> Result<Element, Failure> {
        let malformed = || Failure::new(&self.operation, Why::Malformed, "", "the answer is no whole document of XML");
        Element::parse(&self.body).ok_or_else(malformed)
    }

    /// The parts that a GraphQL answer lacks; empty unless the question allowed for gaps.
    pub fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    /// Where the next page is, by the `Link` header (RFC 8288).
    pub fn next_link(&self) -> Option<&str> {
        let links = self.headers.get_all(http::header::LINK).iter();
        links.filter_map(|value| value.to_str().ok()).find_map(next_of)
    }

    /// The entity tag.
    pub fn etag(&self) -> Option<&str> {
        self.header("etag")
    }

    /// The first header of that name, if it is plain text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as it was meant, decompressed.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// An address in this answer, made whole: relative ones begin where the answer came from (RFC 8288, 3.2).
    pub fn resolved(&self, address: &str) -> Option<String> {
        self.url.join(address).ok().map(String::from)
    }

    /// The declared read that was asked.
    pub fn operation(&self) -> &str {
        &self.operation
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let length = self.body.len();
        f.debug_struct("Answer").field("status", &self.status).field("bytes", &length).finish_non_exhaustive()
    }
}

/// The target of the link with relation `next` in one header's value.
fn next_of(value: &str) -> Option<&str> {
    let mut rest = value;
    loop {
        let (target, parameters) = rest.split_once('<')?.1.split_once('>')?;
        let ends = end_of(parameters, ',');
        let (parameters, following) = parameters.split_at_checked(ends)?;
        if is_next(parameters) {
            return Some(target);
        }
        rest = following;
    }
}

/// Where a part ends: at that sign outside of quotes.
fn end_of(parameters: &str, end: char) -> usize {
    let (mut quoted, mut escaped) = (false, false);
    for (at, sign) in parameters.char_indices() {
        match sign {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if sign == end && !quoted => return at,
            _ => {}
        }
    }
    parameters.len()
}

fn is_next(parameters: &str) -> bool {
    let mut rest = parameters;
    while !rest.is_empty() {
        let (parameter, following) = rest.split_at_checked(end_of(rest, ';')).unwrap_or((rest, ""));
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let value = value.trim().trim_matches('"');
        if name.trim().eq_ignore_ascii_case("rel") && value.split(' ').any(|it| it.eq_ignore_ascii_case("next")) {
            return true;
        }
        rest = following.strip_prefix(';').unwrap_or_default();
    }
    false
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn answer(body: &str) -> Answer {
        Answer {
            operation: "GET /keys".into(),
            url: Url::parse("https://a.example/keys").unwrap(),
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body: body.to_owned().into(),
            gaps: Vec::new(),
        }
    }

    #[test]
    fn what_cannot_be_read_is_named_by_place_and_never_repeated() {
        type Shape = BTreeMap<String, Vec<u32>>;
        assert_eq!(answer(r#"{"keys": [1]} "#).json::<Shape>().unwrap()["keys"], [1]);
        let table = [
            (r#"{"keys": [1, "hunter2"]}"#, "at keys[1]"),
            (r#"{"keys": [1"#, "breaks off"),
            ("", "breaks off"),
            ("<html>hunter2</html>", "no JSON from line 1"),
            (r#"{"keys": []} hunter2"#, "no JSON"),
        ];
        for (body, says) in table {
            let failure = answer(body).json::<Shape>().unwrap_err();
            assert_eq!(failure.why, Why::Malformed);
            assert!(failure.said.contains(says), "{body}: {failure}");
            assert!(!failure.said.contains("hunter2"), "{failure}");
        }
    }

    #[test]
    fn the_next_link_is_found_among_others() {
        let table = [
            (r#"<https://a/?page=1>; rel="prev", <https://a/?page=3>; rel="next""#, Some("https://a/?page=3")),
            (r#"<https://a/?x=1,2>; title="a, \"<b>\"; rel=next"; rel=last"#, None),
            (r#"</p?page=2>; REL="last next""#, Some("/p?page=2")),
            ("<https://a>", None),
            ("next", None),
            ("", None),
        ];
        for (value, next) in table {
            let mut answer = answer("");
            answer.headers.insert("link", value.parse().unwrap());
            assert_eq!(answer.next_link(), next, "{value}");
        }
    }
}
