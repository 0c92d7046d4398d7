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

const TOKEN: &str = "personal-access-tokens/77";
const AUTHORIZATION: &str = "orgs/7/credential-authorizations/161195";

fn rotator(origin: &str) -> Box<dyn Rotator> {
    (SPEC.build)(&handed(json!({ "org": "acme", "token": "env:t", "base_url": origin }))).unwrap()
}

fn it(id: &str) -> Target {
    target(Kind::Token, id, "monalisa")
}

#[derive(Default)]
struct Org {
    tokens: Vec<Value>,
    authorizations: Vec<Value>,
}

fn org() -> Arc<Mutex<Org>> {
    let token = |id: u64, token_id: u64| {
        json!({ "id": id, "token_id": token_id, "token_expired": false, "access_granted_at": "2026-05-16T08:47:09.000-07:00",
            "token_last_used_at": null })
    };
    // More than a page of authorizations, the one meant behind them.
    let mut authorizations: Vec<Value> = (0..PAGE as u64).map(|id| json!({ "credential_id": id })).collect();
    authorizations.push(json!({ "credential_id": 161_195, "credential_authorized_at": "2026-01-26T19:06:43Z",
        "credential_accessed_at": "2026-02-26T19:06:43Z" }));
    Arc::new(Mutex::new(Org { tokens: vec![token(25_381, 77), token(25_382, 78)], authorizations }))
}

/// What goes wrong is said before each act: 0 nothing, 1 its answer is lost, else the status it is refused with.
fn answer(org: &Mutex<Org>, asked: &Asked, fault: u16) -> Reply {
    let mut org = org.lock().unwrap();
    assert_eq!(asked.header("authorization"), "Bearer t");
    let (path, query) = asked.target.split_once('?').unwrap_or((&asked.target, ""));
    let page = || query.split('&').find_map(|it| it.strip_prefix("page=")).unwrap().parse::<usize>().unwrap();
    let paged = |rows: Vec<&Value>| {
        Reply::json(&json!(rows.into_iter().skip((page() - 1) * PAGE).take(PAGE).collect::<Vec<_>>()).to_string())
    };
    let done = |org: &mut Org, which: &str| {
        let number: u64 = path.rsplit('/').next().unwrap().parse().unwrap();
        let (rows, name) = match which {
            "token" => (&mut org.tokens, "id"),
            _ => (&mut org.authorizations, "credential_id"),
        };
        let before = rows.len();
        rows.retain(|it| it[name] != number);
        Reply::new(if rows.len() < before { 204 } else { 404 }, &[], "")
    };
    let act = |org: &mut Org, which: &str| match fault {
        0 => done(org, which),
        1 => {
            done(org, which);
            Reply::json("{}").cut(1)
        }
        status => Reply::new(status, &[], "{}"),
    };
    match (asked.method.as_str(), path) {
        ("GET", "/orgs/acme") => Reply::json(r#"{"id":7}"#),
        ("GET", "/rate_limit") => Reply::json("{}"),
        ("GET", "/orgs/acme/personal-access-tokens") => paged(org.tokens.iter().collect()),
        ("GET", "/orgs/acme/credential-authorizations") => paged(org.authorizations.iter().collect()),
        ("POST", _) => {
            assert_eq!(asked.body, r#"{"action":"revoke"}"#);
            act(&mut org, "token")
        }
        ("DELETE", _) => act(&mut org, "authorization"),
        _ => Reply::new(404, &[], "{}"),
    }
}

#[tokio::test]
async fn the_access_of_one_token_is_taken_back_and_no_other() {
    let there = org();
    let served = there.clone();
    let github = Loopback::start(move |asked| answer(&served, asked, 0)).await;
    let (rotator, order) = (rotator(&github.origin), act(Remedy::Revoke));
    assert!(rotator.check().await.unwrap().contains("acme is organization 7"));
    for (id, used) in [
        (TOKEN, Reading::Never),
        (AUTHORIZATION, "2026-02-26T19:06:43Z".parse().map_or(Reading::Never, Reading::Known)),
    ] {
        let slots = rotator.look(&it(id)).await.unwrap();
        assert_eq!((slots.len(), slots[0].id.as_str(), slots[0].active, slots[0].used_at), (1, id, true, used));
        assert!(slots[0].made_at.known().is_some());
        rotator.delete(&order, &it(id), id).await.unwrap();
        assert!(rotator.look(&it(id)).await.unwrap().is_empty());
        rotator.delete(&order, &it(id), id).await.unwrap();
    }
    let left = there.lock().unwrap();
    assert_eq!((left.tokens.len(), left.authorizations.len()), (1, PAGE));
}

#[tokio::test]
async fn a_lost_answer_may_have_happened_and_a_refusal_did_not() {
    for id in [TOKEN, AUTHORIZATION] {
        for (fault, given_up, repeats, left) in
            [(403, false, true, 1), (422, true, false, 1), (500, false, false, 1), (1, false, false, 0)]
        {
            let served = org();
            let github = Loopback::start(move |asked| answer(&served, asked, fault)).await;
            let rotator = rotator(&github.origin);
            let error = rotator.delete(&act(Remedy::Revoke), &it(id), id).await.unwrap_err();
            assert_eq!(matches!(error, ActionError::GiveUp { .. }), given_up, "{fault}: {error}");
            assert_eq!(error.may_repeat(), repeats, "{fault}: {error}");
            assert_eq!(github.asked().iter().filter(|it| it.method != "GET").count(), 1, "sent once");
            assert_eq!(rotator.look(&it(id)).await.unwrap().len(), left, "{fault}");
        }
    }
}

#[tokio::test]
async fn another_organization_of_that_name_and_what_is_no_grant_are_left_alone() {
    let served = org();
    let github = Loopback::start(move |asked| answer(&served, asked, 0)).await;
    let (rotator, order) = (rotator(&github.origin), act(Remedy::Revoke));
    for id in ["orgs/8/credential-authorizations/161195", "repos/7/keys/SHA256:x", "personal-access-tokens/", "77", ""]
    {
        assert!(matches!(rotator.look(&it(id)).await, Err(ActionError::GiveUp { .. })), "{id}");
        assert!(matches!(rotator.delete(&order, &it(id), id).await, Err(ActionError::GiveUp { .. })), "{id}");
    }
    let (target, none) = (it(TOKEN), Bundle::default());
    for done in [
        rotator.mint(&order, &target, "m", &none).await.map(drop),
        rotator.verify(&target, TOKEN, &none).await,
        rotator.disable(&order, &target, TOKEN).await,
        rotator.enable(&order, &target, TOKEN).await,
    ] {
        assert!(matches!(done, Err(ActionError::GiveUp { .. })));
    }
    assert!(github.asked().iter().all(|it| it.method == "GET"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn github_describes_every_call_as_it_is_made() {
    let Some(server) = Described::start("github.json") else { return };
    let server = Arc::new(server);
    // The description's server makes up every number.
    let front = mended(&server, |target, answer| {
        if target == "/orgs/acme" {
            answer["id"] = 7.into();
        }
        if let Some(first) = answer.as_array_mut().and_then(|rows| rows.first_mut()) {
            first["token_id"] = 77.into();
            first["credential_id"] = 161_195.into();
        }
    })
    .await;
    let (rotator, order) = (rotator(&front.origin), act(Remedy::Revoke));
    rotator.check().await.unwrap();
    for id in [TOKEN, AUTHORIZATION] {
        let slots = rotator.look(&it(id)).await.unwrap();
        assert_eq!(slots.len(), 1, "{id}");
        rotator.delete(&order, &it(id), id).await.unwrap();
    }
    assert_eq!(server.violations(), json!([]));
}

#[test]
fn the_example_works_and_settings_that_make_no_sense_are_refused_by_name() {
    let changes = [
        (json!({ "token": "hunter2" }), "token"),
        (json!({ "base_url": "http://hunter2.example" }), "base_url"),
        (json!({ "org": "hunter2/../x" }), "org"),
        (json!({ "org": "" }), "org"),
        (json!({ "hunter": "hunter2" }), "hunter"),
    ];
    refuses(SPEC.build, SPEC.example, changes);
}
