//! Promise 5 as types: nothing acts but on an [`Order`], and an order is made only from a recorded decision.
//! It must never gain a constructor of [`Recorded`] beside [`Recorded::attest`], nor Clone, Default or Deserialize.

use crate::{FindingId, RecordId, Time};

/// Why somebody may decide: required wherever a decision is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purpose(String);

/// What is to be done to one subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Tell somebody.
    Tell,
    /// Make the credential unusable, reversibly.
    Disable,
    /// Replace the credential by a new one, safely.
    Rotate,
    /// Remove it for good.
    Delete,
}

/// What was decided, by whom, about what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// By a person, about one finding.
    Act {
        /// The finding it answers.
        finding: FindingId,
        /// The record it is about.
        subject: RecordId,
        /// What to do.
        remedy: Remedy,
        /// The person of the people file.
        by: String,
        /// Why.
        purpose: Purpose,
    },
    /// By configuration, once for many: covers telling and guardrail classes, never a privileged act.
    Standing {
        /// Digest of the configuration that enabled it.
        policy: String,
        /// Who enabled it.
        by: String,
    },
}

/// A decision that is durable. Only the store's commit may attest that.
#[derive(Debug)]
pub struct Recorded<T> {
    what: T,
    commit: u64,
    at: Time,
}

/// Permission to change the world once, for one decision.
#[derive(Debug)]
pub struct Order {
    decision: Recorded<Decision>,
    remedy: Remedy,
}

impl Purpose {
    /// A purpose in somebody's own words; `None` if there are none.
    pub fn stated(words: &str) -> Option<Self> {
        let words = words.trim();
        (!words.is_empty()).then(|| Self(words.to_owned()))
    }

    /// The words.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<T> Recorded<T> {
    /// Attests that `what` became durable with that commit. Banned by lint everywhere but in the store's commit.
    pub fn attest(what: T, commit: u64, at: Time) -> Self {
        Self { what, commit, at }
    }

    /// What was recorded.
    pub fn what(&self) -> &T {
        &self.what
    }

    /// The commit that made it durable.
    pub fn commit(&self) -> u64 {
        self.commit
    }

    /// When that was.
    pub fn at(&self) -> Time {
        self.at
    }
}

impl Order {
    /// The order that follows from a recorded decision; it uses the decision up. A standing decision orders telling only.
    pub fn from_recorded(decision: Recorded<Decision>) -> Self {
        let remedy = match decision.what() {
            Decision::Act { remedy, .. } => *remedy,
            Decision::Standing { .. } => Remedy::Tell,
        };
        Self { decision, remedy }
    }

    /// What to do.
    pub fn remedy(&self) -> Remedy {
        self.remedy
    }

    /// The decision it rests on.
    pub fn decision(&self) -> &Recorded<Decision> {
        &self.decision
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purpose_needs_words() {
        assert!(Purpose::stated("  \n").is_none());
        assert_eq!(Purpose::stated(" leaver ").unwrap().as_str(), "leaver");
    }
}
