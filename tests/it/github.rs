//! The whole program against GitHub's counterpart: what is made shows, what is deleted goes with its time, what may not be
//! seen is not permitted.
//! It must never take the connector's word for what the organization holds.

#[path = "../servers/github/mod.rs"]
mod counterpart;

use provost_connectors::github::documents;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use self::counterpart::{
    estate::{Estate, key, secret},
    server::{Fault, Server},
};
use crate::program::Place;

/// A place with one source, and an organization of forty repositories, every second with a deploy key.
struct Eyes {
    server: Server,
    place: Place,
    /// Serves until it is dropped.
    _runtime: Runtime,
}

impl Eyes {
    fn open() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mut estate = Estate::of(40, 20);
        estate.rows.insert("actions/secrets".into(), vec![secret("DEPLOY"), secret("PUBLISH")]);
        estate.repo(30).rows.insert("actions/secrets".into(), vec![secret("TOKEN_OF_30")]);
        let server = runtime.block_on(Server::start(estate));
        let place = Place::new().with([("EYES_TOKEN", "test-token")]);
        place.write_configuration(&format!(
            "[store]\nmin_free = \"1MiB\"\n[[sources]]\nname = \"acme\"\nconnector = \"github\"\npace = \"full\"\n\
             base_url = {:?}\ntoken = \"env:EYES_TOKEN\"\norganizations = [\"acme\"]\n",
            server.url
        ));
        Self { server, place, _runtime: runtime }
    }

    fn scan(&self, more: &[&str]) -> Value {
        let said = self.place.say(&[&["scan", "--output", "json"], more].concat());
        let runs: Value = serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"));
        assert_eq!(self.server.violations(), [""; 0]);
        runs[0].clone()
    }

    /// Everything that was ever seen.
    fn rows(&self) -> Vec<Value> {
        self.place.listed(&["inventory", "list", "--presence", "present,missing,gone,unwatched"])
    }

    /// The one record of that name.
    fn named(&self, name: &str) -> Value {
        let mut found = self.rows().into_iter().filter(|row| row["name"] == name);
        let row = found.next().unwrap_or_else(|| panic!("there is no {name}"));
        assert!(found.next().is_none(), "two of {name}");
        row
    }

    /// Since when a record is gone, as its history says.
    fn gone_at(&self, name: &str) -> String {
        let row = self.named(name);
        assert_eq!(row["presence"], "gone", "{row:#}");
        let id = row["id"].as_str().unwrap();
        let said = self.place.say(&["inventory", "history", id, "--output", "json"]);
        let lines: Vec<Value> = serde_json::from_str(&said.out).unwrap();
        let line = lines.iter().find(|line| line["what"] == "gone").unwrap_or_else(|| panic!("{lines:#?}"));
        line["recorded"].as_str().or(line["at"].as_str()).unwrap_or_else(|| panic!("{line:#}")).to_owned()
    }
}

fn said(value: impl Into<Value>) -> Value {
    json!({"reading": "known", "value": value.into()})
}

#[test]
fn what_is_made_shows_what_is_deleted_goes_and_what_is_refused_is_not_gone() {
    let eyes = Eyes::open();
    let run = eyes.scan(&["--sweep"]);
    assert_eq!(run["outcome"], "complete", "{run:#}");
    let rows = eyes.rows();
    let count = |kind: &str| rows.iter().filter(|row| row["kind"] == kind).count();
    assert_eq!((count("ssh_key"), count("secret")), (20, 3));
    let row = eyes.named("key 1 of 7");
    assert_eq!(row["created_at"], said("2025-03-01T00:00:00Z"));
    assert_eq!(row["last_used_at"], said("2026-11-01T00:00:00Z"));
    let secret_row = eyes.named("DEPLOY");
    assert_eq!(secret_row["rotated_at"], said("2025-06-01T00:00:00Z"), "{secret_row:#}");
    assert_eq!(secret_row["last_used_at"], json!({"reading": "not_reported"}));

    // A key and a secret are made; a key, a secret and a whole repository go.
    eyes.server.with(|state| {
        state.estate.repo(25).keys.push(key(25, 1));
        state.estate.repo(7).keys.clear();
        let secrets = state.estate.rows.get_mut("actions/secrets").unwrap();
        secrets.retain(|row| row["name"] != "PUBLISH");
        secrets.push(secret("FRESH"));
        state.estate.repos.retain(|repo| repo.id != 12);
    });
    eyes.scan(&["--sweep"]);
    for made in ["key 1 of 25", "FRESH"] {
        assert_eq!(eyes.named(made)["presence"], "present", "{made}");
    }
    // Whether a listing without it is proof depends on how it is read: the second one always is.
    eyes.scan(&["--sweep"]);
    let times: Vec<String> = ["key 1 of 7", "PUBLISH", "key 1 of 12"].map(|name| eyes.gone_at(name)).into();
    assert!(times.iter().all(|time| time.parse::<provost_model::Time>().is_ok()), "{times:?}");
    for stays in ["key 1 of 8", "DEPLOY", "TOKEN_OF_30"] {
        assert_eq!(eyes.named(stays)["presence"], "present", "{stays}");
    }

    // Without the right to read secrets and deploy keys nothing of them is gone, and it is said what is not seen.
    let before = eyes.rows();
    eyes.server.with(|state| {
        for read in ["GET /orgs/{org}/actions/secrets", "GET /repos/{owner}/{repo}/keys"] {
            state.faults.insert(read.to_owned(), Fault::Status(403));
        }
        state.hidden.insert("deployKeys".to_owned());
    });
    let run = eyes.scan(&["--sweep"]);
    let after = eyes.rows();
    let presence =
        |rows: &[Value]| rows.iter().map(|row| (row["id"].clone(), row["presence"].clone())).collect::<Vec<_>>();
    assert_eq!(presence(&before), presence(&after), "{run:#}");
    let shown = eyes.place.say(&["sources", "show", "acme"]);
    let shown = format!("{}{}", shown.out, shown.err);
    for words in ["cannot see", "GET /orgs/{org}/actions/secrets"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
}
