//! Roundup's issues as tickets: each text a message that carries the letter's id where mail has its own.
//! It must never take a retired issue for one that is there: asked for by its number, the interface still shows it.

use std::collections::BTreeMap;

use async_trait::async_trait;
use provost_client::{Answer, Ask, Body, Failure, Web, authority::Basic};
use provost_model::Errand;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Desk, Draft, Office, inert, provider, way};
use crate::{
    ActionError, Dialect, Letter,
    sinks::{
        Checked, Delivery, Handed, Sink, SinkSpec, Ticket,
        settings::{parsed, reference},
    },
};

/// What this sink is.
pub(in crate::sinks) static SPEC: SinkSpec = SinkSpec {
    name: "roundup",
    title: "Roundup",
    about: "issues of a Roundup tracker",
    delivery: Delivery::LookUp,
    because: "each text is a message with the letter's id for its Message-ID; messages, and the issues they belong to, are found \
              by it in the tracker's database, not in its index of words",
    gathers: false,
    per_minute: 30,
    acts: &[SAY, MAKE, CHANGE],
    reads: &[USERS, STATUSES, MESSAGES, ISSUES, ISSUE],
    permissions: &["role with Rest Access", "View, Create and Edit of issue and msg", "View of status"],
    checked: Checked::RealServer("Roundup 2.6.0, the classic tracker"),
    example: EXAMPLE,
    documentation: &[
        "https://www.roundup-tracker.org/docs/rest.html",
        "https://www.roundup-tracker.org/docs/reference.html",
    ],
    build: &build,
};

const SAY: &str = "POST /rest/data/msg";
const MAKE: &str = "POST /rest/data/issue";
const CHANGE: &str = "PATCH /rest/data/issue/{id}";
const USERS: &str = "GET /rest/data/user";
const STATUSES: &str = "GET /rest/data/status";
const MESSAGES: &str = "GET /rest/data/msg";
const ISSUES: &str = "GET /rest/data/issue";
const ISSUE: &str = "GET /rest/data/issue/{id}";

const EXAMPLE: &str = r#"[[sinks]]
name = "tracker"
kind = "roundup"
base_url = "https://tracker.example.org/nhi"  # as the tracker's own configuration has it under web
user = "provost"
password = "env:ROUNDUP_PASSWORD"             # a reference
closed = ["resolved"]                         # statuses that count as closed; the first is what we set
reopened = "chatting"                         # the status of an issue that is opened again
# keywords = ["non-human-identity"]           # of every issue; they have to be there
# priority = "urgent"                         # of every issue
"#;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Typed {
    base_url: String,
    user: String,
    password: String,
    #[serde(default = "resolved")]
    closed: Vec<String>,
    #[serde(default = "chatting")]
    reopened: String,
    #[serde(default)]
    keywords: Vec<String>,
    priority: Option<String>,
}

fn resolved() -> Vec<String> {
    vec!["resolved".to_owned()]
}

fn chatting() -> String {
    "chatting".to_owned()
}

struct Roundup {
    web: Web,
    /// Where people find it.
    home: String,
    user: String,
    /// The status of what is closed by us.
    done: String,
    closed: Vec<String>,
    reopened: String,
    keywords: Vec<String>,
    priority: Option<String>,
}

fn build(handed: &Handed) -> Result<Box<dyn Sink>, String> {
    let typed: Typed = parsed(handed)?;
    let Some(done) = typed.closed.first().cloned() else {
        return Err("closed: at least one status has to count as closed".to_owned());
    };
    if typed.closed.contains(&typed.reopened) {
        return Err("reopened: it is among those that count as closed".to_owned());
    }
    // A link is given by its name, and one that is a number would be taken for an id.
    let names = typed.closed.iter().chain([&typed.reopened]).chain(&typed.keywords).chain(&typed.priority);
    if names.into_iter().any(|name| name.is_empty() || name.contains(',') || name.bytes().all(|it| it.is_ascii_digit()))
    {
        return Err("closed, reopened, keywords, priority: expected names".to_owned());
    }
    let home = typed.base_url.trim_end_matches('/').to_owned();
    // Whoever changes something says that it is no form of a foreign page (Roundup, "REST API", "Preventing CSRF").
    let headers = [("x-requested-with", "rest"), ("origin", origin(&home))];
    let password = reference(handed, "password", &typed.password)?;
    let web = way(provider(&SPEC, home.clone(), &headers), Basic::new(typed.user.clone(), password))?;
    let Typed { user, closed, reopened, keywords, priority, .. } = typed;
    let desk = Roundup { web, home, user, done, closed, reopened, keywords, priority };
    Office::open(&SPEC, handed, (Dialect::Plain, desk))
}

/// What stands before the path.
fn origin(address: &str) -> &str {
    let begins = address.find("://").map_or(0, |at| at + 3);
    let ends = address.get(begins..).and_then(|rest| rest.find('/')).map_or(address.len(), |at| begins + at);
    address.get(..ends).unwrap_or(address)
}

/// Every answer of the interface.
#[derive(Deserialize)]
struct Said<T> {
    data: T,
}

/// A list of items. It never comes in pages unless it is asked to.
#[derive(Deserialize)]
struct Items {
    collection: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    id: String,
    status: Option<Link>,
    assignedto: Option<Link>,
    messages: Option<Vec<Value>>,
}

/// Another item, with its name beside its id.
#[derive(Deserialize)]
struct Link {
    id: String,
    #[serde(flatten)]
    more: Map<String, Value>,
}

impl Link {
    fn name(self) -> String {
        let name = ["name", "username"].iter().find_map(|it| self.more.get(*it)?.as_str());
        name.map_or(self.id, str::to_owned)
    }
}

impl Roundup {
    async fn items(&self, ask: Ask) -> Result<Vec<Item>, Failure> {
        let said: Said<Items> = self.web.ask(ask).await?.json()?;
        Ok(said.data.collection)
    }

    async fn act(&self, errand: &Errand, (act, key): (&str, &[&str]), body: Value) -> Result<Answer, ActionError> {
        let answer = self.web.act(errand, Ask::act(act, key, Some(Body::Json(body)))).await;
        answer.map_err(|undone| match undone.failure.code.as_str() {
            // Somebody else changed the issue between our look and our change, which was not made.
            "412" => ActionError::Retry { after: None, said: undone.failure.to_string() },
            _ => undone.into(),
        })
    }

    /// Makes an item and gives its id.
    async fn made(&self, errand: &Errand, act: &str, body: Value) -> Result<String, ActionError> {
        #[derive(Deserialize)]
        struct Made {
            id: String,
        }
        let said: Result<Said<Made>, Failure> = self.act(errand, (act, &[]), body).await?.json();
        // It was done; that what came back cannot be read changes nothing of that.
        said.map(|it| it.data.id).map_err(|failure| ActionError::Ambiguous { said: failure.to_string() })
    }

    /// Changes an issue as it stands.
    async fn changed(&self, errand: &Errand, key: &str, mut body: Value) -> Result<(), ActionError> {
        #[derive(Deserialize)]
        struct Standing {
            #[serde(rename = "@etag")]
            etag: String,
        }
        let standing: Said<Standing> =
            self.web.ask(Ask::get(ISSUE, &[key]).query("@fields", "status")).await?.json()?;
        if let Value::Object(fields) = &mut body {
            fields.insert("@etag".to_owned(), standing.data.etag.into());
        }
        self.act(errand, (CHANGE, &[key]), body).await.map(drop)
    }

    /// The message that a letter made.
    async fn message(&self, letter: &Letter) -> Result<Option<String>, Failure> {
        let found = self.items(Ask::get(MESSAGES, &[]).query("messageid:", message_id(letter))).await?;
        Ok(found.into_iter().next().map(|it| it.id))
    }

    /// The same, made if it is not there. One that belongs to no issue yet is what was left by a try that broke off.
    async fn told(&self, errand: &Errand, draft: &Draft<'_>) -> Result<String, ActionError> {
        if let Some(id) = self.message(draft.letter).await? {
            return Ok(id);
        }
        let id = message_id(draft.letter);
        let body = json!({ "content": draft.body, "messageid": id, "author": self.user, "date": "." });
        self.made(errand, SAY, body).await
    }
}

/// What a message is known by in mail, and here.
fn message_id(letter: &Letter) -> String {
    format!("<{}@provost>", letter.id)
}

#[async_trait]
impl Desk for Roundup {
    const FINDS: bool = true;

    fn body(&self, words: &str, _: &str) -> String {
        inert::unlinked(words)
    }

    fn url(&self, key: &str) -> String {
        format!("{}/issue{key}", self.home)
    }

    async fn find(&self, letter: &Letter) -> Result<Option<String>, ActionError> {
        let Some(message) = self.message(letter).await? else { return Ok(None) };
        let issues = self.items(Ask::get(ISSUES, &[]).query("messages", message)).await?;
        Ok(issues.into_iter().next().map(|it| it.id))
    }

    async fn make(&self, errand: &Errand, draft: &Draft<'_>) -> Result<String, ActionError> {
        let message = self.told(errand, draft).await?;
        let mut body = json!({ "title": draft.title, "messages": [message], "keyword": self.keywords });
        if let (Value::Object(fields), Some(priority)) = (&mut body, &self.priority) {
            fields.insert("priority".to_owned(), priority.clone().into());
        }
        self.made(errand, MAKE, body).await
    }

    async fn look(&self, keys: &[String]) -> Result<Vec<Ticket>, ActionError> {
        let ask = Ask::get(ISSUES, &[]).query("@fields", "status,assignedto,messages").query("@verbose", "2");
        // What is no number was never the key of an issue here, and without any everything would be listed.
        let ids: Vec<&String> = keys.iter().filter(|key| key.parse::<u64>().is_ok()).collect();
        let asked = ids.iter().fold(ask, |ask, id| ask.query("id", id.as_str()));
        let mut seen = BTreeMap::new();
        for item in if ids.is_empty() { Vec::new() } else { self.items(asked).await? } {
            let status = item.status.map(Link::name).unwrap_or_default();
            let ticket = Ticket::There {
                closed: self.closed.contains(&status),
                status,
                assignee: item.assignedto.map(Link::name),
                // The first is what it is about.
                comments: item.messages.and_then(|all| u64::try_from(all.len()).ok()).map(|all| all.saturating_sub(1)),
            };
            seen.insert(item.id, ticket);
        }
        Ok(keys.iter().map(|key| seen.get(key).cloned().unwrap_or(Ticket::Gone)).collect())
    }

    async fn has(&self, key: &str, letter: &Letter) -> Result<bool, ActionError> {
        let Some(message) = self.message(letter).await? else { return Ok(false) };
        let issues = self.items(Ask::get(ISSUES, &[]).query("messages", message).query("id", key)).await?;
        Ok(!issues.is_empty())
    }

    async fn say(&self, errand: &Errand, key: &str, draft: &Draft<'_>) -> Result<(), ActionError> {
        let message = self.told(errand, draft).await?;
        self.changed(errand, key, json!({ "messages": [message], "@op": "add" })).await
    }

    async fn close(&self, errand: &Errand, key: &str) -> Result<(), ActionError> {
        self.changed(errand, key, json!({ "status": self.done })).await
    }

    async fn reopen(&self, errand: &Errand, key: &str) -> Result<(), ActionError> {
        self.changed(errand, key, json!({ "status": self.reopened })).await
    }

    async fn check(&self) -> Result<String, ActionError> {
        let users = self.items(Ask::get(USERS, &[]).query("username:", self.user.clone())).await?;
        let Some(user) = users.first() else {
            return Err(ActionError::GiveUp { said: "the user that is set is not among the tracker's".to_owned() });
        };
        for status in self.closed.iter().chain([&self.reopened]) {
            if self.items(Ask::get(STATUSES, &[]).query("name:", status)).await?.is_empty() {
                return Err(ActionError::GiveUp { said: format!("the tracker has no status {status:?}") });
            }
        }
        self.items(Ask::get(ISSUES, &[]).query("@page_size", "1")).await?;
        Ok(format!("user{} sees the tracker's issues; whether it may make them shows only when it does", user.id))
    }
}
