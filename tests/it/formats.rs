//! Stores of other formats as an operator meets them: newer ones refused, older ones brought over, and the way back.
//! It must never look into a store but through the program.

use std::fs;

use crate::{old::unpack, program::Place};

/// A place whose store is of a former format.
fn placed(format: u32) -> Place {
    let (place, _) = Place::grown();
    unpack(format, &place.store());
    place
}

/// What the program says on one side, on wide paper, with the place and what differs from run to run taken out.
fn told(place: &Place, words: &[&str], status: i32) -> (String, String) {
    let said = place.command(words).env("COLUMNS", "400").output().unwrap();
    let [out, err] = [said.stdout, said.stderr].map(|bytes| {
        let text = String::from_utf8(bytes).unwrap().replace(place.path("").to_str().unwrap(), "/place/");
        // Where a line breaks follows from the length of the place's name.
        text.replace("\n  ", " ").lines().map(without_time).collect::<Vec<_>>().join("\n")
    });
    assert_eq!(said.status.code(), Some(status), "{words:?}: {out}{err}");
    (out, err)
}

/// A line without the times of this day in it, nor numbers of bytes.
fn without_time(line: &str) -> String {
    let word = |word: &str| {
        let dated = word.len() > 19 && word.as_bytes()[..4].iter().all(u8::is_ascii_digit) && word.contains('T');
        match word.split_once("rolled-back-") {
            Some((before, _)) => format!("{before}rolled-back-TIME."),
            None if dated && !word.starts_with("2023") => format!("TIME{}", if word.ends_with(';') { ";" } else { "" }),
            None => word.to_owned(),
        }
    };
    line.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

fn format_of(place: &Place) -> String {
    let text = fs::read_to_string(place.store().join("format.toml")).unwrap();
    text.lines().take(2).collect::<Vec<_>>().join(", ")
}

#[test]
fn a_store_for_newer_readers_is_refused_and_left_as_it_is() {
    let place = placed(2);
    let later = "format = 9\nmin_reader = 9\nengine = \"sled\"\ncreated_by = \"9.0.0\"\n";
    fs::write(place.store().join("format.toml"), later).unwrap();
    for words in [&["status"][..], &["scan"], &["run"], &["store", "check"], &["store", "compact"]] {
        let (out, err) = told(&place, words, 5);
        assert_eq!(out, "");
        assert_eq!(
            err.lines().last().unwrap(),
            "provost: the store at /place/state/provost needs a reader of version 9, this is 5; use the newer provost"
        );
    }
    assert_eq!(fs::read_to_string(place.store().join("format.toml")).unwrap(), later);
    // One that this program may read is read, and only not rewritten.
    fs::write(place.store().join("format.toml"), later.replace("min_reader = 9", "min_reader = 3")).unwrap();
    told(&place, &["status"], 0);
    let (_, err) = told(&place, &["store", "compact"], 5);
    insta::assert_snapshot!(err.lines().last().unwrap(), @"provost: the store at /place/state/provost is of format 9, this program rewrites up to 5; use the newer provost");
}

#[test]
fn a_store_of_a_former_format_is_brought_over_once_and_goes_back() {
    let place = placed(1);
    let before = fs::read(place.store().join("sled/db")).unwrap();
    let (_, err) = told(&place, &["store", "check"], 0);
    insta::assert_snapshot!(err, @"TIME  WARN the store is of an older format: it was copied, and is now brought to this program's store=/place/state/provost format=1 copy=/place/state/provost/backups/before-format-5.1");
    let (out, err) = told(&place, &["store", "check"], 0);
    assert_eq!((out.ends_with("Nothing is wrong."), err.as_str()), (true, ""), "{out}");
    assert_eq!(format_of(&place), "format = 5, min_reader = 2");
    let (out, _) = told(&place, &["store", "rollback"], 0);
    insta::assert_snapshot!(out, @r"
    The store that was there was set aside, as it was, in /place/state/provost/rolled-back-TIME.
    Every file was put back from /place/state/provost/backups/before-format-5.1 and is the one that was copied.
    The store is of format 1 again, as of commit 7 of 2023-11-14T22:13:27Z.
    No commit was lost.
    Install the provost that reads format 1 before the store is opened: this one would bring it to its own again.
    ");
    assert_eq!(format_of(&place), "format = 1, min_reader = 1");
    assert!(fs::read(place.store().join("sled/db")).unwrap() == before);
    let (out, _) = told(&place, &["store", "rollback"], 0);
    insta::assert_snapshot!(out, @r"
    Nothing to go back from: the store at /place/state/provost is of format 1, and programs from format 1 on read it as it is. Nothing was changed.
    To go back to the copy all the same, without the commits made since, add --lose-commits.
    ");
}

#[test]
fn going_back_loses_commits_only_if_told_and_never_under_a_daemon() {
    let place = placed(1);
    let (none, _) = Place::grown();
    let (_, err) = told(&none, &["store", "rollback"], 2);
    insta::assert_snapshot!(err, @"provost: there is no copy of the store from before a step of format in /place/state/provost/backups (store.backups.path)");
    let (daemon, _manager) = place.daemon();
    let (_, err) = told(&place, &["store", "rollback", "--lose-commits"], 5);
    assert!(err.starts_with("Nobody else may have the store open for this: stop the daemon first.\n"), "{err}");
    drop(daemon);
    place.done(&["scan"]);
    let listed = place.listed(&["inventory", "list"]);
    let (_, err) = told(&place, &["store", "rollback"], 1);
    let (commits, rest) = err.strip_prefix("provost: ").unwrap().split_once(' ').unwrap();
    insta::assert_snapshot!(rest, @"commits were made since the store was copied to /place/state/provost/backups/before-format-5.1, the first at TIME; nothing was changed. To go back without them (the store that is there is set aside, not thrown away), add --lose-commits");
    assert_eq!(place.listed(&["inventory", "list"]), listed, "nothing was changed");
    let (out, _) = told(&place, &["store", "rollback", "--lose-commits"], 0);
    let commits: u64 = commits.parse().unwrap();
    assert!(commits > 0 && out.contains(" later commits are in the store that was set aside only."), "{out}");
    assert_eq!(format_of(&place), "format = 1, min_reader = 1");
    assert!(place.listed(&["inventory", "list"]).is_empty(), "brought over again, without what was lost");
    assert!(place.store().join("backups/before-format-5.2/copy.toml").exists());
}

#[test]
fn nobody_goes_back_from_what_the_release_before_reads_nor_from_a_database() {
    let place = placed(2);
    place.done(&["status"]);
    let (out, _) = told(&place, &["store", "rollback"], 0);
    insta::assert_snapshot!(out, @r"
    Nothing to go back from: the store at /place/state/provost is of format 5, and programs from format 2 on read it as it is. Nothing was changed.
    To go back to the copy all the same, without the commits made since, add --lose-commits.
    ");
    place.done(&["store", "compact"]);
    assert_eq!(format_of(&place), "format = 5, min_reader = 5");
    told(&place, &["store", "rollback", "--lose-commits"], 0);
    assert_eq!(format_of(&place), "format = 2, min_reader = 2");
    let text = fs::read_to_string(place.configuration()).unwrap();
    place.write_configuration(&text.replace("[store]\n", "[store]\nurl = \"postgres://nobody@localhost/nothing\"\n"));
    let (_, err) = told(&place, &["store", "rollback", "--lose-commits"], 2);
    insta::assert_snapshot!(err, @"provost: a store in a database has no copy that this program made: go back by the database's own means, such as a dump or its point-in-time recovery");
}

#[test]
fn moving_a_store_of_a_former_format_leaves_it_as_it_is() {
    let place = placed(1);
    let new = place.path("elsewhere");
    told(&place, &["store", "migrate", "--to", "redb", new.to_str().unwrap()], 0);
    assert_eq!(format_of(&place), "format = 1, min_reader = 1");
    assert!(!place.store().join("backups").exists());
    assert!(fs::read_to_string(new.join("format.toml")).unwrap().starts_with("format = 5\nmin_reader = 3\n"));
}
