//! What reconciling found to be different: the only way a record comes into being or alters.
//! It must never be made from a sighting that is older than what is known.

use serde::{Deserialize, Serialize};

use crate::{Field, Reading, Record, Value};

/// What happened to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Seen for the first time.
    Appeared,
    /// Some attribute, alias or link is different.
    Changed,
    /// Only volatile attributes are different.
    Touched,
    /// A full listing lacked it.
    Missing,
    /// Confirmed gone.
    Gone,
    /// Seen again after it was missing, gone or unwatched.
    Returned,
    /// Its scope left the selection.
    Unwatched,
}

/// One attribute before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldChange {
    /// Which attribute.
    pub field: Field,
    /// What was believed.
    pub old: Reading<Value>,
    /// What is believed now.
    pub new: Reading<Value>,
}

/// A record after the change, and what the change was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What happened.
    pub what: What,
    /// The record as it is now.
    pub after: Record,
    /// The attributes that differ.
    pub fields: Vec<FieldChange>,
    /// External ids that were learned.
    pub aliases: Vec<String>,
}

impl What {
    /// The word used in interfaces.
    pub fn word(self) -> &'static str {
        match self {
            What::Appeared => "appeared",
            What::Changed => "changed",
            What::Touched => "touched",
            What::Missing => "missing",
            What::Gone => "gone",
            What::Returned => "returned",
            What::Unwatched => "unwatched",
        }
    }
}
