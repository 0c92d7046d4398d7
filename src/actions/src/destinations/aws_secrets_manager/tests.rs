//! Secrets Manager: against moto, which checks signatures, and what the service may answer else.
//! It must never leave a server behind.

use provost_model::Remedy;
use secrecy::ExposeSecret as _;
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

const SCOPE: &str = "eu-west-1/secretsmanager";

fn settings() -> Value {
    json!({ "secret_id": "prod/app", "fields": { "id": "ID", "key": "KEY" } })
}

fn value(id: &str, key: &str) -> Bundle {
    Bundle::new([("id".to_owned(), id.into()), ("key".to_owned(), key.into())])
}

fn said(value: &Bundle) -> (&str, &str) {
    (value.get("id").unwrap().expose_secret(), value.get("key").unwrap().expose_secret())
}

struct Scene {
    aws: Aws,
    place: Box<dyn Destination>,
}

fn scene(text: &str) -> Option<Scene> {
    let aws = aws_proxy::own()?;
    let (id, secret) = aws.admin("provost");
    let place = build(&entry(&aws.origin, (&id, &secret), &settings())).unwrap();
    if !text.is_empty() {
        let made = json!({ "Name": "prod/app", "SecretString": text }).to_string();
        aws.tell(SCOPE, "secretsmanager.CreateSecret", &made);
    }
    Some(Scene { aws, place })
}

impl Scene {
    fn text(&self) -> String {
        let got = self.aws.tell(
            SCOPE,
            "secretsmanager.GetSecretValue",
            r#"{"SecretId":"prod/app","VersionStage":"AWSCURRENT"}"#,
        );
        serde_json::from_str::<Value>(&got).unwrap()["SecretString"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn a_value_is_put_read_back_and_taken_back() {
    let Some(it) = scene(r#"{"ID": "old", "KEY": "k0", "host": "db.example", "port": 5432}"#) else { return };
    let (order, place) = (ordered(Remedy::Rotate), &it.place);
    let checked = place.check().await.unwrap();
    assert!(checked.contains("user/provost reads the secret prod/app"), "{checked}");
    let before = place.look().await.unwrap();
    assert_eq!(said(before.value.as_ref().unwrap()), ("old", "k0"));
    let first = before.version.as_deref().unwrap();

    let ours = place.put(&order, &value("new", "hunter2"), Some(first)).await.unwrap();
    assert!(ours != first && ours.len() == 36, "{ours}");
    let held = place.look().await.unwrap();
    assert_eq!((held.version.as_deref(), said(held.value.as_ref().unwrap())), (Some(&*ours), ("new", "hunter2")));
    let text: Value = serde_json::from_str(&it.text()).unwrap();
    assert_eq!(text, json!({ "ID": "new", "KEY": "hunter2", "host": "db.example", "port": 5432 }));
    assert!(!format!("{held:?}").contains("hunter2"));
    place.reload(&order).await.unwrap();
    place.settle(&order).await.unwrap();

    for _ in 0..2 {
        place.restore(&order, Some(first), &ours).await.unwrap();
    }
    assert_eq!(it.aws.count("UpdateSecretVersionStage"), 1, "what is back is not moved again");
    let back = place.look().await.unwrap();
    assert_eq!((back.version.as_deref(), said(back.value.as_ref().unwrap())), (Some(first), ("old", "k0")));
}

#[tokio::test]
async fn what_somebody_else_put_is_left_alone() {
    let Some(it) = scene(r#"{"ID": "old", "KEY": "k0"}"#) else { return };
    let (order, place) = (ordered(Remedy::Rotate), &it.place);
    let first = place.look().await.unwrap().version.unwrap();
    let theirs = || {
        let put = json!({ "SecretId": "prod/app", "SecretString": r#"{"ID": "theirs", "KEY": "k9"}"# }).to_string();
        it.aws.tell(SCOPE, "secretsmanager.PutSecretValue", &put);
    };
    theirs();
    let late = place.put(&order, &value("new", "hunter2"), Some(&first)).await.unwrap_err();
    assert!(matches!(&late, ActionError::GiveUp { said } if said.contains("somebody else")), "{late}");
    let now = place.look().await.unwrap().version.unwrap();
    let ours = place.put(&order, &value("new", "hunter2"), Some(&now)).await.unwrap();
    theirs();
    let late = place.restore(&order, Some(&now), &ours).await.unwrap_err();
    assert!(matches!(&late, ActionError::GiveUp { said } if said.contains("somebody else")), "{late}");
    assert_eq!(said(place.look().await.unwrap().value.as_ref().unwrap()), ("theirs", "k9"));
    assert!(place.put(&order, &value("new", "hunter2"), None).await.is_err());
    let fewer = Bundle::new([("id".to_owned(), "x".into())]);
    let now = place.look().await.unwrap().version;
    assert!(matches!(place.put(&order, &fewer, now.as_deref()).await, Err(ActionError::GiveUp { .. })));
    assert_eq!((it.aws.count("PutSecretValue"), it.aws.count("UpdateSecretVersionStage")), (1, 0));
}

#[tokio::test]
async fn a_secret_that_cannot_be_gone_back_to_is_not_written() {
    let Some(it) = scene("") else { return };
    let (order, place) = (ordered(Remedy::Rotate), &it.place);
    let nothing = place.look().await.unwrap();
    assert!(nothing.version.is_none() && nothing.value.is_none());
    assert!(matches!(place.put(&order, &value("new", "hunter2"), None).await, Err(ActionError::GiveUp { .. })));
    assert!(matches!(place.restore(&order, None, "x").await, Err(ActionError::GiveUp { .. })));
    assert!(place.check().await.unwrap_err().said().contains("no such secret"));
    it.aws.tell(SCOPE, "secretsmanager.CreateSecret", r#"{"Name":"prod/app","SecretString":"hunter1"}"#);
    let held = place.look().await.unwrap();
    assert!(held.version.is_some() && held.value.is_none());
    let plain = place.put(&order, &value("new", "hunter2"), held.version.as_deref()).await.unwrap_err();
    assert!(matches!(plain, ActionError::GiveUp { .. }) && !format!("{plain:?}").contains("hunter"), "{plain}");
    assert!(place.check().await.unwrap_err().said().contains("no JSON"));
    assert_eq!(it.aws.count("PutSecretValue"), 0);
}

#[tokio::test]
async fn what_is_lost_on_the_way_is_ambiguous_and_what_is_refused_is_not() {
    let Some(it) = scene(r#"{"ID": "old", "KEY": "k0"}"#) else { return };
    let (order, place) = (ordered(Remedy::Rotate), &it.place);
    let first = place.look().await.unwrap().version.unwrap();
    for (code, repeats) in [
        ("ThrottlingException", true),
        ("AccessDeniedException", true),
        ("InvalidRequestException", false),
        ("LimitExceededException", false),
    ] {
        it.aws.next("PutSecretValue", Trouble::Refuse(400, code));
        let refused = place.put(&order, &value("new", "hunter2"), Some(&first)).await.unwrap_err();
        assert_eq!(refused.may_repeat(), repeats, "{code}: {refused}");
        assert!(!matches!(refused, ActionError::Ambiguous { .. }), "{refused}");
    }
    for trouble in [Trouble::CutBefore, Trouble::CutAfter] {
        it.aws.next("PutSecretValue", trouble);
        let lost = place.put(&order, &value("new", "hunter2"), Some(&first)).await.unwrap_err();
        assert!(matches!(lost, ActionError::Ambiguous { .. }) && !format!("{lost:?}").contains("hunter2"), "{lost}");
    }
    let held = place.look().await.unwrap();
    assert_eq!(said(held.value.as_ref().unwrap()), ("new", "hunter2"));
    it.aws.next("UpdateSecretVersionStage", Trouble::CutAfter);
    let lost = place.restore(&order, Some(&first), held.version.as_deref().unwrap()).await.unwrap_err();
    assert!(matches!(lost, ActionError::Ambiguous { .. }), "{lost}");
    place.restore(&order, Some(&first), held.version.as_deref().unwrap()).await.unwrap();
    assert_eq!(place.look().await.unwrap().version, Some(first));
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_ambiguous_where_something_was_put() {
    let to = Loopback::start(|asked| match asked.header("x-amz-target") {
        "secretsmanager.GetSecretValue" => Reply::json(r#"{"VersionId": "v1", "SecretString": "{}"}"#),
        _ => Reply::json("{}"),
    })
    .await;
    let place = build(&entry(&to.origin, ("AKIA0", "hunter2"), &settings())).unwrap();
    let error = place.put(&ordered(Remedy::Rotate), &value("a", "b"), Some("v1")).await.unwrap_err();
    assert!(matches!(error, ActionError::Ambiguous { .. }), "{error}");
    let asked = to.asked();
    assert_eq!((asked.len(), asked[1].header("content-type")), (2, "application/x-amz-json-1.1"));
    assert!(asked[1].header("authorization").contains("/eu-west-1/secretsmanager/aws4_request"));
    // What is named is not the value, whatever that is.
    let named = |body: &str| serde_json::from_str::<Value>(body).unwrap()["ClientRequestToken"].clone();
    place.put(&ordered(Remedy::Rotate), &value("c", "d"), Some("v1")).await.unwrap_err();
    assert_eq!(named(&asked[1].body), named(&to.asked()[3].body));
    assert!(!format!("{:?}", Document::parse(r#"{"a":"hunter2"}"#)).contains("hunter2"));
}

#[tokio::test]
async fn a_name_that_is_taken_is_not_taken_again_and_the_label_follows_what_is_put() {
    // As the service does where the same order was taken back before: moto loses the label there.
    let to = Loopback::start(|asked| match asked.header("x-amz-target") {
        "secretsmanager.GetSecretValue" => Reply::json(r#"{"VersionId": "v1", "SecretString": "{}"}"#),
        "secretsmanager.UpdateSecretVersionStage" => Reply::json("{}"),
        _ if asked.body.contains("another") => Reply::new(400, &[], r#"{"__type":"ResourceExistsException"}"#),
        _ => Reply::json(r#"{"VersionId": "v2", "VersionStages": ["AWSPREVIOUS"]}"#),
    })
    .await;
    let place = build(&entry(&to.origin, ("AKIA0", "hunter2"), &settings())).unwrap();
    let order = ordered(Remedy::Rotate);
    assert_eq!(place.put(&order, &value("the", "same"), Some("v1")).await.unwrap(), "v2");
    let moved: Value = serde_json::from_str(&to.asked()[2].body).unwrap();
    assert_eq!((&moved["RemoveFromVersionId"], &moved["MoveToVersionId"]), (&json!("v1"), &json!("v2")));
    assert_eq!((&moved["VersionStage"], &moved["SecretId"]), (&json!("AWSCURRENT"), &json!("prod/app")));
    let error = place.put(&order, &value("another", "value"), Some("v1")).await.unwrap_err();
    assert!(matches!(&error, ActionError::GiveUp { said } if said.contains("every name")), "{error}");
    let asked = to.asked();
    let names =
        asked[4..].iter().map(|it| serde_json::from_str::<Value>(&it.body).unwrap()["ClientRequestToken"].to_string());
    let names: std::collections::BTreeSet<String> = names.collect();
    assert_eq!((names.len(), asked.len()), (usize::from(NAMES), 4 + usize::from(NAMES)));
}

#[test]
fn settings_are_read_as_they_are_meant() {
    let built = |others: Value| {
        let mut all = settings();
        all.as_object_mut().unwrap().extend(others.as_object().unwrap().clone());
        build(&entry("https://sm.example.org", ("a", "b"), &all)).err()
    };
    assert_eq!(built(json!({})), None);
    for (others, says) in [
        (json!({ "hunter1": "hunter2" }), "unknown field `hunter1`"),
        (json!({ "secret_id": "" }), "secret_id: "),
        (json!({ "fields": {} }), "fields: "),
        (json!({ "fields": { "a": "hunter2", "b": "hunter2" } }), "fields: "),
        (json!({ "fields": "hunter2" }), "fields cannot be read"),
        (json!({ "secret_access_key": "hunter2" }), "secret_access_key: "),
    ] {
        let said = built(others).unwrap();
        assert!(said.starts_with(says) && !said.contains("hunter2"), "{said}");
    }
}
