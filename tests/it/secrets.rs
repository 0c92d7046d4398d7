//! The secret search: what was planted in the files looked at is nowhere in what the program writes or says.
//! It must never find nothing because it cannot find: the same search finds what is recorded on purpose.

use std::{collections::BTreeSet, fs, path::PathBuf};

use provost_connectors::host::testtree::{self, Planted};

use crate::{
    program::{Place, Said, until},
    search::Haystack,
};

/// Shorter pieces of longer values prove nothing.
const SHORTEST: usize = 16;
/// The pieces of a planted value that give it away: itself, or the lines of a key's body.
fn pieces(planted: &Planted) -> Vec<String> {
    let lines = planted.value.lines().filter(|line| !line.starts_with("-----") && line.len() >= SHORTEST);
    let mut pieces: Vec<String> = lines.map(str::to_owned).collect();
    // What all keys of a sort begin with is no secret.
    if pieces.len() > 3 {
        pieces.remove(0);
    }
    assert!(!pieces.is_empty(), "{} is too short to be searched for", planted.position);
    pieces
}

/// The secret halves of a token that is three texts with dots between them must not be found alone either.
fn needles(planted: &[Planted]) -> BTreeSet<String> {
    let pieces = planted.iter().flat_map(pieces);
    pieces.flat_map(|piece| [piece.clone(), piece.rsplit('.').next().unwrap_or_default().to_owned()]).collect()
}

#[test]
fn nothing_planted_is_written_or_said_anywhere() {
    let (place, tree) = Place::grown();
    // Recorded on purpose: the name of a file, and a word in a key's comment.
    let name = testtree::secret("a name that is no secret", 24);
    fs::copy(place.tree().join("tls/server.key"), place.tree().join(format!("tls/{name}.key"))).unwrap();
    let mut all = Haystack::default();
    let traced = |words: &[&str], all: &mut Haystack| {
        let said = Said::of(&place.command(words).env("PROVOST_LOG", "trace").output().unwrap());
        all.said(words, &said);
        said
    };

    fs::remove_file(place.configuration()).unwrap();
    let tree_root = place.tree();
    traced(&["quickstart", "--once", "--no-aws", "--root", tree_root.to_str().unwrap()], &mut all);
    // Every value changes: what was and what is goes through comparison and history.
    for file in tree.files.iter().filter(|file| file.path.ends_with(".env") || file.path.ends_with(".netrc")) {
        let text = String::from_utf8(file.content.clone()).unwrap().replace("robot", "robby");
        fs::write(place.tree().join(&file.path), text + "\n").unwrap();
    }
    place.configure("");
    for words in [
        &["scan", "-o", "json"][..],
        &["snapshot", "take"],
        &["snapshot", "verify"],
        &["inventory", "list"],
        &["inventory", "list", "--presence", "present,missing,gone,unwatched", "-o", "ndjson"],
        &["inventory", "list", "-o", "csv"],
        &["findings", "list", "--all", "-o", "ndjson"],
        &["sources"],
        &["status", "-o", "json"],
        &["config", "check"],
        &["check", "tree"],
    ] {
        traced(words, &mut all);
    }
    for record in place.listed(&["inventory", "list"]) {
        let id = record["id"].as_str().unwrap();
        if record["kind"] != "certificate" {
            continue;
        }
        traced(&["inventory", "show", id], &mut all);
        traced(&["inventory", "history", id], &mut all);
    }
    let findings = place.listed(&["findings", "list"]);
    let mut rules = BTreeSet::new();
    for finding in findings.iter().filter(|it| rules.insert(it["rule"].as_str().unwrap())) {
        traced(&["findings", "explain", finding["id"].as_str().unwrap()], &mut all);
    }
    assert!(rules.len() > 3, "{rules:?}");
    daemon(&place);
    for directory in ["state", "config", "home", "run"] {
        all.files(&place.path(directory), &[]);
    }
    let log = fs::read(place.path("daemon.log")).unwrap();
    all.add("the daemon's log", log);

    // There is something to search in.
    for part in ["sled", "unpacked", "the daemon's log", "the answer to", "the remarks on"] {
        assert!(all.named(part) > 0, "nothing was written to {part}");
    }
    let found = all.find([name.as_str()]);
    for part in ["zst unpacked", "ndjson", "provost/sled"] {
        assert!(found.iter().any(|(place, ..)| place.contains(part)), "the control is not found in {part}: {found:?}");
    }
    let needles = needles(&tree.planted);
    assert!(needles.len() > 60, "{}", needles.len());
    assert_eq!(all.find(needles.iter().map(String::as_str)), [], "values that were planted");
}

/// Looks once more as a daemon that logs everything.
fn daemon(place: &Place) {
    let log = fs::File::create(place.path("daemon.log")).unwrap();
    let schedule = "schedule = \"0 0 1 1 *\"\n";
    place.configure(schedule);
    let mut command = place.command(&["run"]);
    command.env("PROVOST_LOG", "trace").stderr(log).stdout(std::process::Stdio::null());
    let mut running = crate::program::Running(command.spawn().unwrap());
    let socket: PathBuf = place.socket();
    until("the daemon answers", || socket.exists());
    place.done(&["scan"]);
    running.signal(rustix::process::Signal::TERM);
    assert_eq!(running.ends(), 0);
}
