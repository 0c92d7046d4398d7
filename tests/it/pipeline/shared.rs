//! A store in memory that several houses share, as several daemons share a database: it says so, and can be made slow,
//! or go away for a while. It must never be kinder than a database: a refused or unanswered batch looks like there.

use std::sync::{
    Mutex,
    atomic::{AtomicU64, Ordering},
};

use provost_model::Time;
use provost_store::{
    Batch, Claim, CommitNo, Committed, Compacted, Embedded, Entry, Fence, Head, Held, KeyRange, Memory, Piece, Report,
    Row, Space, Store, StoreError, Table, Visit,
};

/// What happens before a batch is taken: the batch, and its place among all batches.
type Before = Box<dyn Fn(&Batch, u64) -> Result<(), StoreError> + Send + Sync>;

pub(crate) struct Shared {
    inner: Embedded<Memory>,
    before: Mutex<Option<Before>>,
    /// What happens once, after leases were listed and before the caller has the list.
    pub(crate) listed: Mutex<Option<Box<dyn FnOnce() + Send>>>,
    /// Batches asked for, and batches refused because somebody was faster.
    pub(crate) batches: AtomicU64,
    pub(crate) refused: AtomicU64,
    /// Questions after many rows at once, each with its table and how many it named.
    pub(crate) questions: Mutex<Vec<(&'static str, usize)>>,
    /// Calls, reads too, that will find the store away; each counts one down.
    pub(crate) away: AtomicU64,
    /// Where it is to look like one on a disk, and not shared: its room, and how many of its bytes are live.
    pub(crate) disk: Mutex<Option<(Space, u64)>>,
}

impl Shared {
    pub(crate) fn new() -> Self {
        Self {
            inner: provost_store::memory(),
            before: Mutex::new(None),
            listed: Mutex::new(None),
            batches: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            questions: Mutex::default(),
            away: AtomicU64::new(0),
            disk: Mutex::new(None),
        }
    }

    /// Has this happen before every batch.
    pub(crate) fn before_each(&self, before: impl Fn(&Batch, u64) -> Result<(), StoreError> + Send + Sync + 'static) {
        *self.before.lock().unwrap() = Some(Box::new(before));
    }

    /// Takes a batch and loses the answer.
    pub(crate) fn lose_answer(&self, batch: &Batch) -> Result<(), StoreError> {
        self.inner.commit(batch.clone())?;
        Err(StoreError::Away("the answer was lost".into()))
    }

    fn there(&self) -> Result<&Embedded<Memory>, StoreError> {
        let left = self.away.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if left.is_ok() { Err(StoreError::Away("the test cut the line".into())) } else { Ok(&self.inner) }
    }
}

impl Store for Shared {
    fn head(&self) -> Result<Head, StoreError> {
        self.there()?.head()
    }

    fn get(&self, table: Table, key: &[u8], at: Option<CommitNo>) -> Result<Option<Row>, StoreError> {
        self.there()?.get(table, key, at)
    }

    fn get_many(&self, table: Table, keys: &[Vec<u8>]) -> Result<Vec<Option<Row>>, StoreError> {
        self.questions.lock().unwrap().push((table.name, keys.len()));
        self.there()?.get_many(table, keys)
    }

    fn scan(
        &self,
        table: Table,
        range: &KeyRange,
        at: Option<CommitNo>,
        each: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        self.there()?.scan(table, range, at, each)
    }

    fn versions(&self, table: Table, key: &[u8]) -> Result<Vec<Row>, StoreError> {
        self.there()?.versions(table, key)
    }

    fn commit_at(&self, time: Time) -> Result<CommitNo, StoreError> {
        self.there()?.commit_at(time)
    }

    fn commit(&self, batch: Batch) -> Result<Committed, StoreError> {
        let place = self.batches.fetch_add(1, Ordering::SeqCst);
        if let Some(before) = self.before.lock().unwrap().as_ref() {
            before(&batch, place)?;
        }
        let done = self.there()?.commit(batch);
        self.refused.fetch_add(u64::from(matches!(done, Err(StoreError::Conflict(_)))), Ordering::SeqCst);
        done
    }

    fn entries(&self, stream: &str, from: u64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.there()?.entries(stream, from, limit)
    }

    fn due(&self, queue: &str, now: Time, limit: usize) -> Result<Vec<(Time, Vec<u8>)>, StoreError> {
        self.there()?.due(queue, now, limit)
    }

    fn lease(&self, name: &str, holder: &str, now: Time, until: Time) -> Result<Option<Fence>, StoreError> {
        self.there()?.lease(name, holder, now, until)
    }

    fn renew(&self, fence: &Fence, now: Time, until: Time) -> Result<bool, StoreError> {
        self.there()?.renew(fence, now, until)
    }

    fn release(&self, fence: &Fence) -> Result<(), StoreError> {
        self.there()?.release(fence)
    }

    fn shared(&self) -> bool {
        self.disk.lock().unwrap().is_none()
    }

    fn claim(&self, queue: &str, holder: &str, term: (Time, Time), limit: usize) -> Result<Vec<Claim>, StoreError> {
        self.there()?.claim(queue, holder, term, limit)
    }

    fn leases(&self) -> Result<Vec<Held>, StoreError> {
        let leases = self.there()?.leases();
        // Taken out first: it may list leases itself.
        let listed = self.listed.lock().unwrap().take();
        if let Some(listed) = listed {
            listed();
        }
        leases
    }

    fn clock(&self, local: Time) -> Result<Time, StoreError> {
        self.there()?.clock(local)
    }

    fn forget_before(&self, table: Table, commit: CommitNo) -> Result<u64, StoreError> {
        self.there()?.forget_before(table, commit)
    }

    fn forget_versions(&self, table: Table, which: &[(Vec<u8>, CommitNo)]) -> Result<u64, StoreError> {
        self.there()?.forget_versions(table, which)
    }

    fn pack(&self, table: Table, which: &[(Vec<u8>, CommitNo)]) -> Result<u64, StoreError> {
        self.there()?.pack(table, which)
    }

    fn pieces(&self, each: &mut dyn FnMut(Piece) -> Result<(), StoreError>) -> Result<CommitNo, StoreError> {
        self.there()?.pieces(each)
    }

    fn rebuild(&self, next: &mut dyn FnMut() -> Result<Option<Piece>, StoreError>) -> Result<(), StoreError> {
        self.there()?.rebuild(next)
    }

    fn check(&self) -> Result<Report, StoreError> {
        self.there()?.check()
    }

    fn compaction_needs(&self) -> Result<u64, StoreError> {
        let disk = *self.disk.lock().unwrap();
        disk.map_or_else(|| self.there()?.compaction_needs(), |(_, live)| Ok(live / 2 * 3))
    }

    fn compact(&self) -> Result<Compacted, StoreError> {
        let (inner, mut disk) = (self.there()?, self.disk.lock().unwrap());
        let Some((space, live)) = disk.as_mut() else { return inner.compact() };
        let (needed, free, before) = (*live / 2 * 3, space.free, space.used);
        if free < needed {
            return Err(StoreError::NoRoom { path: "/store".into(), needed, free });
        }
        (space.free, space.used) = (free + before - *live, *live);
        Ok(Compacted { before, after: *live })
    }

    fn tidy(&self) -> Result<(), StoreError> {
        self.there()?.tidy()
    }

    fn space(&self) -> Result<Space, StoreError> {
        let disk = *self.disk.lock().unwrap();
        disk.map_or_else(|| self.there()?.space(), |(space, _)| Ok(space))
    }
}
