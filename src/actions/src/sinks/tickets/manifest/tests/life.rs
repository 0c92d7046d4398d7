//! A ticket's whole life by each shipped manifest, against a tracker of memory that speaks as its maker says, with every fault.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use provost_model::door::corpus::HOSTILE;

use super::*;
use crate::{
    ActionError, Event, Letter,
    sinks::{Receipt, Ticket},
    testing::{
        errand,
        loopback::{Asked, Loopback, Reply},
    },
};

/// What becomes of the next act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// Done, and the answer breaks off.
    CutDone,
    /// Not done, and the answer breaks off.
    CutUndone,
    /// Not done, and an error that does not tell.
    Broken,
    /// Not done, and asked to come again.
    Throttled,
    /// Said to be done, and not done.
    Ignored,
}

#[derive(Clone, Debug, Default)]
struct Issue {
    title: String,
    body: String,
    closed: bool,
    gone: bool,
    comments: Vec<String>,
}

#[derive(Default)]
struct Memory {
    issues: Vec<Issue>,
    faults: VecDeque<Fault>,
    bodies: Vec<Value>,
}

struct Tracker {
    text: &'static str,
    at: Loopback,
    memory: Arc<Mutex<Memory>>,
}

impl Tracker {
    async fn start(text: &'static str) -> (Self, Box<dyn Sink>) {
        let memory: Arc<Mutex<Memory>> = Arc::default();
        let its = memory.clone();
        let at = Loopback::start(move |asked| its.lock().unwrap().answer(text == REDMINE, asked)).await;
        let tracker = Self { text, at, memory };
        let sink = tracker.sink();
        (tracker, sink)
    }

    fn sink(&self) -> Box<dyn Sink> {
        built(self.text, settings(self.text, &self.at.origin)).unwrap()
    }

    fn fail(&self, faults: &[Fault]) {
        self.memory.lock().unwrap().faults = faults.iter().copied().collect();
    }

    fn issues(&self) -> Vec<Issue> {
        self.memory.lock().unwrap().issues.clone()
    }

    fn change(&self, number: usize, change: impl FnOnce(&mut Issue)) {
        change(&mut self.memory.lock().unwrap().issues[number - 1]);
    }

    fn acts(&self) -> usize {
        self.at.asked().iter().filter(|it| it.method != "GET").count()
    }
}

impl Memory {
    fn answer(&mut self, redmine: bool, asked: &Asked) -> Reply {
        let proof = if redmine {
            asked.header("x-redmine-api-key") == "t"
        } else {
            asked.header("authorization") == "Bearer t"
        };
        if !proof {
            return Reply::new(401, &[], "{}");
        }
        if asked.method == "GET" {
            return self.shown(redmine, &asked.target);
        }
        let fault = self.faults.pop_front().unwrap_or(Fault::None);
        match fault {
            Fault::Throttled => return Reply::new(429, &[("retry-after", "70")], "{}"),
            Fault::Broken => return Reply::new(500, &[], "{}"),
            Fault::CutUndone => return Reply::json("{}").cut(1),
            Fault::Ignored => return if redmine { Reply::new(204, &[], "") } else { Reply::json("{}") },
            Fault::None | Fault::CutDone => {}
        }
        let body: Value = serde_json::from_str(&asked.body).unwrap();
        self.bodies.push(body.clone());
        let reply = if redmine { self.redmine(asked, &body["issue"]) } else { self.youtrack(asked, &body) };
        // One without a body breaks off in its head.
        if fault == Fault::CutDone { reply.cut(1) } else { reply }
    }

    fn at(&mut self, target: &str) -> Option<&mut Issue> {
        let path = target.split('?').next().unwrap().trim_end_matches(".json").trim_end_matches("/comments");
        let number: usize = path.rsplit(['/', '-']).next().unwrap().parse().ok()?;
        self.issues.get_mut(number - 1).filter(|it| !it.gone)
    }

    fn redmine(&mut self, asked: &Asked, issue: &Value) -> Reply {
        if asked.target == "/issues.json" {
            assert_eq!((&issue["project_id"], &issue["tracker_id"]), (&json!("nhi"), &json!(3)));
            let text = |name: &str| issue[name].as_str().unwrap().to_owned();
            self.issues.push(Issue { title: text("subject"), body: text("description"), ..Issue::default() });
            return Reply::new(201, &[], json!({"issue": {"id": self.issues.len()}}).to_string());
        }
        let Some(at) = self.at(&asked.target) else { return Reply::new(404, &[], "") };
        at.comments.extend(issue["notes"].as_str().map(str::to_owned));
        if let Some(status) = issue["status_id"].as_u64() {
            at.closed = status == 5;
        }
        Reply::new(204, &[], "")
    }

    fn youtrack(&mut self, asked: &Asked, body: &Value) -> Reply {
        if asked.target == "/api/issues?fields=idReadable" {
            assert_eq!(body["project"], json!({"id": "0-7"}));
            let text = |name: &str| body[name].as_str().unwrap().to_owned();
            self.issues.push(Issue { title: text("summary"), body: text("description"), ..Issue::default() });
            return Reply::json(&json!({"idReadable": format!("NHI-{}", self.issues.len())}).to_string());
        }
        let Some(at) = self.at(&asked.target) else { return Reply::new(404, &[], "{}") };
        match body["text"].as_str() {
            Some(text) => at.comments.push(text.to_owned()),
            None => {
                assert_eq!(body["customFields"][0]["$type"], "StateIssueCustomField");
                at.closed = body["customFields"][0]["value"]["name"] == "Fixed";
            }
        }
        Reply::json("{}")
    }

    fn shown(&mut self, redmine: bool, target: &str) -> Reply {
        if target.starts_with("/users/current.json") || target.starts_with("/api/users/me") {
            return Reply::json(&json!({"user": {"login": "bot"}, "login": "bot"}).to_string());
        }
        if target.starts_with("/issues.json") {
            assert!(target.contains("project_id=nhi&sort=id:desc&status_id=*&offset="), "{target}");
            assert!(target.contains("created_on=%3E%3D20"), "{target}");
            let there = self.issues.iter().enumerate().rev().filter(|(_, it)| !it.gone);
            let all: Vec<Value> = there.map(|(at, it)| json!({"id": at + 1, "description": it.body})).collect();
            // A page of one, so that there is another.
            let skip: usize = target.rsplit_once("offset=").unwrap().1.parse().unwrap();
            let page: Vec<&Value> = all.iter().skip(skip).take(1).collect();
            return Reply::json(&json!({"issues": page, "total_count": all.len()}).to_string());
        }
        let Some(at) = self.at(target) else { return Reply::new(404, &[], "{}") };
        if redmine {
            let mut journals: Vec<Value> = at.comments.iter().map(|it| json!({ "notes": it })).collect();
            journals.insert(0, json!({ "notes": "" }));
            let status = if at.closed { "Closed" } else { "New" };
            let issue = json!({"id": 1, "status": {"id": 1, "name": status}, "journals": journals,
                "assigned_to": {"name": "ann"}});
            return Reply::json(&json!({ "issue": issue }).to_string());
        }
        if target.contains("/comments?") {
            let all: Vec<Value> = at.comments.iter().map(|it| json!({ "text": it })).collect();
            let skip: usize = target.rsplit_once("skip=").unwrap().1.parse().unwrap();
            return Reply::json(&Value::from(all.get(skip..).unwrap_or_default().to_vec()).to_string());
        }
        let resolved = if at.closed { json!(1_795_000_000_000_u64) } else { Value::Null };
        Reply::json(&json!({"resolved": resolved, "commentsCount": at.comments.len()}).to_string())
    }
}

const SHIPPED: [&str; 2] = [REDMINE, YOUTRACK];

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

fn has(issue: &Issue, number: u32) -> usize {
    let id = format!("provost letter 01234567-89ab-7cde-8f01-{number:012}");
    issue.comments.iter().filter(|it| it.contains(&id)).count()
}

async fn opened(sink: &dyn Sink) -> String {
    sink.deliver(&errand(), &letter(Event::Opened, 1, None)).await.unwrap().reference.unwrap()
}

async fn ticket(sink: &dyn Sink, key: &str) -> Ticket {
    sink.tracker().unwrap().tickets(&[key.to_owned()]).await.unwrap().remove(0)
}

#[tokio::test]
async fn a_ticket_is_made_commented_closed_and_opened_again_and_each_letter_leaves_its_mark_once() {
    for text in SHIPPED {
        let (tracker, sink) = Tracker::start(text).await;
        let made = sink.deliver(&errand(), &letter(Event::Opened, 1, None)).await.unwrap();
        let key = made.reference.unwrap();
        assert!(made.url.unwrap().ends_with(&format!("/{key}")));
        for (number, event) in [(2, Event::Worse), (3, Event::Changed), (4, Event::Overdue), (5, Event::Settled)] {
            for _ in 0..2 {
                sink.deliver(&errand(), &letter(event, number, Some(&key))).await.unwrap();
            }
        }
        let Ticket::There { closed, status, assignee, comments } = ticket(&*sink, &key).await else { panic!("gone") };
        let expected = if text == REDMINE { ("Closed", Some("ann".to_owned()), 5) } else { ("closed", None, 4) };
        assert_eq!((closed, status.as_str(), assignee, comments), (true, expected.0, expected.1, Some(expected.2)));
        for _ in 0..2 {
            sink.deliver(&errand(), &letter(Event::Unproven, 6, Some(&key))).await.unwrap();
        }
        let issues = tracker.issues();
        assert_eq!((issues.len(), issues[0].closed), (1, false));
        assert_eq!(issues[0].title, "high: not used for a long time: access key AKIAIOSFODNN7EXAMPLE");
        assert!(issues[0].body.contains("Why it matters") && issues[0].body.ends_with("-000000000001"));
        assert_eq!([1, 2, 3, 4, 5, 6].map(|it| has(&issues[0], it)), [0, 1, 1, 1, 1, 1]);
        // Made, five comments, closed, opened.
        assert_eq!(tracker.acts(), 8);
        assert!(sink.check().await.unwrap().contains(" lets bot in"));
        assert_eq!(tracker.acts(), 8);
    }
}

#[tokio::test]
async fn a_ticket_that_is_gone_is_made_again_unless_all_is_settled() {
    for text in SHIPPED {
        let (tracker, sink) = Tracker::start(text).await;
        let first = opened(&*sink).await;
        tracker.change(1, |issue| issue.gone = true);
        assert_eq!(ticket(&*sink, &first).await, Ticket::Gone);
        let settled = letter(Event::Settled, 2, Some(&first));
        assert_eq!(sink.deliver(&errand(), &settled).await.unwrap(), Receipt::default());
        let again = sink.deliver(&errand(), &letter(Event::Worse, 3, Some(&first))).await.unwrap();
        assert_ne!(again.reference, Some(first));
        assert_eq!((tracker.issues().len(), tracker.acts()), (2, 2));
    }
}

#[tokio::test]
async fn a_ticket_without_a_clear_answer_is_found_by_its_mark_or_left_alone() {
    for text in SHIPPED {
        for fault in [Fault::CutDone, Fault::CutUndone, Fault::Broken] {
            let (tracker, sink) = Tracker::start(text).await;
            // Others, made before and after it.
            sink.deliver(&errand(), &letter(Event::Opened, 8, None)).await.unwrap();
            tracker.fail(&[fault]);
            let asked = letter(Event::Opened, 1, None);
            let error = sink.deliver(&errand(), &asked).await.unwrap_err();
            assert!(matches!(error, ActionError::Ambiguous { .. }), "{fault:?}: {error}");
            sink.deliver(&errand(), &letter(Event::Opened, 9, None)).await.unwrap();
            let found = sink.look_up(&asked).await;
            if text == YOUTRACK {
                assert!(matches!(found, Err(ActionError::GiveUp { .. })), "{found:?}");
                continue;
            }
            let found = found.unwrap();
            assert_eq!(found.clone().and_then(|it| it.reference), (fault == Fault::CutDone).then(|| "2".to_owned()));
            let again = sink.deliver(&errand(), &asked).await.unwrap();
            assert!(found.is_none_or(|it| it == again));
            assert_eq!(tracker.issues().len(), 3, "{fault:?}");
        }
    }
}

#[tokio::test]
async fn a_step_of_which_nobody_knows_is_looked_for_and_taken_once() {
    for text in SHIPPED {
        for event in [Event::Settled, Event::Unproven] {
            for fault in [Fault::CutDone, Fault::CutUndone, Fault::Broken, Fault::Throttled] {
                for before in [&[][..], &[Fault::None]] {
                    let (tracker, sink) = Tracker::start(text).await;
                    let key = opened(&*sink).await;
                    tracker.change(1, |issue| issue.closed = event == Event::Unproven);
                    let told = letter(event, 2, Some(&key));
                    tracker.fail(&[before, &[fault]].concat());
                    match (sink.deliver(&errand(), &told).await, fault) {
                        (Ok(_), Fault::CutDone)
                        | (Err(ActionError::Retry { after: Some(_), .. }), Fault::Throttled)
                        | (Err(ActionError::Ambiguous { .. }), Fault::CutUndone | Fault::Broken) => {}
                        (other, _) => panic!("{event:?} {before:?} {fault:?}: {other:?}"),
                    }
                    let sink = tracker.sink();
                    sink.deliver(&errand(), &told).await.unwrap();
                    let issue = tracker.issues().remove(0);
                    assert_eq!((has(&issue, 2), issue.closed), (1, event == Event::Settled), "{fault:?}");
                    assert!(sink.look_up(&told).await.unwrap().is_some());
                }
            }
        }
    }
}

#[tokio::test]
async fn a_state_that_was_not_changed_is_not_said_to_be() {
    for text in SHIPPED {
        let (tracker, sink) = Tracker::start(text).await;
        let key = opened(&*sink).await;
        tracker.fail(&[Fault::None, Fault::Ignored]);
        let error = sink.deliver(&errand(), &letter(Event::Settled, 2, Some(&key))).await.unwrap_err();
        assert!(
            matches!(&error, ActionError::GiveUp { said } if said.ends_with("the ticket is not closed by it")),
            "{error}"
        );
    }
}

#[tokio::test]
async fn what_is_not_as_the_manifest_says_is_no_answer() {
    let table = [
        // A list whose records have no such place: nothing was looked at.
        ("mark = \"/description\"", "mark = \"/descriptoin\"", "/issues.json has nothing where the manifest says"),
        ("records = \"/issues\"", "records = \"/isues\"", ""),
        ("key = \"/id\"", "key = \"/di\"", "list.key"),
    ];
    for (from, to, says) in table {
        let (tracker, sink) = Tracker::start(REDMINE).await;
        opened(&*sink).await;
        let wrong = built(&REDMINE.replacen(from, to, 1), settings(REDMINE, &tracker.at.origin)).unwrap();
        for error in [
            wrong.look_up(&letter(Event::Opened, 1, None)).await.unwrap_err(),
            wrong.deliver(&errand(), &letter(Event::Opened, 1, None)).await.unwrap_err(),
        ] {
            assert!(error.said().contains(says), "{to}: {error}");
        }
        assert_eq!(tracker.acts(), 1, "{to}");
    }
    for (from, to) in
        [("at = \"/issue/status/name\"", "at = \"/issue/stat\""), ("text = \"/notes\"", "text = \"/note\"")]
    {
        let (tracker, sink) = Tracker::start(REDMINE).await;
        let key = opened(&*sink).await;
        let wrong = built(&REDMINE.replacen(from, to, 1), settings(REDMINE, &tracker.at.origin)).unwrap();
        let error = wrong.deliver(&errand(), &letter(Event::Worse, 2, Some(&key))).await.unwrap_err();
        assert!(matches!(error, ActionError::GiveUp { .. }) && tracker.acts() == 1, "{to}: {error}");
    }
    // A ticket was made, and nobody can say which.
    let (tracker, _) = Tracker::start(REDMINE).await;
    let wrong = REDMINE.replacen("key = \"/issue/id\"", "key = \"/issue\"", 1);
    let wrong = built(&wrong, settings(REDMINE, &tracker.at.origin)).unwrap();
    let error = wrong.deliver(&errand(), &letter(Event::Opened, 1, None)).await.unwrap_err();
    assert!(matches!(error, ActionError::Ambiguous { .. }), "{error}");
}

#[tokio::test]
async fn silence_is_not_absence() {
    for text in SHIPPED {
        for status in [401, 403, 500] {
            let at = Loopback::start(move |_| Reply::new(status, &[], "{}")).await;
            let sink = built(text, settings(text, &at.origin)).unwrap();
            assert!(sink.tracker().unwrap().tickets(&["1".to_owned()]).await.is_err());
            for told in [letter(Event::Worse, 1, Some("1")), letter(Event::Settled, 1, Some("1"))] {
                assert!(sink.look_up(&told).await.is_err());
                assert!(sink.deliver(&errand(), &told).await.is_err());
            }
            assert!(at.asked().iter().all(|it| it.method == "GET"), "{status}");
        }
    }
}

#[tokio::test]
async fn a_text_from_outside_stays_in_its_text_and_does_nothing_there() {
    let more =
        ["\"}, \"status_id\": 5, {\"", "{title} {{key}} {#key}", "@ann [[x]] {{macro}} https://evil.invalid commit:1"];
    for text in SHIPPED {
        let (tracker, sink) = Tracker::start(text).await;
        let plain = letter(Event::Opened, 1, None);
        sink.deliver(&errand(), &plain).await.unwrap();
        for (number, hostile) in (2..).zip(HOSTILE.iter().map(|(text, _)| *text).chain(more)) {
            let mut told = letter(Event::Opened, number, None);
            let case = &mut told.cases[0];
            (case.name, case.owner) = (hostile.to_owned(), Some(hostile.to_owned()));
            case.faults[0].because = hostile.to_owned();
            sink.deliver(&errand(), &told).await.unwrap();
        }
        let bodies = tracker.memory.lock().unwrap().bodies.clone();
        for (body, issue) in bodies.iter().zip(tracker.issues()) {
            // Nothing but the two texts differs from what is sent of a plain case.
            assert_eq!(shape(body), shape(&bodies[0]));
            let hidden = |it: char| it != '\n' && provost_model::door::is_hidden(it);
            assert!(!issue.body.contains(hidden) && !issue.title.contains(hidden), "{issue:?}");
            if text == REDMINE {
                assert!(
                    !issue.body.contains(['@', '[', ']', '{', '}', '<', '>', '`', '#', '!', '"']),
                    "{}",
                    issue.body
                );
                assert!(!issue.body.contains("://"), "{}", issue.body);
            } else {
                // What is not in code is the same whatever the text is.
                let outside = |it: &str| it.split('`').step_by(2).map(str::to_owned).collect::<Vec<_>>();
                let (own, first) = (outside(&issue.body), outside(&tracker.issues()[0].body));
                assert_eq!(own[..own.len() - 1], first[..first.len() - 1]);
            }
        }
    }
}

/// A document with its texts taken out.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            members.iter().map(|(name, it)| (name.clone(), shape(it))).collect::<Map<_, _>>().into()
        }
        Value::Array(all) => all.iter().map(shape).collect(),
        Value::String(_) => json!(""),
        other => other.clone(),
    }
}

#[tokio::test]
async fn a_tracker_may_say_in_the_ticket_that_it_is_gone_and_take_its_own_word_for_a_severity() {
    let text = REDMINE
        .replacen(
            "[auth]",
            "[severity]\ninfo = \"1\"\nlow = \"1\"\nmedium = \"2\"\nhigh = \"9\"\ncritical = \"9\"\n[auth]",
            1,
        )
        .replacen("subject = ", "priority_id = \"{#severity}\"\nsubject = ", 1)
        .replacen("status = \"", "gone = { at = \"/issue/assigned_to/name\", words = [\"ann\"] }\nstatus = \"", 1);
    let (tracker, _) = Tracker::start(REDMINE).await;
    let sink = built(&text, settings(REDMINE, &tracker.at.origin)).unwrap();
    let key = opened(&*sink).await;
    assert_eq!(tracker.memory.lock().unwrap().bodies[0]["issue"]["priority_id"], 9);
    assert_eq!(ticket(&*sink, &key).await, Ticket::Gone);
    // A key that would change the path is not asked for.
    assert!(sink.tracker().unwrap().tickets(&["../users/current".to_owned()]).await.is_err());
}
