//! Promise 8: a run killed at any step, and run again, leaves what an undisturbed run leaves.

use provost_model::{Kind, Outcome, Presence};

use super::script::{Act, Desk, listing, users};

fn story() -> Vec<Act> {
    let mut acts = vec![Act::Realm("123456789012"), Act::Begin("users")];
    acts.extend(users(&["a", "b", "c", "d", "e", "f"]));
    acts.extend([
        Act::Full("users"),
        Act::Begin("keys"),
        Act::Key("keys", Some("a"), "AKIA1", "a"),
        Act::PartFull("keys", "a"),
        Act::Key("keys", Some("b"), "AKIA2", "b"),
        Act::PartFull("keys", "b"),
        Act::Full("keys"),
    ]);
    acts
}

#[test]
fn a_run_cut_off_after_any_step_and_repeated_equals_one_undisturbed() {
    let undisturbed = Desk::new();
    undisturbed.run(&listing(&["a", "b", "c", "d", "e", "f", "g"]));
    undisturbed.run(&story());
    let expected = undisturbed.picture();
    for cut in 0..story().len() {
        let desk = Desk::new();
        desk.run(&listing(&["a", "b", "c", "d", "e", "f", "g"]));
        let run = desk.run(&[&story()[..cut], &[Act::GiveUp]].concat());
        assert_ne!(run.outcome, Outcome::Complete, "cut after {cut}");
        let ended = cut > 8;
        let missing = if ended { Presence::Missing } else { Presence::Present };
        assert_eq!(desk.presence(Kind::User, "g"), missing, "cut after {cut}");
        desk.run(&story());
        let mut picture = desk.picture();
        if ended {
            // The cut run's full listing was the first to lack it, so the repeated one confirms it.
            picture.iter_mut().filter(|it| it.1 == "g").for_each(|it| it.2 = Presence::Missing);
        }
        assert_eq!(picture, expected, "cut after {cut}");
    }
}

#[test]
fn history_says_what_was_believed_then() {
    let desk = Desk::new();
    desk.run(&listing(&["a", "b", "c", "d", "e", "f", "g"]));
    let before = desk.house.now();
    desk.run(&[&[Act::Day][..], &listing(&["a", "b", "c", "d", "e", "f"])].concat());
    let id = desk.record(Kind::User, "g").unwrap().id;
    let inventory = desk.house.inventory();
    let then = desk.house.store().commit_at(before).unwrap();
    assert_eq!(inventory.record(id, Some(then)).unwrap().unwrap().presence(), Presence::Present);
    assert_eq!(inventory.record(id, None).unwrap().unwrap().presence(), Presence::Missing);
    let words: Vec<_> = inventory.record_versions(id).unwrap().iter().map(|it| it.it.presence().name()).collect();
    assert_eq!(words, ["present", "missing"]);
}
