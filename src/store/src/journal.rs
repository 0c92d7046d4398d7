//! A journal before the trees: a batch becomes durable as one entry of a file, and its writes are put into their trees
//! later, many batches at once and in the order of keys. An engine with ordered pages takes sorted writes several times
//! faster than scattered ones, and what is overwritten meanwhile is never written at all.
//! It must never forget an entry before its writes are durable in their trees.

mod entry;
mod log;
mod overlay;
mod pending;
mod rewrite;
mod sieve;
mod writes;

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard},
    thread::JoinHandle,
};

use self::{log::Log, overlay::Overlay, pending::Pending, sieve::Sieve};
use crate::{
    Compacted, StoreError,
    format::{self, Format},
    kv::{Engine, Kv, Pair, Range, Tree, Way, Work},
    memory::is_empty,
    opening::Hold,
    steps,
};

/// The journal's two files, beside the engine's: one is written while what the other holds goes into the trees.
pub(crate) const FILES: [&str; 2] = ["journal-a", "journal-b"];

/// How much of what lies in the trees may wait before it is put in place, and how little may always: many writes at once cost
/// less, and a small store is to take little memory.
const SHARE: u64 = 8;
const LEAST: usize = 6 << 20;

/// The key of the one pair of [`Tree::SETTLED`].
const SETTLED: &[u8] = b"upto";

/// An engine with a journal before it.
#[derive(Debug)]
pub struct Journaled {
    /// Bytes of writes kept in memory at most, beyond which they are put in place.
    most: usize,
    /// The trees, and what is not in them yet.
    state: RwLock<State>,
    /// Held by whoever writes.
    pen: Mutex<Pen>,
    /// Told when a rewrite has taken up what was written meanwhile.
    caught_up: Condvar,
    /// Held while the engine is rewritten.
    rewriting: Mutex<()>,
    /// The lock on the store's directory; declared last, so that it is given back after the engine has closed its files.
    hold: Option<Hold>,
}

#[derive(Debug)]
struct State {
    engine: Arc<dyn Engine>,
    /// What is nowhere, neither in the trees nor on its way.
    sieve: Arc<Sieve>,
    recent: Pending,
    /// Writes on their way into the trees; older than the recent ones.
    leaving: Option<Arc<Pending>>,
    /// Set when it is not known which engine is the store: nothing is answered any more.
    lost: bool,
}

/// Where the journal is written.
#[derive(Debug)]
struct Pen {
    /// The file of the recent writes.
    log: Log,
    /// The file of the leaving ones; empty if there are none.
    other: Log,
    /// Who puts the leaving writes into their trees.
    porter: Option<JoinHandle<Result<(), StoreError>>>,
    /// Bytes of recent writes, beyond which they are put in place.
    bound: usize,
    /// While the engine is rewritten: what was written since, as far as it was not taken up.
    meanwhile: Option<Pending>,
}

impl Journaled {
    /// The engine, with what the journal in that directory holds. At most `most` bytes of writes wait in memory, and as many
    /// again while they are put in place.
    pub(crate) fn open(
        engine: Arc<dyn Engine>,
        directory: &Path,
        most: usize,
        hold: Option<Hold>,
    ) -> Result<Self, StoreError> {
        let [one, other] = FILES.map(|file| {
            let mut writes = Pending::default();
            let log = Log::open(&directory.join(file), &mut |content| entry::read(content, &mut writes))?;
            Ok::<_, StoreError>((log, writes))
        });
        let (mut older, mut newer) = (one?, other?);
        if older.0.sequence() > newer.0.sequence() {
            std::mem::swap(&mut older, &mut newer);
        }
        let settled = settled(engine.as_ref())?;
        let oldest = [older.0.first(), newer.0.first()].into_iter().find(|first| *first != 0);
        if let Some(first) = oldest.filter(|first| *first > settled + 1) {
            let path = hold.as_ref().map_or(directory, |hold| &hold.path).to_owned();
            let what =
                format!("the engine has everything up to entry {settled}, the journal begins with entry {first}");
            return Err(StoreError::Damaged { path, what });
        }
        newer.0.follow(settled);
        let leaving = (!older.1.is_empty()).then(|| Arc::new(older.1));
        let bound = bound(most, engine.used()?);
        let sieve = Arc::new(Sieve::before(engine.as_ref())?);
        let state = State { engine, sieve, recent: newer.1, leaving, lost: false };
        state.layers().into_iter().for_each(|writes| state.sieve.take(writes));
        let pen = Pen { log: newer.0, other: older.0, porter: None, bound, meanwhile: None };
        let (caught_up, rewriting) = (Condvar::new(), Mutex::default());
        Ok(Self { most, state: RwLock::new(state), pen: Mutex::new(pen), caught_up, rewriting, hold })
    }

    fn pen(&self) -> MutexGuard<'_, Pen> {
        self.pen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, how: impl FnOnce(&mut State) -> T) -> T {
        how(&mut self.state.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// Has full writes put into their trees, on a thread of its own; waits only for those before them.
    fn make_room(&self, pen: &mut Pen, bound: usize) -> Result<(), StoreError> {
        let full = self.state().recent.bytes() >= bound;
        if pen.porter.as_ref().is_some_and(|porter| full || porter.is_finished()) {
            self.arrived(pen)?;
        }
        if pen.porter.is_none() && (full || self.state().leaving.is_some()) {
            let leaving = self.change(|state| match &state.leaving {
                Some(left_behind) => Arc::clone(left_behind),
                None => {
                    std::mem::swap(&mut pen.log, &mut pen.other);
                    pen.log.follow(pen.other.sequence());
                    let leaving = Arc::new(std::mem::take(&mut state.recent));
                    state.sieve.choose();
                    Arc::clone(state.leaving.insert(leaving))
                }
            });
            let (engine, sieve) = {
                let state = self.state();
                (Arc::clone(&state.engine), Arc::clone(&state.sieve))
            };
            let upto = pen.other.sequence();
            let porter = std::thread::Builder::new().name("journal".to_owned());
            pen.porter = Some(porter.spawn(move || {
                put_in_place(engine.as_ref(), &leaving, upto)?;
                sieve.read_through(engine.as_ref());
                Ok(())
            })?);
        }
        Ok(())
    }

    /// Waits for the writes that are leaving, then forgets them.
    fn arrived(&self, pen: &mut Pen) -> Result<(), StoreError> {
        match pen.porter.take().map(JoinHandle::join) {
            None => return Ok(()),
            Some(Ok(done)) => done?,
            Some(Err(_)) => return Err(StoreError::Io(std::io::Error::other("putting the journal in place panicked"))),
        }
        pen.other.clear()?;
        self.change(|state| state.leaving = None);
        pen.bound = bound(self.most, self.state().engine.used()?);
        Ok(())
    }
}

/// Bytes of writes that may wait before an engine that takes so many.
fn bound(most: usize, used: u64) -> usize {
    usize::try_from(used / SHARE).unwrap_or(most).max(LEAST).min(most)
}

/// Puts writes into their trees and makes that durable. Last of all the engine is told up to which entry it has everything:
/// one that lost something, however whole it looks, is found out by the entry that follows.
fn put_in_place(engine: &dyn Engine, writes: &Pending, upto: u64) -> Result<(), StoreError> {
    for (tree, writes) in writes.trees() {
        engine.settle(tree, &mut writes.iter())?;
    }
    let upto = upto.to_be_bytes();
    engine.settle(Tree::SETTLED, &mut std::iter::once((SETTLED, Some(upto.as_slice()))))?;
    engine.sync()
}

/// The last entry that is in the trees; zero if none ever was.
fn settled(engine: &dyn Engine) -> Result<u64, StoreError> {
    let Some(known) = engine.get(Tree::SETTLED, SETTLED)? else { return Ok(0) };
    let known = known.as_slice().try_into().map(u64::from_be_bytes);
    known.map_err(|_| StoreError::Codec("up to where the journal is in the trees".to_owned()))
}

impl Drop for Journaled {
    fn drop(&mut self) {
        // The engine is closed after this. What is not in the trees is in the journal.
        let pen = self.pen.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(Ok(Ok(()))) = pen.porter.take().map(JoinHandle::join) {
            // If this fails, the same writes are put in place again.
            let _ = pen.other.clear();
        }
    }
}

impl Kv for Journaled {
    fn get(&self, tree: Tree<'_>, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.state().get(tree, key)
    }

    fn page(&self, tree: Tree<'_>, range: Range<'_>, way: Way, limit: usize) -> Result<Vec<Pair>, StoreError> {
        if is_empty(range) {
            return Ok(Vec::new());
        }
        // Held to the end: what leaves the memory meanwhile is in the trees before.
        let state = self.state();
        state.known()?;
        let (engine, layers) = (state.engine.as_ref(), state.layers());
        let page = |range: &Range<'_>| pending::page(engine, &layers, (tree, *range), way, limit);
        let found = state.sieve.ranges(tree, &[range], |ranges| ranges.iter().map(page).collect());
        Ok(found?.pop().unwrap_or_default())
    }

    fn get_many(&self, tree: Tree<'_>, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.state().get_many(tree, &keys.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }

    fn pages(&self, tree: Tree<'_>, ranges: &[Range<'_>], limit: usize) -> Result<Vec<Vec<Pair>>, StoreError> {
        let state = self.state();
        state.known()?;
        let (engine, layers) = (state.engine.as_ref(), state.layers());
        state.sieve.ranges(tree, ranges, |ranges| pending::pages(engine, &layers, (tree, ranges), limit))
    }

    fn write(&self, work: &mut Work<'_>) -> Result<(), StoreError> {
        let mut pen = self.pen();
        while pen.meanwhile.as_ref().is_some_and(|meanwhile| meanwhile.bytes() >= rewrite::MEANWHILE) {
            pen = self.caught_up.wait(pen).unwrap_or_else(PoisonError::into_inner);
        }
        self.state().known()?;
        let bound = pen.bound;
        self.make_room(&mut pen, bound)?;
        let writes = {
            let state = self.state();
            let mut draft = Overlay::over(&state);
            work(&mut draft)?;
            draft.writes()
        };
        if !writes.is_empty() {
            pen.log.append(&entry::written(&writes))?;
            if let Some(meanwhile) = &mut pen.meanwhile {
                meanwhile.take(writes.clone());
            }
            self.state().sieve.take(&writes);
            self.change(|state| state.recent.take(writes));
        }
        Ok(())
    }

    /// A store that a later program left to this one stays as open as it is.
    fn contract(&self) -> Result<bool, StoreError> {
        let Some(hold) = &self.hold else { return Ok(true) };
        // A rewrite writes the format file too.
        let _pen = self.pen();
        let reader = steps::contracted();
        match format::read(&hold.path)? {
            Some(format) if format.min_reader >= reader => Ok(true),
            Some(format) if format.version == format::VERSION => {
                format::write(&hold.path, &Format { min_reader: reader, ..format })?;
                tracing::info!(store = %hold.path.display(), reader, "programs of older formats can read the store no longer");
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Puts everything into the trees and gives the memory back.
    fn tidy(&self) -> Result<(), StoreError> {
        let mut pen = self.pen();
        loop {
            self.arrived(&mut pen)?;
            if self.state().is_empty() {
                return Ok(());
            }
            self.make_room(&mut pen, 0)?;
        }
    }

    fn trees(&self) -> Result<Vec<String>, StoreError> {
        let state = self.state();
        let waiting = state.layers().into_iter();
        let mut names: BTreeSet<String> = waiting.flat_map(Pending::trees).map(|(tree, _)| tree.to_string()).collect();
        names.extend(state.engine.trees()?);
        names.remove(&Tree::SETTLED.to_string());
        Ok(names.into_iter().collect())
    }

    fn faults(&self) -> Result<Vec<String>, StoreError> {
        let pen = self.pen();
        let files = [("a journal file", &pen.log), ("the other journal file", &pen.other)];
        let mut faults = Vec::new();
        for (name, log) in files {
            faults.extend(log.fault()?.map(|fault| format!("{name}: {fault}")));
        }
        Ok(faults)
    }

    fn compaction_needs(&self) -> Result<u64, StoreError> {
        self.rewrite_needs()
    }

    fn compact(&self) -> Result<Compacted, StoreError> {
        self.rewrite()
    }

    fn path(&self) -> Option<&Path> {
        self.hold.as_ref().map(|hold| hold.path.as_path())
    }

    fn used(&self) -> Result<u64, StoreError> {
        let journal = {
            let pen = self.pen();
            pen.log.length() + pen.other.length()
        };
        Ok(self.state().engine.used()? + journal)
    }
}

impl State {
    fn is_empty(&self) -> bool {
        self.recent.is_empty() && self.leaving.is_none()
    }

    /// Refuses where it is not known which engine is the store.
    fn known(&self) -> Result<(), StoreError> {
        match self.lost {
            true => Err(StoreError::Io(std::io::Error::other("a rewrite failed half-way; open the store anew"))),
            false => Ok(()),
        }
    }

    /// What is not in the trees yet, the later first.
    fn layers(&self) -> Vec<&Pending> {
        std::iter::once(&self.recent).chain(self.leaving.as_deref()).collect()
    }

    fn get(&self, tree: Tree<'_>, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.known()?;
        if !self.sieve.may_have(tree, key) {
            return Ok(None);
        }
        let known = self.recent.get(tree, key).or_else(|| self.leaving.as_deref()?.get(tree, key));
        match known {
            Some(value) => Ok(value.map(<[u8]>::to_vec)),
            None => self.engine.get(tree, key),
        }
    }

    fn get_many(&self, tree: Tree<'_>, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.known()?;
        let layers = self.layers();
        let layers: Vec<_> = layers.iter().filter_map(|layer| layer.of(tree)).collect();
        let above = |key: &&[u8]| layers.iter().find_map(|writes| writes.get(key)).map(|it| it.map(<[u8]>::to_vec));
        self.sieve.keys(tree, keys, |keys| {
            pending::partly(
                keys,
                |key| Ok(above(key)),
                |keys| pending::side_by_side(keys, |key| *key, |keys| self.engine.get_many(tree, keys)),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::Memory;

    fn over_memory(dir: &TempDir, bound: usize) -> Result<Journaled, StoreError> {
        Journaled::open(Arc::new(Memory::default()), dir.path(), bound, None)
    }

    fn write(journaled: &Journaled, key: u8) {
        let tree = Tree::new(crate::kv::Shelf::Rows, "things");
        journaled.write(&mut |draft| draft.put(tree, &[key], &[key])).unwrap();
    }

    fn length(file: &Path) -> u64 {
        std::fs::metadata(file).unwrap().len()
    }

    #[test]
    fn the_more_there_is_the_more_may_wait() {
        let mebibytes = |most: usize, used: u64| bound(most << 20, used << 20) >> 20;
        assert_eq!([0, 48, 64, 128, 4_096].map(|used| mebibytes(16, used)), [6, 6, 8, 16, 16]);
        assert_eq!([0, 4_096].map(|used| mebibytes(1, used)), [1, 1]);
    }

    #[test]
    fn a_tree_that_was_asked_in_vain_is_read_through_with_what_waits_before_it() {
        let (dir, engine) = (TempDir::new().unwrap(), Arc::new(Memory::default()));
        let open = || Journaled::open(Arc::<Memory>::clone(&engine), dir.path(), usize::MAX, None).unwrap();
        let found = |journaled: &Journaled, numbers: std::ops::Range<u16>| {
            let keys: Vec<Vec<u8>> = numbers.map(|number| number.to_be_bytes()[1..].to_vec()).collect();
            journaled.get_many(Tree::new(crate::kv::Shelf::Rows, "things"), &keys).unwrap().iter().flatten().count()
        };
        let journaled = open();
        (0..9).for_each(|key| write(&journaled, key));
        journaled.tidy().unwrap();
        drop(journaled);
        let journaled = open();
        let is_asked = |key: u8| {
            let things = Tree::new(crate::kv::Shelf::Rows, "things");
            journaled.state().sieve.may_have(things, &[key])
        };
        (0..9).for_each(|_| assert_eq!(found(&journaled, 100..250), 0));
        write(&journaled, 9);
        assert!(is_asked(100));
        journaled.tidy().unwrap();
        assert!(!(100..250).all(is_asked));
        write(&journaled, 10);
        assert_eq!(found(&journaled, 0..250), 11);
    }

    #[test]
    fn an_engine_that_lost_what_was_put_in_place_is_refused() {
        let dir = TempDir::new().unwrap();
        for round in 0..3 {
            // The first write goes into the trees when the second comes; the second stays in the journal.
            let journaled = over_memory(&dir, 0).unwrap();
            (0..2).for_each(|key| write(&journaled, key));
            drop(journaled);
            let empty = over_memory(&dir, 0);
            assert!(matches!(empty, Err(StoreError::Damaged { .. })), "round {round}");
            FILES.iter().for_each(|file| std::fs::remove_file(dir.path().join(file)).unwrap());
        }
        let journaled = over_memory(&dir, 1 << 20).unwrap();
        (0..2).for_each(|key| write(&journaled, key));
        journaled.tidy().unwrap();
        assert!(journaled.state().is_empty() && FILES.iter().all(|file| length(&dir.path().join(file)) == 0));
        (2..4).for_each(|key| write(&journaled, key));
        drop(journaled);
        let lost = over_memory(&dir, 1 << 20);
        assert!(matches!(lost, Err(StoreError::Damaged { .. })));
        FILES.iter().for_each(|file| std::fs::remove_file(dir.path().join(file)).unwrap());
        let journaled = over_memory(&dir, 1 << 20).unwrap();
        (0..2).for_each(|key| write(&journaled, key));
        drop(journaled);
        // What was never put in place is all in the journal.
        let journaled = over_memory(&dir, 1 << 20).unwrap();
        let all = journaled.page(
            Tree::new(crate::kv::Shelf::Rows, "things"),
            (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded),
            Way::Up,
            9,
        );
        assert_eq!(all.unwrap(), [(vec![0], vec![0]), (vec![1], vec![1])]);
    }
}
