//! How long a fault may stand, how long a risk may be taken, and how many people have to agree.
//! It must never let an exception be endless.

use provost_model::{Severity, Span};
use serde::Serialize;

use crate::thresholds::digest_of;

/// How long a fault of each severity may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the severities' own words")]
pub struct Deadlines {
    pub critical: i64,
    pub high: i64,
    pub medium: i64,
    pub low: i64,
    pub info: i64,
}

/// The policy by which decisions are made. Times in seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Governance {
    /// How long a fault may stand.
    pub deadlines: Deadlines,
    /// How long a risk may be taken at most.
    pub longest_exception: i64,
    /// How often the same risk may be taken again.
    pub renewals: u32,
    /// How many people beside whoever asks have to agree where the subject holds far rights or was exposed.
    pub approvals: u8,
    /// How long something may be made unusable before others agree to it.
    pub containment: i64,
}

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

impl Default for Governance {
    fn default() -> Self {
        let deadlines = Deadlines { critical: DAY, high: 7 * DAY, medium: 30 * DAY, low: 90 * DAY, info: 180 * DAY };
        Self { deadlines, longest_exception: 365 * DAY, renewals: 2, approvals: 2, containment: 24 * HOUR }
    }
}

impl Governance {
    /// How long a fault of that severity may stand.
    pub fn deadline(&self, severity: Severity) -> Span {
        Span::seconds(match severity {
            Severity::Critical => self.deadlines.critical,
            Severity::High => self.deadlines.high,
            Severity::Medium => self.deadlines.medium,
            Severity::Low => self.deadlines.low,
            Severity::Info => self.deadlines.info,
        })
    }

    /// Digest of all of it: the version of the policy that a decision names.
    pub fn digest(&self) -> String {
        digest_of(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worse_the_sooner_and_every_figure_is_in_the_digest() {
        let usual = Governance::default();
        let order = [Severity::Critical, Severity::High, Severity::Medium, Severity::Low, Severity::Info];
        assert!(order.windows(2).all(|two| usual.deadline(two[0]) < usual.deadline(two[1])));
        for other in [
            Governance { renewals: 3, ..usual.clone() },
            Governance { approvals: 1, ..usual.clone() },
            Governance { longest_exception: 1, ..usual.clone() },
            Governance { containment: 1, ..usual.clone() },
            Governance { deadlines: Deadlines { low: 1, ..usual.deadlines }, ..usual.clone() },
        ] {
            assert_ne!(other.digest(), usual.digest());
        }
    }
}
