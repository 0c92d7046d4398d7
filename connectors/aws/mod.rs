//! Eyes on one AWS account: IAM and STS, through the cheapest reads that tell everything.
//! It must never hold a secret value, nor ask for anything its SPEC does not list.

mod advisor;
mod authorization;
mod beside;
mod call;
mod check;
mod credentials;
#[cfg(test)]
pub(crate) mod estate;
#[cfg(test)]
mod evidence_tests;
mod eyes;
mod key_page;
mod keys;
mod lists;
mod look;
pub mod nature;
mod organization;
#[cfg(test)]
mod organization_tests;
mod people;
pub mod policy;
mod query;
mod regional;
pub mod report;
mod rows;
mod session;
mod settings;
mod signed;
pub mod slots;
#[cfg(test)]
mod sockets;
mod spec;
mod sweep;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod told;
mod trail;

use std::{collections::BTreeSet, path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_types::os_shim_internal::Env;
use provost_client::{Egress, Failure, Gate, Limits, Pace, Patience};
use provost_model::{Realm, Trouble, Why};
use tokio_util::sync::CancellationToken;

pub use self::spec::SPEC;
use self::{
    look::Looking,
    session::{Caller, Session},
    settings::Settings,
};
use crate::{Access, Bookmarks, Connector, Emitter, Source, Stopped, fingerprint::FingerprintKey};

/// Time in which a source must have said what it is about to read.
const ANNOUNCE: Duration = Duration::from_millis(1_800);

/// One source of this kind.
struct Aws {
    settings: Settings,
    gate: Gate,
    prints: Arc<FingerprintKey>,
}

fn build(source: &Source) -> Result<Box<dyn Connector>, String> {
    let settings = Settings::read(&source.settings)?;
    let limits = Limits { in_flight: settings.in_flight, calls: settings.max_calls, ..Limits::default() };
    let gate = Gate::by(egress(&Env::real())?, Pace::new(settings.pace), limits)?;
    Ok(Box::new(Aws { settings, gate, prints: Arc::clone(&source.fingerprints) }))
}

/// The way out, as every AWS tool finds it.
fn egress(env: &Env) -> Result<Egress, String> {
    let egress = Egress::of_environment();
    let Ok(path) = env.get("AWS_CA_BUNDLE") else { return Ok(egress) };
    if path.is_empty() {
        return Ok(egress);
    }
    let told = |why: String| format!("AWS_CA_BUNDLE: {path} cannot be used: {why}");
    egress.trusting_file(Path::new(&path)).map_err(told)
}

impl Aws {
    /// A way to the account for questions that must be answered soon.
    async fn impatient(&self) -> Session {
        self.gate.begin();
        Session::new(&self.settings, &self.gate, Patience::none(), CancellationToken::new()).await
    }

    /// One run over that way to the account.
    async fn run(&self, session: &Session, known: &Bookmarks, to: &mut Emitter) -> Result<(), Trouble> {
        self.gate.begin();
        let caller = session.caller().await;
        count(session, to).await?;
        let caller = caller.map_err(fatal)?;
        if let Some(expected) = self.settings.account.as_ref().filter(|expected| **expected != caller.account) {
            let said =
                format!("the credentials belong to account {}, this source is meant for {expected}", caller.account);
            return Err(Trouble {
                place: "sts:GetCallerIdentity".to_owned(),
                why: Why::Changed,
                said,
                blind_spot: false,
            });
        }
        let realm = caller.realm();
        to.realm(realm.clone()).await?;
        if self.settings.role_name.is_some() {
            return Ok(Box::pin(organization::look(self, (session, &caller), known, to)).await?);
        }
        let own = self.settings.own_accounts.iter().cloned().chain([caller.account.clone()]).collect();
        let could_write = Box::pin(self.looking((session, &caller), (known, &realm), &own).look(to)).await?;
        Ok(to.eyes(could_write, session.lasts()).await?)
    }

    /// The run over one account.
    fn looking<'a>(
        &'a self,
        (session, caller): (&'a Session, &'a Caller),
        (known, realm): (&'a Bookmarks, &'a Realm),
        own: &'a BTreeSet<String>,
    ) -> Looking<'a> {
        Looking {
            session,
            known,
            realm,
            who: caller.who(),
            sweep_every: self.settings.sweep_every,
            account: &caller.account,
            own,
            regions: &self.settings.regions,
            lookup_every: self.settings.lookup_every,
            prints: &self.prints,
            trail: self.settings.trail.as_ref(),
            archive: session,
        }
    }
}

#[async_trait]
impl Connector for Aws {
    async fn announce(&self) -> String {
        let asked = async { self.impatient().await.caller().await };
        match tokio::time::timeout(ANNOUNCE, asked).await {
            Ok(Ok(caller)) => {
                let all = if self.settings.role_name.is_some() { "AWS organization of account" } else { "AWS account" };
                format!("{all} {} as {} (credentials: {})", caller.account, caller.arn, caller.origin)
            }
            Ok(Err(failure)) => format!("AWS, but nobody can be asked: {}", failure.said),
            Err(_) => "AWS, but it did not answer within 2 s".to_owned(),
        }
    }

    async fn equipped(&self) -> bool {
        let session = self.impatient().await;
        // Whatever the answer: credentials that were found name their origin before the call is sent.
        let _ = tokio::time::timeout(ANNOUNCE, session.caller()).await;
        !session.origin().is_empty()
    }

    async fn check(&self) -> Access {
        check::access(&self.impatient().await, &self.settings).await
    }

    fn disposition(&self) -> String {
        let Settings { profile, endpoint_url, account, role_name, .. } = &self.settings;
        let whole = if role_name.is_some() { " organization" } else { "" };
        format!("{profile:?} {endpoint_url:?} {account:?}{whole}")
    }

    async fn discover(&self, known: &Bookmarks, to: &mut Emitter) -> Result<(), Trouble> {
        let session = Session::new(&self.settings, &self.gate, Patience::default(), to.stop().clone()).await;
        self.run(&session, known, to).await
    }
}

/// Reports the calls sent since last time, and what time their answers say it is.
async fn count(session: &Session, to: &mut Emitter) -> Result<(), Stopped> {
    for call in session.gate.calls() {
        to.call(&call.operation, call.throttled).await?;
    }
    if let Some(time) = session.gate.provider_time() {
        to.provider_time(time).await?;
    }
    Ok(())
}

fn fatal(failure: Failure) -> Trouble {
    Trouble { place: failure.operation, why: failure.why, said: failure.said, blind_spot: false }
}
