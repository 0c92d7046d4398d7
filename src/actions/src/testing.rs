//! What tests of sinks share: an order, a letter, a provider on this machine.
//! It must never be built into the program.

use std::sync::Arc;

use provost_model::{Clock, Decision, Errand, Kind, Order, Purpose, RecordId, Recorded, Remedy, Ruling, Target, Time};
use secrecy::SecretString;
use serde_json::{Map, Value};

use crate::{
    Letter,
    given::{Handed, Secrets},
};

#[path = "../../../tests/servers/postgres.rs"]
pub(crate) mod postgres;

#[path = "../../../tests/servers/loopback/mod.rs"]
#[allow(dead_code, reason = "shared with rooms that use more of it")]
pub(crate) mod loopback;

#[path = "../../../tests/servers/described.rs"]
pub(crate) mod described;

/// The time that tests have.
pub(crate) const NOW: Time = Time::from_seconds(1_795_000_000);

struct Standing;

impl Clock for Standing {
    fn now(&self) -> Time {
        NOW
    }
}

struct Vault;

impl Secrets for Vault {
    fn check(&self, reference: &str) -> Result<(), String> {
        let known = ["env:", "file:", "credential:"];
        if known.iter().any(|scheme| reference.starts_with(scheme)) {
            Ok(())
        } else {
            Err("a secret is never written here".to_owned())
        }
    }

    fn get(&self, reference: &str) -> Result<SecretString, String> {
        reference.strip_prefix("env:").map(SecretString::from).ok_or_else(|| "not a reference".to_owned())
    }
}

/// An errand to tell.
#[allow(clippy::disallowed_methods, reason = "a test that needs an order has no store")]
pub(crate) fn errand() -> Errand {
    let decision = Decision::Standing { policy: "p".into(), by: "ann".into() };
    Errand::from_recorded(Recorded::attest(decision, 1, NOW)).unwrap()
}

/// An order to act upon something.
#[allow(clippy::disallowed_methods, reason = "a test that needs an order has no store")]
pub(crate) fn act(remedy: Remedy) -> Order {
    let decision = Decision::Ruled {
        id: RecordId::from_bytes([1; 16]),
        subject: RecordId::from_bytes([2; 16]),
        findings: Vec::new(),
        ruling: Ruling::Act { remedy },
        by: vec!["ann".into()],
        purpose: Purpose::stated("leaver").unwrap(),
        policy: "p".into(),
    };
    Order::from_recorded(Recorded::attest(decision, 1, NOW)).unwrap()
}

/// What is to be changed.
pub(crate) fn target(kind: Kind, external_id: &str, holder_name: &str) -> Target {
    Target {
        record: RecordId::from_bytes([2; 16]),
        realm: "test/realm".into(),
        kind,
        external_id: external_id.into(),
        name: external_id.into(),
        holder_id: holder_name.into(),
        holder_name: holder_name.into(),
    }
}

/// A letter with everything in it.
pub(crate) fn letter() -> Letter {
    crate::wording::sample()
}

/// The own settings in an example of an entry, or of a place in one: without what every one has.
pub(crate) fn own_settings(example: &str) -> Value {
    let mut read = serde_json::to_value(example.parse::<toml::Table>().unwrap()).unwrap();
    let entries = &mut read["rotations"];
    let mut own = if entries.is_array() { entries[0].take() } else { entries["places"][0].take() };
    for common in ["name", "kind"] {
        own.as_object_mut().unwrap().remove(common);
    }
    own
}

/// Whether the example of an entry or a place works, and whether each of these changes of it is refused by a word about it that
/// repeats nothing of what is no setting's name.
pub(crate) fn refuses<T: ?Sized>(
    build: &dyn Fn(&Handed) -> Result<Box<T>, String>,
    example: &str,
    changes: impl IntoIterator<Item = (Value, &'static str)>,
) {
    let own = own_settings(example);
    assert!(build(&handed(own.clone())).is_ok());
    for (change, says) in changes {
        let mut settings = own.clone();
        settings.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let error = build(&handed(settings)).err().unwrap_or_else(|| panic!("takes {change}"));
        assert!(error.contains(says) && !error.contains("hunter2"), "{error}");
    }
}

/// A provider that answers by its description; `mend` is told each target, and puts right what the description makes up.
pub(crate) async fn mended(
    server: &Arc<described::Described>,
    mend: impl Fn(&str, &mut Value) + Send + Sync + 'static,
) -> loopback::Loopback {
    let server = Arc::clone(server);
    loopback::Loopback::start(move |asked| {
        let headers: Vec<(&str, &str)> = asked.headers.iter().map(|(name, is)| (name.as_str(), is.as_str())).collect();
        let (status, body) = server.pass(&asked.method, &asked.target, &headers, &asked.body);
        let mut answer: Value = serde_json::from_str(&body).unwrap_or_default();
        mend(&asked.target, &mut answer);
        loopback::Reply::new(status, &[], if status == 204 { String::new() } else { answer.to_string() })
    })
    .await
}

/// What a sink of these settings is handed. The secret that `env:x` leads to is `x`.
pub(crate) fn handed(settings: Value) -> Handed {
    let settings = match settings {
        Value::Object(settings) => settings,
        _ => Map::new(),
    };
    Handed {
        name: "test".into(),
        settings,
        template: None,
        hostname: "daemon.example".into(),
        secrets: Arc::new(Vault),
        clock: Arc::new(Standing),
    }
}
