//! A real Roundup tracker for tests: the classic one on SQLite, on a free port of this machine, ended with its tests.
//! It must never listen beyond this machine, nor send mail.

#![allow(dead_code, reason = "several programs use it, each a part of it")]

use std::{
    env, fs,
    io::{self, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

/// Names the Python that has Roundup: set by `cargo xtask test`.
pub const PYTHON: &str = "PROVOST_TEST_PYTHON";
/// `admin:adminpw` and `provost:provostpw`, as basic authentication has them (RFC 7617).
pub const ADMIN: &str = "YWRtaW46YWRtaW5wdw==";
pub const USER: &str = "cHJvdm9zdDpwcm92b3N0cHc=";
const TRIES: u32 = 1200;

/// Makes a tracker and serves it. Roundup does not serve as root: the rights are given up once everything is read in.
const STARTER: &str = r#"
import os, re, sys
home, port = sys.argv[1:3]
tracker = os.path.join(home, "tracker")
from roundup import admin
def administer(*words):
    sys.argv = ["roundup-admin", "-i", tracker, *words]
    if admin.AdminTool().main():
        sys.exit(f"roundup-admin {words[0]} failed")
administer("install", "classic", "sqlite")
config = os.path.join(tracker, "config.ini")
with open(config) as file:
    text = file.read()
for name, value in (("web", f"http://127.0.0.1:{port}/nhi/"), ("domain", "corp.test"), ("admin_email", "admin@corp.test")):
    text = re.sub(rf"(?m)^#?{name} = .*$", f"{name} = {value}", text)
# Whoever signs in is believed sooner: every call signs in.
text = re.sub(r"(?m)^password_pbkdf2_default_rounds = .*$", "password_pbkdf2_default_rounds = 1000", text)
# Mail goes to a file.
text = re.sub(r"(?m)^debug = *$", f"debug = {home}/mail.out", text)
text = re.sub(r"(?m)^host = .*$", "host = 127.0.0.1", text)
with open(config, "w") as file:
    file.write(text)
administer("initialise", "adminpw")
administer("create", "user", "username=provost", "password=provostpw", "address=provost@corp.test", "roles=User")
from roundup.scripts import roundup_server
import roundup.rest, roundup.cgi.client, roundup.backends.back_sqlite
if os.getuid() == 0:
    for place, _, files in os.walk(home):
        for path in [place, *(os.path.join(place, it) for it in files)]:
            os.chown(path, 65534, 65534)
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
sys.argv = ["roundup-server", "-n", "127.0.0.1", "-p", port, f"nhi={tracker}"]
roundup_server.run()
"#;

/// A running tracker.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Removed with it.
    home: TempDir,
    port: u16,
}

/// A tracker of the caller's own; `None`, said loudly, where no Python has Roundup.
pub fn own() -> Option<Server> {
    let python = env::var(PYTHON).unwrap_or_else(|_| "python3".to_owned());
    let has = Command::new(&python).args(["-c", "import roundup.rest"]).stderr(Stdio::null()).status();
    if !has.is_ok_and(|it| it.success()) {
        let _ = writeln!(io::stderr(), "SKIPPED: no Roundup; `cargo xtask test` installs it and sets {PYTHON}");
        return None;
    }
    Some(Server::start(&python))
}

impl Server {
    fn start(python: &str) -> Self {
        let mut said = String::new();
        for _ in 0..3 {
            let home = tempfile::tempdir().unwrap();
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let log = home.path().join("server.log");
            let to = fs::File::create(&log).unwrap();
            let child = Command::new(python)
                .args(["-c", STARTER])
                .arg(home.path())
                .arg(port.to_string())
                .stdin(Stdio::null())
                .stdout(to.try_clone().unwrap())
                .stderr(to)
                .spawn()
                .unwrap();
            let mut server = Self { child, home, port };
            for _ in 0..TRIES {
                if server.child.try_wait().unwrap().is_some() {
                    // Somebody else took the port meanwhile.
                    break;
                }
                if server.try_call(("GET", "rest/data/status", ADMIN), "").is_ok_and(|(status, _)| status == 200) {
                    return server;
                }
                thread::sleep(Duration::from_millis(50));
            }
            said = fs::read_to_string(&log).unwrap_or_default();
        }
        panic!("Roundup does not get ready: {said}");
    }

    /// The tracker's address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/nhi", self.port)
    }

    /// Asks the interface as the administrator, and gives the status and what stands under `data`.
    pub fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let body = body.map(Value::to_string).unwrap_or_default();
        let (status, answer) = self.try_call((method, &format!("rest/data/{path}"), ADMIN), &body).unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
        (status, answer.get("data").cloned().unwrap_or(answer))
    }

    /// Changes an issue by hand.
    pub fn change(&self, issue: &str, mut body: Value) {
        let path = format!("issue/{issue}");
        body["@etag"] = self.ask("GET", &path, None).1["@etag"].clone();
        let (status, answer) = self.ask("PATCH", &path, Some(&body));
        assert_eq!(status, 200, "{answer}");
    }

    /// A page, as whoever looks with a browser gets it.
    pub fn page(&self, path: &str) -> String {
        let (status, page) = self.try_call(("GET", path, ADMIN), "").unwrap();
        assert_eq!(status, 200, "{path}");
        page
    }

    /// Passes a call on as it came, for whoever stands between: method, path behind the tracker's, credentials, body.
    pub fn pass(&self, call: (&str, &str, &str), body: &str) -> (u16, String) {
        self.try_call(call, body).unwrap()
    }

    fn try_call(&self, (method, path, basic): (&str, &str, &str), body: &str) -> io::Result<(u16, String)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        let (port, length) = (self.port, body.len());
        write!(
            stream,
            "{method} /nhi/{path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nOrigin: http://127.0.0.1:{port}\r\n\
             X-Requested-With: rest\r\nAuthorization: Basic {basic}\r\nAccept: application/json\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        )?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
        let status = head.split(' ').nth(1).and_then(|it| it.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
        Ok((status, body.to_owned()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
