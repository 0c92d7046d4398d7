//! What policy decides by itself, over a real store: what it is about and nothing else, told and taken back as people's decisions
//! are (promise 5). It must never let a guardrail decide what a person would not be let decide alone.

use provost::jobs::{decide::Say, guard, judge};
use provost_engine::govern::Left;
use provost_model::{Kind, Motion, Phase, Reading, RecordId, Remedy, Ruling, Saga, Span, Stage, field};
use provost_store::{Go, inventory::GUARD_QUEUE};

use super::{
    rotating::{ANN, BOB, Floor, faults::behind, world::World},
    script::{Lists, Nobody, realm, user_with_old_key},
};

const CONFIG: &str = "[[guardrails]]\nname = \"old-keys\"\nenabled = true\nremedy = \"rotate\"\nrules = [\"CRED-AGE\"]\n\
    answers = \"ann\"\npurpose = \"old keys are rotated\"\nper_day = 2\n";

/// A user with an old key, and what is known of its rights.
struct User {
    name: &'static str,
    admin: Reading<bool>,
    owned: bool,
}

fn plain(name: &'static str) -> User {
    User { name, admin: Reading::Known(false), owned: true }
}

fn floor(world: &World, config: &str) -> Floor {
    let floor = Floor::new(config, &[], |_, faults| behind(&world.hand(true), faults));
    // What a first complete run finds is nobody's to work off until somebody says so.
    looked_at(&floor, &[]);
    floor
}

/// Looks at these users, and judges them.
fn looked_at(floor: &Floor, users: &[User]) {
    let things = users.iter().flat_map(|user| {
        let [it, access] = user_with_old_key(floor.now(), user.name, &called(user.name));
        let it = it.with(field::ADMIN, user.admin);
        let tags: std::collections::BTreeMap<String, String> = [("owner".to_owned(), "bob".to_owned())].into();
        [if user.owned { it.with(field::TAGS, tags) } else { it }, access]
    });
    let lists = Lists { realm: realm(), things: things.collect() };
    floor.desk.through("test", std::sync::Arc::new(lists), Box::new(Nobody)).unwrap();
    let ids: Vec<RecordId> = users.iter().map(|user| key(floor, user.name)).collect();
    judge::touched(&floor.desk.house, &floor.wiring.yardstick, &ids).unwrap();
}

fn called(user: &str) -> String {
    format!("AKIA-{user}")
}

fn key(floor: &Floor, user: &str) -> RecordId {
    floor.desk.record(Kind::AccessKey, &called(user)).unwrap().id
}

fn turn(floor: &Floor) -> u64 {
    guard::turn(&floor.desk.house, &floor.wiring).unwrap()
}

fn motions(floor: &Floor, user: &str) -> Vec<Motion> {
    floor.desk.house.inventory().motions_of(key(floor, user), None).unwrap()
}

/// What it would make of each key: its name and why it leaves it to people.
fn would(floor: &Floor) -> Vec<(String, Option<Left>)> {
    let mut all = Vec::new();
    let by = &floor.wiring.config.guardrails[0];
    guard::would((&floor.desk.house, &floor.wiring), by, &mut |it| {
        all.push((it.record.name(), it.left));
        Go::On
    })
    .unwrap();
    all.sort_by(|one, other| one.0.cmp(&other.0));
    all
}

#[test]
fn what_policy_decides_is_carried_out_recorded_told_and_can_be_taken_back() {
    let world = World::new(&called("a"));
    let mut floor = floor(&world, CONFIG);
    looked_at(&floor, &[plain("a")]);
    assert_eq!(turn(&floor), 0, "people have a day first");
    assert_eq!(would(&floor)[0].1.as_ref().map(|it| matches!(it, Left::Early(_))), Some(true));
    floor.desk.pass(Span::days(1));
    assert_eq!(would(&floor), [(called("a"), None)]);
    assert_eq!((turn(&floor), turn(&floor)), (1, 0), "once");
    let motion = motions(&floor, "a").remove(0);
    assert_eq!((motion.guardrail(), motion.findings[0].1.as_str()), (Some("old-keys"), "CRED-AGE"));
    assert_eq!(would(&floor), [(called("a"), Some(Left::Decided("in_force")))]);
    let evidence = floor.evidence();
    assert_eq!(evidence, ["guardrail.standing", "decision.guarded"]);
    // It is news for whoever is told of the case.
    let due = floor.desk.house.inventory().due_subjects(provost_store::inventory::TELL_QUEUE, floor.now(), 9).unwrap();
    assert!(due.contains(&motion.subject));
    floor.go(|saga| saga.phase == Phase::Observe);
    assert_eq!(world.keys().len(), 2, "both work while it is watched");
    floor.say(BOB, &motion, Say::Withdraw).unwrap();
    let back = floor.rest();
    assert_eq!(back.ended.map(|it| it.0), Some(provost_model::Ending::Restored), "{back:#?}");
    assert_eq!(world.keys(), [(called("a"), true)]);
    // Somebody has spoken: it does not decide again.
    floor.desk.pass(Span::days(40));
    assert_eq!((turn(&floor), motions(&floor, "a").len()), (0, 1));
}

#[test]
fn what_a_person_may_not_decide_alone_and_what_is_not_known_is_left_to_people() {
    let world = World::new(&called("a"));
    let floor = floor(&world, CONFIG);
    let rights = |name, admin| User { admin, ..plain(name) };
    looked_at(
        &floor,
        &[
            rights("admin", Reading::Known(true)),
            rights("denied", Reading::NotPermitted),
            rights("silent", Reading::NotReported),
            User { owned: false, ..plain("nobodys") },
            plain("refused"),
        ],
    );
    let asked = floor.ask(ANN, key(&floor, "refused"), (Remedy::Rotate, false)).unwrap();
    floor.say(BOB, &asked, Say::Withdraw).unwrap();
    floor.desk.pass(Span::days(2));
    assert_eq!(turn(&floor), 0);
    let words: Vec<String> =
        would(&floor).into_iter().map(|(name, left)| format!("{name}: {}", left.unwrap())).collect();
    assert_eq!(
        words,
        [
            "AKIA-admin: privileged (administrator rights)",
            "AKIA-denied: whether it has far rights is not known",
            "AKIA-nobodys: nobody answers for it",
            "AKIA-refused: it was decided about before: withdrawn",
            "AKIA-silent: whether it has far rights is not known",
        ]
    );
    assert!(floor.faults.calls().is_empty());
    // What is known later is decided about later.
    looked_at(&floor, &[rights("silent", Reading::Known(false))]);
    floor.desk.pass(Span::days(1));
    assert_eq!((turn(&floor), motions(&floor, "silent").len()), (1, 1));
}

#[test]
fn it_decides_no_more_a_day_than_it_may_and_goes_on_the_next() {
    let world = World::new(&called("a"));
    let floor = floor(&world, CONFIG);
    looked_at(&floor, &["a", "b", "c", "d", "e"].map(plain));
    floor.desk.pass(Span::days(2));
    assert_eq!((turn(&floor), turn(&floor)), (2, 0));
    floor.desk.pass(Span::hours(23));
    assert_eq!(turn(&floor), 0);
    floor.desk.pass(Span::hours(2));
    assert_eq!(turn(&floor), 2);
}

#[test]
fn what_it_decided_does_not_begin_once_rights_are_far_or_the_guardrail_is_gone() {
    let world = World::new(&called("a"));
    let mut floor = floor(&world, CONFIG);
    looked_at(&floor, &[plain("a")]);
    floor.desk.pass(Span::days(2));
    assert_eq!(turn(&floor), 1);
    looked_at(&floor, &[User { admin: Reading::Known(true), ..plain("a") }]);
    let saga = floor.rest();
    assert!(saga.ended.is_some() && floor.faults.calls().is_empty(), "{saga:#?}");
    let stage = motions(&floor, "a")[0].stage(floor.now());
    assert!(matches!(stage, Stage::Withdrawn { .. }), "people decide: {stage:?}");
    let kinds = floor.evidence();
    assert!(kinds.iter().any(|kind| kind == "change.left_to_people"), "{kinds:?}");
    assert!(kinds.iter().any(|kind| kind == "decision.withdrawn"), "{kinds:?}");

    // Taken out of the configuration while its change goes on: that goes back.
    let world = World::new(&called("b"));
    let mut floor = self::floor(&world, CONFIG);
    looked_at(&floor, &[plain("b")]);
    floor.desk.pass(Span::days(2));
    assert_eq!(turn(&floor), 1);
    floor.go(|saga| saga.phase == Phase::Observe);
    floor.reconfigure("", behind(&world.hand(true), &floor.faults));
    assert_eq!(turn(&floor), 0);
    assert!(floor.evidence().iter().any(|kind| kind == "guardrail.over"));
    let back: Saga = floor.rest();
    assert_eq!(back.ended.map(|it| it.0), Some(provost_model::Ending::Restored), "{back:#?}");
    assert_eq!(world.keys(), [(called("b"), true)]);
    let stage = motions(&floor, "b")[0].stage(floor.now());
    assert!(matches!(stage, Stage::Withdrawn { .. }), "people decide: {stage:?}");
}

#[test]
fn one_that_is_switched_off_or_has_nobody_to_answer_decides_nothing_and_shows_what_it_would() {
    let world = World::new(&called("a"));
    for (config, left) in [
        (CONFIG.replace("enabled = true", "enabled = false"), None),
        (
            CONFIG.replace("\"ann\"", "\"eve\""),
            Some("nobody can answer for the guardrail: eve is nobody of the people file"),
        ),
    ] {
        let floor = floor(&world, &config);
        looked_at(&floor, &[plain("a")]);
        floor.desk.pass(Span::days(2));
        assert_eq!(turn(&floor), 0, "{config}");
        assert_eq!(would(&floor)[0].1.as_ref().map(ToString::to_string).as_deref(), left);
    }
    // What people would have to do themselves is for people to decide.
    let mut floor = floor(&world, CONFIG);
    let mut hand = world.hand(true);
    hand.entry.identities = vec!["somebody-else".into()];
    floor.reconfigure(CONFIG, hand);
    looked_at(&floor, &[plain("a")]);
    floor.desk.pass(Span::days(2));
    assert_eq!(turn(&floor), 0);
    let left = would(&floor).remove(0).1.unwrap().to_string();
    assert_eq!(left, "no [[rotations]] entry can rotate this access_key");
}

#[test]
fn a_guardrail_that_is_new_is_asked_about_every_fault_that_stands() {
    let world = World::new(&called("a"));
    let mut floor = floor(&world, "");
    looked_at(&floor, &["a", "b"].map(plain));
    let later = floor.now() + Span::days(9);
    assert!(floor.desk.house.inventory().due_subjects(GUARD_QUEUE, later, 9).unwrap().is_empty(), "nobody asked");
    floor.desk.pass(Span::days(2));
    assert_eq!(turn(&floor), 0);
    floor.reconfigure(CONFIG, behind(&world.hand(true), &floor.faults));
    assert_eq!(turn(&floor), 2);
    // What was accepted, or is somebody's decision by now, it leaves.
    let reject = Ruling::Reject { until: floor.now() + Span::days(3) };
    assert!(floor.want(ANN, key(&floor, "a"), (reject, false)).is_ok());
    assert_eq!(turn(&floor), 0);
}
