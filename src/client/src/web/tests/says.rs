//! Calls that are told apart by what they say: only what is declared is said, and only once.

use provost_model::{Decision, Errand, Recorded};

use super::*;

const MAKE: &str = "POST / Action=CreateAccessKey";
const LIST: &str = "POST / Action=ListAccessKeys";
const PUT: &str = "POST / X-Amz-Target=secretsmanager.PutSecretValue";

#[allow(clippy::disallowed_methods, reason = "a test that needs an errand has no store")]
fn errand() -> Errand {
    let decision = Decision::Standing { policy: "p".into(), by: "ann".into() };
    Errand::from_recorded(Recorded::attest(decision, 1, Time::from_seconds(1))).unwrap()
}

fn hands(to: &Loopback) -> Web {
    Web::new(Provider { acts: vec![MAKE.to_owned(), PUT.to_owned()], ..provider(to, &[LIST]) }, bearer()).unwrap()
}

fn form(fields: &[(&str, &str)]) -> Body {
    Body::Form(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
}

fn raw(kind: &'static str, bytes: &'static str) -> Body {
    Body::Raw { kind, bytes: bytes.into() }
}

#[tokio::test]
async fn a_call_says_what_it_was_declared_to_say() {
    let to = Loopback::start(|_| Reply::new(200, &[], "<A><B>1</B></A>")).await;
    let hands = hands(&to);
    let user = || form(&[("Version", "2010-05-08"), ("UserName", "a&Action=DeleteUser")]);
    let answer = hands.ask(Ask::post(LIST, &[], user())).await.unwrap();
    assert_eq!(answer.xml().unwrap().said("B"), Some("1"));
    hands.act(&errand(), Ask::act(MAKE, &[], Some(user()))).await.unwrap();
    hands.act(&errand(), Ask::act(PUT, &[], Some(raw("application/x-amz-json-1.1", "{}")))).await.unwrap();
    let asked = to.asked();
    let says = |action: &str| format!("Action={action}&Version=2010-05-08&UserName=a%26Action%3DDeleteUser");
    assert_eq!([&asked[0].body, &asked[1].body], [&says("ListAccessKeys"), &says("CreateAccessKey")]);
    assert_eq!(asked[2].header("x-amz-target"), "secretsmanager.PutSecretValue");
    assert_eq!((asked[2].header("content-type"), &*asked[2].body), ("application/x-amz-json-1.1", "{}"));
    assert_eq!(asked[1].header("x-amz-target"), "");
}

#[tokio::test]
async fn what_is_not_declared_cannot_be_said() {
    let to = Loopback::start(|_| Reply::json("{}")).await;
    let hands = hands(&to);
    let json = || Some(raw("application/x-amz-json-1.1", "{}"));
    for ask in [
        Ask::act("POST /", &[], Some(form(&[("Action", "DeleteUser")]))),
        Ask::act("POST / Action=DeleteUser", &[], Some(form(&[]))),
        Ask::act(LIST, &[], Some(form(&[]))),
        Ask::act(MAKE, &[], Some(form(&[("Action", "DeleteUser")]))),
        Ask::act(MAKE, &[], Some(form(&[("action", "DeleteUser")]))),
        Ask::act(MAKE, &[], Some(form(&[]))).query("Action", "DeleteUser"),
        Ask::act(MAKE, &[], Some(form(&[]))).header("X-Amz-Target", "secretsmanager.DeleteSecret"),
        Ask::act(MAKE, &[], Some(raw("application/x-www-form-urlencoded", "Action=DeleteUser"))),
        Ask::act(MAKE, &[], Some(Body::Json(json!({ "Action": "DeleteUser" })))),
        Ask::act(MAKE, &[], None),
        Ask::act(PUT, &[], json()).header("x-amz-target", "secretsmanager.DeleteSecret"),
        Ask::act(PUT, &[], json()).query("Action", "DeleteUser"),
        Ask::act(PUT, &[], Some(form(&[("Action", "DeleteUser")]))),
        Ask::act(PUT, &[], None),
    ] {
        let undone = hands.act(&errand(), ask).await.unwrap_err();
        assert_eq!(undone.fate, Fate::Refused, "{undone}");
    }
    let linked = Ask { body: Some(form(&[])), ..Ask::link(LIST, "/?Action=DeleteUser") };
    assert_eq!(hands.ask(linked).await.unwrap_err().why, Why::Malformed);
    assert_eq!(hands.ask(Ask::post(MAKE, &[], form(&[]))).await.unwrap_err().why, Why::Denied);
    assert_eq!((to.accepted(), to.asked().len()), (0, 0));
}

#[tokio::test]
async fn what_aws_refuses_did_not_happen_though_it_says_so_with_400() {
    let fate = async |status, body: &'static str| {
        let to = Loopback::start(move |_| Reply::new(status, &[], body)).await;
        let undone = hands(&to).act(&errand(), Ask::act(MAKE, &[], Some(form(&[])))).await.unwrap_err();
        (undone.fate, to.asked().len())
    };
    let xml = "<E><Error><Code>Throttling</Code></Error></E>";
    assert_eq!(fate(400, xml).await, (Fate::Nothing, 1));
    assert_eq!(fate(400, r#"{"__type":"AccessDeniedException"}"#).await, (Fate::Nothing, 1));
    assert_eq!(fate(400, r#"{"__type":"ValidationException"}"#).await, (Fate::Refused, 1));
    assert_eq!(fate(409, "<E><Error><Code>LimitExceeded</Code></Error></E>").await, (Fate::Refused, 1));
    assert_eq!(fate(500, "<E><Error><Code>ServiceFailure</Code></Error></E>").await, (Fate::Unknown, 1));
    // Refused for its keys, it is signed anew and sent once more: the first did nothing.
    assert_eq!(fate(403, "<E><Error><Code>ExpiredToken</Code></Error></E>").await, (Fate::Nothing, 2));
}
