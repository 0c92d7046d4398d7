//! Against GitHub's own description, with a key that is one, and against a counterpart that loses answers.
//! It must never seal for a key that is worth anything.

use std::sync::{Arc, Mutex};

use crypto_box::SecretKey;
use provost_model::Remedy;
use serde_json::Value;

use super::*;
use crate::testing::{
    act,
    described::Described,
    handed,
    loopback::{Asked, Loopback, Reply},
    mended, refuses,
};

fn settings(origin: &str) -> Value {
    json!({ "repository": "acme/shop", "secret": "DEPLOY_KEY", "part": "private_key", "token": "env:t", "base_url": origin })
}

fn secret(origin: &str) -> Box<dyn Destination> {
    (SPEC.build)(&handed(settings(origin))).unwrap()
}

fn value(text: &str) -> Bundle {
    Bundle::new(["private_key", "public_key"].map(|part| (part.to_owned(), SecretString::from(text))))
}

fn repositorys() -> SecretKey {
    SecretKey::from_bytes(std::array::from_fn(|it| it as u8))
}

#[test]
fn boxes_are_those_of_libsodium() {
    // Made by PyNaCl 1.6 for this key.
    let theirs = "so6ZDUxnTzEHY+93ASaJc67eW2LXuqynRkvDPp3etgwItHNeOMKYat3B5keRJcsDj4unu8ZyvoaNpYlekxc=";
    assert_eq!(STANDARD.encode(repositorys().public_key().as_bytes()), "j0DFrbaPJWJK5bIU6nZ6bslNgp09e14a0bpvPiE4KF8=");
    assert_eq!(repositorys().unseal(&STANDARD.decode(theirs).unwrap()).unwrap(), b"only for tests");
    let key = Key { key_id: "1".into(), key: STANDARD.encode(repositorys().public_key().as_bytes()) };
    let ours = [(); 2].map(|()| sealed(&key, &SecretString::from("s3cret")).unwrap());
    assert_ne!(ours[0], ours[1]);
    assert_eq!(repositorys().unseal(&STANDARD.decode(&ours[0]).unwrap()).unwrap(), b"s3cret");
    for wrong in ["", "AAAA", "not base64"] {
        assert!(sealed(&Key { key_id: "1".into(), key: wrong.into() }, &SecretString::from("s3cret")).is_err());
    }
}

/// What the counterpart has: when it was put, and as what.
type There = Arc<Mutex<Option<(u32, String)>>>;

fn answer(there: &There, asked: &Asked, fault: u16) -> Reply {
    let mut there = there.lock().unwrap();
    let answered = |reply: Reply| match fault {
        0 => reply,
        // It is done, and nobody hears of it.
        1 => reply.cut(1),
        status => Reply::new(status, &[], "{}"),
    };
    match (asked.method.as_str(), asked.target.as_str()) {
        ("GET", "/repos/acme/shop/actions/secrets/public-key") => {
            let key = STANDARD.encode(repositorys().public_key().as_bytes());
            Reply::json(&json!({ "key_id": "568", "key": key }).to_string())
        }
        ("GET", "/repos/acme/shop/actions/secrets/DEPLOY_KEY") => match &*there {
            Some((number, _)) => {
                Reply::json(&json!({ "name": "DEPLOY_KEY", "updated_at": format!("at {number}") }).to_string())
            }
            None => Reply::new(404, &[], "{}"),
        },
        ("PUT", "/repos/acme/shop/actions/secrets/DEPLOY_KEY") => {
            if fault < 2 {
                let body: Value = serde_json::from_str(&asked.body).unwrap();
                assert_eq!(body["key_id"], "568");
                let opened = repositorys().unseal(&STANDARD.decode(body["encrypted_value"].as_str().unwrap()).unwrap());
                let number = there.as_ref().map_or(1, |(number, _)| number + 1);
                *there = Some((number, String::from_utf8(opened.unwrap()).unwrap()));
            }
            answered(Reply::new(201, &[], "{}"))
        }
        ("DELETE", "/repos/acme/shop/actions/secrets/DEPLOY_KEY") => {
            let was = there.take();
            answered(Reply::new(if was.is_some() { 204 } else { 404 }, &[], ""))
        }
        other => panic!("{other:?}"),
    }
}

async fn github(there: &There, fault: u16) -> Loopback {
    let there = there.clone();
    Loopback::start(move |asked| answer(&there, asked, fault)).await
}

#[tokio::test]
async fn a_value_is_put_sealed_and_taken_away_again() {
    let there = There::default();
    let github = github(&there, 0).await;
    let (secret, order) = (secret(&github.origin), act(Remedy::Rotate));
    assert!(secret.check().await.unwrap().contains("not there yet"));
    assert_eq!(secret.look().await.unwrap().version, None);
    let first = secret.put(&order, &value("s3cret"), None).await.unwrap();
    assert_eq!(there.lock().unwrap().clone(), Some((1, "s3cret".to_owned())));
    let seen = secret.look().await.unwrap();
    assert!(seen.version.as_ref() == Some(&first) && seen.value.is_none());
    let second = secret.put(&order, &value("s3cret too"), Some(&first)).await.unwrap();
    // Somebody else's is left alone.
    assert!(matches!(secret.put(&order, &value("x"), Some(&first)).await, Err(ActionError::GiveUp { .. })));
    assert!(matches!(secret.restore(&order, None, &first).await, Err(ActionError::GiveUp { .. })));
    assert!(matches!(secret.restore(&order, Some(&first), &second).await, Err(ActionError::GiveUp { .. })));
    assert_eq!(there.lock().unwrap().clone(), Some((2, "s3cret too".to_owned())));
    secret.restore(&order, Some(&second), "never put").await.unwrap();
    secret.restore(&order, None, &second).await.unwrap();
    secret.restore(&order, None, &second).await.unwrap();
    assert_eq!(secret.look().await.unwrap().version, None);
    for long in [value(&"x".repeat(LONGEST + 1)), Bundle::default()] {
        assert!(matches!(secret.put(&order, &long, None).await, Err(ActionError::GiveUp { .. })));
    }
    assert!(github.asked().iter().all(|it| !it.body.contains("s3cret") && !it.target.contains("s3cret")));
}

#[tokio::test]
async fn a_lost_answer_may_have_happened_and_a_refusal_did_not() {
    let order = act(Remedy::Rotate);
    for (fault, repeats, given_up) in [(403, true, false), (422, false, true), (500, false, false), (1, false, false)] {
        let there = There::default();
        let github = github(&there, fault).await;
        let error = secret(&github.origin).put(&order, &value("s3cret"), None).await.unwrap_err();
        assert_eq!(error.may_repeat(), repeats, "{fault}: {error}");
        assert_eq!(matches!(error, ActionError::GiveUp { .. }), given_up, "{fault}: {error}");
        assert_eq!(github.asked().iter().filter(|it| it.method == "PUT").count(), 1, "sent once");
        assert!(!format!("{error} {error:?}").contains("s3cret"));
        assert_eq!(there.lock().unwrap().is_some(), fault == 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn github_describes_every_call_as_it_is_made() {
    let Some(server) = Described::start("github.json") else { return };
    let server = Arc::new(server);
    // The description's server makes up a key that is none.
    let front = mended(&server, |target, answer| {
        if target.ends_with("/public-key") {
            answer["key"] = STANDARD.encode(repositorys().public_key().as_bytes()).into();
        }
    })
    .await;
    let (secret, order) = (secret(&front.origin), act(Remedy::Rotate));
    secret.check().await.unwrap();
    let put = secret.put(&order, &value("s3cret"), None).await.unwrap();
    assert_eq!(secret.look().await.unwrap().version.as_ref(), Some(&put));
    secret.restore(&order, None, &put).await.unwrap();
    assert_eq!(secret.look().await.unwrap().version, None);
    assert_eq!(server.violations(), json!([]));
}

#[test]
fn the_example_works_and_settings_that_make_no_sense_are_refused_by_name() {
    let changes = [
        (json!({ "repository": "hunter2" }), "repository"),
        (json!({ "repository": "acme/.." }), "repository"),
        (json!({ "secret": "hunter-2" }), "secret"),
        (json!({ "secret": "github_hunter2" }), "secret"),
        (json!({ "secret": "" }), "secret"),
        (json!({ "token": "hunter2" }), "token"),
        (json!({ "base_url": "http://hunter2.example" }), "base_url"),
        (json!({ "hunter": "hunter2" }), "hunter"),
    ];
    refuses(SPEC.build, SPEC.example, changes);
}
