//! Remotes of rclone.
//! It must never take a veiled password for an encrypted one: the key of the veil is in every copy of rclone.
//! Source: rclone's documentation of `rclone obscure` and of configuration encryption, and its `fs/config/obscure`.

use aws_lc_rs::{
    cipher::{AES_256, DecryptingKey, DecryptionContext, UnboundCipherKey},
    iv::FixedLength,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use provost_model::{Kind, Time};
use zeroize::Zeroizing;

use super::{Recogniser, gcloud, ini, text};
use crate::host::{
    environment::speaks_of,
    found::{Finds, Item},
    place::Place,
    tree::{Malformed, Node},
};

pub(super) const CONFIG: Recogniser = Recogniser {
    name: "rclone_config",
    title: "rclone remotes",
    keeps_secrets: true,
    takes: |place| matches!(place.name(), "rclone.conf" | ".rclone.conf"),
    read,
};

/// The key with which `rclone obscure` veils; published with its source.
pub(in crate::host) const VEIL: [u8; 32] = [
    0x9c, 0x93, 0x5b, 0x48, 0x73, 0x0a, 0x55, 0x4d, 0x6b, 0xfd, 0x7c, 0x63, 0xc8, 0x86, 0xa9, 0x2b, 0xd3, 0x90, 0x19,
    0x8e, 0xb8, 0x12, 0x8a, 0xfb, 0xf4, 0xde, 0x16, 0x2b, 0x8b, 0x95, 0xf6, 0x38,
];

/// The settings of one remote.
struct Remote<'t> {
    name: &'t str,
    settings: Vec<(&'t str, &'t str)>,
}

fn read(_: &Place, bytes: &[u8], finds: &mut Finds<'_>) -> Result<(), Malformed> {
    let text = text(bytes)?;
    let mut said = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', ';']));
    if said.next().is_some_and(|line| line.starts_with("RCLONE_ENCRYPT_")) {
        finds.closed("rclone_config", "", "the configuration is encrypted with a password of its own");
        return Ok(());
    }
    let mut remotes: Vec<Remote<'_>> = Vec::new();
    for (section, name, value) in ini(&text) {
        match remotes.last_mut().filter(|remote| remote.name == section) {
            Some(remote) => remote.settings.push((name, value)),
            None => remotes.push(Remote { name: section, settings: vec![(name, value)] }),
        }
    }
    for remote in &remotes {
        remote.find(finds);
    }
    Ok(())
}

impl Remote<'_> {
    fn get(&self, wanted: &str) -> &str {
        self.settings.iter().find(|(name, _)| *name == wanted).map_or("", |(_, value)| value)
    }

    fn first(&self, wanted: &[&str]) -> &str {
        wanted.iter().map(|name| self.get(name)).find(|value| !value.is_empty()).unwrap_or_default()
    }

    fn find(&self, finds: &mut Finds<'_>) {
        let service = self.first(&["endpoint", "host", "url", "auth", "provider", "type"]);
        let user = self.first(&["user", "username", "account"]);
        for (name, value) in &self.settings {
            let position = format!("{}/{name}", self.name);
            match *name {
                "secret_access_key" => {
                    let item = Item::new(Kind::AccessKey, "aws_secret_access_key", position, value).aws();
                    finds.slot(item.service(service).opens(self.get("access_key_id")).long_lived(true));
                }
                "token" => self.token(value, &position, finds),
                "client_secret" => {
                    let item = Item::new(Kind::ClientSecret, "oauth_client_secret", position, value);
                    finds.slot(item.service(service).opens(self.get("client_id")));
                }
                "service_account_credentials" => {
                    if let Ok(document) = Node::json(value.as_bytes()) {
                        gcloud::key(&document, &position, finds);
                    }
                }
                "key" | "sas_url" | "connection_string" | "access_grant" | "application_credential_secret" => {
                    let item = Item::new(Kind::Secret, "storage_key", position, value);
                    finds.slot(item.service(service).username(user));
                }
                name if is_veiled(name) => {
                    let shown = revealed(value);
                    let value = shown.as_deref().map_or(value.as_bytes(), Vec::as_slice);
                    let item = Item::of_bytes(Kind::Password, "rclone_password", position, value);
                    finds.slot(item.service(service).username(user));
                }
                name => {
                    if let Some((kind, sort)) = speaks_of(name) {
                        finds.value(Item::new(kind, sort, position, value).service(service).username(user));
                    }
                }
            }
        }
    }

    /// What a provider handed out: a document of two tokens, in one line.
    fn token(&self, value: &str, position: &str, finds: &mut Finds<'_>) {
        let service = self.get("type");
        let Ok(document) = Node::json(value.as_bytes()) else {
            finds.slot(Item::new(Kind::Token, "rclone_token", position, value).service(service));
            return;
        };
        let ends = document.get("expiry").text().and_then(|text| text.parse::<Time>().ok());
        for (name, sort, ends) in
            [("access_token", "oauth_access_token", ends), ("refresh_token", "oauth_refresh_token", None)]
        {
            if let Some(value) = document.get(name).text() {
                let item = Item::new(Kind::Token, sort, format!("{position}/{name}"), value);
                finds.slot(item.service(service).expires(ends));
            }
        }
    }
}

/// Settings that rclone writes veiled: every password of its back ends.
fn is_veiled(name: &str) -> bool {
    name == "pass" || name == "secret" || name == "password2" || name.ends_with("_pass") || name.ends_with("password")
}

/// What a veiled text hides; `None` if it is none, as when somebody wrote the file by hand.
fn revealed(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let veiled = Zeroizing::new(URL_SAFE_NO_PAD.decode(text.trim()).ok()?);
    let (iv, hidden) = veiled.split_first_chunk::<16>()?;
    let mut shown = Zeroizing::new(hidden.to_vec());
    let key = DecryptingKey::ctr(UnboundCipherKey::new(&AES_256, &VEIL).ok()?).ok()?;
    key.decrypt(&mut shown, DecryptionContext::Iv128(FixedLength::from(iv))).ok()?;
    let readable =
        std::str::from_utf8(&shown).is_ok_and(|text| !text.is_empty() && !text.chars().any(char::is_control));
    readable.then_some(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rclone_veils_is_read_and_what_it_did_not_veil_is_left() {
        // The pairs that rclone's own tests have.
        for (veiled, shown) in
            [("YWFhYWFhYWFhYWFhYWFhYXMaGgIlEQ", "potato"), ("YmJiYmJiYmJiYmJiYmJiYp3gcEWbAw", "potato")]
        {
            assert_eq!(revealed(veiled).as_deref().map(Vec::as_slice), Some(shown.as_bytes()));
        }
        for plain in ["", "potato", "aGVsbG8", "YmJiYmJiYmJiYmJiYmJiYg", "Zx81Tq09LmNb72VcRt5Y3kPwZx81Tq09LmNb72VcRt5Y"]
        {
            assert_eq!(revealed(plain), None, "{plain}");
        }
    }
}
