//! Decisions on their way, as types: what was asked for is not in force, and only what is in force is a decision.
//! It must never take the word of nobody in particular, nor count anybody twice.

use provost_model::{
    Decision, DecisionId, FindingId, Motion, Move, Purpose, RecordId, Ruling, Span, Stage, Step, Time,
};
use thiserror::Error;

use super::{Governance, Guardrail};
use crate::own::Roster;

/// A person who may decide: of the people file, signed in as themselves, and still there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decider {
    person: String,
    uid: u32,
}

/// What somebody asks for.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its name.
    pub id: DecisionId,
    /// What it is about.
    pub subject: RecordId,
    /// The findings it answers, each with its rule.
    pub findings: Vec<(FindingId, String)>,
    /// What is to hold.
    pub ruling: Ruling,
    /// Why more people have to agree, in words; empty where nobody has to.
    pub because: Vec<String>,
    /// The person who made the subject, where that is known.
    pub creator: Option<String>,
    /// How often the same was accepted before.
    pub renewal: u32,
    /// Why.
    pub purpose: Purpose,
    /// Whether it is done without a fault, because it is time: only what acts can be.
    pub routine: bool,
}

/// A decision that waits for others to agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked(Motion);

/// A decision that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce(Motion);

/// What became of a decision by one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// It waits for others.
    Waits(Asked),
    /// It holds.
    Holds(InForce),
}

/// Why somebody may not do that.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[allow(missing_docs, reason = "each says itself in words")]
pub enum Refusal {
    #[error("root decides nothing: sign in as yourself")]
    Root,
    #[error("uid {0} is nobody of the people file: give a person there uid = {0}")]
    Nobody(u32),
    #[error("{0} has left")]
    Left(String),
    #[error("{0} is nobody of the people file")]
    Stranger(String),
    #[error("{0} has no uid in the people file: nobody signs in as {0}")]
    NoLogin(String),
    #[error("{0} asked for it: others have to agree")]
    Asker(String),
    #[error("{0} made what it is about: others have to agree")]
    Creator(String),
    #[error("{0} has agreed already")]
    Again(String),
    #[error("nothing of it stands: there is nothing to decide")]
    Nothing,
    #[error("until {0} is past")]
    Past(Time),
    #[error("a risk may be taken for {0} days at most")]
    Long(i64),
    #[error("what nobody agreed to yet may be contained for {0} hours at most")]
    Containment(i64),
    #[error("the same risk was taken {0} times already, and may be taken again {1} times: do something about it")]
    Renewals(u32, u32),
    #[error("it does not wait for anybody: it is {0}")]
    NotAsked(&'static str),
    #[error("it does not hold: it is {0}")]
    NotInForce(&'static str),
}

impl Decider {
    /// Whoever is signed in as that user. Service accounts and shared ones are nobody of a people file; root is nobody in
    /// particular.
    pub fn of(roster: &Roster, uid: u32, now: Time) -> Result<Self, Refusal> {
        if uid == 0 {
            return Err(Refusal::Root);
        }
        let person = roster.of_uid(uid).ok_or(Refusal::Nobody(uid))?;
        if person.left.is_some_and(|left| left <= now) {
            return Err(Refusal::Left(person.id.clone()));
        }
        Ok(Self { person: person.id.clone(), uid })
    }

    /// Who that is.
    pub fn person(&self) -> &str {
        &self.person
    }

    fn step(&self, what: Move, purpose: Purpose, at: Time) -> Step {
        Step { what, by: self.person.clone(), uid: self.uid, at, purpose }
    }
}

impl Next {
    /// What somebody asks for, as far as it may be asked for.
    pub fn ask(request: Request, by: &Decider, governance: &Governance, now: Time) -> Result<Self, Refusal> {
        let routine = request.routine && request.ruling.remedy().is_some();
        if request.findings.is_empty() && !routine && !matches!(request.ruling, Ruling::Reassign { .. }) {
            return Err(Refusal::Nothing);
        }
        if let Some(until) = request.ruling.silences_until() {
            if until <= now {
                return Err(Refusal::Past(until));
            }
            if until - now > Span::seconds(governance.longest_exception) {
                return Err(Refusal::Long(Span::seconds(governance.longest_exception).whole_days()));
            }
        }
        if let Ruling::Contain { until } = request.ruling {
            if until <= now {
                return Err(Refusal::Past(until));
            }
            if until - now > Span::seconds(governance.containment) {
                return Err(Refusal::Containment(governance.containment / 3_600));
            }
        }
        if matches!(request.ruling, Ruling::Accept { .. }) && request.renewal > governance.renewals {
            return Err(Refusal::Renewals(request.renewal, governance.renewals));
        }
        // Who answers for something is no act upon it, nor a risk that is taken.
        let alone = request.because.is_empty() || matches!(request.ruling, Ruling::Reassign { .. });
        let made_it =
            request.creator.as_deref() == Some(by.person()) && !matches!(request.ruling, Ruling::Reassign { .. });
        let needs = match (alone, made_it) {
            (false, _) => governance.approvals,
            // What held before anybody agreed is for somebody else to confirm.
            (true, false) if matches!(request.ruling, Ruling::Contain { .. }) => 1,
            // Somebody else has to agree to what its maker wants.
            (true, true) => 1,
            (true, false) => 0,
        };
        let motion = Motion {
            id: request.id,
            subject: request.subject,
            findings: request.findings,
            ruling: request.ruling,
            because: request.because,
            needs,
            renewal: request.renewal,
            policy: governance.digest(),
            steps: vec![by.step(Move::Asked, request.purpose, now)],
        };
        Ok(Self::of(motion))
    }

    fn of(motion: Motion) -> Self {
        if motion.agreed_at().is_some() { Self::Holds(InForce(motion)) } else { Self::Waits(Asked(motion)) }
    }

    /// The decision on its way, whichever it is.
    pub fn motion(&self) -> &Motion {
        match self {
            Next::Waits(Asked(motion)) | Next::Holds(InForce(motion)) => motion,
        }
    }
}

impl Asked {
    /// One that still waits, or holds until others agree to it.
    pub fn of(motion: Motion, now: Time) -> Result<Self, Refusal> {
        match motion.stage(now) {
            Stage::Asked { .. } => Ok(Self(motion)),
            Stage::InForce { .. } if matches!(motion.ruling, Ruling::Contain { .. }) && !motion.is_confirmed() => {
                Ok(Self(motion))
            }
            other => Err(Refusal::NotAsked(other.word())),
        }
    }

    /// Somebody agrees. `creator` is the person who made the subject, where that is known.
    pub fn approve(
        mut self,
        by: &Decider,
        (purpose, creator): (Purpose, Option<&str>),
        now: Time,
    ) -> Result<Next, Refusal> {
        self.stranger(by, creator)?;
        // What was asked for may have run out while it waited.
        if let Some(until) = self.0.ruling.silences_until().filter(|until| *until <= now) {
            return Err(Refusal::Past(until));
        }
        self.0.steps.push(by.step(Move::Approved, purpose, now));
        Ok(Next::of(self.0))
    }

    /// Somebody does not agree: it is over.
    pub fn refuse(
        mut self,
        by: &Decider,
        (purpose, creator): (Purpose, Option<&str>),
        now: Time,
    ) -> Result<Motion, Refusal> {
        self.stranger(by, creator)?;
        self.0.steps.push(by.step(Move::Refused, purpose, now));
        Ok(self.0)
    }

    /// It is not asked for any more.
    pub fn withdraw(mut self, by: &Decider, purpose: Purpose, now: Time) -> Motion {
        self.0.steps.push(by.step(Move::Withdrawn, purpose, now));
        self.0
    }

    /// Whether it is for that person to say.
    fn stranger(&self, by: &Decider, creator: Option<&str>) -> Result<(), Refusal> {
        let person = || by.person().to_owned();
        if self.0.asker() == Some(by.person()) {
            return Err(Refusal::Asker(person()));
        }
        if creator == Some(by.person()) {
            return Err(Refusal::Creator(person()));
        }
        if self.0.approvers().contains(by.person()) {
            return Err(Refusal::Again(person()));
        }
        Ok(())
    }
}

impl InForce {
    /// One that holds.
    pub fn of(motion: Motion, now: Time) -> Result<Self, Refusal> {
        match motion.stage(now) {
            Stage::InForce { .. } => Ok(Self(motion)),
            other => Err(Refusal::NotInForce(other.word())),
        }
    }

    /// What a guardrail decides, by its own word alone: for [`Guardrail::decide`], which asks whether it may.
    pub(super) fn guarded(
        (id, subject): (DecisionId, RecordId),
        (findings, ruling): (Vec<(FindingId, String)>, Ruling),
        by: &Guardrail,
        uid: u32,
        now: Time,
    ) -> Self {
        let step = Step { what: Move::Guarded, by: by.name.clone(), uid, at: now, purpose: by.purpose.clone() };
        Self(Motion {
            id,
            subject,
            findings,
            ruling,
            because: Vec::new(),
            needs: 0,
            renewal: 0,
            policy: by.digest(),
            steps: vec![step],
        })
    }

    /// The decision on its way that got there.
    pub fn motion(&self) -> &Motion {
        &self.0
    }

    /// The decision.
    pub fn decision(&self) -> Option<Decision> {
        self.0.decision()
    }

    /// The guardrail that decided it finds that it may not any more: people decide.
    pub fn give_up(mut self, uid: u32, why: Purpose, now: Time) -> Option<Motion> {
        let by = self.0.guardrail()?.to_owned();
        self.0.steps.push(Step { what: Move::Withdrawn, by, uid, at: now, purpose: why });
        Some(self.0)
    }

    /// It holds no more. Anybody who may decide may say so: what follows is that the fault is open again.
    pub fn withdraw(mut self, by: &Decider, purpose: Purpose, now: Time) -> Motion {
        self.0.steps.push(by.step(Move::Withdrawn, purpose, now));
        self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use provost_model::Remedy;

    use super::*;
    use crate::own::{People, Person};

    fn at(days: i64) -> Time {
        Time::from_seconds(0) + Span::days(days)
    }

    fn roster() -> Roster {
        let person = |id: &str, uid, left| Person { id: id.into(), uid: Some(uid), left, ..Person::default() };
        let persons = vec![
            person("ann", 1001, None),
            person("bob", 1002, None),
            person("cid", 1003, None),
            person("dan", 1004, Some(at(10))),
        ];
        Roster::new(People { persons, ..People::default() }).unwrap()
    }

    fn who(uid: u32) -> Decider {
        Decider::of(&roster(), uid, at(1)).unwrap()
    }

    fn why() -> Purpose {
        Purpose::stated("leaver").unwrap()
    }

    fn request(ruling: Ruling, because: &[&str]) -> Request {
        Request {
            id: RecordId::from_bytes([1; 16]),
            subject: RecordId::from_bytes([2; 16]),
            findings: vec![(RecordId::from_bytes([3; 16]), "CRED-STALE".into())],
            ruling,
            because: because.iter().map(|it| (*it).to_owned()).collect(),
            creator: None,
            renewal: 0,
            purpose: why(),
            routine: false,
        }
    }

    const ACT: Ruling = Ruling::Act { remedy: Remedy::Disable };

    fn ask(request: Request) -> Result<Next, Refusal> {
        Next::ask(request, &who(1001), &Governance::default(), at(1))
    }

    #[test]
    fn nobody_in_particular_decides_nothing() {
        let of = |uid, day| Decider::of(&roster(), uid, at(day));
        assert_eq!(of(0, 1), Err(Refusal::Root));
        assert_eq!(of(999, 1), Err(Refusal::Nobody(999)));
        assert_eq!(of(1004, 9).unwrap().person(), "dan");
        assert_eq!(of(1004, 10), Err(Refusal::Left("dan".into())));
    }

    #[test]
    fn far_rights_need_two_others_and_the_rest_one_person() {
        assert!(matches!(ask(request(ACT, &[])).unwrap(), Next::Holds(_)));
        let Next::Waits(asked) = ask(request(ACT, &["administrator rights"])).unwrap() else { panic!() };
        let by = |asked: &Asked, uid| asked.clone().approve(&who(uid), (why(), None), at(2));
        assert_eq!(by(&asked, 1001), Err(Refusal::Asker("ann".into())));
        let Next::Waits(once) = by(&asked, 1002).unwrap() else { panic!() };
        assert_eq!(by(&once, 1002), Err(Refusal::Again("bob".into())));
        let creator = once.clone().approve(&who(1003), (why(), Some("cid")), at(2));
        assert_eq!(creator, Err(Refusal::Creator("cid".into())));
        let Next::Holds(held) = by(&once, 1003).unwrap() else { panic!() };
        let Some(Decision::Ruled { by, .. }) = held.decision() else { panic!() };
        assert_eq!(by, ["ann", "bob", "cid"]);
        let refused = once.refuse(&who(1003), (why(), None), at(3)).unwrap();
        assert_eq!(Asked::of(refused, at(4)), Err(Refusal::NotAsked("refused")));
    }

    #[test]
    fn whoever_made_it_does_not_decide_alone() {
        let own = Request { creator: Some("ann".into()), ..request(ACT, &[]) };
        let Next::Waits(asked) = ask(own).unwrap() else { panic!() };
        assert!(matches!(asked.approve(&who(1002), (why(), Some("ann")), at(2)).unwrap(), Next::Holds(_)));
    }

    #[test]
    fn a_risk_is_taken_for_a_time_and_not_again_and_again() {
        let accept = |until| Ruling::Accept { until, control: None };
        assert_eq!(ask(request(accept(at(1)), &[])), Err(Refusal::Past(at(1))));
        assert_eq!(ask(request(accept(at(367)), &[])), Err(Refusal::Long(365)));
        assert!(ask(request(accept(at(366)), &[])).is_ok());
        let renewed = |renewal| Request { renewal, ..request(accept(at(30)), &[]) };
        assert!(ask(renewed(2)).is_ok());
        assert_eq!(ask(renewed(3)), Err(Refusal::Renewals(3, 2)));
        let nothing = Request { findings: Vec::new(), ..request(ACT, &[]) };
        assert_eq!(ask(nothing), Err(Refusal::Nothing));
        // What was waited for too long has nothing left to hold for.
        let Next::Waits(asked) = ask(request(accept(at(5)), &["administrator rights"])).unwrap() else { panic!() };
        assert_eq!(asked.approve(&who(1002), (why(), None), at(6)), Err(Refusal::Past(at(5))));
    }

    #[test]
    fn what_holds_can_be_withdrawn_once() {
        let Next::Holds(held) = ask(request(ACT, &[])).unwrap() else { panic!() };
        let withdrawn = held.withdraw(&who(1002), why(), at(2));
        assert_eq!(InForce::of(withdrawn.clone(), at(3)), Err(Refusal::NotInForce("withdrawn")));
        assert_eq!(Asked::of(withdrawn, at(3)), Err(Refusal::NotAsked("withdrawn")));
    }

    proptest! {
        /// Whatever anybody tries in whichever order: where two others have to agree, nothing holds before two did who are
        /// neither the one who asked nor each other.
        #[test]
        fn no_way_leads_past_those_who_have_to_agree(tries in prop::collection::vec((0_u32..=6, 0_u8..=2), 0..20)) {
            let uids = [0, 999, 1001, 1001, 1002, 1003, 1004];
            let mut stands = Some(match ask(request(ACT, &["administrator rights"])).unwrap() {
                Next::Waits(asked) => asked,
                Next::Holds(_) => return Err(TestCaseError::fail("it holds at once")),
            });
            let mut agreed = std::collections::BTreeSet::new();
            for (step, (who, what)) in tries.into_iter().enumerate() {
                let now = at(11 + step as i64);
                let Some(asked) = stands.take() else { break };
                let Ok(by) = Decider::of(&roster(), uids[who as usize], now) else { stands = Some(asked); continue };
                prop_assert!(by.person() != "dan", "who has left decides nothing");
                match what {
                    0 => if let Ok(motion) = asked.clone().refuse(&by, (why(), None), now) {
                        prop_assert!(motion.decision().is_none());
                        break;
                    },
                    1 => {
                        let motion = asked.clone().withdraw(&by, why(), now);
                        let withdrawn = matches!(motion.stage(now), Stage::Withdrawn { .. });
                        prop_assert!(withdrawn);
                    }
                    _ => match asked.clone().approve(&by, (why(), None), now) {
                        Ok(Next::Holds(held)) => {
                            agreed.insert(by.person().to_owned());
                            prop_assert!(agreed.len() == 2 && !agreed.contains("ann"));
                            prop_assert!(held.decision().is_some());
                            break;
                        }
                        Ok(Next::Waits(next)) => {
                            agreed.insert(by.person().to_owned());
                            prop_assert!(agreed.len() < 2);
                            stands = Some(next);
                            continue;
                        }
                        Err(_) => {}
                    },
                }
                stands = Some(asked);
            }
        }
    }
}
