//! Deploy keys: their public halves and ages by the hundred, their last use and who added them one repository at a time.
//! It must never ask a repository that has none.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures::{StreamExt as _, future::BoxFuture, stream};
use provost_client::Failure;
use provost_model::{Cover, Cursor, Entity, Kind, Reading, Status, field};
use serde::Deserialize;

use super::{
    count,
    index::Index,
    listing::{Heard, Pages, Tags, unreadable},
    org::Org,
    said::Said,
    spec::{ENVIRONMENTS, KEYS},
    sweep::SWEEP,
};
use crate::{
    Emitter, Stopped,
    host::keys::{PublicKey, ssh_digest},
};

/// The scope of keys as GraphQL shows them, below the organization; a part for each repository.
pub(super) const PATH: &str = "deploy-keys";
/// The scope of what only REST tells of them; a part for each repository.
pub(super) const USE: &str = "deploy-key-use";
/// Repositories asked at a time; the gate bounds and paces what leaves.
const AT_ONCE: usize = 16;
const PAGE: usize = 100;

/// A deploy key, by GraphQL or by REST.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Key {
    /// Of REST only.
    #[serde(default)]
    id: Said<u64>,
    key: String,
    title: String,
    #[serde(alias = "readOnly")]
    read_only: bool,
    #[serde(default, alias = "createdAt")]
    created_at: Said<String>,
    #[serde(default)]
    added_by: Said<String>,
    #[serde(default)]
    last_used: Said<String>,
    #[serde(default)]
    enabled: Said<bool>,
}

impl Key {
    /// Its digest as `ssh-keygen -l` prints it: GitHub takes a key for one repository only, so it names the key for good.
    fn digest(&self) -> String {
        self.blob().map_or_else(|| ssh_digest(self.bare().as_bytes()), |blob| ssh_digest(&blob))
    }

    fn blob(&self) -> Option<Vec<u8>> {
        STANDARD.decode(self.key.split_ascii_whitespace().nth(1)?).ok()
    }

    /// Without the comment, which GitHub may leave out.
    fn bare(&self) -> String {
        self.key.split_ascii_whitespace().take(2).collect::<Vec<_>>().join(" ")
    }

    fn external(&self, repository: u64) -> String {
        format!("repos/{repository}/keys/{}", self.digest())
    }
}

/// The cursor of a scope whose state is kept elsewhere.
pub(super) fn cursor() -> Cursor {
    Cursor(vec![1])
}

/// A number that differs when the keys do; zero if there are none.
pub(super) fn digest(keys: &[Key]) -> u64 {
    let mut lines: Vec<String> = keys
        .iter()
        .map(|key| format!("{} {} {} {:?}", key.digest(), key.read_only, key.title, key.created_at))
        .collect();
    lines.sort_unstable();
    if lines.is_empty() { 0 } else { provost_model::PartId::named(&lines.join("\n")).0 }
}

/// A key as GraphQL shows it.
pub(super) fn entity(org: &Org<'_>, (repository, place): (u64, &str), key: &Key) -> Entity {
    let kind = provost_model::Key::new(org.realm.clone(), Kind::SshKey, key.external(repository));
    let mut entity = Entity::new(kind, key.title.clone())
        .with(field::CREDENTIAL_TYPE, "deploy_key".to_owned())
        .with(field::READ_ONLY, key.read_only)
        .with(field::CREATED_AT, key.created_at.dated())
        .with(field::EXPIRES_AT, Reading::NotReported)
        .with(field::LONG_LIVED, true)
        .with(field::MULTI_ACTIVE_ALLOWED, true)
        .with(field::PATH, place.to_owned())
        .of(org.repository(repository));
    if key.blob().is_some() {
        entity.facts.set(field::KEY_ID, key.digest());
    }
    match key.blob().as_deref().and_then(PublicKey::from_ssh) {
        Some(public) => {
            for (field, reading) in public.facts().iter() {
                entity.facts.set_value(field, reading.clone());
            }
        }
        None => entity.facts.set(field::FINGERPRINT_NOTE, "the key is of a sort that is not understood".to_owned()),
    }
    entity
}

/// What REST tells beside that.
fn used(org: &Org<'_>, repository: u64, key: &Key) -> Entity {
    let kind = provost_model::Key::new(org.realm.clone(), Kind::SshKey, key.external(repository));
    let status = match key.enabled {
        // Servers that cannot disable keys do not speak of it.
        Said::Is(true) | Said::Absent => Status::Active,
        Said::Is(false) => Status::Inactive,
        Said::Null => Status::Unknown,
    };
    let mut entity = Entity::new(kind, key.title.clone())
        .with(field::STATUS, status)
        .with(field::LAST_USED_AT, key.last_used.date(Reading::Never))
        .with(field::CREATED_BY, key.added_by.clone().reading())
        .of(org.repository(repository));
    if let Said::Is(id) = key.id {
        entity.aliases.push(format!("repos/{repository}/keys/{id}"));
    }
    entity
}

/// Every key of a repository, by REST.
pub(super) async fn all(org: &Org<'_>, name: &str) -> Result<Vec<Key>, Failure> {
    let rows = whole(org, KEYS, name, "").await?;
    let keys =
        rows.into_iter().enumerate().map(|(at, row)| serde_json::from_value(row).map_err(|_| unreadable(KEYS, at)));
    keys.collect()
}

/// The names of a repository's environments, by REST.
pub(super) async fn environments(org: &Org<'_>, name: &str) -> Result<Vec<String>, Failure> {
    let rows = whole(org, ENVIRONMENTS, name, "environments").await?;
    let names = rows.into_iter().enumerate().map(|(at, row)| {
        row.get("name").and_then(|name| name.as_str()).map(str::to_owned).ok_or_else(|| unreadable(ENVIRONMENTS, at))
    });
    names.collect()
}

async fn whole(org: &Org<'_>, read: &str, name: &str, rows: &str) -> Result<Vec<serde_json::Value>, Failure> {
    let values = [org.login.as_str(), name];
    let pages = Pages { web: org.web, stop: &org.stop, read, values: &values, rows, page: PAGE, query: &[] };
    match pages.hear(&Tags::default()).await? {
        Heard::Rows(rows, _) => Ok(rows),
        Heard::Unchanged => Ok(Vec::new()),
    }
}

/// Repositories whose keys' use was read, with the digest the keys had then.
struct Told(BTreeMap<u64, u64>);

impl Told {
    fn read(cursor: Option<&Cursor>) -> Self {
        let pairs = cursor.map(|cursor| cursor.0.as_chunks::<8>().0).unwrap_or_default().as_chunks::<2>().0.iter();
        Self(pairs.map(|[id, keys]| (u64::from_be_bytes(*id), u64::from_be_bytes(*keys))).collect())
    }

    fn cursor(&self) -> Cursor {
        Cursor(self.0.iter().flat_map(|(id, keys)| [id.to_be_bytes(), keys.to_be_bytes()]).flatten().collect())
    }
}

/// Looks at the use of the keys that are not those of last time, and then of those whose turn it is by `sweep`. Repositories
/// that lost their keys are told without a call. Says whether all of them were asked.
pub(super) async fn look(
    org: &Org<'_>,
    index: &Index,
    sweep: impl FnOnce(&BTreeSet<u64>) -> BTreeSet<u64> + Send,
    to: &mut Emitter,
) -> Result<bool, Stopped> {
    let scope = org.scope(USE);
    let mut told = Told::read(org.cursor(USE).filter(|_| !org.is_due(USE)));
    told.0.retain(|id, _| index.0.contains_key(id));
    let has = |id: &u64| index.0.get(id).is_some_and(|it| it.keys != 0);
    let differs = |id: &u64| index.0.get(id).map(|it| it.keys) != Some(told.0.get(id).copied().unwrap_or_default());
    let first: BTreeSet<u64> = index.0.keys().copied().filter(differs).collect();
    let all: BTreeSet<u64> = index.0.keys().copied().filter(|id| has(id) && !first.contains(id)).collect();
    to.begin(&scope, None).await?;
    let mut failure = pass(org, index, (&first, &mut told), to).await?;
    count(org, "", to).await?;
    if failure.is_none() {
        failure = pass(org, index, (&sweep(&all), &mut told), to).await?;
        count(org, SWEEP, to).await?;
    }
    let now = to.now();
    to.cover(&scope, None, now, Cover::Delta { next: told.cursor() }).await?;
    if let Some(failure) = &failure {
        to.partial(&scope, failure.why, failure.to_string()).await?;
    }
    Ok(failure.is_none())
}

async fn pass(
    org: &Org<'_>,
    index: &Index,
    (repositories, told): (&BTreeSet<u64>, &mut Told),
    to: &mut Emitter,
) -> Result<Option<Failure>, Stopped> {
    let scope = org.scope(USE);
    let wanted: Vec<_> = repositories.iter().filter_map(|id| Some((*id, index.0.get(id)?))).collect();
    let mut questions: Vec<BoxFuture<'_, _>> = Vec::with_capacity(wanted.len());
    for (id, it) in wanted {
        questions.push(Box::pin(async move {
            let keys = if it.keys == 0 { Ok(Vec::new()) } else { all(org, &it.name).await };
            (id, it, keys)
        }));
    }
    let mut asked = stream::iter(questions).buffered(AT_ONCE);
    while let Some((id, it, keys)) = asked.next().await {
        let now = to.now();
        match keys {
            Ok(keys) => {
                for key in &keys {
                    to.see(&scope, Some(&id.to_string()), now, used(org, id, key)).await?;
                }
                let cover = Cover::Full { next: None, atomic: true };
                to.cover(&scope, Some(&id.to_string()), now, cover).await?;
                told.0.insert(id, it.keys);
            }
            // The next run knows more, and asks again.
            Err(failure) if failure.is_missing() => {
                let name = &it.name;
                org.blind(KEYS, &format!("{name}: renamed, gone or out of sight since it was listed"), to).await?;
            }
            Err(failure) => return Ok(Some(failure)),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_survives_its_cursor() {
        let told = Told(BTreeMap::from([(1, 2), (u64::MAX, 3)]));
        assert_eq!(Told::read(Some(&told.cursor())).0, told.0);
        assert!(Told::read(None).0.is_empty());
    }
}
