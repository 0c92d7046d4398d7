//! A house with a configuration at work in it: what commands, scheduler and socket share.
//! It must never hold a second store or a second clock beside the house's.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use provost_model::{Outcome, RecordId, Run, Time};
use provost_store::StoreError;
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::{
    config::Source,
    house::House,
    jobs::{
        Watcher, WriteError,
        anew::{self, Reached},
        assess, judge,
        runs::{Runs, Turn},
        scan::scan,
    },
    wire::{WireError, Wiring},
};

/// Told how far a run is: done, expected in all if known, of what.
pub type OnProgress = Box<dyn FnMut(u64, Option<u64>, &'static str) + Send>;

/// Why a source is not looked at.
#[derive(Debug, Error)]
pub enum LookError {
    /// It is being looked at already.
    #[error("{0} is being looked at already; see: provost status")]
    Busy(String),
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
    at_work: AtWork,
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
        let wiring = Arc::new(RwLock::new(Arc::new(wiring)));
        let at_work = AtWork { wiring, judging: Arc::default(), anew: Arc::default() };
        Self { house, runs: Runs::default(), daemon_since, at_work }
    }

    /// The configuration at work now.
    pub fn wiring(&self) -> Arc<Wiring> {
        self.at_work.wiring()
    }

    /// Puts another configuration to work. Runs under way go on looking under the old one; they judge by the new one.
    pub fn rewire(&self, wiring: Wiring) {
        *self.at_work.wiring.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(wiring);
    }

    /// Judges these records and whomever their change concerns; gives the number of findings that changed.
    pub fn judge(&self, records: &[RecordId]) -> Result<u64, StoreError> {
        self.at_work.judge(&self.house, records)
    }

    /// Judges every record and source anew if thresholds, owner tags or rules are not those that all were judged by.
    /// `on` is told how many records are done.
    pub async fn judge_anew(
        &self,
        mut on: impl FnMut(u64) + Send + 'static,
        stop: CancellationToken,
    ) -> Result<Reached, WriteError> {
        let (house, at_work) = (Arc::clone(&self.house), self.at_work.clone());
        let judged = tokio::task::spawn_blocking(move || -> Result<Reached, StoreError> {
            let _turn = at_work.anew.lock();
            let wiring = at_work.wiring();
            // Whoever judges by a former configuration is waited for: those who begin now take this one or a later one.
            drop(at_work.judging.write());
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

    /// Looks at a source once, judges what changed, and judges the source.
    pub async fn look(
        &self,
        source: &Source,
        sweep: bool,
        on: OnProgress,
        stop: CancellationToken,
    ) -> Result<Run, LookError> {
        let wiring = self.wiring();
        let turn =
            self.runs.begin(&source.name, self.house.now()).ok_or_else(|| LookError::Busy(source.name.clone()))?;
        self.check_room()?;
        let looking = wiring.looking(source, sweep)?;
        let watcher = Attentive { turn, on, at_work: self.at_work.clone() };
        let run = scan(Arc::clone(&self.house), looking, Box::new(watcher), stop).await;
        let (house, watched) = (Arc::clone(&self.house), wiring.watched(source, self.house.now()));
        let assessed = tokio::task::spawn_blocking(move || assess::assess(&house, &wiring.yardstick, &watched)).await;
        assessed.map_err(|_| WriteError::Connector("judging the source panicked".into()))??;
        Ok(run?)
    }

    /// Whether the store's disk has room for a run.
    fn check_room(&self) -> Result<(), LookError> {
        let space = self.house.store().space()?;
        let needed = self.wiring().config.store.min_free.on_disk_of(space.total);
        if space.total == u64::MAX || space.free >= needed {
            return Ok(());
        }
        Err(LookError::NoRoom { free: space.free, needed })
    }
}

impl AtWork {
    fn wiring(&self) -> Arc<Wiring> {
        Arc::clone(&self.wiring.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn judge(&self, house: &House, records: &[RecordId]) -> Result<u64, StoreError> {
        let _judging = self.judging.read();
        judge::touched(house, &self.wiring().yardstick, records)
    }
}

/// Whether a run that ended so must show in the exit status: a declared blind spot does unless it is accepted.
pub fn exit_status(run: &Run, accept_blind_spots: bool) -> u8 {
    let blind = run.outcome == Outcome::Complete && run.troubles.iter().any(|it| it.blind_spot);
    if blind && !accept_blind_spots { Outcome::Partial.exit_status() } else { run.outcome.exit_status() }
}

/// Judges what a run touches, and tells how far it is.
struct Attentive {
    turn: Turn,
    on: OnProgress,
    at_work: AtWork,
}

impl Watcher for Attentive {
    fn changed(&mut self, house: &House, records: &[RecordId]) -> Result<(), StoreError> {
        let findings = self.at_work.judge(house, records)?;
        tracing::info!(records = records.len(), findings, "judged what changed");
        Ok(())
    }

    fn progress(&mut self, done: u64, total: Option<u64>, of: &'static str) {
        self.turn.at(done, total, of);
        (self.on)(done, total, of);
    }
}
