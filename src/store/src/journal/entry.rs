//! The bytes of a journal entry: what one batch writes.
//! It must never change for stores that exist: that would be a migration.
//!
//! An entry is a list of trees: shelf (1 byte), length of the name (2 bytes) and the name, number of writes (4 bytes),
//! and for each write the length of the key (4), the key, the length of the value (4; all ones removes the pair), the
//! value. Numbers are big-endian.

use super::pending::Pending;
use crate::{
    StoreError,
    kv::{Shelf, Tree},
};

const REMOVED: u32 = u32::MAX;
const SHELVES: [Shelf; 7] =
    [Shelf::Rows, Shelf::Past, Shelf::Stream, Shelf::Due, Shelf::DueAt, Shelf::Commits, Shelf::Leases];

/// The bytes of an entry.
pub(super) fn written(writes: &Pending) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(writes.bytes());
    for (tree, pairs) in writes.trees() {
        let shelf = SHELVES.iter().position(|it| *it == tree.shelf).and_then(|at| u8::try_from(at).ok());
        bytes.push(shelf.unwrap_or(u8::MAX));
        bytes.extend_from_slice(&u16::try_from(tree.name.len()).unwrap_or(u16::MAX).to_be_bytes());
        bytes.extend_from_slice(tree.name.as_bytes());
        bytes.extend_from_slice(&length(pairs.len()));
        for (key, value) in pairs.iter() {
            bytes.extend_from_slice(&length(key.len()));
            bytes.extend_from_slice(key);
            bytes.extend_from_slice(&value.map_or(REMOVED.to_be_bytes(), |value| length(value.len())));
            bytes.extend_from_slice(value.unwrap_or_default());
        }
    }
    bytes
}

/// Takes the writes of a whole entry in.
pub(super) fn read(entry: &[u8], into: &mut Pending) -> Result<(), StoreError> {
    let mut rest = entry;
    while !rest.is_empty() {
        let shelf = taken(&mut rest, 1)?.first().and_then(|at| SHELVES.get(usize::from(*at))).ok_or_else(malformed)?;
        let name = number::<2>(&mut rest)?;
        let name = std::str::from_utf8(taken(&mut rest, name as usize)?).map_err(|_| malformed())?;
        for _ in 0..number::<4>(&mut rest)? {
            let key = number::<4>(&mut rest)?;
            let key = taken(&mut rest, key as usize)?;
            let value = match number::<4>(&mut rest)? {
                REMOVED => None,
                length => Some(taken(&mut rest, length as usize)?),
            };
            into.put(Tree::new(*shelf, name), key, value);
        }
    }
    Ok(())
}

/// A length as it is written. A batch is far below the bound of four bytes.
fn length(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(REMOVED - 1).to_be_bytes()
}

fn number<const N: usize>(rest: &mut &[u8]) -> Result<u32, StoreError> {
    Ok(taken(rest, N)?.iter().fold(0, |number, byte| (number << 8) | u32::from(*byte)))
}

fn taken<'a>(rest: &mut &'a [u8], count: usize) -> Result<&'a [u8], StoreError> {
    rest.split_off(..count).ok_or_else(malformed)
}

fn malformed() -> StoreError {
    StoreError::Codec("the journal".to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shelf() -> impl Strategy<Value = Shelf> {
        proptest::sample::select(SHELVES.to_vec())
    }

    proptest! {
        #[test]
        fn an_entry_survives_its_bytes(
            writes in proptest::collection::vec(
                (shelf(), "[a-z]{0,3}", proptest::collection::vec(any::<u8>(), 0..4), proptest::option::of(0_usize..7_000)), 0..9,
            ),
        ) {
            let mut said = Pending::default();
            for (shelf, name, key, value) in &writes {
                let value = value.map(|length| vec![7; length]);
                said.put(Tree::new(*shelf, name), key, value.as_deref());
            }
            let bytes = written(&said);
            let mut heard = Pending::default();
            read(&bytes, &mut heard).unwrap();
            prop_assert_eq!(&said, &heard);
            if let Some(cut) = bytes.len().checked_sub(1) {
                prop_assert!(read(&bytes[..cut], &mut Pending::default()).is_err());
            }
        }

        #[test]
        fn bytes_of_anything_are_refused_or_read(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = read(&bytes, &mut Pending::default());
        }
    }
}
