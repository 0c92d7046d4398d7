//! Rewriting a store: nothing changes but the room it takes, whoever reads or writes meanwhile, and wherever it is killed.
//! It must never find a store quiet: writers go on in every test on disk.

use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use tempfile::TempDir;

use super::{
    PLAIN, ROWS, commit, delete,
    kills::{self, Dice, Writer, check, opened, rounds, say, told, write_aloud},
    on_each, put, read,
};
use crate::{CommitNo, Compacted, EngineKind, Op, Piece, Store};

/// Everything in a store.
fn everything(store: &dyn Store) -> Vec<String> {
    let mut found = Vec::new();
    let mut each = |piece: Piece| {
        found.push(format!("{piece:?}"));
        Ok(())
    };
    store.pieces(&mut each).unwrap();
    found
}

/// The directories of engines in a store's directory.
fn engines(dir: &Path) -> Vec<String> {
    let names = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let kind = |name: &String| EngineKind::ALL.iter().any(|kind| name.starts_with(kind.name()));
    names.filter(kind).collect()
}

#[test]
fn a_rewrite_changes_nothing_that_can_be_read() {
    on_each(|store| {
        for round in 1..40 {
            let rows = (0..30).map(|row| put(ROWS, &format!("{row}"), &format!("{round}")));
            let due = Op::Schedule { queue: "q", item: b"i".to_vec(), at: provost_model::Time::from_seconds(round) };
            let others = [put(PLAIN, "p", &format!("{round}")), Op::Append { stream: "s", value: vec![7] }, due];
            commit(store, round, rows.chain(others).chain([delete(ROWS, &format!("{}", round % 30))]));
        }
        let before = everything(store);
        store.compact().unwrap();
        assert!(everything(store) == before);
        assert_eq!(store.check().unwrap().faults, [""; 0]);
        commit(store, 99, [put(ROWS, "after", "1")]);
        assert_eq!(read(store, ROWS, "after", None).as_deref(), Some("1"));
    });
}

#[test]
fn a_rewrite_gives_back_what_nobody_needs_beside_a_writer() {
    for engine in EngineKind::ALL {
        let dir = TempDir::new().unwrap();
        let store = opened(dir.path(), engine, 64 << 10);
        for round in 0..20 {
            commit(&store, round, (0..200).map(|row| put(ROWS, &format!("{row:04}"), &"x".repeat(300))));
        }
        store.forget_before(ROWS, store.head().unwrap().number).unwrap();
        let over = AtomicBool::new(false);
        let done = std::thread::scope(|threads| {
            let writer = threads.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    kills::write(&store);
                }
            });
            let done = [store.compact().unwrap(), store.compact().unwrap()];
            over.store(true, Ordering::Relaxed);
            writer.join().unwrap();
            done
        });
        let Compacted { before, after } = done[0];
        assert!(after < before, "{engine:?}: {done:?}");
        assert_eq!(engines(dir.path()), [format!("{}.2", engine.name())]);
        let (head, live) = (store.head().unwrap().number, everything(&store));
        assert!(store.compaction_needs().unwrap() > 200 * 300);
        drop(store);
        let store = opened(dir.path(), engine, 64 << 10);
        assert_eq!(store.head().unwrap().number, head);
        assert!(everything(&store) == live);
        assert_eq!(store.check().unwrap().faults, [""; 0]);
        assert_eq!(store.get(ROWS, b"0199", Some(CommitNo(20))).unwrap().unwrap().value.unwrap().len(), 300);
    }
}

/// The process that is killed runs this test with a directory: it writes, and rewrites the store again and again.
#[test]
fn a_store_is_rewritten_again_and_again_beside_a_writer() {
    let spare = TempDir::new().unwrap();
    let killed = told();
    let batches = if killed.is_some() { usize::MAX } else { 20 };
    let (dir, engine, journal) = killed.unwrap_or((spare.path().to_owned(), EngineKind::Redb, 32 << 10));
    let store = opened(&dir, engine, journal);
    let over = AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                store.compact().unwrap();
                say("rewritten");
            }
        });
        (0..batches).for_each(|_| write_aloud(&store));
        over.store(true, Ordering::Relaxed);
    });
    check(&store);
}

#[test]
fn a_rewrite_killed_anywhere_has_changed_nothing_or_everything() {
    for engine in EngineKind::ALL {
        let dir = TempDir::new().unwrap();
        let test = "suite::rewrites::a_store_is_rewritten_again_and_again_beside_a_writer";
        let (mut dice, mut places) = (Dice::default(), Vec::new());
        for round in 0..rounds() / 2 {
            let mut writer = Writer::start(test, dir.path(), engine, 32 << 10);
            // Every third is killed soon after a rewrite, the others mostly within one.
            writer.says(if round % 3 == 0 { "rewritten" } else { "acknowledged" });
            let last = writer.killed_after(dice.micros(100_000)).unwrap();
            let store = opened(dir.path(), engine, 32 << 10);
            let head = store.head().unwrap().number.0;
            assert!(head == last || head == last + 1, "round {round}: {last} was acknowledged, {head} is there");
            check(&store);
            assert_eq!(store.check().unwrap().faults, [""; 0]);
            let [place] = engines(dir.path()).try_into().expect("one engine and no rubbish");
            places.push(place);
        }
        places.dedup();
        assert!(places.len() > 2, "never rewritten: {places:?}");
    }
}
