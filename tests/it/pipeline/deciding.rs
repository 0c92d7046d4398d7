//! From a fault to a decision and back, over a real store: who may decide, what follows in the same commit, what survives
//! a death right after it (promises 5 and 8).

use std::sync::Arc;

use provost::jobs::{
    decide::{self, DecideError, Say, Wanted},
    judge::{self, Yardstick},
};
use provost_engine::{
    Roster,
    govern::{Governance, Refusal},
    own::{People, Person},
};
use provost_model::{
    Finding, FindingState, Kind, Motion, Purpose, Record, RecordId, Remedy, Resolution, Ruling, Span, Stage, Time,
    field,
};
use provost_store::inventory::DECISIONS;

use super::script::{Desk, Lists, Nobody, realm, user_with_old_key};

const ANN: u32 = 1001;
const BOB: u32 = 1002;
const CID: u32 = 1003;

/// Two identities with a key each that is old; one may do everything.
fn looked_at(desk: &Desk) {
    let user = |id: &str, admin: bool| {
        let [user, access] = user_with_old_key(desk.house.now(), id, &format!("AKIA-{id}"));
        [user.with(field::ADMIN, admin), access]
    };
    let things = [user("plain", false), user("root-like", true)].concat();
    desk.through("test", Arc::new(Lists { realm: realm(), things }), Box::new(Nobody)).unwrap();
    let ids: Vec<RecordId> = ["plain", "root-like"].map(|it| key(desk, it).id).to_vec();
    judge::touched(&desk.house, &Yardstick::default(), &ids).unwrap();
}

fn key(desk: &Desk, user: &str) -> Record {
    desk.record(Kind::AccessKey, &format!("AKIA-{user}")).unwrap()
}

fn roster() -> Roster {
    let person = |id: &str, uid| Person { id: id.into(), uid: Some(uid), ..Person::default() };
    let persons = vec![person("ann", ANN), person("bob", BOB), person("cid", CID)];
    Roster::new(People { persons, ..People::default() }).unwrap()
}

fn purpose() -> Purpose {
    Purpose::stated("the audit of November").unwrap()
}

fn ask(desk: &Desk, uid: u32, subject: RecordId, ruling: Ruling) -> Result<Motion, DecideError> {
    let rules = vec!["cred-age".into()];
    let wanted = Wanted { subject, rules, ruling, purpose: purpose(), routine: false, emergency: false };
    let (people, governance) = (roster(), Governance::default());
    decide::Desk { house: &desk.house, people: &people, governance: &governance, uid }.ask(&wanted)
}

fn say(desk: &Desk, uid: u32, motion: &Motion, what: Say) -> Result<Motion, DecideError> {
    let (people, governance) = (roster(), Governance::default());
    decide::Desk { house: &desk.house, people: &people, governance: &governance, uid }.say(
        (motion.subject, motion.id),
        what,
        &purpose(),
    )
}

fn age_of(desk: &Desk, subject: RecordId) -> Finding {
    let all = desk.house.inventory().findings_of(subject).unwrap();
    all.into_iter().find(|it| it.rule == "CRED-AGE").unwrap()
}

fn steps(desk: &Desk) -> Vec<String> {
    let entries = desk.house.store().entries(DECISIONS, 1, 100).unwrap();
    let line = |bytes: &[u8]| {
        let said: serde_json::Value = serde_json::from_slice(bytes).unwrap();
        format!("{} by {} {}", said["what"].as_str().unwrap(), said["by"].as_str().unwrap(), said["holds"])
    };
    entries.iter().map(|entry| line(&entry.value)).collect()
}

fn refused(done: Result<Motion, DecideError>) -> Refusal {
    match done {
        Err(DecideError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

fn until(desk: &Desk, days: i64) -> Time {
    desk.house.now() + Span::days(days)
}

#[test]
fn a_risk_is_taken_until_its_date_and_is_open_again_then() {
    let desk = Desk::new();
    looked_at(&desk);
    let subject = key(&desk, "plain").id;
    let opened = age_of(&desk, subject);
    assert_eq!(opened.state, FindingState::Open);
    assert_eq!(refused(ask(&desk, 0, subject, Ruling::Reject { until: until(&desk, 30) })), Refusal::Root);
    assert_eq!(steps(&desk), [""; 0], "who may not decide leaves no trace of a decision");

    let end = until(&desk, 30);
    let held = ask(&desk, ANN, subject, Ruling::Accept { until: end, control: None }).unwrap();
    assert!(matches!(held.stage(desk.house.now()), Stage::InForce { .. }));
    let accepted = age_of(&desk, subject);
    assert_eq!((accepted.state, accepted.resolution), (FindingState::Resolved, Some(Resolution::Accepted)));
    // The daemon died right after the commit: the next turn by time alone notes when the acceptance ends.
    judge::due(&desk.house, &Yardstick::default()).unwrap();
    assert_eq!(age_of(&desk, subject).state, FindingState::Resolved);
    desk.pass(Span::days(31));
    judge::due(&desk.house, &Yardstick::default()).unwrap();
    let again = age_of(&desk, subject);
    assert_eq!((again.id, again.state, again.resolution), (opened.id, FindingState::Open, None));
    let motions = desk.house.inventory().motions_of(subject, None).unwrap();
    assert_eq!(motions[0].stage(desk.house.now()), Stage::Ended { at: end });

    // The same again is counted, and not for ever.
    for renewal in 1..=2 {
        let again = ask(&desk, ANN, subject, Ruling::Accept { until: until(&desk, 10), control: None }).unwrap();
        assert_eq!(again.renewal, renewal);
        desk.pass(Span::days(11));
        judge::due(&desk.house, &Yardstick::default()).unwrap();
    }
    let third = ask(&desk, ANN, subject, Ruling::Accept { until: until(&desk, 10), control: None });
    assert_eq!(refused(third), Refusal::Renewals(3, 2));
}

#[test]
fn what_may_do_everything_is_decided_by_three_people_and_nothing_follows_before() {
    let desk = Desk::new();
    looked_at(&desk);
    let subject = key(&desk, "root-like").id;
    let asked = ask(&desk, ANN, subject, Ruling::Accept { until: until(&desk, 30), control: None }).unwrap();
    assert_eq!(asked.stage(desk.house.now()), Stage::Asked { waits_for: 2 });
    assert!(asked.because.iter().any(|it| it.starts_with("privileged")), "{:?}", asked.because);
    assert_eq!(age_of(&desk, subject).state, FindingState::Open);
    assert_eq!(refused(say(&desk, ANN, &asked, Say::Approve)), Refusal::Asker("ann".into()));
    say(&desk, BOB, &asked, Say::Approve).unwrap();
    assert_eq!(refused(say(&desk, BOB, &asked, Say::Approve)), Refusal::Again("bob".into()));
    assert_eq!(age_of(&desk, subject).state, FindingState::Open);
    let held = say(&desk, CID, &asked, Say::Approve).unwrap();
    assert!(matches!(held.stage(desk.house.now()), Stage::InForce { .. }));
    assert_eq!(age_of(&desk, subject).resolution, Some(Resolution::Accepted));
    assert_eq!(steps(&desk), ["asked by ann false", "approved by bob false", "approved by cid true"]);

    // Taken back, it is open again; and what was taken back cannot be agreed to any more.
    say(&desk, BOB, &held, Say::Withdraw).unwrap();
    judge::due(&desk.house, &Yardstick::default()).unwrap();
    assert_eq!(age_of(&desk, subject).state, FindingState::Open);
    assert_eq!(refused(say(&desk, CID, &held, Say::Approve)), Refusal::NotAsked("withdrawn"));
    assert_eq!(refused(say(&desk, CID, &held, Say::Withdraw)), Refusal::NotInForce("withdrawn"));
    assert_eq!(steps(&desk).last().unwrap(), "withdrawn by bob false");
}

#[test]
fn a_refusal_ends_it_and_an_act_changes_nothing_by_itself() {
    let desk = Desk::new();
    looked_at(&desk);
    let subject = key(&desk, "root-like").id;
    let act = Ruling::Act { remedy: Remedy::Rotate };
    let asked = ask(&desk, ANN, subject, act.clone()).unwrap();
    let over = say(&desk, BOB, &asked, Say::Refuse).unwrap();
    assert!(matches!(over.stage(desk.house.now()), Stage::Refused { .. }));
    assert_eq!(refused(say(&desk, CID, &asked, Say::Approve)), Refusal::NotAsked("refused"));

    let plain = key(&desk, "plain").id;
    let held = ask(&desk, ANN, plain, act).unwrap();
    assert!(matches!(held.stage(desk.house.now()), Stage::InForce { .. }));
    assert_eq!(age_of(&desk, plain).state, FindingState::Open, "only a later look proves that it was done");
}

#[test]
fn who_answers_is_decided_with_the_same_trace() {
    let desk = Desk::new();
    looked_at(&desk);
    let subject = key(&desk, "root-like").id;
    let given = ask(&desk, ANN, subject, Ruling::Reassign { owner: "bob".into() }).unwrap();
    assert!(matches!(given.stage(desk.house.now()), Stage::InForce { .. }), "one person may say who answers for it");
    let word = desk.house.inventory().owner_word(subject, None).unwrap().unwrap();
    assert_eq!((word.owner.as_deref(), word.by.as_str()), (Some("bob"), "ann"));
    say(&desk, CID, &given, Say::Withdraw).unwrap();
    assert_eq!(desk.house.inventory().owner_word(subject, None).unwrap().unwrap().owner, None);
}
