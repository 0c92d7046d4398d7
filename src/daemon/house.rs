//! What every turn of the daemon works in: the store, the pen that writes to it, and the clock.
//! It must never grow into a bag of everything: configuration and connectors are handed to those who need them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};

use provost_model::{Clock, Time};
use provost_store::{Fence, Store, StoreError, inventory::Inventory};
use tokio_util::sync::CancellationToken;

use crate::tries::Tries;

/// A store, and the right to write to it one at a time.
#[derive(Clone)]
pub struct House {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    /// Held from the first read that a change rests on until its commit: two runs never lose each other's changes. Where
    /// other processes write too, batches name what they rest on besides.
    pen: Arc<RwLock<()>>,
    /// Held by whoever judges, from reading findings until they are written.
    gavel: Arc<Mutex<()>>,
    /// The lease that everything written from here needs.
    fence: Option<Fence>,
    /// Since when the store cannot be reached.
    away: Arc<Mutex<Option<Time>>>,
    /// Cancelled when nobody is to wait for the store any longer.
    closing: CancellationToken,
}

impl House {
    /// A house over that store.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            clock,
            pen: Arc::default(),
            gavel: Arc::default(),
            fence: None,
            away: Arc::default(),
            closing: CancellationToken::new(),
        }
    }

    /// The same house, for somebody who holds that lease: once it is lost nothing written from there is taken.
    pub fn fenced(&self, fence: Option<Fence>) -> Self {
        Self { fence, ..self.clone() }
    }

    /// The inventory.
    pub fn inventory(&self) -> Inventory<'_> {
        let inventory = Inventory::of(self.store.as_ref());
        self.fence.as_ref().map_or(inventory, |fence| inventory.fenced(fence))
    }

    /// The store.
    pub fn store(&self) -> &dyn Store {
        self.store.as_ref()
    }

    /// The clock.
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    /// The present moment.
    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// The lease that everything written from here needs.
    pub fn fence(&self) -> Option<&Fence> {
        self.fence.as_ref()
    }

    /// Whether that lease is held no more. Asked when a batch was refused: then it is not only that somebody was faster.
    pub fn lost_lease(&self) -> Result<bool, StoreError> {
        let Some(fence) = &self.fence else { return Ok(false) };
        let now = self.store.clock(self.now())?;
        let held = |it: &provost_store::Held| it.name == fence.name && it.token == fence.token && it.until > now;
        Ok(!self.store.leases()?.iter().any(held))
    }

    /// Takes a step that reads, decides and commits; again, on fresh reads, where another process was faster or the store
    /// is away for a while. The step takes the pen itself and must change nothing but the store.
    pub fn again<T>(&self, mut step: impl FnMut() -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut tries = Tries::of(self);
        loop {
            match step() {
                Err(error) => tries.another(error)?,
                done => {
                    self.reached();
                    return done;
                }
            }
        }
    }

    /// Since when the store cannot be reached, if it cannot.
    pub fn away_since(&self) -> Option<Time> {
        *self.away.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The store did not answer.
    pub fn out_of_reach(&self) {
        let mut away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        if away.is_none() {
            tracing::error!("the store cannot be reached; waiting for it");
            *away = Some(self.now());
        }
    }

    /// The store answered.
    pub fn reached(&self) {
        let mut away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(since) = away.take() {
            tracing::info!(%since, "the store can be reached again");
        }
    }

    /// Cancelled when nobody is to wait for the store any longer, as the process ends.
    pub fn closing(&self) -> &CancellationToken {
        &self.closing
    }

    /// Whether writing goes on: nobody has held the pen for longer than a second.
    pub fn writes(&self) -> bool {
        let patience = std::time::Duration::from_millis(20);
        (0..50).any(|_| match self.pen.try_write() {
            Err(TryLockError::WouldBlock) => {
                std::thread::sleep(patience);
                false
            }
            Ok(_) | Err(TryLockError::Poisoned(_)) => true,
        })
    }

    /// The gavel: findings are written by one judge at a time, while others write what they see.
    pub fn gavel(&self) -> MutexGuard<'_, ()> {
        self.gavel.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pen. A writer that panicked left nothing half-written: commits are atomic.
    pub fn pen(&self) -> RwLockWriteGuard<'_, ()> {
        self.pen.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the pen away from everybody, so that what several read meanwhile is of one moment. Not for who has the pen.
    pub fn still(&self) -> RwLockReadGuard<'_, ()> {
        self.pen.read().unwrap_or_else(PoisonError::into_inner)
    }
}
