//! Bytes of index keys. Big-endian throughout, so that byte order is number order.
//! It must never change for a table that exists: that would be a migration.

use provost_model::{Attr, Key, KeyDigest, PartId, Reading, Record, RecordId, ScopeNo, Standing, field};
use sha2::{Digest, Sha256};

use crate::StoreError;

/// The first half of SHA-256 over realm, kind and external id, each with its length before it.
pub fn digest(key: &Key) -> KeyDigest {
    half(&[key.realm.as_str().as_bytes(), &[key.kind.code()], key.external.as_bytes()])
}

/// Digests of the names that a record did not have before.
pub(super) fn learned(before: Option<&Record>, after: &Record) -> Vec<KeyDigest> {
    let known = before.map_or(&[][..], |record| &record.externals);
    let learned = after.externals.iter().filter(|external| !known.contains(external));
    let (realm, kind) = (after.realm.as_str().as_bytes(), [after.kind.code()]);
    learned.map(|external| half(&[realm, &kind, external.as_bytes()])).collect()
}

pub(super) fn place(scope: ScopeNo, part: PartId, id: RecordId) -> Vec<u8> {
    let mut key = place_prefix(scope, Some(part));
    key.extend_from_slice(id.as_bytes());
    key
}

pub(super) fn place_prefix(scope: ScopeNo, part: Option<PartId>) -> Vec<u8> {
    let mut key = Vec::with_capacity(28);
    key.extend_from_slice(&scope.0.to_be_bytes());
    if let Some(part) = part {
        key.extend_from_slice(&part.0.to_be_bytes());
    }
    key
}

/// Splits the key of a place into part and record.
pub(super) fn read_place(key: &[u8]) -> Result<(PartId, RecordId), StoreError> {
    let torn = || StoreError::Codec("a place".into());
    let rest = key.get(4..).ok_or_else(torn)?;
    let (part, rest) = rest.split_first_chunk::<8>().ok_or_else(torn)?;
    Ok((PartId(u64::from_be_bytes(*part)), tail_id(rest)?))
}

/// The record id at the end of an index key.
pub(super) fn tail_id(key: &[u8]) -> Result<RecordId, StoreError> {
    let (_, id) = key.split_last_chunk::<16>().ok_or_else(|| StoreError::Codec("an index key".into()))?;
    Ok(RecordId::from_bytes(*id))
}

pub(super) fn standing_byte(standing: Standing) -> u8 {
    match standing {
        Standing::Seen => 1,
        Standing::Missing { .. } => 2,
        Standing::Gone(_) => 3,
        Standing::Unwatched => 4,
    }
}

/// What stands in a place that a listing can lack.
pub(super) fn can_vanish(standing: &[u8]) -> bool {
    matches!(standing, [1 | 2])
}

pub(super) fn tied(to: KeyDigest, id: RecordId) -> Vec<u8> {
    [to.0, *id.as_bytes()].concat()
}

/// Digests of the values by which places of one secret recognise each other.
pub(super) fn marks(record: &Record) -> Vec<[u8; 16]> {
    let of = |attr: Attr<String>| match record.get(attr) {
        Reading::Known(value) => Some(mark(&value)),
        _ => None,
    };
    let mut marks: Vec<_> = [field::FINGERPRINT, field::KEY_ID, field::OPENS].into_iter().filter_map(of).collect();
    marks.sort_unstable();
    marks.dedup();
    marks
}

pub(super) fn mark(value: &str) -> [u8; 16] {
    half(&[value.as_bytes()]).0
}

/// Texts joined so that no two lists of texts give the same bytes; ordered by the first text first.
pub(super) fn path(parts: &[&str]) -> Vec<u8> {
    let mut key = Vec::new();
    for part in parts {
        key.extend(part.bytes().filter(|byte| *byte != 0));
        key.push(0);
    }
    key
}

pub(super) fn half(parts: &[&[u8]]) -> KeyDigest {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u32).to_be_bytes());
        hash.update(part);
    }
    let mut half = [0; 16];
    for (to, from) in half.iter_mut().zip(hash.finalize()) {
        *to = from;
    }
    KeyDigest(half)
}
