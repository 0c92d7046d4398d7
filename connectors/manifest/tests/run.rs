//! What runs of a manifest promise beside the mapping: tenants that never clash, blind spots, credentials that stay home.
//! It must never need recorded pages: each test writes its own.

use std::sync::{Arc, Mutex};

use provost_client::{Limits, Patience};
use provost_model::{Cover, Reading, Why, field};
use serde_json::{Value, json};

use super::{TOKEN, source};
use crate::{
    Bookmarks, Source,
    generic::{Answered, Asked, Door, Said, Upstream, looked},
    manifest::{Depth, Manifest, Trust},
};

/// Users, and the keys of each; keys may be denied.
const ACME: &str = r#"name = "acme"
title = "Acme"
about = "keys"
version = 1
documentation = ["https://acme.example/docs"]
base = "https://api.acme.example"
auth = [{ bearer = "token" }]
slots = { token = "a token" }
realm = { get = "/me", at = "/tenant" }
records = ""
id = "/id"
[[list]]
scope = "users"
get = "/users"
make = [{ kind = "user", fields = { emails = "/email" } }]
[[list]]
scope = "keys"
get = "/users/{users}/keys"
optional = true
make = [{ kind = "token", not_reported = ["expires_at"], within = true, fields = { created_at = "/created",
  last_used_at = { at = "/used", null = "never" }, created_by = { at = "/by", of = "users", take = "/email" } },
  identity = [{ above = true }] }]
"#;

type Seen = Arc<Mutex<Vec<Asked>>>;

/// A provider of these answers, by path; whatever else is asked for is denied.
async fn provider(answers: Vec<(&'static str, Value)>) -> (Door, Seen) {
    let seen = Seen::default();
    let noted = Arc::clone(&seen);
    let upstream = Upstream::Pages(Box::new(move |asked: &Asked| {
        noted.lock().unwrap().push(asked.clone());
        match answers.iter().find(|(path, _)| *path == asked.target) {
            Some((_, body)) => Answered::json(200, body),
            None => Answered::json(403, &json!({"error": "forbidden"})),
        }
    }));
    (Door::open(Arc::new(upstream), None).await, seen)
}

fn acme(text: &str) -> Arc<Manifest> {
    Arc::new(Manifest::parse(text).unwrap())
}

async fn run(manifest: &Arc<Manifest>, source: &Source, trust: Trust) -> Said {
    let eyes = manifest.eyes((source, trust), Depth::Whole, (Limits::default(), Patience::none())).unwrap();
    looked(&*eyes, &Bookmarks::default()).await
}

fn answers(tenant: &str) -> Vec<(&'static str, Value)> {
    vec![
        ("/me", json!({"tenant": tenant})),
        ("/users", json!([{"id": "u1", "email": "ann@acme.example"}, {"id": 2, "email": null}])),
        ("/users/u1/keys", json!([{"id": "k1", "created": "2026-01-01T00:00:00Z", "used": null, "by": "u1"}])),
        ("/users/2/keys", json!([{"id": "k2", "created": "2026-01-02T00:00:00Z", "by": "gone"}])),
    ]
}

#[tokio::test]
async fn two_tenants_of_one_manifest_never_clash() {
    let manifest = acme(ACME);
    let mut keys = Vec::new();
    for tenant in ["t1", "t2"] {
        let (door, _) = provider(answers(tenant)).await;
        let said = run(&manifest, &source(&manifest, &door.url, &[]), Trust::Shipped).await;
        assert_eq!(said.realm, Some(format!("acme:{tenant}")));
        assert!(said.troubles.is_empty(), "{:?}", said.troubles);
        keys.push(said.entities().into_keys().map(|(_, key)| key).collect::<Vec<_>>());
    }
    assert_eq!(keys[0].len(), 4);
    assert!(keys[0].iter().all(|key| !keys[1].contains(key)), "{keys:?}");
}

#[tokio::test]
async fn what_a_record_says_is_said_and_nothing_else() {
    let manifest = acme(ACME);
    let (door, _) = provider(answers("t")).await;
    let said = run(&manifest, &source(&manifest, &door.url, &[]), Trust::Shipped).await;
    let keys = said.in_scope("keys");
    let (first, second) = (keys["acme:t/token/k1"], keys["acme:t/token/k2"]);
    assert_eq!(first.facts.get(field::LAST_USED_AT), Reading::Never, "null is what the manifest says it is");
    assert_eq!(second.facts.get(field::LAST_USED_AT), Reading::NotCollected, "absent is not null");
    assert_eq!(second.facts.get(field::EXPIRES_AT), Reading::NotReported);
    assert_eq!(first.facts.get(field::CREATED_BY), Reading::Known("ann@acme.example".to_owned()));
    assert_eq!(
        second.facts.get(field::CREATED_BY),
        Reading::Known("gone".to_owned()),
        "nobody knows better than the id"
    );
    assert_eq!(first.identity.as_ref().unwrap().to_string(), "acme:t/user/u1");
    assert_eq!(second.container.as_ref().unwrap().to_string(), "acme:t/user/2");
    assert!(said.is_whole(&("keys".to_owned(), Some("u1".to_owned()))) && said.is_whole(&("keys".to_owned(), None)));
}

#[tokio::test]
async fn a_denied_list_that_is_optional_is_a_blind_spot_and_one_parent_denied_is_partial() {
    let manifest = acme(ACME);
    let mut some = answers("t");
    some.truncate(2);
    let (door, _) = provider(some.clone()).await;
    let said = run(&manifest, &source(&manifest, &door.url, &[]), Trust::Shipped).await;
    assert!(!said.begun.contains("keys") && said.troubles.iter().all(|it| it.blind_spot && it.why == Why::Denied));
    assert_eq!(said.troubles.len(), 1);
    some.push(answers("t").remove(2));
    let (door, _) = provider(some).await;
    let said = run(&manifest, &source(&manifest, &door.url, &[]), Trust::Shipped).await;
    assert!(said.is_whole(&("keys".to_owned(), Some("u1".to_owned()))));
    assert!(matches!(said.covers[&("keys".to_owned(), None)], Cover::Partial { why: Why::Denied }));
}

#[tokio::test]
async fn what_cannot_be_read_is_left_out_and_told() {
    let manifest = acme(ACME);
    let mut strange = answers("t");
    strange[2].1 = json!([{"id": "k1", "created": "soon", "used": 7}, {"id": "k3", "created": "later"}]);
    let (door, _) = provider(strange).await;
    let said = run(&manifest, &source(&manifest, &door.url, &[]), Trust::Shipped).await;
    assert_eq!(said.in_scope("keys")["acme:t/token/k1"].facts.get(field::CREATED_AT), Reading::NotCollected);
    let told: Vec<&str> = said.troubles.iter().map(|it| it.said.as_str()).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told.iter().any(|it| it.contains("created_at of 2 records cannot be read, such as that of k1")),
        "{told:?}"
    );
    assert!(said.is_whole(&("keys".to_owned(), None)), "what is there was listed all the same");
    let mut nameless = answers("t");
    nameless[1].1 = json!([{"id": "u1"}, {"email": "x"}]);
    let (door, _) = provider(nameless).await;
    let said = run(&manifest, &source(&manifest, &door.url, &[]), Trust::Shipped).await;
    assert!(!said.is_whole(&("users".to_owned(), None)) && !said.is_whole(&("keys".to_owned(), None)));
}

#[tokio::test]
async fn a_credential_goes_only_where_the_configuration_or_the_program_says() {
    let manifest = acme(ACME);
    let (door, seen) = provider(answers("t")).await;
    let mut source = source(&manifest, &door.url, &[]);
    run(&manifest, &source, Trust::Pinned).await;
    let all = std::mem::take(&mut *seen.lock().unwrap());
    assert!(!all.is_empty() && all.iter().all(|asked| asked.headers["authorization"] == format!("Bearer {TOKEN}")));
    // Nobody confirmed the address: a pinned manifest's own word is not enough, the program's is.
    source.settings.remove("base_url");
    let built = |trust| manifest.connector(&source, trust, Depth::Whole).map(drop);
    assert!(built(Trust::Pinned).unwrap_err().contains("base_url is missing: confirm"));
    assert!(built(Trust::Nobody).unwrap_err().contains("base_url is missing"));
    built(Trust::Shipped).unwrap();
    // A token's address elsewhere must be confirmed too.
    let token = "auth = [{ token = \"https://login.acme.example/token\", id = \"me\", secret = \"token\" }]";
    let manifest = acme(&ACME.replace("auth = [{ bearer = \"token\" }]", token));
    source.settings.insert("base_url".to_owned(), "https://api.acme.example".into());
    let built = |trust| manifest.connector(&source, trust, Depth::Whole).map(drop);
    assert!(built(Trust::Pinned).unwrap_err().contains("token_url is missing: confirm"));
    built(Trust::Shipped).unwrap();
    // A next link that leads elsewhere takes nobody along.
    let manifest = acme(&ACME.replace("records = \"\"", "records = \"/r\"\npage = { next = \"/next\" }"));
    let (other, strangers) = provider(Vec::new()).await;
    let leads_away = json!({"r": [{"id": "u1"}], "next": format!("{}/users?page=2", other.url)});
    let (door, _) = provider(vec![("/me", json!({"tenant": "t"})), ("/users", leads_away)]).await;
    let said = run(&manifest, &super::source(&manifest, &door.url, &[]), Trust::Shipped).await;
    assert!(!said.is_whole(&("users".to_owned(), None)) && strangers.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_setting_that_is_no_reference_is_refused_without_being_repeated() {
    let manifest = acme(ACME);
    let mut source = source(&manifest, "https://api.acme.example", &[]);
    source.settings.insert("token".to_owned(), "hunter2".into());
    let refused = manifest.connector(&source, Trust::Pinned, Depth::Whole).map(drop).unwrap_err();
    assert!(refused.starts_with("token: ") && !refused.contains("hunter2"), "{refused}");
    source.settings.insert("tken".to_owned(), "x".into());
    let refused = manifest.connector(&source, Trust::Pinned, Depth::Whole).map(drop).unwrap_err();
    assert!(refused.starts_with("unknown field `tken`"), "{refused}");
}

#[tokio::test]
async fn a_list_that_the_provider_cuts_is_not_covered() {
    for (extra, body) in
        [("cut = \"/more\"", json!({"r": [], "more": true})), ("cut_at = 1", json!({"r": [{"id": "u1"}]}))]
    {
        let text = ACME
            .replace("records = \"\"", "records = \"/r\"")
            .replace("get = \"/users\"", &format!("get = \"/users\"\n{extra}"));
        let manifest = acme(&text);
        let (door, _) = provider(vec![("/me", json!({"tenant": "t"})), ("/users", body)]).await;
        let said = run(&manifest, &source(&manifest, &door.url, &[]), Trust::Shipped).await;
        assert!(matches!(said.covers[&("users".to_owned(), None)], Cover::Partial { why: Why::TooLarge }), "{extra}");
    }
}

#[tokio::test]
async fn a_check_says_what_may_be_read_and_what_cannot_be_tried() {
    use crate::Verdict;
    let manifest = acme(ACME);
    let mut some = answers("t");
    some.truncate(2);
    let (door, _) = provider(some).await;
    let source = source(&manifest, &door.url, &[]);
    let eyes = manifest.eyes((&source, Trust::Shipped), Depth::Whole, (Limits::default(), Patience::none())).unwrap();
    let access = eyes.check().await;
    let verdicts: Vec<Verdict> = access.checks.iter().map(|it| it.verdict).collect();
    assert_eq!(verdicts, [Verdict::Granted, Verdict::Denied]);
    assert!(access.principal.contains("acme:t") && access.cost.len() == 2, "{access:?}");
}
