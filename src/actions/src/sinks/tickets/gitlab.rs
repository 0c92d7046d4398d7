//! GitLab's issues as tickets.
//! It must never let a line of a text begin as one of GitLab's quick actions, nor a closed project look open.

use std::collections::BTreeMap;

use async_trait::async_trait;
use provost_client::{Answer, Ask, Body, Failure, Paging, Web, authority::Token};
use provost_model::Errand;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Desk, Draft, Office, PAGE, PAGES, floor, hidden_mark, marked, provider, way};
use crate::{
    ActionError, Dialect, Letter,
    sinks::{
        Checked, Delivery, Handed, Sink, SinkSpec, Ticket,
        settings::{parsed, reference},
    },
};

/// What this sink is.
pub(in crate::sinks) static SPEC: SinkSpec = SinkSpec {
    name: "gitlab_issues",
    title: "GitLab issues",
    about: "issues of a project, on gitlab.com or a server of one's own",
    delivery: Delivery::LookUp,
    because: "each text carries the letter's id in a hidden comment; issues made since the first try, and notes, are listed \
              from the project's database and not from a search index",
    gathers: false,
    per_minute: 20,
    acts: &[MAKE, CHANGE, NOTE],
    reads: &[WHO, PROJECT, ISSUES, ISSUE, NOTES],
    permissions: &[
        "scope api",
        "role Planner or Reporter in the project, to set labels and to see confidential issues",
    ],
    checked: Checked::Words,
    example: EXAMPLE,
    documentation: &[
        "https://docs.gitlab.com/api/issues/",
        "https://docs.gitlab.com/api/notes/",
        "https://docs.gitlab.com/user/project/quick_actions/",
    ],
    build: &build,
};

const MAKE: &str = "POST /api/v4/projects/{id}/issues";
const CHANGE: &str = "PUT /api/v4/projects/{id}/issues/{issue_iid}";
const NOTE: &str = "POST /api/v4/projects/{id}/issues/{issue_iid}/notes";
const WHO: &str = "GET /api/v4/user";
const PROJECT: &str = "GET /api/v4/projects/{id}";
const ISSUES: &str = "GET /api/v4/projects/{id}/issues";
const ISSUE: &str = "GET /api/v4/projects/{id}/issues/{issue_iid}";
const NOTES: &str = "GET /api/v4/projects/{id}/issues/{issue_iid}/notes";

const EXAMPLE: &str = r#"[[sinks]]
name = "security-issues"
kind = "gitlab_issues"
project = "acme/security"                     # its whole path, with groups
token = "env:GITLAB_ISSUES_TOKEN"             # a reference; a project's access token with scope api and role Reporter
labels = ["non-human-identity"]               # of every issue; GitLab makes those that are missing
confidential = true                           # only members with at least the role Planner see them
# base_url = "https://gitlab.example.org"     # a server of one's own
"#;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Typed {
    project: String,
    token: String,
    #[serde(default)]
    labels: Vec<String>,
    #[serde(default)]
    confidential: bool,
    base_url: Option<String>,
}

struct GitLab {
    web: Web,
    project: String,
    labels: Vec<String>,
    confidential: bool,
    /// Where people find the project.
    home: String,
}

#[derive(Deserialize)]
struct Issue {
    iid: u64,
    state: String,
    assignees: Option<Vec<Person>>,
    user_notes_count: Option<u64>,
}

#[derive(Deserialize)]
struct Person {
    username: String,
}

fn build(handed: &Handed) -> Result<Box<dyn Sink>, String> {
    let typed: Typed = parsed(handed)?;
    let plain = |text: &str| {
        !text.is_empty() && text.chars().all(|it| it.is_ascii_alphanumeric() || matches!(it, '-' | '_' | '.'))
    };
    if !typed.project.contains('/') || !typed.project.split('/').all(plain) {
        return Err("project: expected its whole path, GROUP/NAME".to_owned());
    }
    if typed.labels.iter().any(|label| label.contains(',')) {
        return Err("labels: a label of GitLab holds no comma".to_owned());
    }
    let token = Token::header("private-token", "", reference(handed, "token", &typed.token)?)?;
    let base = typed.base_url.as_deref().unwrap_or("https://gitlab.com").trim_end_matches('/');
    let desk = GitLab {
        web: way(provider(&SPEC, base.to_owned(), &[]), token)?,
        home: format!("{base}/{}", typed.project),
        project: typed.project,
        labels: typed.labels,
        confidential: typed.confidential,
    };
    Office::open(&SPEC, handed, (Dialect::Markdown, desk))
}

impl GitLab {
    fn ask(&self, read: &str, key: &[&str]) -> Ask {
        Ask::get(read, &[&[self.project.as_str()], key].concat())
    }

    async fn act(&self, errand: &Errand, (act, key): (&str, &[&str]), body: Value) -> Result<Answer, ActionError> {
        let values = [&[self.project.as_str()], key].concat();
        Ok(self.web.act(errand, Ask::act(act, &values, Some(Body::Json(body)))).await?)
    }

    async fn issue(&self, key: &str) -> Result<Ticket, Failure> {
        match self.web.ask(self.ask(ISSUE, &[key])).await {
            Err(failure) if failure.is_missing() => Ok(Ticket::Gone),
            answer => Ok(ticket(answer?.json()?)),
        }
    }
}

fn ticket(issue: Issue) -> Ticket {
    Ticket::There {
        closed: issue.state == "closed",
        status: issue.state,
        assignee: issue.assignees.and_then(|all| all.into_iter().next()).map(|it| it.username),
        comments: issue.user_notes_count,
    }
}

#[async_trait]
impl Desk for GitLab {
    const FINDS: bool = true;

    fn body(&self, words: &str, letter: &str) -> String {
        // A line that begins with a slash would be done instead of said; an operator's template may have one.
        let begins = |line: &str| {
            if line.trim_start().starts_with('/') { format!("\\{}", line.trim_start()) } else { line.to_owned() }
        };
        let words: Vec<String> = words.split('\n').map(begins).collect();
        format!("{}\n\n{}", words.join("\n"), hidden_mark(letter))
    }

    fn url(&self, key: &str) -> String {
        format!("{}/-/issues/{key}", self.home)
    }

    async fn find(&self, letter: &Letter) -> Result<Option<String>, ActionError> {
        let since = floor(letter).to_string();
        let ask =
            self.ask(ISSUES, &[]).query("created_after", since).query("order_by", "created_at").query("per_page", PAGE);
        let pages = self.web.pages(ask, Paging::Link).at_most(PAGES);
        let found = marked(pages, ("/description", &hidden_mark(&letter.id)), None).await?;
        Ok(found.and_then(|it| it.get("iid").map(Value::to_string)))
    }

    async fn make(&self, errand: &Errand, draft: &Draft<'_>) -> Result<String, ActionError> {
        let (labels, confidential) = (self.labels.join(","), self.confidential);
        let body =
            json!({ "title": draft.title, "description": draft.body, "labels": labels, "confidential": confidential });
        let answer = self.act(errand, (MAKE, &[]), body).await?;
        // It was done; that what came back cannot be read changes nothing of that.
        let issue: Result<Issue, Failure> = answer.json();
        issue.map(|it| it.iid.to_string()).map_err(|failure| ActionError::Ambiguous { said: failure.to_string() })
    }

    async fn look(&self, keys: &[String]) -> Result<Vec<Ticket>, ActionError> {
        let mut seen = BTreeMap::new();
        // One alone is asked for by itself: that tells whether it is gone, and a list does not.
        if keys.len() > 1 {
            let ask = keys.iter().fold(self.ask(ISSUES, &[]), |ask, key| ask.query("iids[]", key));
            let issues: Vec<Issue> = self.web.ask(ask.query("per_page", PAGE)).await?.json()?;
            seen.extend(issues.into_iter().map(|issue| (issue.iid.to_string(), ticket(issue))));
        }
        let mut tickets = Vec::new();
        for key in keys {
            tickets.push(match seen.remove(key) {
                Some(ticket) => ticket,
                None => self.issue(key).await?,
            });
        }
        Ok(tickets)
    }

    async fn has(&self, key: &str, letter: &Letter) -> Result<bool, ActionError> {
        let newest_first = self.ask(NOTES, &[key]).query("order_by", "created_at").query("sort", "desc");
        let pages = self.web.pages(newest_first.query("per_page", PAGE), Paging::Link).at_most(PAGES);
        Ok(marked(pages, ("/body", &hidden_mark(&letter.id)), Some(floor(letter))).await?.is_some())
    }

    async fn say(&self, errand: &Errand, key: &str, draft: &Draft<'_>) -> Result<(), ActionError> {
        self.act(errand, (NOTE, &[key]), json!({ "body": draft.body })).await.map(drop)
    }

    async fn close(&self, errand: &Errand, key: &str) -> Result<(), ActionError> {
        self.act(errand, (CHANGE, &[key]), json!({ "state_event": "close" })).await.map(drop)
    }

    async fn reopen(&self, errand: &Errand, key: &str) -> Result<(), ActionError> {
        self.act(errand, (CHANGE, &[key]), json!({ "state_event": "reopen" })).await.map(drop)
    }

    async fn check(&self) -> Result<String, ActionError> {
        #[derive(Deserialize)]
        struct Project {
            archived: Option<bool>,
            issues_enabled: Option<bool>,
            issues_access_level: Option<String>,
            permissions: Option<Permissions>,
        }
        #[derive(Default, Deserialize)]
        struct Permissions {
            project_access: Option<Access>,
            group_access: Option<Access>,
        }
        #[derive(Deserialize)]
        struct Access {
            access_level: u64,
        }
        let who: Person = self.web.ask(Ask::get(WHO, &[])).await?.json()?;
        let project: Project = self.web.ask(self.ask(PROJECT, &[])).await?.json()?;
        let takes_none =
            project.issues_enabled == Some(false) || project.issues_access_level.as_deref() == Some("disabled");
        if takes_none || project.archived == Some(true) {
            return Err(ActionError::GiveUp { said: format!("{} is archived, or takes no issues", self.project) });
        }
        let permissions = project.permissions.unwrap_or_default();
        let levels = [permissions.project_access, permissions.group_access];
        let level = levels.into_iter().flatten().map(|it| it.access_level).max();
        // Planner is 15, Reporter 20 (GitLab Docs, "Project members API").
        let role = match level {
            Some(level) if level >= 15 => "",
            _ => {
                "; it is no member with a role that may set labels and see confidential issues, as far as GitLab tells"
            }
        };
        Ok(format!("{} sees {}, which takes issues{role}", who.username, self.project))
    }
}
