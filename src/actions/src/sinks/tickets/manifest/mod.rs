//! Trackers that nobody wrote code for, described in a file by whoever runs one: calls with holes, and places in the answers.
//! It must never read a file that others can change, nor take what an answer does not say for an answer.
//!
//! # What a manifest says
//!
//! `title`; `origin` (else the setting `base_url`); `headers`; `auth` with one of `bearer = "SLOT"`,
//! `basic = ["USER", "SLOT"]`, `header = { NAME = "WORD {SLOT}" }`; `settings`, each with what it is; `severity`, the
//! tracker's word for each of ours; `markup` of the texts that the tracker shows; `url`, where people find a ticket.
//! Then the calls `create`, `comment`, `close`, `reopen`, `read`, `comments`, `check` and, where there is such a thing,
//! `list`: `call` is a method and a path, `query` and `body` have holes in their texts, `{#name}` alone is a number.
//! Holes are filled from a closed list (`title`, `text`, `mark`, `severity`, `key`, `since` and the settings) and nothing else.
//! Places in answers are JSON Pointers. Two examples are beside this file.

mod desk;
mod file;
mod meant;
mod template;
#[cfg(test)]
pub(in crate::sinks) mod tests;
mod typed;

use std::{collections::BTreeMap, sync::Arc};

use provost_client::{
    Authority, Provider, Web,
    authority::{Basic, Several, Token},
};
use serde::Deserialize;
use serde_json::Value;

use self::{
    desk::Described,
    meant::{Auth, Manifest},
    template::Fillings,
};
use super::{Office, provider};
use crate::sinks::{
    Checked, Delivery, Handed, Sink, SinkSpec,
    settings::{parsed, reference},
};

/// What this sink is.
pub(in crate::sinks) static SPEC: SinkSpec = SinkSpec {
    name: "ticket_manifest",
    title: "Tracker by manifest",
    about: "tickets of any tracker with a REST interface, described in a file of your own",
    delivery: Delivery::LookUp,
    because: "each text carries the letter's id; where the manifest vouches for a list of tickets that shows at once what was \
              made, a ticket is found by it, and otherwise one without a clear answer is not made again. Comments and states \
              are looked up in any case",
    gathers: false,
    per_minute: 30,
    acts: &["create, comment, close and reopen, as the manifest declares them"],
    reads: &["read, comments, list and check, as the manifest declares them"],
    permissions: &["whatever the tracker wants for the calls of the manifest"],
    checked: Checked::Words,
    example: EXAMPLE,
    documentation: &[
        "https://www.redmine.org/projects/redmine/wiki/Rest_Issues",
        "https://www.jetbrains.com/help/youtrack/devportal/resource-api-issues.html",
    ],
    build: &build,
};

const EXAMPLE: &str = r#"[[sinks]]
name = "redmine"
kind = "ticket_manifest"
manifest = "/etc/provost/tickets/redmine.toml"   # root's or the daemon's own, and not to be written by others
base_url = "https://redmine.example.org"         # where the manifest has no origin of its own
slots = { key = "env:REDMINE_KEY" }              # a reference for each slot of the manifest's auth
settings = { project = "nhi", tracker = "1", closed = "5", open = "1" }   # each setting of the manifest
"#;

/// Longest value of a manifest's setting.
const VALUE_MAX: usize = 500;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    manifest: String,
    base_url: Option<String>,
    #[serde(default)]
    slots: BTreeMap<String, String>,
    #[serde(default)]
    settings: BTreeMap<String, String>,
}

fn build(handed: &Handed) -> Result<Box<dyn Sink>, String> {
    let typed: Settings = parsed(handed)?;
    let manifest = file::read(&typed.manifest).and_then(meant::mean).map_err(|said| format!("manifest: {said}"))?;
    let (origin, of_manifest) = match (&manifest.origin, typed.base_url) {
        (Some(origin), None) => (origin.clone(), true),
        (None, Some(base)) => (base, false),
        (Some(_), Some(_)) => return Err("base_url: the manifest has an origin of its own".to_owned()),
        (None, None) => return Err("base_url: the manifest has no origin, so this is needed".to_owned()),
    };
    let home = origin.trim_end_matches('/').to_owned();
    let with = bound(&manifest, typed.settings)?;
    let authority = authority(&manifest, handed, (&typed.slots, &with))?;
    let (reads, acts) = manifest.calls();
    let provider = Provider { reads, acts, headers: manifest.headers.clone(), ..provider(&SPEC, home.clone(), &[]) };
    let setting = if of_manifest { "manifest: origin" } else { "base_url" };
    let web = Web::new(provider, authority).map_err(|said| format!("{setting}: {said}"))?;
    let vouched = manifest.list.as_ref().is_some_and(|(.., consistent)| *consistent);
    let dialect = manifest.markup.dialect();
    let clock = Arc::clone(&handed.clock);
    if vouched {
        Office::open(&SPEC, handed, (dialect, Described::<true> { web, manifest, with, home, clock }))
    } else {
        Office::open(&SPEC, handed, (dialect, Described::<false> { web, manifest, with, home, clock }))
    }
}

/// The manifest's own settings, all of them and no others.
fn bound(manifest: &Manifest, given: Fillings) -> Result<Fillings, String> {
    for (name, about) in &manifest.settings {
        let value = given.get(name).ok_or_else(|| format!("settings.{name}: missing: {about}"))?;
        if value.is_empty() || value.len() > VALUE_MAX || value.contains(char::is_control) {
            return Err(format!("settings.{name}: expected a short text in one line"));
        }
    }
    match given.keys().find(|name| !manifest.settings.contains_key(*name)) {
        Some(name) => Err(format!("settings: unknown field `{name}`: the manifest has no such setting")),
        None => Ok(given),
    }
}

/// Who signs the calls, with the secrets that the settings bind.
fn authority(
    manifest: &Manifest,
    handed: &Handed,
    (slots, with): (&BTreeMap<String, String>, &Fillings),
) -> Result<Arc<dyn Authority>, String> {
    let known = manifest.slots();
    if let Some(name) = slots.keys().find(|name| !known.contains(&name.as_str())) {
        return Err(format!("slots: unknown field `{name}`: the manifest has no such slot"));
    }
    let secret = |slot: &str| {
        let text = slots.get(slot).ok_or_else(|| format!("slots.{slot}: missing: the manifest's auth wants it"))?;
        reference(handed, &format!("slots.{slot}"), text)
    };
    Ok(match &manifest.auth {
        Auth::Bearer(slot) => Arc::new(Token::bearer(secret(slot)?)),
        Auth::Basic(user, slot) => Arc::new(Basic::new(user.fill(with)?, secret(slot)?)),
        Auth::Headers(all) => {
            let mut headers: Vec<Arc<dyn Authority>> = Vec::new();
            for (name, before, slot) in all {
                let token = Token::header(name, before, secret(slot)?);
                headers.push(Arc::new(token.map_err(|said| format!("manifest: auth.header: {said}"))?));
            }
            Arc::new(Several::new(headers))
        }
    })
}

/// A text, number or truth value as a text.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(it) => Some(it.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
