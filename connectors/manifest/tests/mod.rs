//! Manifests from outside: what is wrong with one, what the shipped ones make of recorded pages and of generated estates.
//! It must never need a network.

mod lint;
mod overlay;
mod recorded;
mod run;
mod truth;

use std::{path::PathBuf, sync::Arc, time::Duration};

use provost_client::{Limits, Patience};
use provost_model::Clock;
use serde_json::{Map, Value};

pub(crate) use self::recorded::estates;
use super::{Depth, Manifest, SHIPPED, Trust};
use crate::{Connector, Source, fingerprint::FingerprintKey, testing::Told};

/// What stands where a credential belongs.
const TOKEN: &str = "test-token";

/// A shipped manifest.
fn shipped(name: &str) -> Arc<Manifest> {
    let all = SHIPPED.iter().map(|text| Manifest::parse(text).unwrap());
    Arc::new(all.into_iter().find(|manifest| manifest.name == name).unwrap())
}

/// Names of all shipped manifests.
fn names() -> Vec<String> {
    SHIPPED.iter().map(|text| Manifest::parse(text).unwrap().name).collect()
}

/// A source of that manifest at that address, with what it needs to send no call for a token.
fn source(manifest: &Manifest, base: &str, settings: &[(&str, &str)]) -> Source {
    let mut table = Map::from_iter([("base_url".to_owned(), Value::from(base)), ("pace".to_owned(), "full".into())]);
    for slot in manifest.plain_slots() {
        table.insert(slot, "env:TOKEN".into());
    }
    for (name, value) in settings {
        table.insert((*name).to_owned(), (*value).into());
    }
    for name in manifest.settings.keys() {
        table.entry(name.clone()).or_insert_with(|| format!("the-{name}").into());
    }
    Source {
        name: manifest.name.clone(),
        settings: table,
        fingerprints: Arc::new(FingerprintKey::new("k1".to_owned(), [7; 32])),
        secrets: Arc::new(Told::new([("env:TOKEN", TOKEN)])),
        clock: Arc::new(Fixed),
    }
}

/// Eyes that try once, and do not wait for long.
fn eyes(manifest: &Arc<Manifest>, source: &Source) -> Box<dyn Connector> {
    let limits = Limits { attempt: Duration::from_secs(2), ..Limits::default() };
    manifest.eyes((source, Trust::Shipped), Depth::Whole, (limits, Patience::none())).unwrap()
}

struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> provost_model::Time {
        "2026-11-24T06:00:00Z".parse().unwrap()
    }
}

/// Where recorded pages are.
fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/manifests")
}

/// Whether fixtures are written anew.
fn writes() -> bool {
    std::env::var_os("PROVOST_UPDATE_DOCS").is_some()
}
