//! Parameter Store: against moto, which checks signatures, and what the service may answer else.
//! It must never leave a server behind.

use provost_model::Remedy;
use serde_json::Value;

use super::*;
use crate::{
    aws::testing::{
        aws_proxy::{self, Aws, Trouble},
        entry,
    },
    testing::{
        act as ordered,
        loopback::{Loopback, Reply},
    },
};

const SCOPE: &str = "eu-west-1/ssm";
const NAME: &str = "/prod/app";

fn fields() -> Value {
    json!({ "parameter": NAME, "fields": { "id": "ID", "key": "KEY" }, "kms_key_id": "alias/mine" })
}

fn part() -> Value {
    json!({ "parameter": NAME, "part": "key" })
}

fn value(id: &str, key: &str) -> Bundle {
    Bundle::new([("id".to_owned(), id.into()), ("key".to_owned(), key.into())])
}

fn key(held: &Holding) -> &str {
    held.value.as_ref().unwrap().get("key").unwrap().expose_secret()
}

struct Scene {
    aws: Aws,
    place: Box<dyn Destination>,
}

fn scene(settings: &Value) -> Option<Scene> {
    let aws = aws_proxy::own()?;
    let (id, secret) = aws.admin("provost");
    let place = build(&entry(&aws.origin, (&id, &secret), settings)).unwrap();
    Some(Scene { aws, place })
}

impl Scene {
    fn made(&self, kind: &str, text: &str, overwrite: bool) {
        let key = if kind == SECURE { json!("alias/theirs") } else { Value::Null };
        let body = json!({ "Name": NAME, "Type": kind, "Value": text, "Overwrite": overwrite, "KeyId": key });
        self.aws.tell(SCOPE, "AmazonSSM.PutParameter", &body.to_string());
    }

    fn told(&self, action: &str, body: &Value) -> Value {
        serde_json::from_str(&self.aws.tell(SCOPE, &format!("AmazonSSM.{action}"), &body.to_string())).unwrap()
    }
}

#[tokio::test]
async fn a_value_is_put_read_back_and_taken_back() {
    let Some(it) = scene(&fields()) else { return };
    let (order, place) = (ordered(Remedy::Rotate), &it.place);
    it.made(SECURE, r#"{"ID": "old", "KEY": "k0", "host": "db.example"}"#, false);
    assert!(place.check().await.unwrap().contains("the parameter /prod/app is read"));
    let before = place.look().await.unwrap();
    assert_eq!((before.version.as_deref(), key(&before)), (Some("1"), "k0"));
    let ours = place.put(&order, &value("new", "hunter2"), Some("1")).await.unwrap();
    let held = place.look().await.unwrap();
    assert_eq!((ours.as_str(), held.version.as_deref(), key(&held)), ("2", Some("2"), "hunter2"));
    assert!(!format!("{held:?}").contains("hunter2"));
    let got = it.told("GetParameter", &json!({ "Name": NAME, "WithDecryption": true }));
    assert_eq!(got["Parameter"]["Value"], r#"{"ID":"new","KEY":"hunter2","host":"db.example"}"#);
    let history = it.told("GetParameterHistory", &json!({ "Name": NAME }));
    let versions = history["Parameters"].as_array().unwrap();
    assert!(versions.iter().all(|it| it["KeyId"] == "alias/theirs" && it["Type"] == SECURE), "{history}");
    for _ in 0..2 {
        place.restore(&order, Some("1"), &ours).await.unwrap();
    }
    let back = place.look().await.unwrap();
    assert_eq!((back.version.as_deref(), key(&back)), (Some("3"), "k0"));
    assert_eq!(it.aws.count("PutParameter"), 2, "what is back is not written again");
}

#[tokio::test]
async fn what_was_not_there_is_made_encrypted_and_taken_away() {
    let Some(it) = scene(&fields()) else { return };
    let (order, place) = (ordered(Remedy::Rotate), &it.place);
    assert!(place.look().await.unwrap().version.is_none());
    assert!(place.check().await.unwrap().contains("would be made"));
    let ours = place.put(&order, &value("new", "hunter2"), None).await.unwrap();
    assert_eq!((ours.as_str(), key(&place.look().await.unwrap())), ("1", "hunter2"));
    let history = it.told("GetParameterHistory", &json!({ "Name": NAME }));
    assert_eq!(history["Parameters"][0]["KeyId"], "alias/mine");
    for _ in 0..2 {
        place.restore(&order, None, &ours).await.unwrap();
    }
    assert!(place.look().await.unwrap().version.is_none());
    assert_eq!(it.aws.count("DeleteParameter"), 1);
}

#[tokio::test]
async fn one_part_alone_is_kept_as_it_is() {
    let Some(it) = scene(&part()) else { return };
    let (order, place) = (ordered(Remedy::Rotate), &it.place);
    it.made(SECURE, "k0", false);
    place.put(&order, &value("new", "hunter2\"x"), Some("1")).await.unwrap();
    assert_eq!(key(&place.look().await.unwrap()), "hunter2\"x");
    let got = it.told("GetParameter", &json!({ "Name": NAME, "WithDecryption": true }));
    assert_eq!(got["Parameter"]["Value"], "hunter2\"x");
    let another = Bundle::new([("id".to_owned(), "x".into())]);
    assert!(matches!(place.put(&order, &another, Some("2")).await, Err(ActionError::GiveUp { .. })));
}

#[tokio::test]
async fn what_somebody_else_put_or_what_is_not_encrypted_is_left_alone() {
    let Some(it) = scene(&fields()) else { return };
    let (order, place) = (ordered(Remedy::Rotate), &it.place);
    let new = value("new", "hunter2");
    it.made(SECURE, r#"{"ID": "old", "KEY": "k0"}"#, false);
    it.made(SECURE, r#"{"ID": "theirs", "KEY": "k8"}"#, true);
    for before in [Some("1"), None] {
        let late = place.put(&order, &new, before).await.unwrap_err();
        assert!(matches!(&late, ActionError::GiveUp { said } if said.contains("somebody else")), "{late}");
    }
    let ours = place.put(&order, &new, Some("2")).await.unwrap();
    it.made(SECURE, r#"{"ID": "theirs", "KEY": "k9"}"#, true);
    for before in [Some("2"), None] {
        let late = place.restore(&order, before, &ours).await.unwrap_err();
        assert!(matches!(&late, ActionError::GiveUp { said } if said.contains("somebody else")), "{late}");
    }
    assert_eq!(key(&place.look().await.unwrap()), "k9");
    let unknown = place.restore(&order, Some("77"), "4").await.unwrap_err();
    assert!(matches!(&unknown, ActionError::GiveUp { said } if said.contains("not kept")), "{unknown}");
    it.told("DeleteParameter", &json!({ "Name": NAME }));
    it.made("String", "{}", false);
    let bare = place.put(&order, &new, Some("1")).await.unwrap_err();
    assert!(matches!(&bare, ActionError::GiveUp { said } if said.contains("not encrypted")), "{bare}");
    assert!(place.check().await.is_err());
    assert_eq!((it.aws.count("PutParameter"), it.aws.count("DeleteParameter")), (1, 0));
}

#[tokio::test]
async fn what_is_lost_on_the_way_is_ambiguous_and_what_is_refused_is_not() {
    let Some(it) = scene(&fields()) else { return };
    let (order, place, new) = (ordered(Remedy::Rotate), &it.place, value("new", "hunter2"));
    it.made(SECURE, r#"{"ID": "old", "KEY": "k0"}"#, false);
    for (code, repeats) in [
        ("ThrottlingException", true),
        ("TooManyUpdates", true),
        ("AccessDeniedException", true),
        ("ValidationException", false),
    ] {
        it.aws.next("PutParameter", Trouble::Refuse(400, code));
        let refused = place.put(&order, &new, Some("1")).await.unwrap_err();
        assert_eq!(refused.may_repeat(), repeats, "{code}: {refused}");
        assert!(!matches!(refused, ActionError::Ambiguous { .. }), "{refused}");
    }
    for trouble in [Trouble::CutBefore, Trouble::CutAfter] {
        it.aws.next("PutParameter", trouble);
        let lost = place.put(&order, &new, Some("1")).await.unwrap_err();
        assert!(matches!(lost, ActionError::Ambiguous { .. }) && !format!("{lost:?}").contains("hunter2"), "{lost}");
    }
    assert_eq!(key(&place.look().await.unwrap()), "hunter2");
    it.aws.next("GetParameter", Trouble::CutBefore);
    assert!(place.look().await.unwrap_err().may_repeat());
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_ambiguous_where_something_was_put() {
    let to = Loopback::start(|asked| match asked.header("x-amz-target") {
        "AmazonSSM.GetParameter" => Reply::new(400, &[], r#"{"__type":"ParameterNotFound"}"#),
        _ => Reply::json("{}"),
    })
    .await;
    let place = build(&entry(&to.origin, ("AKIA0", "hunter2"), &fields())).unwrap();
    let error = place.put(&ordered(Remedy::Rotate), &value("a", "b"), None).await.unwrap_err();
    assert!(matches!(error, ActionError::Ambiguous { .. }), "{error}");
    let sent: Value = serde_json::from_str(&to.asked()[1].body).unwrap();
    assert_eq!((&sent["Overwrite"], &sent["Type"]), (&json!(false), &json!("SecureString")));
}

#[test]
fn settings_are_read_as_they_are_meant() {
    let built = |settings: Value| build(&entry("https://ssm.example.org", ("a", "b"), &settings)).err();
    assert_eq!(built(fields()), None);
    assert_eq!(built(part()), None);
    for (settings, says) in [
        (json!({ "parameter": NAME }), "expected either"),
        (json!({ "parameter": NAME, "part": "a", "fields": { "a": "b" } }), "expected either"),
        (json!({ "parameter": "hunter2:1", "part": "a" }), "parameter: "),
        (json!({ "parameter": NAME, "part": "a", "hunter1": "hunter2" }), "unknown field `hunter1`"),
        (json!({ "parameter": NAME, "part": "a", "region": null }), "missing field `region`"),
    ] {
        let said = built(settings).unwrap();
        assert!(said.starts_with(says) && !said.contains("hunter2"), "{said}");
    }
}
