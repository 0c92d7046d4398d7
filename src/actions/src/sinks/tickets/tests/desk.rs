//! Trackers on this machine: one memory of issues, spoken to as GitHub, GitLab and Jira are, that can be made to fail.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

use crate::testing::loopback::{Asked, Loopback, Reply};

/// What becomes of the next act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Done and said so.
    None,
    /// Not done, and asked to come again.
    Throttled,
    /// Not done, and an error that does not tell.
    Broken,
    /// Done, and the answer breaks off.
    CutDone,
    /// Not done, and the answer breaks off.
    CutUndone,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Issue {
    pub(super) title: String,
    pub(super) body: String,
    pub(super) closed: bool,
    pub(super) gone: bool,
    pub(super) comments: Vec<String>,
}

#[derive(Default)]
pub(super) struct Memory {
    pub(super) issues: Vec<Issue>,
    pub(super) faults: VecDeque<Fault>,
    pub(super) bodies: Vec<Value>,
}

pub(super) struct Tracker {
    pub(super) at: Loopback,
    pub(super) memory: Arc<Mutex<Memory>>,
}

/// What is asked, whoever speaks.
enum Wish {
    List,
    Make { title: String, body: String },
    Show(usize),
    Comments(usize),
    Say(usize, String),
    Ways(usize),
    To(usize, bool),
    Other,
}

impl Tracker {
    pub(super) async fn start(name: &'static str) -> Self {
        let memory: Arc<Mutex<Memory>> = Arc::default();
        let its = memory.clone();
        let at = Loopback::start(move |asked| its.lock().unwrap().answer(name, asked)).await;
        Self { at, memory }
    }

    pub(super) fn fail(&self, faults: &[Fault]) {
        self.memory.lock().unwrap().faults = faults.iter().copied().collect();
    }

    pub(super) fn issues(&self) -> Vec<Issue> {
        self.memory.lock().unwrap().issues.clone()
    }

    pub(super) fn change(&self, number: usize, change: impl FnOnce(&mut Issue)) {
        change(&mut self.memory.lock().unwrap().issues[number - 1]);
    }

    pub(super) fn acts(&self) -> usize {
        self.at.asked().iter().filter(|it| it.method != "GET").count()
    }
}

impl Memory {
    fn answer(&mut self, name: &str, asked: &Asked) -> Reply {
        let wish = wish(name, asked);
        if asked.method != "GET" {
            let fault = self.faults.pop_front().unwrap_or(Fault::None);
            match fault {
                Fault::Throttled => return Reply::new(429, &[("retry-after", "70")], "{}"),
                Fault::Broken => return Reply::new(500, &[], "{}"),
                Fault::CutUndone => return Reply::json("{}").cut(1),
                Fault::None | Fault::CutDone => {}
            }
            self.bodies.push(serde_json::from_str(&asked.body).unwrap());
            let reply = self.done(name, wish);
            return if fault == Fault::CutDone { reply.cut(1) } else { reply };
        }
        self.done(name, wish)
    }

    fn done(&mut self, name: &str, wish: Wish) -> Reply {
        let one =
            |memory: &Self, number: usize| Reply::json(&shown(name, number, &memory.issues[number - 1]).to_string());
        if let Wish::Show(number)
        | Wish::Comments(number)
        | Wish::Say(number, _)
        | Wish::Ways(number)
        | Wish::To(number, _) = &wish
            && self.issues.get(number.wrapping_sub(1)).is_none_or(|it| it.gone)
        {
            return Reply::new(if name == "github_issues" { 410 } else { 404 }, &[], "{\"message\": \"gone\"}");
        }
        match wish {
            Wish::List => {
                let there = self.issues.iter().enumerate().rev().filter(|(_, it)| !it.gone);
                let all: Vec<Value> = there.map(|(at, it)| shown(name, at + 1, it)).collect();
                Reply::json(&Value::from(all).to_string())
            }
            Wish::Make { title, body } => {
                self.issues.push(Issue { title, body, ..Issue::default() });
                one(self, self.issues.len())
            }
            Wish::Show(number) => one(self, number),
            Wish::Comments(number) => {
                let all = &self.issues[number - 1].comments;
                let all: Vec<Value> = all.iter().map(|it| json!({ "body": it })).collect();
                let page = if name == "jira" { json!({ "total": all.len(), "comments": all }) } else { all.into() };
                Reply::json(&page.to_string())
            }
            Wish::Say(number, body) => {
                self.issues[number - 1].comments.push(body);
                Reply::new(201, &[], "{}")
            }
            Wish::Ways(_) => Reply::json(
                &json!({"transitions": [
                    {"id": "11", "name": "Begin", "to": {"name": "In Progress", "statusCategory": {"key": "indeterminate"}}},
                    {"id": "21", "name": "Drop", "to": {"name": "Won't do", "statusCategory": {"key": "done"}}},
                    {"id": "31", "name": "Finish", "to": {"name": "Done", "statusCategory": {"key": "done"}}},
                ]})
                .to_string(),
            ),
            Wish::To(number, closed) => {
                self.issues[number - 1].closed = closed;
                one(self, number)
            }
            Wish::Other => Reply::new(404, &[], "{}"),
        }
    }
}

/// An issue in the words of each.
fn shown(name: &str, number: usize, issue: &Issue) -> Value {
    let now = "2026-11-18T10:00:00Z";
    match name {
        "github_issues" => json!({"number": number, "title": issue.title, "body": issue.body, "created_at": now,
            "state": if issue.closed { "closed" } else { "open" }, "comments": issue.comments.len(),
            "assignee": {"login": "ann"}}),
        "gitlab_issues" => json!({"iid": number, "title": issue.title, "description": issue.body, "created_at": now,
            "state": if issue.closed { "closed" } else { "opened" }, "user_notes_count": issue.comments.len(),
            "assignees": [{"username": "ann"}]}),
        _ => json!({"key": format!("SEC-{number}"), "fields": {"assignee": {"displayName": "ann"}, "status":
            {"name": "x", "statusCategory": {"key": if issue.closed { "done" } else { "new" }}}}}),
    }
}

fn wish(name: &str, asked: &Asked) -> Wish {
    let body: Value = serde_json::from_str(&asked.body).unwrap_or_default();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let path = asked.target.split('?').next().unwrap();
    let root = match name {
        "github_issues" => "/repos/acme/security/issues",
        "gitlab_issues" => "/api/v4/projects/acme%2Fsec%2Furity/issues",
        _ => "/rest/api/3/issue",
    };
    let Some(rest) = path.strip_prefix(root) else { return Wish::Other };
    let pieces: Vec<&str> = rest.split('/').skip(1).collect();
    let number = pieces.first().and_then(|it| it.trim_start_matches("SEC-").parse().ok()).unwrap_or(0);
    match (asked.method.as_str(), pieces.get(1).copied(), pieces.len()) {
        ("GET", _, 0) => Wish::List,
        ("POST", _, 0) if name == "jira" => {
            Wish::Make { title: text(&body["fields"]["summary"]), body: text(&body["fields"]["description"]) }
        }
        ("POST", _, 0) => {
            let words = if name == "github_issues" { &body["body"] } else { &body["description"] };
            Wish::Make { title: text(&body["title"]), body: text(words) }
        }
        ("GET", None, _) => Wish::Show(number),
        ("PATCH", None, _) => Wish::To(number, body["state"] == "closed"),
        ("PUT", None, _) => Wish::To(number, body["state_event"] == "close"),
        ("GET", Some("comments" | "comment" | "notes"), _) => Wish::Comments(number),
        ("POST", Some("comments" | "comment" | "notes"), _) => Wish::Say(number, text(&body["body"])),
        ("GET", Some("transitions"), _) => Wish::Ways(number),
        ("POST", Some("transitions"), _) => Wish::To(number, body["transition"]["id"] != "11"),
        _ => Wish::Other,
    }
}
