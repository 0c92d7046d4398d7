//! Letters to whatever takes JSON: one POST each, signed as Standard Webhooks asks.
//! It must never sign other bytes than those it sends, nor give two letters one id.
//!
//! # What is sent
//!
//! This is a public interface: names stay, and readers skip what they do not know.
//!
//! | header | value |
//! |---|---|
//! | `webhook-id` | the letter's id, a UUID: the same in every try, so that what comes twice can be dropped |
//! | `webhook-timestamp` | when this try was made, in seconds since 1970 |
//! | `webhook-signature` | for each secret `v1,` and the Base64 of HMAC-SHA-256 over `id.timestamp.body`, with blanks between |
//!
//! The body is `{"type": …, "timestamp": …, "data": {"version": 1, …}}`, where
//!
//! - `type` is `provost.case.opened`, `.worse`, `.changed`, `.overdue`, `.settled` or `.unproven` for a letter about one case
//!   and nothing else, and `provost.letter` for one about several cases, or about what a first complete run found;
//! - `timestamp` is when the letter was written, in RFC 3339;
//! - `data` is the letter: `id`, `route`, `cases`, `counts` of all cases by `event` and `severity`, `baselines` (what the first
//!   complete run of a `source` found, in `counts` by `severity`, and the `work` that is to be done about it), `uncertain` (ids
//!   of earlier letters that may be missing), `all` (where everything is).
//!   A case has `event`, `id`, `kind`, `name`, `external_id`, `sources`, `severity`, `action`, `owner`, `opened_at`,
//!   `deadline`, `due`, `overdue`, `stage`, `faults` and `link`; a fault has `rule`, `title`, `because`, `why` and `remedy`.
//!   `version` grows when one of them goes or means something else.
//!
//! Texts are as they were found: whoever shows them has to keep them from being taken for mark-up.

use std::path::PathBuf;

use async_trait::async_trait;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use provost_client::{Body, authority::SecretOf};
use provost_model::{Errand, Severity, Time};
use secrecy::{ExposeSecret, SecretBox, SecretString};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::{
    Checked, Delivery, Handed, Receipt, Sink, SinkSpec,
    address::{self, Address, Ways},
    secret::asked,
    settings::{parsed, reference},
};
use crate::{ActionError, Baseline, Case, Count, Letter};

/// What this sink is.
pub static SPEC: SinkSpec = SinkSpec {
    name: "webhook",
    title: "Webhook",
    about: "signed JSON to an address of your own, as Standard Webhooks describes it",
    delivery: Delivery::DedupKey,
    because: "every try has the same webhook-id; the receiver drops what it has, as Standard Webhooks asks of it; with \
              deduplicates = false none is repeated",
    gathers: false,
    per_minute: 120,
    acts: &[address::POST, address::POST_ROOT],
    reads: &[address::GET, address::GET_ROOT],
    permissions: &[],
    checked: Checked::Description("the specification, with signatures made by other programs"),
    example: EXAMPLE,
    documentation: &["https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md"],
    build: &build,
};

const EXAMPLE: &str = r#"[[sinks]]
name = "automation"
kind = "webhook"
url = "https://hooks.example.org/provost"            # or a reference, where whoever knows it may post
secret = "file:/etc/provost/webhook-secret"          # a reference to whsec_BASE64, of 24 bytes or more
# secrets = ["env:NEW_SECRET", "env:OLD_SECRET"]     # instead of one, while they are changed: each signs
# deduplicates = false                               # where the receiver does not drop what it has by webhook-id
# ca_file = "/etc/provost/internal-ca.pem"           # authorities to trust instead of the system's
"#;

/// What stands before a secret in Base64.
const PREFIX: &str = "whsec_";
/// Shortest key that is taken, by the specification.
const KEY_MIN: usize = 24;
/// Most secrets that sign at a time.
const SECRETS_MAX: usize = 8;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    url: String,
    secret: Option<String>,
    secrets: Option<Vec<String>>,
    deduplicates: Option<bool>,
    ca_file: Option<PathBuf>,
}

struct Webhook {
    place: Place,
    ways: Ways,
    secrets: Vec<SecretOf>,
    deduplicates: bool,
    handed: Handed,
}

enum Place {
    Open(String),
    Secret(SecretOf),
}

/// The body.
#[derive(Serialize)]
struct Event<'a> {
    r#type: String,
    timestamp: Time,
    data: Data<'a>,
}

/// A letter as receivers know it, whatever becomes of ours.
#[derive(Serialize)]
struct Data<'a> {
    version: u32,
    id: &'a str,
    route: &'a str,
    cases: &'a [Case],
    counts: &'a [Count],
    baselines: Vec<Found<'a>>,
    uncertain: &'a [String],
    all: &'a str,
}

#[derive(Serialize)]
struct Found<'a> {
    source: &'a str,
    counts: Vec<FoundCount>,
    work: &'a str,
}

#[derive(Serialize)]
struct FoundCount {
    severity: Severity,
    cases: u64,
}

fn build(handed: &Handed) -> Result<Box<dyn Sink>, String> {
    let settings: Settings = parsed(handed)?;
    let ways = Ways::new(&SPEC, address::way(settings.ca_file.as_deref())?, address::ANSWER_MAX);
    let place = if ["https://", "http://"].iter().any(|it| settings.url.starts_with(it)) {
        Address::new(&settings.url, &ways).map_err(|said| format!("url: {said}"))?;
        Place::Open(settings.url)
    } else {
        Place::Secret(reference(handed, "url", &settings.url)?)
    };
    let named = match (settings.secret, settings.secrets) {
        (Some(secret), None) => vec![("secret", secret)],
        (None, Some(secrets)) => secrets.into_iter().map(|it| ("secrets", it)).collect(),
        _ => return Err("secret: one reference, or several in secrets, and not both".to_owned()),
    };
    if named.is_empty() || named.len() > SECRETS_MAX {
        return Err(format!("secrets: from 1 to {SECRETS_MAX} references"));
    }
    let secrets = named.iter().map(|(setting, text)| reference(handed, setting, text)).collect::<Result<_, _>>()?;
    let deduplicates = settings.deduplicates.unwrap_or(true);
    Ok(Box::new(Webhook { place, ways, secrets, deduplicates, handed: handed.clone() }))
}

impl Webhook {
    async fn address(&self) -> Result<Address, ActionError> {
        let address = match &self.place {
            Place::Open(url) => Address::new(url, &self.ways),
            Place::Secret(secret) => Address::new(asked(secret).await?.expose_secret(), &self.ways),
        };
        address.map_err(|said| ActionError::Retry { after: None, said: format!("url: {said}") })
    }

    /// The signatures of all secrets, in their order.
    async fn signature(&self, signed: &[u8]) -> Result<String, ActionError> {
        let mut signatures = Vec::new();
        for secret in &self.secrets {
            let unfit = |said| ActionError::Retry { after: None, said: format!("secret: {said}") };
            let key = key_of(&asked(secret).await?).map_err(unfit)?;
            signatures.push(format!("v1,{}", signature(key.expose_secret(), signed).map_err(unfit)?));
        }
        Ok(signatures.join(" "))
    }
}

#[async_trait]
impl Sink for Webhook {
    fn delivery(&self) -> Delivery {
        if self.deduplicates { Delivery::DedupKey } else { Delivery::Blind }
    }

    async fn deliver(&self, errand: &Errand, letter: &Letter) -> Result<Receipt, ActionError> {
        let body = body(letter).map_err(|said| ActionError::GiveUp { said })?;
        let address = self.address().await?;
        let timestamp = self.handed.clock.now().as_seconds();
        let signed = [format!("{}.{timestamp}.", letter.id).as_bytes(), &body].concat();
        let headers = vec![
            ("webhook-id", letter.id.clone()),
            ("webhook-timestamp", timestamp.to_string()),
            ("webhook-signature", self.signature(&signed).await?),
        ];
        let body = Body::Raw { kind: "application/json", bytes: body.into() };
        let posted = address.post(errand, (body, headers)).await;
        posted.map(|_| Receipt::default()).map_err(|undone| match undone.failure.code.as_str() {
            "410" => ActionError::GiveUp {
                said: "the receiver is gone for good (HTTP 410): remove this sink from the configuration".to_owned(),
            },
            _ => address.veiled(undone.into()),
        })
    }

    async fn look_up(&self, _: &Letter) -> Result<Option<Receipt>, ActionError> {
        Err(ActionError::GiveUp { said: "a webhook shows nothing of what it took".to_owned() })
    }

    async fn check(&self) -> Result<String, ActionError> {
        self.signature(b"").await?;
        self.address().await?.reached().await
    }

    fn preview(&self, letter: &Letter) -> Result<String, String> {
        let event = event(letter);
        let shown = serde_json::to_string_pretty(&event).map_err(|error| error.to_string())?;
        // What JSON leaves as it is may still turn a line around on a terminal.
        let shown: Vec<_> = shown.lines().map(|line| provost_model::door::terminal(line).into_owned()).collect();
        Ok(format!("webhook-id: {}\n\n{}", letter.id, shown.join("\n")))
    }
}

fn event(letter: &Letter) -> Event<'_> {
    let alone = letter.total() == 1 && letter.baselines.is_empty() && letter.uncertain.is_empty();
    let r#type = match letter.cases.as_slice() {
        [case] if alone => format!("provost.case.{}", case.event.word()),
        _ => "provost.letter".to_owned(),
    };
    let data = Data {
        version: 1,
        id: &letter.id,
        route: &letter.route,
        cases: &letter.cases,
        counts: &letter.counts,
        baselines: letter.baselines.iter().map(found).collect(),
        uncertain: &letter.uncertain,
        all: &letter.all,
    };
    Event { r#type, timestamp: letter.written_at, data }
}

fn found(baseline: &Baseline) -> Found<'_> {
    let counts = baseline.counts.iter().map(|(severity, cases)| FoundCount { severity: *severity, cases: *cases });
    Found { source: &baseline.source, counts: counts.collect(), work: &baseline.work }
}

fn body(letter: &Letter) -> Result<Vec<u8>, String> {
    serde_json::to_vec(&event(letter)).map_err(|error| error.to_string())
}

/// The key that a secret in text stands for.
fn key_of(secret: &SecretString) -> Result<SecretBox<Vec<u8>>, &'static str> {
    let text = secret.expose_secret().trim().strip_prefix(PREFIX).ok_or("it does not begin with whsec_")?;
    let key = BASE64_STANDARD.decode(text).map_err(|_| "it is not whsec_ and Base64")?;
    let key = SecretBox::new(Box::new(key));
    if key.expose_secret().len() < KEY_MIN { Err("it is shorter than 24 bytes") } else { Ok(key) }
}

fn signature(key: &[u8], signed: &[u8]) -> Result<String, &'static str> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|_| "it cannot be a key")?;
    mac.update(signed);
    Ok(BASE64_STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests;
