//! Acts: sent once, for an order, and never called failed where they may have happened.

use provost_model::{Decision, Errand, Recorded};

use super::*;

const SEND: &str = "PUT /rooms/{room}/send/{id}";

#[allow(clippy::disallowed_methods, reason = "a test that needs an errand has no store")]
fn errand() -> Errand {
    let decision = Decision::Standing { policy: "p".into(), by: "ann".into() };
    Errand::from_recorded(Recorded::attest(decision, 1, Time::from_seconds(1))).unwrap()
}

fn hands(to: &Loopback) -> Web {
    let limits = Limits { attempt: Duration::from_millis(500), ..Limits::default() };
    Web::new(Provider { acts: vec![SEND.to_owned()], limits, ..provider(to, &["GET /rooms/{room}"]) }, bearer())
        .unwrap()
}

fn send() -> Ask {
    Ask::act(SEND, &["r", "1"], Some(Body::Json(json!({ "body": "x" }))))
}

async fn fate(reply: impl Fn() -> Reply + Send + Sync + 'static) -> (Fate, Option<u64>, usize) {
    let to = Loopback::start(move |_| reply()).await;
    let undone = hands(&to).act(&errand(), send()).await.unwrap_err();
    (undone.fate, undone.after.map(|it| it.as_secs()), to.asked().len())
}

#[tokio::test]
async fn an_act_is_sent_once_signed_with_its_body_on_a_connection_of_its_own() {
    let to = Loopback::start(|_| Reply::json("{\"event_id\": \"$1\"}")).await;
    let hands = hands(&to);
    for _ in 0..2 {
        let answer = hands.act(&errand(), send()).await.unwrap();
        assert_eq!(answer.json::<serde_json::Value>().unwrap()["event_id"], "$1");
    }
    let asked = to.asked();
    assert_eq!((asked.len(), to.accepted()), (2, 2));
    assert_eq!((asked[0].method.as_str(), asked[0].target.as_str()), ("PUT", "/rooms/r/send/1"));
    assert_eq!((asked[0].header("authorization"), asked[0].body.as_str()), ("Bearer s3cr3t", "{\"body\":\"x\"}"));
}

#[tokio::test]
async fn what_may_have_happened_is_unknown_and_what_did_not_may_be_repeated() {
    let json = |status| move || Reply::new(status, &[], "{}");
    assert_eq!(fate(json(500)).await, (Fate::Unknown, None, 1));
    assert_eq!(fate(json(502)).await, (Fate::Unknown, None, 1));
    assert_eq!(fate(json(503)).await, (Fate::Unknown, None, 1));
    assert_eq!(fate(json(408)).await, (Fate::Unknown, None, 1));
    assert_eq!(fate(|| Reply::json("{}").cut(1)).await, (Fate::Unknown, None, 1));
    assert_eq!(fate(|| Reply::new(200, &[], "").cut(30)).await, (Fate::Unknown, None, 1));
    assert_eq!(fate(Reply::nothing).await, (Fate::Unknown, None, 1));
    assert_eq!(fate(|| Reply::new(503, &[("retry-after", "7")], "")).await, (Fate::Nothing, Some(7), 1));
    assert_eq!(fate(|| Reply::new(429, &[("retry-after", "9")], "")).await, (Fate::Nothing, Some(9), 1));
    assert_eq!(fate(json(403)).await, (Fate::Nothing, None, 1));
    for status in [400, 404, 409, 413, 422] {
        assert_eq!(fate(json(status)).await, (Fate::Refused, None, 1), "{status}");
    }
    // Refused for its signature, it is signed anew and sent once more: the first did nothing.
    assert_eq!(fate(json(401)).await, (Fate::Nothing, None, 2));
    let mut closed = Loopback::start(|_| Reply::json("{}")).await;
    closed.origin = "http://127.0.0.1:9".into();
    assert_eq!(hands(&closed).act(&errand(), send()).await.unwrap_err().fate, Fate::Nothing);
}

#[tokio::test]
async fn an_act_follows_no_redirect() {
    for status in [301, 302, 303, 307, 308] {
        let away = move || Reply::new(status, &[("location", "/rooms/r/send/2")], "");
        assert_eq!(fate(away).await, (Fate::Refused, None, 1), "{status}");
    }
}

#[tokio::test]
async fn only_declared_acts_are_sent_and_no_look_is_an_act() {
    let to = Loopback::start(|_| Reply::json("{}")).await;
    let hands = hands(&to);
    let body = || Some(Body::Json(json!({})));
    for ask in [
        Ask::get("GET /rooms/{room}", &["r"]),
        Ask::act("DELETE /rooms/{room}", &["r"], None),
        Ask::act(SEND, &["r", ".."], body()),
        Ask::act(SEND, &["r"], body()),
        send().if_none_match(Some("\"1\"")),
    ] {
        let undone = hands.act(&errand(), ask).await.unwrap_err();
        assert_eq!(undone.fate, Fate::Refused, "{undone}");
    }
    assert_eq!(hands.ask(send()).await.unwrap_err().why, Why::Denied, "an act cannot be asked as a look");
    assert!(to.asked().is_empty());
    let declared = |act: &str| Provider { acts: vec![act.to_owned()], ..provider(&to, &[]) };
    for act in ["GET /x", "LIST /x", "PUT x", "PUT https://elsewhere.example/x"] {
        assert!(Web::new(declared(act), bearer()).is_err(), "{act}");
    }
}
