//! What is wrong with a case by time alone, over a store on disk: nobody decided in time, or what was decided is over.
//! It must never need more than the daemon's own turns, nor a process that lived through it.

use std::{path::Path, sync::Arc};

use provost::jobs::{
    anew,
    decide::{self, Wanted},
    judge::{self, Yardstick},
    sources::baseline,
};
use provost_engine::{
    Roster,
    govern::{Deadlines, Governance},
    own::{People, Person},
};
use provost_model::{
    Entity, Finding, FindingState, Key, Kind, Motion, Purpose, RecordId, Remedy, Resolution, Ruling, Severity, Span,
    Status, Time, field,
};
use provost_store::{OpenOptions, inventory::BaselineState};

use super::script::{Desk, Lists, Nobody, realm};

const BREACH: &str = "GOV-SLA-BREACH";
const EXPIRED: &str = "GOV-EXC-EXPIRED";
const AGE: &str = "CRED-AGE";

/// A key that is too old, as it is shown: at work, or switched off.
fn shown(desk: &Desk, status: Status) {
    let user = Key::new(realm(), Kind::User, "plain");
    let key = Entity::new(Key::new(realm(), Kind::AccessKey, "AKIA-plain"), "AKIA-plain")
        .of(user.clone())
        .with(field::STATUS, status)
        .with(field::CREATED_AT, Time::from_seconds(1_750_000_000))
        .with(field::LAST_USED_AT, desk.house.now());
    let user = Entity::new(user, "plain").with(field::STATUS, Status::Active);
    desk.through("test", Arc::new(Lists { realm: realm(), things: vec![user, key] }), Box::new(Nobody)).unwrap();
    judge::touched(&desk.house, &Yardstick::default(), &[subject(desk)]).unwrap();
}

fn subject(desk: &Desk) -> RecordId {
    desk.record(Kind::AccessKey, "AKIA-plain").unwrap().id
}

/// What the daemon does by itself, again and again.
fn turn(desk: &Desk, yardstick: &Yardstick) {
    anew::follow(&desk.house, yardstick, &mut |_| true).unwrap();
    judge::due(&desk.house, yardstick).unwrap();
}

/// Time goes by, and the daemon has its turn.
fn later(desk: &Desk, days: i64) {
    desk.pass(Span::days(days));
    turn(desk, &Yardstick::default());
}

fn found(desk: &Desk, rule: &str) -> Option<Finding> {
    let all = desk.house.inventory().findings_of(subject(desk)).unwrap();
    all.into_iter().find(|it| it.rule == rule)
}

/// Where a finding is, if it ever was.
fn state(desk: &Desk, rule: &str) -> Option<(FindingState, Option<Resolution>)> {
    found(desk, rule).map(|it| (it.state, it.resolution))
}

const STANDS: Option<(FindingState, Option<Resolution>)> = Some((FindingState::Open, None));
const SETTLED: Option<(FindingState, Option<Resolution>)> = Some((FindingState::Resolved, Some(Resolution::Fixed)));

fn ask(desk: &Desk, ruling: Ruling) -> Motion {
    let persons = vec![Person { id: "ann".into(), uid: Some(1001), ..Person::default() }];
    let people = Roster::new(People { persons, ..People::default() }).unwrap();
    let purpose = Purpose::stated("the audit of November").unwrap();
    let wanted =
        Wanted { subject: subject(desk), rules: Vec::new(), ruling, purpose, routine: false, emergency: false };
    let desk = decide::Desk { house: &desk.house, people: &people, governance: &Governance::default(), uid: 1001 };
    desk.ask(&wanted).unwrap()
}

fn accept(desk: &Desk, days: i64) -> Motion {
    ask(desk, Ruling::Accept { until: desk.house.now() + Span::days(days), control: None })
}

fn opened(directory: &Path) -> Desk {
    Desk::over(Arc::new(provost_store::open(directory, &OpenOptions::default()).unwrap()))
}

/// The same store in another process, at the same time of day.
fn restarted(desk: Desk, directory: &Path) -> Desk {
    let (clock, now) = (desk.clock.clone(), desk.house.now());
    drop(desk);
    let again = opened(directory);
    again.pass(now - again.house.now());
    drop(clock);
    again
}

/// A key that is too old and found by a look that was not the first.
fn begun(directory: &Path) -> Desk {
    let desk = opened(directory);
    shown(&desk, Status::Inactive);
    baseline(&desk.house, "test", BaselineState::Working, "all of it").unwrap();
    turn(&desk, &Yardstick::default());
    shown(&desk, Status::Active);
    assert_eq!(state(&desk, AGE), STANDS);
    let severity = found(&desk, AGE).unwrap().severity;
    assert_eq!(severity, Severity::Medium, "thirty days by the usual way to govern");
    desk
}

#[test]
fn what_nobody_decided_in_time_is_a_fault_of_the_case_until_somebody_does() {
    let home = tempfile::tempdir().unwrap();
    let desk = begun(home.path());
    later(&desk, 29);
    assert_eq!(state(&desk, BREACH), None);
    // Nobody is there when the time has come.
    let desk = restarted(desk, home.path());
    later(&desk, 2);
    assert_eq!(state(&desk, BREACH), STANDS);
    let breach = found(&desk, BREACH).unwrap();
    assert_eq!((breach.severity, breach.baseline), (Severity::High, false));
    assert!(breach.because.ends_with("1 day ago; nobody decided"), "{}", breach.because);
    // Judged as a record, it is neither withdrawn nor changed.
    assert_eq!(judge::touched(&desk.house, &Yardstick::default(), &[subject(&desk)]).unwrap(), 0);

    // That it is to be done is no answer before it is; that the risk is taken is one.
    let act = ask(&desk, Ruling::Act { remedy: Remedy::Rotate });
    assert!(act.findings.iter().all(|(_, rule)| rule != BREACH), "a case is answered by answering its faults");
    turn(&desk, &Yardstick::default());
    let words = found(&desk, BREACH).unwrap().because;
    assert!(words.contains("rotate was decided on ") && words.ends_with("and is not done"), "{words}");
    accept(&desk, 10);
    let desk = restarted(desk, home.path());
    turn(&desk, &Yardstick::default());
    assert_eq!(state(&desk, BREACH), SETTLED);
}

#[test]
fn what_is_overdue_is_settled_by_the_end_of_the_fault() {
    let home = tempfile::tempdir().unwrap();
    let desk = begun(home.path());
    later(&desk, 31);
    assert_eq!(state(&desk, BREACH), STANDS);
    shown(&desk, Status::Inactive);
    assert_eq!((state(&desk, AGE), state(&desk, BREACH)), (SETTLED, SETTLED), "in one commit");
}

#[test]
fn what_a_first_look_found_is_not_overdue_before_somebody_says_that_it_counts() {
    let desk = Desk::new();
    shown(&desk, Status::Active);
    assert!(found(&desk, AGE).unwrap().baseline);
    later(&desk, 300);
    assert_eq!(state(&desk, BREACH), None);
    baseline(&desk.house, "test", BaselineState::Working, "all of it").unwrap();
    later(&desk, 29);
    assert_eq!(state(&desk, BREACH), None, "it counts from then on");
    later(&desk, 2);
    assert_eq!(state(&desk, BREACH), STANDS);
    baseline(&desk.house, "test", BaselineState::Accepted, "after all").unwrap();
    turn(&desk, &Yardstick::default());
    assert_eq!(state(&desk, BREACH), Some((FindingState::Resolved, Some(Resolution::PolicyChanged))));
}

#[test]
fn another_deadline_judges_anew() {
    let desk = Desk::new();
    shown(&desk, Status::Inactive);
    baseline(&desk.house, "test", BaselineState::Working, "all of it").unwrap();
    shown(&desk, Status::Active);
    later(&desk, 6);
    assert_eq!(state(&desk, BREACH), None);
    let usual = Governance::default();
    let deadlines = Deadlines { medium: 5 * 86_400, high: 5 * 86_400, ..usual.deadlines };
    turn(&desk, &Yardstick { governance: Governance { deadlines, ..usual }, ..Yardstick::default() });
    assert_eq!(state(&desk, BREACH), STANDS);
    turn(&desk, &Yardstick::default());
    assert_eq!(state(&desk, BREACH), Some((FindingState::Resolved, Some(Resolution::PolicyChanged))));
}

#[test]
fn a_risk_whose_date_is_past_is_a_fault_of_the_case_until_it_is_taken_anew_or_mended() {
    let home = tempfile::tempdir().unwrap();
    let desk = begun(home.path());
    accept(&desk, 20);
    later(&desk, 19);
    assert_eq!((state(&desk, EXPIRED), found(&desk, AGE).unwrap().state), (None, FindingState::Resolved));
    let desk = restarted(desk, home.path());
    later(&desk, 2);
    assert_eq!((state(&desk, AGE), state(&desk, EXPIRED)), (STANDS, STANDS));
    let words = found(&desk, EXPIRED).unwrap().because;
    assert!(words.starts_with("the risk was taken until ") && words.ends_with(": CRED-AGE"), "{words}");

    let renewed = accept(&desk, 5);
    assert_eq!(renewed.renewal, 1);
    turn(&desk, &Yardstick::default());
    assert_eq!(state(&desk, EXPIRED), SETTLED, "taken anew");
    let desk = restarted(desk, home.path());
    later(&desk, 6);
    assert_eq!((state(&desk, AGE), state(&desk, EXPIRED)), (STANDS, STANDS), "and over again");
    shown(&desk, Status::Inactive);
    assert_eq!((state(&desk, AGE), state(&desk, EXPIRED)), (SETTLED, SETTLED), "mended");
    shown(&desk, Status::Active);
    assert_eq!(
        (state(&desk, AGE), state(&desk, EXPIRED)),
        (STANDS, SETTLED),
        "another fault than the one that was taken"
    );
}
