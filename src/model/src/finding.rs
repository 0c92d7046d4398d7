//! What is wrong, with whom, how badly, and why that is believed.
//! It must never be resolved by silence: only by a pass on fresh data, or by the subject's end.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{RecordId, Time};

/// A finding's name: the same rule about the same subject has the same id for ever.
pub type FindingId = RecordId;

/// How bad. The order is the order of badness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the field's own words")]
pub enum Severity {
    Info,
    Low,
    Medium,
    High,
    Critical,
}

/// Where a finding is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingState {
    /// It stands.
    Open,
    /// Its subject left the selection; it counts nowhere until that changes.
    Suspended,
    /// It stands no more; the resolution says why.
    Resolved,
}

/// Why a finding stands no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// The rule passes on data at least as fresh as those that opened it.
    Fixed,
    /// Its subject is gone.
    Gone,
    /// Somebody accepted the risk until a date.
    Accepted,
    /// A threshold changed.
    PolicyChanged,
    /// The rule changed.
    RuleChanged,
}

/// One fault of one subject.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Derived from rule and subject.
    pub id: FindingId,
    /// The rule, such as `CRED-STALE`.
    pub rule: String,
    /// The rule's version that judged last.
    pub rule_version: u32,
    /// The record it is about, or the digest of a source's name for rules about sources.
    pub subject: RecordId,
    /// The subject's main external id when last judged.
    pub external_id: String,
    /// The source it is about, for rules about sources.
    pub source: Option<String>,
    /// Where it is in its life.
    pub state: FindingState,
    /// How bad.
    pub severity: Severity,
    /// How the severity came about, one step a line.
    pub severity_steps: Vec<String>,
    /// When it was opened, the last time.
    pub opened_at: Time,
    /// How fresh the data were on which it was opened.
    pub opened_as_of: Time,
    /// When it was resolved.
    pub resolved_at: Option<Time>,
    /// Why it was resolved.
    pub resolution: Option<Resolution>,
    /// Since when it can be neither confirmed nor refuted.
    pub unconfirmed_since: Option<Time>,
    /// Opened by its source's first complete run.
    pub baseline: bool,
    /// What it rests on, in plain words with figures.
    pub because: String,
    /// When time alone may change the verdict; for an accepted finding, until when it is accepted.
    pub until: Option<Time>,
    /// Digest of the thresholds under which it was last confirmed.
    #[serde(default)]
    pub policy: String,
}

impl Severity {
    /// Every severity, the mildest first.
    pub const ALL: [Severity; 5] =
        [Severity::Info, Severity::Low, Severity::Medium, Severity::High, Severity::Critical];

    /// The word used in interfaces.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        }
    }

    /// The severity of that word.
    pub fn from_word(word: &str) -> Option<Severity> {
        use Severity::{Critical, High, Info, Low, Medium};
        [Info, Low, Medium, High, Critical].into_iter().find(|it| it.word() == word)
    }

    /// One step worse; critical stays.
    pub fn raised(self) -> Severity {
        match self {
            Severity::Info => Severity::Low,
            Severity::Low => Severity::Medium,
            Severity::Medium => Severity::High,
            Severity::High | Severity::Critical => Severity::Critical,
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FindingState {
    /// The word used in interfaces.
    pub fn word(self) -> &'static str {
        match self {
            FindingState::Open => "open",
            FindingState::Suspended => "suspended",
            FindingState::Resolved => "resolved",
        }
    }
}

impl Resolution {
    /// The word used in interfaces.
    pub fn word(self) -> &'static str {
        match self {
            Resolution::Fixed => "fixed",
            Resolution::Gone => "gone",
            Resolution::Accepted => "accepted",
            Resolution::PolicyChanged => "policy_changed",
            Resolution::RuleChanged => "rule_changed",
        }
    }
}
