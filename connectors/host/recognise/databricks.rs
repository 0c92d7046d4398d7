//! Profiles and sign-in cache of the Databricks command line and SDKs.
//! It must never take what a profile says of the way to sign in for a secret.
//! Source: "Databricks configuration profiles" and the unified authentication of the SDKs.

use provost_model::{Kind, Time};

use super::{Recogniser, ini, text};
use crate::host::{
    found::{Finds, Item},
    place::Place,
    tree::{Malformed, Node},
};

pub(super) const PROFILES: Recogniser = Recogniser {
    name: "databricks_profiles",
    title: "Databricks profiles",
    keeps_secrets: true,
    takes: |place| place.name() == ".databrickscfg",
    read: profiles,
};

pub(super) const CACHE: Recogniser = Recogniser {
    name: "databricks_cache",
    title: "Databricks sign-in cache",
    keeps_secrets: true,
    takes: |place| place.ends(".databricks/token-cache.json"),
    read: cache,
};

fn profiles(_: &Place, bytes: &[u8], finds: &mut Finds<'_>) -> Result<(), Malformed> {
    let text = text(bytes)?;
    let lines: Vec<_> = ini(&text).collect();
    for (section, name, value) in &lines {
        let beside = |wanted: &str| {
            let found = lines.iter().find(|(its, name, _)| its == section && *name == wanted);
            found.map(|(_, _, value)| *value).unwrap_or_default()
        };
        let (kind, sort, opens) = match *name {
            "token" => (Kind::Token, "databricks_token", ""),
            "password" => (Kind::Password, "databricks_password", ""),
            "client_secret" => (Kind::ClientSecret, "databricks_client_secret", beside("client_id")),
            "azure_client_secret" => (Kind::ClientSecret, "azure_client_secret", beside("azure_client_id")),
            _ => continue,
        };
        let item = Item::new(kind, sort, format!("{section}/{name}"), value).opens(opens);
        let item =
            item.service(if sort == "azure_client_secret" { "login.microsoftonline.com" } else { beside("host") });
        finds.slot(item.username(if kind == Kind::Password { beside("username") } else { "" }));
    }
    Ok(())
}

fn cache(_: &Place, bytes: &[u8], finds: &mut Finds<'_>) -> Result<(), Malformed> {
    let document = Node::json(bytes)?;
    for (host, entry) in document.get("tokens").entries() {
        let ends = entry.get("expiry").text().and_then(|text| text.parse::<Time>().ok());
        for (name, sort, ends) in
            [("access_token", "databricks_access_token", ends), ("refresh_token", "databricks_refresh_token", None)]
        {
            if let Some(value) = entry.get(name).text() {
                let position = format!("tokens/{host}/{name}");
                finds.slot(Item::new(Kind::Token, sort, position, value).service(host).expires(ends));
            }
        }
    }
    Ok(())
}
