//! Against GitHub's own description: a server that refuses whatever it does not allow, and knows what it showed.
//! It must never compare with what the connector said, only with what the server says of itself.
//!
//! The server speaks REST. Before it stands one that answers GraphQL out of what the server shows by REST, and the subject of
//! OpenID Connect tokens, which the description was cut short of: its place in GitHub's whole description is
//! `/orgs/{org}/actions/oidc/customization/sub` (<https://docs.github.com/en/rest/actions/oidc>). The server gives an
//! organization another id in each answer; it gets one that stays.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use provost_model::{Kind, Reading, Status, Time, field};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::{Place, ledger::Ledger, server::receive};
use crate::github::documents;

const ORGANIZATION: &str = "acme";
const ID: u64 = 42;
/// Things of each sort.
const SIZE: &str = "13";

/// The server that speaks the description.
struct Described {
    child: Child,
    address: String,
}

impl Drop for Described {
    fn drop(&mut self) {
        // It ends with the test; whether it was still there does not matter.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Described {
    /// Starts it, or says loudly why not.
    fn start() -> Option<Self> {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
        let shared = std::env::var_os("PROVOST_SHARED").map_or_else(|| root.join("../shared"), PathBuf::from);
        let specs = shared.join("specs");
        if !specs.join("github.json").exists() {
            skipped(&format!("{} is not there", specs.join("github.json").display()));
            return None;
        }
        let program = std::env::var_os("PROVOST_TEST_PYTHON").unwrap_or_else(|| "python3".into());
        let mut child = Command::new(program)
            .arg(specs.join("specserver.py"))
            .arg("--spec")
            .arg(specs.join("github.json"))
            .args(["--n", SIZE, "--seed", "7"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut line = String::new();
        let read = BufReader::new(child.stdout.take()?).read_line(&mut line);
        let told: Value = serde_json::from_str(&line).unwrap_or_default();
        let Some(address) = told["listening"].as_str().filter(|_| read.is_ok()) else {
            skipped("the server does not start: it wants python3 with jsonschema");
            return None;
        };
        Some(Self { address: address.trim_start_matches("http://").to_owned(), child })
    }

    /// What it answers to a question of the test.
    async fn ask(&self, path: &str) -> Value {
        let head = format!(
            "GET {path} HTTP/1.1\r\nhost: {}\r\nuser-agent: test\r\nauthorization: Bearer test-token\r\n\
             x-github-api-version: 2022-11-28\r\nconnection: close\r\n\r\n",
            self.address
        );
        let answer = passed_on(&self.address, head.as_bytes()).await;
        let at = answer.windows(4).position(|it| it == b"\r\n\r\n").unwrap();
        serde_json::from_slice(&answer[at + 4..]).unwrap()
    }

    /// Every row of a listing.
    async fn rows(&self, path: &str, wrapper: &str) -> Vec<Value> {
        let answer = self.ask(&format!("{path}?per_page=100")).await;
        let rows = if wrapper.is_empty() { &answer } else { &answer[wrapper] };
        rows.as_array().unwrap_or_else(|| panic!("{path}: {answer}")).clone()
    }

    /// What a document would be answered, out of what REST shows.
    async fn graph(&self, name: &str, variables: &Value) -> Value {
        let last = json!({"hasNextPage": false, "endCursor": null});
        match name {
            "graphql:repositories" => {
                let mut nodes = Vec::new();
                for repo in self.rows(&format!("/orgs/{ORGANIZATION}/repos"), "").await {
                    nodes.push(self.node(&repo).await);
                }
                json!({"organization": {"repositories": {"totalCount": nodes.len(), "pageInfo": last, "nodes": nodes}}})
            }
            "graphql:repository" => {
                let repos = self.rows(&format!("/orgs/{ORGANIZATION}/repos"), "").await;
                let repo = repos.iter().find(|repo| repo["name"] == variables["name"]).unwrap();
                json!({"repository": self.node(repo).await})
            }
            "graphql:members" => {
                let members = self.rows(&format!("/orgs/{ORGANIZATION}/members"), "").await;
                let edges = members.iter().map(|it| {
                    json!({"role": "MEMBER", "hasTwoFactorEnabled": null, "node": {"databaseId": it["id"],
                        "login": it["login"], "name": null, "createdAt": "2020-01-01T00:00:00Z",
                        "organizationVerifiedDomainEmails": []}})
                });
                let edges: Vec<Value> = edges.collect();
                json!({"organization": {"membersWithRole": {"totalCount": edges.len(), "pageInfo": last, "edges": edges}}})
            }
            _ => json!({ "nodes": [] }),
        }
    }

    async fn node(&self, repo: &Value) -> Value {
        let name = repo["name"].as_str().unwrap();
        let keys = self.rows(&format!("/repos/{ORGANIZATION}/{name}/keys"), "").await;
        let keys: Vec<Value> = keys
            .iter()
            .map(|key| {
                json!({"title": key["title"], "key": key["key"], "readOnly": key["read_only"], "createdAt": key["created_at"]})
            })
            .collect();
        let environments = self.rows(&format!("/repos/{ORGANIZATION}/{name}/environments"), "environments").await;
        let names: Vec<Value> = environments.iter().map(|it| json!({"name": it["name"]})).collect();
        json!({"id": repo["node_id"], "databaseId": repo["id"], "name": name, "url": repo["html_url"],
            "visibility": "PRIVATE", "isArchived": repo["archived"], "archivedAt": null, "createdAt": repo["created_at"],
            "deployKeys": {"totalCount": keys.len(), "nodes": keys},
            "environments": {"totalCount": names.len(), "nodes": names}})
    }
}

#[allow(clippy::print_stderr, reason = "a test that proves nothing says so")]
fn skipped(why: &str) {
    eprintln!("SKIPPED, nothing is proved against GitHub's description: {why}");
}

async fn passed_on(address: &str, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    answer
}

/// Stands before the server and gives its own address.
async fn front(described: Arc<Described>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let own = host.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(relay(stream, Arc::clone(&described), own.clone()));
        }
    });
    format!("http://{host}")
}

async fn relay(mut stream: TcpStream, described: Arc<Described>, host: String) {
    let mut bytes = Vec::new();
    let Some(request) = receive(&mut stream, &mut bytes).await else { return };
    let organization = format!("/orgs/{ORGANIZATION}");
    let own = if request.path == organization {
        let mut body = described.ask(&organization).await;
        body["id"] = ID.into();
        Some(body)
    } else if request.path == "/graphql" {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let name = documents::name_of(body["query"].as_str().unwrap());
        Some(json!({"data": described.graph(name, &body["variables"]).await}))
    } else {
        request.path.ends_with("/oidc/customization/sub").then(|| json!({"include_claim_keys": ["repo", "context"]}))
    };
    let answer = match own {
        Some(body) => {
            let body = body.to_string();
            format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
        }
        None => {
            let mut head = format!("{} {} HTTP/1.1\r\n", request.method, request.target);
            for (name, value) in
                request.headers.iter().filter(|(name, _)| !["host", "connection"].contains(&name.as_str()))
            {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
            head.push_str(&format!("host: {host}\r\nconnection: close\r\n\r\n"));
            let mut answer = passed_on(&described.address, head.as_bytes()).await;
            // One answer for each connection: what stands behind the head is the body.
            let at = answer.windows(2).position(|it| it == b"\r\n").unwrap();
            answer.splice(at..at, *b"\r\nconnection: close");
            answer
        }
    };
    // Whoever asked may have gone.
    let _ = stream.write_all(&answer).await;
}

fn time(row: &Value, name: &str, null: Reading<Time>) -> Reading<Time> {
    match row.get(name) {
        None => Reading::NotReported,
        Some(Value::Null) => null,
        Some(value) => value.as_str().unwrap().parse().map_or(Reading::NotReported, Reading::Known),
    }
}

#[tokio::test]
async fn the_inventory_is_what_the_described_server_holds_and_no_call_breaks_the_description() {
    let Some(described) = Described::start() else { return };
    let described = Arc::new(described);
    let url = front(Arc::clone(&described)).await;
    let mut place = Place::with_token(&url, ORGANIZATION);
    place.scan().await;
    place.ledger.next.sweep_now = true;
    let said = place.scan().await;
    assert_eq!(said.faults(), Vec::<&provost_model::Trouble>::new());
    assert_eq!(described.ask("/__violations").await, json!([]));
    let estate = described.ask("/__estate").await;
    let estate: BTreeMap<String, Vec<Value>> = serde_json::from_value(estate).unwrap();
    let rows = |path: &str| estate.get(&format!("/orgs/{ORGANIZATION}/{path}")).cloned().unwrap_or_default();
    for path in ["installations", "personal-access-tokens", "credential-authorizations", "hooks", "actions/runners"] {
        assert!(!rows(path).is_empty(), "nothing to compare at {path}");
    }
    of_apps_and_tokens(said, &rows);
    of_the_rest(said, &rows);
    of_repositories(said, &estate);
}

fn of_apps_and_tokens(said: &Ledger, rows: &impl Fn(&str) -> Vec<Value>) {
    for row in rows("installations") {
        let id = format!("installations/{}", row["id"]);
        assert_eq!(said.get(Kind::OauthGrant, &id, field::CREATED_AT), time(&row, "created_at", Reading::NotReported));
        let wanted: Vec<String> = row["permissions"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, level)| format!("{name}:{}", level.as_str().unwrap()))
            .collect();
        let mut found = said.get(Kind::OauthGrant, &id, field::PERMISSIONS).known().unwrap();
        found.sort();
        let mut wanted = wanted;
        wanted.sort();
        assert_eq!(found, wanted);
        assert!(said.entity(Kind::Application, &row["app_id"].to_string()).is_some());
    }
    for row in rows("personal-access-tokens") {
        let id = format!("personal-access-tokens/{}", row["token_id"]);
        let get = |attr| said.get(Kind::Token, &id, attr);
        assert_eq!(get(field::CREATED_AT), time(&row, "access_granted_at", Reading::NotReported));
        assert_eq!(get(field::EXPIRES_AT), time(&row, "token_expires_at", Reading::Never));
        assert_eq!(get(field::LAST_USED_AT), time(&row, "token_last_used_at", Reading::Never));
        assert_eq!(said.get(Kind::Token, &id, field::NAME), Reading::Known(row["token_name"].as_str().unwrap().into()));
        let owner = said.entity(Kind::Token, &id).unwrap().identity.clone().unwrap();
        assert_eq!((owner.kind, owner.external), (Kind::User, row["owner"]["id"].to_string()));
    }
    for row in rows("personal-access-token-requests") {
        let id = format!("personal-access-token-requests/{}", row["id"]);
        assert_eq!(said.get(Kind::Grant, &id, field::CREATED_AT), time(&row, "created_at", Reading::NotReported));
        assert_eq!(said.get(Kind::Grant, &id, field::STATUS), Reading::Known(Status::Inactive));
    }
    for row in rows("credential-authorizations") {
        let id = format!("orgs/{ID}/credential-authorizations/{}", row["credential_id"]);
        let kind = if row["credential_type"] == "SSH key" { Kind::SshKey } else { Kind::Token };
        assert_eq!(
            said.get(kind, &id, field::CREATED_AT),
            time(&row, "credential_authorized_at", Reading::NotReported)
        );
        assert_eq!(said.get(kind, &id, field::LAST_USED_AT), time(&row, "credential_accessed_at", Reading::Never));
        if kind == Kind::Token {
            let ends = time(&row, "authorized_credential_expires_at", Reading::Never);
            assert_eq!(said.get(kind, &id, field::EXPIRES_AT), ends);
        }
        let eight = row["token_last_eight"].as_str().unwrap_or("nothing is shown");
        assert!(!format!("{:?}", said.entity(kind, &id)).contains(eight), "a part of a token is kept");
    }
}

fn of_the_rest(said: &Ledger, rows: &impl Fn(&str) -> Vec<Value>) {
    for product in ["actions", "dependabot", "codespaces"] {
        for row in rows(&format!("{product}/secrets")) {
            let id = format!("orgs/{ID}/{product}/secrets/{}", row["name"].as_str().unwrap());
            assert_eq!(said.get(Kind::Secret, &id, field::CREATED_AT), time(&row, "created_at", Reading::NotReported));
            assert_eq!(said.get(Kind::Secret, &id, field::ROTATED_AT), time(&row, "updated_at", Reading::NotReported));
            let visibility = row["visibility"].as_str().unwrap().to_owned();
            assert_eq!(said.get(Kind::Secret, &id, field::REACH), Reading::Known(visibility));
        }
    }
    for row in rows("hooks") {
        let id = format!("hooks/{}", row["id"]);
        let signed = row["config"]["secret"].as_str().is_some_and(|it| !it.is_empty());
        assert_eq!(said.get(Kind::Grant, &id, field::SIGNED), Reading::Known(signed));
        let status = if row["active"] == true { Status::Active } else { Status::Inactive };
        assert_eq!(said.get(Kind::Grant, &id, field::STATUS), Reading::Known(status));
        assert_eq!(said.get(Kind::Grant, &id, field::CREATED_AT), time(&row, "created_at", Reading::NotReported));
    }
    for row in rows("actions/runners") {
        let id = format!("orgs/{ID}/runners/{}", row["id"]);
        assert_eq!(said.get(Kind::Workload, &id, field::NAME), Reading::Known(row["name"].as_str().unwrap().into()));
    }
    for row in rows("outside_collaborators") {
        let login = row["login"].as_str().unwrap().to_owned();
        assert_eq!(said.get(Kind::User, &row["id"].to_string(), field::USERNAME), Reading::Known(login));
    }
    for row in rows("secret-scanning/alerts") {
        let id = format!("repos/{}/secret-scanning/{}", row["repository"]["id"], row["number"]);
        assert_eq!(said.get(Kind::Secret, &id, field::LEAKED_AT), time(&row, "created_at", Reading::NotReported));
        let open = row["state"] == "open";
        assert_eq!(said.get(Kind::Secret, &id, field::LEAK) == Reading::Known("open".into()), open, "{row}");
    }
}

fn of_repositories(said: &Ledger, estate: &BTreeMap<String, Vec<Value>>) {
    let (mut keys, mut secrets) = (0, 0);
    for repo in &estate[&format!("/orgs/{ORGANIZATION}/repos")] {
        let (id, name) = (repo["id"].as_u64().unwrap(), repo["name"].as_str().unwrap());
        let rows =
            |path: &str| estate.get(&format!("/repos/{ORGANIZATION}/{name}/{path}")).cloned().unwrap_or_default();
        for row in rows("keys") {
            let alias = format!("repos/{id}/keys/{}", row["id"]);
            let key = said
                .ids(Kind::SshKey)
                .into_iter()
                .find(|external| said.all(Kind::SshKey, external).iter().any(|it| it.aliases.contains(&alias)));
            let key = key.unwrap_or_else(|| panic!("{row} is not there"));
            assert_eq!(said.get(Kind::SshKey, &key, field::CREATED_AT), time(&row, "created_at", Reading::NotReported));
            assert_eq!(said.get(Kind::SshKey, &key, field::LAST_USED_AT), time(&row, "last_used", Reading::Never));
            assert_eq!(said.get(Kind::SshKey, &key, field::READ_ONLY), Reading::Known(row["read_only"] == true));
            let status = match row.get("enabled") {
                Some(Value::Bool(false)) => Status::Inactive,
                _ => Status::Active,
            };
            assert_eq!(said.get(Kind::SshKey, &key, field::STATUS), Reading::Known(status));
            keys += 1;
        }
        for product in ["actions", "dependabot", "codespaces"] {
            for row in rows(&format!("{product}/secrets")) {
                let external = format!("repos/{id}/{product}/secrets/{}", row["name"].as_str().unwrap());
                let made = said.get(Kind::Secret, &external, field::CREATED_AT);
                assert_eq!(made, time(&row, "created_at", Reading::NotReported));
                secrets += 1;
            }
        }
        for row in rows("environments") {
            let environment = row["name"].as_str().unwrap();
            for row in rows(&format!("environments/{environment}/secrets")) {
                let external =
                    format!("repos/{id}/environments/{environment}/secrets/{}", row["name"].as_str().unwrap());
                assert_eq!(said.get(Kind::Secret, &external, field::ENVIRONMENT), Reading::Known(environment.into()));
                secrets += 1;
            }
        }
        for row in rows("hooks") {
            let url = said.get(Kind::Grant, &format!("hooks/{}", row["id"]), field::URL);
            assert!(url.known().is_some(), "{row}");
        }
    }
    assert!(keys > 5 && secrets > 20, "{keys} keys and {secrets} secrets prove little");
}
