//! Self-hosted runners: machines that run whatever a workflow says, with the secrets handed to it.
//! It must never take a machine that is offline for one that was removed.

use std::collections::BTreeMap;

use provost_model::{Entity, Key, Kind, Reading, Status, field};
use serde::Deserialize;
use serde_json::Value;

use super::{listing::Seen, org::Org, said::Said};

#[derive(Deserialize)]
struct Runner {
    id: u64,
    name: String,
    #[serde(default)]
    os: Said<String>,
    labels: Vec<Label>,
    #[serde(default)]
    ephemeral: Said<bool>,
}

#[derive(Deserialize)]
struct Label {
    name: String,
    #[serde(default, rename = "type")]
    sort: Said<String>,
}

/// A runner of the organization.
pub(super) fn of_organization(seen: &Seen<'_>, row: Value) -> Result<Vec<Entity>, serde_json::Error> {
    Ok(vec![runner(seen.org, (&format!("orgs/{}", seen.org.id), &seen.org.login), row)?])
}

/// A runner of that holder, and where people find it. Whether it is online is a matter of the moment and is not kept.
pub(super) fn runner(org: &Org<'_>, (holder, place): (&str, &str), row: Value) -> Result<Entity, serde_json::Error> {
    let it: Runner = serde_json::from_value(row)?;
    let labels: BTreeMap<String, String> =
        it.labels.into_iter().map(|label| (label.name, label.sort.is().unwrap_or_default())).collect();
    let key = Key::new(org.realm.clone(), Kind::Workload, format!("{holder}/runners/{}", it.id));
    let because = it.os.is().map_or_else(String::new, |os| format!(", {os}"));
    Ok(Entity::new(key, it.name)
        .with(field::CREDENTIAL_TYPE, "self_hosted_runner".to_owned())
        .with(field::STATUS, Status::Active)
        .with(field::EPHEMERAL, it.ephemeral.reading())
        .with(field::TAGS, labels)
        .with(field::NATURE, "machine".to_owned())
        .with(field::NATURE_BECAUSE, format!("a self-hosted runner{because}"))
        .with(field::CREATED_AT, Reading::NotReported)
        .with(field::LAST_USED_AT, Reading::NotReported)
        .with(field::PATH, place.to_owned()))
}
