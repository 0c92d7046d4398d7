//! A place whose configuration has one AWS source.
//! It must never see credentials or settings of whoever runs the tests.

use provost_model::Record;
use provost_store::{Go, OpenOptions, inventory::Inventory};
use serde_json::Value;

use crate::program::{self, Manager, Running, Said};

/// A place with a configuration of one source.
pub(super) struct Place(program::Place);

impl Place {
    /// A source named `aws` that asks that endpoint, with more settings of its own.
    pub(super) fn new(endpoint: &str, more: &str) -> Self {
        let place = Self(
            program::Place::new().with([("AWS_ACCESS_KEY_ID", "AKIAEYES"), ("AWS_SECRET_ACCESS_KEY", "not-a-secret")]),
        );
        place.configure(endpoint, more);
        place
    }

    /// Writes the configuration anew.
    pub(super) fn configure(&self, endpoint: &str, more: &str) {
        self.configure_with_free("1MiB", endpoint, more);
    }

    /// The same, where so much must stay free. IAM alone is looked at, unless regions are among the settings.
    pub(super) fn configure_with_free(&self, min_free: &str, endpoint: &str, more: &str) {
        let regions = if more.contains("regions") { "" } else { "regions = []\n" };
        self.0.write_configuration(&format!(
            "[store]\nmin_free = {min_free:?}\n[[sources]]\nname = \"aws\"\nconnector = \"aws\"\npace = \"full\"\n\
             endpoint_url = {endpoint:?}\n{regions}{more}\n",
        ));
    }

    /// Starts the daemon and waits until it is ready.
    pub(super) fn daemon(&self) -> (Running, Manager) {
        self.0.daemon()
    }

    /// Runs the program with those words.
    pub(super) fn say(&self, words: &[&str]) -> Said {
        self.0.say(words)
    }

    /// The same with more in its environment.
    pub(super) fn say_with(&self, more: &[(&str, &str)], words: &[&str]) -> Said {
        Said::of(&self.0.command(words).envs(more.iter().copied()).output().unwrap())
    }

    /// Starts the program with those words, to be killed.
    pub(super) fn start(&self, words: &[&str]) -> Running {
        self.0.start(words)
    }

    /// One scan: its exit status, and the run as it tells of itself.
    pub(super) fn scan(&self, more: &[&str]) -> (i32, Value) {
        let said = self.say(&[&["scan", "--output", "json"], more].concat());
        let runs: Value = serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"));
        (said.status, runs[0].clone())
    }

    /// The rows a listing gives.
    pub(super) fn rows(&self, words: &[&str]) -> Vec<Value> {
        self.0.listed(words)
    }

    /// Records of that kind, in whatever presence.
    pub(super) fn records(&self, kind: &str) -> Vec<Value> {
        let filter = format!("kind == \"{kind}\"");
        self.rows(&["inventory", "list", "--presence", "present,missing,gone,unwatched", "--where", &filter])
    }

    /// How many versions of records the store holds. No program may be running.
    pub(super) fn versions(&self) -> usize {
        let store = provost_store::open(&self.0.store(), &OpenOptions::default()).unwrap();
        let inventory = Inventory::of(&store);
        let mut versions = 0;
        let mut each = |record: Record, _| {
            versions += inventory.record_versions(record.id)?.len();
            Ok(Go::On)
        };
        inventory.each_record(None, &mut each).unwrap();
        versions
    }

    /// Open findings.
    pub(super) fn open(&self) -> Vec<Value> {
        self.rows(&["findings", "list", "--where", "state == \"open\""])
    }
}

/// The sum of a figure over the scopes of a run.
pub(super) fn sum(run: &Value, figure: &str) -> u64 {
    run["scopes"].as_array().unwrap().iter().map(|scope| scope[figure].as_u64().unwrap()).sum()
}

/// How a scope of a run was covered.
pub(super) fn cover<'a>(run: &'a Value, path: &str) -> &'a str {
    let scopes = run["scopes"].as_array().unwrap();
    scopes.iter().find(|scope| scope["scope"] == path).map_or("none", |scope| scope["cover"].as_str().unwrap())
}

/// Calls of one operation in a run.
pub(super) fn calls(run: &Value, operation: &str) -> u64 {
    let calls = run["calls"].as_array().unwrap();
    calls.iter().filter(|call| call["operation"] == operation).map(|call| call["sent"].as_u64().unwrap()).sum()
}

/// The troubles of a run as `place: why`.
pub(super) fn troubles(run: &Value) -> Vec<String> {
    let word = |it: &Value| it.as_str().unwrap_or_default().to_owned();
    let troubles = run["troubles"].as_array().unwrap().iter();
    troubles.map(|it| format!("{}: {}", word(&it["place"]), word(&it["why"]))).collect()
}

/// The text of a field, empty if it has none.
pub(super) fn text<'a>(row: &'a Value, field: &str) -> &'a str {
    row[field].as_str().unwrap_or_default()
}
