//! A house with a configuration at work in it: what commands, scheduler and socket share.
//! It must never hold a second store or a second clock beside the house's.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use provost_model::{Clock, Outcome, RecordId, Run, Span, Time};
use provost_store::{
    Space, StoreError,
    inventory::{MemberRow, WORK_QUEUE},
    lease_of,
};
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::{
    clock,
    clockwatch::{Clockwatch, Distrust, Moment, SKEW_MAX},
    cluster::{self, Work},
    config::{Size, Source},
    house::House,
    ids::Ids,
    jobs::{
        Watcher, WriteError,
        anew::{self, Reached},
        assess,
        judge::{self, Settled, Touched},
        jury::Jury,
        link,
        runs::{Runs, Turn},
        scan::{Looking, scan},
    },
    tenancy::{Hold, Tenancy},
    wire::{self, WireError, Wiring},
};

/// Told how far a run is: done, expected in all if known, of what.
pub type OnProgress = Box<dyn FnMut(u64, Option<u64>, &'static str) + Send>;

/// How often a run asks whether the store's disk has room.
const ROOM_EVERY: Duration = Duration::from_secs(1);

/// Records that are grouped before the first of them is judged: findings are waited for, groups are a view.
const GROUPED_FIRST: usize = 10_000;

/// How often, and how soon, a lease that is held is asked for again.
const SOON_FREE: u32 = 20;
const MOMENT: Duration = Duration::from_millis(50);

/// Why a source is not looked at.
#[derive(Debug, Error)]
pub enum LookError {
    /// It is being looked at already.
    #[error("{0} is being looked at already; see: provost status")]
    Busy(String),
    /// Another daemon looks at it.
    #[error("{0} is being looked at by another daemon; see: provost cluster status")]
    Elsewhere(String),
    /// Less is free on the store's disk than must stay free.
    #[error("only {free} bytes are free on the store's disk, {needed} must stay free: no run starts")]
    NoRoom {
        /// Bytes free.
        free: u64,
        /// Bytes that must stay free.
        needed: u64,
    },
    /// The configuration does not fit.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The run could not be written down.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A house with a configuration at work in it.
pub struct Desk {
    /// The house.
    pub house: Arc<House>,
    /// What is under way.
    pub runs: Runs,
    /// Since when this process runs, if it is a daemon.
    pub daemon_since: Option<Time>,
    /// Who this process is among those that share the store.
    pub tenancy: Tenancy,
    at_work: AtWork,
    clockwatch: Arc<Mutex<Clockwatch>>,
}

/// The configuration at work, and those who judge by it.
#[derive(Clone)]
struct AtWork {
    wiring: Arc<RwLock<Arc<Wiring>>>,
    /// Held shared from asking for the yardstick until what was judged by it is committed.
    judging: Arc<RwLock<()>>,
    /// Held while everything is judged anew: whoever comes second finds it done.
    anew: Arc<Mutex<()>>,
}

impl Desk {
    /// A desk in that house.
    pub fn new(house: Arc<House>, wiring: Wiring, daemon_since: Option<Time>) -> Self {
        let tenancy = Tenancy::new(&house, tenant(&house), cluster::span(wiring.config.daemon.lease));
        let wiring = Arc::new(RwLock::new(Arc::new(wiring)));
        let at_work = AtWork { wiring, judging: Arc::default(), anew: Arc::default() };
        if let Err(error) = tenancy.succeed() {
            tracing::error!(%error, "cannot give back what a former process held");
        }
        Self { house, runs: Runs::default(), daemon_since, tenancy, at_work, clockwatch: Arc::default() }
    }

    /// Why the wall clock is not believed now, if it is not: verdicts by time alone wait meanwhile.
    pub fn clock_distrust(&self) -> Result<Option<Distrust>, StoreError> {
        // Asked first: commits go on, each with a later time.
        let head = self.house.store().head()?.at;
        // Others who share the store write by clocks of their own.
        let committed = if self.house.store().shared() { head - SKEW_MAX } else { head };
        let now = Moment { wall: self.house.now(), up: clock::up() };
        Ok(self.clockwatch.lock().unwrap_or_else(PoisonError::into_inner).distrust(now, committed))
    }

    /// The configuration at work now.
    pub fn wiring(&self) -> Arc<Wiring> {
        self.at_work.wiring()
    }

    /// Puts another configuration to work. Runs under way go on looking under the old one; they judge by the new one.
    pub fn rewire(&self, wiring: Wiring) {
        *self.at_work.wiring.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(wiring);
    }

    /// Groups and judges these records and whomever their change concerns; gives the number of findings that changed.
    pub fn judge(&self, records: &[RecordId]) -> Result<u64, StoreError> {
        self.at_work.judge(&self.house, records)
    }

    /// Judges every record and source anew if thresholds, owner tags or rules are not those that all were judged by.
    /// `on` is told how many records are done.
    pub async fn judge_anew(
        &self,
        on: impl FnMut(u64) + Send + 'static,
        stop: CancellationToken,
    ) -> Result<Reached, WriteError> {
        self.judge_anew_in((*self.house).clone(), on, stop).await
    }

    /// The same, for somebody who does it under a lease.
    pub async fn judge_anew_in(
        &self,
        house: House,
        mut on: impl FnMut(u64) + Send + 'static,
        stop: CancellationToken,
    ) -> Result<Reached, WriteError> {
        let (at_work, tenancy) = (self.at_work.clone(), self.tenancy.clone());
        let judged = tokio::task::spawn_blocking(move || -> Result<Reached, StoreError> {
            let _turn = at_work.anew.lock();
            let wiring = at_work.wiring();
            // Whoever judges by a former configuration is waited for: those who begin now take this one or a later one.
            drop(at_work.judging.write());
            // Whoever looks at a source, here or elsewhere, holds its lease. What cannot be told is left alone.
            let looked_at = |source: &str| {
                tenancy.alive().map_or(true, |names| names.contains(&lease_of(WORK_QUEUE, source.as_bytes())))
            };
            link::take_up(&house, &looked_at)?;
            anew::take_up(&house, &looked_at)?;
            link::follow(&house, &mut || !stop.is_cancelled())?;
            let reached = anew::follow(&house, &wiring.yardstick, &mut |done| {
                on(done);
                !stop.is_cancelled() && Arc::ptr_eq(&wiring, &at_work.wiring())
            })?;
            if reached == Reached::Now {
                for source in &wiring.config.sources {
                    assess::assess(&house, &wiring.yardstick, &wiring.watched(source, house.now()))?;
                }
            }
            Ok(reached)
        });
        Ok(judged.await.map_err(|_| WriteError::Connector("judging everything anew panicked".into()))??)
    }

    /// Looks at a source once, judges what changed, and judges the source; under the lease of its work.
    pub async fn look(
        &self,
        source: &Source,
        sweep: bool,
        on: OnProgress,
        stop: CancellationToken,
    ) -> Result<Run, LookError> {
        let turn = self.turn(source)?;
        let work = lease_of(WORK_QUEUE, source.name.as_bytes());
        let mut hold = self.tenancy.take(&work)?;
        // A run that has just ended in this process gives its lease back in a moment.
        for _ in 0..SOON_FREE {
            if hold.is_none() {
                tokio::time::sleep(MOMENT).await;
                hold = self.tenancy.take(&work)?;
            }
        }
        let hold = hold.ok_or_else(|| LookError::Elsewhere(source.name.clone()))?;
        let looking = self.looking(source, sweep)?;
        self.look_under((turn, &hold), (source, looking), on, stop).await
    }

    /// The same, for a scheduler that has claimed the work.
    pub async fn look_claimed(&self, work: &Work, stop: CancellationToken) -> Result<Run, LookError> {
        let turn = self.turn(&work.source)?;
        let looking = Looking { next_run: work.next_run, ..self.looking(&work.source, false)? };
        self.look_under((turn, &work.hold), (&work.source, looking), Box::new(|_, _, _| {}), stop).await
    }

    fn looking(&self, source: &Source, sweep: bool) -> Result<Looking, LookError> {
        self.check_room()?;
        Ok(self.wiring().looking(source, sweep)?)
    }

    fn turn(&self, source: &Source) -> Result<Turn, LookError> {
        self.runs.begin(&source.name, self.house.now()).ok_or_else(|| LookError::Busy(source.name.clone()))
    }

    async fn look_under(
        &self,
        (turn, hold): (Turn, &Hold),
        (source, looking): (&Source, Looking),
        on: OnProgress,
        stop: CancellationToken,
    ) -> Result<Run, LookError> {
        let wiring = self.wiring();
        // Nothing of this run is taken once the lease is lost, not its verdicts either.
        let house = Arc::new(hold.house());
        let (judging, at_work, at_end) = (Arc::clone(&house), self.at_work.clone(), self.at_work.clone());
        let mut settled = Settled::default();
        let jury = Jury::sit(move |records| at_work.changed(&judging, records, &mut settled))?;
        let watcher = Attentive { turn, on, jury, clockwatch: Arc::clone(&self.clockwatch), clock: self.house.clock() };
        let (no_room, told) = (looking.no_room.clone(), stop.child_token());
        let run = tokio::select! {
            run = scan(Arc::clone(&house), looking, Box::new(watcher), told.clone()) => run,
            never = self.watch_room(&no_room) => match never {},
            never = stop_when_lost(hold, &told) => match never {},
        };
        if matches!(run, Err(WriteError::Lost(_))) {
            return Ok(run?);
        }
        let watched = wiring.watched(source, self.house.now());
        let assessed = tokio::task::spawn_blocking(move || {
            at_end.awaited(&house)?;
            assess::assess(&house, &wiring.yardstick, &watched)
        });
        let assessed = assessed.await;
        assessed.map_err(|_| WriteError::Connector("judging the source panicked".into()))??;
        Ok(run?)
    }

    /// Bytes free on the store's disk, and bytes that must stay free, if that is more.
    pub fn lacks_room(&self) -> Result<Option<(u64, u64)>, StoreError> {
        let space = self.house.store().space()?;
        Ok(lacking(&space, self.wiring().config.store.min_free))
    }

    fn check_room(&self) -> Result<(), LookError> {
        match self.lacks_room()? {
            Some((free, needed)) => Err(LookError::NoRoom { free, needed }),
            None => Ok(()),
        }
    }

    /// Tells a run when there is not room enough any more.
    async fn watch_room(&self, no_room: &CancellationToken) -> Infallible {
        let mut turns = tokio::time::interval(ROOM_EVERY);
        loop {
            turns.tick().await;
            match self.lacks_room() {
                Ok(Some((free, needed))) if !no_room.is_cancelled() => {
                    tracing::warn!(free, needed, "the store's disk is nearly full: the run ends early");
                    no_room.cancel();
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "cannot tell how much room there is"),
            }
        }
    }
}

/// Ends a run whose lease is lost: another daemon goes on.
async fn stop_when_lost(hold: &Hold, told: &CancellationToken) -> Infallible {
    hold.lost().cancelled().await;
    told.cancel();
    std::future::pending().await
}

/// Who this process is. Its id is like no other's, or nobody could tell whose lease is whose.
fn tenant(house: &House) -> MemberRow {
    let (host, pid, since) = (wire::hostname().unwrap_or_else(wire::machine), std::process::id(), house.now());
    let by_place = |_| format!("{}-{pid}-{}", wire::machine(), since.as_micros());
    let id = Ids.make(since).map_or_else(by_place, |id| id.to_string());
    MemberRow { id, host, pid, version: env!("CARGO_PKG_VERSION").to_owned(), since }
}

impl AtWork {
    fn wiring(&self) -> Arc<Wiring> {
        Arc::clone(&self.wiring.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn judge(&self, house: &House, records: &[RecordId]) -> Result<u64, StoreError> {
        link::touched(house, records)?;
        let _judging = self.judging.read();
        judge::touched(house, &self.wiring().yardstick, records)
    }

    fn changed(&self, house: &House, records: &[Touched], settled: &mut Settled) -> Result<u64, StoreError> {
        settled.turn();
        let mut findings = 0;
        for part in records.chunks(GROUPED_FIRST) {
            link::changed(house, part)?;
            let _judging = self.judging.read();
            findings += judge::changed(house, &self.wiring().yardstick, part, settled)?;
        }
        Ok(findings)
    }

    /// Judges who waited for what was read again.
    fn awaited(&self, house: &House) -> Result<u64, StoreError> {
        let _judging = self.judging.read();
        judge::awaited(house, &self.wiring().yardstick)
    }
}

/// Whether a run that ended so must show in the exit status: a declared blind spot does unless it is accepted.
pub fn exit_status(run: &Run, accept_blind_spots: bool) -> u8 {
    let blind = run.outcome == Outcome::Complete && run.troubles.iter().any(|it| it.blind_spot);
    if blind && !accept_blind_spots { Outcome::Partial.exit_status() } else { run.outcome.exit_status() }
}

/// Bytes free and bytes that must stay free, if that is more. Memory has no bounds of its own.
fn lacking(space: &Space, min_free: Size) -> Option<(u64, u64)> {
    let needed = min_free.on_disk_of(space.total);
    (space.total != u64::MAX && space.free < needed).then_some((space.free, needed))
}

/// Judges what a run touches, and tells how far it is.
struct Attentive {
    turn: Turn,
    on: OnProgress,
    jury: Jury,
    clockwatch: Arc<Mutex<Clockwatch>>,
    clock: Arc<dyn Clock>,
}

impl Watcher for Attentive {
    fn changed(&mut self, _: &House, records: Vec<Touched>) -> Result<(), StoreError> {
        self.jury.hear(records)
    }

    fn over(&mut self) -> Result<(), StoreError> {
        self.jury.rise()
    }

    fn progress(&mut self, done: u64, total: Option<u64>, of: &'static str) {
        self.turn.at(done, total, of);
        (self.on)(done, total, of);
    }

    fn clock_ahead(&mut self, by: Span) {
        let now = Moment { wall: self.clock.now(), up: clock::up() };
        self.clockwatch.lock().unwrap_or_else(PoisonError::into_inner).told(now, by);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_lacking_below_what_must_stay_free() {
        const GIB: u64 = 1 << 30;
        let table = [
            (5, 100, Size::Default, None),
            (4, 100, Size::Default, Some((4 * GIB, 5 * GIB))),
            (0, 1, Size::Default, Some((0, GIB))),
            (9, 10, Size::Bytes(9 * GIB), None),
            (9, 10, Size::Bytes(9 * GIB + 1), Some((9 * GIB, 9 * GIB + 1))),
            (49, 100, Size::Percent(50), Some((49 * GIB, 50 * GIB))),
        ];
        for (free, total, min_free, lacks) in table {
            let space = Space { free: free * GIB, total: total * GIB, used: 0 };
            assert_eq!(lacking(&space, min_free), lacks, "{free} of {total}, {min_free:?}");
        }
        let memory = Space { free: u64::MAX, total: u64::MAX, used: 0 };
        assert_eq!(lacking(&memory, Size::Default), None);
    }
}
