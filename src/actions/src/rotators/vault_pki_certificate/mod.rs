//! Certificates of a PKI engine of an OpenBao or a Vault server: another one of the same names, and the old one revoked.
//! It must never revoke an authority's own certificate, nor have one made that the server does not keep a list of, nor send a key.

mod certificate;
mod key;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use async_trait::async_trait;
use provost_client::{Ask, Body};
use provost_model::{Clock, Kind, Order, Reading, Remedy, Slot, Span, Target};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use self::{
    certificate::{Certificate, der, holds},
    key::Sort,
};
use super::{Minted, Prepared, Rotator, RotatorSpec, Way};
use crate::{
    ActionError, Bundle,
    given::{
        Handed,
        vault::{self, LOGIN, Listed, MOUNT, SELF, Server},
    },
    sinks::Checked,
};

/// Serial numbers with the names of each certificate, in one answer; OpenBao has it.
const DETAILED: &str = "LIST /v1/{mount}/certs/detailed";
const LIST: &str = "LIST /v1/{mount}/certs";
const READ: &str = "GET /v1/{mount}/cert/{serial}";
const ROLE: &str = "GET /v1/{mount}/roles/{role}";
const SIGN: &str = "POST /v1/{mount}/sign/{role}";
const REVOKE: &str = "POST /v1/{mount}/revoke";
const CERTIFICATE: &str = "certificate";
const KEY: &str = "private_key";
const CHAIN: &str = "ca_chain";
/// Most certificates that are read one by one.
const READS_MAX: usize = 500;

/// What this rotator is.
pub(super) static SPEC: RotatorSpec = RotatorSpec {
    name: "vault_pki_certificate",
    title: "OpenBao or Vault PKI certificate",
    about: "makes a key, has a PKI engine sign another certificate for it with the names and the lifetime of the old one by a \
            role that the settings name, and revokes the old one; certificates of the same common name count as one holder's",
    kinds: &[Kind::Certificate],
    remedies: &[Remedy::Rotate, Remedy::Revoke, Remedy::Delete],
    way: Way::Overlap { capacity: None },
    reversible: false,
    removes: true,
    parts: &[CERTIFICATE, KEY, CHAIN],
    marks: false,
    prepares: true,
    lag: None,
    acts: &[SIGN, REVOKE],
    reads: &[DETAILED, LIST, READ, ROLE, MOUNT, SELF, LOGIN],
    permissions: &[
        "list on MOUNT/certs/detailed, or on MOUNT/certs where the server has no such listing",
        "read on MOUNT/cert/* and MOUNT/roles/ROLE",
        "update on MOUNT/sign/ROLE and MOUNT/revoke",
    ],
    checked: Checked::RealServer("OpenBao 2.7"),
    example: r#"[[rotations]]
name = "certificates"
kind = "vault_pki_certificate"
address = "https://vault.example.org:8200"
# Where its token is, or role_id = "env:…" with secret_id = "credential:…" for an AppRole.
token = "file:/run/vault-agent/token"
# approle_mount = "approle"          # where role_id signs in
# namespace = "team-a"
# ca_file = "/etc/ssl/vault-ca.pem"  # of a private authority
# Where the PKI engine is mounted.
mount = "pki"
# The role by which new certificates are signed: the one by which the old ones were issued.
role = "web"
# The key that is made for each: rsa-2048, rsa-3072, rsa-4096, ec-p256, ec-p384, ec-p521 or ed25519. The smallest that the role
# takes if nothing is said here; rsa-2048 where it takes any. It is written as PKCS #8.
# key = "ec-p256"
"#,
    documentation: &[
        "https://openbao.org/api-docs/secret/pki/#sign-certificate",
        "https://openbao.org/api-docs/secret/pki/#revoke-certificate",
    ],
    build: &build,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(default = "pki")]
    mount: String,
    role: String,
    key: Option<String>,
}

fn pki() -> String {
    "pki".to_owned()
}

struct Pki {
    server: Server,
    mount: String,
    role: String,
    key: Option<&'static Sort>,
    clock: Arc<dyn Clock>,
}

#[derive(Deserialize)]
struct Told {
    certificate: String,
    #[serde(default)]
    revocation_time: i64,
}

#[derive(Deserialize)]
struct Role {
    #[serde(default)]
    no_store: bool,
    /// Seconds, or a length of time in words.
    #[serde(default)]
    not_before_duration: Value,
    /// `rsa`, `ec`, `ed25519` or `any`.
    #[serde(default = "rsa")]
    key_type: String,
    /// The fewest that it takes.
    #[serde(default)]
    key_bits: u64,
}

/// What a server makes of a role that says nothing of keys.
fn rsa() -> String {
    "rsa".to_owned()
}

#[derive(Deserialize)]
struct Signed {
    certificate: String,
    issuing_ca: String,
    #[serde(default)]
    ca_chain: Option<Vec<String>>,
    serial_number: String,
}

/// A certificate that the server has.
struct Kept {
    is: Certificate,
    pem: String,
    revoked: bool,
}

fn build(handed: &Handed) -> Result<Box<dyn Rotator>, String> {
    let (access, settings): (_, Settings) = vault::parsed(handed)?;
    let mount = vault::mount_of("mount", &settings.mount)?;
    if settings.role.is_empty() || settings.role.contains('/') {
        return Err("`role` is no name of a role".to_owned());
    }
    let key = settings.key.as_deref().map(key::named).transpose()?;
    let server = Server::new(handed, (SPEC.reads, SPEC.acts), access)?;
    Ok(Box::new(Pki { server, mount, role: settings.role, key, clock: handed.clock.clone() }))
}

fn refused<T>(said: &str) -> Result<T, ActionError> {
    Err(ActionError::GiveUp { said: said.to_owned() })
}

impl Role {
    /// How far back it puts the beginning of a certificate, for clocks that are slow.
    fn back(&self) -> Span {
        let seconds = match &self.not_before_duration {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.trim_end_matches('s').parse().ok(),
            _ => None,
        };
        Span::seconds(seconds.unwrap_or(30))
    }

    /// The sort of key that it signs for.
    fn sort(&self, set: Option<&'static Sort>) -> Result<&'static Sort, ActionError> {
        key::fitting(set, (&self.key_type, self.key_bits)).map_err(|said| ActionError::GiveUp { said })
    }
}

impl Kept {
    fn works(&self, now: provost_model::Time) -> bool {
        !self.revoked && self.is.not_after > now
    }
}

impl Pki {
    /// The mount's name by the server, and the serial number; the mount has to be this one.
    async fn placed<'a>(&self, target: &'a Target) -> Result<(&'a str, &'a str), ActionError> {
        let (accessor, serial) = vault::placed(target)?;
        self.server.is_home(&self.mount, accessor).await?;
        Ok((accessor, serial))
    }

    async fn kept(&self, serial: &str) -> Result<Option<Kept>, ActionError> {
        let Some(told) = self.server.read::<Told>(Ask::get(READ, &[&self.mount, serial])).await? else {
            return Ok(None);
        };
        let Some(is) = Certificate::of_pem(&told.certificate) else {
            return refused("the server has a certificate that cannot be read");
        };
        Ok(Some(Kept { is, pem: told.certificate, revoked: told.revocation_time > 0 }))
    }

    async fn role(&self) -> Result<Role, ActionError> {
        self.server.there(Ask::get(ROLE, &[&self.mount, &self.role]), "the role that signs").await
    }

    /// Serial numbers of what may be of that name and may still work.
    async fn listed(&self, name: &str) -> Result<Vec<String>, ActionError> {
        let now = self.clock.now();
        let listed = match self.server.list(Ask::list(DETAILED, &[&self.mount])).await {
            Ok(listed) if listed.key_info.is_some() => listed,
            Err(failure) if !vault::is_unknown(&failure) => return Err(failure.into()),
            // A server that takes the longer path for something else has nothing there: the plain listing settles it.
            _ => self.server.list(Ask::list(LIST, &[&self.mount])).await?,
        };
        let Listed { keys, key_info } = listed;
        let told = key_info.unwrap_or_default();
        let may = |serial: &String| {
            told.get(serial).is_none_or(|told| {
                let its = told.get("common_name").and_then(Value::as_str);
                its.is_none_or(|its| its == name) && vault::date(told.get("not_after")).is_none_or(|at| at > now)
            })
        };
        let listed: Vec<String> = keys.into_iter().filter(may).collect();
        if listed.len() > READS_MAX {
            let said = format!("more than {READS_MAX} certificates would have to be read one by one");
            return Err(ActionError::GiveUp { said });
        }
        Ok(listed)
    }

    /// What is asked for to replace that one, by a request that is signed with that key. Whether names are taken from the request
    /// or from beside it is the role's.
    fn wanted(&self, old: &Certificate, role: &Role, key: &SecretString) -> Result<Value, ActionError> {
        if old.authority {
            return refused("that is the certificate of an authority");
        }
        if old.common_name.is_empty() {
            return refused("the certificate has no common name: whose it is cannot be told");
        }
        if old.others {
            return refused("the certificate has names of a kind that cannot be asked for again");
        }
        if role.no_store {
            return refused(
                "the role has the server keep no list of what it issues: what became of it could not be told",
            );
        }
        let joined = |sets: &[&BTreeSet<String>]| {
            sets.iter().flat_map(|it| it.iter()).map(String::as_str).collect::<Vec<_>>().join(",")
        };
        let request = key::request(key, old).map_err(|said| ActionError::GiveUp { said: said.to_owned() })?;
        let mut wanted = Map::new();
        wanted.insert("csr".into(), request.into());
        wanted.insert("common_name".into(), old.common_name.as_str().into());
        wanted.insert("ttl".into(), format!("{}s", old.lifetime(role.back()).max(1)).into());
        wanted.insert("format".into(), "pem".into());
        let named = old.hosts.contains(&old.common_name) || old.mail.contains(&old.common_name);
        wanted.insert("exclude_cn_from_sans".into(), (!named).into());
        let names = BTreeMap::from([
            ("alt_names", joined(&[&old.hosts, &old.mail])),
            ("ip_sans", joined(&[&old.addresses])),
            ("uri_sans", joined(&[&old.uris])),
        ]);
        wanted
            .extend(names.into_iter().filter(|(_, it)| !it.is_empty()).map(|(name, it)| (name.to_owned(), it.into())));
        Ok(Value::Object(wanted))
    }
}

#[async_trait]
impl Rotator for Pki {
    async fn look(&self, target: &Target) -> Result<Vec<Slot>, ActionError> {
        let (accessor, serial) = self.placed(target).await?;
        let role = self.role().await?;
        let old = self.kept(serial).await?;
        let name = old.as_ref().map_or(target.name.as_str(), |old| old.is.common_name.as_str());
        let slot = |serial: &str, kept: &Kept| Slot {
            id: format!("{accessor}/{serial}"),
            active: kept.works(self.clock.now()),
            made_at: Reading::Known(kept.is.not_before + role.back()),
            used_at: Reading::NotReported,
            mark: Some(kept.is.key.clone()),
        };
        let mut slots: Vec<Slot> = old.iter().map(|old| slot(serial, old)).collect();
        for other in self.listed(name).await?.iter().filter(|it| *it != serial) {
            if let Some(kept) = self.kept(other).await?
                && kept.is.common_name == name
                && !kept.is.authority
                && kept.is.not_after > self.clock.now()
            {
                slots.push(slot(other, &kept));
            }
        }
        Ok(slots)
    }

    async fn prepare(&self, _: &Target) -> Result<Prepared, ActionError> {
        let sort = self.role().await?.sort(self.key)?;
        let made = tokio::task::spawn_blocking(|| sort.made()).await;
        let Ok(Some(key)) = made else { return refused("no key can be made on this machine") };
        Ok(Prepared { mark: key.mark, value: Bundle::new([(KEY.to_owned(), key.private)]) })
    }

    async fn mint(&self, order: &Order, target: &Target, _: &str, prepared: &Bundle) -> Result<Minted, ActionError> {
        let Some(key) = prepared.get(KEY) else { return refused("there is no key to ask for a certificate with") };
        let (accessor, serial) = self.placed(target).await?;
        let role = self.role().await?;
        let Some(old) = self.kept(serial).await? else {
            return refused("the old certificate is gone: there is nothing to go by");
        };
        let body = Body::Json(self.wanted(&old.is, &role, key)?);
        let signed: Signed = self.server.made(order, Ask::act(SIGN, &[&self.mount, &self.role], Some(body))).await?;
        let chain = signed.ca_chain.filter(|it| !it.is_empty()).unwrap_or_else(|| vec![signed.issuing_ca]);
        let value = Bundle::new([
            (CERTIFICATE.to_owned(), signed.certificate.into()),
            (KEY.to_owned(), key.clone()),
            (CHAIN.to_owned(), chain.join("\n").into()),
        ]);
        Ok(Minted { id: format!("{accessor}/{}", signed.serial_number), value })
    }

    async fn verify(&self, target: &Target, id: &str, value: &Bundle) -> Result<(), ActionError> {
        let (accessor, serial) = self.placed(target).await?;
        let Some(wanted) = id.strip_prefix(accessor).and_then(|it| it.strip_prefix('/')) else {
            return refused("that is no certificate of this mount");
        };
        let part = |name: &str| value.get(name).map(|it| it.expose_secret());
        let (Some(pem), Some(key), Some(chain)) = (part(CERTIFICATE), value.get(KEY), part(CHAIN)) else {
            return refused("a part of the value is missing");
        };
        let (Some(bytes), Some(new)) = (der(pem), Certificate::of_pem(pem)) else {
            return refused("the certificate cannot be read");
        };
        if new.serial != wanted {
            return refused("the value is that of another certificate");
        }
        holds(&bytes, key, chain, self.clock.now()).map_err(|said| ActionError::GiveUp { said: said.to_owned() })?;
        let Some(kept) = self.kept(wanted).await? else { return refused("the server does not know the certificate") };
        if der(&kept.pem) != Some(bytes) || !kept.works(self.clock.now()) {
            return refused("the server has another certificate of that number, or has revoked it");
        }
        let old = self.kept(serial).await?;
        if old.is_some_and(|old| !new.stands_for(&old.is)) {
            return refused("the new certificate lacks names or usages that the old one has: the role gives others");
        }
        Ok(())
    }

    async fn disable(&self, _: &Order, _: &Target, _: &str) -> Result<(), ActionError> {
        refused("a certificate cannot be disabled, only revoked")
    }

    async fn enable(&self, _: &Order, target: &Target, id: &str) -> Result<(), ActionError> {
        if self.look(target).await?.iter().any(|it| it.id == id && it.active) {
            return Ok(());
        }
        refused("a certificate that was revoked, or has ended, cannot be brought back")
    }

    async fn delete(&self, order: &Order, target: &Target, id: &str) -> Result<(), ActionError> {
        let (accessor, _) = self.placed(target).await?;
        let Some(serial) = id.strip_prefix(accessor).and_then(|it| it.strip_prefix('/')) else {
            return refused("that is no certificate of this mount");
        };
        match self.kept(serial).await? {
            Some(kept) if kept.is.authority => return refused("that is the certificate of an authority"),
            Some(kept) if kept.works(self.clock.now()) => {}
            _ => return Ok(()),
        }
        let body = Body::Json(json!({ "serial_number": serial }));
        self.server.act(order, Ask::act(REVOKE, &[&self.mount], Some(body))).await?;
        Ok(())
    }

    async fn check(&self) -> Result<String, ActionError> {
        let said = self.server.check(&self.mount, "pki").await?;
        let sort = self.role().await?.sort(self.key)?;
        Ok(format!("{said}, and has the role {}, which takes keys of the kind {}", self.role, sort.word))
    }
}

#[cfg(test)]
mod tests;
