//! GitHub by its documentation, as far as its keys and grants are changed.
//! It must never be more lenient than that documentation.

use std::{
    fs,
    sync::{Arc, Mutex},
};

use provost_model::{Kind, Remedy};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::stages::{Play, Stage, made_key};
use crate::loopback::{Asked, Loopback, Reply};

/// Its stages.
pub(super) fn all() -> Vec<Box<dyn Stage>> {
    vec![Box::new(DeployKeys::new()), Box::new(TokenGrants::new())]
}

/// Serves these rows for as long as the runtime is there.
fn serving(rows: &Arc<Mutex<Vec<Value>>>, answer: fn(&mut Vec<Value>, &Asked) -> Reply) -> (String, Runtime) {
    let (runtime, there) = (Runtime::new().unwrap(), Arc::clone(rows));
    let server = runtime.block_on(Loopback::start(move |asked| answer(&mut there.lock().unwrap(), asked)));
    let origin = server.origin.clone();
    std::mem::forget(server);
    (origin, runtime)
}

struct DeployKeys {
    keys: Arc<Mutex<Vec<Value>>>,
    origin: String,
    files: tempfile::TempDir,
    _runtime: Runtime,
}

impl DeployKeys {
    fn new() -> Self {
        let keys: Arc<Mutex<Vec<Value>>> = Arc::default();
        let (origin, _runtime) = serving(&keys, answered);
        Self { keys, origin, files: tempfile::tempdir().unwrap(), _runtime }
    }
}

fn answered(keys: &mut Vec<Value>, asked: &Asked) -> Reply {
    let path = asked.target.split('?').next().unwrap();
    match (asked.method.as_str(), path) {
        ("GET", "/repos/acme/shop") => Reply::json(r#"{"id":7}"#),
        ("GET", "/rate_limit") => Reply::json("{}"),
        ("GET", "/repos/acme/shop/keys") => Reply::json(&json!(keys).to_string()),
        ("POST", "/repos/acme/shop/keys") => {
            let mut made: Value = serde_json::from_str(&asked.body).unwrap();
            made["id"] = json!(keys.iter().filter_map(|it| it["id"].as_u64()).max().unwrap_or(0) + 1);
            made["created_at"] = json!("2026-11-18T10:00:00Z");
            // Whoever deploys reads the new one at once.
            made["last_used"] = json!("2099-01-01T00:00:00Z");
            keys.push(made.clone());
            Reply::new(201, &[], made.to_string())
        }
        ("DELETE", path) => {
            let id = path.rsplit_once('/').unwrap().1.parse::<u64>().unwrap();
            let before = keys.len();
            keys.retain(|it| it["id"] != id);
            Reply::new(if keys.len() < before { 204 } else { 404 }, &[], "")
        }
        _ => Reply::new(404, &[], "{}"),
    }
}

impl Stage for DeployKeys {
    fn name(&self) -> &'static str {
        "github_deploy_key"
    }

    fn play(&self, number: usize) -> Play {
        let (key, public, digest) = made_key(self.files.path(), number);
        let old = json!({ "id": 1, "key": public, "title": "deploy", "read_only": false,
            "created_at": "2025-01-01T00:00:00Z", "last_used": "2026-11-01T00:00:00Z" });
        *self.keys.lock().unwrap() = vec![old];
        let fields = "private_key = \"key\", public_key = \"public\"";
        let place = self.files.path().join(format!("held-{number}.json"));
        fs::write(&place, json!({ "key": fs::read_to_string(&key).unwrap(), "public": public }).to_string()).unwrap();
        let entry = format!(
            "token = \"env:GITHUB\"\nbase_url = \"{}\"\n[[rotations.places]]\nkind = \"file\"\nformat = \"json\"\n\
             path = {place:?}\nfields = {{ {fields} }}\n",
            self.origin
        );
        let secrets = vec![("GITHUB".to_owned(), "t".to_owned())];
        let external = format!("repos/7/keys/{digest}");
        Play { entry, secrets, kind: Kind::SshKey, external, holder: "acme/shop".to_owned() }
    }

    fn working(&self, _: &Play) -> usize {
        self.keys.lock().unwrap().len()
    }
}

/// Fine-grained tokens with access to an organization.
struct TokenGrants {
    tokens: Arc<Mutex<Vec<Value>>>,
    origin: String,
    _runtime: Runtime,
}

impl TokenGrants {
    fn new() -> Self {
        let tokens: Arc<Mutex<Vec<Value>>> = Arc::default();
        let (origin, _runtime) = serving(&tokens, granted);
        Self { tokens, origin, _runtime }
    }
}

fn granted(tokens: &mut Vec<Value>, asked: &Asked) -> Reply {
    let path = asked.target.split('?').next().unwrap();
    match (asked.method.as_str(), path) {
        ("GET", "/orgs/acme") => Reply::json(r#"{"id":7}"#),
        ("GET", "/orgs/acme/personal-access-tokens") => Reply::json(&json!(tokens).to_string()),
        ("POST", path) if path.starts_with("/orgs/acme/personal-access-tokens/") => {
            let id = path.rsplit_once('/').unwrap().1.parse::<u64>().unwrap();
            let before = tokens.len();
            tokens.retain(|it| it["id"] != id);
            Reply::new(if tokens.len() < before { 204 } else { 404 }, &[], "")
        }
        _ => Reply::new(404, &[], "{}"),
    }
}

impl Stage for TokenGrants {
    fn name(&self) -> &'static str {
        "github_token_grant"
    }

    fn remedy(&self) -> Remedy {
        Remedy::Revoke
    }

    fn play(&self, number: usize) -> Play {
        let token = |id: usize, token_id: usize| json!({ "id": id, "token_id": token_id, "token_expired": false });
        *self.tokens.lock().unwrap() = vec![token(number, 1_000 + number), token(5_000, 6_000)];
        let entry = format!("org = \"acme\"\ntoken = \"env:GITHUB\"\nbase_url = \"{}\"\n", self.origin);
        let secrets = vec![("GITHUB".to_owned(), "t".to_owned())];
        let external = format!("personal-access-tokens/{}", 1_000 + number);
        Play { entry, secrets, kind: Kind::Token, external, holder: "monalisa".to_owned() }
    }

    /// Nobody's but that of the other one is left.
    fn working(&self, _: &Play) -> usize {
        let tokens = self.tokens.lock().unwrap();
        if tokens.iter().any(|it| it["id"] == 5_000) { tokens.len() } else { 0 }
    }
}
