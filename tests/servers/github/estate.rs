//! An organization as GitHub would show it: repositories, keys, secrets, tokens, members, and a log of what happened.
//! It must never share code with what reads it.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use super::server::Request;

/// A repository.
#[derive(Clone, Debug, Default)]
pub struct Repo {
    pub id: u64,
    pub name: String,
    pub archived: bool,
    pub keys: Vec<Value>,
    pub environments: Vec<String>,
    /// Rows by what follows the repository's path: `actions/secrets`, `hooks`, `environments/prod/secrets`.
    pub rows: BTreeMap<String, Vec<Value>>,
    pub admins: Vec<String>,
    pub codeowners: Option<String>,
}

/// An organization.
#[derive(Clone, Debug, Default)]
pub struct Estate {
    pub id: u64,
    pub login: String,
    pub repos: Vec<Repo>,
    /// Rows by what follows the organization's path.
    pub rows: BTreeMap<String, Vec<Value>>,
    pub members: Vec<Value>,
    /// Whether there is an audit log.
    pub audit: bool,
    pub events: Vec<Value>,
    pub installations: Vec<Value>,
}

/// The rows of a read, and what it takes.
pub struct Rows {
    pub rows: Vec<Value>,
    pub wrapper: &'static str,
    pub most: usize,
    pub query: Vec<&'static str>,
}

/// Reads of an organization and of a repository: path, wrapper, most of a page, and what may be asked beside pages.
const OF_ORGANIZATION: [(&str, &str, usize, &[&str]); 13] = [
    ("installations", "installations", 100, &[]),
    ("personal-access-tokens", "", 100, &["last_used_after"]),
    ("personal-access-token-requests", "", 100, &[]),
    ("credential-authorizations", "", 100, &["login"]),
    ("actions/secrets", "secrets", 100, &[]),
    ("actions/variables", "variables", 30, &[]),
    ("actions/runners", "runners", 100, &["name"]),
    ("dependabot/secrets", "secrets", 100, &[]),
    ("codespaces/secrets", "secrets", 100, &[]),
    ("hooks", "", 100, &[]),
    ("outside_collaborators", "", 100, &["filter"]),
    ("secret-scanning/alerts", "", 100, &["hide_secret", "sort", "direction", "state"]),
    ("audit-log", "", 100, &["phrase", "include", "order", "after"]),
];
const OF_REPOSITORY: [(&str, &str, usize); 10] = [
    ("keys", "", 100),
    ("hooks", "", 100),
    ("actions/secrets", "secrets", 100),
    ("actions/variables", "variables", 30),
    ("actions/runners", "runners", 100),
    ("dependabot/secrets", "secrets", 100),
    ("codespaces/secrets", "secrets", 100),
    ("environments", "environments", 100),
    ("environments/{environment_name}/secrets", "secrets", 100),
    ("environments/{environment_name}/variables", "variables", 30),
];
const OIDC: &str = "actions/oidc/customization/sub";

impl Estate {
    /// So many repositories, of which some have a deploy key each.
    pub fn of(repositories: u64, with_keys: u64) -> Self {
        let repos = (1..=repositories).map(|id| {
            let keys = if id <= with_keys { vec![key(id, 1)] } else { Vec::new() };
            Repo { id, name: format!("repo-{id}"), keys, ..Repo::default() }
        });
        let mut estate = Self { id: 42, login: "acme".into(), repos: repos.collect(), ..Self::default() };
        estate.installations = vec![json!({"id": 9, "app_id": super::app::ID, "app_slug": "provost-eyes",
            "account": {"id": 42, "login": "acme", "type": "Organization"}, "repository_selection": "all",
            "target_type": "Organization", "permissions": {"metadata": "read", "administration": "read",
            "organization_administration": "read", "members": "read", "secrets": "read", "issues": "read"},
            "events": [], "created_at": "2025-01-01T00:00:00Z", "updated_at": "2025-01-01T00:00:00Z",
            "suspended_at": null})];
        estate
    }

    /// The repository of that id.
    pub fn repo(&mut self, id: u64) -> &mut Repo {
        self.repos.iter_mut().find(|repo| repo.id == id).unwrap()
    }

    /// Installations of the App itself.
    pub fn installed(&self) -> Value {
        json!(self.installations)
    }

    /// The read of a request, as GitHub's documentation writes it.
    pub fn template(&self, method: &str, path: &str) -> Option<String> {
        let words: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let read = match (method, words.as_slice()) {
            ("POST", ["graphql"]) => "/graphql".to_owned(),
            ("GET", ["app", "installations"]) => "/app/installations".to_owned(),
            ("POST", ["app", "installations", _, "access_tokens"]) => {
                "/app/installations/{installation_id}/access_tokens".to_owned()
            }
            ("GET", ["orgs", _]) => "/orgs/{org}".to_owned(),
            ("GET", ["orgs", _, rest @ ..]) => {
                let rest = rest.join("/");
                let known = OF_ORGANIZATION.iter().any(|(path, ..)| *path == rest) || rest == OIDC;
                known.then(|| format!("/orgs/{{org}}/{rest}"))?
            }
            ("GET", ["repos", _, _, "environments", _, rest]) => {
                let rest = format!("environments/{{environment_name}}/{rest}");
                OF_REPOSITORY
                    .iter()
                    .any(|(path, ..)| *path == rest)
                    .then(|| format!("/repos/{{owner}}/{{repo}}/{rest}"))?
            }
            ("GET", ["repos", _, _, rest @ ..]) => {
                let rest = rest.join("/");
                OF_REPOSITORY
                    .iter()
                    .any(|(path, ..)| *path == rest)
                    .then(|| format!("/repos/{{owner}}/{{repo}}/{rest}"))?
            }
            _ => return None,
        };
        Some(format!("{method} {read}"))
    }

    /// The rows of a read; `None` where there is nothing.
    pub fn rows(&self, template: &str, request: &Request) -> Option<Rows> {
        let words: Vec<&str> = request.path.trim_start_matches('/').split('/').collect();
        let mut query = vec!["per_page", "page"];
        if let Some(rest) = template.strip_prefix("GET /orgs/{org}/") {
            if words[1] != self.login || (rest == "audit-log" && !self.audit) {
                return None;
            }
            let (path, wrapper, most, more) = *OF_ORGANIZATION.iter().find(|(path, ..)| *path == rest).unwrap_or(&(
                OIDC,
                "include_claim_keys",
                100,
                &[],
            ));
            query.extend(more);
            let mut rows = self.rows.get(path).cloned().unwrap_or_default();
            if path == "audit-log" {
                rows = self.logged(&request.query);
            }
            if request.query.get("sort").is_some_and(|sort| sort == "updated") {
                rows.sort_by_key(|row| std::cmp::Reverse(row["updated_at"].as_str().unwrap_or_default().to_owned()));
            }
            return Some(Rows { rows, wrapper, most, query });
        }
        let repo = self.repos.iter().find(|repo| repo.name == words[2] && words[1] == self.login)?;
        let rest = template.strip_prefix("GET /repos/{owner}/{repo}/")?;
        let (_, wrapper, most) = *OF_REPOSITORY.iter().find(|(path, ..)| *path == rest)?;
        let path = words[3..].join("/").replace("%2F", "/");
        let rows = match rest {
            "keys" => repo.keys.clone(),
            "environments" => repo.environments.iter().map(|name| json!({"id": 1, "name": name})).collect(),
            _ => repo.rows.get(&path).cloned().unwrap_or_default(),
        };
        Some(Rows { rows, wrapper, most, query })
    }

    fn logged(&self, query: &BTreeMap<String, String>) -> Vec<Value> {
        let phrase = query.get("phrase").map(String::as_str).unwrap_or_default();
        let mut rows: Vec<Value> = self.events.clone();
        if let Some(action) = phrase.strip_prefix("action:") {
            rows.retain(|event| event["action"] == action);
        } else if let Some(since) = phrase.strip_prefix("created:>=") {
            let since: provost_model::Time = since.parse().unwrap();
            rows.retain(|event| event["@timestamp"].as_i64().unwrap() * 1000 >= since.as_micros());
        } else {
            rows.clear();
        }
        if query.get("order").is_some_and(|order| order == "desc") {
            rows.reverse();
        }
        rows
    }

    /// What a document would be answered.
    pub fn graph(&self, name: &str, variables: &Value) -> Value {
        let first = usize::try_from(variables["first"].as_u64().unwrap_or(100)).unwrap();
        let after: usize = variables["after"].as_str().and_then(|it| it.parse().ok()).unwrap_or(0);
        let info = |all: usize| {
            let end = (after + first).min(all);
            json!({"hasNextPage": end < all, "endCursor": end.to_string()})
        };
        match name {
            "graphql:repositories" => {
                let nodes: Vec<Value> =
                    self.repos.iter().skip(after).take(first).map(|repo| self.node(repo, variables)).collect();
                json!({"organization": {"repositories": {"totalCount": self.repos.len(),
                    "pageInfo": info(self.repos.len()), "nodes": nodes}}})
            }
            "graphql:repository" => {
                let repo = self.repos.iter().find(|repo| variables["name"] == repo.name.as_str());
                json!({"repository": repo.map(|repo| self.node(repo, variables))})
            }
            "graphql:members" => {
                let mut edges: Vec<Value> = self.members.iter().skip(after).take(first).cloned().collect();
                if variables["emails"] != true {
                    let fields = edges.iter_mut().filter_map(|edge| edge["node"].as_object_mut());
                    fields.for_each(|node| drop(node.remove("organizationVerifiedDomainEmails")));
                }
                json!({"organization": {"membersWithRole": {"totalCount": self.members.len(),
                    "pageInfo": info(self.members.len()), "edges": edges}}})
            }
            "graphql:owners" => {
                let ids = variables["ids"].as_array().unwrap();
                let repos = ids.iter().map(|id| self.repos.iter().find(|repo| *id == json!(node_id(repo.id))));
                json!({"nodes": repos.map(|repo| repo.map(|repo| owners(repo, variables))).collect::<Vec<_>>()})
            }
            _ => Value::Null,
        }
    }

    fn node(&self, repo: &Repo, variables: &Value) -> Value {
        let mut node = Map::new();
        for (name, value) in [
            ("id", json!(node_id(repo.id))),
            ("databaseId", json!(repo.id)),
            ("name", json!(repo.name)),
            ("url", json!(format!("https://github.com/{}/{}", self.login, repo.name))),
            ("visibility", json!("PRIVATE")),
            ("isArchived", json!(repo.archived)),
            ("archivedAt", if repo.archived { json!("2026-05-01T00:00:00Z") } else { Value::Null }),
            ("createdAt", json!("2024-01-01T00:00:00Z")),
        ] {
            node.insert(name.to_owned(), value);
        }
        if variables["keys"] == true {
            let keys: Vec<Value> = repo.keys.iter().take(10).map(|key| {
                json!({"title": key["title"], "key": key["key"], "readOnly": key["read_only"], "createdAt": key["created_at"]})
            }).collect();
            node.insert("deployKeys".into(), json!({"totalCount": repo.keys.len(), "nodes": keys}));
        }
        if variables["environments"] == true {
            let names: Vec<Value> = repo.environments.iter().take(10).map(|name| json!({"name": name})).collect();
            node.insert("environments".into(), json!({"totalCount": repo.environments.len(), "nodes": names}));
        }
        Value::Object(node)
    }
}

fn owners(repo: &Repo, variables: &Value) -> Value {
    let mut node = json!({"databaseId": repo.id});
    if variables["people"] == true {
        let admins = repo.admins.iter().map(|login| json!({"permission": "ADMIN", "node": {"login": login}}));
        node["collaborators"] = json!({"edges": admins.collect::<Vec<_>>()});
    }
    if variables["files"] == true {
        node["inGithub"] = json!(repo.codeowners.as_ref().map(|text| json!({ "text": text })));
        node["inRoot"] = Value::Null;
        node["inDocs"] = Value::Null;
    }
    node
}

fn node_id(id: u64) -> String {
    format!("R_{id}")
}

/// A deploy key as REST shows it.
pub fn key(repository: u64, number: u64) -> Value {
    let mut blob = vec![0, 0, 0, 11];
    blob.extend_from_slice(b"ssh-ed25519");
    blob.extend_from_slice(&[0, 0, 0, 32]);
    blob.extend_from_slice(&repository.to_be_bytes().repeat(3));
    blob.extend_from_slice(&number.to_be_bytes());
    json!({"id": repository * 100 + number, "key": format!("ssh-ed25519 {}", STANDARD.encode(blob)), "url": "x",
        "title": format!("key {number} of {repository}"), "verified": true, "created_at": "2025-03-01T00:00:00Z",
        "read_only": true, "added_by": "ann", "last_used": "2026-11-01T00:00:00Z", "enabled": true})
}

/// A secret as REST lists it.
pub fn secret(name: &str) -> Value {
    json!({"name": name, "created_at": "2025-01-01T00:00:00Z", "updated_at": "2025-06-01T00:00:00Z", "visibility": "all"})
}

/// A member of the organization.
pub fn member(id: u64, login: &str, role: &str) -> Value {
    json!({"role": role, "hasTwoFactorEnabled": true, "node": {"databaseId": id, "login": login, "name": null,
        "createdAt": "2020-01-01T00:00:00Z", "organizationVerifiedDomainEmails": [format!("{login}@acme.example")]}})
}

/// An event of the audit log.
pub fn event(action: &str, at: &str, more: Value) -> Value {
    let at: provost_model::Time = at.parse().unwrap();
    let mut event = json!({"@timestamp": at.as_micros() / 1000, "action": action, "actor": "ann", "org": "acme",
        "_document_id": format!("{action}{}", at.as_micros())});
    event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    event
}
