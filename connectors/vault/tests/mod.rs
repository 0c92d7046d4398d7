//! Whole runs: against a real OpenBao, and against a proxy before it that does what real servers do rarely.
//! It must never need a network beyond this machine.
#![allow(dead_code, reason = "helpers are shared by tests of which some need a real server")]

mod denied;
mod faults;
mod generic;
#[path = "../../../tests/servers/openbao.rs"]
mod openbao;
#[path = "../../../tests/servers/postgres.rs"]
mod postgres;
mod run;
mod truth;
mod warm;

pub(crate) use self::generic::Recorded;

/// A source of this kind, with the root token and little patience.
pub(super) fn built(url: &str) -> super::Vault {
    use std::{
        collections::BTreeMap,
        sync::{Arc, Mutex},
    };
    let settings = serde_json::json!({"address": url, "token": "env:T", "pace": "full", "in_flight": 16});
    let settings = super::Settings::read(settings.as_object().unwrap()).unwrap();
    let held = BTreeMap::from([("env:T".to_owned(), openbao::ROOT.to_owned())]);
    let secrets: Arc<dyn crate::spec::Secrets> = Arc::new(run::Held(Mutex::new(held)));
    let signer = super::Signer::new(settings.login.clone(), String::new(), Arc::clone(&secrets));
    let quick = std::time::Duration::from_millis(5);
    let patience =
        super::Patience { throttled: 2, unavailable: 2, first: quick, longest: quick, ..super::Patience::default() };
    super::Vault {
        settings,
        patience,
        secrets,
        egress: super::Egress::default(),
        fingerprints: Arc::new(super::FingerprintKey::new("k1", [7; 32])),
        signer: Arc::new(signer),
    }
}
