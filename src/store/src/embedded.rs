//! The whole store contract over any engine with ordered keys: one writer at a time, readers beside it.
//! It must never acknowledge a batch before the engine has made it durable.

mod bundle;
mod check;
mod commit;
mod kept;
mod leases;
mod log;
pub(crate) mod past;
pub(crate) mod pieces;
mod queues;
pub(crate) mod rows;
mod still;
pub(crate) mod streams;
mod tables;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError, RwLock},
};

use provost_model::Time;

use self::still::Watched;
use crate::{
    Batch, Claim, CommitNo, Committed, Compacted, Entry, Fence, Head, Held, KeyRange, Piece, Report, Row, Space, Store,
    StoreError, Table, Visit,
    kv::{Kv, Tree},
    segments::{self, Segments},
    space,
};

pub(crate) use commit::check_count;
pub use commit::{MAX_BYTES, MAX_OPS};
pub(crate) use commit::{check_size, conflict};

/// Bytes of bundles written at a time, about.
const PACKED: usize = 1 << 20;

/// A store over an engine.
#[derive(Debug)]
pub struct Embedded<K> {
    kv: Watched<K>,
    /// Held while something is written, so that what was checked still holds when it is written.
    writer: Mutex<Writer>,
    /// The last durable commit; apart from the writer's, so that asking for it never waits for a write.
    head: RwLock<Head>,
    /// Entries the engine got back from the segments.
    given_back: u64,
}

/// What the writer knows without asking the engine.
#[derive(Debug, Default)]
struct Writer {
    tails: HashMap<&'static str, streams::Tail>,
    /// Tables that are noted.
    tables: HashSet<Table>,
    /// Where streams are kept outside the engine.
    segments: Option<Segments>,
}

impl<K: Kv> Embedded<K> {
    /// The store in an engine, where its last commit left it.
    pub(crate) fn over(kv: K) -> Result<Self, StoreError> {
        let head = log::head(&kv)?;
        Ok(Self::at(kv, head))
    }

    /// The store in an engine whose last commit is known.
    pub(crate) fn at(kv: K, head: Head) -> Self {
        Self { kv: Watched::new(kv), writer: Mutex::default(), head: RwLock::new(head), given_back: 0 }
    }

    /// The same, with its streams kept in a directory outside the engine too.
    pub(crate) fn with_segments(mut self, directory: &Path) -> Result<Self, StoreError> {
        let mut segments = Segments::open(directory)?;
        let (head, given_back) = kept::together(&self.kv, &mut segments, self.stands())?;
        self.writer().segments = Some(segments);
        *self.head.write().unwrap_or_else(PoisonError::into_inner) = head;
        self.given_back = given_back;
        Ok(self)
    }

    /// Entries of streams that the engine had lost and got back from the segments when the store was opened.
    pub fn given_back(&self) -> u64 {
        self.given_back
    }

    /// What is wrong with the segments, a sentence each.
    fn faults_of_segments(&self) -> Result<Vec<String>, StoreError> {
        let (directory, tails) = {
            let writer = self.writer();
            let Some(segments) = &writer.segments else { return Ok(Vec::new()) };
            let tail = |stream: String| Ok((streams::tail(&self.kv, &stream)?, stream));
            let tails = segments.streams().into_iter().map(tail).collect::<Result<Vec<_>, StoreError>>()?;
            (segments.directory().to_owned(), tails)
        };
        Ok(tails.iter().filter_map(|(tail, stream)| segments::faults(&directory, stream, *tail)).collect())
    }

    /// Where it is on disk.
    pub fn path(&self) -> Option<&Path> {
        self.kv.path()
    }

    /// Refuses a log of commits with a gap.
    pub(crate) fn check_log(&self) -> Result<(), StoreError> {
        log::check(&self.kv, self.stands().number)
    }

    /// Notes which tables keep former versions, as far as there are any.
    pub(crate) fn note_versioned(&self) -> Result<(), StoreError> {
        let _writer = self.writer();
        log::note_versioned(&self.kv)
    }

    /// When a commit was recorded, if there was one of that number.
    pub(crate) fn recorded(&self, number: CommitNo) -> Result<Option<Time>, StoreError> {
        self.kv.get(Tree::COMMITS, &number.0.to_be_bytes())?.map(|at| log::time(&at)).transpose()
    }

    fn change_past(&self, table: Table, changes: &past::Changes) -> Result<(), StoreError> {
        if changes.is_empty() { Ok(()) } else { self.kv.write(&mut |draft| changes.write(draft, table)) }
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stands(&self) -> Head {
        *self.head.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Kv> Store for Embedded<K> {
    fn head(&self) -> Result<Head, StoreError> {
        Ok(self.stands())
    }

    fn get(&self, table: Table, key: &[u8], at: Option<CommitNo>) -> Result<Option<Row>, StoreError> {
        tables::get(&self.kv, table, key, at)
    }

    fn get_many(&self, table: Table, keys: &[Vec<u8>]) -> Result<Vec<Option<Row>>, StoreError> {
        tables::get_many(&self.kv, table, keys)
    }

    fn keys_below(&self, table: Table, prefixes: &[Vec<u8>], limit: usize) -> Result<Vec<Vec<Vec<u8>>>, StoreError> {
        tables::keys_below(&self.kv, table, prefixes, limit)
    }

    fn scan(
        &self,
        table: Table,
        range: &KeyRange,
        at: Option<CommitNo>,
        each: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        tables::scan(&self.kv, table, range, at, each)
    }

    fn versions(&self, table: Table, key: &[u8]) -> Result<Vec<Row>, StoreError> {
        tables::versions(&self.kv, table, key)
    }

    fn commit_at(&self, time: Time) -> Result<CommitNo, StoreError> {
        log::commit_at(&self.kv, self.stands(), time)
    }

    fn commit(&self, batch: Batch) -> Result<Committed, StoreError> {
        commit::check_size(&batch)?;
        let mut writer = self.writer();
        let before = self.stands();
        let head = Head { number: CommitNo(before.number.0 + 1), at: before.at.max(batch.at) };
        let mut tails = HashMap::new();
        for stream in commit::streams_of(&batch) {
            let known = writer.tails.get(stream).copied();
            tails.insert(stream, known.map_or_else(|| streams::tail(&self.kv, stream), Ok)?);
        }
        let tables: HashSet<Table> = commit::tables_of(&batch).filter(|it| !writer.tables.contains(it)).collect();
        let entries = commit::entries_of(&batch, head.at, &mut tails);
        let reserved = match writer.segments.as_mut().filter(|_| !entries.is_empty()) {
            Some(segments) => Some(segments.reserve(&entries)?),
            None => None,
        };
        let written = self.kv.write(&mut |draft| {
            tables.iter().try_for_each(|table| log::note_table(draft, table.name, table.versioned))?;
            commit::apply(draft, &batch, head, &entries)
        });
        if let Err(error) = written {
            if let Some((segments, reserved)) = writer.segments.as_mut().zip(reserved) {
                segments.give_up(reserved);
            }
            return Err(error);
        }
        writer.tails.extend(tails);
        writer.tables.extend(tables);
        *self.head.write().unwrap_or_else(PoisonError::into_inner) = head;
        if let Some((segments, reserved)) = writer.segments.as_mut().zip(reserved) {
            segments.seal(reserved)?;
        }
        Ok(Committed { number: head.number, appended: entries.iter().map(|(_, entry)| entry.sequence).collect() })
    }

    fn entries(&self, stream: &str, from: u64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        streams::entries(&self.kv, stream, from, limit)
    }

    fn due(&self, queue: &str, now: Time, limit: usize) -> Result<Vec<(Time, Vec<u8>)>, StoreError> {
        queues::due(&self.kv, queue, now, limit)
    }

    fn lease(&self, name: &str, holder: &str, now: Time, until: Time) -> Result<Option<Fence>, StoreError> {
        let _writer = self.writer();
        leases::take(&self.kv, (name, holder), (now, until), self.stands().at)
    }

    fn renew(&self, fence: &Fence, now: Time, until: Time) -> Result<bool, StoreError> {
        let _writer = self.writer();
        leases::renew(&self.kv, fence, (now, until), self.stands().at)
    }

    fn release(&self, fence: &Fence) -> Result<(), StoreError> {
        let _writer = self.writer();
        leases::release(&self.kv, fence)
    }

    fn shared(&self) -> bool {
        false
    }

    fn claim(&self, queue: &str, holder: &str, term: (Time, Time), limit: usize) -> Result<Vec<Claim>, StoreError> {
        let _writer = self.writer();
        leases::claim(&self.kv, (queue, holder), (term.0, term.1, self.stands().at), limit)
    }

    fn leases(&self) -> Result<Vec<Held>, StoreError> {
        leases::all(&self.kv)
    }

    fn clock(&self, local: Time) -> Result<Time, StoreError> {
        Ok(local.max(self.stands().at))
    }

    fn forget_before(&self, table: Table, commit: CommitNo) -> Result<u64, StoreError> {
        let (mut forgotten, mut after) = (0, None);
        loop {
            // The writer's turn comes between two pages: forgetting years of history never holds up a scan for long.
            let _writer = self.writer();
            let (changes, go_on) = past::forgettable(&self.kv, table, commit, after.as_deref())?;
            self.change_past(table, &changes)?;
            forgotten += changes.forgotten;
            match go_on {
                Some(key) => after = Some(key),
                None => return Ok(forgotten),
            }
        }
    }

    fn pieces(&self, each: &mut dyn FnMut(Piece) -> Result<(), StoreError>) -> Result<CommitNo, StoreError> {
        let (head, copying) = {
            let _writer = self.writer();
            (self.stands(), pieces::begin(&self.kv)?)
        };
        pieces::hand_over(copying, each)?;
        Ok(head.number)
    }

    fn rebuild(&self, next: &mut dyn FnMut() -> Result<Option<Piece>, StoreError>) -> Result<(), StoreError> {
        let mut writer = self.writer();
        let mut head = pieces::rebuild(&self.kv, next)?;
        writer.tails.clear();
        writer.tables.clear();
        if let Some(segments) = writer.segments.as_mut() {
            (head, _) = kept::together(&self.kv, segments, head)?;
        }
        *self.head.write().unwrap_or_else(PoisonError::into_inner) = head;
        Ok(())
    }

    fn forget_versions(&self, table: Table, which: &[(Vec<u8>, CommitNo)]) -> Result<u64, StoreError> {
        commit::check_count(which.len())?;
        let mut by_key: BTreeMap<&[u8], HashSet<CommitNo>> = BTreeMap::new();
        for (key, commit) in which {
            by_key.entry(key).or_default().insert(*commit);
        }
        let _writer = self.writer();
        let mut changes = past::Changes::default();
        for (key, commits) in &by_key {
            past::forget(&self.kv, table, (key, commits), &mut changes)?;
        }
        self.change_past(table, &changes)?;
        Ok(changes.forgotten)
    }

    fn pack(&self, table: Table, which: &[(Vec<u8>, CommitNo)]) -> Result<u64, StoreError> {
        commit::check_count(which.len())?;
        let (mut saved, mut which) = (0, which.iter());
        while which.len() > 0 {
            // The writer's turn comes in between.
            let _writer = self.writer();
            let mut changes = past::Changes::default();
            for (key, upto) in which.by_ref() {
                past::pack(&self.kv, table, (key, *upto), &mut changes)?;
                if changes.bytes() > PACKED {
                    break;
                }
            }
            if !changes.is_empty() && !self.kv.contract()? {
                return Ok(saved);
            }
            self.change_past(table, &changes)?;
            saved += changes.saved;
        }
        Ok(saved)
    }

    fn tidy(&self) -> Result<(), StoreError> {
        self.kv.tidy()
    }

    fn check(&self) -> Result<Report, StoreError> {
        check::check(self)
    }

    fn compaction_needs(&self) -> Result<u64, StoreError> {
        self.kv.compaction_needs()
    }

    fn compact(&self) -> Result<Compacted, StoreError> {
        self.kv.compact()
    }

    fn space(&self) -> Result<Space, StoreError> {
        match self.kv.path() {
            Some(path) => space::of(path, self.kv.used()?),
            None => Ok(Space { free: u64::MAX, total: u64::MAX, used: self.kv.used()? }),
        }
    }
}
