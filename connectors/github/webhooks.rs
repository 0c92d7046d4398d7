//! Webhooks: a standing right of somebody outside to be told of what happens, signed or not.
//! It must never keep the secret they are signed with, nor the query of the address they go to.

use provost_model::{Entity, Key, Kind, Reading, Status, field};
use serde::Deserialize;
use serde_json::Value;

use super::{listing::Seen, org::Org, said::Said};
use crate::host::found::address;

#[derive(Deserialize)]
struct Hook {
    id: u64,
    active: bool,
    #[serde(default)]
    events: Said<Vec<String>>,
    config: Config,
    #[serde(default)]
    created_at: Said<String>,
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    url: Said<String>,
    /// Eight asterisks if there is one.
    #[serde(default)]
    secret: Said<String>,
    #[serde(default)]
    insecure_ssl: Said<Value>,
}

/// A webhook of the organization.
pub(super) fn of_organization(seen: &Seen<'_>, row: Value) -> Result<Vec<Entity>, serde_json::Error> {
    Ok(vec![webhook(seen.org, &seen.org.login, row)?])
}

/// A webhook, and where it is set up.
pub(super) fn webhook(org: &Org<'_>, place: &str, row: Value) -> Result<Entity, serde_json::Error> {
    let it: Hook = serde_json::from_value(row)?;
    let external = format!("hooks/{}", it.id);
    let url = it.config.url.reading().map(|url| address(&url));
    let name = url.clone().known().unwrap_or_else(|| external.clone());
    let checked = match it.config.insecure_ssl {
        Said::Is(Value::String(text)) if matches!(text.as_str(), "0" | "1") => Reading::Known(text == "0"),
        Said::Is(Value::Number(number)) => Reading::Known(number.as_i64() == Some(0)),
        _ => Reading::NotReported,
    };
    let mut entity = Entity::new(Key::new(org.realm.clone(), Kind::Grant, external.clone()), name)
        .with(field::CREDENTIAL_TYPE, "webhook".to_owned())
        .with(field::STATUS, if it.active { Status::Active } else { Status::Inactive })
        .with(field::URL, url)
        .with(field::EVENTS, it.events.reading())
        .with(field::SIGNED, it.config.secret.is().is_some_and(|it| !it.is_empty()))
        .with(field::TLS_CHECKED, checked)
        .with(field::CREATED_AT, it.created_at.dated())
        .with(field::PATH, place.to_owned());
    if let Some(by) = org.changes.creator(&external) {
        entity.facts.set(field::CREATED_BY, by.to_owned());
    }
    Ok(entity)
}
