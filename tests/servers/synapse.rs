//! A real Matrix homeserver for tests: Synapse on a free port of this machine, ended with its tests.
//! It must never listen beyond this machine, nor hold anything that is worth a secret.

#![allow(dead_code, reason = "several programs use it, each a part of it")]

use std::{
    env, fs,
    io::{self, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;

/// Names a python that has Synapse.
pub const PYTHON: &str = "PROVOST_TEST_PYTHON";
/// What the homeserver calls itself.
pub const NAME: &str = "corp.test";
const TRIES: u32 = 1200;

/// A running homeserver.
#[derive(Debug)]
pub struct Server {
    child: Child,
    home: TempDir,
    port: u16,
}

/// A homeserver of the caller's own; `None`, said loudly, where there is none.
pub fn own() -> Option<Server> {
    let python = env::var(PYTHON).unwrap_or_else(|_| "python3".to_owned());
    let found = Command::new(&python).args(["-c", "import synapse.app"]).stderr(Stdio::null()).status();
    if !found.is_ok_and(|it| it.success()) {
        let _ = writeln!(io::stderr(), "NOT TESTED with Synapse: {python} has none; {PYTHON} names one that has");
        return None;
    }
    Some(Server::start(&python))
}

/// The whole configuration. Its keys sign and seal nothing but what lives as long as a test.
fn config(home: &Path, port: u16) -> Value {
    let at = |name: &str| home.join(name).display().to_string();
    let fast = json!({ "per_second": 1000, "burst_count": 1000 });
    json!({
        "server_name": NAME,
        "pid_file": at("pid"),
        "listeners": [{ "port": port, "type": "http", "bind_addresses": ["127.0.0.1"],
            "resources": [{ "names": ["client"] }] }],
        "database": { "name": "sqlite3", "args": { "database": at("synapse.db") } },
        "media_store_path": at("media"),
        "signing_key": format!("ed25519 test {}", "A".repeat(43)),
        "macaroon_secret_key": "only-for-tests",
        "form_secret": "only-for-tests",
        "enable_registration": true,
        "enable_registration_without_verification": true,
        "report_stats": false,
        "trusted_key_servers": [],
        "suppress_key_server_warning": true,
        "rc_message": fast, "rc_registration": fast,
        "rc_joins": { "local": fast, "remote": fast },
    })
}

impl Server {
    fn start(python: &str) -> Self {
        for _ in 0..5 {
            let home = tempfile::tempdir().unwrap();
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            // JSON is YAML too.
            let file = home.path().join("homeserver.yaml");
            fs::write(&file, config(home.path(), port).to_string()).unwrap();
            let log = fs::File::create(home.path().join("server.log")).unwrap();
            let child = Command::new(python)
                .args(["-m", "synapse.app.homeserver", "-c"])
                .arg(&file)
                .current_dir(home.path())
                .stdin(Stdio::null())
                .stdout(log.try_clone().unwrap())
                .stderr(log)
                .spawn()
                .unwrap_or_else(|error| panic!("Synapse does not start: {error}"));
            let mut server = Self { child, home, port };
            for _ in 0..TRIES {
                if server.child.try_wait().unwrap().is_some() {
                    // Somebody else took the port meanwhile, or it says in its log why.
                    break;
                }
                if server.try_ask("", "GET", "versions", None).is_ok_and(|(status, _)| status == 200) {
                    return server;
                }
                thread::sleep(Duration::from_millis(50));
            }
            let log = fs::read_to_string(server.home.path().join("server.log")).unwrap_or_default();
            let _ = writeln!(io::stderr(), "{log}");
        }
        panic!("Synapse does not get ready");
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A new user: its id and its access token.
    pub fn user(&self, name: &str) -> (String, String) {
        let body = json!({ "username": name, "password": "only-for-tests", "auth": { "type": "m.login.dummy" } });
        let user = self.ask("", "POST", "v3/register", Some(&body));
        (text(&user, "user_id"), text(&user, "access_token"))
    }

    /// A new room of that user, with an alias of that name: its id.
    pub fn room(&self, token: &str, alias: &str) -> String {
        let body = json!({ "preset": "public_chat", "room_alias_name": alias });
        text(&self.ask(token, "POST", "v3/createRoom", Some(&body)), "room_id")
    }

    /// The content of every message in a room, as a client gets it, the oldest first.
    pub fn messages(&self, token: &str, room: &str) -> Vec<Value> {
        let room = room.replace('!', "%21").replace(':', "%3A");
        let all = self.ask(token, "GET", &format!("v3/rooms/{room}/messages?dir=f&limit=500"), None);
        let events = all["chunk"].as_array().unwrap().iter();
        events.filter(|it| it["type"] == "m.room.message").cloned().collect()
    }

    /// Asks with that access token, if it is not empty, at a path behind `/_matrix/client/`.
    pub fn ask(&self, token: &str, method: &str, path: &str, body: Option<&Value>) -> Value {
        let (status, answer) = self.try_ask(token, method, path, body).unwrap();
        assert!(status < 300, "{path}: {status} {answer}");
        answer
    }

    /// Sends one request over a connection of its own.
    fn try_ask(&self, token: &str, method: &str, path: &str, body: Option<&Value>) -> io::Result<(u16, Value)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        let body = body.map(Value::to_string).unwrap_or_default();
        let length = body.len();
        let signature = if token.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") };
        // In HTTP/1.0 the answer ends with the connection.
        write!(
            stream,
            "{method} /_matrix/client/{path} HTTP/1.0\r\nHost: 127.0.0.1\r\n{signature}Content-Length: {length}\r\n\r\n{body}"
        )?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
        let status = head.split(' ').nth(1).and_then(|it| it.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
        Ok((status, serde_json::from_str(body).unwrap_or(Value::Null)))
    }
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}")).to_owned()
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
