//! A real OpenBao server for tests: everything in memory, on a free port of this machine, ended with its tests.
//! It must never listen beyond this machine, nor hold anything that is worth a secret.

#![allow(dead_code, reason = "several programs use it, each a part of it")]

use std::{
    env, fs,
    io::{self, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

/// Names the server's program: set by `cargo xtask test`.
pub const PROGRAM: &str = "PROVOST_TEST_OPENBAO";
/// The token that may do everything there.
pub const ROOT: &str = "only-for-tests";
const TRIES: u32 = 600;

/// A running server.
#[derive(Debug)]
pub struct Server {
    child: Child,
    program: PathBuf,
    home: TempDir,
    port: u16,
}

/// A server of the caller's own; `None`, said loudly, where there is none and none was asked for.
pub fn own() -> Option<Server> {
    let told = env::var_os(PROGRAM).map(PathBuf::from);
    if told.is_none() {
        let _ = writeln!(io::stderr(), "SKIPPED: no OpenBao; `cargo xtask test` installs it and sets {PROGRAM}");
    }
    told.map(|program| Server::start(&program))
}

impl Server {
    fn start(program: &Path) -> Self {
        for _ in 0..5 {
            let home = tempfile::tempdir().unwrap();
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let audit = home.path().join("audit.log");
            let config = home.path().join("audit.hcl");
            let text =
                format!("audit \"file\" \"main\" {{ options {{ file_path = {:?} }} }}\n", audit.display().to_string());
            fs::write(&config, text).unwrap();
            let log = fs::File::create(home.path().join("server.log")).unwrap();
            let child = Command::new(program)
                .args(["server", "-dev", "-dev-no-store-token"])
                .arg(format!("-dev-root-token-id={ROOT}"))
                .arg(format!("-dev-listen-address=127.0.0.1:{port}"))
                .arg(format!("-config={}", config.display()))
                .env("HOME", home.path())
                .stdin(Stdio::null())
                .stdout(log.try_clone().unwrap())
                .stderr(log)
                .spawn()
                .unwrap_or_else(|error| panic!("OpenBao does not start ({error}); run: cargo xtask test"));
            let mut server = Self { child, program: program.to_owned(), home, port };
            for _ in 0..TRIES {
                if server.child.try_wait().unwrap().is_some() {
                    // Somebody else took the port meanwhile.
                    break;
                }
                if server.try_call("GET", "sys/health", ("", ROOT), None).is_ok_and(|(status, _)| status == 200)
                    && server.try_call("GET", "secret/config", ("", ROOT), None).is_ok_and(|(status, _)| status == 200)
                {
                    return server;
                }
                thread::sleep(Duration::from_millis(50));
            }
        }
        panic!("OpenBao does not get ready");
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The file in which it writes down every request.
    pub fn audit_log(&self) -> PathBuf {
        self.home.path().join("audit.log")
    }

    /// Asks with the root token, and gives the status and the body.
    pub fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        self.try_call(method, path, ("", ROOT), body).unwrap()
    }

    /// The same in a namespace.
    pub fn ask_in(&self, namespace: &str, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        self.try_call(method, path, (namespace, ROOT), body).unwrap()
    }

    /// Asks with that token.
    pub fn ask_as(&self, token: &str, method: &str, path: &str) -> (u16, Value) {
        self.try_call(method, path, ("", token), None).unwrap()
    }

    /// Writes, and gives what was answered under `data`.
    pub fn write(&self, path: &str, body: &Value) -> Value {
        let (status, answer) = self.ask("POST", path, Some(body));
        assert!(status < 300, "{path}: {status} {answer}");
        answer["data"].clone()
    }

    /// Deletes.
    pub fn delete(&self, path: &str) {
        let (status, answer) = self.ask("DELETE", path, None);
        assert!(status < 300, "{path}: {status} {answer}");
    }

    /// A token with only this policy, given as text.
    pub fn token(&self, policy: &str, text: &str) -> String {
        self.write(&format!("sys/policies/acl/{policy}"), &serde_json::json!({ "policy": text }));
        let body = serde_json::json!({ "policies": [policy], "no_parent": true });
        let (status, answer) = self.ask("POST", "auth/token/create", Some(&body));
        assert_eq!(status, 200, "{answer}");
        answer["auth"]["client_token"].as_str().unwrap().to_owned()
    }

    /// What the server's own client says to these words, as JSON.
    pub fn says(&self, words: &[&str]) -> Value {
        let output = Command::new(&self.program)
            .args(words)
            .env("BAO_ADDR", self.url())
            .env("BAO_TOKEN", ROOT)
            .env("BAO_FORMAT", "json")
            .env("HOME", self.home.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
    }

    /// Sends one request over a connection of its own.
    fn try_call(
        &self,
        method: &str,
        path: &str,
        (namespace, token): (&str, &str),
        body: Option<&Value>,
    ) -> io::Result<(u16, Value)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        let body = body.map(Value::to_string).unwrap_or_default();
        let length = body.len();
        let namespace =
            if namespace.is_empty() { String::new() } else { format!("X-Vault-Namespace: {namespace}\r\n") };
        // In HTTP/1.0 the answer ends with the connection.
        write!(
            stream,
            "{method} /v1/{path} HTTP/1.0\r\nHost: 127.0.0.1\r\nX-Vault-Token: {token}\r\n{namespace}Content-Length: {length}\r\n\r\n{body}"
        )?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
        let status = head.split(' ').nth(1).and_then(|it| it.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
        Ok((status, serde_json::from_str(body).unwrap_or(Value::Null)))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
