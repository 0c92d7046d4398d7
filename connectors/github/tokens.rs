//! Fine-grained tokens, requests for them, and what was authorized for single sign-on: classic tokens and SSH keys.
//! It must never keep a part of a token's value, though GitHub shows the last signs of one.

use std::collections::BTreeMap;

use provost_model::{Entity, Key, Kind, Reading, Status, field};
use serde::Deserialize;
use serde_json::Value;

use super::{listing::Seen, said::Said};

/// Scopes of a classic token with which an organization is administered.
const ADMINISTERS: [&str; 2] = ["admin:org", "admin:enterprise"];

/// The permissions of a fine-grained token: by organization, repository and others, each with its level.
type Permissions = BTreeMap<String, Option<BTreeMap<String, String>>>;

#[derive(Deserialize)]
struct Owner {
    id: u64,
    login: String,
}

/// A fine-grained token, or the request for one: the same fields but for the first dates.
#[derive(Deserialize)]
struct FineGrained {
    id: u64,
    owner: Owner,
    #[serde(default)]
    repository_selection: Said<String>,
    permissions: Permissions,
    #[serde(default)]
    access_granted_at: Said<String>,
    #[serde(default)]
    created_at: Said<String>,
    #[serde(default)]
    reason: Said<String>,
    token_id: u64,
    token_name: String,
    token_expired: bool,
    #[serde(default)]
    token_expires_at: Said<String>,
    #[serde(default)]
    token_last_used_at: Said<String>,
}

/// A fine-grained token with access to the organization. It is dated by that access: when the token itself was made, GitHub
/// does not say.
pub(super) fn fine_grained(seen: &Seen<'_>, row: Value) -> Result<Vec<Entity>, serde_json::Error> {
    let it: FineGrained = serde_json::from_value(row)?;
    let org = seen.org;
    let key = Key::new(org.realm.clone(), Kind::Token, format!("personal-access-tokens/{}", it.token_id));
    let ends = it.token_expires_at.date(Reading::Never);
    let mut entity = Entity::new(key, it.token_name)
        .alias(format!("orgs/{}/personal-access-tokens/{}", org.id, it.id))
        .with(field::CREDENTIAL_TYPE, "github_fine_grained_pat".to_owned())
        .with(field::STATUS, if it.token_expired { Status::Expired } else { Status::Active })
        .with(field::CREATED_AT, it.access_granted_at.dated())
        .with(field::LAST_USED_AT, it.token_last_used_at.date(Reading::Never))
        .with(field::USERNAME, it.owner.login)
        .with(field::PERMISSIONS, words(&it.permissions))
        .with(field::REACH, it.repository_selection.reading())
        .with(field::PATH, org.login.clone())
        .with(field::MULTI_ACTIVE_ALLOWED, true);
    if ends.is_answered() {
        entity.facts.set(field::LONG_LIVED, ends == Reading::Never);
    }
    entity.facts.set(field::EXPIRES_AT, ends);
    entity.identity = Some(org.user(it.owner.id));
    Ok(vec![entity])
}

/// A request for access by a fine-grained token: it gives no right yet.
pub(super) fn request(seen: &Seen<'_>, row: Value) -> Result<Vec<Entity>, serde_json::Error> {
    let it: FineGrained = serde_json::from_value(row)?;
    let org = seen.org;
    let external = format!("personal-access-token-requests/{}", it.id);
    let mut entity = Entity::new(Key::new(org.realm.clone(), Kind::Grant, external), it.token_name)
        .with(field::CREDENTIAL_TYPE, "github_fine_grained_pat_request".to_owned())
        .with(field::STATUS, Status::Inactive)
        .with(field::CREATED_AT, it.created_at.dated())
        .with(field::USERNAME, it.owner.login)
        .with(field::PERMISSIONS, words(&it.permissions))
        .with(field::REACH, it.repository_selection.reading())
        .with(field::DESCRIPTION, it.reason.reading())
        .with(field::PATH, org.login.clone());
    entity.identity = Some(org.user(it.owner.id));
    Ok(vec![entity])
}

fn words(permissions: &Permissions) -> Vec<String> {
    let of = |(part, levels): (&String, &Option<BTreeMap<String, String>>)| {
        let part = part.clone();
        let levels = levels.clone().unwrap_or_default().into_iter();
        levels.map(move |(name, level)| format!("{part}/{name}:{level}"))
    };
    permissions.iter().flat_map(of).collect()
}

#[derive(Deserialize)]
struct Authorization {
    login: String,
    credential_id: u64,
    credential_type: String,
    #[serde(default)]
    credential_authorized_at: Said<String>,
    #[serde(default)]
    credential_accessed_at: Said<String>,
    #[serde(default)]
    scopes: Said<Vec<String>>,
    #[serde(default)]
    fingerprint: Said<String>,
    #[serde(default)]
    authorized_credential_title: Said<String>,
    #[serde(default)]
    authorized_credential_note: Said<String>,
    #[serde(default)]
    authorized_credential_expires_at: Said<String>,
}

/// What somebody authorized for single sign-on. It is dated by that authorization.
pub(super) fn authorization(seen: &Seen<'_>, row: Value) -> Result<Vec<Entity>, serde_json::Error> {
    let it: Authorization = serde_json::from_value(row)?;
    let org = seen.org;
    let is_ssh = it.credential_type.eq_ignore_ascii_case("ssh key");
    let sort = match it.credential_type.to_ascii_lowercase().as_str() {
        "personal access token" => "github_pat".to_owned(),
        "ssh key" => "github_user_ssh_key".to_owned(),
        other => format!("github_{}", other.replace(' ', "_")),
    };
    let kind = if is_ssh { Kind::SshKey } else { Kind::Token };
    let external = format!("orgs/{}/credential-authorizations/{}", org.id, it.credential_id);
    let called = it.authorized_credential_title.is().or(it.authorized_credential_note.is());
    let name = called.filter(|name| !name.is_empty()).unwrap_or_else(|| format!("{sort} of {}", it.login));
    let mut entity = Entity::new(Key::new(org.realm.clone(), kind, external), name)
        .with(field::CREDENTIAL_TYPE, sort)
        .with(field::STATUS, Status::Active)
        .with(field::CREATED_AT, it.credential_authorized_at.dated())
        .with(field::LAST_USED_AT, it.credential_accessed_at.date(Reading::Never))
        .with(field::USERNAME, it.login.clone())
        .with(field::PATH, org.login.clone())
        .with(field::MULTI_ACTIVE_ALLOWED, true);
    if is_ssh {
        entity.facts.set(field::EXPIRES_AT, Reading::NotReported);
        entity.facts.set(field::KEY_ID, it.fingerprint.reading().map(digest));
    } else {
        let ends = it.authorized_credential_expires_at.date(Reading::Never);
        if ends.is_answered() {
            entity.facts.set(field::LONG_LIVED, ends == Reading::Never);
        }
        entity.facts.set(field::EXPIRES_AT, ends);
        if let Said::Is(scopes) = &it.scopes {
            entity.facts.set(field::ADMIN, scopes.iter().any(|scope| ADMINISTERS.contains(&scope.as_str())));
        }
        entity.facts.set(field::PERMISSIONS, it.scopes.reading());
    }
    entity.identity = seen.people.id(&it.login).map(|id| org.user(id));
    Ok(vec![entity])
}

/// The digest of a public key as `ssh-keygen -l` prints it; GitHub leaves the first word out.
fn digest(text: String) -> String {
    if text.len() == 43 && !text.contains(':') { format!("SHA256:{text}") } else { text }
}
