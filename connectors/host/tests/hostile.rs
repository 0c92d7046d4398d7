//! Trees made to trap a reader: nothing waits, nothing is followed out, nothing is lost in silence.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{
        ffi::OsStrExt,
        fs::{PermissionsExt, symlink},
    },
};

use provost_model::{Kind, Reading, Why, field};
use rustix::fs::{CWD, FileType, Mode};

use super::*;
use crate::host::{
    area::Area,
    pin::Pin,
    place::Users,
    scan::{Ended, Said, Scan},
    settings::Settings,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traps_are_passed_by() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("token"), "API_TOKEN=outside-Zx81Tq09LmNb72VcRt5Y").unwrap();
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    rustix::fs::mknodat(CWD, at(".env"), FileType::Fifo, Mode::from(0o600), 0).unwrap();
    symlink(".", at("loop")).unwrap();
    symlink(outside.path().join("token"), at(".env.out")).unwrap();
    symlink(outside.path(), at("out")).unwrap();
    symlink("/dev/zero", at(".netrc")).unwrap();
    fs::write(at("kept"), "machine h login u password Zx81Tq09LmNb72VcRt5Y").unwrap();
    symlink("kept", at("_netrc")).unwrap();
    let sparse = fs::File::create(at(".git-credentials")).unwrap();
    sparse.set_len(100 << 20).unwrap();
    fs::write(at("junk.env"), [0_u8, 159, 146, 150, 0, 255]).unwrap();
    let odd = home.path().join(OsStr::from_bytes(b"\xff\xfe"));
    fs::create_dir(&odd).unwrap();
    fs::write(odd.join(".env"), "API_TOKEN=Zx81Tq09LmNb72VcRt5Y").unwrap();
    let found = discover(settings(home.path()), &Bookmarks::default()).await;
    assert!(found.cover(home.path()).is_full(), "{:?}", found.troubles);
    let ids: Vec<_> = found.entities.iter().map(|it| it.key.external.clone()).collect();
    let base = home.path().display();
    assert_eq!(
        ids,
        [
            format!("{base}/.git-credentials#"),
            format!("{base}/_netrc#h/u"),
            format!("{base}/\\xff\\xfe/.env#API_TOKEN")
        ]
    );
    let said: Vec<_> = found.troubles.iter().map(|it| (it.why, it.blind_spot)).collect();
    assert_eq!(said, [(Why::TooLarge, true), (Why::Malformed, true)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_deep_a_nesting_is_said_and_not_taken_for_all() {
    let home = tempfile::tempdir().unwrap();
    let deep = (0..60).fold(home.path().to_owned(), |path, _| path.join("d"));
    fs::create_dir_all(&deep).unwrap();
    let found = discover(settings(home.path()), &Bookmarks::default()).await;
    assert_eq!(*found.cover(home.path()), Cover::Partial { why: Why::TooLarge });
}

/// Runs a reading on a thread that has no rights but those of a stranger; other threads keep theirs.
fn as_stranger(root: std::path::PathBuf, before: Option<Pin>) -> (Ended, Vec<Said>) {
    let reading = std::thread::spawn(move || {
        if rustix::process::geteuid().is_root() {
            let (user, group) = (rustix::process::Uid::from_raw(65534), rustix::process::Gid::from_raw(65534));
            rustix::thread::set_thread_groups(&[]).unwrap();
            rustix::thread::set_thread_res_gid(group, group, group).unwrap();
            rustix::thread::set_thread_res_uid(user, user, user).unwrap();
        }
        let settings = Settings::from_table(super::settings(&root).as_object().unwrap()).unwrap();
        let (prints, users, elsewhere) =
            (FingerprintKey::new("k1", [7; 32]), Users::default(), std::collections::BTreeSet::new());
        let (realm, stop) = (settings.realm(None), CancellationToken::new());
        let scan = Scan {
            settings: &settings,
            realm: &realm,
            prints: &prints,
            users: &users,
            elsewhere: &elsewhere,
            now: Noon.now(),
            stop: &stop,
        };
        let area = Area { scope: "root[x]".into(), path: root, system: false, shallow: false, holds: "" };
        let mut said = Vec::new();
        let ended = scan.read(&area, before.as_ref(), &mut |it| {
            said.push(it);
            Ok(())
        });
        (ended, said)
    });
    reading.join().unwrap()
}

/// A directory that strangers can reach.
fn open_home() -> tempfile::TempDir {
    let home = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir_in("/tmp").unwrap();
    fs::write(home.path().join(".netrc"), "machine h login u password Zx81Tq09LmNb72VcRt5Y").unwrap();
    fs::write(home.path().join(".env"), "API_TOKEN=Zx81Tq09LmNb72VcRt5Y").unwrap();
    home
}

#[test]
fn a_closed_directory_makes_the_reading_partial_and_a_closed_file_a_record() {
    let home = open_home();
    let (ended, said) = as_stranger(home.path().to_owned(), None);
    let Ended::Whole(pin) = ended else { panic!("{ended:?} {said:?}") };

    fs::set_permissions(home.path().join(".netrc"), fs::Permissions::from_mode(0o000)).unwrap();
    let (ended, said) = as_stranger(home.path().to_owned(), None);
    assert!(matches!(ended, Ended::Whole(_)), "nothing was known of it: {ended:?}");
    let closed: Vec<_> = said
        .iter()
        .filter_map(|it| match it {
            Said::Seen(all) => all.iter().find(|it| it.key.external.ends_with(".netrc#")),
            _ => None,
        })
        .collect();
    assert_eq!(closed.len(), 1);
    assert_eq!(closed[0].key.kind, Kind::Secret);
    assert_eq!(closed[0].facts.get(field::FINGERPRINT), Reading::NotPermitted);
    assert_eq!(closed[0].facts.get(field::MODE).known().as_deref(), Some("0000"));
    let (ended, _) = as_stranger(home.path().to_owned(), Some(pin));
    assert!(matches!(ended, Ended::Partial(Why::Denied, _)), "what was in it is not known to be gone: {ended:?}");

    let inner = home.path().join("closed");
    fs::create_dir(&inner).unwrap();
    fs::set_permissions(&inner, fs::Permissions::from_mode(0o700)).unwrap();
    fs::set_permissions(home.path().join(".netrc"), fs::Permissions::from_mode(0o644)).unwrap();
    if !rustix::process::geteuid().is_root() {
        fs::set_permissions(&inner, fs::Permissions::from_mode(0o000)).unwrap();
    }
    let (ended, said) = as_stranger(home.path().to_owned(), None);
    assert!(matches!(ended, Ended::Partial(Why::Denied, _)), "{ended:?}");
    assert!(
        said.iter()
            .any(|it| matches!(it, Said::Trouble(trouble) if trouble.said.contains("/closed") && !trouble.blind_spot))
    );
    fs::set_permissions(&inner, fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn a_closed_root_is_partial() {
    let home = open_home();
    fs::set_permissions(
        home.path(),
        fs::Permissions::from_mode(if rustix::process::geteuid().is_root() { 0o700 } else { 0o000 }),
    )
    .unwrap();
    let (ended, _) = as_stranger(home.path().to_owned(), None);
    assert!(matches!(ended, Ended::Partial(Why::Denied, _)), "{ended:?}");
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o700)).unwrap();
}
