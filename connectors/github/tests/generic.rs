//! An organization of GitHub as an estate of the generic tests: something of every sort, and every repository swept.
//! It must never leave a list empty: what shows nothing cannot be missed.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{
    GitHub, Hands, NOW, Settings, app,
    estate::{Estate as Organization, event, member, secret},
    server::Server,
    source,
};
use crate::{
    Bookmarks, Connector, Spec,
    generic::{Alike, Estate, Throttle, Upstream},
    github::{
        SPEC,
        spec::{ENVIRONMENTS, ORGANIZATION},
    },
};

/// When everything here was made and changed.
const MADE: &str = "2025-01-01T00:00:00Z";
/// No real credential, and of the form of one.
const KEY_ID: &str = "AKIAIOSFODNN7EXAMPLE";

/// The estate.
pub(crate) struct Acme;

#[async_trait]
impl Estate for Acme {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    async fn start(&self) -> Arc<Upstream> {
        let server = Server::start(acme()).await;
        Arc::new(Upstream::Server(server.url.trim_start_matches("http://").parse().unwrap()))
    }

    fn eyes(&self, base: &str) -> Box<dyn Connector> {
        let table = json!({"base_url": base, "app_id": app::ID, "private_key": "env:KEY", "pace": "full"});
        let source = source(table, &Hands::at(NOW));
        let mut settings = Settings::read(&source.settings).unwrap();
        settings.attempt = Duration::from_secs(2);
        // It stays the same whatever door it is asked through.
        settings.api.host = "github.com".to_owned();
        Box::new(GitHub::new(settings, &source, provost_client::Patience::none()).unwrap())
    }

    fn known(&self) -> Bookmarks {
        Bookmarks { sweep_now: true, ..Bookmarks::default() }
    }

    fn throttle(&self) -> Throttle {
        Throttle {
            status: 403,
            headers: vec![("content-type", "application/json"), ("x-ratelimit-remaining", "0"), ("retry-after", "0")],
            body: r#"{"message": "You have exceeded a secondary rate limit."}"#,
        }
    }

    fn alike(&self) -> Alike {
        // Pages of GraphQL are made smaller when GitHub's own time is over.
        |page| match page.split_once("\"first\":") {
            Some((before, after)) => {
                format!("{before}{}", after.trim_start_matches(|sign: char| sign.is_ascii_digit()))
            }
            None => page.to_owned(),
        }
    }

    fn spare(&self) -> Vec<&'static str> {
        // What is asked with a token alone, and of a repository with more environments than GraphQL shows at once.
        vec![ORGANIZATION, ENVIRONMENTS]
    }
}

/// Something of every sort.
fn acme() -> Organization {
    let mut acme = Organization { audit: true, ..Organization::of(2, 1) };
    let app = acme.installations[0].clone();
    acme.rows = [
        ("installations", vec![app]),
        ("personal-access-tokens", vec![fine_grained(1)]),
        ("personal-access-token-requests", vec![fine_grained(2)]),
        ("credential-authorizations", vec![authorization()]),
        ("actions/secrets", vec![secret("DEPLOY")]),
        ("actions/variables", vec![variable()]),
        ("actions/runners", vec![runner()]),
        ("actions/oidc/customization/sub", vec![json!("repo"), json!("context")]),
        ("dependabot/secrets", vec![secret("REGISTRY")]),
        ("codespaces/secrets", vec![secret("SHELL")]),
        ("hooks", vec![hook()]),
        ("outside_collaborators", vec![json!({"id": 9, "login": "guest", "type": "User"})]),
        ("secret-scanning/alerts", vec![alert()]),
    ]
    .map(|(path, rows)| (path.to_owned(), rows))
    .into();
    acme.members = vec![member(1, "ann", "ADMIN"), member(2, "bob", "MEMBER")];
    acme.events = vec![event("public_key.create", MADE, json!({"repo": "acme/repo-1", "repo_id": 1}))];
    let repo = acme.repo(1);
    repo.environments = vec!["prod".to_owned()];
    repo.admins = vec!["ann".to_owned()];
    repo.codeowners = Some("* @ann\n".to_owned());
    repo.rows = [
        ("actions/secrets", vec![secret("DEPLOY")]),
        ("actions/variables", vec![variable()]),
        ("actions/runners", vec![runner()]),
        ("dependabot/secrets", vec![secret("REGISTRY")]),
        ("codespaces/secrets", vec![secret("SHELL")]),
        ("hooks", vec![hook()]),
        ("environments/prod/secrets", vec![secret("DEPLOY")]),
        ("environments/prod/variables", vec![variable()]),
    ]
    .map(|(path, rows)| (path.to_owned(), rows))
    .into();
    acme
}

fn fine_grained(id: u64) -> Value {
    json!({"id": id, "owner": {"id": 1, "login": "ann"}, "repository_selection": "all",
        "permissions": {"repository": {"contents": "read"}}, "access_granted_at": MADE, "created_at": MADE,
        "reason": "to read", "token_id": 100 + id, "token_name": format!("token {id}"), "token_expired": false,
        "token_expires_at": "2027-01-01T00:00:00Z", "token_last_used_at": null})
}

fn authorization() -> Value {
    json!({"login": "ann", "credential_id": 7, "credential_type": "personal access token",
        "token_last_eight": "12345678", "credential_authorized_at": MADE, "credential_accessed_at": null,
        "scopes": ["repo"], "authorized_credential_id": 8, "authorized_credential_note": "old script",
        "authorized_credential_expires_at": null})
}

fn variable() -> Value {
    json!({"name": "AWS_ID", "value": KEY_ID, "created_at": MADE, "updated_at": MADE, "visibility": "all"})
}

fn runner() -> Value {
    json!({"id": 5, "name": "builder", "os": "linux", "status": "online", "busy": false, "ephemeral": false,
        "labels": [{"name": "self-hosted", "type": "read-only"}]})
}

fn hook() -> Value {
    json!({"id": 6, "active": true, "events": ["push"], "config": {"url": "https://ci.example/hook", "insecure_ssl": "0"},
        "created_at": MADE, "updated_at": MADE, "type": "Repository", "name": "web"})
}

fn alert() -> Value {
    json!({"number": 1, "state": "open", "created_at": MADE, "updated_at": MADE, "resolution": null,
        "secret_type": "github_personal_access_token", "secret_type_display_name": "GitHub token",
        "validity": "active", "publicly_leaked": true, "html_url": "https://github.com/acme/repo-2/security",
        "first_location_detected": {"path": "src/a.rs", "start_line": 3},
        "repository": {"id": 2, "full_name": "acme/repo-2", "name": "repo-2"}})
}
