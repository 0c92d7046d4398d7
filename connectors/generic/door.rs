//! A door on this machine between eyes and a provider: it counts what passes, and makes things go wrong on purpose.
//! It must never let a fault pass only once: a connector that tries again must meet it again.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::Throttle;

/// Where answers come from.
pub(crate) enum Upstream {
    /// A server on this machine.
    Server(SocketAddr),
    /// Recorded answers.
    Pages(Box<dyn Fn(&Asked) -> Answered + Send + Sync>),
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Asked {
    pub method: String,
    /// Path and query.
    pub target: String,
    pub body: Vec<u8>,
    /// Headers, names in small letters.
    pub headers: BTreeMap<String, String>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answered {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// What goes wrong.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// This status, with a body that says little.
    Status(u16),
    /// Too many calls, in the provider's own words.
    Throttled(Throttle),
    /// Half of the answer, and the connection is gone.
    Cut,
    /// No answer in the time a call has.
    Slow,
    /// Half of the body, as if it were whole.
    Truncated,
    /// Something that is no body of that provider.
    Invalid,
    /// The right form, and nothing in it that is expected.
    Empty,
}

impl Fault {
    /// All of them.
    pub(crate) fn all(throttle: &Throttle) -> Vec<Self> {
        let statuses = [401, 403, 404, 500].map(Self::Status);
        let others =
            [Self::Throttled(throttle.clone()), Self::Cut, Self::Slow, Self::Truncated, Self::Invalid, Self::Empty];
        statuses.into_iter().chain(others).collect()
    }
}

/// What passes, and what is to go wrong.
#[derive(Default)]
struct State {
    /// Requests in order, each once, whatever their number.
    seen: Vec<(String, u64)>,
    wrong: Option<Wrong>,
}

/// A page that goes wrong: by what is alike in all questions for it.
struct Wrong {
    page: String,
    alike: Alike,
    fault: Fault,
}

/// What is alike in all questions for a page.
pub(crate) type Alike = fn(&str) -> String;

/// A door. Closes with the runtime.
#[derive(Clone)]
pub(crate) struct Door {
    state: Arc<Mutex<State>>,
    /// Its address, as a base URL.
    pub url: String,
}

/// Stands between a request and its answer, such as to put right what a generated estate says wrongly.
pub(crate) trait Overlay: Send + Sync {
    /// The answer to a request that does not go on to the provider; or what goes on in its place.
    fn instead(&self, asked: &mut Asked) -> Option<Answered>;
    /// What becomes of an answer.
    fn after(&self, asked: &Asked, answered: Answered) -> Answered;
}

impl Door {
    /// Opens a door before a provider.
    pub(crate) async fn open(upstream: Arc<Upstream>, overlay: Option<Arc<dyn Overlay>>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let door = Self { state: Arc::default(), url };
        let shared = door.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (door, upstream, overlay) = (shared.clone(), upstream.clone(), overlay.clone());
                tokio::spawn(async move {
                    let _ = door.serve(stream, &upstream, overlay.as_ref()).await;
                });
            }
        });
        door
    }

    /// From now on, that request goes wrong, and every other that is like it.
    pub(crate) fn go_wrong(&self, page: &str, alike: Alike, fault: &Fault) {
        let wrong = Wrong { page: alike(page), alike, fault: fault.clone() };
        self.with(|state| state.wrong = Some(wrong));
    }

    /// The requests that passed, each once, in order, with their number.
    pub(crate) fn seen(&self) -> Vec<(String, u64)> {
        self.with(|state| state.seen.clone())
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn serve(
        &self,
        mut stream: TcpStream,
        upstream: &Upstream,
        overlay: Option<&Arc<dyn Overlay>>,
    ) -> std::io::Result<()> {
        let mut buffer = Vec::new();
        while let Some(asked) = Asked::read(&mut stream, &mut buffer).await? {
            let name = asked.name();
            let fault = self.with(|state| {
                match state.seen.iter_mut().find(|(seen, _)| *seen == name) {
                    Some((_, times)) => *times += 1,
                    None => state.seen.push((name.clone(), 1)),
                }
                state.wrong.as_ref().filter(|wrong| (wrong.alike)(&name) == wrong.page).map(|wrong| wrong.fault.clone())
            });
            let mut sent = asked.clone();
            let answered = match overlay.and_then(|overlay| overlay.instead(&mut sent)) {
                Some(answered) => answered,
                None => upstream.answer(&sent).await?,
            };
            let answered = match overlay {
                Some(overlay) => overlay.after(&asked, answered),
                None => answered,
            };
            let (answered, claimed) = match fault {
                None => (answered, 0),
                Some(Fault::Slow) => {
                    tokio::time::sleep(Duration::from_secs(3600)).await;
                    return Ok(());
                }
                Some(fault) => spoilt(answered, &fault),
            };
            stream.write_all(&answered.bytes(claimed)).await?;
            if claimed > 0 {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// The answer with that fault in it, and how many bytes more it claims to have.
fn spoilt(mut answered: Answered, fault: &Fault) -> (Answered, usize) {
    match fault {
        Fault::Status(status) => {
            answered.status = *status;
            answered.body = b"{\"message\":\"not this time\"}".to_vec();
            answered.headers.clear();
        }
        Fault::Throttled(throttle) => {
            answered.status = throttle.status;
            let headers = throttle.headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            answered.headers = headers.collect();
            answered.body = throttle.body.as_bytes().to_vec();
        }
        Fault::Cut => {
            let left = answered.body.len() / 2;
            let missing = answered.body.len() - left + 1;
            answered.body.truncate(left);
            return (answered, missing);
        }
        Fault::Truncated => answered.body.truncate(answered.body.len() / 2),
        Fault::Invalid => answered.body = b"<html><body>maintenance</body></html>".to_vec(),
        Fault::Empty => answered.body = b"{}".to_vec(),
        Fault::Slow => {}
    }
    (answered, 0)
}

impl Upstream {
    pub(crate) async fn answer(&self, asked: &Asked) -> std::io::Result<Answered> {
        match self {
            Upstream::Pages(pages) => Ok(pages(asked)),
            Upstream::Server(address) => {
                let mut stream = TcpStream::connect(address).await?;
                stream.write_all(&asked.bytes()).await?;
                let mut all = Vec::new();
                // Not every server closes the connection when it is asked to.
                while !head_of(&all).is_some_and(|((_, headers), length, start)| {
                    headers.contains_key("content-length") && all.len() >= start + length
                }) && stream.read_buf(&mut all).await? > 0
                {}
                Answered::parse(&all).ok_or_else(|| std::io::Error::other("the server's answer cannot be read"))
            }
        }
    }
}

impl Asked {
    /// What tells one page from another: method, path, query and form.
    pub(crate) fn name(&self) -> String {
        let body = String::from_utf8_lossy(&self.body);
        if body.is_empty() {
            format!("{} {}", self.method, self.target)
        } else {
            format!("{} {} {body}", self.method, self.target)
        }
    }

    async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> std::io::Result<Option<Self>> {
        loop {
            if let Some((head, length, start)) = head_of(buffer)
                && buffer.len() >= start + length
            {
                let body = buffer[start..start + length].to_vec();
                buffer.drain(..start + length);
                let mut words = head.0.split(' ');
                let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
                return Ok(Some(Self { method: method.to_owned(), target: target.to_owned(), body, headers: head.1 }));
            }
            if stream.read_buf(buffer).await? == 0 {
                return Ok(None);
            }
        }
    }

    fn bytes(&self) -> Vec<u8> {
        // The version before bodies came in chunks.
        let mut head = format!("{} {} HTTP/1.0\r\n", self.method, self.target);
        for (name, value) in &self.headers {
            if !["connection", "accept-encoding", "content-length"].contains(&name.as_str()) {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
        }
        head.push_str(&format!("connection: close\r\ncontent-length: {}\r\n\r\n", self.body.len()));
        [head.as_bytes(), &self.body].concat()
    }
}

impl Answered {
    /// An answer of JSON.
    pub(crate) fn json(status: u16, body: &serde_json::Value) -> Self {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Self { status, headers, body: body.to_string().into_bytes() }
    }

    fn parse(all: &[u8]) -> Option<Self> {
        let ((first, headers), length, start) = head_of(all)?;
        let status = first.split(' ').nth(1)?.parse().ok()?;
        let body = all.get(start..)?;
        let body = if headers.contains_key("content-length") { body.get(..length)? } else { body };
        let kept = headers.into_iter().filter(|(name, _)| {
            !["content-length", "connection", "transfer-encoding", "date", "server"].contains(&name.as_str())
        });
        Some(Self { status, headers: kept.collect(), body: body.to_vec() })
    }

    fn bytes(&self, missing: usize) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} X\r\n", self.status);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("content-length: {}\r\n\r\n", self.body.len() + missing));
        [head.as_bytes(), &self.body].concat()
    }
}

/// The first line, the headers, the length of the body, and where it begins.
type Head = ((String, BTreeMap<String, String>), usize, usize);

fn head_of(bytes: &[u8]) -> Option<Head> {
    let ends = bytes.windows(4).position(|it| it == b"\r\n\r\n")?;
    let text = String::from_utf8_lossy(&bytes[..ends]).into_owned();
    let mut lines = text.lines();
    let first = lines.next()?.to_owned();
    let pairs = lines.filter_map(|line| line.split_once(':'));
    let headers: BTreeMap<String, String> =
        pairs.map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned())).collect();
    let length = headers.get("content-length").and_then(|it| it.parse().ok()).unwrap_or(0);
    Some(((first, headers), length, ends + 4))
}
