//! How many calls were sent, by operation: what a run reports as its cost.
//! It must never count a call that was refused before sending.

use std::sync::{
    Mutex,
    atomic::{AtomicU64, Ordering},
};

/// One call that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The operation, such as `iam:ListAccessKeys`, with the purpose behind it where that is counted apart.
    pub operation: String,
    /// Whether it was answered by a throttle.
    pub throttled: bool,
}

/// Calls not yet reported, and how many there were in all.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    calls: Mutex<Vec<Call>>,
    sent: AtomicU64,
}

impl Tally {
    /// Takes one of `most` calls, or says that there are none left.
    pub(crate) fn admit(&self, most: u64) -> bool {
        let counted =
            self.sent.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |sent| (sent < most).then_some(sent + 1));
        counted.is_ok()
    }

    /// Notes a call that was sent.
    pub(crate) fn note(&self, operation: String, throttled: bool) {
        if let Ok(mut calls) = self.calls.lock() {
            calls.push(Call { operation, throttled });
        }
    }

    /// Calls sent since the last time this was asked.
    pub(crate) fn drain(&self) -> Vec<Call> {
        self.calls.lock().map(|mut calls| std::mem::take(&mut *calls)).unwrap_or_default()
    }

    /// Begins to count anew, for a new run.
    pub(crate) fn reset(&self) {
        self.sent.store(0, Ordering::Relaxed);
        drop(self.drain());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_holds_and_a_new_run_starts_at_zero() {
        let tally = Tally::default();
        assert!(tally.admit(2) && tally.admit(2) && !tally.admit(2));
        tally.note("iam:ListUsers".into(), false);
        assert_eq!(tally.drain().len(), 1);
        assert!(tally.drain().is_empty());
        tally.reset();
        assert!(tally.admit(1));
    }
}
