//! Registry logins of Docker, Podman and their kin.
//! It must never ask a credential helper.

use base64::{Engine, engine::general_purpose::STANDARD};
use provost_model::Kind;
use zeroize::Zeroizing;

use super::Recogniser;
use crate::host::{
    found::{Finds, Item},
    place::Place,
    tree::{Malformed, Node},
};

pub(super) const CONFIG: Recogniser = Recogniser {
    name: "docker_config",
    title: "Docker and Podman registry logins",
    keeps_secrets: true,
    takes: |place| {
        place.ends(".docker/config.json")
            || place.ends("containers/auth.json")
            || matches!(place.name(), ".dockercfg" | ".dockerconfigjson")
    },
    read,
};

fn read(_: &Place, bytes: &[u8], finds: &mut Finds<'_>) -> Result<(), Malformed> {
    let document = Node::json(bytes)?;
    // The oldest form has no `auths` around the registries.
    let auths = if document.get("auths").is_null() { &document } else { document.get("auths") };
    for (registry, entry) in auths.entries() {
        let at = |what: &str| format!("auths/{registry}/{what}");
        if let Some(decoded) =
            entry.get("auth").text().and_then(|text| STANDARD.decode(text.trim()).ok()).map(Zeroizing::new)
            && let Some(colon) = decoded.iter().position(|byte| *byte == b':')
        {
            let (user, password) = decoded.split_at(colon);
            // The password alone is the secret: the same one may be kept elsewhere without the name.
            let password = password.get(1..).unwrap_or_default();
            let password = password
                .iter()
                .position(|byte| *byte == 0)
                .map_or(password, |end| password.get(..end).unwrap_or_default());
            let item = Item::of_bytes(Kind::Password, "registry_password", at("auth"), password).service(registry);
            finds.slot(item.username(&String::from_utf8_lossy(user)));
        }
        if let Some(value) = entry.get("password").text() {
            let user = entry.get("username").text().unwrap_or_default();
            finds.slot(
                Item::new(Kind::Password, "registry_password", at("password"), value).service(registry).username(user),
            );
        }
        for (name, sort) in [("identitytoken", "registry_identity_token"), ("registrytoken", "registry_token")] {
            if let Some(value) = entry.get(name).text() {
                finds.slot(Item::new(Kind::Token, sort, at(name), value).service(registry));
            }
        }
    }
    Ok(())
}
