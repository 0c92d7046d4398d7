//! One turn of looking at one source: what was covered, what it cost, what went wrong.
//! It must never hide a trouble: a run that did not see everything says so.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Realm, RecordId, Time};

/// Names a run. The same id appears in logs, history and the runs table.
pub type RunId = RecordId;

/// Why a listing is incomplete, named by what an operator does about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The source's credential may not read it: grant the permission.
    Denied,
    /// The source's credential does not work: renew it.
    Unauthenticated,
    /// The provider asked to slow down and did not relent in time: it is tried again.
    Throttled,
    /// The provider or the way to it failed: it is tried again.
    Unavailable,
    /// The answer made no sense: report it.
    Malformed,
    /// A bound of ours was reached: raise it, or narrow the source.
    TooLarge,
    /// The run was stopped before the end; the next one goes on.
    Stopped,
    /// The time allowed for a run was over.
    TimedOut,
    /// The provider's data are older than what is known already.
    Stale,
    /// The place to look at is not what it was (another device, an empty mount): check it.
    Changed,
    /// Not asked for yet; a sweep gets there.
    NotReached,
}

/// Something that went wrong in a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// The scope's path, or the operation refused.
    pub place: String,
    /// What to do about it.
    pub why: Why,
    /// What the provider said, bounded and without secrets.
    pub said: String,
    /// True for a permission declared optional: a blind spot, which leaves the run complete.
    pub blind_spot: bool,
}

/// Calls of one operation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallCount {
    /// The operation, such as `iam:ListAccessKeys`.
    pub operation: String,
    /// Calls sent, with those that were throttled.
    pub sent: u64,
    /// Calls that were answered by a throttle.
    pub throttled: u64,
}

/// What a run did in one scope.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeReport {
    /// The scope's path.
    pub scope: String,
    /// `full`, `delta`, `unchanged` or `partial`; `open` while it is being read.
    pub cover: String,
    /// Things seen.
    pub seen: u64,
    /// Things seen for the first time.
    pub appeared: u64,
    /// Things that changed, volatile attributes left out.
    pub changed: u64,
    /// Things that came back.
    pub returned: u64,
    /// Things not in a full listing for the first time.
    pub missing: u64,
    /// Things confirmed gone.
    pub gone: u64,
    /// Absences held back by the brake.
    pub held: u64,
}

/// How a run ended; each has its exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Still going, or killed before it could say how it ended.
    Running,
    /// Everything was seen (exit 0).
    Complete,
    /// What was seen is committed, something was not seen (exit 3).
    Partial,
    /// Absences were held back (exit 4).
    Held,
    /// Nothing was committed (exit 1).
    Failed,
}

/// One turn of looking at one source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// The source's name in the configuration.
    pub source: String,
    /// The authority it met.
    pub realm: Option<Realm>,
    /// When it began.
    pub started: Time,
    /// When it ended, if it did.
    pub ended: Option<Time>,
    /// How it ended.
    pub outcome: Outcome,
    /// What it did, scope by scope.
    pub scopes: Vec<ScopeReport>,
    /// What went wrong.
    pub troubles: Vec<Trouble>,
    /// What it cost.
    pub calls: Vec<CallCount>,
}

impl Outcome {
    /// The exit status of a command that ends with this run.
    pub fn exit_status(self) -> u8 {
        match self {
            Outcome::Complete => 0,
            Outcome::Partial | Outcome::Running => 3,
            Outcome::Held => 4,
            Outcome::Failed => 1,
        }
    }

    /// The word used in interfaces.
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Running => "running",
            Outcome::Complete => "complete",
            Outcome::Partial => "partial",
            Outcome::Held => "held",
            Outcome::Failed => "failed",
        }
    }
}

impl Run {
    /// A run that has just begun.
    pub fn begun(id: RunId, source: impl Into<String>, started: Time) -> Self {
        Self {
            id,
            source: source.into(),
            realm: None,
            started,
            ended: None,
            outcome: Outcome::Running,
            scopes: Vec::new(),
            troubles: Vec::new(),
            calls: Vec::new(),
        }
    }

    /// Calls sent, over all operations.
    pub fn calls_sent(&self) -> u64 {
        self.calls.iter().map(|count| count.sent).sum()
    }
}

impl Why {
    /// The word used in interfaces.
    pub fn word(self) -> &'static str {
        match self {
            Why::Denied => "denied",
            Why::Unauthenticated => "unauthenticated",
            Why::Throttled => "throttled",
            Why::Unavailable => "unavailable",
            Why::Malformed => "malformed",
            Why::TooLarge => "too_large",
            Why::Stopped => "stopped",
            Why::TimedOut => "timed_out",
            Why::Stale => "stale",
            Why::Changed => "changed",
            Why::NotReached => "not_reached",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}
