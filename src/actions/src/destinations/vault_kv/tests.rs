//! Secrets in a real OpenBao, and what a server may answer else.
//! It must never leave a server behind.

use provost_model::Remedy;

use super::*;
use crate::{
    given::vault_testing::{
        handed,
        openbao::{self, ROOT},
    },
    testing::{
        act,
        loopback::{Loopback, Reply},
    },
};

fn place(address: &str, token: &str, path: &str) -> Box<dyn Destination> {
    let fields = json!({ "access_key_id": "AWS_ACCESS_KEY_ID", "secret": "AWS SECRET" });
    build(&handed(address, token, &json!({ "mount": "team/kv", "path": path, "fields": fields }))).unwrap()
}

fn value(id: &str, secret: &str) -> Bundle {
    Bundle::new([("access_key_id".to_owned(), id.to_owned().into()), ("secret".to_owned(), secret.to_owned().into())])
}

fn text(bundle: &Option<Bundle>, part: &str) -> Option<String> {
    Some(bundle.as_ref()?.get(part)?.expose_secret().to_owned())
}

fn gives_up(error: &ActionError, with: &[&str]) {
    assert!(matches!(error, ActionError::GiveUp { .. }), "{error:?}");
    assert!(with.iter().all(|it| error.said().contains(it)), "{error:?}");
}

fn read(server: &openbao::Server, path: &str) -> (u64, Value) {
    let (status, answer) = server.ask("GET", path, None);
    assert_eq!(status, 200, "{answer}");
    (answer["data"]["metadata"]["version"].as_u64().unwrap(), answer["data"]["data"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_goes_beside_other_fields_and_comes_back_as_it_was() {
    let Some(server) = openbao::own() else { return };
    server.write("sys/mounts/team/kv", &json!({ "type": "kv", "options": { "version": "2" } }));
    let order = act(Remedy::Rotate);
    let place = place(&server.url(), ROOT, "prod/od d/app");
    let path = "team/kv/data/prod/od%20d/app";
    // A server makes the engine ready after it was mounted.
    for _ in 0..50 {
        if server.ask("GET", path, None).0 == 404 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(place.look().await.unwrap().version, None);

    // Where nothing was: put, put again, taken away, put upon what was taken away.
    assert_eq!(place.put(&order, &value("A1", "s\"1\\é"), None).await.unwrap(), "1");
    assert_eq!(place.put(&order, &value("A1", "s\"1\\é"), None).await.unwrap(), "1", "it is there already");
    gives_up(&place.put(&order, &value("A2", "s2"), None).await.unwrap_err(), &["none", "version 1"]);
    let held = place.look().await.unwrap();
    assert_eq!((held.version.as_deref(), text(&held.value, "secret").as_deref()), (Some("1"), Some("s\"1\\é")));
    assert!(!format!("{held:?}").contains("A1"));
    place.restore(&order, None, "1").await.unwrap();
    place.restore(&order, None, "1").await.unwrap();
    assert_eq!(server.ask("GET", path, None).0, 404);
    assert_eq!(place.look().await.unwrap().version, None);
    assert_eq!(place.put(&order, &value("A2", "s2"), None).await.unwrap(), "2");

    // Other fields stay as they are written.
    let numbers = r#""n":123456789012345678901234567890,"o":{"b":[1.10]}"#;
    let body = format!(r#"{{"data":{{"AWS SECRET":"old","AWS_ACCESS_KEY_ID":"A0",{numbers}}}}}"#);
    verbatim(&server, "POST", path, &body);
    // The server itself reads them as numbers; what it keeps of them is to stay.
    let numbers = numbers_of(&verbatim(&server, "GET", path, ""));
    let (version, old) = read(&server, path);
    assert_eq!(version, 3);
    assert_eq!(place.put(&order, &value("A5", "s5"), Some("3")).await.unwrap(), "4");
    assert_eq!(numbers_of(&verbatim(&server, "GET", path, "")), numbers);
    let (_, new) = read(&server, path);
    assert_eq!((&new["AWS SECRET"], &new["AWS_ACCESS_KEY_ID"], &new["o"]), (&json!("s5"), &json!("A5"), &old["o"]));

    // Back, once and again; upon somebody else's version never.
    place.restore(&order, Some("3"), "4").await.unwrap();
    assert_eq!(read(&server, path), (5, old.clone()));
    assert_eq!(numbers_of(&verbatim(&server, "GET", path, "")), numbers);
    place.restore(&order, Some("3"), "4").await.unwrap();
    assert_eq!(read(&server, path).0, 5, "it is back already");
    assert_eq!(place.put(&order, &value("A7", "s7"), Some("5")).await.unwrap(), "6");
    server.write(path, &json!({ "data": { "AWS_ACCESS_KEY_ID": "theirs" } }));
    gives_up(&place.restore(&order, Some("5"), "6").await.unwrap_err(), &["version 6", "version 7"]);
    gives_up(&place.restore(&order, None, "6").await.unwrap_err(), &["version 6", "version 7"]);
    gives_up(&place.put(&order, &value("A9", "s9"), Some("6")).await.unwrap_err(), &["version 6", "version 7"]);
    assert_eq!(read(&server, path), (7, json!({ "AWS_ACCESS_KEY_ID": "theirs" })));
    let held = place.look().await.unwrap();
    assert_eq!((held.version.as_deref(), held.value.is_none()), (Some("7"), true), "a part is missing");
    assert_eq!(place.put(&order, &value("A9", "s9"), Some("7")).await.unwrap(), "8");
    server.write("team/kv/destroy/prod/od%20d/app", &json!({ "versions": [7] }));
    gives_up(&place.restore(&order, Some("7"), "8").await.unwrap_err(), &["version 7 is not kept"]);

    // An engine of the first version is not taken for one of the second.
    server.write("sys/mounts/old", &json!({ "type": "kv", "options": { "version": "1" } }));
    let own = json!({ "mount": "old", "path": "a", "fields": { "secret": "S" } });
    let old = build(&handed(&server.url(), ROOT, &own)).unwrap();
    let one = Bundle::new([("secret".to_owned(), "one".to_owned().into())]);
    gives_up(&old.put(&order, &one, None).await.unwrap_err(), &["no key/value engine of version 2"]);
    gives_up(&old.check().await.unwrap_err(), &["no key/value engine of version 2"]);
    assert_eq!(server.ask("LIST", "old", None).0, 404);

    let lacking = Bundle::new([("secret".to_owned(), "hunter2".to_owned().into())]);
    gives_up(&place.put(&order, &lacking, Some("8")).await.unwrap_err(), &["fields"]);
    let said = place.check().await.unwrap();
    assert!(said.contains("signed in as token, with policies root") && said.ends_with("there is version 8"), "{said}");
    let reader = server.token("reader", r#"path "team/kv/data/*" { capabilities = ["read"] }"#);
    let poor = super::tests::place(&server.url(), &reader, "prod/od d/app");
    let said = poor.check().await.unwrap_err();
    assert!(said.said().contains("may not create team/kv/data/prod/od d/app, nor update"), "{said}");
    let refused = poor.put(&order, &value("hunter2", "hunter2"), Some("8")).await.unwrap_err();
    assert!(refused.may_repeat() && !format!("{refused:?}").contains("hunter2"), "{refused:?}");
    assert_eq!(read(&server, path).0, 8);
}

/// Asks in these very words, and gives the answer's: no reader of JSON in this program saw either.
fn verbatim(server: &openbao::Server, method: &str, path: &str, body: &str) -> String {
    use std::io::{Read as _, Write as _};
    let url = server.url();
    let mut stream = std::net::TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    let head = format!("Host: x\r\nX-Vault-Token: {ROOT}\r\nContent-Length: {}", body.len());
    write!(stream, "{method} /v1/{path} HTTP/1.0\r\n{head}\r\n\r\n{body}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
    answer
}

fn numbers_of(answer: &str) -> String {
    let (_, behind) = answer.split_once(r#""n":"#).unwrap();
    behind.split_once("}}").unwrap().0.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approle_signs_in_by_itself_in_its_namespace_and_again_when_its_token_was_taken_away() {
    let Some(server) = openbao::own() else { return };
    server.ask("POST", "sys/namespaces/eu", Some(&json!({})));
    let write = |path: &str, body: Value| {
        let (status, answer) = server.ask_in("eu", "POST", path, Some(&body));
        assert!(status < 300, "{path}: {answer}");
        answer["data"].clone()
    };
    write("sys/auth/machines", json!({ "type": "approle" }));
    write("sys/mounts/kv", json!({ "type": "kv", "options": { "version": "2" } }));
    let policy = r#"path "kv/*" { capabilities = ["read", "create", "update"] }"#;
    write("sys/policies/acl/hands", json!({ "policy": policy }));
    write("auth/machines/role/hands", json!({ "token_policies": "hands", "token_ttl": "1h" }));
    let secret_id = write("auth/machines/role/hands/secret-id", json!({}))["secret_id"].as_str().unwrap().to_owned();
    let (_, told) = server.ask_in("eu", "GET", "auth/machines/role/hands/role-id", None);
    let settings = json!({ "address": server.url(), "namespace": "/eu/", "approle_mount": "machines",
        "role_id": format!("env:{}", told["data"]["role_id"].as_str().unwrap()), "secret_id": format!("env:{secret_id}"),
        "mount": "kv", "path": "a", "fields": { "secret": "S" } });
    let place = build(&crate::testing::handed(settings)).unwrap();
    let one = Bundle::new([("secret".to_owned(), "one".to_owned().into())]);
    let order = act(Remedy::Rotate);
    assert_eq!(place.put(&order, &one, None).await.unwrap(), "1");
    assert!(place.check().await.unwrap().contains("kv/data/a; there is version 1"));

    let (_, accessors) = server.ask_in("eu", "LIST", "auth/token/accessors", None);
    for accessor in accessors["data"]["keys"].as_array().unwrap() {
        server.ask_in("eu", "POST", "auth/token/revoke-accessor", Some(&json!({ "accessor": accessor })));
    }
    // A new token is not replaced at once.
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    assert!(place.look().await.unwrap_err().may_repeat());
    assert_eq!(place.look().await.unwrap().version.as_deref(), Some("1"), "it signed in again");
}

#[tokio::test]
async fn what_became_of_a_write_without_a_clear_answer_is_not_known() {
    async fn failed(reply: impl Fn() -> Reply + Send + Sync + 'static) -> ActionError {
        let to = Loopback::start(move |asked| match asked.method.as_str() {
            "GET" if asked.target.contains("/ui/mounts/") => {
                Reply::json(r#"{"data":{"accessor":"kv_1","type":"kv","options":{"version":"2"}}}"#)
            }
            "GET" => Reply::new(404, &[], r#"{"errors":[]}"#),
            _ => reply(),
        });
        let to = to.await;
        let error =
            place(&to.origin, "t", "a").put(&act(Remedy::Rotate), &value("A", "hunter2"), None).await.unwrap_err();
        assert_eq!(to.asked().iter().filter(|it| it.method == "POST").count(), 1, "sent once");
        assert_eq!(
            to.asked()[2].body,
            r#"{"options":{"cas":0},"data":{"AWS SECRET":"hunter2","AWS_ACCESS_KEY_ID":"A"}}"#
        );
        assert!(!format!("{error:?}").contains("hunter2"));
        error
    }
    for unclear in [
        || Reply::new(500, &[], r#"{"errors":["internal error"]}"#),
        || Reply::json(r#"{"data":{"version":1}}"#).cut(1),
        || Reply::json("{}"),
    ] {
        let error = failed(unclear).await;
        assert!(matches!(error, ActionError::Ambiguous { .. }), "{error:?}");
    }
    assert!(failed(|| Reply::new(403, &[], r#"{"errors":["permission denied"]}"#)).await.may_repeat());
    let written = failed(|| Reply::new(400, &[], r#"{"errors":["check-and-set parameter did not match"]}"#)).await;
    gives_up(&written, &["did not match"]);

    // Whoever cannot read does not write: neither a place that is none, nor a proxy's answer, says that nothing is there.
    for (status, body) in [(404, r#"{"errors":["no handler for route"]}"#), (404, "<html>"), (200, "{}"), (503, "")] {
        let to = Loopback::start(move |_| Reply::new(status, &[], body)).await;
        let place = place(&to.origin, "t", "a");
        place.put(&act(Remedy::Rotate), &value("A", "s"), None).await.unwrap_err();
        place.restore(&act(Remedy::Rotate), None, "1").await.unwrap_err();
        assert!(to.asked().iter().all(|it| it.method == "GET"), "{body}");
    }
}

#[tokio::test]
async fn a_server_with_a_certificate_of_a_private_authority_is_believed_where_the_settings_name_that() {
    let to = Loopback::secure(|_| Reply::json(r#"{"data":{"data":{"S":"one"},"metadata":{"version":3}}}"#)).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), crate::testing::loopback::AUTHORITY).unwrap();
    let mut own = json!({ "mount": "kv", "path": "a", "fields": { "secret": "S" } });
    let strange = build(&handed(&to.origin, "t", &own)).unwrap();
    assert!(strange.look().await.unwrap_err().may_repeat());
    own["ca_file"] = json!(file.path());
    let known = build(&handed(&to.origin, "t", &own)).unwrap();
    assert_eq!(known.look().await.unwrap().version.as_deref(), Some("3"));
    assert_eq!(to.asked().len(), 1);
}

#[test]
fn wrong_settings_are_named_without_their_values() {
    let table = [
        (json!({ "mount": "kv", "path": "a", "fields": {} }), "`fields`"),
        (json!({ "mount": "kv", "path": "a", "fields": { "a": "X", "b": "X" } }), "`fields`"),
        (json!({ "mount": "kv", "path": "hunter2/../b", "fields": { "a": "X" } }), "`path`"),
        (json!({ "mount": "/", "path": "a", "fields": { "a": "X" } }), "`mount`"),
        (json!({ "mount": "kv", "path": "a", "fields": { "a": "X" }, "tokn": "hunter2" }), "unknown field `tokn`"),
        (json!({ "mount": "kv", "path": "a", "fields": { "a": "X" }, "role_id": "env:hunter2" }), "one way in"),
        (json!({ "mount": "kv", "path": "a", "fields": { "a": "X" }, "ca_file": "/hunter2" }), "`ca_file`"),
    ];
    for (own, says) in table {
        let said = build(&handed("https://v.example", "t", &own)).err().unwrap();
        assert!(said.starts_with(says) && !said.contains("hunter2"), "{said}");
    }
}
