//! GitHub's issues as tickets.
//! It must never look for what it made by search, which knows nothing of the last seconds.

use std::ops::ControlFlow;

use async_trait::async_trait;
use provost_client::{Ask, Body, Failure, Web, authority::Token};
use provost_model::{Errand, Time, Why};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Desk, Draft, Office, PAGE, PAGES, floor, hidden_mark, met, provider, way};
use crate::{
    ActionError, Dialect, Letter,
    given::github::{HEADERS, addresses, repository},
    sinks::{
        Checked, Delivery, Handed, Sink, SinkSpec, Ticket,
        settings::{parsed, reference},
    },
};

/// What this sink is.
pub(in crate::sinks) static SPEC: SinkSpec = SinkSpec {
    name: "github_issues",
    title: "GitHub issues",
    about: "issues of a repository, on github.com, Enterprise Cloud or Enterprise Server",
    delivery: Delivery::LookUp,
    because: "each text carries the letter's id in a hidden comment; issues made since the first try, and comments, are \
              listed from the repository itself and not from the search index",
    gathers: false,
    per_minute: 20,
    acts: &[MAKE, CHANGE, COMMENT],
    reads: &[WHO, REPOSITORY, ISSUES, ISSUE, COMMENTS, MORE_ISSUES, MORE_COMMENTS],
    permissions: &["issues:write", "metadata:read"],
    checked: Checked::Description("GitHub's OpenAPI description"),
    example: EXAMPLE,
    documentation: &[
        "https://docs.github.com/en/rest/issues/issues",
        "https://docs.github.com/en/rest/issues/comments",
        "https://docs.github.com/en/rest/authentication/permissions-required-for-fine-grained-personal-access-tokens",
    ],
    build: &build,
};

const MAKE: &str = "POST /repos/{owner}/{repo}/issues";
const CHANGE: &str = "PATCH /repos/{owner}/{repo}/issues/{issue_number}";
const COMMENT: &str = "POST /repos/{owner}/{repo}/issues/{issue_number}/comments";
const WHO: &str = "GET /user";
const REPOSITORY: &str = "GET /repos/{owner}/{repo}";
const ISSUES: &str = "GET /repos/{owner}/{repo}/issues";
const ISSUE: &str = "GET /repos/{owner}/{repo}/issues/{issue_number}";
const COMMENTS: &str = "GET /repos/{owner}/{repo}/issues/{issue_number}/comments";
/// Where the next page is: links name a repository by its number (GitHub Docs, "Using pagination in the REST API").
const MORE_ISSUES: &str = "GET /repositories/{repository_id}/issues";
const MORE_COMMENTS: &str = "GET /repositories/{repository_id}/issues/{issue_number}/comments";

const EXAMPLE: &str = r#"[[sinks]]
name = "security-issues"
kind = "github_issues"
repository = "acme/security"                  # a private one: cases name credentials and who owns them
token = "env:GITHUB_ISSUES_TOKEN"             # a reference; a fine-grained token for that repository with issues: write
labels = ["non-human-identity"]               # of every issue; GitHub makes those that are missing
# base_url = "https://ghe.example.org"        # Enterprise Server; https://api.SUBDOMAIN.ghe.com with data residency
"#;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Typed {
    repository: String,
    token: String,
    #[serde(default)]
    labels: Vec<String>,
    base_url: Option<String>,
}

struct GitHub {
    web: Web,
    owner: String,
    repo: String,
    labels: Vec<String>,
    /// Where people find the repository.
    home: String,
}

#[derive(Deserialize)]
struct Issue {
    number: u64,
    state: String,
    state_reason: Option<String>,
    assignee: Option<Person>,
    comments: Option<u64>,
}

#[derive(Deserialize)]
struct Person {
    login: String,
}

fn build(handed: &Handed) -> Result<Box<dyn Sink>, String> {
    let typed: Typed = parsed(handed)?;
    let (owner, repo) = repository(&typed.repository)?;
    let token = Token::bearer(reference(handed, "token", &typed.token)?);
    let (api, web) = addresses(typed.base_url.as_deref().unwrap_or("https://api.github.com"));
    let desk = GitHub {
        web: way(provider(&SPEC, api, &HEADERS), token)?,
        home: format!("{web}/{owner}/{repo}"),
        owner: owner.to_owned(),
        repo: repo.to_owned(),
        labels: typed.labels,
    };
    Office::open(&SPEC, handed, (Dialect::Markdown, desk))
}

impl GitHub {
    fn ask(&self, read: &str, key: &[&str]) -> Ask {
        Ask::get(read, &[&[self.owner.as_str(), self.repo.as_str()], key].concat())
    }

    async fn act(&self, errand: &Errand, (act, key): (&str, &[&str]), body: Value) -> Result<Issue, ActionError> {
        let values = [&[self.owner.as_str(), self.repo.as_str()], key].concat();
        let answer = self.web.act(errand, Ask::act(act, &values, Some(Body::Json(body)))).await?;
        // It was done; that what came back cannot be read changes nothing of that.
        answer.json().map_err(|failure| ActionError::Ambiguous { said: failure.to_string() })
    }

    /// A list of what changed since a letter can have been there.
    fn since(&self, (read, key): (&str, &[&str]), letter: &Letter) -> Ask {
        self.ask(read, key).query("since", floor(letter).to_string()).query("per_page", PAGE)
    }

    /// The record that a letter made, in a list whose next pages are of that read.
    async fn marked(
        &self,
        first: Ask,
        more: &str,
        (letter, floor): (&Letter, Option<Time>),
    ) -> Result<Option<Value>, Failure> {
        let (read, mark) = (first.read().to_owned(), hidden_mark(&letter.id));
        let mut ask = first;
        for _ in 0..PAGES {
            let answer = self.web.ask(ask).await?;
            let records: Vec<Value> = answer.json()?;
            if let ControlFlow::Break(found) = met(&records, ("/body", &mark), floor) {
                return Ok(found);
            }
            let Some(next) = answer.next_link() else { return Ok(None) };
            ask = Ask::link(if next.contains("/repositories/") { more } else { &read }, next);
        }
        Err(Failure::new(&read, Why::TooLarge, "", &format!("the list has more than {PAGES} pages")))
    }

    async fn issue(&self, key: &str) -> Result<Ticket, Failure> {
        let issue: Issue = match self.web.ask(self.ask(ISSUE, &[key])).await {
            // 410 for one that was deleted, 404 where not even that may be known.
            Err(failure) if failure.is_missing() => return Ok(Ticket::Gone),
            answer => answer?.json()?,
        };
        Ok(Ticket::There {
            closed: issue.state == "closed",
            status: issue.state_reason.map_or_else(|| issue.state.clone(), |why| format!("{}: {why}", issue.state)),
            assignee: issue.assignee.map(|it| it.login),
            comments: issue.comments,
        })
    }

    async fn to(&self, errand: &Errand, key: &str, (state, why): (&str, &str)) -> Result<(), ActionError> {
        let body = json!({ "state": state, "state_reason": why });
        self.act(errand, (CHANGE, &[key]), body).await.map(drop)
    }
}

#[async_trait]
impl Desk for GitHub {
    const FINDS: bool = true;

    fn body(&self, words: &str, letter: &str) -> String {
        format!("{words}\n\n{}", hidden_mark(letter))
    }

    fn url(&self, key: &str) -> String {
        format!("{}/issues/{key}", self.home)
    }

    async fn find(&self, letter: &Letter) -> Result<Option<String>, ActionError> {
        let newest_first = [("state", "all"), ("sort", "created"), ("direction", "desc")];
        let ask =
            newest_first.into_iter().fold(self.since((ISSUES, &[]), letter), |ask, (name, is)| ask.query(name, is));
        let found = self.marked(ask, MORE_ISSUES, (letter, Some(floor(letter)))).await?;
        Ok(found.and_then(|it| it.get("number").map(Value::to_string)))
    }

    async fn make(&self, errand: &Errand, draft: &Draft<'_>) -> Result<String, ActionError> {
        let body = json!({ "title": draft.title, "body": draft.body, "labels": self.labels });
        self.act(errand, (MAKE, &[]), body).await.map(|issue| issue.number.to_string())
    }

    async fn look(&self, keys: &[String]) -> Result<Vec<Ticket>, ActionError> {
        let mut tickets = Vec::new();
        for key in keys {
            tickets.push(self.issue(key).await?);
        }
        Ok(tickets)
    }

    async fn has(&self, key: &str, letter: &Letter) -> Result<bool, ActionError> {
        let comments = self.since((COMMENTS, &[key]), letter);
        Ok(self.marked(comments, MORE_COMMENTS, (letter, None)).await?.is_some())
    }

    async fn say(&self, errand: &Errand, key: &str, draft: &Draft<'_>) -> Result<(), ActionError> {
        let values = [self.owner.as_str(), self.repo.as_str(), key];
        let body = Body::Json(json!({ "body": draft.body }));
        self.web.act(errand, Ask::act(COMMENT, &values, Some(body))).await?;
        Ok(())
    }

    async fn close(&self, errand: &Errand, key: &str) -> Result<(), ActionError> {
        self.to(errand, key, ("closed", "completed")).await
    }

    async fn reopen(&self, errand: &Errand, key: &str) -> Result<(), ActionError> {
        self.to(errand, key, ("open", "reopened")).await
    }

    async fn check(&self) -> Result<String, ActionError> {
        #[derive(Deserialize)]
        struct Repository {
            has_issues: Option<bool>,
            archived: Option<bool>,
            permissions: Option<Permissions>,
        }
        #[derive(Deserialize)]
        struct Permissions {
            push: bool,
            triage: Option<bool>,
        }
        let who: Person = self.web.ask(Ask::get(WHO, &[])).await?.json()?;
        let repository: Repository = self.web.ask(self.ask(REPOSITORY, &[])).await?.json()?;
        let (login, name) = (who.login, format!("{}/{}", self.owner, self.repo));
        if repository.archived == Some(true) || repository.has_issues == Some(false) {
            return Err(ActionError::GiveUp { said: format!("{name} is archived, or takes no issues") });
        }
        let may_label = repository.permissions.is_none_or(|it| it.push || it.triage == Some(true));
        let labels =
            if may_label || self.labels.is_empty() { "" } else { "; it may not set labels, which GitHub drops then" };
        Ok(format!(
            "{login} sees {name}, which takes issues{labels}; whether it may write them shows only when it does"
        ))
    }
}
