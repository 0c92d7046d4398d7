//! Backups as an operator meets them: taken beside the store and through the daemon, restored where nothing is lost.
//! It must never look into a store but through the program, except to damage it.

use std::{fs, os::unix::fs::PermissionsExt as _};

use serde_json::Value;

use crate::program::Place;

fn scanned() -> Place {
    let (place, _) = Place::grown();
    place.done(&["scan"]);
    place
}

/// Everything the program lists, and its status without what changes by itself.
fn listed(place: &Place) -> String {
    let lists = [vec!["inventory", "list", "-o", "ndjson"], vec!["findings", "list", "--all", "-o", "ndjson"]];
    lists.iter().map(|words| place.done(words).out).collect()
}

/// What was said, with the place and the numbers that differ from run to run taken out.
fn plain(place: &Place, text: &str) -> String {
    let text = text.replace(place.path("").to_str().unwrap(), "/place/");
    let mut plain = String::new();
    let mut digits = false;
    for letter in text.chars() {
        if letter.is_ascii_digit() {
            digits = true;
            continue;
        }
        if std::mem::take(&mut digits) {
            plain.push('N');
        }
        plain.push(letter);
    }
    plain
}

#[test]
fn a_backup_taken_beside_the_store_brings_everything_back_elsewhere() {
    let place = scanned();
    let (before, file) = (listed(&place), place.path("today.backup"));
    let wide = |words: &[&str]| place.command(words).env("COLUMNS", "400").output().unwrap();
    let said = wide(&["store", "backup", file.to_str().unwrap()]);
    assert_eq!(said.status.code(), Some(0), "{}", String::from_utf8_lossy(&said.stderr));
    insta::assert_snapshot!(plain(&place, std::str::from_utf8(&said.stdout).unwrap()), @r"
    Backed up as of commit N: N rows, N former versions, N stream entries, N due items, N leases.
    Written to /place/today.backup (N.N KiB) and read again: it is whole.
    The key for fingerprints is not in it, nor is the configuration: keep copies of both elsewhere.
    ");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let again = place.say(&["store", "backup", file.to_str().unwrap()]);
    assert_eq!((again.status, again.out.as_str()), (2, ""));
    assert!(again.err.contains("is there already; choose another name"), "{}", again.err);

    let refused = wide(&["store", "restore", file.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(1));
    insta::assert_snapshot!(plain(&place, std::str::from_utf8(&refused.stderr).unwrap()), @"provost: the store at /place/state/provost is not empty, its last commit is N; nothing was changed. To set it aside and restore the backup in its place, add --force");
    assert_eq!(listed(&place), before);

    fs::remove_dir_all(place.store()).unwrap();
    let said = wide(&["store", "restore", file.to_str().unwrap()]);
    assert_eq!(said.status.code(), Some(0), "{}", String::from_utf8_lossy(&said.stderr));
    insta::assert_snapshot!(plain(&place, std::str::from_utf8(&said.stdout).unwrap()), @r"
    Restored as of commit N: N rows, N former versions, N stream entries, N due items, N leases.
    The store at /place/state/provost can be used now: provost status
    ");
    assert_eq!(listed(&place), before);
    let check = place.done(&["store", "check"]);
    assert!(check.out.ends_with("Nothing is wrong.\n"), "{}", check.out);
    let check: Value = serde_json::from_str(&place.done(&["store", "check", "-o", "json"]).out).unwrap();
    assert!(check["rows"].as_u64().unwrap() > 40 && check["faults"].as_array().unwrap().is_empty(), "{check}");
}

#[test]
fn a_damaged_store_is_set_aside_by_a_restore_and_that_is_said() {
    let place = scanned();
    let (before, file) = (listed(&place), place.path("today.backup"));
    place.done(&["store", "backup", file.to_str().unwrap()]);
    let db = place.store().join("sled/db");
    let half = fs::metadata(&db).unwrap().len() / 2;
    fs::File::options().write(true).open(&db).unwrap().set_len(half).unwrap();
    assert_eq!(place.say(&["status"]).status, 5);
    let cut = place.path("cut.backup");
    fs::write(&cut, &fs::read(&file).unwrap()[..2_000]).unwrap();
    for (bad, status) in
        [(cut.as_path(), 1), (place.configuration().as_path(), 2), (place.path("nowhere").as_path(), 1)]
    {
        let refused = place.say(&["store", "restore", bad.to_str().unwrap()]);
        assert_eq!((refused.status, refused.out.as_str()), (status, ""), "{}", refused.err);
    }
    let said = place.command(&["store", "restore", file.to_str().unwrap()]).env("COLUMNS", "400").output().unwrap();
    let said = plain(&place, std::str::from_utf8(&said.stdout).unwrap()).replace("\n  ", " ");
    let first = said.lines().next().unwrap();
    assert!(first.starts_with("The store that was there is damaged ("), "{said}");
    assert!(first.ends_with("); it was set aside, as it was, in /place/state/provost/damaged-N-N-NTN-N-NZ."), "{said}");
    assert_eq!(listed(&place), before);
}

#[test]
fn a_daemon_hands_a_backup_over_goes_on_and_is_never_restored_under() {
    let place = scanned();
    let before = listed(&place);
    let (daemon, _manager) = place.daemon();
    let file = place.path("through.backup");
    place.done(&["store", "backup", file.to_str().unwrap()]);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(place.done(&["store", "check"]).out.ends_with("Nothing is wrong.\n"));
    let refused = place.say(&["store", "restore", file.to_str().unwrap(), "--force"]);
    assert_eq!(refused.status, 5, "{}", refused.err);
    assert!(
        refused.err.starts_with("Nobody else may have the store open for this: stop the daemon first.\n"),
        "{}",
        refused.err
    );
    assert!(place.done(&["status"]).out.contains("daemon"));
    drop(daemon);
    place.done(&["store", "restore", file.to_str().unwrap(), "--force"]);
    assert_eq!(listed(&place), before);
}

#[test]
fn a_store_moves_to_another_engine_and_the_old_one_stays() {
    let place = scanned();
    let (before, new) = (listed(&place), place.path("elsewhere"));
    let words = ["store", "migrate", "--to", "redb", new.to_str().unwrap()];
    let said = place.command(&words).env("COLUMNS", "400").output().unwrap();
    assert_eq!(said.status.code(), Some(0), "{}", String::from_utf8_lossy(&said.stderr));
    // Where a line breaks follows from the length of the place's name.
    let said = plain(&place, std::str::from_utf8(&said.stdout).unwrap()).replace("\n  ", " ");
    insta::assert_snapshot!(said, @r#"
    Copied as of commit N: N rows, N former versions, N stream entries, N due items, N leases.
    Both were read again and compared: they hold the same.
    The store at /place/state/provost was left as it is. To use the new one, let /place/config/provost/provost.toml say:
    [store]
    path = "/place/elsewhere"
    engine = "redb"
    in place of the path, url and engine that are there, and start the daemon.
    "#);
    assert_eq!(listed(&place), before, "the old one is as it was");
    assert_eq!(place.say(&words).status, 2, "never over something");
    let text = fs::read_to_string(place.configuration()).unwrap();
    let text = text.replace("[store]\n", &format!("[store]\npath = {new:?}\nengine = \"redb\"\n"));
    place.write_configuration(&text);
    assert_eq!(listed(&place), before);
    assert!(place.done(&["store", "check"]).out.ends_with("Nothing is wrong.\n"));
}

#[test]
fn the_newest_whole_backup_is_found_and_restored() {
    let place = scanned();
    let before = listed(&place);
    let none = place.say(&["store", "restore", "--latest", "--force"]);
    assert_eq!((none.status, none.err.contains("there is no whole backup in ")), (2, true), "{}", none.err);
    let backups = place.store().join("backups");
    fs::create_dir(&backups).unwrap();
    let whole = backups.join("2026-01-01T00-00-00Z-c1.backup");
    place.done(&["store", "backup", whole.to_str().unwrap()]);
    fs::write(backups.join("2026-01-02T00-00-00Z-c2.backup"), &fs::read(&whole).unwrap()[..999]).unwrap();
    fs::write(place.store().join("sled/conf"), "garbage").unwrap();
    let said = place.command(&["store", "restore", "--latest"]).env("COLUMNS", "400").output().unwrap();
    assert_eq!(said.status.code(), Some(0), "{}", String::from_utf8_lossy(&said.stderr));
    let err = plain(&place, std::str::from_utf8(&said.stderr).unwrap());
    let lines: Vec<&str> = err.lines().collect();
    assert!(
        lines[0].starts_with("Passed over: the backup /place/state/provost/backups/N-N-NTN-N-NZ-cN.backup is not"),
        "{err}"
    );
    assert!(lines[1].starts_with("The newest whole backup is /place/state/provost/backups/"), "{err}");
    assert_eq!(listed(&place), before);
}
