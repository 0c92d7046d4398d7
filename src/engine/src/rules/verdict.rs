//! What a rule may say of a subject.
//! It must never mix up "no fault" with "cannot tell".

use provost_model::{Reading, Time};

use crate::severity::Raiser;

/// What a rule says of one subject, and until when that holds by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What it says.
    pub outcome: Outcome,
    /// The instant at which time alone may change the answer.
    pub until: Option<Time>,
    /// How fresh the data are on which it rests: the oldest of the readings used. `None` if there are none.
    pub as_of: Option<Time>,
}

/// The four answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The fault is not there.
    Pass,
    /// The fault is there.
    Fail(Because),
    /// It cannot be told.
    Inconclusive(Why),
    /// The rule has nothing to say about this subject.
    NotApplicable,
}

/// What a failure rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Because {
    /// Plain words with figures, such as `active, last used 2026-03-02, 267 days ago, over 45 days`.
    pub words: String,
    /// What makes it worse than usual.
    pub raisers: Vec<Raiser>,
}

/// Why it cannot be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// The sort of ignorance.
    pub lack: Lack,
    /// Plain words, such as `last_used_at is not permitted to be seen`.
    pub words: String,
}

/// Sorts of ignorance, named by what helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lack {
    /// Grant the source's credential a permission.
    Permission,
    /// Nothing helps: the provider does not say.
    Report,
    /// Wait for the source to get there.
    Collection,
    /// The data are too old to tell: wait for the next complete reading.
    Freshness,
    /// Uses have not been recorded for long enough: wait, or add a source of usage.
    Window,
}

impl Verdict {
    /// The fault is not there, and time alone will not bring it.
    pub fn pass() -> Self {
        Self { outcome: Outcome::Pass, until: None, as_of: None }
    }

    /// The fault is not there before that instant.
    pub fn pass_until(until: Time) -> Self {
        Self { outcome: Outcome::Pass, until: Some(until), as_of: None }
    }

    /// The rule has nothing to say.
    pub fn not_applicable() -> Self {
        Self { outcome: Outcome::NotApplicable, until: None, as_of: None }
    }

    /// The fault is there.
    pub fn fail(words: impl Into<String>, raisers: Vec<Raiser>) -> Self {
        Self { outcome: Outcome::Fail(Because { words: words.into(), raisers }), until: None, as_of: None }
    }

    /// It cannot be told.
    pub fn inconclusive(lack: Lack, words: impl Into<String>) -> Self {
        Self { outcome: Outcome::Inconclusive(Why { lack, words: words.into() }), until: None, as_of: None }
    }

    /// It cannot be told, because an attribute is not known.
    pub fn unknown<T>(attribute: &str, reading: &Reading<T>) -> Self {
        match reading {
            Reading::NotPermitted => {
                Self::inconclusive(Lack::Permission, format!("{attribute} may not be seen by this source"))
            }
            Reading::NotReported => {
                Self::inconclusive(Lack::Report, format!("{attribute} is not reported by this provider"))
            }
            Reading::NotCollected | Reading::Known(_) | Reading::Never => {
                Self::inconclusive(Lack::Collection, format!("{attribute} is not collected yet"))
            }
        }
    }

    /// The same verdict, which time alone may change at that instant.
    #[must_use]
    pub fn until(mut self, until: Time) -> Self {
        self.until = Some(until);
        self
    }

    /// Whether the fault is there.
    pub fn is_fail(&self) -> bool {
        matches!(self.outcome, Outcome::Fail(_))
    }

    /// The word used in interfaces.
    pub fn word(&self) -> &'static str {
        match self.outcome {
            Outcome::Pass => "pass",
            Outcome::Fail(_) => "fail",
            Outcome::Inconclusive(_) => "inconclusive",
            Outcome::NotApplicable => "not_applicable",
        }
    }
}
