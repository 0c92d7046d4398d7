//! Promise 5 as types: nothing is changed but on an [`Order`], nothing told but on an [`Errand`], and either is made only from a
//! recorded decision.
//! It must never gain a constructor of [`Recorded`] beside [`Recorded::attest`], nor Clone, Default or Deserialize.

use serde::{Deserialize, Serialize};

use crate::{FindingId, RecordId, Time};

/// Why somebody may decide: required wherever a decision is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Purpose(String);

/// A decision's name.
pub type DecisionId = RecordId;

/// What is to be done about one subject, the mildest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Remedy {
    /// Tell somebody.
    Tell,
    /// Find somebody who answers for it.
    Own,
    /// Change a setting.
    Mend,
    /// Take rights away from it.
    Restrict,
    /// Replace the credential by a new one, safely.
    Rotate,
    /// Make the credential unusable, reversibly.
    Disable,
    /// Take back a grant.
    Revoke,
    /// Remove it for good.
    Delete,
}

/// What was decided about the faults of one subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ruling {
    /// Something is done about them.
    Act {
        /// What.
        remedy: Remedy,
    },
    /// The risk is taken until a date.
    Accept {
        /// Until when.
        until: Time,
        /// What keeps the risk small meanwhile.
        control: Option<String>,
    },
    /// They are no faults; that is looked at again on a date.
    Reject {
        /// When.
        until: Time,
    },
    /// Somebody else answers for the subject.
    Reassign {
        /// Who.
        owner: String,
    },
    /// It is made unusable at once, reversibly, before others agree; they do until then, or it is taken back.
    Contain {
        /// Until when.
        until: Time,
    },
}

/// What was decided, by whom, about what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// By people, about one subject.
    Ruled {
        /// Its name.
        id: DecisionId,
        /// The record it is about.
        subject: RecordId,
        /// The findings it answers.
        findings: Vec<FindingId>,
        /// What.
        ruling: Ruling,
        /// Whoever asked for it, then whoever agreed: people of the people file.
        by: Vec<String>,
        /// Why, in the words of whoever asked.
        purpose: Purpose,
        /// Digest of the policy that says how many have to agree.
        policy: String,
    },
    /// By a guardrail of the configuration, about one subject without far rights: something that can be taken back.
    Guarded {
        /// Its name.
        id: DecisionId,
        /// The record it is about.
        subject: RecordId,
        /// The findings it answers.
        findings: Vec<FindingId>,
        /// What.
        remedy: Remedy,
        /// The guardrail's name.
        guardrail: String,
        /// Why, in the words of whoever answers for the guardrail.
        purpose: Purpose,
        /// Digest of the guardrail.
        policy: String,
    },
    /// By configuration, once for many: covers telling, and that a guardrail decides; never an act by itself.
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

/// Permission to change the world once, for one decision about one subject.
#[derive(Debug)]
pub struct Order {
    decision: Recorded<Decision>,
    remedy: Remedy,
}

/// Permission to tell once, for one standing decision.
#[derive(Debug)]
pub struct Errand {
    decision: Recorded<Decision>,
}

/// What something outside is called for: an [`Order`] or an [`Errand`], and nothing else.
pub trait Warrant: sealed::Sealed + Send + Sync {
    /// What it is for.
    fn remedy(&self) -> Remedy;

    /// The decision it rests on.
    fn decision(&self) -> &Recorded<Decision>;
}

mod sealed {
    /// Nobody else gives a warrant.
    pub trait Sealed {}
    impl Sealed for super::Order {}
    impl Sealed for super::Errand {}
}

/// Longest purpose, in bytes.
const PURPOSE_MAX: usize = 2_000;

impl Purpose {
    /// A purpose in somebody's own words; `None` if there are none, or too many.
    pub fn stated(words: &str) -> Option<Self> {
        let words = words.trim();
        (!words.is_empty() && words.len() <= PURPOSE_MAX).then(|| Self(words.to_owned()))
    }

    /// The words.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Purpose {
    type Error = &'static str;

    fn try_from(words: String) -> Result<Self, &'static str> {
        Self::stated(&words).ok_or("no purpose is stated")
    }
}

impl From<Purpose> for String {
    fn from(purpose: Purpose) -> Self {
        purpose.0
    }
}

impl Remedy {
    /// Every remedy, the mildest first.
    pub const ALL: [Remedy; 8] = [
        Remedy::Tell,
        Remedy::Own,
        Remedy::Mend,
        Remedy::Restrict,
        Remedy::Rotate,
        Remedy::Disable,
        Remedy::Revoke,
        Remedy::Delete,
    ];

    /// The word used in interfaces.
    pub fn word(self) -> &'static str {
        match self {
            Remedy::Tell => "tell",
            Remedy::Own => "own",
            Remedy::Mend => "mend",
            Remedy::Restrict => "restrict",
            Remedy::Rotate => "rotate",
            Remedy::Disable => "disable",
            Remedy::Revoke => "revoke",
            Remedy::Delete => "delete",
        }
    }

    /// Whether the old credential works again when it is undone, up to the last step: what a guardrail may decide.
    pub fn can_be_taken_back(self) -> bool {
        matches!(self, Remedy::Rotate | Remedy::Disable)
    }

    /// The remedy of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.word() == word)
    }
}

impl Ruling {
    /// The word used in interfaces.
    pub fn word(&self) -> &'static str {
        match self {
            Ruling::Act { .. } => "act",
            Ruling::Accept { .. } => "accept",
            Ruling::Reject { .. } => "reject",
            Ruling::Reassign { .. } => "reassign",
            Ruling::Contain { .. } => "contain",
        }
    }

    /// What is done about the subject itself, if anything is.
    pub fn remedy(&self) -> Option<Remedy> {
        match self {
            Ruling::Act { remedy } => Some(*remedy),
            Ruling::Contain { .. } => Some(Remedy::Disable),
            Ruling::Accept { .. } | Ruling::Reject { .. } | Ruling::Reassign { .. } => None,
        }
    }

    /// Until when it silences what it is about, if it does.
    pub fn silences_until(&self) -> Option<Time> {
        match self {
            Ruling::Accept { until, .. } | Ruling::Reject { until } => Some(*until),
            Ruling::Act { .. } | Ruling::Reassign { .. } | Ruling::Contain { .. } => None,
        }
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
    /// The order that follows from a recorded decision; it uses the decision up. A standing decision orders nothing, nor does one
    /// to change nothing.
    pub fn from_recorded(decision: Recorded<Decision>) -> Option<Self> {
        let remedy = match decision.what() {
            Decision::Ruled { ruling, .. } => ruling.remedy()?,
            // What cannot be taken back is nobody's but people's to decide.
            Decision::Guarded { remedy, .. } if !remedy.can_be_taken_back() => return None,
            Decision::Guarded { remedy, .. } => *remedy,
            Decision::Standing { .. } => return None,
        };
        Some(Self { decision, remedy })
    }
}

impl Errand {
    /// The errand that follows from a recorded decision; it uses the decision up. Only a standing one sends anybody to tell.
    pub fn from_recorded(decision: Recorded<Decision>) -> Option<Self> {
        matches!(decision.what(), Decision::Standing { .. }).then_some(Self { decision })
    }
}

impl Warrant for Order {
    fn remedy(&self) -> Remedy {
        self.remedy
    }

    fn decision(&self) -> &Recorded<Decision> {
        &self.decision
    }
}

impl Warrant for Errand {
    fn remedy(&self) -> Remedy {
        Remedy::Tell
    }

    fn decision(&self) -> &Recorded<Decision> {
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
        assert!(Purpose::stated(&"x".repeat(PURPOSE_MAX + 1)).is_none());
    }

    #[test]
    fn only_a_decision_to_act_orders_an_act() {
        let ruled = |ruling| Decision::Ruled {
            id: RecordId::from_bytes([1; 16]),
            subject: RecordId::from_bytes([2; 16]),
            findings: Vec::new(),
            ruling,
            by: vec!["ann".into()],
            purpose: Purpose::stated("leaver").unwrap(),
            policy: "p".into(),
        };
        let recorded = |decision| Recorded { what: decision, commit: 1, at: Time::from_seconds(1) };
        let order = |decision| Order::from_recorded(recorded(decision));
        assert_eq!(order(ruled(Ruling::Act { remedy: Remedy::Disable })).unwrap().remedy(), Remedy::Disable);
        let standing = Decision::Standing { policy: "p".into(), by: "ann".into() };
        assert!(order(standing.clone()).is_none(), "who was sent to tell changes nothing");
        assert_eq!(Errand::from_recorded(recorded(standing)).unwrap().remedy(), Remedy::Tell);
        assert!(Errand::from_recorded(recorded(ruled(Ruling::Act { remedy: Remedy::Disable }))).is_none());
        let until = Time::from_seconds(9);
        assert_eq!(order(ruled(Ruling::Contain { until: Time::from_seconds(9) })).unwrap().remedy(), Remedy::Disable);
        let guarded = |remedy| Decision::Guarded {
            id: RecordId::from_bytes([1; 16]),
            subject: RecordId::from_bytes([2; 16]),
            findings: Vec::new(),
            remedy,
            guardrail: "old keys".into(),
            purpose: Purpose::stated("nobody uses it").unwrap(),
            policy: "p".into(),
        };
        let by_guardrail: Vec<Remedy> =
            Remedy::ALL.into_iter().filter(|remedy| order(guarded(*remedy)).is_some()).collect();
        assert_eq!(by_guardrail, [Remedy::Rotate, Remedy::Disable]);
        for ruling in [
            Ruling::Accept { until, control: None },
            Ruling::Reject { until },
            Ruling::Reassign { owner: "bob".into() },
        ] {
            assert!(order(ruled(ruling)).is_none());
        }
    }

    #[test]
    fn words_of_remedies_are_their_own() {
        for remedy in Remedy::ALL {
            assert_eq!(Remedy::from_word(remedy.word()), Some(remedy));
        }
    }
}
