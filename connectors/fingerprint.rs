//! Keyed fingerprints: the one place where a secret value is looked at in order to recognise it elsewhere.
//! It must never keep, log or return the value.

use hmac::{Hmac, KeyInit, Mac};
use provost_model::Fingerprint;
use secrecy::{ExposeSecret, SecretBox};
use sha2::Sha256;

/// Shortest value that gets a fingerprint, in bytes; shorter ones could be guessed.
const SHORTEST: usize = 16;
/// Least Shannon entropy of a value, in bits per byte of text, times its length.
const LEAST_BITS: f64 = 40.0;

/// The key of this installation, and its id (`k1`, `k2` …).
pub struct FingerprintKey {
    id: String,
    key: SecretBox<[u8; 32]>,
}

impl FingerprintKey {
    /// The key of that id.
    pub fn new(id: impl Into<String>, key: [u8; 32]) -> Self {
        Self { id: id.into(), key: SecretBox::new(Box::new(key)) }
    }

    /// The fingerprint of a value, or `None` if it is too weak to have one. `kind` separates domains: the same bytes as a
    /// password and as a token are two secrets.
    pub fn of(&self, kind: &str, value: &[u8]) -> Option<Fingerprint> {
        let value = canonical(value);
        if value.len() < SHORTEST || entropy_bits(value) < LEAST_BITS {
            return None;
        }
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key.expose_secret()).ok()?;
        mac.update(&(kind.len() as u64).to_be_bytes());
        mac.update(kind.as_bytes());
        mac.update(value);
        let digest = mac.finalize().into_bytes();
        let (half, _) = digest.split_first_chunk::<16>()?;
        Some(Fingerprint::new(self.id.clone(), *half))
    }
}

impl std::fmt::Debug for FingerprintKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FingerprintKey({})", self.id)
    }
}

/// The value without byte-order mark, surrounding blanks and one pair of quotes.
fn canonical(value: &[u8]) -> &[u8] {
    let value = value.strip_prefix(b"\xef\xbb\xbf").unwrap_or(value).trim_ascii();
    for quote in [b'"', b'\'', b'`'] {
        if let [first, inner @ .., last] = value
            && *first == quote
            && *last == quote
        {
            return inner;
        }
    }
    value
}

/// Shannon entropy of the bytes, in bits, over the whole value.
fn entropy_bits(value: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in value {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count += 1;
        }
    }
    let length = value.len() as f64;
    counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| -f64::from(*count) * (f64::from(*count) / length).log2())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_newlines_do_not_matter_but_kind_and_key_do() {
        let key = FingerprintKey::new("k1", [7; 32]);
        let bare = key.of("token", b"ghp_16C7e42F292c6912E7710c838347Ae178B4a").unwrap();
        assert_eq!(key.of("token", b"\xef\xbb\xbf\"ghp_16C7e42F292c6912E7710c838347Ae178B4a\"\r\n").unwrap(), bare);
        assert_ne!(key.of("password", b"ghp_16C7e42F292c6912E7710c838347Ae178B4a").unwrap(), bare);
        assert_ne!(
            FingerprintKey::new("k1", [8; 32]).of("token", b"ghp_16C7e42F292c6912E7710c838347Ae178B4a").unwrap(),
            bare
        );
    }

    #[test]
    fn what_could_be_guessed_gets_none() {
        let key = FingerprintKey::new("k1", [7; 32]);
        for weak in ["hunter2", "changeme", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "0000000000000000"] {
            assert_eq!(key.of("password", weak.as_bytes()), None, "{weak}");
        }
    }
}
