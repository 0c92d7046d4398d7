//! A manifest as typed: exactly what TOML says, names and types checked, nothing else.
//! It must never accept a key it does not know: a misspelt one would silently leave something out.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Texts by name.
pub(super) type Named = BTreeMap<String, String>;

/// A manifest.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Typed {
    pub title: String,
    #[serde(default)]
    pub documentation: Vec<String>,
    pub origin: Option<String>,
    pub markup: Option<String>,
    #[serde(default)]
    pub headers: Named,
    pub auth: TypedAuth,
    #[serde(default)]
    pub settings: Named,
    #[serde(default)]
    pub severity: Named,
    pub url: String,
    pub create: TypedCreate,
    pub comment: TypedAct,
    pub close: TypedAct,
    pub reopen: TypedAct,
    pub read: TypedRead,
    pub comments: TypedComments,
    pub list: Option<TypedList>,
    pub check: TypedCheck,
}

/// How calls prove who makes them: one of these, each with the names of slots.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TypedAuth {
    pub bearer: Option<String>,
    pub basic: Option<(String, String)>,
    #[serde(default)]
    pub header: Named,
}

/// What makes a ticket, and where its key stands in the answer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TypedCreate {
    pub call: String,
    #[serde(default)]
    pub query: Named,
    pub body: Option<toml::Table>,
    pub key: String,
}

/// What changes a ticket.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TypedAct {
    pub call: String,
    #[serde(default)]
    pub query: Named,
    pub body: Option<toml::Table>,
}

/// What shows one ticket, and where in the answer what stands.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TypedRead {
    pub call: String,
    #[serde(default)]
    pub query: Named,
    pub closed: TypedTest,
    pub gone: Option<TypedTest>,
    pub status: Option<String>,
    pub assignee: Option<String>,
    pub comments: Option<String>,
}

/// A place of which the words that count are told, or which counts if anything stands there.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TypedTest {
    pub at: String,
    #[serde(default)]
    pub words: Vec<String>,
    #[serde(default)]
    pub there: bool,
}

/// What lists the comments of a ticket.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TypedComments {
    pub call: String,
    #[serde(default)]
    pub query: Named,
    pub records: Option<String>,
    pub page: TypedPage,
    pub text: String,
}

/// What lists tickets.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TypedList {
    pub call: String,
    #[serde(default)]
    pub query: Named,
    pub records: Option<String>,
    pub page: TypedPage,
    pub mark: String,
    pub key: String,
    pub consistent: bool,
}

/// How a list goes on, and how its end is known.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TypedPage {
    #[serde(default)]
    pub whole: bool,
    pub number: Option<String>,
    pub from: Option<u32>,
    pub offset: Option<String>,
    pub size: Option<(String, u32)>,
    pub total: Option<String>,
    pub more: Option<String>,
}

/// What shows whether we are let in, and as whom.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TypedCheck {
    pub call: String,
    #[serde(default)]
    pub query: Named,
    pub who: Option<String>,
}
