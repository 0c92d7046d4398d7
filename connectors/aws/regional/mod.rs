//! What an account has beside IAM, region by region: each listing of each region is a scope of its own.
//! It must never let the failure of one listing, or of one region, touch another.

mod acm;
mod bedrock;
mod check;
mod eks;
mod environment;
mod functions;
mod identity_center;
mod kms;
mod parameter_store;
mod regions;
mod roles_anywhere;
mod secrets_manager;
mod tasks;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use futures::{StreamExt, stream::FuturesUnordered};
use provost_client::Failure;
use provost_model::{Cover, Cursor, Entity, Realm, Scope, Time, Trouble, Why};
use serde::Deserialize;

pub(super) use self::{
    check::tried,
    regions::path,
    secrets_manager::{Kept, Secrets},
};
use super::{lists, look::Looking, session::Session, spec::SPEC};
use crate::{Emitter, Stopped, fingerprint::FingerprintKey};

/// One listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Secrets,
    Parameters,
    Keys,
    Certificates,
    Anchors,
    Profiles,
    Applications,
    Clusters,
    Agents,
    Functions,
    Tasks,
}

/// Where a listing looks, and what it knows.
struct Here<'a> {
    session: &'a Session,
    realm: &'a Realm,
    account: &'a str,
    region: &'a str,
    prints: &'a FingerprintKey,
    now: Time,
    cursor: Option<&'a Cursor>,
    full_due: bool,
}

/// What a listing found.
#[derive(Default)]
struct Found {
    entities: Vec<Entity>,
    /// Things that belong together, each whole; those that are not named stand.
    parts: Vec<(String, Vec<Entity>)>,
    by_parts: bool,
    /// Nothing differs from last time.
    unchanged: bool,
    cursor: Option<Vec<u8>>,
    /// Calls that were refused and are not needed for the rest.
    refused: Vec<Failure>,
    /// Why it is not everything.
    failure: Option<Failure>,
}

/// What a call about one of many gave.
enum One<T> {
    Told(T),
    /// It may not be asked.
    Refused,
    /// It is gone since it was listed, or the answer says nothing of it.
    Passed,
}

/// A tag as most services write it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    key: String,
    #[serde(default)]
    value: String,
}

impl What {
    const ALL: [What; 11] = [
        What::Secrets,
        What::Parameters,
        What::Keys,
        What::Certificates,
        What::Anchors,
        What::Profiles,
        What::Applications,
        What::Clusters,
        What::Agents,
        What::Functions,
        What::Tasks,
    ];

    /// The end of its scope's path.
    fn path(self) -> &'static str {
        match self {
            What::Secrets => "secretsmanager/secrets",
            What::Parameters => "ssm/parameters",
            What::Keys => "kms/keys",
            What::Certificates => "acm/certificates",
            What::Anchors => "rolesanywhere/trust-anchors",
            What::Profiles => "rolesanywhere/profiles",
            What::Applications => "sso/applications",
            What::Clusters => "eks/clusters",
            What::Agents => "bedrock/agents",
            What::Functions => "lambda/functions",
            What::Tasks => "ecs/task-definitions",
        }
    }

    async fn look(self, here: &Here<'_>) -> Result<Found, Failure> {
        match self {
            What::Secrets => Box::pin(secrets_manager::look(here)).await,
            What::Parameters => Box::pin(parameter_store::look(here)).await,
            What::Keys => Box::pin(kms::look(here)).await,
            What::Certificates => Box::pin(acm::look(here)).await,
            What::Anchors => Box::pin(roles_anywhere::anchors(here)).await,
            What::Profiles => Box::pin(roles_anywhere::profiles(here)).await,
            What::Applications => Box::pin(identity_center::look(here)).await,
            What::Clusters => Box::pin(eks::look(here)).await,
            What::Agents => Box::pin(bedrock::look(here)).await,
            What::Functions => Box::pin(functions::look(here)).await,
            What::Tasks => Box::pin(tasks::look(here)).await,
        }
    }
}

impl Here<'_> {
    /// The name of something of this account and region.
    fn arn(&self, service: &str, rest: &str) -> String {
        format!("arn:{}:{service}:{}:{}:{rest}", regions::partition(self.region), self.region, self.account)
    }

    /// Whether the listing of last time had that digest, and may still be built upon.
    fn is_as_before(&self, digest: &[u8]) -> bool {
        !self.full_due && self.cursor.is_some_and(|cursor| cursor.0 == digest)
    }
}

impl Found {
    fn of(entities: Vec<Entity>) -> Self {
        Self { entities, ..Self::default() }
    }

    /// The answer to a call that the rest does not need: nothing where it was refused.
    fn optional<T>(&mut self, answer: Result<T, Failure>) -> Result<Option<T>, Failure> {
        match answer {
            Ok(answer) => Ok(Some(answer)),
            Err(failure) if failure.why == Why::Denied && SPEC.may_lack(&failure.operation) => {
                self.refused.push(failure);
                Ok(None)
            }
            Err(failure) => Err(failure),
        }
    }

    /// The same for a call about one of many: what is gone since it was listed, or fails by itself, spoils no other.
    fn each<T>(&mut self, answer: Result<T, Failure>) -> Result<One<T>, Failure> {
        match self.optional(answer) {
            Ok(Some(answer)) => Ok(One::Told(answer)),
            Ok(None) => Ok(One::Refused),
            Err(failure) if failure.code.contains("NotFound") => Ok(One::Passed),
            Err(failure) if failure.why == Why::Malformed => {
                // The thing is left as it is known: a listing without it must not be taken for complete.
                self.failure.get_or_insert(failure);
                Ok(One::Passed)
            }
            Err(failure) => Err(failure),
        }
    }
}

/// Looks at every region that is to be looked at. Gives the secrets of those where they could all be listed.
pub(super) async fn all(looking: &Looking<'_>, to: &mut Emitter) -> Result<Secrets, Stopped> {
    let mut secrets = Secrets::new();
    let Some(regions) = regions::chosen(looking, to).await? else { return Ok(secrets) };
    let now = to.now();
    let cursor_of = |path: &str| looking.known.cursors.get(path);
    let mut waiting = regions
        .iter()
        .flat_map(|region| What::ALL.into_iter().map(move |what| (region.as_str(), what)))
        .filter(|(region, what)| *what != What::Agents || regions::has_agents(region));
    let mut flying = FuturesUnordered::new();
    let mut refused: BTreeMap<String, (Failure, Vec<String>)> = BTreeMap::new();
    loop {
        while flying.len() < looking.session.at_once() {
            let Some((region, what)) = waiting.next() else { break };
            let path = format!("{}/{}", regions::path(region), what.path());
            let here = Here {
                session: looking.session,
                realm: looking.realm,
                account: looking.account,
                region,
                prints: looking.prints,
                now,
                cursor: cursor_of(&path),
                full_due: looking.known.full_due.contains(&path),
            };
            flying.push(async move {
                let found = what.look(&here).await;
                (path, (region, what), found)
            });
        }
        let Some((path, (region, what), found)) = flying.next().await else { break };
        if let (What::Secrets, Ok(found)) = (what, &found) {
            secrets.insert(region.to_owned(), found.entities.iter().map(Kept::of).collect());
        }
        super::count(looking.session, to).await?;
        let scope = Scope::new(looking.realm.clone(), path);
        for failure in tell(&scope, now, found, to).await? {
            let known = refused.entry(failure.operation.clone()).or_insert_with(|| (failure, Vec::new()));
            if known.1.last().is_none_or(|last| last != region) {
                known.1.push(region.to_owned());
            }
        }
    }
    for (operation, (failure, mut regions)) in refused {
        regions.sort_unstable();
        let said = format!("{} (in {})", failure.said, regions.join(", "));
        to.trouble(Trouble { place: operation, why: Why::Denied, said, blind_spot: true }).await?;
    }
    Ok(secrets)
}

/// Says what a listing found. Gives what was refused and makes a blind spot only.
async fn tell(
    scope: &Scope,
    now: Time,
    found: Result<Found, Failure>,
    to: &mut Emitter,
) -> Result<Vec<Failure>, Stopped> {
    let found = match found {
        Ok(found) => found,
        Err(failure) if failure.why == Why::Denied && SPEC.may_lack(&failure.operation) => {
            return Ok(vec![failure]);
        }
        Err(failure) => {
            lists::failed(scope, &failure.operation.clone(), &failure, to).await?;
            return Ok(Vec::new());
        }
    };
    to.begin(scope, None).await?;
    for entity in found.entities {
        to.see(scope, None, now, entity).await?;
    }
    for (part, entities) in found.parts {
        for entity in entities {
            to.see(scope, Some(&part), now, entity).await?;
        }
        to.cover(scope, Some(&part), now, Cover::Full { next: None, atomic: true }).await?;
    }
    if let Some(failure) = found.failure {
        to.partial(scope, failure.why, failure.to_string()).await?;
        return Ok(found.refused);
    }
    let next = found.cursor.map(Cursor);
    let cover = match next {
        _ if found.unchanged => Cover::Unchanged { at: now },
        Some(next) if found.by_parts => Cover::Delta { next },
        next => Cover::Full { next, atomic: false },
    };
    to.cover(scope, None, now, cover).await?;
    Ok(found.refused)
}

fn tags(tags: &[Tag]) -> BTreeMap<String, String> {
    tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect()
}

fn malformed(operation: &str) -> Failure {
    let said = "the answer is not of the form expected".to_owned();
    Failure { operation: operation.to_owned(), why: Why::Malformed, code: String::new(), said }
}
