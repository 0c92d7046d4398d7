//! Overrides, digests and refusals of the policy.
//! It must never be compiled into the program.

use std::collections::BTreeMap;

use provost_model::{PartId, ScopeNo, Time};

use super::*;
use crate::rules::sample;

fn policy(text: &str) -> Result<Policy, String> {
    let config: PolicyConfig = toml::from_str(text).map_err(|error| error.to_string())?;
    Policy::new(config).map_err(|error| error.to_string())
}

#[test]
fn later_overrides_win_where_they_match() {
    let policy = policy(
        r#"
        thresholds = { age_key_days = 80 }
        [[overrides]]
        match = { realm = "aws", kind = "access_key" }
        thresholds = { age_key_days = 60, off = ["CRED-STALE"] }
        [[overrides]]
        match = { source = "aws-dev", scope = "iam", tag = "env=dev" }
        thresholds = { age_key_days = 200 }
        "#,
    )
    .unwrap();
    let cover = |source: &'static str, path: &'static str| {
        [Covered { scope: ScopeNo(1), part: PartId::WHOLE, as_of: Time::from_seconds(0), source, path }]
    };
    let tags = |value: &str| BTreeMap::from([("Env".to_owned(), value.to_owned())]);
    let key = |value: &str| sample::key().with(field::TAGS, tags(value)).build();
    let days = |record: &Record, covers: &[Covered<'_>]| policy.of_record(record, covers).age_key_days;
    assert_eq!(days(&sample::user().build(), &[]), 80);
    assert_eq!(days(&sample::key().realm("gcp:1").build(), &[]), 80);
    assert_eq!(days(&key("dev"), &[]), 60);
    assert_eq!(days(&key("dev"), &cover("aws-dev", "iam/users")), 200);
    assert_eq!(days(&key("dev"), &cover("aws-dev", "iamx")), 60);
    assert_eq!(days(&key("prod"), &cover("aws-dev", "iam")), 60);
    assert_eq!(days(&key("dev"), &cover("aws-prod", "iam")), 60);
    assert!(policy.of_record(&key("dev"), &[]).is_off("cred-stale"));
    assert_eq!(policy.of_source("aws-dev").age_key_days, 80);
}

#[test]
fn nonsense_is_refused_with_the_reason() {
    let table = [
        ("thresholds = { age_key_day = 3 }", "age_key_day"),
        ("thresholds = { age_key_days = -3 }", "age_key_days"),
        ("thresholds = { off = [\"CRED-STAL\"] }", "no rule \"CRED-STAL\""),
        ("thresholds = { owner_confidence = 1.5 }", "between 0 and 1"),
        ("thresholds = { expiring_days = [] }", "one to ten"),
        ("thresholds = { reused_in = 1 }", "at least 2"),
        ("thresholds = { source_periods = 0 }", "at least 1"),
        ("thresholds = { rotation_periods = 0 }", "at least 1"),
        ("thresholds = { scope_used_percent = 101 }", "at most 100"),
        ("thresholds = { unused_rights_percent = 101 }", "at most 100"),
        ("thresholds = { trusted_accounts = [\"*\"] }", "one by one"),
        ("[[overrides]]\nmatch = {}\nthresholds = {}", "must say what it matches"),
        ("[[overrides]]\nmatch = { realms = \"aws\" }\nthresholds = {}", "realms"),
        ("unknown = 1", "unknown"),
    ];
    for (text, reason) in table {
        let error = policy(text).unwrap_err();
        assert!(error.contains(reason), "{text}: {error}");
    }
}

/// The ids of rules whose digest under a policy is another than under the usual one.
fn moved(text: &str) -> Vec<&'static str> {
    let (usual, other) = (Policy::default(), policy(text).unwrap());
    rules::ALL.iter().filter(|rule| usual.digest_of(rule) != other.digest_of(rule)).map(|rule| rule.id).collect()
}

#[test]
fn a_figure_moves_the_digests_of_the_rules_that_compare_with_it() {
    let graced = rules::ALL.iter().filter(|rule| rule.figures.contains(&"grace_days")).map(|rule| rule.id);
    let graced: Vec<&str> = graced.collect();
    assert!(graced.contains(&"PRIV-ADMIN") && !graced.contains(&"CRED-AGE"));
    for (text, expected) in [
        ("thresholds = { grace_days = 7 }", &[][..]),
        ("thresholds = { grace_days = 8 }", &graced[..]),
        ("thresholds = { off = [\"CRED-AGE\"] }", &["CRED-AGE"]),
        ("thresholds = { expiring_days = [9, 3] }", &["CRED-EXPIRING"]),
        ("[[overrides]]\nmatch = { realm = \"aws\" }\nthresholds = { grace_days = 8 }", &graced),
        ("[[overrides]]\nmatch = { realm = \"aws\" }\nthresholds = { idle_role_days = 8 }", &["ID-IDLE"]),
    ] {
        assert_eq!(moved(text), expected, "{text}");
    }
    let one = policy("[[overrides]]\nmatch = { realm = \"aws\" }\nthresholds = { rsa_bits = 4096 }").unwrap();
    let other = policy("[[overrides]]\nmatch = { realm = \"gcp\" }\nthresholds = { rsa_bits = 4096 }").unwrap();
    let rule = Rule::of_id("CRED-WEAK-KEY").unwrap();
    assert_ne!(one.digest_of(rule), other.digest_of(rule), "whom it is for counts too");
}

#[test]
fn a_rule_shows_its_figures_and_where_they_differ() {
    let policy = policy(
        "thresholds = { age_key_days = 80, off = [\"cred-stale\"] }\n[[overrides]]\nmatch = { realm = \"aws\" }\n\
         thresholds = { age_key_days = 60 }",
    )
    .unwrap();
    let rule = |id| Rule::of_id(id).unwrap();
    let figures = policy.figures(rule("CRED-AGE"));
    assert_eq!(figures.len(), rule("CRED-AGE").figures.len());
    assert!(figures.contains(&("age_key_days", 80.into())) && figures.contains(&("age_secret_days", 365.into())));
    assert!(policy.figures(rule("SRC-HELD")).is_empty());
    let standing = ["CRED-AGE", "CRED-STALE", "ID-IDLE"].map(|id| policy.standing(rule(id)));
    assert_eq!(standing, [(false, 1), (true, 0), (false, 0)]);
}

#[test]
fn every_figure_is_compared_with_by_a_rule_that_says_so() {
    let figures = serde_json::to_value(Thresholds::default()).unwrap();
    let named: Vec<&str> = rules::ALL.iter().flat_map(|rule| rule.figures).copied().collect();
    for figure in figures.as_object().unwrap().keys().filter(|it| *it != "off") {
        assert!(named.contains(&figure.as_str()), "{figure}");
    }
    for name in named {
        assert!(figures.get(name).is_some(), "{name}");
    }
}

#[test]
fn overridden_figures_are_made_once() {
    let policy =
        policy("[[overrides]]\nmatch = { kind = \"access_key\" }\nthresholds = { age_key_days = 60 }").unwrap();
    let (key, user) = (sample::key().build(), sample::user().build());
    assert!(Arc::ptr_eq(&policy.of_record(&key, &[]), &policy.of_record(&key, &[])));
    assert_eq!((policy.of_record(&key, &[]).age_key_days, policy.of_record(&user, &[]).age_key_days), (60, 90));
}
