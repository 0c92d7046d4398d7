//! What a rule may say of a subject.
//! It must never mix up "no fault" with "cannot tell".

use std::borrow::Cow;

use provost_model::{Reading, Time};

use super::life;
use crate::severity::Raiser;

/// What a rule says of one subject, and until when that holds by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What it says.
    pub outcome: Outcome,
    /// The instant at which time alone may change the answer.
    pub until: Option<Time>,
    /// How fresh the data are on which it rests: the oldest of the readings used. `None` if there are none, or if nobody
    /// asked.
    pub as_of: Option<Time>,
    /// Whether a later reading that says the same again may change the answer.
    pub waits: bool,
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
    /// Plain words with figures, such as `active, last used 2026-03-02, 267 days ago, over 45 days`. Empty where the rule
    /// was asked for its verdict alone.
    pub words: String,
    /// What makes it worse than usual.
    pub raisers: Vec<Raiser>,
}

/// Why it cannot be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// The sort of ignorance.
    pub lack: Lack,
    about: About,
}

/// What is not known. Words are made of it only when somebody reads them.
#[derive(Clone, Debug, PartialEq, Eq)]
enum About {
    Attribute(Cow<'static, str>),
    DataOf(Time),
    UsesBefore(Time),
    Words(Cow<'static, str>),
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
        Self::new(Outcome::Pass)
    }

    /// The fault is not there before that instant.
    pub fn pass_until(until: Time) -> Self {
        Self::pass().until(until)
    }

    /// The rule has nothing to say.
    pub fn not_applicable() -> Self {
        Self::new(Outcome::NotApplicable)
    }

    /// The fault is there.
    pub fn fail(words: impl Into<String>, raisers: Vec<Raiser>) -> Self {
        Self::new(Outcome::Fail(Because { words: words.into(), raisers }))
    }

    /// It cannot be told.
    pub fn inconclusive(lack: Lack, words: impl Into<Cow<'static, str>>) -> Self {
        Self::doubt(lack, About::Words(words.into()))
    }

    /// It cannot be told, because an attribute is not known.
    pub fn unknown<T>(attribute: impl Into<Cow<'static, str>>, reading: &Reading<T>) -> Self {
        let lack = match reading {
            Reading::NotPermitted => Lack::Permission,
            Reading::NotReported => Lack::Report,
            Reading::NotCollected | Reading::Known(_) | Reading::Never => Lack::Collection,
        };
        Self::doubt(lack, About::Attribute(attribute.into()))
    }

    /// It cannot be told, because what happened after that time is not known yet.
    pub fn too_old(as_of: Time) -> Self {
        Self { waits: true, ..Self::doubt(Lack::Freshness, About::DataOf(as_of)) }
    }

    /// It cannot be told, because uses before that time were not recorded.
    pub fn unwatched(since: Time) -> Self {
        Self::doubt(Lack::Window, About::UsesBefore(since))
    }

    fn doubt(lack: Lack, about: About) -> Self {
        Self::new(Outcome::Inconclusive(Why { lack, about }))
    }

    fn new(outcome: Outcome) -> Self {
        Self { outcome, until: None, as_of: None, waits: false }
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

impl Why {
    /// Plain words, such as `last_used_at may not be seen by this source`.
    pub fn words(&self) -> String {
        match (&self.about, self.lack) {
            (About::Attribute(name), Lack::Permission) => format!("{name} may not be seen by this source"),
            (About::Attribute(name), Lack::Report) => format!("{name} is not reported by this provider"),
            (About::Attribute(name), _) => format!("{name} is not collected yet"),
            (About::DataOf(as_of), _) => {
                format!("the data are of {}; what happened since is not known", life::date(*as_of))
            }
            (About::UsesBefore(since), _) => format!("uses are recorded only since {}", life::date(*since)),
            (About::Words(words), _) => words.clone().into_owned(),
        }
    }
}
