//! Which sources are being looked at right now, and how far that is: no source is looked at twice at the same time.
//! It must never outlive the process: what was running when it was killed is told by the run's own row.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use provost_model::Time;

/// How far a run is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// When it began.
    pub started: Time,
    /// How much is done.
    pub done: u64,
    /// Of how much, if that is known.
    pub total: Option<u64>,
    /// Of what.
    pub of: &'static str,
}

/// The runs under way.
#[derive(Clone, Debug, Default)]
pub struct Runs(Arc<Mutex<BTreeMap<String, Progress>>>);

/// The right to look at a source, given back when dropped.
#[derive(Debug)]
pub struct Turn {
    runs: Runs,
    source: String,
}

impl Runs {
    /// Takes the source's turn, unless it is being looked at already.
    pub fn begin(&self, source: &str, started: Time) -> Option<Turn> {
        let mut running = self.lock();
        if running.contains_key(source) {
            return None;
        }
        running.insert(source.to_owned(), Progress { started, done: 0, total: None, of: "" });
        Some(Turn { runs: self.clone(), source: source.to_owned() })
    }

    /// What is under way, by source.
    pub fn running(&self) -> BTreeMap<String, Progress> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Progress>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// Says how far it is.
    pub fn at(&self, done: u64, total: Option<u64>, of: &'static str) {
        if let Some(progress) = self.runs.lock().get_mut(&self.source) {
            *progress = Progress { started: progress.started, done, total, of };
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.runs.lock().remove(&self.source);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_has_one_turn_at_a_time() {
        let runs = Runs::default();
        let turn = runs.begin("a", Time::default()).unwrap();
        assert!(runs.begin("a", Time::default()).is_none());
        assert!(runs.begin("b", Time::default()).is_some());
        turn.at(3, Some(9), "users");
        assert_eq!(runs.running()["a"].done, 3);
        drop(turn);
        assert!(runs.begin("a", Time::default()).is_some());
    }
}
