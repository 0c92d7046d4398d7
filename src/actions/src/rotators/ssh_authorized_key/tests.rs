//! Against a real sshd: a whole rotation, and what is refused.
//! It must never touch a file of the user who runs it.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::*;
use crate::{
    given::ssh_key::digest_of,
    testing::{act, handed, refuses, target},
};

#[path = "../../../../../tests/servers/sshd.rs"]
mod sshd;

fn rotator(settings: Value) -> Box<dyn Rotator> {
    (SPEC.build)(&handed(settings)).unwrap()
}

fn me() -> String {
    let uid = rustix::process::geteuid().as_raw().to_string();
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    let line = passwd.lines().find(|line| line.split(':').nth(2) == Some(&uid)).unwrap();
    line.split(':').next().unwrap().to_owned()
}

fn slots(slots: &[Slot]) -> Vec<(&str, bool)> {
    slots.iter().map(|it| (it.id.as_str(), it.active)).collect()
}

/// A key as people have it: who can use it, and its public half.
fn key(directory: &Path, name: &str) -> (Bundle, String) {
    let path = directory.join(name);
    sshd::keygen(&path);
    let public = fs::read_to_string(path.with_extension("pub")).unwrap();
    let private = SecretString::from(fs::read_to_string(&path).unwrap());
    (Bundle::new([(PRIVATE.to_owned(), private)]), public.trim().to_owned())
}

#[tokio::test]
async fn a_key_is_rotated_and_the_server_lets_in_whoever_may() {
    let Some(server) = sshd::own() else { return };
    let dir = tempfile::tempdir().unwrap();
    let (file, order) = (server.authorized_keys(), act(Remedy::Rotate));
    let ((old, public), (_, other)) = (key(dir.path(), "old"), key(dir.path(), "other"));
    let options = "restrict,command=\"/bin/false\"";
    let text = format!("# of people\n{options} {public}\n{other}\n");
    fs::write(&file, &text).unwrap();
    let login = format!("{}@127.0.0.1:{}", me(), server.port());
    let keys = rotator(json!({ "file": file, "login": login, "known_hosts": server.known_hosts() }));
    assert!(keys.check().await.unwrap().contains("2 keys"));

    let [old_id, other_id] = [&public, &other].map(|it| format!("{}#{}", file.display(), digest_of(it).unwrap()));
    let it = target(Kind::SshKey, &old_id, "deploy");
    assert_eq!(slots(&keys.look(&it).await.unwrap()), [(old_id.as_str(), true), (other_id.as_str(), true)]);
    keys.verify(&it, &old_id, &old).await.unwrap();
    let minted = keys.mint(&order, &it, "provost 7", &Bundle::default()).await.unwrap();
    let new_id = minted.id.clone();
    assert!(fs::read_to_string(&file).unwrap().starts_with(&text), "the other lines stay");
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, 0o600);
    let seen = keys.look(&it).await.unwrap();
    assert_eq!(slots(&seen), [(old_id.as_str(), true), (&other_id, true), (&new_id, true)]);
    assert_eq!(seen[2].mark.as_deref(), Some("provost 7"));
    keys.verify(&it, &new_id, &minted.value).await.unwrap();
    // The old key works too, and is not the new one.
    let error = keys.verify(&it, &new_id, &old).await.unwrap_err();
    assert!(matches!(&error, ActionError::GiveUp { said } if said.contains("another key")), "{error}");

    for _ in 0..2 {
        keys.disable(&order, &it, &old_id).await.unwrap();
        assert_eq!(slots(&keys.look(&it).await.unwrap())[0], (old_id.as_str(), false));
        let error = keys.verify(&it, &old_id, &old).await.unwrap_err();
        assert!(matches!(&error, ActionError::GiveUp { said } if said.contains("does not let")), "{error}");
    }
    for _ in 0..2 {
        keys.enable(&order, &it, &old_id).await.unwrap();
        keys.verify(&it, &old_id, &old).await.unwrap();
    }
    keys.disable(&order, &it, &old_id).await.unwrap();
    for _ in 0..2 {
        keys.delete(&order, &it, &old_id).await.unwrap();
        assert_eq!(slots(&keys.look(&it).await.unwrap()), [(other_id.as_str(), true), (&new_id, true)]);
    }
    keys.disable(&order, &it, &old_id).await.unwrap();
    assert!(matches!(keys.enable(&order, &it, &old_id).await, Err(ActionError::GiveUp { .. })));
    assert!(matches!(keys.mint(&order, &it, "provost 8", &Bundle::default()).await, Err(ActionError::GiveUp { .. })));
    let public = minted.value.get(PUBLIC).unwrap().expose_secret();
    let (bare, _) = public.rsplit_once(" provost").unwrap();
    let left = format!("# of people\n{other}\n{options} {bare} provost 7 ann@ci\n");
    assert_eq!(fs::read_to_string(&file).unwrap(), left);
    assert!(!format!("{minted:?}").contains("BEGIN"));
    // A forced command was not run: no session was ever opened.
    assert!(server.log().contains("Accepted publickey") && !server.log().contains("Starting session"));
}

#[tokio::test]
async fn a_server_that_is_not_the_known_one_or_not_there_is_no_proof() {
    let Some(server) = sshd::own() else { return };
    let dir = tempfile::tempdir().unwrap();
    let file = server.authorized_keys();
    let (old, public) = key(dir.path(), "old");
    fs::write(&file, &public).unwrap();
    let strange = dir.path().join("known_hosts");
    fs::write(&strange, format!("[127.0.0.1]:{} {}\n", server.port(), key(dir.path(), "strange").1)).unwrap();
    let id = digest_of(&public).unwrap();
    let it = target(Kind::SshKey, &id, "deploy");
    let at = |port: u16, known: &Path| {
        rotator(json!({ "file": file, "login": format!("{}@127.0.0.1:{port}", me()), "known_hosts": known }))
    };
    let error = at(server.port(), &strange).verify(&it, &id, &old).await.unwrap_err();
    assert!(matches!(&error, ActionError::GiveUp { said } if said.contains("known_hosts")), "{error}");
    let error = at(1, &strange).verify(&it, &id, &old).await.unwrap_err();
    assert!(error.may_repeat(), "{error}");
    at(server.port(), &server.known_hosts()).verify(&it, &id, &old).await.unwrap();
}

#[tokio::test]
async fn a_file_that_is_not_the_targets_or_that_others_can_write_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("authorized_keys");
    let keys = rotator(json!({ "file": file, "login": "a@127.0.0.1", "known_hosts": "/etc/ssh/known_hosts" }));
    let order = act(Remedy::Rotate);
    let public = made("").unwrap().public;
    fs::write(&file, format!("{public}\n")).unwrap();
    let digest = digest_of(&public).unwrap();
    for id in [format!("/other/authorized_keys#{digest}"), format!("{}x#{digest}", file.display()), "7".to_owned()] {
        let it = target(Kind::SshKey, &id, "deploy");
        assert!(matches!(keys.look(&it).await, Err(ActionError::GiveUp { .. })), "{id}");
        assert!(
            matches!(keys.mint(&order, &it, "provost 7", &Bundle::default()).await, Err(ActionError::GiveUp { .. })),
            "{id}"
        );
        assert!(matches!(keys.delete(&order, &it, &id).await, Err(ActionError::GiveUp { .. })), "{id}");
    }
    let it = target(Kind::SshKey, &digest, "deploy");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    assert!(matches!(keys.disable(&order, &it, &digest).await, Err(ActionError::GiveUp { .. })));
    assert!(matches!(keys.mint(&order, &it, "provost 7", &Bundle::default()).await, Err(ActionError::GiveUp { .. })));
    assert_eq!(fs::read_to_string(&file).unwrap(), format!("{public}\n"));
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(&file, [0xff, 0xfe, b'\n']).unwrap();
    assert!(matches!(keys.disable(&order, &it, &digest).await, Err(ActionError::GiveUp { .. })), "nobody can tell");
    fs::remove_file(&file).unwrap();
    assert!(keys.look(&it).await.unwrap().is_empty());
    keys.delete(&order, &it, &digest).await.unwrap();
}

#[test]
fn the_example_works_and_settings_that_make_no_sense_are_refused_by_name() {
    let changes = [
        (json!({ "file": "hunter2" }), "file"),
        (json!({ "login": "hunter2" }), "login"),
        (json!({ "known_hosts": "hunter2" }), "known_hosts"),
        (json!({ "hunter": "hunter2" }), "hunter"),
    ];
    refuses(SPEC.build, SPEC.example, changes);
}
