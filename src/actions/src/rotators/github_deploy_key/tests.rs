//! Against GitHub's own description, and against a counterpart that loses answers.
//! It must never leave a server behind.

use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::*;
use crate::testing::{
    act,
    described::Described,
    handed,
    loopback::{Asked, Loopback, Reply},
    mended, refuses, target,
};

fn rotator(origin: &str) -> Box<dyn Rotator> {
    (SPEC.build)(&handed(json!({ "token": "env:t", "base_url": origin }))).unwrap()
}

fn key(id: &str) -> Target {
    target(Kind::SshKey, id, "acme/shop")
}

fn ids(slots: &[Slot]) -> Vec<&str> {
    slots.iter().map(|it| it.id.as_str()).collect()
}

/// A counterpart with one repository: what goes wrong is said before each call.
fn answer(keys: &Mutex<Vec<Value>>, asked: &Asked, fault: u16) -> Reply {
    let mut keys = keys.lock().unwrap();
    let answered = |reply: Reply| match fault {
        0 => reply,
        // It is done, and nobody hears of it.
        1 => reply.cut(1),
        status => Reply::new(status, &[], "{}"),
    };
    let path = asked.target.split('?').next().unwrap();
    assert_eq!(asked.header("authorization"), "Bearer t");
    match (asked.method.as_str(), path) {
        ("GET", "/repos/acme/shop") => Reply::json(r#"{"id":7}"#),
        ("GET", "/rate_limit") => answered(Reply::json("{}")),
        ("GET", "/repos/acme/shop/keys") => {
            let page: usize = asked.target.rsplit_once("page=").unwrap().1.parse().unwrap();
            Reply::json(&json!(keys.iter().skip((page - 1) * PAGE).take(PAGE).collect::<Vec<_>>()).to_string())
        }
        ("POST", "/repos/acme/shop/keys") => {
            if fault > 1 {
                return answered(Reply::nothing());
            }
            let mut made: Value = serde_json::from_str(&asked.body).unwrap();
            made["id"] = (keys.len() + 1).into();
            made["last_used"] = Value::Null;
            made["created_at"] = "2026-11-18T10:00:00Z".into();
            keys.push(made.clone());
            answered(Reply::new(201, &[], made.to_string()))
        }
        ("DELETE", path) => {
            let id: u64 = path.strip_prefix("/repos/acme/shop/keys/").unwrap().parse().unwrap();
            let before = keys.len();
            keys.retain(|it| it["id"] != id);
            answered(Reply::new(if keys.len() < before { 204 } else { 404 }, &[], ""))
        }
        _ => Reply::new(404, &[], "{}"),
    }
}

/// A key that is there, with its id in the inventory.
fn old(keys: &Mutex<Vec<Value>>) -> String {
    let key = made("").unwrap();
    keys.lock().unwrap().push(json!({ "id": 1, "key": key.public, "title": "deploy", "read_only": false,
        "created_at": "2025-01-01T00:00:00Z", "last_used": "2026-11-01T00:00:00Z" }));
    format!("repos/7/keys/{}", key.digest)
}

#[tokio::test]
async fn a_key_is_rotated_with_the_same_access() {
    let keys: Arc<Mutex<Vec<Value>>> = Arc::default();
    let old_id = old(&keys);
    // More than a page of others.
    let others = (0..PAGE)
        .map(|it| json!({ "id": 1000 + it, "key": made("").unwrap().public, "title": "t", "read_only": true }));
    keys.lock().unwrap().extend(others);
    let there = keys.clone();
    let github = Loopback::start(move |asked| answer(&there, asked, 0)).await;
    let (rotator, order, it) = (rotator(&github.origin), act(Remedy::Rotate), key(&old_id));
    rotator.check().await.unwrap();
    let before = rotator.look(&it).await.unwrap();
    assert_eq!((before.len(), ids(&before)[0]), (PAGE + 1, old_id.as_str()));
    assert_eq!(before[0].used_at, Reading::Known("2026-11-01T00:00:00Z".parse().unwrap()));
    let minted = rotator.mint(&order, &it, "provost 7", &Bundle::default()).await.unwrap();
    let after = rotator.look(&it).await.unwrap();
    let new = after.iter().find(|slot| slot.id == minted.id).unwrap();
    assert_eq!((new.mark.as_deref(), new.used_at, new.active), (Some("provost 7"), Reading::Never, true));
    let sent = keys.lock().unwrap().last().unwrap().clone();
    assert_eq!((&sent["read_only"], &sent["title"]), (&json!(false), &json!("provost 7 deploy")));
    assert!(!sent.to_string().contains("PRIVATE") && !format!("{minted:?}").contains("PRIVATE"));
    rotator.verify(&it, &minted.id, &minted.value).await.unwrap();
    let error = rotator.verify(&it, &old_id, &minted.value).await.unwrap_err();
    assert!(matches!(&error, ActionError::GiveUp { said } if said.contains("another key")), "{error}");
    for undoable in [rotator.disable(&order, &it, &old_id).await, rotator.enable(&order, &it, &old_id).await] {
        assert!(matches!(undoable, Err(ActionError::GiveUp { .. })));
    }
    rotator.delete(&order, &it, &old_id).await.unwrap();
    rotator.delete(&order, &it, &old_id).await.unwrap();
    assert!(!ids(&rotator.look(&it).await.unwrap()).contains(&old_id.as_str()));
    assert!(matches!(
        rotator.mint(&order, &it, "provost 8", &Bundle::default()).await,
        Err(ActionError::GiveUp { .. })
    ));
    rotator.delete(&order, &it, &minted.id).await.unwrap();
    assert!(matches!(rotator.verify(&it, &minted.id, &minted.value).await, Err(ActionError::GiveUp { .. })));
}

#[tokio::test]
async fn a_lost_answer_may_have_happened_and_a_refusal_did_not() {
    let keys: Arc<Mutex<Vec<Value>>> = Arc::default();
    let it = key(&old(&keys));
    let order = act(Remedy::Rotate);
    for (fault, repeats, given_up) in [(403, true, false), (422, false, true), (500, false, false), (1, false, false)] {
        let there = keys.clone();
        let github = Loopback::start(move |asked| answer(&there, asked, fault)).await;
        let error = rotator(&github.origin).mint(&order, &it, "provost 7", &Bundle::default()).await.unwrap_err();
        assert_eq!(error.may_repeat(), repeats, "{fault}: {error}");
        assert_eq!(matches!(error, ActionError::GiveUp { .. }), given_up, "{fault}: {error}");
        assert_eq!(github.asked().iter().filter(|it| it.method == "POST").count(), 1, "sent once");
        assert!(!format!("{error} {error:?}").contains("PRIVATE"));
    }
    // What was made and not heard of is found by its mark.
    let there = keys.clone();
    let github = Loopback::start(move |asked| answer(&there, asked, 1)).await;
    let marked = rotator(&github.origin).look(&it).await.unwrap();
    assert_eq!(marked.iter().filter(|it| it.mark.as_deref() == Some("provost 7")).count(), 1);
    let error = rotator(&github.origin).delete(&order, &it, &marked[1].id).await;
    assert!(error.is_ok() || matches!(error, Err(ActionError::Ambiguous { .. })), "{error:?}");
    assert_eq!(keys.lock().unwrap().len(), 1);
    let there = keys.clone();
    let github = Loopback::start(move |asked| answer(&there, asked, 401)).await;
    assert!(rotator(&github.origin).check().await.is_err());
}

#[tokio::test]
async fn another_repository_of_the_same_name_is_left_alone() {
    let keys: Arc<Mutex<Vec<Value>>> = Arc::default();
    let old_id = old(&keys).replace("repos/7/", "repos/8/");
    let there = keys.clone();
    let github = Loopback::start(move |asked| answer(&there, asked, 0)).await;
    let (rotator, order) = (rotator(&github.origin), act(Remedy::Rotate));
    for it in [
        key(&old_id),
        target(Kind::SshKey, &old_id, "shop"),
        target(Kind::SshKey, &old_id, "../shop"),
        key("repos/7/keys/1"),
    ] {
        assert!(matches!(rotator.look(&it).await, Err(ActionError::GiveUp { .. })));
        assert!(matches!(
            rotator.mint(&order, &it, "provost 7", &Bundle::default()).await,
            Err(ActionError::GiveUp { .. })
        ));
        assert!(matches!(rotator.delete(&order, &it, &it.external_id).await, Err(ActionError::GiveUp { .. })));
    }
    assert!(github.asked().iter().all(|it| it.method == "GET"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn github_describes_every_call_as_it_is_made() {
    let Some(server) = Described::start("github.json") else { return };
    let server = Arc::new(server);
    // The description's server makes up whether a key is enabled, and which number the repository has.
    let front = mended(&server, |target, answer| {
        if target == "/repos/acme/shop" {
            answer["id"] = 7.into();
        }
        answer.as_array_mut().into_iter().flatten().for_each(|key| key["enabled"] = true.into());
    })
    .await;
    let (rotator, order) = (rotator(&front.origin), act(Remedy::Rotate));
    rotator.check().await.unwrap();
    let unknown = key(&format!("repos/7/keys/{}", made("").unwrap().digest));
    let before = rotator.look(&unknown).await.unwrap();
    assert!(before.len() > 1);
    let it = key(&before[0].id);
    let minted = rotator.mint(&order, &it, "provost 7", &Bundle::default()).await.unwrap();
    let after = rotator.look(&it).await.unwrap();
    assert_eq!(after.len(), before.len() + 1);
    assert!(after.iter().any(|slot| slot.id == minted.id && slot.mark.as_deref() == Some("provost 7")));
    rotator.verify(&it, &minted.id, &minted.value).await.unwrap();
    rotator.delete(&order, &it, &it.external_id).await.unwrap();
    assert!(!ids(&rotator.look(&it).await.unwrap()).contains(&it.external_id.as_str()));
    assert_eq!(server.violations(), json!([]));
}

#[test]
fn the_example_works_and_settings_that_make_no_sense_are_refused_by_name() {
    let changes = [
        (json!({ "token": "hunter2" }), "token"),
        (json!({ "base_url": "http://hunter2.example" }), "base_url"),
        (json!({ "ssh": "git@github.com" }), "known_hosts"),
        (json!({ "ssh": "hunter2", "known_hosts": "/x" }), "ssh"),
        (json!({ "hunter": "hunter2" }), "hunter"),
    ];
    refuses(SPEC.build, SPEC.example, changes);
}
