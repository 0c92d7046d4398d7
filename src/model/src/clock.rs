//! The one door through which time enters: everything else is handed a [`Time`].
//! It must never be implemented outside the daemon's `clock` and tests.

use crate::Time;

/// Wall-clock time as the daemon trusts it. `now` is banned by lint everywhere but in the implementation.
pub trait Clock: Send + Sync {
    /// The present moment, in UTC.
    fn now(&self) -> Time;
}
