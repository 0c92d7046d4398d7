//! What a token may not see is said, and readings that are refused are refused readings, never defaults.
//! It must never look with more rights than the policy that `check` prints.

use std::collections::BTreeSet;

use provost_model::{Kind, Reading, Why, field};
use serde_json::json;

use super::{
    openbao::{self, ROOT},
    run::{run, with_token},
    truth::seed,
};
use crate::{Bookmarks, Verdict};

#[tokio::test(flavor = "multi_thread")]
async fn the_printed_policy_is_enough_for_everything_but_what_needs_sudo() {
    let Some(server) = openbao::own() else { return };
    seed(&server);
    let access = with_token(&server.url(), ROOT, json!({})).check().await;
    assert!(access.checks.iter().any(|it| it.action == "write access" && it.verdict == Verdict::Excess));
    let denied: Vec<_> = access.checks.iter().filter(|it| it.verdict == Verdict::Denied).collect();
    assert!(denied.is_empty(), "{denied:?}");
    let policy = access.policy.unwrap();
    assert!(!policy.to_string().contains("sudo") && !policy.to_string().contains("/data/"), "{policy:#}");
    let token = server.token("eyes", &policy.to_string());
    let eyes = with_token(&server.url(), &token, json!({}));
    let (result, said) = run(&*eyes, &Bookmarks::default()).await;
    result.unwrap();
    assert_eq!(said.amiss(), Vec::<String>::new());
    assert_eq!(said.blind(), BTreeSet::from(["audit-devices", "tokens"]), "{:#?}", said.troubles);
    assert_eq!(said.eyes.as_ref().unwrap().0, Reading::Known(Vec::new()), "it can do nothing beyond reading");
    let (_, whole) = run(&*with_token(&server.url(), ROOT, json!({})), &Bookmarks::default()).await;
    for kind in [Kind::ServiceAccount, Kind::ClientSecret, Kind::Policy, Kind::Secret, Kind::Certificate, Kind::User] {
        let (mine, all) = (said.of(kind), whole.of(kind));
        // The policy itself is new.
        let mine: BTreeSet<&String> = mine.keys().filter(|it| *it != "eyes").collect();
        assert_eq!(mine, all.keys().filter(|it| *it != "eyes").collect(), "{kind}");
    }
    let access = eyes.check().await;
    let words = |it: &crate::Check| (it.action.clone(), it.verdict);
    let denied: BTreeSet<String> =
        access.checks.iter().map(words).filter(|it| it.1 == Verdict::Denied).map(|it| it.0).collect();
    assert_eq!(denied, ["GET /v1/sys/audit", "LIST /v1/auth/token/accessors"].map(str::to_owned).into());
    assert!(access.checks.iter().any(|it| it.action == "only reading" && it.verdict == Verdict::Granted));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_reading_is_not_permitted_and_a_refused_listing_a_blind_spot() {
    let Some(server) = openbao::own() else { return };
    seed(&server);
    let listing = json!({"path": {
        "sys/auth": {"capabilities": ["read"]},
        "sys/mounts": {"capabilities": ["read"]},
        "auth/approle/role": {"capabilities": ["list"]},
        "auth/approle/role/+/secret-id": {"capabilities": ["list"]},
        "auth/approle/role/+/secret-id/": {"capabilities": ["list"]},
        "secret/metadata": {"capabilities": ["list"]},
        "secret/metadata/*": {"capabilities": ["list"]},
    }});
    let token = server.token("names-only", &listing.to_string());
    let (result, said) = run(&*with_token(&server.url(), &token, json!({})), &Bookmarks::default()).await;
    result.unwrap();
    assert_eq!(said.amiss(), Vec::<String>::new());
    let role = said.named(Kind::ServiceAccount, "app3");
    for refused in [role.facts.reading(field::POLICIES.field()), role.facts.reading(field::ADMIN.field())] {
        assert_eq!(refused, Reading::NotPermitted);
    }
    assert_eq!(role.facts.get(field::CLIENT_ID), Reading::NotPermitted);
    let secret_ids = said.of(Kind::ClientSecret);
    assert_eq!(secret_ids.len(), 6);
    assert!(secret_ids.values().all(|it| it.facts.get(field::CREATED_AT) == Reading::NotPermitted));
    let secrets = said.of(Kind::Secret);
    assert_eq!(secrets.len(), 4, "{:?}", secrets.keys());
    assert!(secrets.values().all(|it| it.facts.get(field::ROTATED_AT) == Reading::NotPermitted));
    for blind in ["policies", "identity/entities", "identity/groups", "transit/transit/keys", "pki/pki/certificates"] {
        assert!(said.blind().contains(blind), "{blind}: {:#?}", said.troubles);
        assert!(!said.covers.contains_key(blind));
    }
    // Where mounts cannot be listed, those in use still show.
    let less = json!({"path": {"secret/metadata": {"capabilities": ["list"]}, "secret/metadata/*": {"capabilities": ["list"]}}});
    let token = server.token("less", &less.to_string());
    let (_, said) = run(&*with_token(&server.url(), &token, json!({})), &Bookmarks::default()).await;
    assert!(said.blind().contains("secrets-mounts") && said.blind().contains("auth-mounts"), "{:#?}", said.troubles);
    assert_eq!(said.of(Kind::Secret).len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gate_lets_no_value_pass() {
    let Some(server) = openbao::own() else { return };
    seed(&server);
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let heard = std::sync::Arc::clone(&seen);
    let proxy = super::faults::Proxy::before(server.url(), move |request| {
        heard.lock().unwrap().push(format!("{} {}", request.method, request.path));
        None
    });
    let (result, _) = run(&*with_token(&proxy.url(), ROOT, json!({})), &Bookmarks::default()).await;
    result.unwrap();
    let seen = seen.lock().unwrap().clone();
    assert!(seen.len() > 30, "{seen:?}");
    let values = ["/data/", "/creds/", "/static-creds/", "/export/", "/subkeys/", "/backup/"];
    let asked: Vec<&String> = seen.iter().filter(|it| values.iter().any(|value| it.contains(value))).collect();
    assert!(asked.is_empty(), "{asked:?}");
    let writes = seen.iter().filter(|it| !it.starts_with("GET ") && !it.starts_with("LIST "));
    let posts: Vec<&String> = writes.collect();
    assert!(posts.iter().all(|it| it.ends_with("/lookup") || it.ends_with("/lookup-accessor")), "{posts:?}");

    // Whatever the templates are filled with, a path to a value is refused before sending.
    let eyes = crate::vault::tests_web(&proxy.url());
    for read in crate::vault::SPEC.reads.iter().filter(|it| it.0.starts_with("GET ")) {
        for value in [
            "/v1/secret/data/prod/db1",
            "/v1/team/kv/data/x",
            "/v1/database/creds/ro",
            "/v1/transit/export/encryption-key/sig",
        ] {
            let failure = eyes.ask(provost_client::Ask::link(read.0, value)).await.unwrap_err();
            assert_eq!(
                (failure.why, failure.said.contains("refused before sending")),
                (Why::Denied, true),
                "{} {value}",
                read.0
            );
        }
    }
}
