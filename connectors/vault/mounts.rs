//! What is mounted in a namespace: the ways to sign in, and the secrets engines.
//! It must never let a path of one mount be taken for a path of another.

use std::collections::BTreeMap;

use provost_client::{Ask, Failure};
use provost_model::{Entity, Reading, Status, Why, field};
use serde::Deserialize;
use serde_json::Value;

use super::{
    place::{Mount, Place, length, text, unless_nought},
    tell::{self, Whole},
};
use crate::{Emitter, Stopped};

const AUTH: &str = "GET /v1/sys/auth";
const SECRETS: &str = "GET /v1/sys/mounts";
const VISIBLE: &str = "GET /v1/sys/internal/ui/mounts";
const CONFIG: &str = "GET /v1/auth/{mount}/config";
/// Ways to sign in that name an issuer in their configuration.
const ISSUED: [&str; 2] = ["jwt", "oidc"];
/// Engines that hold nothing of anybody's.
const OWN: [&str; 4] = ["system", "identity", "cubbyhole", "ns_system"];

/// What a namespace has.
#[derive(Default)]
pub(super) struct Mounts {
    pub(super) auth: Vec<Mount>,
    pub(super) engines: Vec<Mount>,
}

/// What a server says of a mount.
#[derive(Deserialize)]
struct Told {
    #[serde(rename = "type")]
    sort: String,
    accessor: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    options: Option<BTreeMap<String, Option<String>>>,
    #[serde(default)]
    config: Value,
}

/// What the interface for people shows: the mounts under which the token may do something.
#[derive(Deserialize)]
struct Visible {
    #[serde(default)]
    auth: BTreeMap<String, Told>,
    #[serde(default)]
    secret: BTreeMap<String, Told>,
}

/// Lists the mounts of a namespace, and tells them.
pub(super) async fn all(place: &Place<'_>, to: &mut Emitter) -> Result<Mounts, Stopped> {
    let auth: Result<Option<BTreeMap<String, Told>>, Failure> = place.read(Ask::get(AUTH, &[])).await;
    let secrets: Result<Option<BTreeMap<String, Told>>, Failure> = place.read(Ask::get(SECRETS, &[])).await;
    let denied = |it: &Failure| it.why == Why::Denied;
    let mut visible = None;
    if auth.as_ref().is_err_and(denied) || secrets.as_ref().is_err_and(denied) {
        visible = place.read::<Visible>(Ask::get(VISIBLE, &[])).await.ok().flatten();
    }
    let Visible { auth: seen_auth, secret: seen_secrets } =
        visible.unwrap_or(Visible { auth: BTreeMap::new(), secret: BTreeMap::new() });
    Ok(Mounts {
        auth: tell(place, ("auth-mounts", true), (auth, seen_auth), to).await?,
        engines: tell(place, ("secrets-mounts", false), (secrets, seen_secrets), to).await?,
    })
}

/// What a server answers to either listing.
type Listing = BTreeMap<String, Told>;

/// Tells one of the two listings, and gives the mounts that can be looked at.
async fn tell(
    place: &Place<'_>,
    (path, signs_in): (&str, bool),
    (listed, seen): (Result<Option<Listing>, Failure>, Listing),
    to: &mut Emitter,
) -> Result<Vec<Mount>, Stopped> {
    let scope = (place.scope(path), Some(place.container()));
    let listed = match listed {
        Ok(listed) => listed.unwrap_or_default(),
        Err(failure) => {
            tell::failed(place, (&scope.0, scope.1), &failure, to).await?;
            // Where the listing is refused, what the token may use still shows.
            return Ok(apart(mounts(&seen, signs_in)));
        }
    };
    let mounts = mounts(&listed, signs_in);
    let mut entities = Vec::new();
    let mut denied = None;
    for (mount, told) in mounts.iter().zip(listed.values()) {
        let mut entity = entity(place, mount, told);
        if signs_in && ISSUED.contains(&mount.sort.as_str()) {
            match place.read::<Value>(Ask::get(CONFIG, &[&mount.path])).await {
                Ok(config) => {
                    let config = config.unwrap_or_default();
                    let issuer = ["bound_issuer", "oidc_discovery_url"].iter().find_map(|it| text(config.get(*it)));
                    entity.facts.set(field::OIDC_ISSUER, issuer.map_or(Reading::Never, Reading::Known));
                }
                Err(failure) => {
                    entity.facts.set(field::OIDC_ISSUER, Reading::NotPermitted);
                    denied.get_or_insert(failure);
                }
            }
        }
        entities.push(entity);
    }
    let clashes = !is_apart(&mounts);
    tell::whole(place, scope.clone(), Ok(Whole { entities, atomic: true, denied }), to).await?;
    if clashes {
        let said = "the server names mounts that lie within each other: none of those is looked at";
        let failure = Failure::new(if signs_in { AUTH } else { SECRETS }, Why::Malformed, "", said);
        tell::failed(place, (&scope.0, scope.1), &failure, to).await?;
    }
    Ok(apart(mounts))
}

fn mounts(told: &BTreeMap<String, Told>, signs_in: bool) -> Vec<Mount> {
    let mount = |(path, told): (&String, &Told)| Mount {
        path: path.trim_matches('/').to_owned(),
        sort: told.sort.clone(),
        accessor: told.accessor.clone(),
        versioned: told.options.as_ref().and_then(|it| it.get("version")?.as_deref()) == Some("2"),
        signs_in,
    };
    told.iter().map(mount).collect()
}

/// Mounts that can be looked at: those that lie within another are left out. A server allows none, and where there were
/// one, a path could be meant for either: a read of metadata in one could be a read of data in the other.
fn apart(mounts: Vec<Mount>) -> Vec<Mount> {
    let paths: Vec<String> = mounts.iter().map(|it| it.path.clone()).collect();
    let alone = |mount: &Mount| !paths.iter().any(|it| is_within(&mount.path, it) || is_within(it, &mount.path));
    let sound = |mount: &Mount| !mount.path.is_empty() && !OWN.contains(&mount.sort.as_str());
    mounts.into_iter().filter(|it| sound(it) && alone(it)).collect()
}

fn is_apart(mounts: &[Mount]) -> bool {
    mounts.iter().all(|one| !mounts.iter().any(|it| is_within(&one.path, &it.path)))
}

fn is_within(path: &str, other: &str) -> bool {
    path.strip_prefix(other).is_some_and(|rest| rest.starts_with('/'))
}

fn entity(place: &Place<'_>, mount: &Mount, told: &Told) -> Entity {
    let path = mount.of(place, "");
    let mut entity = Entity::new(mount.key(place), path.trim_end_matches('/'))
        .within(place.container())
        .with(field::PATH, path.clone())
        .with(field::CREDENTIAL_TYPE, if mount.versioned { "kv-v2".to_owned() } else { mount.sort.clone() })
        .with(field::STATUS, Status::Active)
        .with(field::LIFETIME, unless_nought(length(told.config.get("max_lease_ttl"))));
    if !told.description.is_empty() {
        entity.facts.set(field::DESCRIPTION, told.description.clone());
    }
    entity
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(path: &str, sort: &str) -> Mount {
        Mount {
            path: path.into(),
            sort: sort.into(),
            accessor: format!("{sort}_{path}"),
            versioned: true,
            signs_in: false,
        }
    }

    #[test]
    fn mounts_within_each_other_are_not_looked_at() {
        let all = vec![mount("kv", "kv"), mount("kv/data", "kv"), mount("kv2", "kv"), mount("sys", "system")];
        assert!(!is_apart(&all));
        let left: Vec<String> = apart(all).into_iter().map(|it| it.path).collect();
        assert_eq!(left, ["kv2"]);
        assert!(is_apart(&[mount("a/b", "kv"), mount("a/c", "kv")]));
    }
}
