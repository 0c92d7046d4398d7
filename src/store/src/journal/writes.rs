//! The writes of one tree, in the order of keys. A write is one piece of memory: hundreds of thousands of them wait at a time,
//! and most are a key of an index and little else.
//! It must never hold two writes of one key: the later one takes the place of the former.

use std::{borrow::Borrow, cmp::Ordering, collections::BTreeSet, fmt};

use crate::kv::{Range, Way};

/// What a write costs in memory beside its bytes, about: its place in the order, and what the allocator rounds up.
const OVERHEAD: usize = 56;

/// A key with its value, or a key that is removed. Equal and ordered by the key alone.
#[derive(Clone)]
struct Write {
    /// The key, and right behind it the value.
    bytes: Box<[u8]>,
    /// Bytes of the key.
    key: u32,
    removes: bool,
}

impl Write {
    fn new(key: &[u8], value: Option<&[u8]>) -> Self {
        let mut bytes = Vec::with_capacity(key.len() + value.map_or(0, <[u8]>::len));
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(value.unwrap_or_default());
        // A batch is far below what four bytes can count.
        let key = u32::try_from(key.len()).unwrap_or(u32::MAX);
        Self { bytes: bytes.into_boxed_slice(), key, removes: value.is_none() }
    }

    fn pair(&self) -> (&[u8], Option<&[u8]>) {
        let (key, value) = self.bytes.split_at_checked(self.key as usize).unwrap_or((&self.bytes, &[]));
        (key, (!self.removes).then_some(value))
    }

    /// Bytes of memory, about.
    fn cost(&self) -> usize {
        self.bytes.len() + OVERHEAD
    }
}

impl Borrow<[u8]> for Write {
    fn borrow(&self) -> &[u8] {
        self.pair().0
    }
}

impl PartialEq for Write {
    fn eq(&self, other: &Self) -> bool {
        self.pair().0 == other.pair().0
    }
}

impl Eq for Write {}

impl PartialOrd for Write {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Write {
    fn cmp(&self, other: &Self) -> Ordering {
        self.pair().0.cmp(other.pair().0)
    }
}

/// A pair as it was written; without a value the key was removed.
pub(super) type Written<'a> = (&'a [u8], Option<&'a [u8]>);

/// The writes of one tree.
#[derive(Clone, Default)]
pub(super) struct Writes {
    writes: BTreeSet<Write>,
    bytes: usize,
}

impl Writes {
    /// How many keys were written.
    pub(super) fn len(&self) -> usize {
        self.writes.len()
    }

    /// Bytes of memory it takes, about.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// What was written under a key, if anything.
    pub(super) fn get(&self, key: &[u8]) -> Option<Option<&[u8]>> {
        self.writes.get(key).map(|write| write.pair().1)
    }

    /// Writes a pair, or removes it.
    pub(super) fn put(&mut self, key: &[u8], value: Option<&[u8]>) {
        self.insert(Write::new(key, value));
    }

    /// Takes later writes in.
    pub(super) fn take(&mut self, later: Self) {
        later.writes.into_iter().for_each(|write| self.insert(write));
    }

    /// Every write in the order of keys.
    pub(super) fn iter(&self) -> impl Iterator<Item = Written<'_>> {
        self.writes.iter().map(Write::pair)
    }

    /// The writes in a range, which is not empty.
    pub(super) fn walk<'a>(&'a self, range: Range<'_>, way: Way) -> Box<dyn Iterator<Item = Written<'a>> + 'a> {
        let found = self.writes.range::<[u8], _>(range).map(Write::pair);
        match way {
            Way::Up => Box::new(found),
            Way::Down => Box::new(found.rev()),
        }
    }

    /// Whether anything was written in a range, which is not empty.
    pub(super) fn touches(&self, range: Range<'_>) -> bool {
        self.writes.range::<[u8], _>(range).next().is_some()
    }

    fn insert(&mut self, write: Write) {
        self.bytes += write.cost();
        if let Some(former) = self.writes.replace(write) {
            self.bytes = self.bytes.saturating_sub(former.cost());
        }
    }
}

impl PartialEq for Writes {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl fmt::Debug for Writes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_later_write_of_a_key_takes_the_place_and_the_memory_of_the_former() {
        let mut writes = Writes::default();
        writes.put(b"key", Some(&[1; 100]));
        let one = writes.bytes();
        writes.put(b"key", Some(&[2; 100]));
        assert_eq!((writes.len(), writes.bytes()), (1, one));
        assert_eq!(writes.get(b"key"), Some(Some([2; 100].as_slice())));
        let mut later = Writes::default();
        later.put(b"key", None);
        later.put(b"keys", Some(b""));
        writes.take(later);
        // A removed key, and one with nothing as its value.
        assert_eq!(
            writes.iter().collect::<Vec<_>>(),
            [(b"key".as_slice(), None), (b"keys".as_slice(), Some(&[] as &[u8]))]
        );
        assert!(writes.bytes() < one + OVERHEAD && writes.get(b"ke").is_none());
    }
}
