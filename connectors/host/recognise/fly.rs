//! Login of the Fly.io command line, and the keys of its private networks.
//! It must never take the public half of a peer for a secret.

use provost_model::Kind;

use super::Recogniser;
use crate::host::{
    found::{Finds, Item},
    place::Place,
    tree::{Malformed, Node},
};

pub(super) const CONFIG: Recogniser = Recogniser {
    name: "fly_config",
    title: "Fly.io logins",
    keeps_secrets: true,
    takes: |place| place.ends(".fly/config.yml"),
    read,
};

fn read(_: &Place, bytes: &[u8], finds: &mut Finds<'_>) -> Result<(), Malformed> {
    for document in Node::yaml(bytes)? {
        for (name, sort) in [("access_token", "fly_token"), ("metrics_token", "fly_metrics_token")] {
            // One setting holds several tokens, for several organisations, each of which is a secret by itself.
            let tokens = document.get(name).text().unwrap_or_default();
            let tokens = tokens.strip_prefix("FlyV1 ").unwrap_or(tokens);
            for (index, value) in tokens.split(',').enumerate() {
                let position = if index == 0 { name.to_owned() } else { format!("{name}/{}", index + 1) };
                finds.slot(Item::new(Kind::Token, sort, position, value).service("api.fly.io"));
            }
        }
        for (organisation, peer) in document.get("wire_guard_state").entries() {
            if let Some(value) = peer.get("localprivate").text() {
                let position = format!("wire_guard_state/{organisation}/localprivate");
                finds.slot(Item::new(Kind::Secret, "wireguard_private_key", position, value).service("api.fly.io"));
            }
        }
    }
    Ok(())
}
