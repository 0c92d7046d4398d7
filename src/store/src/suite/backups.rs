//! Backups: written from any back end, read into any, refused if a single byte is not what was written.
//! It must never restore over a store that holds something, nor believe bytes because their digest is right.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use provost_model::Time;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::{PLAIN, ROWS, apart::taken, commit, delete, on_disk, on_each, put, read};
use crate::{
    CommitNo, EngineKind, Op, OpenOptions, Store, StoreError,
    archive::{
        ArchiveError, Backup, Contents, Former, Mode, Restored, back_up, fill, fill_directory, name, newest, pack,
        prune, restore,
    },
    memory, open,
};

const NOW: Time = Time::from_seconds(1_795_527_900);

fn backed_up(store: &dyn Store, dir: &Path) -> (PathBuf, Contents) {
    let path = dir.join("backup");
    let contents = back_up(store, &path, (NOW, &mut |_| {})).unwrap();
    (path, contents)
}

fn unpacked(path: &Path, store: &dyn Store) -> Result<Contents, ArchiveError> {
    Backup::open(path)?.unpack(store, &mut |_| {})
}

fn restored(directory: &Path, path: &Path, force: bool) -> Result<Restored, ArchiveError> {
    let options = OpenOptions { wait: Duration::from_secs(5), ..OpenOptions::default() };
    restore(directory, &mut Backup::open(path)?, (&options, Mode { force, with_segments: false }, NOW), &mut |_| {})
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_backup_read_into_any_back_end_is_the_store_it_was_taken_of() {
    on_each(|store| {
        let dir = TempDir::new().unwrap();
        super::apart::fill(store);
        let (path, contents) = backed_up(store, dir.path());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(names(dir.path()), ["backup"], "nothing is left beside it");
        let expected = Contents {
            taken_at: NOW.as_micros(),
            provost: env!("CARGO_PKG_VERSION").to_owned(),
            commit: 6,
            rows: 701,
            versions: 354,
            entries: 3,
            due: 2,
            leases: 2,
        };
        assert_eq!(contents, expected);
        assert_eq!(Backup::open(&path).unwrap().contents().unwrap(), expected);
        on_each(|other| {
            assert_eq!(unpacked(&path, other).unwrap(), expected);
            assert_eq!(taken(other), taken(store));
        });
        assert!(matches!(back_up(store, &path, (NOW, &mut |_| {})), Err(ArchiveError::There(_))));
    });
}

#[test]
fn a_backup_of_which_a_byte_was_changed_or_cut_off_is_refused() {
    let dir = TempDir::new().unwrap();
    let store = memory();
    commit(&store, 1, [put(ROWS, "a", "1"), put(PLAIN, "b", "2")]);
    commit(&store, 2, [put(ROWS, "a", "2"), crate::Op::Append { stream: "s", value: b"one".to_vec() }]);
    let (path, _) = backed_up(&store, dir.path());
    let whole = fs::read(&path).unwrap();
    for place in 0..whole.len() {
        for bit in [0x01, 0x80] {
            let mut harmed = whole.clone();
            harmed[place] ^= bit;
            fs::write(&path, harmed).unwrap();
            assert!(Backup::open(&path).is_err(), "byte {place}");
        }
        fs::write(&path, &whole[..place]).unwrap();
        assert!(Backup::open(&path).is_err(), "cut at {place}");
    }
    fs::write(&path, [whole.as_slice(), &[0]].concat()).unwrap();
    assert!(Backup::open(&path).is_err(), "grown");
    fs::write(&path, &whole).unwrap();
    assert!(unpacked(&path, &memory()).is_ok());
}

/// A backup with a right digest around a stream of these bytes.
fn forged(dir: &Path, version: u32, stream: &[u8]) -> PathBuf {
    let mut bytes = b"provost store backup\n".to_vec();
    bytes.extend_from_slice(&version.to_be_bytes());
    bytes.extend_from_slice(stream);
    let digest = Sha256::digest(&bytes);
    bytes.extend_from_slice(&digest);
    let path = dir.join("forged");
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn a_right_digest_does_not_make_hostile_bytes_believed() {
    let dir = TempDir::new().unwrap();
    let store = memory();
    super::apart::fill(&store);
    let (path, _) = backed_up(&store, dir.path());
    let whole = fs::read(&path).unwrap();
    let stream = &whole[25..whole.len() - 32];
    let plain = zstd::decode_all(stream).unwrap();
    let packed = |bytes: &[u8]| zstd::encode_all(bytes, 3).unwrap();
    let length = |length: u32| length.to_be_bytes().to_vec();
    let long = vec![0; 64 << 20];
    let hostile: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", vec![]),
        ("no stream", b"not zstd at all".to_vec()),
        ("an empty stream", packed(&[])),
        ("half a stream", stream[..stream.len() / 2].to_vec()),
        ("two streams", [stream, stream].concat()),
        ("something after the stream", [stream, b"x"].concat()),
        ("something after the end", packed(&[plain.as_slice(), b"x"].concat())),
        ("no end", packed(&plain[..plain.len() - 30])),
        ("a length of four gigabytes", packed(&length(u32::MAX))),
        ("a length that nothing follows", packed(&length(30 << 20))),
        ("an unknown piece", packed(&[length(1), vec![77]].concat())),
        ("an endless piece", packed(&[length(u32::MAX), long].concat())),
        ("a text that claims more than there is", packed(&[length(3), vec![2, 0xff, 0x7f]].concat())),
    ];
    for (case, stream) in hostile {
        let forged = forged(dir.path(), 1, &stream);
        let refused = unpacked(&forged, &memory());
        assert!(
            matches!(refused, Err(ArchiveError::Altered { .. } | ArchiveError::File { .. })),
            "{case}: {refused:?}"
        );
    }
    let newer = forged(dir.path(), 2, stream);
    assert!(matches!(Backup::open(&newer), Err(ArchiveError::Newer { version: 2, .. })));
    fs::write(&newer, "just a text that is long enough to be something, but no backup, whatever it is called").unwrap();
    assert!(matches!(Backup::open(&newer), Err(ArchiveError::NoBackup(_))));
    assert!(matches!(Backup::open(dir.path()), Err(ArchiveError::NoBackup(_))));
    // Whatever single bytes are changed below a right digest: an answer, and no store that contradicts itself.
    for place in (0..plain.len()).step_by(97) {
        let mut harmed = plain.clone();
        harmed[place] ^= 0x55;
        let other = memory();
        if unpacked(&forged(dir.path(), 1, &packed(&harmed)), &other).is_ok() {
            assert_eq!(other.check().unwrap().faults, [""; 0], "byte {place}");
        }
    }
}

#[test]
fn a_backup_taken_while_a_writer_goes_on_is_the_store_as_of_its_commit() {
    EngineKind::ALL.into_iter().for_each(backed_up_beside_a_writer);
}

fn backed_up_beside_a_writer(engine: EngineKind) {
    let (home, dir) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let store = on_disk(&home, engine);
    super::apart::fill(&store);
    let (stop, seen) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|threads| {
        let writer = threads.spawn(|| {
            let mut round = 0;
            while !stop.load(Ordering::Relaxed) {
                let rows =
                    (0..40).map(|row| put(ROWS, &format!("{:04}", (round * 40 + row) % 900), &format!("{round}")));
                // Every plain row and the whole queue tell of one commit: a torn copy shows.
                let plain = (0..20).map(|row| put(PLAIN, &format!("{row}"), &format!("{}", 7 + round)));
                commit(&store, 100, rows.chain(plain).chain([delete(ROWS, &format!("{:04}", round % 700))]));
                round += 1;
                seen.store(round, Ordering::Relaxed);
            }
        });
        while seen.load(Ordering::Relaxed) < 3 {
            std::thread::yield_now();
        }
        for round in 0..5 {
            let path = dir.path().join(format!("{round}"));
            let contents = back_up(&store, &path, (NOW, &mut |_| {})).unwrap();
            let copy = memory();
            unpacked(&path, &copy).unwrap();
            assert_eq!(copy.head().unwrap().number, CommitNo(contents.commit));
            assert_eq!(copy.check().unwrap().faults, [""; 0]);
            let all = |store: &dyn Store, table, at| {
                let mut found = Vec::new();
                let mut each = |key: &[u8], row: crate::Row| {
                    found.push((key.to_vec(), row));
                    Ok(crate::Go::On)
                };
                store.scan(table, &crate::KeyRange::all(), at, &mut each).unwrap();
                found
            };
            let at = Some(CommitNo(contents.commit));
            assert!(all(&copy, ROWS, at) == all(&store, ROWS, at));
            let plain = all(&copy, PLAIN, None).into_iter().filter(|(key, _)| key.len() < 3 && key != b"a");
            let told: Vec<String> = plain.map(|(_, row)| String::from_utf8(row.value.unwrap()).unwrap()).collect();
            assert!(told.len() == 20 && told.iter().all(|it| *it == contents.commit.to_string()), "{told:?}");
        }
        stop.store(true, Ordering::Relaxed);
        writer.join().unwrap();
    });
}

#[test]
fn a_backup_is_restored_where_nothing_is_and_where_an_empty_store_is() {
    let home = TempDir::new().unwrap();
    let store = memory();
    super::apart::fill(&store);
    let (path, contents) = backed_up(&store, home.path());
    for case in ["absent", "empty"] {
        let directory = home.path().join(case);
        if case == "empty" {
            drop(open(&directory, &OpenOptions::default()).unwrap());
        }
        let done = restored(&directory, &path, false).unwrap();
        assert_eq!(
            done,
            Restored { contents: contents.clone(), former: Former::None, from_segments: 0, segments_refused: None }
        );
        assert_eq!(names(&directory), ["closed", "format.toml", "segments", "sled"], "{case}");
        assert_eq!(taken(&open(&directory, &OpenOptions::default()).unwrap()), taken(&store), "{case}");
        assert_eq!(fs::metadata(&directory).unwrap().permissions().mode() & 0o777, 0o700);
    }
}

#[test]
fn a_store_that_holds_something_is_set_aside_only_if_told_and_one_in_use_never() {
    let home = TempDir::new().unwrap();
    let store = memory();
    super::apart::fill(&store);
    let (path, _) = backed_up(&store, home.path());
    let directory = home.path().join("store");
    let there = open(&directory, &OpenOptions::default()).unwrap();
    commit(&there, 1, [put(ROWS, "a", "precious")]);
    fs::write(directory.join("something else"), "of somebody's").unwrap();
    for force in [false, true] {
        let options = OpenOptions::default();
        let refused = restore(
            &directory,
            &mut Backup::open(&path).unwrap(),
            (&options, Mode { force, with_segments: false }, NOW),
            &mut |_| {},
        );
        assert!(matches!(refused, Err(ArchiveError::Store(StoreError::Locked { .. }))), "{refused:?}");
    }
    drop(there);
    let refused = restored(&directory, &path, false);
    assert!(matches!(refused, Err(ArchiveError::NotEmpty { commit: 1, .. })), "{refused:?}");
    assert_eq!(read(&open(&directory, &OpenOptions::default()).unwrap(), ROWS, "a", None).unwrap(), "precious");
    let aside = directory.join("replaced-2026-11-24T13-45-00Z");
    let done = restored(&directory, &path, true).unwrap();
    assert_eq!(done.former, Former::SetAside { to: aside.clone(), commit: 1 });
    assert_eq!(taken(&open(&directory, &OpenOptions::default()).unwrap()), taken(&store));
    assert_eq!(read(&open(&aside, &OpenOptions::default()).unwrap(), ROWS, "a", None).unwrap(), "precious");
    assert_eq!(fs::read_to_string(directory.join("something else")).unwrap(), "of somebody's");
}

#[test]
fn a_damaged_store_is_set_aside_and_a_backup_that_is_refused_changes_nothing() {
    let home = TempDir::new().unwrap();
    let store = memory();
    super::apart::fill(&store);
    let (path, _) = backed_up(&store, home.path());
    let directory = home.path().join("store");
    let there = open(&directory, &OpenOptions::default()).unwrap();
    commit(&there, 1, [put(ROWS, "a", "1")]);
    drop(there);
    fs::write(directory.join("sled/conf"), "garbage").unwrap();
    let bad = home.path().join("bad");
    fs::write(&bad, &fs::read(&path).unwrap()[..500]).unwrap();
    assert!(restored(&directory, &bad, true).is_err());
    assert_eq!(names(&directory), ["closed", "format.toml", "segments", "sled"]);
    let done = restored(&directory, &path, false).unwrap();
    let Former::Damaged { to, what } = done.former else { panic!("{:?}", done.former) };
    assert_eq!((to.file_name().unwrap().to_str().unwrap(), what.is_empty()), ("damaged-2026-11-24T13-45-00Z", false));
    assert_eq!(fs::read(to.join("sled/conf")).unwrap(), b"garbage", "what is damaged is kept as it is");
    assert_eq!(taken(&open(&directory, &OpenOptions::default()).unwrap()), taken(&store));
    // Its format file lost, too: never taken for an empty place.
    fs::remove_file(directory.join("format.toml")).unwrap();
    let done = restored(&directory, &path, false);
    assert!(matches!(done, Err(ArchiveError::Store(StoreError::Io(_)))), "the dated name is taken: {done:?}");
    fs::rename(&to, home.path().join("kept")).unwrap();
    assert!(matches!(restored(&directory, &path, false).unwrap().former, Former::Damaged { .. }));
}

#[test]
fn a_backup_that_cannot_be_written_leaves_nothing() {
    struct Full(usize);
    impl std::io::Write for Full {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(std::io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let home = TempDir::new().unwrap();
    let store = memory();
    super::apart::fill(&store);
    for room in [0, 20, 500] {
        assert!(matches!(pack(&store, &mut Full(room), (NOW, &mut |_| {})), Err(StoreError::Io(_))), "{room}");
    }
    let nowhere = back_up(&store, &home.path().join("no/such/place"), (NOW, &mut |_| {}));
    assert!(matches!(nowhere, Err(ArchiveError::File { .. })));
    let aside = crate::archive::Aside::create(&home.path().join("given up")).unwrap();
    assert_eq!(names(home.path()).len(), 1);
    drop(aside);
    assert_eq!(names(home.path()), [""; 0]);
}

#[test]
fn the_newest_whole_backup_and_the_segments_bring_a_lost_engine_back() {
    let home = TempDir::new().unwrap();
    let (directory, backups) = (home.path().join("store"), home.path().join("backups"));
    fs::create_dir(&backups).unwrap();
    let store = open(&directory, &OpenOptions::default()).unwrap();
    let append = |value: &str| Op::Append { stream: "s", value: value.into() };
    let taken_at = |hours: i64| Time::from_seconds(NOW.as_seconds() + hours * 3_600);
    for hour in 0..3 {
        commit(&store, hour, [append(&format!("{hour}")), put(ROWS, "a", &format!("{hour}"))]);
        let path = backups.join(name(taken_at(hour), store.head().unwrap().number.0));
        back_up(&store, &path, (taken_at(hour), &mut |_| {})).unwrap();
    }
    commit(&store, 9, [append("after the last backup"), put(ROWS, "a", "lost")]);
    let entries = store.entries("s", 1, 99).unwrap();
    drop(store);
    fs::write(directory.join("sled/db"), "a disk that failed").unwrap();
    // The last one is cut off, and something else lies beside.
    let last = backups.join("2026-11-24T15-45-00Z-c3.backup");
    fs::write(&last, &fs::read(&last).unwrap()[..200]).unwrap();
    fs::write(backups.join("notes.backup"), "not ours").unwrap();
    let found = newest(&backups).unwrap().unwrap();
    assert_eq!((found.contents.commit, found.passed_over.len()), (2, 1));
    assert!(newest(&home.path().join("nowhere")).unwrap().is_none());

    let options = OpenOptions::default();
    let mode = Mode { force: false, with_segments: true };
    let mut backup = Backup::open(&found.path).unwrap();
    let done = restore(&directory, &mut backup, (&options, mode, NOW), &mut |_| {}).unwrap();
    assert!(matches!(done.former, Former::Damaged { .. }));
    assert_eq!((done.from_segments, done.segments_refused), (2, None));
    let store = open(&directory, &options).unwrap();
    assert_eq!(store.entries("s", 1, 99).unwrap(), entries, "no entry that was acknowledged is lost");
    assert_eq!(read(&store, ROWS, "a", None).as_deref(), Some("1"));
    assert_eq!(store.check().unwrap().faults, [""; 0]);
    drop(store);

    // Segments that tell another story are left out, and that is said.
    let other = home.path().join("other");
    let story = open(&other, &options).unwrap();
    for hour in 0..9 {
        commit(&story, hour, [append("another story")]);
    }
    drop(story);
    let mode = Mode { force: true, with_segments: true };
    let mut backup = Backup::open(&found.path).unwrap();
    let done = restore(&other, &mut backup, (&options, mode, NOW), &mut |_| {}).unwrap();
    assert!(done.from_segments == 0 && done.segments_refused.is_some());
    let store = open(&other, &options).unwrap();
    assert_eq!((store.entries("s", 1, 99).unwrap().len(), store.check().unwrap().faults.len()), (2, 0));

    prune(&backups, 1).unwrap();
    assert_eq!(names(&backups), ["2026-11-24T15-45-00Z-c3.backup", "notes.backup"]);
}

#[test]
fn a_store_moved_to_any_back_end_is_compared_and_the_old_one_stays() {
    on_each(|store| {
        super::apart::fill(store);
        let before = taken(store);
        on_each(|other| {
            let contents = fill(store, other, &mut |_| {}).unwrap();
            assert_eq!((contents.commit, contents.rows, taken(other) == before), (6, 701, true));
        });
        for engine in EngineKind::ALL {
            let home = TempDir::new().unwrap();
            let place = home.path().join("new");
            fill_directory(store, (&place, engine), &mut |_| {}).unwrap();
            assert_eq!(names(home.path()), ["new"]);
            let options = OpenOptions { engine: Some(engine), ..OpenOptions::default() };
            assert_eq!(taken(&open(&place, &options).unwrap()), before);
            assert!(matches!(fill_directory(store, (&place, engine), &mut |_| {}), Err(ArchiveError::There(_))));
        }
        assert_eq!(taken(store), before);
        let full = memory();
        commit(&full, 1, []);
        assert!(fill(store, &full, &mut |_| {}).is_err(), "never into a store that is not empty");
    });
}
