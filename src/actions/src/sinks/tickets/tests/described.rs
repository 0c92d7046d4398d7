//! Against the makers' own descriptions: a server that refuses whatever they do not allow.
//! GitLab's has no issues in it, and Jira's server shows an issue as any that could be, not as it was made.

use super::*;
use crate::testing::{
    described::Described,
    loopback::{Loopback, Reply},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn github_takes_a_whole_life_without_a_word() {
    let Some(server) = Described::start("github.json") else { return };
    let sink = sink(&github::SPEC, &format!("http://{}", server.address));
    // Its repository is any that could be: one that takes no issues too.
    let checked = sink.check().await;
    assert!(matches!(checked, Ok(_) | Err(ActionError::GiveUp { .. })), "{checked:?}");
    let opened = from_long_ago(letter(Event::Opened, 1, None));
    let made = sink.deliver(&errand(), &opened).await.unwrap();
    assert_eq!(sink.look_up(&opened).await.unwrap().as_ref(), Some(&made), "a list that shows what was made");
    let key = key(&made);
    for (number, event) in [(2, Event::Worse), (3, Event::Settled), (4, Event::Unproven)] {
        let told = from_long_ago(letter(event, number, Some(&key)));
        sink.deliver(&errand(), &told).await.unwrap();
        assert!(sink.look_up(&told).await.unwrap().is_some(), "{event:?}");
        assert_eq!(closed(&ticket(&*sink, &key).await), event == Event::Settled, "{event:?}");
    }
    assert_eq!(server.violations(), json!([]));
    assert_eq!(ticket(&*sink, "999999").await, Ticket::Gone);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jira_takes_every_call_without_a_word() {
    let Some(server) = Described::start("jira.json") else { return };
    let server = std::sync::Arc::new(server);
    // The server knows no issue that was made: it stands for the description of each call, and the state comes from here.
    let (described, done) = (server.clone(), std::sync::Mutex::new(false));
    let front = Loopback::start(move |asked| {
        let headers: Vec<(&str, &str)> = asked.headers.iter().map(|(name, is)| (name.as_str(), is.as_str())).collect();
        let (status, body) = described.pass(&asked.method, &asked.target, &headers, &asked.body);
        let mut done = done.lock().unwrap();
        let mut answer: Value = serde_json::from_str(&body).unwrap_or_default();
        let is_transitions = asked.target.ends_with("/transitions");
        if asked.method == "POST" && is_transitions {
            *done = !*done;
        } else if is_transitions && status == 200 {
            let (new, end) = (
                json!({"id": "1", "name": "n", "to": {"name": "To Do", "statusCategory": {"key": "new"}}}),
                json!({"id": "2",
                "name": "d", "to": {"name": "Done", "statusCategory": {"key": "done"}}}),
            );
            answer = json!({ "transitions": [new, end] });
        } else if asked.target.contains("?fields=status") && status == 200 {
            let key = if *done { "done" } else { "new" };
            answer = json!({"fields": {"status": {"name": "x", "statusCategory": {"key": key}}}});
        } else if asked.target.contains("/issuetypes") && status == 200 {
            answer["issueTypes"][0]["name"] = "Task".into();
        }
        Reply::new(status, &[], if status == 204 { String::new() } else { answer.to_string() })
    })
    .await;
    let sink = sink(&jira::SPEC, &front.origin);
    sink.check().await.unwrap();
    let made = sink.deliver(&errand(), &letter(Event::Opened, 1, None)).await.unwrap();
    let key = key(&made);
    for (number, event) in [(2, Event::Worse), (3, Event::Settled), (4, Event::Unproven)] {
        sink.deliver(&errand(), &letter(event, number, Some(&key))).await.unwrap();
        assert_eq!(closed(&ticket(&*sink, &key).await), event == Event::Settled, "{event:?}");
    }
    assert_eq!(server.violations(), json!([]));
}
