//! Messages to a channel of Slack by a bot's token, found again by a marker in the list of the channel's messages.
//! It must never take a list that was not read to its end for one without the message.

mod answers;
pub(crate) mod sections;

use std::sync::Arc;

use async_trait::async_trait;
use provost_client::{Ask, Body, Limits, Web, authority::Token};
use provost_model::{Errand, door};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Checked, Delivery, Handed, Receipt, Sink, SinkSpec, provider::provider, settings};
use crate::{ActionError, Dialect, Letter, Wording};

const POST: &str = "POST /chat.postMessage";
const HISTORY: &str = "GET /conversations.history";
const REPLIES: &str = "GET /conversations.replies";
const TEST: &str = "GET /auth.test";
/// What the marker is called.
const EVENT: &str = "provost_letter";
/// How long before the first try a message is looked for, in seconds: clocks differ, and one that is off by more than half
/// of it is distrusted.
const BACK: i64 = 600;
/// Messages asked for at once; Slack recommends no more than 200.
const PAGE: &str = "200";
/// Most pages that are read for one letter.
const PAGES: usize = 100;

/// What this sink is.
pub static SPEC: SinkSpec = SinkSpec {
    name: "slack",
    title: "Slack",
    about: "messages to a channel of Slack, by a bot's token",
    delivery: Delivery::LookUp,
    because: "each message carries the letter's id in its metadata and in the name of its first block; after an unclear \
              answer it is looked for among the channel's messages since the first try (of a reply, among the thread's); \
              with `look_up = false` nobody can tell. A message that somebody deleted meanwhile is sent again",
    gathers: true,
    // Slack takes about one message a second in a channel (<https://docs.slack.dev/apis/web-api/rate-limits>).
    per_minute: 30,
    acts: &[POST],
    reads: &[TEST, HISTORY, REPLIES],
    permissions: &[
        "chat:write",
        "channels:history in a public channel, groups:history in a private one; not with look_up = false",
    ],
    checked: Checked::Description(
        "the Web API's description of 2021 (slackapi/slack-api-specs): auth.test and chat.postMessage, without what is \
         newer; looking up by the documentation's words",
    ),
    example: r#"[[sinks]]
name = "security-channel"
kind = "slack"
# Where the bot's token (xoxb-…) is; never the token itself.
token = "env:SLACK_BOT_TOKEN"
# The channel's id, as its details show it at the bottom; the bot has to be in it.
channel = "C0123456789"
# Whether a message whose answer was unclear is looked for; it takes the scope channels:history or groups:history.
# look_up = true
# Another way to Slack's Web API.
# origin = "https://slack.com/api"
"#,
    documentation: &[
        "https://docs.slack.dev/reference/methods/chat.postMessage/",
        "https://docs.slack.dev/reference/methods/conversations.history/",
        "https://docs.slack.dev/reference/methods/conversations.replies/",
        "https://docs.slack.dev/reference/methods/auth.test/",
        "https://docs.slack.dev/messaging/message-metadata/",
        "https://docs.slack.dev/messaging/formatting-message-text/",
        "https://docs.slack.dev/reference/block-kit/blocks/section-block/",
        "https://docs.slack.dev/apis/web-api/rate-limits/",
    ],
    build: &build,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    token: String,
    channel: String,
    #[serde(default = "api")]
    origin: String,
    #[serde(default = "yes")]
    look_up: bool,
}

struct Slack {
    web: Web,
    channel: String,
    look_up: bool,
    wording: Wording,
}

#[derive(Deserialize)]
struct Posted {
    ts: Option<String>,
}

#[derive(Deserialize)]
struct Tested {
    team: Option<String>,
    user: Option<String>,
}

#[derive(Deserialize)]
struct Listed {
    messages: Vec<Message>,
    #[serde(default)]
    has_more: bool,
    response_metadata: Option<More>,
}

#[derive(Deserialize)]
struct More {
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    ts: Option<String>,
    #[serde(default)]
    metadata: Value,
    #[serde(default)]
    blocks: Value,
}

fn api() -> String {
    "https://slack.com/api".to_owned()
}

fn yes() -> bool {
    true
}

fn build(handed: &Handed) -> Result<Box<dyn Sink>, String> {
    let settings: Settings = settings::parsed(handed)?;
    let token = settings::reference(handed, "token", &settings.token)?;
    // A name would do for sending, but not for looking.
    let is_id = settings.channel.starts_with(['C', 'G', 'D']) && (2..=64).contains(&settings.channel.len());
    if !is_id || !settings.channel.chars().all(|it| it.is_ascii_uppercase() || it.is_ascii_digit()) {
        return Err("`channel` is no channel's id: it begins with C, G or D and has capitals and digits".to_owned());
    }
    let provider = provider(
        (SPEC.reads, SPEC.acts),
        settings.origin,
        Limits { in_flight: 2, answer: 16 << 20, ..Limits::default() },
    );
    let web = Web::new(provider, Arc::new(Token::bearer(token))).map_err(|said| format!("`origin`: {said}"))?;
    let wording = Wording::new(Dialect::Slack, handed.template.as_deref()).map_err(|error| error.to_string())?;
    Ok(Box::new(Slack { web, channel: settings.channel, look_up: settings.look_up, wording }))
}

impl Slack {
    /// What is sent: a form, as the documentation has it, with what is not plain text in it as JSON.
    fn form(&self, letter: &Letter) -> Result<Vec<(String, String)>, String> {
        let text = self.wording.words(letter).map_err(|error| error.to_string())?;
        let name = self.look_up.then(|| block_id(letter));
        let blocks = Value::Array(sections::blocks(&text, name.as_deref()));
        let mut form = vec![
            ("channel", self.channel.clone()),
            ("text", text),
            ("blocks", blocks.to_string()),
            ("parse", "none".to_owned()),
            ("link_names", "false".to_owned()),
            ("unfurl_links", "false".to_owned()),
            ("unfurl_media", "false".to_owned()),
        ];
        if self.look_up {
            let marker = json!({ "event_type": EVENT, "event_payload": { "id": letter.id } });
            form.push(("metadata", marker.to_string()));
        }
        if let Some(thread) = &letter.thread {
            form.push(("thread_ts", thread.clone()));
        }
        Ok(form.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// Where a letter would be listed. A channel's messages do not hold the replies in threads.
    fn list(&self, letter: &Letter) -> Ask {
        let oldest = format!("{}.000000", letter.first_tried_at.as_seconds() - BACK);
        let ask = match &letter.thread {
            None => Ask::get(HISTORY, &[]),
            Some(thread) => Ask::get(REPLIES, &[]).query("ts", thread),
        };
        ask.query("channel", &self.channel)
            .query("oldest", oldest)
            .query("inclusive", "true")
            .query("include_all_metadata", "true")
            .query("limit", PAGE)
    }
}

/// What the first block of a letter is called.
fn block_id(letter: &Letter) -> String {
    format!("{EVENT}-{}", letter.id)
}

impl Message {
    /// Whether it carries the letter's marker. Metadata is left out where the token may not see it; a block's name never is.
    fn is(&self, letter: &Letter) -> bool {
        let metadata = &self.metadata;
        let marked = metadata.pointer("/event_type").is_some_and(|it| it == EVENT)
            && metadata.pointer("/event_payload/id").is_some_and(|it| *it == letter.id);
        marked || self.blocks.pointer("/0/block_id").is_some_and(|it| *it == block_id(letter))
    }
}

#[async_trait]
impl Sink for Slack {
    fn delivery(&self) -> Delivery {
        if self.look_up { Delivery::LookUp } else { Delivery::Blind }
    }

    async fn deliver(&self, errand: &Errand, letter: &Letter) -> Result<Receipt, ActionError> {
        let form = self.form(letter).map_err(|said| ActionError::GiveUp { said })?;
        let answer = self.web.act(errand, Ask::act(POST, &[], Some(Body::Form(form)))).await?;
        let posted: Posted = answers::of_act(&answer)?;
        Ok(Receipt { reference: posted.ts, url: None })
    }

    async fn look_up(&self, letter: &Letter) -> Result<Option<Receipt>, ActionError> {
        let unread = |said: &str| ActionError::Retry { after: None, said: format!("{HISTORY}: {said}") };
        let mut cursor = None;
        for _ in 0..PAGES {
            let mut ask = self.list(letter);
            if let Some(cursor) = &cursor {
                ask = ask.query("cursor", cursor);
            }
            let listed: Listed = answers::of_look(&self.web.ask(ask).await?)?;
            if let Some(found) = listed.messages.iter().find(|message| message.is(letter)) {
                return Ok(Some(Receipt { reference: found.ts.clone(), url: None }));
            }
            let next = listed.response_metadata.and_then(|it| it.next_cursor).filter(|it| !it.is_empty());
            match next {
                None if listed.has_more => return Err(unread("there is more, and no way to it")),
                None => return Ok(None),
                same if same == cursor => return Err(unread("the list leads back to the same page")),
                next => cursor = next,
            }
        }
        Err(unread("there are too many messages since the first try to look through"))
    }

    async fn check(&self) -> Result<String, ActionError> {
        let tested: Tested = answers::of_look(&self.web.ask(Ask::get(TEST, &[])).await?)?;
        let shown = |name: Option<String>| door::log(name.as_deref().unwrap_or("?")).into_owned();
        let who = format!("signed in to {} as {}", shown(tested.team), shown(tested.user));
        if !self.look_up {
            return Ok(format!("{who}; whether it may write to the channel shows with the first letter"));
        }
        let one = Ask::get(HISTORY, &[]).query("channel", &self.channel).query("limit", "1");
        let _: Listed = answers::of_look(&self.web.ask(one).await?)?;
        Ok(format!("{who}, and the channel can be read; whether it may write there shows with the first letter"))
    }

    fn preview(&self, letter: &Letter) -> Result<String, String> {
        let form = self.form(letter)?;
        let text = form.iter().find(|(name, _)| name == "text").map(|(_, text)| text.as_str()).unwrap_or_default();
        let wire: Vec<String> =
            form.iter().filter(|(name, _)| name != "text").map(|(name, value)| format!("{name}={value}")).collect();
        Ok(format!("{text}\n\n{POST}\n{}", wire.join("\n")))
    }
}

#[cfg(test)]
mod described;
#[cfg(test)]
mod tests;
