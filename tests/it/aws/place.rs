//! The built program with a configuration of one AWS source, in a directory of its own.
//! It must never see credentials or settings of whoever runs the tests.

use std::process::{Child, Command, Stdio};

use provost_model::Record;
use provost_store::{Go, OpenOptions, inventory::Inventory};
use serde_json::Value;

/// A directory with a configuration and a store.
pub(super) struct Place {
    directory: tempfile::TempDir,
}

/// How a command ended, and what it said.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) status: i32,
    pub(super) out: String,
    pub(super) err: String,
}

impl Place {
    /// A source named `aws` that asks that endpoint, with more settings of its own.
    pub(super) fn new(endpoint: &str, more: &str) -> Self {
        let place = Self { directory: tempfile::tempdir().unwrap() };
        place.configure(endpoint, more);
        place
    }

    /// Writes the configuration anew.
    pub(super) fn configure(&self, endpoint: &str, more: &str) {
        let at = self.directory.path();
        let text = format!(
            "[store]\npath = {:?}\nmin_free = \"1MiB\"\n[daemon]\nsocket = {:?}\n[fingerprints]\nkey = \"file:{}\"\n\
             [[sources]]\nname = \"aws\"\nconnector = \"aws\"\npace = \"full\"\nendpoint_url = {endpoint:?}\n{more}\n",
            at.join("store"),
            at.join("socket"),
            at.join("fingerprint.key").display(),
        );
        std::fs::write(at.join("provost.toml"), text).unwrap();
    }

    /// Runs the program with those words.
    pub(super) fn say(&self, words: &[&str]) -> Said {
        self.say_with(&[], words)
    }

    /// The same with more in its environment.
    pub(super) fn say_with(&self, more: &[(&str, &str)], words: &[&str]) -> Said {
        let output = self.command(words).envs(more.iter().copied()).output().unwrap();
        Said {
            status: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Starts the program with those words, to be killed.
    pub(super) fn start(&self, words: &[&str]) -> Child {
        self.command(words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_provost"));
        command
            .arg("--config")
            .arg(self.directory.path().join("provost.toml"))
            .args(words)
            .env_clear()
            .envs([
                ("PATH", "/usr/bin:/bin"),
                ("AWS_ACCESS_KEY_ID", "AKIAEYES"),
                ("AWS_SECRET_ACCESS_KEY", "not-a-secret"),
            ])
            .env("HOME", self.directory.path())
            .stdin(Stdio::null());
        command
    }

    /// One scan: its exit status, and the run as it tells of itself.
    pub(super) fn scan(&self, more: &[&str]) -> (i32, Value) {
        let said = self.say(&[&["scan", "--output", "json"], more].concat());
        let runs: Value = serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"));
        (said.status, runs[0].clone())
    }

    /// The rows a listing gives.
    pub(super) fn rows(&self, words: &[&str]) -> Vec<Value> {
        let said = self.say(&[words, &["--output", "ndjson"]].concat());
        assert_eq!(said.status, 0, "{said:?}");
        said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Records of that kind, in whatever presence.
    pub(super) fn records(&self, kind: &str) -> Vec<Value> {
        let filter = format!("kind == \"{kind}\"");
        self.rows(&["inventory", "list", "--presence", "present,missing,gone,unwatched", "--where", &filter])
    }

    /// How many versions of records the store holds. No program may be running.
    pub(super) fn versions(&self) -> usize {
        let store = provost_store::open(&self.directory.path().join("store"), &OpenOptions::default()).unwrap();
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
