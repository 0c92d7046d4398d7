//! Eyes on one Vault or OpenBao cluster: who may sign in and what each may do, how old every credential is, what is kept.
//! It must never ask for a value that its settings do not name, nor for anything else its SPEC does not list.
//!
//! What a thing of the server is in the inventory: the server and each namespace an application, since audit devices, owners
//! and what is in them hang on it; a mount an identity provider, for what it lets in or issues; an AppRole a service
//! account with its secret ids as client secrets (key id: the accessor); an entity a user, as it is one identity behind
//! several ways to sign in, a human's or a program's as its aliases say; an account with a static role a service account
//! with a password, or for AWS an access key; a role by which accounts are made a role; transit keys and what key/value
//! engines keep secrets. Ids are the server's accessors and names: unique in a cluster, never an address.

mod approle;
mod audit;
mod check;
mod engines;
mod hints;
mod identity;
mod kv;
mod ledger;
mod look;
mod mounts;
mod pki;
mod place;
mod policies;
mod policy;
mod secret_ids;
mod server;
mod session;
mod settings;
mod spec;
mod tell;
#[cfg(test)]
mod tests;
mod tokens;
mod transit;
mod usage;
mod values;

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use provost_client::{Egress, Failure, Limits, Luck, Patience, Provider, Web};
use provost_model::{Trouble, Why};
use tokio_util::sync::CancellationToken;

pub use self::spec::SPEC;
#[cfg(test)]
pub(crate) use self::tests::Recorded;
use self::{
    audit::Trail,
    hints::Hints,
    ledger::Turn,
    place::Looking,
    server::{Caller, Server},
    session::{Session, Signer},
    settings::{Login, Settings, ValueRead},
};
use crate::{Access, Bookmarks, Connector, Emitter, Source, fingerprint::FingerprintKey, spec::Secrets};

/// Time in which a source must have said what it is about to read.
const ANNOUNCE: Duration = Duration::from_millis(1_800);

/// One source of this kind.
struct Vault {
    settings: Settings,
    /// How much is borne in a run.
    patience: Patience,
    secrets: Arc<dyn Secrets>,
    egress: Egress,
    fingerprints: Arc<FingerprintKey>,
    /// Signs the calls of all runs, so that one login serves many.
    signer: Arc<Signer>,
}

fn build(source: &Source) -> Result<Box<dyn Connector>, String> {
    let settings = Settings::read(&source.settings)?;
    for reference in settings.references() {
        source.secrets.check(reference)?;
    }
    let egress = egress(&settings)?;
    let secrets = Arc::clone(&source.secrets);
    let signer = Signer::new(settings.login.clone(), settings.namespace.clone(), Arc::clone(&secrets));
    let vault = Vault {
        settings,
        patience: Patience::default(),
        secrets,
        egress,
        fingerprints: Arc::clone(&source.fingerprints),
        signer: Arc::new(signer),
    };
    // What cannot be an address is said now and not at the first run.
    vault.web(Patience::none())?;
    Ok(Box::new(vault))
}

/// The way out, with the private authority if one is set.
fn egress(settings: &Settings) -> Result<Egress, String> {
    let egress = Egress::of_environment();
    let Some(path) = &settings.ca_file else { return Ok(egress) };
    let told = |why: String| format!("ca_file: {} cannot be used: {why}", path.display());
    egress.trusting_file(path).map_err(told)
}

impl Vault {
    /// A way to the server for one run.
    fn web(&self, patience: Patience) -> Result<Web, String> {
        let settings = &self.settings;
        let limits = Limits {
            in_flight: settings.in_flight,
            calls: settings.max_calls,
            attempt: settings.attempt,
            ..Limits::default()
        };
        let declared = SPEC.reads.iter().map(|read| read.0.to_owned());
        let allowed = settings.value_reads.iter().flat_map(ValueRead::reads);
        let provider = Provider {
            origin: settings.address.clone(),
            reads: declared.chain(allowed).collect(),
            headers: vec![("X-Vault-Request".to_owned(), "true".to_owned())],
            pace: settings.pace,
            limits,
            egress: self.egress.clone(),
            patience,
            luck: luck(),
            ..Provider::default()
        };
        let signer: Arc<Signer> = Arc::clone(&self.signer);
        Web::new(provider, signer)
    }

    fn session(&self, patience: Patience, stop: CancellationToken) -> Result<Session, Failure> {
        let unset = |said: String| Failure::new("address", Why::Unavailable, "", &said);
        Ok(Session::new(self.web(patience).map_err(unset)?, Arc::clone(&self.signer), stop))
    }

    /// A way to the server for questions that must be answered soon.
    fn impatient(&self) -> Result<Session, Failure> {
        self.session(Patience::none(), CancellationToken::new())
    }

    async fn introduced(&self) -> Result<(Server, Caller, String), Failure> {
        let session = self.impatient()?;
        let server = Server::ask(&session).await?;
        server.realm()?;
        let caller: Caller = session.look_up_self().await?;
        Ok((server, caller, session.origin()))
    }

    /// Whether it gets a new token by itself when one ends.
    fn renews_itself(&self) -> bool {
        matches!(self.settings.login, Login::AppRole { .. })
    }
}

#[async_trait]
impl Connector for Vault {
    async fn announce(&self) -> String {
        let address = &self.settings.address;
        match tokio::time::timeout(ANNOUNCE, self.introduced()).await {
            Ok(Ok((server, caller, origin))) => {
                format!("{address} ({}) as {} ({origin})", server.words(), caller.words())
            }
            Ok(Err(failure)) => format!("{address}, but nobody can be asked: {}", failure.said),
            Err(_) => format!("{address}, but it did not answer within 2 s"),
        }
    }

    async fn equipped(&self) -> bool {
        self.settings.references().iter().all(|reference| self.secrets.get(reference).is_ok())
    }

    async fn check(&self) -> Access {
        check::access(self).await
    }

    fn disposition(&self) -> String {
        let Settings { address, namespace, rotation_metadata, .. } = &self.settings;
        format!("{address:?} {namespace:?} {rotation_metadata:?}")
    }

    async fn discover(&self, known: &Bookmarks, to: &mut Emitter) -> Result<(), Trouble> {
        let session = self.session(self.patience, to.stop().clone()).map_err(|it| server::fatal(&it))?;
        session.web.begin();
        let server = Server::ask(&session).await.and_then(|server| server.realm());
        let caller = match server {
            Ok(_) => session.look_up_self::<Caller>().await,
            Err(failure) => return Err(server::fatal(&failure)),
        };
        let turn =
            Turn { now: to.now(), sweep_every: self.settings.sweep_every, sweep_now: known.sweep_now, full: false };
        let realm = server.map_err(|it| server::fatal(&it))?;
        let mut looking = Looking {
            session,
            settings: &self.settings,
            known,
            realm: realm.clone(),
            own: caller.as_ref().map(|it| it.own(&self.settings.namespace)).unwrap_or_default(),
            turn,
            fingerprints: &self.fingerprints,
            trail: Trail::default(),
            hints: Hints::default(),
        };
        looking.count(to).await?;
        let caller = caller.map_err(|it| server::fatal(&it))?;
        to.realm(realm).await?;
        let could = server::beyond_reading(&looking.session, &self.settings.namespace, &caller).await;
        to.eyes(could, caller.expires(self.renews_itself())).await?;
        audit::read_on(&mut looking, to).await?;
        look::all(&looking, to).await?;
        Ok(())
    }
}

/// Numbers that spread callers apart.
fn luck() -> Luck {
    // Each of these hashers begins elsewhere.
    Arc::new(|| (RandomState::new().build_hasher().finish() >> 11) as f64 / (1_u64 << 53) as f64)
}

/// The way to a server as runs have it, for tests of the gate.
#[cfg(test)]
fn tests_web(url: &str) -> Web {
    let source = tests::built(url);
    source.web(Patience::none()).unwrap()
}
