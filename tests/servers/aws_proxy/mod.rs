//! Amazon for tests: moto, which checks signatures, behind a proxy that knows what moto does not, on ports of this machine.
//! It must never listen beyond this machine, nor be left running: whoever drops it ends it, by its id.
//!
//! Moto lets keys work that were switched off, and tells of every use at once. The proxy refuses keys that are off or gone,
//! is late with last uses as IAM is, and can lose calls: before they are passed on, or after.

#![allow(dead_code, reason = "several programs use it, each a part of it")]

pub mod wire;

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, SystemTime},
};

use self::wire::{Request, said};

/// Names the Python that has moto: set by `cargo xtask test`.
pub const PYTHON: &str = "PROVOST_TEST_PYTHON";
/// The one account.
pub const ACCOUNT: &str = "123456789012";

/// The policy of a user who may do nothing that matters.
pub const HARMLESS: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:GetCallerIdentity","Resource":"*"}]}"#;

/// Serves moto on a free port, says which, and ends when nobody holds the other end any more.
const STARTER: &str = r#"
import logging, os, sys, threading
os.environ["INITIAL_NO_AUTH_ACTION_COUNT"] = "0"
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server
logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
app = DomainDispatcherApplication(create_backend_app)
server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=MotoRequestHandler)
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
print(server.server_port, flush=True)
server.serve_forever()
"#;

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It is not passed on, and the connection is closed.
    CutBefore,
    /// It is passed on, and the connection is closed instead of an answer.
    CutAfter,
    /// It is not passed on, and nothing is answered for as long as the caller waits.
    HangBefore,
    /// It is passed on, and nothing is answered for as long as the caller waits.
    HangAfter,
    /// It is not passed on, and refused with that status and code.
    Refuse(u16, &'static str),
}

/// A call that came to the proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// What it does, such as `CreateAccessKey`.
    pub action: String,
    /// The key that signed it.
    pub key: String,
    /// The status that was answered, or would have been; none where it was not passed on.
    pub status: Option<u16>,
}

#[derive(Default)]
struct State {
    /// Keys that are switched off.
    off: BTreeSet<String>,
    /// Keys that are gone.
    gone: BTreeSet<String>,
    uses: BTreeMap<String, Vec<SystemTime>>,
    late: Duration,
    /// How far its clock is before that of this machine.
    ahead: Duration,
    /// What is to befall calls of that action, the next first.
    troubles: Vec<(String, Trouble)>,
    calls: Vec<Call>,
    /// Calls that hang now.
    hanging: usize,
    over: bool,
}

/// A running Amazon.
pub struct Aws {
    /// Where the proxy is: the endpoint of every service.
    pub origin: String,
    child: Child,
    moto: u16,
    state: Arc<Mutex<State>>,
    root: Mutex<()>,
}

/// An Amazon of the caller's own; `None`, said loudly, where no Python has moto.
pub fn own() -> Option<Aws> {
    let python = env::var(PYTHON).unwrap_or_else(|_| "python3".to_owned());
    let has = Command::new(&python).args(["-c", "import moto.moto_server"]).stderr(Stdio::null()).status();
    if !has.is_ok_and(|it| it.success()) {
        let _ = writeln!(io::stderr(), "SKIPPED: no moto; `cargo xtask test` installs it and sets {PYTHON}");
        return None;
    }
    Some(Aws::start(&python))
}

impl Aws {
    fn start(python: &str) -> Self {
        let mut child = Command::new(python)
            .args(["-c", STARTER])
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let moto: u16 = line.trim().parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let state: Arc<Mutex<State>> = Arc::default();
        let shared = state.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.lock().unwrap().over {
                    return;
                }
                let shared = shared.clone();
                thread::spawn(move || stream.and_then(|stream| serve(stream, moto, &shared)));
            }
        });
        Self { origin, child, moto, state, root: Mutex::default() }
    }

    /// Does something in IAM as whoever may do all of it: `Action=CreateUser&UserName=x`. Gives the answer's body.
    pub fn iam(&self, form: &str) -> String {
        let body = format!("{form}&Version=2010-05-08");
        self.as_root("us-east-1/iam", "Content-Type: application/x-www-form-urlencoded", &body)
    }

    /// Does something by the JSON protocol, such as `secretsmanager.CreateSecret`, of `region/service`.
    pub fn tell(&self, scope: &str, target: &str, body: &str) -> String {
        self.as_root(scope, &format!("Content-Type: application/x-amz-json-1.1\r\nX-Amz-Target: {target}"), body)
    }

    /// A user with that policy's document and a key: its id and its value.
    pub fn user(&self, name: &str, policy: &str) -> (String, String) {
        self.iam(&format!("Action=CreateUser&UserName={name}"));
        self.iam(&format!("Action=PutUserPolicy&UserName={name}&PolicyName=p&PolicyDocument={policy}"));
        self.key(name)
    }

    /// A user who may do everything, with a key.
    pub fn admin(&self, name: &str) -> (String, String) {
        let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
        self.user(name, policy)
    }

    /// Another key of a user.
    pub fn key(&self, user: &str) -> (String, String) {
        let made = self.iam(&format!("Action=CreateAccessKey&UserName={user}"));
        (said(&made, "AccessKeyId"), said(&made, "SecretAccessKey"))
    }

    /// The keys of a user with their status, as moto has them.
    pub fn keys(&self, user: &str) -> Vec<(String, String)> {
        let listed = self.iam(&format!("Action=ListAccessKeys&UserName={user}"));
        let members = listed.split("<member>").skip(1);
        members.map(|it| (said(it, "AccessKeyId"), said(it, "Status"))).collect()
    }

    fn as_root(&self, scope: &str, headers: &str, body: &str) -> String {
        let _one_at_a_time = self.root.lock().unwrap();
        let free = "POST /moto-api/reset-auth HTTP/1.0\r\nContent-Length: 1\r\n\r\n1";
        let told = wire::exchanged(self.moto, free.as_bytes());
        assert!(told.starts_with(b"HTTP/") && String::from_utf8_lossy(&told).contains(" 200 "), "moto lets root in");
        let (region, service) = scope.split_once('/').unwrap();
        let request = format!(
            "POST / HTTP/1.0\r\nHost: {service}.amazonaws.com\r\n{headers}\r\nX-Amz-Date: 20260101T000000Z\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential=ROOT/20260101/{region}/{service}/aws4_request, \
             SignedHeaders=host, Signature=0\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = String::from_utf8(wire::exchanged(self.moto, request.as_bytes())).unwrap();
        assert!(answer.lines().next().unwrap().contains(" 200 "), "{body}: {answer}");
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    /// The next call of that action comes to grief so. Of several, each befalls one call, in their order.
    pub fn next(&self, action: &str, trouble: Trouble) {
        self.state.lock().unwrap().troubles.push((action.to_owned(), trouble));
    }

    /// Last uses are told only so long after they happened.
    pub fn late(&self, by: Duration) {
        self.state.lock().unwrap().late = by;
    }

    /// Its clock is so far before that of this machine, for tests in which days go by.
    pub fn ahead(&self, by: Duration) {
        self.state.lock().unwrap().ahead = by;
    }

    /// A key was used at that time, by somebody else.
    pub fn used(&self, key: &str, at: SystemTime) {
        self.state.lock().unwrap().uses.entry(key.to_owned()).or_default().push(at);
    }

    /// When calls signed with that key were answered well.
    pub fn uses(&self, key: &str) -> Vec<SystemTime> {
        self.state.lock().unwrap().uses.get(key).cloned().unwrap_or_default()
    }

    /// Every call that came, in order.
    pub fn calls(&self) -> Vec<Call> {
        self.state.lock().unwrap().calls.clone()
    }

    /// How many calls of that action came.
    pub fn count(&self, action: &str) -> usize {
        self.state.lock().unwrap().calls.iter().filter(|it| it.action == action).count()
    }

    /// How many calls hang now.
    pub fn hanging(&self) -> usize {
        self.state.lock().unwrap().hanging
    }
}

impl Drop for Aws {
    fn drop(&mut self) {
        if let Ok(mut state) = self.state.lock() {
            state.over = true;
        }
        // Wakes whoever waits for the next caller.
        let _ = TcpStream::connect(self.origin.trim_start_matches("http://"));
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn serve(mut stream: TcpStream, moto: u16, state: &Mutex<State>) -> io::Result<()> {
    let Some(request) = Request::read(&mut stream)? else { return Ok(()) };
    let (action, key) = (request.action(), request.key());
    let (trouble, unknown) = {
        let mut state = state.lock().unwrap();
        let at = state.troubles.iter().position(|(its, _)| *its == action);
        let trouble = at.map(|at| state.troubles.remove(at).1);
        (trouble, state.off.contains(&key) || state.gone.contains(&key))
    };
    let answer = match trouble {
        Some(Trouble::CutBefore | Trouble::HangBefore) => None,
        Some(Trouble::Refuse(status, code)) => Some(request.refused(status, code)),
        _ if unknown && request.is_json() => Some(request.refused(400, "UnrecognizedClientException")),
        _ if unknown => Some(request.refused(403, "InvalidClientTokenId")),
        _ => Some(wire::exchanged(moto, &request.passed_on())),
    };
    let status = answer.as_deref().and_then(wire::status);
    let mut answer = answer.unwrap_or_default();
    {
        let mut state = state.lock().unwrap();
        state.calls.push(Call { action: action.clone(), key: key.clone(), status });
        if status == Some(200) {
            state.uses.entry(key).or_default().push(now());
            state.learn(&action, &request);
        }
        if action == "GetAccessKeyLastUsed" && status == Some(200) {
            let user = said(&String::from_utf8_lossy(&answer), "UserName");
            answer = wire::last_used(&user, state.last_use(&request.field("AccessKeyId")));
        }
    }
    match trouble {
        Some(Trouble::CutBefore | Trouble::CutAfter) => Ok(()),
        Some(Trouble::HangBefore | Trouble::HangAfter) => hang(&mut stream, state),
        _ => stream.write_all(&answer),
    }
}

#[allow(clippy::disallowed_methods, reason = "a provider has its own clock")]
fn now() -> SystemTime {
    SystemTime::now()
}

/// Holds a connection until the caller leaves, or all of it is over.
fn hang(stream: &mut TcpStream, state: &Mutex<State>) -> io::Result<()> {
    state.lock().unwrap().hanging += 1;
    stream.set_read_timeout(Some(Duration::from_millis(50)))?;
    loop {
        let left = match stream.read(&mut [0; 64]) {
            Ok(0) => true,
            Ok(_) => false,
            Err(error) => !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut),
        };
        let mut state = state.lock().unwrap();
        if left || state.over {
            state.hanging -= 1;
            return Ok(());
        }
    }
}

impl State {
    /// What a call that went well changed for keys.
    fn learn(&mut self, action: &str, request: &Request) {
        let key = request.field("AccessKeyId");
        match (action, &*request.field("Status")) {
            ("UpdateAccessKey", "Inactive") => drop(self.off.insert(key)),
            ("UpdateAccessKey", _) => drop(self.off.remove(&key)),
            ("DeleteAccessKey", _) => drop(self.gone.insert(key)),
            _ => {}
        }
    }

    /// The last use of a key that is told of by now.
    fn last_use(&self, key: &str) -> Option<SystemTime> {
        let told = now() + self.ahead - self.late;
        self.uses.get(key)?.iter().copied().filter(|at| *at <= told).max()
    }
}
