//! A store that moves into a database and back: by a copy beside it, and by a backup. The contents are taken apart and
//! compared piece by piece. It must never look into a store while a command has it open.

use std::{fs, path::Path};

use provost_store::{EngineKind, OpenOptions, Postgres, PostgresOptions, Store};

use crate::{postgres, program::Place};

/// A place whose store has a history: things that came, changed and went.
fn lived() -> Place {
    let (place, _) = Place::grown();
    let file = place.tree().join("moving.env");
    for password in ["hunter2-first-Zq8v!x", "hunter2-second-Zq8v!x"] {
        fs::write(&file, format!("[app]\npassword = \"{password}\"\n")).unwrap();
        place.done(&["scan"]);
    }
    fs::remove_file(&file).unwrap();
    place.done(&["scan"]);
    place
}

/// Everything a store holds, in an order that all stores share.
fn pieces(store: &dyn Store) -> Vec<String> {
    let mut pieces = Vec::new();
    store
        .pieces(&mut |piece| {
            pieces.push(format!("{piece:?}"));
            Ok(())
        })
        .unwrap();
    pieces.sort_unstable();
    pieces
}

fn in_directory(path: &Path, engine: EngineKind) -> Vec<String> {
    let options = OpenOptions { engine: Some(engine), ..OpenOptions::default() };
    pieces(&provost_store::open(path, &options).unwrap())
}

fn in_database(url: &str) -> Vec<String> {
    pieces(&Postgres::open(url, PostgresOptions::default()).unwrap())
}

/// Has the place's store be that database from now on.
fn turn_to(place: &Place, url: &str) {
    let text = fs::read_to_string(place.configuration()).unwrap();
    place.write_configuration(&text.replace("[store]\n", &format!("[store]\nurl = {url:?}\n")));
}

/// What people see of a store, as it stands and as it came about.
fn listed(place: &Place) -> String {
    let lists = [["inventory", "list"].as_slice(), &["findings", "list", "--all"]];
    let lists = lists.map(|words| [words, &["-o", "ndjson"]].concat());
    lists.iter().map(|words| place.done(words).out).collect()
}

#[test]
fn a_store_moves_into_a_database_with_its_history_and_back_again() {
    let Some(server) = postgres::shared() else { return };
    let place = lived();
    let (before, held) = (listed(&place), in_directory(&place.store(), EngineKind::Sled));
    assert!(held.iter().any(|piece| piece.contains("present: false")), "there is history");
    let url = server.fresh();
    let said = place.done(&["store", "migrate", "--to", "postgres", &url]);
    assert!(said.out.contains("they hold the same"), "{}", said.out);
    assert_eq!(in_database(&url), held);
    assert_eq!(in_directory(&place.store(), EngineKind::Sled), held, "the old one is as it was");
    // A second time it would be over something.
    let refused = place.say(&["store", "migrate", "--to", "postgres", &url]);
    assert!(refused.status != 0 && refused.err.contains("not empty"), "{}: {}", refused.status, refused.err);
    assert_eq!(in_database(&url), held);

    turn_to(&place, &url);
    assert_eq!(listed(&place), before);
    assert!(place.done(&["store", "check"]).out.ends_with("Nothing is wrong.\n"));
    let back = place.path("back");
    place.done(&["store", "migrate", "--to", "redb", back.to_str().unwrap()]);
    assert_eq!(in_directory(&back, EngineKind::Redb), held);
    // It is a store like any other: what happens next is a commit more.
    place.done(&["scan"]);
    assert!(in_database(&url).len() > held.len());
}

#[test]
fn a_backup_is_restored_into_an_empty_database_alone_and_from_there_into_a_directory() {
    let Some(server) = postgres::shared() else { return };
    let place = lived();
    let (before, held) = (listed(&place), in_directory(&place.store(), EngineKind::Sled));
    let (first, second) = (place.path("first.backup"), place.path("second.backup"));
    place.done(&["store", "backup", first.to_str().unwrap()]);

    let text = fs::read_to_string(place.configuration()).unwrap();
    let url = server.fresh();
    turn_to(&place, &url);
    place.done(&["store", "restore", first.to_str().unwrap()]);
    assert_eq!(in_database(&url), held);
    assert_eq!(listed(&place), before);
    for words in
        [&["store", "restore", first.to_str().unwrap()][..], &["store", "restore", first.to_str().unwrap(), "--force"]]
    {
        let refused = place.say(words);
        assert!(refused.status != 0, "{}", refused.out);
        assert!(refused.err.contains("empty"), "{}", refused.err);
        assert_eq!(in_database(&url), held, "{words:?}");
    }
    // A backup that ends in its middle leaves a database empty.
    let (cut, other) = (place.path("cut.backup"), server.fresh());
    let bytes = fs::read(&first).unwrap();
    fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    place.write_configuration(&text);
    turn_to(&place, &other);
    assert!(place.say(&["store", "restore", cut.to_str().unwrap()]).status != 0);
    assert!(in_database(&other).is_empty());

    place.write_configuration(&text);
    turn_to(&place, &url);
    place.done(&["store", "backup", second.to_str().unwrap()]);
    fs::remove_dir_all(place.store()).unwrap();
    place.write_configuration(&text);
    place.done(&["store", "restore", second.to_str().unwrap()]);
    assert_eq!(in_directory(&place.store(), EngineKind::Sled), held);
    assert_eq!(listed(&place), before);
}
