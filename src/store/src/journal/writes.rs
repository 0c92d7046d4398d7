//! The writes of one tree, in the order of keys. A write is one piece of memory: hundreds of thousands of them wait at a time,
//! and most are a key of an index and little else.
//! It must never hold two writes of one key: the later one takes the place of the former.

use std::{
    borrow::Borrow,
    cmp::Ordering,
    collections::{BTreeSet, btree_set},
    fmt,
};

use crate::kv::{Range, Way};

/// What a write costs in memory beside its bytes, about: its place in the order, and what the allocator rounds up.
const OVERHEAD: usize = 52;
/// Bytes of a write before its key.
const FRONT: usize = size_of::<u32>();

/// A key with its value, or a key that is removed. Equal and ordered by the key alone.
#[derive(Clone)]
struct Write {
    /// See [`head_of`].
    head: u64,
    /// In [`FRONT`] bytes how long the key is and whether it is removed; the key, and right behind it the value.
    bytes: Box<[u8]>,
}

/// What writes are ordered by. Heads tell most keys apart, and lie in the order itself: the keys lie anywhere.
trait Keyed {
    fn head(&self) -> u64;
    fn key(&self) -> &[u8];
}

/// A key that is looked for.
struct Asked<'k> {
    head: u64,
    key: &'k [u8],
}

/// The first eight bytes of a key as a number, which is no greater than that of any later key.
fn head_of(key: &[u8]) -> u64 {
    match key.first_chunk() {
        Some(first) => u64::from_be_bytes(*first),
        None => key.iter().chain(std::iter::repeat(&0)).take(8).fold(0, |head, byte| head << 8 | u64::from(*byte)),
    }
}

impl Write {
    fn new(key: &[u8], value: Option<&[u8]>) -> Self {
        // A batch is far below what four bytes can count.
        let length = u32::try_from(key.len()).unwrap_or(u32::MAX);
        let front = length << 1 | u32::from(value.is_none());
        let mut bytes = Vec::with_capacity(FRONT + key.len() + value.map_or(0, <[u8]>::len));
        bytes.extend_from_slice(&front.to_ne_bytes());
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(value.unwrap_or_default());
        Self { head: head_of(key), bytes: bytes.into_boxed_slice() }
    }

    fn pair(&self) -> (&[u8], Option<&[u8]>) {
        let (front, rest) =
            self.bytes.split_first_chunk().map_or((0, &[][..]), |(front, rest)| (u32::from_ne_bytes(*front), rest));
        let (key, value) = rest.split_at_checked((front >> 1) as usize).unwrap_or((rest, &[]));
        (key, (front & 1 == 0).then_some(value))
    }

    /// Bytes of memory, about.
    fn cost(&self) -> usize {
        self.bytes.len() + OVERHEAD
    }
}

impl<'k> Asked<'k> {
    fn new(key: &'k [u8]) -> Self {
        Self { head: head_of(key), key }
    }

    fn keyed(&self) -> &(dyn Keyed + 'k) {
        self
    }
}

impl Keyed for Write {
    fn head(&self) -> u64 {
        self.head
    }

    fn key(&self) -> &[u8] {
        self.pair().0
    }
}

impl Keyed for Asked<'_> {
    fn head(&self) -> u64 {
        self.head
    }

    fn key(&self) -> &[u8] {
        self.key
    }
}

fn compared(one: &(impl Keyed + ?Sized), other: &(impl Keyed + ?Sized)) -> Ordering {
    one.head().cmp(&other.head()).then_with(|| one.key().cmp(other.key()))
}

impl Ord for dyn Keyed + '_ {
    fn cmp(&self, other: &Self) -> Ordering {
        compared(self, other)
    }
}

impl PartialOrd for dyn Keyed + '_ {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for dyn Keyed + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for dyn Keyed + '_ {}

impl<'k> Borrow<dyn Keyed + 'k> for Write {
    fn borrow(&self) -> &(dyn Keyed + 'k) {
        self
    }
}

impl Ord for Write {
    fn cmp(&self, other: &Self) -> Ordering {
        compared(self, other)
    }
}

impl PartialOrd for Write {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Write {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Write {}

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
        self.writes.get(Asked::new(key).keyed()).map(|write| write.pair().1)
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
        let found = self.within(range).map(Write::pair);
        match way {
            Way::Up => Box::new(found),
            Way::Down => Box::new(found.rev()),
        }
    }

    /// Whether anything was written in a range, which is not empty.
    pub(super) fn touches(&self, range: Range<'_>) -> bool {
        self.within(range).next().is_some()
    }

    fn within<'a>(&'a self, (from, to): Range<'_>) -> btree_set::Range<'a, Write> {
        let (from, to) = (from.map(Asked::new), to.map(Asked::new));
        self.writes.range::<dyn Keyed, _>((from.as_ref().map(Asked::keyed), to.as_ref().map(Asked::keyed)))
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
    use std::ops::Bound;

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

    #[test]
    fn keys_of_one_beginning_and_shorter_ones_are_found_in_the_order_of_their_bytes() {
        let mut keys: Vec<Vec<u8>> = (0..=12).map(|length| vec![0; length]).collect();
        keys.extend(
            [7, 8, 9]
                .into_iter()
                .flat_map(|length| [1, 0x7f, 0x80, 0xff].map(|last| [vec![0; length], vec![last]].concat())),
        );
        keys.extend(
            [&b"abcdefgh"[..], b"abcdefgha", b"abcdefgh\0", b"abcdefg", b"abcdefgi", b"\xff"].map(<[u8]>::to_vec),
        );
        let mut writes = Writes::default();
        keys.iter().for_each(|key| writes.put(key, Some(key)));
        keys.sort();
        assert!(writes.iter().map(|(key, _)| key).eq(keys.iter().map(Vec::as_slice)));
        for (at, key) in keys.iter().enumerate() {
            assert_eq!(writes.get(key), Some(Some(key.as_slice())));
            let range = |from, to| -> Vec<&[u8]> { writes.walk((from, to), Way::Up).map(|(key, _)| key).collect() };
            assert_eq!(range(Bound::Included(key), Bound::Unbounded), keys[at..]);
            assert_eq!(range(Bound::Excluded(key), Bound::Unbounded), keys[at + 1..]);
            assert_eq!(range(Bound::Unbounded, Bound::Excluded(key)), keys[..at]);
        }
        assert!(writes.get(b"abcdef").is_none() && writes.get(&[0; 13]).is_none());
    }
}
