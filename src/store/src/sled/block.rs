//! The bytes of a block: pairs that lie side by side in a tree, in one value of sled.
//! It must never change for stores that exist: that would be a migration.
//!
//! For each pair, in the order of keys: how many bytes its key has in common with the key before, how many it adds, how many
//! its value has (7 bits a byte, the lowest first, the highest bit where more follow), what the key adds, the value. The last
//! byte of the block is 1 where pairs may be in it that lie in the next block or beyond and do not count, otherwise 0.

use crate::StoreError;

/// Bytes of half a block: one that has two halves becomes two blocks. Less, and sled has more to keep and to find (halves of 512
/// took 3 to 12 % more time for 50,000 users of AWS); more, and a pair that is written takes more along.
pub(super) const HALF: usize = 1024;

/// The pairs of a block, and whether some of them may lie in the next one or beyond.
pub(super) fn parts(block: &[u8]) -> Result<(&[u8], bool), StoreError> {
    match block.split_last() {
        None => Ok((block, false)),
        Some((0, pairs)) => Ok((pairs, false)),
        Some((1, pairs)) => Ok((pairs, true)),
        Some(_) => Err(malformed()),
    }
}

/// The block of these pairs.
pub(super) fn of(mut pairs: Vec<u8>, overreaches: bool) -> Vec<u8> {
    pairs.push(u8::from(overreaches));
    pairs
}

/// Where one is among the pairs of a block.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
    key: Vec<u8>,
    /// `None` behind the last pair.
    value: Option<&'a [u8]>,
}

impl<'a> Cursor<'a> {
    /// At the first of these pairs.
    pub(super) fn over(pairs: &'a [u8]) -> Result<Self, StoreError> {
        let mut cursor = Self { rest: pairs, key: Vec::new(), value: None };
        cursor.advance()?;
        Ok(cursor)
    }

    /// The pair one is at, if any is left.
    pub(super) fn pair(&self) -> Option<(&[u8], &'a [u8])> {
        self.value.map(|value| (self.key.as_slice(), value))
    }

    /// The key of the pair one is at; at the end that of the last one.
    pub(super) fn key(&self) -> &[u8] {
        &self.key
    }

    /// Goes on to the next pair.
    pub(super) fn advance(&mut self) -> Result<(), StoreError> {
        if self.rest.is_empty() {
            self.value = None;
            return Ok(());
        }
        let [common, added, value] = [number(&mut self.rest)?, number(&mut self.rest)?, number(&mut self.rest)?];
        if common > self.key.len() {
            return Err(malformed());
        }
        self.key.truncate(common);
        self.key.extend_from_slice(self.rest.split_off(..added).ok_or_else(malformed)?);
        self.value = Some(self.rest.split_off(..value).ok_or_else(malformed)?);
        Ok(())
    }

    /// Goes on behind the last pair.
    pub(super) fn end(&mut self) -> Result<(), StoreError> {
        while self.value.is_some() {
            self.advance()?;
        }
        Ok(())
    }
}

/// The value under a key among these pairs.
pub(super) fn value<'a>(pairs: &'a [u8], key: &[u8]) -> Result<Option<&'a [u8]>, StoreError> {
    let mut cursor = Cursor::over(pairs)?;
    while let Some((known, value)) = cursor.pair() {
        if known >= key {
            return Ok((known == key).then_some(value));
        }
        cursor.advance()?;
    }
    Ok(None)
}

/// Blocks in the making, of pairs in the order of keys.
#[derive(Debug)]
pub(super) struct Filling {
    /// The pairs of full blocks, each under the lowest key that may be in it.
    pub(super) full: Vec<(Vec<u8>, Vec<u8>)>,
    /// The lowest key that may be in the last one.
    pub(super) from: Vec<u8>,
    /// The last one.
    pub(super) bytes: Vec<u8>,
    /// The last key in it.
    last: Vec<u8>,
    /// Where its second half begins, and from which key on.
    half: Option<(usize, Vec<u8>)>,
}

impl Filling {
    /// An empty block for keys from this one on.
    pub(super) fn from(from: Vec<u8>) -> Self {
        Self { full: Vec::new(), from, bytes: Vec::with_capacity(3 * HALF), last: Vec::new(), half: None }
    }

    /// Where the second block begins, if there are several.
    pub(super) fn second(&self) -> Option<&[u8]> {
        let others =
            self.full.iter().skip(1).map(|(from, _)| from).chain((!self.full.is_empty()).then_some(&self.from));
        others.map(Vec::as_slice).next()
    }

    /// Adds a pair behind all others.
    pub(super) fn push(&mut self, key: &[u8], value: &[u8]) {
        let mut common = self.last.iter().zip(key).take_while(|(one, other)| one == other).count();
        if self.half.is_none() && self.bytes.len() >= HALF {
            // As short as it can be and still lie above the key before; and the half is a block of itself.
            let from = key.get(..=common).unwrap_or(key);
            self.half = Some((self.bytes.len(), from.to_vec()));
            common = 0;
        }
        let added = key.get(common..).unwrap_or_default();
        for length in [common, added.len(), value.len()] {
            put(&mut self.bytes, length);
        }
        self.bytes.extend_from_slice(added);
        self.bytes.extend_from_slice(value);
        self.last.clear();
        self.last.extend_from_slice(key);
        if self.bytes.len() >= 2 * HALF
            && let Some((at, from)) = self.half.take_if(|(at, _)| *at + HALF <= self.bytes.len())
        {
            let second = self.bytes.split_off(at);
            let first = std::mem::replace(&mut self.bytes, second);
            self.full.push((std::mem::replace(&mut self.from, from), first));
        }
    }
}

fn put(bytes: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn number(rest: &mut &[u8]) -> Result<usize, StoreError> {
    let (mut number, mut shift) = (0_usize, 0_u32);
    loop {
        let byte = rest.split_off_first().ok_or_else(malformed)?;
        // Four times 7 bits are more than a batch has.
        if shift > 21 {
            return Err(malformed());
        }
        number |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
        shift += 7;
    }
}

fn malformed() -> StoreError {
    StoreError::Codec("a block of sled's".to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_pair_is_in_the_block_that_begins_before_it(
            pairs in proptest::collection::btree_map(
                proptest::collection::vec(0_u8..3, 0..9),
                prop_oneof![9 => 0_usize..200, 1 => 0_usize..70_000],
                0..200,
            ),
        ) {
            let mut new = Filling::from(Vec::new());
            for (key, length) in &pairs {
                new.push(key, &vec![7; *length]);
            }
            prop_assert_eq!(new.second().is_some(), !new.full.is_empty());
            let blocks: Vec<_> = new.full.into_iter().chain([(new.from, new.bytes)]).collect();
            let mut read = BTreeMap::new();
            for (at, (from, pairs)) in blocks.iter().enumerate() {
                let block = of(pairs.clone(), false);
                let mut cursor = Cursor::over(parts(&block).unwrap().0).unwrap();
                while let Some((key, found)) = cursor.pair() {
                    prop_assert!(key >= from.as_slice() && blocks.get(at + 1).is_none_or(|(next, _)| key < next.as_slice()));
                    prop_assert_eq!(value(pairs, key).unwrap(), Some(found));
                    read.insert(key.to_vec(), found.len());
                    cursor.advance().unwrap();
                }
                prop_assert!(at == 0 || pairs.len() >= HALF);
            }
            prop_assert_eq!(read, pairs);
        }

        #[test]
        fn bytes_of_anything_are_refused_or_read(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let read = |pairs: &[u8]| Cursor::over(pairs)?.end();
            let _ = parts(&bytes).and_then(|(pairs, _)| read(pairs));
            let _ = read(&bytes);
        }
    }
}
