//! What runs cost: the figures of ten thousand repositories, of which five hundred hold deploy keys.
//! It must never count but what the counterpart counted.

use provost_model::{Kind, Reading, field};
use serde_json::json;

use super::{
    Place,
    estate::{Estate, event, member, secret},
    server::Server,
};

/// Ten thousand repositories, a thousand members, and a page or two of everything else.
fn large() -> Estate {
    let mut estate = Estate::of(10_000, 500);
    estate.audit = true;
    estate.members = (1..=1_000).map(|id| member(id, &format!("user-{id}"), "MEMBER")).collect();
    let secrets: Vec<_> = (0..90).map(|number| secret(&format!("SECRET_{number}"))).collect();
    for path in ["actions/secrets", "dependabot/secrets", "codespaces/secrets"] {
        estate.rows.insert(path.to_owned(), secrets.clone());
    }
    let token = |id: u64| {
        json!({"id": id, "owner": {"id": id % 1_000 + 1, "login": format!("user-{}", id % 1_000 + 1)},
            "repository_selection": "all", "permissions": {"repository": {"contents": "read"}},
            "access_granted_at": "2026-01-01T00:00:00Z", "token_id": id, "token_name": format!("token {id}"),
            "token_expired": false, "token_expires_at": null, "token_last_used_at": null})
    };
    estate.rows.insert("personal-access-tokens".into(), (1..=90).map(token).collect());
    estate.events = vec![event("hook.create", "2026-11-20T00:00:00Z", json!({"hook_id": 1}))];
    estate
}

#[tokio::test]
async fn ten_thousand_repositories_cost_a_hundred_calls_and_nothing_new_costs_ten() {
    let server = Server::start(large()).await;
    let mut place = Place::as_app(&server);
    let cold = place.scan().await;
    assert_eq!(cold.faults(), Vec::<&provost_model::Trouble>::new());
    let (sent, swept) = cold.sent();
    let uses = cold.calls["GET /repos/{owner}/{repo}/keys"];
    assert_eq!((uses, swept), (500, 0), "one call for each repository with keys, and no sweep yet");
    assert!(sent - uses <= 150, "inventory and ages: {}", sent - uses);
    assert!(sent <= 700, "with last use: {sent}");
    assert_eq!(cold.ids(Kind::SshKey).len(), 500);
    assert_eq!(cold.ids(Kind::Token).len(), 90);
    let told: u64 = server.drain().iter().filter(|(name, _)| !name.starts_with('(')).map(|(_, sent)| sent).sum();
    assert_eq!(told, sent, "what was sent is counted");

    let warm = place.scan().await;
    let (sent, swept) = warm.sent();
    assert!(sent <= 10, "warm with the audit log: {:?}", warm.calls);
    assert_eq!((swept, warm.ended("deploy-keys"), warm.ended("webhooks")), (0, "unchanged", "unchanged"));
    assert_eq!(warm.ids(Kind::SshKey).len(), 500);

    server.with(|state| state.estate.audit = false);
    let blind = place.scan().await;
    let (sent, _) = blind.sent();
    assert!(sent <= 150, "warm without: {:?}", blind.calls);
    assert!(blind.blind().contains("GET /orgs/{org}/audit-log"));
    assert_eq!(server.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn a_sweep_asks_each_repository_once_a_kind_and_then_only_whether_it_changed() {
    let mut estate = Estate::of(300, 30);
    for repo in &mut estate.repos {
        if repo.id % 3 == 0 {
            repo.rows.insert("actions/secrets".into(), vec![secret("DEPLOY")]);
        }
        if repo.id % 10 == 0 {
            repo.environments = vec!["prod".into()];
            repo.rows.insert("environments/prod/secrets".into(), vec![secret("DATABASE")]);
        }
    }
    let server = Server::start(estate).await;
    let mut place = Place::as_app(&server);
    place.scan().await;
    server.drain();
    place.ledger.next.sweep_now = true;
    let swept = place.scan().await;
    assert_eq!(swept.faults(), Vec::<&provost_model::Trouble>::new());
    let calls = server.drain();
    for read in ["actions/secrets", "actions/variables", "dependabot/secrets", "codespaces/secrets", "hooks"] {
        let sent = calls[&format!("GET /repos/{{owner}}/{{repo}}/{read}")];
        assert!(sent <= 330, "{read}: {sent} for 300 repositories");
    }
    assert_eq!(calls["GET /repos/{owner}/{repo}/environments/{environment_name}/secrets"], 30);
    let ids = swept.ids(Kind::Secret);
    assert_eq!(ids.len(), 130, "a hundred of repositories, thirty of environments");
    assert!(
        ids.contains("repos/30/environments/prod/secrets/DATABASE") && ids.contains("repos/3/actions/secrets/DEPLOY")
    );
    let repository = swept.entity(Kind::Workload, "repos/3").expect("what holds a secret has a record");
    let held = swept.entity(Kind::Secret, "repos/3/actions/secrets/DEPLOY").unwrap();
    assert_eq!(held.container.as_ref(), Some(&repository.key));
    let environment = "repos/30/environments/prod/secrets/DATABASE";
    assert_eq!(swept.get(Kind::Secret, environment, field::ENVIRONMENT), Reading::Known("prod".into()));

    let again = place.scan().await;
    assert_eq!(again.ids(Kind::Secret).len(), 130, "what did not change stands");
    let unchanged = server.with(|state| state.unchanged);
    assert!(unchanged >= 300 * 6, "{unchanged} answers said that nothing changed");
    assert_eq!(server.violations(), Vec::<String>::new());
}
