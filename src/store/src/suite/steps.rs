//! Stores of former formats, as the programs of their time left them: brought over whole, copied before, wherever it is cut
//! short.
//! It must never take what a store holds from the store that is tested: it is written down here.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use provost_model::Time;
use tempfile::TempDir;

use super::{ROWS, commit, old::unpack, put, read, refusals::contents};
use crate::{
    CommitNo, Embedded, EngineKind, Journaled, OpenOptions, Piece, Store, StoreError,
    archive::{Backup, Former, Mode, back_up, restore},
    format, look, memory, open,
    opening::{locked, opened_by},
    steps::{self, Step},
};

/// When the stores of former formats begin.
const BEGIN: i64 = 1_700_000_000;

/// What every one of them holds. That `once` keeps versions is not known of format 2: 1 has a tree for them, 3 a
/// note.
const CONTENTS: &str = r#"commit 1 at 1
commit 2 at 2
commit 3 at 3
commit 4 at 4
commit 5 at 5
commit 6 at 5
commit 7 at 7
once o of 2 at 2: o1
plain plain q of 6 at 5:
things \x00\xc3\xbf of 4 at 4: odd key
things a of 7 at 7: a3
things b of 6 at 5: b3
things c of 5 at 5: long long… 10000 bytes
things a of 1 at 1: a1, former
things a of 2 at 2: a2, amended, former
things b of 1 at 1: b1, former
things b of 3 at 3: deleted, former
evidence 1 at 1: first 8667
evidence 2 at 3: second be9a
evidence 3 at 7: third 7c04
outbox 1 at 3: mail f5e9
queue soon at 120
queue then at 900
lease done of "", token 1, until 60
lease work of "one", token 1, until 90"#;

/// What a store of that former format holds.
pub(super) fn held(format: u32) -> String {
    if format == 2 { CONTENTS.replace("once o", "plain once o") } else { CONTENTS.to_owned() }
}

/// What a store holds, a line each.
pub(super) fn told(store: &dyn Store) -> String {
    let mut lines = Vec::new();
    let text = |bytes: &[u8]| match bytes.len() {
        0..99 => bytes.escape_ascii().to_string(),
        long => format!("{}… {long} bytes", bytes[..9].escape_ascii()),
    };
    let after = |at: Time| at.as_seconds() - BEGIN;
    let mut each = |piece: Piece| {
        lines.push(match piece {
            Piece::Commit { number, at } => format!("commit {} at {}", number.0, after(at)),
            Piece::Row { table, versioned, key, row, present } => format!(
                "{}{table} {} of {} at {}: {}{}",
                if versioned { "" } else { "plain " },
                text(&key),
                row.commit.0,
                after(row.recorded),
                row.value.map_or_else(|| "deleted".to_owned(), |value| text(&value)),
                if present { "" } else { ", former" },
            ),
            Piece::Entry { stream, entry } => {
                let hash = entry.hash[..2].iter().map(|byte| format!("{byte:02x}")).collect::<String>();
                format!("{stream} {} at {}: {} {hash}", entry.sequence, after(entry.at), text(&entry.value))
            }
            Piece::Due { queue, item, at } => format!("{queue} {} at {}", text(&item), after(at)),
            Piece::Lease { name, holder, token, until } => {
                format!("lease {name} of {holder:?}, token {token}, until {}", after(until))
            }
        });
        Ok(())
    };
    store.pieces(&mut each).unwrap();
    lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n")
}

/// A directory with a store of that former format, and what is in it.
pub(super) fn old(format: u32) -> (TempDir, BTreeMap<PathBuf, Option<Vec<u8>>>) {
    let dir = TempDir::new().unwrap();
    unpack(format, dir.path());
    let found = files(dir.path());
    (dir, found)
}

/// The files below a directory, by their places in it.
pub(super) fn files(dir: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    contents(dir).into_iter().map(|(path, bytes)| (path.strip_prefix(dir).unwrap().to_owned(), bytes)).collect()
}

pub(super) fn opened(dir: &Path) -> Embedded<Journaled> {
    open(dir, &OpenOptions::default()).unwrap()
}

/// The copies in a store's directory.
pub(super) fn copies(dir: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(dir.join("backups")) else { return Vec::new() };
    let mut names: Vec<String> = entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// What the format file says, without who wrote it.
fn said(dir: &Path) -> String {
    let text = fs::read_to_string(dir.join("format.toml")).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with("created_by") && !line.is_empty());
    lines.collect::<Vec<_>>().join(", ").replace('"', "")
}

const PRESENT: &str = "format = 5, min_reader = 2, engine = sled";

/// Opens a store with other steps than there are.
fn stepped(dir: &Path, steps: &[Step]) -> Result<Embedded<Journaled>, StoreError> {
    let options = OpenOptions::default();
    opened_by(steps, dir, &options, locked(dir, options.wait)?)
}

/// The steps up to and with the one to a format, which fails.
fn failing(to: u32) -> Vec<Step> {
    let fail = |_: &Embedded<Journaled>| Err(StoreError::Io(std::io::Error::other("cut short")));
    steps::ALL.iter().map(|step| if step.to == to { step.that_takes(fail) } else { *step }).collect()
}

#[test]
fn the_steps_lead_from_the_first_format_to_this_programs_and_none_serves_less_than_the_one_before() {
    let led: Vec<u32> = steps::ALL.iter().map(|step| step.to).collect();
    assert_eq!(led, (2..=format::VERSION).collect::<Vec<_>>());
    for step in steps::ALL {
        let readers = [step.min_reader, step.elsewhere, step.contracted, step.to];
        assert!(readers.is_sorted(), "{readers:?}");
        assert!((step.elsewhere..=step.to).contains(&step.anew), "{step:?}");
        assert!([step.expands, step.migrates, step.contracts].iter().all(|said| !said.is_empty()));
    }
}

#[test]
fn a_store_of_a_former_format_is_brought_over_whole_and_copied_before() {
    for format in [1, 2, 3, 4] {
        let (dir, before) = old(format);
        let store = opened(dir.path());
        assert_eq!(told(&store), held(format), "format {format}");
        let report = store.check().unwrap();
        assert_eq!((report.faults, report.entries, report.commits), (vec![], 4, 7));
        let present = if format == 3 { "format = 5, min_reader = 3, engine = redb" } else { PRESENT };
        assert_eq!(said(dir.path()), present);
        let copy = dir.path().join("backups/before-format-5.1");
        assert!(files(&copy.join("store")) == before, "every byte as it was before");
        // It goes on, and is brought over once only.
        assert_eq!(commit(&store, BEGIN + 9, [put(ROWS, "a", "later")]), CommitNo(8));
        drop(store);
        assert_eq!(read(&opened(dir.path()), ROWS, "a", Some(7)).as_deref(), Some("a3"));
        assert_eq!(copies(dir.path()), ["before-format-5.1"]);
        // What keeps versions is known even where they were forgotten, the engine rewritten, and nothing put since.
        let (dir, _) = old(format);
        let store = opened(dir.path());
        store.forget_before(ROWS, CommitNo(8)).unwrap();
        store.compact().unwrap();
        let left = told(&store);
        assert!(left.contains("\nthings a of 7 at 7: a3\n") && !left.contains("former"), "{left}");
        // What sled has is in blocks then.
        let (engine, reader) = if format == 3 { ("redb", 3) } else { ("sled", 5) };
        let moved = format!("format = 5, min_reader = {reader}, engine = {engine}, place = {engine}.1");
        assert_eq!(said(dir.path()), moved);
    }
}

#[test]
fn a_store_that_was_not_closed_in_order_is_brought_over_too() {
    for format in [1, 2, 3, 4] {
        let (dir, _) = old(format);
        fs::remove_file(dir.path().join("closed")).unwrap();
        assert_eq!(told(&opened(dir.path())), held(format));
        let copied = files(&dir.path().join("backups/before-format-5.1/store"));
        assert!(!copied.contains_key(Path::new("closed")), "whoever reads the copy looks as close");
    }
}

#[test]
fn steps_that_were_cut_short_go_on_where_they_were_and_nothing_is_copied_twice() {
    for (format, fails, left) in [
        (1, 2, "format = 1, min_reader = 1, engine = sled, [stepping], copy = before-format-5.1, commit = 7"),
        (1, 3, "format = 2, min_reader = 2, engine = sled, [stepping], copy = before-format-5.1, commit = 7"),
        (2, 3, "format = 2, min_reader = 2, engine = sled, [stepping], copy = before-format-5.1, commit = 7"),
        (3, 4, "format = 3, min_reader = 3, engine = redb, [stepping], copy = before-format-5.1, commit = 7"),
        (1, 4, "format = 3, min_reader = 2, engine = sled, [stepping], copy = before-format-5.1, commit = 7"),
        (4, 5, "format = 4, min_reader = 2, engine = sled, [stepping], copy = before-format-5.1, commit = 7"),
    ] {
        let (dir, before) = old(format);
        // What a process left that was killed while it copied.
        let unfinished = dir.path().join("backups/.before-format.unfinished");
        fs::create_dir_all(unfinished.join("store")).unwrap();
        fs::write(unfinished.join("store/half"), "a file").unwrap();
        for _ in 0..2 {
            let error = stepped(dir.path(), &failing(fails)).map(drop).unwrap_err().to_string();
            assert!(error.contains("cut short"), "{error}");
            assert_eq!(said(dir.path()), left);
            // A process that is killed notes nothing of its end, and leaves its number.
            fs::remove_file(dir.path().join("closed")).unwrap();
            fs::write(dir.path().join("pid"), "4194304").unwrap();
        }
        assert_eq!(told(&opened(dir.path())), held(format), "format {format}, step {fails}");
        assert!(said(dir.path()).starts_with("format = 5, ") && !said(dir.path()).contains("stepping"));
        assert_eq!(copies(dir.path()), ["before-format-5.1"]);
        assert!(files(&dir.path().join("backups/before-format-5.1/store")) == before);
    }
}

#[test]
fn what_an_older_program_writes_between_two_tries_is_copied_anew() {
    let (dir, _) = old(2);
    stepped(dir.path(), &failing(3)).map(drop).unwrap_err();
    // A program of format 2 knows no step beyond it.
    let older = stepped(dir.path(), &steps::ALL[..1]).unwrap();
    commit(&older, BEGIN + 8, [put(ROWS, "a", "of the older program")]);
    drop(older);
    assert_eq!(opened(dir.path()).head().unwrap().number, CommitNo(8));
    assert_eq!(copies(dir.path()), ["before-format-5.1", "before-format-5.2"]);
    let list = fs::read_to_string(dir.path().join("backups/before-format-5.2/copy.toml")).unwrap();
    assert!(list.starts_with("format = 2\nto = 5\ncommit = 8\n"), "{list}");
    // A copy that is not there any more is made again, too.
    let (dir, _) = old(2);
    stepped(dir.path(), &failing(3)).map(drop).unwrap_err();
    fs::remove_dir_all(dir.path().join("backups")).unwrap();
    drop(opened(dir.path()));
    assert_eq!(copies(dir.path()), ["before-format-5.1"]);
}

#[test]
fn without_room_for_the_copy_nothing_is_changed() {
    for format in [1, 2] {
        let (dir, before) = old(format);
        // Room is asked for by length: this file takes none.
        let large = dir.path().join("segments/s");
        fs::create_dir_all(&large).unwrap();
        fs::File::create(large.join("000000000001.seg")).unwrap().set_len(15 << 40).unwrap();
        let backups = dir.path().join("else/where");
        let options = OpenOptions { backups: Some(backups.clone()), ..OpenOptions::default() };
        let refused = open(dir.path(), &options).map(drop).unwrap_err();
        let StoreError::NoRoomForCopy { needed, free, .. } = refused else { panic!("{refused}") };
        assert!(needed > 15 << 40 && free < needed);
        let words = [dir.path().display().to_string(), backups.display().to_string(), needed.to_string()];
        assert!(words.iter().all(|word| refused.to_string().contains(word)), "{refused}");
        fs::remove_dir_all(dir.path().join("segments")).unwrap();
        assert!(files(dir.path()) == before, "not even a directory");
        // Nor where the copy cannot be written.
        fs::write(dir.path().join("else"), "a file").unwrap();
        assert!(matches!(open(dir.path(), &options), Err(StoreError::Io(_))));
        fs::remove_file(dir.path().join("else")).unwrap();
        assert!(files(dir.path()) == before);
        assert_eq!(told(&open(dir.path(), &options).unwrap()), held(format));
        assert!(backups.join("before-format-5.1/copy.toml").exists());
    }
}

#[test]
fn whoever_only_looks_or_sets_a_store_aside_takes_no_step() {
    for format in [1, 2, 3, 4] {
        let (dir, before) = old(format);
        let as_it_was =
            |dir: &Path| assert!(fs::read(dir.join("format.toml")).ok() == before[Path::new("format.toml")]);
        let seen = look(dir.path(), &OpenOptions::default(), |store| Ok::<_, StoreError>(told(store))).unwrap();
        assert_eq!(seen, held(format));
        as_it_was(dir.path());
        let other = memory();
        commit(&other, 1, [put(ROWS, "a", "of another store")]);
        let now = Time::from_seconds(BEGIN);
        let backup = dir.path().join("backup");
        back_up(&other, &backup, (now, &mut |_| {})).unwrap();
        let how = (&OpenOptions::default(), Mode { force: true, with_segments: false }, now);
        let done = restore(dir.path(), &mut Backup::open(&backup).unwrap(), how, &mut |_| {}).unwrap();
        let Former::SetAside { to, commit: 7 } = done.former else { panic!("{:?}", done.former) };
        as_it_was(&to);
        assert_eq!(copies(dir.path()), [""; 0]);
        assert_eq!(told(&opened(&to)), held(format), "it can still be brought over");
        assert!(said(dir.path()).starts_with("format = 5, "));
    }
}

#[test]
fn a_store_that_a_later_program_left_to_this_one_is_not_rewritten() {
    let dir = TempDir::new().unwrap();
    let store = opened(dir.path());
    for round in 1..9 {
        commit(&store, round, [put(ROWS, "a", &format!("{round}"))]);
    }
    drop(store);
    let later = "format = 9\nmin_reader = 2\nengine = \"sled\"\ncreated_by = \"9.0\"\nsomething_new = true\n";
    fs::write(dir.path().join("format.toml"), later).unwrap();
    let store = opened(dir.path());
    commit(&store, 9, [put(ROWS, "a", "2")]);
    // What it must not tell readers of, it does not write.
    assert_eq!(store.pack(ROWS, &[(b"a".to_vec(), CommitNo(9))]).unwrap(), 0);
    let refused = store.compact().unwrap_err();
    assert!(matches!(refused, StoreError::Later { format: 9, reader: 5, .. }), "{refused}");
    assert_eq!(read(&store, ROWS, "a", None).as_deref(), Some("2"));
    drop(store);
    assert_eq!(fs::read_to_string(dir.path().join("format.toml")).unwrap(), later);
    assert_eq!(copies(dir.path()), [""; 0]);
    assert_eq!(read(&opened(dir.path()), ROWS, "a", None).as_deref(), Some("2"));
}

#[test]
fn programs_of_older_formats_are_shut_out_before_the_first_bundle_is_written() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path(), &OpenOptions { engine: Some(EngineKind::Redb), ..OpenOptions::default() }).unwrap();
    for round in 1..9 {
        commit(&store, round, [put(ROWS, "a", &format!("{round}")), put(ROWS, "b", "b")]);
    }
    let pack = |key: &str, upto| store.pack(ROWS, &[(key.as_bytes().to_vec(), CommitNo(upto))]).unwrap();
    assert_eq!(pack("a", 1), 0);
    assert_eq!(said(dir.path()), "format = 5, min_reader = 3, engine = redb", "nothing was bundled");
    assert!(pack("a", 7) > 0);
    assert_eq!(said(dir.path()), "format = 5, min_reader = 4, engine = redb");
    drop(store);
    let store = opened(dir.path());
    assert_eq!(store.versions(ROWS, b"a").unwrap().len(), 8);
    assert!(store.pack(ROWS, &[(b"b".to_vec(), CommitNo(7))]).unwrap() > 0);
    // A rewrite lets nobody in again.
    store.compact().unwrap();
    assert_eq!(said(dir.path()), "format = 5, min_reader = 4, engine = redb, place = redb.1");
    // Nor is it otherwise with sled, where it keeps pairs singly; in blocks it has shut them out already.
    let (dir, _) = old(4);
    let store = opened(dir.path());
    assert_eq!(said(dir.path()), PRESENT, "nothing was bundled");
    assert!(store.pack(ROWS, &[(b"a".to_vec(), CommitNo(7))]).unwrap() > 0);
    assert_eq!(said(dir.path()), "format = 5, min_reader = 4, engine = sled");
}

#[test]
fn what_sled_makes_anew_shuts_out_who_does_not_look_into_blocks() {
    let dir = TempDir::new().unwrap();
    let store = opened(dir.path());
    commit(&store, 1, [put(ROWS, "a", "1")]);
    drop(store);
    assert_eq!(said(dir.path()), "format = 5, min_reader = 5, engine = sled");
    // One that was kept singly goes on so, and is read and written by those programs, until it is rewritten.
    let (dir, _) = old(4);
    let store = opened(dir.path());
    assert_eq!(said(dir.path()), PRESENT);
    for round in 0..300 {
        commit(&store, BEGIN + 10 + round, [put(ROWS, &format!("k{round}"), &format!("v{round}"))]);
    }
    store.tidy().unwrap();
    let left = told(&store);
    drop(store);
    let store = opened(dir.path());
    assert_eq!(told(&store), left);
    store.compact().unwrap();
    assert_eq!(told(&store), left);
    drop(store);
    let store = opened(dir.path());
    assert_eq!((told(&store), store.check().unwrap().faults), (left, vec![]));
    assert_eq!(said(dir.path()), "format = 5, min_reader = 5, engine = sled, place = sled.1");
}
