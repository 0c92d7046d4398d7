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
use crate::{Embedded, Journaled, OpenOptions, Sled, Store, StoreError, open};

/// A store of twenty commits over five hundred rows, closed in order.
fn filled() -> TempDir {
    let dir = TempDir::new().unwrap();
    let store = on_disk(&dir);
    for round in 0..20 {
        commit(
            &store,
            round,
            (0..500).map(|row| put(ROWS, &format!("{row:05}"), &format!("{round} {}", "v".repeat(300)))),
        );
    }
    dir
}

fn opened(dir: &TempDir) -> Result<Embedded<Journaled<Sled>>, StoreError> {
    made(dir.path())
}

fn made(path: &Path) -> Result<Embedded<Journaled<Sled>>, StoreError> {
    open(path, &OpenOptions { wait: Duration::from_secs(2), ..OpenOptions::default() })
}

/// Every file below a directory, with its bytes.
fn contents(dir: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
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
    let original = filled();
    let length = fs::metadata(original.path().join("sled/db")).unwrap().len();
    type Harm = Box<dyn Fn(&Path)>;
    let harms: Vec<(&str, Harm)> = vec![
        ("no format file", Box::new(|dir| fs::remove_file(dir.join("format.toml")).unwrap())),
        ("a format file that is none", Box::new(|dir| fs::write(dir.join("format.toml"), b"\xff\0").unwrap())),
        ("an empty format file", Box::new(|dir| fs::write(dir.join("format.toml"), b"").unwrap())),
        ("no engine", Box::new(|dir| fs::remove_dir_all(dir.join("sled")).unwrap())),
        ("no db", Box::new(|dir| fs::remove_file(dir.join("sled/db")).unwrap())),
        ("an empty db", Box::new(|dir| cut(&dir.join("sled/db"), 0))),
        ("half a db", Box::new(move |dir| cut(&dir.join("sled/db"), length / 2))),
        ("a db without its last segment", Box::new(move |dir| cut(&dir.join("sled/db"), length - (512 << 10)))),
        ("a db of zeros", Box::new(move |dir| fs::write(dir.join("sled/db"), vec![0; length as usize]).unwrap())),
        ("a db of garbage", Box::new(move |dir| fs::write(dir.join("sled/db"), vec![0x5a; length as usize]).unwrap())),
        ("a db overwritten at its beginning", Box::new(|dir| overwrite(&dir.join("sled/db"), 0, 4096))),
        ("no journal", Box::new(|dir| fs::remove_file(dir.join("sled/journal-a")).unwrap())),
        ("half a journal", Box::new(|dir| cut(&dir.join("sled/journal-a"), 5_000))),
        ("a journal changed", Box::new(|dir| overwrite(&dir.join("sled/journal-a"), 3_000, 1))),
        ("no conf", Box::new(|dir| fs::remove_file(dir.join("sled/conf")).unwrap())),
        ("a conf of garbage", Box::new(|dir| fs::write(dir.join("sled/conf"), [9; 62]).unwrap())),
    ];
    for (case, harm) in harms {
        let dir = TempDir::new().unwrap();
        copied(original.path(), dir.path());
        harm(dir.path());
        let refusal = refused(&dir, case);
        assert!(matches!(refusal, StoreError::Damaged { .. }), "{case}: {refusal}");
        assert!(refusal.to_string().contains(dir.path().to_str().unwrap()), "{refusal}");
    }
}

#[test]
fn a_byte_changed_anywhere_after_an_orderly_close_is_refused() {
    let original = filled();
    let length = fs::metadata(original.path().join("sled/db")).unwrap().len();
    for place in (0..8).map(|part| part * (length / 8) + 1_000) {
        let dir = TempDir::new().unwrap();
        copied(original.path(), dir.path());
        overwrite(&dir.path().join("sled/db"), place, 1);
        assert!(matches!(refused(&dir, "a byte"), StoreError::Damaged { .. }), "at {place}");
    }
}

#[test]
fn a_store_damaged_in_a_crash_is_refused_and_one_that_is_not_is_opened() {
    let original = filled();
    fs::remove_file(original.path().join("closed")).unwrap();
    let length = fs::metadata(original.path().join("sled/db")).unwrap().len();
    for (place, count) in [(0, length), (length / 3, 2 * length / 3)] {
        let dir = TempDir::new().unwrap();
        copied(original.path(), dir.path());
        overwrite(&dir.path().join("sled/db"), place, usize::try_from(count).unwrap());
        assert!(matches!(refused(&dir, "overwritten"), StoreError::Damaged { .. }), "at {place}");
    }
    let store = opened(&original).unwrap();
    assert_eq!(store.head().unwrap().number.0, 20);
    assert!(read(&store, ROWS, "00499", None).unwrap().starts_with("19 "));
    assert!(!original.path().join("rehearsal").exists());
}

#[test]
fn a_store_of_a_later_version_is_refused_and_left_as_it_is() {
    let dir = filled();
    let later = "format = 9\nmin_reader = 7\nengine = \"sled\"\ncreated_by = \"9.0\"\nsomething_new = true\n";
    fs::write(dir.path().join("format.toml"), later).unwrap();
    let refusal = refused(&dir, "later");
    assert!(matches!(refusal, StoreError::Newer { min_reader: 7, reader: 2, .. }), "{refusal}");
    fs::write(dir.path().join("format.toml"), later.replace("min_reader = 7", "min_reader = 1")).unwrap();
    assert!(opened(&dir).is_ok(), "what a later version wrote for old readers is read");
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
    let dir = TempDir::new().unwrap();
    let store = on_disk(&dir);
    commit(&store, 1, [put(ROWS, "a", "1")]);
    // The holder's engine may write its own files at any moment.
    let others = || contents(dir.path()).into_iter().filter(|(path, _)| !path.starts_with(dir.path().join("sled")));
    let before: Vec<_> = others().collect();
    let refusal = opened(&dir).map(drop).expect_err("in use");
    assert!(others().eq(before), "the directory changed");
    assert!(matches!(refusal, StoreError::Locked { holder: Some(pid), .. } if pid == std::process::id()), "{refusal}");
    let (path, wait) = (dir.path().to_owned(), Duration::from_secs(60));
    let waiting = std::thread::spawn(move || open(&path, &OpenOptions { wait, ..OpenOptions::default() }).map(drop));
    drop(store);
    waiting.join().unwrap().unwrap();
}

#[test]
fn another_users_store_is_refused_even_to_root() {
    let dir = filled();
    if !rustix::process::geteuid().is_root() {
        return;
    }
    std::os::unix::fs::chown(dir.path(), Some(4_242), None).unwrap();
    let refusal = refused(&dir, "foreign");
    assert!(matches!(refusal, StoreError::Foreign { owner: 4_242, uid: 0, .. }), "{refusal}");
}

#[test]
fn a_new_store_is_for_its_user_alone_and_a_half_made_one_is_made_anew() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("state/provost");
    drop(made(&path).unwrap());
    for inner in ["", "sled"] {
        assert_eq!(fs::metadata(path.join(inner)).unwrap().permissions().mode() & 0o777, 0o700);
    }
    // Ended after the format file was written: only the last step is lacking.
    fs::rename(path.join("sled"), path.join("sled.new")).unwrap();
    drop(made(&path).unwrap());
    // Ended before: begun anew.
    fs::rename(path.join("sled"), path.join("sled.new")).unwrap();
    fs::remove_file(path.join("format.toml")).unwrap();
    assert_eq!(made(&path).unwrap().head().unwrap(), crate::Head::default());
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
