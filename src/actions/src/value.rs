//! Values on their way from a provider to where they are kept: named parts, in memory only, wiped when dropped.
//! It must never show, write or compare a value but by its keyed fingerprint.

use std::{collections::BTreeMap, fmt, sync::Arc};

use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

/// The parts of a credential by name, such as `access_key_id` and `secret_access_key`.
#[derive(Clone, Default)]
pub struct Bundle(BTreeMap<String, SecretString>);

/// Gives keyed fingerprints, so that a value can be recognised without being kept.
pub trait Fingerprints: Send + Sync {
    /// The fingerprint of a value.
    fn of(&self, value: &[u8]) -> String;
}

impl Bundle {
    /// One with these parts.
    pub fn new(parts: impl IntoIterator<Item = (String, SecretString)>) -> Self {
        Self(parts.into_iter().collect())
    }

    /// One part.
    pub fn get(&self, part: &str) -> Option<&SecretString> {
        self.0.get(part)
    }

    /// The names of its parts, in order.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Every part with its name, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &SecretString)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One fingerprint over all parts and their names; none of nothing.
    pub fn fingerprint(&self, fingerprints: &Arc<dyn Fingerprints>) -> Option<String> {
        let mut whole = Zeroizing::new(Vec::new());
        for (name, value) in self.iter() {
            let value = value.expose_secret().as_bytes();
            whole.extend_from_slice(&(name.len() as u64).to_be_bytes());
            whole.extend_from_slice(name.as_bytes());
            whole.extend_from_slice(&(value.len() as u64).to_be_bytes());
            whole.extend_from_slice(value);
        }
        (!self.is_empty()).then(|| fingerprints.of(&whole))
    }
}

impl fmt::Debug for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.parts()).finish()
    }
}
