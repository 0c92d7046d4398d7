//! Who answers for a thing, how sure that is, and what it rests on.
//! It must never be confused with a provider's directory owner, which is one piece of evidence among others.

use serde::{Deserialize, Serialize};

/// One reason to think that somebody answers for a thing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OwnerEvidence {
    /// Where it was found, such as `tag owner` or `file owner`.
    pub source: String,
    /// Whom it names.
    pub names: String,
    /// How much it says, 0 to 1.
    pub confidence: f64,
}

/// The accountable owner of a thing as far as known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Owner {
    /// Whom the evidence names: an address, a team, a login.
    pub name: String,
    /// How sure that is, 0 to 1.
    pub confidence: f64,
    /// What it rests on, strongest first.
    pub evidence: Vec<OwnerEvidence>,
}
