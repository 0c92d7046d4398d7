//! The engine that keeps everything in memory, for tests and for looking without leaving a trace.
//! It must never be chosen for a daemon: nothing survives it.

use std::{
    collections::BTreeMap,
    ops::Bound,
    path::Path,
    sync::{PoisonError, RwLock, RwLockReadGuard},
};

use crate::{
    StoreError,
    kv::{Draft, Kv, Pair, Range, Tree, Way, Work},
};

/// Ordered maps, one per tree.
#[derive(Debug, Default)]
pub struct Memory {
    trees: RwLock<Trees>,
}

type Trees = BTreeMap<String, BTreeMap<Vec<u8>, Vec<u8>>>;

/// Writes that were not applied yet.
struct Overlay<'a> {
    below: &'a Trees,
    writes: BTreeMap<String, BTreeMap<Vec<u8>, Option<Vec<u8>>>>,
}

impl Memory {
    fn read(&self) -> RwLockReadGuard<'_, Trees> {
        self.trees.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kv for Memory {
    fn get(&self, tree: Tree<'_>, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.read().get(&tree.to_string()).and_then(|pairs| pairs.get(key)).cloned())
    }

    fn page(&self, tree: Tree<'_>, range: Range<'_>, way: Way, limit: usize) -> Result<Vec<Pair>, StoreError> {
        let trees = self.read();
        let Some(pairs) = trees.get(&tree.to_string()) else { return Ok(Vec::new()) };
        if is_empty(range) {
            return Ok(Vec::new());
        }
        let found = pairs.range::<[u8], _>(range).map(|(key, value)| (key.clone(), value.clone()));
        Ok(match way {
            Way::Up => found.take(limit).collect(),
            Way::Down => found.rev().take(limit).collect(),
        })
    }

    fn write(&self, work: &mut Work<'_>) -> Result<(), StoreError> {
        let mut trees = self.trees.write().unwrap_or_else(PoisonError::into_inner);
        let mut draft = Overlay { below: &trees, writes: BTreeMap::new() };
        work(&mut draft)?;
        for (tree, writes) in draft.writes {
            let pairs = trees.entry(tree).or_default();
            for (key, value) in writes {
                match value {
                    Some(value) => pairs.insert(key, value),
                    None => pairs.remove(&key),
                };
            }
        }
        Ok(())
    }

    fn trees(&self) -> Result<Vec<String>, StoreError> {
        Ok(self.read().keys().cloned().collect())
    }

    fn path(&self) -> Option<&Path> {
        None
    }

    fn used(&self) -> Result<u64, StoreError> {
        let bytes = |pairs: &BTreeMap<Vec<u8>, Vec<u8>>| {
            pairs.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>()
        };
        Ok(self.read().values().map(bytes).sum::<usize>() as u64)
    }
}

/// As the engine below a journal, for tests of the journal.
#[cfg(test)]
impl crate::kv::Engine for Memory {
    fn get(&self, tree: Tree<'_>, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Kv::get(self, tree, key)
    }

    fn page(&self, tree: Tree<'_>, range: Range<'_>, way: Way, limit: usize) -> Result<Vec<Pair>, StoreError> {
        Kv::page(self, tree, range, way, limit)
    }

    fn settle(&self, tree: Tree<'_>, pairs: &mut crate::kv::Settled<'_>) -> Result<(), StoreError> {
        let mut trees = self.trees.write().unwrap_or_else(PoisonError::into_inner);
        let place = trees.entry(tree.to_string()).or_default();
        for (key, value) in pairs {
            match value {
                Some(value) => place.insert(key.to_vec(), value.to_vec()),
                None => place.remove(key),
            };
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn trees(&self) -> Result<Vec<String>, StoreError> {
        Kv::trees(self)
    }

    fn used(&self) -> Result<u64, StoreError> {
        Kv::used(self)
    }
}

impl Draft for Overlay<'_> {
    fn get(&mut self, tree: Tree<'_>, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let name = tree.to_string();
        let written = self.writes.get(&name).and_then(|writes| writes.get(key));
        let below = || self.below.get(&name).and_then(|pairs| pairs.get(key)).cloned();
        Ok(written.map_or_else(below, Option::clone))
    }

    fn put(&mut self, tree: Tree<'_>, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.writes.entry(tree.to_string()).or_default().insert(key.to_vec(), Some(value.to_vec()));
        Ok(())
    }

    fn delete(&mut self, tree: Tree<'_>, key: &[u8]) -> Result<(), StoreError> {
        self.writes.entry(tree.to_string()).or_default().insert(key.to_vec(), None);
        Ok(())
    }
}

/// Whether no key can lie in a range; the standard map panics on some of those.
pub(crate) fn is_empty(range: Range<'_>) -> bool {
    match range {
        (Bound::Included(from), Bound::Included(to)) => from > to,
        (Bound::Included(from), Bound::Excluded(to))
        | (Bound::Excluded(from), Bound::Included(to))
        | (Bound::Excluded(from), Bound::Excluded(to)) => from >= to,
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
    }
}
