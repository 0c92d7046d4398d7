//! Fingerprints: how one secret is recognised in several places without keeping it.
//! It must never be made without a key, nor from a value too weak to withstand guessing.

use std::{fmt, str::FromStr};

/// First half of HMAC-SHA-256 over kind and canonical value, with the id of the key that made it: `k1:…`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint {
    key_id: String,
    digest: [u8; 16],
}

/// A text that is no fingerprint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MalformedFingerprint;

impl Fingerprint {
    /// The fingerprint made with the key of that id.
    pub fn new(key_id: impl Into<String>, digest: [u8; 16]) -> Self {
        Self { key_id: key_id.into(), digest }
    }

    /// Which key made it. Fingerprints of different keys say nothing about each other.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.key_id)?;
        self.digest.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Fingerprint {
    type Err = MalformedFingerprint;
    fn from_str(text: &str) -> Result<Self, MalformedFingerprint> {
        let (key_id, digits) = text.split_once(':').ok_or(MalformedFingerprint)?;
        if digits.len() != 32 || !digits.is_ascii() {
            return Err(MalformedFingerprint);
        }
        let mut digest = [0; 16];
        for (byte, pair) in digest.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| MalformedFingerprint)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| MalformedFingerprint)?;
        }
        Ok(Self::new(key_id, digest))
    }
}

impl fmt::Display for MalformedFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a fingerprint")
    }
}

impl std::error::Error for MalformedFingerprint {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_survives_its_text() {
        let print = Fingerprint::new("k1", [0xab; 16]);
        assert_eq!(print.to_string().parse::<Fingerprint>().unwrap(), print);
        assert!("k1:zz".parse::<Fingerprint>().is_err());
    }
}
