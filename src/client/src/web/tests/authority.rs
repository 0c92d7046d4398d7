//! Who signs: tokens obtained once and renewed when refused, by calls that pass the same gate.

use std::sync::atomic::{AtomicU32, Ordering};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use provost_model::Clock;
use serde_json::{Map, Value};

use super::*;
use crate::authority::{Algorithm, Basic, Client, Grant, Jwt, Leased, OAuth2, Several, Use};

/// A key made for this test and used nowhere else.
const EC_KEY: &str = include_str!("ec.pem");
const RSA_KEY: &str = include_str!("rsa.pem");

struct Noon;

impl Clock for Noon {
    fn now(&self) -> Time {
        Time::from_seconds(1_795_521_600)
    }
}

fn jwt(pem: &'static str, algorithm: Algorithm) -> Jwt {
    Jwt {
        key: Arc::new(move || Ok(pem.into())),
        algorithm,
        key_id: Some("k1".into()),
        claims: Map::from_iter([("iss".to_owned(), Value::from("app"))]),
        numbered: true,
        lasts: Duration::from_secs(540),
        clock: Arc::new(Noon),
        lease: Leased::default(),
    }
}

fn claims(token: &str) -> Value {
    let claims = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}

#[tokio::test]
async fn a_user_and_password_and_another_header_are_sent_as_the_provider_wants_them() {
    let to = Loopback::start(|_| Reply::json("[]")).await;
    let basic = Basic::new("AC1", Arc::new(|| Ok("hunter2\n".into())));
    let key = Token::header("X-Api-Key", "", Arc::new(|| Ok("k".into()))).unwrap();
    let both = Several::new(vec![Arc::new(basic), Arc::new(key)]);
    let web = Web::new(provider(&to, &["GET /x"]), Arc::new(both)).unwrap();
    web.ask(Ask::get("GET /x", &[])).await.unwrap();
    let asked = &to.asked()[0];
    assert_eq!((asked.header("authorization"), asked.header("x-api-key")), ("Basic QUMxOmh1bnRlcjI=", "k"));
}

#[tokio::test]
async fn a_secret_that_cannot_be_had_sends_nothing() {
    let to = Loopback::start(|_| Reply::json("[]")).await;
    let token = Token::bearer(Arc::new(|| Err("env:TOKEN is not set".into())));
    let web = Web::new(provider(&to, &["GET /x"]), Arc::new(token)).unwrap();
    let failure = web.ask(Ask::get("GET /x", &[])).await.unwrap_err();
    assert_eq!((failure.why, failure.said.as_str()), (Why::Unauthenticated, "env:TOKEN is not set"));
    assert_eq!(to.accepted(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_token_by_oauth_is_obtained_once_and_again_when_it_is_refused() {
    let given = AtomicU32::new(0);
    let to = Loopback::start(move |asked| match (asked.target.as_str(), asked.header("authorization")) {
        ("/token", _) => {
            let number = given.fetch_add(1, Ordering::Relaxed);
            Reply::json(&format!(r#"{{"access_token":"t{number}","token_type":"Bearer","expires_in":"3600"}}"#))
        }
        (_, "Bearer t1") => Reply::json("[]"),
        _ => Reply::new(401, &[], ""),
    })
    .await;
    let grant = Grant {
        read: "POST /token".into(),
        values: Vec::new(),
        client: Some(Client::form("id", Arc::new(|| Ok("hunter2".into())))),
        assertion: None,
        form: vec![("scope".into(), "read all".into())],
    };
    let web = Web::new(provider(&to, &["GET /x", "POST /token"]), Arc::new(OAuth2::new(grant))).unwrap();
    web.ask(Ask::get("GET /x", &[])).await.unwrap_err();
    tokio::time::advance(Duration::from_secs(6)).await;
    web.ask(Ask::get("GET /x", &[])).await.unwrap();
    web.ask(Ask::get("GET /x", &[])).await.unwrap();
    let asked = to.asked();
    let tokens: Vec<_> = asked.iter().filter(|it| it.target == "/token").collect();
    assert_eq!(tokens.len(), 2);
    assert_eq!(tokens[0].body, "scope=read+all&grant_type=client_credentials&client_id=id&client_secret=hunter2");
    assert_eq!(tokens[0].header("authorization"), "");
}

#[tokio::test]
async fn a_token_call_that_is_not_declared_is_not_sent() {
    let to = Loopback::start(|_| Reply::json("[]")).await;
    let grant = Grant {
        read: "POST /token".into(),
        values: Vec::new(),
        client: Some(Client::basic("id", Arc::new(|| Ok("hunter2".into())))),
        assertion: None,
        form: Vec::new(),
    };
    let web = Web::new(provider(&to, &["GET /x"]), Arc::new(OAuth2::new(grant))).unwrap();
    assert_eq!(web.ask(Ask::get("GET /x", &[])).await.unwrap_err().why, Why::Unauthenticated);
    assert_eq!(to.accepted(), 0);
}

#[tokio::test]
async fn an_assertion_is_signed_dated_and_presented() {
    let to = Loopback::start(|asked| match asked.target.as_str() {
        "/token" => Reply::json(r#"{"access_token":"t"}"#),
        _ => Reply::json("[]"),
    })
    .await;
    let reads = ["GET /x", "POST /token"];
    for (pem, algorithm, name) in [(EC_KEY, Algorithm::Es256, "ES256"), (RSA_KEY, Algorithm::Rs256, "RS256")] {
        let web = Web::new(provider(&to, &reads), Arc::new(jwt(pem, algorithm))).unwrap();
        web.ask(Ask::get("GET /x", &[])).await.unwrap();
        let asked = to.asked().pop().unwrap();
        let token = asked.header("authorization").strip_prefix("Bearer ").unwrap();
        let head = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
        let head: Value = serde_json::from_slice(&head).unwrap();
        assert_eq!((&head["alg"], &head["kid"]), (&json!(name), &json!("k1")));
        let claims = claims(token);
        assert_eq!(
            (&claims["iss"], &claims["iat"], &claims["exp"]),
            (&json!("app"), &json!(1_795_521_540), &json!(1_795_522_140))
        );
    }
    for (part, name) in [(Use::Grant, "&assertion="), (Use::Client, "&client_assertion=")] {
        let grant = Grant {
            read: "POST /token".into(),
            values: Vec::new(),
            client: Some(Client::named("id")),
            assertion: Some((part, jwt(EC_KEY, Algorithm::Es256))),
            form: Vec::new(),
        };
        let web = Web::new(provider(&to, &reads), Arc::new(OAuth2::new(grant))).unwrap();
        web.ask(Ask::get("GET /x", &[])).await.unwrap();
        let asked = to.asked();
        assert!(asked[asked.len() - 2].body.contains(name), "{}", asked[asked.len() - 2].body);
        assert_eq!(asked[asked.len() - 1].header("authorization"), "Bearer t");
    }
    let broken = Jwt { key: Arc::new(|| Ok("hunter2".into())), ..jwt(EC_KEY, Algorithm::Es256) };
    let failure = broken.made().await.unwrap_err();
    assert!(failure.why == Why::Unauthenticated && !failure.said.contains("hunter2"), "{failure}");
}
