//! Static roles of a database engine of an OpenBao or a Vault server: the server gives the account another password.
//! It must never read a password, nor take a rotation that the server only tries later for one that is done.

use async_trait::async_trait;
use provost_client::{Ask, Body};
use provost_model::{Kind, Order, Reading, Remedy, Slot, Target, Time};
use serde::Deserialize;
use serde_json::json;

use super::{Minted, Rotator, RotatorSpec, Way};
use crate::{
    ActionError, Bundle,
    given::{
        Handed,
        vault::{self, LOGIN, MOUNT, SELF, Server},
    },
    sinks::Checked,
};

const READ: &str = "GET /v1/{mount}/static-roles/{role}";
const ROTATE: &str = "POST /v1/{mount}/rotate-role/{role}";
/// What the inventory calls such a role in its mount begins with this.
const BELOW: &str = "static-roles/";

/// What this rotator is.
pub(super) static SPEC: RotatorSpec = RotatorSpec {
    name: "vault_static_role",
    title: "OpenBao or Vault database static role",
    about: "has the database engine give the account of a static role another password at once, without an overlap: whoever \
            holds the old one is refused from then on, and reads the new one from the engine",
    kinds: &[Kind::Password],
    remedies: &[Remedy::Rotate],
    way: Way::InPlace,
    reversible: false,
    removes: false,
    parts: &[],
    marks: false,
    prepares: false,
    lag: None,
    acts: &[ROTATE],
    reads: &[READ, MOUNT, SELF, LOGIN],
    permissions: &["read on MOUNT/static-roles/ROLE", "update on MOUNT/rotate-role/ROLE"],
    checked: Checked::RealServer("OpenBao 2.7 with PostgreSQL 15"),
    example: r#"[[rotations]]
name = "database-accounts"
kind = "vault_static_role"
address = "https://vault.example.org:8200"
# Where its token is, or role_id = "env:…" with secret_id = "credential:…" for an AppRole.
token = "file:/run/vault-agent/token"
# approle_mount = "approle"          # where role_id signs in
# namespace = "team-a"
# ca_file = "/etc/ssl/vault-ca.pem"  # of a private authority
# Where the database engine is mounted.
mount = "database"
"#,
    documentation: &["https://openbao.org/api-docs/secret/databases/#rotate-static-role-credentials"],
    build: &build,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(default = "database")]
    mount: String,
}

fn database() -> String {
    "database".to_owned()
}

struct StaticRole {
    server: Server,
    mount: String,
}

#[derive(Deserialize)]
struct Told {
    /// As the server writes it: that is what the password is called by.
    last_vault_rotation: String,
}

fn build(handed: &Handed) -> Result<Box<dyn Rotator>, String> {
    let (access, settings): (_, Settings) = vault::parsed(handed)?;
    let mount = vault::mount_of("mount", &settings.mount)?;
    Ok(Box::new(StaticRole { server: Server::new(handed, (SPEC.reads, SPEC.acts), access)?, mount }))
}

impl StaticRole {
    /// The role's name, which has to be one of this mount.
    async fn role<'a>(&self, target: &'a Target) -> Result<&'a str, ActionError> {
        let (accessor, rest) = vault::placed(target)?;
        let role = rest.strip_prefix(BELOW).filter(|it| !it.is_empty());
        let role =
            role.ok_or_else(|| ActionError::GiveUp { said: "what is to be changed is no static role".into() })?;
        self.server.is_home(&self.mount, accessor).await?;
        Ok(role)
    }

    async fn told(&self, role: &str) -> Result<Option<Told>, ActionError> {
        Ok(self.server.read(Ask::get(READ, &[&self.mount, role])).await?)
    }
}

fn gone() -> ActionError {
    ActionError::GiveUp { said: "the static role is not there".to_owned() }
}

/// Whether one rotation is not before another; where a date cannot be read, only whether they are the same.
fn is_since(told: &str, wanted: &str) -> bool {
    let dates = told.parse::<Time>().ok().zip(wanted.parse::<Time>().ok());
    told == wanted || dates.is_some_and(|(told, wanted)| told > wanted)
}

#[async_trait]
impl Rotator for StaticRole {
    async fn look(&self, target: &Target) -> Result<Vec<Slot>, ActionError> {
        let role = self.role(target).await?;
        let told = self.told(role).await?;
        let slot = |told: Told| Slot {
            active: true,
            made_at: told.last_vault_rotation.parse().map_or(Reading::NotReported, Reading::Known),
            id: told.last_vault_rotation,
            used_at: Reading::NotReported,
            mark: None,
        };
        Ok(told.map(slot).into_iter().collect())
    }

    async fn mint(&self, order: &Order, target: &Target, _: &str, _: &Bundle) -> Result<Minted, ActionError> {
        let role = self.role(target).await?;
        let before = self.told(role).await?.ok_or_else(gone)?;
        self.server.act(order, Ask::act(ROTATE, &[&self.mount, role], Some(Body::Json(json!({}))))).await?;
        let after = match self.told(role).await {
            Ok(Some(after)) => after,
            Ok(None) => {
                return Err(ActionError::Ambiguous { said: "the role is gone since it was rotated".to_owned() });
            }
            Err(error) => return Err(ActionError::Ambiguous { said: error.said().to_owned() }),
        };
        if after.last_vault_rotation == before.last_vault_rotation {
            let said = "the server took the call, and says that the last rotation was before it".to_owned();
            return Err(ActionError::Ambiguous { said });
        }
        Ok(Minted { id: after.last_vault_rotation, value: Bundle::default() })
    }

    async fn verify(&self, target: &Target, id: &str, _: &Bundle) -> Result<(), ActionError> {
        let role = self.role(target).await?;
        let told = self.told(role).await?.ok_or_else(gone)?;
        if is_since(&told.last_vault_rotation, id) {
            return Ok(());
        }
        Err(ActionError::GiveUp { said: "the server says that the last rotation was before this one".to_owned() })
    }

    async fn disable(&self, _: &Order, _: &Target, _: &str) -> Result<(), ActionError> {
        Err(ActionError::GiveUp { said: "the password of a static role cannot be disabled, only replaced".to_owned() })
    }

    async fn enable(&self, _: &Order, target: &Target, id: &str) -> Result<(), ActionError> {
        if self.look(target).await?.iter().any(|it| it.id == id) {
            return Ok(());
        }
        Err(ActionError::GiveUp { said: "a password that was replaced cannot be brought back".to_owned() })
    }

    async fn delete(&self, _: &Order, target: &Target, id: &str) -> Result<(), ActionError> {
        if self.look(target).await?.iter().all(|it| it.id != id) {
            return Ok(());
        }
        Err(ActionError::GiveUp { said: "the present password of a static role cannot be removed".to_owned() })
    }

    async fn check(&self) -> Result<String, ActionError> {
        self.server.check(&self.mount, "database").await
    }
}

#[cfg(test)]
mod tests;
