//! Letters to a chat by an incoming webhook: Mattermost and what understands its form, or Discord.
//! It must never show the webhook's address, which lets anybody post, nor let a text from outside mention, link or format.

use std::path::PathBuf;

use async_trait::async_trait;
use provost_client::{Answer, Body, authority::SecretOf};
use provost_model::{Errand, door};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Checked, Delivery, Handed, Receipt, Sink, SinkSpec,
    address::{self, Address, Ways},
    secret::asked,
    settings::{parsed, reference},
};
use crate::{ActionError, Dialect, Letter, Wording};

/// What this sink is.
pub static SPEC: SinkSpec = SinkSpec {
    name: "chat_webhook",
    title: "Chat webhook (Mattermost, Discord)",
    about: "messages to a channel by an incoming webhook of Mattermost or Discord",
    delivery: Delivery::Blind,
    because: "a webhook shows nothing of what it took and takes the same message twice",
    gathers: true,
    // Discord takes five in two seconds, and thirty a minute of one webhook.
    per_minute: 30,
    acts: &[address::POST, address::POST_ROOT],
    reads: &[address::GET, address::GET_ROOT],
    permissions: &["an incoming webhook: whoever knows its address may post to its channel, and nothing else"],
    checked: Checked::Description("the makers' descriptions"),
    example: EXAMPLE,
    documentation: &[
        "https://developers.mattermost.com/integrate/webhooks/incoming/",
        "https://discord.com/developers/docs/resources/webhook#execute-webhook",
    ],
    build: &build,
};

const EXAMPLE: &str = r#"[[sinks]]
name = "chat"
kind = "chat_webhook"
url = "file:/etc/provost/chat-webhook"               # a reference: whoever knows the address may post there
style = "mattermost"                                 # or "discord"
# username = "provost"                               # instead of the webhook's own name, where that is allowed
# ca_file = "/etc/provost/internal-ca.pem"           # authorities to trust instead of the system's
"#;

/// Longest name of a poster.
const USERNAME_MAX: usize = 80;
/// Discord's flag of a message that shows no previews of links.
const SUPPRESS_EMBEDS: u32 = 1 << 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Style {
    Mattermost,
    Discord,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    url: String,
    style: Style,
    username: Option<String>,
    ca_file: Option<PathBuf>,
}

struct Chat {
    url: SecretOf,
    style: Style,
    username: Option<String>,
    ways: Ways,
    wording: Wording,
}

fn build(handed: &Handed) -> Result<Box<dyn Sink>, String> {
    let settings: Settings = parsed(handed)?;
    let username = settings.username.filter(|it| !it.is_empty());
    if username.as_ref().is_some_and(|it| it.chars().count() > USERNAME_MAX || it.chars().any(door::is_hidden)) {
        return Err(format!("username: plain text of at most {USERNAME_MAX} letters"));
    }
    Ok(Box::new(Chat {
        url: reference(handed, "url", &settings.url)?,
        style: settings.style,
        username,
        ways: Ways::new(&SPEC, address::way(settings.ca_file.as_deref())?, address::ANSWER_MAX),
        wording: Wording::new(Dialect::Markdown, handed.template.as_deref()).map_err(|error| error.to_string())?,
    }))
}

impl Style {
    /// Longest message taken, in UTF-16 units: whatever a chat counts, it is no more than these.
    fn most(self) -> usize {
        match self {
            Style::Mattermost => 16_383,
            Style::Discord => 2_000,
        }
    }

    fn body(self, text: &str, username: Option<&str>) -> Value {
        let mut body = match self {
            Style::Mattermost => json!({ "text": text }),
            // Nobody is woken up, whatever the text has in it.
            Style::Discord => {
                json!({ "content": text, "allowed_mentions": { "parse": [] }, "flags": SUPPRESS_EMBEDS })
            }
        };
        if let (Some(username), Some(body)) = (username, body.as_object_mut()) {
            body.insert("username".to_owned(), username.into());
        }
        body
    }
}

impl Chat {
    async fn address(&self) -> Result<Address, ActionError> {
        let url = asked(&self.url).await?;
        let address = Address::new(url.expose_secret(), &self.ways);
        let address = address.map_err(|said| ActionError::Retry { after: None, said: format!("url: {said}") })?;
        Ok(match self.style {
            // Without it Discord answers before the message is kept, and says nothing of one that is not.
            Style::Discord => address.with("wait", "true"),
            Style::Mattermost => address,
        })
    }

    fn text(&self, letter: &Letter) -> Result<String, String> {
        let text = self.wording.words(letter).map_err(|error| error.to_string())?;
        let all = Dialect::Markdown.outside(&letter.all);
        Ok(cut(text, self.style.most(), &format!("\n\n… cut here. Everything: {all}")))
    }
}

#[async_trait]
impl Sink for Chat {
    fn delivery(&self) -> Delivery {
        Delivery::Blind
    }

    async fn deliver(&self, errand: &Errand, letter: &Letter) -> Result<Receipt, ActionError> {
        let text = self.text(letter).map_err(|said| ActionError::GiveUp { said })?;
        let body = Body::Json(self.style.body(&text, self.username.as_deref()));
        let address = self.address().await?;
        match address.post(errand, (body, Vec::new())).await {
            Ok(answer) => Ok(Receipt { reference: id_of(&answer), url: None }),
            Err(undone) => Err(address.veiled(undone.into())),
        }
    }

    async fn look_up(&self, _: &Letter) -> Result<Option<Receipt>, ActionError> {
        Err(ActionError::GiveUp { said: "an incoming webhook shows nothing of what it took".to_owned() })
    }

    async fn check(&self) -> Result<String, ActionError> {
        let address = self.address().await?;
        if self.style == Style::Mattermost {
            return address.reached().await;
        }
        // Discord shows a webhook to whoever knows its address.
        let answer = address.get().await.map_err(|failure| address.veiled(failure.into()))?;
        let webhook: Value = answer.json().map_err(|failure| address.veiled(failure.into()))?;
        let name = webhook.get("name").and_then(Value::as_str).unwrap_or_default();
        Ok(format!("Discord knows the webhook {:?}", door::terminal(name)))
    }

    fn preview(&self, letter: &Letter) -> Result<String, String> {
        self.text(letter)
    }
}

/// What Discord calls the message.
fn id_of(answer: &Answer) -> Option<String> {
    let message: Value = answer.json().ok()?;
    let id = message.get("id")?.as_str()?;
    (id.len() <= 20 && id.bytes().all(|it| it.is_ascii_digit())).then(|| id.to_owned())
}

/// The text, or as many of its lines as leave room for saying that there is more. Several messages would have several
/// outcomes.
fn cut(text: String, most: usize, more: &str) -> String {
    let units = |text: &str| text.encode_utf16().count();
    if units(&text) <= most {
        return text;
    }
    let room = most.saturating_sub(units(more));
    let mut kept = String::new();
    let mut used = 0;
    for line in text.split_inclusive('\n') {
        used += units(line);
        if used > room {
            break;
        }
        kept.push_str(line);
    }
    format!("{}{more}", kept.trim_end())
}

#[cfg(test)]
mod tests;
