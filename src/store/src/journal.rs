//! A journal before the trees: a batch becomes durable as one entry of a file, and its writes are put into their trees
//! later, many batches at once and in the order of keys. An engine with ordered pages takes sorted writes several times
//! faster than scattered ones, and what is overwritten meanwhile is never written at all.
//! It must never forget an entry before its writes are durable in their trees.

mod entry;
mod log;
mod pending;

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard},
};

use self::{log::Log, pending::Pending};
use crate::{
    StoreError,
    kv::{Draft, Engine, Kv, Pair, Range, Tree, Way, Work},
    memory::is_empty,
};

/// The journal's file, beside the engine's.
pub(crate) const FILE: &str = "journal";

/// An engine with a journal before it.
#[derive(Debug)]
pub struct Journaled<E> {
    engine: E,
    /// Bytes of writes kept in memory, beyond which they are put in place.
    bound: usize,
    /// What is not in the trees yet.
    state: RwLock<State>,
    /// Held by whoever writes.
    log: Mutex<Log>,
}

#[derive(Debug, Default)]
struct State {
    recent: Pending,
    /// Writes on their way into the trees; older than the recent ones.
    leaving: Option<Arc<Pending>>,
}

impl<E: Engine> Journaled<E> {
    /// The engine, with what the journal in that directory holds. `bound` is in bytes.
    pub(crate) fn open(engine: E, directory: &Path, bound: usize) -> Result<Self, StoreError> {
        let mut recent = Pending::default();
        let log = Log::open(&directory.join(FILE), &mut |content| entry::read(content, &mut recent))?;
        Ok(Self { engine, bound, state: RwLock::new(State { recent, leaving: None }), log: Mutex::new(log) })
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, how: impl FnOnce(&mut State) -> T) -> T {
        how(&mut self.state.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts everything into the trees, then empties the journal. Readers go on meanwhile.
    fn put_in_place(&self, log: &mut Log) -> Result<(), StoreError> {
        let leaving = self.change(|state| {
            let leaving = state.leaving.take().unwrap_or_else(|| Arc::new(std::mem::take(&mut state.recent)));
            state.leaving = Some(Arc::clone(&leaving));
            leaving
        });
        for (tree, writes) in leaving.trees() {
            let mut pairs = writes.iter().map(|(key, value)| (key.as_slice(), value.as_deref()));
            self.engine.settle(tree, &mut pairs)?;
        }
        self.engine.sync()?;
        log.clear()?;
        self.change(|state| state.leaving = None);
        Ok(())
    }
}

impl<E: Engine> Kv for Journaled<E> {
    fn get(&self, tree: Tree<'_>, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.state().get(&self.engine, tree, key)
    }

    fn page(&self, tree: Tree<'_>, range: Range<'_>, way: Way, limit: usize) -> Result<Vec<Pair>, StoreError> {
        if is_empty(range) {
            return Ok(Vec::new());
        }
        // Held to the end: what leaves the memory meanwhile is in the trees before.
        let state = self.state();
        let layers: Vec<&Pending> = std::iter::once(&state.recent).chain(state.leaving.as_deref()).collect();
        pending::page(&self.engine, &layers, (tree, range), way, limit)
    }

    fn write(&self, work: &mut Work<'_>) -> Result<(), StoreError> {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        if self.state().is_full(self.bound) {
            self.put_in_place(&mut log)?;
        }
        let writes = {
            let state = self.state();
            let mut draft = Overlay { state: &state, engine: &self.engine, writes: Pending::default() };
            work(&mut draft)?;
            draft.writes
        };
        if !writes.is_empty() {
            log.append(&entry::written(&writes))?;
            self.change(|state| state.recent.take(writes));
        }
        Ok(())
    }

    fn path(&self) -> Option<&Path> {
        self.engine.path()
    }

    fn used(&self) -> Result<u64, StoreError> {
        let journal = self.log.lock().unwrap_or_else(PoisonError::into_inner).length();
        Ok(self.engine.used()? + journal)
    }
}

impl State {
    fn is_full(&self, bound: usize) -> bool {
        self.recent.bytes() >= bound || self.leaving.is_some()
    }

    fn get<E: Engine>(&self, engine: &E, tree: Tree<'_>, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let known = self.recent.get(tree, key).or_else(|| self.leaving.as_deref()?.get(tree, key));
        match known {
            Some(value) => Ok(value.map(<[u8]>::to_vec)),
            None => engine.get(tree, key),
        }
    }
}

/// A write in the making, over what is durable.
struct Overlay<'a, E> {
    state: &'a State,
    engine: &'a E,
    writes: Pending,
}

impl<E: Engine> Draft for Overlay<'_, E> {
    fn get(&mut self, tree: Tree<'_>, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.writes.get(tree, key) {
            Some(value) => Ok(value.map(<[u8]>::to_vec)),
            None => self.state.get(self.engine, tree, key),
        }
    }

    fn put(&mut self, tree: Tree<'_>, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.writes.put(tree, key.to_vec(), Some(value.to_vec()));
        Ok(())
    }

    fn delete(&mut self, tree: Tree<'_>, key: &[u8]) -> Result<(), StoreError> {
        self.writes.put(tree, key.to_vec(), None);
        Ok(())
    }
}
