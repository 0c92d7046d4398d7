//! Does the inventory say what the server's own client and interface say, field by field, and nothing else?
//! It must never compare with anything the connector computed.

use std::collections::BTreeSet;

use provost_model::{Entity, Kind, Reading, Span, Status, Time, field};
use serde_json::{Value, json};

use super::{
    openbao::{self, ROOT, Server},
    postgres,
    run::{run, source, with_token},
};
use crate::Bookmarks;

fn time(value: &Value) -> Time {
    match value {
        Value::String(text) => text.parse().unwrap(),
        other => Time::from_seconds(other.as_i64().unwrap()),
    }
}

fn keys(value: &Value) -> Vec<String> {
    value["keys"].as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned()).collect()
}

/// The data under a path, by the server's interface.
fn told(server: &Server, method: &str, path: &str) -> Value {
    let (status, answer) = server.ask(method, path, None);
    assert_eq!(status, 200, "{path}: {answer}");
    answer["data"].clone()
}

/// An estate with something of everything.
pub(super) fn seed(server: &Server) {
    server.write("sys/auth/approle", &json!({"type": "approle"}));
    server.write("sys/auth/userpass", &json!({"type": "userpass"}));
    let policy = |text: &str| json!({ "policy": text });
    server.write("sys/policies/acl/reader", &policy("path \"secret/data/*\" { capabilities = [\"read\"] }"));
    let boss = "# all\npath \"*\" { capabilities = [\"create\", \"update\", \"sudo\"] }";
    server.write("sys/policies/acl/boss", &policy(boss));
    server.write("sys/policies/acl/sneaky", &policy("path \"sys/policies/acl/+\" { capabilities = [\"update\"] }"));
    for number in 1..=3 {
        let role = format!("auth/approle/role/app{number}");
        let policies = if number == 3 { "boss" } else { "reader" };
        server.write(
            &role,
            &json!({"token_policies": policies, "secret_id_ttl": format!("{}h", number * 24),
            "secret_id_num_uses": number - 1, "token_max_ttl": "4h", "secret_id_bound_cidrs": ["127.0.0.0/8"]}),
        );
        for _ in 0..number {
            let body = json!({"metadata": format!("{{\"owner\":\"team{number}@corp.test\"}}")});
            server.write(&format!("{role}/secret-id"), &body);
        }
    }
    server.write("auth/approle/role/open", &json!({"bind_secret_id": false, "token_bound_cidrs": ["127.0.0.1/32"]}));
    for number in 1..=2 {
        let path = format!("secret/data/prod/db{number}");
        server.write(&path, &json!({"data": {"password": "hunter2-hunter2-hunter2"}}));
        server.write(&path, &json!({"data": {"password": "hunter3-hunter3-hunter3"}}));
        let metadata = json!({"custom_metadata": {"owner": format!("team{number}"), "rotation_period": "90d"}});
        server.write(&format!("secret/metadata/prod/db{number}"), &metadata);
    }
    server.write("secret/data/top", &json!({"data": {"a": "b"}}));
    server.write("secret/data/od%20d/x%25y", &json!({"data": {"a": "b"}}));
    server.delete("secret/data/top");
    server.write("sys/mounts/team/old", &json!({"type": "kv", "options": {"version": "1"}}));
    server.write("team/old/deep/er", &json!({"a": "b"}));
    server.write("sys/mounts/transit", &json!({"type": "transit"}));
    server.write("transit/keys/payments", &json!({"auto_rotate_period": "720h"}));
    server.write("transit/keys/payments/rotate", &json!({}));
    server.write("transit/keys/sig", &json!({"type": "ecdsa-p256", "exportable": true}));
    server.write("sys/mounts/pki", &json!({"type": "pki", "config": {"max_lease_ttl": "87600h"}}));
    server.write("pki/root/generate/internal", &json!({"common_name": "corp.test", "ttl": "87600h"}));
    server.write("pki/roles/web", &json!({"allowed_domains": "corp.test", "allow_subdomains": true, "max_ttl": "72h"}));
    for number in 1..=3 {
        let body = json!({"common_name": format!("api{number}.corp.test"), "ttl": "24h"});
        let issued = server.write("pki/issue/web", &body);
        if number == 1 {
            server.write("pki/revoke", &json!({"serial_number": issued["serial_number"]}));
        }
    }
    let entity =
        server.write("identity/entity", &json!({"name": "ci-bot", "policies": "sneaky", "metadata": {"owner": "t1"}}));
    let role_id = told(server, "GET", "auth/approle/role/app1/role-id")["role_id"].clone();
    let accessor = told(server, "GET", "sys/auth")["approle/"]["accessor"].clone();
    let alias = json!({"name": role_id, "canonical_id": entity["id"], "mount_accessor": accessor});
    server.write("identity/entity-alias", &alias);
    server.write("identity/group", &json!({"name": "bots", "policies": "reader", "member_entity_ids": [entity["id"]]}));
    server.write("auth/token/create", &json!({"policies": ["default"], "period": "24h", "display_name": "periodic"}));
    server.write("auth/token/create-orphan", &json!({"policies": ["default"], "ttl": "24h", "display_name": "ci"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inventory_says_what_the_server_says() {
    let Some(server) = openbao::own() else { return };
    seed(&server);
    let eyes = with_token(&server.url(), ROOT, json!({}));
    let (result, said) = run(&*eyes, &Bookmarks::default()).await;
    result.unwrap();
    assert_eq!(said.amiss(), Vec::<String>::new());
    assert_eq!(said.blind(), BTreeSet::new(), "root sees everything");
    let cluster = server.ask("GET", "sys/seal-status", None).1["cluster_id"].clone();
    assert_eq!(said.realm, format!("vault:{}", cluster.as_str().unwrap()));
    assert_eq!(said.eyes.as_ref().unwrap().0, Reading::Known(vec!["root: everything".to_owned()]));

    approles(&server, &said);
    policies(&server, &said);
    secrets(&server, &said);
    certificates(&server, &said);
    transit(&server, &said);
    identities(&server, &said);
    tokens(&server, &said);

    let mounts: BTreeSet<String> = ["sys/auth", "sys/mounts"]
        .iter()
        .flat_map(|it| told(&server, "GET", it).as_object().unwrap().values().cloned().collect::<Vec<_>>())
        .map(|it| it["accessor"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(said.of(Kind::IdentityProvider).into_keys().collect::<BTreeSet<_>>(), mounts);
    let root = said.of(Kind::Application).remove("server").unwrap();
    assert_eq!(root.facts.get(field::AUDIT_DEVICES), Reading::Known(vec!["main file".to_owned()]));
}

fn approles(server: &Server, said: &super::run::Said) {
    let accessor = told(server, "GET", "sys/auth")["approle/"]["accessor"].as_str().unwrap().to_owned();
    let roles = said.of(Kind::ServiceAccount);
    let names = keys(&json!({"keys": server.says(&["list", "auth/approle/role"])}));
    let wanted: BTreeSet<String> = names.iter().map(|it| format!("{accessor}/{it}")).collect();
    assert_eq!(roles.keys().cloned().collect::<BTreeSet<_>>(), wanted);
    let mut accessors = BTreeSet::new();
    for name in &names {
        let entity = &roles[&format!("{accessor}/{name}")];
        let truth = told(server, "GET", &format!("auth/approle/role/{name}"));
        let id = told(server, "GET", &format!("auth/approle/role/{name}/role-id"));
        assert_eq!(entity.facts.get(field::CLIENT_ID).known().as_deref(), id["role_id"].as_str());
        let mut policies: Vec<String> = serde_json::from_value(truth["token_policies"].clone()).unwrap();
        policies.push("default".to_owned());
        assert_eq!(entity.facts.get(field::POLICIES), Reading::Known(policies));
        assert_eq!(entity.facts.get(field::ADMIN), Reading::Known(name == "app3"), "{name}");
        let most = truth["token_max_ttl"].as_i64().filter(|it| *it > 0);
        assert_eq!(entity.facts.get(field::LIFETIME), most.map_or(Reading::NotReported, Reading::Known));
        assert_eq!(entity.facts.get(field::LOGIN_BOUND), Reading::Known(true));
        let (status, listed) = server.ask("LIST", &format!("auth/approle/role/{name}/secret-id"), None);
        if status == 200 {
            accessors.extend(keys(&listed["data"]).into_iter().map(|it| (name.clone(), it)));
        }
    }
    let found = said.of(Kind::ClientSecret);
    assert_eq!(found.len(), 6);
    assert_eq!(found.len(), accessors.len());
    for (role, id) in accessors {
        let entity = &found[&format!("{accessor}/{role}/{id}")];
        let path = format!("auth/approle/role/{role}/secret-id-accessor/lookup");
        let truth = server.write(&path, &json!({"secret_id_accessor": id}));
        assert_eq!(entity.facts.get(field::KEY_ID), Reading::Known(id));
        assert_eq!(entity.facts.get(field::CREATED_AT), Reading::Known(time(&truth["creation_time"])));
        assert_eq!(entity.facts.get(field::EXPIRES_AT), Reading::Known(time(&truth["expiration_time"])));
        let uses = truth["secret_id_num_uses"].as_i64().unwrap();
        assert_eq!(entity.facts.get(field::USES_LEFT), if uses == 0 { Reading::Never } else { Reading::Known(uses) });
        let owner = truth["metadata"]["owner"].as_str().unwrap();
        assert_eq!(entity.facts.get(field::TAGS).known().unwrap()["owner"], owner);
        assert_eq!(entity.identity, Some(roles[&format!("{accessor}/{role}")].key.clone()));
    }
}

fn policies(server: &Server, said: &super::run::Said) {
    let found = said.of(Kind::Policy);
    let mut names = keys(&told(server, "LIST", "sys/policies/acl"));
    names.sort_unstable();
    assert_eq!(found.keys().cloned().collect::<Vec<_>>(), names);
    let admins: Vec<&str> = found
        .iter()
        .filter(|(_, it)| it.facts.get(field::ADMIN) == Reading::Known(true))
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(admins, ["boss", "root", "sneaky"]);
    assert_eq!(found["boss"].facts.get(field::SUDO_PATHS), Reading::Known(vec!["*".to_owned()]));
}

fn secrets(server: &Server, said: &super::run::Said) {
    let mounts = told(server, "GET", "sys/mounts");
    let accessor = |mount: &str| mounts[mount]["accessor"].as_str().unwrap().to_owned();
    let found = said.of(Kind::Secret);
    let kv = accessor("secret/");
    let paths = ["prod/db1", "prod/db2", "top", "od d/x%y"];
    let mut wanted: BTreeSet<String> = paths.iter().map(|it| format!("{kv}/{it}")).collect();
    wanted.insert(format!("{}/deep/er", accessor("team/old/")));
    wanted.extend(["payments", "sig"].map(|it| format!("{}/{it}", accessor("transit/"))));
    assert_eq!(found.keys().cloned().collect::<BTreeSet<_>>(), wanted);
    for path in paths {
        let encoded = path.replace('%', "%25").replace(' ', "%20");
        let truth = told(server, "GET", &format!("secret/metadata/{encoded}"));
        let entity = &found[&format!("{kv}/{path}")];
        let current = truth["current_version"].as_i64().unwrap();
        let version = &truth["versions"][current.to_string()];
        assert_eq!(entity.facts.get(field::CREATED_AT), Reading::Known(time(&truth["created_time"])));
        assert_eq!(entity.facts.get(field::ROTATED_AT), Reading::Known(time(&version["created_time"])));
        assert_eq!(entity.facts.get(field::VERSION_COUNT), Reading::Known(current));
        let status = if path == "top" { Status::Inactive } else { Status::Active };
        assert_eq!(entity.facts.get(field::STATUS), Reading::Known(status));
        let owner = truth["custom_metadata"]["owner"].as_str();
        assert_eq!(entity.facts.get(field::TAGS).known().unwrap().get("owner").map(String::as_str), owner);
        if owner.is_some() {
            let due = time(&version["created_time"]) + Span::days(90);
            assert_eq!(entity.facts.get(field::NEXT_ROTATION_AT), Reading::Known(due));
        }
    }
    let old = &found[&format!("{}/deep/er", accessor("team/old/"))];
    assert_eq!(old.facts.get(field::CREATED_AT), Reading::NotReported);
}

fn certificates(server: &Server, said: &super::run::Said) {
    let accessor = told(server, "GET", "sys/mounts")["pki/"]["accessor"].as_str().unwrap().to_owned();
    let serials = keys(&json!({"keys": server.says(&["list", "pki/certs"])}));
    let revoked = keys(&told(server, "LIST", "pki/certs/revoked"));
    let found = said.of(Kind::Certificate);
    assert_eq!(
        found.keys().cloned().collect::<BTreeSet<_>>(),
        serials.iter().map(|it| format!("{accessor}/{it}")).collect()
    );
    assert_eq!((serials.len(), revoked.len()), (4, 1));
    for serial in &serials {
        let entity = &found[&format!("{accessor}/{serial}")];
        let detailed = &told(server, "LIST", "pki/certs/detailed")["key_info"][serial];
        assert_eq!(entity.facts.get(field::EXPIRES_AT), Reading::Known(time(&detailed["not_after"])));
        let name = entity.facts.get(field::NAME).known().unwrap();
        assert_eq!(name, detailed["common_name"].as_str().unwrap());
        let status = if revoked.contains(serial) { Status::Inactive } else { Status::Active };
        assert_eq!(entity.facts.get(field::STATUS), Reading::Known(status));
        assert_eq!(entity.facts.get(field::SERIAL).known().unwrap(), serial.replace(':', ""));
        assert!(entity.facts.get(field::FINGERPRINT).known().unwrap().to_lowercase().starts_with("sha256:"));
        assert_eq!(entity.facts.get(field::ISSUER).known().unwrap(), "CN=corp.test");
    }
}

fn transit(server: &Server, said: &super::run::Said) {
    let accessor = told(server, "GET", "sys/mounts")["transit/"]["accessor"].as_str().unwrap().to_owned();
    let truth = told(server, "GET", "transit/keys/payments");
    let entity = said.of(Kind::Secret).remove(&format!("{accessor}/payments")).unwrap();
    let rotated = time(&truth["keys"]["2"]);
    assert_eq!(entity.facts.get(field::CREATED_AT), Reading::Known(time(&truth["keys"]["1"])));
    assert_eq!(entity.facts.get(field::ROTATED_AT), Reading::Known(rotated));
    assert_eq!(entity.facts.get(field::ROTATION_DUE_AT), Reading::Known(rotated + Span::days(30)));
    assert_eq!(entity.facts.get(field::OLDEST_VERSION_ACCEPTED), Reading::Known(1));
    let sig = said.of(Kind::Secret).remove(&format!("{accessor}/sig")).unwrap();
    assert_eq!(sig.facts.get(field::EXPORTABLE), Reading::Known(true));
    assert_eq!(sig.facts.get(field::ROTATION), Reading::Known("off".to_owned()));
}

fn identities(server: &Server, said: &super::run::Said) {
    let ids = keys(&told(server, "LIST", "identity/entity/id"));
    let found = said.of(Kind::User);
    assert_eq!(found.keys().cloned().collect::<BTreeSet<_>>(), ids.iter().cloned().collect());
    let truth = told(server, "GET", &format!("identity/entity/id/{}", ids[0]));
    let entity = &found[&ids[0]];
    assert_eq!(entity.facts.get(field::NAME).known().as_deref(), truth["name"].as_str());
    assert_eq!(entity.facts.get(field::CREATED_AT), Reading::Known(time(&truth["creation_time"])));
    assert_eq!(entity.facts.get(field::ADMIN), Reading::Known(true), "it may write policies");
    let groups: Vec<String> = serde_json::from_value(truth["group_ids"].clone()).unwrap();
    assert_eq!(entity.facts.get(field::GROUPS), Reading::Known(groups.clone()));
    let role = said.named(Kind::ServiceAccount, "app1");
    assert_eq!(entity.facts.get(field::CLIENT_ID), role.facts.get(field::CLIENT_ID), "the key by which both are one");
    assert_eq!(said.of(Kind::Group).into_keys().collect::<Vec<_>>(), groups);
}

fn tokens(server: &Server, said: &super::run::Said) {
    let found = said.of(Kind::Token);
    let accessors: BTreeSet<String> = keys(&told(server, "LIST", "auth/token/accessors")).into_iter().collect();
    assert_eq!(found.keys().cloned().collect::<BTreeSet<_>>(), accessors);
    for accessor in accessors {
        let truth = server.write("auth/token/lookup-accessor", &json!({ "accessor": accessor }));
        let entity = &found[&accessor];
        assert_eq!(entity.facts.get(field::NAME).known().as_deref(), truth["display_name"].as_str());
        let ends = truth["expire_time"].as_str().map_or(Reading::Never, |it| Reading::Known(it.parse().unwrap()));
        assert_eq!(entity.facts.get(field::EXPIRES_AT), ends);
        assert_eq!(entity.facts.get(field::ORPHAN), Reading::Known(truth["orphan"].as_bool().unwrap()));
        let period = truth["period"].as_i64().map_or(Reading::Never, Reading::Known);
        assert_eq!(entity.facts.get(field::PERIOD), period);
        let root = truth["policies"].as_array().unwrap().contains(&json!("root"));
        assert_eq!(entity.facts.get(field::ADMIN), Reading::Known(root));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_account_is_known_by_its_rotations_and_never_by_its_password() {
    let (Some(server), Some(database)) = (openbao::own(), postgres::shared()) else { return };
    let url = database.fresh();
    let database_url = database.over_tcp(&url, database.port());
    let rest = database_url.split_once('@').unwrap().1.to_owned();
    database.query(&url, "DROP ROLE IF EXISTS svc_app; CREATE ROLE svc_app LOGIN PASSWORD 'old'");
    server.write("sys/mounts/database", &json!({"type": "database"}));
    let password =
        database_url.split_once("postgres:").unwrap().1.split_once(':').unwrap().1.split_once('@').unwrap().0;
    server.write(
        "database/config/pg",
        &json!({"plugin_name": "postgresql-database-plugin", "allowed_roles": "*",
        "connection_url": format!("postgresql://{{{{username}}}}:{{{{password}}}}@{rest}"),
        "username": "postgres", "password": password}),
    );
    server.write(
        "database/static-roles/svc",
        &json!({"db_name": "pg", "username": "svc_app", "rotation_period": 86_400}),
    );
    let creation = "CREATE ROLE \"{{name}}\" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}';";
    server.write("database/roles/ro", &json!({"db_name": "pg", "creation_statements": creation, "max_ttl": "24h"}));
    assert_eq!(server.ask("GET", "database/creds/ro", None).0, 200);
    let eyes = with_token(&server.url(), ROOT, json!({}));
    let (result, said) = run(&*eyes, &Bookmarks::default()).await;
    result.unwrap();
    assert_eq!(said.amiss(), Vec::<String>::new());
    let truth = told(&server, "GET", "database/static-roles/svc");
    let rotated = time(&truth["last_vault_rotation"]);
    let found = said.named(Kind::Password, "svc");
    assert_eq!(found.facts.get(field::ROTATED_AT), Reading::Known(rotated));
    assert_eq!(found.facts.get(field::ROTATION_DUE_AT), Reading::Known(rotated + Span::days(1)));
    assert_eq!(found.facts.get(field::USERNAME).known().as_deref(), Some("svc_app"));
    assert_eq!(found.identity, Some(said.named(Kind::ServiceAccount, "svc").key));
    let maker = said.named(Kind::Role, "ro");
    assert_eq!(maker.facts.get(field::LIFETIME), Reading::Known(86_400));
    assert_eq!(maker.facts.get(field::LEASES), Reading::Known(1));

    // Rotated by hand: seen when its turn comes, or at once where all is swept.
    let (_, warm) = run(&*eyes, &said.next).await;
    assert_eq!(warm.calls.get("GET /v1/{mount}/static-roles/{role}"), None, "not before its time");
    server.write("database/rotate-role/svc", &json!({}));
    let now = Bookmarks { sweep_now: true, ..said.next.clone() };
    let (_, swept) = run(&*eyes, &now).await;
    let again = time(&told(&server, "GET", "database/static-roles/svc")["last_vault_rotation"]);
    assert!(again > rotated);
    assert_eq!(swept.named(Kind::Password, "svc").facts.get(field::ROTATED_AT), Reading::Known(again));
}

#[tokio::test(flavor = "multi_thread")]
async fn namespaces_are_looked_into_each_by_itself() {
    let Some(server) = openbao::own() else { return };
    server.write("sys/namespaces/team-a", &json!({}));
    assert!(server.ask_in("team-a", "POST", "sys/namespaces/sub", Some(&json!({}))).0 < 300);
    for namespace in ["team-a", "team-a/sub"] {
        let mount = json!({"type": "kv", "options": {"version": "2"}});
        assert!(server.ask_in(namespace, "POST", "sys/mounts/kv", Some(&mount)).0 < 300);
        std::thread::sleep(std::time::Duration::from_millis(300));
        let body = json!({"data": {"a": "b"}});
        let (status, answer) = server.ask_in(namespace, "POST", "kv/data/same", Some(&body));
        assert!(status < 300, "{answer}");
    }
    let eyes = with_token(&server.url(), ROOT, json!({"namespaces": "recursive"}));
    let (result, said) = run(&*eyes, &Bookmarks::default()).await;
    result.unwrap();
    assert_eq!(said.amiss(), Vec::<String>::new());
    let names: BTreeSet<String> =
        said.of(Kind::Secret).into_values().filter_map(|it| it.facts.get(field::NAME).known()).collect();
    assert_eq!(names, ["team-a/kv/same", "team-a/sub/kv/same"].map(str::to_owned).into());
    let spaces: Vec<String> = said.of(Kind::Application).into_keys().collect();
    assert_eq!(spaces, ["namespace/team-a", "namespace/team-a/sub", "server"]);
    assert!(said.covers.contains_key("namespaces/team-a/sub/./kv/kv"), "{:?}", said.covers);
    let own = with_token(&server.url(), ROOT, json!({}));
    let (_, said) = run(&*own, &Bookmarks::default()).await;
    assert!(said.of(Kind::Secret).is_empty(), "the root has none of its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_signs_in_as_an_approle_and_the_audit_log_shows_who_uses_what() {
    let Some(server) = openbao::own() else { return };
    seed(&server);
    let policy = r#"path "*" { capabilities = ["read", "list", "scan", "sudo"] }
        path "auth/approle/role/+/secret-id-accessor/lookup" { capabilities = ["update"] }
        path "auth/token/lookup-accessor" { capabilities = ["update"] }"#;
    server.write("sys/policies/acl/lookout", &json!({ "policy": policy }));
    server.write("auth/approle/role/eyes", &json!({"token_policies": "lookout", "token_ttl": "1h"}));
    let role_id = told(&server, "GET", "auth/approle/role/eyes/role-id")["role_id"].as_str().unwrap().to_owned();
    let secret_id = server.write("auth/approle/role/eyes/secret-id", &json!({}));
    let secret_id = secret_id["secret_id"].as_str().unwrap();
    let reader = server.token("just-reads", "path \"secret/data/*\" { capabilities = [\"read\"] }");
    assert_eq!(server.ask_as(&reader, "GET", "secret/data/prod/db1").0, 200);
    let settings = json!({"address": server.url(), "role_id": "env:R", "secret_id": "env:S", "pace": "full",
        "audit_log": server.audit_log()});
    let eyes = source(settings, &[("env:R", &role_id), ("env:S", &format!("{secret_id}\n"))]);
    let (result, said) = run(&*eyes, &Bookmarks::default()).await;
    result.unwrap();
    assert_eq!(said.eyes.as_ref().unwrap().1, Reading::Never, "it gets new tokens by itself");
    assert_eq!(said.calls["POST /v1/auth/{mount}/login"], 1);
    assert_eq!(said.eyes.as_ref().unwrap().0, Reading::Known(vec!["sudo *".to_owned()]));
    let eyes_role = said.named(Kind::ServiceAccount, "eyes");
    assert!(eyes_role.facts.get(field::LAST_USED_AT).known().is_some(), "it just signed in");
    assert_eq!(said.named(Kind::ServiceAccount, "app1").facts.get(field::LAST_USED_AT), Reading::NotReported);
    let looked_by = |it: &Entity| it.facts.get(field::LOOKED_BY) == Reading::Known(true);
    let own: Vec<Kind> = said.entities.iter().filter(|(_, it)| looked_by(it)).map(|(_, it)| it.key.kind).collect();
    assert!(looked_by(&eyes_role) && own.contains(&Kind::Token) && own.len() == 2, "its role and its token: {own:?}");
    let read = said.named(Kind::Secret, "secret/prod/db1");
    let readers = read.facts.get(field::READERS).known().unwrap();
    assert_eq!(readers.keys().map(String::as_str).collect::<Vec<_>>(), ["token"]);
    assert!(said.named(Kind::Secret, "secret/prod/db2").facts.get(field::READERS).known().is_none());
    let (_, warm) = run(&*eyes, &said.next).await;
    assert_eq!(warm.calls.get("POST /v1/auth/{mount}/login"), None, "one login serves several runs");
    assert!(warm.entities.iter().all(|(scope, _)| !scope.ends_with("/reads")), "what was told is not told again");
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_are_allowed_become_fingerprints_and_nothing_else_is_read() {
    let Some(server) = openbao::own() else { return };
    let planted = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzzzzzzTEST";
    let aws = json!({"aws_access_key_id": "AKIAIOSFODNN7TESTING", "aws_secret_access_key": planted, "note": "short"});
    server.write("secret/data/prod/aws", &json!({ "data": aws }));
    server.write("secret/data/prod/plain", &json!({"data": {"blob": "q7XkP2mR9vT4wZ8nB3cF6hJ1"}}));
    server.write("secret/data/other", &json!({"data": {"password": "hunter2-hunter2-hunter2"}}));
    let eyes = with_token(&server.url(), ROOT, json!({"read_values": ["secret/prod"]}));
    let (result, said) = run(&*eyes, &Bookmarks::default()).await;
    result.unwrap();
    assert_eq!(said.amiss(), Vec::<String>::new());
    let key = said.named(Kind::AccessKey, "secret/prod/aws#aws_secret_access_key");
    assert_eq!(key.facts.get(field::OPENS).known().as_deref(), Some("AKIAIOSFODNN7TESTING"));
    assert!(key.facts.get(field::FINGERPRINT).known().unwrap().starts_with("k1:"));
    assert_eq!(key.container, Some(said.named(Kind::Secret, "secret/prod/aws").key));
    let blob = said.named(Kind::Secret, "secret/prod/plain#blob");
    assert!(blob.facts.get(field::FINGERPRINT).known().is_some());
    let values: u64 = said.calls.iter().filter(|(read, _)| read.contains("/data/")).map(|(_, sent)| sent).sum();
    assert_eq!(values, 2);
    let everything = format!("{:?} {:?}", said.entities, said.troubles);
    for secret in [planted, "q7XkP2mR9vT4wZ8nB3cF6hJ1", "hunter2"] {
        assert!(!everything.contains(secret), "a value was kept");
    }
    assert!(everything.contains("AKIAIOSFODNN7TESTING"), "the search finds what is there");

    let (_, warm) = run(&*eyes, &said.next).await;
    assert!(warm.calls.keys().all(|read| !read.contains("/data/")), "{:?}", warm.calls);
    server.write("secret/data/prod/plain", &json!({"data": {"blob": "z1YkP2mR9vT4wZ8nB3cF6hJ2"}}));
    let (_, next) = run(&*eyes, &warm.next).await;
    let turned = next.named(Kind::Secret, "secret/prod/plain#blob");
    assert_ne!(turned.facts.get(field::FINGERPRINT), blob.facts.get(field::FINGERPRINT));
}
