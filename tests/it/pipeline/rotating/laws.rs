//! What holds for every change, whoever makes it.
//! It must never name a provider.

use std::sync::Arc;

use provost::jobs::{
    decide::Say,
    rotate::{Word, kill_switch, say},
};
use provost_model::{
    Act, Course, Doing, Ending, Entity, Key, Kind, Phase, Presence, RecordId, Remedy, Ruling, Saga, Span, Stage,
    Status, Target, field,
};
use provost_store::inventory::Draft;

use super::super::script::{Lists, Nobody, realm};
use super::{
    ADMIN, ANN, BOB, CID, EYES, Floor,
    faults::{Fate, behind},
    roster,
    world::{World, secret},
};

const OLD: &str = "AKIA-old";

fn floor(world: &World, enabled: bool) -> Floor {
    Floor::new("", &[], |_, faults| behind(&world.hand(enabled), faults))
}

fn subject(floor: &Floor) -> RecordId {
    floor.met(Kind::AccessKey, OLD, ("deployer", &[]))
}

fn rotated(world: &World) {
    assert_eq!(world.keys(), [("new-1".to_owned(), true)]);
    assert_eq!(world.holds(), secret("new-1"));
}

fn restored(world: &World) {
    assert_eq!(world.keys(), [(OLD.to_owned(), true)]);
    assert_eq!(world.holds(), secret(OLD));
}

#[test]
fn a_decision_that_holds_is_carried_out_and_leaves_evidence_of_every_step() {
    let world = World::new(OLD);
    let mut floor = floor(&world, true);
    let subject = subject(&floor);
    floor.turn();
    assert!(floor.sagas().is_empty(), "nobody decided anything");
    floor.ask(ANN, subject, (Remedy::Rotate, false)).unwrap();
    let begun = floor.now();
    let done = floor.rest();
    assert_eq!(done.ended.map(|(ending, _)| ending), Some(Ending::Done), "{done:#?}");
    // Three days in which nobody can tell who uses which, a week in which the old one is disabled.
    assert!(floor.now() - begun >= Span::days(10));
    rotated(&world);
    assert_eq!(floor.faults.calls(), ["mint", "put", "reload", "disable", "delete", "settle"]);
    let evidence = floor.evidence();
    let count = |kind: &str| evidence.iter().filter(|it| *it == kind).count();
    assert_eq!((count("decision.asked"), count("change.planned"), count("change.begun")), (1, 1, 6), "{evidence:?}");
    assert_eq!((count("change.done"), evidence.last().map(String::as_str)), (7, Some("change.ended")));
    // No value is in what is kept.
    let kept = serde_json::to_string(&done).unwrap() + &format!("{done:?}");
    assert!(!kept.contains("v4lu3"));
}

#[test]
fn nothing_is_done_before_enough_others_agree_nor_by_whoever_may_not_decide() {
    let world = World::new(OLD);
    let mut floor = floor(&world, true);
    let subject = floor.met(Kind::AccessKey, OLD, (ADMIN, &[]));
    for uid in [0, 999] {
        assert!(floor.ask(uid, subject, (Remedy::Rotate, false)).is_err());
    }
    floor.turn();
    assert!(floor.sagas().is_empty());
    let motion = floor.ask(ANN, subject, (Remedy::Rotate, false)).unwrap();
    assert!(floor.say(ANN, &motion, Say::Approve).is_err(), "who asked does not agree with themselves");
    floor.say(BOB, &motion, Say::Approve).unwrap();
    floor.desk.pass(Span::days(1));
    floor.turn();
    assert!(floor.sagas().is_empty() && floor.faults.calls().is_empty());
    floor.say(CID, &motion, Say::Approve).unwrap();
    floor.go(|saga| saga.phase == Phase::Observe);
    assert_eq!(world.keys().len(), 2);
    // Taken back while both work: the new one goes at once, as nobody can tell whether it is used after a day.
    floor.say(BOB, &motion, Say::Withdraw).unwrap();
    let back = floor.rest();
    assert_eq!(back.ended.map(|it| it.0), Some(Ending::Restored), "{back:#?}");
    restored(&world);
}

#[test]
fn what_is_contained_is_disabled_at_once_and_taken_back_unless_others_agree_in_time() {
    for (privileged, agree) in [(false, 0), (false, 1), (true, 1), (true, 2)] {
        let world = World::new(OLD);
        let mut floor = floor(&world, true);
        let subject = floor.met(Kind::AccessKey, OLD, (if privileged { ADMIN } else { "deployer" }, &[]));
        let until = floor.now() + Span::hours(4);
        assert!(floor.want(0, subject, (Ruling::Contain { until }, false)).is_err());
        assert!(floor.want(ANN, subject, (Ruling::Contain { until: until + Span::days(3) }, false)).is_err());
        let motion = floor.want(ANN, subject, (Ruling::Contain { until }, false)).unwrap();
        let done = floor.rest();
        assert!(done.ended.is_some() && floor.now() < until, "{done:#?}");
        assert_eq!(world.keys(), [(OLD.to_owned(), false)]);
        assert!(floor.say(ANN, &motion, Say::Approve).is_err(), "nobody confirms what they asked for");
        [BOB, CID].into_iter().take(agree).for_each(|uid| drop(floor.say(uid, &motion, Say::Approve).unwrap()));
        floor.desk.pass(Span::hours(5));
        let after = floor.go(|_| false);
        let confirmed = agree == if privileged { 2 } else { 1 };
        assert_eq!(world.keys(), [(OLD.to_owned(), !confirmed)], "{privileged} {agree} {after:#?}");
        assert_eq!(after.ended.map(|it| it.0), Some(if confirmed { Ending::Done } else { Ending::Restored }));
        assert_eq!(floor.sagas().len(), 1);
        floor.evidence();
    }
    // Somebody does not agree: it is back at once.
    let world = World::new(OLD);
    let mut floor = floor(&world, true);
    let subject = subject(&floor);
    let until = floor.now() + Span::hours(4);
    let motion = floor.want(ANN, subject, (Ruling::Contain { until }, false)).unwrap();
    floor.rest();
    floor.say(BOB, &motion, Say::Refuse).unwrap();
    floor.rest();
    assert_eq!(world.keys(), [(OLD.to_owned(), true)]);
}

#[test]
fn a_step_is_attested_only_under_a_decision_that_holds_and_asks_for_it() {
    let world = World::new(OLD);
    let mut floor = floor(&world, true);
    let subject = subject(&floor);
    let motion = floor.ask(ANN, subject, (Remedy::Rotate, false)).unwrap();
    let saga = floor.go(|saga| saga.phase == Phase::Observe);
    let (house, now) = (&floor.desk.house, floor.now());
    let doing = Some(Doing { act: Act::Disable, since: now });
    let step = |saga: Saga| Draft::new(house.inventory(), now).commit_step(&saga).unwrap();
    assert!(step(Saga { doing: doing.clone(), ..saga.clone() }).is_some());
    let other = RecordId::from_bytes([9; 16]);
    let target = Target { record: other, ..saga.target.clone() };
    for wrong in [
        Saga { doing: None, ..saga.clone() },
        Saga { decision: other, doing: doing.clone(), ..saga.clone() },
        Saga { remedy: Remedy::Delete, doing: doing.clone(), ..saga.clone() },
        Saga { target, doing: doing.clone(), ..saga.clone() },
    ] {
        let head = house.store().head().unwrap();
        assert!(step(wrong).is_none());
        assert_eq!(house.store().head().unwrap(), head, "nothing is written either");
    }
    floor.say(BOB, &motion, Say::Withdraw).unwrap();
    assert!(step(Saga { doing: doing.clone(), ..saga.clone() }).is_none());
    assert!(step(Saga { doing, course: Course::Back, ..saga }).is_some(), "what was done under it is taken back");
}

#[test]
fn what_is_withdrawn_or_taken_back_comes_back_at_every_step() {
    for phase in [Phase::Mint, Phase::Store, Phase::Verify, Phase::Observe, Phase::Disable, Phase::Watch] {
        for withdraw in [true, false] {
            let world = World::new(OLD);
            let mut floor = floor(&world, true);
            let subject = subject(&floor);
            let motion = floor.ask(ANN, subject, (Remedy::Rotate, false)).unwrap();
            // Cut right before the act of that step.
            let number = match phase {
                Phase::Mint => 0,
                Phase::Store => 1,
                Phase::Verify => 2,
                Phase::Observe | Phase::Disable => 3,
                _ => 4,
            };
            floor.faults.at(number, Fate::DiesBefore);
            let there = floor.go(|saga| saga.phase >= phase && saga.not_before > saga.since);
            if withdraw {
                floor.say(BOB, &motion, Say::Withdraw).unwrap();
            }
            say(&floor.desk.house, (&roster(), CID), there.id, (Word::Undo, "it was needed")).unwrap();
            let back = floor.rest();
            assert_eq!(back.ended.map(|it| it.0), Some(Ending::Restored), "{phase:?} {back:#?}");
            restored(&world);
        }
    }
}

#[test]
fn whatever_dies_or_is_lost_the_end_is_one_key_that_works_where_it_belongs() {
    for number in 0..6 {
        for fate in Fate::ALL {
            let world = World::new(OLD);
            let mut floor = floor(&world, true);
            let subject = subject(&floor);
            floor.ask(ANN, subject, (Remedy::Rotate, false)).unwrap();
            floor.faults.at(number, fate);
            let done = floor.rest();
            assert_eq!(done.ended.map(|it| it.0), Some(Ending::Done), "{number} {fate:?} {done:#?}");
            let keys = world.keys();
            assert!(keys.len() == 1 && keys[0].1 && world.holds() == secret(&keys[0].0), "{number} {fate:?}");
            floor.evidence();
        }
    }
}

#[test]
fn a_new_one_that_does_not_work_is_taken_away_and_the_old_one_stays() {
    let world = World::new(OLD);
    world.0.lock().unwrap().refuses = true;
    let mut floor = floor(&world, true);
    let subject = subject(&floor);
    floor.ask(ANN, subject, (Remedy::Rotate, false)).unwrap();
    let back = floor.rest();
    assert_eq!(back.ended.map(|it| it.0), Some(Ending::Restored), "{back:#?}");
    restored(&world);
}

#[test]
fn an_entry_that_is_not_switched_on_plans_and_does_nothing() {
    let world = World::new(OLD);
    let mut floor = floor(&world, false);
    let subject = subject(&floor);
    floor.ask(ANN, subject, (Remedy::Rotate, false)).unwrap();
    let waits = floor.go(|saga| saga.waits.as_deref().is_some_and(|why| why.contains("not switched on")));
    assert_eq!((waits.phase, floor.faults.calls().len()), (Phase::Mint, 0));
    floor.desk.pass(Span::days(30));
    floor.turn();
    restored(&world);
}

#[test]
fn of_two_that_would_begin_at_once_one_waits() {
    let world = World::new(OLD);
    let mut floor = floor(&world, true);
    let subject = subject(&floor);
    for _ in 0..2 {
        floor.ask(ANN, subject, (Remedy::Rotate, false)).unwrap();
    }
    floor.turn();
    let sagas = floor.sagas();
    let waits = |saga: &&Saga| saga.waits.as_deref().is_some_and(|why| why.contains("changes the same thing"));
    assert_eq!((sagas.len(), sagas.iter().filter(waits).count()), (2, 1), "{sagas:#?}");
    assert_eq!(floor.faults.calls(), ["mint", "put", "reload"]);
}

#[test]
fn a_saga_goes_on_only_by_the_arrangement_it_began_by() {
    let world = World::new(OLD);
    let mut floor = floor(&world, true);
    let subject = subject(&floor);
    floor.ask(ANN, subject, (Remedy::Rotate, false)).unwrap();
    floor.go(|saga| saga.phase == Phase::Observe);
    let (calls, mut other) = (floor.faults.calls(), world.hand(true));
    other.entry.arrangement = "elsewhere".into();
    let before = std::sync::Arc::clone(&floor.wiring);
    floor.rewire(behind(&other, &floor.faults));
    floor.desk.pass(Span::days(30));
    floor.turn();
    assert!(floor.saga().waits.unwrap().contains("put that back"));
    assert_eq!(floor.faults.calls(), calls);
    floor.wiring = before;
    assert_eq!(floor.rest().ended.map(|it| it.0), Some(Ending::Done));
    rotated(&world);
}

#[test]
fn everything_stops_at_once_and_goes_on_where_it_was() {
    let world = World::new(OLD);
    let mut floor = floor(&world, true);
    let subject = subject(&floor);
    let people = roster();
    assert!(kill_switch(&floor.desk.house, (&people, 0), (true, "no")).is_err(), "root is nobody in particular");
    kill_switch(&floor.desk.house, (&people, ANN), (true, "something is wrong")).unwrap();
    floor.ask(ANN, subject, (Remedy::Rotate, false)).unwrap();
    let waits = floor.go(|saga| saga.waits.as_deref().is_some_and(|why| why.contains("stopped by ann")));
    assert!(waits.doing.is_none() && floor.faults.calls().is_empty());
    kill_switch(&floor.desk.house, (&people, BOB), (false, "it was nothing")).unwrap();
    assert_eq!(floor.rest().ended.map(|it| it.0), Some(Ending::Done));
    rotated(&world);
}

#[test]
fn an_emergency_waits_for_nobody_but_those_who_have_to_agree() {
    let world = World::new(OLD);
    let mut floor = floor(&world, true);
    let subject = subject(&floor);
    floor.ask(ANN, subject, (Remedy::Rotate, true)).unwrap();
    let begun = floor.now();
    let disabled = floor.go(|saga| saga.phase == Phase::Watch);
    assert!(disabled.disabled_at.unwrap() - begun < Span::minutes(5));
    assert_eq!(world.keys(), [(OLD.to_owned(), false), ("new-1".to_owned(), true)]);
}

#[test]
fn what_a_program_makes_and_what_provost_acts_by_is_left_to_people() {
    let world = World::new(OLD);
    let mut floor = floor(&world, true);
    let made = floor.met(Kind::AccessKey, OLD, ("deployer", &[("managed-by", "Terraform")]));
    floor.ask(ANN, made, (Remedy::Rotate, false)).unwrap();
    floor.turn();
    let saga = floor.saga();
    assert!(saga.profile.is_empty() && saga.waits.unwrap().contains("terraform manages it"));
    // The same by a state file; while it cannot be read, nobody knows.
    let place = tempfile::tempdir().unwrap();
    let state = place.path().join("terraform.tfstate");
    let config = format!("[rotation]\nstate_files = [{state:?}]\n");
    for (text, said) in [
        (None, "whether Terraform manages it cannot be told"),
        (Some(OLD), "Terraform (aws_iam_access_key.deploy in"),
        (Some("AKIA-other"), ""),
    ] {
        if let Some(id) = text {
            let resource = serde_json::json!({"mode": "managed", "type": "aws_iam_access_key", "name": "deploy",
                "instances": [{"attributes": {"id": id}}]});
            let whole = serde_json::json!({"version": 4, "resources": [resource]});
            std::fs::write(&state, whole.to_string()).unwrap();
        }
        let mut floor = Floor::new(&config, &[], |_, faults| behind(&world.hand(false), faults));
        let subject = subject(&floor);
        floor.ask(ANN, subject, (Remedy::Rotate, false)).unwrap();
        floor.turn();
        let saga = floor.saga();
        assert_eq!(saga.profile.is_empty(), !said.is_empty(), "{said}");
        assert!(saga.waits.unwrap_or_default().contains(said), "{said}");
    }
    let mut floor = self::floor(&world, true);
    let own = floor.met(Kind::AccessKey, "AKIA-own", ("provost", &[]));
    floor.ask(ANN, own, (Remedy::Rotate, false)).unwrap();
    floor.turn();
    assert!(floor.saga().waits.unwrap().contains("Provost itself works by it"));
    // What a source looks by, and what belongs to it.
    let mut floor = self::floor(&world, true);
    let eyes = floor.met(Kind::AccessKey, OLD, (EYES, &[]));
    floor.ask(ANN, eyes, (Remedy::Disable, false)).unwrap();
    floor.turn();
    assert!(floor.saga().waits.unwrap().contains("Provost itself works by it"));
    // The login by which the store is reached.
    let store = "[store]\nurl = \"postgres://keeper@db/provost\"\n";
    let mut floor = Floor::new(store, &[], |_, faults| behind(&world.hand(true), faults));
    let keeper = floor.met_as(Kind::AccessKey, (OLD, "keeper"), ("somebody", &[]));
    floor.ask(ANN, keeper, (Remedy::Rotate, false)).unwrap();
    floor.turn();
    assert!(floor.saga().waits.unwrap().contains("Provost itself works by it"));
    restored(&world);
}

#[test]
fn what_people_do_is_proven_by_the_next_look() {
    let world = World::new(OLD);
    let mut floor = floor(&world, true);
    let token = floor.met(Kind::Token, "token-1", ("deployer", &[]));
    let motion = floor.ask(ANN, token, (Remedy::Delete, false)).unwrap();
    floor.turn();
    floor.desk.pass(Span::hours(1));
    floor.turn();
    let saga = floor.saga();
    assert!(saga.ended.is_none() && matches!(motion.stage(floor.now()), Stage::InForce { .. }));
    // The next look at the source does not see it any more.
    floor.met(Kind::AccessKey, OLD, ("deployer", &[]));
    floor.desk.pass(Span::hours(1));
    floor.turn();
    assert_eq!(floor.saga().ended.map(|it| it.0), Some(Ending::Done));
}

#[test]
fn what_a_change_removed_is_no_vanishing_that_has_to_be_looked_into() {
    let world = World::new(OLD);
    let mut floor = floor(&world, true);
    let key = |id: &str| Entity::new(Key::new(realm(), Kind::AccessKey, id), id).with(field::STATUS, Status::Active);
    let look = |floor: &Floor, ids: &[&str]| {
        let things = ids.iter().map(|id| key(id)).collect();
        floor.desk.through("test", Arc::new(Lists { realm: realm(), things }), Box::new(Nobody)).unwrap()
    };
    look(&floor, &[OLD]);
    let subject = floor.desk.record(Kind::AccessKey, OLD).unwrap().id;
    floor.ask(ANN, subject, (Remedy::Rotate, false)).unwrap();
    assert_eq!(floor.rest().ended.map(|it| it.0), Some(Ending::Done));
    // The only one of its scope has another name now.
    let run = look(&floor, &["new-1"]);
    assert!(run.scopes.iter().all(|scope| scope.held == 0), "{run:#?}");
    assert_ne!(floor.desk.record(Kind::AccessKey, OLD).unwrap().presence(), Presence::Present);
    // What nobody removed is held as ever.
    let run = look(&floor, &["new-2"]);
    assert!(run.scopes.iter().any(|scope| scope.held == 1), "{run:#?}");
}
