//! Killed wherever a change can be: before and after each call that changes something, and started again.
//! It must never take a change for well that left a second secret id, or none, or another value where consumers look.

use std::fs;

use super::{
    Bao, SHORT, World, all_at_once,
    gate::What::{self, KeepAfter, KeepBefore, Pass},
};
use crate::program::until;

/// Where the daemon is killed.
enum Where {
    /// While a call is under way.
    Call(&'static [(&'static str, What)]),
    /// While the program that tells consumers runs.
    Reload(&'static str),
}

/// Where it is killed, what that is called, and how many secret ids are made in all: one whose value died with the daemon is
/// removed, and another one is made.
const KILLS: [(&str, Where, usize); 12] = [
    ("before a new one is made", Where::Call(&[("POST secret-id", KeepBefore)]), 1),
    ("after a new one is made", Where::Call(&[("POST secret-id", KeepAfter)]), 2),
    ("before it is stored", Where::Call(&[("POST kept", KeepBefore)]), 2),
    ("after it is stored", Where::Call(&[("POST kept", KeepAfter)]), 1),
    ("before it is tried", Where::Call(&[("POST login", KeepBefore)]), 1),
    ("after it is tried", Where::Call(&[("POST login", KeepAfter)]), 1),
    ("before consumers are told", Where::Reload("before"), 1),
    ("after consumers are told", Where::Reload("after"), 1),
    ("while both work", Where::Call(&[("POST revoke-self", Pass), ("LIST secret-id", KeepBefore)]), 1),
    ("before the old one is removed", Where::Call(&[("POST destroy", KeepBefore)]), 1),
    ("after the old one is removed", Where::Call(&[("POST destroy", KeepAfter)]), 1),
    ("before the end is proven", Where::Call(&[("POST destroy", Pass), ("LIST secret-id", KeepBefore)]), 1),
];

impl World<'_> {
    /// Starts a daemon, has it go on to there, and kills it.
    fn killed(&self, place: &Where, is_first: bool) {
        if let Where::Reload(when) = place {
            fs::write(self.app(when), "").unwrap();
        }
        if let Where::Call(script) = place {
            // What came before may be done already.
            let from = if is_first { 0 } else { script.len() - 1 };
            self.gate.script(script[from..].iter().copied());
        }
        let (mut daemon, _manager) = self.daemon();
        match place {
            Where::Call(_) => self.gate.keeps(),
            Where::Reload(when) => until("consumers are told", || self.app(&format!("at-{when}")).exists()),
        }
        daemon.0.kill().unwrap();
        assert_eq!(daemon.ends(), 128 + 9);
        match place {
            Where::Call(_) => self.gate.cut(),
            Where::Reload(when) => fs::remove_file(self.app(when)).unwrap(),
        }
    }
}

#[test]
fn killed_before_or_after_any_step_a_change_is_done_all_the_same() {
    let Some(bao) = Bao::open() else { return };
    let name = |(name, ..): &(&str, Where, usize)| (*name).to_owned();
    all_at_once(&KILLS, name, |(_, place, made)| {
        let world = bao.world(SHORT);
        world.decided();
        world.killed(place, true);
        let (_daemon, _manager) = world.daemon();
        world.becomes("done");
        world.is_done();
        assert_eq!((world.gate.count("POST secret-id"), world.reloads() > 0), (*made, true));
    });
}

#[test]
fn killed_at_every_step_one_after_the_other_a_change_is_done_all_the_same() {
    let Some(bao) = Bao::open() else { return };
    let world = bao.world(SHORT);
    world.decided();
    for (_, place, _) in &KILLS {
        world.killed(place, false);
    }
    let (_daemon, _manager) = world.daemon();
    world.becomes("done");
    world.is_done();
    assert_eq!(world.gate.count("POST secret-id"), 3, "twice a value died with the daemon");
}

#[test]
fn one_that_is_made_when_nobody_looks_for_it_any_more_is_removed_before_the_end() {
    let Some(bao) = Bao::open() else { return };
    let world = bao.world(SHORT);
    world.decided();
    world.gate.script([("POST secret-id", KeepBefore)]);
    let (mut daemon, _manager) = world.daemon();
    world.gate.keeps();
    daemon.0.kill().unwrap();
    assert_eq!(daemon.ends(), 128 + 9);
    // Whoever came after looked, found nothing, and made another one; only then the server hears of the first call.
    let (_daemon, _manager) = world.daemon();
    until("another one is made", || world.gate.count("POST secret-id") == 1);
    world.gate.through();
    until("the first one is made too", || world.accessors().len() == 3);
    world.becomes("done");
    world.is_done();
}
