//! The store on PostgreSQL, for several daemons at once: the contract over tables of general shapes.
//! It must never use what distributed databases of that protocol lack: notifications, advisory locks, triggers,
//! extensions.

mod address;
mod check;
mod commit;
mod fold;
mod forget;
mod leases;
mod link;
mod pieces;
mod read;
mod schema;
mod tables;
mod trouble;

use std::{
    collections::{HashMap, HashSet},
    fmt,
    ops::Bound,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use provost_model::Time;

pub use fold::{Projector, Shown};

use self::{address::Address, commit::Parcel, leases::Clock, link::Link, pieces::Part, read::Page};
use crate::{
    Batch, Claim, CommitNo, Committed, Compacted, Entry, Fence, Go, Head, Held, KeyRange, Op, Piece, Report, Row,
    Space, Store, StoreError, Table, Visit,
    contract::first_keys,
    embedded::{
        self,
        pieces::{SoFar, refused, size},
    },
};

/// Rows of the first page of a scan, and of its longest one: short scans cost little, long ones few journeys.
const PAGES: (i64, i64) = (256, 4_096);

/// Pieces written at a time when a store is put together, and about how many bytes.
const HEAP: (usize, usize) = (8_000, 4 << 20);

/// How to open a store on PostgreSQL.
#[derive(Clone)]
pub struct PostgresOptions {
    /// How long a lost connection is sought again before the caller hears of it.
    pub patience: Duration,
    /// Connections at most.
    pub connections: usize,
    /// What people may read of rows.
    pub shown: Option<Shown>,
}

impl Default for PostgresOptions {
    /// Half a minute; eight connections; nothing shown.
    fn default() -> Self {
        Self { patience: Duration::from_secs(30), connections: 8, shown: None }
    }
}

/// A store in a database.
pub struct Postgres {
    link: Link,
    shown: Option<Projector>,
    clock: Clock,
    /// Numbers of tables, for good once they are given.
    tables: RwLock<HashMap<String, i16>>,
    /// The last commit this process heard of.
    seen: AtomicI64,
    /// Held while something is written: those that wait here hold no connection.
    writer: Mutex<()>,
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres").field("place", &self.link.place()).finish_non_exhaustive()
    }
}

impl Postgres {
    /// Opens the store at an address such as `postgres://user@host/database`, or makes its tables there.
    pub fn open(url: &str, options: PostgresOptions) -> Result<Self, StoreError> {
        let link = Link::new(Address::parse(url)?, options.connections, options.patience)?;
        schema::ready(&link, options.shown)?;
        Ok(Self {
            link,
            shown: options.shown.map(|shown| shown.projector),
            clock: Clock::default(),
            tables: RwLock::default(),
            seen: AtomicI64::new(0),
            writer: Mutex::new(()),
        })
    }

    /// What to call the database where people read: without user and password.
    pub fn place(&self) -> &str {
        self.link.place()
    }

    /// As if the caller's clock were the database's.
    #[cfg(test)]
    pub(crate) fn on_given_time(mut self) -> Self {
        self.clock.given = true;
        self
    }

    /// The number of a table, if it has one.
    fn known(&self, name: &str) -> Option<i16> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner).get(name).copied()
    }

    /// The number of a table, if anything was ever written to it.
    fn table(&self, table: Table) -> Result<Option<i16>, StoreError> {
        if let Some(number) = self.known(table.name) {
            return Ok(Some(number));
        }
        self.learn(Vec::new())?;
        Ok(self.known(table.name))
    }

    /// Learns the numbers of all tables, and gives one to those that have none. They are no part of any commit.
    fn learn(&self, unknown: Vec<tables::Named>) -> Result<(), StoreError> {
        let unknown = Arc::new(unknown);
        let numbers = self.link.ask(move |on, _| Box::pin(tables::learn(on, Arc::clone(&unknown))))?;
        self.tables.write().unwrap_or_else(PoisonError::into_inner).extend(numbers);
        Ok(())
    }

    /// Sees to it that every table a batch names has a number.
    fn number(&self, batch: &Batch) -> Result<(), StoreError> {
        let of_op = |op: &Op| match op {
            Op::Put { table, .. } | Op::Amend { table, .. } | Op::Delete { table, .. } => Some(*table),
            Op::Append { .. } | Op::Schedule { .. } | Op::Unschedule { .. } => None,
        };
        let named = batch.ops.iter().filter_map(of_op).chain(batch.expect.iter().map(|(table, ..)| *table));
        let unknown: HashSet<Table> = named.filter(|table| self.known(table.name).is_none()).collect();
        let unknown: Vec<_> = unknown.into_iter().map(|table| (table.name.to_owned(), table.versioned)).collect();
        if unknown.is_empty() { Ok(()) } else { self.learn(unknown) }
    }

    fn parcel(&self, batch: Batch) -> Result<Parcel, StoreError> {
        self.number(&batch)?;
        let folded = fold::fold(&batch, |name| self.known(name), self.shown)?;
        Ok(Parcel {
            id: commit::id()?,
            after: self.seen.load(Ordering::Acquire),
            at: batch.at,
            fence: batch.fence,
            clock: self.clock,
            folded,
            sent: Mutex::default(),
        })
    }
}

impl Store for Postgres {
    fn head(&self) -> Result<Head, StoreError> {
        let head = self.link.ask(|on, _| Box::pin(read::head(on)))?;
        self.seen.fetch_max(head.number.0.cast_signed(), Ordering::AcqRel);
        Ok(head)
    }

    fn get(&self, table: Table, key: &[u8], at: Option<CommitNo>) -> Result<Option<Row>, StoreError> {
        let Some(number) = self.table(table)? else { return Ok(None) };
        let (key, at) = (Arc::new(key.to_vec()), at.filter(|_| table.versioned).map(signed));
        self.link.ask(move |on, _| {
            let key = Arc::clone(&key);
            Box::pin(async move { read::get(on, (number, &key), at).await })
        })
    }

    fn get_many(&self, table: Table, keys: &[Vec<u8>]) -> Result<Vec<Option<Row>>, StoreError> {
        let Some(number) = self.table(table)?.filter(|_| !keys.is_empty()) else { return Ok(vec![None; keys.len()]) };
        let asked = Arc::new(keys.to_vec());
        let mut found = self.link.ask(move |on, _| {
            let asked = Arc::clone(&asked);
            Box::pin(async move { read::get_many(on, number, &asked).await })
        })?;
        Ok((0..keys.len()).map(|place| found.remove(&place)).collect())
    }

    fn keys_below(&self, table: Table, prefixes: &[Vec<u8>], limit: usize) -> Result<Vec<Vec<Vec<u8>>>, StoreError> {
        let mut all = vec![Vec::new(); prefixes.len()];
        let Some(number) = self.table(table)? else { return Ok(all) };
        let (mut places, mut low, mut high) = (Vec::new(), Vec::new(), Vec::new());
        for (place, prefix) in prefixes.iter().enumerate() {
            match KeyRange::prefix(prefix) {
                KeyRange { from: Bound::Included(from), to: Bound::Excluded(to) } => {
                    places.push(place);
                    low.push(from);
                    high.push(to);
                }
                // Without an end: nobody asks for many of those.
                range => {
                    if let Some(keys) = all.get_mut(place) {
                        *keys = first_keys(self, table, &range, limit)?;
                    }
                }
            }
        }
        if places.is_empty() {
            return Ok(all);
        }
        let (asked, limit) = (Arc::new((low, high)), i64::try_from(limit).unwrap_or(i64::MAX));
        let found = self.link.ask(move |on, _| {
            let asked = Arc::clone(&asked);
            Box::pin(async move { read::keys_in_each(on, number, (&asked.0, &asked.1, limit)).await })
        })?;
        for (place, key) in found {
            if let Some(keys) = places.get(place).and_then(|place| all.get_mut(*place)) {
                keys.push(key);
            }
        }
        Ok(all)
    }

    fn scan(
        &self,
        table: Table,
        range: &KeyRange,
        at: Option<CommitNo>,
        each: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        let Some(number) = self.table(table)? else { return Ok(()) };
        let ask = |page: &Page| {
            let page = Arc::new(page.clone());
            self.link.start(move |on, _| Box::pin(read::page(on, Arc::clone(&page))))
        };
        let mut page = Page::first(number, range, at.filter(|_| table.versioned).map(signed), PAGES.0);
        let mut coming = Some(ask(&page));
        while let Some(rows) = coming.take() {
            let rows = rows.wait()?;
            let last = rows.last().filter(|_| rows.len() as i64 == page.limit).map(|(key, _)| key.clone());
            let half = rows.len() / 2;
            for (at, (key, row)) in rows.into_iter().enumerate() {
                // The next page comes while the second half of this one is looked at: who wants few rows ends before.
                if let Some(last) = last.as_deref().filter(|_| at == half) {
                    page = page.after(last, (page.limit * 4).min(PAGES.1));
                    coming = Some(ask(&page));
                }
                if row.value.is_some() && each(&key, row)? == Go::Stop {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn versions(&self, table: Table, key: &[u8]) -> Result<Vec<Row>, StoreError> {
        let Some(number) = self.table(table)? else { return Ok(Vec::new()) };
        let (key, versioned) = (Arc::new(key.to_vec()), table.versioned);
        self.link.ask(move |on, _| {
            let key = Arc::clone(&key);
            Box::pin(async move { read::versions(on, (number, &key), versioned).await })
        })
    }

    fn commit_at(&self, time: Time) -> Result<CommitNo, StoreError> {
        self.link.ask(move |on, _| Box::pin(read::commit_at(on, time)))
    }

    fn commit(&self, batch: Batch) -> Result<Committed, StoreError> {
        embedded::check_size(&batch)?;
        let parcel = Arc::new(self.parcel(batch)?);
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let (done, _) = self.link.ask(move |on, before| Box::pin(commit::write(on, Arc::clone(&parcel), before)))?;
        self.seen.fetch_max(signed(done.number), Ordering::AcqRel);
        Ok(done)
    }

    fn entries(&self, stream: &str, from: u64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let (stream, asked) = (Arc::new(stream.to_owned()), (clamped(from), clamped(limit as u64)));
        self.link.ask(move |on, _| {
            let stream = Arc::clone(&stream);
            Box::pin(async move { read::entries(on, &stream, asked).await })
        })
    }

    fn due(&self, queue: &str, now: Time, limit: usize) -> Result<Vec<(Time, Vec<u8>)>, StoreError> {
        let (queue, asked) = (Arc::new(queue.to_owned()), (now.as_micros(), clamped(limit as u64)));
        self.link.ask(move |on, _| {
            let queue = Arc::clone(&queue);
            Box::pin(async move { read::due(on, &queue, asked).await })
        })
    }

    fn lease(&self, name: &str, holder: &str, now: Time, until: Time) -> Result<Option<Fence>, StoreError> {
        let (asked, given) = (Arc::new((name.to_owned(), holder.to_owned())), self.clock.given(now));
        let length = until.as_micros().saturating_sub(now.as_micros());
        self.link.ask(move |on, _| {
            let asked = Arc::clone(&asked);
            Box::pin(async move { leases::take(on, (&asked.0, &asked.1), length, given).await })
        })
    }

    fn renew(&self, fence: &Fence, now: Time, until: Time) -> Result<bool, StoreError> {
        let (fence, given) = (Arc::new(fence.clone()), self.clock.given(now));
        let length = until.as_micros().saturating_sub(now.as_micros());
        self.link.ask(move |on, _| {
            let fence = Arc::clone(&fence);
            Box::pin(async move { leases::renew(on, &fence, length, given).await })
        })
    }

    fn release(&self, fence: &Fence) -> Result<(), StoreError> {
        let fence = Arc::new(fence.clone());
        self.link.ask(move |on, _| {
            let fence = Arc::clone(&fence);
            Box::pin(async move { leases::release(on, &fence).await })
        })
    }

    fn shared(&self) -> bool {
        true
    }

    fn claim(
        &self,
        queue: &str,
        holder: &str,
        (now, until): (Time, Time),
        limit: usize,
    ) -> Result<Vec<Claim>, StoreError> {
        let wanted = Arc::new(leases::Wanted {
            queue: queue.to_owned(),
            holder: holder.to_owned(),
            now: now.as_micros(),
            length: until.as_micros().saturating_sub(now.as_micros()),
            given: self.clock.given(now),
            limit,
        });
        self.link.ask(move |on, _| {
            let wanted = Arc::clone(&wanted);
            Box::pin(async move { leases::claim(on, &wanted).await })
        })
    }

    fn leases(&self) -> Result<Vec<Held>, StoreError> {
        self.link.ask(|on, _| Box::pin(leases::all(on)))
    }

    fn clock(&self, local: Time) -> Result<Time, StoreError> {
        let given = self.clock.given(local);
        self.link.ask(move |on, _| Box::pin(async move { Ok(Time::from_micros(leases::now(on, given).await?)) }))
    }

    fn forget_versions(&self, table: Table, which: &[(Vec<u8>, CommitNo)]) -> Result<u64, StoreError> {
        crate::embedded::check_count(which.len())?;
        let Some(number) = self.table(table)? else { return Ok(0) };
        let which = Arc::new(which.iter().map(|(key, commit)| (key.clone(), signed(*commit))).unzip());
        self.link.ask(move |on, _| {
            let which = Arc::clone(&which);
            Box::pin(async move { forget::single(on, number, &which).await })
        })
    }

    /// The server compresses what is long by itself.
    fn pack(&self, _: Table, which: &[(Vec<u8>, CommitNo)]) -> Result<u64, StoreError> {
        crate::embedded::check_count(which.len()).map(|()| 0)
    }

    fn forget_before(&self, table: Table, commit: CommitNo) -> Result<u64, StoreError> {
        let Some(number) = self.table(table)? else { return Ok(0) };
        let (mut forgotten, mut after) = (0, Arc::new((Vec::new(), -1)));
        loop {
            let (asked, from) = ((number, signed(commit)), Arc::clone(&after));
            let (count, next) = self.link.ask(move |on, _| {
                let from = Arc::clone(&from);
                Box::pin(async move { forget::page(on, asked, &from).await })
            })?;
            forgotten += count;
            match next {
                Some(place) => after = Arc::new(place),
                None => return Ok(forgotten),
            }
        }
    }

    fn pieces(&self, each: &mut dyn FnMut(Piece) -> Result<(), StoreError>) -> Result<CommitNo, StoreError> {
        let (mut own, head) = self.link.with(self.link.own()?, |on| Box::pin(pieces::begin(on)))?;
        for part in Part::ALL {
            let mut after = Some(pieces::Place::first());
            while let Some(place) = after.take() {
                let (back, (page, next)) = self.link.with(own, move |on| Box::pin(pieces::page(on, part, place)))?;
                (own, after) = (back, next);
                page.into_iter().try_for_each(&mut *each)?;
            }
        }
        Ok(head.number)
    }

    fn rebuild(&self, next: &mut dyn FnMut() -> Result<Option<Piece>, StoreError>) -> Result<(), StoreError> {
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut own, empty) = self.link.with(self.link.own()?, |on| Box::pin(pieces::begin_empty(on)))?;
        if !empty {
            return Err(refused("the store is not empty"));
        }
        let mut so_far = SoFar::default();
        loop {
            let (mut heap, mut count, mut bytes) = (pieces::Heap::default(), 0, 0);
            while count < HEAP.0 && bytes < HEAP.1 {
                let Some(piece) = next()? else { break };
                so_far.check(&piece)?;
                (count, bytes) = (count + 1, bytes + size(&piece));
                if !so_far.fresh.is_empty() {
                    self.learn(std::mem::take(&mut so_far.fresh))?;
                }
                let number = if let Piece::Row { table, .. } = &piece { self.known(table) } else { None };
                heap.add(piece, number.unwrap_or_default(), self.shown);
            }
            if count == 0 {
                let head = so_far.head()?;
                return self.link.with(own, move |on| Box::pin(pieces::end(on, head))).map(drop);
            }
            (own, ()) = self.link.with(own, move |on| Box::pin(pieces::put(on, heap)))?;
        }
    }

    /// Nothing: the database vacuums by itself.
    fn tidy(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn check(&self) -> Result<Report, StoreError> {
        self.link.ask(|on, _| Box::pin(check::check(on)))
    }

    /// Nothing: VACUUM is the database's business, and its own daemon does it.
    fn compaction_needs(&self) -> Result<u64, StoreError> {
        Ok(0)
    }

    fn compact(&self) -> Result<Compacted, StoreError> {
        let used = self.space()?.used;
        Ok(Compacted { before: used, after: used })
    }

    /// The bytes of the database. What its server has left an ordinary user cannot ask: as in memory it counts as
    /// without bounds, and a full disk shows as a commit that fails.
    fn space(&self) -> Result<Space, StoreError> {
        let used = self.link.ask(|on, _| Box::pin(read::used(on)))?;
        Ok(Space { free: u64::MAX, total: u64::MAX, used })
    }
}

fn signed(commit: CommitNo) -> i64 {
    clamped(commit.0)
}

/// Numbers beyond the database's are beyond everything in it.
fn clamped(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
