//! Rules about sources: is what we look with, and how we look, in order?
//! It must never judge what a source sees; that is the other rules' part.

use provost_model::{Reading, Span, Time};

pub(super) mod held;
pub(super) mod overprivileged;
#[cfg(test)]
pub(crate) mod sample;
pub(super) mod stale;

/// A source as a rule may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceView {
    /// Its name in the configuration.
    pub name: String,
    /// The connector it uses.
    pub connector: String,
    /// The longest time between two runs of its schedule; `None` if it runs by hand only.
    pub period: Option<Span>,
    /// When it was first configured or run.
    pub since: Time,
    /// Its watched scopes.
    pub scopes: Vec<ScopeView>,
    /// When the credential it looks with expires.
    pub credential_expires_at: Reading<Time>,
    /// Absences held back by the brake, by scope path.
    pub held: Vec<Held>,
    /// What its credential could change, as the check found; `NotCollected` before a check.
    pub writable: Reading<Vec<String>>,
}

/// How far one scope of a source was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeView {
    /// Its path.
    pub path: String,
    /// When it was last covered completely (full, delta or unchanged); `None` if never.
    pub covered_at: Option<Time>,
}

/// Absences that the brake holds back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The scope's path.
    pub scope: String,
    /// How many records would become missing.
    pub absences: u64,
    /// Of how many.
    pub of: u64,
    /// Since when they are held back.
    pub since: Time,
}
