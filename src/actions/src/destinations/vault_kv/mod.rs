//! A secret of a key/value engine, version 2, of an OpenBao or a Vault server: fields of it, each put for one part.
//! It must never write but upon the very version that it read, nor touch another field of the secret.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use provost_client::{Answer, Ask, Body, Failure};
use provost_model::{Order, Why};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json, value::RawValue};

use super::{Destination, DestinationSpec, Holding};
use crate::{
    ActionError, Bundle,
    given::{
        Handed,
        vault::{self, LOGIN, MOUNT, SELF, Server},
    },
    sinks::Checked,
};

const READ: &str = "GET /v1/{mount}/data/{path...}";
const WRITE: &str = "POST /v1/{mount}/data/{path...}";
const DELETE: &str = "POST /v1/{mount}/delete/{path...}";
/// A read, though it is sent as POST: the paths stand in the body.
const MAY: &str = "POST /v1/sys/capabilities-self";

/// What this destination is.
pub(super) static SPEC: DestinationSpec = DestinationSpec {
    name: "vault_kv",
    title: "OpenBao or Vault KV version 2",
    about: "fields of a secret in a key/value engine, which consumers read as a new version of it",
    readable: true,
    acts: &[WRITE, DELETE],
    reads: &[READ, MAY, MOUNT, SELF, LOGIN],
    permissions: &[
        "read, create and update on MOUNT/data/PATH",
        "update on MOUNT/delete/PATH, to take away again what was put where nothing was",
    ],
    checked: Checked::RealServer("OpenBao 2.7"),
    example: r#"[[rotations.places]]
kind = "vault_kv"
address = "https://vault.example.org:8200"
# Where its token is, or role_id = "env:…" with secret_id = "credential:…" for an AppRole.
token = "file:/run/vault-agent/token"
# approle_mount = "approle"          # where role_id signs in
# namespace = "team-a"
# ca_file = "/etc/ssl/vault-ca.pem"  # of a private authority
# Where the engine is mounted, and the secret in it.
mount = "secret"
path = "prod/payments"
# Under which name of the secret each part is kept. Its other fields stay as they are.
fields = { secret_id = "APPROLE_SECRET_ID" }
"#,
    documentation: &[
        "https://openbao.org/api-docs/secret/kv/kv-v2/",
        "https://openbao.org/api-docs/system/capabilities-self/",
    ],
    build: &build,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    mount: String,
    path: String,
    fields: BTreeMap<String, String>,
}

struct Kv {
    server: Server,
    mount: String,
    path: String,
    /// By part.
    fields: BTreeMap<String, String>,
}

/// The fields of a secret, as they stand in the answer.
type Fields<'a> = BTreeMap<String, &'a RawValue>;

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    data: Told<'a>,
}

#[derive(Deserialize)]
struct Told<'a> {
    #[serde(borrow)]
    data: Option<Fields<'a>>,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    version: u64,
}

/// What is there.
struct There<'a> {
    /// The number upon which the next one is written; 0 where there never was one.
    number: u64,
    /// None where that one is deleted, or there is none.
    fields: Option<Fields<'a>>,
}

/// What is written.
#[derive(Serialize)]
struct Written<'a> {
    options: Options,
    data: BTreeMap<&'a str, Piece<'a>>,
}

#[derive(Serialize)]
struct Options {
    cas: u64,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Piece<'a> {
    Kept(&'a RawValue),
    Ours(&'a str),
}

fn build(handed: &Handed) -> Result<Box<dyn Destination>, String> {
    let (access, settings): (_, Settings) = vault::parsed(handed)?;
    let mount = vault::mount_of("mount", &settings.mount)?;
    let path = vault::mount_of("path", &settings.path)?;
    let names: BTreeSet<&String> = settings.fields.values().filter(|it| !it.is_empty()).collect();
    if names.is_empty() || names.len() != settings.fields.len() {
        return Err("`fields` must give each part a name of its own".to_owned());
    }
    let server = Server::new(handed, (SPEC.reads, SPEC.acts), access)?;
    Ok(Box::new(Kv { server, mount, path, fields: settings.fields }))
}

impl Kv {
    fn place(&self) -> [&str; 2] {
        [&self.mount, &self.path]
    }

    /// The present version, as it was answered.
    async fn present(&self) -> Result<Answer, Failure> {
        self.server.answer(Ask::get(READ, &self.place())).await
    }

    /// The value under the names of its parts; none if one is missing, or no text.
    fn value(&self, fields: &Fields<'_>) -> Option<Bundle> {
        let part = |(part, field): (&String, &String)| {
            let text = serde_json::from_str::<String>(fields.get(field)?.get()).ok()?;
            Some((part.clone(), SecretString::from(text)))
        };
        self.fields.iter().map(part).collect::<Option<Vec<_>>>().map(Bundle::new)
    }

    /// Writes that upon the version of that number, and gives the version it became.
    async fn write(
        &self,
        order: &Order,
        (number, data): (u64, BTreeMap<&str, Piece<'_>>),
        size: usize,
    ) -> Result<String, ActionError> {
        let body = vault::wiped(&Written { options: Options { cas: number }, data }, size)?;
        let written: Metadata = self.server.made(order, Ask::act(WRITE, &self.place(), Some(body))).await?;
        Ok(written.version.to_string())
    }
}

impl There<'_> {
    fn version(&self) -> Option<String> {
        self.fields.as_ref().map(|_| self.number.to_string())
    }
}

/// What an answer says is there. Servers answer 404 with a version's metadata where that one is deleted.
fn there(answer: &Answer) -> Result<There<'_>, Failure> {
    let malformed = || Failure::new(READ, Why::Malformed, "", "the answer has another shape than expected");
    if let Ok(Envelope { data }) = serde_json::from_slice::<Envelope<'_>>(answer.body()) {
        let fields = data.data.filter(|_| !answer.is_missing());
        return Ok(There { number: data.metadata.version, fields });
    }
    if !answer.is_missing() {
        return Err(malformed());
    }
    vault::nothing(answer).map(|()| There { number: 0, fields: None })
}

/// Whether two hold the same, whatever order and blanks they are written with.
fn same(one: &Fields<'_>, other: &Fields<'_>) -> bool {
    let read = |raw: &&RawValue| serde_json::from_str::<Value>(raw.get()).ok();
    one.len() == other.len() && one.iter().all(|(name, raw)| other.get(name).is_some_and(|it| read(it) == read(raw)))
}

fn shown(version: Option<&str>) -> String {
    version.map_or_else(|| "none".to_owned(), |it| format!("version {it}"))
}

/// The room that a text takes in JSON at most.
fn room(text: &str) -> usize {
    text.len() * 6 + 8
}

#[async_trait]
impl Destination for Kv {
    async fn look(&self) -> Result<Holding, ActionError> {
        let answer = self.present().await?;
        let there = there(&answer)?;
        let value = there.fields.as_ref().and_then(|fields| self.value(fields));
        Ok(Holding { version: there.version(), value })
    }

    async fn put(&self, order: &Order, value: &Bundle, before: Option<&str>) -> Result<String, ActionError> {
        let parts: BTreeSet<&str> = value.parts().collect();
        if parts != self.fields.keys().map(String::as_str).collect() {
            let said = "`fields` must name exactly the parts that the rotator gives".to_owned();
            return Err(ActionError::GiveUp { said });
        }
        let answer = self.present().await?;
        let there = there(&answer)?;
        let now = there.version();
        let kept = there.fields.unwrap_or_default();
        let is_ours = |found: Bundle| {
            value
                .iter()
                .all(|(part, it)| found.get(part).is_some_and(|found| found.expose_secret() == it.expose_secret()))
        };
        if let (Some(version), true) = (&now, self.value(&kept).is_some_and(is_ours)) {
            return Ok(version.clone());
        }
        if now.as_deref() != before {
            let (before, now) = (shown(before), shown(now.as_deref()));
            let said = format!("somebody else wrote there meanwhile: there was {before}, and now there is {now}");
            return Err(ActionError::GiveUp { said });
        }
        if there.number == 0 {
            // An engine of the first version has nothing there either, and would keep what is sent as a secret of its own.
            self.server.is_versioned(&self.mount).await?;
        }
        let mut size = answer.body().len() + 256;
        let mut data: BTreeMap<&str, Piece<'_>> =
            kept.iter().map(|(name, raw)| (name.as_str(), Piece::Kept(raw))).collect();
        for (part, secret) in value.iter() {
            if let Some(field) = self.fields.get(part) {
                size += room(field) + room(secret.expose_secret());
                data.insert(field, Piece::Ours(secret.expose_secret()));
            }
        }
        self.write(order, (there.number, data), size).await
    }

    async fn restore(&self, order: &Order, before: Option<&str>, ours: &str) -> Result<(), ActionError> {
        let answer = self.present().await?;
        let present = there(&answer)?;
        let now = present.version();
        let number: u64 = ours.parse().map_err(|_| ActionError::GiveUp { said: "no version of this engine".into() })?;
        let refused = || {
            let said = format!("{} was put, and now there is {}", shown(Some(ours)), shown(now.as_deref()));
            Err(ActionError::GiveUp { said: format!("somebody else wrote there meanwhile: {said}") })
        };
        let Some(before) = before else {
            return match now.as_deref() {
                None => Ok(()),
                Some(now) if now == ours => {
                    let body = Body::Json(json!({ "versions": [number] }));
                    self.server.act(order, Ask::act(DELETE, &self.place(), Some(body))).await?;
                    Ok(())
                }
                Some(_) => refused(),
            };
        };
        if now.as_deref() == Some(before) {
            return Ok(());
        }
        let former = self.server.answer(Ask::get(READ, &self.place()).query("version", before)).await?;
        let former = there(&former)?.fields.ok_or_else(|| {
            let said = format!("{} is not kept there any more", shown(Some(before)));
            ActionError::GiveUp { said }
        })?;
        if present.fields.as_ref().is_some_and(|fields| same(fields, &former)) {
            return Ok(());
        }
        if now.as_deref() != Some(ours) {
            return refused();
        }
        let size = former.values().map(|raw| raw.get().len() + 64).sum::<usize>() + 256;
        let data = former.iter().map(|(name, raw)| (name.as_str(), Piece::Kept(raw))).collect();
        self.write(order, (number, data), size).await.map(|_| ())
    }

    async fn check(&self) -> Result<String, ActionError> {
        let who = self.server.who().await?;
        let (data, delete) =
            (format!("{}/data/{}", self.mount, self.path), format!("{}/delete/{}", self.mount, self.path));
        let body = Body::Json(json!({ "paths": [data, delete] }));
        let may: BTreeMap<String, Vec<String>> = self.server.there(Ask::post(MAY, &[], body), "the token").await?;
        let has = |path: &str, verb: &str| {
            may.get(path).is_some_and(|verbs| verbs.iter().any(|it| it == verb || it == "root"))
        };
        let wanted = [(&data, "read"), (&data, "create"), (&data, "update"), (&delete, "update")];
        let missing: Vec<String> = wanted
            .iter()
            .filter(|(path, verb)| !has(path, verb))
            .map(|(path, verb)| format!("{verb} {path}"))
            .collect();
        if !missing.is_empty() {
            let said = format!("{who}, which may not {}", missing.join(", nor "));
            return Err(ActionError::Retry { after: None, said });
        }
        self.server.is_versioned(&self.mount).await?;
        let holding = self.look().await?;
        Ok(format!("{who}, which may read and write {data}; there is {}", shown(holding.version.as_deref())))
    }
}

#[cfg(test)]
mod tests;
