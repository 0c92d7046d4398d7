//! The program under measurement: its own home, its own store, its wall time, processor time and peak memory.
//! It must never read or write outside the directory made for it.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use crate::tools;

/// Kernel clock ticks a second, in which `/proc` counts processor time on Linux.
const TICKS: f64 = 100.0;

/// A program with a configuration for one endpoint.
pub(crate) struct Program {
    binary: PathBuf,
    home: PathBuf,
    url: String,
}

/// What one run took.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Took {
    pub(super) exit: i32,
    pub(super) wall: f64,
    /// Until findings stood for the first time, in seconds; zero if none changed.
    pub(super) first_findings: f64,
    pub(super) cpu: f64,
    pub(super) peak_mib: f64,
}

impl Program {
    /// A program with an empty store.
    pub(crate) fn new(binary: &Path, url: &str, pace: &str, engine: &str) -> Result<Self> {
        let home = tools::target().join("bench/home");
        let _ = fs::remove_dir_all(&home);
        fs::create_dir_all(&home)?;
        let store = home.join("store");
        let text = format!(
            "[store]\npath = {store:?}\nengine = {engine:?}\nmin_free = \"1MiB\"\n[[sources]]\nname = \"aws\"\nconnector = \"aws\"\npace = {pace:?}\nregions = []\n"
        );
        fs::write(home.join("provost.toml"), text)?;
        Ok(Self { binary: binary.to_owned(), home, url: url.to_owned() })
    }

    /// One scan.
    pub(super) fn scan(&self, extra: &[&str]) -> Result<Took> {
        let begun = Instant::now();
        let mut child = self.command(&["scan"]).args(extra).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let errors = child.stderr.take().context("no standard error")?;
        let first = std::thread::spawn(move || {
            let mut first = 0.0;
            for line in BufReader::new(errors).lines().map_while(Result::ok) {
                if first == 0.0 && line.contains("judged a part") && !line.contains("findings=0") {
                    first = begun.elapsed().as_secs_f64();
                }
            }
            first
        });
        let mut took = watched(&mut child, begun)?;
        took.first_findings = first.join().unwrap_or(0.0);
        Ok(took)
    }

    /// The inventory, one record a line.
    pub(super) fn inventory(&self) -> Result<String> {
        let listed = self.command(&["inventory", "list", "--output", "ndjson"]).output()?;
        Ok(String::from_utf8(listed.stdout)?)
    }

    /// The program with some words, in this home and with no environment but what it needs.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.env_clear().arg("--config").arg(self.home.join("provost.toml")).args(words);
        command.env("HOME", &self.home).env("PROVOST_LOG", "provost::jobs::judge=debug");
        account(&mut command, &self.url);
        command
    }
}

/// The endpoint and its account, as every tool of Amazon is told.
pub(super) fn account(command: &mut Command, url: &str) {
    command.env("AWS_ACCESS_KEY_ID", "AKIABENCH00000000000").env("AWS_SECRET_ACCESS_KEY", "not-a-secret");
    command.env("AWS_REGION", "us-east-1").env("AWS_DEFAULT_REGION", "us-east-1");
    command.env("AWS_ENDPOINT_URL", url).env("AWS_EC2_METADATA_DISABLED", "true");
}

/// What a child takes until it ends.
pub(super) fn watched(child: &mut Child, begun: Instant) -> Result<Took> {
    let mut took = Took::default();
    let exit = loop {
        sample(child.id(), &mut took);
        if let Some(exit) = child.try_wait()? {
            break exit;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    took.wall = begun.elapsed().as_secs_f64();
    took.exit = exit.code().unwrap_or(-1);
    Ok(took)
}

/// Reads peak memory and processor time so far; the last reading before the end stands.
fn sample(pid: u32, took: &mut Took) {
    if let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) {
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = peak.and_then(|line| line.trim().strip_suffix(" kB")).and_then(|it| it.parse::<f64>().ok());
        took.peak_mib = kib.map_or(took.peak_mib, |kib| kib / 1024.0);
    }
    if let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) {
        // Fields 14 and 15 of proc(5), counted after the name in brackets, which may hold blanks.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|it| it.parse::<f64>().ok()).unwrap_or(0.0);
        took.cpu = ((ticks(11) + ticks(12)) / TICKS).max(took.cpu);
    }
}
