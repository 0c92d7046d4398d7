//! A house with a configuration at work in it: what commands, scheduler and socket share.
//! It must never hold a second store or a second clock beside the house's.

use std::sync::{Arc, PoisonError, RwLock};

use provost_model::{Outcome, RecordId, Run, Time};
use provost_store::StoreError;
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::{
    config::Source,
    house::House,
    jobs::{
        Watcher, WriteError, assess,
        jury::Jury,
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
    wiring: RwLock<Arc<Wiring>>,
}

impl Desk {
    /// A desk in that house.
    pub fn new(house: Arc<House>, wiring: Wiring, daemon_since: Option<Time>) -> Self {
        Self { house, runs: Runs::default(), daemon_since, wiring: RwLock::new(Arc::new(wiring)) }
    }

    /// The configuration at work now.
    pub fn wiring(&self) -> Arc<Wiring> {
        Arc::clone(&self.wiring.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts another configuration to work. Runs under way end under the old one.
    pub fn rewire(&self, wiring: Wiring) {
        *self.wiring.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(wiring);
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
        let jury = Jury::sit(Arc::clone(&self.house), Arc::clone(&wiring))?;
        let watcher = Attentive { turn, on, jury };
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

/// Whether a run that ended so must show in the exit status: a declared blind spot does unless it is accepted.
pub fn exit_status(run: &Run, accept_blind_spots: bool) -> u8 {
    let blind = run.outcome == Outcome::Complete && run.troubles.iter().any(|it| it.blind_spot);
    if blind && !accept_blind_spots { Outcome::Partial.exit_status() } else { run.outcome.exit_status() }
}

/// Judges what a run touches, and tells how far it is.
struct Attentive {
    turn: Turn,
    on: OnProgress,
    jury: Jury,
}

impl Watcher for Attentive {
    fn changed(&mut self, _: &House, records: Vec<RecordId>) -> Result<(), StoreError> {
        self.jury.hear(records)
    }

    fn over(&mut self) -> Result<(), StoreError> {
        self.jury.rise()
    }

    fn progress(&mut self, done: u64, total: Option<u64>, of: &'static str) {
        self.turn.at(done, total, of);
        (self.on)(done, total, of);
    }
}
