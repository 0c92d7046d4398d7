//! What tests of everything at Amazon share: settings that lead to the Amazon of the tests.
//! It must never be built into the program.

use serde_json::{Value, json};

use crate::{given::Handed, testing::handed};

#[path = "../../../../tests/servers/aws_proxy/mod.rs"]
pub(crate) mod aws_proxy;

/// What an entry with these keys and these other settings is handed.
pub(crate) fn entry(origin: &str, (id, secret): (&str, &str), others: &Value) -> Handed {
    let mut settings = json!({
        "access_key_id": format!("env:{id}"),
        "secret_access_key": format!("env:{secret}"),
        "endpoint": origin,
        "sts_endpoint": origin,
        "region": "eu-west-1",
    });
    for (name, value) in others.as_object().unwrap() {
        settings[name] = value.clone();
    }
    handed(settings)
}
