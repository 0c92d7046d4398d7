//! Names of things: the realm that issued an id, the external key, and the record id that is ours.
//! It must never hold a configuration name: renaming a source changes no key.

use std::{
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
    sync::Arc,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Kind;

/// The authority that issued an id: `aws:123456789012`, `github:org/42`, `host:<machine-id>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Realm(Arc<str>);

/// What a provider calls a thing. Unique within its realm and kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    /// Who issued the id.
    pub realm: Realm,
    /// What sort of thing it names.
    pub kind: Kind,
    /// The provider's id, as the provider writes it.
    pub external: String,
}

/// The first half of SHA-256 over a [`Key`]; made by the store, used wherever a key is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KeyDigest(pub [u8; 16]);

/// Our own name for a record: a UUIDv7 given at first sight and never reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordId([u8; 16]);

/// Half the work of hashing its bytes, and a run looks records up some hundred times each: the time in one half and what is
/// random in the other, one over the other.
impl Hash for RecordId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let whole = u128::from_ne_bytes(self.0);
        state.write_u64((whole >> 64) as u64 ^ whole as u64);
    }
}

/// A text that is no UUID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MalformedId(pub String);

impl Realm {
    /// A realm as `provider:id`.
    pub fn new(provider: &str, id: &str) -> Self {
        Self(format!("{provider}:{id}").into())
    }

    /// The realm as stored or typed.
    pub fn from_text(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The whole realm, such as `aws:123456789012`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the colon, such as `aws`.
    pub fn provider(&self) -> &str {
        self.0.split_once(':').map_or(self.as_str(), |(provider, _)| provider)
    }
}

impl fmt::Display for Realm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Realm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}
impl<'de> Deserialize<'de> for Realm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from_text)
    }
}

impl Key {
    /// A key of that realm, kind and external id.
    pub fn new(realm: Realm, kind: Kind, external: impl Into<String>) -> Self {
        Self { realm, kind, external: external.into() }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.realm, self.kind, self.external)
    }
}

impl RecordId {
    /// The id with these sixteen bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The sixteen bytes, in the order in which ids sort.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for RecordId {
    type Err = MalformedId;
    fn from_str(text: &str) -> Result<Self, MalformedId> {
        let malformed = || MalformedId(text.to_owned());
        let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b'-').collect();
        if digits.len() != 32 || text.len() > 36 {
            return Err(malformed());
        }
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| malformed())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| malformed())?;
        }
        Ok(Self(bytes))
    }
}

impl Serialize for RecordId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { self.0.serialize(serializer) }
    }
}

impl<'de> Deserialize<'de> for RecordId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
        } else {
            <[u8; 16]>::deserialize(deserializer).map(Self)
        }
    }
}

impl fmt::Display for MalformedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not a record id", self.0)
    }
}

impl std::error::Error for MalformedId {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_survive_their_text() {
        let id = RecordId::from_bytes([1, 0x93, 0xab, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 255]);
        assert_eq!(id.to_string(), "0193ab04-0506-0708-090a-0b0c0d0e0fff");
        assert_eq!(id.to_string().parse::<RecordId>().unwrap(), id);
        assert!("0193ab04".parse::<RecordId>().is_err());
        assert!("zz93ab04-0506-0708-090a-0b0c0d0e0fff".parse::<RecordId>().is_err());
        assert!("é".repeat(16).parse::<RecordId>().is_err());
    }

    #[test]
    fn a_realm_knows_its_provider() {
        assert_eq!(Realm::new("aws", "123456789012").provider(), "aws");
        assert_eq!(Realm::from_text("odd").provider(), "odd");
    }
}
