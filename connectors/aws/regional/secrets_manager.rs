//! Secrets Manager: which secrets there are, their versions' stages, whether they rotate, and when they were last read.
//! It must never ask for a value.

use std::collections::BTreeMap;

use provost_client::Failure;
use provost_model::{Entity, Key, Kind, Reading, Status, Time, field};
use serde::Deserialize;
use serde_json::json;

use super::{Found, Here, Tag, tags};
use crate::aws::{
    authorization::set,
    call::{At, Rpc, or_empty},
    lists::paged,
};

const LIST: Rpc = Rpc {
    operation: "secretsmanager:ListSecrets",
    host: "secretsmanager",
    service: "secretsmanager",
    target: "secretsmanager.ListSecrets",
};
/// Most elements of a page.
const PAGE: u32 = 100;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    secret_list: Vec<Secret>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Secret {
    #[serde(rename = "ARN")]
    arn: String,
    name: String,
    description: Option<String>,
    rotation_enabled: Option<bool>,
    created_date: Option<At>,
    last_rotated_date: Option<At>,
    last_changed_date: Option<At>,
    last_accessed_date: Option<At>,
    next_rotation_date: Option<At>,
    deleted_date: Option<At>,
    owning_service: Option<String>,
    rotation_rules: Option<Rules>,
    primary_region: Option<String>,
    #[serde(default, deserialize_with = "or_empty")]
    tags: Vec<Tag>,
    #[serde(default, deserialize_with = "or_empty")]
    secret_versions_to_stages: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Rules {
    automatically_after_days: Option<i64>,
}

/// The secrets of each region.
pub(in crate::aws) type Secrets = BTreeMap<String, Vec<Kept>>;

/// A secret, as those who read it call it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::aws) struct Kept {
    pub(in crate::aws) arn: String,
    pub(in crate::aws) name: String,
    pub(in crate::aws) created: Option<Time>,
}

impl Kept {
    pub(super) fn of(entity: &Entity) -> Self {
        let name = entity.facts.get(field::NAME).known().unwrap_or_default();
        Self { arn: entity.key.external.clone(), name, created: entity.facts.get(field::CREATED_AT).known() }
    }
}

/// All secrets of the region, also those that are about to be deleted.
pub(super) async fn look(here: &Here<'_>) -> Result<Found, Failure> {
    let (session, region) = (here.session, here.region);
    let all = paged(LIST.operation, session, |token| async move {
        let body = json!({"MaxResults": PAGE, "IncludePlannedDeletion": true, "NextToken": token});
        let page: Page = session.rpc(&LIST, region, &body).await?;
        Ok((page.secret_list, page.next_token))
    })
    .await?;
    Ok(Found::of(all.into_iter().map(|it| entity(here, it)).collect()))
}

fn entity(here: &Here<'_>, it: Secret) -> Entity {
    let rotation = rotation(here, &it);
    let is_replica = it.primary_region.as_deref().is_some_and(|primary| primary != here.region);
    let is_off = rotation == Reading::Known("off".to_owned());
    // Nobody keeps the time of a rotation where there is none, or where another region does it.
    let never = if is_off || is_replica { Reading::NotReported } else { Reading::Never };
    let status = if it.deleted_date.is_some() { Status::Inactive } else { Status::Active };
    let mut entity = Entity::new(Key::new(here.realm.clone(), Kind::Secret, it.arn.as_str()), it.name)
        .with(field::ARN, it.arn)
        .with(field::STORE_KIND, "aws_secrets_manager".to_owned())
        .with(field::STATUS, status)
        .with(field::PLAINTEXT, false)
        .with(field::ROTATION, rotation)
        .with(field::ROTATED_AT, it.last_rotated_date.map_or(never, |at| Reading::Known(at.0)))
        // Left out until it is read for the first time in this region; a day's precision.
        .with(field::LAST_USED_AT, it.last_accessed_date.map_or(Reading::Never, |at| Reading::Known(at.0)))
        .with(field::EXPIRES_AT, it.deleted_date.map_or(Reading::NotReported, |at| Reading::Known(at.0)))
        .with(field::VERSIONS, versions(&it.secret_versions_to_stages))
        .with(field::TAGS, tags(&it.tags));
    set(&mut entity, field::DESCRIPTION, it.description);
    set(&mut entity, field::CREATED_AT, it.created_date.map(|at| at.0));
    set(&mut entity, field::MODIFIED_AT, it.last_changed_date.map(|at| at.0));
    set(&mut entity, field::ROTATION_DUE_AT, it.next_rotation_date.map(|at| at.0));
    set(&mut entity, field::SERVICE, it.owning_service);
    // A schedule may be written as an expression instead, which says no period.
    let days = it.rotation_rules.and_then(|rules| rules.automatically_after_days);
    set(
        &mut entity,
        field::ROTATION_PERIOD,
        days.filter(|days| *days > 0 && !is_off).map(|days| days.saturating_mul(86_400)),
    );
    entity
}

/// Whether it rotates. A date of the next rotation that has passed is the service's way to say that rotating failed.
fn rotation(here: &Here<'_>, it: &Secret) -> Reading<String> {
    if it.primary_region.as_deref().is_some_and(|primary| primary != here.region) {
        return Reading::NotReported;
    }
    // Left out where rotation was never configured.
    let word = match (it.rotation_enabled.unwrap_or(false), it.next_rotation_date, &it.owning_service) {
        (false, _, _) => "off",
        (true, Some(next), _) if is_past(next.0, here.now) => "failing",
        (true, _, Some(_)) => "managed",
        (true, _, None) => "on",
    };
    Reading::Known(word.to_owned())
}

/// The date stands for the whole of its day, and a rotation may take some hours more.
fn is_past(due: Time, now: Time) -> bool {
    now - due > provost_model::Span::days(1)
}

fn versions(stages: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let line = |(id, stages): (&String, &Vec<String>)| {
        let mut stages = stages.clone();
        stages.sort_unstable();
        format!("{id} {}", stages.join(" "))
    };
    stages.iter().map(line).collect()
}
