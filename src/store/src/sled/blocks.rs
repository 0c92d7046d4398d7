//! A tree whose pairs lie in blocks: sled keeps a page, a place in its table of pages and an access to each sixteen values,
//! whatever their size, so that many small pairs in one value cost it what one of them would.
//! It must never let a pair that was stored be missed, at whatever moment the process is killed or somebody reads.
//!
//! A block lies under the lowest key that may be in it, and reaches to where the next one begins; pairs of its own beyond that
//! do not count, and it says so itself where there may be some. That makes every step a last one that may be: a block of which
//! others become is first said to reach too far, then these are written from the highest to the lowest, and at last itself
//! without their part; a block that another takes in is removed after that other was written. Only who rewrites the block
//! before it removes one, so what does not count never counts again.

use std::{
    iter::Peekable,
    ops::{Bound, RangeBounds},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard},
};

use ::sled::IVec;

use super::{
    block::{self, Cursor, Filling, HALF},
    failed,
    starts::{Starts, Stretch},
};
use crate::{
    StoreError,
    kv::{Pair, Range, Settled, Way},
};

/// Blocks written at a time, about, while readers wait.
const RUN: usize = 16;

/// A tree of blocks.
#[derive(Debug)]
pub(super) struct Blocks {
    /// Where the store is.
    path: PathBuf,
    tree: ::sled::Tree,
    starts: Mutex<Starts>,
    /// Held by readers, so that no pair moves to another block between two looks.
    still: RwLock<()>,
}

/// A block that was looked up.
#[derive(Clone, Debug)]
struct Block {
    stretch: Stretch,
    bytes: IVec,
}

impl Block {
    /// Its pairs, and the lowest key from which on they do not count.
    fn parts(&self) -> Result<(&[u8], Option<&[u8]>), StoreError> {
        let (pairs, overreaches) = block::parts(&self.bytes)?;
        Ok((pairs, self.stretch.next.as_deref().filter(|_| overreaches)))
    }
}

/// What is to lie under such a key; `None` where nothing is.
type Rewritten = (Vec<u8>, Option<Vec<u8>>);

impl Blocks {
    pub(super) fn over(path: &Path, tree: ::sled::Tree) -> Self {
        Self { path: path.to_owned(), tree, starts: Mutex::default(), still: RwLock::default() }
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let _still = self.still();
        self.value(key, &mut None)
    }

    /// The values under several keys, in the order asked for; keys that lie near each other are best asked for in turn.
    pub(super) fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let _still = self.still();
        let mut held = None;
        keys.iter().map(|key| self.value(key, &mut held)).collect()
    }

    fn value(&self, key: &[u8], held: &mut Option<Block>) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(block) = self.hold(key, held)? else { return Ok(None) };
        Ok(block::value(block.parts()?.0, key)?.map(<[u8]>::to_vec))
    }

    /// Up to `limit` pairs of a range that is not empty.
    pub(super) fn page(&self, range: Range<'_>, way: Way, limit: usize) -> Result<Vec<Pair>, StoreError> {
        let _still = self.still();
        match way {
            Way::Up => self.up(range, limit, &mut None),
            Way::Down => self.down(range, limit),
        }
    }

    /// Up to `limit` pairs of each of several ranges that are not empty, in ascending order.
    pub(super) fn pages(&self, ranges: &[Range<'_>], limit: usize) -> Result<Vec<Vec<Pair>>, StoreError> {
        let _still = self.still();
        let mut held = None;
        ranges.iter().map(|range| self.up(*range, limit, &mut held)).collect()
    }

    fn up(&self, range: Range<'_>, limit: usize, held: &mut Option<Block>) -> Result<Vec<Pair>, StoreError> {
        let mut found = Vec::new();
        let mut block = match range.0 {
            Bound::Included(from) | Bound::Excluded(from) => self.hold(from, held)?.cloned(),
            Bound::Unbounded => None,
        };
        if block.is_none() {
            block = self.first()?;
        }
        while let Some(at) = block.take() {
            let (pairs, end) = at.parts()?;
            let goes_on = within(pairs, range, end, (limit, &mut found))?;
            if goes_on && at.stretch.next.as_ref().is_some_and(|next| !above(next, range.1)) {
                block = self.behind(&at.stretch)?;
            }
        }
        Ok(found)
    }

    fn down(&self, range: Range<'_>, limit: usize) -> Result<Vec<Pair>, StoreError> {
        let mut found = Vec::new();
        let mut block = self.upto(range.1)?;
        while let Some(at) = block.take().filter(|_| found.len() < limit) {
            let (pairs, end) = at.parts()?;
            let mut part = Vec::new();
            within(pairs, range, end, (usize::MAX, &mut part))?;
            found.extend(part.into_iter().rev());
            let from = &at.stretch.from;
            if !matches!(range.0, Bound::Included(first) | Bound::Excluded(first) if **from <= *first) {
                block = self.upto(Bound::Excluded(from))?;
            }
        }
        found.truncate(limit);
        Ok(found)
    }

    /// Puts pairs in their place, in ascending order of keys. One caller at a time.
    pub(super) fn settle(&self, pairs: &mut Settled<'_>) -> Result<(), StoreError> {
        let mut pairs = pairs.peekable();
        while let Some((key, _)) = pairs.peek() {
            let _moving = self.still.write().unwrap_or_else(PoisonError::into_inner);
            self.rewritten(key, &mut pairs)?.into_iter().try_for_each(|step| self.take(step))?;
        }
        Ok(())
    }

    fn take(&self, (from, block): Rewritten) -> Result<(), StoreError> {
        let written = block.is_some();
        let done = match block {
            Some(bytes) => self.tree.insert(from.as_slice(), bytes),
            None => self.tree.remove(from.as_slice()),
        };
        // A write that failed may have been done.
        let mut starts = self.starts();
        match (written, done) {
            (true, Ok(_)) => starts.written(&from),
            (false, Ok(_)) => starts.removed(&from),
            (_, Err(error)) => {
                *starts = Starts::default();
                return Err(failed(&self.path, error));
            }
        }
        Ok(())
    }

    /// What becomes of the block in which a key lies, with pairs of that key and beyond: blocks to be written, and last of all
    /// one to be removed, in an order in which every step may be the last.
    fn rewritten(&self, key: &[u8], pairs: &mut Peekable<&mut Settled<'_>>) -> Result<Vec<Rewritten>, StoreError> {
        let block = self.upto(Bound::Included(key))?;
        // The first one of all begins below everything; without it, what lies beyond is the next one.
        let (stretch, former) = match block {
            Some(Block { stretch, bytes }) => (stretch, bytes),
            None => (Stretch { from: IVec::default(), next: self.first()?.map(|it| it.stretch.from) }, IVec::default()),
        };
        let from = &stretch.from;
        let ours = |key: &[u8]| stretch.reaches(key);
        let former = block::parts(&former)?.0;
        let (mut old, mut new) = (Cursor::over(former)?, Filling::from(from.to_vec()));
        while new.full.len() < RUN
            && let Some((key, value)) = pairs.next_if(|(key, _)| ours(key))
        {
            copy(&mut old, &mut new, |known| known < key)?;
            if old.pair().is_some_and(|(known, _)| known == key) {
                old.advance()?;
            }
            if let Some(value) = value {
                new.push(key, value);
            }
        }
        copy(&mut old, &mut new, ours)?;
        // An empty one takes in the next one whatever that has: so none stays empty but the last.
        let taken_in = if new.bytes.len() <= HALF { self.behind(&stretch)? } else { None };
        let taken_in = taken_in.filter(|it| new.bytes.len() + it.bytes.len() <= HALF || new.bytes.is_empty());
        if let Some(it) = &taken_in {
            copy(&mut Cursor::over(it.parts()?.0)?, &mut new, |key| it.stretch.reaches(key))?;
        }
        let mut steps: Vec<Rewritten> = Vec::with_capacity(new.full.len() + 3);
        if !former.is_empty() && new.second().is_some_and(|second| second <= old.key()) {
            steps.push((from.to_vec(), Some(block::of(former.to_vec(), true))));
        }
        let written = new.full.into_iter().chain([(new.from, new.bytes)]).rev();
        steps.extend(written.map(|(from, pairs)| (from, Some(block::of(pairs, taken_in.is_some())))));
        // None of those was written under its key: what begins with a pair of ours begins below it, what begins with a pair of
        // its own above its first one.
        steps.extend(taken_in.map(|gone| (gone.stretch.from.to_vec(), None)));
        Ok(steps)
    }

    /// Reads every block to its end.
    pub(super) fn read_through(&self) -> Result<(), StoreError> {
        self.tree.iter().try_for_each(|block| {
            let (_, bytes) = block.map_err(|error| failed(&self.path, error))?;
            Cursor::over(block::parts(&bytes)?.0)?.end()
        })
    }

    /// The block in which a key lies if it is anywhere: the one held, or another that is held from then on.
    fn hold<'a>(&self, key: &[u8], held: &'a mut Option<Block>) -> Result<Option<&'a Block>, StoreError> {
        if held.as_ref().is_none_or(|held| !held.stretch.holds(key)) {
            *held = self.upto(Bound::Included(key))?;
        }
        Ok(held.as_ref())
    }

    /// The last block that begins within a bound.
    ///
    /// Blocks are looked up one by one: sled counts accesses to pages, and forgets pages only after so many were counted; what
    /// its iterators read is counted once a page, and hardly ever forgotten.
    fn upto(&self, bound: Bound<&[u8]>) -> Result<Option<Block>, StoreError> {
        if let Some(known) = self.known(bound) {
            return self.under(known).map(Some);
        }
        let found = self.tree.range::<&[u8], _>((Bound::Unbounded, bound)).next_back();
        found.map(|found| self.met(found)).transpose()
    }

    /// The first block of all.
    fn first(&self) -> Result<Option<Block>, StoreError> {
        self.tree.iter().next().map(|found| self.met(found)).transpose()
    }

    /// The block behind another.
    fn behind(&self, stretch: &Stretch) -> Result<Option<Block>, StoreError> {
        let Some(next) = &stretch.next else { return Ok(None) };
        let known = self.known(Bound::Included(next));
        let stretch = known.map_or_else(|| self.learned(next.clone()), Ok)?;
        self.under(stretch).map(Some)
    }

    /// A block that sled found.
    fn met(&self, found: Result<(IVec, IVec), ::sled::Error>) -> Result<Block, StoreError> {
        let (from, bytes) = found.map_err(|error| failed(&self.path, error))?;
        Ok(Block { stretch: self.learned(from)?, bytes })
    }

    /// The block that begins there.
    fn under(&self, stretch: Stretch) -> Result<Block, StoreError> {
        let bytes = self.tree.get(&stretch.from).map_err(|error| failed(&self.path, error))?;
        // Nobody removes one without saying so; if somebody did, that must not look as if its pairs had never been.
        let bytes =
            bytes.ok_or_else(|| StoreError::Codec("a block of pairs that was there is not there".to_owned()))?;
        Ok(Block { stretch, bytes })
    }

    fn known(&self, bound: Bound<&[u8]>) -> Option<Stretch> {
        self.starts().upto(bound)
    }

    /// Finds out where the block under a key ends, and remembers it.
    fn learned(&self, from: IVec) -> Result<Stretch, StoreError> {
        let next = self.tree.range::<&[u8], _>((Bound::Excluded(&*from), Bound::Unbounded)).next().transpose();
        let next = next.map_err(|error| failed(&self.path, error))?.map(|(next, _)| next);
        let stretch = Stretch { from, next };
        self.starts().learn(&stretch);
        Ok(stretch)
    }

    fn starts(&self) -> MutexGuard<'_, Starts> {
        self.starts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn still(&self) -> RwLockReadGuard<'_, ()> {
        self.still.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Copies pairs as long as their keys are as said.
fn copy(old: &mut Cursor<'_>, new: &mut Filling, while_it: impl Fn(&[u8]) -> bool) -> Result<(), StoreError> {
    while let Some((key, value)) = old.pair().filter(|(key, _)| while_it(key)) {
        new.push(key, value);
        old.advance()?;
    }
    Ok(())
}

/// Adds up to so many of these pairs that lie in a range and below the next block. `false`: all that is beyond is out of it.
fn within(
    pairs: &[u8],
    range: Range<'_>,
    next: Option<&[u8]>,
    (limit, found): (usize, &mut Vec<Pair>),
) -> Result<bool, StoreError> {
    let mut pairs = Cursor::over(pairs)?;
    while let Some((key, value)) = pairs.pair() {
        if above(key, range.1) || found.len() >= limit {
            return Ok(false);
        }
        if next.is_some_and(|next| key >= next) {
            break;
        }
        if lies(key, range) {
            found.push((key.to_vec(), value.to_vec()));
        }
        pairs.advance()?;
    }
    Ok(found.len() < limit)
}

fn lies(key: &[u8], range: Range<'_>) -> bool {
    RangeBounds::<[u8]>::contains(&range, key)
}

/// Whether a key lies above where a range ends.
fn above(key: &[u8], to: Bound<&[u8]>) -> bool {
    !lies(key, (Bound::Unbounded, to))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// Writes of one batch; `None` removes.
    type Batch = BTreeMap<Vec<u8>, Option<Vec<u8>>>;
    type Model = BTreeMap<Vec<u8>, Vec<u8>>;

    fn blocks() -> Blocks {
        let db = ::sled::Config::new().temporary(true).open().unwrap();
        Blocks::over(Path::new("trial"), db.open_tree("trial").unwrap())
    }

    /// Keys that lie close together, the empty one among them; values of which a few fill blocks of their own.
    fn batch() -> impl Strategy<Value = Batch> {
        let key = prop_oneof![
            3 => (0_u8..4, 0_u16..300).prop_map(|(first, rest)| [&[first][..], &rest.to_be_bytes()].concat()),
            1 => proptest::collection::vec(any::<u8>(), 0..3),
        ];
        let value = prop_oneof![
            6 => proptest::collection::vec(any::<u8>(), 0..90).prop_map(Some),
            1 => (0_usize..5_000).prop_map(|length| Some(vec![7; length])),
            5 => Just(None),
        ];
        proptest::collection::btree_map(key, value, 0..250)
    }

    fn settle(blocks: &Blocks, model: &mut Model, batch: &Batch) {
        blocks.settle(&mut batch.iter().map(|(key, value)| (key.as_slice(), value.as_deref()))).unwrap();
        for (key, value) in batch {
            match value {
                Some(value) => model.insert(key.clone(), value.clone()),
                None => model.remove(key),
            };
        }
    }

    fn everything(blocks: &Blocks, way: Way) -> Vec<Pair> {
        blocks.page((Bound::Unbounded, Bound::Unbounded), way, usize::MAX).unwrap()
    }

    fn is_like(blocks: &Blocks, model: &Model) {
        let all: Vec<Pair> = model.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        assert_eq!(everything(blocks, Way::Up), all);
        assert_eq!(everything(blocks, Way::Down), all.into_iter().rev().collect::<Vec<_>>());
        let keys: Vec<&[u8]> = model.keys().map(Vec::as_slice).collect();
        let values: Vec<_> = model.values().cloned().map(Some).collect();
        assert_eq!(blocks.get_many(&keys).unwrap(), values);
        assert_eq!(keys.iter().map(|key| blocks.get(key).unwrap()).collect::<Vec<_>>(), values);
        blocks.read_through().unwrap();
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        #[test]
        fn a_tree_of_blocks_is_a_map(
            batches in proptest::collection::vec(batch(), 1..5),
            asked in proptest::collection::vec((batch(), batch(), any::<bool>(), any::<bool>(), 0_usize..40), 6),
        ) {
            let (blocks, mut model) = (blocks(), Model::new());
            for batch in &batches {
                settle(&blocks, &mut model, batch);
                is_like(&blocks, &model);
            }
            let (mut ranges, mut pages) = (Vec::new(), Vec::new());
            for (from, to, open, up, limit) in &asked {
                let ends = from.keys().next_back().into_iter().chain(to.keys().next());
                let (Some(from), Some(to)) = (ends.clone().min(), ends.max()) else { continue };
                prop_assert_eq!(blocks.get(to).unwrap(), model.get(to).cloned());
                // The standard map panics on a range between a key and itself that has neither end.
                let edge = |key| if *open && from != to { Bound::Excluded(key) } else { Bound::Included(key) };
                let (from, to) = (edge(from.as_slice()), edge(to.as_slice()));
                let way = if *up { Way::Up } else { Way::Down };
                let mut expected: Vec<Pair> =
                    model.range::<[u8], _>((from, to)).map(|(key, value)| (key.clone(), value.clone())).collect();
                ranges.push((from, to));
                pages.push(expected.iter().take(9).cloned().collect::<Vec<_>>());
                if way == Way::Down {
                    expected.reverse();
                }
                expected.truncate(*limit);
                prop_assert_eq!(blocks.page((from, to), way, *limit).unwrap(), expected);
            }
            prop_assert_eq!(blocks.pages(&ranges, 9).unwrap(), pages);
        }

        /// Killed after any write of a batch, and again while the journal puts it in place once more, no pair is missed that the
        /// batch does not touch; afterwards everything is as if nothing had happened, also for the batches that follow.
        #[test]
        fn wherever_it_is_cut_no_pair_is_missed(
            before in proptest::collection::vec(few(), 1..4),
            cut in few(),
            after in proptest::collection::vec(few(), 1..4),
            again in 0_usize..4,
        ) {
            let whole = blocks();
            before.iter().for_each(|batch| settle(&whole, &mut Model::new(), batch));
            for at in 0..=steps_of(&whole, &cut, usize::MAX) {
                let (blocks, mut model) = (blocks(), Model::new());
                before.iter().for_each(|batch| settle(&blocks, &mut model, batch));
                steps_of(&blocks, &cut, at);
                steps_of(&blocks, &cut, again);
                let untouched = |pairs: Vec<Pair>| -> Vec<Pair> {
                    pairs.into_iter().filter(|(key, _)| !cut.contains_key(key)).collect()
                };
                let stay = untouched(model.clone().into_iter().collect());
                prop_assert_eq!(&untouched(everything(&blocks, Way::Up)), &stay);
                let down = untouched(everything(&blocks, Way::Down));
                prop_assert_eq!(&down.into_iter().rev().collect::<Vec<_>>(), &stay);
                let keys: Vec<&[u8]> = stay.iter().map(|(key, _)| key.as_slice()).collect();
                let values: Vec<_> = stay.iter().map(|(_, value)| Some(value.clone())).collect();
                prop_assert_eq!(blocks.get_many(&keys).unwrap(), values);
                for batch in std::iter::once(&cut).chain(&after) {
                    settle(&blocks, &mut model, batch);
                    is_like(&blocks, &model);
                }
            }
        }
    }

    /// Pairs of which a few fill a block, or a stretch of keys that are removed.
    fn few() -> impl Strategy<Value = Batch> {
        let key = || (0_u8..48).prop_map(|key| vec![key]);
        let value = prop_oneof![
            2 => (100_usize..700).prop_map(|length| Some(vec![7; length])),
            1 => (700_usize..2_500).prop_map(|length| Some(vec![7; length])),
            2 => Just(None),
        ];
        prop_oneof![
            2 => proptest::collection::btree_map(key(), value, 0..16),
            1 => (0_u8..48, 4_u8..24).prop_map(|(from, count)| (from..from + count).map(|key| (vec![key], None)).collect()),
        ]
    }

    /// Puts a batch in place, up to so many writes to sled; tells how many there were.
    fn steps_of(blocks: &Blocks, batch: &Batch, most: usize) -> usize {
        let mut pairs = batch.iter().map(|(key, value)| (key.as_slice(), value.as_deref()));
        let pairs: &mut Settled<'_> = &mut pairs;
        let (mut pairs, mut taken) = (pairs.peekable(), 0);
        while let Some((key, _)) = pairs.peek() {
            for step in blocks.rewritten(key, &mut pairs).unwrap() {
                if taken == most {
                    return taken;
                }
                blocks.take(step).unwrap();
                taken += 1;
            }
        }
        taken
    }

    #[test]
    fn what_is_emptied_and_filled_elsewhere_leaves_no_blocks_behind() {
        let (blocks, mut model) = (blocks(), Model::new());
        let line = |from: u32| -> Batch {
            (from..from + 500).map(|at| (at.to_be_bytes().to_vec(), Some(vec![1; 40]))).collect()
        };
        settle(&blocks, &mut model, &line(0));
        let first = blocks.tree.len();
        for round in 0..20 {
            let mut batch: Batch = line(500 * round).into_keys().map(|key| (key, None)).collect();
            batch.extend(line(500 * (round + 1)));
            settle(&blocks, &mut model, &batch);
        }
        is_like(&blocks, &model);
        assert!(blocks.tree.len() <= first + 1, "{first} blocks, and now {}", blocks.tree.len());
    }

    /// A block as a process may leave it: the lowest key, its pairs, and whether it reaches too far.
    type Laid<'a> = (&'a str, &'a [(&'a str, u8)], bool);

    fn lay(blocks: &Blocks, laid: &[Laid<'_>]) {
        for (from, pairs, overreaches) in laid {
            let mut new = Filling::from(from.as_bytes().to_vec());
            pairs.iter().for_each(|(key, value)| new.bytes.extend(alone(key.as_bytes(), *value)));
            blocks.take((new.from, Some(block::of(new.bytes, *overreaches)))).unwrap();
        }
    }

    /// A pair with a value of some length, as it is in a block whose keys have nothing in common.
    fn alone(key: &[u8], value: u8) -> Vec<u8> {
        let mut one = Filling::from(Vec::new());
        one.push(key, &[value; 1_100]);
        one.bytes
    }

    #[test]
    fn what_does_not_count_in_a_block_does_not_count_in_the_one_that_takes_it_in() {
        let blocks = blocks();
        lay(
            &blocks,
            &[("", &[("a", 1)], false), ("c", &[("d", 1), ("x", 1), ("y", 1)], true), ("m", &[("x", 2)], false)],
        );
        blocks.settle(&mut std::iter::once((&b"a"[..], None))).unwrap();
        let keys: Vec<(Vec<u8>, u8)> =
            everything(&blocks, Way::Up).into_iter().map(|(key, value)| (key, value[0])).collect();
        assert_eq!(keys, [(b"d".to_vec(), 1), (b"x".to_vec(), 2)]);
        assert_eq!((blocks.get(b"x").unwrap().unwrap()[0], blocks.get(b"y").unwrap()), (2, None));
    }

    #[test]
    fn nobody_reads_while_pairs_move_and_none_moves_while_somebody_reads() {
        let blocks = blocks();
        settle(&blocks, &mut Model::new(), &Batch::from([(b"a".to_vec(), Some(vec![1]))]));
        let all: Range<'_> = (Bound::Unbounded, Bound::Unbounded);
        let reads: [&(dyn Fn() + Sync); 4] = [
            &|| drop(blocks.get(b"a").unwrap()),
            &|| drop(blocks.get_many(&[b"a"]).unwrap()),
            &|| drop(blocks.page(all, Way::Up, 9).unwrap()),
            &|| drop(blocks.pages(&[all], 9).unwrap()),
        ];
        let pause = || std::thread::sleep(std::time::Duration::from_millis(30));
        std::thread::scope(|threads| {
            let moving = blocks.still.write().unwrap();
            let reading: Vec<_> = reads.iter().map(|read| threads.spawn(read)).collect();
            pause();
            assert!(reading.iter().all(|it| !it.is_finished()));
            drop(moving);
            reading.into_iter().for_each(|it| it.join().unwrap());
            let reading = blocks.still();
            let moving = threads.spawn(|| blocks.settle(&mut std::iter::once((&b"a"[..], None))).unwrap());
            pause();
            assert!(!moving.is_finished());
            drop(reading);
        });
    }
}
