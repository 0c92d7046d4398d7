//! A manifest as typed: exactly what TOML says, names and types checked, nothing else.
//! It must never accept a key it does not know: a misspelt one would silently leave something out.

use std::{collections::BTreeMap, fmt, marker::PhantomData};

use provost_model::Kind;
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};
use toml::Spanned;

use super::{fault::Fault, pointer::Pointer, template::Template};

/// Values by a name whose place in the text is known.
pub(super) type Named<T> = BTreeMap<Spanned<String>, T>;

/// A manifest.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Typed {
    pub name: Spanned<String>,
    pub title: String,
    pub about: String,
    pub version: u32,
    #[serde(default)]
    pub documentation: Vec<String>,
    #[serde(default)]
    pub blind_spots: Vec<String>,
    pub base: Option<Spanned<String>>,
    pub auth: Spanned<Vec<Spanned<TypedAuth>>>,
    #[serde(default)]
    pub headers: Named<Spanned<Template>>,
    pub realm: Spanned<Short<Template, TypedRealm>>,
    #[serde(default)]
    pub slots: Named<String>,
    #[serde(default)]
    pub settings: Named<String>,
    pub page: Option<Spanned<TypedPage>>,
    pub records: Option<Pointer>,
    pub id: Option<Pointer>,
    #[serde(rename = "list", default)]
    pub lists: Vec<TypedList>,
}

/// One way to prove who is looking.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TypedAuth {
    pub bearer: Option<Spanned<String>>,
    #[serde(default)]
    pub headers: Named<Spanned<Template>>,
    pub basic: Option<(Spanned<Template>, Spanned<String>)>,
    pub token: Option<Spanned<String>>,
    pub id: Option<Spanned<Template>>,
    pub secret: Option<Spanned<String>>,
    #[serde(default)]
    pub in_header: bool,
    #[serde(default)]
    pub form: Named<Spanned<Template>>,
    #[serde(default)]
    pub json: Named<Spanned<Template>>,
    pub take: Option<Pointer>,
    pub jwt: Option<Spanned<TypedJwt>>,
}

/// A signed assertion (RFC 7519).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TypedJwt {
    pub key: Spanned<String>,
    pub claims: Named<Spanned<Template>>,
    pub key_id: Option<Spanned<Template>>,
    pub algorithm: Option<Spanned<String>>,
    pub seconds: Option<u32>,
    #[serde(default)]
    pub numbered: bool,
    #[serde(default)]
    pub grant: bool,
}

/// Where the tenant's id is found.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TypedRealm {
    pub get: Spanned<Template>,
    #[serde(default)]
    pub query: Named<Spanned<Template>>,
    pub at: Pointer,
}

/// How a listing goes on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TypedPage {
    #[serde(default)]
    pub whole: bool,
    #[serde(default)]
    pub link: bool,
    pub next: Option<Pointer>,
    pub cursor: Option<Pointer>,
    #[serde(rename = "as")]
    pub named: Option<String>,
    pub number: Option<String>,
    pub from: Option<u32>,
    pub offset: Option<String>,
    pub more: Option<Pointer>,
    pub total: Option<Pointer>,
    pub size: Option<(String, u32)>,
    #[serde(default)]
    pub absent_ends: bool,
}

/// One list call.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TypedList {
    pub scope: Spanned<String>,
    pub get: Spanned<Template>,
    #[serde(default)]
    pub query: Named<Spanned<Template>>,
    pub each: Option<Spanned<Pointer>>,
    pub permission: Option<String>,
    #[serde(default)]
    pub optional: bool,
    pub why: Option<String>,
    pub page: Option<Spanned<TypedPage>>,
    pub records: Option<Pointer>,
    pub id: Option<Pointer>,
    #[serde(default)]
    pub scoped: bool,
    pub cut: Option<Pointer>,
    pub cut_at: Option<u32>,
    #[serde(default)]
    pub make: Vec<TypedMake>,
}

/// What is made of each record of a list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TypedMake {
    pub kind: Spanned<Short<Kind, TypedKind>>,
    pub only_if: Option<Pointer>,
    pub id: Option<Pointer>,
    #[serde(default)]
    pub within: bool,
    #[serde(default)]
    pub identity: Vec<Spanned<TypedIdentity>>,
    #[serde(default)]
    pub fields: Named<Spanned<Short<OneOrMore, TypedField>>>,
    #[serde(default)]
    pub always: Named<Spanned<Constant>>,
    #[serde(default)]
    pub not_reported: Vec<Spanned<String>>,
    #[serde(default)]
    pub never: Vec<Spanned<String>>,
}

/// A kind that the record itself tells.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TypedKind {
    pub at: Pointer,
    pub map: BTreeMap<String, Spanned<String>>,
    pub other: Option<Spanned<String>>,
}

/// As whom a credential authenticates: the record of that list with the id found there, the record above, or what was
/// made first of the same record.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TypedIdentity {
    pub of: Option<Spanned<String>>,
    pub at: Option<Pointer>,
    #[serde(default)]
    pub above: bool,
    #[serde(default)]
    pub itself: bool,
}

/// Where an attribute stands, and how it is read.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TypedField {
    pub at: Option<OneOrMore>,
    pub above: Option<OneOrMore>,
    pub time: Option<Spanned<String>>,
    #[serde(default)]
    pub map: BTreeMap<String, String>,
    pub other: Option<String>,
    pub null: Option<Spanned<String>>,
    pub absent: Option<Spanned<String>>,
    pub each: Option<Pointer>,
    pub of: Option<Spanned<String>>,
    pub take: Option<Pointer>,
}

/// A value that every record of a list has.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(super) enum Constant {
    Bool(bool),
    Int(i64),
    Text(String),
    List(Vec<String>),
}

/// One pointer, or several of which the first that leads to a value counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OneOrMore(pub Vec<Pointer>);

/// A short form, or a table that says more.
#[derive(Debug)]
pub(super) enum Short<S, T> {
    Short(S),
    Table(T),
}

/// Reads a manifest. One fault at a time: what comes after a wrong type cannot be trusted.
pub(super) fn read(text: &str) -> Result<Typed, Fault> {
    toml::from_str(text).map_err(|error| {
        let begins = error.span().map_or(0, |span| span.start);
        Fault::at(text, begins, without_values(error.message()))
    })
}

/// The message without quoted values but those that are names of ours: what stands in the wrong place may be a secret.
fn without_values(message: &str) -> String {
    match message.split_once(": string \"") {
        Some((before, after)) => {
            let expected = after.rsplit_once("\", expected ").map_or("", |(_, expected)| expected);
            format!("{before}: a string, expected {expected}")
        }
        None => message.to_owned(),
    }
}

impl<'de> Deserialize<'de> for OneOrMore {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = OneOrMore;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON Pointer or a list of them")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<OneOrMore, E> {
                Ok(OneOrMore(vec![Pointer::parse(text).map_err(E::custom)?]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<OneOrMore, A::Error> {
                let mut all = Vec::new();
                while let Some(one) = elements.next_element()? {
                    all.push(one);
                }
                Ok(OneOrMore(all))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl<'de, S: FromText, T: Deserialize<'de>> Deserialize<'de> for Short<S, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<S, T>(PhantomData<(S, T)>);
        impl<'de, S: FromText, T: Deserialize<'de>> Visitor<'de> for Either<S, T> {
            type Value = Short<S, T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}, or a table", S::EXPECTED)
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                S::from_text(text).map(Short::Short).map_err(E::custom)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::new();
                while let Some(one) = elements.next_element::<String>()? {
                    all.push(one);
                }
                S::from_texts(&all).map(Short::Short).map_err(A::Error::custom)
            }
            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(members)).map(Short::Table)
            }
        }
        deserializer.deserialize_any(Either(PhantomData))
    }
}

/// What a short form is read from.
pub(super) trait FromText: Sized {
    const EXPECTED: &'static str;
    fn from_text(text: &str) -> Result<Self, String>;
    fn from_texts(_texts: &[String]) -> Result<Self, String> {
        Err(format!("expected {}, or a table", Self::EXPECTED))
    }
}

impl FromText for Template {
    const EXPECTED: &'static str = "a text with holes";
    fn from_text(text: &str) -> Result<Self, String> {
        Template::parse(text)
    }
}

impl FromText for Kind {
    const EXPECTED: &'static str = "a kind";
    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("{text:?} is no kind; kinds are {}", Kind::ALL.map(Kind::name).join(", ")))
    }
}

impl FromText for OneOrMore {
    const EXPECTED: &'static str = "a JSON Pointer, a list of them";
    fn from_text(text: &str) -> Result<Self, String> {
        Pointer::parse(text).map(|it| OneOrMore(vec![it]))
    }
    fn from_texts(texts: &[String]) -> Result<Self, String> {
        texts.iter().map(|it| Pointer::parse(it)).collect::<Result<_, _>>().map(OneOrMore)
    }
}
