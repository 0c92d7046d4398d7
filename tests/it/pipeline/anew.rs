//! What is judged by changes: every finding follows without anything being looked at, in as many turns as it takes.

use std::collections::BTreeMap;

use provost::house::House;
use provost::jobs::{
    Watcher,
    anew::{Reached, follow, holds, take_up},
    assess::{Watched, assess},
    judge::{Touched, Yardstick},
};
use provost_engine::{Owning, Policy, PolicyConfig, finding_id, source_subject};
use provost_model::{Finding, FindingState, Resolution, Span};
use provost_store::{Go, StoreError, inventory::Draft};

use super::script::{Act, Desk};

/// More than three pages.
const USERS: usize = 3200;

fn yardstick(policy: &str, owners: &[&str]) -> Yardstick {
    let config: PolicyConfig = toml::from_str(policy).unwrap();
    let tags = owners.iter().map(|it| (*it).to_owned()).collect();
    let owning = Owning { tags, ..Owning::default() };
    Yardstick { policy: Policy::new(config).unwrap(), owning, ..Yardstick::default() }
}

/// Users made 400 days ago, whose only tag is `payer`, seen and judged by the usual yardstick.
fn settled(users: usize) -> Desk {
    let desk = Desk::new();
    let usual = yardstick("", &["owner"]);
    assert_eq!(to_the_end(&desk, &usual), Reached::Now, "an empty store follows at once");
    let mut acts = vec![Act::Realm("123456789012"), Act::Begin("users")];
    acts.extend((0..users).map(|at| Act::Tagged("users", format!("u{at:04}").leak(), ("payer", "ann"))));
    acts.push(Act::Full("users"));
    desk.run(&acts);
    let mut ids = Vec::new();
    let mut each = |record: provost_model::Record, _| {
        ids.push(record.id);
        Ok(Go::On)
    };
    desk.house.inventory().each_record(None, &mut each).unwrap();
    provost::jobs::judge::touched(&desk.house, &usual, &ids).unwrap();
    desk
}

fn to_the_end(desk: &Desk, yardstick: &Yardstick) -> Reached {
    follow(&desk.house, yardstick, &mut |_| true).unwrap()
}

fn findings(desk: &Desk) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut each = |finding: Finding| {
        findings.push(finding);
        Ok(Go::On)
    };
    desk.house.inventory().each_finding(None, &mut each).unwrap();
    findings
}

/// How many findings are in which state, and why.
fn states(desk: &Desk) -> BTreeMap<(FindingState, Option<Resolution>), usize> {
    let mut states = BTreeMap::new();
    for finding in findings(desk) {
        assert_eq!(finding.rule, "OWN-NONE");
        *states.entry((finding.state, finding.resolution)).or_default() += 1;
    }
    states
}

fn commits(desk: &Desk) -> u64 {
    desk.house.store().head().unwrap().number.0
}

#[test]
fn findings_follow_thresholds_and_owner_tags_and_say_so_when_they_close() {
    let desk = settled(20);
    let open = BTreeMap::from([((FindingState::Open, None), 20)]);
    let closed = BTreeMap::from([((FindingState::Resolved, Some(Resolution::PolicyChanged)), 20)]);
    assert_eq!(states(&desk), open);
    let patient = yardstick("thresholds = { ownerless_days = 500 }", &["owner"]);
    assert!(!holds(desk.house.inventory(), &patient).unwrap());
    assert_eq!(to_the_end(&desk, &patient), Reached::Now);
    assert!(holds(desk.house.inventory(), &patient).unwrap());
    assert_eq!(states(&desk), closed, "the threshold is higher");
    assert_eq!(to_the_end(&desk, &yardstick("", &["owner"])), Reached::Now);
    assert_eq!(states(&desk), open, "and as it was");
    assert_eq!(to_the_end(&desk, &yardstick("", &["owner", "payer"])), Reached::Now);
    assert_eq!(states(&desk), closed, "another tag names an owner");
}

#[test]
fn what_did_not_change_is_not_judged_again() {
    let desk = settled(20);
    let before = commits(&desk);
    assert_eq!(to_the_end(&desk, &yardstick("", &["owner"])), Reached::Already);
    assert_eq!(to_the_end(&desk, &yardstick("thresholds = { ownerless_days = 7 }", &["owner"])), Reached::Already);
    assert_eq!(commits(&desk), before);
}

#[test]
fn a_turn_that_was_cut_goes_on_where_it_was() {
    let desk = settled(USERS);
    let patient = yardstick("thresholds = { ownerless_days = 500 }", &["owner"]);
    let cut = |pages: u64| {
        let mut asked = 0;
        let mut judged = 0;
        let reached = follow(&desk.house, &patient, &mut |done| {
            (asked, judged) = (asked + 1, done);
            asked <= pages
        });
        (reached.unwrap(), judged)
    };
    let closed = || states(&desk).get(&(FindingState::Resolved, Some(Resolution::PolicyChanged))).copied();
    let (first, judged) = cut(2);
    assert_eq!((first, closed()), (Reached::NotYet, Some(usize::try_from(judged).unwrap())));
    assert!(!holds(desk.house.inventory(), &patient).unwrap(), "not everything follows yet");
    let (second, rest) = cut(u64::MAX);
    assert_eq!((second, judged + rest), (Reached::Now, USERS as u64), "nobody is judged twice");
    assert_eq!(closed(), Some(USERS));
}

#[test]
fn a_change_that_is_taken_back_halfway_is_taken_back_everywhere() {
    let desk = settled(USERS);
    let mut asked = 0;
    let patient = yardstick("thresholds = { ownerless_days = 500 }", &["owner"]);
    let cut = follow(&desk.house, &patient, &mut |_| {
        asked += 1;
        asked <= 2
    });
    assert_eq!(cut.unwrap(), Reached::NotYet);
    assert_eq!(to_the_end(&desk, &yardstick("", &["owner"])), Reached::Now);
    assert_eq!(states(&desk), BTreeMap::from([((FindingState::Open, None), USERS)]));
}

#[test]
fn findings_of_a_rule_that_a_release_took_away_say_that_the_rule_changed() {
    let desk = settled(1);
    let standing = findings(&desk).remove(0);
    let old = |subject| Finding {
        id: finding_id("OLD-RULE", subject),
        rule: "OLD-RULE".into(),
        subject,
        state: FindingState::Open,
        ..standing.clone()
    };
    let source = source_subject("test");
    let mut draft = Draft::new(desk.house.inventory(), desk.house.now());
    draft.put_findings(standing.subject, &[old(standing.subject), standing.clone()]).unwrap();
    draft.put_findings(source, &[old(source)]).unwrap();
    draft.commit().unwrap();
    let patient = yardstick("thresholds = { grace_days = 8 }", &["owner"]);
    assert_eq!(to_the_end(&desk, &patient), Reached::Now);
    let watched = Watched { name: "test".into(), connector: "scripted".into(), period: None };
    assess(&desk.house, &patient, &watched).unwrap();
    let ends: Vec<_> = findings(&desk).into_iter().filter(|it| it.rule == "OLD-RULE").map(|it| it.resolution).collect();
    assert_eq!(ends, [Some(Resolution::RuleChanged); 2]);
    assert!(findings(&desk).iter().any(|it| it.rule == "OWN-NONE" && it.state == FindingState::Open));
    let before = commits(&desk);
    assess(&desk.house, &patient, &watched).unwrap();
    assert_eq!(commits(&desk), before, "it is withdrawn once");
}

/// A run that is cut when it should judge.
struct Cut;

impl Watcher for Cut {
    fn changed(&mut self, _: &House, _: Vec<Touched>) -> Result<(), StoreError> {
        Err(StoreError::Io(std::io::Error::other("cut")))
    }
    fn over(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
    fn progress(&mut self, _: u64, _: Option<u64>, _: &'static str) {}
    fn clock_ahead(&mut self, _: Span) {}
}

#[test]
fn what_a_cut_run_changed_is_judged_by_the_next_turn() {
    let desk = settled(0);
    let usual = yardstick("", &["owner"]);
    assert!(desk.house.inventory().unjudged().unwrap().is_empty(), "a run that ended was judged");
    let mut acts = vec![Act::Realm("123456789012"), Act::Begin("users")];
    acts.extend([Act::Tagged("users", "u1", ("payer", "ann")), Act::Full("users")]);
    assert!(desk.watched(&acts, Box::new(Cut)).is_err());
    assert_eq!(desk.house.inventory().unjudged().unwrap(), ["test"]);
    take_up(&desk.house, &|source| source == "test").unwrap();
    assert_eq!(to_the_end(&desk, &usual), Reached::Already, "a run under way judges for itself");
    take_up(&desk.house, &|_| false).unwrap();
    assert_eq!(to_the_end(&desk, &usual), Reached::Now);
    assert_eq!(states(&desk), BTreeMap::from([((FindingState::Open, None), 1)]));
    take_up(&desk.house, &|_| false).unwrap();
    assert_eq!(to_the_end(&desk, &usual), Reached::Already);
}
