//! Secrets of key/value engines, by their metadata: how old, how many versions, who is said to own them. Never a value.
//! It must never ask for `…/data/…`, nor take a folder that cannot be listed for an empty one.

use std::collections::BTreeMap;

use futures::{StreamExt, stream::FuturesUnordered};
use provost_client::{Ask, Failure};
use provost_model::{Entity, Key, Kind, Reading, Scope, Span, Status, Time, Why, field};
use serde_json::Value;

use super::{
    place::{Mount, Place, date, length, map, text},
    session::{Listed, is_unsupported},
    settings::seconds_of,
    tell::{self, Bucketed, Found, Parts, Whole, buckets, chosen},
};
use crate::{Emitter, Stopped};

/// Everything below a mount with its metadata in one answer, asked with `scan=true`; OpenBao has it.
const SCAN: &str = "GET /v1/{mount}/detailed-metadata";
/// One folder with the metadata of what is in it; OpenBao has it.
const DETAILED: [&str; 2] = ["LIST /v1/{mount}/detailed-metadata", "LIST /v1/{mount}/detailed-metadata/{path...}"];
/// One folder: names.
const NAMES: [&str; 2] = ["LIST /v1/{mount}/metadata", "LIST /v1/{mount}/metadata/{path...}"];
const READ: &str = "GET /v1/{mount}/metadata/{path...}";
/// One folder of the engine's first generation, which has no metadata.
const PLAIN: [&str; 2] = ["LIST /v1/{mount}", "LIST /v1/{mount}/{path...}"];
/// Most secrets of one mount.
const SECRETS_MAX: usize = 1_000_000;
/// Deepest folder looked into.
const DEPTH_MAX: usize = 64;
/// Parts of one folder: a new name costs the reading of a sixteenth.
const BUCKETS: u64 = 16;
/// Names in custom metadata under which an environment stands.
const ENVIRONMENT: [&str; 2] = ["environment", "env"];

/// The secrets of a mount. Gives all there are; nothing where they cannot be listed.
pub(super) async fn all(place: &Place<'_>, mount: &Mount, to: &mut Emitter) -> Result<Option<Vec<Kept>>, Stopped> {
    let scope = (place.scope(&format!("kv/{}", mount.path)), Some(mount.key(place)));
    if !mount.versioned {
        let found = Box::pin(walked(place, mount, PLAIN)).await;
        let secrets = found.as_ref().ok().map(kept);
        let found = found.map(|folders| whole(place, mount, &folders, false));
        tell::whole(place, scope, found, to).await?;
        return Ok(secrets);
    }
    match Box::pin(at_once(place, mount)).await {
        Ok(Some((folders, atomic))) => {
            tell::whole(place, scope, Ok(whole(place, mount, &folders, atomic)), to).await?;
            Ok(Some(kept(&folders)))
        }
        Ok(None) => Box::pin(one_by_one(place, mount, scope, to)).await,
        Err(failure) => {
            tell::failed(place, (&scope.0, scope.1), &failure, to).await?;
            Ok(None)
        }
    }
}

/// What was listed, by folder.
type Folders = BTreeMap<String, Listed>;

/// A secret that is there.
pub(super) struct Kept {
    /// Its path in the mount.
    pub(super) path: String,
    /// What tells its present version from others, where the listing does.
    pub(super) version: String,
}

/// All secrets in folders that were listed.
fn kept(folders: &Folders) -> Vec<Kept> {
    let in_one = |(folder, listed): (&String, &Listed)| {
        let names = listed.keys.iter().filter(|it| !it.ends_with('/'));
        let kept = names.map(|name| {
            let told = listed.key_info.as_ref().and_then(|info| info.get(name));
            let version = told.map(|it| format!("{:?} {:?}", it.get("current_version"), it.get("versions")));
            Kept { path: format!("{folder}{name}"), version: version.unwrap_or_default() }
        });
        kept.collect::<Vec<_>>()
    };
    folders.iter().flat_map(in_one).collect()
}

/// Everything with its metadata by listings alone; `None` where the server has no such listings, or refuses them.
async fn at_once(place: &Place<'_>, mount: &Mount) -> Result<Option<(Folders, bool)>, Failure> {
    let ask = Ask::get(SCAN, &[&mount.path]).query("scan", "true");
    match place.read::<Listed>(ask).await {
        Ok(Some(listed)) if listed.key_info.is_some() || listed.keys.is_empty() => {
            let folders = BTreeMap::from([(String::new(), listed)]);
            return Ok(Some((folders, true)));
        }
        // Too much for one answer: folder by folder then.
        Err(failure) if failure.why == Why::TooLarge => {}
        Err(failure) if !is_unsupported(&failure) && failure.why != Why::Denied => return Err(failure),
        _ => {}
    }
    match Box::pin(walked(place, mount, DETAILED)).await {
        // A server that has no such listing may answer as if there were nothing: the plain listing settles it.
        Ok(folders) if folders.values().any(|it| it.key_info.is_some()) => Ok(Some((folders, false))),
        Err(failure) if !is_unsupported(&failure) && failure.why != Why::Denied => Err(failure),
        _ => Ok(None),
    }
}

/// Every folder by its path, from the top down, as many at a time as may be in flight.
async fn walked(place: &Place<'_>, mount: &Mount, [top, below]: [&'static str; 2]) -> Result<Folders, Failure> {
    let one = |folder: String| async move {
        let ask = match folder.strip_suffix('/') {
            None => Ask::list(top, &[&mount.path]),
            Some(path) => Ask::list(below, &[&mount.path, path]),
        };
        let answer = place.list(ask).await;
        (folder, answer)
    };
    let (mut found, mut total) = (BTreeMap::new(), 0);
    let mut waiting = vec![String::new()];
    let mut flying = FuturesUnordered::new();
    loop {
        while flying.len() < place.looking.at_once() {
            let Some(folder) = waiting.pop() else { break };
            flying.push(one(folder));
        }
        let Some((folder, answer)) = flying.next().await else { return Ok(found) };
        let listed = answer?;
        total += listed.keys.len();
        if total > SECRETS_MAX {
            let said = format!("more than {SECRETS_MAX} secrets below {}", mount.path);
            return Err(Failure::new(top, Why::TooLarge, "", &said));
        }
        for name in listed.keys.iter().filter(|it| it.ends_with('/')) {
            let path = format!("{folder}{name}");
            if path.split('/').count() > DEPTH_MAX {
                return Err(Failure::new(top, Why::TooLarge, "", "folders lie too deep within each other"));
            }
            waiting.push(path);
        }
        found.insert(folder, listed);
    }
}

/// The secrets of folders that were listed with what is known of each.
fn whole(place: &Place<'_>, mount: &Mount, folders: &Folders, atomic: bool) -> Whole {
    let mut entities = Vec::new();
    for (folder, listed) in folders {
        for name in listed.keys.iter().filter(|it| !it.ends_with('/')) {
            let path = format!("{folder}{name}");
            let told = listed.key_info.as_ref().and_then(|info| info.get(name));
            entities.push(secret(place, mount, &path, told));
        }
    }
    Whole { entities, atomic, denied: None }
}

/// Names by listings, metadata one by one, for servers that have no other way. A secret that was written to shows in its
/// turn, or at once if the audit log tells.
async fn one_by_one(
    place: &Place<'_>,
    mount: &Mount,
    scope: (Scope, Option<Key>),
    to: &mut Emitter,
) -> Result<Option<Vec<Kept>>, Stopped> {
    let folders = match Box::pin(walked(place, mount, NAMES)).await {
        Ok(folders) => folders,
        Err(failure) => {
            tell::failed(place, (&scope.0, scope.1), &failure, to).await?;
            return Ok(None);
        }
    };
    let all = kept(&folders);
    let mut parts = Parts::begin(place, scope.clone(), to).await?;
    let mut names: Bucketed<()> = BTreeMap::new();
    for (folder, listed) in folders {
        let paths = listed.keys.iter().filter(|it| !it.ends_with('/')).map(|name| (format!("{folder}{name}"), ()));
        let word = |path: &str, (): &()| {
            let written = ["data", "metadata"]
                .iter()
                .any(|it| place.looking.hints.is_written(&place.namespace, &format!("{}/{it}/{path}", mount.path)));
            if written { format!("written {}", place.looking.turn.now) } else { String::new() }
        };
        names.extend(buckets(&folder, (paths, BUCKETS), word));
    }
    let (wanted, lost) = chosen(&parts.ledger, "", names, &place.turn(&scope.0));
    parts.vanish(lost, to).await?;
    let reader = |paths: Vec<(String, ())>| async move {
        let mut found = Found::default();
        for (path, ()) in paths {
            match place.read::<Value>(Ask::get(READ, &[&mount.path, &path])).await {
                // Deleted since it was listed.
                Ok(None) => {}
                Ok(Some(told)) => found.entities.push(secret(place, mount, &path, Some(&told))),
                Err(failure) if failure.why == Why::Denied => {
                    found.entities.push(hidden(secret(place, mount, &path, None)));
                    found.denied.get_or_insert(failure);
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(found)
    };
    Box::pin(parts.read(wanted, ("secrets", reader), to)).await?;
    parts.end(to).await?;
    Ok(Some(all))
}

/// A secret whose metadata is refused.
fn hidden(entity: Entity) -> Entity {
    entity
        .with(field::CREATED_AT, Reading::NotPermitted)
        .with(field::ROTATED_AT, Reading::NotPermitted)
        .with(field::EXPIRES_AT, Reading::NotPermitted)
        .with(field::VERSION_COUNT, Reading::NotPermitted)
        .with(field::TAGS, Reading::NotPermitted)
        .with(field::STATUS, Reading::NotPermitted)
}

/// The record of a secret.
pub(super) fn key(place: &Place<'_>, mount: &Mount, path: &str) -> Key {
    place.key(Kind::Secret, mount.external(path))
}

/// A secret with what its metadata say; without them only its name is known.
fn secret(place: &Place<'_>, mount: &Mount, path: &str, told: Option<&Value>) -> Entity {
    let sort = if mount.versioned { "vault_kv2" } else { "vault_kv1" };
    let entity = Entity::new(key(place, mount, path), mount.of(place, path))
        .within(mount.key(place))
        .with(field::PATH, mount.of(place, path))
        .with(field::STORE_KIND, sort.to_owned());
    match told {
        Some(told) => described(entity, told, &place.looking.settings.rotation_metadata, place.looking.turn.now),
        None if mount.versioned => entity,
        None => entity
            .with(field::CREATED_AT, Reading::NotReported)
            .with(field::ROTATED_AT, Reading::NotReported)
            .with(field::EXPIRES_AT, Reading::NotReported)
            .with(field::VERSION_COUNT, Reading::NotReported),
    }
}

fn described(entity: Entity, told: &Value, rotation: &str, now: Time) -> Entity {
    let current = told.get("current_version").and_then(Value::as_i64);
    let versions = told.get("versions").and_then(Value::as_object);
    let version = current.and_then(|it| versions?.get(&it.to_string()));
    let rotated = version.and_then(|it| date(it.get("created_time")));
    let deleted = version.map(|it| date(it.get("deletion_time")));
    let destroyed = version.and_then(|it| it.get("destroyed")?.as_bool());
    let lives = |deleted: Option<Time>| destroyed != Some(true) && deleted.is_none_or(|at| at > now);
    let status = match (current, deleted) {
        (Some(0), _) => Reading::Known(Status::Inactive),
        (_, Some(deleted)) => Reading::Known(if lives(deleted) { Status::Active } else { Status::Inactive }),
        _ => Reading::NotReported,
    };
    // A version that ends by itself has its end written down beforehand.
    let ends = match deleted {
        Some(Some(at)) => Reading::Known(at),
        Some(None) => Reading::Never,
        None => Reading::NotReported,
    };
    let known = |time: Option<Time>| time.map_or(Reading::NotReported, Reading::Known);
    let tags = map(told.get("custom_metadata"));
    let period = tags.get(rotation).and_then(|it| seconds_of(it)).and_then(|it| i64::try_from(it).ok());
    let mut entity = entity
        .with(field::CREATED_AT, known(date(told.get("created_time"))))
        .with(field::ROTATED_AT, if current == Some(0) { Reading::Never } else { known(rotated) })
        .with(field::EXPIRES_AT, ends)
        .with(field::STATUS, status)
        .with(field::VERSION_COUNT, current.map_or(Reading::NotReported, Reading::Known))
        .with(field::LAST_USED_AT, Reading::NotReported)
        .with(field::ROTATION_PERIOD, period.map_or(Reading::NotReported, Reading::Known));
    if let Some((rotated, period)) = rotated.zip(period) {
        entity.facts.set(field::NEXT_ROTATION_AT, rotated + Span::seconds(period));
    }
    if let Some(environment) = ENVIRONMENT.iter().find_map(|it| tags.get(*it)) {
        entity.facts.set(field::ENVIRONMENT, environment.clone());
    }
    if let Some(after) = length(told.get("delete_version_after")).filter(|it| *it > 0) {
        entity.facts.set(field::LIFETIME, after);
    }
    if let Some(description) = text(told.get("custom_metadata").and_then(|it| it.get("description"))) {
        entity.facts.set(field::DESCRIPTION, description);
    }
    entity.with(field::TAGS, tags)
}

#[cfg(test)]
mod tests {
    use provost_model::Realm;
    use serde_json::json;

    use super::*;

    fn of(told: &Value) -> Entity {
        let key = Key::new(Realm::new("vault", "x"), Kind::Secret, "s");
        described(Entity::new(key, "s"), told, "rotation_period", Time::from_seconds(1_795_914_600))
    }

    #[test]
    fn age_versions_and_the_rotation_people_asked_for_are_read() {
        let entity = of(&json!({"created_time": "2026-11-29T01:08:01.930534236Z", "current_version": 2,
            "custom_metadata": {"owner": "team1", "rotation_period": "90d", "env": "prod"},
            "versions": {"1": {"created_time": "2026-11-29T01:08:01.930534236Z", "deletion_time": "", "destroyed": false},
                "2": {"created_time": "2026-11-29T01:08:02.034996155Z", "deletion_time": "", "destroyed": false}}}));
        let rotated: Time = "2026-11-29T01:08:02.034996155Z".parse().unwrap();
        assert_eq!(entity.facts.get(field::ROTATED_AT), Reading::Known(rotated));
        assert_eq!(entity.facts.get(field::NEXT_ROTATION_AT), Reading::Known(rotated + Span::days(90)));
        assert_eq!(entity.facts.get(field::VERSION_COUNT), Reading::Known(2));
        assert_eq!(entity.facts.get(field::EXPIRES_AT), Reading::Never);
        assert_eq!(entity.facts.get(field::STATUS), Reading::Known(Status::Active));
        assert_eq!(entity.facts.get(field::ENVIRONMENT), Reading::Known("prod".to_owned()));
        assert_eq!(entity.facts.get(field::TAGS).known().unwrap()["owner"], "team1");
    }

    #[test]
    fn a_version_that_is_deleted_destroyed_or_not_there_is_inactive() {
        let with = |version: Value| of(&json!({"current_version": 1, "versions": {"1": version}}));
        let past = with(json!({"created_time": "2026-11-28T00:00:00Z", "deletion_time": "2026-11-28T01:00:00Z"}));
        assert_eq!(past.facts.get(field::STATUS), Reading::Known(Status::Inactive));
        let destroyed = with(json!({"deletion_time": "", "destroyed": true}));
        assert_eq!(destroyed.facts.get(field::STATUS), Reading::Known(Status::Inactive));
        let later = with(json!({"deletion_time": "2027-11-28T01:00:00Z", "destroyed": false}));
        assert_eq!(later.facts.get(field::STATUS), Reading::Known(Status::Active));
        assert_eq!(later.facts.get(field::EXPIRES_AT), Reading::Known("2027-11-28T01:00:00Z".parse().unwrap()));
        let never = of(&json!({"current_version": 0, "versions": {}}));
        assert_eq!(never.facts.get(field::STATUS), Reading::Known(Status::Inactive));
        assert_eq!(never.facts.get(field::ROTATED_AT), Reading::Never);
        assert_eq!(of(&json!({})).facts.get(field::STATUS), Reading::NotReported);
        assert_eq!(of(&json!({})).facts.get(field::EXPIRES_AT), Reading::NotReported);
    }
}
