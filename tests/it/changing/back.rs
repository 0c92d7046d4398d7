//! Taken back by the command line, from every step in which a change can stand; let rest; stopped with everything else.
//! It must never take a change for taken back while the new secret id works, or consumers find another value than before.

use std::{fs, time::Duration};

use super::{
    Bao, SHORT, World, all_at_once,
    gate::What::{KeepBefore, Pass},
};

/// Both work for longer than any test.
const LONG: &str = "overlap = \"1s\"\nquiet = \"1s\"\nblind = \"1d\"\nwatch = \"1s\"\nlook_every = \"1s\"\n";

/// What keeps a change in a step.
enum Kept {
    /// The server hangs there.
    Call(&'static str),
    /// The server refuses that for now.
    Refused(&'static str),
    /// The program that tells consumers fails.
    Reload,
    /// It waits by itself.
    Long,
}

/// In which step a change stands, by what, and what its status says of why.
const STANDS: [(&str, Kept, &str); 5] = [
    ("mint", Kept::Call("POST secret-id"), ""),
    ("store", Kept::Refused("POST kept"), "failed once  POST /v1/{mount}/data/{path...}: HTTP 503: not ready yet"),
    ("verify", Kept::Refused("POST login"), "failed once  POST /v1/auth/{mount}/login: HTTP 503: not ready yet"),
    ("propagate", Kept::Reload, "failed once  the program ended with exit status: 1"),
    ("observe", Kept::Long, "waits for  the provider does not say whether the old one is used"),
];

impl World<'_> {
    /// What its status says to people.
    fn status(&self) -> String {
        let shown = self.place.done(&["rotate", "status", &self.id()]);
        assert!(shown.fits(), "{}", shown.out);
        shown.out + &shown.err
    }

    /// Waits until it stands in that step, for that reason.
    fn stands(&self, step: &str, why: &str) {
        let why = why.split_once("  ").map_or("", |it| it.1);
        self.waits(&format!("it stands in {step}"), |change| {
            let waits = change["waits"].as_str().unwrap_or_default();
            change["step"] == step && waits.contains(why)
        });
    }
}

/// Words as they are read, however far they are apart.
fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn says(text: &str, words: &[&str]) {
    for words in words {
        assert!(plain(text).contains(&plain(words)), "{words:?} is not in:\n{text}");
    }
}

#[test]
fn a_change_is_taken_back_from_wherever_it_stands() {
    let Some(bao) = Bao::open() else { return };
    all_at_once(
        &STANDS,
        |it| it.0.to_owned(),
        |(step, kept, why)| {
            let world = bao.world(if matches!(kept, Kept::Long) { LONG } else { SHORT });
            match kept {
                Kept::Call(call) => world.gate.script([(*call, KeepBefore)]),
                Kept::Refused(call) => world.gate.refuse(&[call]),
                Kept::Reload => fs::write(world.app("refuse"), "").unwrap(),
                Kept::Long => {}
            }
            world.decided();
            let (_daemon, _manager) = world.daemon();
            if matches!(kept, Kept::Call(_)) {
                world.gate.keeps();
            }
            world.stands(step, why);
            says(&world.status(), &["state under way", &format!("step {step}"), why]);
            let undone = world.word("undo", "a consumer breaks");
            assert_eq!(undone.status, 0, "{undone:?}");
            let back = format!("step back from {step}");
            says(&undone.out, &["state under way, going back", &back, "because ann: a consumer breaks"]);
            says(&undone.err, &["it goes back by itself; see: provost rotate status"]);
            match kept {
                Kept::Call(_) => world.gate.through(),
                Kept::Refused(_) => world.gate.refuse(&[]),
                Kept::Reload => fs::remove_file(world.app("refuse")).unwrap(),
                Kept::Long => {}
            }
            world.becomes("restored");
            world.is_restored();
            says(&world.status(), &["state restored", &back, "goes back ann: a consumer breaks"]);
            let again = world.word("undo", "once more");
            assert_eq!((again.status, again.out.as_str()), (1, ""), "{again:?}");
            says(&again.err, &["it was taken back already: everything is as it was"]);
            let resumed = world.word("resume", "after all");
            assert!(resumed.status == 1 && resumed.err.contains("it is restored"), "{resumed:?}");
        },
    );
}

#[test]
fn nothing_is_taken_back_once_the_old_one_is_removed() {
    let Some(bao) = Bao::open() else { return };
    let world = bao.world(SHORT);
    world.decided();
    world.gate.script([("POST destroy", Pass), ("LIST secret-id", KeepBefore)]);
    let (_daemon, _manager) = world.daemon();
    world.gate.keeps();
    world.stands("prove", "");
    let refused = || {
        let undone = world.word("undo", "a consumer breaks");
        assert_eq!((undone.status, undone.out.as_str()), (1, ""), "{undone:?}");
        says(&undone.err, &["the old one was removed for good: nothing can be taken back", "decide to rotate again"]);
    };
    refused();
    // A decision that is withdrawn by then leaves nothing half done either.
    let decision = world.change()["decision"].as_str().unwrap().to_owned();
    world.place.done(&["cases", "withdraw", &decision, "--reason", "too late"]);
    world.gate.through();
    world.becomes("done");
    world.is_done();
    refused();
}

#[test]
fn a_change_rests_until_it_is_told_to_go_on_and_so_it_does_when_everything_is_stopped() {
    let Some(bao) = Bao::open() else { return };
    let world = bao.world(SHORT);
    world.gate.refuse(&["POST kept"]);
    world.decided();
    let (daemon, _manager) = world.daemon();
    world.stands("store", STANDS[1].2);
    let paused = world.word("pause", "the release first");
    assert_eq!(paused.status, 0, "{paused:?}");
    says(&paused.out, &["state paused", "rests by ann"]);
    says(&paused.err, &["it rests until: provost rotate resume"]);
    world.gate.refuse(&[]);
    let quiet = |why: &str| {
        let before = world.gate.calls().len();
        // Longer than two of the daemon's rounds.
        std::thread::sleep(Duration::from_millis(2_500));
        assert_eq!(world.gate.calls().len(), before, "{why}: {:#?}", world.gate.calls());
    };
    quiet("it rests");
    drop(daemon);
    let (_daemon, _manager) = world.daemon();
    quiet("it rests, whoever was killed meanwhile");

    // What was stopped is not let go on by the word that one change may.
    let stop = |state, why| world.place.done(&["rotate", "kill-switch", state, "--reason", why]);
    says(&stop("on", "who knows what that is").err, &["everything is stopped", "provost rotate kill-switch off"]);
    let resumed = world.word("resume", "released");
    assert_eq!(resumed.status, 0, "{resumed:?}");
    let why = "everything is stopped by ann";
    says(&resumed.err, &[why]);
    world.waits("it is kept from going on", |change| change["waits"].as_str().unwrap_or_default().starts_with(why));
    let listed = world.place.done(&["rotate", "status"]);
    says(&(listed.out + &listed.err), &[&format!("{why} since"), "who knows what that is"]);
    says(&world.status(), &["state under way", &format!("waits for {why}: who knows what that is")]);
    assert_eq!(world.gate.count("POST kept"), 0);
    says(&stop("off", "it was nothing").err, &["everything goes on"]);
    let waits = world.row().unwrap()["waits"].as_str().unwrap_or_default().to_owned();
    assert!(!waits.starts_with(why), "it goes on at once: {waits}");
    world.becomes("done");
    world.is_done();
}
