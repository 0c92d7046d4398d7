//! One question to a provider: which declared read, with which values, and what goes with it.
//! It must never show a body or a header's value in its debug form: both may hold secrets.

use std::fmt;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

/// What stands in a query as it is: what no server takes for a separator there.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'$')
    .remove(b',')
    .remove(b':')
    .remove(b'/')
    .remove(b'@')
    .remove(b'!')
    .remove(b'(')
    .remove(b')')
    .remove(b'*');

/// What is sent in a POST.
#[derive(Clone, PartialEq)]
pub enum Body {
    /// As JSON.
    Json(Value),
    /// As an HTML form, in that order.
    Form(Vec<(String, String)>),
    /// These very bytes, for whoever signs them.
    Raw {
        /// Of what kind they are.
        kind: &'static str,
        /// The bytes.
        bytes: Bytes,
    },
}

/// A question.
#[derive(Clone)]
pub struct Ask {
    pub(super) read: String,
    pub(super) place: Place,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Option<Body>,
    /// The GraphQL document in the body.
    pub(super) document: Option<&'static str>,
    pub(super) etag: Option<String>,
    pub(super) signing: Signing,
    pub(super) gaps: bool,
    pub(super) missing: bool,
}

#[derive(Clone)]
pub(super) enum Place {
    /// At the template, filled with these.
    Values(Vec<String>),
    /// At a link that the provider gave.
    Link(String),
}

#[derive(Clone)]
pub(super) enum Signing {
    /// By the authority of the source.
    Authority,
    /// By these headers, which may be none.
    With(Vec<(HeaderName, HeaderValue)>),
}

impl Ask {
    /// `GET` (or whatever method the read declares) with these values in its holes, in order.
    pub fn get(read: impl Into<String>, values: &[&str]) -> Self {
        Self::of(read.into(), Place::Values(values.iter().map(|it| (*it).to_owned()).collect()))
    }

    /// A declared read with method LIST.
    pub fn list(read: impl Into<String>, values: &[&str]) -> Self {
        Self::get(read, values)
    }

    /// A declared act with these values in the holes of its path, and a body if there is one.
    pub fn act(act: impl Into<String>, values: &[&str], body: Option<Body>) -> Self {
        Self { body, ..Self::get(act, values) }
    }

    /// A declared read with method POST.
    pub fn post(read: impl Into<String>, values: &[&str], body: Body) -> Self {
        Self { body: Some(body), ..Self::get(read, values) }
    }

    /// A registered GraphQL document with its variables.
    pub fn graphql(read: impl Into<String>, document: &'static str, variables: Value) -> Self {
        let body = Body::Json(serde_json::json!({ "query": document, "variables": variables }));
        Self { document: Some(document), ..Self::post(read, &[], body) }
    }

    /// A link that the provider gave, absolute or relative to the origin; it must be of that read's shape.
    pub fn link(read: impl Into<String>, url: &str) -> Self {
        Self::of(read.into(), Place::Link(url.to_owned()))
    }

    fn of(read: String, place: Place) -> Self {
        Self {
            read,
            place,
            query: Vec::new(),
            headers: Vec::new(),
            body: None,
            document: None,
            etag: None,
            signing: Signing::Authority,
            gaps: false,
            missing: false,
        }
    }

    /// With this in the query.
    pub fn query(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.query.push((name.into(), value.into()));
        self
    }

    /// With this header, instead of the provider's usual one of that name.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Only if it changed since the answer with that entity tag.
    pub fn if_none_match(mut self, etag: Option<&str>) -> Self {
        self.etag = etag.map(str::to_owned);
        self
    }

    /// Signed by these headers and not by the source's authority: for the calls an authority itself makes.
    pub fn signed_with(mut self, headers: Vec<(HeaderName, HeaderValue)>) -> Self {
        self.signing = Signing::With(headers);
        self
    }

    /// Takes a GraphQL answer that lacks parts: `Answer::gaps` names them. Otherwise such an answer is a failure.
    pub fn with_gaps(mut self) -> Self {
        self.gaps = true;
        self
    }

    /// Takes a 404 for an answer too: `Answer::is_missing` tells it. Some providers say in its body whether there is nothing
    /// in a place or no such place.
    pub fn or_missing(mut self) -> Self {
        self.missing = true;
        self
    }

    /// The same at an address that the provider gave, which brings its own query.
    pub(super) fn moved(mut self, address: &str) -> Self {
        self.place = Place::Link(address.to_owned());
        self.query.clear();
        self
    }

    /// The declared read it is of.
    pub fn read(&self) -> &str {
        &self.read
    }

    /// The query as it is sent, without the question mark.
    pub(super) fn query_text(&self) -> String {
        joined(&self.query, |text| utf8_percent_encode(text, QUERY).to_string())
    }
}

impl Body {
    /// The bytes, and what kind they are.
    pub(super) fn bytes(&self) -> (Bytes, HeaderValue) {
        match self {
            Body::Json(value) => (value.to_string().into(), HeaderValue::from_static("application/json")),
            Body::Form(pairs) => {
                let form = joined(pairs, |text| {
                    // The form's own encoding: a blank is a plus sign.
                    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
                });
                (form.into(), HeaderValue::from_static("application/x-www-form-urlencoded"))
            }
            Body::Raw { kind, bytes } => (bytes.clone(), HeaderValue::from_static(kind)),
        }
    }
}

fn joined(pairs: &[(String, String)], encoded: impl Fn(&str) -> String) -> String {
    let pairs: Vec<String> =
        pairs.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
    pairs.join("&")
}

impl fmt::Debug for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ask").field("read", &self.read).finish_non_exhaustive()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Body::Json(_) => "Json(…)",
            Body::Form(_) => "Form(…)",
            Body::Raw { .. } => "Raw(…)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_and_a_form_cannot_be_broken_out_of() {
        let ask = Ask::get("GET /", &[]).query("$filter", "a eq 'b&c=d'").query("q", "#+%/é");
        assert_eq!(ask.query_text(), "$filter=a%20eq%20%27b%26c%3Dd%27&q=%23%2B%25/%C3%A9");
        let form = Body::Form(vec![("scope".into(), "a b".into()), ("s".into(), "&=+".into())]);
        assert_eq!(form.bytes().0, "scope=a+b&s=%26%3D%2B");
    }

    #[test]
    fn no_secret_shows() {
        let body = Body::Form(vec![("client_secret".into(), "hunter2".into())]);
        let ask = Ask::post("POST /token", &[], body.clone()).header("x-key", "hunter2").query("key", "hunter2");
        assert!(!format!("{ask:?} {body:?}").contains("hunter2"));
    }
}
