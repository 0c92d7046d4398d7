//! What a source's settings say to its manifest: where the provider is, what fills the holes, where the secrets are.
//! It must never send a credential to a place that neither the configuration nor a shipped manifest names.

use std::collections::BTreeMap;

use provost_client::Mode;
use serde_json::{Map, Value};

use super::{
    mean::{COMMON, is_origin},
    meant::{Manifest, Way},
    template::Fillings,
};

/// Calls a second for each read, where the rate is shared with others.
const SHARED_MOST: f64 = 4.0;
/// Share of the provider's budget that is left to others.
const RESERVE: f64 = 0.2;
/// Calls at a time.
const IN_FLIGHT: usize = 4;

/// Who vouches for a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// It is part of the program: its addresses are as good as the program.
    Shipped,
    /// An operator pinned its digest: the addresses must stand in the configuration too.
    Pinned,
    /// Nobody: it is tried without any credential.
    Nobody,
}

/// A source's settings, checked.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub base: String,
    pub way: Way,
    /// What fills holes: settings, and where the source is.
    pub with: Fillings,
    /// References to secrets, by slot.
    pub slots: BTreeMap<String, String>,
    pub pace: Mode,
    pub reserve: f64,
    pub in_flight: usize,
    pub max_calls: Option<u64>,
}

impl Settings {
    /// Reads the settings of a source of that manifest.
    pub(super) fn read(manifest: &Manifest, table: &Map<String, Value>, trust: Trust) -> Result<Self, String> {
        for name in table.keys() {
            let known = COMMON.contains(&name.as_str())
                || name == TOKEN_URL
                || manifest.slots.contains_key(name)
                || manifest.settings.contains_key(name);
            if !known {
                return Err(unknown(name, manifest));
            }
        }
        let text = |name: &str| match table.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if !text.trim().is_empty() => Ok(Some(text.trim().to_owned())),
            Some(_) => Err(format!("{name} must be a text")),
        };
        let named = text("base_url")?;
        let base = match (&named, &manifest.base, trust) {
            (Some(named), ..) => named.clone(),
            (None, Some(base), Trust::Shipped) => base.clone(),
            (None, Some(base), _) => {
                return Err(format!("base_url is missing: confirm where the credential may be sent, such as {base:?}"));
            }
            (None, None, _) => return Err("base_url is missing: the address of your account there".to_owned()),
        };
        let url = is_origin(&base).map_err(|said| format!("base_url: {said}"))?;
        let slots = taken(manifest.slots.keys(), &text)?;
        let mut with = taken(manifest.settings.keys(), &text)?;
        with.insert("host".to_owned(), url.host_str().unwrap_or_default().to_lowercase());
        with.insert("base".to_owned(), base.trim_end_matches('/').to_owned());
        let mut way = way(manifest, &slots)?;
        elsewhere(&mut way, text(TOKEN_URL)?, (trust, &base))?;
        needed(manifest, &way, &with)?;
        let full = text("pace")?.as_deref() == Some("full");
        let in_flight = number(table, "in_flight", 1, 64)?.and_then(|it| usize::try_from(it).ok()).unwrap_or(IN_FLIGHT);
        Ok(Self {
            base,
            way,
            with,
            slots,
            pace: if full { Mode::Full } else { Mode::Shared { most: SHARED_MOST } },
            reserve: if full { 0.0 } else { RESERVE },
            in_flight,
            max_calls: number(table, "max_calls", 1, u64::MAX)?,
        })
    }

    /// Origins beside the base's own to which calls go.
    pub(super) fn also(&self) -> Vec<String> {
        let url = self.way.token_url().filter(|url| !url.starts_with('/')).and_then(|url| is_origin(url).ok());
        url.map(|url| url.origin().ascii_serialization()).into_iter().collect()
    }
}

/// The setting that says where tokens are given.
const TOKEN_URL: &str = "token_url";

/// The first way of which every slot is bound.
fn way(manifest: &Manifest, bound: &BTreeMap<String, String>) -> Result<Way, String> {
    let ways: Vec<(Vec<String>, &Way)> = manifest.ways.iter().map(|way| (way.slots(&manifest.slots), way)).collect();
    let whole = ways.iter().filter(|(slots, _)| slots.iter().all(|slot| bound.contains_key(slot)));
    // Of several, the one that makes use of most of what is bound.
    if let Some((_, way)) = whole.max_by_key(|(slots, _)| slots.len()) {
        return Ok((*way).clone());
    }
    let words: Vec<String> = ways.iter().map(|(slots, _)| slots.join(" and ")).collect();
    Err(format!("bind {} to a reference such as \"env:NAME\"", words.join(", or ")))
}

/// Where tokens are given: the configuration may say so, and must where nobody else vouches for it.
fn elsewhere(way: &mut Way, named: Option<String>, (trust, base): (Trust, &str)) -> Result<(), String> {
    let url = match way {
        Way::Token(token) => &mut token.url,
        Way::Login(login) => &mut login.url,
        Way::Headers(_) | Way::Basic(..) | Way::Assertion(_) if named.is_none() => return Ok(()),
        _ => return Err("token_url makes no sense: no token is asked for with what is bound".to_owned()),
    };
    if let Some(named) = named {
        is_origin(&named).map_err(|said| format!("token_url: {said}"))?;
        *url = named;
        return Ok(());
    }
    let origin = |text: &str| is_origin(text).map(|url| url.origin().ascii_serialization()).ok();
    if trust != Trust::Shipped && !url.starts_with('/') && origin(url) != origin(base) {
        return Err(format!("token_url is missing: confirm where the credential may be sent, such as {url:?}"));
    }
    Ok(())
}

/// Every setting must be there that something needs.
fn needed(manifest: &Manifest, way: &Way, with: &Fillings) -> Result<(), String> {
    let holes = manifest.needs(Some(way));
    let lacking = manifest.settings.iter().find(|(name, _)| holes.contains(name) && !with.contains_key(*name));
    match lacking {
        Some((name, about)) => Err(format!("{name} is missing: {about}")),
        None => Ok(()),
    }
}

fn taken<'a>(
    names: impl Iterator<Item = &'a String>,
    text: &impl Fn(&str) -> Result<Option<String>, String>,
) -> Result<BTreeMap<String, String>, String> {
    let mut all = BTreeMap::new();
    for name in names {
        if let Some(value) = text(name)? {
            all.insert(name.clone(), value);
        }
    }
    Ok(all)
}

fn number(table: &Map<String, Value>, name: &str, least: u64, most: u64) -> Result<Option<u64>, String> {
    match table.get(name) {
        None => Ok(None),
        Some(value) => match value.as_u64().filter(|it| (least..=most).contains(it)) {
            Some(number) => Ok(Some(number)),
            None => Err(format!("{name} must be a number from {least}")),
        },
    }
}

fn unknown(name: &str, manifest: &Manifest) -> String {
    let mut known: Vec<&str> = manifest.slots.keys().chain(manifest.settings.keys()).map(String::as_str).collect();
    known.extend(["base_url", TOKEN_URL, "max_calls", "in_flight"]);
    let list: Vec<String> = known.iter().map(|it| format!("`{it}`")).collect();
    format!("unknown field `{name}`, expected one of {}", list.join(", "))
}
