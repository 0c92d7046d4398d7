//! Whole runs against a counterpart on loopback, and against GitHub's own descriptions where they are.
//! It must never need a network or a clock of the wall.

mod changes;
#[path = "../../../tests/servers/github/mod.rs"]
mod counterpart;
mod described;
mod faults;
mod figures;
mod generic;
mod ledger;
mod schema;

use std::sync::{Arc, Mutex};

use provost_client::Patience;
use provost_model::{Clock, Time, Trouble};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub(crate) use self::generic::Acme;
use self::{
    counterpart::{app, estate, server},
    ledger::Ledger,
    server::Server,
};
use super::{GitHub, documents, settings::Settings};
use crate::{Connector, Emitter, Source, fingerprint::FingerprintKey, testing::Told};

/// When tests begin.
const NOW: &str = "2026-11-29T00:00:00Z";

/// A clock that is set.
#[derive(Clone)]
struct Hands(Arc<Mutex<Time>>);

impl Hands {
    fn at(text: &str) -> Self {
        Self(Arc::new(Mutex::new(text.parse().unwrap())))
    }

    fn set(&self, text: &str) {
        *self.0.lock().unwrap() = text.parse().unwrap();
    }
}

impl Clock for Hands {
    fn now(&self) -> Time {
        *self.0.lock().unwrap()
    }
}

/// A source at a counterpart, with what it was told so far.
struct Place {
    clock: Hands,
    connector: Box<dyn Connector>,
    ledger: Ledger,
}

impl Place {
    /// A source that looks as the App.
    fn as_app(server: &Server) -> Self {
        Self::new(json!({"base_url": server.url, "app_id": app::ID, "private_key": "env:KEY"}))
    }

    /// A source that looks with a token at one organization.
    fn with_token(url: &str, organization: &str) -> Self {
        Self::new(json!({"base_url": url, "token": "env:TOKEN", "organizations": [organization]}))
    }

    fn new(mut settings: Value) -> Self {
        let clock = Hands::at(NOW);
        settings.as_object_mut().unwrap().insert("pace".into(), "full".into());
        let github = github(&source(settings, &clock)).unwrap();
        Self { clock, connector: Box::new(github), ledger: Ledger::default() }
    }

    /// One run.
    async fn run(&mut self) -> Result<(), Trouble> {
        self.ledger.begin();
        let (out, mut events) = mpsc::channel(64);
        let mut to = Emitter::new(out, Arc::new(self.clock.clone()), CancellationToken::new());
        let known = self.ledger.next.clone();
        let looking = async {
            let result = self.connector.discover(&known, &mut to).await;
            to.flush().await.unwrap();
            drop(to);
            result
        };
        let ledger = &mut self.ledger;
        let hearing = async {
            while let Some(batch) = events.recv().await {
                batch.into_iter().for_each(|event| ledger.hear(event));
            }
        };
        let (result, ()) = tokio::join!(looking, hearing);
        result
    }

    /// One run that must not fail.
    async fn scan(&mut self) -> &Ledger {
        self.run().await.unwrap();
        &self.ledger
    }
}

#[test]
fn a_secret_in_the_settings_is_refused_and_not_repeated() {
    let token = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";
    for table in [json!({"token": token, "organizations": ["a"]}), json!({"app_id": 1, "private_key": token})] {
        let error = github(&source(table, &Hands::at(NOW))).err().unwrap();
        assert!(error.contains("reference") && !error.contains("ghp_"), "{error}");
    }
}

/// Eyes as an entry says, which do not try twice.
fn github(source: &Source) -> Result<GitHub, String> {
    GitHub::new(Settings::read(&source.settings)?, source, Patience::none())
}

/// An entry with those settings, and the secrets that tests refer to.
fn source(settings: Value, clock: &Hands) -> Source {
    Source {
        name: "github".into(),
        settings: settings.as_object().unwrap().clone(),
        fingerprints: Arc::new(FingerprintKey::new("k1", [7; 32])),
        secrets: Arc::new(Told::new([("env:KEY", &app::pem()), ("env:TOKEN", "test-token")])),
        clock: Arc::new(clock.clone()),
    }
}
