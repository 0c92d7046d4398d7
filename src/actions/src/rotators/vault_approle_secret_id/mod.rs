//! Secret ids of an AppRole of an OpenBao or a Vault server: a new one beside the old one, with the same bounds.
//! It must never spend a use of a secret id whose uses are counted, nor destroy the one by which it signs in itself.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use provost_client::{Ask, Body, Failure};
use provost_model::{Clock, Kind, Order, Reading, Remedy, Slot, Target, Time};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Minted, Rotator, RotatorSpec, Way};
use crate::{
    ActionError, Bundle,
    given::{
        Handed, secret,
        vault::{self, LOGIN, MOUNT, SELF, Server},
    },
    sinks::Checked,
};

const ROLE: &str = "GET /v1/auth/{mount}/role/{role}";
const ROLE_ID: &str = "GET /v1/auth/{mount}/role/{role}/role-id";
const LIST: &str = "LIST /v1/auth/{mount}/role/{role}/secret-id";
const MINT: &str = "POST /v1/auth/{mount}/role/{role}/secret-id";
/// Reads, though they are sent as POST: what is looked up stands in the body.
const BY_ACCESSOR: &str = "POST /v1/auth/{mount}/role/{role}/secret-id-accessor/lookup";
const BY_VALUE: &str = "POST /v1/auth/{mount}/role/{role}/secret-id/lookup";
const DESTROY: &str = "POST /v1/auth/{mount}/role/{role}/secret-id-accessor/destroy";
/// Ends the token that trying out a new secret id was answered with.
const END: &str = "POST /v1/auth/token/revoke-self";
/// The word of ours in a secret id's metadata.
const MARK: &str = "provost";
/// The part that a secret id is.
const PART: &str = "secret_id";
/// Most secret ids of one role that are looked at.
const SLOTS_MAX: usize = 500;

/// What this rotator is.
pub(super) static SPEC: RotatorSpec = RotatorSpec {
    name: "vault_approle_secret_id",
    title: "OpenBao or Vault AppRole secret id",
    about: "makes a secret id of the same AppRole with the addresses, lifetime, uses and metadata of the old one, which is \
            destroyed in the end; a new one is tried out by signing in once, and the token that this gives is ended at \
            once, or it is only looked up where its uses are counted or it works from certain addresses only",
    kinds: &[Kind::ClientSecret],
    remedies: &[Remedy::Rotate, Remedy::Revoke, Remedy::Delete],
    way: Way::Overlap { capacity: None },
    reversible: false,
    removes: true,
    parts: &[PART],
    marks: true,
    prepares: false,
    lag: None,
    acts: &[MINT, DESTROY],
    reads: &[ROLE, ROLE_ID, LIST, BY_ACCESSOR, BY_VALUE, END, MOUNT, SELF, LOGIN],
    permissions: &[
        "list on auth/MOUNT/role/ROLE/secret-id",
        "read on auth/MOUNT/role/ROLE and auth/MOUNT/role/ROLE/role-id",
        "update on auth/MOUNT/role/ROLE/secret-id, …/secret-id/lookup, …/secret-id-accessor/lookup and \
         …/secret-id-accessor/destroy",
    ],
    checked: Checked::RealServer("OpenBao 2.7"),
    example: r#"[[rotations]]
name = "approles"
kind = "vault_approle_secret_id"
address = "https://vault.example.org:8200"
# Where its token is, or role_id = "env:…" with secret_id = "credential:…" for an AppRole of its own.
token = "file:/run/vault-agent/token"
# approle_mount = "approle"          # where role_id signs in
# namespace = "team-a"
# ca_file = "/etc/ssl/vault-ca.pem"  # of a private authority
# Where the AppRoles are mounted, below auth/.
mount = "approle"
"#,
    documentation: &[
        "https://openbao.org/api-docs/auth/approle/",
        "https://openbao.org/api-docs/auth/token/#revoke-a-token-self",
    ],
    build: &build,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(default = "approle")]
    mount: String,
}

fn approle() -> String {
    "approle".to_owned()
}

struct AppRole {
    server: Server,
    mount: String,
    clock: std::sync::Arc<dyn Clock>,
    /// The secret id by which it signs in itself, as the inventory calls it, once that is known.
    own: Mutex<Option<String>>,
}

/// A role, as far as it bounds its secret ids.
#[derive(Deserialize)]
struct Role {
    #[serde(default)]
    secret_id_ttl: i64,
    #[serde(default)]
    secret_id_num_uses: i64,
    #[serde(default)]
    secret_id_bound_cidrs: Option<Vec<String>>,
    #[serde(default)]
    token_bound_cidrs: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct RoleId {
    #[serde(deserialize_with = "vault::secret")]
    role_id: SecretString,
}

/// A secret id, as it is looked up.
#[derive(Deserialize)]
struct Told {
    secret_id_accessor: String,
    creation_time: Value,
    expiration_time: Value,
    #[serde(default)]
    last_updated_time: Value,
    #[serde(default)]
    secret_id_num_uses: i64,
    #[serde(default)]
    secret_id_ttl: i64,
    #[serde(default)]
    cidr_list: Option<Vec<String>>,
    #[serde(default)]
    token_bound_cidrs: Option<Vec<String>>,
    #[serde(default)]
    metadata: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Made {
    #[serde(deserialize_with = "vault::secret")]
    secret_id: SecretString,
    secret_id_accessor: String,
}

/// A role's name, and what ids of its secret ids begin with.
struct Holder<'a> {
    role: &'a str,
    prefix: &'a str,
}

fn build(handed: &Handed) -> Result<Box<dyn Rotator>, String> {
    let (access, settings): (_, Settings) = vault::parsed(handed)?;
    let mount = vault::mount_of("mount", &settings.mount)?;
    let server = Server::new(handed, (SPEC.reads, SPEC.acts), access)?;
    Ok(Box::new(AppRole { server, mount, clock: handed.clock.clone(), own: Mutex::default() }))
}

impl AppRole {
    /// Whose secret id it is, which has to be a role of this mount.
    async fn holder<'a>(&self, target: &'a Target) -> Result<Holder<'a>, ActionError> {
        let (accessor, rest) = vault::placed(target)?;
        let role = rest.split_once('/').map(|(role, _)| role);
        let prefix = target.external_id.rsplit_once('/').map(|(prefix, _)| prefix);
        let (Some(role), Some(prefix)) = (role.filter(|it| *it == target.holder_name), prefix) else {
            let said = "what is to be changed is no secret id of the role that is said to hold it".to_owned();
            return Err(ActionError::GiveUp { said });
        };
        self.server.is_home(&format!("auth/{}", self.mount), accessor).await?;
        Ok(Holder { role, prefix })
    }

    /// A secret id by its accessor; none if there is none any more.
    async fn told(&self, role: &str, accessor: &str) -> Result<Option<Told>, Failure> {
        let body = Body::Json(json!({ "secret_id_accessor": accessor }));
        self.server.read(Ask::post(BY_ACCESSOR, &[&self.mount, role], body)).await
    }

    /// A secret id by its value, which uses it up no further.
    async fn found(&self, role: &str, value: &SecretString) -> Result<Option<Told>, Failure> {
        #[derive(Serialize)]
        struct Value<'a> {
            secret_id: &'a str,
        }
        let body = vault::wiped(&Value { secret_id: value.expose_secret() }, 1_024)?;
        self.server.read(Ask::post(BY_VALUE, &[&self.mount, role], body)).await
    }

    /// Finds out which secret id it signs in by itself, where that is one of this role. What cannot be told stops it.
    async fn know_itself(&self, holder: &Holder<'_>) -> Result<(), ActionError> {
        let Some((mount, role, secret_id)) = self.server.itself() else { return Ok(()) };
        if mount != self.mount || role != holder.role {
            return Ok(());
        }
        let secret_id = secret::asked(secret_id).await?;
        let said = || "it signs in as this role itself, and cannot tell by which secret id".to_owned();
        let told = self.found(&role, &SecretString::from(secret_id.expose_secret().trim())).await?;
        let told = told.ok_or_else(|| ActionError::GiveUp { said: said() })?;
        let own = format!("{}/{}", holder.prefix, told.secret_id_accessor);
        *self.own.lock().unwrap_or_else(PoisonError::into_inner) = Some(own);
        Ok(())
    }

    fn slot(&self, prefix: &str, told: &Told) -> Slot {
        let (made, ends) = (vault::date(Some(&told.creation_time)), vault::date(Some(&told.expiration_time)));
        Slot {
            id: format!("{prefix}/{}", told.secret_id_accessor),
            active: ends.is_none_or(|at| at > self.clock.now()),
            made_at: made.map_or(Reading::NotReported, Reading::Known),
            used_at: used(told, made),
            mark: told.metadata.as_ref().and_then(|it| it.get(MARK)).cloned(),
        }
    }
}

/// A use is written down only where uses are counted.
fn used(told: &Told, made: Option<Time>) -> Reading<Time> {
    match (told.secret_id_num_uses, made, vault::date(Some(&told.last_updated_time))) {
        (1.., Some(made), Some(updated)) if updated > made => Reading::Known(updated),
        (1.., Some(_), Some(_)) => Reading::Never,
        _ => Reading::NotReported,
    }
}

/// What is asked for a new one that can do what the old one can. Where the role says how long its secret ids live and how often
/// they work, that holds unless the old one lives shorter; where only the old one's uses are counted, the new one gets those that
/// are left: how many there were is not known any more.
fn wanted(old: &Told, role: &Role, mark: &str) -> Value {
    let mut metadata = old.metadata.clone().unwrap_or_default();
    metadata.insert(MARK.to_owned(), mark.to_owned());
    let mut wanted = Map::new();
    // The server takes this one map as a text.
    wanted.insert("metadata".into(), json!(metadata).to_string().into());
    for (name, list) in [("cidr_list", &old.cidr_list), ("token_bound_cidrs", &old.token_bound_cidrs)] {
        if let Some(list) = list.as_ref().filter(|it| !it.is_empty()) {
            wanted.insert(name.into(), json!(list));
        }
    }
    let life = old.secret_id_ttl;
    if life > 0 && (role.secret_id_ttl == 0 || life < role.secret_id_ttl) {
        wanted.insert("ttl".into(), format!("{life}s").into());
    }
    if old.secret_id_num_uses > 0 && role.secret_id_num_uses == 0 {
        wanted.insert("num_uses".into(), old.secret_id_num_uses.into());
    }
    Value::Object(wanted)
}

fn is_bound(lists: &[&Option<Vec<String>>]) -> bool {
    lists.iter().any(|list| list.as_ref().is_some_and(|it| !it.is_empty()))
}

/// What the server calls a secret id: the last part of what the inventory calls it.
fn accessor_of<'a>(holder: &Holder<'_>, id: &'a str) -> Result<&'a str, ActionError> {
    let accessor = id.strip_prefix(holder.prefix).and_then(|rest| rest.strip_prefix('/'));
    accessor.ok_or_else(|| ActionError::GiveUp { said: "that is no secret id of this role".to_owned() })
}

#[async_trait]
impl Rotator for AppRole {
    async fn look(&self, target: &Target) -> Result<Vec<Slot>, ActionError> {
        let holder = self.holder(target).await?;
        self.know_itself(&holder).await?;
        let listed = match self.server.list(Ask::list(LIST, &[&self.mount, holder.role])).await {
            Ok(listed) => listed.keys,
            // The role is gone, and its secret ids with it.
            Err(failure) if failure.said.contains("does not exist") => return Ok(Vec::new()),
            Err(failure) => return Err(failure.into()),
        };
        if listed.len() > SLOTS_MAX {
            let said = format!("the role has more than {SLOTS_MAX} secret ids: have those tidied that are not needed");
            return Err(ActionError::GiveUp { said });
        }
        let mut slots = Vec::new();
        for accessor in listed {
            // One that is gone since it was listed is not there.
            let told = self.told(holder.role, &accessor).await?;
            slots.extend(told.map(|told| self.slot(holder.prefix, &told)));
        }
        Ok(slots)
    }

    async fn mint(&self, order: &Order, target: &Target, mark: &str, _: &Bundle) -> Result<Minted, ActionError> {
        let holder = self.holder(target).await?;
        let accessor = accessor_of(&holder, &target.external_id)?;
        let gone = || ActionError::GiveUp { said: "the old secret id is gone: there is nothing to go by".to_owned() };
        let old = self.told(holder.role, accessor).await?.ok_or_else(gone)?;
        let role: Role = self.server.there(Ask::get(ROLE, &[&self.mount, holder.role]), "the role").await?;
        let body = Body::Json(wanted(&old, &role, mark));
        let made: Made = self.server.made(order, Ask::act(MINT, &[&self.mount, holder.role], Some(body))).await?;
        let id = format!("{}/{}", holder.prefix, made.secret_id_accessor);
        Ok(Minted { id, value: Bundle::new([(PART.to_owned(), made.secret_id)]) })
    }

    async fn verify(&self, target: &Target, id: &str, value: &Bundle) -> Result<(), ActionError> {
        let refused = |said: &str| Err(ActionError::GiveUp { said: said.to_owned() });
        let holder = self.holder(target).await?;
        let accessor = accessor_of(&holder, id)?;
        let Some(secret_id) = value.get(PART) else { return refused("the value has no secret id") };
        let told = match self.found(holder.role, secret_id).await? {
            Some(told) if told.secret_id_accessor == accessor => told,
            Some(_) => return refused("the value is that of another secret id of the role"),
            None => return refused("the server knows no such secret id of the role"),
        };
        let role: Role = self.server.there(Ask::get(ROLE, &[&self.mount, holder.role]), "the role").await?;
        let bounds = [&told.cidr_list, &told.token_bound_cidrs, &role.secret_id_bound_cidrs, &role.token_bound_cidrs];
        if told.secret_id_num_uses > 0 || is_bound(&bounds) {
            return Ok(());
        }
        let id: RoleId = self.server.there(Ask::get(ROLE_ID, &[&self.mount, holder.role]), "the role's id").await?;
        let tried = match self.server.try_in(&self.mount, (&id.role_id, secret_id)).await {
            Ok(tried) => tried,
            Err(failure) if failure.why == provost_model::Why::Unauthenticated => {
                return refused(&format!("the new secret id does not work: {failure}"));
            }
            Err(failure) => return Err(failure.into()),
        };
        if let Err(failure) = self.server.end(END, &tried).await {
            // A token of another type cannot be ended: it ends by itself, when the role says.
            tracing::warn!(%failure, "a token that was granted to try out a secret id was not ended");
        }
        Ok(())
    }

    async fn disable(&self, _: &Order, _: &Target, _: &str) -> Result<(), ActionError> {
        Err(ActionError::GiveUp { said: "a secret id cannot be disabled, only destroyed".to_owned() })
    }

    async fn enable(&self, _: &Order, target: &Target, id: &str) -> Result<(), ActionError> {
        let slots = self.look(target).await?;
        if slots.iter().any(|it| it.id == id && it.active) {
            return Ok(());
        }
        Err(ActionError::GiveUp {
            said: "a secret id that was destroyed, or has ended, cannot be brought back".to_owned(),
        })
    }

    async fn delete(&self, order: &Order, target: &Target, id: &str) -> Result<(), ActionError> {
        let holder = self.holder(target).await?;
        let accessor = accessor_of(&holder, id)?;
        self.know_itself(&holder).await?;
        if self.own().iter().any(|own| own == id) {
            return Err(ActionError::GiveUp { said: "that is the secret id by which it signs in itself".to_owned() });
        }
        // A server answers 500 where there is none to destroy, which could mean anything.
        if self.told(holder.role, accessor).await?.is_none() {
            return Ok(());
        }
        let body = Body::Json(json!({ "secret_id_accessor": accessor }));
        self.server.act(order, Ask::act(DESTROY, &[&self.mount, holder.role], Some(body))).await?;
        Ok(())
    }

    async fn check(&self) -> Result<String, ActionError> {
        self.server.check(&format!("auth/{}", self.mount), "approle").await
    }

    fn own(&self) -> Vec<String> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests;
