//! Files as destinations: the whole life of a value in one, and what somebody else does to it meanwhile.
//! It must never write outside a directory of its own.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use provost_model::Remedy;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::*;
use crate::testing::{act, handed, refuses};

fn file(settings: Value) -> Box<dyn Destination> {
    (SPEC.build)(&handed(settings)).unwrap()
}

fn value(text: &str) -> Bundle {
    Bundle::new([("password".to_owned(), SecretString::from(text))])
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

async fn held(file: &dyn Destination) -> (Option<String>, Option<String>) {
    let holding = file.look().await.unwrap();
    let part = |value: Bundle| value.get("password").map(|it| it.expose_secret().to_owned());
    (holding.version, holding.value.and_then(part))
}

#[tokio::test]
async fn a_value_is_put_taken_back_put_again_and_settled() {
    for (format, former, wanted) in [
        ("text", "old", "new"),
        ("env", "A=1\nPW=old\n", "A=1\nPW=new\n"),
        ("json", "{\n  \"PW\": \"old\",\n  \"a\": 1\n}\n", "{\n  \"PW\": \"new\",\n  \"a\": 1\n}\n"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let mut settings = json!({ "path": path, "format": format });
        match format {
            "text" => settings["part"] = "password".into(),
            _ => settings["fields"] = json!({ "password": "PW" }),
        }
        let (file, order) = (file(settings), act(Remedy::Rotate));
        // Where nothing is, nothing is left.
        assert_eq!(held(&*file).await, (None, None));
        let put = file.put(&order, &value("new"), None).await.unwrap();
        assert_eq!(held(&*file).await, (Some(put.clone()), Some("new".into())));
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        file.restore(&order, None, &put).await.unwrap();
        file.restore(&order, None, &put).await.unwrap();
        assert!(names(dir.path()).is_empty());

        fs::write(&path, former).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let (before, old) = held(&*file).await;
        assert_eq!(old.as_deref(), Some("old"));
        let put = file.put(&order, &value("new"), before.as_deref()).await.unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), wanted);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640, "as it was");
        let kept = dir.path().join(".a.provost-before");
        assert_eq!(fs::read_to_string(&kept).unwrap(), former);
        assert_eq!(fs::metadata(&kept).unwrap().mode() & 0o777, 0o600);
        // Once more, as after a kill: it is there already.
        assert_eq!(file.put(&order, &value("new"), before.as_deref()).await.unwrap(), put);
        assert_eq!(fs::read_to_string(&kept).unwrap(), former);
        file.restore(&order, before.as_deref(), &put).await.unwrap();
        file.restore(&order, before.as_deref(), &put).await.unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), former);
        let again = held(&*file).await.0;
        file.put(&order, &value("new"), again.as_deref()).await.unwrap();
        fs::write(dir.path().join(".a.provost-new"), "left over").unwrap();
        file.settle(&order).await.unwrap();
        file.settle(&order).await.unwrap();
        assert_eq!(names(dir.path()), ["a"]);
        assert!(file.check().await.unwrap().contains("all parts"));
    }
}

#[tokio::test]
async fn what_somebody_else_put_there_meanwhile_stays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    let (file, order) =
        (file(json!({ "path": path, "format": "text", "part": "password", "mode": "0600" })), act(Remedy::Rotate));
    fs::write(&path, "old").unwrap();
    let before = held(&*file).await.0;
    fs::write(dir.path().join("b"), "theirs").unwrap();
    fs::rename(dir.path().join("b"), &path).unwrap();
    let error = file.put(&order, &value("s3cret"), before.as_deref()).await.unwrap_err();
    assert!(matches!(&error, ActionError::GiveUp { said } if !said.contains("s3cret")), "{error}");
    assert!(matches!(file.put(&order, &value("s3cret"), None).await, Err(ActionError::GiveUp { .. })));
    let before = held(&*file).await.0;
    let put = file.put(&order, &value("s3cret"), before.as_deref()).await.unwrap();
    fs::write(&path, "theirs too").unwrap();
    assert!(matches!(file.restore(&order, before.as_deref(), &put).await, Err(ActionError::GiveUp { .. })));
    assert!(matches!(file.restore(&order, None, &put).await, Err(ActionError::GiveUp { .. })));
    assert_eq!(fs::read_to_string(&path).unwrap(), "theirs too");
    // A copy of another time is not taken for what was there.
    let now = held(&*file).await.0.unwrap();
    let error = file.restore(&order, Some("1-2.000000003"), &now).await.unwrap_err();
    assert!(matches!(&error, ActionError::GiveUp { said } if said.contains("not kept")), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "theirs too");
}

#[tokio::test]
async fn a_place_that_others_can_reach_is_refused_and_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    let text = json!({ "path": path, "format": "text", "part": "password" });
    let order = act(Remedy::Rotate);
    std::os::unix::fs::symlink("/etc/hostname", &path).unwrap();
    let error = file(text.clone()).put(&order, &value("s3cret"), None).await.unwrap_err();
    assert!(matches!(&error, ActionError::GiveUp { said } if said.contains("symbolic link")), "{error}");
    fs::remove_file(&path).unwrap();
    fs::write(&path, "old").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let before = held(&*file(text.clone())).await.0;
    let error = file(text.clone()).put(&order, &value("s3cret"), before.as_deref()).await.unwrap_err();
    assert!(matches!(&error, ActionError::GiveUp { said } if said.contains("everybody")), "{error}");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    assert!(matches!(file(text.clone()).check().await, Err(ActionError::GiveUp { .. })));
    assert!(matches!(file(text).put(&order, &value("s3cret"), None).await, Err(ActionError::GiveUp { .. })));
    assert_eq!((names(dir.path()), fs::read_to_string(&path).unwrap()), (vec!["a".to_owned()], "old".to_owned()));
}

#[tokio::test]
async fn owner_and_mode_are_those_that_are_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    // Only root can give files away.
    let (owner, group) = if uid == 0 { (12_345, 23_456) } else { (uid, gid) };
    let path = dir.path().join("a");
    let file = file(json!({ "path": path, "format": "text", "part": "password", "mode": "0640",
        "owner": owner.to_string(), "group": group.to_string() }));
    file.put(&act(Remedy::Rotate), &value("new"), None).await.unwrap();
    let about = fs::metadata(&path).unwrap();
    assert_eq!((about.uid(), about.gid(), about.mode() & 0o7777), (owner, group, 0o640));
}

#[tokio::test]
async fn consumers_are_told_by_a_program() {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("reload");
    fs::write(&program, "#!/bin/sh\necho \"$1\" >> \"$2\"\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    let (path, told) = (dir.path().join("a"), dir.path().join("told"));
    let file = file(json!({ "path": path, "format": "text", "part": "password", "reload": [program, "app", told] }));
    file.reload(&act(Remedy::Rotate)).await.unwrap();
    file.reload(&act(Remedy::Rotate)).await.unwrap();
    assert_eq!(fs::read_to_string(&told).unwrap(), "app\napp\n");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o722)).unwrap();
    assert!(matches!(file.check().await, Err(ActionError::GiveUp { .. })));
    assert!(matches!(file.reload(&act(Remedy::Rotate)).await, Err(ActionError::GiveUp { .. })));
}

#[test]
fn the_example_works_and_settings_that_make_no_sense_are_refused_by_name() {
    let changes = [
        (json!({ "path": "hunter2" }), "path"),
        (json!({ "format": "hunter2" }), "format"),
        (json!({ "mode": "0644" }), "mode"),
        (json!({ "mode": "hunter2" }), "mode"),
        (json!({ "fields": {} }), "fields"),
        (json!({ "fields": { "a": "hunter 2" } }), "fields"),
        (json!({ "fields": { "a": "X", "b": "X" } }), "fields"),
        (json!({ "part": "hunter2" }), "part"),
        (json!({ "reload": ["hunter2"] }), "reload"),
        (json!({ "hunter": "hunter2" }), "hunter"),
    ];
    refuses(SPEC.build, SPEC.example, changes);
}
