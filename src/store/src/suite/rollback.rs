//! Going back to a former format: byte for byte, and never by losing what nobody gave up.
//! It must never ask this program whether the old release would read the store: the files are compared.

use std::{
    fs,
    path::{Path, PathBuf},
};

use provost_model::Time;

use super::{
    ROWS, commit, put, read,
    steps::{copies, files, held, old, opened, told},
};
use crate::{
    CommitNo, OpenOptions, Store, StoreError,
    archive::{ArchiveError, RolledBack, roll_back},
    format,
};

const NOW: Time = Time::from_seconds(1_795_527_900);
/// The time of the last commit of the stores of former formats.
const LAST: Time = Time::from_seconds(1_700_000_007);
const ASIDE: &str = "rolled-back-2026-11-24T13-45-00Z";

fn back(dir: &Path, lose_commits: bool) -> Result<RolledBack, ArchiveError> {
    roll_back(dir, (&OpenOptions::default(), lose_commits, NOW))
}

fn done(dir: &Path, format: u32, lost: Option<u64>) -> RolledBack {
    let (copy, aside) = (dir.join("backups/before-format-5.1"), Some(dir.join(ASIDE)));
    RolledBack::Done { copy, format, commit: 7, recorded: LAST, aside, lost }
}

/// The files of a store, without its copies and what was set aside.
fn of_store(dir: &Path) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    let others = |path: &Path| path.starts_with("backups") || path.starts_with(ASIDE);
    files(dir).into_iter().filter(|(path, _)| !others(path)).collect()
}

#[test]
fn a_store_goes_back_to_what_it_was_byte_for_byte() {
    let (dir, before) = old(1);
    drop(opened(dir.path()));
    assert_eq!(back(dir.path(), false).unwrap(), done(dir.path(), 1, Some(0)));
    assert!(of_store(dir.path()) == before.into_iter().collect::<Vec<_>>());
    let aside = dir.path().join(ASIDE);
    assert_eq!(told(&opened(&aside)), held(1), "what was there is whole, and of the present format");
    assert_eq!(copies(&aside), [""; 0]);
    // Once more to the present format, and back again: by the copy of that time.
    let store = opened(dir.path());
    commit(&store, 8, [put(ROWS, "a", "lost")]);
    drop(store);
    assert_eq!(copies(dir.path()), ["before-format-5.1", "before-format-5.2"]);
    fs::remove_dir_all(&aside).unwrap();
    let RolledBack::Done { copy, lost: Some(1), .. } = back(dir.path(), true).unwrap() else { panic!("not done") };
    assert_eq!(copy, dir.path().join("backups/before-format-5.2"));
    assert_eq!(told(&opened(dir.path())), held(1));
}

#[test]
fn commits_made_since_are_lost_only_if_told() {
    let (dir, before) = old(1);
    let store = opened(dir.path());
    commit(&store, LAST.as_seconds() + 60, [put(ROWS, "a", "later")]);
    commit(&store, LAST.as_seconds() + 90, [put(ROWS, "a", "last")]);
    let held_by_me = back(dir.path(), true);
    assert!(matches!(held_by_me, Err(ArchiveError::Store(StoreError::Locked { .. }))), "{held_by_me:?}");
    drop(store);
    let refused = back(dir.path(), false).unwrap_err();
    let first_at = Time::from_seconds(LAST.as_seconds() + 60);
    assert!(
        matches!(&refused, ArchiveError::CommitsSince { commits: 2, first, .. } if *first == first_at),
        "{refused}"
    );
    assert_eq!(read(&opened(dir.path()), ROWS, "a", None).as_deref(), Some("last"), "nothing was changed");
    assert_eq!(back(dir.path(), true).unwrap(), done(dir.path(), 1, Some(2)));
    assert!(of_store(dir.path()) == before.into_iter().collect::<Vec<_>>());
    assert_eq!(read(&opened(&dir.path().join(ASIDE)), ROWS, "a", None).as_deref(), Some("last"));
}

#[test]
fn nothing_goes_back_while_the_release_before_reads_the_store_as_it_is() {
    let (dir, before) = old(2);
    let store = opened(dir.path());
    commit(&store, 8, [put(ROWS, "a", "later")]);
    drop(store);
    assert_eq!(back(dir.path(), false).unwrap(), RolledBack::NotNeeded { format: 5, min_reader: 2 });
    let store = opened(dir.path());
    assert_eq!(read(&store, ROWS, "a", None).as_deref(), Some("later"));
    // A rewrite ends that.
    store.compact().unwrap();
    drop(store);
    assert!(matches!(back(dir.path(), false), Err(ArchiveError::CommitsSince { commits: 1, .. })));
    assert_eq!(back(dir.path(), true).unwrap(), done(dir.path(), 2, Some(1)));
    assert!(of_store(dir.path()) == before.into_iter().collect::<Vec<_>>());
    assert_eq!(back(dir.path(), false).unwrap(), RolledBack::NotNeeded { format: 2, min_reader: 2 });
    // The same of a store that redb keeps, which bundled versions end.
    let (dir, before) = old(3);
    drop(opened(dir.path()));
    assert_eq!(back(dir.path(), false).unwrap(), RolledBack::NotNeeded { format: 5, min_reader: 3 });
    let store = opened(dir.path());
    assert!(store.pack(ROWS, &[(b"a".to_vec(), CommitNo(7))]).unwrap() > 0);
    drop(store);
    assert_eq!(back(dir.path(), false).unwrap(), done(dir.path(), 3, Some(0)));
    assert!(of_store(dir.path()) == before.into_iter().collect::<Vec<_>>());
}

#[test]
fn a_store_that_cannot_be_read_goes_back_only_if_told() {
    type Harm = fn(&Path);
    let harms: [(&str, Harm); 5] = [
        ("damaged", |dir| fs::write(dir.join("sled/conf"), "garbage").unwrap()),
        ("without a format file", |dir| fs::remove_file(dir.join("format.toml")).unwrap()),
        ("of a later format", |dir| {
            let later = "format = 9\nmin_reader = 9\nengine = \"sled\"\ncreated_by = \"9.0\"\n";
            fs::write(dir.join("format.toml"), later).unwrap();
        }),
        // What a process leaves that was killed while it went back.
        ("cut short", |dir| {
            format::bar(dir).unwrap();
            fs::create_dir(dir.join("half")).unwrap();
            fs::rename(dir.join("sled"), dir.join("half/sled")).unwrap();
            fs::create_dir(dir.join("restoring")).unwrap();
        }),
        ("another one", |dir| {
            ["format.toml", "closed"].iter().for_each(|file| fs::remove_file(dir.join(file)).unwrap());
            ["sled", "segments"].iter().for_each(|part| fs::remove_dir_all(dir.join(part)).unwrap());
            let other = opened(dir);
            (0..9).for_each(|at| assert_eq!(commit(&other, at, []).0, 1 + at.cast_unsigned()));
        }),
    ];
    for (case, harm) in harms {
        let (dir, before) = old(1);
        drop(opened(dir.path()));
        harm(dir.path());
        let harmed = of_store(dir.path());
        let refused = back(dir.path(), false).unwrap_err();
        assert!(matches!(refused, ArchiveError::CannotTell { .. }), "{case}: {refused}");
        // Engines may write to their files whenever they are opened.
        assert!(case == "another one" || of_store(dir.path()) == harmed, "{case}: something was changed");
        assert_eq!(back(dir.path(), true).unwrap(), done(dir.path(), 1, None), "{case}");
        ["half", "restoring"].iter().for_each(|left| drop(fs::remove_dir_all(dir.path().join(left))));
        assert!(of_store(dir.path()) == before.into_iter().collect::<Vec<_>>(), "{case}");
        assert!(dir.path().join(ASIDE).exists());
    }
    // Where nothing is, nothing can be lost.
    let (dir, before) = old(1);
    drop(opened(dir.path()));
    ["format.toml", "closed"].iter().for_each(|file| fs::remove_file(dir.path().join(file)).unwrap());
    ["sled", "segments"].iter().for_each(|part| fs::remove_dir_all(dir.path().join(part)).unwrap());
    assert!(matches!(back(dir.path(), false), Ok(RolledBack::Done { aside: None, lost: Some(0), .. })));
    assert!(of_store(dir.path()) == before.into_iter().collect::<Vec<_>>());
}

#[test]
fn a_copy_that_is_not_what_was_copied_is_refused_and_nothing_is_changed() {
    type Harm = fn(&Path);
    let harms: [(&str, Harm); 7] = [
        ("a byte", |copy| {
            let mut bytes = fs::read(copy.join("store/sled/db")).unwrap();
            bytes[300_000] ^= 1;
            fs::write(copy.join("store/sled/db"), bytes).unwrap();
        }),
        ("a file less", |copy| fs::remove_file(copy.join("store/sled/conf")).unwrap()),
        ("a file cut off", |copy| fs::write(copy.join("store/format.toml"), "format = 1").unwrap()),
        ("no list", |copy| fs::remove_file(copy.join("copy.toml")).unwrap()),
        ("an empty list", |copy| fs::write(copy.join("copy.toml"), "").unwrap()),
        ("a list that leads out of it", |copy| {
            fs::copy(copy.join("store/closed"), copy.join("stray")).unwrap();
            let list = fs::read_to_string(copy.join("copy.toml")).unwrap();
            fs::write(copy.join("copy.toml"), list.replacen("\"closed\"", "\"../stray\"", 1)).unwrap();
        }),
        ("a list without a format file", |copy| {
            let list = fs::read_to_string(copy.join("copy.toml")).unwrap();
            fs::write(copy.join("copy.toml"), list.replacen("format.toml", "format", 1)).unwrap();
        }),
    ];
    for (case, harm) in harms {
        let (dir, _) = old(1);
        drop(opened(dir.path()));
        harm(&dir.path().join("backups/before-format-5.1"));
        let refused = back(dir.path(), true).unwrap_err();
        assert!(matches!(refused, ArchiveError::Altered { .. }), "{case}: {refused}");
        let left = ["restoring", "stray", ASIDE].map(|name| dir.path().join(name).exists());
        assert_eq!(left, [false; 3], "{case}");
        assert_eq!(told(&opened(dir.path())), held(1), "{case}");
    }
    let (dir, _) = old(1);
    drop(opened(dir.path()));
    let list = dir.path().join("backups/before-format-5.1/copy.toml");
    fs::write(&list, fs::read_to_string(&list).unwrap().replacen("bytes = 64\n", "bytes = 99999999999999\n", 1))
        .unwrap();
    let refused = back(dir.path(), true).unwrap_err().to_string();
    assert!(refused.contains("going back needs 100000067"), "no room: {refused}");
    fs::remove_dir_all(dir.path().join("backups")).unwrap();
    assert!(matches!(back(dir.path(), true), Err(ArchiveError::NoCopy(_))));
    assert_eq!(told(&opened(dir.path())), held(1));
    let (dir, before) = old(1);
    assert!(matches!(back(dir.path(), true), Err(ArchiveError::NoCopy(_))));
    assert!(files(dir.path()) == before);
}
