//! Conversations with providers written down: one call a line, without secrets, to be played back in place of the network.
//! It must never hold a credential, a cookie, or a value that looks like a secret.

use std::{
    collections::{HashMap, VecDeque},
    io::{BufRead, Write},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use serde::{Deserialize, Serialize};

use crate::{
    Refused,
    scrub::{Kept, Scrubber},
};

/// The form in which calls are written.
const VERSION: u32 = 1;
/// Headers of answers that are written down, or what their names begin with.
const HEADERS: [&str; 14] = [
    "content-type",
    "date",
    "etag",
    "last-modified",
    "link",
    "location",
    "retry-after",
    "x-retry-after",
    "x-ratelimit-",
    "x-rate-limit-",
    "ratelimit",
    "anthropic-ratelimit-",
    "x-total",
    "x-next-page",
];

/// The first line.
#[derive(Serialize, Deserialize)]
struct Head {
    cassette: u32,
    /// Hexadecimal; what masks depend on, so that a question asked again is masked as it was.
    salt: String,
}

/// A call and its answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Line {
    read: String,
    path: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    query: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sent: Option<Kept>,
    status: u16,
    headers: Vec<(String, String)>,
    body: Kept,
}

/// Writes calls down as they are answered.
#[derive(Clone)]
pub struct Recorder(Arc<Recording>);

struct Recording {
    scrubber: Scrubber,
    to: Mutex<To>,
}

struct To {
    out: Box<dyn Write + Send>,
    lines: u64,
    failed: Option<String>,
}

/// Answers from a conversation that was written down.
#[derive(Clone)]
pub struct Cassette(Arc<Replay>);

struct Replay {
    scrubber: Scrubber,
    answers: Mutex<HashMap<Question, VecDeque<Line>>>,
}

/// What tells calls apart: the read, its path and query, and what was sent.
type Question = (String, String, String, Option<String>);

/// What records every way out of this process.
static PROCESS: OnceLock<Recorder> = OnceLock::new();

impl Recorder {
    /// Writes to that place, with masks that depend on the salt, which must be random. Writes the first line at once.
    pub fn new(to: impl Write + Send + 'static, salt: [u8; 32]) -> Result<Self, String> {
        let head = Head { cassette: VERSION, salt: salt.iter().map(|byte| format!("{byte:02x}")).collect() };
        let mut to = To { out: Box::new(to), lines: 0, failed: None };
        to.write(&head);
        match to.failed {
            Some(failed) => Err(failed),
            None => Ok(Self(Arc::new(Recording { scrubber: Scrubber::new(salt), to: Mutex::new(to) }))),
        }
    }

    /// Records every way out that this process takes from now on as its environment has it. Once, before any connector is
    /// built: what a source sends must not depend on whether somebody remembered to record it.
    pub fn of_this_process(self) -> Result<(), String> {
        PROCESS.set(self).map_err(|_| "this process is recorded already".to_owned())
    }

    pub(crate) fn of_process() -> Option<Self> {
        PROCESS.get().cloned()
    }

    /// Calls written so far, or why one could not be written.
    pub fn written(&self) -> Result<u64, String> {
        let to = self.0.to.lock().unwrap_or_else(PoisonError::into_inner);
        to.failed.clone().map_or(Ok(to.lines), Err)
    }

    pub(crate) fn note(&self, operation: &str, request: &reqwest::Request, answer: &Response<Bytes>) {
        let scrubber = &self.0.scrubber;
        let (path, query, sent) = asked(scrubber, request);
        let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
        let kept = answer.headers().iter().filter(|(name, _)| HEADERS.iter().any(|it| name.as_str().starts_with(it)));
        let kept = kept.filter_map(|(name, value)| Some((name.as_str().to_owned(), scrubber.addresses(&text(value)?))));
        let kind = kind(answer.headers());
        let line = Line {
            read: operation.to_owned(),
            path,
            query,
            sent,
            status: answer.status().as_u16(),
            headers: kept.collect(),
            body: scrubber.body(&kind, answer.body()),
        };
        let mut to = self.0.to.lock().unwrap_or_else(PoisonError::into_inner);
        to.write(&line);
        to.lines += 1;
    }
}

impl To {
    fn write(&mut self, line: &impl Serialize) {
        if self.failed.is_some() {
            return;
        }
        let written = serde_json::to_vec(line).map_err(std::io::Error::other).and_then(|mut line| {
            line.push(b'\n');
            self.out.write_all(&line)?;
            self.out.flush()
        });
        self.failed = written.err().map(|error| format!("the cassette cannot be written: {error}"));
    }
}

impl Cassette {
    /// Reads a cassette. Errors name the line.
    pub fn read(from: impl BufRead) -> Result<Self, String> {
        let mut lines = from.lines();
        let first = lines.next().ok_or("the cassette is empty")?.map_err(|error| error.to_string())?;
        let head: Head = serde_json::from_str(&first).map_err(|_| "line 1 is not the first line of a cassette")?;
        if head.cassette != VERSION {
            return Err(format!("the cassette has form {}, and only {VERSION} is known", head.cassette));
        }
        let salt = salt(&head.salt).ok_or("line 1 has no salt")?;
        let mut answers: HashMap<Question, VecDeque<Line>> = HashMap::new();
        for (at, line) in lines.enumerate() {
            let line = line.map_err(|error| error.to_string())?;
            let line: Line = serde_json::from_str(&line).map_err(|error| format!("line {}: {error}", at + 2))?;
            let question = (line.read.clone(), line.path.clone(), line.query.clone(), plain(line.sent.as_ref()));
            answers.entry(question).or_default().push_back(line);
        }
        Ok(Self(Arc::new(Replay { scrubber: Scrubber::new(salt), answers: Mutex::new(answers) })))
    }

    /// The answer that was written down. Asked again, a question gets its answers in order, and the last one for ever.
    pub(crate) fn answer(&self, operation: &str, request: &reqwest::Request) -> Result<Response<Bytes>, Refused> {
        let (path, query, sent) = asked(&self.0.scrubber, request);
        let question = (operation.to_owned(), path, query, plain(sent.as_ref()));
        let mut answers = self.0.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let unknown = || Refused::Unfit("the cassette holds no answer to it".to_owned());
        let kept = answers.get_mut(&question).ok_or_else(unknown)?;
        let next = if kept.len() > 1 { kept.pop_front() } else { kept.front().cloned() };
        played(&next.ok_or_else(unknown)?, request.headers())
    }
}

/// What was asked, without secrets.
fn asked(scrubber: &Scrubber, request: &reqwest::Request) -> (String, String, Option<Kept>) {
    let url = request.url();
    let body = request.body().and_then(reqwest::Body::as_bytes).filter(|body| !body.is_empty());
    let sent = body.map(|body| scrubber.body(&kind(request.headers()), body));
    (scrubber.text(url.path()), scrubber.query(url.query().unwrap_or_default()), sent)
}

fn plain(sent: Option<&Kept>) -> Option<String> {
    sent.map(|sent| match sent {
        Kept::Json(value) => value.to_string(),
        Kept::Text(text) => text.clone(),
    })
}

fn played(line: &Line, asked: &HeaderMap) -> Result<Response<Bytes>, Refused> {
    let mut answer = Response::new(Bytes::from(plain(Some(&line.body)).unwrap_or_default()));
    *answer.status_mut() = StatusCode::from_u16(line.status).map_err(|_| Refused::Broken)?;
    for (name, value) in &line.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Refused::Broken)?;
        answer.headers_mut().append(name, HeaderValue::from_str(value).map_err(|_| Refused::Broken)?);
    }
    // Whoever has the very answer is told so, as the provider would.
    let etag = answer.headers().get(header::ETAG);
    if answer.status() == StatusCode::OK && etag.is_some() && etag == asked.get(header::IF_NONE_MATCH) {
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
        *answer.body_mut() = Bytes::new();
    }
    Ok(answer)
}

fn kind(headers: &HeaderMap) -> String {
    headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or_default().to_owned()
}

fn salt(hex: &str) -> Option<[u8; 32]> {
    let mut salt = [0; 32];
    for (at, byte) in salt.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(salt)
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Recorder")
    }
}

impl std::fmt::Debug for Cassette {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cassette")
    }
}
