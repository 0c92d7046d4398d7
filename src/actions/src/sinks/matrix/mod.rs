//! Messages to a room of Matrix, each under the letter's id, so that a homeserver takes it once.
//! It must never mention anybody, nor send a letter under another id than its own.

use std::sync::Arc;

use async_trait::async_trait;
use provost_client::{Ask, Body, Failure, Limits, Web, authority::Token};
use provost_model::{Errand, door};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Checked, Delivery, Handed, Receipt, Sink, SinkSpec, place, provider::provider, settings};
use crate::{ActionError, Dialect, Letter, Wording};

const SEND: &str = "PUT /_matrix/client/v3/rooms/{room}/send/m.room.message/{id}";
const RESOLVE: &str = "GET /_matrix/client/v3/directory/room/{alias}";
const WHOAMI: &str = "GET /_matrix/client/v3/account/whoami";
const JOINED: &str = "GET /_matrix/client/v3/joined_rooms";
/// Largest content that is sent, in bytes. An event has at most 65,536 (Matrix specification, "Size limits"), and the
/// homeserver adds its own part.
const CONTENT_MAX: usize = 60_000;
/// Longest body, in bytes, where even the plain text is too large: JSON makes it at most twice as long.
const BODY_MAX: usize = 28_000;

/// What this sink is.
pub static SPEC: SinkSpec = SinkSpec {
    name: "matrix",
    title: "Matrix",
    about: "messages to a room of Matrix, by a bot's access token",
    delivery: Delivery::DedupKey,
    because: "the letter's id is the transaction's: a homeserver answers the same transaction of the same access token's \
              device with the event that is there. Synapse remembers for a day; with a token of another device, or an alias \
              that leads elsewhere meanwhile, it is another letter",
    gathers: true,
    per_minute: 30,
    acts: &[SEND],
    reads: &[RESOLVE, WHOAMI, JOINED],
    permissions: &["a member of the room with the power to send m.room.message"],
    checked: Checked::RealServer("Synapse 1.163"),
    example: r#"[[sinks]]
name = "security-room"
kind = "matrix"
# The homeserver's client API.
origin = "https://matrix.example.org"
# The room's id (!…) or an alias (#…:…); the bot has to be in it. What is sent is not encrypted end to end.
room = "!abcdefghijklmnopqr:example.org"
# Where the bot's access token is; never the token itself.
token = "env:MATRIX_TOKEN"
"#,
    documentation: &[
        "https://spec.matrix.org/v1.15/client-server-api/#put_matrixclientv3roomsroomidsendeventtypetxnid",
        "https://spec.matrix.org/v1.15/client-server-api/#transaction-identifiers",
        "https://spec.matrix.org/v1.15/client-server-api/#user-and-room-mentions",
        "https://spec.matrix.org/v1.15/client-server-api/#threading",
        "https://spec.matrix.org/v1.15/client-server-api/#size-limits",
        "https://spec.matrix.org/v1.15/client-server-api/#get_matrixclientv3directoryroomroomalias",
    ],
    build: &build,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    origin: String,
    room: String,
    token: String,
}

struct Matrix {
    web: Web,
    room: String,
    plain: Wording,
    html: Wording,
}

#[derive(Deserialize)]
struct Sent {
    event_id: String,
}

#[derive(Deserialize)]
struct Resolved {
    room_id: String,
}

#[derive(Deserialize)]
struct Whoami {
    user_id: String,
}

#[derive(Deserialize)]
struct Joined {
    joined_rooms: Vec<String>,
}

fn build(handed: &Handed) -> Result<Box<dyn Sink>, String> {
    let settings: Settings = settings::parsed(handed)?;
    let token = settings::reference(handed, "token", &settings.token)?;
    // The names that Matrix gives are at most 255 bytes long.
    let room = &settings.room;
    let is_room = room.len() > 1 && (room.starts_with('!') || (room.starts_with('#') && room.contains(':')));
    if !is_room || room.len() > 255 || room.contains(char::is_whitespace) {
        return Err("`room` is neither a room's id (!…) nor an alias (#…:…)".to_owned());
    }
    let provider = provider(
        (SPEC.reads, SPEC.acts),
        settings.origin,
        Limits { in_flight: 2, answer: 4 << 20, ..Limits::default() },
    );
    let web = Web::new(provider, Arc::new(Token::bearer(token))).map_err(|said| format!("`origin`: {said}"))?;
    let wording = |dialect| Wording::new(dialect, handed.template.as_deref()).map_err(|error| error.to_string());
    let (plain, html) = (wording(Dialect::Plain)?, wording(Dialect::Html)?);
    Ok(Box::new(Matrix { web, room: settings.room, plain, html }))
}

impl Matrix {
    /// The content of the event.
    fn content(&self, letter: &Letter) -> Result<Value, String> {
        let body = self.plain.words(letter).map_err(|error| error.to_string())?;
        let html = self.html.words(letter).map_err(|error| error.to_string())?;
        // Without `m.mentions` a client looks for names in the text.
        let mut content = json!({ "msgtype": "m.text", "body": body, "m.mentions": {} });
        if let (Some(thread), Some(fields)) = (&letter.thread, content.as_object_mut()) {
            let relates = json!({ "rel_type": "m.thread", "event_id": thread, "is_falling_back": true,
                "m.in_reply_to": { "event_id": thread } });
            fields.insert("m.relates_to".to_owned(), relates);
        }
        let mut formatted = content.clone();
        if let Some(fields) = formatted.as_object_mut() {
            fields.insert("format".to_owned(), "org.matrix.custom.html".into());
            fields.insert("formatted_body".to_owned(), html.into());
        }
        if formatted.to_string().len() <= CONTENT_MAX {
            return Ok(formatted);
        }
        if let (true, Some(fields)) = (content.to_string().len() > CONTENT_MAX, content.as_object_mut()) {
            let end = body.char_indices().map(|(at, _)| at).take_while(|at| *at <= BODY_MAX).last().unwrap_or_default();
            fields.insert("body".to_owned(), format!("{}\n…", body.get(..end).unwrap_or_default()).into());
        }
        Ok(content)
    }

    /// The room's id. An alias may lead elsewhere at any time, so it is asked for anew.
    async fn room(&self) -> Result<String, ActionError> {
        if self.room.starts_with('!') {
            return Ok(self.room.clone());
        }
        let answer = self.web.ask(Ask::get(RESOLVE, &[&self.room])).await.map_err(unreached)?;
        Ok(answer.json::<Resolved>().map_err(unreached)?.room_id)
    }
}

/// Nothing was sent yet, and whatever went wrong is not the letter's fault.
fn unreached(failure: Failure) -> ActionError {
    ActionError::Retry { after: None, said: failure.to_string() }
}

#[async_trait]
impl Sink for Matrix {
    fn delivery(&self) -> Delivery {
        Delivery::DedupKey
    }

    async fn deliver(&self, errand: &Errand, letter: &Letter) -> Result<Receipt, ActionError> {
        let content = self.content(letter).map_err(|said| ActionError::GiveUp { said })?;
        let room = self.room().await?;
        let ask = Ask::act(SEND, &[&room, &letter.id], Some(Body::Json(content)));
        let answer = self.web.act(errand, ask).await.map_err(place::undone)?;
        // The same again is answered with the event that is there, so that what cannot be read is not lost.
        let sent: Sent = answer.json().map_err(|failure| ActionError::Ambiguous { said: failure.to_string() })?;
        Ok(Receipt { reference: Some(sent.event_id), url: None })
    }

    async fn look_up(&self, _: &Letter) -> Result<Option<Receipt>, ActionError> {
        Err(ActionError::GiveUp { said: "sent again, a letter is taken once: there is nothing to look up".to_owned() })
    }

    async fn check(&self) -> Result<String, ActionError> {
        let who: Whoami = self.web.ask(Ask::get(WHOAMI, &[])).await.map_err(unreached)?.json().map_err(unreached)?;
        let who = door::log(&who.user_id).into_owned();
        let room = self.room().await?;
        let joined: Joined = self.web.ask(Ask::get(JOINED, &[])).await.map_err(unreached)?.json().map_err(unreached)?;
        if !joined.joined_rooms.contains(&room) {
            let said = format!("signed in as {who}, which is not in the room {}: have it join", self.room);
            return Err(ActionError::Retry { after: None, said });
        }
        Ok(format!("signed in as {who}, which is in the room {}", self.room))
    }

    fn preview(&self, letter: &Letter) -> Result<String, String> {
        let content = self.content(letter)?;
        let body = content.get("body").and_then(Value::as_str).unwrap_or_default();
        Ok(format!("{body}\n\n{SEND}\n{content:#}"))
    }
}

#[cfg(test)]
mod tests;
