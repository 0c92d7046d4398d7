//! The report's key slots: their names until the key ids are known, which listed key sits in which, and the cursor that
//! remembers whose keys were listed.
//! It must never adopt a key into a slot on a guess.

use std::collections::BTreeMap;

use provost_model::Time;
use sha2::{Digest, Sha256};

use super::report::Row;

/// First byte of a written cursor.
const VERSION: u8 = 1;
/// Most users a cursor remembers: 4 MiB. Those beyond are simply listed again.
const USERS_MAX: usize = 1 << 18;
/// Bytes before the entries, of an entry, and after them.
const HEAD: usize = 1;
const ENTRY: usize = 16;
const TAIL: usize = 8;

/// A slot of the report that shows a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// 1 or 2.
    pub slot: u8,
    /// Whether its key's status was Active when the report was made.
    pub active: bool,
    /// When its key was created or last changed; `None` if the report does not say.
    pub last_rotated: Option<Time>,
}

/// A key as ListAccessKeys shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedKey<'a> {
    /// The access key id.
    pub id: &'a str,
    /// Whether its status is Active.
    pub active: bool,
    /// When it was created.
    pub created: Time,
}

/// Where a listed key sits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Adopted {
    /// Index into the listed keys.
    pub key: usize,
    /// Its slot, if that is certain.
    pub slot: Option<u8>,
}

/// Whose keys were listed, and what the report's key columns were then. Digests only, so that it stays small.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed(BTreeMap<u64, u64>);

/// The slots of a row that show a key.
pub fn slots(row: &Row<'_>) -> Vec<Slot> {
    row.keys
        .iter()
        .filter(|key| key.slot_exists())
        .map(|key| Slot { slot: key.slot, active: key.active, last_rotated: key.last_rotated })
        .collect()
}

/// The external id of a key known only by its slot.
pub fn alias(user_id: &str, slot: u8, created: Time) -> String {
    format!("{user_id}/slot-{slot}@{created}")
}

/// The slots whose keys may become records before they are listed, each with its alias. A slot without a date has no
/// name, and of two slots with one date nobody could say later which key was which: those wait for their listing.
pub fn nameable(user_id: &str, slots: &[Slot]) -> Vec<(u8, String)> {
    slots
        .iter()
        .filter_map(|it| {
            let date = it.last_rotated?;
            let alone = slots.iter().filter(|other| other.last_rotated == Some(date)).count() == 1;
            alone.then(|| (it.slot, alias(user_id, it.slot, date)))
        })
        .collect()
}

/// Which listed key sits in which slot. Equal dates match where only one slot and one key have that date. Then, if exactly
/// one slot and one key remain, they match if they can be the same: the key is not younger than the slot's date, which a
/// change of status moves forward, and has the slot's status. Every key is answered for once, in the order given.
pub fn adopt(slots: &[Slot], keys: &[ListedKey<'_>]) -> Vec<Adopted> {
    let mut adopted: Vec<Adopted> = (0..keys.len()).map(|key| Adopted { key, slot: None }).collect();
    let mut left: Vec<&Slot> = Vec::new();
    for slot in slots {
        let same_date = slots.iter().filter(|other| other.last_rotated == slot.last_rotated).count();
        let mut equal = adopted.iter_mut().zip(keys).filter(|(_, key)| slot.last_rotated == Some(key.created));
        match (same_date, equal.next(), equal.next()) {
            (1, Some((found, _)), None) => found.slot = Some(slot.slot),
            _ => left.push(slot),
        }
    }
    let mut free = adopted.iter_mut().zip(keys).filter(|(it, _)| it.slot.is_none());
    if let ([slot], Some((found, key)), None) = (left.as_slice(), free.next(), free.next()) {
        let can_be = slot.last_rotated.is_some_and(|date| key.created <= date) && key.active == slot.active;
        if can_be {
            found.slot = Some(slot.slot);
        }
    }
    adopted
}

/// A digest of the user's unique id and of a row's key columns other than last use. As long as it stays the same, the
/// user's keys need no listing.
pub fn key_columns_digest(user_id: &str, row: &Row<'_>) -> u64 {
    let mut hash = Sha256::new();
    hash.update((user_id.len() as u64).to_be_bytes());
    hash.update(user_id);
    for key in &row.keys {
        hash.update([key.slot, u8::from(key.active), u8::from(key.last_rotated.is_some())]);
        hash.update(key.last_rotated.map_or(0, Time::as_micros).to_be_bytes());
    }
    hash.update(row.additional.unwrap_or_default());
    first_eight(hash)
}

impl Listed {
    /// Nobody's keys were listed yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of users remembered.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nobody is remembered.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this user's keys were listed while the columns were these.
    pub fn knows(&self, user_id: &str, columns: u64) -> bool {
        self.0.get(&user_digest(user_id)) == Some(&columns)
    }

    /// Whether this user's keys were ever listed.
    pub fn has(&self, user_id: &str) -> bool {
        self.0.contains_key(&user_digest(user_id))
    }

    /// Remembers that this user's keys were listed while the columns were these.
    pub fn note(&mut self, user_id: &str, columns: u64) {
        self.0.insert(user_digest(user_id), columns);
    }

    /// Adds what a later, perhaps unfinished, pass listed; it overrides.
    pub fn merge(&mut self, later: &Listed) {
        self.0.extend(&later.0);
    }

    /// The bytes of a cursor: version, entries in order, digest.
    pub fn encode(&self) -> Vec<u8> {
        let kept = self.0.len().min(USERS_MAX);
        let mut bytes = Vec::with_capacity(HEAD + kept * ENTRY + TAIL);
        bytes.push(VERSION);
        for (user, columns) in self.0.iter().take(USERS_MAX) {
            bytes.extend_from_slice(&user.to_be_bytes());
            bytes.extend_from_slice(&columns.to_be_bytes());
        }
        let digest = first_eight(Sha256::new().chain_update(&bytes));
        bytes.extend_from_slice(&digest.to_be_bytes());
        bytes
    }

    /// What [`Listed::encode`] wrote; `None` for anything else, which means: read cold.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > HEAD + USERS_MAX * ENTRY + TAIL {
            return None;
        }
        let (body, tail) = bytes.split_last_chunk::<TAIL>()?;
        if first_eight(Sha256::new().chain_update(body)).to_be_bytes() != *tail {
            return None;
        }
        let (VERSION, entries) = body.split_first().map(|(version, rest)| (*version, rest))? else {
            return None;
        };
        let entries = entries.chunks(ENTRY).map(|entry| {
            let (user, columns) = entry.split_first_chunk::<8>()?;
            Some((u64::from_be_bytes(*user), u64::from_be_bytes(columns.try_into().ok()?)))
        });
        entries.collect::<Option<BTreeMap<u64, u64>>>().map(Self)
    }
}

fn user_digest(user_id: &str) -> u64 {
    first_eight(Sha256::new().chain_update(user_id))
}

fn first_eight(hash: Sha256) -> u64 {
    hash.finalize().first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}
