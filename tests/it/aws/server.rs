//! Moto's server, started on a free port with an account whose truth is known.
//! It must never be left running: whoever drops it ends it, by its id.

use std::{
    env,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
};

use serde_json::Value;

/// A running server.
pub(super) struct Moto {
    child: Child,
    port: u16,
    /// What is in it, as it was seeded.
    pub(super) truth: Value,
}

impl Moto {
    /// Starts one with an account of users, roles and keys.
    pub(super) fn start() -> Self {
        Self::of("moto_account.py", &[])
    }

    /// Starts one by that script and with those words.
    pub(super) fn of(script: &str, words: &[&str]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(script);
        let mut child = Command::new(python())
            .arg(script)
            .args(words)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("moto's python does not start ({error}); run: cargo xtask test"));
        let (mut words, mut line) = (BufReader::new(child.stdout.take().unwrap()), String::new());
        words.read_line(&mut line).unwrap();
        // What it cannot do it says there, and gives no answer at all where nobody listens. Ends with the server.
        thread::spawn(move || io::copy(&mut words, &mut io::sink()));
        let truth: Value = serde_json::from_str(&line).unwrap_or_else(|_| {
            let _ = child.kill();
            let _ = child.wait();
            panic!("moto did not start; its own words are above; tests are run by: cargo xtask test")
        });
        let port = u16::try_from(truth["port"].as_u64().unwrap()).unwrap();
        Self { child, port, truth }
    }

    /// Its address.
    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Sends an action of IAM, such as `Action=DeleteUser&UserName=x`; gives the body of the answer.
    pub(super) fn act(&self, form: &str) -> String {
        let body = format!("{form}&Version=2010-05-08");
        self.send("us-east-1/iam", "Content-Type: application/x-www-form-urlencoded", &body)
    }

    /// Sends an operation of the JSON protocol, such as `secretsmanager.DeleteSecret`, to `region/service`.
    pub(super) fn tell(&self, scope: &str, target: &str, body: &Value) -> String {
        let headers = format!("Content-Type: application/x-amz-json-1.1\r\nX-Amz-Target: {target}");
        self.send(scope, &headers, &body.to_string())
    }

    fn send(&self, scope: &str, headers: &str, body: &str) -> String {
        let (region, service) = scope.split_once('/').unwrap();
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        write!(
            stream,
            "POST / HTTP/1.0\r\nHost: {service}.amazonaws.com\r\n{headers}\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential=AKIATEST/20260101/{region}/{service}/aws4_request, \
             SignedHeaders=host, Signature=0\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.lines().next().unwrap().contains(" 200 "), "{body}: {answer}");
        answer
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The python beside `moto_server`: it has moto.
fn python() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let on_path = env::var_os("PATH").map(|path| env::split_paths(&path).collect::<Vec<_>>()).unwrap_or_default();
    let places = on_path.into_iter().map(|directory| directory.join("moto_server"));
    let told = env::var_os("PROVOST_TEST_MOTO").map(PathBuf::from);
    let found = told
        .into_iter()
        .chain([target.join("tools/bin/moto_server")])
        .chain(places)
        .filter_map(|server| std::fs::canonicalize(server.parent()?).ok().filter(|_| server.is_file()))
        .map(|directory| directory.join("python"))
        .find(|python| python.exists());
    found.unwrap_or_else(|| panic!("there is no moto_server here; it is installed and found by: cargo xtask test"))
}
