//! Slack by its token: what it may answer, and how a letter is looked up.
//! It must never speak to Slack.

use provost_model::door::corpus::HOSTILE;

use super::*;
use crate::testing::{
    errand, handed, letter,
    loopback::{Asked, Loopback, Reply},
};

fn sink(to: &Loopback, more: Value) -> Box<dyn Sink> {
    let mut settings = json!({ "token": "env:xoxb-s3cr3t", "channel": "C0123456789", "origin": to.origin });
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    build(&handed(settings)).unwrap()
}

fn form(asked: &Asked) -> std::collections::BTreeMap<String, String> {
    url::form_urlencoded::parse(asked.body.as_bytes()).into_owned().collect()
}

fn query(asked: &Asked) -> std::collections::BTreeMap<String, String> {
    let (_, query) = asked.target.split_once('?').unwrap();
    url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

async fn posted(reply: impl Fn() -> Reply + Send + Sync + 'static) -> ActionError {
    let to = Loopback::start(move |_| reply()).await;
    let error = sink(&to, json!({})).deliver(&errand(), &letter()).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("s3cr3t"), "{error:?}");
    error
}

/// A message as Slack lists it.
fn message(ts: &str, id: &str) -> Value {
    json!({ "type": "message", "ts": ts, "text": "x",
        "metadata": { "event_type": "provost_letter", "event_payload": { "id": id } } })
}

fn listed(messages: &[Value], cursor: &str) -> Reply {
    let (has_more, messages) = (!cursor.is_empty(), messages.to_vec());
    Reply::json(
        &json!({ "ok": true, "messages": messages, "has_more": has_more,
            "response_metadata": { "next_cursor": cursor } })
        .to_string(),
    )
}

#[tokio::test]
async fn a_letter_is_posted_with_its_marker_and_nothing_in_it_unfolds() {
    let to = Loopback::start(|_| Reply::json(r#"{"ok":true,"channel":"C1","ts":"1795000001.000100"}"#)).await;
    let mut letter = letter();
    let receipt = sink(&to, json!({})).deliver(&errand(), &letter).await.unwrap();
    assert_eq!(receipt, Receipt { reference: Some("1795000001.000100".into()), url: None });
    letter.thread = receipt.reference;
    sink(&to, json!({ "look_up": false })).deliver(&errand(), &letter).await.unwrap();
    let asked = to.asked();
    assert_eq!((asked[0].method.as_str(), asked[0].target.as_str()), ("POST", "/chat.postMessage"));
    assert_eq!(asked[0].header("authorization"), "Bearer xoxb-s3cr3t");
    let form_of = form(&asked[0]);
    for (name, value) in [
        ("channel", "C0123456789"),
        ("parse", "none"),
        ("link_names", "false"),
        ("unfurl_links", "false"),
        ("unfurl_media", "false"),
        (
            "metadata",
            r#"{"event_payload":{"id":"01234567-89ab-7cde-8f01-000000000001"},"event_type":"provost_letter"}"#,
        ),
    ] {
        assert_eq!(form_of[name], value, "{name}");
    }
    assert!(!form_of.contains_key("thread_ts"));
    let blocks: Value = serde_json::from_str(&form_of["blocks"]).unwrap();
    assert_eq!(blocks[0]["text"]["text"].as_str(), Some(form_of["text"].as_str()));
    assert_eq!(blocks[0]["block_id"], format!("provost_letter-{}", letter.id));
    let blind = form(&asked[1]);
    assert_eq!(blind["thread_ts"], "1795000001.000100");
    assert!(!blind.contains_key("metadata") && !blind["blocks"].contains("provost_letter"));
}

#[tokio::test]
async fn what_slack_says_decides_what_happens_next() {
    let word = |word: &'static str| move || Reply::json(&json!({ "ok": false, "error": word }).to_string());
    for mendable in ["invalid_auth", "token_revoked", "not_in_channel", "channel_not_found", "is_archived"] {
        let error = posted(word(mendable)).await;
        assert!(error.may_repeat() && error.said().contains(mendable), "{error}");
    }
    for letters in ["msg_too_long", "invalid_blocks", "no_text", "metadata_too_large"] {
        let error = posted(word(letters)).await;
        assert!(matches!(error, ActionError::GiveUp { .. }) && error.said().contains(letters), "{error}");
    }
    for unclear in ["internal_error", "fatal_error", "service_unavailable", "request_timeout", "a_new_word"] {
        let error = posted(word(unclear)).await;
        assert!(matches!(error, ActionError::Ambiguous { .. }) && error.said().contains(unclear), "{error}");
    }
    let throttled = posted(|| Reply::new(429, &[("retry-after", "7")], r#"{"ok":false,"error":"ratelimited"}"#)).await;
    assert!(matches!(throttled, ActionError::Retry { after: Some(it), .. } if it.as_secs() == 7), "{throttled}");
    let throttled = posted(|| Reply::new(200, &[("retry-after", "8")], r#"{"ok":false,"error":"ratelimited"}"#)).await;
    assert!(matches!(throttled, ActionError::Retry { after: Some(it), .. } if it.as_secs() == 8), "{throttled}");
    let scope = r#"{"ok":false,"error":"missing_scope","needed":"chat:write","provided":"x"}"#;
    assert!(posted(|| Reply::json(scope)).await.said().ends_with("missing_scope, needed: chat:write"));
    for unclear in [
        || Reply::new(500, &[], ""),
        || Reply::json(r#"{"ok":true,"ts":"1"}"#).cut(2),
        || Reply::new(200, &[], "").cut(30),
        || Reply::new(200, &[], "<html>s3cr3t</html>"),
        || Reply::json(r#"{"ts":"1"}"#),
    ] {
        let error = posted(unclear).await;
        assert!(matches!(error, ActionError::Ambiguous { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_letter_is_found_by_either_mark_on_any_page_and_its_absence_is_certain() {
    let id = letter().id;
    let by_block =
        json!({ "ts": "3.1", "blocks": [{ "type": "section", "block_id": format!("provost_letter-{id}") }] });
    let other = json!({ "ts": "9.9", "metadata": { "event_type": "other", "event_payload": { "id": id } } });
    for (found, ts) in [(message("2.1", &id), "2.1"), (by_block, "3.1")] {
        let other = other.clone();
        let to = Loopback::start(move |asked| match asked.target.contains("cursor=bmV4dA%3D%3D") {
            false => listed(&[message("1.1", "another"), other.clone(), json!({ "type": "x" })], "bmV4dA=="),
            true => listed(std::slice::from_ref(&found), ""),
        })
        .await;
        let receipt = sink(&to, json!({})).look_up(&letter()).await.unwrap().unwrap();
        assert_eq!(receipt.reference.as_deref(), Some(ts));
        let asked = to.asked();
        assert_eq!(asked.len(), 2);
        assert!(asked[0].method == "GET" && asked[0].target.starts_with("/conversations.history?"));
        let of = query(&asked[0]);
        assert_eq!((of["channel"].as_str(), of["oldest"].as_str()), ("C0123456789", "1794999400.000000"));
        assert_eq!(of["include_all_metadata"], "true");
        let mut another = letter();
        another.id = "01234567-89ab-7cde-8f01-00000000000f".into();
        assert_eq!(sink(&to, json!({})).look_up(&another).await, Ok(None), "read to its end");
    }
    let to = Loopback::start(|_| listed(&[message("1.1", "another")], "")).await;
    assert_eq!(sink(&to, json!({})).look_up(&letter()).await, Ok(None));
}

#[tokio::test]
async fn a_reply_is_looked_for_in_its_thread() {
    let to = Loopback::start(|_| listed(&[message("1.1", "parent"), message("1.2", &letter().id)], "")).await;
    let mut letter = letter();
    letter.thread = Some("1.1".into());
    let found = sink(&to, json!({})).look_up(&letter).await.unwrap().unwrap();
    assert_eq!(found.reference.as_deref(), Some("1.2"));
    let asked = &to.asked()[0];
    assert!(asked.target.starts_with("/conversations.replies?"), "{}", asked.target);
    assert_eq!(query(asked)["ts"], "1.1");
}

#[tokio::test]
async fn a_list_that_was_not_read_to_its_end_says_nothing() {
    let none: [fn(&Asked) -> Reply; 9] = [
        |_| Reply::json(r#"{"ok":false,"error":"missing_scope"}"#),
        |_| Reply::json(r#"{"ok":false,"error":"internal_error"}"#),
        |_| Reply::json(r#"{"ok":true}"#),
        |_| Reply::json(r#"{"ok":true,"messages":[],"has_more":true}"#),
        |_| listed(&[], "same"),
        |_| Reply::new(429, &[("retry-after", "1")], ""),
        |_| Reply::new(500, &[], ""),
        |_| listed(&[], "").cut(2),
        // The first page is read, the second is not.
        |asked| if asked.target.contains("cursor") { Reply::new(503, &[], "") } else { listed(&[], "next") },
    ];
    for reply in none {
        let to = Loopback::start(reply).await;
        let error = sink(&to, json!({})).look_up(&letter()).await.unwrap_err();
        assert!(!matches!(error, ActionError::Ambiguous { .. }), "a look changes nothing: {error}");
    }
    let count = std::sync::atomic::AtomicUsize::new(0);
    let to = Loopback::start(move |_| {
        listed(&[], &format!("c{}", count.fetch_add(1, std::sync::atomic::Ordering::Relaxed)))
    })
    .await;
    let error = sink(&to, json!({})).look_up(&letter()).await.unwrap_err();
    assert!(error.may_repeat() && error.said().contains("too many"), "{error}");
    assert_eq!(to.asked().len(), PAGES);
}

#[tokio::test]
async fn a_check_says_who_it_is_and_whether_the_channel_can_be_read() {
    let to = Loopback::start(|asked| match asked.target.as_str() {
        "/auth.test" => Reply::json(r#"{"ok":true,"team":"Acme","user":"pro\u001bvost"}"#),
        _ => listed(&[], ""),
    })
    .await;
    let found = sink(&to, json!({})).check().await.unwrap();
    assert!(found.starts_with("signed in to Acme as pro\\u{1b}vost, and the channel can be read"), "{found}");
    assert!(sink(&to, json!({ "look_up": false })).check().await.unwrap().contains("first letter"));
    assert_eq!(to.asked().len(), 3);
    let to = Loopback::start(|_| Reply::json(r#"{"ok":false,"error":"invalid_auth"}"#)).await;
    assert!(sink(&to, json!({})).check().await.unwrap_err().said().contains("invalid_auth"));
}

#[test]
fn a_channel_is_named_by_its_id_and_delivery_is_as_it_is_set_up() {
    for channel in ["#hunter2", "hunter2", "C/hunter2", "Chunter2", "U0HUNTER2", "C0HUNTER2\n"] {
        let error = build(&handed(json!({ "token": "env:x", "channel": channel }))).err().unwrap();
        assert!(error.starts_with("`channel`") && !error.to_lowercase().contains("hunter2"), "{error}");
    }
    let of = |look_up| build(&handed(json!({ "token": "env:x", "channel": "C1", "look_up": look_up }))).unwrap();
    assert_eq!((of(true).delivery(), of(false).delivery()), (Delivery::LookUp, Delivery::Blind));
    let error = build(&handed(json!({ "token": "env:x", "channel": "C1", "origin": "http://example.org" })));
    assert!(error.err().unwrap().starts_with("`origin`: "));
}

#[test]
fn nothing_from_outside_leaves_its_code_on_the_wire() {
    let sink = build(&handed(json!({ "token": "env:x", "channel": "C1" }))).unwrap();
    for (text, tries) in HOSTILE {
        let mut letter = letter();
        letter.cases[0].name = (*text).to_owned();
        letter.cases[0].owner = Some((*text).to_owned());
        let preview = sink.preview(&letter).unwrap();
        let outside: String = preview.split('`').step_by(2).collect();
        assert!(!outside.contains(['<', '>', '@']), "{tries}: {preview}");
    }
}
