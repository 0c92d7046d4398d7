//! What is said of a manifest's text.
//! It must never take a fault for a warning: whatever is noted stops a manifest.

use std::collections::BTreeSet;

use crate::manifest::{Manifest, SHIPPED};

/// A manifest with nothing wrong, to break in one place at a time.
const SOUND: &str = r#"name = "acme"
title = "Acme"
about = "keys"
version = 1
documentation = ["https://acme.example/docs"]
base = "https://api.acme.example"
auth = [{ bearer = "token" }, { token = "/oauth", id = "{tenant}", secret = "secret" }]
slots = { token = "a token", secret = "a secret" }
settings = { tenant = "the tenant" }
realm = "{tenant}"
page = { cursor = "/next", as = "after", size = ["limit", 10] }
records = "/data"
id = "/id"

[[list]]
scope = "users"
get = "/v1/users"
make = [{ kind = "user", fields = { name = "/name", emails = "/email" } }]

[[list]]
scope = "keys"
get = "/v1/users/{users}/keys"
make = [{ kind = "token", not_reported = ["expires_at"], fields = { created_at = "/created",
  last_used_at = { at = "/used", null = "never" }, status = { at = "/on", map = { true = "active" } },
  created_by = { at = "/by", of = "users", take = "/email" } }, identity = [{ above = true }] }]
"#;

fn faults(text: &str) -> Vec<String> {
    Manifest::parse(text).map(|_| Vec::new()).unwrap_or_else(|faults| faults.iter().map(ToString::to_string).collect())
}

#[test]
fn the_shipped_ones_are_sound_and_short() {
    for text in SHIPPED {
        let manifest = Manifest::parse(text).unwrap_or_else(|faults| panic!("{text}\n{faults:?}"));
        assert!(text.lines().count() <= 40, "{} has {} lines", manifest.name, text.lines().count());
        assert!(text.lines().all(|line| line.chars().count() <= 180), "{} has long lines", manifest.name);
        assert!(!manifest.blind_spots.is_empty() && manifest.documentation.iter().all(|it| it.starts_with("https://")));
    }
    let names: BTreeSet<String> = SHIPPED.iter().map(|text| Manifest::parse(text).unwrap().name).collect();
    assert_eq!(names.len(), SHIPPED.len());
}

#[test]
fn every_fault_is_named_with_line_and_column() {
    assert_eq!(faults(SOUND), Vec::<String>::new());
    // What is replaced, by what, and what is said of it.
    let table = [
        ("name = \"acme\"", "name = \"Acme\"", "1:8: a name is of small letters"),
        ("title = \"Acme\"", "titel = \"Acme\"", "2:1: unknown field `titel`"),
        ("version = 1", "version = \"one\"", "4:11: invalid type: a string, expected u32"),
        ("[\"https://acme.example/docs\"]", "[]", "1:8: say where the provider documents this"),
        ("https://api.acme.example", "http://api.acme.example", "6:8: an address begins with https://"),
        ("bearer = \"token\"", "bearer = \"tokn\"", "7:20: \"tokn\" is no slot"),
        ("{ bearer = \"token\" }", "{ bearer = \"token\", headers = { x = \"{token}\" } }", "7:9: a way is one of"),
        ("token = \"/oauth\"", "token = \"oauth\"", "a token's address is a path"),
        ("slots = {", "slots = { other = \"o\",", "8:11: nothing uses \"other\""),
        ("realm = \"{tenant}\"", "realm = \"all\"", "10:9: every source would have the same realm"),
        ("realm = \"{tenant}\"", "realm = \"{token}\"", "10:9: {token} is a secret"),
        ("\"/v1/users\"", "\"/v1/users?x={token}\"", "17:7: {token} is a secret"),
        ("\"/v1/users\"", "\"v1/users\"", "17:7: a path begins with /"),
        ("\"/v1/users\"", "\"/v1/{who}\"", "17:7: {who} is neither a setting nor a slot"),
        ("as = \"after\", ", "", "11:8: as = "),
        (
            "cursor = \"/next\", as = \"after\"",
            "cursor = \"/next\", as = \"after\", link = true",
            "11:8: pages are one of",
        ),
        ("records = \"/data\"\n", "", "15:9: records says where the list is"),
        ("name = \"/name\"", "name = \"name\"", "a JSON Pointer begins with a slash"),
        ("name = \"/name\"", "name = \"/client_secret\"", "/client_secret is the secret itself"),
        ("kind = \"token\"", "kind = \"key\"", "\"key\" is no kind; kinds are user,"),
        (
            "emails = \"/email\"",
            "email = \"/email\"",
            "18:53: there is no attribute \"email\"; did you mean \"emails\"?",
        ),
        ("not_reported = [\"expires_at\"], ", "", "23:18: nothing is said of expires_at"),
        ("null = \"never\"", "null = \"nevr\"", "24:41: it is never, not_reported"),
        ("true = \"active\"", "true = \"on\"", "the map has a word that status cannot be"),
        ("of = \"users\"", "of = \"groups\"", "\"groups\" is no list that comes before this one"),
        ("[{ above = true }]", "[{ of = \"users\" }]", "an identity is { of ="),
        ("{users}/keys", "keys", "an identity is { of ="),
        ("scope = \"keys\"", "scope = \"users\"", "21:9: a scope has a name of its own"),
        ("created_at = \"/created\"", "created_at = { at = \"/created\", time = \"iso\" }", "times are rfc3339"),
        ("[[list]]\nscope = \"keys\"", "[[lst]]\nscope = \"keys\"", "20:3: unknown field `lst`"),
        ("name = \"acme\"", "name = acme", "1:8: "),
    ];
    let mut missed = Vec::new();
    for (right, wrong, says) in table {
        assert!(SOUND.contains(right), "{right}");
        let told = faults(&SOUND.replacen(right, wrong, 1));
        if !told.iter().any(|it| it.contains(says)) {
            missed.push(format!("{wrong}: expected {says:?}, got {told:?}"));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn several_faults_are_told_at_once_in_the_order_of_the_text() {
    let text =
        SOUND.replacen("realm = \"{tenant}\"", "realm = \"all\"", 1).replacen("\"/v1/users\"", "\"v1/users\"", 1);
    let told = faults(&text);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("10:") && told[1].starts_with("17:"), "{told:?}");
}

#[test]
fn what_stands_in_the_wrong_place_is_not_repeated() {
    let told = faults(&SOUND.replacen("version = 1", "version = \"hunter2\"", 1));
    assert!(!told.is_empty() && !told[0].contains("hunter2"), "{told:?}");
}
