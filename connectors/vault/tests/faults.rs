//! A proxy before a real server that fails, cuts, slows and lies; nothing is told gone by any of it.
//! It must never change a request: only what is answered.

use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use provost_model::Why;
use serde_json::json;

use super::{
    openbao::{self, ROOT},
    run::{run, with_token},
    truth::seed,
};
use crate::Bookmarks;

/// What is done instead of an answer.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    /// This status and body.
    Answer(u16, &'static str),
    /// The real answer, of which only half arrives.
    Cut,
    /// The real answer, half of it, as if it were all.
    Truncated,
}

/// A request as it came.
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
}

type Decide = dyn Fn(&Request) -> Option<Fault> + Send + Sync;

/// A proxy on a free port.
pub(super) struct Proxy {
    port: u16,
    stop: Arc<AtomicBool>,
}

impl Proxy {
    /// One before that server, with its own idea of what to answer.
    pub(super) fn before(url: String, decide: impl Fn(&Request) -> Option<Fault> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let stop = Arc::new(AtomicBool::new(false));
        let (over, decide): (_, Arc<Decide>) = (Arc::clone(&stop), Arc::new(decide));
        let target = url.trim_start_matches("http://").to_owned();
        thread::spawn(move || {
            for stream in listener.incoming() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let (decide, target) = (Arc::clone(&decide), target.clone());
                if let Ok(stream) = stream {
                    thread::spawn(move || serve(stream, &target, &*decide));
                }
            }
        });
        Self { port, stop }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// Answers the requests of one connection, each over a connection of its own to the server.
fn serve(stream: TcpStream, target: &str, decide: &Decide) {
    let Ok(mut out) = stream.try_clone() else { return };
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while reader.read_line(&mut head).is_ok_and(|read| read > 2) {}
        let mut words = head.split(' ');
        let (Some(method), Some(path)) = (words.next(), words.next()) else { return };
        if path.is_empty() {
            return;
        }
        let request = Request { method: method.to_owned(), path: path.to_owned() };
        let length = head
            .lines()
            .filter_map(|line| {
                line.to_ascii_lowercase().strip_prefix("content-length:").map(|it| it.trim().parse().unwrap_or(0))
            })
            .next();
        let mut body = vec![0; length.unwrap_or(0)];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let fault = decide(&request);
        let (status, answer) = match fault {
            Some(Fault::Answer(status, body)) => (status, body.as_bytes().to_vec()),
            _ => match forwarded(target, &head, &body) {
                Some(answer) => answer,
                None => return,
            },
        };
        let sent = match fault {
            Some(Fault::Cut | Fault::Truncated) => &answer[..answer.len() / 2],
            _ => &answer[..],
        };
        let promised = if matches!(fault, Some(Fault::Cut)) { answer.len() } else { sent.len() };
        let head =
            format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {promised}\r\n\r\n");
        if out.write_all(head.as_bytes()).and_then(|()| out.write_all(sent)).is_err()
            || matches!(fault, Some(Fault::Cut))
        {
            return;
        }
    }
}

fn forwarded(target: &str, head: &str, body: &[u8]) -> Option<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect(target).ok()?;
    let kept = head.lines().skip(1).filter(|line| {
        let line = line.to_ascii_lowercase();
        !line.is_empty() && !["connection", "accept-encoding", "host"].iter().any(|it| line.starts_with(it))
    });
    let first = head.lines().next()?.replace("HTTP/1.1", "HTTP/1.0");
    let head: Vec<&str> = [first.as_str(), "Host: 127.0.0.1"].into_iter().chain(kept).collect();
    stream.write_all(format!("{}\r\n\r\n", head.join("\r\n")).as_bytes()).ok()?;
    stream.write_all(body).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let split = answer.windows(4).position(|it| it == b"\r\n\r\n")?;
    let status = std::str::from_utf8(&answer[..split]).ok()?.split(' ').nth(1)?.parse().ok()?;
    Some((status, answer[split + 4..].to_vec()))
}

/// Everything that can be asked of the estate, and every way in which an answer can fail.
const FAULTS: [(Fault, Why); 8] = [
    (Fault::Answer(403, "{\"errors\":[\"1 error occurred:\\n\\t* permission denied\\n\\n\"]}"), Why::Denied),
    (Fault::Answer(429, "{\"errors\":[\"rate limited\"]}"), Why::Throttled),
    (Fault::Answer(500, "{\"errors\":[\"internal error\"]}"), Why::Unavailable),
    (Fault::Answer(503, "<html>"), Why::Unavailable),
    (Fault::Answer(404, "<html>no such page</html>"), Why::Unavailable),
    (Fault::Answer(200, "{\"data\":"), Why::Malformed),
    (Fault::Cut, Why::Unavailable),
    (Fault::Truncated, Why::Malformed),
];

#[tokio::test(flavor = "multi_thread")]
async fn no_fault_at_any_read_makes_anything_gone() {
    let Some(server) = openbao::own() else { return };
    seed(&server);
    let eyes = with_token(&server.url(), ROOT, json!({}));
    let (_, whole) = run(&*eyes, &Bookmarks::default()).await;
    let scopes: BTreeSet<String> = whole.covers.keys().cloned().collect();
    // One listing or reading of each sort that the estate answers.
    let places = [
        "LIST /v1/auth/approle/role",
        "LIST /v1/auth/approle/role/app2/secret-id",
        "POST /v1/auth/approle/role/app2/secret-id-accessor/lookup",
        "GET /v1/auth/approle/role/app2",
        "GET /v1/secret/detailed-metadata?scan=true",
        "LIST /v1/team%2Fold/deep",
        "LIST /v1/sys/policies/detailed/acl",
        "LIST /v1/identity/entity/id",
        "LIST /v1/pki/certs/detailed",
        "LIST /v1/transit/keys",
        "LIST /v1/auth/token/accessors",
        "GET /v1/sys/auth",
        "GET /v1/sys/mounts",
    ];
    let sweep = Bookmarks { sweep_now: true, ..whole.next.clone() };
    for place in places {
        for (fault, why) in FAULTS {
            let proxy = Proxy::before(server.url(), move |request| {
                (format!("{} {}", request.method, request.path) == place).then_some(fault)
            });
            let (result, said) = run(&super::built(&proxy.url()), &sweep).await;
            let told = format!("{place} {fault:?}: {:#?}", said.troubles);
            assert!(result.is_ok(), "one place's failure does not end the run: {told}");
            // Where there is another way to the same, a refusal of one is nothing to speak of.
            let detoured = why == Why::Denied && place.contains("detailed");
            assert_eq!(said.troubles.iter().any(|it| it.why == why), !detoured, "it is said: {told}");
            assert_eq!(said.gone, 0, "{told}");
            let empty: Vec<_> = said.parts.iter().filter(|(_, seen)| **seen == 0).collect();
            assert!(empty.is_empty(), "no part is told empty that is not: {empty:?} {told}");
            for (scope, cover) in &said.covers {
                let kept = whole.entities.iter().filter(|(its, _)| its == scope).count();
                let seen = said.entities.iter().filter(|(its, _)| its == scope).count();
                assert!(*cover != "full" || seen >= kept, "{scope} is full with {seen} of {kept}: {told}");
                assert!(scopes.contains(scope) || *cover == "partial", "{scope} {cover}: {told}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_ends_in_mid_run_is_no_blind_spot() {
    let Some(server) = openbao::own() else { return };
    seed(&server);
    let url = server.url();
    let made = server.ask("POST", "auth/token/create", Some(&json!({"policies": ["boss", "root"], "ttl": "1h"}))).1;
    let token = made["auth"]["client_token"].as_str().unwrap().to_owned();
    let accessor = made["auth"]["accessor"].as_str().unwrap().to_owned();
    let (server, once) = (Arc::new(server), AtomicBool::new(false));
    let hand = Arc::clone(&server);
    let proxy = Proxy::before(url, move |request| {
        if request.path == "/v1/identity/entity/id" && !once.swap(true, Ordering::SeqCst) {
            hand.write("auth/token/revoke-accessor", &json!({ "accessor": accessor }));
            // Longer than an answer about the token is believed.
            thread::sleep(std::time::Duration::from_secs(6));
        }
        None
    });
    let eyes = with_token(&proxy.url(), &token, json!({}));
    let (_, said) = run(&*eyes, &Bookmarks::default()).await;
    assert_eq!(said.why("identity/entities"), Some(Why::Unauthenticated), "{:#?}", said.troubles);
    assert_eq!(said.covers["identity/entities"], "partial");
    assert!(said.troubles.iter().all(|it| it.why != Why::Denied), "{:#?}", said.troubles);

    let (result, said) = run(&*eyes, &Bookmarks::default()).await;
    assert_eq!(result.unwrap_err().why, Why::Unauthenticated, "{:#?}", said.troubles);
    assert!(said.covers.is_empty());
}
