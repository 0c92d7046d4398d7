//! The whole program against moto: does the inventory say what is true, and nothing else?
//! It must never compare with anything but the truth that moto was seeded with.
//!
//! A scan of moto ends partial (3), and rightly: moto answers ListServiceSpecificCredentials with 500, so that one scope
//! was not seen. Its report claims to be of 2015, though it speaks of users created since; a report cannot be older than
//! the latest thing in it, so it counts as of that moment, an hour or less ago, and is not stale.

use std::collections::{BTreeMap, BTreeSet};

use provost_model::{Span, Time};
use serde_json::{Value, json};

use super::{
    place::{Place, calls, cover, sum, text, troubles},
    server::Moto,
};

/// Days, as the thresholds are without configuration.
const STALE: i64 = 45;
const NEVER: i64 = 30;
const AGE: i64 = 90;
const OVERLAP: i64 = 14;

fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value[field].as_array().unwrap()
}

/// Every key of the truth with its user.
fn keys(truth: &Value) -> Vec<(&Value, &Value)> {
    list(truth, "users").iter().flat_map(|user| list(user, "keys").iter().map(move |key| (user, key))).collect()
}

fn known(value: &Value) -> Value {
    if value.is_null() { json!({"reading": "never"}) } else { json!({"reading": "known", "value": value}) }
}

fn by_id(rows: Vec<Value>) -> BTreeMap<String, Value> {
    rows.into_iter().map(|row| (text(&row, "external_id").to_owned(), row)).collect()
}

#[test]
fn the_inventory_says_what_is_true() {
    let moto = Moto::start();
    let place = Place::new(&moto.url(), "");
    let (status, run) = place.scan(&[]);
    assert_eq!((status, text(&run, "outcome")), (3, "partial"), "{run:#}");
    assert_eq!(troubles(&run), ["iam/service-specific-credentials: unavailable"], "{run:#}");
    assert_eq!((cover(&run, "iam/authorization"), cover(&run, "iam/credential-report")), ("full", "full"));
    assert_eq!(run["realm"], format!("aws:{}", text(&moto.truth, "account")), "{run:#}");

    let users = by_id(place.records("user"));
    let wanted: BTreeSet<&str> = list(&moto.truth, "users").iter().map(|user| text(user, "id")).collect();
    assert_eq!(users.keys().map(String::as_str).collect::<BTreeSet<_>>(), wanted);
    for user in list(&moto.truth, "users") {
        let row = &users[text(user, "id")];
        let said = json!([row["name"], row["created_at"], row["owner"], row["presence"], row["source"]]);
        assert_eq!(said, json!([user["name"], known(&user["created"]), user["owner"], "present", ["aws"]]), "{row:#}");
        let attributes = &row["attributes"];
        assert_eq!(attributes["arn"], known(&user["arn"]), "{row:#}");
        assert_eq!(attributes["admin"], known(&user["admin"]), "{row:#}");
    }

    let found = by_id(place.records("access_key"));
    assert_eq!(found.len(), keys(&moto.truth).len(), "one record for each key, whether by slot or by id");
    for (user, key) in keys(&moto.truth) {
        let row = found.get(text(key, "id")).unwrap_or_else(|| panic!("{key} is not called by its id"));
        let status = if key["active"] == true { "active" } else { "inactive" };
        assert_eq!((text(row, "status"), text(row, "presence")), (status, "present"), "{row:#}");
        assert_eq!(row["created_at"], known(&key["created"]), "{row:#}");
        assert_eq!(row["last_used_at"], known(&key["last_used"]), "{row:#}");
        assert_eq!(row["identity"], users[text(user, "id")]["id"], "{row:#}");
    }

    let roles = by_id(place.records("role"));
    assert_eq!(roles.len(), list(&moto.truth, "roles").len());
    for role in list(&moto.truth, "roles") {
        let row = &roles[text(role, "id")];
        assert_eq!((&row["name"], &row["created_at"]), (&role["name"], &known(&role["created"])), "{row:#}");
        if !role["last_used"].is_null() {
            assert_eq!(row["last_used_at"], known(&role["last_used"]), "{row:#}");
        }
    }
    let passwords = list(&moto.truth, "users").iter().filter(|user| user["password"] == true).count();
    assert_eq!(place.records("password").len(), passwords);

    findings_are_those_the_truth_gives(&place, &moto.truth);
}

fn findings_are_those_the_truth_gives(place: &Place, truth: &Value) {
    let now: Time = seeded(truth);
    let before = |value: &Value, days: i64| {
        value.as_str().is_some_and(|text| now - text.parse::<Time>().unwrap() > Span::days(days))
    };
    let mut wanted: BTreeSet<(&str, &str)> = BTreeSet::new();
    for (user, key) in keys(truth).into_iter().filter(|(_, key)| key["active"] == true) {
        let id = text(key, "id");
        let used = &key["last_used"];
        wanted.extend(before(used, STALE).then_some(("CRED-STALE", id)));
        wanted.extend((used.is_null() && before(&key["created"], NEVER)).then_some(("CRED-NEVER", id)));
        wanted.extend(before(&key["created"], AGE).then_some(("CRED-AGE", id)));
        let newer = list(user, "keys").iter().filter(|other| {
            other["active"] == true
                && text(other, "created") > text(key, "created")
                && before(&other["created"], OVERLAP)
        });
        wanted.extend((newer.count() > 0).then_some(("CRED-MULTI-ACTIVE", id)));
    }
    let key_ids: BTreeSet<&str> = keys(truth).into_iter().map(|(_, key)| text(key, "id")).collect();
    let open = place.open();
    let found: BTreeSet<(&str, &str)> = open
        .iter()
        .map(|it| (text(it, "rule"), text(it, "external_id")))
        .filter(|(rule, id)| key_ids.contains(id) && wanted.iter().any(|(known, _)| known == rule))
        .collect();
    assert!(
        ["CRED-STALE", "CRED-NEVER", "CRED-AGE", "CRED-MULTI-ACTIVE"]
            .iter()
            .all(|it| wanted.iter().any(|w| w.0 == *it))
    );
    assert_eq!(found.symmetric_difference(&wanted).collect::<Vec<_>>(), Vec::<&(&str, &str)>::new());
}

#[test]
fn looking_again_changes_nothing_and_costs_little() {
    let moto = Moto::start();
    let place = Place::new(&moto.url(), "");
    let (_, first) = place.scan(&[]);
    let before = place.rows(&["inventory", "list"]);
    let versions = place.versions();
    let (status, second) = place.scan(&[]);
    assert_eq!(status, 3);
    let changes: Vec<u64> =
        ["appeared", "changed", "returned", "missing", "gone", "held"].iter().map(|it| sum(&second, it)).collect();
    assert_eq!(changes, [0; 6], "{second:#}");
    assert_eq!(place.versions(), versions, "nothing is written of what did not change");
    assert_eq!(calls(&second, "iam:ListAccessKeys"), 0, "{second:#}");
    let sent: u64 = list(&second, "calls").iter().map(|call| call["sent"].as_u64().unwrap()).sum();
    let cold: u64 = list(&first, "calls").iter().map(|call| call["sent"].as_u64().unwrap()).sum();
    // Three of the calls are moto's 500, tried again.
    assert!(sent < 30 && cold > 200, "{sent} calls where the first run needed {cold}: {second:#}");
    let mut after = place.rows(&["inventory", "list"]);
    let settled = |rows: &mut Vec<Value>| rows.iter_mut().for_each(|row| row["last_seen"] = Value::Null);
    let mut before = before;
    settled(&mut before);
    settled(&mut after);
    assert_eq!(before, after);
    let key = text(keys(&moto.truth)[0].1, "id").to_owned();
    let said = place.say(&["inventory", "history", &key, "--output", "json"]);
    let history: Vec<Value> = serde_json::from_str(&said.out).unwrap();
    assert_eq!(history.iter().filter(|line| line["what"] == "appeared").count(), 1, "{history:#?}");
}

#[test]
fn a_user_born_again_is_somebody_else_and_a_key_switched_off_is_the_same_key() {
    let moto = Moto::start();
    let place = Place::new(&moto.url(), "");
    place.scan(&[]);
    let users = list(&moto.truth, "users");
    let bare = |user: &&Value| list(user, "keys").is_empty() && user["password"] == false && user["admin"] == false;
    let reborn = users.iter().find(bare).unwrap();
    let name = text(reborn, "name");
    let (holder, key) = keys(&moto.truth).into_iter().find(|(_, key)| key["active"] == true).unwrap();
    let key_record = by_id(place.records("access_key"))[text(key, "id")]["id"].clone();

    let arn = moto.act("Action=ListPolicies&Scope=Local");
    let arn = arn.split("<Arn>").filter_map(|it| it.split("</Arn>").next()).find(|it| it.ends_with("/some-reads"));
    moto.act(&format!("Action=DetachUserPolicy&UserName={name}&PolicyArn={}", arn.unwrap()));
    moto.act(&format!("Action=RemoveUserFromGroup&UserName={name}&GroupName=readers"));
    moto.act(&format!("Action=DeleteUser&UserName={name}"));
    moto.act(&format!("Action=CreateUser&UserName={name}"));
    let (holder, key_id) = (text(holder, "name"), text(key, "id"));
    moto.act(&format!("Action=UpdateAccessKey&UserName={holder}&AccessKeyId={key_id}&Status=Inactive"));

    let (_, run) = place.scan(&[]);
    let namesakes = || -> BTreeMap<String, String> {
        let rows = place.records("user").into_iter().filter(|row| row["name"] == *name);
        rows.map(|row| (text(&row, "external_id").to_owned(), text(&row, "presence").to_owned())).collect()
    };
    let first = namesakes();
    assert_eq!(first.len(), 2, "{first:?}");
    assert_eq!(first[text(reborn, "id")], "missing", "one listing without it is not proof: {run:#}");
    assert_eq!(calls(&run, "iam:ListAccessKeys"), 1, "only the changed row is looked into: {run:#}");
    place.scan(&[]);
    let second = namesakes();
    assert_eq!(second[text(reborn, "id")], "gone");
    assert_eq!(second.values().filter(|it| *it == "present").count(), 1, "{second:?}");

    let row = by_id(place.records("access_key"))[key_id].clone();
    assert_eq!((&row["id"], text(&row, "status")), (&key_record, "inactive"));
    let said = place.say(&["inventory", "history", key_id, "--output", "json"]);
    let history: Vec<Value> = serde_json::from_str(&said.out).unwrap();
    let told =
        history.iter().any(|line| line["field"] == "status" && line["old"] == "active" && line["new"] == "inactive");
    assert!(told, "{history:#?}");
}

#[test]
fn a_check_tries_every_read_and_prints_the_policy() {
    let moto = Moto::start();
    let place = Place::new(&moto.url(), "");
    let said = place.say(&["check", "aws", "--output", "json"]);
    assert_eq!(said.status, 0, "nothing is denied: {said:?}");
    let access: Value = serde_json::from_str(&said.out).unwrap();
    let verdict = |action: &str| {
        let check = list(&access, "checks").iter().find(|it| it["action"] == action);
        check.map_or("none", |it| text(it, "verdict")).to_owned()
    };
    assert_eq!(verdict("iam:GetAccountAuthorizationDetails"), "granted");
    assert_eq!(verdict("iam:ListAccessKeys"), "granted");
    assert_eq!(verdict("iam:ListServiceSpecificCredentials"), "unknown", "500 tells nothing");
    let table = place.say(&["check", "aws"]);
    for words in ["iam:GetCredentialReport", "granted", "unknown", "\"Sid\": \"Needed\"", "cold:", "warm:", "sweep:"] {
        assert!(table.out.contains(words), "{words}: {}", table.out);
    }
}

/// When moto was seeded.
fn seeded(truth: &Value) -> Time {
    text(truth, "now").parse().unwrap()
}
