//! Rules about cases: is what was found answered in time, and does it still hold what was decided about it?
//! It must never judge a subject of which nothing else stands: that is no case.

use provost_model::{Finding, Motion};

use super::Rule;
use crate::govern::{Governance, OpenFault};

pub(super) mod exc_expired;
#[cfg(test)]
pub(crate) mod sample;
pub(super) mod sla_breach;

/// The rules about cases.
pub(super) static ALL: [&Rule; 2] = [&exc_expired::SPEC, &sla_breach::SPEC];

/// A case as a rule may see it.
#[derive(Clone, Copy, Debug)]
pub struct CaseFile<'a> {
    /// Faults of the subject that stand, without what rules about cases found.
    pub faults: &'a [OpenFault<'a>],
    /// What people asked for and decided about the subject, in the order in which it was asked for.
    pub motions: &'a [Motion],
    /// By which policy.
    pub governance: &'a Governance,
    /// What the rule itself found of the case before, if it ever did.
    pub former: Option<&'a Finding>,
}

/// Whether a rule of that id is about cases.
pub fn is_about_cases(id: &str) -> bool {
    ALL.iter().any(|rule| rule.id == id)
}
