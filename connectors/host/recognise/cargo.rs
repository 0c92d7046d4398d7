//! Registry tokens of cargo.
//! It must never ask a credential provider.

use provost_model::Kind;

use super::Recogniser;
use crate::host::{
    found::{Finds, Item},
    place::Place,
    tree::{Malformed, Node},
};

pub(super) const CREDENTIALS: Recogniser = Recogniser {
    name: "cargo_credentials",
    title: "cargo registry tokens",
    keeps_secrets: true,
    takes: |place| place.ends(".cargo/credentials.toml") || place.ends(".cargo/credentials"),
    read,
};

fn read(_: &Place, bytes: &[u8], finds: &mut Finds<'_>) -> Result<(), Malformed> {
    let document = Node::toml(bytes)?;
    let mut registry = |name: &str, service: &str, entry: &Node| {
        if let Some(value) = entry.get("token").text() {
            finds.slot(Item::new(Kind::Token, "cargo_token", format!("{name}/token"), value).service(service));
        }
        if let Some(value) = entry.get("secret-key").text() {
            finds.slot(
                Item::new(Kind::Secret, "cargo_secret_key", format!("{name}/secret-key"), value).service(service),
            );
        }
    };
    registry("registry", "crates.io", document.get("registry"));
    for (name, entry) in document.get("registries").entries() {
        registry(&format!("registries/{name}"), name, entry);
    }
    Ok(())
}
