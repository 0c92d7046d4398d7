//! Values on their way from a provider to where they are kept: named parts, in memory only, wiped when dropped.
//! It must never show, write or compare a value but by its keyed fingerprint.

use std::{collections::BTreeMap, fmt, sync::Arc};

use secrecy::{ExposeSecret as _, SecretString};

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

    /// The fingerprint of each part, as `name=fingerprint`, with a space between; none of nothing.
    pub fn fingerprint(&self, fingerprints: &Arc<dyn Fingerprints>) -> Option<String> {
        let parts: Vec<String> = self.marks(fingerprints).collect();
        (!parts.is_empty()).then(|| parts.join(" "))
    }

    /// Whether there is something in it, and all of it is in what has that fingerprint.
    pub fn is_of(&self, whole: &str, fingerprints: &Arc<dyn Fingerprints>) -> bool {
        !self.is_empty() && self.marks(fingerprints).all(|mark| whole.split(' ').any(|part| part == mark))
    }

    /// The same with the parts of another one beside them.
    pub fn with(mut self, other: Bundle) -> Self {
        self.0.extend(other.0);
        self
    }

    fn marks(&self, fingerprints: &Arc<dyn Fingerprints>) -> impl Iterator<Item = String> {
        self.iter().map(|(name, value)| format!("{name}={}", fingerprints.of(value.expose_secret().as_bytes())))
    }
}

impl fmt::Debug for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.parts()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Length;

    impl Fingerprints for Length {
        fn of(&self, value: &[u8]) -> String {
            format!("k1:{}", value.len())
        }
    }

    fn bundle(parts: &[(&str, &str)]) -> Bundle {
        Bundle::new(parts.iter().map(|(name, value)| ((*name).to_owned(), SecretString::from(*value))))
    }

    #[test]
    fn a_part_is_known_again_and_nothing_is_shown() {
        let fingerprints: Arc<dyn Fingerprints> = Arc::new(Length);
        let whole = bundle(&[("id", "AKIA"), ("secret", "hunter2")]);
        let known = whole.fingerprint(&fingerprints).unwrap();
        assert_eq!(known, "id=k1:4 secret=k1:7");
        assert!(whole.is_of(&known, &fingerprints) && bundle(&[("secret", "1234567")]).is_of(&known, &fingerprints));
        for other in [&[][..], &[("secret", "1234")], &[("id", "1234"), ("more", "x")]] {
            assert!(!bundle(other).is_of(&known, &fingerprints));
        }
        assert_eq!(bundle(&[]).fingerprint(&fingerprints), None);
        assert_eq!(format!("{whole:?}"), "[\"id\", \"secret\"]");
    }
}
