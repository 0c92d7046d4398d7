//! Against Slack's own description: a server that refuses whatever it does not allow.
//! It must never pass in silence where the server is not at hand.
//!
//! The description is of 2021. Newer than it are `metadata` of chat.postMessage
//! (<https://docs.slack.dev/reference/methods/chat.postMessage/>), and conversations.history and conversations.replies are
//! not in the part of it that the server has: those are tested by the documentation's words only.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use provost_client::{Provider, authority::Nobody};

use super::*;
use crate::testing::{errand, handed, letter};

/// The server; it ends with its owner.
struct Server {
    child: Child,
    origin: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts it, or says loudly why not.
fn server() -> Option<Server> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let shared = std::env::var_os("PROVOST_SHARED").map_or_else(|| root.join("../shared"), PathBuf::from);
    let (script, spec) = (shared.join("specs/specserver.py"), shared.join("specs/slack.json"));
    let python = std::env::var("PROVOST_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let packages = Command::new(&python).args(["-c", "import jsonschema, referencing"]).stderr(Stdio::null()).status();
    if !script.exists() || !packages.is_ok_and(|it| it.success()) {
        let what = "it, or python's jsonschema, is not at hand";
        writeln!(std::io::stderr(), "NOT TESTED against Slack's description: {what} ({})", script.display()).unwrap();
        return None;
    }
    let mut child = Command::new(python)
        .arg(script)
        .arg("--spec")
        .arg(spec)
        .args(["--n", "3", "--seed", "7"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let told: Value = serde_json::from_str(&line).unwrap();
    Some(Server { child, origin: told["listening"].as_str().unwrap().to_owned() })
}

/// Asks the server about itself.
async fn control(server: &Server, read: &str) -> Value {
    let reads = vec![read.to_owned()];
    let provider = Provider { origin: server.origin.clone(), reads, ..Provider::default() };
    let web = Web::new(provider, Arc::new(Nobody)).unwrap();
    web.ask(Ask::get(read, &[])).await.unwrap().json().unwrap()
}

fn sink(server: &Server, token: &str, look_up: bool) -> Box<dyn Sink> {
    let origin = format!("{}/api", server.origin);
    let settings =
        json!({ "token": format!("env:{token}"), "channel": "C0123456789", "origin": origin, "look_up": look_up });
    build(&handed(settings)).unwrap()
}

#[tokio::test]
async fn every_call_is_one_that_slack_describes() {
    let Some(server) = server() else { return };
    let blind = sink(&server, "test-token", false);
    assert!(blind.check().await.unwrap().starts_with("signed in to "));
    let mut letter = letter();
    letter.cases = vec![letter.cases[0].clone(); 40];
    letter.thread = Some("1795000001.000100".into());
    let receipt = blind.deliver(&errand(), &letter).await.unwrap();
    assert!(receipt.reference.is_some());
    let calls = control(&server, "GET /__calls").await;
    assert_eq!(calls["by_operation"].as_object().unwrap().len(), 2, "{calls}");
    assert_eq!(control(&server, "GET /__violations").await, json!([]));
    // What is newer than the description is the one thing it does not know.
    let _ = sink(&server, "test-token", true).deliver(&errand(), &letter).await;
    let violations = control(&server, "GET /__violations").await;
    let text = violations.to_string();
    assert!(violations.as_array().unwrap().len() == 1 && text.contains("metadata"), "{violations}");
    assert!(text.matches("body-undeclared").count() == 1 && !text.contains("body-invalid"), "{violations}");
    // The server's own word for a wrong token is `fatal_error`, where Slack's is `invalid_auth`: that it is no delivery is all
    // there is to see.
    let error = sink(&server, "s3cr3t", false).deliver(&errand(), &letter).await.unwrap_err();
    assert!(!format!("{error:?}").contains("s3cr3t"), "{error}");
}
