//! Jira's issues as tickets: Cloud with documents, Data Center with wiki text.
//! It must never make an issue again when nobody can say whether the first was made.

use async_trait::async_trait;
use provost_client::{
    Answer, Ask, Body, End, Failure, Paging, Web,
    authority::{Basic, Token},
};
use provost_model::Errand;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Desk, Draft, Office, PAGE, PAGES, inert, marked, provider, way};
use crate::{
    ActionError, Dialect, Letter,
    sinks::{
        Checked, Delivery, Handed, Sink, SinkSpec, Ticket,
        settings::{parsed, reference},
    },
};

/// What this sink is.
pub(in crate::sinks) static SPEC: SinkSpec = SinkSpec {
    name: "jira",
    title: "Jira",
    about: "issues of a project, in Jira Cloud or Jira Data Center",
    delivery: Delivery::Blind,
    because: "a new issue shows in searches only some time after it was made (Cloud says eventually, Data Center by an index \
              of each node), an issue takes no key of ours, and no list of a project is read from anything else: one without a \
              clear answer is not made again, and can be found by the letter's id in its text. Comments and states are \
              read from the issue itself: they are looked up, and never doubled",
    gathers: false,
    per_minute: 30,
    acts: &[MAKE, COMMENT, MOVE],
    reads: &[WHO, TYPES, ISSUE, COMMENTS, MOVES],
    permissions: &["Browse projects", "Create issues", "Add comments", "Transition issues"],
    checked: Checked::Description("Atlassian's OpenAPI description of Jira Cloud; Data Center by its words only"),
    example: EXAMPLE,
    documentation: &[
        "https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issues/",
        "https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issue-search/",
        "https://developer.atlassian.com/cloud/jira/platform/apis/document/structure/",
        "https://docs.atlassian.com/software/jira/docs/api/REST/9.12.0/",
    ],
    build: &build,
};

// Version 3 in Cloud, 2 in Data Center.
const MAKE: &str = "POST /rest/api/{version}/issue";
const COMMENT: &str = "POST /rest/api/{version}/issue/{issueIdOrKey}/comment";
const MOVE: &str = "POST /rest/api/{version}/issue/{issueIdOrKey}/transitions";
const WHO: &str = "GET /rest/api/{version}/myself";
const TYPES: &str = "GET /rest/api/{version}/issue/createmeta/{projectIdOrKey}/issuetypes";
const ISSUE: &str = "GET /rest/api/{version}/issue/{issueIdOrKey}";
const COMMENTS: &str = "GET /rest/api/{version}/issue/{issueIdOrKey}/comment";
const MOVES: &str = "GET /rest/api/{version}/issue/{issueIdOrKey}/transitions";

const EXAMPLE: &str = r#"[[sinks]]
name = "jira"
kind = "jira"
base_url = "https://acme.atlassian.net"       # as people know it
flavour = "cloud"                             # or "data-center"
user = "provost@acme.example"                 # whose token it is; Cloud only
token = "env:JIRA_TOKEN"                      # a reference; an API token in Cloud, a personal access token in Data Center
project = "SEC"                               # its key
issue_type = "Task"
labels = ["non-human-identity"]               # of every issue
# done = "Done"                               # transition or status that closes; else the first that counts as done
# reopened = "To Do"                          # transition or status that opens again; else the first that does not
"#;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Typed {
    base_url: String,
    flavour: Flavour,
    user: Option<String>,
    token: String,
    project: String,
    issue_type: String,
    #[serde(default)]
    labels: Vec<String>,
    done: Option<String>,
    reopened: Option<String>,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum Flavour {
    Cloud,
    DataCenter,
}

struct Jira {
    web: Web,
    flavour: Flavour,
    /// Where people find it.
    home: String,
    project: String,
    issue_type: String,
    labels: Vec<String>,
    done: Option<String>,
    reopened: Option<String>,
}

fn build(handed: &Handed) -> Result<Box<dyn Sink>, String> {
    let typed: Typed = parsed(handed)?;
    let token = reference(handed, "token", &typed.token)?;
    let home = typed.base_url.trim_end_matches('/').to_owned();
    let provider = provider(&SPEC, home.clone(), &[]);
    let web = match (typed.flavour, typed.user) {
        (Flavour::Cloud, Some(user)) => way(provider, Basic::new(user, token))?,
        (Flavour::Cloud, None) => return Err("user: Cloud wants to know whose token it is".to_owned()),
        (Flavour::DataCenter, None) => way(provider, Token::bearer(token))?,
        (Flavour::DataCenter, Some(_)) => {
            return Err("user: a personal access token of Data Center needs none".to_owned());
        }
    };
    if typed.project.is_empty() || !typed.project.chars().all(|it| it.is_ascii_alphanumeric() || it == '_') {
        return Err("project: expected its key, such as SEC".to_owned());
    }
    if typed.labels.iter().any(|label| label.is_empty() || label.contains(char::is_whitespace)) {
        return Err("labels: a label of Jira holds no blank".to_owned());
    }
    let Typed { flavour, project, issue_type, labels, done, reopened, .. } = typed;
    let desk = Jira { web, flavour, home, project, issue_type, labels, done, reopened };
    Office::open(&SPEC, handed, (Dialect::Plain, desk))
}

/// A way from one status to another.
#[derive(Deserialize)]
struct Transition {
    id: String,
    name: String,
    to: Status,
}

#[derive(Deserialize)]
struct Status {
    name: String,
    #[serde(rename = "statusCategory")]
    category: Category,
}

#[derive(Deserialize)]
struct Category {
    key: String,
}

impl Status {
    /// By its category, which is the same in every language and workflow.
    fn is_done(&self) -> bool {
        self.category.key == "done"
    }
}

impl Jira {
    fn version(&self) -> &'static str {
        match self.flavour {
            Flavour::Cloud => "3",
            Flavour::DataCenter => "2",
        }
    }

    fn ask(&self, read: &str, key: &[&str]) -> Ask {
        Ask::get(read, &[&[self.version()], key].concat())
    }

    async fn act(&self, errand: &Errand, (act, key): (&str, &[&str]), body: Value) -> Result<Answer, ActionError> {
        let values = [&[self.version()], key].concat();
        Ok(self.web.act(errand, Ask::act(act, &values, Some(Body::Json(body)))).await?)
    }

    /// A text as an issue or a comment holds it.
    fn text(&self, body: &str) -> Value {
        match self.flavour {
            Flavour::Cloud => document(body),
            Flavour::DataCenter => Value::String(inert::noformat(body)),
        }
    }

    async fn issue(&self, key: &str) -> Result<Ticket, Failure> {
        #[derive(Deserialize)]
        struct Issue {
            fields: Fields,
        }
        #[derive(Deserialize)]
        struct Fields {
            status: Status,
            assignee: Option<Person>,
        }
        let issue: Issue = match self.web.ask(self.ask(ISSUE, &[key]).query("fields", "status,assignee")).await {
            Err(failure) if failure.is_missing() => return Ok(Ticket::Gone),
            answer => answer?.json()?,
        };
        Ok(Ticket::There {
            closed: issue.fields.status.is_done(),
            status: issue.fields.status.name,
            assignee: issue.fields.assignee.and_then(|it| it.name),
            // To count them is to read them all.
            comments: None,
        })
    }

    /// Takes the way to a status: the one that is set, by its own name or the status's, or the first that is done or not.
    async fn moved(&self, errand: &Errand, key: &str, (set, done): (&Option<String>, bool)) -> Result<(), ActionError> {
        #[derive(Deserialize)]
        struct Ways {
            transitions: Vec<Transition>,
        }
        let ways: Ways = self.web.ask(self.ask(MOVES, &[key])).await?.json()?;
        let fits = |way: &Transition| match set {
            Some(name) => [&way.name, &way.to.name].iter().any(|it| it.to_lowercase() == name.to_lowercase()),
            None => way.to.is_done() == done,
        };
        let Some(way) = ways.transitions.into_iter().find(fits) else {
            let (setting, meant) = if done { ("done", "closes") } else { ("reopened", "opens") };
            let said =
                format!("no transition {meant} {key} from where it stands, or not for us: see the setting {setting}");
            return Err(ActionError::GiveUp { said });
        };
        self.act(errand, (MOVE, &[key]), json!({ "transition": { "id": way.id } })).await.map(drop)
    }
}

/// Somebody, by the name that people see.
#[derive(Deserialize)]
struct Person {
    #[serde(rename = "displayName")]
    name: Option<String>,
}

/// What finds a letter again. Jira hides nothing in a text, so that it is written for people too.
fn mark(letter: &str) -> String {
    format!("provost letter {letter}")
}

/// A text as a document: a paragraph for each block, the first line bold. Nothing in a text node is a mark (Atlassian Document
/// Format, "text").
fn document(text: &str) -> Value {
    let mut is_first = true;
    let mut paragraph = |block: &str| {
        let mut nodes: Vec<Value> = Vec::new();
        for line in block.split('\n').filter(|line| !line.trim().is_empty()) {
            if !nodes.is_empty() {
                nodes.push(json!({ "type": "hardBreak" }));
            }
            nodes.push(match std::mem::replace(&mut is_first, false) {
                true => json!({ "type": "text", "text": line, "marks": [{ "type": "strong" }] }),
                false => json!({ "type": "text", "text": line }),
            });
        }
        json!({ "type": "paragraph", "content": nodes })
    };
    let blocks = text.split("\n\n").filter(|block| !block.trim().is_empty());
    let content: Vec<Value> = blocks.map(&mut paragraph).collect();
    json!({ "type": "doc", "version": 1, "content": content })
}

#[async_trait]
impl Desk for Jira {
    const FINDS: bool = false;

    fn body(&self, words: &str, letter: &str) -> String {
        format!("{words}\n\n{}", mark(letter))
    }

    fn wire(&self, body: &str) -> Option<String> {
        Some(self.text(body).to_string())
    }

    fn url(&self, key: &str) -> String {
        format!("{}/browse/{key}", self.home)
    }

    async fn find(&self, _: &Letter) -> Result<Option<String>, ActionError> {
        Ok(None)
    }

    async fn make(&self, errand: &Errand, draft: &Draft<'_>) -> Result<String, ActionError> {
        #[derive(Deserialize)]
        struct Made {
            key: String,
        }
        let body = json!({ "fields": {
            "project": { "key": self.project },
            "issuetype": { "name": self.issue_type },
            "summary": draft.title,
            "description": self.text(&draft.body),
            "labels": self.labels,
        } });
        let made: Result<Made, Failure> = self.act(errand, (MAKE, &[]), body).await?.json();
        // It was done; that what came back cannot be read changes nothing of that.
        made.map(|it| it.key).map_err(|failure| ActionError::Ambiguous { said: failure.to_string() })
    }

    async fn look(&self, keys: &[String]) -> Result<Vec<Ticket>, ActionError> {
        let mut tickets = Vec::new();
        for key in keys {
            tickets.push(self.issue(key).await?);
        }
        Ok(tickets)
    }

    async fn has(&self, key: &str, letter: &Letter) -> Result<bool, ActionError> {
        let ask = self.ask(COMMENTS, &[key]).query("orderBy", "-created").query("maxResults", PAGE);
        let paging = Paging::Offset { parameter: "startAt".to_owned(), end: End::Total("/total".to_owned()) };
        let pages = self.web.pages(ask, paging).records_at("/comments").at_most(PAGES);
        Ok(marked(pages, ("/body", &mark(&letter.id)), None).await?.is_some())
    }

    async fn say(&self, errand: &Errand, key: &str, draft: &Draft<'_>) -> Result<(), ActionError> {
        self.act(errand, (COMMENT, &[key]), json!({ "body": self.text(&draft.body) })).await.map(drop)
    }

    async fn close(&self, errand: &Errand, key: &str) -> Result<(), ActionError> {
        self.moved(errand, key, (&self.done, true)).await
    }

    async fn reopen(&self, errand: &Errand, key: &str) -> Result<(), ActionError> {
        self.moved(errand, key, (&self.reopened, false)).await
    }

    async fn check(&self) -> Result<String, ActionError> {
        #[derive(Deserialize)]
        struct Types {
            // Cloud calls the list one thing, Data Center another.
            #[serde(rename = "issueTypes", alias = "values", default)]
            all: Vec<Type>,
        }
        #[derive(Deserialize)]
        struct Type {
            name: Option<String>,
        }
        let who: Person = self.web.ask(self.ask(WHO, &[])).await?.json()?;
        let types: Types = self.web.ask(self.ask(TYPES, &[&self.project]).query("maxResults", "200")).await?.json()?;
        let wanted = self.issue_type.to_lowercase();
        if !types.all.iter().filter_map(|it| it.name.as_ref()).any(|name| name.to_lowercase() == wanted) {
            let said = format!("no issue of the type that is set may be made in {} by us", self.project);
            return Err(ActionError::GiveUp { said });
        }
        let who = who.name.unwrap_or_else(|| "somebody without a name".to_owned());
        Ok(format!("{who} may make issues of the type that is set in {}", self.project))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_paragraphs_of_text_and_nothing_else() {
        let made = document("1 case new\n\nhigh: @ann [x](y)\nOwner: {code}\n\n\n\nprovost letter 1");
        let text = |text: &str| json!({ "type": "text", "text": text });
        let expected = json!({ "type": "doc", "version": 1, "content": [
            { "type": "paragraph", "content": [{ "type": "text", "text": "1 case new", "marks": [{ "type": "strong" }] }] },
            { "type": "paragraph", "content": [text("high: @ann [x](y)"), { "type": "hardBreak" }, text("Owner: {code}")] },
            { "type": "paragraph", "content": [text("provost letter 1")] },
        ] });
        assert_eq!(made, expected);
    }
}
