//! What changes from run to run, and what is made of it: made, gone, denied, moved out of sight.
//! It must never let one of them pass for another.

use std::collections::BTreeSet;

use provost_model::{Kind, Reading, Status, Why, field};
use serde_json::json;

use super::{
    Place,
    estate::{Estate, event, key, member, secret},
    server::Server,
};

const TOKEN: &str = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";

fn digest(key: &serde_json::Value) -> String {
    let blob = key["key"].as_str().unwrap().split(' ').nth(1).unwrap();
    let blob = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, blob).unwrap();
    crate::host::keys::ssh_digest(&blob)
}

#[tokio::test]
async fn a_key_made_shows_in_the_next_run_and_one_deleted_is_gone_with_and_without_the_log() {
    for audit in [false, true] {
        let server = Server::start(Estate { audit, ..Estate::of(250, 3) }).await;
        let mut place = Place::as_app(&server);
        assert_eq!(place.scan().await.ids(Kind::SshKey).len(), 3);
        server.with(|state| {
            state.estate.repo(200).keys.push(key(200, 7));
            state.estate.repo(2).keys.clear();
            let made = event("public_key.create", "2026-11-29T00:10:00Z", json!({"repo": "acme/repo-200"}));
            let lost = event("public_key.delete", "2026-11-29T00:10:00Z", json!({"repo": "acme/repo-2"}));
            state.estate.events.extend([made, lost]);
        });
        place.clock.set("2026-11-29T00:20:00Z");
        server.drain();
        let next = place.scan().await;
        let made = format!("repos/200/keys/{}", digest(&key(200, 7)));
        let lost = format!("repos/2/keys/{}", digest(&key(2, 1)));
        let keys = next.ids(Kind::SshKey);
        assert!(keys.len() == 3 && keys.contains(&made) && !keys.contains(&lost), "{audit}: {keys:?}");
        assert_eq!(next.get(Kind::SshKey, &made, field::CREATED_BY), Reading::Known("ann".into()));
        let used = next.get(Kind::SshKey, &made, field::LAST_USED_AT);
        assert_eq!(used, Reading::Known("2026-11-01T00:00:00Z".parse().unwrap()));
        let calls = server.drain();
        assert_eq!(calls["GET /repos/{owner}/{repo}/keys"], 1, "only where there is news");
        assert_eq!(calls.contains_key("(repositories)"), !audit, "with the log only what it names is asked: {calls:?}");
        assert_eq!(server.violations(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_repository_that_the_log_calls_destroyed_is_gone_with_its_keys() {
    let server = Server::start(Estate { audit: true, ..Estate::of(20, 5) }).await;
    let mut place = Place::as_app(&server);
    place.scan().await;
    server.with(|state| {
        state.estate.repos.retain(|repo| repo.id != 4);
        state.estate.events.push(event("repo.destroy", "2026-11-29T00:10:00Z", json!({"repo": "acme/repo-4"})));
    });
    let next = place.scan().await;
    assert!(!next.ids(Kind::Workload).contains("repos/4"));
    assert_eq!((next.ids(Kind::SshKey).len(), next.faults().len()), (4, 0));
}

#[tokio::test]
async fn a_repository_of_another_name_is_looked_for_and_not_called_gone() {
    let server = Server::start(Estate { audit: true, ..Estate::of(20, 5) }).await;
    let mut place = Place::as_app(&server);
    place.scan().await;
    server.with(|state| {
        state.estate.repo(4).name = "renamed".into();
        state.estate.events.push(event("repo.rename", "2026-11-29T00:10:00Z", json!({"repo": "acme/repo-4"})));
    });
    let next = place.scan().await;
    assert_eq!(next.get(Kind::Workload, "repos/4", field::NAME), Reading::Known("acme/renamed".into()));
    assert_eq!(next.ids(Kind::SshKey).len(), 5);
}

#[tokio::test]
async fn what_is_denied_from_now_on_is_a_blind_spot_and_nothing_is_gone() {
    let mut estate = Estate::of(10, 4);
    estate.rows.insert("actions/secrets".into(), vec![secret("DEPLOY")]);
    let server = Server::start(estate).await;
    let mut place = Place::as_app(&server);
    place.scan().await;
    server.with(|state| {
        state.hidden.insert("deployKeys".into());
        for read in ["GET /orgs/{org}/actions/secrets", "GET /orgs/{org}/hooks"] {
            state.faults.insert(read.into(), super::server::Fault::Status(403));
        }
    });
    let next = place.scan().await;
    assert_eq!(next.faults(), Vec::<&provost_model::Trouble>::new(), "optional reads leave the run complete");
    let blind = next.blind();
    assert!(blind.is_superset(&BTreeSet::from([
        "deploy keys",
        "GET /orgs/{org}/actions/secrets",
        "GET /orgs/{org}/hooks"
    ])));
    assert_eq!((next.ids(Kind::SshKey).len(), next.ids(Kind::Secret).len()), (4, 1));
    assert_eq!(next.ended("actions-secrets"), "-", "nothing is said of it");
}

#[tokio::test]
async fn an_organization_the_app_left_is_unwatched_and_one_that_was_chosen_is_missed() {
    let server = Server::start(Estate::of(5, 1)).await;
    let mut place = Place::as_app(&server);
    place.scan().await;
    server.with(|state| state.estate.installations.clear());
    let next = place.scan().await;
    assert_eq!(next.unwatched, ["orgs/42"]);
    let settings =
        json!({"base_url": server.url, "app_id": super::app::ID, "private_key": "env:KEY", "organizations": ["Acme"]});
    let mut chosen = Place::new(settings);
    let missed = chosen.scan().await;
    let place_of = |trouble: &&provost_model::Trouble| (trouble.place.clone(), trouble.why);
    assert_eq!(missed.faults().iter().map(place_of).collect::<Vec<_>>(), [("orgs/acme".to_owned(), Why::Denied)]);
}

#[tokio::test]
async fn an_organization_where_the_app_is_suspended_is_missed_and_not_left() {
    let server = Server::start(Estate::of(5, 1)).await;
    let mut place = Place::as_app(&server);
    place.scan().await;
    server.with(|state| state.estate.installations[0]["suspended_at"] = json!("2026-11-28T00:00:00Z"));
    let next = place.scan().await;
    assert_eq!((next.unwatched.len(), next.faults().len(), next.ids(Kind::SshKey).len()), (0, 1, 1));
}

#[tokio::test]
async fn with_a_token_its_scopes_and_its_end_are_told() {
    let server = Server::start(Estate::of(2, 1)).await;
    let mut place = Place::with_token(&server.url, "acme");
    let said = place.scan().await;
    assert_eq!(said.could_write, Some(Reading::Known(vec!["repo".into(), "admin:org".into()])));
    assert_eq!(said.ends, Some(Reading::Known("2026-12-31T08:00:00Z".parse().unwrap())));
    assert_eq!((said.ids(Kind::SshKey).len(), said.faults().len()), (1, 0));
    assert_eq!(server.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn what_may_not_be_read_of_a_person_or_an_owner_is_not_permitted() {
    let mut estate = Estate::of(1, 1);
    estate.members = vec![member(1, "ann", "ADMIN")];
    let server = Server::start(estate).await;
    server.with(|state| {
        state.hidden.extend(["organizationVerifiedDomainEmails", "collaborators", "inRoot"].map(str::to_owned))
    });
    let mut place = Place::as_app(&server);
    let said = place.scan().await;
    assert_eq!(said.get(Kind::User, "1", field::EMAILS), Reading::NotPermitted);
    assert_eq!(said.get(Kind::Workload, "repos/1", field::REPO_ADMINS), Reading::NotPermitted);
    assert_eq!(said.get(Kind::Workload, "repos/1", field::CODEOWNERS), Reading::NotPermitted);
    assert_eq!((said.faults().len(), said.ids(Kind::SshKey).len()), (0, 1));
}

#[tokio::test]
async fn a_check_names_what_is_denied_and_what_a_run_costs() {
    let server = Server::start(Estate { audit: true, ..Estate::of(250, 3) }).await;
    server.with(|state| {
        state.faults.insert("GET /orgs/{org}/hooks".into(), super::server::Fault::Status(403));
    });
    let place = Place::as_app(&server);
    let access = place.connector.check().await;
    let verdict = |action: &str| access.checks.iter().find(|check| check.action == action).map(|check| check.verdict);
    assert_eq!(verdict("GET /orgs/{org}/hooks"), Some(crate::Verdict::Denied));
    assert_eq!(verdict("GET /orgs/{org}/installations"), Some(crate::Verdict::Granted));
    assert_eq!(verdict("graphql:repositories"), Some(crate::Verdict::Granted));
    assert!(access.cost[0].starts_with("cold: about 37 calls"), "{:?}", access.cost);
    let policy = access.policy.unwrap();
    assert_eq!(policy["default_permissions"]["administration"], "read");
    assert_eq!(server.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn tokens_can_only_read_what_is_used_and_what_the_app_could_write_is_told() {
    let mut estate = Estate::of(1, 0);
    estate.installations[0]["permissions"]["secrets"] = json!("write");
    let server = Server::start(estate).await;
    let mut place = Place::as_app(&server);
    place.scan().await;
    let wanted = server.with(|state| state.wanted.clone());
    assert_eq!(
        wanted["permissions"],
        json!({"metadata": "read", "administration": "read", "organization_administration": "read",
            "members": "read", "secrets": "read"}),
        "without issues, which nothing reads"
    );
    assert_eq!(place.ledger.could_write, Some(Reading::Known(vec!["secrets:write".into()])));
}

#[tokio::test]
async fn a_secret_that_the_log_names_is_seen_before_its_turn_with_who_made_it() {
    let server = Server::start(Estate { audit: true, ..Estate::of(50, 0) }).await;
    let mut place = Place::as_app(&server);
    place.scan().await;
    server.with(|state| {
        state.estate.repo(7).rows.insert("actions/secrets".into(), vec![secret("DEPLOY")]);
        let more = json!({"repo": "acme/repo-7", "repo_id": 7, "key": "DEPLOY"});
        state.estate.events.push(event("repo.create_actions_secret", "2026-11-29T00:10:00Z", more));
    });
    server.drain();
    let next = place.scan().await;
    assert_eq!(next.ids(Kind::Secret), BTreeSet::from(["repos/7/actions/secrets/DEPLOY".to_owned()]));
    let by = next.get(Kind::Secret, "repos/7/actions/secrets/DEPLOY", field::CREATED_BY);
    assert_eq!(by, Reading::Known("ann".into()));
    assert_eq!(server.drain()["GET /repos/{owner}/{repo}/actions/secrets"], 1);
    // Deleted again: the log says that something happened to it, and the listing that it is not there.
    server.with(|state| {
        state.estate.repo(7).rows.clear();
        let more = json!({"repo": "acme/repo-7", "repo_id": 7, "key": "DEPLOY"});
        state.estate.events.push(event("repo.remove_actions_secret", "2026-11-29T00:12:00Z", more));
    });
    place.clock.set("2026-11-29T00:15:00Z");
    assert_eq!(place.scan().await.ids(Kind::Secret), BTreeSet::new());
}

#[tokio::test]
async fn archives_owners_and_members_are_told() {
    let mut estate = Estate::of(3, 3);
    estate.members = vec![member(1, "ann", "ADMIN"), member(2, "deploy-bot", "MEMBER")];
    estate.repo(1).archived = true;
    estate.repo(2).admins = vec!["ann".into(), "bob".into()];
    estate.repo(2).codeowners = Some("* @acme/core\n".into());
    let server = Server::start(estate).await;
    let mut place = Place::as_app(&server);
    let said = place.scan().await;
    assert_eq!(said.get(Kind::Workload, "repos/1", field::STATUS), Reading::Known(Status::Inactive));
    let archived = said.get(Kind::Workload, "repos/1", field::ARCHIVED_AT);
    assert_eq!(archived, Reading::Known("2026-05-01T00:00:00Z".parse().unwrap()));
    assert_eq!(said.get(Kind::Workload, "repos/2", field::ARCHIVED_AT), Reading::Never);
    assert_eq!(said.get(Kind::Workload, "repos/2", field::CODEOWNERS), Reading::Known(vec!["@acme/core".into()]));
    let admins = said.get(Kind::Workload, "repos/2", field::REPO_ADMINS);
    assert_eq!(admins, Reading::Known(vec!["bob".into()]), "whoever owns the organization administers everything");
    assert_eq!(said.get(Kind::User, "1", field::ADMIN), Reading::Known(true));
    assert_eq!(said.get(Kind::User, "1", field::EMAILS), Reading::Known(vec!["ann@acme.example".into()]));
    assert_eq!(said.get(Kind::User, "2", field::NATURE), Reading::Known("machine".into()));
}

#[tokio::test]
async fn a_leak_is_told_without_its_value_and_followed_until_it_is_closed() {
    let alert = |number: u64, state: &str, updated: &str| {
        json!({"number": number, "state": state, "created_at": "2026-01-01T00:00:00Z", "updated_at": updated,
            "resolution": if state == "open" { serde_json::Value::Null } else { json!("revoked") },
            "secret_type": "github_personal_access_token", "secret_type_display_name": "GitHub token", "secret": TOKEN,
            "validity": "active", "publicly_leaked": true, "html_url": "https://github.com/x",
            "first_location_detected": {"path": "src/a.rs", "start_line": 3},
            "repository": {"id": 2, "full_name": "acme/repo-2", "name": "repo-2"}})
    };
    let mut estate = Estate::of(3, 0);
    let old = (2..=3).map(|number| alert(number, "open", "2026-02-01T00:00:00Z"));
    estate.rows.insert(
        "secret-scanning/alerts".into(),
        [alert(1, "open", "2026-03-01T00:00:00Z")].into_iter().chain(old).collect(),
    );
    let server = Server::start(estate).await;
    let mut place = Place::as_app(&server);
    let said = place.scan().await;
    let leak = "repos/2/secret-scanning/1";
    assert_eq!(said.get(Kind::Secret, leak, field::LEAK), Reading::Known("open".into()));
    assert_eq!(said.get(Kind::Secret, leak, field::PUBLICLY_LEAKED), Reading::Known(true));
    assert_eq!(said.get(Kind::Secret, leak, field::LOCATION), Reading::Known("acme/repo-2/src/a.rs:3".into()));
    assert!(said.ids(Kind::Workload).contains("repos/2"), "the place of a leak has a record");
    assert!(!format!("{:?}", said.entity(Kind::Secret, leak)).contains(TOKEN));
    server.with(|state| {
        let rows = state.estate.rows.get_mut("secret-scanning/alerts").unwrap();
        rows[0] = alert(1, "resolved", "2026-11-29T00:01:00Z");
    });
    let next = place.scan().await;
    assert_eq!(next.get(Kind::Secret, leak, field::LEAK), Reading::Known("revoked".into()));
    assert_eq!((next.ended("secret-scanning-alerts"), next.ids(Kind::Secret).len()), ("delta", 3));
}

#[tokio::test]
async fn only_variables_that_hold_a_credential_are_told_and_never_their_values() {
    let variable = |name: &str, value: &str| json!({"name": name, "value": value, "created_at": "2025-01-01T00:00:00Z", "updated_at": "2025-01-01T00:00:00Z", "visibility": "all"});
    let mut estate = Estate::of(1, 0);
    let rows =
        vec![variable("NODE_VERSION", "22"), variable("API_TOKEN", TOKEN), variable("AWS_ID", "AKIAIOSFODNN7EXAMPLE")];
    estate.rows.insert("actions/variables".into(), rows);
    let server = Server::start(estate).await;
    let mut place = Place::as_app(&server);
    let said = place.scan().await;
    let ids = ["orgs/42/actions/variables/API_TOKEN", "orgs/42/actions/variables/AWS_ID"];
    assert_eq!(said.ids(Kind::Secret), ids.map(str::to_owned).into());
    assert_eq!(said.get(Kind::Secret, ids[0], field::PLAINTEXT), Reading::Known(true));
    assert!(matches!(said.get(Kind::Secret, ids[0], field::FINGERPRINT), Reading::Known(it) if it.starts_with("k1:")));
    assert_eq!(said.get(Kind::Secret, ids[1], field::OPENS), Reading::Known("AKIAIOSFODNN7EXAMPLE".into()));
    assert!(!format!("{:?}", said.entity(Kind::Secret, ids[0])).contains(TOKEN));
}

#[tokio::test]
async fn a_deploy_key_is_known_by_the_digest_of_its_public_half_as_on_a_host() {
    let server = Server::start(Estate::of(1, 1)).await;
    let mut place = Place::as_app(&server);
    let said = place.scan().await;
    let row = key(1, 1);
    let line = format!("{} deploy@host\n", row["key"].as_str().unwrap());
    let blob =
        base64::Engine::decode(&base64::engine::general_purpose::STANDARD, line.split(' ').nth(1).unwrap()).unwrap();
    let of_host = crate::host::keys::PublicKey::from_ssh(&blob).unwrap();
    let external = format!("repos/1/keys/{}", digest(&row));
    assert_eq!(said.get(Kind::SshKey, &external, field::FINGERPRINT), Reading::Known(of_host.fingerprint()));
    assert_eq!(said.get(Kind::SshKey, &external, field::STATUS), Reading::Known(Status::Active));
}
