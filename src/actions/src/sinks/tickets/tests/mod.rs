//! Trackers together: what each may send, what a text from outside does in it, and a whole life of a ticket with every fault.

mod described;
mod desk;
mod faults;
mod real;

use provost_model::{Time, door::corpus::HOSTILE};
use serde_json::{Value, json};

use super::{github, gitlab, jira, provider, roundup};
use crate::{
    ActionError, Event, Letter,
    sinks::{Receipt, Sink, SinkSpec, Ticket},
    testing::{errand, handed},
};

const SPECS: [&SinkSpec; 4] = [&github::SPEC, &gitlab::SPEC, &jira::SPEC, &roundup::SPEC];

/// Letters about one case, each with an id of its own.
fn letter(event: Event, number: u32, thread: Option<&str>) -> Letter {
    let mut letter = crate::testing::letter();
    letter.id = format!("01234567-89ab-7cde-8f01-{number:012}");
    letter.thread = thread.map(str::to_owned);
    letter.baselines.clear();
    letter.uncertain.clear();
    letter.cases[0].event = event;
    letter.counts[0].event = event;
    letter
}

/// Settings that work, with the tracker there.
fn settings(name: &str, base: &str) -> Value {
    match name {
        "github_issues" => {
            json!({"repository": "acme/security", "token": "env:t", "labels": ["nhi"], "base_url": base})
        }
        "gitlab_issues" => {
            json!({"project": "acme/sec/urity", "token": "env:t", "labels": ["nhi"], "confidential": true, "base_url": base})
        }
        "jira" => {
            json!({"base_url": base, "flavour": "cloud", "user": "ann@acme.example", "token": "env:t", "project": "SEC",
            "issue_type": "Task", "labels": ["nhi"]})
        }
        _ => json!({"base_url": base, "user": "provost", "password": "env:provostpw"}),
    }
}

fn sink(spec: &SinkSpec, base: &str) -> Box<dyn Sink> {
    (spec.build)(&handed(settings(spec.name, base))).unwrap()
}

async fn ticket(sink: &dyn Sink, key: &str) -> Ticket {
    sink.tracker().unwrap().tickets(&[key.to_owned()]).await.unwrap().remove(0)
}

fn closed(ticket: &Ticket) -> bool {
    match ticket {
        Ticket::There { closed, .. } => *closed,
        Ticket::Gone => panic!("it is gone"),
    }
}

fn key(receipt: &Receipt) -> String {
    receipt.reference.clone().unwrap()
}

#[test]
fn a_tracker_is_sent_what_its_description_says_and_nothing_else() {
    for spec in SPECS {
        let provider = provider(spec, "https://x.example".into(), &[]);
        assert_eq!((provider.acts, provider.reads), (owned(spec.acts), owned(spec.reads)), "{}", spec.name);
        assert!(!spec.gathers && provider.documents.is_empty() && provider.also.is_empty());
    }
}

fn owned(calls: &[&str]) -> Vec<String> {
    calls.iter().map(|it| (*it).to_owned()).collect()
}

#[test]
fn nothing_from_outside_does_anything_in_a_ticket() {
    let links =
        ["fixes #1", "see https://evil.invalid/x, www.evil.invalid, ann@evil.invalid, issue1", "/close", "[~ann]"];
    for spec in SPECS {
        let sink = sink(spec, "https://x.example");
        let plain = sink.preview(&letter(Event::Opened, 1, None)).unwrap();
        for text in HOSTILE.iter().map(|(text, _)| *text).chain(links) {
            let mut letter = letter(Event::Opened, 1, None);
            let case = &mut letter.cases[0];
            (case.name, case.owner) = (text.to_owned(), Some(text.to_owned()));
            case.faults[0].because = text.to_owned();
            let seen = sink.preview(&letter).unwrap();
            let (_, body) = seen.split_once("\n\n").unwrap();
            match spec.name {
                // What is not in code is the same whatever the text is.
                "github_issues" | "gitlab_issues" => {
                    let outside: Vec<&str> = body.split('`').step_by(2).collect();
                    let (_, plain) = plain.split_once("\n\n").unwrap();
                    assert_eq!(outside, plain.split('`').step_by(2).collect::<Vec<_>>(), "{text}");
                }
                "jira" => {
                    let (_, wire) = body.rsplit_once("\n\n").unwrap();
                    assert_only_text(&serde_json::from_str(wire).unwrap());
                }
                _ => assert!(!body.contains("://") && !body.contains('@') && !body.contains("issue1"), "{body}"),
            }
        }
    }
}

/// Of all that a document can hold, ours have paragraphs of text, and one bold line.
fn assert_only_text(node: &Value) {
    assert!(["doc", "paragraph", "text", "hardBreak"].contains(&node["type"].as_str().unwrap()), "{node}");
    if let Some(marks) = node.get("marks") {
        assert_eq!((marks, &node["text"]), (&json!([{ "type": "strong" }]), &json!("1 high case new")));
    }
    node["content"].as_array().into_iter().flatten().for_each(assert_only_text);
}

#[test]
fn settings_that_make_no_sense_are_refused_by_name() {
    for (spec, change, says) in [
        (&github::SPEC, json!({"repository": "acme"}), "repository"),
        (&github::SPEC, json!({"repository": "acme/../x"}), "repository"),
        (&github::SPEC, json!({"token": "hunter2"}), "token"),
        (&github::SPEC, json!({"base_url": "http://hunter2.example"}), "base_url"),
        (&github::SPEC, json!({"labels": "hunter2"}), "labels"),
        (&github::SPEC, json!({"lable": ["hunter2"]}), "lable"),
        (&gitlab::SPEC, json!({"project": "7"}), "project"),
        (&gitlab::SPEC, json!({"labels": ["a,hunter2"]}), "labels"),
        (&gitlab::SPEC, json!({"token": "hunter2"}), "token"),
        (&jira::SPEC, json!({"flavour": "hunter2"}), "flavour"),
        (&jira::SPEC, json!({"flavour": "data-center"}), "user"),
        (&jira::SPEC, json!({"user": null}), "user"),
        (&jira::SPEC, json!({"project": "hunter2/x"}), "project"),
        (&jira::SPEC, json!({"labels": ["a hunter2"]}), "labels"),
        (&jira::SPEC, json!({"token": "hunter2"}), "token"),
        (&roundup::SPEC, json!({"closed": []}), "closed"),
        (&roundup::SPEC, json!({"closed": ["8"]}), "closed"),
        (&roundup::SPEC, json!({"reopened": "resolved"}), "reopened"),
        (&roundup::SPEC, json!({"password": "hunter2"}), "password"),
    ] {
        let mut settings = settings(spec.name, "https://x.example");
        settings.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let error = (spec.build)(&handed(settings)).err().unwrap_or_else(|| panic!("{} takes {change}", spec.name));
        assert!(error.contains(says) && !error.contains("hunter2"), "{}: {error}", spec.name);
    }
}

#[tokio::test]
async fn a_ticket_is_about_one_case() {
    for spec in SPECS {
        let sink = sink(spec, "http://127.0.0.1:9");
        for cases in [0, 2] {
            let mut letter = letter(Event::Opened, 1, None);
            letter.cases = vec![letter.cases[0].clone(); cases];
            let error = sink.deliver(&errand(), &letter).await.unwrap_err();
            assert!(matches!(error, ActionError::GiveUp { .. }), "{error}");
        }
    }
}

/// Before everything, for servers whose records are of any time.
fn from_long_ago(mut letter: Letter) -> Letter {
    letter.first_tried_at = Time::from_seconds(0);
    letter
}
