//! Caches of the Azure command line.
//! It must never guess what an encrypted cache holds.

use provost_model::{Kind, Time};

use super::Recogniser;
use crate::host::{
    found::{Finds, Item},
    place::Place,
    tree::{Malformed, Node},
};

pub(super) const CACHES: Recogniser = Recogniser {
    name: "azure_cli",
    title: "Azure command line caches",
    keeps_secrets: true,
    takes: |place| {
        let names = ["accessTokens", "msal_token_cache", "service_principal_entries"];
        place.parent() == ".azure"
            && names
                .iter()
                .any(|name| place.name().strip_prefix(name).is_some_and(|end| matches!(end, ".json" | ".bin")))
    },
    read,
};

fn read(place: &Place, bytes: &[u8], finds: &mut Finds<'_>) -> Result<(), Malformed> {
    if place.has_extension("bin") {
        finds.closed("azure_cache", "", "encrypted by the client with a key of the login session");
        return Ok(());
    }
    let document = Node::json(bytes)?;
    for (index, entry) in document.items().iter().enumerate() {
        entry_of_list(index, entry, finds);
    }
    // The cache of MSAL: sections of entries by their own long names.
    for (section, sort) in
        [("AccessToken", "azure_access_token"), ("RefreshToken", "azure_refresh_token"), ("IdToken", "azure_id_token")]
    {
        for (name, entry) in document.get(section).entries() {
            let Some(value) = entry.get("secret").text() else { continue };
            let ends = entry.get("expires_on").scalar().and_then(|it| it.parse().ok()).map(Time::from_seconds);
            let service = entry.get("environment").text().unwrap_or("login.microsoftonline.com");
            finds.slot(Item::new(Kind::Token, sort, format!("{section}/{name}"), value).service(service).expires(ends));
        }
    }
    Ok(())
}

/// The older caches are lists: of tokens, or of service principals with their secrets.
fn entry_of_list(index: usize, entry: &Node, finds: &mut Finds<'_>) {
    let word = |names: &[&str]| names.iter().find_map(|name| entry.get(name).text()).unwrap_or_default();
    let principal = word(&["client_id", "servicePrincipalId"]);
    let user = word(&["userId"]);
    let label = if principal.is_empty() { index.to_string() } else { principal.to_owned() };
    for (name, kind, sort) in [
        ("accessToken", Kind::Token, "azure_access_token"),
        ("refreshToken", Kind::Token, "azure_refresh_token"),
        ("client_secret", Kind::ClientSecret, "azure_client_secret"),
        ("certificate", Kind::Secret, "azure_client_certificate_file"),
    ] {
        let Some(value) = entry.get(name).text() else { continue };
        if name == "certificate" {
            // A path: the key itself is found where it lies.
            continue;
        }
        let label = if name.ends_with("Token") { index.to_string() } else { label.clone() };
        let item = Item::new(kind, sort, format!("{label}/{name}"), value).service("login.microsoftonline.com");
        finds.slot(item.username(user).opens(if kind == Kind::ClientSecret { principal } else { "" }));
    }
}
