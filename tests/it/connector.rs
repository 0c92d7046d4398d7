//! Manifests as an operator meets them: written, checked, tried, trusted, changed.
//! It must never let a credential reach a provider for a manifest that nobody trusts.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    sync::{Arc, Mutex},
    thread,
};

use sha2::{Digest as _, Sha256};

use crate::program::Place;

/// A manifest of one list.
const ACME: &str = r#"name = "acme"
title = "Acme"
about = "keys of one tenant"
version = 1
documentation = ["https://acme.example/docs"]
base = "https://api.acme.example"
auth = [{ bearer = "token" }]
slots = { token = "a token" }
realm = { get = "/me", at = "/tenant" }
records = "/keys"
id = "/id"
[[list]]
scope = "keys"
get = "/keys"
make = [{ kind = "token", not_reported = ["last_used_at"], fields = { name = "/label", created_at = "/created",
  expires_at = { at = "/expires", null = "never" } } }]
"#;
/// What an operator would bind the slot to.
const SECRET: &str = "acme-secret-of-this-test";

/// A provider on this machine, and the heads of the requests it saw. Ends with the process.
fn provider() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&seen);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, noted) = (stream.unwrap(), Arc::clone(&noted));
            thread::spawn(move || {
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") {
                    if stream.read(&mut byte).unwrap_or(0) == 0 {
                        return;
                    }
                    head.push(byte[0]);
                }
                let head = String::from_utf8(head).unwrap();
                let body = if head.starts_with("GET /me ") {
                    r#"{"tenant": "t-1"}"#
                } else {
                    r#"{"keys": [{"id": "k1", "label": "ci", "created": "2026-01-01T00:00:00Z", "expires": null}]}"#
                };
                noted.lock().unwrap().push(head);
                let length = body.len();
                let _ = write!(
                    stream,
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
                );
            });
        }
    });
    (url, seen)
}

#[test]
fn a_manifest_becomes_a_connector_when_it_is_trusted_and_ends_being_one_when_it_changes() {
    let (url, seen) = provider();
    let place = Place::new().with([("ACME_TOKEN", SECRET)]);
    let directory = place.path("config/provost/connectors");
    fs::create_dir_all(&directory).unwrap();
    let file = directory.join("acme.toml");
    let shown = file.to_str().unwrap();

    // Lint names the place of every fault.
    fs::write(
        &file,
        ACME.replace("not_reported = [\"last_used_at\"], ", "").replace("\"/keys\"\nmake", "\"keys\"\nmake"),
    )
    .unwrap();
    let said = place.say(&["connector", "lint", shown]);
    assert_eq!(said.status, 2);
    let lines: Vec<&str> = said.out.lines().collect();
    assert_eq!(lines.len(), 2, "{said:?}");
    assert!(lines[0].starts_with(&format!("{shown}:14:7: a path begins with /")), "{said:?}");
    assert!(lines[1].starts_with(&format!("{shown}:15:18: nothing is said of last_used_at")), "{said:?}");
    fs::write(&file, ACME).unwrap();
    assert_eq!(place.done(&["connector", "lint", shown]).err, format!("{shown}: no problems, 1 list\n"));

    // Before it is trusted it can be tried against a mock server, without a credential, and it is no connector.
    let said = place.done(&["connector", "try", shown, "--base", &url]);
    assert!(said.out.contains("acme:t-1") && said.out.contains("expires_at=never"), "{said:?}");
    assert!(seen.lock().unwrap().iter().all(|head| head.contains("Bearer test-token") && !head.contains(SECRET)));
    seen.lock().unwrap().clear();
    let source =
        format!("[[sources]]\nname = \"acme\"\nconnector = \"acme\"\ntoken = \"env:ACME_TOKEN\"\nbase_url = {url:?}\n");
    place.write_configuration(&format!("[store]\nmin_free = \"1MiB\"\n{source}"));
    let said = place.say(&["config", "check"]);
    assert!(said.status == 2 && said.out.contains("acme.toml is not trusted"), "{said:?}");
    let said = place.say(&["connector", "try", shown, "--source", "acme"]);
    assert!(said.status == 2 && said.err.contains("is not trusted, so no credential is sent"), "{said:?}");
    assert!(seen.lock().unwrap().is_empty());

    // A file elsewhere cannot be trusted; this one can, and the pins are what sha256sum writes.
    let elsewhere = place.path("home/acme.toml");
    fs::write(&elsewhere, ACME).unwrap();
    assert_eq!(place.say(&["connector", "trust", elsewhere.to_str().unwrap()]).status, 2);
    let said = place.done(&["connector", "trust", shown]);
    assert!(said.out.contains("https://api.acme.example") && said.out.contains("GET /keys"), "{said:?}");
    let digest = hex::encode(Sha256::digest(ACME.as_bytes()));
    assert_eq!(fs::read_to_string(directory.join("trusted.sha256")).unwrap(), format!("{digest}  acme.toml\n"));

    // Now it looks, with the credential that the configuration binds, where the configuration says.
    let said = place.done(&["connector", "try", shown, "--source", "acme"]);
    assert!(said.out.contains("ci") && !said.out.contains(SECRET), "{said:?}");
    place.done(&["scan"]);
    let records = place.listed(&["inventory", "list"]);
    assert_eq!(records.len(), 1);
    assert_eq!(records[0]["external_id"], "k1");
    assert!(seen.lock().unwrap().iter().all(|head| head.contains(&format!("Bearer {SECRET}"))));

    // Without a confirmed address it is refused, and when a letter of it changes too.
    let unconfirmed = source.replace(&format!("base_url = {url:?}\n"), "");
    place.write_configuration(&unconfirmed);
    let said = place.say(&["config", "check"]);
    assert!(said.status == 2 && said.out.contains("base_url is missing: confirm"), "{said:?}");
    place.write_configuration(&source);
    seen.lock().unwrap().clear();
    fs::write(&file, ACME.replace("\"/label\"", "\"/id\"")).unwrap();
    let said = place.say(&["scan"]);
    assert!(said.status != 0 && said.err.contains("changed since it was trusted"), "{said:?}");
    assert!(seen.lock().unwrap().is_empty());
    place.done(&["connector", "trust", shown]);
    place.done(&["config", "check"]);
}
