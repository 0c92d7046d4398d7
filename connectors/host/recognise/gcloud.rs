//! Files of the Google Cloud command line, and key files of service accounts wherever they lie.
//! It must never open its databases: that they are there is what is said.

use provost_model::{Kind, field};

use super::Recogniser;
use crate::host::{
    found::{Finds, Item},
    pem_blocks,
    place::Place,
    tree::{Malformed, Node},
};

pub(super) const CREDENTIALS: Recogniser = Recogniser {
    name: "gcloud_credentials",
    title: "Google Cloud application default and legacy credentials",
    keeps_secrets: true,
    takes: |place| {
        place.name() == "application_default_credentials.json"
            || (place.below("gcloud/legacy_credentials") && place.name() == "adc.json")
    },
    read,
};

pub(super) const DATABASES: Recogniser = Recogniser {
    name: "gcloud_database",
    title: "Google Cloud credential databases",
    keeps_secrets: true,
    takes: |place| place.ends("gcloud/credentials.db") || place.ends("gcloud/access_tokens.db"),
    read: |_, _, finds| {
        finds.closed("gcloud_database", "", "kept in a database that is not opened");
        Ok(())
    },
};

pub(super) const KEY_FILES: Recogniser = Recogniser {
    name: "google_key_file",
    title: "Google service account key files, by name",
    keeps_secrets: false,
    takes: |place| {
        let name = place.name().to_ascii_lowercase();
        let words = [
            "service-account",
            "service_account",
            "serviceaccount",
            "credential",
            "sa-key",
            "sa_key",
            "gcp",
            "gcloud",
            "firebase",
        ];
        place.has_extension("json") && words.iter().any(|word| name.contains(word))
    },
    read: |place, bytes, finds| {
        // Many files bear such names; only one that says what it is counts.
        match Node::json(bytes) {
            Ok(document) if document.get("type").text() == Some("service_account") => read(place, bytes, finds),
            _ => Ok(()),
        }
    },
};

fn read(_: &Place, bytes: &[u8], finds: &mut Finds<'_>) -> Result<(), Malformed> {
    let document = Node::json(bytes)?;
    let word = |name: &str| document.get(name).text().unwrap_or_default();
    let account = if word("client_email").is_empty() { word("account") } else { word("client_email") };
    if let Some(value) = document.get("refresh_token").text() {
        finds.slot(
            Item::new(Kind::Token, "google_refresh_token", "refresh_token", value)
                .service("googleapis.com")
                .username(account),
        );
    }
    if let Some(value) = document.get("client_secret").text() {
        let item = Item::new(Kind::ClientSecret, "google_client_secret", "client_secret", value);
        finds.slot(item.service("googleapis.com").opens(word("client_id")));
    }
    key(&document, "private_key", finds);
    Ok(())
}

/// The private key of a key file, at a position of whatever holds the file's content.
pub(super) fn key(document: &Node, position: &str, finds: &mut Finds<'_>) {
    let Some(value) = document.get("private_key").text() else { return };
    let word = |name: &str| document.get(name).text().filter(|word| !word.is_empty()).map(str::to_owned);
    let found = pem_blocks::first_private_key(value.as_bytes());
    pem_blocks::keep_private_key(found, (Kind::Secret, "google_service_account_key"), position, finds, |mut facts| {
        facts.set(field::SERVICE, "googleapis.com".to_owned());
        facts.set(field::LONG_LIVED, true);
        if let Some(account) = word("client_email").or_else(|| word("account")) {
            facts.set(field::USERNAME, account);
        }
        if let Some(id) = word("private_key_id") {
            facts.set(field::KEY_ID, id.clone());
            facts.set(field::OPENS, id);
        }
        facts
    });
}
