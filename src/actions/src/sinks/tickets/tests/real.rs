//! Roundup itself: the whole life of a ticket in a tracker that runs, and what a person reads there.

use std::sync::{Arc, Mutex};

use super::*;
use crate::testing::loopback::{Loopback, Reply};

#[path = "../../../../../../tests/servers/roundup.rs"]
mod server;

use server::Server;

fn status(server: &Server, issue: &str) -> String {
    let (_, issue) = server.ask("GET", &format!("issue/{issue}?@verbose=2"), None);
    issue["attributes"]["status"]["name"].as_str().unwrap().to_owned()
}

fn messages(server: &Server, issue: &str) -> usize {
    server.ask("GET", &format!("issue/{issue}"), None).1["attributes"]["messages"].as_array().unwrap().len()
}

fn count(server: &Server, class: &str) -> usize {
    server.ask("GET", class, None).1["collection"].as_array().unwrap().len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_lives_in_a_real_roundup() {
    let Some(server) = server::own() else { return };
    assert_eq!(server.ask("POST", "keyword", Some(&json!({"name": "nhi"}))).0, 201);
    let mut set = settings("roundup", &server.url());
    (set["keywords"], set["priority"]) = (json!(["nhi"]), json!("urgent"));
    let sink = (roundup::SPEC.build)(&handed(set.clone())).unwrap();
    assert!(sink.check().await.unwrap().contains("sees the tracker's issues"));
    for (wrong, to) in [("user", "nobody"), ("password", "env:wrong"), ("reopened", "elsewhere")] {
        let mut set = set.clone();
        set[wrong] = to.into();
        assert!((roundup::SPEC.build)(&handed(set)).unwrap().check().await.is_err(), "{wrong}");
    }

    // Made once, however often it is sent.
    let mut opened = letter(Event::Opened, 1, None);
    opened.cases[0].name = "issue1 <b>x</b> http://evil.invalid/ ann@evil.invalid".into();
    let made = sink.deliver(&errand(), &opened).await.unwrap();
    assert_eq!(sink.deliver(&errand(), &opened).await.unwrap(), made);
    assert_eq!(sink.look_up(&opened).await.unwrap().as_ref(), Some(&made));
    let key = key(&made);
    assert_eq!(made.url.as_deref(), Some(format!("{}/issue{key}", server.url()).as_str()));
    assert_eq!((count(&server, "issue"), count(&server, "msg"), messages(&server, &key)), (1, 1, 1));

    // As a person reads it.
    let page = server.page(&format!("issue{key}"));
    assert!(page.contains("Why it matters: A key nobody uses is a door nobody watches."), "{page}");
    assert!(page.contains("&lt;b&gt;x&lt;/b&gt;") && page.contains("urgent") && page.contains("nhi"), "{page}");
    let text = page
        .split("<table class=\"messages\">")
        .nth(1)
        .unwrap()
        .split("<pre>")
        .nth(1)
        .unwrap()
        .split("</pre>")
        .next()
        .unwrap();
    assert!(text.contains("evil.invalid") && !text.contains("<a "), "{text}");

    // One comment for each letter, however often.
    for (number, event) in [(2, Event::Worse), (3, Event::Changed), (4, Event::Overdue)] {
        let told = letter(event, number, Some(&key));
        assert_eq!(sink.look_up(&told).await.unwrap(), None);
        for _ in 0..2 {
            assert_eq!(sink.deliver(&errand(), &told).await.unwrap().reference.as_ref(), Some(&key));
        }
        assert_eq!(messages(&server, &key), usize::try_from(number).unwrap());
    }

    // Closed, and opened again when a person closes it and it stands all the same.
    let settled = letter(Event::Settled, 5, Some(&key));
    for _ in 0..2 {
        sink.deliver(&errand(), &settled).await.unwrap();
        assert_eq!((status(&server, &key).as_str(), messages(&server, &key)), ("resolved", 5));
    }
    server.change(&key, json!({"status": "in-progress", "assignedto": "admin"}));
    assert_eq!(sink.look_up(&settled).await.unwrap(), None, "what a person undid is not done");
    server.change(&key, json!({"status": "resolved"}));
    let there =
        Ticket::There { closed: true, status: "resolved".into(), assignee: Some("admin".into()), comments: Some(4) };
    assert_eq!(ticket(&*sink, &key).await, there);
    for _ in 0..2 {
        sink.deliver(&errand(), &letter(Event::Unproven, 6, Some(&key))).await.unwrap();
        assert_eq!((status(&server, &key).as_str(), messages(&server, &key)), ("chatting", 6));
    }

    // Gone: the interface still shows a retired issue by its number, and we do not take it for one that is there.
    server.change(&key, json!({"@op": "action", "@action_name": "retire"}));
    assert_eq!(server.ask("GET", &format!("issue/{key}"), None).0, 200);
    assert_eq!(ticket(&*sink, &key).await, Ticket::Gone);
    assert_eq!(sink.deliver(&errand(), &letter(Event::Settled, 7, Some(&key))).await.unwrap(), Receipt::default());
    let second = sink.deliver(&errand(), &letter(Event::Worse, 8, Some(&key))).await.unwrap().reference.unwrap();
    assert_ne!(second, key);
    let keys = [second.clone(), key, "SEC-1".to_owned(), "999".to_owned()];
    let all = sink.tracker().unwrap().tickets(&keys).await.unwrap();
    assert!(matches!(all[..], [Ticket::There { .. }, Ticket::Gone, Ticket::Gone, Ticket::Gone]), "{all:?}");

    broken_off(server, &second).await;
}

/// What becomes of the next act between us and the tracker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    CutDone,
    CutUndone,
    Changed,
}

/// The same with somebody between who cuts answers off: every act of every letter, each before and after it is done.
async fn broken_off(server: Server, key: &str) {
    let server = Arc::new(server);
    let faults: Arc<Mutex<Vec<Fault>>> = Arc::default();
    let (its, to, at) = (faults.clone(), server.clone(), key.to_owned());
    let front = Loopback::start(move |asked| {
        let path = asked.target.trim_start_matches("/nhi/");
        let mut faults = its.lock().unwrap();
        let fault = if asked.method == "GET" || faults.is_empty() { Fault::None } else { faults.remove(0) };
        drop(faults);
        if fault == Fault::CutUndone {
            return Reply::json("{}").cut(1);
        }
        if fault == Fault::Changed {
            to.change(&at, json!({"title": format!("changed by hand {path}")}));
        }
        let (status, body) = to.pass((&asked.method, path, server::USER), &asked.body);
        let reply = Reply::new(status, &[], body);
        if fault == Fault::CutDone { reply.cut(1) } else { reply }
    })
    .await;
    let sink = sink(&roundup::SPEC, &format!("{}/nhi", front.origin));
    let mut number = 100;
    for fault in [Fault::CutDone, Fault::CutUndone] {
        for before in [&[][..], &[Fault::None], &[Fault::None, Fault::None]] {
            for event in [Event::Opened, Event::Worse, Event::Settled] {
                number += 1;
                let what = format!("{event:?} {before:?} {fault:?}");
                let (issues, said) = (count(&server, "issue"), messages(&server, key));
                let told = letter(event, number, Some(key));
                *faults.lock().unwrap() = [before, &[fault]].concat();
                match sink.deliver(&errand(), &told).await {
                    Ok(_) => {}
                    Err(ActionError::Ambiguous { .. }) => {
                        sink.look_up(&told).await.unwrap();
                    }
                    Err(error) => panic!("{what}: {error}"),
                }
                faults.lock().unwrap().clear();
                let receipt = sink.deliver(&errand(), &told).await.unwrap();
                assert_eq!(sink.look_up(&told).await.unwrap(), Some(receipt), "{what}");
                let more = usize::from(event == Event::Opened);
                assert_eq!(
                    (count(&server, "issue"), messages(&server, key)),
                    (issues + more, said + 1 - more),
                    "{what}"
                );
                // Roundup opens a closed issue by itself when something is said.
                let resolved = status(&server, key) == "resolved";
                assert!(event == Event::Opened || resolved == (event == Event::Settled), "{what}");
            }
        }
    }
    // Somebody changed the issue between our look and our change: nothing happened, and it may be sent again.
    *faults.lock().unwrap() = vec![Fault::None, Fault::Changed];
    let told = letter(Event::Worse, 200, Some(key));
    let error = sink.deliver(&errand(), &told).await.unwrap_err();
    assert!(matches!(error, ActionError::Retry { .. }), "{error}");
    let said = messages(&server, key);
    sink.deliver(&errand(), &told).await.unwrap();
    assert_eq!(messages(&server, key), said + 1);
}
