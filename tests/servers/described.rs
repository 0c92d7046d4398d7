//! A server that speaks a maker's own description, and refuses whatever that does not allow.
//! It must never be taken for the maker's: it shows only what the description says.

#![allow(dead_code, reason = "several rooms use it, each a part of it")]

use std::{
    io::{self, BufRead as _, BufReader, Write as _},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use serde_json::Value;

/// A running one, whose token is `t`.
pub struct Described {
    child: Child,
    pub address: String,
}

impl Drop for Described {
    fn drop(&mut self) {
        // It ends with the test; whether it was still there does not matter.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Described {
    /// Starts it, or says loudly why not.
    pub fn start(name: &str) -> Option<Self> {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
        let shared = std::env::var_os("PROVOST_SHARED").map_or_else(|| root.join("../shared"), PathBuf::from);
        let (script, spec) = (shared.join("specs/specserver.py"), shared.join("specs").join(name));
        if !script.exists() || !spec.exists() {
            skipped(&format!("{} is not there", spec.display()));
            return None;
        }
        let python = std::env::var_os("PROVOST_TEST_PYTHON").unwrap_or_else(|| "python3".into());
        let mut child = Command::new(python)
            .arg(script)
            .arg("--spec")
            .arg(spec)
            .args(["--n", "13", "--seed", "7", "--token", "t"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut line = String::new();
        let read = BufReader::new(child.stdout.take()?).read_line(&mut line);
        let told: Value = serde_json::from_str(&line).unwrap_or_default();
        let mut started = Self { address: String::new(), child };
        let Some(address) = told["listening"].as_str().filter(|_| read.is_ok()) else {
            skipped("the server does not start: it wants python3 with jsonschema");
            return None;
        };
        started.address = address.trim_start_matches("http://").to_owned();
        Some(started)
    }

    /// What it holds against us.
    pub fn violations(&self) -> Value {
        serde_json::from_str(&self.pass("GET", "/__violations", &[], "").1).unwrap()
    }

    /// A call passed on, and its answer: for a test that stands between.
    pub fn pass(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
        let mut stream = std::net::TcpStream::connect(&self.address).unwrap();
        let mut head = format!("{method} {target} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n", self.address);
        for (name, value) in headers.iter().filter(|(name, _)| !["host", "connection", "content-length"].contains(name))
        {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        stream.write_all(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).as_bytes()).unwrap();
        let mut answer = String::new();
        io::Read::read_to_string(&mut stream, &mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }
}

#[allow(clippy::print_stderr, reason = "a test that proves nothing says so")]
fn skipped(why: &str) {
    eprintln!("SKIPPED, nothing is proved against the makers' descriptions: {why}");
}
