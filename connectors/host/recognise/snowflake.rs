//! Connections of the Snowflake command lines and drivers, and the tokens they cache.
//! It must never take the path of a key file for the key.
//! Source: "Configure Snowflake CLI", "Configuring SnowSQL", and the drivers' file credential manager.

use provost_model::Kind;

use super::{Recogniser, ini, text};
use crate::host::{
    found::{Finds, Item},
    pem_blocks,
    place::Place,
    tree::{Malformed, Node},
};

pub(super) const CONNECTIONS: Recogniser = Recogniser {
    name: "snowflake_connections",
    title: "Snowflake connections",
    keeps_secrets: true,
    takes: |place| {
        matches!(place.parent(), ".snowflake" | "snowflake")
            && matches!(place.name(), "config.toml" | "connections.toml")
    },
    read: connections,
};

pub(super) const SNOWSQL: Recogniser = Recogniser {
    name: "snowsql_config",
    title: "SnowSQL connections",
    keeps_secrets: true,
    takes: |place| place.ends(".snowsql/config") || matches!(place.name(), ".snowsql.cnf" | "snowsql.cnf"),
    read: snowsql,
};

pub(super) const CACHE: Recogniser = Recogniser {
    name: "snowflake_cache",
    title: "Snowflake sign-in caches",
    keeps_secrets: true,
    takes: |place| {
        place.has_extension("json")
            && (place.name().starts_with("credential_cache_v")
                || (place.parent() == "snowflake" && place.name() == "temporary_credential.json"))
    },
    read: cache,
};

/// What an option of a connection holds; names as the drivers have them.
fn secret(option: &str) -> Option<(Kind, &'static str)> {
    match option {
        "password" => Some((Kind::Password, "snowflake_password")),
        "token" => Some((Kind::Token, "snowflake_token")),
        "oauth_client_secret" => Some((Kind::ClientSecret, "snowflake_client_secret")),
        "private_key_passphrase" | "private_key_file_pwd" => Some((Kind::Password, "snowflake_key_passphrase")),
        "proxy_password" => Some((Kind::Password, "proxy_password")),
        _ => None,
    }
}

fn connections(place: &Place, bytes: &[u8], finds: &mut Finds<'_>) -> Result<(), Malformed> {
    let document = Node::toml(bytes)?;
    let listed = if place.name() == "connections.toml" { &document } else { document.get("connections") };
    for (name, connection) in listed.entries() {
        let word = |option: &str| connection.get(option).text().unwrap_or_default();
        for (option, node) in connection.entries() {
            let position = format!("{name}/{option}");
            let Some(value) = node.text() else { continue };
            if option == "private_key_raw" {
                let key = pem_blocks::first_private_key(value.as_bytes());
                let sort = (Kind::Secret, "snowflake_private_key");
                pem_blocks::keep_private_key(key, sort, &position, finds, |facts| facts);
            } else if let Some((kind, sort)) = secret(option) {
                let opens = if kind == Kind::ClientSecret { word("oauth_client_id") } else { "" };
                let user = if option.starts_with("p") && sort == "proxy_password" { "proxy_user" } else { "user" };
                finds.slot(
                    Item::new(kind, sort, position, value).service(word("account")).username(word(user)).opens(opens),
                );
            }
        }
    }
    Ok(())
}

fn snowsql(_: &Place, bytes: &[u8], finds: &mut Finds<'_>) -> Result<(), Malformed> {
    let text = text(bytes)?;
    let lines: Vec<_> = ini(&text).filter(|(section, ..)| section.starts_with("connections")).collect();
    for (section, name, value) in &lines {
        let Some((kind, sort)) = secret(name) else { continue };
        let beside = |wanted: &str| {
            let found = lines.iter().find(|(its, name, _)| its == section && *name == wanted);
            found.map(|(_, _, value)| value.trim_matches(['"', '\''])).unwrap_or_default()
        };
        let item = Item::new(kind, sort, format!("{section}/{name}"), value);
        finds.slot(item.service(beside("accountname")).username(beside("username")));
    }
    Ok(())
}

/// Tokens by a digest of host, user and sort, or in the older file by account and then by user and sort.
fn cache(_: &Place, bytes: &[u8], finds: &mut Finds<'_>) -> Result<(), Malformed> {
    let document = Node::json(bytes)?;
    for (name, entry) in document.get("tokens").entries() {
        if let Some(value) = entry.text() {
            let position = format!("tokens/{name}");
            finds.slot(Item::new(Kind::Token, "snowflake_cached_token", position, value).service("snowflake"));
        }
    }
    for (account, entries) in document.entries().iter().filter(|(name, _)| name != "tokens") {
        for (name, entry) in entries.entries() {
            if let Some(value) = entry.text() {
                let position = format!("{account}/{name}");
                finds.slot(Item::new(Kind::Token, "snowflake_cached_token", position, value).service(account));
            }
        }
    }
    Ok(())
}
