//! Eyes on GitHub: organizations of github.com, Enterprise Cloud or an Enterprise Server, asked by the hundred where it can be.
//! It must never hold the value of a secret or variable, nor ask for anything its SPEC does not list.
//!
//! Reading order: `settings`, `signing` and `octo` (as whom), `look` (in which order), `org` and `listing` (how one asks),
//! `lists` and what it names (what rows mean), `repositories` and `deploy_keys` (by the hundred), `sweep` (one by one),
//! `audit` (what need not be asked again).

mod alerts;
mod apps;
mod audit;
mod check;
mod deploy_keys;
pub mod documents;
mod index;
mod listing;
mod lists;
mod look;
mod octo;
mod org;
mod owners;
mod people;
mod repositories;
mod round;
mod runners;
mod said;
mod secrets;
mod settings;
mod signing;
mod spec;
mod sweep;
#[cfg(test)]
mod tests;
mod tokens;
mod webhooks;
mod whom;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use provost_client::{Egress, Failure, Limits, Patience, Web};
use provost_model::{Realm, Scope, Trouble, Why};

pub use self::spec::SPEC;
#[cfg(test)]
pub(crate) use self::tests::Acme;
use self::{
    audit::Changes,
    org::Org,
    settings::Settings,
    whom::{Place, Whom},
};
use crate::{Access, Bookmarks, Connector, Emitter, Source, Stopped, fingerprint::FingerprintKey};

/// Time in which a source must have said what it is about to read.
const ANNOUNCE: Duration = Duration::from_millis(1_800);

/// One source of this kind.
struct GitHub {
    settings: Settings,
    whom: Whom,
    fingerprints: Arc<FingerprintKey>,
    /// How much a run bears before a call counts as failed.
    patience: Patience,
}

fn build(source: &Source) -> Result<Box<dyn Connector>, String> {
    Ok(Box::new(GitHub::new(Settings::read(&source.settings)?, source, Patience::default())?))
}

impl GitHub {
    fn new(settings: Settings, source: &Source, patience: Patience) -> Result<Self, String> {
        let whom = Whom::new(&settings, source, (Egress::of_environment(), patience))?;
        Ok(Self { settings, whom, fingerprints: Arc::clone(&source.fingerprints), patience })
    }

    fn realm(&self) -> Realm {
        Realm::new("github", &self.settings.api.host)
    }

    /// One run.
    async fn run(&self, known: &Bookmarks, to: &mut Emitter) -> Result<(), Trouble> {
        let realm = self.realm();
        let found = self.whom.places(&self.settings, self.patience).await;
        report(self.whom.front(), "", to).await?;
        let found = found.map_err(fatal)?;
        to.realm(realm.clone()).await?;
        to.eyes(found.could_write.clone(), found.ends).await?;
        // While one that was chosen cannot be reached, nobody knows which of the former ones that is.
        if found.troubles.is_empty() {
            let ids: BTreeSet<u64> = found.places.iter().map(|place| place.id).collect();
            left(&realm, &ids, known, to).await?;
        }
        for trouble in found.troubles {
            to.trouble(trouble).await?;
        }
        for Place { id, login, web } in found.places {
            web.begin();
            let mut org = Org {
                web: &web,
                graphql: &self.settings.api.graphql,
                realm: &realm,
                known,
                fingerprints: &self.fingerprints,
                stop: to.stop().clone(),
                sweep_every: self.settings.sweep_every,
                id,
                login,
                changes: Changes::default(),
            };
            look::look(&mut org, to).await?;
            if to.stop().is_cancelled() {
                return Err(Stopped.into());
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Connector for GitHub {
    async fn announce(&self) -> String {
        let host = &self.settings.api.host;
        let asked = self.whom.places(&self.settings, Patience::none());
        match tokio::time::timeout(ANNOUNCE, asked).await {
            Ok(Ok(found)) => {
                let names: Vec<&str> = found.places.iter().map(|place| place.login.as_str()).collect();
                format!("{host} as {}: {}", self.whom.name(), names.join(", "))
            }
            Ok(Err(failure)) => format!("{host}, but nobody can be asked: {}", failure.said),
            Err(_) => format!("{host}, but it did not answer within 2 s"),
        }
    }

    async fn check(&self) -> Access {
        check::access(&self.settings, &self.whom).await
    }

    fn disposition(&self) -> String {
        self.settings.api.base.clone()
    }

    async fn discover(&self, known: &Bookmarks, to: &mut Emitter) -> Result<(), Trouble> {
        self.run(known, to).await
    }
}

/// Says that former organizations are not looked at any more.
async fn left(realm: &Realm, present: &BTreeSet<u64>, known: &Bookmarks, to: &mut Emitter) -> Result<(), Stopped> {
    let of = |path: &String| path.strip_prefix("orgs/")?.split('/').next()?.parse::<u64>().ok();
    let former: BTreeSet<u64> = known.cursors.keys().filter_map(of).collect();
    for id in former.difference(present) {
        to.unwatch(&Scope::new(realm.clone(), format!("orgs/{id}"))).await?;
    }
    Ok(())
}

/// Reports the calls sent since last time under their names, with `purpose` behind, and what time it is at the provider.
async fn count(org: &Org<'_>, purpose: &str, to: &mut Emitter) -> Result<(), Stopped> {
    report(org.web, purpose, to).await
}

async fn report(web: &Web, purpose: &str, to: &mut Emitter) -> Result<(), Stopped> {
    for call in web.calls() {
        to.call(&format!("{}{purpose}", call.operation), call.throttled).await?;
    }
    if let Some(time) = web.provider_time() {
        to.provider_time(time).await?;
    }
    Ok(())
}

/// Bounds on what goes out and comes back.
fn limits(settings: &Settings) -> Limits {
    Limits { in_flight: settings.in_flight, calls: settings.max_calls, attempt: settings.attempt, ..Limits::default() }
}

fn fatal(failure: Failure) -> Trouble {
    let Failure { operation, why, said, .. } = failure;
    let why = if why == Why::Changed { Why::Denied } else { why };
    Trouble { place: operation, why, said, blind_spot: false }
}
