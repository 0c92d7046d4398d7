//! The endpoint as a child process on a free loopback port, ended with the benchmark.
//! It must never be asked over anything but loopback.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

/// A running endpoint.
pub(crate) struct Endpoint {
    child: Child,
    port: u16,
}

impl Endpoint {
    /// Starts one with that many users, 40 ms of latency unless told otherwise.
    pub(crate) fn start(binary: &Path, users: u64, extra: &[&str]) -> Result<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let mut command = Command::new(binary);
        command.args(["--users", &users.to_string(), "--port", &port.to_string()]);
        if !extra.contains(&"--latency-ms") {
            command.args(["--latency-ms", "40"]);
        }
        let child = command.args(extra).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let endpoint = Self { child, port };
        for _ in 0..200 {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                endpoint.get("/__reset?report=1")?;
                return Ok(endpoint);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!("the endpoint does not answer")
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What it answers to a path.
    pub(crate) fn get(&self, path: &str) -> Result<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n").as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (_, body) = answer.split_once("\r\n\r\n").context("an answer without a body")?;
        Ok(body.to_owned())
    }

    /// The same as JSON.
    pub(super) fn json(&self, path: &str) -> Result<serde_json::Value> {
        Ok(serde_json::from_str(&self.get(path)?)?)
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
