//! Accounts of the 1Password command line, and the key file of its Connect server.
//! It must never ask the command line for anything that is in a vault.

use provost_model::Kind;

use super::Recogniser;
use crate::host::{
    found::{Finds, Item},
    place::Place,
    tree::{Malformed, Node},
};

pub(super) const CONFIG: Recogniser = Recogniser {
    name: "onepassword_cli",
    title: "1Password command line accounts",
    keeps_secrets: true,
    takes: |place| place.ends(".config/op/config") || place.ends(".op/config"),
    read: config,
};

pub(super) const CONNECT: Recogniser = Recogniser {
    name: "onepassword_connect",
    title: "1Password Connect credentials",
    keeps_secrets: true,
    takes: |place| place.name() == "1password-credentials.json",
    read: connect,
};

fn config(_: &Place, bytes: &[u8], finds: &mut Finds<'_>) -> Result<(), Malformed> {
    let document = Node::json(bytes)?;
    for (index, account) in document.get("accounts").items().iter().enumerate() {
        let word = |names: &[&str]| names.iter().find_map(|name| account.get(name).text()).unwrap_or_default();
        // One of the two halves that open the account; the other is in somebody's head.
        let name = match word(&["shorthand", "userUUID"]) {
            "" => index.to_string(),
            name => name.to_owned(),
        };
        let item = Item::new(
            Kind::Secret,
            "onepassword_secret_key",
            format!("accounts/{name}/accountKey"),
            word(&["accountKey"]),
        );
        finds.slot(item.service(word(&["url"])).username(word(&["email"])).long_lived(true));
    }
    Ok(())
}

fn connect(_: &Place, bytes: &[u8], finds: &mut Finds<'_>) -> Result<(), Malformed> {
    let document = Node::json(bytes)?;
    let key = document.get("uniqueKey");
    if let Some(value) = key.get("k").text() {
        let item = Item::new(Kind::Secret, "onepassword_connect_key", "uniqueKey/k", value).long_lived(true);
        finds.slot(item.service("1password.com").opens(key.get("kid").text().unwrap_or_default()));
    }
    Ok(())
}
