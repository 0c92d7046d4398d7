//! What tests of those who act at an OpenBao share: the servers, and settings that lead there.
//! It must never be built into the program.

use std::{sync::Arc, time::UNIX_EPOCH};

use provost_model::{Clock, Kind, Target, Time};
use serde_json::{Value, json};

use super::Handed;

#[path = "../../../../tests/servers/openbao.rs"]
pub(crate) mod openbao;
pub(crate) use crate::testing::postgres;

struct Present;

impl Clock for Present {
    fn now(&self) -> Time {
        Time::from_micros(i64::try_from(UNIX_EPOCH.elapsed().unwrap().as_micros()).unwrap())
    }
}

/// What one is handed with these settings of its own, at that address with that token, now.
pub(crate) fn handed(address: &str, token: &str, own: &Value) -> Handed {
    let mut settings = json!({ "address": address, "token": format!("env:{token}") });
    settings.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
    Handed { clock: Arc::new(Present), ..crate::testing::handed(settings) }
}

/// What the server calls the mount at a path, by its own interface.
pub(crate) fn accessor(server: &openbao::Server, path: &str) -> String {
    let (_, answer) = server.ask("GET", &format!("sys/internal/ui/mounts/{path}"), None);
    answer["data"]["accessor"].as_str().unwrap().to_owned()
}

/// What is to be changed: named in its mount as the inventory names it.
pub(crate) fn target(kind: Kind, (accessor, rest): (&str, &str), holder: &str) -> Target {
    crate::testing::target(kind, &format!("{accessor}/{rest}"), holder)
}

/// An example's own settings.
fn own(example: &str, entry: &[&str]) -> Handed {
    let whole: toml::Table = example.parse().unwrap();
    let mut found = toml::Value::Table(whole);
    for name in entry {
        found = found.get(name).unwrap().clone();
        found = found.as_array().map_or_else(|| found.clone(), |list| list[0].clone());
    }
    let mut settings = serde_json::to_value(found).unwrap();
    let fields = settings.as_object_mut().unwrap();
    let common: Vec<String> =
        ["name", "kind"].iter().filter_map(|it| fields.remove(*it)?.as_str().map(str::to_owned)).collect();
    assert!(!common.is_empty());
    crate::testing::handed(settings)
}

#[test]
fn every_example_is_one_that_works() {
    let mut tried = 0;
    for spec in crate::rotators::ALL.iter().filter(|it| it.name.starts_with("vault_")) {
        (spec.build)(&own(spec.example, &["rotations"])).map(|_| ()).unwrap();
        tried += 1;
    }
    for spec in crate::destinations::ALL.iter().filter(|it| it.name.starts_with("vault_")) {
        (spec.build)(&own(spec.example, &["rotations", "places"])).map(|_| ()).unwrap();
        tried += 1;
    }
    assert_eq!(tried, 5);
}
