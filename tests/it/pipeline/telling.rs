//! From cases to letters to sinks over a real store: nothing lost, nothing twice where the sink can tell, nothing sent that
//! nobody enabled (promises 5, 6 and 8).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use provost::{
    config::{Environment, Paths, Scene, parse},
    couriers::carry,
    jobs::{deliver::again, tell, vouch::Vouched},
    wire::Wiring,
};
use provost_model::{Delivery, Finding, FindingState, Leaving, RecordId, Resolution, Severity, Span, Time};
use provost_store::{
    Go, Store, StoreError,
    evidence::Verifier,
    inventory::{BaselineState, Draft},
};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use super::{script::Desk, shared::Shared};
use crate::loopback::{Asked, Loopback, Reply};

/// A house, a configuration over it, and the wires of the tests.
struct Office {
    desk: Desk,
    wiring: Arc<Wiring>,
    runtime: Runtime,
    stop: CancellationToken,
    home: tempfile::TempDir,
}

impl Office {
    fn new(config: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let wiring = wired(config, home.path());
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        Self { desk: Desk::new(), wiring, runtime, stop: CancellationToken::new(), home }
    }

    /// Over another store.
    fn over(self, store: Arc<dyn Store>) -> Self {
        Self { desk: Desk::over(store), ..self }
    }

    fn reconfigure(&mut self, config: &str) {
        self.wiring = wired(config, self.home.path());
    }

    /// Writes findings of one subject.
    fn put(&self, findings: &[Finding]) {
        let house = &self.desk.house;
        let written = house.again(|| {
            let mut draft = Draft::new(house.inventory(), house.now());
            draft.put_findings(findings[0].subject, findings)?;
            draft.commit()
        });
        written.unwrap();
    }

    /// Carries until nothing is due at this moment.
    fn carry(&self) {
        loop {
            self.runtime.block_on(carry(&self.desk.house, &self.wiring, &self.stop)).unwrap();
            if self.desk.house.inventory().due_letters(self.desk.house.now(), (1, 1)).unwrap().is_empty() {
                return;
            }
            // Sinks take so many a minute.
            self.desk.pass(Span::seconds(1));
        }
    }

    /// Lets time go by in steps, and carries after each.
    fn pass(&self, steps: usize, step: Span) {
        for _ in 0..steps {
            self.desk.pass(step);
            self.carry();
        }
    }

    fn letters(&self) -> Vec<Delivery> {
        let mut letters = Vec::new();
        let inventory = self.desk.house.inventory();
        inventory
            .each_delivery(&mut |letter| {
                letters.push(letter);
                Ok(Go::On)
            })
            .unwrap();
        letters
    }

    fn states(&self) -> Vec<&'static str> {
        self.letters().iter().map(|letter| letter.state.word()).collect()
    }

    /// Kinds of all entries of evidence, whose chain holds.
    fn evidence(&self) -> Vec<String> {
        let (mut verifier, mut kinds) = (Verifier::default(), Vec::new());
        let inventory = self.desk.house.inventory();
        inventory
            .each_exhibit(&mut |exhibit| {
                assert!(verifier.take(&serde_json::to_vec(&exhibit).unwrap()));
                kinds.push(exhibit.kind);
                Ok(Go::On)
            })
            .unwrap();
        assert!(verifier.report(&[]).holds);
        kinds
    }
}

fn wired(config: &str, home: &std::path::Path) -> Arc<Wiring> {
    let paths = Paths {
        scene: Scene::User,
        file: home.join("provost.toml"),
        file_named: false,
        store: home.join("store"),
        fingerprint_key: home.join("fingerprint.key"),
        evidence_key: home.join("evidence.key"),
        socket: home.join("socket"),
    };
    let config = parse(config, &paths).unwrap_or_else(|problems| panic!("{problems:?}"));
    let variables = [
        ("HOME".to_owned(), home.display().to_string()),
        ("SECRET".to_owned(), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned()),
        ("TOKEN".to_owned(), "xoxb-test".to_owned()),
    ];
    Arc::new(Wiring::new(config, Environment::new(variables, 1000)).unwrap())
}

fn subject(number: u32) -> RecordId {
    let mut id = [9; 16];
    id[..4].copy_from_slice(&number.to_be_bytes());
    RecordId::from_bytes(id)
}

fn finding(number: u32, severity: Severity, at: Time) -> Finding {
    let subject = subject(number);
    let mut id = *subject.as_bytes();
    id[15] = 1;
    Finding {
        id: RecordId::from_bytes(id),
        rule: "SRC-STALE".into(),
        rule_version: 1,
        subject,
        external_id: format!("source-{number}"),
        source: Some(format!("source-{number}")),
        state: FindingState::Open,
        severity,
        severity_steps: Vec::new(),
        opened_at: at,
        opened_as_of: at,
        resolved_at: None,
        resolution: None,
        unconfirmed_since: None,
        baseline: false,
        because: format!("not seen for {number} days"),
        until: None,
        policy: String::new(),
    }
}

fn fixed(of: &Finding, at: Time) -> Finding {
    let resolution = Some(Resolution::Fixed);
    Finding { state: FindingState::Resolved, resolution, resolved_at: Some(at), ..of.clone() }
}

/// A signed webhook of that server, and a route that tells it everything.
fn webhook(to: &Loopback) -> String {
    format!(
        "[[sinks]]\nname = \"hook\"\nkind = \"webhook\"\nurl = \"{}/in\"\nsecret = \"env:SECRET\"\nper_minute = 6000\n\
         [[routes]]\nname = \"all\"\nto = \"hook\"\n",
        to.origin
    )
}

fn said(asked: &Asked) -> serde_json::Value {
    serde_json::from_str(&asked.body).unwrap()
}

#[test]
fn ten_thousand_cases_reach_a_sink_that_fails_a_fifth_of_all_calls_each_in_order_and_none_is_lost() {
    const CASES: u32 = 10_000;
    let arrived: Arc<Mutex<Vec<(String, String, String)>>> = Arc::default();
    let calls = Arc::new(Mutex::new(0_u64));
    let (note, count) = (Arc::clone(&arrived), Arc::clone(&calls));
    let office = Office::new("");
    let to = office.runtime.block_on(Loopback::start(move |asked| {
        let mut calls = count.lock().unwrap();
        *calls += 1;
        let body = said(asked);
        let case = body["data"]["cases"][0]["id"].as_str().unwrap().to_owned();
        let line = (asked.header("webhook-id").to_owned(), case, body["type"].as_str().unwrap().to_owned());
        // A fifth fails, in every way there is: of the first two the letter arrived all the same.
        match *calls % 25 {
            0 => {
                note.lock().unwrap().push(line);
                Reply::new(500, &[], "")
            }
            5 => {
                note.lock().unwrap().push(line);
                Reply::new(200, &[], "{}").cut(2)
            }
            10 => Reply::new(429, &[("retry-after", "0")], ""),
            15 => Reply::new(503, &[], ""),
            20 => Reply::new(502, &[], ""),
            _ => {
                note.lock().unwrap().push(line);
                Reply::new(204, &[], "")
            }
        }
    }));
    let office = Office { wiring: wired(&webhook(&to), office.home.path()), ..office };
    let opened = office.desk.house.now();
    for number in 0..CASES {
        office.put(&[finding(number, Severity::High, opened)]);
    }
    // Every tenth is settled while the letter about its beginning may still be on its way.
    tell::turn(&office.desk.house, &office.wiring).unwrap();
    for number in (0..CASES).step_by(10) {
        office.put(&[fixed(&finding(number, Severity::High, opened), office.desk.house.now())]);
    }
    office.carry();
    for _ in 0..200 {
        let tomorrow = office.desk.house.now() + Span::days(1);
        if office.desk.house.inventory().due_letters(tomorrow, (1, 1)).unwrap().is_empty() {
            break;
        }
        office.pass(1, Span::seconds(60));
    }
    let letters = office.letters();
    assert_eq!(letters.len(), (CASES + CASES / 10) as usize);
    let lost: Vec<_> = letters.iter().filter(|letter| !matches!(letter.state, Leaving::Delivered { .. })).collect();
    assert!(lost.is_empty(), "{} of them: {:?}", lost.len(), lost[0]);
    let arrived = arrived.lock().unwrap();
    let ids: BTreeSet<&str> = arrived.iter().map(|(id, ..)| id.as_str()).collect();
    let sent: BTreeSet<String> = letters.iter().map(|letter| letter.id.to_string()).collect();
    assert!(ids.iter().map(|id| (*id).to_owned()).eq(sent), "what arrived is what was written, by id");
    // Whoever drops what comes twice under one id sees each case begin, and end after that.
    let mut seen: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut met = BTreeSet::new();
    for (id, case, what) in arrived.iter().filter(|(id, ..)| met.insert(id.clone())) {
        assert!(!id.is_empty());
        seen.entry(case).or_default().push(what);
    }
    assert_eq!(seen.len(), CASES as usize);
    let whole = seen.values().filter(|what| what.as_slice() == ["provost.case.opened", "provost.case.settled"]).count();
    assert_eq!(whole, CASES as usize / 10, "order within a case");
    assert!(seen.values().filter(|what| what.len() == 1).all(|what| *what == ["provost.case.opened"]));
    assert!(arrived.len() > letters.len(), "some came twice, under their id");
}

#[test]
fn whoever_dies_between_the_try_and_its_note_leaves_it_to_the_sink_to_tell() {
    // A sink that drops what it has gets the letter again, under the same id.
    let office = Office::new("");
    let to = office.runtime.block_on(Loopback::start(|_| Reply::new(200, &[], "ok")));
    let blind = format!(
        "[[sinks]]\nname = \"chat\"\nkind = \"chat_webhook\"\nstyle = \"mattermost\"\nurl = \"env:CHAT\"\n\
         [[routes]]\nname = \"people\"\nto = \"chat\"\ngather = \"1m\"\nat_once = \"never\"\n{}",
        webhook(&to)
    );
    let config = blind.replace("env:CHAT", &format!("file:{}", office.home.path().join("chat").display()));
    std::fs::write(office.home.path().join("chat"), format!("{}/hooks/x", to.origin)).unwrap();
    let office = Office { wiring: wired(&config, office.home.path()), ..office };
    let house = &office.desk.house;
    office.put(&[finding(1, Severity::High, house.now())]);
    tell::turn(house, &office.wiring).unwrap();
    office.desk.pass(Span::seconds(61));
    tell::turn(house, &office.wiring).unwrap();
    // Both are being tried, the requests leave, and the daemon dies.
    let letters = office.letters();
    assert_eq!(letters.len(), 2);
    let begun = Draft::new(house.inventory(), house.now()).commit_tries(letters).unwrap();
    assert_eq!(begun.len(), 2);
    drop(begun);
    assert_eq!(office.states(), ["trying", "trying"]);
    office.carry();
    let mut states: Vec<_> = office.letters().iter().map(|it| (it.sink.clone(), it.state.word(), it.tries)).collect();
    states.sort();
    // The blind one is not sent again, and the next message says so.
    assert_eq!(states, [("chat".to_owned(), "uncertain", 1), ("hook".to_owned(), "delivered", 2)]);
    assert_eq!(to.asked().len(), 1);
    office.desk.pass(Span::seconds(61));
    office.carry();
    let asked = to.asked();
    let message = asked.last().unwrap();
    assert_eq!(message.target, "/hooks/x");
    let lost = office.letters().into_iter().find(|it| matches!(it.state, Leaving::Uncertain { .. })).unwrap();
    assert!(
        message.body.contains("1 earlier message") && message.body.contains(&lost.id.to_string()),
        "{}",
        message.body
    );
    // An operator who knows that it did not arrive has it sent all the same.
    again(house, &lost, (Leaving::Waits, 1000)).unwrap();
    office.carry();
    assert!(office.letters().iter().all(|it| matches!(it.state, Leaving::Delivered { .. })));
    let kinds = office.evidence();
    for kind in ["decision.standing", "letter.uncertain", "letter.sent_again", "letter.delivered"] {
        assert!(kinds.iter().any(|it| it == kind), "{kind}: {kinds:?}");
    }
}

#[test]
fn nothing_is_told_that_nobody_enabled_and_a_route_that_is_taken_away_tells_no_more() {
    let office = Office::new("");
    let to = office.runtime.block_on(Loopback::start(|_| Reply::new(204, &[], "")));
    office.put(&[finding(1, Severity::High, office.desk.house.now())]);
    office.carry();
    assert!(office.letters().is_empty(), "no route, no letter");
    let mut office = Office { wiring: wired(&webhook(&to), office.home.path()), ..office };
    // What stood before the route was there is told by it too.
    tell::turn(&office.desk.house, &office.wiring).unwrap();
    assert_eq!(office.states(), ["waits"]);
    let standing = office.desk.house.inventory().standing("all").unwrap().unwrap();
    assert_eq!(standing.by, "the configuration's defaults", "nobody's file");
    // It is taken away before the letter left.
    let without = webhook(&to).split("[[routes]]").next().unwrap().to_owned();
    office.reconfigure(&without);
    office.carry();
    assert_eq!((office.states(), to.asked().len()), (vec!["dead"], 0));
    assert!(office.desk.house.inventory().standing("all").unwrap().is_none());
    // It is there again: what was given up is sent once somebody says so.
    office.reconfigure(&webhook(&to));
    office.carry();
    assert_eq!(to.asked().len(), 0, "it was told of: nothing is new");
    let dead = office.letters().remove(0);
    again(&office.desk.house, &dead, (Leaving::Waits, 1000)).unwrap();
    office.carry();
    assert_eq!((office.states(), to.asked().len()), (vec!["delivered"], 1));
    assert!(office.evidence().iter().any(|kind| kind == "decision.standing_over"));

    // What the log says of the end of evidence finds a tail that was cut.
    let mut vouched = Vouched::default();
    let checkpoints = vouched.grown(&office.desk.house, &office.wiring).unwrap();
    assert_eq!(checkpoints.iter().map(|it| it.writer.as_str()).collect::<Vec<_>>(), ["telling"]);
    assert!(vouched.grown(&office.desk.house, &office.wiring).unwrap().is_empty(), "once");
    let mut lines = Vec::new();
    let inventory = office.desk.house.inventory();
    inventory
        .each_exhibit(&mut |exhibit| {
            lines.push(serde_json::to_vec(&exhibit).unwrap());
            Ok(Go::On)
        })
        .unwrap();
    let holds = |lines: &[Vec<u8>]| {
        let mut verifier = Verifier::default();
        verifier.expect(&serde_json::to_vec(&serde_json::json!({ "checkpoint": checkpoints[0] })).unwrap()).unwrap();
        lines.iter().all(|line| verifier.take(line)) && verifier.report(&[]).holds
    };
    assert!(holds(&lines) && !holds(&lines[..lines.len() - 1]));
}

#[test]
fn four_hundred_findings_are_one_message_and_the_beginning_of_a_source_is_no_news() {
    let office = Office::new("");
    let to = office.runtime.block_on(Loopback::start(|_| Reply::new(200, &[], "ok")));
    std::fs::write(office.home.path().join("chat"), format!("{}/hooks/x", to.origin)).unwrap();
    let chat = office.home.path().join("chat");
    let config = format!(
        "[[sinks]]\nname = \"chat\"\nkind = \"chat_webhook\"\nstyle = \"mattermost\"\nurl = \"file:{}\"\n\
         [[sources]]\nname = \"source-7\"\nconnector = \"host\"\nroots = [\"/nowhere\"]\n\
         [[routes]]\nname = \"people\"\nto = \"chat\"\ngather = \"5m\"\n{}",
        chat.display(),
        webhook(&to)
    );
    let office = Office { wiring: wired(&config, office.home.path()), ..office };
    let house = &office.desk.house;
    let messages = || -> Vec<String> {
        let asked = to.asked();
        asked
            .iter()
            .filter(|it| it.target == "/hooks/x")
            .map(|it| said(it)["text"].as_str().unwrap().to_owned())
            .collect()
    };
    // The first complete run of a source found one that is high.
    let begun = Finding { baseline: true, ..finding(7, Severity::High, house.now()) };
    office.put(&[begun]);
    let mut draft = Draft::new(house.inventory(), house.now());
    let mut row = draft.source("source-7").unwrap();
    row.baseline = BaselineState::Taken;
    draft.put_source("source-7", &row).unwrap();
    draft.commit().unwrap();
    for number in 100..500 {
        office.put(&[finding(number, Severity::Medium, house.now())]);
    }
    office.carry();
    assert_eq!(messages().len(), 0, "it is gathered");
    office.desk.pass(Span::seconds(301));
    office.carry();
    let all = messages();
    assert_eq!(all.len(), 1);
    assert!(
        all[0].starts_with("**400 medium cases new; 1 case found by the first complete run of source-7**"),
        "{}",
        all[0]
    );
    assert!(all[0].contains("380 more cases"), "{}", all[0]);
    let hooks = to.asked().iter().filter(|it| it.target == "/in").count();
    assert_eq!(hooks, 400, "no letter about the beginning");
    // A critical one does not wait, and once told it is told how it ends.
    let worst = finding(1, Severity::Critical, house.now());
    office.put(std::slice::from_ref(&worst));
    office.carry();
    assert_eq!(messages().len(), 2);
    assert!(messages()[1].starts_with("**1 critical case new**"), "{}", messages()[1]);
    // Its deadline of a day passes.
    office.pass(25, Span::hours(1));
    let overdue = messages();
    assert!(overdue[2].starts_with("**1 critical case overdue**"), "{overdue:?}");
    office.put(&[fixed(&worst, house.now())]);
    office.carry();
    office.desk.pass(Span::seconds(301));
    office.carry();
    let settled = messages();
    assert_eq!(settled.len(), 4, "the others are due in thirty days: {settled:?}");
    assert!(
        settled[3].contains("1 critical case settled") && settled[3].contains("as a later look proved"),
        "{settled:?}"
    );
}

#[test]
fn cases_go_to_whom_they_concern_and_the_rest_to_whom_it_is_left() {
    let office = Office::new("");
    let to = office.runtime.block_on(Loopback::start(|_| Reply::new(204, &[], "")));
    let sink = |name: &str| {
        format!(
            "[[sinks]]\nname = \"{name}\"\nkind = \"webhook\"\nurl = \"{}/{name}\"\nsecret = \"env:SECRET\"\n",
            to.origin
        )
    };
    let config = format!(
        "{}{}{}[[routes]]\nname = \"bad\"\nto = \"bad\"\nseverity = \"high\"\nowned = true\n\
         [[routes]]\nname = \"nobody\"\nto = \"nobody\"\nowned = false\nseverity = \"high\"\n\
         [[routes]]\nname = \"rest\"\nto = \"rest\"\nrest = true\n\
         [[routes]]\nname = \"dry\"\nto = \"rest\"\ndry_run = true\n",
        sink("bad"),
        sink("nobody"),
        sink("rest")
    );
    // The last one takes everything, and so leaves no rest.
    let config =
        config.replace("name = \"dry\"\nto = \"rest\"\n", "name = \"dry\"\nto = \"rest\"\nseverity = \"critical\"\n");
    let office = Office { wiring: wired(&config, office.home.path()), ..office };
    let now = office.desk.house.now();
    office.put(&[finding(1, Severity::High, now)]);
    office.put(&[finding(2, Severity::Low, now)]);
    office.put(&[finding(3, Severity::Critical, now)]);
    office.carry();
    let mut targets: Vec<String> = to.targets();
    targets.sort();
    assert_eq!(targets, ["/nobody", "/nobody", "/rest"]);
    let dry: Vec<_> = office.letters().into_iter().filter(|it| it.route == "dry").collect();
    assert!(
        matches!(dry.as_slice(), [one] if one.state.word() == "dropped" && one.said.as_deref() == Some("dry run: not sent"))
    );
    // A case that becomes worse is told of where it was told of, whatever route it would go by now.
    office.put(&[finding(2, Severity::High, now)]);
    office.carry();
    let mut later = to.targets().split_off(3);
    later.sort();
    assert_eq!(later, ["/nobody", "/rest"]);
}

/// Issues of a repository, as GitHub keeps them.
#[derive(Default)]
struct Issues(Vec<Issue>);

#[derive(Clone, Default)]
struct Issue {
    title: String,
    body: String,
    closed: bool,
    deleted: bool,
    comments: Vec<String>,
}

impl Issues {
    fn answer(&mut self, asked: &Asked) -> Reply {
        let (path, _) = asked.target.split_once('?').unwrap_or((&asked.target, ""));
        let words: Vec<&str> =
            path.trim_start_matches("/repos/o/r/issues").split('/').filter(|it| !it.is_empty()).collect();
        let number = words.first().map(|it| it.parse::<usize>().unwrap());
        let body: serde_json::Value = serde_json::from_str(&asked.body).unwrap_or_default();
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        if number.is_some_and(|it| self.0.get(it - 1).is_none_or(|issue| issue.deleted)) {
            return Reply::new(410, &[], "{\"message\": \"This issue was deleted\"}");
        }
        let shown = |at: usize, issue: &Issue| {
            let state = if issue.closed { "closed" } else { "open" };
            serde_json::json!({
                "number": at + 1, "title": issue.title, "body": issue.body, "state": state, "assignee": {"login": "octo"},
                "comments": issue.comments.len(), "html_url": format!("https://github.example/o/r/issues/{}", at + 1),
                "created_at": "2026-09-21T14:13:20Z", "updated_at": "2026-09-21T14:13:20Z", "id": at + 1,
                "user": {"login": "octo"}, "state_reason": null, "labels": [], "assignees": []
            })
        };
        let answer = match (asked.method.as_str(), words.as_slice()) {
            ("POST", []) => {
                self.0.push(Issue { title: text("title"), body: text("body"), ..Issue::default() });
                shown(self.0.len() - 1, self.0.last().unwrap())
            }
            ("GET", []) => {
                let there = self.0.iter().enumerate().filter(|(_, it)| !it.deleted);
                there.map(|(at, issue)| shown(at, issue)).collect()
            }
            ("GET", [_]) => shown(number.unwrap() - 1, &self.0[number.unwrap() - 1]),
            ("PATCH", [_]) => {
                self.0[number.unwrap() - 1].closed = text("state") == "closed";
                shown(number.unwrap() - 1, &self.0[number.unwrap() - 1])
            }
            ("GET", [_, "comments"]) => {
                let comments = self.0[number.unwrap() - 1].comments.iter().enumerate();
                comments
                    .map(|(at, it)| serde_json::json!({"id": at + 1, "body": it, "user": {"login": "octo"}, "html_url": "x"}))
                    .collect()
            }
            ("POST", [_, "comments"]) => {
                self.0[number.unwrap() - 1].comments.push(text("body"));
                serde_json::json!({"id": 1, "body": text("body"), "html_url": "x", "user": {"login": "octo"}})
            }
            _ => panic!("{} {}", asked.method, asked.target),
        };
        Reply::new(
            if asked.method == "POST" { 201 } else { 200 },
            &[("content-type", "application/json")],
            answer.to_string(),
        )
    }
}

#[test]
fn a_ticket_closed_without_proof_is_opened_again_and_one_that_was_deleted_is_made_anew() {
    let office = Office::new("");
    let issues: Arc<Mutex<Issues>> = Arc::default();
    let kept = Arc::clone(&issues);
    let to = office.runtime.block_on(Loopback::start(move |asked| kept.lock().unwrap().answer(asked)));
    let config = format!(
        "[[sinks]]\nname = \"tracker\"\nkind = \"github_issues\"\nrepository = \"o/r\"\ntoken = \"env:TOKEN\"\n\
         base_url = \"{}\"\n[[routes]]\nname = \"work\"\nto = \"tracker\"\n",
        to.origin
    );
    let office = Office { wiring: wired(&config, office.home.path()), ..office };
    let house = &office.desk.house;
    let ask = || office.runtime.block_on(provost::jobs::tickets::turn(house, &office.wiring)).unwrap();
    let issue = |at: usize| issues.lock().unwrap().0[at].clone();
    let case = finding(1, Severity::High, house.now());
    office.put(std::slice::from_ref(&case));
    office.carry();
    assert_eq!(issues.lock().unwrap().0.len(), 1);
    assert!(issue(0).body.contains("not seen for 1 days") && issue(0).body.contains("Decide:"), "{}", issue(0).body);
    assert_eq!(ask(), 1, "its status and assignee come back");
    let known = house.inventory().ticket("work", subject(1)).unwrap().unwrap();
    assert_eq!((known.assignee.as_deref(), known.closed), (Some("octo"), false));
    assert_eq!(ask(), 0, "nothing is new");

    // Somebody closes it, and nothing was done about the fault.
    issues.lock().unwrap().0[0].closed = true;
    assert_eq!(ask(), 1);
    office.carry();
    assert!(!issue(0).closed && issue(0).comments.len() == 1, "{:?}", issue(0).comments);
    assert!(issue(0).comments[0].contains("closed without proof"), "{}", issue(0).comments[0]);
    ask();
    office.carry();
    assert_eq!(issue(0).comments.len(), 1, "once");

    // Somebody deletes it: what stands gets another.
    issues.lock().unwrap().0[0].deleted = true;
    assert_eq!(ask(), 1);
    office.carry();
    assert_eq!(issues.lock().unwrap().0.len(), 2);
    assert_eq!(house.inventory().ticket("work", subject(1)).unwrap().unwrap().key, "2");

    // A later look proves that it is mended: the ticket says so and is closed, and no other is made.
    office.put(&[fixed(&case, house.now())]);
    office.carry();
    assert!(
        issue(1).closed && issue(1).comments.last().unwrap().contains("as a later look proved"),
        "{:?}",
        issue(1).comments
    );
    assert!(house.inventory().ticket("work", subject(1)).unwrap().is_none());
    // It is back: another ticket, not the old one.
    office.put(std::slice::from_ref(&case));
    office.carry();
    assert_eq!(issues.lock().unwrap().0.len(), 3);
    // While the tracker is out of reach nothing is taken for deleted.
    drop(to);
    let elsewhere =
        config.replace(office.wiring.config.sinks[0].settings["base_url"].as_str().unwrap(), "http://127.0.0.1:9");
    let office = Office { wiring: wired(&elsewhere, office.home.path()), ..office };
    let asked = office.runtime.block_on(provost::jobs::tickets::turn(&office.desk.house, &office.wiring)).unwrap();
    assert_eq!(asked, 0);
    assert!(office.desk.house.inventory().ticket("work", subject(1)).unwrap().unwrap().there);
}

#[test]
fn a_database_that_goes_away_in_the_middle_loses_no_letter_and_sends_none_twice() {
    for lost in 1..=12 {
        let office = Office::new("");
        let to = office.runtime.block_on(Loopback::start(|_| Reply::new(204, &[], "")));
        let store = Arc::new(Shared::new());
        let office = Office { wiring: wired(&webhook(&to), office.home.path()), ..office }.over(store.clone());
        let opened = office.desk.house.now();
        for number in 0..5 {
            office.put(&[finding(number, Severity::High, opened)]);
        }
        // From now on every so manieth answer is lost: the batch was taken, and nobody heard so.
        let losing = Arc::downgrade(&store);
        let from = store.batches.load(std::sync::atomic::Ordering::SeqCst);
        store.before_each(move |batch, place| match losing.upgrade() {
            Some(store) if (place - from) % 13 == lost => store.lose_answer(batch),
            _ => Ok::<(), StoreError>(()),
        });
        office.carry();
        office.put(&[fixed(&finding(0, Severity::High, opened), office.desk.house.now())]);
        office.carry();
        let ids: Vec<String> = to.asked().iter().map(|it| it.header("webhook-id").to_owned()).collect();
        let letters = office.letters();
        assert!(letters.iter().all(|it| matches!(it.state, Leaving::Delivered { .. })), "{lost}: {letters:?}");
        assert_eq!((ids.len(), ids.iter().collect::<BTreeSet<_>>().len(), letters.len()), (6, 6, 6), "{lost}");
        let kinds = office.evidence();
        let count = |kind: &str| kinds.iter().filter(|it| *it == kind).count();
        assert_eq!((count("decision.standing"), count("letter.delivered")), (1, 6), "{lost}: {kinds:?}");
    }
}
