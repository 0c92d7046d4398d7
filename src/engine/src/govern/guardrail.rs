//! Guardrails: classes of small decisions that can be taken back, which a policy takes by itself and people hear of afterwards.
//! It must never decide about far rights, nor about rights nobody has read, nor over anybody's word.

use provost_model::{
    DecisionId, Finding, FindingState, Kind, Motion, Presence, Purpose, Reading, Record, Remedy, Ruling, Span, Time,
    field,
};
use serde::Serialize;
use thiserror::Error;

use super::{Refusal, answers, motion::InForce};
use crate::{
    environment::environment_of,
    own::Roster,
    rules::is_about_cases,
    severity::{Raiser, raisers},
    thresholds::digest_of,
};

/// A class of decisions that policy takes by itself. Everything said must hold; of a list, one of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Guardrail {
    /// Its name.
    pub name: String,
    /// Whether it decides; until then it shows what it would decide.
    pub enabled: bool,
    /// What it decides: something that can be taken back.
    pub remedy: Remedy,
    /// About faults of these rules.
    pub rules: Vec<String>,
    /// Of these kinds of things; any if there are none.
    pub kinds: Vec<Kind>,
    /// Seen by one of these sources; any if there are none.
    pub sources: Vec<String>,
    /// What is known to belong to production, too.
    pub production: bool,
    /// How long a fault stands before: people come first.
    pub after: i64,
    /// How often it decides within a day at most.
    pub a_day: usize,
    /// The person of the people file who answers for what it decides.
    pub answers: String,
    /// Why, in that person's words.
    pub purpose: Purpose,
}

/// A subject as a guardrail sees it.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// What it is about.
    pub record: &'a Record,
    /// The identity it belongs to, where it is known.
    pub identity: Option<&'a Record>,
    /// Its findings.
    pub findings: &'a [Finding],
    /// What was asked for and decided about it before.
    pub motions: &'a [Motion],
    /// The sources that see it.
    pub sources: &'a [String],
    /// Who answers for it.
    pub owner: Option<&'a str>,
    /// The person who made it, where that is known.
    pub creator: Option<&'a str>,
}

/// Since when the deadline of a finding runs.
type Runs<'a> = dyn Fn(&Finding) -> Option<Time> + 'a;

/// Why a guardrail leaves something to people.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[allow(missing_docs, reason = "each says itself in words")]
pub enum Left {
    #[error("{0}")]
    FarRights(String),
    #[error("whether it has far rights is not known")]
    RightsUnknown,
    #[error("it belongs to {0}")]
    Production(String),
    #[error("a first complete run found it, and nobody said that it is to be worked off")]
    Baseline,
    #[error("it is not there any more, or not watched")]
    Away,
    #[error("the fault can be neither confirmed nor refuted since {0}")]
    Unconfirmed(Time),
    #[error("nobody answers for it")]
    Unowned,
    #[error("it was decided about before: {0}")]
    Decided(&'static str),
    #[error("{0}, who answers for the guardrail, made it")]
    Maker(String),
    #[error("nobody can answer for the guardrail: {0}")]
    NobodyAnswers(Refusal),
    #[error("{0}")]
    NoHand(String),
    #[error("people have until {0}")]
    Early(Time),
    #[error("it has decided {0} times today")]
    Daily(usize),
}

impl Guardrail {
    /// Digest of all of it: the version of the policy that a decision names.
    pub fn digest(&self) -> String {
        digest_of(self)
    }

    /// The faults of a subject that it is about, if it is about the subject at all.
    pub fn meant<'a>(&self, seen: &Seen<'a>) -> Vec<&'a Finding> {
        let of_kind = self.kinds.is_empty() || self.kinds.contains(&seen.record.kind);
        let of_source = self.sources.is_empty() || seen.sources.iter().any(|source| self.sources.contains(source));
        let is_fault = |it: &&Finding| {
            it.state == FindingState::Open && !is_about_cases(&it.rule) && self.rules.contains(&it.rule)
        };
        if of_kind && of_source { seen.findings.iter().filter(is_fault).collect() } else { Vec::new() }
    }

    /// What it decides about a subject, or why it leaves that to people; `None` if it is not about it. `runs` says since when the
    /// deadline of a finding runs; `today` how often the guardrail has decided within a day.
    pub fn decide(
        &self,
        (id, uid): (DecisionId, u32),
        seen: &Seen<'_>,
        (people, runs): (&Roster, &Runs<'_>),
        (today, now): (usize, Time),
    ) -> Option<Result<InForce, Left>> {
        let faults = self.meant(seen);
        let stands_since = faults.iter().map(|it| it.opened_at).max()?;
        let left = || -> Result<(), Left> {
            if seen.record.presence() != Presence::Present {
                return Err(Left::Away);
            }
            rights_are_near(seen.record, seen.identity)?;
            let prod = [Some(seen.record), seen.identity].into_iter().flatten().find_map(environment_of);
            if let Some(prod) = prod.filter(|it| it.is_prod() && !self.production) {
                return Err(Left::Production(prod.because));
            }
            self.somebody_answers(people, now)?;
            if seen.creator == Some(self.answers.as_str()) {
                return Err(Left::Maker(self.answers.clone()));
            }
            if seen.owner.is_none() {
                return Err(Left::Unowned);
            }
            // Whatever was said about what stands now was said by somebody, or is this guardrail's own word, which was taken back or
            // did not help.
            let about = |motion: &&Motion| {
                !matches!(motion.ruling, Ruling::Reassign { .. }) && answers(motion, faults.iter().copied())
            };
            let before = seen.motions.iter().rev().find(about);
            if let Some(before) = before {
                return Err(Left::Decided(before.stage(now).word()));
            }
            if let Some(since) = faults.iter().find_map(|it| it.unconfirmed_since) {
                return Err(Left::Unconfirmed(since));
            }
            if faults.iter().any(|it| runs(it).is_none()) {
                return Err(Left::Baseline);
            }
            let from = stands_since + Span::seconds(self.after);
            if from > now {
                return Err(Left::Early(from));
            }
            if today >= self.a_day {
                return Err(Left::Daily(today));
            }
            Ok(())
        };
        Some(left().map(|()| {
            let findings = faults.iter().map(|it| (it.id, it.rule.clone())).collect();
            let ruling = Ruling::Act { remedy: self.remedy };
            InForce::guarded((id, seen.record.id), (findings, ruling), self, uid, now)
        }))
    }

    /// Whether the person who is to answer for it can.
    pub fn somebody_answers(&self, people: &Roster, now: Time) -> Result<(), Left> {
        let nobody = |refusal| Err(Left::NobodyAnswers(refusal));
        match people.of_id(&self.answers) {
            None => nobody(Refusal::Stranger(self.answers.clone())),
            Some(person) if person.uid.is_none() => nobody(Refusal::NoLogin(self.answers.clone())),
            Some(person) if person.left.is_some_and(|left| left <= now) => nobody(Refusal::Left(self.answers.clone())),
            Some(_) => Ok(()),
        }
    }
}

/// Whether neither a record nor the identity behind it has far rights or was exposed, as far as that is known; what is not known
/// is not near.
pub fn rights_are_near(record: &Record, identity: Option<&Record>) -> Result<(), Left> {
    let far = |it: &Raiser| matches!(it, Raiser::Privileged(_) | Raiser::Leaked(_));
    if let Some(raiser) = raisers(record, identity).iter().find(|it| far(it)) {
        return Err(Left::FarRights(raiser.words()));
    }
    // A credential has the rights of its identity; one whose identity was not seen may have any.
    let holder = match (&record.identity, identity) {
        (Some(_), None) => return Err(Left::RightsUnknown),
        (_, identity) => identity.unwrap_or(record),
    };
    match holder.get(field::ADMIN) {
        Reading::Known(false) => Ok(()),
        _ => Err(Left::RightsUnknown),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use provost_model::{Decision, Move, RecordId, Severity, Stage};

    use super::*;
    use crate::{
        own::{People, Person},
        rules::{fault, sample},
    };

    fn at(days: i64) -> Time {
        Time::from_seconds(0) + Span::days(days)
    }

    fn people() -> Roster {
        let person = |id: &str, uid, left| Person { id: id.into(), uid, left, ..Person::default() };
        let persons =
            vec![person("ann", Some(1001), None), person("bob", None, None), person("cid", Some(1003), Some(at(3)))];
        Roster::new(People { persons, ..People::default() }).unwrap()
    }

    fn guardrail() -> Guardrail {
        Guardrail {
            name: "unused".into(),
            enabled: true,
            remedy: Remedy::Disable,
            rules: vec!["CRED-STALE".into()],
            kinds: vec![Kind::AccessKey],
            sources: vec!["aws".into()],
            production: false,
            after: 86_400,
            a_day: 5,
            answers: "ann".into(),
            purpose: Purpose::stated("nobody uses them").unwrap(),
        }
    }

    fn finding(rule: &str) -> Finding {
        let id = RecordId::from_bytes([1; 16]);
        Finding { id, ..fault(rule, Severity::Medium, at(1)) }
    }

    /// Everything that a guardrail is told, so that a test can change one of it.
    struct World {
        by: Guardrail,
        record: Record,
        identity: Option<Record>,
        findings: Vec<Finding>,
        motions: Vec<Motion>,
        owner: Option<&'static str>,
        creator: Option<&'static str>,
        today: usize,
        worked: bool,
        day: i64,
    }

    impl World {
        fn new() -> Self {
            let user = sample::record(Kind::User).with(field::ADMIN, false).build();
            Self {
                by: guardrail(),
                record: sample::key().build(),
                identity: Some(user),
                findings: vec![finding("CRED-STALE"), finding("CRED-AGE")],
                motions: Vec::new(),
                owner: Some("payments"),
                creator: None,
                today: 0,
                worked: true,
                day: 2,
            }
        }

        fn decide(&self) -> Option<Result<InForce, Left>> {
            let seen = Seen {
                record: &self.record,
                identity: self.identity.as_ref(),
                findings: &self.findings,
                motions: &self.motions,
                sources: &["aws".to_owned()],
                owner: self.owner,
                creator: self.creator,
            };
            let runs = |it: &Finding| self.worked.then_some(it.opened_at);
            let name = (RecordId::from_bytes([9; 16]), 997);
            self.by.decide(name, &seen, (&people(), &runs), (self.today, at(self.day)))
        }

        fn left(&self) -> String {
            self.decide().unwrap().unwrap_err().to_string()
        }
    }

    #[test]
    fn it_decides_what_it_is_about_in_its_own_name() {
        let held = World::new().decide().unwrap().unwrap();
        let motion = held.motion();
        assert_eq!(motion.guardrail(), Some("unused"));
        assert_eq!((motion.steps[0].uid, motion.steps[0].what), (997, Move::Guarded));
        assert_eq!(motion.findings, [(RecordId::from_bytes([1; 16]), "CRED-STALE".to_owned())]);
        assert_eq!(motion.policy, guardrail().digest());
        let Some(Decision::Guarded { remedy, guardrail, .. }) = held.decision() else { panic!() };
        assert_eq!((remedy, guardrail.as_str()), (Remedy::Disable, "unused"));
        let given_up = held.give_up(997, Purpose::stated("far rights").unwrap(), at(3)).unwrap();
        assert!(matches!(given_up.stage(at(4)), Stage::Withdrawn { .. }));
    }

    #[test]
    fn what_it_is_not_about_it_says_nothing_of() {
        for change in [
            (|it: &mut World| it.findings.remove(0).state = FindingState::Open) as fn(&mut World),
            |it| it.findings[0].state = FindingState::Resolved,
            |it| it.by.kinds = vec![Kind::Token],
            |it| it.by.sources = vec!["github".into()],
        ] {
            let mut world = World::new();
            change(&mut world);
            assert!(world.decide().is_none());
        }
    }

    #[test]
    fn each_reason_leaves_it_to_people() {
        let user = || sample::record(Kind::User);
        type Change = Box<dyn Fn(&mut World)>;
        let cases: Vec<(Change, &str)> = vec![
            (Box::new(move |it| it.identity = Some(user().with(field::ADMIN, true).build())), "privileged"),
            (Box::new(move |it| it.identity = Some(user().build())), "not known"),
            (
                Box::new(move |it| it.identity = Some(user().with(field::ADMIN, Reading::NotPermitted).build())),
                "not known",
            ),
            (Box::new(|it| it.identity = None), "not known"),
            (
                Box::new(move |it| {
                    let prod = user().with(field::ADMIN, false).with(field::ENVIRONMENT, "prod".to_owned());
                    it.identity = Some(prod.build());
                }),
                "environment prod",
            ),
            (Box::new(|it| it.worked = false), "first complete run"),
            (Box::new(|it| it.owner = None), "nobody answers for it"),
            (Box::new(|it| it.creator = Some("ann")), "made it"),
            (Box::new(|it| it.by.answers = "eve".into()), "nobody of the people file"),
            (Box::new(|it| it.by.answers = "bob".into()), "nobody signs in as bob"),
            (
                Box::new(|it| {
                    it.by.answers = "cid".into();
                    it.day = 3;
                }),
                "cid has left",
            ),
            (Box::new(|it| it.findings[0].opened_at = at(2)), "people have until 1970-01-04"),
            (Box::new(|it| it.findings[0].unconfirmed_since = Some(at(2))), "neither confirmed nor refuted"),
            (Box::new(|it| it.today = 5), "5 times today"),
        ];
        for (change, said) in cases {
            let mut world = World::new();
            change(&mut world);
            let left = world.left();
            assert!(left.contains(said), "{said}: {left}");
        }
    }

    #[test]
    fn production_is_decided_about_only_where_it_is_said() {
        let mut world = World::new();
        let prod = sample::record(Kind::User).with(field::ADMIN, false).with(field::ENVIRONMENT, "prod".to_owned());
        world.identity = Some(prod.build());
        world.by.production = true;
        assert!(world.decide().unwrap().is_ok());
    }

    #[test]
    fn once_anybody_said_something_about_it_it_is_theirs() {
        let mut world = World::new();
        let decided = world.decide().unwrap().unwrap();
        world.motions = vec![decided.motion().clone()];
        assert!(world.left().ends_with("in_force"), "its own word counts too");
        world.motions = decided.give_up(997, Purpose::stated("x").unwrap(), at(2)).into_iter().collect();
        assert!(world.left().ends_with("withdrawn"));
        // Who answers for it was no word about the fault, and what came up after that is another fault.
        world.motions[0].ruling = Ruling::Reassign { owner: "bob".into() };
        assert!(world.decide().unwrap().is_ok());
        world.motions[0].ruling = Ruling::Act { remedy: Remedy::Rotate };
        (world.findings[0].opened_at, world.day) = (at(3), 5);
        assert!(world.decide().unwrap().is_ok());
    }

    proptest! {
        /// Whatever is known or not of rights: only where they are known to be near does a guardrail decide.
        #[test]
        fn it_never_decides_where_rights_are_far_or_unknown(
            own in prop::sample::select(vec![0_u8, 1, 2, 3]), of_identity in prop::sample::select(vec![0_u8, 1, 2, 3, 4]),
        ) {
            let admin = |what| match what {
                0 => Reading::Known(true),
                1 => Reading::Known(false),
                2 => Reading::NotPermitted,
                _ => Reading::NotReported,
            };
            let user = sample::record(Kind::User).with(field::ADMIN, admin(of_identity)).build();
            let mut world = World::new();
            world.record = sample::key().with(field::ADMIN, admin(own)).build();
            world.identity = (of_identity != 4).then_some(user);
            let near = own != 0 && of_identity == 1;
            prop_assert_eq!(world.decide().unwrap().is_ok(), near);
        }
    }
}
