//! A ticket's whole life in each tracker that is spoken to here, with every fault on the way.

use super::{
    desk::{Fault, Issue, Tracker},
    *,
};

const SPOKEN: [&SinkSpec; 3] = [&github::SPEC, &gitlab::SPEC, &jira::SPEC];

async fn begun(spec: &SinkSpec) -> (Tracker, Box<dyn Sink>) {
    let tracker = Tracker::start(spec.name).await;
    let sink = sink(spec, &tracker.at.origin);
    (tracker, sink)
}

fn has(issue: &Issue, number: u32) -> usize {
    let id = format!("01234567-89ab-7cde-8f01-{number:012}");
    issue.comments.iter().filter(|it| it.contains(&id)).count()
}

#[tokio::test]
async fn a_ticket_is_made_commented_closed_and_opened_again_and_each_letter_leaves_its_mark_once() {
    for spec in SPOKEN {
        let (tracker, sink) = begun(spec).await;
        let made = sink.deliver(&errand(), &letter(Event::Opened, 1, None)).await.unwrap();
        let key = key(&made);
        assert!(made.url.unwrap().ends_with(&key));
        if spec.name != "jira" {
            assert_eq!(
                sink.deliver(&errand(), &letter(Event::Opened, 1, None)).await.unwrap().reference,
                Some(key.clone())
            );
        }
        let issue = tracker.issues().remove(0);
        assert_eq!(issue.title, "high: not used for a long time: access key AKIAIOSFODNN7EXAMPLE");
        assert!(
            issue.body.contains("Why it matters: A key nobody uses") && issue.body.contains("payments"),
            "{issue:?}"
        );
        for (number, event) in [(2, Event::Worse), (3, Event::Changed), (4, Event::Overdue)] {
            for _ in 0..2 {
                let told = sink.deliver(&errand(), &letter(event, number, Some(&key))).await.unwrap();
                assert_eq!(told.reference.as_ref(), Some(&key));
            }
        }
        for _ in 0..2 {
            sink.deliver(&errand(), &letter(Event::Settled, 5, Some(&key))).await.unwrap();
        }
        let there = ticket(&*sink, &key).await;
        assert!(closed(&there), "{there:?}");
        for _ in 0..2 {
            sink.deliver(&errand(), &letter(Event::Unproven, 6, Some(&key))).await.unwrap();
        }
        assert!(!closed(&ticket(&*sink, &key).await));
        let issues = tracker.issues();
        assert_eq!(issues.len(), 1, "{}", spec.name);
        assert_eq!([1, 2, 3, 4, 5, 6].map(|it| has(&issues[0], it)), [0, 1, 1, 1, 1, 1], "{}", spec.name);
        // Made, five comments, closed, opened.
        assert_eq!(tracker.acts(), 8, "{}", spec.name);
    }
}

#[tokio::test]
async fn what_is_asked_of_each_tracker_is_in_its_own_words() {
    for spec in SPOKEN {
        let (tracker, sink) = begun(spec).await;
        let key = key(&sink.deliver(&errand(), &letter(Event::Opened, 1, None)).await.unwrap());
        sink.deliver(&errand(), &letter(Event::Settled, 2, Some(&key))).await.unwrap();
        sink.deliver(&errand(), &letter(Event::Unproven, 3, Some(&key))).await.unwrap();
        let bodies = tracker.memory.lock().unwrap().bodies.clone();
        let (made, closes, opens) = (&bodies[0], &bodies[2], &bodies[3]);
        match spec.name {
            "github_issues" => {
                assert_eq!(made["labels"], json!(["nhi"]));
                assert_eq!(closes, &json!({"state": "closed", "state_reason": "completed"}));
                assert_eq!(opens, &json!({"state": "open", "state_reason": "reopened"}));
            }
            "gitlab_issues" => {
                assert_eq!((&made["labels"], &made["confidential"]), (&json!("nhi"), &json!(true)));
                assert_eq!((closes, opens), (&json!({"state_event": "close"}), &json!({"state_event": "reopen"})));
            }
            _ => {
                let fields = &made["fields"];
                assert_eq!((&fields["project"]["key"], &fields["issuetype"]["name"]), (&json!("SEC"), &json!("Task")));
                assert_eq!(fields["description"]["type"], "doc");
                // The first way to a status that counts as done, and the first to one that does not.
                assert_eq!(
                    (closes, opens),
                    (&json!({"transition": {"id": "21"}}), &json!({"transition": {"id": "11"}}))
                );
            }
        }
    }
}

#[tokio::test]
async fn jira_goes_the_way_that_is_set_and_says_when_there_is_none() {
    let tracker = Tracker::start("jira").await;
    for (done, way) in [("done", Some("31")), ("FINISH", Some("31")), ("Never", None)] {
        let mut settings = settings("jira", &tracker.at.origin);
        settings["done"] = done.into();
        let sink = (jira::SPEC.build)(&handed(settings)).unwrap();
        let key = key(&sink.deliver(&errand(), &letter(Event::Opened, 1, None)).await.unwrap());
        let closed = sink.deliver(&errand(), &letter(Event::Settled, 2, Some(&key))).await;
        match way {
            Some(way) => {
                closed.unwrap();
                let sent = tracker.memory.lock().unwrap().bodies.last().cloned().unwrap();
                assert_eq!(sent, json!({"transition": {"id": way}}));
            }
            None => assert!(matches!(closed, Err(ActionError::GiveUp { said }) if said.contains("setting done"))),
        }
    }
}

#[tokio::test]
async fn data_center_is_spoken_to_in_wiki_text_with_a_token() {
    let tracker = crate::testing::loopback::Loopback::start(|asked| {
        let comments = asked.target.contains("/comment");
        crate::testing::loopback::Reply::json(match (asked.method.as_str(), comments) {
            ("POST", false) => "{\"key\": \"SEC-1\"}",
            ("GET", true) => "{\"total\": 0, \"comments\": []}",
            ("GET", false) => "{\"fields\": {\"status\": {\"name\": \"x\", \"statusCategory\": {\"key\": \"new\"}}}}",
            _ => "{}",
        })
    })
    .await;
    let settings = json!({"base_url": tracker.origin, "flavour": "data-center", "token": "env:t", "project": "SEC",
        "issue_type": "Task"});
    let sink = (jira::SPEC.build)(&handed(settings)).unwrap();
    sink.deliver(&errand(), &letter(Event::Opened, 1, None)).await.unwrap();
    sink.deliver(&errand(), &letter(Event::Worse, 2, Some("SEC-1"))).await.unwrap();
    let acts: Vec<_> = tracker.asked().into_iter().filter(|it| it.method == "POST").collect();
    assert_eq!((acts[0].target.as_str(), acts[0].header("authorization")), ("/rest/api/2/issue", "Bearer t"));
    assert_eq!(acts[1].target, "/rest/api/2/issue/SEC-1/comment");
    let said: Value = serde_json::from_str(&acts[1].body).unwrap();
    let said = said["body"].as_str().unwrap();
    assert!(said.starts_with("{noformat}\n") && said.ends_with("000000000002\n{noformat}"), "{said}");
}

#[tokio::test]
async fn a_ticket_that_is_gone_is_made_again_unless_all_is_settled() {
    for spec in SPOKEN {
        let (tracker, sink) = begun(spec).await;
        let first = key(&sink.deliver(&errand(), &letter(Event::Opened, 1, None)).await.unwrap());
        tracker.change(1, |issue| issue.gone = true);
        assert_eq!(ticket(&*sink, &first).await, Ticket::Gone);
        let settled = letter(Event::Settled, 2, Some(&first));
        assert_eq!(sink.deliver(&errand(), &settled).await.unwrap(), Receipt::default());
        assert_eq!(sink.look_up(&settled).await.unwrap(), Some(Receipt::default()));
        let second = key(&sink.deliver(&errand(), &letter(Event::Unproven, 3, Some(&first))).await.unwrap());
        assert_ne!(first, second);
        assert!(!closed(&ticket(&*sink, &second).await));
        // What never had a ticket needs none when it is settled, and one for anything else.
        assert_eq!(sink.deliver(&errand(), &letter(Event::Settled, 4, None)).await.unwrap(), Receipt::default());
        sink.deliver(&errand(), &letter(Event::Worse, 5, None)).await.unwrap();
        assert_eq!((tracker.issues().len(), tracker.acts()), (3, 3), "{}", spec.name);
        let both = [first, second];
        let all = sink.tracker().unwrap().tickets(&both).await.unwrap();
        assert!(matches!(all[..], [Ticket::Gone, Ticket::There { .. }]), "{all:?}");
    }
}

#[tokio::test]
async fn a_ticket_of_which_nobody_knows_is_found_or_said_to_be_missing_and_not_made_twice() {
    for spec in [&github::SPEC, &gitlab::SPEC] {
        for fault in [Fault::CutDone, Fault::CutUndone, Fault::Broken] {
            let (tracker, sink) = begun(spec).await;
            tracker.fail(&[fault]);
            let opened = letter(Event::Opened, 1, None);
            let error = sink.deliver(&errand(), &opened).await.unwrap_err();
            assert!(matches!(error, ActionError::Ambiguous { .. }), "{error}");
            let found = sink.look_up(&opened).await.unwrap();
            assert_eq!(found.is_some(), fault == Fault::CutDone, "{} {fault:?}", spec.name);
            let again = sink.deliver(&errand(), &opened).await.unwrap();
            assert_eq!(tracker.issues().len(), 1, "{} {fault:?}", spec.name);
            assert_eq!(sink.look_up(&opened).await.unwrap(), Some(again));
        }
    }
}

#[tokio::test]
async fn jira_does_not_say_of_a_new_issue_what_it_cannot_know() {
    let (tracker, sink) = begun(&jira::SPEC).await;
    tracker.fail(&[Fault::CutDone]);
    let opened = letter(Event::Opened, 1, None);
    assert!(matches!(sink.deliver(&errand(), &opened).await, Err(ActionError::Ambiguous { .. })));
    assert!(matches!(sink.look_up(&opened).await, Err(ActionError::GiveUp { .. })));
    assert_eq!(tracker.issues().len(), 1);
}

#[tokio::test]
async fn a_step_of_which_nobody_knows_is_looked_for_and_taken_once() {
    // Settled and unproven take two steps: each of them fails in each way.
    for spec in SPOKEN {
        for event in [Event::Settled, Event::Unproven] {
            for fault in [Fault::CutDone, Fault::CutUndone, Fault::Broken, Fault::Throttled] {
                for before in [&[][..], &[Fault::None]] {
                    let (tracker, sink) = begun(spec).await;
                    let key = key(&sink.deliver(&errand(), &letter(Event::Opened, 1, None)).await.unwrap());
                    tracker.change(1, |issue| issue.closed = event == Event::Unproven);
                    let told = letter(event, 2, Some(&key));
                    assert_eq!(sink.look_up(&told).await.unwrap(), None);
                    tracker.fail(&[before, &[fault]].concat());
                    let what = format!("{} {event:?} {before:?} {fault:?}", spec.name);
                    match (sink.deliver(&errand(), &told).await, fault) {
                        // A look found it taken.
                        (Ok(_), Fault::CutDone) => {}
                        (Err(ActionError::Retry { after: Some(after), .. }), Fault::Throttled) => {
                            assert_eq!(after.as_secs(), 70, "{what}");
                        }
                        (Err(ActionError::Ambiguous { .. }), Fault::CutUndone | Fault::Broken) => {
                            assert_eq!(sink.look_up(&told).await.unwrap(), None, "{what}");
                        }
                        (other, _) => panic!("{what}: {other:?}"),
                    }
                    // Another one, which was not asked to wait.
                    let sink = super::sink(spec, &tracker.at.origin);
                    let receipt = sink.deliver(&errand(), &told).await.unwrap();
                    assert_eq!(sink.look_up(&told).await.unwrap(), Some(receipt), "{what}");
                    let issue = tracker.issues().remove(0);
                    assert_eq!((has(&issue, 2), issue.closed), (1, event == Event::Settled), "{what}");
                }
            }
        }
    }
}

#[tokio::test]
async fn silence_is_not_absence() {
    use crate::testing::loopback::{Loopback, Reply};
    for spec in SPECS {
        for status in [401, 403, 500] {
            let tracker = Loopback::start(move |_| Reply::new(status, &[], "{}")).await;
            let sink = sink(spec, &tracker.origin);
            for keys in [&["1".to_owned()][..], &["1".to_owned(), "2".to_owned()]] {
                assert!(sink.tracker().unwrap().tickets(keys).await.is_err(), "{} {status}", spec.name);
            }
            assert!(sink.look_up(&letter(Event::Worse, 1, Some("1"))).await.is_err(), "{} {status}", spec.name);
            assert!(
                sink.deliver(&errand(), &letter(Event::Worse, 1, Some("1"))).await.is_err(),
                "{} {status}",
                spec.name
            );
            assert!(tracker.asked().iter().all(|it| it.method == "GET"), "{} {status}", spec.name);
        }
    }
}

#[tokio::test]
async fn a_check_says_who_we_are_and_whether_tickets_can_be_made() {
    use crate::testing::loopback::{Loopback, Reply};
    let who = |asked: &str| asked.ends_with("/user") || asked.ends_with("/myself");
    for (spec, user, place, says) in [
        (
            &github::SPEC,
            r#"{"login": "bot"}"#,
            r#"{"has_issues": true, "archived": false}"#,
            Some("bot sees acme/security, which takes issues;"),
        ),
        (&github::SPEC, r#"{"login": "bot"}"#, r#"{"permissions": {"push": false}}"#, Some("it may not set labels")),
        (&github::SPEC, r#"{"login": "bot"}"#, r#"{"has_issues": false}"#, None),
        (&github::SPEC, r#"{"login": "bot"}"#, r#"{"archived": true}"#, None),
        (
            &gitlab::SPEC,
            r#"{"username": "bot"}"#,
            r#"{"permissions": {"group_access": {"access_level": 20}}}"#,
            Some("bot sees acme/sec/urity, which takes issues"),
        ),
        (
            &gitlab::SPEC,
            r#"{"username": "bot"}"#,
            r#"{"permissions": {"project_access": {"access_level": 10}}}"#,
            Some("no member with a role"),
        ),
        (&gitlab::SPEC, r#"{"username": "bot"}"#, r#"{"issues_access_level": "disabled"}"#, None),
        (&gitlab::SPEC, r#"{"username": "bot"}"#, r#"{"issues_enabled": false}"#, None),
        (
            &jira::SPEC,
            r#"{"displayName": "Bot"}"#,
            r#"{"issueTypes": [{"name": "task"}]}"#,
            Some("Bot may make issues"),
        ),
        (&jira::SPEC, r#"{"displayName": "Bot"}"#, r#"{"values": [{"name": "Task"}]}"#, Some("Bot may make issues")),
        (&jira::SPEC, r#"{"displayName": "Bot"}"#, r#"{"values": [{"name": "Epic"}]}"#, None),
    ] {
        let tracker = Loopback::start(move |asked| Reply::json(if who(&asked.target) { user } else { place })).await;
        let checked = sink(spec, &tracker.origin).check().await;
        match says {
            Some(says) => assert!(checked.as_ref().unwrap().contains(says), "{checked:?}"),
            None => assert!(matches!(checked, Err(ActionError::GiveUp { .. })), "{checked:?}"),
        }
        assert!(tracker.asked().iter().all(|it| it.method == "GET"));
    }
}

#[tokio::test]
async fn a_mark_on_the_next_page_is_found_and_a_list_that_breaks_off_says_nothing() {
    use crate::testing::loopback::{Asked, Loopback, Reply};
    // GitHub's links name a repository by its number.
    const NEXT: [&str; 2] = [
        "</repositories/7/issues/1/comments?page=2>; rel=\"next\"",
        "</api/v4/projects/7/issues/1/notes?page=2>; rel=\"next\"",
    ];
    for spec in SPOKEN {
        for (second, found) in [(200, Some(true)), (500, None), (404, None)] {
            let github = spec.name == "github_issues";
            let answer = move |asked: &Asked| {
                let is_list = ["/comments", "/comment", "/notes"].iter().any(|it| asked.target.contains(it));
                let is_second = asked.target.contains("page=2") || asked.target.contains("startAt=1");
                let text = if is_second {
                    "<!-- provost:01234567-89ab-7cde-8f01-000000000002 --> provost letter 01234567-89ab-7cde-8f01-000000000002"
                } else {
                    "hello"
                };
                match (is_list, spec.name) {
                    (false, "jira") => {
                        Reply::json(r#"{"fields": {"status": {"name": "x", "statusCategory": {"key": "new"}}}}"#)
                    }
                    (false, _) => Reply::json(r#"{"iid": 1, "number": 1, "state": "open"}"#),
                    (true, _) if is_second && second != 200 => Reply::new(second, &[], "{}"),
                    (true, "jira") => Reply::json(&json!({"total": 2, "comments": [{"body": text}]}).to_string()),
                    (true, _) => {
                        let link = if is_second { "" } else { NEXT[usize::from(!github)] };
                        Reply::new(200, &[("link", link)], json!([{ "body": text }]).to_string())
                    }
                }
            };
            let tracker = Loopback::start(answer).await;
            let looked = sink(spec, &tracker.origin).look_up(&letter(Event::Worse, 2, Some("1"))).await;
            assert_eq!(looked.as_ref().ok().map(Option::is_some), found, "{} {second}: {looked:?}", spec.name);
        }
    }
}
