//! A conversation written down and played back: the same answers, no connection, no secret.

use std::io::Write;

use super::*;
use crate::{
    Cassette, Recorder,
    authority::{Client, Grant, OAuth2},
};

/// What several writers share.
#[derive(Clone, Default)]
pub(super) struct Paper(Arc<std::sync::Mutex<Vec<u8>>>);

impl Paper {
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

const DOCUMENT: &str = "query Q($n: Int) { a(n: $n) }";

fn declared(to: &Loopback, egress: Egress) -> Web {
    let mut provider = provider(to, &["GET /list", "POST /graphql", "POST /token", "GET /other"]);
    (provider.documents, provider.egress, provider.patience) = (vec![DOCUMENT], egress, Patience::none());
    let grant = Grant {
        read: "POST /token".into(),
        values: Vec::new(),
        client: Some(Client::form("id", Arc::new(|| Ok("hunter2".into())))),
        assertion: None,
        form: Vec::new(),
    };
    Web::new(provider, Arc::new(OAuth2::new(grant))).unwrap()
}

/// Everything that is seen of the provider.
async fn seen(web: &Web) -> String {
    let mut seen = Vec::new();
    let mut pages = web.pages(Ask::get("GET /list", &[]), Paging::Link).records_at("/data");
    while let Some(page) = pages.next().await.unwrap() {
        seen.push(page.body()["data"].to_string());
    }
    for n in 0..2 {
        let answer = web.ask(Ask::graphql("POST /graphql", DOCUMENT, json!({ "n": n }))).await.unwrap();
        seen.push(answer.json::<serde_json::Value>().unwrap().to_string());
    }
    seen.join(" ")
}

#[tokio::test]
async fn a_conversation_is_played_back_without_a_secret_or_a_connection() {
    let cursor = "Y3Vyc29yOnYyOpHOAAAAAAAAAAAAAAAAAAAAAAAAAA1";
    let link = format!("</list?after={cursor}>; rel=next");
    let to = Loopback::start(move |asked| match asked.target.as_str() {
        "/token" => Reply::json(r#"{"access_token":"t0k3n","expires_in":3600}"#),
        "/list" => {
            Reply::new(200, &[("link", &link), ("set-cookie", "s=hunter2"), ("x-other", "x")], r#"{"data":[1]}"#)
        }
        "/graphql" => Reply::json(&format!(r#"{{"data":{{"n":{}}}}}"#, asked.body.matches("\"n\":1").count())),
        _ => Reply::new(
            200,
            &[("etag", "\"e\""), ("content-type", "application/json")],
            r#"{"data":[{"secret":"hunter2"}]}"#,
        ),
    })
    .await;
    let paper = Paper::default();
    let recorder = Recorder::new(paper.clone(), [7; 32]).unwrap();
    let live = seen(&declared(&to, Egress::default().recorded(recorder.clone()))).await;
    assert_eq!(recorder.written(), Ok(5));
    let text = paper.text();
    for secret in ["hunter2", "t0k3n", cursor, "set-cookie", "Bearer", "x-other"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    let accepted = to.accepted();
    let replayed = declared(&to, Egress::replaying(Cassette::read(text.as_bytes()).unwrap()));
    assert_eq!(seen(&replayed).await.replace("masked-", ""), scrubbed(&live, &text));
    assert_eq!((to.accepted(), replayed.opened(), replayed.calls().len()), (accepted, 0, 5));
    let unknown = replayed.ask(Ask::get("GET /other", &[])).await.unwrap_err();
    assert!(unknown.said.contains("cassette"), "{unknown}");
}

/// What was seen live, with its one secret as the cassette has it.
fn scrubbed(live: &str, text: &str) -> String {
    let mask = text.split("{\"secret\":\"masked-").nth(1).unwrap().split('"').next().unwrap();
    live.replace("hunter2", mask)
}

#[test]
fn what_is_no_cassette_is_refused_by_line() {
    let head = format!("{{\"cassette\":1,\"salt\":\"{}\"}}", "07".repeat(32));
    let table = [
        (String::new(), "empty"),
        ("{}".into(), "line 1"),
        (head.replace(":1", ":2"), "form 2"),
        (head.replace("07", ""), "salt"),
        (format!("{head}\n{{}}"), "line 2"),
    ];
    for (text, says) in table {
        let refused = Cassette::read(text.as_bytes()).map(drop).unwrap_err();
        assert!(refused.contains(says), "{text}: {refused}");
    }
}
