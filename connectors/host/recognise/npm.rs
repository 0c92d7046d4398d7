//! Registry logins of npm, pnpm and Yarn.
//! It must never take a setting that only names a file for the secret in it.

use base64::{Engine, engine::general_purpose::STANDARD};
use provost_model::Kind;
use zeroize::Zeroizing;

use super::{Recogniser, ini, text};
use crate::host::{
    found::{Finds, Item},
    place::Place,
    tree::{Malformed, Node},
};

pub(super) const NPMRC: Recogniser = Recogniser {
    name: "npmrc",
    title: "npm registry logins",
    keeps_secrets: true,
    takes: |place| place.name() == ".npmrc" || place.ends("etc/npmrc") || place.ends("pnpm/rc"),
    read: npmrc,
};

pub(super) const YARNRC: Recogniser = Recogniser {
    name: "yarnrc",
    title: "Yarn registry logins",
    keeps_secrets: false,
    takes: |place| place.name() == ".yarnrc.yml",
    read: yarnrc,
};

fn npmrc(_: &Place, bytes: &[u8], finds: &mut Finds<'_>) -> Result<(), Malformed> {
    let text = text(bytes)?;
    for (_, name, value) in ini(&text) {
        let (registry, setting) = name.rsplit_once(':').unwrap_or(("registry.npmjs.org", name));
        let registry = registry.trim_start_matches('/').trim_end_matches('/');
        match setting {
            "_authToken" => finds.slot(Item::new(Kind::Token, "npm_token", name, value).service(registry)),
            "_auth" => match STANDARD.decode(value.trim_matches('"')).ok().map(Zeroizing::new) {
                Some(decoded) => {
                    let colon = decoded.iter().position(|byte| *byte == b':').map_or(0, |at| at + 1);
                    let (_, password) = decoded.split_at(colon);
                    finds.slot(Item::of_bytes(Kind::Password, "npm_password", name, password).service(registry));
                }
                None => finds.slot(Item::new(Kind::Password, "npm_password", name, value).service(registry)),
            },
            "_password" => match STANDARD.decode(value.trim_matches('"')).ok().map(Zeroizing::new) {
                Some(decoded) => {
                    finds.slot(Item::of_bytes(Kind::Password, "npm_password", name, &decoded).service(registry))
                }
                None => finds.slot(Item::new(Kind::Password, "npm_password", name, value).service(registry)),
            },
            _ => {}
        }
    }
    Ok(())
}

fn yarnrc(_: &Place, bytes: &[u8], finds: &mut Finds<'_>) -> Result<(), Malformed> {
    for document in Node::yaml(bytes)? {
        let registries = ["npmRegistries", "npmScopes"].into_iter().flat_map(|name| document.get(name).entries());
        let everywhere = std::iter::once(("", &document));
        for (registry, entry) in everywhere.chain(registries.map(|(name, node)| (name.as_str(), node))) {
            let service = if registry.is_empty() { "registry.yarnpkg.com" } else { registry.trim_matches('/') };
            let at = |what: &str| if registry.is_empty() { what.to_owned() } else { format!("{registry}/{what}") };
            if let Some(value) = entry.get("npmAuthToken").text() {
                finds.slot(Item::new(Kind::Token, "npm_token", at("npmAuthToken"), value).service(service));
            }
            if let Some((user, password)) = entry.get("npmAuthIdent").text().and_then(|it| it.split_once(':')) {
                finds.slot(
                    Item::new(Kind::Password, "npm_password", at("npmAuthIdent"), password)
                        .service(service)
                        .username(user),
                );
            }
        }
    }
    Ok(())
}
