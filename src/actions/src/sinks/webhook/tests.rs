//! Webhooks to a receiver on this machine.
//! It must never check a signature with the code that made it.

use provost_model::door::corpus::HOSTILE;
use serde_json::{Value, json};

use super::*;
use crate::testing::{
    NOW, errand, handed, letter,
    loopback::{AUTHORITY, Loopback, Reply},
};

/// 24 bytes, from `python3 -c "import base64; print(base64.b64encode(bytes(range(24))))"`.
const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";
/// Of the specification's own libraries.
const OTHER: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// What the sample letter about one case is sent as.
const BODY: &str = concat!(
    r#"{"type":"provost.case.opened","timestamp":"2026-11-18T11:06:40Z","data":{"version":1,"#,
    r#""id":"01234567-89ab-7cde-8f01-000000000001","route":"sample","cases":[{"event":"opened","#,
    r#""id":"01234567-89ab-7cde-8f01-23456789abcd","kind":"access_key","name":"AKIAIOSFODNN7EXAMPLE","#,
    r#""external_id":"AKIAIOSFODNN7EXAMPLE","sources":["aws-prod"],"severity":"high","action":"disable","#,
    r#""owner":"payments","opened_at":"2026-11-18T11:06:40Z","deadline":"2026-11-18T11:06:40Z","#,
    r#""due":"Sun 2026-12-06 13:00 UTC, in 7 days","overdue":false,"stage":"open","faults":[{"rule":"CRED-STALE","#,
    r#""title":"not used for a long time","because":"last used 2026-05-03, 210 days ago; limit 45","#,
    r#""why":"A key nobody uses is a door nobody watches.","remedy":"Disable it, wait, then delete it."}],"#,
    r#""link":"provost cases show 01234567"}],"counts":[{"event":"opened","severity":"high","cases":1}],"#,
    r#""baselines":[],"uncertain":[],"all":"provost cases list"}}"#
);
/// By Python's `hmac` over the id, 1795000000 and that body.
const SIGNED: &str = "v1,4lEuOH+u3DtAfqn4MoA1wyceMQj8JnvH5Dmo9DgjxZE=";
const SIGNED_BY_OTHER: &str = "v1,Yw+fUQ6zAEB8lYwyz3Z9Rx0J2tJIrdiNaaaq4lVe0Ag=";

type Answering = fn() -> Reply;

fn one_case() -> Letter {
    Letter { baselines: Vec::new(), uncertain: Vec::new(), ..letter() }
}

fn sink(to: &Loopback, secrets: &[&str]) -> Box<dyn Sink> {
    let secrets: Vec<String> = secrets.iter().map(|it| format!("env:{it}")).collect();
    build(&handed(json!({ "url": format!("{}/hooks/in", to.origin), "secrets": secrets }))).unwrap()
}

#[test]
fn the_signature_is_that_of_the_specification_s_libraries() {
    let key = key_of(&OTHER.into()).unwrap();
    let signed = b"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{\"test\": 2432232314}";
    assert_eq!(signature(key.expose_secret(), signed).unwrap(), "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    for wrong in ["AAECAwQFBgcICQoLDA0ODxAREhMUFRYX", "whsec_%", "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRY=", "whsec_"] {
        assert!(key_of(&wrong.into()).is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn a_letter_is_sent_once_and_the_bytes_that_are_signed_are_those_that_are_sent() {
    let to = Loopback::start(|_| Reply::new(204, &[], "")).await;
    sink(&to, &[SECRET]).deliver(&errand(), &one_case()).await.unwrap();
    sink(&to, &[SECRET, OTHER]).deliver(&errand(), &one_case()).await.unwrap();
    let asked = to.asked();
    let [first, second] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!((first.method.as_str(), first.target.as_str()), ("POST", "/hooks/in"));
    assert_eq!(first.body, BODY);
    assert_eq!(first.header("content-type"), "application/json");
    assert_eq!(first.header("webhook-id"), "01234567-89ab-7cde-8f01-000000000001");
    assert_eq!(first.header("webhook-timestamp"), NOW.as_seconds().to_string());
    assert_eq!(first.header("webhook-timestamp"), "1795000000");
    assert_eq!(first.header("webhook-signature"), SIGNED);
    assert_eq!(second.header("webhook-signature"), format!("{SIGNED} {SIGNED_BY_OTHER}"));
    assert_eq!(second.header("webhook-id"), first.header("webhook-id"));
}

#[test]
fn a_letter_about_more_than_one_case_is_no_event_of_a_case() {
    let kind = |letter: &Letter| event(letter).r#type;
    assert_eq!(kind(&letter()), "provost.letter");
    let found: Value = serde_json::from_slice(&body(&letter()).unwrap()).unwrap();
    let baseline = json!({
        "source": "aws-prod", "counts": [{ "severity": "high", "cases": 3 }], "work": "provost baseline work aws-prod",
    });
    assert_eq!(found["data"]["baselines"], json!([baseline]));
    assert_eq!(found["data"]["uncertain"], json!(["01234567-89ab-7cde-8f01-000000000000"]));
    let mut one = one_case();
    for event in crate::Event::ALL {
        (one.cases[0].event, one.counts[0].event) = (event, event);
        assert_eq!(kind(&one), format!("provost.case.{}", event.word()));
    }
    one.counts[0].cases = 2;
    assert_eq!(kind(&one), "provost.letter");
}

#[tokio::test]
async fn any_success_is_one_and_what_is_none_says_what_to_do() {
    for status in [200, 201, 202, 204, 299] {
        let to = Loopback::start(move |_| Reply::new(status, &[], "<html>")).await;
        assert!(sink(&to, &[SECRET]).deliver(&errand(), &one_case()).await.is_ok(), "{status}");
    }
    let table: [(Answering, &str); 8] = [
        (|| Reply::new(429, &[("retry-after", "7")], ""), "in 7 s"),
        (|| Reply::new(500, &[], ""), "cannot tell"),
        (|| Reply::json("{}").cut(1), "cannot tell"),
        (|| Reply::new(404, &[], ""), "not possible"),
        (|| Reply::new(410, &[], ""), "remove this sink"),
        (|| Reply::new(302, &[("location", "https://evil.invalid/")], ""), "not possible"),
        (|| Reply::new(403, &[], ""), "not done yet"),
        (|| Reply::new(503, &[("retry-after", "9")], ""), "in 9 s"),
    ];
    for (reply, says) in table {
        let to = Loopback::start(move |_| reply()).await;
        let error = sink(&to, &[SECRET]).deliver(&errand(), &one_case()).await.unwrap_err();
        assert!(error.to_string().contains(says), "{says}: {error}");
        assert_eq!(to.asked().len(), 1, "{says}");
        assert!(!error.to_string().contains("hooks"), "{error}");
    }
}

#[tokio::test]
async fn a_secret_that_is_none_sends_nothing_and_is_not_repeated() {
    let to = Loopback::start(|_| Reply::json("{}")).await;
    for wrong in ["hunter2", "whsec_hunter2", "whsec_aHVudGVyMg=="] {
        let sink = sink(&to, &[SECRET, wrong]);
        for error in [sink.deliver(&errand(), &one_case()).await.unwrap_err(), sink.check().await.unwrap_err()] {
            assert!(matches!(error, ActionError::Retry { .. }), "{error}");
            assert!(!error.to_string().contains("hunter2") && !error.to_string().contains("aHVu"), "{error}");
        }
    }
    assert!(to.asked().is_empty());
}

#[tokio::test]
async fn an_address_may_be_a_secret_and_a_receiver_have_an_authority_of_its_own() {
    let to = Loopback::secure(|asked| Reply::new(if asked.method == "POST" { 204 } else { 405 }, &[], "")).await;
    let home = tempfile::tempdir().unwrap();
    let ca = home.path().join("ca.pem");
    std::fs::write(&ca, AUTHORITY).unwrap();
    let settings = |ca: Option<&str>| json!({ "url": format!("env:{}/s3cr3tpath?k=s3cr3tkey", to.origin), "secret": format!("env:{SECRET}"), "ca_file": ca });
    let sink = build(&handed(settings(ca.to_str()))).unwrap();
    sink.deliver(&errand(), &one_case()).await.unwrap();
    let found = sink.check().await.unwrap();
    assert!(found.contains("HTTP 405") && !found.contains("s3cr3t"), "{found}");
    assert_eq!(to.targets(), ["/s3cr3tpath?k=s3cr3tkey"; 2]);
    let untrusting = build(&handed(settings(None))).unwrap();
    let error = untrusting.deliver(&errand(), &one_case()).await.unwrap_err();
    assert!(matches!(error, ActionError::Retry { .. }) && !error.to_string().contains("s3cr3t"), "{error}");
}

#[test]
fn a_preview_hides_nothing_and_shows_no_secret() {
    let sink = build(&handed(json!({ "url": "https://a.example", "secret": format!("env:{SECRET}") }))).unwrap();
    assert_eq!(sink.delivery(), Delivery::DedupKey);
    for (text, tries) in HOSTILE {
        let mut letter = one_case();
        letter.cases[0].name = (*text).to_owned();
        let shown = sink.preview(&letter).unwrap();
        assert!(shown.chars().all(|it| it == '\n' || !provost_model::door::is_hidden(it)), "{tries}: {shown}");
        assert!(!shown.contains(SECRET), "{shown}");
        let sent: Value = serde_json::from_slice(&body(&letter).unwrap()).unwrap();
        assert_eq!(sent["data"]["cases"][0]["name"], *text, "{tries}");
    }
}

#[test]
fn settings_that_make_no_sense_are_named() {
    let secret = format!("env:{SECRET}");
    let table = [
        (json!({ "url": "http://a.example/hunter2", "secret": secret }), "url: http:// is for this machine only"),
        (json!({ "url": "hunter2", "secret": secret }), "url:"),
        (json!({ "url": "https://a.example", "secret": "whsec_hunter2" }), "secret:"),
        (json!({ "url": "https://a.example", "secret": secret, "secrets": [secret] }), "secret: one reference, or"),
        (json!({ "url": "https://a.example" }), "secret: one reference, or"),
        (json!({ "url": "https://a.example", "secrets": [] }), "secrets: from 1 to 8"),
        (json!({ "url": "https://a.example", "secrets": ["hunter2"] }), "secrets:"),
        (json!({ "url": "https://a.example", "secret": secret, "ca_file": "/nowhere/hunter2" }), "ca_file:"),
    ];
    for (settings, says) in table {
        let said = build(&handed(settings)).err().unwrap();
        assert!(said.starts_with(says) && !said.contains("hunter2"), "{said}");
    }
    let blind = json!({ "url": "https://a.example", "secret": secret, "deduplicates": false });
    assert_eq!(build(&handed(blind)).unwrap().delivery(), Delivery::Blind);
}
