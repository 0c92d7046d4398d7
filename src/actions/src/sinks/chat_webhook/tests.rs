//! Chat webhooks to a receiver on this machine.
//! It must never let a path that stands for a secret pass unseen.

use provost_model::door::corpus::HOSTILE;

use super::*;
use crate::testing::{
    errand, handed, letter,
    loopback::{Loopback, Reply},
};

const PATH: &str = "/api/webhooks/1234567890/s3cr3t-t0ken";

fn sink(origin: &str, style: &str) -> Box<dyn Sink> {
    let settings = json!({ "url": format!("env:{origin}{PATH}"), "style": style, "username": "provost" });
    build(&handed(settings)).unwrap()
}

type Answering = Box<dyn Fn() -> Reply + Send + Sync>;

/// A letter of so many cases.
fn long(cases: usize) -> Letter {
    let mut letter = letter();
    letter.cases = vec![letter.cases[0].clone(); cases];
    letter.counts[0].cases = cases as u64;
    letter
}

#[tokio::test]
async fn each_chat_gets_its_own_form() {
    let to = Loopback::start(|_| Reply::json(r#"{"id": "1313131313", "content": "x"}"#)).await;
    let receipt = sink(&to.origin, "discord").deliver(&errand(), &letter()).await.unwrap();
    assert_eq!(receipt, Receipt { reference: Some("1313131313".into()), url: None });
    let mattermost = Loopback::start(|_| Reply::new(200, &[], "ok")).await;
    let receipt = sink(&mattermost.origin, "mattermost").deliver(&errand(), &letter()).await.unwrap();
    assert_eq!(receipt, Receipt::default());

    let words = Wording::new(Dialect::Markdown, None).unwrap().words(&letter()).unwrap();
    let sent = |to: &Loopback| (to.targets(), serde_json::from_str::<Value>(&to.asked()[0].body).unwrap());
    let body = json!({ "content": words, "allowed_mentions": { "parse": [] }, "flags": 4, "username": "provost" });
    assert_eq!(sent(&to), (vec![format!("{PATH}?wait=true")], body));
    assert_eq!(sent(&mattermost), (vec![PATH.to_owned()], json!({ "text": words, "username": "provost" })));
}

#[tokio::test]
async fn the_address_shows_in_no_error_and_each_fault_says_what_to_do() {
    let echo = |status: u16| {
        move || {
            let said = json!({ "message": format!("no {PATH} here: s3cr3t-t0ken"), "code": 10_015 });
            Reply::new(status, &[], said.to_string())
        }
    };
    let table: [(Answering, &str); 7] = [
        (Box::new(|| Reply::new(429, &[("retry-after", "7")], r#"{"message": "slow down"}"#)), "in 7 s"),
        (Box::new(echo(500)), "cannot tell"),
        (Box::new(|| Reply::json("{}").cut(1)), "cannot tell"),
        (Box::new(echo(404)), "not possible"),
        (Box::new(echo(410)), "not possible"),
        (Box::new(echo(403)), "not done yet"),
        (Box::new(echo(401)), "not done yet"),
    ];
    for (reply, says) in table {
        let to = Loopback::start(move |_| reply()).await;
        let sink = sink(&to.origin, "discord");
        let error = sink.deliver(&errand(), &letter()).await.unwrap_err();
        assert!(error.to_string().contains(says), "{says}: {error}");
        assert_eq!(to.asked().len(), 1, "{says}");
        let checked = sink.check().await;
        for text in [error.to_string(), format!("{error:?}"), format!("{checked:?}")] {
            assert!(!text.contains("s3cr3t") && !text.contains("1234567890"), "{text}");
        }
    }
    let closed = sink("http://127.0.0.1:9", "mattermost").deliver(&errand(), &letter()).await.unwrap_err();
    assert!(matches!(closed, ActionError::Retry { .. }) && !closed.to_string().contains("s3cr3t"), "{closed}");
    for url in ["env:s3cr3t", "env:https://a:s3cr3t@a.example/", "env:http://a.example/s3cr3t"] {
        let sink = build(&handed(json!({ "url": url, "style": "discord" }))).unwrap();
        let error = sink.deliver(&errand(), &letter()).await.unwrap_err();
        assert!(matches!(error, ActionError::Retry { .. }) && !error.to_string().contains("s3cr3t"), "{error}");
    }
}

#[tokio::test]
async fn a_check_posts_nothing() {
    let to = Loopback::start(|_| Reply::json(r#"{"name": "ops\u001b[2J", "token": "s3cr3t-t0ken"}"#)).await;
    let found = sink(&to.origin, "discord").check().await.unwrap();
    assert_eq!(found, r#"Discord knows the webhook "ops\\u{1b}[2J""#);
    let to_other = Loopback::start(|_| Reply::new(404, &[], "no s3cr3t-t0ken")).await;
    let found = sink(&to_other.origin, "mattermost").check().await.unwrap();
    assert!(found.contains("HTTP 404") && !found.contains("s3cr3t"), "{found}");
    assert!(to.asked().iter().chain(&to_other.asked()).all(|it| it.method == "GET" && it.body.is_empty()));
}

#[test]
fn a_long_letter_is_cut_between_lines_and_says_where_the_rest_is() {
    for (style, most) in [(Style::Discord, 2_000), (Style::Mattermost, 16_383)] {
        let sink = sink("https://a.example", if style == Style::Discord { "discord" } else { "mattermost" });
        let whole = sink.preview(&letter()).unwrap();
        assert!(!whole.contains("cut here") && whole.contains("may be missing"), "{whole}");
        let cut = sink.preview(&long(90)).unwrap();
        let units = cut.encode_utf16().count();
        assert!(units <= most && units > most - 400, "{units}");
        assert!(cut.ends_with("\n\n… cut here. Everything: `provost cases list`"), "{cut}");
        // No line of it was cut: each stands in the whole too.
        let all = Wording::new(Dialect::Markdown, None).unwrap().words(&long(90)).unwrap();
        let kept = cut.split("\n\n… cut here").next().unwrap();
        assert!(all.starts_with(kept) && all[kept.len()..].starts_with([' ', '\n']), "{kept}");
    }
    assert_eq!(cut("🦀\n🦀🦀".into(), 6, "+"), "🦀+");
    assert_eq!(cut("🦀\n🦀🦀".into(), 7, "+"), "🦀\n🦀🦀");
}

#[test]
fn nothing_from_outside_mentions_links_or_formats() {
    for style in ["mattermost", "discord"] {
        let sink = sink("https://a.example", style);
        for (text, tries) in HOSTILE {
            let mut letter = letter();
            (letter.cases[0].name, letter.cases[0].owner) = ((*text).to_owned(), Some((*text).to_owned()));
            letter.cases[0].faults[0].because = (*text).to_owned();
            letter.all = (*text).to_owned();
            letter.counts[0].cases = 200;
            let shown = sink.preview(&letter).unwrap();
            // What stands outside of back-ticks is ours.
            let ours: String = shown.split('`').step_by(2).collect();
            for sign in ["@", "<", "](", "http", "evil", "\u{1b}", "\u{202e}"] {
                assert!(!ours.contains(sign), "{tries}: {ours}");
            }
        }
    }
}

#[test]
fn settings_that_make_no_sense_are_named() {
    let url = "env:https://a.example/x";
    let table = [
        (json!({ "url": "https://a.example/hunter2", "style": "discord" }), "url:"),
        (json!({ "url": url, "style": "hunter2" }), "style cannot be read: expected `mattermost` or `discord`"),
        (json!({ "url": url }), "missing field `style`"),
        (json!({ "url": url, "style": "discord", "username": "a\nhunter2" }), "username:"),
        (json!({ "url": url, "style": "discord", "ca_file": "/nowhere/hunter2" }), "ca_file:"),
    ];
    for (settings, says) in table {
        let said = build(&handed(settings)).err().unwrap();
        assert!(said.starts_with(says) && !said.contains("hunter2"), "{said}");
    }
}
