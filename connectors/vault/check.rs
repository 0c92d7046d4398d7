//! What the source's token may see: each read tried once where it can be, and the least policy that allows them all.
//! It must never count a read as granted that was not answered.

use provost_client::{Ask, Failure};
use provost_model::{Reading, Why};
use serde_json::{Value, json};

use super::{
    SPEC, Vault,
    server::{self, Caller, Server},
    session::{Session, is_unsupported},
    settings::{Namespaces, ValueRead},
};
use crate::{Access, Check, Verdict};

/// Rights named.
const WORDS: usize = 8;
const LIST: &[&str] = &["list"];
const READ: &[&str] = &["read"];
const LISTED: &[&str] = &["list", "read"];

/// What a check saw of a server.
#[derive(Default)]
struct Seen {
    auth: Vec<Mounted>,
    engines: Vec<Mounted>,
    /// Whether it has listings with details, and the capability to scan: OpenBao has.
    detailed: bool,
    /// What a run will cost.
    cost: Vec<String>,
}

/// A mount.
#[derive(Clone)]
struct Mounted {
    path: String,
    sort: String,
    versioned: bool,
}

/// Everything a check says.
pub(super) async fn access(vault: &Vault) -> Access {
    let settings = &vault.settings;
    let unknown = |failure: Failure| Access {
        principal: "unknown".to_owned(),
        target: settings.address.clone(),
        checks: vec![line(&failure.operation.clone(), Err(failure))],
        policy: Some(policy(&Seen::default(), &settings.value_reads)),
        ..Access::default()
    };
    let session = match vault.impatient() {
        Ok(session) => session,
        Err(failure) => return unknown(failure),
    };
    let server = match Server::ask(&session).await.and_then(|server| server.realm().map(|_| server)) {
        Ok(server) => server,
        Err(failure) => return unknown(failure),
    };
    let caller: Caller = match session.look_up_self().await {
        Ok(caller) => caller,
        Err(failure) => return unknown(failure),
    };
    let namespace = settings.namespace.as_str();
    let mut checks = vec![line("GET /v1/auth/token/lookup-self", Ok(()))];
    let tried = Tried { session: &session, namespace };
    let seen = tried.all(matches!(settings.namespaces, Namespaces::Recursive), &mut checks).await;
    checks.push(beyond_reading(server::beyond_reading(&session, namespace, &caller).await));
    checks.push(lasting(&caller.expires(vault.renews_itself())));
    let target = match namespace {
        "" => server.words(),
        namespace => format!("{}, namespace {namespace}", server.words()),
    };
    let principal = format!("{} ({})", caller.words(), session.origin());
    let policy = Some(policy(&seen, &settings.value_reads));
    Access { principal, target, checks, cost: seen.cost, policy }
}

/// Reads tried, in one namespace.
struct Tried<'a> {
    session: &'a Session,
    namespace: &'a str,
}

impl Tried<'_> {
    /// Every read that can be tried without knowing names, and those of which a name is found.
    async fn all(&self, recursive: bool, checks: &mut Vec<Check>) -> Seen {
        if recursive {
            self.one("LIST /v1/sys/namespaces", &[], checks).await;
        }
        self.one("GET /v1/sys/audit", &[], checks).await;
        let auth = self.mounts("GET /v1/sys/auth", checks).await;
        let engines = self.mounts("GET /v1/sys/mounts", checks).await;
        let ask = Ask::list("LIST /v1/sys/policies/detailed/acl", &[]);
        let answer = self.session.list(self.namespace, ask).await;
        let detailed = !answer.as_ref().is_err_and(is_unsupported);
        if detailed {
            checks.push(line("LIST /v1/sys/policies/detailed/acl", answer.map(drop)));
        }
        self.named(["LIST /v1/sys/policies/acl", "GET /v1/sys/policies/acl/{name}"], &[], checks).await;
        let mut cost = Vec::new();
        for mount in auth.iter().filter(|it| it.sort == "approle") {
            cost.push(self.approle(&mount.path, checks).await);
        }
        self.named(["LIST /v1/identity/entity/id", "GET /v1/identity/entity/id/{id}"], &[], checks).await;
        self.named(["LIST /v1/identity/group/id", "GET /v1/identity/group/id/{id}"], &[], checks).await;
        for mount in firsts(&engines) {
            self.engine(&mount.path, (&mount.sort, mount.versioned), checks).await;
        }
        self.one("LIST /v1/auth/token/accessors", &[], checks).await;
        let secrets = match detailed {
            true => "secrets: one call for each mount, cold and warm",
            false => "secrets: cold one call for each and for each folder; warm one for each folder",
        };
        cost.push(secrets.to_owned());
        let rest = "certificates, static roles, transit keys, entities, sampled tokens: cold one call for each; warm one for each listing";
        cost.push(rest.to_owned());
        cost.push("sweep: each of these and each secret id once more, spread over sweep_every".to_owned());
        Seen { auth, engines, detailed, cost }
    }

    async fn approle(&self, mount: &str, checks: &mut Vec<Check>) -> String {
        let list = "LIST /v1/auth/{mount}/role";
        let listed = self.session.list(self.namespace, Ask::list(list, &[mount])).await;
        let roles = listed.as_ref().map(|it| it.keys.clone()).unwrap_or_default();
        checks.push(line(list, listed.map(drop)));
        // A name that nobody has answers as well: not found means that asking is allowed.
        let role = roles.first().map_or("nobody-of-this-name", String::as_str);
        self.one("GET /v1/auth/{mount}/role/{role}", &[mount, role], checks).await;
        self.one("GET /v1/auth/{mount}/role/{role}/role-id", &[mount, role], checks).await;
        let list = "LIST /v1/auth/{mount}/role/{role}/secret-id";
        let listed = self.session.list(self.namespace, Ask::list(list, &[mount, role])).await;
        let some = listed.as_ref().map_or(0, |it| it.keys.len());
        checks.push(line(list, listed.map(drop)));
        let look_up = "POST /v1/auth/{mount}/role/{role}/secret-id-accessor/lookup";
        let body = provost_client::Body::Json(json!({ "secret_id_accessor": "none-of-this-name" }));
        let answer = self.session.read::<Value>(self.namespace, Ask::post(look_up, &[mount, role], body)).await;
        checks.push(line(look_up, answer.map(drop)));
        let (roles, cold) = (roles.len(), 3 * roles.len());
        format!(
            "auth/{mount}: cold {cold} calls for {roles} AppRoles and one for each secret id (the first role has {some}); \
             warm one for each role, within warm_share"
        )
    }

    async fn engine(&self, mount: &str, (sort, versioned): (&str, bool), checks: &mut Vec<Check>) {
        match sort {
            "kv" if versioned => {
                let scan = Ask::get("GET /v1/{mount}/detailed-metadata", &[mount]).query("scan", "true");
                let answer = self.session.read::<Value>(self.namespace, scan).await;
                let known = !answer.as_ref().is_err_and(is_unsupported);
                if known {
                    checks.push(line("GET /v1/{mount}/detailed-metadata", answer.map(drop)));
                    self.one("LIST /v1/{mount}/detailed-metadata", &[mount], checks).await;
                }
                self.named(["LIST /v1/{mount}/metadata", "GET /v1/{mount}/metadata/{path...}"], &[mount], checks).await;
            }
            "kv" | "generic" => drop(self.one("LIST /v1/{mount}", &[mount], checks).await),
            "pki" => {
                self.one("LIST /v1/{mount}/certs/detailed", &[mount], checks).await;
                self.named(["LIST /v1/{mount}/certs", "GET /v1/{mount}/cert/{serial}"], &[mount], checks).await;
                self.one("LIST /v1/{mount}/certs/revoked", &[mount], checks).await;
            }
            "transit" => {
                self.named(["LIST /v1/{mount}/keys", "GET /v1/{mount}/keys/{key}"], &[mount], checks).await;
            }
            "database" | "aws" => {
                let reads = ["LIST /v1/{mount}/static-roles", "GET /v1/{mount}/static-roles/{role}"];
                self.named(reads, &[mount], checks).await;
                self.named(["LIST /v1/{mount}/roles", "GET /v1/{mount}/roles/{role}"], &[mount], checks).await;
            }
            "ldap" | "openldap" => {
                let reads = ["LIST /v1/{mount}/static-role", "GET /v1/{mount}/static-role/{role}"];
                self.named(reads, &[mount], checks).await;
                self.named(["LIST /v1/{mount}/role", "GET /v1/{mount}/role/{role}"], &[mount], checks).await;
            }
            _ => {}
        }
    }

    /// One read; `None` unless it was answered.
    async fn one(&self, read: &'static str, values: &[&str], checks: &mut Vec<Check>) -> Option<Value> {
        let answer = self.session.read::<Value>(self.namespace, Ask::get(read, values)).await;
        let told = answer.as_ref().ok().cloned().flatten();
        // What a server of the other family does not know is no permission of it.
        if !answer.as_ref().is_err_and(is_unsupported) {
            checks.push(line(read, answer.map(drop)));
        }
        told
    }

    /// A listing, and the read of the first of it.
    async fn named(&self, [list, read]: [&'static str; 2], values: &[&str], checks: &mut Vec<Check>) {
        let Some(told) = self.one(list, values, checks).await else { return };
        let names = told.get("keys").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        if let Some(name) = names.into_iter().find(|it| !it.ends_with('/')) {
            let values: Vec<&str> = values.iter().copied().chain([name]).collect();
            self.one(read, &values, checks).await;
        }
    }

    async fn mounts(&self, read: &'static str, checks: &mut Vec<Check>) -> Vec<Mounted> {
        let told = self.one(read, &[], checks).await.unwrap_or_default();
        let mounts = told.as_object().into_iter().flatten().filter_map(|(path, it)| {
            let versioned = it.pointer("/options/version").and_then(Value::as_str) == Some("2");
            Some(Mounted {
                path: path.trim_matches('/').to_owned(),
                sort: it.get("type")?.as_str()?.to_owned(),
                versioned,
            })
        });
        mounts.collect()
    }
}

/// The first mount of each sort: what is allowed there is tried.
fn firsts(mounts: &[Mounted]) -> Vec<Mounted> {
    let mut firsts: Vec<Mounted> = Vec::new();
    for mount in mounts {
        if !firsts.iter().any(|it| (&it.sort, it.versioned) == (&mount.sort, mount.versioned)) {
            firsts.push(mount.clone());
        }
    }
    firsts
}

fn line(operation: &str, answer: Result<(), Failure>) -> Check {
    let why = SPEC.permissions.iter().find(|it| it.action == operation).map_or("what it is", |it| it.why);
    let (verdict, note) = match answer {
        Ok(()) => (Verdict::Granted, why.to_owned()),
        Err(failure) if failure.why == Why::Denied => (Verdict::Denied, why.to_owned()),
        // Allowed, and there is no such role.
        Err(failure) if failure.said.contains("does not exist") => (Verdict::Granted, why.to_owned()),
        Err(failure) => (Verdict::Unknown, failure.said),
    };
    Check { action: operation.to_owned(), verdict, optional: SPEC.may_lack(operation), note }
}

/// What the token could do beyond reading.
fn beyond_reading(rights: Reading<Vec<String>>) -> Check {
    let advice = "give the source a token with only the policy shown";
    let (verdict, note) = match rights {
        Reading::Known(words) if words.is_empty() => {
            (Verdict::Granted, "its policies allow nothing beyond reading".to_owned())
        }
        Reading::Known(words) => {
            let more = if words.len() > WORDS { ", …" } else { "" };
            let named = words.iter().take(WORDS).map(String::as_str).collect::<Vec<_>>().join(", ");
            (Verdict::Excess, format!("could also: {named}{more}; {advice}"))
        }
        _ => (Verdict::Unknown, format!("the server does not tell this token's rights; {advice}")),
    };
    let action = if verdict == Verdict::Granted { "only reading" } else { "write access" };
    Check { action: action.to_owned(), verdict, optional: true, note }
}

fn lasting(lasts: &Reading<provost_model::Time>) -> Check {
    let (verdict, note) = match lasts {
        Reading::Never => (Verdict::Granted, "needs nobody to renew it".to_owned()),
        Reading::Known(end) => (Verdict::Granted, format!("until {end}, then somebody has to renew it")),
        _ => (Verdict::Unknown, "it ends unless somebody renews it, and nobody says whether".to_owned()),
    };
    Check { action: "lasting credential".to_owned(), verdict, optional: true, note }
}

/// The least policy that allows every read of these mounts, in JSON, which servers take as well as HCL. Without `sudo`:
/// what needs that stays unseen. Without the mounts it shows their listings only: then it is asked for again with those.
fn policy(seen: &Seen, values: &[ValueRead]) -> Value {
    let mut paths = Paths(serde_json::Map::new());
    for path in ["sys/auth", "sys/mounts", "sys/internal/ui/resultant-acl", "auth/token/lookup-self"] {
        paths.allow(path, READ);
    }
    for path in ["sys/namespaces", "sys/policies/acl", "identity/entity/id", "identity/group/id"] {
        paths.listed(path, LISTED);
    }
    if seen.detailed {
        paths.listed("sys/policies/detailed/acl", LIST);
    }
    for mount in &seen.auth {
        let path = format!("auth/{}", mount.path);
        match mount.sort.as_str() {
            "approle" => {
                paths.listed(&format!("{path}/role"), LISTED);
                paths.allow(&format!("{path}/role/+/role-id"), READ);
                paths.listed(&format!("{path}/role/+/secret-id"), LIST);
                paths.allow(&format!("{path}/role/+/secret-id-accessor/lookup"), &["update"]);
            }
            "jwt" | "oidc" => paths.allow(&format!("{path}/config"), READ),
            _ => {}
        }
    }
    for Mounted { path, sort, versioned } in &seen.engines {
        let below: &[&str] = match sort.as_str() {
            "kv" if *versioned => &["metadata"],
            "pki" => &["certs", "cert"],
            "transit" => &["keys"],
            "database" | "aws" => &["static-roles", "roles"],
            "ldap" | "openldap" => &["static-role", "role"],
            _ => &[],
        };
        for it in below {
            paths.listed(&format!("{path}/{it}"), LISTED);
        }
        if sort == "kv" && *versioned && seen.detailed {
            // Vault refuses a policy that names a capability it does not know.
            paths.listed(&format!("{path}/detailed-metadata"), &["list", "scan"]);
        } else if sort == "kv" && !*versioned {
            paths.listed(path, LIST);
        }
    }
    for read in values.iter().flat_map(ValueRead::reads) {
        let path = read.trim_start_matches("GET /v1/").replace("{path...}", "*");
        paths.allow(&path, READ);
    }
    Value::Object(serde_json::Map::from_iter([("path".to_owned(), Value::Object(paths.0))]))
}

/// The rules of a policy.
struct Paths(serde_json::Map<String, Value>);

impl Paths {
    fn allow(&mut self, path: &str, capabilities: &[&str]) {
        self.0.insert(path.to_owned(), json!({ "capabilities": capabilities }));
    }

    /// A folder, by both forms in which servers compare a listing's path, and what is below it.
    fn listed(&mut self, path: &str, capabilities: &[&str]) {
        self.allow(path, capabilities);
        self.allow(&format!("{path}/*"), capabilities);
    }
}
