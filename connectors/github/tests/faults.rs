//! Faults at every read: a listing that breaks off covers nothing, and nothing that was there is missed because of it.
//! It must never end a run but where nothing more can be seen.

use provost_model::{Kind, Why};
use serde_json::json;

use super::{
    Place,
    estate::{Estate, member, secret},
    server::{Fault, Server},
};

/// One page and a half of everything that comes in pages.
fn estate() -> Estate {
    let mut estate = Estate::of(150, 20);
    estate.members = (1..=150).map(|id| member(id, &format!("user-{id}"), "MEMBER")).collect();
    let secrets: Vec<_> = (0..150).map(|number| secret(&format!("S{number}"))).collect();
    estate.rows.insert("actions/secrets".into(), secrets);
    let hook = |id: u64| {
        json!({"id": id, "active": true, "events": ["push"], "config": {"url": "https://x.example/hook?t=1", "insecure_ssl": "0"},
            "created_at": "2025-01-01T00:00:00Z", "updated_at": "2025-01-01T00:00:00Z", "type": "Organization", "name": "web"})
    };
    estate.rows.insert("hooks".into(), (1..=3).map(hook).collect());
    estate
}

#[tokio::test]
async fn a_listing_that_fails_on_any_page_is_partial_and_takes_nothing_away() {
    let server = Server::start(estate()).await;
    let mut place = Place::as_app(&server);
    let first = place.scan().await;
    assert_eq!(first.faults(), Vec::<&provost_model::Trouble>::new());
    let counts = |place: &Place| {
        [Kind::SshKey, Kind::Secret, Kind::Grant, Kind::User, Kind::Workload].map(|kind| place.ledger.ids(kind).len())
    };
    let whole = counts(&place);
    assert_eq!(whole, [20, 150, 3, 150, 20]);
    let (secrets, hooks) = ("GET /orgs/{org}/actions/secrets", "GET /orgs/{org}/hooks");
    let table = [
        (secrets, Fault::FromPage(2, 500), "actions-secrets", Why::Unavailable),
        (secrets, Fault::FromPage(2, 429), "actions-secrets", Why::Throttled),
        (secrets, Fault::Body("{\"secrets\": [{}]}"), "actions-secrets", Why::Malformed),
        (hooks, Fault::Status(500), "webhooks", Why::Unavailable),
        (hooks, Fault::Status(401), "webhooks", Why::Unauthenticated),
        (hooks, Fault::Cut, "webhooks", Why::Unavailable),
        (hooks, Fault::Body("<html>"), "webhooks", Why::Malformed),
        (hooks, Fault::Body("{}"), "webhooks", Why::Malformed),
        ("graphql:repositories", Fault::Body("{\"data\": {\"organization\": null}}"), "repositories", Why::Malformed),
        ("graphql:repositories", Fault::Status(403), "repositories", Why::Denied),
        ("graphql:repositories", Fault::Status(502), "repositories", Why::Unavailable),
        ("graphql:members", Fault::Body("{\"data\": {\"organization\": null}}"), "members", Why::Malformed),
        ("GET /orgs/{org}/installations", Fault::Status(403), "installations", Why::Denied),
        ("GET /orgs/{org}/actions/oidc/customization/sub", Fault::Body("{}"), "oidc-subject", Why::Malformed),
    ];
    for (read, fault, scope, why) in table {
        server.with(|state| state.faults = [(read.to_owned(), fault.clone())].into());
        // Whatever was remembered must not spare the listing.
        place.ledger.next.cursors.remove(&format!("orgs/42/{scope}"));
        let said = place.scan().await;
        assert_eq!(said.ended(scope), "partial", "{read} {fault:?}");
        let faults: Vec<Why> = said.faults().iter().map(|trouble| trouble.why).collect();
        assert!(faults.contains(&why), "{read} {fault:?}: {faults:?}");
        assert_eq!(counts(&place), whole, "{read} {fault:?}");
        let other = if scope == "webhooks" { "actions-secrets" } else { "webhooks" };
        assert!(["full", "unchanged"].contains(&place.ledger.ended(other)), "one fault touches one scope: {read}");
    }
}

#[tokio::test]
async fn pages_are_made_smaller_when_the_providers_own_time_is_over() {
    let server = Server::start(estate()).await;
    server.with(|state| state.faults = [("graphql:repositories".to_owned(), Fault::FromPage(30, 502))].into());
    let mut place = Place::as_app(&server);
    let said = place.scan().await;
    assert_eq!((said.ended("repositories"), said.ids(Kind::SshKey).len()), ("full", 20));
}

#[tokio::test]
async fn a_use_that_cannot_be_read_is_asked_for_again() {
    let server = Server::start(Estate::of(5, 2)).await;
    let mut place = Place::as_app(&server);
    let keys = "GET /repos/{owner}/{repo}/keys";
    server.with(|state| state.faults = [(keys.to_owned(), Fault::Status(500))].into());
    let said = place.scan().await;
    assert_eq!((said.ended("deploy-keys"), said.ended("deploy-key-use")), ("delta", "partial"));
    server.with(|state| state.faults.clear());
    server.drain();
    let said = place.scan().await;
    assert_eq!(said.ended("deploy-key-use"), "delta");
    assert_eq!(server.drain()[keys], 2);
}

#[tokio::test]
async fn without_an_answer_to_who_it_is_a_run_fails_and_says_nothing() {
    let server = Server::start(Estate::of(5, 2)).await;
    server.with(|state| state.faults = [("GET /app/installations".to_owned(), Fault::Status(500))].into());
    let mut place = Place::as_app(&server);
    let trouble = place.run().await.unwrap_err();
    assert_eq!(trouble.why, Why::Unavailable);
    assert!(place.ledger.covers.is_empty());
    server.with(|state| state.faults = [("GET /app/installations".to_owned(), Fault::Body("{}"))].into());
    assert_eq!(place.run().await.unwrap_err().why, Why::Malformed);
}
