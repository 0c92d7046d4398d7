//! The small listings of an organization, each a scope of its own, as one table.
//! It must never let the failure of one of them touch another.

use provost_client::{Ask, Failure};
use provost_model::{Cover, Cursor, Entity, Key, Kind, Reading, field};
use serde::Deserialize;

use super::{
    apps,
    audit::Family,
    count,
    listing::{List, Seen},
    org::Org,
    people, runners, secrets, tokens, webhooks,
};
use crate::{Emitter, Stopped};

/// Every listing. Those without a sort of change in the audit log show last uses, which no log tells.
const LISTS: [List; 11] = [
    List {
        path: "installations",
        read: "GET /orgs/{org}/installations",
        rows: "installations",
        page: 100,
        query: &[],
        family: Some(Family::Installations),
        map: apps::installation,
    },
    List {
        path: "personal-access-tokens",
        read: "GET /orgs/{org}/personal-access-tokens",
        rows: "",
        page: 100,
        query: &[],
        family: None,
        map: tokens::fine_grained,
    },
    List {
        path: "personal-access-token-requests",
        read: "GET /orgs/{org}/personal-access-token-requests",
        rows: "",
        page: 100,
        query: &[],
        family: Some(Family::Requests),
        map: tokens::request,
    },
    List {
        path: "credential-authorizations",
        read: "GET /orgs/{org}/credential-authorizations",
        rows: "",
        page: 100,
        query: &[],
        family: None,
        map: tokens::authorization,
    },
    List {
        path: "actions-secrets",
        read: "GET /orgs/{org}/actions/secrets",
        rows: "secrets",
        page: 100,
        query: &[],
        family: Some(Family::Secrets),
        map: secrets::actions,
    },
    List {
        path: "variables",
        read: "GET /orgs/{org}/actions/variables",
        rows: "variables",
        page: 30,
        query: &[],
        family: Some(Family::Variables),
        map: secrets::variables,
    },
    List {
        path: "dependabot-secrets",
        read: "GET /orgs/{org}/dependabot/secrets",
        rows: "secrets",
        page: 100,
        query: &[],
        family: Some(Family::Secrets),
        map: secrets::dependabot,
    },
    List {
        path: "codespaces-secrets",
        read: "GET /orgs/{org}/codespaces/secrets",
        rows: "secrets",
        page: 100,
        query: &[],
        family: Some(Family::Secrets),
        map: secrets::codespaces,
    },
    List {
        path: "webhooks",
        read: "GET /orgs/{org}/hooks",
        rows: "",
        page: 100,
        query: &[],
        family: Some(Family::Hooks),
        map: webhooks::of_organization,
    },
    List {
        path: "runners",
        read: "GET /orgs/{org}/actions/runners",
        rows: "runners",
        page: 100,
        query: &[],
        family: Some(Family::Runners),
        map: runners::of_organization,
    },
    List {
        path: "outside-collaborators",
        read: "GET /orgs/{org}/outside_collaborators",
        rows: "",
        page: 100,
        query: &[],
        family: Some(Family::People),
        map: people::outsider,
    },
];

/// How GitHub makes up the subjects of its OpenID Connect tokens for an organization.
const OIDC: &str = "GET /orgs/{org}/actions/oidc/customization/sub";
/// The scope of that.
const OIDC_PATH: &str = "oidc-subject";

/// Reads of the listings, for a trial of each.
pub(super) fn reads() -> impl Iterator<Item = &'static str> {
    LISTS.iter().map(|list| list.read)
}

/// Every small listing.
pub(super) async fn all(seen: &Seen<'_>, to: &mut Emitter) -> Result<(), Stopped> {
    for list in &LISTS {
        list.look(seen, to).await?;
        count(seen.org, "", to).await?;
    }
    oidc(seen.org, to).await?;
    count(seen.org, "", to).await
}

async fn oidc(org: &Org<'_>, to: &mut Emitter) -> Result<(), Stopped> {
    let scope = org.scope(OIDC_PATH);
    let known = org.cursor(OIDC_PATH).is_some() && !org.is_due(OIDC_PATH);
    if known && org.changes.spare(Family::Oidc) {
        return org.unchanged(OIDC_PATH, to).await;
    }
    let claims = match claims(org).await {
        Ok(claims) => claims,
        Err(failure) => return org.failed(&scope, OIDC, &failure, to).await,
    };
    let now = to.now();
    to.begin(&scope, None).await?;
    let key = Key::new(org.realm.clone(), Kind::IdentityProvider, format!("orgs/{}/actions-oidc", org.id));
    let entity = Entity::new(key, format!("GitHub Actions of {}", org.login))
        .with(field::CREDENTIAL_TYPE, "oidc".to_owned())
        .with(field::OIDC_CLAIMS, claims)
        .with(field::PATH, org.login.clone())
        .with(field::CREATED_AT, Reading::NotReported);
    to.see(&scope, None, now, entity).await?;
    to.cover(&scope, None, now, Cover::Full { next: Some(Cursor(vec![1])), atomic: true }).await
}

async fn claims(org: &Org<'_>) -> Result<Vec<String>, Failure> {
    #[derive(Deserialize)]
    struct Answer {
        include_claim_keys: Vec<String>,
    }
    let answer = org.web.ask(Ask::get(OIDC, &[&org.login])).await?;
    Ok(answer.json::<Answer>()?.include_claim_keys)
}
