//! A decision on its way: who asked for it, who agreed, and whether it holds.
//! It must never forget a step, nor hold by silence.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{Decision, DecisionId, FindingId, Purpose, RecordId, Ruling, Time};

/// A decision that was asked for, with everything that happened to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Motion {
    /// Its name, and that of the decision it becomes.
    pub id: DecisionId,
    /// The record, source or store it is about, as findings name it.
    pub subject: RecordId,
    /// The findings it answers, each with its rule.
    pub findings: Vec<(FindingId, String)>,
    /// What is to hold.
    pub ruling: Ruling,
    /// Why two more people are needed, in words; empty where nobody is.
    pub because: Vec<String>,
    /// How many people beside whoever asked have to agree.
    pub needs: u8,
    /// How often the same was accepted before.
    pub renewal: u32,
    /// Digest of the policy it was asked for under.
    pub policy: String,
    /// What happened, the oldest first. The first is that it was asked for.
    pub steps: Vec<Step>,
}

/// One thing that happened to a decision on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What.
    pub what: Move,
    /// The person of the people file; the guardrail's name where a guardrail decided.
    pub by: String,
    /// The user of this machine that the person was signed in as; the daemon's own where a guardrail decided.
    pub uid: u32,
    /// When.
    pub at: Time,
    /// Why.
    pub purpose: Purpose,
}

/// What can happen to a decision on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Move {
    /// Somebody asked for it.
    Asked,
    /// Somebody agreed.
    Approved,
    /// Somebody who may agree does not: it is over.
    Refused,
    /// It holds no more, or is not asked for any more.
    Withdrawn,
    /// A guardrail of the configuration decided it.
    Guarded,
}

/// Where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It waits for so many people more.
    Asked {
        /// How many.
        waits_for: u8,
    },
    /// It holds.
    InForce {
        /// Since when.
        since: Time,
    },
    /// It held until its date.
    Ended {
        /// Which was then.
        at: Time,
    },
    /// Somebody refused it.
    Refused {
        /// When.
        at: Time,
    },
    /// It was withdrawn.
    Withdrawn {
        /// When.
        at: Time,
    },
}

impl Move {
    /// The word used in interfaces.
    pub fn word(self) -> &'static str {
        match self {
            Move::Asked => "asked",
            Move::Approved => "approved",
            Move::Refused => "refused",
            Move::Withdrawn => "withdrawn",
            Move::Guarded => "guarded",
        }
    }
}

impl Stage {
    /// The word used in interfaces.
    pub fn word(self) -> &'static str {
        match self {
            Stage::Asked { .. } => "asked",
            Stage::InForce { .. } => "in_force",
            Stage::Ended { .. } => "ended",
            Stage::Refused { .. } => "refused",
            Stage::Withdrawn { .. } => "withdrawn",
        }
    }
}

impl Motion {
    /// Whoever asked for it.
    pub fn asker(&self) -> Option<&str> {
        self.steps.first().map(|step| step.by.as_str())
    }

    /// The guardrail that decided it, if one did.
    pub fn guardrail(&self) -> Option<&str> {
        self.steps.first().filter(|step| step.what == Move::Guarded).map(|step| step.by.as_str())
    }

    /// Whoever agreed, beside whoever asked: each once.
    pub fn approvers(&self) -> BTreeSet<&str> {
        let agreed = self.steps.iter().filter(|step| step.what == Move::Approved).map(|step| step.by.as_str());
        agreed.filter(|by| Some(*by) != self.asker()).collect()
    }

    /// Since when enough people have agreed, if they have.
    pub fn agreed_at(&self) -> Option<Time> {
        let first = self.steps.first()?;
        let mut agreed = BTreeSet::new();
        // What is contained holds at once; whether others agree is for them to say until it ends.
        let at_once = self.needs == 0 || matches!(self.ruling, Ruling::Contain { .. });
        let mut enough = at_once.then_some(first.at);
        for step in self.steps.iter().filter(|step| step.what == Move::Approved && step.by != first.by) {
            agreed.insert(step.by.as_str());
            if enough.is_none() && agreed.len() >= usize::from(self.needs) {
                enough = Some(step.at);
            }
        }
        enough
    }

    /// Whether enough others have agreed to what held at once.
    pub fn is_confirmed(&self) -> bool {
        self.approvers().len() >= usize::from(self.needs)
    }

    /// When it ends by itself, if it does.
    pub fn ends_at(&self) -> Option<Time> {
        match self.ruling {
            Ruling::Contain { until } => (!self.is_confirmed()).then_some(until),
            _ => self.ruling.silences_until(),
        }
    }

    /// Where it stands.
    pub fn stage(&self, now: Time) -> Stage {
        let last = |what| self.steps.iter().rev().find(|step| step.what == what).map(|step| step.at);
        if let Some(at) = last(Move::Withdrawn) {
            return Stage::Withdrawn { at };
        }
        if let Some(at) = last(Move::Refused) {
            return Stage::Refused { at };
        }
        match (self.agreed_at(), self.ends_at()) {
            (Some(_), Some(until)) if until <= now => Stage::Ended { at: until },
            (Some(since), _) => Stage::InForce { since },
            (None, _) => {
                let agreed = u8::try_from(self.approvers().len()).unwrap_or(u8::MAX);
                Stage::Asked { waits_for: self.needs.saturating_sub(agreed) }
            }
        }
    }

    /// The decision it is once it holds; nothing before.
    pub fn decision(&self) -> Option<Decision> {
        self.agreed_at()?;
        let asked = self.steps.first()?;
        let findings = self.findings.iter().map(|(id, _)| *id).collect();
        if let Some(guardrail) = self.guardrail() {
            return Some(Decision::Guarded {
                id: self.id,
                subject: self.subject,
                findings,
                remedy: self.ruling.remedy()?,
                guardrail: guardrail.to_owned(),
                purpose: asked.purpose.clone(),
                policy: self.policy.clone(),
            });
        }
        let by = std::iter::once(asked.by.as_str()).chain(self.approvers()).map(str::to_owned);
        Some(Decision::Ruled {
            id: self.id,
            subject: self.subject,
            findings,
            ruling: self.ruling.clone(),
            by: by.collect(),
            purpose: asked.purpose.clone(),
            policy: self.policy.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Remedy;

    fn motion(needs: u8, steps: &[(Move, &str)], ruling: Ruling) -> Motion {
        let steps = steps.iter().enumerate().map(|(at, (what, by))| Step {
            what: *what,
            by: (*by).to_owned(),
            uid: 1000,
            at: Time::from_seconds(at as i64 + 1),
            purpose: Purpose::stated("leaver").unwrap(),
        });
        Motion {
            id: RecordId::from_bytes([1; 16]),
            subject: RecordId::from_bytes([2; 16]),
            findings: vec![(RecordId::from_bytes([3; 16]), "CRED-STALE".into())],
            ruling,
            because: Vec::new(),
            needs,
            renewal: 0,
            policy: "p".into(),
            steps: steps.collect(),
        }
    }

    const ACT: Ruling = Ruling::Act { remedy: Remedy::Disable };

    fn at(seconds: i64) -> Time {
        Time::from_seconds(seconds)
    }

    #[test]
    fn it_holds_once_enough_others_agree_each_counted_once() {
        use Move::{Approved, Asked};
        let now = at(100);
        assert_eq!(motion(0, &[(Asked, "ann")], ACT).stage(now), Stage::InForce { since: at(1) });
        let table = [
            (vec![(Asked, "ann")], Stage::Asked { waits_for: 2 }),
            (vec![(Asked, "ann"), (Approved, "ann"), (Approved, "ann")], Stage::Asked { waits_for: 2 }),
            (vec![(Asked, "ann"), (Approved, "bob"), (Approved, "bob")], Stage::Asked { waits_for: 1 }),
            (vec![(Asked, "ann"), (Approved, "bob"), (Approved, "cid")], Stage::InForce { since: at(3) }),
        ];
        for (steps, stage) in table {
            let motion = motion(2, &steps, ACT);
            assert_eq!(motion.stage(now), stage, "{steps:?}");
            assert_eq!(motion.decision().is_some(), matches!(stage, Stage::InForce { .. }), "{steps:?}");
        }
    }

    #[test]
    fn what_is_contained_holds_at_once_and_ends_unless_others_agree_in_time() {
        use Move::{Approved, Asked};
        let contain = Ruling::Contain { until: at(50) };
        let alone = motion(2, &[(Asked, "ann"), (Approved, "ann"), (Approved, "bob")], contain.clone());
        assert_eq!(alone.stage(at(49)), Stage::InForce { since: at(1) });
        assert_eq!(alone.stage(at(50)), Stage::Ended { at: at(50) });
        let confirmed = motion(2, &[(Asked, "ann"), (Approved, "bob"), (Approved, "cid")], contain);
        assert_eq!(confirmed.stage(at(99)), Stage::InForce { since: at(1) });
    }

    #[test]
    fn what_was_refused_or_withdrawn_holds_no_more_and_an_acceptance_ends() {
        use Move::{Asked, Refused, Withdrawn};
        let until = at(50);
        let accept = Ruling::Accept { until, control: None };
        let held = motion(0, &[(Asked, "ann")], accept.clone());
        assert_eq!(held.stage(at(49)), Stage::InForce { since: at(1) });
        assert_eq!(held.stage(until), Stage::Ended { at: until });
        let withdrawn = motion(0, &[(Asked, "ann"), (Withdrawn, "bob")], accept);
        assert_eq!(withdrawn.stage(at(10)), Stage::Withdrawn { at: at(2) });
        assert_eq!(motion(1, &[(Asked, "ann"), (Refused, "bob")], ACT).stage(at(9)), Stage::Refused { at: at(2) });
    }
}
