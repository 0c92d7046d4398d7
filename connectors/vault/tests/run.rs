//! One run as a test hears it.
//! It must never keep what a run said from the assertions: every event is counted.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use provost_model::{Clock, Cover, Entity, Kind, Reading, Sighting, Span, Time, Trouble, Why};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{Bookmarks, Connector, Emitter, Event, Source, fingerprint::FingerprintKey, spec::Secrets, vault::SPEC};

/// A clock that stands, so many seconds from the wall's.
#[derive(Clone)]
pub(super) struct Standing(pub(super) Time);

impl Clock for Standing {
    fn now(&self) -> Time {
        self.0
    }
}

/// Secrets as the environment would hold them.
pub(super) struct Held(pub(super) Mutex<BTreeMap<String, String>>);

impl Secrets for Held {
    fn check(&self, reference: &str) -> Result<(), String> {
        if reference.starts_with("env:") { Ok(()) } else { Err("no reference".to_owned()) }
    }

    fn get(&self, reference: &str) -> Result<SecretString, String> {
        let held = self.0.lock().unwrap();
        held.get(reference).cloned().map(SecretString::from).ok_or_else(|| format!("{reference} is not there"))
    }
}

/// A source of this kind, built as the daemon would build it.
pub(super) fn source(settings: Value, secrets: &[(&str, &str)]) -> Box<dyn Connector> {
    let held = secrets.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let source = Source {
        name: "vault".to_owned(),
        settings: settings.as_object().unwrap().clone(),
        fingerprints: Arc::new(FingerprintKey::new("k1", [7; 32])),
        secrets: Arc::new(Held(Mutex::new(held))),
        clock: Arc::new(Standing(Time::from_seconds(0))),
    };
    (SPEC.build)(&source).unwrap()
}

/// A source that looks with this token.
pub(super) fn with_token(url: &str, token: &str, more: Value) -> Box<dyn Connector> {
    let mut settings = json!({"address": url, "token": "env:T", "pace": "full", "in_flight": 16});
    for (name, value) in more.as_object().unwrap() {
        settings[name] = value.clone();
    }
    source(settings, &[("env:T", token)])
}

/// Everything one run said.
#[derive(Default)]
pub(super) struct Said {
    pub(super) realm: String,
    /// By scope.
    pub(super) entities: Vec<(String, Entity)>,
    pub(super) covers: BTreeMap<String, &'static str>,
    /// Parts covered in full, by scope, with how many things were seen in each.
    pub(super) parts: BTreeMap<(String, String), usize>,
    pub(super) gone: usize,
    pub(super) troubles: Vec<Trouble>,
    pub(super) calls: BTreeMap<String, u64>,
    pub(super) next: Bookmarks,
    pub(super) eyes: Option<(Reading<Vec<String>>, Reading<Time>)>,
}

impl Said {
    /// Things of a kind, by external id: what several scopes say of one is put together.
    pub(super) fn of(&self, kind: Kind) -> BTreeMap<String, Entity> {
        let mut found: BTreeMap<String, Entity> = BTreeMap::new();
        for (_, entity) in self.entities.iter().filter(|(_, it)| it.key.kind == kind) {
            let known = found.entry(entity.key.external.clone()).or_insert_with(|| entity.clone());
            for (field, reading) in entity.facts.iter() {
                if matches!(reading, Reading::Known(_)) || !known.facts.reading(field).is_answered() {
                    known.facts.set_value(field, reading.clone());
                }
            }
        }
        found
    }

    /// The one of that kind and name.
    pub(super) fn named(&self, kind: Kind, name: &str) -> Entity {
        let found: Vec<Entity> = self
            .of(kind)
            .into_values()
            .filter(|it| it.facts.get(provost_model::field::NAME).known().as_deref() == Some(name))
            .collect();
        assert_eq!(found.len(), 1, "{kind} {name}: {found:#?}");
        found.into_iter().next().unwrap()
    }

    pub(super) fn sent(&self) -> u64 {
        self.calls.values().sum()
    }

    /// Troubles that make a run partial.
    pub(super) fn amiss(&self) -> Vec<String> {
        let amiss = self.troubles.iter().filter(|it| !it.blind_spot);
        amiss.map(|it| format!("{}: {} {}", it.place, it.why.word(), it.said)).collect()
    }

    /// Places that are declared blind.
    pub(super) fn blind(&self) -> BTreeSet<&str> {
        self.troubles.iter().filter(|it| it.blind_spot).map(|it| it.place.as_str()).collect()
    }

    pub(super) fn why(&self, place: &str) -> Option<Why> {
        self.troubles.iter().find(|trouble| trouble.place == place).map(|trouble| trouble.why)
    }
}

/// A run, now.
pub(super) async fn run(source: &dyn Connector, known: &Bookmarks) -> (Result<(), Trouble>, Said) {
    run_after(source, known, Span::seconds(0)).await
}

/// A run so much later.
pub(super) async fn run_after(source: &dyn Connector, known: &Bookmarks, later: Span) -> (Result<(), Trouble>, Said) {
    let now = Time::from_micros(i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_micros()).unwrap()) + later;
    let (out, mut events) = mpsc::channel(16);
    let mut to = Emitter::new(out, Arc::new(Standing(now)), CancellationToken::new());
    let before = known.cursors.clone();
    let hearing = tokio::spawn(async move {
        let mut said = Said::default();
        said.next.cursors = before;
        while let Some(batch) = events.recv().await {
            batch.into_iter().for_each(|event| hear(&mut said, event));
        }
        said
    });
    let result = source.discover(known, &mut to).await;
    to.flush().await.unwrap();
    drop(to);
    (result, hearing.await.unwrap())
}

fn hear(said: &mut Said, event: Event) {
    match event {
        Event::Realm(realm) => said.realm = realm.to_string(),
        Event::See { scope, part, sightings, .. } => {
            for sighting in sightings {
                match sighting {
                    Sighting::Present(entity) => {
                        if let Some(part) = &part {
                            *said.parts.entry((scope.path.clone(), part.clone())).or_default() += 1;
                        }
                        said.entities.push((scope.path.clone(), entity));
                    }
                    Sighting::Gone(_) => said.gone += 1,
                }
            }
        }
        Event::Cover { scope, part: Some(part), .. } => {
            said.parts.entry((scope.path, part)).or_default();
        }
        Event::Cover { scope, cover, part: None, .. } => {
            if let Some(next) = cover.next() {
                said.next.cursors.insert(scope.path.clone(), next.clone());
            }
            assert!(!matches!(cover, Cover::Partial { .. }) || !said.troubles.is_empty(), "partial without a reason");
            said.covers.insert(scope.path, cover.word());
        }
        Event::Trouble(trouble) => said.troubles.push(trouble),
        Event::Eyes { could_write, expires_at } => said.eyes = Some((could_write, expires_at)),
        Event::Call { operation, .. } => *said.calls.entry(operation).or_default() += 1,
        _ => {}
    }
}
