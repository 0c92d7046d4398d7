//! Streams outside the engine: what a crash or a lost engine leaves is brought together when the store is opened.
//! It must never accept that an acknowledged entry is gone, whichever side lost it.

use std::{fs, path::Path, time::Duration};

use tempfile::TempDir;

use super::{ROWS, batch, commit, put, read};
use crate::{Batch, CommitNo, Embedded, Entry, Journaled, Op, OpenOptions, Store, StoreError, open};

fn opened(path: &Path) -> Result<Embedded<Journaled>, StoreError> {
    open(path, &OpenOptions { wait: Duration::from_secs(5), cache: 4 << 20, ..OpenOptions::default() })
}

fn append(stream: &'static str, value: &str) -> Op {
    Op::Append { stream, value: value.into() }
}

fn entries(store: &dyn Store, stream: &str) -> Vec<Entry> {
    store.entries(stream, 1, 9_999).unwrap()
}

fn faults(store: &dyn Store) -> Vec<String> {
    store.check().unwrap().faults
}

/// A store with two streams, closed.
fn filled() -> (TempDir, Vec<Entry>) {
    let dir = TempDir::new().unwrap();
    let store = opened(dir.path()).unwrap();
    for round in 0..20 {
        let ops = [append("s", &format!("entry {round}")), put(ROWS, "a", &format!("{round}")), append("Ä/..", "x")];
        commit(&store, round, ops);
    }
    assert_eq!(faults(&store), [""; 0]);
    let all = entries(&store, "s");
    (dir, all)
}

fn segment(dir: &Path) -> std::path::PathBuf {
    dir.join("segments/s-s/000000000001.seg")
}

#[test]
fn what_the_segments_lack_is_added_from_the_engine() {
    let (dir, all) = filled();
    let whole = fs::read(segment(dir.path())).unwrap();
    for at in (0..whole.len()).step_by(41).chain([whole.len() - 1]) {
        let mut harmed = whole.clone();
        harmed[at] ^= 0x10;
        // Cut off anywhere, and changed anywhere behind the beginning.
        for bytes in [Some(&whole[..at]), (at >= 58).then_some(&harmed)].into_iter().flatten() {
            fs::write(segment(dir.path()), bytes).unwrap();
            let store = opened(dir.path()).unwrap();
            assert_eq!(fs::read(segment(dir.path())).unwrap(), whole, "at {at}");
            assert_eq!((entries(&store, "s"), faults(&store)), (all.clone(), vec![]), "at {at}");
        }
    }
    fs::remove_dir_all(dir.path().join("segments")).unwrap();
    let store = opened(dir.path()).unwrap();
    assert_eq!(fs::read(segment(dir.path())).unwrap(), whole);
    assert_eq!(fs::read_dir(dir.path().join("segments")).unwrap().count(), 2, "no stream's name leads elsewhere");
    commit(&store, 30, [append("s", "more")]);
    assert_eq!(faults(&store), [""; 0]);
}

/// Replaces the engine and all that belongs to it by another one.
fn exchanged(dir: &Path, by: &Path) {
    for name in ["sled", "closed"] {
        let _ = fs::remove_file(dir.join(name));
        let _ = fs::remove_dir_all(dir.join(name));
        if by.join(name).exists() {
            let done = std::process::Command::new("cp").arg("-a").arg(by.join(name)).arg(dir.join(name)).status();
            assert!(done.unwrap().success());
        }
    }
}

#[test]
fn what_the_engine_lost_is_given_back_from_the_segments() {
    let (dir, before) = filled();
    let former = TempDir::new().unwrap();
    exchanged(former.path(), dir.path());
    let store = opened(dir.path()).unwrap();
    let fence = (20..30).map(|round| append("s", &format!("entry {round}")));
    commit(&store, 40, fence.chain([put(ROWS, "a", "lost")]));
    let all = entries(&store, "s");
    drop(store);
    assert_eq!(all.len(), before.len() + 10);
    exchanged(dir.path(), former.path());
    let store = opened(dir.path()).unwrap();
    assert_eq!(entries(&store, "s"), all, "numbers, times, hashes and contents are those that were acknowledged");
    assert_eq!(store.head().unwrap().number, CommitNo(21));
    assert_eq!(read(&store, ROWS, "a", None).as_deref(), Some("19"), "what is not in a stream is lost with the engine");
    assert_eq!(faults(&store), [""; 0]);
    drop(store);
    assert_eq!(opened(dir.path()).unwrap().head().unwrap().number, CommitNo(21), "it is given back once");
}

#[test]
fn two_sides_that_tell_different_stories_are_refused() {
    let (dir, _) = filled();
    let former = TempDir::new().unwrap();
    exchanged(former.path(), dir.path());
    let other = TempDir::new().unwrap();
    let store = opened(other.path()).unwrap();
    for round in 0..30 {
        commit(&store, round, [append("s", "another story")]);
    }
    drop(store);
    exchanged(dir.path(), other.path());
    let refused = opened(dir.path()).map(drop);
    assert!(matches!(refused, Err(StoreError::Damaged { .. })), "{refused:?}");
    exchanged(dir.path(), former.path());
    assert_eq!(faults(&opened(dir.path()).unwrap()), [""; 0]);
}

#[test]
fn a_batch_that_comes_to_nothing_leaves_nothing_in_a_segment() {
    let (dir, all) = filled();
    let store = opened(dir.path()).unwrap();
    let whole = fs::read(segment(dir.path())).unwrap();
    let conflict = Batch { expect: vec![(ROWS, b"a".to_vec(), None)], ..batch(50, [append("s", "never")]) };
    assert!(matches!(store.commit(conflict), Err(StoreError::Conflict(_))));
    assert_eq!(fs::read(segment(dir.path())).unwrap(), whole);
    commit(&store, 51, [append("s", "after")]);
    let found = entries(&store, "s");
    assert_eq!((found.len(), &found[..all.len()], faults(&store)), (all.len() + 1, all.as_slice(), vec![]));
}

#[test]
fn want_of_room_for_a_segment_commits_nothing() {
    let (dir, all) = filled();
    let store = opened(dir.path()).unwrap();
    let head = store.head().unwrap();
    // A new stream needs a directory where there is a file.
    fs::write(dir.path().join("segments/s-blocked"), "").unwrap();
    let refused = store.commit(batch(60, [append("s", "never"), append("blocked", "never"), put(ROWS, "a", "never")]));
    assert!(matches!(refused, Err(StoreError::Io(_))), "{refused:?}");
    assert_eq!((store.head().unwrap(), entries(&store, "s")), (head, all));
    assert_eq!(read(&store, ROWS, "a", None).as_deref(), Some("19"));
    fs::remove_file(dir.path().join("segments/s-blocked")).unwrap();
    commit(&store, 61, [append("s", "now"), append("blocked", "now")]);
    assert_eq!(faults(&store), [""; 0]);
}
