//! What a scanner or provider reported of a value that got out.
//! It must never take a report for settled by a word that does not say so.

use provost_model::{FieldSet, Reading, Record, Time, field};

use super::life;

/// Attributes that a report is made of.
pub(crate) const OF_EXPOSURE: FieldSet = FieldSet::of(&[
    field::LEAK.field(),
    field::LEAKED_AT.field(),
    field::LEAK_VALIDITY.field(),
    field::PUBLICLY_LEAKED.field(),
]);

/// Ends of a report after which the value harms nobody: it was revoked, is none, or never opened anything real.
const SETTLED: [&str; 3] = ["revoked", "false_positive", "used_in_tests"];

/// A report that a value was exposed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposure {
    /// When it was first reported.
    pub since: Option<Time>,
    /// What became of the report: `open`, or how it was closed.
    pub state: String,
    /// What was found when the value was tried: `active`, `inactive`, `unknown`.
    pub validity: Option<String>,
    /// Whether anybody could read it there.
    pub public: bool,
}

impl Exposure {
    /// The report that a record is or carries.
    pub fn of(record: &Record) -> Option<Self> {
        let state = record.get(field::LEAK).known()?;
        Some(Self {
            since: record.get(field::LEAKED_AT).known(),
            state,
            validity: record.get(field::LEAK_VALIDITY).known(),
            public: record.get(field::PUBLICLY_LEAKED) == Reading::Known(true),
        })
    }

    /// Whether somebody could still use the value, as far as the report says.
    pub fn is_open(&self) -> bool {
        !SETTLED.contains(&self.state.as_str()) && self.validity.as_deref() != Some("inactive")
    }

    /// Plain words, such as `reported exposed since 2026-11-21 (open), found to work`.
    pub fn words(&self) -> String {
        let mut words = "reported exposed".to_owned();
        if let Some(since) = self.since {
            words.push_str(&format!(" since {}", life::date(since)));
        }
        words.push_str(&format!(" ({})", self.state));
        if self.public {
            words.push_str(" in public");
        }
        if self.validity.as_deref() == Some("active") {
            words.push_str(", found to work");
        }
        words
    }
}
