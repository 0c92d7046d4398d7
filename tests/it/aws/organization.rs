//! An organization of twenty accounts on moto: each a realm of its own, in one run and one budget.
//! It must never compare with anything but the truth that moto was seeded with.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    place::{Place, calls, cover, text},
    server::Moto,
};

const ROLE: &str = "role_name = \"provost\"\nexternal_id = \"agreed\"";
const MEMBERS: usize = 19;
const USERS: usize = 25;

#[test]
fn twenty_accounts_cost_what_twenty_runs_would() {
    let (members, users) = (MEMBERS.to_string(), USERS.to_string());
    let moto = Moto::of("moto_cloud.py", &[&members, &users]);
    let place = Place::new(&moto.url(), ROLE);
    let (status, cold) = place.scan(&[]);
    assert_eq!(status, 3, "moto lacks service-specific credentials in each: {cold:#}");
    let accounts = moto.truth["accounts"].as_object().unwrap();
    assert_eq!(accounts.len(), MEMBERS + 1);
    let ids = |rows: &[&Value], field: &str| -> BTreeSet<String> {
        rows.iter().map(|row| text(row, field).to_owned()).collect()
    };
    let (all_users, all_keys) = (place.records("user"), place.records("access_key"));
    for (account, truth) in accounts {
        let arn = format!("arn:aws:iam::{account}:user/");
        let is_there = |row: &&Value| text(&row["attributes"]["arn"], "value").starts_with(&arn);
        let users: Vec<&Value> = all_users.iter().filter(is_there).collect();
        let records = ids(&users, "id");
        let keys: Vec<&Value> = all_keys.iter().filter(|row| records.contains(text(row, "identity"))).collect();
        let wanted = |field: &str| -> BTreeSet<String> {
            truth[field].as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(ids(&users, "external_id"), wanted("users"), "{account}");
        assert_eq!(ids(&keys, "external_id"), wanted("keys"), "{account}");
        assert_eq!(cover(&cold, &format!("accounts/{account}/iam/authorization")), "full");
    }
    // As many calls for a user as in an account alone: one for each whose keys are to be listed, and the same few in bulk.
    let all = (MEMBERS + 1) as u64;
    assert_eq!(calls(&cold, "iam:ListAccessKeys"), all * USERS as u64, "{cold:#}");
    assert_eq!(calls(&cold, "sts:AssumeRole"), MEMBERS as u64);
    assert_eq!(calls(&cold, "sts:GetCallerIdentity"), all);
    let total = |run: &Value| -> u64 {
        run["calls"].as_array().unwrap().iter().map(|call| call["sent"].as_u64().unwrap()).sum()
    };
    let (_, warm) = place.scan(&[]);
    assert_eq!(calls(&warm, "iam:ListAccessKeys"), 0, "{warm:#}");
    assert!(total(&warm) <= all * 20, "{} calls: {warm:#}", total(&warm));
}
