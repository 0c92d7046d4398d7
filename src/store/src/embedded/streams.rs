//! Append-only streams: each entry carries the hash of all before it.
//! It must never alter or skip an entry.

use std::ops::Bound;

use provost_model::Time;
use sha2::{Digest, Sha256};

use crate::{
    Entry, StoreError,
    kv::{Draft, Kv, Pair, Shelf, Tree, Way},
};

const HEADER: usize = 40;

/// The end of a stream; all zero before the first entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tail {
    pub(crate) sequence: u64,
    pub(crate) hash: [u8; 32],
}

/// Where a stream ends.
pub(super) fn tail<K: Kv>(kv: &K, stream: &str) -> Result<Tail, StoreError> {
    let last = kv.page(Tree::new(Shelf::Stream, stream), (Bound::Unbounded, Bound::Unbounded), Way::Down, 1)?;
    let last = last.into_iter().next().map(entry).transpose()?;
    Ok(last.map(|entry| Tail { sequence: entry.sequence, hash: entry.hash }).unwrap_or_default())
}

/// Writes an entry whose place and hash are known.
pub(super) fn put(draft: &mut dyn Draft, stream: &str, entry: &Entry) -> Result<(), StoreError> {
    let mut bytes = Vec::with_capacity(HEADER + entry.value.len());
    bytes.extend_from_slice(&entry.at.as_micros().to_be_bytes());
    bytes.extend_from_slice(&entry.hash);
    bytes.extend_from_slice(&entry.value);
    draft.put(Tree::new(Shelf::Stream, stream), &entry.sequence.to_be_bytes(), &bytes)
}

impl Tail {
    /// The entry that follows.
    pub(super) fn next(&self, at: Time, value: &[u8]) -> Entry {
        let sequence = self.sequence + 1;
        Entry { sequence, at, hash: chained(&self.hash, sequence, value), value: value.to_vec() }
    }

    /// Whether an entry is the next one.
    pub(crate) fn precedes(&self, entry: &Entry) -> bool {
        entry.sequence == self.sequence + 1 && entry.hash == chained(&self.hash, entry.sequence, &entry.value)
    }
}

/// Up to `limit` entries from a sequence number on.
pub(super) fn entries<K: Kv>(kv: &K, stream: &str, from: u64, limit: usize) -> Result<Vec<Entry>, StoreError> {
    let from = from.to_be_bytes();
    let range = (Bound::Included(from.as_slice()), Bound::Unbounded);
    kv.page(Tree::new(Shelf::Stream, stream), range, Way::Up, limit)?.into_iter().map(entry).collect()
}

/// SHA-256 over the former entry's hash, the sequence number (8 bytes, big-endian) and the value.
pub(crate) fn chained(before: &[u8; 32], sequence: u64, value: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(before);
    hash.update(sequence.to_be_bytes());
    hash.update(value);
    hash.finalize().into()
}

/// The entry of a pair.
pub(super) fn entry((key, mut bytes): Pair) -> Result<Entry, StoreError> {
    let malformed = || StoreError::Codec("an entry of a stream".to_owned());
    let sequence = key.as_slice().try_into().map(u64::from_be_bytes).map_err(|_| malformed())?;
    let at = bytes.get(..8).and_then(|part| part.try_into().ok()).map(i64::from_be_bytes).ok_or_else(malformed)?;
    let hash = bytes.get(8..HEADER).and_then(|part| part.try_into().ok()).ok_or_else(malformed)?;
    bytes.drain(..HEADER);
    Ok(Entry { sequence, at: Time::from_micros(at), hash, value: bytes })
}
