//! What every turn of the daemon works in: the store, the pen that writes to it, and the clock.
//! It must never grow into a bag of everything: configuration and connectors are handed to those who need them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use provost_model::{Clock, Time};
use provost_store::{Store, inventory::Inventory};

/// A store, and the right to write to it one at a time.
pub struct House {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    /// Held from the first read that a change rests on until its commit: two runs never lose each other's changes.
    pen: Mutex<()>,
    /// Held by whoever judges, from reading findings until they are written.
    gavel: Mutex<()>,
}

impl House {
    /// A house over that store.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock, pen: Mutex::new(()), gavel: Mutex::new(()) }
    }

    /// The inventory.
    pub fn inventory(&self) -> Inventory<'_> {
        Inventory::of(self.store.as_ref())
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

    /// Whether writing goes on: nobody has held the pen for longer than a second.
    pub fn writes(&self) -> bool {
        let patience = std::time::Duration::from_millis(20);
        (0..50).any(|_| match self.pen.try_lock() {
            Err(std::sync::TryLockError::WouldBlock) => {
                std::thread::sleep(patience);
                false
            }
            Ok(_) | Err(std::sync::TryLockError::Poisoned(_)) => true,
        })
    }

    /// The gavel: findings are written by one judge at a time, while others write what they see.
    pub fn gavel(&self) -> MutexGuard<'_, ()> {
        self.gavel.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pen. A writer that panicked left nothing half-written: commits are atomic.
    pub fn pen(&self) -> MutexGuard<'_, ()> {
        self.pen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
