//! A real mail server for tests: aiosmtpd on a free port of this machine, ended with its tests.
//! It must never listen beyond this machine, nor pass a mail on.

#![allow(dead_code, reason = "several programs use it, each a part of it")]

use std::{
    env, fs,
    io::{self, BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

/// Names a Python that has aiosmtpd: set by `cargo xtask test`.
pub const PYTHON: &str = "PROVOST_TEST_PYTHON";
/// Who may sign in.
pub const USER: &str = "provost";
/// With that.
pub const PASSWORD: &str = "pw-s3cr3t";
/// The authority of the server's certificate, which is for 127.0.0.1.
pub const AUTHORITY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/servers/loopback/authority.pem");

const PROGRAM: &str = include_str!("smtp.py");
const CERTIFICATE: &str = include_str!("loopback/server.pem");

/// A running server.
#[derive(Debug)]
pub struct Server {
    child: Child,
    home: TempDir,
    pub port: u16,
}

/// A server in that mode (`starttls`, `implicit`, `plain`); `None`, said loudly, where there is none and none was asked for.
pub fn own(mode: &str) -> Option<Server> {
    let told = env::var_os(PYTHON).map(PathBuf::from);
    let python = told.clone().unwrap_or_else(|| "python3".into());
    let has = Command::new(&python).args(["-c", "import aiosmtpd"]).stderr(Stdio::null()).status();
    if !has.is_ok_and(|it| it.success()) {
        assert!(told.is_none(), "{PYTHON} has no aiosmtpd; run: cargo xtask test");
        let _ = writeln!(io::stderr(), "SKIPPED: no aiosmtpd; `cargo xtask test` installs it and sets {PYTHON}");
        return None;
    }
    Some(Server::start(&python, mode))
}

impl Server {
    fn start(python: &Path, mode: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let (program, certificate) = (home.path().join("smtp.py"), home.path().join("server.pem"));
        fs::write(&program, PROGRAM).unwrap();
        fs::write(&certificate, CERTIFICATE).unwrap();
        let log = fs::File::create(home.path().join("server.log")).unwrap();
        let mut child = Command::new(python)
            .arg(program)
            .arg(mode)
            .arg(certificate)
            .arg(home.path().join("mails"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said = || fs::read_to_string(home.path().join("server.log")).unwrap_or_default();
        let port = line.trim().parse().unwrap_or_else(|_| panic!("the mail server does not start: {}", said()));
        Self { child, home, port }
    }

    /// What it took, in order.
    pub fn mails(&self) -> Vec<Value> {
        let written = fs::read_to_string(self.home.path().join("mails")).unwrap_or_default();
        written.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
