//! What the hands are given: settings, where secrets come from, the time, fingerprints; and what reads them.
//! It must never repeat the value of a setting or of a secret.

pub(crate) mod files;
pub(crate) mod github;
pub(crate) mod program;
pub(crate) mod provider;
pub(crate) mod secret;
pub(crate) mod settings;
pub(crate) mod ssh_key;
pub(crate) mod ssh_login;
pub(crate) mod vault;
#[cfg(test)]
pub(crate) mod vault_testing;

use std::sync::Arc;

use provost_model::Clock;
use secrecy::SecretString;
use serde_json::{Map, Value};

/// What a sink, rotator or destination is handed.
#[derive(Clone)]
pub struct Handed {
    /// The name of the entry in the configuration.
    pub name: String,
    /// Its own settings.
    pub settings: Map<String, Value>,
    /// A template of the operator's own for messages, instead of the one that is built in.
    pub template: Option<String>,
    /// What this machine is called.
    pub hostname: String,
    /// Where secrets come from.
    pub secrets: Arc<dyn Secrets>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Where secrets come from. A setting keeps the reference; the secret is asked for when it is used.
pub trait Secrets: Send + Sync {
    /// Whether a text is a reference to a secret, such as `env:NAME`, or what is wrong with it in words that do not repeat
    /// it: it may be the secret itself.
    fn check(&self, reference: &str) -> Result<(), String>;

    /// The secret that a reference leads to. It may block for ten seconds.
    fn get(&self, reference: &str) -> Result<SecretString, String>;
}
