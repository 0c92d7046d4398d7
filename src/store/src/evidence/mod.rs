//! Evidence: entries whose hashes chain, so that whoever changes, removes, inserts or reorders one is found out offline.
//! It must never hold a fact that a redacted copy could not leave out, nor a hash that depends on how a file is written.
//!
//! The canonical bytes, all numbers big-endian, `len(x)` four bytes:
//!
//! ```text
//! fact  = SHA-256(salt (16) ‖ len(name) ‖ name ‖ len(value) ‖ value)
//! entry = SHA-256("provost evidence 1\n" ‖ len(writer) ‖ writer ‖ previous (32) ‖ sequence (8)
//!                 ‖ microseconds since 1970 (8) ‖ len(type) ‖ type ‖ number of facts (4) ‖ fact₁ ‖ fact₂ …)
//! ```
//!
//! The first entry of a chain follows thirty-two zeros. A salt is made at random for each fact, so that a digest that is
//! left in the place of a fact tells nothing of it.

mod checkpoint;
mod verify;

use std::fmt;

use provost_model::Time;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, Visitor},
};
use sha2::{Digest as _, Sha256};

pub use checkpoint::{Checkpoint, Signer};
pub use verify::{Bad, ChainReport, Report, Verifier};

/// The stream in which every entry of a store stands, for good.
pub const STREAM: &str = "evidence";

/// Begins what is hashed of an entry.
const DOMAIN: &[u8] = b"provost evidence 1\n";

/// Chance beside a fact.
type Salt = Digits<16>;

/// Bytes that are written in hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Digits<const N: usize>([u8; N]);

/// A hash of the chain, or of a fact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hash(pub [u8; 32]);

/// One fact of an entry: told, or left out with its digest in its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fact {
    /// What it is called; empty where that is left out too.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// What it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Sixteen bytes of chance in hexadecimal digits; left out with the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    salt: Option<Salt>,
    /// Its digest.
    pub digest: Hash,
}

/// One entry of a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exhibit {
    /// Whose chain it is.
    pub writer: String,
    /// Its place in the chain, counted from 1.
    pub sequence: u64,
    /// When.
    pub at: Time,
    /// What sort of thing happened, such as `decision.asked`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What happened, fact by fact.
    pub facts: Vec<Fact>,
    /// The hash of the entry before.
    pub previous: Hash,
    /// Its own.
    pub hash: Hash,
}

/// The end of a chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainEnd {
    /// Entries so far.
    pub count: u64,
    /// The hash of the last.
    pub head: Hash,
}

impl Fact {
    /// A fact with its salt.
    pub fn new(name: &str, value: &str, salt: [u8; 16]) -> Self {
        let digest = digest(&salt, name, value);
        Self { name: name.to_owned(), value: Some(value.to_owned()), salt: Some(Digits(salt)), digest }
    }

    /// Whether it is told, and then whether its digest is that of what it says.
    fn holds(&self) -> Result<bool, &'static str> {
        match (&self.value, &self.salt) {
            (None, None) => Ok(false),
            (Some(value), Some(salt)) => {
                if digest(&salt.0, &self.name, value) == self.digest {
                    Ok(true)
                } else {
                    Err("a fact was changed")
                }
            }
            _ => Err("a fact is half left out"),
        }
    }

    /// The same without what it says, and without what it is called if that is not to be told either.
    fn left_out(&self, named: bool) -> Self {
        let name = if named { self.name.clone() } else { String::new() };
        Self { name, value: None, salt: None, digest: self.digest }
    }
}

impl Exhibit {
    /// The entry that follows the end of a chain.
    pub fn after(end: &ChainEnd, writer: &str, (at, kind): (Time, &str), facts: Vec<Fact>) -> Self {
        let mut entry = Self {
            writer: writer.to_owned(),
            sequence: end.count + 1,
            at,
            kind: kind.to_owned(),
            facts,
            previous: end.head,
            hash: Hash::default(),
        };
        entry.hash = entry.computed();
        entry
    }

    /// The end of the chain with this entry.
    pub fn end(&self) -> ChainEnd {
        ChainEnd { count: self.sequence, head: self.hash }
    }

    /// A fact by its name.
    pub fn fact(&self, name: &str) -> Option<&str> {
        self.facts.iter().find(|fact| fact.name == name)?.value.as_deref()
    }

    /// The same entry without those facts; its hash stays, and can still be checked.
    #[must_use]
    pub fn without(&self, leave_out: &dyn Fn(&str) -> bool) -> Self {
        let facts = self.facts.iter();
        let facts = facts.map(|fact| if leave_out(&fact.name) { fact.left_out(true) } else { fact.clone() });
        Self { facts: facts.collect(), ..self.clone() }
    }

    /// The same entry without any fact: what is needed to check the chain around it.
    #[must_use]
    pub fn stub(&self) -> Self {
        Self { facts: self.facts.iter().map(|fact| fact.left_out(false)).collect(), ..self.clone() }
    }

    /// The hash of its canonical bytes.
    fn computed(&self) -> Hash {
        let mut hash = Sha256::new();
        hash.update(DOMAIN);
        put(&mut hash, &self.writer);
        hash.update(self.previous.0);
        hash.update(self.sequence.to_be_bytes());
        hash.update(self.at.as_micros().to_be_bytes());
        put(&mut hash, &self.kind);
        hash.update(u32::try_from(self.facts.len()).unwrap_or(u32::MAX).to_be_bytes());
        self.facts.iter().for_each(|fact| hash.update(fact.digest.0));
        Hash(hash.finalize().into())
    }
}

fn digest(salt: &[u8; 16], name: &str, value: &str) -> Hash {
    let mut hash = Sha256::new();
    hash.update(salt);
    put(&mut hash, name);
    put(&mut hash, value);
    Hash(hash.finalize().into())
}

fn put(hash: &mut Sha256, text: &str) {
    hash.update(u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
    hash.update(text);
}

impl Hash {
    /// The hash of these hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        Digits::parse(&text.to_ascii_lowercase()).map(|digits| Self(digits.0))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Digits(self.0).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Digits::deserialize(deserializer).map(|digits| Self(digits.0))
    }
}

impl<const N: usize> Serialize for Digits<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(self.0))
    }
}

impl<'de, const N: usize> Deserialize<'de> for Digits<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfText<const N: usize>;
        impl<const N: usize> Visitor<'_> for OfText<N> {
            type Value = Digits<N>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{N} bytes in hexadecimal digits")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Digits<N>, E> {
                Digits::parse(text).ok_or_else(|| E::custom(format!("expected {N} bytes in hexadecimal digits")))
            }
        }
        deserializer.deserialize_str(OfText)
    }
}

/// Stands for what is no digit: a number that no digit has.
const NONE: u8 = 0xff;

/// What a digit stands for.
fn value(sign: u8) -> u8 {
    match sign {
        b'0'..=b'9' => sign - b'0',
        b'a'..=b'f' => sign - b'a' + 10,
        _ => NONE,
    }
}

impl<const N: usize> Digits<N> {
    /// Small digits alone: one value has one form. By hand: a file is digits for the most part, and with the library's reader it
    /// is checked at two thirds of the speed (measured: 107,000 to 126,000 entries a second for 165,000 to 208,000).
    fn parse(text: &str) -> Option<Self> {
        let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
        if pairs.len() != N {
            return None;
        }
        let (mut bytes, mut wrong) = ([0; N], 0);
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            let (high, low) = (value(*high), value(*low));
            wrong |= (high | low) & 0xf0;
            *byte = (high << 4) | (low & 0x0f);
        }
        (wrong == 0).then_some(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_canonical_bytes_are_those_that_are_written_down() {
        // Made by another program (Python's hashlib) from the words above.
        let fact = Fact::new("by", "ann", [1; 16]);
        assert_eq!(fact.digest.to_string(), "f751c6e3fdff44dd0375b8b58f360fdf4ea23e5e25582c3392691ed389363990");
        let entry = Exhibit::after(&ChainEnd::default(), "w", (Time::from_seconds(1), "decision.asked"), vec![fact]);
        assert_eq!(entry.hash.to_string(), "129ff71da195d8dd3c8cef140525b6b46a4dd649f1bb745e3b5f13b2ea9cce41");
        let next = Exhibit::after(&entry.end(), "w", (Time::from_seconds(2), "x"), Vec::new());
        assert_eq!(
            (next.sequence, next.hash.to_string().as_str()),
            (2, "a6d8e7b1cc2c2472d33f479a4b196e57eb4e58d30babb98a692794a9eca66d23")
        );
    }

    #[test]
    fn a_fact_that_is_left_out_leaves_the_hash_as_it_was() {
        let facts = vec![Fact::new("by", "ann", [1; 16]), Fact::new("rule", "CRED-AGE", [2; 16])];
        let entry = Exhibit::after(&ChainEnd::default(), "w", (Time::from_seconds(1), "x"), facts);
        let redacted = entry.without(&|name| name == "by");
        assert_eq!((redacted.fact("by"), redacted.fact("rule")), (None, Some("CRED-AGE")));
        let text = serde_json::to_string(&redacted).unwrap();
        assert!(!text.contains("ann") && !text.contains(&hex::encode([1; 16])), "{text}");
        assert_eq!(serde_json::from_str::<Exhibit>(&text).unwrap().computed(), entry.hash);
        let stub = entry.stub();
        assert_eq!(stub.computed(), entry.hash);
        assert!(!serde_json::to_string(&stub).unwrap().contains("rule"));
    }
}
