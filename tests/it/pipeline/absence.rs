//! Promise 2: silence is not absence, seen through whole runs.

use provost::jobs::WriteError;
use provost_model::{Kind, Outcome, Presence, Why};

use super::script::{Act, Desk, listing, realm, users};

fn twenty() -> Vec<&'static str> {
    vec![
        "u00", "u01", "u02", "u03", "u04", "u05", "u06", "u07", "u08", "u09", "u10", "u11", "u12", "u13", "u14", "u15",
        "u16", "u17", "u18", "u19",
    ]
}

#[test]
fn missing_once_gone_twice_and_back_again() {
    let desk = Desk::new();
    assert_eq!(desk.run(&listing(&["a", "b", "c"])).outcome, Outcome::Complete);
    desk.run(&listing(&["a", "b"]));
    assert_eq!(desk.presence(Kind::User, "c"), Presence::Missing);
    desk.run(&listing(&["a", "b"]));
    assert_eq!(desk.presence(Kind::User, "c"), Presence::Gone);
    let id = desk.record(Kind::User, "c").unwrap().id;
    desk.run(&listing(&["a", "b", "c"]));
    assert_eq!(desk.presence(Kind::User, "c"), Presence::Present);
    assert_eq!(desk.record(Kind::User, "c").unwrap().id, id, "a record keeps its id for good");
}

#[test]
fn a_listing_that_breaks_off_makes_nothing_missing() {
    for end in [Act::Partial("users"), Act::GiveUp] {
        let desk = Desk::new();
        desk.run(&listing(&["a", "b", "c"]));
        let mut acts = vec![Act::Realm("123456789012"), Act::Begin("users")];
        acts.extend(users(&["a", "new"]));
        acts.push(end);
        let run = desk.run(&acts);
        assert_eq!((run.outcome, run.outcome.exit_status()), (Outcome::Partial, 3));
        for name in ["a", "b", "c", "new"] {
            assert_eq!(desk.presence(Kind::User, name), Presence::Present, "{name}");
        }
        assert_eq!(run.scopes[0].cover, "partial");
    }
}

#[test]
fn a_scope_that_was_begun_and_never_ended_is_partial() {
    let desk = Desk::new();
    desk.run(&listing(&["a", "b"]));
    let run = desk.run(&[Act::Realm("123456789012"), Act::Begin("users"), Act::User("users", "a")]);
    assert_eq!(run.outcome, Outcome::Partial);
    assert_eq!(desk.presence(Kind::User, "b"), Presence::Present);
}

#[test]
fn a_connector_that_panics_makes_nothing_missing_and_its_run_is_written_down() {
    let desk = Desk::new();
    desk.run(&listing(&["a", "b"]));
    let mut acts = vec![Act::Realm("123456789012"), Act::Begin("users")];
    acts.extend(users(&["a", "new"]));
    acts.push(Act::Panic);
    assert!(matches!(desk.try_run(&acts), Err(WriteError::Connector(_))));
    for name in ["a", "b", "new"] {
        assert_eq!(desk.presence(Kind::User, name), Presence::Present, "{name}");
    }
    let runs = desk.house.inventory().runs("test").unwrap();
    assert_eq!(runs.last().map(|run| run.outcome), Some(Outcome::Partial));
}

#[test]
fn nothing_committed_and_nothing_seen_is_failed() {
    let desk = Desk::new();
    let run = desk.run(&[Act::Realm("123456789012"), Act::GiveUp]);
    assert_eq!((run.outcome, run.outcome.exit_status()), (Outcome::Failed, 1));
}

#[test]
fn the_brake_holds_a_mass_vanishing_until_it_is_released() {
    let desk = Desk::new();
    desk.run(&listing(&twenty()));
    let run = desk.run(&listing(&["u00", "u01", "extra"]));
    assert_eq!((run.outcome, run.outcome.exit_status()), (Outcome::Held, 4));
    assert_eq!(run.scopes[0].held, 18);
    assert_eq!(desk.presence(Kind::User, "u19"), Presence::Present, "held back");
    assert_eq!(desk.presence(Kind::User, "extra"), Presence::Present, "appearances are not held");
    let row = &desk.house.inventory().scopes(Some("test")).unwrap()[0];
    assert_eq!((row.held, desk.house.inventory().held(row.number).unwrap().len()), (18, 18));

    // They come back: nothing is held any more.
    let mut all = twenty();
    all.push("extra");
    assert_eq!(desk.run(&listing(&all)).outcome, Outcome::Complete);
    let row = &desk.house.inventory().scopes(Some("test")).unwrap()[0];
    assert_eq!((row.held, desk.house.inventory().held(row.number).unwrap().len()), (0, 0));
}

#[test]
fn what_was_let_through_is_confirmed_without_asking_again() {
    let desk = Desk::new();
    desk.run(&listing(&twenty()));
    assert_eq!(desk.run(&listing(&["u00"])).outcome, Outcome::Held);
    let released = provost::jobs::sources::release(&desk.house, "test", "they were deleted").unwrap();
    assert_eq!((released.len(), desk.presence(Kind::User, "u19")), (19, Presence::Missing));
    assert_eq!(desk.run(&listing(&["u00"])).outcome, Outcome::Complete, "what is missing already is no news");
    assert_eq!(desk.presence(Kind::User, "u19"), Presence::Gone);
}

#[test]
fn the_last_one_of_a_scope_does_not_slip_out_after_the_others() {
    let desk = Desk::new();
    desk.run(&listing(&["a", "b"]));
    assert_eq!(desk.run(&listing(&["a"])).outcome, Outcome::Complete);
    assert_eq!(desk.run(&listing(&[])).outcome, Outcome::Held);
    assert_eq!(desk.presence(Kind::User, "a"), Presence::Present);
}

#[test]
fn changes_alone_are_trusted_for_a_week_from_the_reading_that_was_whole() {
    let desk = Desk::new();
    let reading = |due: Option<bool>| {
        let mut acts = vec![Act::Realm("123456789012"), Act::Begin("users"), Act::User("users", "a")];
        acts.extend(due.map(|due| Act::Due("users", due)));
        acts.push(Act::Delta("users"));
        acts
    };
    let after_days = |days: usize, acts: Vec<Act>| {
        desk.run(&[vec![Act::Realm("123456789012")], vec![Act::Day; days]].concat());
        desk.run(&acts)
    };
    assert_eq!(desk.run(&reading(None)).outcome, Outcome::Complete);
    assert_eq!(desk.run(&reading(Some(false))).outcome, Outcome::Complete);
    assert_eq!(after_days(6, reading(Some(false))).outcome, Outcome::Complete);
    // A reading that was due and broke off is still due.
    let broken = [&reading(Some(true))[..], &[Act::Begin("users"), Act::Partial("users")]].concat();
    assert_eq!(after_days(2, broken).outcome, Outcome::Partial);
    assert_eq!(desk.run(&reading(Some(true))).outcome, Outcome::Complete);
    assert_eq!(desk.run(&reading(Some(false))).outcome, Outcome::Complete);
}

#[test]
fn a_run_that_saw_something_and_gave_up_is_partial_though_nothing_changed() {
    let desk = Desk::new();
    desk.run(&listing(&["a", "b"]));
    let run = desk.run(&[Act::Realm("123456789012"), Act::Begin("users"), Act::User("users", "a"), Act::GiveUp]);
    assert_eq!(run.outcome, Outcome::Partial);
}

#[test]
fn a_scope_is_never_emptied_without_a_word() {
    let desk = Desk::new();
    desk.run(&listing(&["a", "b"]));
    assert_eq!(desk.run(&listing(&[])).outcome, Outcome::Held);
    assert_eq!(desk.presence(Kind::User, "a"), Presence::Present);
}

#[test]
fn an_atomic_listing_confirms_at_once_and_takes_the_keys_along() {
    let desk = Desk::new();
    let mut acts = vec![Act::Realm("123456789012"), Act::Begin("users")];
    acts.extend(users(&["a", "b", "c"]));
    acts.extend([
        Act::Atomic("users"),
        Act::Begin("keys"),
        Act::Key("keys", Some("c"), "AKIAC", "c"),
        Act::PartFull("keys", "c"),
        Act::Key("keys", Some("a"), "AKIAA", "a"),
        Act::PartFull("keys", "a"),
        Act::Full("keys"),
    ]);
    desk.run(&acts);
    let mut acts = vec![Act::Realm("123456789012"), Act::Begin("users")];
    acts.extend(users(&["a", "b"]));
    acts.push(Act::Atomic("users"));
    desk.run(&acts);
    assert_eq!(desk.presence(Kind::User, "c"), Presence::Gone);
    assert_eq!(desk.presence(Kind::AccessKey, "AKIAC"), Presence::Gone);
    let because = desk.record(Kind::AccessKey, "AKIAC").unwrap().gone_because().unwrap();
    assert_eq!(because.word(), "container");
    assert_eq!(desk.presence(Kind::AccessKey, "AKIAA"), Presence::Present);
}

#[test]
fn a_container_takes_along_more_than_one_commit_can_hold() {
    let desk = Desk::new();
    let keys: Vec<&'static str> = (0..3000).map(|it| &*Box::leak(format!("AKIA{it}").into_boxed_str())).collect();
    let mut acts = vec![Act::Realm("123456789012"), Act::Begin("users")];
    acts.extend(users(&["a", "big"]));
    acts.extend([Act::Atomic("users"), Act::Begin("keys")]);
    acts.extend(keys.iter().map(|key| Act::Key("keys", Some("big"), key, "big")));
    acts.extend([Act::PartFull("keys", "big"), Act::Full("keys")]);
    assert_eq!(desk.run(&acts).outcome, Outcome::Complete);
    let mut acts = vec![Act::Realm("123456789012"), Act::Begin("users")];
    acts.extend(users(&["a"]));
    acts.push(Act::Atomic("users"));
    assert_eq!(desk.run(&acts).outcome, Outcome::Complete);
    assert_eq!(desk.presence(Kind::User, "big"), Presence::Gone);
    for key in [keys[0], keys[1500], keys[2999]] {
        assert_eq!(desk.presence(Kind::AccessKey, key), Presence::Gone, "{key}");
    }
}

#[test]
fn a_part_read_whole_says_what_left_it_and_nothing_about_the_others() {
    let desk = Desk::new();
    let begin = [Act::Realm("123456789012"), Act::Begin("keys")];
    let mut acts = begin.to_vec();
    acts.extend([
        Act::Key("keys", Some("a"), "AKIA1", "a"),
        Act::Key("keys", Some("a"), "AKIA2", "a"),
        Act::PartFull("keys", "a"),
        Act::Key("keys", Some("b"), "AKIA3", "b"),
        Act::PartFull("keys", "b"),
        Act::Full("keys"),
    ]);
    desk.run(&acts);
    let mut acts = begin.to_vec();
    acts.extend([Act::Key("keys", Some("a"), "AKIA1", "a"), Act::PartFull("keys", "a"), Act::Full("keys")]);
    desk.run(&acts);
    assert_eq!(desk.presence(Kind::AccessKey, "AKIA2"), Presence::Gone);
    assert_eq!(desk.presence(Kind::AccessKey, "AKIA3"), Presence::Present);
}

#[test]
fn another_realm_stops_the_run_before_its_first_commit() {
    let desk = Desk::new();
    desk.run(&listing(&["a"]));
    let error = desk.try_run(&[Act::Realm("999999999999"), Act::Begin("users"), Act::User("users", "z")]).unwrap_err();
    assert!(matches!(error, WriteError::OtherRealm { .. }), "{error}");
    assert!(desk.record(Kind::User, "z").is_none());
    let source = desk.house.inventory().source("test").unwrap();
    assert_eq!((source.realm, source.met.is_some()), (Some(realm()), true));
}

#[test]
fn what_left_the_selection_is_unwatched_not_missing() {
    let desk = Desk::new();
    desk.run(&listing(&["a", "b"]));
    desk.run(&[Act::Realm("123456789012"), Act::Unwatch("users")]);
    assert_eq!(desk.presence(Kind::User, "a"), Presence::Unwatched);
    desk.run(&listing(&["a", "b"]));
    assert_eq!(desk.presence(Kind::User, "a"), Presence::Present);
}

#[test]
fn an_unchanged_run_writes_no_record() {
    let desk = Desk::new();
    desk.run(&listing(&["a", "b", "c"]));
    let id = desk.record(Kind::User, "a").unwrap().id;
    for _ in 0..3 {
        desk.run(&listing(&["a", "b", "c"]));
    }
    assert_eq!(desk.house.inventory().record_versions(id).unwrap().len(), 1);
}

#[test]
fn a_run_that_ends_early_for_want_of_room_hands_over_what_it_saw_and_lets_nothing_vanish() {
    let desk = Desk::new();
    desk.run(&listing(&["a", "b"]));
    let run = desk.run(&[
        Act::Realm("123456789012"),
        Act::Begin("users"),
        Act::User("users", "c"),
        Act::NoRoom,
        Act::Full("users"),
    ]);
    assert_eq!(run.outcome, Outcome::Partial);
    assert_eq!((run.troubles.len(), run.troubles[0].why), (1, Why::Stopped));
    assert!(run.troubles[0].said.contains("nearly full"), "{}", run.troubles[0].said);
    for user in ["a", "b", "c"] {
        assert_eq!(desk.presence(Kind::User, user), Presence::Present, "{user}");
    }
}
