//! A key known by its slot before it is known by its id: it stays one record with one story.
//! It must never take a key's second name for a second key.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    account::{DENIED, Fake, now},
    place::{Place, text},
};

fn ids(rows: &[Value]) -> BTreeSet<String> {
    rows.iter().map(|row| text(row, "id").to_owned()).collect()
}

#[test]
fn keys_seen_by_slot_are_the_same_records_with_the_same_findings_once_they_are_listed() {
    let fake = Fake::with_users(8);
    // A second, younger key for one user, so that both of its slots are known.
    fake.with(|account| {
        let mut second = account.users[1].keys[0].clone();
        second.id = "AKIASECOND".into();
        second.created = "2024-05-06T07:08:09Z".into();
        second.rotated.clone_from(&second.created);
        account.users[1].keys.push(second);
    });
    let place = Place::new(fake.url(), "");
    fake.fail("ListAccessKeys", 0, DENIED);
    assert_eq!(place.scan(&[]).0, 3, "the listing of keys is needed, and denied");
    let by_slot = place.records("access_key");
    assert_eq!(by_slot.len(), 9);
    assert!(by_slot.iter().all(|row| text(row, "external_id").contains("/slot-")), "{by_slot:#?}");
    let about_keys = |findings: Vec<Value>| {
        let keys = ids(&place.records("access_key"));
        findings.into_iter().filter(|it| keys.contains(text(it, "subject"))).collect::<Vec<_>>()
    };
    let standing = about_keys(place.open());
    let old = standing.iter().filter(|it| it["rule"] == "CRED-AGE").count();
    let beside = standing.iter().filter(|it| it["rule"] == "CRED-MULTI-ACTIVE").count();
    assert_eq!((old, beside), (9, 1), "findings stand on slots: {standing:#?}");

    fake.heal();
    assert_eq!(place.scan(&[]).0, 0);
    let listed = place.records("access_key");
    assert_eq!(ids(&listed), ids(&by_slot), "a second name, not a second record");
    let names: BTreeSet<&str> = listed.iter().map(|row| text(row, "name")).collect();
    assert!(names.contains("AKIA0000") && names.contains("AKIASECOND"), "{names:?}");
    let after = about_keys(place.rows(&["findings", "list", "--all"]));
    let story = |findings: &[Value]| -> BTreeSet<(String, String, String)> {
        let words = |it: &Value| ["id", "opened_at", "state"].map(|field| text(it, field).to_owned()).into();
        findings.iter().map(words).collect()
    };
    assert_eq!(story(&after), story(&standing), "nothing was closed, opened again or opened twice");
    for row in &listed {
        let said = place.say(&["inventory", "history", text(row, "id"), "--output", "json"]);
        let history: Vec<Value> = serde_json::from_str(&said.out).unwrap();
        assert_eq!(history.iter().filter(|it| it["what"] == "appeared").count(), 1, "{history:#?}");
        assert!(history.iter().any(|it| it["field"] == "external_id"), "the id is a change: {history:#?}");
    }
    // Either name finds it.
    let slot = text(&by_slot[0], "external_id");
    assert_eq!(place.say(&["inventory", "show", slot]).status, 0);

    // Switched off: the report's date moves, and with it the slot's name.
    fake.with(|account| {
        let key = &mut account.users[0].keys[0];
        key.active = false;
        key.rotated = now();
    });
    for _ in 0..2 {
        assert_eq!(place.scan(&[]).0, 0);
    }
    let last = place.records("access_key");
    assert_eq!(ids(&last), ids(&by_slot), "one record still");
    assert!(last.iter().all(|row| row["presence"] == "present"), "{last:#?}");
    let off: Vec<&str> = last.iter().filter(|row| row["status"] == "inactive").map(|row| text(row, "name")).collect();
    assert_eq!(off, ["AKIA0000"]);
}

#[test]
fn two_slots_of_one_date_wait_for_their_listing_and_then_are_two_keys() {
    let fake = Fake::with_users(3);
    fake.with(|account| {
        let mut twin = account.users[2].keys[0].clone();
        twin.id = "AKIATWIN".into();
        account.users[2].keys.push(twin);
    });
    let place = Place::new(fake.url(), "");
    fake.fail("ListAccessKeys", 0, DENIED);
    place.scan(&[]);
    assert_eq!(place.records("access_key").len(), 2, "nobody could say later which twin was which");
    fake.heal();
    assert_eq!(place.scan(&[]).0, 0);
    let keys = place.records("access_key");
    let names: BTreeSet<&str> = keys.iter().map(|row| text(row, "name")).collect();
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["AKIA0000", "AKIA0001", "AKIA0002", "AKIATWIN"]);
    for twin in keys.iter().filter(|row| ["AKIA0002", "AKIATWIN"].contains(&text(row, "name"))) {
        assert_ne!(twin["last_used_at"]["reading"], "never", "whose use the report tells of is not known: {twin:#}");
    }
    place.scan(&[]);
    assert_eq!(place.records("access_key").len(), 4);
}
