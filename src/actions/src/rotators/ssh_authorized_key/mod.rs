//! Keys that may log in to this machine by SSH: lines of an `authorized_keys` file.
//! It must never write the file in parts, nor through a link, nor change a line of another key.

mod lines;
#[cfg(test)]
mod tests;

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use provost_model::{Kind, Order, Remedy, Slot, Target, Warrant as _};
use secrecy::SecretString;
use serde::Deserialize;

use self::lines::{Change, changed, slots, with};
use super::{Minted, Rotator, RotatorSpec, Way};
use crate::{
    ActionError, Bundle,
    given::{
        Handed,
        files::{Found, Like, Place},
        settings::parsed,
        ssh_key::{NewKey, digest_of_private, made, parts_of},
        ssh_login::Login,
    },
    sinks::Checked,
};

/// What this rotator is.
pub(super) static SPEC: RotatorSpec = RotatorSpec {
    name: "ssh_authorized_key",
    title: "SSH keys in an authorized_keys file",
    about: "adds a line for a new Ed25519 key with the options of the old one, and later puts the old line behind a \
            comment sign and removes it; sessions that are open then go on until they end",
    kinds: &[Kind::SshKey],
    remedies: &[Remedy::Rotate, Remedy::Disable, Remedy::Delete],
    way: Way::Overlap { capacity: None },
    reversible: true,
    removes: true,
    parts: &[PRIVATE, PUBLIC],
    marks: true,
    prepares: false,
    lag: None,
    acts: &["replace the authorized_keys file"],
    reads: &["read the authorized_keys file", "log in over SSH with the new key, and leave before anything is run"],
    permissions: &[
        "writes the file's directory, which nobody else may write but the file's owner",
        "gives files away (CAP_CHOWN), where the file is another user's",
    ],
    checked: Checked::RealServer("OpenSSH 9.2"),
    example: EXAMPLE,
    documentation: &["https://man.openbsd.org/sshd#AUTHORIZED_KEYS_FILE_FORMAT", "https://man.openbsd.org/ssh_config"],
    build: &build,
};

const PRIVATE: &str = "private_key";
const PUBLIC: &str = "public_key";

const EXAMPLE: &str = r#"[[rotations]]
name = "deploy-login"
kind = "ssh_authorized_key"
file = "/home/deploy/.ssh/authorized_keys"    # on this machine; through no symbolic link
login = "deploy@host.example.org:22"          # where a new key is tried, as USER@HOST or USER@HOST:PORT
known_hosts = "/etc/provost/known_hosts"      # with that server's own key; no other is trusted
"#;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Typed {
    file: PathBuf,
    login: String,
    known_hosts: PathBuf,
}

struct Keys {
    file: Arc<PathBuf>,
    login: Login,
}

fn build(handed: &Handed) -> Result<Box<dyn Rotator>, String> {
    let typed: Typed = parsed(handed)?;
    if !typed.file.is_absolute() {
        return Err("file: expected an absolute path".to_owned());
    }
    let login = Login::parse("login", &typed.login, &typed.known_hosts)?;
    Ok(Box::new(Keys { file: Arc::new(typed.file), login }))
}

impl Keys {
    /// What stands before digests in the ids of keys of this file, and the digest of that one.
    fn parts<'i>(&self, id: &'i str) -> Result<(&'i str, &'i str), ActionError> {
        let (before, digest) = parts_of(id).ok_or_else(|| refused("it is not called by the digest of a key"))?;
        let is_here = before.strip_suffix('#').is_some_and(|path| self.file.to_str() == Some(path));
        if is_here || before.is_empty() { Ok((before, digest)) } else { Err(refused("the key is in another file")) }
    }

    /// Does something with the file where waiting for the disk stops nobody.
    async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Place, Option<Found>) -> Result<T, ActionError> + Send + 'static,
    ) -> Result<T, ActionError> {
        let file = self.file.clone();
        let done = tokio::task::spawn_blocking(move || {
            let place = Place::open(&file)?;
            let found = place.read()?;
            work(&place, found)
        });
        let broken = ActionError::Ambiguous { said: "the work with the file was broken off".to_owned() };
        done.await.unwrap_or(Err(broken))
    }

    async fn change(&self, order: &Order, id: &str, change: Change) -> Result<(), ActionError> {
        let digest = self.parts(id)?.1.to_owned();
        noted(order);
        self.aside(move |place, found| {
            let former = found.as_ref().map_or(Ok(""), text)?;
            let is_there = slots(former, str::to_owned).iter().any(|it| it.id == digest);
            let Some(found) = found.as_ref().filter(|_| is_there) else {
                let gone = change != Change::On;
                return if gone { Ok(()) } else { Err(refused("the key is not in the file any more")) };
            };
            let new = changed(former, &digest, change);
            if new == former { Ok(()) } else { replaced(place, found, &new) }
        })
        .await
    }
}

#[async_trait]
impl Rotator for Keys {
    async fn look(&self, target: &Target) -> Result<Vec<Slot>, ActionError> {
        let (before, digest) = self.parts(&target.external_id)?;
        let (before, digest, whole) = (before.to_owned(), digest.to_owned(), target.external_id.clone());
        self.aside(move |_, found| {
            let id = |it: &str| if it == digest { whole.clone() } else { format!("{before}{it}") };
            found.map_or(Ok(Vec::new()), |found| Ok(slots(text(&found)?, id)))
        })
        .await
    }

    async fn mint(&self, order: &Order, target: &Target, mark: &str, _: &Bundle) -> Result<Minted, ActionError> {
        let (before, digest) = self.parts(&target.external_id)?;
        let (digest, mark) = (digest.to_owned(), mark.to_owned());
        let key = made(&mark).map_err(|said| ActionError::Retry { after: None, said })?;
        let id = format!("{before}{}", key.digest);
        noted(order);
        self.aside(move |place, found| {
            let gone = || refused("the key is not in the file any more");
            let found = found.ok_or_else(gone)?;
            let new = with(text(&found)?, &digest, (&key.public, &mark)).ok_or_else(gone)?;
            replaced(place, &found, &new)?;
            let NewKey { private, public, .. } = key;
            let public = SecretString::from(format!("{public} {mark}"));
            Ok(Minted { id, value: Bundle::new([(PRIVATE.to_owned(), private), (PUBLIC.to_owned(), public)]) })
        })
        .await
    }

    async fn verify(&self, _: &Target, id: &str, value: &Bundle) -> Result<(), ActionError> {
        let (_, digest) = self.parts(id)?;
        let private = value.get(PRIVATE).ok_or_else(|| refused("the value has no private key"))?;
        if digest_of_private(private).as_deref() != Some(digest) {
            return Err(refused("the value is that of another key"));
        }
        self.login.tried(private).await
    }

    async fn disable(&self, order: &Order, _: &Target, id: &str) -> Result<(), ActionError> {
        self.change(order, id, Change::Off).await
    }

    async fn enable(&self, order: &Order, _: &Target, id: &str) -> Result<(), ActionError> {
        self.change(order, id, Change::On).await
    }

    async fn delete(&self, order: &Order, _: &Target, id: &str) -> Result<(), ActionError> {
        self.change(order, id, Change::Away).await
    }

    async fn check(&self) -> Result<String, ActionError> {
        self.login.check()?;
        self.aside(|place, found| {
            let found = found.ok_or_else(|| refused("the file is not there"))?;
            if !place.may_own(found.about.uid) {
                return Err(refused("its directory belongs to another user than the file"));
            }
            if !place.is_writable() {
                return Err(ActionError::Retry { after: None, said: "its directory may not be written".to_owned() });
            }
            Ok(format!("the file has {} keys, and can be replaced", slots(text(&found)?, str::to_owned).len()))
        })
        .await
    }
}

/// Puts a new file in the place of that one, with its owner and its mode.
fn replaced(place: &Place, found: &Found, new: &str) -> Result<(), ActionError> {
    let about = found.about;
    if !place.may_own(about.uid) {
        return Err(refused("its directory belongs to another user than the file"));
    }
    let like = Like { mode: about.mode, uid: Some(about.uid), gid: Some(about.gid) };
    place.replace(new.as_bytes(), like, Some(about.stamp)).map(drop)
}

fn text(found: &Found) -> Result<&str, ActionError> {
    std::str::from_utf8(&found.bytes).map_err(|_| refused("the file is not text"))
}

fn noted(order: &Order) {
    tracing::debug!(remedy = order.remedy().word(), commit = order.decision().commit(), "changes authorized keys");
}

fn refused(said: &str) -> ActionError {
    ActionError::GiveUp { said: said.to_owned() }
}
