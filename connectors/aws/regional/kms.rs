//! KMS: the keys that a customer manages, their state, and whether their material is rotated.
//! It must never count a key that AWS manages as one that somebody forgot to rotate.

use std::collections::HashMap;

use provost_client::Failure;
use provost_model::{Entity, Key, Kind, Reading, Status, field};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{Found, Here, One};
use crate::aws::{
    authorization::set,
    call::{At, Rpc},
    lists::paged,
};

const LIST: Rpc = rpc("kms:ListKeys", "TrentService.ListKeys");
const ALIASES: Rpc = rpc("kms:ListAliases", "TrentService.ListAliases");
const DESCRIBE: Rpc = rpc("kms:DescribeKey", "TrentService.DescribeKey");
const STATUS: Rpc = rpc("kms:GetKeyRotationStatus", "TrentService.GetKeyRotationStatus");
const ROTATIONS: Rpc = rpc("kms:ListKeyRotations", "TrentService.ListKeyRotations");
/// Most elements of a page of keys, and of aliases.
const PAGE: u32 = 1000;
const PAGE_ALIASES: u32 = 100;

const fn rpc(operation: &'static str, target: &'static str) -> Rpc {
    Rpc { operation, host: "kms", service: "kms", target }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Keys {
    keys: Vec<Listed>,
    next_marker: Option<String>,
    #[serde(default)]
    truncated: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    key_id: String,
    key_arn: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Aliases {
    aliases: Vec<Alias>,
    next_marker: Option<String>,
    #[serde(default)]
    truncated: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Alias {
    alias_name: String,
    target_key_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Described {
    key_metadata: Metadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Metadata {
    key_manager: Option<String>,
    key_state: Option<String>,
    description: Option<String>,
    creation_date: Option<At>,
    deletion_date: Option<At>,
    valid_to: Option<At>,
    origin: Option<String>,
    key_spec: Option<String>,
    customer_master_key_spec: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Rotation {
    key_rotation_enabled: bool,
    next_rotation_date: Option<At>,
    rotation_period_in_days: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Rotations {
    rotations: Vec<Rotated>,
    next_marker: Option<String>,
    #[serde(default)]
    truncated: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Rotated {
    rotation_date: Option<At>,
}

/// All keys of the region but those that AWS manages.
pub(super) async fn look(here: &Here<'_>) -> Result<Found, Failure> {
    let (session, region) = (here.session, here.region);
    let keys = paged(LIST.operation, session, |marker| async move {
        let page: Keys = session.rpc(&LIST, region, &page_of(PAGE, marker)).await?;
        Ok((page.keys, page.next_marker.filter(|_| page.truncated)))
    })
    .await?;
    let mut found = Found::default();
    if keys.is_empty() {
        return Ok(found);
    }
    let aliases = found.optional(aliases(here).await)?.unwrap_or_default();
    for key in keys {
        let name = aliases.get(&key.key_id).map(String::as_str);
        // An alias of AWS saves asking who manages the key.
        if name.is_some_and(|name| name.starts_with("alias/aws/")) {
            continue;
        }
        let entity = entity(here, &key, name, &mut found).await?;
        found.entities.extend(entity);
    }
    Ok(found)
}

/// Names of keys, by id.
async fn aliases(here: &Here<'_>) -> Result<HashMap<String, String>, Failure> {
    let (session, region) = (here.session, here.region);
    let all = paged(ALIASES.operation, session, |marker| async move {
        let page: Aliases = session.rpc(&ALIASES, region, &page_of(PAGE_ALIASES, marker)).await?;
        Ok((page.aliases, page.next_marker.filter(|_| page.truncated)))
    })
    .await?;
    let mut names: HashMap<String, String> = HashMap::new();
    for Alias { alias_name, target_key_id } in all {
        let Some(id) = target_key_id else { continue };
        let name = names.entry(id).or_insert_with(|| alias_name.clone());
        // Of several the first in order, so that the order of the answer does not matter.
        if alias_name < *name {
            *name = alias_name;
        }
    }
    Ok(names)
}

async fn entity(
    here: &Here<'_>,
    key: &Listed,
    name: Option<&str>,
    found: &mut Found,
) -> Result<Option<Entity>, Failure> {
    let name = name.and_then(|name| name.strip_prefix("alias/")).unwrap_or(&key.key_id);
    let entity = Entity::new(Key::new(here.realm.clone(), Kind::Secret, key.key_arn.as_str()), name)
        .with(field::ARN, key.key_arn.clone())
        .with(field::KEY_ID, key.key_id.clone())
        .with(field::STORE_KIND, "aws_kms".to_owned())
        .with(field::CREDENTIAL_TYPE, "encryption_key".to_owned())
        .with(field::PLAINTEXT, false)
        .with(field::LAST_USED_AT, Reading::NotReported);
    // A key's own policy may refuse what the account's policies allow.
    let described = match found.each(of_key::<Described>(here, &DESCRIBE, key).await)? {
        One::Told(described) => described,
        One::Refused => return Ok(Some(refused(entity))),
        One::Passed => return Ok(None),
    };
    let it = described.key_metadata;
    if it.key_manager.as_deref() == Some("AWS") {
        return Ok(None);
    }
    let mut entity = entity
        .with(field::STATUS, status(it.key_state.as_deref()))
        .with(field::EXPIRES_AT, it.deletion_date.or(it.valid_to).map_or(Reading::Never, |at| Reading::Known(at.0)));
    set(&mut entity, field::DESCRIPTION, it.description.filter(|it| !it.is_empty()));
    set(&mut entity, field::CREATED_AT, it.creation_date.map(|at| at.0));
    let spec = it.key_spec.or(it.customer_master_key_spec);
    let rotates = spec.as_deref() == Some("SYMMETRIC_DEFAULT") && it.origin.as_deref() == Some("AWS_KMS");
    set(&mut entity, field::ALGORITHM, spec);
    if !rotates || it.deletion_date.is_some() {
        // Asymmetric, imported and foreign material is not rotated by the service at all.
        return Ok(Some(unrotated(entity)));
    }
    match found.optional(of_key::<Rotation>(here, &STATUS, key).await)? {
        None => entity.facts.set(field::ROTATION, Reading::NotPermitted),
        Some(it) => {
            let word = if it.key_rotation_enabled { "on" } else { "off" };
            entity.facts.set(field::ROTATION, word.to_owned());
            set(&mut entity, field::ROTATION_DUE_AT, it.next_rotation_date.map(|at| at.0));
            let days = it.rotation_period_in_days.filter(|_| it.key_rotation_enabled);
            set(&mut entity, field::ROTATION_PERIOD, days.map(|days| days.saturating_mul(86_400)));
        }
    }
    let rotated = match found.optional(rotations(here, key).await)? {
        None => Reading::NotPermitted,
        Some(all) => all.into_iter().map(|at| at.0).max().map_or(Reading::Never, Reading::Known),
    };
    Ok(Some(entity.with(field::ROTATED_AT, rotated)))
}

async fn rotations(here: &Here<'_>, key: &Listed) -> Result<Vec<At>, Failure> {
    let (session, region, id) = (here.session, here.region, key.key_id.as_str());
    let all = paged(ROTATIONS.operation, session, |marker| async move {
        let mut body = page_of(PAGE, marker);
        if let Value::Object(body) = &mut body {
            body.insert("KeyId".to_owned(), json!(id));
        }
        let page: Rotations = session.rpc(&ROTATIONS, region, &body).await?;
        Ok((page.rotations, page.next_marker.filter(|_| page.truncated)))
    })
    .await?;
    Ok(all.into_iter().filter_map(|it| it.rotation_date).collect())
}

async fn of_key<T: DeserializeOwned>(here: &Here<'_>, api: &Rpc, key: &Listed) -> Result<T, Failure> {
    here.session.rpc(api, here.region, &json!({"KeyId": key.key_id})).await
}

fn page_of(limit: u32, marker: Option<String>) -> Value {
    match marker {
        Some(marker) => json!({"Limit": limit, "Marker": marker}),
        None => json!({"Limit": limit}),
    }
}

fn refused(entity: Entity) -> Entity {
    entity
        .with(field::STATUS, Reading::NotPermitted)
        .with(field::CREATED_AT, Reading::NotPermitted)
        .with(field::EXPIRES_AT, Reading::NotPermitted)
        .with(field::ROTATION, Reading::NotPermitted)
        .with(field::ROTATED_AT, Reading::NotPermitted)
}

fn unrotated(entity: Entity) -> Entity {
    entity.with(field::ROTATION, Reading::NotReported).with(field::ROTATED_AT, Reading::NotReported)
}

fn status(state: Option<&str>) -> Status {
    match state {
        Some("Enabled" | "Updating") => Status::Active,
        Some("Disabled" | "PendingDeletion" | "PendingReplicaDeletion" | "PendingImport" | "Creating") => {
            Status::Inactive
        }
        _ => Status::Unknown,
    }
}
