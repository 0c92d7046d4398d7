//! IAM Roles Anywhere: which certificate authorities are trusted, and which roles their certificates may take on.
//! It must never take a disabled anchor for one that is not there.

use provost_client::Failure;
use provost_model::{Entity, Key, Kind, Reading, Status, Time, field};
use serde::Deserialize;

use super::{Found, Here};
use crate::aws::{
    authorization::set,
    call::{At, Rest, or_empty, with_query},
    lists::paged,
};

const ANCHORS: Rest = rest("rolesanywhere:ListTrustAnchors");
const PROFILES: Rest = rest("rolesanywhere:ListProfiles");

const fn rest(operation: &'static str) -> Rest {
    Rest { operation, host: "rolesanywhere", service: "rolesanywhere", method: "GET" }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Anchors {
    trust_anchors: Vec<Anchor>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Anchor {
    trust_anchor_arn: String,
    name: Option<String>,
    enabled: Option<bool>,
    created_at: Option<At>,
    updated_at: Option<At>,
    source: Option<Origin>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Origin {
    source_type: Option<String>,
    source_data: Option<OriginData>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OriginData {
    x509_certificate_data: Option<String>,
    acm_pca_arn: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profiles {
    profiles: Vec<Profile>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    profile_arn: String,
    name: Option<String>,
    enabled: Option<bool>,
    created_at: Option<At>,
    updated_at: Option<At>,
    #[serde(default, deserialize_with = "or_empty")]
    role_arns: Vec<String>,
    #[serde(default, deserialize_with = "or_empty")]
    managed_policy_arns: Vec<String>,
}

/// All trust anchors of the region.
pub(super) async fn anchors(here: &Here<'_>) -> Result<Found, Failure> {
    let (session, region) = (here.session, here.region);
    let all = paged(ANCHORS.operation, session, |token| async move {
        let path = with_query("/trustanchors", &[("nextToken", token.as_deref())]);
        let page: Anchors = session.rest(&ANCHORS, region, (&path, None)).await?;
        Ok((page.trust_anchors, page.next_token))
    })
    .await?;
    let entity = |it: Anchor| {
        let mut entity = bare(here, Kind::IdentityProvider, it.trust_anchor_arn, it.name)
            .with(field::STATUS, status(it.enabled))
            .with(field::CREDENTIAL_TYPE, "roles_anywhere_trust_anchor".to_owned());
        set(&mut entity, field::CREATED_AT, it.created_at.map(|at| at.0));
        set(&mut entity, field::MODIFIED_AT, it.updated_at.map(|at| at.0));
        let origin = it.source;
        let data = origin.and_then(|origin| origin.source_type.is_some().then_some(origin.source_data).flatten());
        match data {
            Some(OriginData { x509_certificate_data: Some(pem), .. }) => certificates(&mut entity, &pem),
            Some(OriginData { acm_pca_arn: Some(arn), .. }) => entity.facts.set(field::ISSUER, arn),
            _ => {}
        }
        entity
    };
    Ok(Found::of(all.into_iter().map(entity).collect()))
}

/// All profiles of the region.
pub(super) async fn profiles(here: &Here<'_>) -> Result<Found, Failure> {
    let (session, region) = (here.session, here.region);
    let all = paged(PROFILES.operation, session, |token| async move {
        let path = with_query("/profiles", &[("nextToken", token.as_deref())]);
        let page: Profiles = session.rest(&PROFILES, region, (&path, None)).await?;
        Ok((page.profiles, page.next_token))
    })
    .await?;
    let entity = |it: Profile| {
        let mut entity = bare(here, Kind::Grant, it.profile_arn, it.name)
            .with(field::STATUS, status(it.enabled))
            .with(field::ASSUMES, it.role_arns)
            .with(field::POLICIES, it.managed_policy_arns)
            .with(field::CREDENTIAL_TYPE, "roles_anywhere_profile".to_owned());
        set(&mut entity, field::CREATED_AT, it.created_at.map(|at| at.0));
        set(&mut entity, field::MODIFIED_AT, it.updated_at.map(|at| at.0));
        entity
    };
    Ok(Found::of(all.into_iter().map(entity).collect()))
}

fn bare(here: &Here<'_>, kind: Kind, arn: String, name: Option<String>) -> Entity {
    let name = name.unwrap_or_else(|| arn.clone());
    Entity::new(Key::new(here.realm.clone(), kind, arn.as_str()), name).with(field::ARN, arn)
}

fn status(enabled: Option<bool>) -> Reading<Status> {
    match enabled {
        Some(true) => Reading::Known(Status::Active),
        Some(false) => Reading::Known(Status::Inactive),
        None => Reading::NotReported,
    }
}

/// What a bundle of authorities says: the subject of the first, and when the first of all ends.
fn certificates(entity: &mut Entity, pem: &str) {
    let mut ends: Option<Time> = None;
    let mut subjects = Vec::new();
    for block in x509_parser::pem::Pem::iter_from_buffer(pem.as_bytes()).flatten() {
        let Ok(certificate) = block.parse_x509() else { continue };
        let end = Time::from_seconds(certificate.validity().not_after.timestamp());
        ends = Some(ends.map_or(end, |known| known.min(end)));
        subjects.push(certificate.subject().to_string());
    }
    set(entity, field::EXPIRES_AT, ends);
    set(entity, field::SUBJECT, subjects.into_iter().next());
}
