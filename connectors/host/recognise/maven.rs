//! Server logins of Maven.
//! It must never open what the file keeps encrypted.
//! Source: "Settings Reference" and "Password Encryption" of Apache Maven.

use provost_model::Kind;

use super::Recogniser;
use crate::host::{
    environment::speaks_of,
    found::{Finds, Item},
    place::Place,
    tree::{Malformed, Node},
};

pub(super) const SETTINGS: Recogniser = Recogniser {
    name: "maven_settings",
    title: "Maven server logins",
    keeps_secrets: false,
    takes: |place| place.name() == "settings.xml" && matches!(place.parent(), ".m2" | "conf" | ".mvn" | "maven"),
    read: settings,
};

pub(super) const SECURITY: Recogniser = Recogniser {
    name: "maven_security",
    title: "Maven master passwords",
    keeps_secrets: true,
    takes: |place| matches!(place.name(), "settings-security.xml" | "settings-security4.xml"),
    read: security,
};

/// Encrypted texts stand in braces, and may have words before them; `${…}` is a reference.
fn is_encrypted(text: &str) -> bool {
    text.ends_with('}') && text.find('{').is_some_and(|at| !text.get(..at).is_some_and(|before| before.ends_with('$')))
}

fn settings(_: &Place, bytes: &[u8], finds: &mut Finds<'_>) -> Result<(), Malformed> {
    let document = Node::xml(bytes)?;
    let settings = document.get("settings");
    let servers = settings.get("servers").each("server").map(|it| ("servers", it));
    let proxies = settings.get("proxies").each("proxy").map(|it| ("proxies", it));
    for (list, entry) in servers.chain(proxies) {
        let word = |name: &str| entry.get(name).text().unwrap_or_default();
        let service = if word("host").is_empty() { word("id") } else { word("host") };
        for (name, sort) in [("password", "maven_password"), ("passphrase", "maven_key_passphrase")] {
            let position = format!("{list}/{}/{name}", word("id"));
            let item =
                Item::new(Kind::Password, sort, position, word(name)).service(service).username(word("username"));
            if is_encrypted(word(name)) {
                finds.sealed(item, "encrypted with the master password of settings-security.xml");
            } else {
                finds.slot(item);
            }
        }
        for header in entry.get("configuration").get("httpHeaders").each("property") {
            let name = header.get("name").text().unwrap_or_default();
            let value = header.get("value").text().unwrap_or_default();
            if speaks_of(name).is_some() || name.eq_ignore_ascii_case("authorization") {
                let position = format!("{list}/{}/httpHeaders/{name}", word("id"));
                finds.value(Item::new(Kind::Token, "maven_header", position, value).service(service));
            }
        }
    }
    Ok(())
}

/// The master password is kept under a word that is the same in every Maven: whoever reads the file can open it.
fn security(_: &Place, bytes: &[u8], finds: &mut Finds<'_>) -> Result<(), Malformed> {
    let document = Node::xml(bytes)?;
    let Some(master) = document.get("settingsSecurity").get("master").text() else { return Ok(()) };
    let item = Item::new(Kind::Password, "maven_master_password", "master", master);
    if is_encrypted(master) {
        finds.veiled(item, "encrypted under a word that every Maven knows: as good as written out");
    } else {
        finds.slot(item);
    }
    Ok(())
}
