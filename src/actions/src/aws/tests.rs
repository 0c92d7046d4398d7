//! What everything at Amazon must do, and whether the Amazon of the tests does what tests rely on.
//! It must never leave a server behind.

use std::time::Duration;

use provost_model::{Kind, Remedy};
use serde_json::json;

use super::{
    testing::{
        aws_proxy::{self, Trouble},
        entry,
    },
    *,
};
use crate::{
    destinations, rotators,
    testing::{act as ordered, handed, target},
};

type Builds = Box<dyn Fn(&Handed) -> Result<(), String>>;

/// Everything at Amazon: its name, an entry of its example without what every entry has, and what builds it.
fn all() -> Vec<(&'static str, Map<String, Value>, Builds)> {
    let settings = |entry: &toml::Value| {
        let Value::Object(mut settings) = serde_json::to_value(entry).unwrap() else { panic!("{entry}") };
        settings.retain(|name, _| !["name", "kind"].contains(&name.as_str()));
        settings
    };
    let read =
        |example: &str| toml::from_str::<toml::Table>(example).unwrap_or_else(|error| panic!("{error}: {example}"));
    let mut all: Vec<(&'static str, Map<String, Value>, Builds)> = Vec::new();
    for spec in rotators::ALL.iter().filter(|spec| spec.name.starts_with("aws_")) {
        let entry = read(spec.example)["rotations"].as_array().unwrap()[0].clone();
        assert_eq!(entry["kind"].as_str(), Some(spec.name));
        all.push((spec.name, settings(&entry), Box::new(|it| (spec.build)(it).map(drop))));
    }
    for spec in destinations::ALL.iter().filter(|spec| spec.name.starts_with("aws_")) {
        let whole = read(&format!("[[rotations]]\n{}", spec.example));
        let entry = whole["rotations"].as_array().unwrap()[0]["places"].as_array().unwrap()[0].clone();
        assert_eq!(entry["kind"].as_str(), Some(spec.name));
        all.push((spec.name, settings(&entry), Box::new(|it| (spec.build)(it).map(drop))));
    }
    all
}

#[test]
fn every_example_works_and_no_setting_is_repeated_where_it_is_wrong() {
    let all = all();
    assert_eq!(all.len(), 5);
    for (name, settings, builds) in all {
        let with = |setting: &str, value: Value| {
            let mut settings = settings.clone();
            settings.insert(setting.to_owned(), value);
            builds(&handed(Value::Object(settings)))
        };
        assert_eq!(builds(&handed(Value::Object(settings.clone()))), Ok(()), "{name}");
        assert_eq!(with("endpoint", json!("http://127.0.0.1:5000")), Ok(()), "{name}");
        assert_eq!(with("role_arn", json!("arn:aws:iam::123456789012:role/x")), Ok(()), "{name}");
        for (setting, value) in [
            ("access_key_id", "hunter2"),
            ("secret_access_key", "hunter2"),
            ("session_token", "hunter2"),
            ("endpoint", "http://hunter2.example.org"),
            ("sts_endpoint", "http://hunter2.example.org"),
            ("region", "hunter2/"),
            ("role_arn", "hunter2"),
            ("external_id", "hunter2"),
        ] {
            let said = with(setting, json!(value)).unwrap_err();
            assert!(said.starts_with(&format!("{setting}: ")) && !said.contains("hunter2"), "{name}: {said}");
        }
        let said = with("hunter1", json!("hunter2")).unwrap_err();
        assert!(said.starts_with("unknown field `hunter1`") && !said.contains("hunter2"), "{name}: {said}");
    }
}

#[test]
fn every_call_is_named_by_what_it_does_and_is_either_a_look_or_an_act() {
    let calls = rotators::ALL.iter().filter(|it| it.name.starts_with("aws_")).map(|it| (it.name, it.reads, it.acts));
    let places = destinations::ALL.iter().filter(|it| it.name.starts_with("aws_"));
    for (name, reads, acts) in calls.chain(places.map(|it| (it.name, it.reads, it.acts))) {
        let named = |call: &&str| call.starts_with("POST / Action=") || call.starts_with("POST / X-Amz-Target=");
        assert!(reads.iter().chain(acts).all(named), "{name}");
        assert!(!acts.iter().any(|act| reads.contains(act)), "{name}");
        let action = |call: &str| call.rsplit(['=', '.']).next().unwrap().to_owned();
        let looks =
            |call: &str| ["Get", "List", "Describe", "AssumeRole"].iter().any(|begin| action(call).starts_with(begin));
        assert!(reads.iter().all(|call| looks(call)) && !acts.iter().any(|call| looks(call)), "{name}");
    }
}

#[tokio::test]
async fn a_call_that_hangs_leaves_its_trace_only_where_it_was_passed_on() {
    let Some(aws) = aws_proxy::own() else { return };
    let keys = aws.admin("provost");
    let old = aws.user("svc", aws_proxy::HARMLESS);
    let build = rotators::find("aws_access_key").unwrap().build;
    for (trouble, status) in [(Trouble::HangBefore, "Active"), (Trouble::HangAfter, "Inactive")] {
        let hands = build(&entry(&aws.origin, (&keys.0, &keys.1), &json!({}))).unwrap();
        aws.next("UpdateAccessKey", trouble);
        let target = target(Kind::AccessKey, &old.0, "svc");
        let id = old.0.clone();
        let step = tokio::spawn(async move { hands.disable(&ordered(Remedy::Disable), &target, &id).await });
        while aws.hanging() == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        step.abort();
        while aws.hanging() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(aws.keys("svc"), [(old.0.clone(), status.to_owned())], "{trouble:?}");
    }
    assert_eq!(aws.count("UpdateAccessKey"), 2);
    let calls: Vec<_> = aws.calls().into_iter().filter(|it| it.action == "UpdateAccessKey").collect();
    assert_eq!((calls[0].status, calls[1].status, &calls[0].key), (None, Some(200), &keys.0));
}
