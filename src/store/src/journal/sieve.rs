//! Bloom filters before the trees: most of what a first look asks for was never there, and to say so an engine walks down to a
//! page of its own.
//! It must never say that nothing is there where something may be.
//!
//! Keys are told apart by their first bytes, as many as an index gives to what it names and a record to its id: so ranges
//! below one of those are answered too. What is written is taken in when it is written. A tree that had something when the
//! store was opened is read through once looks in vain have cost about as much as that does.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    ops::Bound,
    sync::{
        PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicUsize, Ordering},
    },
};

use fastbloom::BloomFilter;

use super::pending::{self, Pending};
use crate::{
    KeyRange, StoreError,
    kv::{Engine, Range, Shelf, Tree, Way},
};

/// Bytes by which keys are told apart.
const HEAD: usize = 16;
/// How many heads the first filter of a tree is made for; each further one is made for twice as many as the one before.
const FIRST: usize = 4 * 1024;
/// Above so many heads a tree has no filter: it would take several mebibytes.
const MOST: usize = FIRST << 10;
/// How often a filter says of a head that was never there that it may be.
const WRONG: f64 = 0.005;
/// How many looks in vain make it worth reading a tree through, and how many keys may be read for each.
const VAIN: usize = 1024;
const WORTH: usize = 8;
/// Pairs read at a time.
const PAGE: usize = 512;

/// What is known of the heads of keys, in the engine and before it.
#[derive(Debug)]
pub(super) struct Sieve {
    hasher: RandomState,
    /// Of present rows and of times in queues; of one that is not among them there is nothing.
    trees: RwLock<Trees>,
}

type Trees = HashMap<Box<str>, Known>;

/// What is known of the heads of a tree.
#[derive(Debug)]
enum Known {
    /// Every head that there ever was.
    All(Heads),
    /// Those written since the tree was chosen to be read through, and those met so far; how often it was asked in vain.
    Some { heads: Heads, vain: usize },
    /// Nothing; how often it was asked in vain, and how often it must be before it is read through.
    Nothing { vain: AtomicUsize, enough: usize },
}

impl Known {
    fn nothing(enough: usize) -> Self {
        Self::Nothing { vain: AtomicUsize::new(0), enough }
    }

    fn may_have(&self, head: u64) -> bool {
        match self {
            Self::All(heads) => heads.may_have(head),
            Self::Some { .. } | Self::Nothing { .. } => true,
        }
    }

    /// Takes in that a head may be there.
    fn put(&mut self, head: u64) {
        if let Self::All(heads) | Self::Some { heads, .. } = self {
            heads.put(head);
            if heads.count > MOST {
                *self = Self::nothing(usize::MAX);
            }
        }
    }
}

/// A growing set of heads, which may say of a few others that they are in it.
#[derive(Debug, Default)]
struct Heads {
    filters: Vec<BloomFilter>,
    count: usize,
}

impl Heads {
    fn may_have(&self, head: u64) -> bool {
        self.filters.iter().rev().any(|filter| filter.contains_hash(head))
    }

    fn put(&mut self, head: u64) {
        if self.may_have(head) {
            return;
        }
        let next = FIRST << self.filters.len();
        // For so many those that there are were made together.
        if self.count >= next - FIRST {
            self.filters.push(BloomFilter::with_false_pos(WRONG).expected_items(next));
        }
        if let Some(last) = self.filters.last_mut() {
            last.insert_hash(head);
            self.count += 1;
        }
    }
}

/// Whether keys of such a tree are asked for that may not be there.
fn is_sifted(tree: Tree<'_>) -> bool {
    matches!(tree.shelf, Shelf::Rows | Shelf::DueAt)
}

impl Sieve {
    /// One that knows of every tree of an engine that is not empty that it knows nothing.
    pub(super) fn before(engine: &dyn Engine) -> Result<Self, StoreError> {
        let names = engine.trees()?.into_iter().filter(|name| Tree::named(name).is_some_and(is_sifted));
        let trees = names.map(|name| (name.into(), Known::nothing(VAIN))).collect();
        Ok(Self { hasher: RandomState::new(), trees: RwLock::new(trees) })
    }

    fn trees(&self) -> RwLockReadGuard<'_, Trees> {
        self.trees.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn trees_mut(&self) -> RwLockWriteGuard<'_, Trees> {
        self.trees.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn head(&self, key: &[u8]) -> u64 {
        self.hasher.hash_one(key.get(..HEAD).unwrap_or(key))
    }

    /// The head of every key in a range, if they have one in common.
    fn head_of(&self, (from, to): Range<'_>) -> Option<u64> {
        let (Bound::Included(from) | Bound::Excluded(from)) = from else { return None };
        let head = from.get(..HEAD)?;
        let within = match (to, KeyRange::prefix(head).to) {
            (Bound::Included(to), _) => to.starts_with(head),
            (Bound::Excluded(to), Bound::Excluded(end)) => *to <= *end,
            _ => false,
        };
        within.then(|| self.head(head))
    }

    /// Answers about keys of a tree: those of which there may be something as told, the others with nothing.
    pub(super) fn keys<'k, A: Default + PartialEq>(
        &self,
        tree: Tree<'_>,
        keys: &[&'k [u8]],
        answer: impl FnOnce(&[&'k [u8]]) -> Result<Vec<A>, StoreError>,
    ) -> Result<Vec<A>, StoreError> {
        self.sifted(tree, keys, |key| Some(self.head(key)), answer)
    }

    /// Whether there may be something under a key.
    pub(super) fn may_have(&self, tree: Tree<'_>, key: &[u8]) -> bool {
        let known = |known: &Known| known.may_have(self.head(key));
        !is_sifted(tree) || self.trees().get(tree.to_string().as_str()).is_some_and(known)
    }

    /// Answers about ranges in the same way.
    pub(super) fn ranges<'k, A: Default + PartialEq>(
        &self,
        tree: Tree<'_>,
        ranges: &[Range<'k>],
        answer: impl FnOnce(&[Range<'k>]) -> Result<Vec<A>, StoreError>,
    ) -> Result<Vec<A>, StoreError> {
        self.sifted(tree, ranges, |range| self.head_of(*range), answer)
    }

    fn sifted<Q: Copy, A: Default + PartialEq>(
        &self,
        tree: Tree<'_>,
        questions: &[Q],
        head: impl Fn(&Q) -> Option<u64>,
        answer: impl FnOnce(&[Q]) -> Result<Vec<A>, StoreError>,
    ) -> Result<Vec<A>, StoreError> {
        if !is_sifted(tree) {
            return answer(questions);
        }
        let name = tree.to_string();
        // Not held while the engine is asked.
        let may_be: Vec<bool> = {
            let trees = self.trees();
            let known = trees.get(name.as_str());
            let may_have = |head| known.is_some_and(|known| known.may_have(head));
            questions.iter().map(|question| head(question).is_none_or(may_have)).collect()
        };
        let mut may_be = may_be.into_iter();
        pending::partly(
            questions,
            |_| Ok((may_be.next() == Some(false)).then(A::default)),
            |asked| {
                let found = answer(asked)?;
                if let Some(Known::Nothing { vain, .. }) = self.trees().get(name.as_str()) {
                    let nothing = A::default();
                    vain.fetch_add(found.iter().filter(|answer| **answer == nothing).count(), Ordering::Relaxed);
                }
                Ok(found)
            },
        )
    }

    /// Takes in what is about to be written.
    pub(super) fn take(&self, writes: &Pending) {
        let mut trees = self.trees_mut();
        for (tree, writes) in writes.trees().filter(|(tree, _)| is_sifted(*tree)) {
            let known = trees.entry(tree.to_string().into()).or_insert_with(|| Known::All(Heads::default()));
            let written = writes.iter().filter(|(_, value)| value.is_some());
            written.for_each(|(key, _)| known.put(self.head(key)));
        }
    }

    /// Chooses the trees that are worth being read through: once what was written before is in them.
    pub(super) fn choose(&self) {
        for known in self.trees_mut().values_mut() {
            let Known::Nothing { vain, enough } = known else { continue };
            let vain = vain.load(Ordering::Relaxed);
            if vain >= *enough {
                *known = Known::Some { heads: Heads::default(), vain };
            }
        }
    }

    /// Reads the chosen trees through. Nobody puts anything into them meanwhile.
    pub(super) fn read_through(&self, engine: &dyn Engine) {
        let mut chosen = Vec::new();
        for (name, known) in self.trees().iter() {
            if let Known::Some { vain, .. } = known {
                chosen.push((name.clone(), *vain));
            }
        }
        for (name, vain) in chosen {
            let known = match self.is_read(&name, engine, vain.saturating_mul(WORTH)) {
                Ok(true) => continue,
                Ok(false) => Known::nothing(vain.saturating_mul(2)),
                Err(error) => {
                    tracing::warn!(tree = %name, %error, "cannot be read through");
                    Known::nothing(usize::MAX)
                }
            };
            self.trees_mut().insert(name, known);
        }
    }

    /// Reads a tree to its end, if that comes within about so many keys; or until it has too many.
    fn is_read(&self, name: &str, engine: &dyn Engine, most: usize) -> Result<bool, StoreError> {
        let tree = Tree::named(name).ok_or_else(|| StoreError::Codec(format!("the name of the tree {name:?}")))?;
        let (mut from, mut count) = (Bound::Unbounded, 0);
        while count < most {
            let page = engine.page(tree, (from.as_ref().map(Vec::as_slice), Bound::Unbounded), Way::Up, PAGE)?;
            let mut trees = self.trees_mut();
            let Some(known) = trees.get_mut(name) else { return Ok(false) };
            page.iter().for_each(|(key, _)| known.put(self.head(key)));
            count += page.len();
            let Known::Some { heads, .. } = known else { return Ok(true) };
            if page.len() < PAGE {
                *known = Known::All(std::mem::take(heads));
                return Ok(true);
            }
            from = page.into_iter().next_back().map_or(Bound::Unbounded, |(last, _)| Bound::Excluded(last));
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Mutex};

    use proptest::prelude::*;

    use super::*;
    use crate::kv::{Pair, Settled};

    const TREE: Tree<'static> = Tree { shelf: Shelf::Rows, name: "names" };

    /// Keys in one tree, and what it was asked for.
    #[derive(Debug, Default)]
    struct Keys {
        keys: Mutex<BTreeSet<Vec<u8>>>,
        asked: AtomicUsize,
        damaged: bool,
    }

    impl Engine for Keys {
        fn get(&self, _: Tree<'_>, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            Ok(self.keys.lock().unwrap().contains(key).then(Vec::new))
        }

        fn page(&self, _: Tree<'_>, range: Range<'_>, _: Way, limit: usize) -> Result<Vec<Pair>, StoreError> {
            if self.damaged {
                return Err(StoreError::Codec("a page".to_owned()));
            }
            let keys = self.keys.lock().unwrap();
            Ok(keys.range::<[u8], _>(range).take(limit).map(|key| (key.clone(), Vec::new())).collect())
        }

        fn settle(&self, _: Tree<'_>, pairs: &mut Settled<'_>) -> Result<(), StoreError> {
            self.keys.lock().unwrap().extend(pairs.map(|(key, _)| key.to_vec()));
            Ok(())
        }

        fn sync(&self) -> Result<(), StoreError> {
            Ok(())
        }

        fn trees(&self) -> Result<Vec<String>, StoreError> {
            Ok(if self.keys.lock().unwrap().is_empty() { Vec::new() } else { vec![TREE.to_string()] })
        }

        fn used(&self) -> Result<u64, StoreError> {
            Ok(0)
        }
    }

    impl Keys {
        fn of(numbers: impl Iterator<Item = u32>) -> Self {
            Self { keys: Mutex::new(numbers.map(key).collect()), ..Self::default() }
        }

        /// Asks for keys by way of a sieve; how many were found, and how many the engine was asked for.
        fn ask(&self, sieve: &Sieve, numbers: impl Iterator<Item = u32>) -> (usize, usize) {
            self.asked.store(0, Ordering::Relaxed);
            let keys: Vec<Vec<u8>> = numbers.map(key).collect();
            let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
            let found = sieve.keys(TREE, &keys, |keys| self.get_many(TREE, keys)).unwrap();
            (found.iter().flatten().count(), self.asked.load(Ordering::Relaxed))
        }
    }

    fn key(number: u32) -> Vec<u8> {
        let mut key = vec![0; HEAD];
        key.splice(..4, number.to_be_bytes());
        key
    }

    fn written(sieve: &Sieve, numbers: impl Iterator<Item = u32>) {
        let mut writes = Pending::default();
        numbers.for_each(|number| writes.put(TREE, &key(number), Some(b"")));
        sieve.take(&writes);
    }

    #[test]
    fn what_was_never_written_is_hardly_ever_asked_for() {
        let engine = Keys::default();
        let sieve = Sieve::before(&engine).unwrap();
        assert_eq!(engine.ask(&sieve, 0..1000), (0, 0));
        written(&sieve, 0..20_000);
        engine.keys.lock().unwrap().extend((0..20_000).map(key));
        assert_eq!(engine.ask(&sieve, 0..20_000), (20_000, 20_000));
        let (found, asked) = engine.ask(&sieve, 20_000..40_000);
        assert!(found == 0 && asked < 600, "{asked}");
        let many = |of: &Known| matches!(of, Known::All(heads) if heads.count > 19_000 && heads.filters.len() == 3);
        assert!(sieve.trees().values().all(many));
    }

    #[test]
    fn a_tree_is_read_through_once_it_was_asked_in_vain_often_enough() {
        let (few, many) = (VAIN as u32, (VAIN * WORTH) as u32);
        let engine = Keys::of(0..many + 2000);
        let sieve = Sieve::before(&engine).unwrap();
        let learn = |times: u32| {
            for _ in 0..times {
                assert_eq!(engine.ask(&sieve, many * 2..many * 2 + few / 2), (0, VAIN / 2));
            }
            sieve.choose();
            // Written while the tree is read, and not in it yet.
            written(&sieve, many * 3..many * 3 + 9);
            sieve.read_through(&engine);
            engine.ask(&sieve, many * 2..many * 2 + 100).1 < 20
        };
        // There is more than so many looks are worth.
        assert!(!learn(1) && !learn(1) && !learn(2));
        assert!(learn(2));
        engine.keys.lock().unwrap().extend((many * 3..many * 3 + 9).map(key));
        let there = (0..many + 2000).chain(many * 3..many * 3 + 9);
        assert_eq!(engine.ask(&sieve, there).0, (many + 2009) as usize);
    }

    #[test]
    fn a_tree_that_cannot_be_read_or_has_too_much_is_asked_for_everything() {
        let engine = Keys { damaged: true, ..Keys::of(0..9) };
        let sieve = Sieve::before(&engine).unwrap();
        engine.ask(&sieve, 9..9 + VAIN as u32);
        sieve.choose();
        sieve.read_through(&engine);
        let (found, asked) = engine.ask(&sieve, 0..1000);
        assert_eq!((found, asked), (9, 1000));
        let mut full = Known::All(Heads { count: MOST, ..Heads::default() });
        full.put(1);
        assert!(full.may_have(2));
    }

    /// Bytes that often agree at the beginning, some shorter than a head.
    fn keys() -> impl Strategy<Value = Vec<u8>> {
        let head =
            prop_oneof![Just(vec![7; HEAD]), Just(vec![u8::MAX; HEAD]), Just([&[7; HEAD - 1][..], &[255]].concat())];
        prop_oneof![
            4 => (head, proptest::collection::vec(any::<u8>(), 0..3)).prop_map(|(head, tail)| [head, tail].concat()),
            1 => proptest::collection::vec(6_u8..9, 0..4),
        ]
    }

    fn bounds() -> impl Strategy<Value = Bound<Vec<u8>>> {
        prop_oneof![keys().prop_map(Bound::Included), keys().prop_map(Bound::Excluded), Just(Bound::Unbounded)]
    }

    proptest! {
        #[test]
        fn what_is_there_is_asked_for(there in proptest::collection::btree_set(keys(), 0..4), key in keys(), from in bounds(), to in bounds()) {
            let sieve = Sieve::before(&Keys::default()).unwrap();
            let mut writes = Pending::default();
            there.iter().for_each(|key| writes.put(TREE, key, Some(b"")));
            sieve.take(&writes);
            prop_assert!(sieve.may_have(TREE, &key) || !there.contains(&key));
            let range = (from.as_ref().map(Vec::as_slice), to.as_ref().map(Vec::as_slice));
            prop_assume!(!crate::memory::is_empty(range));
            let asked = sieve.ranges(TREE, &[range], |ranges| Ok(vec![true; ranges.len()])).unwrap();
            prop_assert!(asked == [true] || there.range::<[u8], _>(range).next().is_none());
        }
    }
}
