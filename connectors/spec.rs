//! What a connector says of itself, and what it can do. README tables, examples and policies are printed from here.
//! It must never describe what the code beside it does not do: generic tests hold the two together.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use provost_model::{Clock, Kind, Trouble};
use secrecy::SecretString;

use crate::{Bookmarks, Emitter, Stopped};

/// One operation a connector may send, in the words of its provider: `iam:ListUsers`, `GET /orgs/{org}`, `open`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read(pub &'static str);

/// A permission a connector uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permission {
    /// The provider's name for it, such as `iam:GetCredentialReport`.
    pub action: &'static str,
    /// Denied, it makes a declared blind spot instead of a partial run.
    pub optional: bool,
    /// What is seen with it, and so missed without it.
    pub why: &'static str,
}

impl Permission {
    /// One without which a run is partial.
    pub const fn needed(action: &'static str, why: &'static str) -> Self {
        Self { action, optional: false, why }
    }

    /// One that may be denied.
    pub const fn optional(action: &'static str, why: &'static str) -> Self {
        Self { action, optional: true, why }
    }
}

/// Where a connector looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// At this machine: it is handed the user's home and the machine's names, unless its settings name others.
    Host,
    /// At a provider, within a budget of calls: it is handed `pace` and `sweep_every`.
    Provider,
}

/// A connector's description of itself.
pub struct Spec {
    /// The word in `connector = "…"`.
    pub name: &'static str,
    /// The provider's name.
    pub title: &'static str,
    /// One sentence: what it looks at.
    pub about: &'static str,
    /// Grows whenever the same answers would lead to other entities; old cursors are then read cold.
    pub version: u32,
    /// Where it looks, and so which of the common settings it is handed.
    pub reach: Reach,
    /// Kinds of records it can make.
    pub kinds: &'static [Kind],
    /// Every operation it may send. The read gate refuses all others.
    pub reads: &'static [Read],
    /// Permissions it needs, or can use.
    pub permissions: &'static [Permission],
    /// What the provider's interface cannot show anybody.
    pub blind_spots: &'static [&'static str],
    /// A `[[sources]]` entry that works, with a comment on each setting.
    pub example: &'static str,
    /// The provider's documentation of what is read.
    pub documentation: &'static [&'static str],
    /// Turns a `[[sources]]` entry's own settings into a connector.
    pub build: &'static Build,
}

/// What turns a source's settings into a connector; an error says which setting is wrong, without its value.
pub type Build = dyn Fn(&Source) -> Result<Box<dyn Connector>, String> + Send + Sync;

impl fmt::Debug for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spec").field("name", &self.name).field("version", &self.version).finish_non_exhaustive()
    }
}

impl Spec {
    /// Whether a denial of that operation makes a blind spot only.
    pub fn may_lack(&self, operation: &str) -> bool {
        self.permissions.iter().any(|permission| permission.action == operation && permission.optional)
    }
}

/// Where secrets come from. A setting keeps the reference; the secret is asked for when it is used.
pub trait Secrets: Send + Sync {
    /// Whether a text is a reference to a secret, such as `env:NAME`, or what is wrong with it in words that do not repeat
    /// it: it may be the secret itself.
    fn check(&self, reference: &str) -> Result<(), String>;

    /// The secret a reference names. May block, for at most ten seconds. An error names the place and never the secret.
    fn get(&self, reference: &str) -> Result<SecretString, String>;
}

/// A `[[sources]]` entry as the composition root hands it over.
#[derive(Clone)]
pub struct Source {
    /// Its name in the configuration.
    pub name: String,
    /// Settings that belong to the connector, as a table.
    pub settings: serde_json::Map<String, serde_json::Value>,
    /// The key for fingerprints, and its id.
    pub fingerprints: Arc<crate::fingerprint::FingerprintKey>,
    /// Where the secrets are that its settings refer to.
    pub secrets: Arc<dyn Secrets>,
    /// The time it is, for signatures that hold for a while.
    pub clock: Arc<dyn Clock>,
}

impl Source {
    /// The secret that a setting refers to, to be asked for when it is used. Fails on a text that is no reference.
    pub fn secret(&self, reference: &str) -> Result<provost_client::authority::SecretOf, String> {
        self.secrets.check(reference)?;
        let (secrets, reference) = (Arc::clone(&self.secrets), reference.to_owned());
        Ok(Arc::new(move || secrets.get(&reference)))
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("name", &self.name).field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// What one trial of one read showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is allowed.
    Granted,
    /// It is allowed, and looking does not need it.
    Excess,
    /// It is refused.
    Denied,
    /// It could not be told.
    Unknown,
}

/// One line of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The permission tried, or the place looked at.
    pub action: String,
    /// What the trial showed.
    pub verdict: Verdict,
    /// Whether a denial makes a blind spot only.
    pub optional: bool,
    /// What is seen with it, or what the provider answered.
    pub note: String,
}

/// What a source's credential may see, and what a run will cost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// As whom the source looks, and where that credential came from.
    pub principal: String,
    /// What it is about to read: account, roots.
    pub target: String,
    /// One line per read.
    pub checks: Vec<Check>,
    /// Calls a run will cost, cold and warm, in words with figures.
    pub cost: Vec<String>,
    /// The least-privilege policy in the provider's own format, where it has one.
    pub policy: Option<serde_json::Value>,
}

/// Eyes on one provider.
#[async_trait]
pub trait Connector: Send + Sync {
    /// What it is about to read, and as whom: printed within two seconds of the start.
    async fn announce(&self) -> String;

    /// Whether it has what it needs to look at all, such as credentials in the usual places. Answers within two seconds.
    async fn equipped(&self) -> bool {
        true
    }

    /// Tries every read once, with the smallest page.
    async fn check(&self) -> Access;

    /// Whatever makes cursors of former runs worthless when it differs: settings, roots, filters.
    fn disposition(&self) -> String;

    /// Looks at everything, and says what it sees as it sees it. What goes wrong in one scope is said there and does not
    /// end the run; an `Err` means that nothing more can be seen.
    async fn discover(&self, known: &Bookmarks, to: &mut Emitter) -> Result<(), Trouble>;
}

impl From<Stopped> for Trouble {
    fn from(_: Stopped) -> Self {
        Trouble {
            place: String::new(),
            why: provost_model::Why::Stopped,
            said: "the run was stopped".into(),
            blind_spot: false,
        }
    }
}
