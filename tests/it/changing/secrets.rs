//! The secret search about changes: no value that a change finds, makes, loses or signs in by is written or said anywhere.
//! It must never find nothing because it cannot find: ids, which are no secrets, are found wherever a value could be.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, Write as _},
    os::unix::process::ExitStatusExt as _,
    process::Command,
};

use rustix::process::Signal;

use super::{
    Bao, SHORT, World,
    gate::What::{KeepAfter, KeepBefore},
    keys::Door,
};
use crate::{
    openbao,
    program::{Manager, Place, Running},
    search::Haystack,
};

/// Everything that the program can say of what it does.
const TRACE: (&str, &str) = ("PROVOST_LOG", "trace");
/// Starts a program that may write an image of its memory, as far as anybody may let it.
const WITH_CORES: [&str; 3] = ["/bin/sh", "-c", "ulimit -c unlimited 2>/dev/null; exec \"$0\" \"$@\""];
impl World<'_> {
    fn daemon_with_cores(&self) -> (Running, Manager) {
        self.place.daemon_of(self.place.command_through(&WITH_CORES, &["run"]))
    }

    /// Ends a daemon as a fault of its own would.
    fn aborts(&self, mut daemon: Running) {
        daemon.signal(Signal::ABORT);
        let ended = daemon.0.wait().unwrap();
        assert_eq!((ended.signal(), ended.core_dumped()), (Some(6), false), "no image of its memory is written");
        let there: Vec<_> = fs::read_dir(self.place.path("")).unwrap().map(|it| it.unwrap().file_name()).collect();
        assert!(!there.iter().any(|it| it.to_str().unwrap().contains("core")), "{there:?}");
    }

    /// What it says to these words, kept to be searched through.
    fn traced(&self, words: &[&str], all: &mut Haystack) {
        let said = self.place.say(words);
        // That the only secret id which the server had is gone is no surprise to whoever removed it.
        assert_eq!(said.status, 0, "{words:?}: {}{}", said.out, said.err);
        all.said(words, &said);
    }
}

/// All that is in a place, but what consumers find, and what tests put there.
fn files(place: &Place, all: &mut Haystack) {
    let but = ["app", "provost", "old"].map(|it| place.path(it));
    all.files(&place.path(""), &but);
}

/// A value, and its halves where they are long enough to be nobody else's.
fn needles(values: &[String]) -> BTreeSet<String> {
    let halves = |value: &String| {
        let (one, other) = value.split_at(value.len() / 2);
        let long = if one.len() >= 16 { vec![one.to_owned(), other.to_owned()] } else { Vec::new() };
        long.into_iter().chain([value.clone()])
    };
    values.iter().flat_map(halves).collect()
}

#[test]
fn no_value_of_a_change_is_written_or_said_anywhere() {
    let Some(bao) = Bao::open() else { return };
    let world = bao.world_with(SHORT, Some(TRACE));
    let mut all = Haystack::default();
    world.decided();
    // Killed with a value in memory alone, and as if by a fault of its own with one that is stored by then.
    world.gate.script([("POST kept", KeepBefore)]);
    let (mut daemon, _manager) = world.daemon();
    world.gate.keeps();
    let mut values = world.held().to_vec();
    daemon.0.kill().unwrap();
    daemon.ends();
    world.gate.cut();
    files(&world.place, &mut all);
    world.gate.script([("POST login", KeepAfter)]);
    let (daemon, _manager) = world.daemon_with_cores();
    world.gate.keeps();
    values.extend(world.held());
    world.aborts(daemon);
    world.gate.cut();
    files(&world.place, &mut all);

    let (daemon, _manager) = world.daemon_with_cores();
    world.becomes("done");
    world.is_done();
    let id = world.id();
    let subject = world.change()["subject"].as_str().unwrap().to_owned();
    let backup = world.place.path("state/whole.backup");
    for words in [
        &["rotate", "status", "--all"][..],
        &["rotate", "status", "--all", "-o", "csv"],
        &["rotate", "status", &id],
        &["rotate", "status", &id, "-o", "json"],
        &["rotate", "check"],
        &["scan", "-o", "json"],
        &["inventory", "list", "--presence", "present,missing,gone,unwatched", "-o", "ndjson"],
        &["inventory", "show", &subject],
        &["inventory", "history", &subject],
        &["findings", "list", "--all", "-o", "ndjson"],
        &["cases", "list"],
        &["cases", "show", &subject, "-o", "json"],
        &["cases", "decisions", "-o", "json"],
        &["evidence", "export"],
        &["evidence", "export", "--redacted"],
        &["snapshot", "take"],
        &["snapshot", "verify"],
        &["store", "backup", backup.to_str().unwrap()],
        &["store", "check"],
        &["status", "-o", "json"],
        &["config", "check"],
    ] {
        world.traced(words, &mut all);
    }
    drop(daemon);
    files(&world.place, &mut all);

    // There is something to search in, and what is no secret is found there.
    let places = |value: &str| {
        let found = all.find([value]).into_iter();
        found.map(|(place, ..)| place).collect::<BTreeSet<String>>()
    };
    let (by_accessor, by_change) = (places(&world.old.0), places(&id));
    for part in ["provost/sled", "whole.backup unpacked", "zst unpacked", "\"status\"", "\"export\"", "\"show\""] {
        assert!(
            by_accessor.iter().any(|place| place.contains(part)),
            "the control is not found in {part}: {by_accessor:#?}"
        );
    }
    assert!(by_change.iter().any(|place| place.contains("daemon.log")), "{by_change:#?}");
    let log = world.place.log();
    assert!(log.contains("TRACE") && log.contains("hyper"), "everything is logged");

    values.extend(world.held());
    values.extend(world.gate.secrets());
    values.extend([&world.old.1, &bao.eyes, &bao.hands].map(|it| (*it).clone()));
    let made: BTreeSet<&String> = values.iter().collect();
    // The old one, one that died with the daemon, the new one; the tokens of two who act, and of those who tried a new one twice.
    assert!(made.len() >= 7, "{}", made.len());
    values.push(openbao::ROOT.to_owned());
    let needles = needles(&values);
    assert_eq!(all.find(needles.iter().map(String::as_str)), [], "values of a change");
    // Where a value is, it is found.
    all.files(&world.place.path("app"), &[]);
    assert!(!all.find(needles.iter().map(String::as_str)).is_empty());
}

#[test]
fn that_no_image_of_its_memory_is_written_is_the_programs_doing() {
    let Some(bao) = Bao::open() else { return };
    let world = bao.world(SHORT);
    let script = "ulimit -c unlimited && kill -ABRT $$";
    let mut shell = Command::new("/bin/sh");
    let ended = shell.args(["-c", script]).current_dir(world.place.path("run")).status().unwrap();
    if !ended.core_dumped() {
        let _ = writeln!(io::stderr(), "SKIPPED: this machine writes no image of anybody's memory");
        return;
    }
    let (daemon, _manager) = world.daemon_with_cores();
    world.aborts(daemon);
}

/// Lines of a private key that no other key has: the first ones are alike, or those of the public half.
fn private_lines(key: &str) -> Vec<String> {
    let lines: Vec<&str> = key.lines().filter(|line| !line.starts_with("-----")).collect();
    assert!(lines.len() >= 4, "{} lines", lines.len());
    lines[2..].iter().filter(|line| line.len() >= 16).map(|line| (*line).to_owned()).collect()
}

#[test]
fn no_private_half_of_a_change_is_written_or_said_anywhere() {
    let Some(door) = Door::open_with(SHORT, Some(TRACE)) else { return };
    let mut all = Haystack::default();
    door.decided();
    let old = fs::read_to_string(door.place.path("app/key")).unwrap();
    for seen in
        [&|it: (Vec<bool>, usize)| it.1 == 1, &|it: (Vec<bool>, usize)| it.0 == [true]] as [&dyn Fn(_) -> bool; 2]
    {
        door.killed(seen);
        files(&door.place, &mut all);
    }
    let (_daemon, _manager) = door.place.daemon();
    door.waits("state", "done");
    let id = door.change().unwrap()["id"].as_str().unwrap().to_owned();
    for words in [&["rotate", "status", &id][..], &["evidence", "export"], &["scan"], &["snapshot", "take"]] {
        all.said(words, &door.place.say(words));
    }
    files(&door.place, &mut all);
    let new = fs::read_to_string(door.place.path("app/key")).unwrap();
    let lines = [private_lines(&old), private_lines(&new)].concat();
    assert!(lines.len() >= 4 && private_lines(&old) != private_lines(&new));
    assert_eq!(all.find(lines.iter().map(String::as_str)), [], "lines of a private key");
    all.files(&door.place.path("app"), &[]);
    assert!(!all.find(lines.iter().map(String::as_str)).is_empty());
}
