//! Stores that must not be opened are left byte for byte as they are.
//! It must never look at the message alone: the directory is compared.

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions as File},
    os::unix::fs::{FileExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use tempfile::TempDir;

use super::{ROWS, commit, on_disk, put, read};
use crate::{Embedded, EngineKind, Journaled, OpenOptions, Store, StoreError, format, open};

/// A store of twenty commits over five hundred rows, closed in order.
fn filled(engine: EngineKind) -> TempDir {
    let dir = TempDir::new().unwrap();
    let store = on_disk(&dir, engine);
    for round in 0..20 {
        commit(
            &store,
            round,
            (0..500).map(|row| put(ROWS, &format!("{row:05}"), &format!("{round} {}", "v".repeat(300)))),
        );
    }
    dir
}

fn opened(dir: &TempDir) -> Result<Embedded<Journaled>, StoreError> {
    open(dir.path(), &OpenOptions { wait: Duration::from_secs(2), ..OpenOptions::default() })
}

/// Every file below a directory, with its bytes.
pub(super) fn contents(dir: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(contents(&path));
            found.insert(path, None);
        } else {
            let bytes = fs::read(&path).unwrap();
            found.insert(path, Some(bytes));
        }
    }
    found
}

fn refused(dir: &TempDir, case: &str) -> StoreError {
    let before = contents(dir.path());
    let refusal = opened(dir).map(drop).expect_err(case);
    assert!(contents(dir.path()) == before, "{case}: the directory changed");
    refusal
}

fn overwrite(file: &Path, place: u64, count: usize) {
    let file = File::new().read(true).write(true).open(file).unwrap();
    let mut bytes = vec![0; count];
    file.read_exact_at(&mut bytes, place).unwrap();
    bytes.iter_mut().for_each(|byte| *byte ^= 0xff);
    file.write_all_at(&bytes, place).unwrap();
}

fn cut(file: &Path, length: u64) {
    File::new().write(true).open(file).unwrap().set_len(length).unwrap();
}

#[test]
fn a_damaged_store_is_refused_and_left_as_it_is() {
    EngineKind::ALL.into_iter().for_each(damaged_stores_are_refused);
}

fn damaged_stores_are_refused(engine: EngineKind) {
    let original = filled(engine);
    let at = |dir: &Path, file: &str| dir.join(engine.name()).join(file);
    let length = fs::metadata(at(original.path(), "db")).unwrap().len();
    type Harm<'a> = Box<dyn Fn(&Path) + 'a>;
    let mut harms: Vec<(&str, Harm<'_>)> = vec![
        ("no format file", Box::new(|dir| fs::remove_file(dir.join("format.toml")).unwrap())),
        ("a format file that is none", Box::new(|dir| fs::write(dir.join("format.toml"), b"\xff\0").unwrap())),
        ("an empty format file", Box::new(|dir| fs::write(dir.join("format.toml"), b"").unwrap())),
        ("no engine", Box::new(|dir| fs::remove_dir_all(at(dir, "")).unwrap())),
        ("no db", Box::new(|dir| fs::remove_file(at(dir, "db")).unwrap())),
        ("an empty db", Box::new(|dir| cut(&at(dir, "db"), 0))),
        ("half a db", Box::new(move |dir| cut(&at(dir, "db"), length / 2))),
        ("a db without its end", Box::new(move |dir| cut(&at(dir, "db"), length - (512 << 10)))),
        ("a db of zeros", Box::new(move |dir| fs::write(at(dir, "db"), vec![0; length as usize]).unwrap())),
        ("a db of garbage", Box::new(move |dir| fs::write(at(dir, "db"), vec![0x5a; length as usize]).unwrap())),
        ("a db overwritten at its beginning", Box::new(|dir| overwrite(&at(dir, "db"), 0, 4096))),
        ("no journal", Box::new(|dir| fs::remove_file(at(dir, "journal-a")).unwrap())),
        ("half a journal", Box::new(|dir| cut(&at(dir, "journal-a"), 5_000))),
        ("a journal changed", Box::new(|dir| overwrite(&at(dir, "journal-a"), 3_000, 1))),
    ];
    for name in ["rocks", "sled\"\nplace = \"../sled", "redb\"\nplace = \"sled"] {
        let format = format!("format = 3\nmin_reader = 3\nengine = \"{name}\"\ncreated_by = \"0.1\"\n");
        harms.push((name, Box::new(move |dir| fs::write(dir.join("format.toml"), &format).unwrap())));
    }
    for said in
        ["format = 0\nmin_reader = 0", "format = 1\nmin_reader = 2", "format = -1\nmin_reader = 1", "format = 3"]
    {
        let format = format!("{said}\nengine = \"{}\"\ncreated_by = \"0.1\"\n", engine.name());
        harms.push((said, Box::new(move |dir| fs::write(dir.join("format.toml"), &format).unwrap())));
    }
    harms.push(("a store that was taking another's place", Box::new(|dir| format::bar(dir).unwrap())));
    if engine == EngineKind::Sled {
        harms.push(("no conf", Box::new(|dir| fs::remove_file(at(dir, "conf")).unwrap())));
        harms.push(("a conf of garbage", Box::new(|dir| fs::write(at(dir, "conf"), [9; 62]).unwrap())));
    }
    for (case, harm) in harms {
        let dir = TempDir::new().unwrap();
        copied(original.path(), dir.path());
        harm(dir.path());
        let refusal = refused(&dir, case);
        assert!(matches!(refusal, StoreError::Damaged { .. }), "{engine:?}, {case}: {refusal}");
        assert!(refusal.to_string().contains(dir.path().to_str().unwrap()), "{refusal}");
    }
}

#[test]
fn a_byte_changed_anywhere_after_an_orderly_close_is_refused() {
    for engine in EngineKind::ALL {
        let original = filled(engine);
        let db = |dir: &TempDir| dir.path().join(engine.name()).join("db");
        let length = fs::metadata(db(&original)).unwrap().len();
        for place in (0..8).map(|part| part * (length / 8) + 1_000) {
            let dir = TempDir::new().unwrap();
            copied(original.path(), dir.path());
            overwrite(&db(&dir), place, 1);
            assert!(matches!(refused(&dir, "a byte"), StoreError::Damaged { .. }), "{engine:?} at {place}");
        }
    }
}

#[test]
fn a_store_damaged_in_a_crash_is_refused_and_one_that_is_not_is_opened() {
    for engine in EngineKind::ALL {
        let original = filled(engine);
        fs::remove_file(original.path().join("closed")).unwrap();
        let db = |dir: &TempDir| dir.path().join(engine.name()).join("db");
        let length = fs::metadata(db(&original)).unwrap().len();
        for (place, count) in [(0, length), (length / 3, 2 * length / 3)] {
            let dir = TempDir::new().unwrap();
            copied(original.path(), dir.path());
            overwrite(&db(&dir), place, usize::try_from(count).unwrap());
            assert!(matches!(refused(&dir, "overwritten"), StoreError::Damaged { .. }), "{engine:?} at {place}");
        }
        let store = opened(&original).unwrap();
        assert_eq!(store.head().unwrap().number.0, 20);
        assert!(read(&store, ROWS, "00499", None).unwrap().starts_with("19 "));
        assert!(!original.path().join("rehearsal").exists());
    }
}

#[test]
fn a_store_of_another_engine_than_asked_for_is_refused_and_left_as_it_is() {
    for (found, asked) in [(EngineKind::Sled, EngineKind::Redb), (EngineKind::Redb, EngineKind::Sled)] {
        let dir = filled(found);
        let before = contents(dir.path());
        let options = OpenOptions { wait: Duration::from_secs(2), engine: Some(asked), ..OpenOptions::default() };
        let refusal = open(dir.path(), &options).map(drop).expect_err("another engine").to_string();
        assert!(contents(dir.path()) == before, "the directory changed");
        assert!(refusal.contains(&format!("provost store migrate --to {}", asked.name())), "{refusal}");
        assert_eq!(opened(&dir).unwrap().head().unwrap().number.0, 20, "whoever does not ask gets the one it has");
    }
}

#[test]
fn a_store_of_a_later_version_is_refused_and_left_as_it_is() {
    let dir = filled(EngineKind::Sled);
    let later = "format = 9\nmin_reader = 7\nengine = \"sled\"\ncreated_by = \"9.0\"\nsomething_new = true\n";
    fs::write(dir.path().join("format.toml"), later).unwrap();
    let refusal = refused(&dir, "later");
    assert!(matches!(refusal, StoreError::Newer { min_reader: 7, reader: 5, .. }), "{refusal}");
    fs::write(dir.path().join("format.toml"), later.replace("min_reader = 7", "min_reader = 1")).unwrap();
    assert!(opened(&dir).is_ok(), "what a later version wrote for old readers is read");
}

#[test]
fn a_rewritten_store_that_lost_its_format_file_is_no_new_store() {
    for engine in EngineKind::ALL {
        let dir = TempDir::new().unwrap();
        let store = on_disk(&dir, engine);
        commit(&store, 1, [put(ROWS, "a", "1")]);
        store.compact().unwrap();
        drop(store);
        assert!(dir.path().join(format!("{}.1", engine.name())).exists());
        fs::remove_file(dir.path().join("format.toml")).unwrap();
        let refusal = refused(&dir, "lost");
        assert!(refusal.to_string().contains("its format file is missing"), "{refusal}");
    }
}

#[test]
fn a_store_without_a_journal_gets_one_and_says_so_to_older_readers() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path(), &OpenOptions { journal: 0, ..OpenOptions::default() }).unwrap();
    // The second batch finds the journal full and has the first put into the trees; the end waits for that.
    commit(&store, 1, [put(ROWS, "a", "1")]);
    commit(&store, 2, [put(ROWS, "b", "2")]);
    drop(store);
    crate::journal::FILES.iter().for_each(|file| fs::remove_file(dir.path().join("sled").join(file)).unwrap());
    fs::remove_file(dir.path().join("closed")).unwrap();
    let format = "format = 1\nmin_reader = 1\nengine = \"sled\"\ncreated_by = \"0.0\"\n";
    fs::write(dir.path().join("format.toml"), format).unwrap();
    let store = opened(&dir).unwrap();
    assert_eq!(read(&store, ROWS, "a", None).as_deref(), Some("1"), "what was in the trees is there");
    assert!(fs::read_to_string(dir.path().join("format.toml")).unwrap().contains("min_reader = 2"));
}

#[test]
fn a_store_in_use_is_refused_with_its_holder_and_left_as_it_is() {
    for engine in EngineKind::ALL {
        let dir = TempDir::new().unwrap();
        let store = on_disk(&dir, engine);
        commit(&store, 1, [put(ROWS, "a", "1")]);
        // The holder's engine may write its own files at any moment.
        let own = dir.path().join(engine.name());
        let others = || contents(dir.path()).into_iter().filter(|(path, _)| !path.starts_with(&own));
        let before: Vec<_> = others().collect();
        let refusal = opened(&dir).map(drop).expect_err("in use");
        assert!(others().eq(before), "the directory changed");
        let me = std::process::id();
        assert!(matches!(refusal, StoreError::Locked { holder: Some(pid), .. } if pid == me), "{refusal}");
        let (path, wait) = (dir.path().to_owned(), Duration::from_secs(60));
        let waiting =
            std::thread::spawn(move || open(&path, &OpenOptions { wait, ..OpenOptions::default() }).map(drop));
        drop(store);
        waiting.join().unwrap().unwrap();
    }
}

#[test]
fn another_users_store_is_refused_even_to_root() {
    let dir = filled(EngineKind::Sled);
    if !rustix::process::geteuid().is_root() {
        return;
    }
    std::os::unix::fs::chown(dir.path(), Some(4_242), None).unwrap();
    let refusal = refused(&dir, "foreign");
    assert!(matches!(refusal, StoreError::Foreign { owner: 4_242, uid: 0, .. }), "{refusal}");
}

#[test]
fn a_new_store_is_for_its_user_alone_and_a_half_made_one_is_made_anew() {
    for engine in EngineKind::ALL {
        let home = TempDir::new().unwrap();
        let path = home.path().join("state/provost");
        let options = OpenOptions { wait: Duration::from_secs(2), engine: Some(engine), ..OpenOptions::default() };
        let made = || open(&path, &options);
        drop(made().unwrap());
        let (inner, making) = (path.join(engine.name()), path.join(format!("{}.new", engine.name())));
        for directory in [&path, &inner] {
            assert_eq!(fs::metadata(directory).unwrap().permissions().mode() & 0o777, 0o700);
        }
        assert_eq!(fs::metadata(inner.join("journal-a")).unwrap().permissions().mode() & 0o777, 0o600);
        // Ended after the format file was written: only the last step is lacking.
        fs::rename(&inner, &making).unwrap();
        drop(made().unwrap());
        // Ended before: begun anew.
        fs::rename(&inner, &making).unwrap();
        fs::remove_file(path.join("format.toml")).unwrap();
        assert_eq!(made().unwrap().head().unwrap(), crate::Head::default());
    }
}

fn copied(from: &Path, to: &Path) {
    for (path, bytes) in contents(from) {
        let at = to.join(path.strip_prefix(from).unwrap());
        match bytes {
            Some(bytes) => {
                fs::create_dir_all(at.parent().unwrap()).unwrap();
                fs::write(at, bytes).unwrap();
            }
            None => fs::create_dir_all(at).unwrap(),
        }
    }
}
