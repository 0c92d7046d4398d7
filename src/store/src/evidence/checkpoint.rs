//! Signed checkpoints: how far a chain of evidence was, in a few words that are kept elsewhere.
//! It must never be written without a signature, nor be believed because of whose key it names.
//!
//! The signature (Ed25519) is over, numbers big-endian and `len(x)` four bytes:
//! `"provost checkpoint 1\n" ‖ len(writer) ‖ writer ‖ count (8) ‖ head (32) ‖ microseconds since 1970 (8)`.

use std::fmt;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use provost_model::Time;
use serde::{Deserialize, Serialize};

use super::{ChainEnd, Hash};

/// Begins what is signed.
const DOMAIN: &[u8] = b"provost checkpoint 1\n";

/// How far a chain was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// Whose chain it is.
    pub writer: String,
    /// Entries in it.
    pub count: u64,
    /// The hash of the last.
    pub head: Hash,
    /// When.
    pub at: Time,
    /// The public key that checks the signature.
    pub key: Hash,
    /// The signature, in hexadecimal digits.
    signature: String,
}

/// Whoever signs.
pub struct Signer(Ed25519KeyPair);

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Signer").field(&self.key().to_string()).finish()
    }
}

impl Signer {
    /// One whose private key is made of that seed; `None` if the library refuses it.
    pub fn of_seed(seed: &[u8; 32]) -> Option<Self> {
        Ed25519KeyPair::from_seed_unchecked(seed).ok().map(Self)
    }

    /// The public key.
    pub fn key(&self) -> Hash {
        let mut key = Hash::default();
        key.0.iter_mut().zip(self.0.public_key().as_ref()).for_each(|(to, from)| *to = *from);
        key
    }

    /// Says how far a chain is.
    pub fn sign(&self, writer: &str, end: &ChainEnd, at: Time) -> Checkpoint {
        let unsigned = Checkpoint {
            writer: writer.to_owned(),
            count: end.count,
            head: end.head,
            at,
            key: self.key(),
            signature: String::new(),
        };
        let signature = hex::encode(self.0.sign(&unsigned.signed()));
        Checkpoint { signature, ..unsigned }
    }
}

impl Checkpoint {
    /// Whether its signature is that of the key it names.
    pub fn is_signed(&self) -> bool {
        let Ok(signature) = hex::decode(&self.signature) else { return false };
        UnparsedPublicKey::new(&ED25519, self.key.0).verify(&self.signed(), &signature).is_ok()
    }

    fn signed(&self) -> Vec<u8> {
        let mut bytes = DOMAIN.to_vec();
        bytes.extend(u32::try_from(self.writer.len()).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend(self.writer.as_bytes());
        bytes.extend(self.count.to_be_bytes());
        bytes.extend(self.head.0);
        bytes.extend(self.at.as_micros().to_be_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_those_words_and_that_key_alone() {
        let signer = Signer::of_seed(&[7; 32]).unwrap();
        let end = ChainEnd { count: 3, head: Hash([9; 32]) };
        let checkpoint = signer.sign("decisions", &end, Time::from_seconds(5));
        assert!(checkpoint.is_signed());
        let text = serde_json::to_string(&checkpoint).unwrap();
        assert_eq!(serde_json::from_str::<Checkpoint>(&text).unwrap(), checkpoint);
        let other = Signer::of_seed(&[8; 32]).unwrap();
        for changed in [
            Checkpoint { count: 4, ..checkpoint.clone() },
            Checkpoint { head: Hash([8; 32]), ..checkpoint.clone() },
            Checkpoint { at: Time::from_seconds(6), ..checkpoint.clone() },
            Checkpoint { writer: "decision".into(), ..checkpoint.clone() },
            Checkpoint { key: other.key(), ..checkpoint.clone() },
            Checkpoint { signature: "00".into(), ..checkpoint.clone() },
            Checkpoint { signature: "no digits".into(), ..checkpoint },
        ] {
            assert!(!changed.is_signed(), "{changed:?}");
        }
        assert!(!format!("{signer:?}").contains(&hex::encode([7; 32])));
    }
}
