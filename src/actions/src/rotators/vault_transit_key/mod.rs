//! Keys of a transit engine of an OpenBao or a Vault server: a new version, and the old ones for reading only.
//! It must never keep what was encrypted from being decrypted: the oldest version that decrypts is left as it is.

use std::collections::BTreeMap;

use async_trait::async_trait;
use provost_client::{Ask, Body};
use provost_model::{Kind, Order, Reading, Remedy, Slot, Target};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Minted, Rotator, RotatorSpec, Way};
use crate::{
    ActionError, Bundle,
    given::{
        Handed,
        vault::{self, LOGIN, MOUNT, SELF, Server},
    },
    sinks::Checked,
};

const READ: &str = "GET /v1/{mount}/keys/{key}";
const ROTATE: &str = "POST /v1/{mount}/keys/{key}/rotate";
const CONFIGURE: &str = "POST /v1/{mount}/keys/{key}/config";
/// Tries a version out. It changes nothing, though it is sent as POST.
const ENCRYPT: &str = "POST /v1/{mount}/encrypt/{key}";
/// What is encrypted to try a version out: one byte that says nothing.
const TRIAL: &str = "AA==";

/// What this rotator is.
pub(super) static SPEC: RotatorSpec = RotatorSpec {
    name: "vault_transit_key",
    title: "OpenBao or Vault transit key",
    about: "makes a new version of a transit key, tried out by encrypting one byte where the key encrypts, and keeps the old \
            one and all before it from encrypting and signing; what they encrypted and signed stays readable",
    kinds: &[Kind::Secret],
    remedies: &[Remedy::Rotate],
    way: Way::InPlace,
    reversible: true,
    removes: false,
    parts: &[],
    marks: false,
    prepares: false,
    lag: None,
    acts: &[ROTATE, CONFIGURE],
    reads: &[READ, ENCRYPT, MOUNT, SELF, LOGIN],
    permissions: &[
        "read on MOUNT/keys/KEY",
        "update on MOUNT/keys/KEY/rotate, MOUNT/keys/KEY/config and MOUNT/encrypt/KEY",
    ],
    checked: Checked::RealServer("OpenBao 2.7"),
    example: r#"[[rotations]]
name = "transit-keys"
kind = "vault_transit_key"
address = "https://vault.example.org:8200"
# Where its token is, or role_id = "env:…" with secret_id = "credential:…" for an AppRole.
token = "file:/run/vault-agent/token"
# approle_mount = "approle"          # where role_id signs in
# namespace = "team-a"
# ca_file = "/etc/ssl/vault-ca.pem"  # of a private authority
# Where the transit engine is mounted.
mount = "transit"
"#,
    documentation: &[
        "https://openbao.org/api-docs/secret/transit/#rotate-key",
        "https://openbao.org/api-docs/secret/transit/#update-key-configuration",
    ],
    build: &build,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(default = "transit")]
    mount: String,
}

fn transit() -> String {
    "transit".to_owned()
}

struct Transit {
    server: Server,
    mount: String,
}

/// A key.
#[derive(Deserialize)]
struct Told {
    latest_version: u64,
    min_decryption_version: u64,
    /// 0: no bound.
    min_encryption_version: u64,
    /// When each version was made, or an object that says so.
    keys: BTreeMap<String, Value>,
    #[serde(default)]
    soft_deleted: bool,
    #[serde(default)]
    supports_encryption: bool,
    #[serde(default)]
    derived: bool,
}

impl Told {
    /// Whether a version encrypts or signs.
    fn works(&self, version: u64) -> bool {
        !self.soft_deleted
            && (1..=self.latest_version).contains(&version)
            && version >= self.min_encryption_version.max(self.min_decryption_version)
    }

    fn slot(&self, (name, told): (&String, &Value)) -> Option<Slot> {
        let made = vault::date(told.get("creation_time").or(Some(told)));
        Some(Slot {
            id: name.clone(),
            active: self.works(name.parse().ok()?),
            made_at: made.map_or(Reading::NotReported, Reading::Known),
            used_at: Reading::NotReported,
            mark: None,
        })
    }
}

fn build(handed: &Handed) -> Result<Box<dyn Rotator>, String> {
    let (access, settings): (_, Settings) = vault::parsed(handed)?;
    let mount = vault::mount_of("mount", &settings.mount)?;
    Ok(Box::new(Transit { server: Server::new(handed, (SPEC.reads, SPEC.acts), access)?, mount }))
}

impl Transit {
    /// The key's name, which has to be one of this mount.
    async fn key<'a>(&self, target: &'a Target) -> Result<&'a str, ActionError> {
        let (accessor, key) = vault::placed(target)?;
        if key.contains('/') {
            return Err(ActionError::GiveUp { said: "what is to be changed is no transit key".to_owned() });
        }
        self.server.is_home(&self.mount, accessor).await?;
        Ok(key)
    }

    async fn told(&self, key: &str) -> Result<Told, ActionError> {
        self.server.there(Ask::get(READ, &[&self.mount, key]), "the key").await
    }

    /// Has the key encrypt and sign from that version on.
    async fn bound(&self, order: &Order, key: &str, version: u64) -> Result<(), ActionError> {
        let body = Body::Json(json!({ "min_encryption_version": version }));
        self.server.act(order, Ask::act(CONFIGURE, &[&self.mount, key], Some(body))).await?;
        Ok(())
    }
}

fn version_of(id: &str) -> Result<u64, ActionError> {
    id.parse().map_err(|_| ActionError::GiveUp { said: "that is no version of a key".to_owned() })
}

#[async_trait]
impl Rotator for Transit {
    async fn look(&self, target: &Target) -> Result<Vec<Slot>, ActionError> {
        let key = self.key(target).await?;
        let told: Option<Told> = self.server.read(Ask::get(READ, &[&self.mount, key])).await?;
        let Some(told) = told else { return Ok(Vec::new()) };
        let mut slots: Vec<Slot> = told.keys.iter().filter_map(|version| told.slot(version)).collect();
        slots.sort_by_key(|it| it.id.parse::<u64>().unwrap_or_default());
        Ok(slots)
    }

    async fn mint(&self, order: &Order, target: &Target, _: &str, _: &Bundle) -> Result<Minted, ActionError> {
        let key = self.key(target).await?;
        let before = self.told(key).await?;
        self.server.act(order, Ask::act(ROTATE, &[&self.mount, key], Some(Body::Json(json!({}))))).await?;
        // Not every server answers with the key.
        let after = self.told(key).await.map_err(|error| ActionError::Ambiguous { said: error.said().to_owned() })?;
        if after.latest_version <= before.latest_version {
            let said = "the server took the call, and has no newer version".to_owned();
            return Err(ActionError::Ambiguous { said });
        }
        Ok(Minted { id: after.latest_version.to_string(), value: Bundle::default() })
    }

    async fn verify(&self, target: &Target, id: &str, _: &Bundle) -> Result<(), ActionError> {
        let (key, version) = (self.key(target).await?, version_of(id)?);
        let told = self.told(key).await?;
        if !told.works(version) {
            return Err(ActionError::GiveUp { said: format!("version {version} of the key does not work") });
        }
        // A signature is worth something to whoever gets hold of it, and a derived key asks for a context: not tried.
        if told.supports_encryption && !told.derived {
            let body = Body::Json(json!({ "plaintext": TRIAL, "key_version": version }));
            let encrypted: Option<Value> = self.server.read(Ask::post(ENCRYPT, &[&self.mount, key], body)).await?;
            let text = encrypted.as_ref().and_then(|it| it.get("ciphertext")?.as_str()).unwrap_or_default();
            if !text.contains(&format!(":v{version}:")) {
                return Err(ActionError::GiveUp { said: format!("version {version} of the key encrypts nothing") });
            }
        }
        Ok(())
    }

    async fn disable(&self, order: &Order, target: &Target, id: &str) -> Result<(), ActionError> {
        let (key, version) = (self.key(target).await?, version_of(id)?);
        let told = self.told(key).await?;
        if version >= told.latest_version {
            return Err(ActionError::GiveUp { said: "the newest version of a key cannot be disabled".to_owned() });
        }
        if !told.works(version) {
            return Ok(());
        }
        self.bound(order, key, version + 1).await
    }

    async fn enable(&self, order: &Order, target: &Target, id: &str) -> Result<(), ActionError> {
        let (key, version) = (self.key(target).await?, version_of(id)?);
        let told = self.told(key).await?;
        if told.works(version) {
            return Ok(());
        }
        if told.soft_deleted || version > told.latest_version || version < told.min_decryption_version.max(1) {
            return Err(ActionError::GiveUp { said: format!("version {version} of the key does not even decrypt") });
        }
        // Which versions before it encrypted too is not known any more: they stay without.
        self.bound(order, key, version).await
    }

    async fn delete(&self, _: &Order, _: &Target, _: &str) -> Result<(), ActionError> {
        let said = "a version of a key is not removed: what it encrypted could not be read any more".to_owned();
        Err(ActionError::GiveUp { said })
    }

    async fn check(&self) -> Result<String, ActionError> {
        self.server.check(&self.mount, "transit").await
    }
}

#[cfg(test)]
mod tests;
