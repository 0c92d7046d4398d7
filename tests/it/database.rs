//! The program on a store in a database: what it shows is what the public views show, and daemons find their own.
//! It must never put a password where the program could repeat it unnoticed.

use std::{collections::BTreeMap, fs};

use serde_json::Value;

use crate::{
    postgres::{self, Server},
    program::Place,
};

/// A place whose store is a fresh database.
fn placed(server: &Server) -> (Place, String) {
    let (place, _) = Place::grown();
    let url = server.fresh();
    let text = fs::read_to_string(place.configuration()).unwrap();
    place.write_configuration(&text.replace("[store]\n", &format!("[store]\nurl = {url:?}\n")));
    (place, url)
}

/// The rows of a view as objects, by their id.
fn seen(server: &Server, url: &str, view: &str) -> BTreeMap<String, Value> {
    let rows = server.query(url, &format!("SET timezone = 'UTC'; SELECT row_to_json(v) FROM {view} v"));
    let rows = rows.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    rows.map(|row| (row["id"].as_str().unwrap().to_owned(), row)).collect()
}

/// The moment of a time, to the second.
fn moment(value: &Value) -> Option<String> {
    value.as_str().map(|text| text[..19].to_owned())
}

#[test]
fn the_views_show_what_the_lists_show() {
    let Some(server) = postgres::shared() else { return };
    let (place, url) = placed(server);
    place.done(&["scan"]);
    let listed = place.listed(&["inventory", "list"]);
    assert!(listed.len() > 20, "{}", listed.len());
    let records = seen(server, &url, "provost_records");
    for row in &listed {
        let view = &records[row["id"].as_str().unwrap()];
        for same in ["kind", "external_id", "name", "identity", "status", "presence", "source"] {
            assert_eq!(view[same], row[same], "{same} of {row}");
        }
        for at in ["created_at", "rotated_at", "last_used_at", "expires_at"] {
            assert_eq!(view[format!("{at}_reading")], row[at]["reading"], "{at} of {row}");
            assert_eq!(moment(&view[at]), moment(&row[at]["value"]), "{at} of {row}");
        }
        for at in ["first_seen", "last_seen"] {
            assert_eq!(moment(&view[at]), moment(&row[at]), "{at} of {row}");
        }
        assert_eq!(view["attributes"], row["attributes"]);
    }
    let count = |view: &str| seen(server, &url, view).len();
    let parts = ["provost_identities", "provost_credentials", "provost_grants", "provost_people"].map(count);
    assert_eq!(parts.iter().sum::<usize>(), records.len(), "every record is in one view");
    assert!(parts[1] > 0, "{parts:?}");
    let found = place.listed(&["findings", "list"]);
    let findings = seen(server, &url, "provost_findings");
    assert!(!found.is_empty());
    for row in &found {
        let view = &findings[row["id"].as_str().unwrap()];
        for same in ["rule", "subject", "external_id", "state", "severity", "because", "resolution"] {
            assert_eq!(view[same], row[same], "{same} of {row}");
        }
        assert_eq!(moment(&view["opened_at"]), moment(&row["opened_at"]));
    }
    let runs = seen(server, &url, "provost_runs");
    assert_eq!(runs.len(), 1);
    let source = server.query(&url, "SELECT name, baseline, last_run FROM provost_sources");
    let run = runs.keys().next().unwrap();
    assert_eq!(source.trim(), format!("tree|taken|{run}"));
    let scopes = server.query(&url, "SELECT DISTINCT source, watched FROM provost_scopes");
    assert_eq!(scopes.trim(), "tree|t");
}

#[test]
fn a_daemon_answers_for_its_database_and_status_names_it() {
    let Some(server) = postgres::shared() else { return };
    let (place, url) = placed(server);
    let (daemon, _manager) = place.daemon();
    let status: Value = serde_json::from_str(&place.done(&["status", "-o", "json"]).out).unwrap();
    assert_eq!(status["store"].as_str(), Some(url.as_str()));
    assert!(status["daemon"]["pid"].as_u64() == Some(u64::from(daemon.0.id())), "{status}");
    assert_eq!(status["free_bytes"], Value::Null);
    assert!(!place.done(&["status"]).out.contains("free"));
    // The embedded store of the same place is another one: nobody answers for it.
    let text = fs::read_to_string(place.configuration()).unwrap();
    place.write_configuration(&text.replace(&format!("url = {url:?}\n"), ""));
    let other: Value = serde_json::from_str(&place.done(&["status", "-o", "json"]).out).unwrap();
    assert_eq!(other["daemon"], Value::Null);
}

#[test]
fn an_address_with_a_password_is_read_from_where_it_is_kept_and_never_said() {
    const SECRET: &str = "s3cr3t-Value";
    let (place, _) = Place::grown();
    let text = fs::read_to_string(place.configuration()).unwrap();
    let with = |url: &str| place.write_configuration(&text.replace("[store]\n", &format!("[store]\nurl = {url:?}\n")));
    with(&format!("postgres://me:{SECRET}@127.0.0.1:1/x"));
    let refused = place.say(&["config", "check"]);
    let said = format!("{}{}", refused.out, refused.err);
    assert!(refused.status != 0 && said.contains("store.url"), "{said}");
    assert!(!said.contains(SECRET), "{said}");
    let file = place.path("url");
    with(&format!("file:{}", file.display()));
    fs::write(&file, format!("mysql://me:{SECRET}@db/x\n")).unwrap();
    let refused = place.say(&["status"]);
    assert!(refused.status != 0 && !refused.err.contains(SECRET), "{}", refused.err);
    let Some(server) = postgres::shared() else { return };
    let url = server.over_tcp(&server.fresh(), server.port());
    fs::write(&file, format!("{url}\n")).unwrap();
    let said = place.done(&["status"]);
    assert!(
        said.out.contains(&format!("file:{}", file.display())) && !said.out.contains("only-for-tests"),
        "{}",
        said.out
    );
    fs::write(&file, url.replace("only-for-tests", SECRET)).unwrap();
    let refused = place.say(&["status"]);
    assert!(refused.status != 0 && refused.err.contains("password authentication failed"), "{}", refused.err);
    assert!(!refused.err.contains(SECRET), "{}", refused.err);
}
