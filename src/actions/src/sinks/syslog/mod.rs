//! Letters to a log server: one message for each case, in the form of RFC 5424.
//! It must never write a message of more than one line, or longer than is allowed.
//!
//! Its sockets go past the client's gate, which knows HTTP: syslog is none.

mod frame;
#[cfg(test)]
mod tests;
mod way;

use std::path::PathBuf;

use async_trait::async_trait;
use provost_model::Errand;
use serde::Deserialize;

use self::{frame::Frames, way::Way};
use super::{Checked, Delivery, Handed, Receipt, Sink, SinkSpec, settings::parsed};
use crate::{ActionError, Letter};

/// What this sink is.
pub static SPEC: SinkSpec = SinkSpec {
    name: "syslog",
    title: "Syslog",
    about: "one message for each case to this machine's log or a log server, in the form of RFC 5424",
    delivery: Delivery::Blind,
    because: "a log server answers nothing; by UDP not even that nobody listens",
    gathers: false,
    per_minute: 600,
    acts: &["syslog message"],
    reads: &["connection"],
    permissions: &[],
    checked: Checked::Description("the RFCs, with a reader of messages that was written apart"),
    example: EXAMPLE,
    documentation: &[
        "https://www.rfc-editor.org/rfc/rfc5424",
        "https://www.rfc-editor.org/rfc/rfc5425",
        "https://www.rfc-editor.org/rfc/rfc5426",
        "https://www.rfc-editor.org/rfc/rfc6587",
    ],
    build: &build,
};

const EXAMPLE: &str = r#"[[sinks]]
name = "log"
kind = "syslog"
address = "tls://logs.example.org"                   # or tcp://HOST:PORT, udp://HOST:PORT, unix:/dev/log
# ca_file = "/etc/provost/internal-ca.pem"           # with tls: authorities to trust instead of the system's
# facility = "authpriv"                              # "local0" to "local7", or another of RFC 5424; usually "audit"
# sd_id = "provost@32473"                            # 32473 is for examples: put your own enterprise number (IANA) here
# most = 2048                                        # octets of a message; every receiver takes 480, most take 2048
"#;

/// What stands for the data of a message. RFC 5612 keeps this enterprise number for examples; whoever has one of their own
/// sets it.
const SD_ID: &str = "provost@32473";
/// Octets of a message: what every receiver should take (RFC 5424, 6.1).
const MOST: usize = 2_048;
/// What every receiver must take, and what fits into a datagram.
const MOST_BETWEEN: (usize, usize) = (480, 65_000);
/// Facilities by their usual words, with their codes (RFC 5424, table 1).
const FACILITIES: [(&str, u8); 24] = [
    ("kern", 0),
    ("user", 1),
    ("mail", 2),
    ("daemon", 3),
    ("auth", 4),
    ("syslog", 5),
    ("lpr", 6),
    ("news", 7),
    ("uucp", 8),
    ("cron", 9),
    ("authpriv", 10),
    ("ftp", 11),
    ("ntp", 12),
    // "log audit": what somebody has to answer for.
    ("audit", 13),
    ("alert", 14),
    ("clock", 15),
    ("local0", 16),
    ("local1", 17),
    ("local2", 18),
    ("local3", 19),
    ("local4", 20),
    ("local5", 21),
    ("local6", 22),
    ("local7", 23),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    address: String,
    facility: Option<String>,
    sd_id: Option<String>,
    most: Option<usize>,
    ca_file: Option<PathBuf>,
}

struct Syslog {
    way: Way,
    frames: Frames,
}

fn build(handed: &Handed) -> Result<Box<dyn Sink>, String> {
    Ok(Box::new(read(handed)?))
}

fn read(handed: &Handed) -> Result<Syslog, String> {
    let settings: Settings = parsed(handed)?;
    let word = settings.facility.as_deref().unwrap_or("audit");
    let facility = FACILITIES.iter().find(|(name, _)| *name == word).map(|(_, code)| *code);
    let facility = facility.ok_or_else(|| {
        let words: Vec<&str> = FACILITIES.iter().map(|(name, _)| *name).collect();
        format!("facility: one of {}", words.join(", "))
    })?;
    let sd_id = settings.sd_id.unwrap_or_else(|| SD_ID.to_owned());
    if !is_sd_id(&sd_id) {
        return Err("sd_id: a name, @ and an enterprise number, of at most 32 signs".to_owned());
    }
    let most = settings.most.unwrap_or(MOST);
    let (least, utmost) = MOST_BETWEEN;
    if !(least..=utmost).contains(&most) {
        return Err(format!("most: from {least} to {utmost} octets"));
    }
    let frames = Frames::new((facility, most), sd_id, handed)?;
    Ok(Syslog { way: Way::new(&settings.address, settings.ca_file.as_deref())?, frames })
}

/// A name of structured data that is not one of IANA's (RFC 5424, 6.3.2): those have no `@`.
fn is_sd_id(text: &str) -> bool {
    let Some((name, number)) = text.split_once('@') else { return false };
    let plain = |it: u8| it.is_ascii_graphic() && !b"=]\"@".contains(&it);
    let counted = |it: u8| it.is_ascii_digit() || it == b'.';
    text.len() <= 32
        && !name.is_empty()
        && name.bytes().all(plain)
        && number.starts_with(|it: char| it.is_ascii_digit())
        && number.bytes().all(counted)
}

#[async_trait]
impl Sink for Syslog {
    fn delivery(&self) -> Delivery {
        Delivery::Blind
    }

    async fn deliver(&self, errand: &Errand, letter: &Letter) -> Result<Receipt, ActionError> {
        let frames = self.frames.of(letter).map_err(|said| ActionError::GiveUp { said })?;
        self.way.send(errand, &frames).await?;
        Ok(Receipt::default())
    }

    async fn look_up(&self, _: &Letter) -> Result<Option<Receipt>, ActionError> {
        Err(ActionError::GiveUp { said: "a log server answers nothing".to_owned() })
    }

    async fn check(&self) -> Result<String, ActionError> {
        self.way.check().await
    }

    fn preview(&self, letter: &Letter) -> Result<String, String> {
        let frames = self.frames.of(letter)?;
        let shown: Vec<String> = frames.iter().map(|it| it.replace(frame::BOM, "")).collect();
        Ok(shown.join("\n"))
    }
}
