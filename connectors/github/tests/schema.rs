//! The GraphQL documents, and the counterpart's answers to them, against the schema that GitHub publishes.
//! It must never pass quietly where the schema is not at hand.

use std::{
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use super::{
    Place,
    estate::{Estate, member},
    server::Server,
};
use crate::github::documents;

/// Where the packages are that the project's tools install.
fn modules() -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let told = std::env::var_os("PROVOST_TEST_NODE_MODULES").map(PathBuf::from);
    told.unwrap_or_else(|| target.join("tools/node_modules"))
}

/// What is wrong with those, by the schema; `None` without it.
fn faults(cases: &Value) -> Option<String> {
    let modules = modules();
    if !modules.join("@octokit/graphql-schema/schema.graphql").exists() {
        skipped(&format!("GitHub's schema is not in {} (cargo xtask tools)", modules.display()));
        return None;
    }
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("github/tests/validate.mjs");
    let child = Command::new("node").arg(script).arg(&modules).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut child) = child else {
        skipped("node does not start");
        return None;
    };
    child.stdin.take().unwrap().write_all(cases.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    Some(String::from_utf8(output.stdout).unwrap())
}

#[allow(clippy::print_stderr, reason = "a test that proves nothing says so")]
fn skipped(why: &str) {
    eprintln!("SKIPPED, no document is held against GitHub's schema: {why}");
}

#[tokio::test]
async fn documents_and_the_answers_of_the_counterpart_fit_the_published_schema() {
    let mut estate = Estate { audit: true, ..Estate::of(120, 15) };
    estate.members = vec![member(1, "ann", "ADMIN"), member(2, "bob", "MEMBER")];
    estate.repo(1).environments = vec!["prod".into()];
    estate.repo(1).codeowners = Some("* @acme/core".into());
    estate.repo(1).admins = vec!["ann".into()];
    let server = Server::start(estate).await;
    let mut place = Place::as_app(&server);
    place.scan().await;
    server.with(|state| {
        let made = super::estate::event("public_key.create", "2026-11-29T00:10:00Z", json!({"repo": "acme/repo-9"}));
        state.estate.events.push(made);
    });
    place.scan().await;
    let mut cases = server.with(|state| state.asked.clone());
    let asked = |name: &str| cases.iter().any(|case| case["name"] == name);
    for name in ["graphql:repositories", "graphql:repository", "graphql:members", "graphql:owners"] {
        assert!(asked(name), "{name} was not asked");
    }
    cases.extend(documents::ALL.iter().map(|(name, text)| json!({"name": name, "query": text})));
    if let Some(faults) = faults(&json!(cases)) {
        assert_eq!(faults, "");
    }
    // What proves nothing when it is broken is no proof.
    let broken = json!([{"name": "broken", "query": "query { organization(login: 1) { deployKeys } }"}]);
    assert!(faults(&broken).is_none_or(|faults| faults.lines().count() == 2), "a broken document passes");
}
