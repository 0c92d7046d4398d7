//! Tickets: made, closed without proof, deleted, closed with proof.
//! It must never speak to a tracker but its own.

use super::*;

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
