//! A counterpart on loopback: speaks HTTP as GitHub does, counts what is asked, and refuses what it would refuse.
//! It must never answer what it was not asked exactly.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::super::documents;
use super::{
    app,
    estate::{Estate, Rows},
};

/// A request as it came.
pub struct Request {
    pub method: String,
    /// Path and query as they came.
    pub target: String,
    pub path: String,
    pub query: BTreeMap<String, String>,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

/// What is sent back.
pub struct Response {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
}

/// What goes wrong with a read.
#[derive(Clone, Debug)]
pub enum Fault {
    /// That status, with a body such as GitHub's.
    Status(u16),
    /// A status only from that page on.
    FromPage(u32, u16),
    /// That body instead of the right one.
    Body(&'static str),
    /// The connection ends in the middle of the answer.
    Cut,
}

/// What the counterpart knows and saw.
#[derive(Default)]
pub struct State {
    pub estate: Estate,
    /// Calls by operation, as templates.
    pub calls: BTreeMap<String, u64>,
    /// Whatever GitHub would have refused.
    pub violations: Vec<String>,
    /// Faults by template.
    pub faults: BTreeMap<String, Fault>,
    /// Fields of GraphQL that may not be seen.
    pub hidden: BTreeSet<String>,
    /// Documents and variables that were asked, with what was answered.
    pub asked: Vec<Value>,
    /// Tokens of installations made so far.
    pub tokens: u64,
    /// Answers that said that nothing changed.
    pub unchanged: u64,
    /// The permissions asked for with the last token.
    pub wanted: Value,
}

/// The counterpart.
pub struct Server {
    pub url: String,
    state: Arc<Mutex<State>>,
}

impl Server {
    pub async fn start(estate: Estate) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State { estate, ..State::default() }));
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { url, state }
    }

    /// Changes or looks at what it knows.
    pub fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap())
    }

    /// Calls since this was last asked.
    pub fn drain(&self) -> BTreeMap<String, u64> {
        self.with(|state| std::mem::take(&mut state.calls))
    }

    pub fn violations(&self) -> Vec<String> {
        self.with(|state| state.violations.clone())
    }
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut bytes = Vec::new();
    while let Some(request) = receive(&mut stream, &mut bytes).await {
        let (response, cut) = {
            let mut state = state.lock().unwrap();
            state.answer(&request)
        };
        let mut text = format!("HTTP/1.1 {} X\r\ncontent-length: {}\r\n", response.status, response.body.len());
        for (name, value) in &response.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        text.push_str(&response.body);
        let end = if cut { text.len() - response.body.len() / 2 - 1 } else { text.len() };
        if stream.write_all(&text.as_bytes()[..end]).await.is_err() || cut {
            return;
        }
    }
}

pub async fn receive(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<Request> {
    let head = loop {
        if let Some(at) = bytes.windows(4).position(|it| it == b"\r\n\r\n") {
            break at;
        }
        let mut chunk = [0; 8192];
        let read = stream.read(&mut chunk).await.ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&chunk[..read]);
    };
    let text = String::from_utf8(bytes[..head].to_vec()).ok()?;
    let mut lines = text.split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length: usize = headers.get("content-length").and_then(|it| it.parse().ok()).unwrap_or(0);
    while bytes.len() < head + 4 + length {
        let mut chunk = [0; 8192];
        let read = stream.read(&mut chunk).await.ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&chunk[..read]);
    }
    let body = bytes[head + 4..head + 4 + length].to_vec();
    bytes.drain(..head + 4 + length);
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let query = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    Some(Request { method, path: path.to_owned(), query, headers, body, target })
}

impl Response {
    fn new(status: u16, body: &Value) -> Self {
        Self { status, headers: vec![("content-type", "application/json".to_owned())], body: body.to_string() }
    }

    fn error(status: u16) -> Self {
        let message = match status {
            403 => "Resource not accessible by integration",
            404 => "Not Found",
            401 => "Bad credentials",
            _ => "Server Error",
        };
        Self::new(status, &json!({"message": message, "documentation_url": "https://docs.github.com/rest"}))
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl State {
    fn answer(&mut self, request: &Request) -> (Response, bool) {
        let template = self.estate.template(&request.method, &request.path);
        let Some(template) = template else {
            self.violations.push(format!("{} {} is no read of GitHub", request.method, request.path));
            return (Response::error(404), false);
        };
        *self.calls.entry(template.clone()).or_default() += 1;
        for header in ["user-agent", "x-github-api-version", "accept", "authorization"] {
            if !request.headers.contains_key(header) {
                self.violations.push(format!("{template} without {header}"));
            }
        }
        let response = self.right(&template, request);
        let page: u32 = request.query.get("page").and_then(|it| it.parse().ok()).unwrap_or(1);
        match self.faults.get(&template) {
            Some(Fault::Status(status)) => (Response::error(*status), false),
            Some(Fault::FromPage(from, status)) if page >= *from => (Response::error(*status), false),
            Some(Fault::Body(body)) => {
                (Response { body: (*body).to_owned(), ..Response::new(200, &Value::Null) }, false)
            }
            Some(Fault::Cut) => (response, true),
            _ => (response, false),
        }
    }

    fn right(&mut self, template: &str, request: &Request) -> Response {
        let signature = request.headers.get("authorization").cloned().unwrap_or_default();
        if template.contains(" /app/") {
            return self.as_app(template, request, &signature);
        }
        let made = signature.strip_prefix("Bearer ghs_").and_then(|number| number.parse::<u64>().ok());
        if made.is_none_or(|number| !(1..=self.tokens).contains(&number)) && signature != "Bearer test-token" {
            return Response::error(401);
        }
        if template == "POST /graphql" {
            return self.graphql(request);
        }
        if template == "GET /orgs/{org}" {
            return Response::new(200, &json!({"id": self.estate.id, "login": self.estate.login}))
                .with("x-oauth-scopes", "read:org, repo, admin:org")
                .with("github-authentication-token-expiration", "2026-12-31 08:00:00 UTC");
        }
        let Some(rows) = self.estate.rows(template, request) else { return Response::error(404) };
        for name in request.query.keys() {
            if !rows.query.contains(&name.as_str()) {
                self.violations.push(format!("{template} does not know {name}"));
            }
        }
        let response = page(&rows, request);
        self.unchanged += u64::from(response.status == 304);
        response
    }

    fn as_app(&mut self, template: &str, request: &Request, signature: &str) -> Response {
        if !app::is_signed(signature) {
            return Response::error(401);
        }
        if template.starts_with("GET") {
            return Response::new(200, &self.estate.installed());
        }
        self.tokens += 1;
        self.wanted = serde_json::from_slice(&request.body).unwrap();
        Response::new(201, &json!({"token": format!("ghs_{}", self.tokens), "expires_at": "2026-11-29T02:00:00Z"}))
    }

    fn graphql(&mut self, request: &Request) -> Response {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let document = body["query"].as_str().unwrap_or_default();
        let Some((name, _)) = documents::ALL.iter().find(|(_, text)| *text == document) else {
            self.violations.push("a document that is none of ours".to_owned());
            return Response::error(400);
        };
        *self.calls.entry(format!("({})", name.trim_start_matches("graphql:"))).or_default() += 1;
        let first = body["variables"]["first"].as_u64().unwrap_or_default();
        match self.faults.get(*name) {
            Some(Fault::Status(status)) => return Response::error(*status),
            Some(Fault::Body(body)) => {
                return Response { body: (*body).to_owned(), ..Response::new(200, &Value::Null) };
            }
            // GitHub's own time for a question is over with large pages.
            Some(Fault::FromPage(most, status)) if first > u64::from(*most) => return Response::error(*status),
            _ => {}
        }
        let flags = [
            ("keys", "deployKeys"),
            ("environments", "environments"),
            ("emails", "organizationVerifiedDomainEmails"),
            ("people", "collaborators"),
            ("files", "inRoot"),
        ];
        let shown = |flag: &str| body["variables"][flag] == true;
        let hidden = flags.iter().find(|(flag, field)| shown(flag) && self.hidden.contains(*field));
        if let Some((_, field)) = hidden {
            let path = match *name {
                "graphql:members" => json!(["organization", "membersWithRole", "edges", 0, "node", field]),
                "graphql:owners" => json!(["nodes", 0, field]),
                _ => json!(["organization", "repositories", "nodes", 0, field]),
            };
            let errors = json!([{"type": "FORBIDDEN", "path": path,
                "message": "Resource not accessible by integration"}]);
            return Response::new(200, &json!({"data": {"organization": null}, "errors": errors}));
        }
        let data = self.estate.graph(name, &body["variables"]);
        // The first of each sort is enough to hold against the schema.
        if !self.asked.iter().any(|it| it["name"] == *name) {
            self.asked.push(json!({"name": name, "query": document, "variables": body["variables"], "data": data}));
        }
        Response::new(200, &json!({ "data": data }))
    }
}

/// One page of rows, with a link to the next and a tag.
fn page(rows: &Rows, request: &Request) -> Response {
    let number = |name: &str, usual: usize| request.query.get(name).and_then(|it| it.parse().ok()).unwrap_or(usual);
    let (size, page): (usize, usize) = (number("per_page", 30).min(rows.most), number("page", 1));
    let from = size * (page - 1);
    let shown: Vec<Value> = rows.rows.iter().skip(from).take(size).cloned().collect();
    let body = match rows.wrapper {
        "" => json!(shown),
        name => json!({"total_count": rows.rows.len(), name: shown}),
    };
    let tag = format!("W/\"{}\"", hex::encode(Sha256::digest(body.to_string())));
    if request.headers.get("if-none-match") == Some(&tag) {
        return Response { status: 304, headers: vec![("etag", tag)], body: String::new() };
    }
    let mut response = Response::new(200, &body).with("etag", tag);
    if from + size < rows.rows.len() {
        let mut query = request.query.clone();
        query.insert("page".to_owned(), (page + 1).to_string());
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        let host = &request.headers["host"];
        response = response.with("link", format!("<http://{host}{}?{query}>; rel=\"next\"", request.path));
    }
    response
}
