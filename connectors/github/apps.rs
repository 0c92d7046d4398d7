//! GitHub Apps and their installations: what was granted to whom, over how much, and whether it is suspended.
//! It must never say that an App was not used because no use was seen.

use std::collections::BTreeMap;

use provost_model::{Entity, Key, Kind, Reading, Status, field};
use serde::Deserialize;
use serde_json::Value;

use super::{listing::Seen, said::Said};

/// Permissions with which an organization is administered; any of them to write makes an administrator.
const ADMINISTERS: [&str; 5] = [
    "organization_administration",
    "organization_custom_roles",
    "organization_custom_org_roles",
    "members",
    "enterprise_administration",
];

/// An installation as GitHub lists it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Installation {
    pub(super) id: u64,
    pub(super) app_id: u64,
    /// Whom it is installed at; null when the account is gone.
    #[serde(default)]
    pub(super) account: Option<Account>,
    #[serde(default)]
    app_slug: Said<String>,
    #[serde(default)]
    client_id: Said<String>,
    #[serde(default)]
    repository_selection: Said<String>,
    #[serde(default)]
    pub(super) target_type: Said<String>,
    pub(super) permissions: BTreeMap<String, String>,
    #[serde(default)]
    events: Said<Vec<String>>,
    #[serde(default)]
    created_at: Said<String>,
    #[serde(default)]
    suspended_at: Said<String>,
}

/// Whom an App is installed at.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Account {
    pub(super) id: u64,
    #[serde(default)]
    pub(super) login: Said<String>,
}

impl Installation {
    /// Whether it is suspended.
    pub(super) fn is_suspended(&self) -> bool {
        matches!(self.suspended_at, Said::Is(_))
    }

    /// Permissions beyond reading, in GitHub's words.
    pub(super) fn writes(&self) -> Vec<String> {
        let beyond = self.permissions.iter().filter(|(_, level)| *level != "read");
        beyond.map(|(name, level)| format!("{name}:{level}")).collect()
    }
}

/// One installation: the grant, and the App it is granted to.
pub(super) fn installation(seen: &Seen<'_>, row: Value) -> Result<Vec<Entity>, serde_json::Error> {
    let it: Installation = serde_json::from_value(row)?;
    let org = seen.org;
    let app = Key::new(org.realm.clone(), Kind::Application, it.app_id.to_string());
    let status = match &it.suspended_at {
        Said::Is(_) => Status::Inactive,
        Said::Null => Status::Active,
        Said::Absent => Status::Unknown,
    };
    let slug = it.app_slug.clone().is();
    let name = slug.clone().unwrap_or_else(|| format!("App {}", it.app_id));
    let permissions: Vec<String> = it.permissions.iter().map(|(name, level)| format!("{name}:{level}")).collect();
    let strong: Vec<String> = it
        .writes()
        .into_iter()
        .filter(|word| ADMINISTERS.iter().any(|name| word.split(':').next() == Some(*name)))
        .collect();
    let key = Key::new(org.realm.clone(), Kind::OauthGrant, format!("installations/{}", it.id));
    let mut grant = Entity::new(key, format!("{name} at {}", org.login))
        .with(field::CREDENTIAL_TYPE, "app_installation".to_owned())
        .with(field::STATUS, status)
        .with(field::PERMISSIONS, permissions)
        .with(field::REACH, it.repository_selection.reading())
        .with(field::EVENTS, it.events.reading())
        .with(field::CREATED_AT, it.created_at.dated())
        .with(field::EXPIRES_AT, Reading::NotReported)
        .with(field::PATH, org.login.clone())
        .with(field::ADMIN, !strong.is_empty())
        .with(field::LAST_USED_AT, Reading::NotReported);
    if !strong.is_empty() {
        grant.facts.set(field::ADMIN_BECAUSE, strong.join(", "));
    }
    if let Some(slug) = &slug {
        if let Some(at) = org.changes.acted(slug) {
            grant.facts.set(field::LAST_USED_AT, at);
        }
        if let Some(by) = org.changes.creator(&format!("installations/{slug}")) {
            grant.facts.set(field::CREATED_BY, by.to_owned());
        }
    }
    grant.identity = Some(app.clone());
    let application = Entity::new(app, name)
        .with(field::CLIENT_ID, it.client_id.reading())
        .with(field::NATURE, "machine".to_owned())
        .with(field::NATURE_BECAUSE, "a GitHub App".to_owned())
        .with(field::CREATED_AT, Reading::NotReported)
        .with(field::LAST_USED_AT, Reading::NotReported);
    Ok(vec![grant, application])
}
