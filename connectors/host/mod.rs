//! The connector `host`: credentials, keys and AI agents in the files of one machine.
//! It must never follow a path out of its roots, write anything, or keep the value of a secret.
//!
//! Reading order: `settings` and `area` (what is looked at), `walk` over `opening` (how), `recognise` (what is
//! found, one file per sort of place), `found` and `record` (what becomes of it), `scan` (all of it together).

mod access;
mod area;
mod arguments;
mod der;
pub(crate) mod environment;
pub(crate) mod found;
pub(crate) mod keys;
mod mcp_clients;
mod opening;
mod pem_blocks;
mod pin;
mod place;
mod recognise;
mod record;
mod scan;
mod settings;
#[cfg(test)]
mod tests;
#[cfg(any(test, feature = "testing"))]
pub mod testtree;
mod tree;
pub(crate) mod value;
mod walk;
pub(crate) mod x509;
mod xml;

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use provost_model::{Cover, Kind, Realm, Scope, Trouble, Why};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use self::{
    area::Area,
    pin::Pin,
    place::Users,
    scan::{Ended, Said, Scan},
    settings::Settings,
    walk::Enough,
};
use crate::{
    Access, Bookmarks, Connector, Emitter, Permission, Reach, Read, Source, Spec, fingerprint::FingerprintKey,
};

/// The connector's description of itself.
pub static SPEC: Spec = Spec {
    name: "host",
    title: "This host",
    about: "Credential files, keys, certificates, systemd units, CI files and AI agents in the files of one machine.",
    version: 1,
    reach: Reach::Host,
    kinds: &[
        Kind::AiAgent,
        Kind::Workload,
        Kind::AccessKey,
        Kind::Password,
        Kind::SshKey,
        Kind::Certificate,
        Kind::Token,
        Kind::ClientSecret,
        Kind::Secret,
    ],
    reads: &[Read("openat"), Read("getdents"), Read("fstat"), Read("readlinkat"), Read("read")],
    permissions: &[
        Permission { action: "read the roots", optional: false, why: "everything below the configured roots" },
        Permission {
            action: "CAP_DAC_READ_SEARCH",
            optional: true,
            why: "private keys of services, and files of other users; without it only what the daemon's user may read",
        },
    ],
    blind_spots: &[
        "secrets in key rings, browsers, agents' memories and encrypted stores: only that a store is there, where it is a file",
        "files under names that promise no secret, and files larger than max_file_bytes",
        "access lists: whether others can read a file is told from its mode and the directories above it",
        "when a secret was made or used: the file system does not know; mtime is the file's last change",
    ],
    example: r#"[[sources]]
name = "this-host"
connector = "host"
schedule = "43 */4 * * *"
# Directories to look through; the user's home if not set.
# roots = ["/home", "/srv"]
# Also look at the system's own places, such as /etc/ssh and /etc/systemd/system.
system = true
# Directories not to enter, by the end of their path, beside node_modules and the like.
exclude = ["Downloads/mirror"]
max_file_bytes = 1048576
max_files = 2000000
max_depth = 40
"#,
    documentation: &[
        "https://man7.org/linux/man-pages/man7/path_resolution.7.html",
        "https://modelcontextprotocol.io/",
    ],
    build: &build,
};

/// Eyes on the files of one host.
pub struct Host {
    settings: Arc<Settings>,
    prints: Arc<FingerprintKey>,
}

fn build(source: &Source) -> Result<Box<dyn Connector>, String> {
    let settings = Settings::from_table(&source.settings)?;
    Ok(Box::new(Host { settings: Arc::new(settings), prints: source.fingerprints.clone() }))
}

#[async_trait]
impl Connector for Host {
    async fn announce(&self) -> String {
        access::announced(&self.settings)
    }

    async fn check(&self) -> Access {
        let settings = self.settings.clone();
        let checked = tokio::task::spawn_blocking(move || access::checked(&settings)).await;
        checked.unwrap_or_default()
    }

    fn disposition(&self) -> String {
        self.settings.disposition()
    }

    async fn discover(&self, known: &Bookmarks, to: &mut Emitter) -> Result<(), Trouble> {
        let settings = self.settings.clone();
        let machine = tokio::task::spawn_blocking(move || access::machine(&settings)).await;
        let (realm, users, elsewhere) = machine.map_err(|_| broken("the machine's own names could not be read"))?;
        to.realm(realm.clone()).await?;
        let areas = area::all(&self.settings);
        for path in known.cursors.keys().filter(|path| area::is_ours(path)) {
            if !areas.iter().any(|area| area.scope == **path) {
                to.unwatch(&Scope::new(realm.clone(), path.clone())).await?;
            }
        }
        let machine = Arc::new((realm, users, elsewhere));
        for area in areas {
            let before = known.cursors.get(&area.scope).and_then(Pin::from_cursor);
            self.read(area, before, machine.clone(), to).await?;
        }
        to.flush().await?;
        Ok(())
    }
}

type Machine = Arc<(Realm, Users, BTreeSet<(u64, u64)>)>;

impl Host {
    /// Reads one area on a thread that may block, and says what that thread says.
    async fn read(&self, area: Area, before: Option<Pin>, machine: Machine, to: &mut Emitter) -> Result<(), Trouble> {
        let scope = Scope::new(machine.0.clone(), area.scope.clone());
        let now = to.now();
        // Few at a time: a slow store slows the walk, never the memory.
        let (say, mut said) = mpsc::channel::<Said>(16);
        let (settings, prints, stop, thread_area) =
            (self.settings.clone(), self.prints.clone(), to.stop().clone(), area.clone());
        let reading = tokio::task::spawn_blocking(move || {
            let (realm, users, elsewhere) = &*machine;
            let scan = Scan { settings: &settings, realm, prints: &prints, users, elsewhere, now, stop: &stop };
            scan.read(&thread_area, before.as_ref(), &mut |it| say.blocking_send(it).map_err(|_| Enough))
        });
        let mut begun = !area.system;
        if begun {
            to.begin(&scope, None).await?;
        }
        while let Some(it) = said.recv().await {
            if !begun {
                to.begin(&scope, None).await?;
                begun = true;
            }
            match it {
                Said::Seen(entities) => {
                    for entity in entities {
                        to.see(&scope, None, now, entity).await?;
                    }
                }
                Said::Trouble(trouble) => to.trouble(trouble).await?,
                Said::Progress(entries) => to.progress(entries, None, "directory entries").await?,
            }
        }
        let ended = reading
            .await
            .unwrap_or_else(|_| Ended::Partial(Why::Malformed, "a file could not be coped with".to_owned()));
        if !begun && !matches!(ended, Ended::Left(_)) {
            to.begin(&scope, None).await?;
        }
        match ended {
            Ended::Whole(pin) => to.cover(&scope, None, now, Cover::Full { next: pin.cursor(), atomic: false }).await?,
            Ended::Partial(why, said) => {
                let trouble = Trouble { place: scope.path.clone(), why, said, blind_spot: false };
                to.trouble(trouble).await?;
                to.cover(&scope, None, now, Cover::Partial { why }).await?;
            }
            // Not there at all: nothing to miss. Closed: a blind spot that is named.
            Ended::Left(Why::Denied) => {
                let said = format!("may not be read; not seen: {}", area.holds);
                to.trouble(Trouble { place: scope.path.clone(), why: Why::Denied, said, blind_spot: true }).await?;
            }
            Ended::Left(_) => {}
        }
        Ok(())
    }
}

fn broken(said: &str) -> Trouble {
    Trouble { place: String::new(), why: Why::Unavailable, said: said.to_owned(), blind_spot: false }
}

/// SHA-256, hexadecimal.
fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
