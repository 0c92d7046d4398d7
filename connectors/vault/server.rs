//! The server itself and its namespaces: what it is, where it writes down requests, who looks at it and with what rights.
//! It must never report a namespace as gone because it could not be listed.

use std::collections::{BTreeMap, BTreeSet};

use provost_client::{Ask, Failure};
use provost_model::{Cover, Cursor, Entity, Key, Reading, Realm, Scope, Status, Time, Trouble, Why, field};
use serde::Deserialize;
use serde_json::Value;

use super::{
    place::{Looking, Place, container, text},
    policy::Policy,
    session::Session,
    settings::Namespaces,
    tell::{self, Whole},
};
use crate::{Emitter, Stopped};

const SEAL: &str = "GET /v1/sys/seal-status";
const NAMESPACES: &str = "LIST /v1/sys/namespaces";
const AUDIT: &str = "GET /v1/sys/audit";
const RIGHTS: &str = "GET /v1/sys/internal/ui/resultant-acl";
const POLICY: &str = "GET /v1/sys/policies/acl/{name}";
/// Most namespaces looked at.
const NAMESPACES_MAX: usize = 10_000;
/// What may be sent beyond GET and LIST and changes nothing, by its path; the last segment may follow anything.
const READING: [&str; 2] = ["secret-id-accessor/lookup", "auth/token/lookup-accessor"];
/// What the policy `default` lets every token do to itself and with nothing of anybody's.
const HARMLESS: [&str; 13] = [
    "auth/token/renew-self",
    "auth/token/revoke-self",
    "cubbyhole/",
    "identity/oidc/provider/+/authorize",
    "sys/capabilities-self",
    "sys/leases/lookup",
    "sys/leases/renew",
    "sys/renew",
    "sys/tools/hash",
    "sys/tools/hash/",
    "sys/wrapping/lookup",
    "sys/wrapping/unwrap",
    "sys/wrapping/wrap",
];
/// Rights named.
const RIGHTS_MAX: usize = 64;

/// What a server says of itself to everybody.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Server {
    sealed: bool,
    #[serde(default)]
    version: String,
    #[serde(default)]
    cluster_name: Option<String>,
    #[serde(default)]
    cluster_id: Option<String>,
}

/// Whose token it is.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Caller {
    display_name: String,
    #[serde(default)]
    policies: Vec<String>,
    #[serde(default)]
    identity_policies: Option<Vec<String>>,
    #[serde(default)]
    expire_time: Option<Time>,
    #[serde(default)]
    period: Option<i64>,
    #[serde(default)]
    accessor: String,
    #[serde(default)]
    path: String,
    #[serde(default)]
    meta: Option<BTreeMap<String, String>>,
}

/// What the one who looks looks by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Own {
    /// The accessor of the token.
    accessor: String,
    /// Mount and name of the AppRole that it came of.
    role: Option<(String, String)>,
    /// The namespace in which it signed in.
    namespace: String,
}

impl Own {
    /// Whether it is that token.
    pub(super) fn is_token(&self, accessor: &str) -> bool {
        !self.accessor.is_empty() && self.accessor == accessor
    }

    /// Whether it signs in as that AppRole.
    pub(super) fn is_role(&self, namespace: &str, mount: &str, name: &str) -> bool {
        self.namespace.trim_matches('/') == namespace
            && self.role.as_ref().is_some_and(|(at, role)| at == mount && role == name)
    }
}

impl Caller {
    /// What it looks by, as far as the server says it.
    pub(super) fn own(&self, namespace: &str) -> Own {
        let mount = self.path.strip_prefix("auth/").and_then(|path| path.strip_suffix("/login"));
        let name = self.meta.as_ref().and_then(|meta| meta.get("role_name"));
        Own {
            accessor: self.accessor.clone(),
            role: mount.zip(name).map(|(mount, name)| (mount.to_owned(), name.clone())),
            namespace: namespace.to_owned(),
        }
    }
}

impl Server {
    /// Asks the server what it is. It answers without a token.
    pub(super) async fn ask(session: &Session) -> Result<Self, Failure> {
        session.plain::<Self>(Ask::get(SEAL, &[])).await
    }

    /// The authority that gives the ids: the cluster, whatever its address.
    pub(super) fn realm(&self) -> Result<Realm, Failure> {
        let failure = |said: &str| Failure::new(SEAL, Why::Unavailable, "", said);
        if self.sealed {
            return Err(failure("the server is sealed: somebody has to unseal it"));
        }
        let id = self.cluster_id.as_deref().filter(|it| !it.is_empty());
        id.map(|id| Realm::new("vault", id)).ok_or_else(|| failure("the server does not name its cluster"))
    }

    /// What it is, for people.
    pub(super) fn words(&self) -> String {
        let name = self.cluster_name.as_deref().or(self.cluster_id.as_deref()).unwrap_or("without a name");
        format!("{name}, version {}", self.version)
    }
}

impl Caller {
    /// For people.
    pub(super) fn words(&self) -> String {
        let more = self.identity_policies.iter().flatten();
        let policies: Vec<&str> = self.policies.iter().chain(more).map(String::as_str).collect();
        format!("{} with {}", self.display_name, policies.join(", "))
    }

    /// When its token ends without a human's help.
    pub(super) fn expires(&self, renews_itself: bool) -> Reading<Time> {
        match self.expire_time {
            _ if renews_itself => Reading::Never,
            None => Reading::Never,
            // An agent may renew it, or not: nobody says.
            Some(_) if self.period.is_some_and(|it| it > 0) => Reading::NotReported,
            Some(at) => Reading::Known(at),
        }
    }
}

/// What the token may do, path by path.
#[derive(Deserialize)]
struct Acl {
    #[serde(default)]
    root: bool,
    #[serde(default)]
    exact_paths: Option<BTreeMap<String, Allowed>>,
    #[serde(default)]
    glob_paths: Option<BTreeMap<String, Allowed>>,
}

#[derive(Deserialize)]
struct Allowed {
    #[serde(default)]
    capabilities: Vec<String>,
}

/// What the token may do beyond reading. The server's own word on it leaves out patterns with a wildcard for one segment, so
/// the token's policies are read too; where they cannot be, nothing is known unless something is found.
pub(super) async fn beyond_reading(session: &Session, namespace: &str, caller: &Caller) -> Reading<Vec<String>> {
    let mut words = BTreeSet::new();
    let mut refused = None;
    match session.read::<Acl>(namespace, Ask::get(RIGHTS, &[])).await {
        Ok(acl) => words.extend(acl.map(|acl| more_than_reading(&acl)).unwrap_or_default()),
        Err(failure) => refused = Some(failure),
    }
    let more = caller.identity_policies.iter().flatten();
    let names: BTreeSet<&String> = caller.policies.iter().chain(more).filter(|it| *it != "root").collect();
    for name in names {
        match session.read::<Text>(namespace, Ask::get(POLICY, &[name])).await {
            Ok(text) => match Policy::read(&text.unwrap_or_default().policy) {
                Ok(policy) => words.extend(policy.more_than_reading().filter_map(|(path, it)| beyond(path, &it))),
                Err(said) => refused = Some(Failure::new(POLICY, Why::Malformed, "", &said)),
            },
            Err(failure) => refused = Some(failure),
        }
    }
    match refused {
        Some(failure) if words.is_empty() && failure.why == Why::Denied => Reading::NotPermitted,
        Some(_) if words.is_empty() => Reading::NotCollected,
        _ => Reading::Known(words.into_iter().take(RIGHTS_MAX).collect()),
    }
}

#[derive(Default, Deserialize)]
struct Text {
    #[serde(default)]
    policy: String,
}

fn more_than_reading(acl: &Acl) -> Vec<String> {
    if acl.root {
        return vec!["root: everything".to_owned()];
    }
    let exact = acl.exact_paths.iter().flatten().map(|(path, allowed)| (path.clone(), allowed));
    let glob = acl.glob_paths.iter().flatten().map(|(path, allowed)| (format!("{path}*"), allowed));
    let more = ["create", "update", "patch", "delete", "sudo", "root"];
    let words = exact.chain(glob).filter_map(|(path, allowed)| {
        let values = path.contains("/data/");
        let counts = |it: &&str| more.contains(it) || (values && *it == "read");
        let capabilities: Vec<&str> = allowed.capabilities.iter().map(String::as_str).filter(counts).collect();
        beyond(&path, &capabilities)
    });
    words.collect()
}

/// The words for what is allowed at a path, unless that is what every token may, or a read that is sent as POST.
fn beyond(path: &str, capabilities: &[&str]) -> Option<String> {
    let plain = path.trim_end_matches('*');
    let reads = READING.iter().any(|it| plain == *it || plain.ends_with(&format!("/{it}")));
    let harmless = (reads && capabilities == ["update"]) || HARMLESS.contains(&plain);
    (!harmless && !capabilities.is_empty()).then(|| format!("{} {path}", capabilities.join(",")))
}

/// The namespaces that are looked at, told as records; what left the selection is no more watched.
pub(super) async fn namespaces(looking: &Looking<'_>, to: &mut Emitter) -> Result<Vec<String>, Stopped> {
    let settings = looking.settings;
    let below = |path: &str| match (settings.namespace.as_str(), path) {
        ("", path) => path.to_owned(),
        (own, "") => own.to_owned(),
        (own, path) => format!("{own}/{path}"),
    };
    let scope = Scope::new(looking.realm.clone(), "namespaces");
    let mut found = vec![below("")];
    let mut failure = None;
    match &settings.namespaces {
        Namespaces::Own => {}
        Namespaces::These(list) => found = list.iter().map(|it| below(it)).collect(),
        Namespaces::Recursive => {
            let mut next = 0;
            while let Some(parent) = found.get(next).cloned() {
                next += 1;
                match looking.session.list(&parent, Ask::list(NAMESPACES, &[])).await {
                    Ok(listed) => found.extend(listed.keys.iter().map(|it| child(&parent, it))),
                    // Vault without namespaces knows no such path.
                    Err(failure) if super::session::is_unsupported(&failure) => {}
                    Err(it) => {
                        failure = Some(it);
                        break;
                    }
                }
                if found.len() > NAMESPACES_MAX {
                    let said = format!("more than {NAMESPACES_MAX} namespaces");
                    failure = Some(Failure::new(NAMESPACES, Why::TooLarge, "", &said));
                    break;
                }
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    looking.count(to).await?;
    to.begin(&scope, None).await?;
    let now = to.now();
    for namespace in &found {
        to.see(&scope, None, now, record(looking, namespace)).await?;
    }
    let before = looking.cursor(&scope).and_then(|it| serde_json::from_slice::<Vec<String>>(&it.0).ok());
    if let Some(failure) = failure {
        if failure.why == Why::Denied {
            tell::blind(&scope, &failure, to).await?;
        }
        to.partial(&scope, failure.why, failure.to_string()).await?;
        // What was known stays to be looked at: it can be read, though not be found.
        found.extend(before.unwrap_or_default());
        found.sort_unstable();
        found.dedup();
        return Ok(found);
    }
    if !matches!(settings.namespaces, Namespaces::Recursive) {
        for left in before.unwrap_or_default().iter().filter(|it| !found.contains(it) && !it.is_empty()) {
            to.unwatch(&Scope::new(looking.realm.clone(), format!("namespaces/{left}"))).await?;
        }
    }
    let next = Cursor(serde_json::to_vec(&found).unwrap_or_default());
    // A listing of several levels is several answers.
    let atomic = !matches!(settings.namespaces, Namespaces::Recursive);
    match atomic {
        // What is configured is no word of the server on what else there is.
        true => to.cover(&scope, None, now, Cover::Delta { next }).await?,
        false => to.cover(&scope, None, now, Cover::Full { next: Some(next), atomic: false }).await?,
    }
    Ok(found)
}

fn child(parent: &str, name: &str) -> String {
    let name = name.trim_matches('/');
    if parent.is_empty() { name.to_owned() } else { format!("{parent}/{name}") }
}

fn record(looking: &Looking<'_>, namespace: &str) -> Entity {
    let key = container(&looking.realm, namespace);
    let (name, sort) = match namespace {
        "" => (looking.settings.address.as_str(), "vault_server"),
        namespace => (namespace, "vault_namespace"),
    };
    let mut entity = Entity::new(key, name)
        .with(field::CREDENTIAL_TYPE, sort.to_owned())
        .with(field::STATUS, Status::Active)
        .with(field::LAST_USED_AT, Reading::NotReported);
    if namespace.is_empty() {
        entity.facts.set(field::URL, looking.settings.address.clone());
    } else {
        entity.facts.set(field::PATH, namespace.to_owned());
    }
    entity
}

/// Where a server writes down every request: nowhere is worth a finding.
pub(super) async fn audit_devices(place: &Place<'_>, to: &mut Emitter) -> Result<(), Stopped> {
    let scope: (Scope, Option<Key>) = (place.scope("audit-devices"), Some(place.container()));
    let found = place.read::<BTreeMap<String, Value>>(Ask::get(AUDIT, &[])).await.map(|told| {
        let words = told
            .unwrap_or_default()
            .into_iter()
            .filter_map(|(name, it)| Some(format!("{} {}", name.trim_end_matches('/'), text(it.get("type"))?)));
        let entity = record(place.looking, &place.namespace).with(field::AUDIT_DEVICES, words.collect::<Vec<_>>());
        Whole { entities: vec![entity], atomic: true, denied: None }
    });
    tell::whole(place, scope, found, to).await
}

/// Says that a run sees nothing at all, and why.
pub(super) fn fatal(failure: &Failure) -> Trouble {
    Trouble { place: failure.operation.clone(), why: failure.why, said: failure.said.clone(), blind_spot: false }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rights_beyond_reading_are_named_and_those_of_every_token_are_not() {
        let acl: Acl = serde_json::from_value(json!({
            "exact_paths": {
                "auth/token/renew-self": {"capabilities": ["update"]},
                "auth/approle/role/+/secret-id-accessor/lookup": {"capabilities": ["update"]},
                "sys/auth": {"capabilities": ["read"]},
                "sys/policies/acl/x": {"capabilities": ["update", "read"]},
            },
            "glob_paths": {
                "cubbyhole/": {"capabilities": ["create", "delete"]},
                "kv/data/": {"capabilities": ["read"]},
                "kv/metadata/": {"capabilities": ["list", "read"]},
            },
        }))
        .unwrap();
        assert_eq!(more_than_reading(&acl), ["update sys/policies/acl/x", "read kv/data/*"]);
        let root: Acl = serde_json::from_value(json!({"root": true})).unwrap();
        assert_eq!(more_than_reading(&root), ["root: everything"]);
    }

    #[test]
    fn a_sealed_or_nameless_server_is_no_authority() {
        let server = |value: Value| serde_json::from_value::<Server>(value).unwrap().realm();
        assert!(server(json!({"sealed": true, "cluster_id": "x"})).unwrap_err().said.contains("sealed"));
        assert!(server(json!({"sealed": false})).is_err());
        assert_eq!(server(json!({"sealed": false, "cluster_id": "c-1"})).unwrap(), Realm::new("vault", "c-1"));
    }
}
