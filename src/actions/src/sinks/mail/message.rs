//! A letter as a mail: its headers, its text, and whom the envelope names.
//! It must never let a text from outside into a header, nor take the time from anywhere but the letter.

use std::time::{Duration, UNIX_EPOCH};

use lettre::{
    Address, Message,
    address::Envelope,
    message::{
        Mailbox, Mailboxes,
        header::{ContentType, Header, HeaderName, HeaderValue, MIME_VERSION_1_0, To},
    },
};
use provost_model::{Time, door};

use crate::Letter;

/// The last second that a date in a mail can be written of: the end of the year 9999.
const LAST: i64 = 253_402_300_799;

/// What is sent.
pub(super) struct Composed {
    /// Its Message-ID: the same in every try.
    pub(super) id: String,
    /// Who sends it.
    pub(super) from: Address,
    /// Whom it is for.
    pub(super) to: Vec<Address>,
    /// The text as a person reads it.
    text: String,
    /// The whole as it is sent.
    pub(super) bytes: Vec<u8>,
}

/// Says that no person wrote it, so that no machine answers (RFC 3834, 5).
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

impl Composed {
    /// A letter from somebody to these, with that text.
    pub(super) fn new(letter: &Letter, (from, to): (&Address, Vec<Address>), text: String) -> Result<Self, String> {
        let unfit = |error: lettre::error::Error| format!("the letter makes no mail: {error}");
        let id = format!("<{}@{}>", letter.id, from.domain());
        let mailbox = |address: &Address| Mailbox::new(None, address.clone());
        let subject = format!("[provost] {}", letter.title());
        let mut builder = Message::builder()
            .from(mailbox(from))
            .header(To::from(to.iter().map(mailbox).collect::<Mailboxes>()))
            .subject(door::terminal(&subject))
            .date(UNIX_EPOCH + Duration::from_secs(seconds(letter.written_at)))
            .message_id(Some(id.clone()))
            .header(AutoSubmitted)
            .header(MIME_VERSION_1_0)
            .header(ContentType::TEXT_PLAIN)
            .envelope(Envelope::new(Some(from.clone()), to.clone()).map_err(unfit)?);
        if let Some(first) = letter.thread.as_deref().filter(|it| is_id(it)) {
            builder = builder.in_reply_to(first.to_owned()).references(first.to_owned());
        }
        let message = builder.body(text.clone()).map_err(unfit)?;
        Ok(Self { id, from: from.clone(), to, text, bytes: message.formatted() })
    }

    /// Its headers as they are sent, and its text as it is read.
    pub(super) fn shown(&self) -> String {
        let sent = String::from_utf8_lossy(&self.bytes);
        let head = sent.split("\r\n\r\n").next().unwrap_or_default().replace("\r\n", "\n");
        format!("{head}\n\n{}", self.text)
    }
}

/// An address, if it is one that can stand in a command and in a header as it is: no quotes, no comments, no names.
pub(super) fn address(text: &str) -> Option<Address> {
    let plain = |it: u8| it.is_ascii_alphanumeric() || b".!#$%&'*+-/=?^_`{|}~@".contains(&it);
    let text = text.trim();
    if text.len() > 254 || !text.bytes().all(plain) { None } else { text.parse().ok() }
}

/// Whether a text is a Message-ID.
fn is_id(text: &str) -> bool {
    let inner = text.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).unwrap_or_default();
    let plain = |it: u8| it.is_ascii_graphic() && !b"<>()[]\\,;:\"".contains(&it);
    inner.len() <= 250 && inner.split('@').count() == 2 && inner.bytes().all(plain)
}

fn seconds(time: Time) -> u64 {
    u64::try_from(time.as_seconds().clamp(0, LAST)).unwrap_or_default()
}
