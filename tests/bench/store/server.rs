//! The database server that a bench measures: started by it alone, its cost counted with that of the process that asks it.
//! It must never be a server that somebody else uses: what it costs would not be ours.

#[path = "../../servers/postgres.rs"]
mod postgres;

use std::{
    env, fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use anyhow::{Context as _, Result, bail};
use provost::wire;
use provost_store::{Postgres, PostgresOptions, Store};

use crate::measure::written_by;

/// What engine means that the store is in a database.
pub(crate) const NAME: &str = "postgres";
/// Where Debian puts the programs, a directory for each version.
const DEBIAN: &str = "/usr/lib/postgresql";
/// Kernel clock ticks a second, in which `/proc` counts processor time on Linux.
const TICKS: f64 = 100.0;

/// A running server, ended when it is dropped.
pub(crate) struct Server(postgres::Server);

impl Server {
    /// Starts one whose files lie in a directory.
    pub(crate) fn start(directory: &Path) -> Result<Self> {
        let programs = programs()?;
        // Its user is not the one who started the bench, where that is root.
        fs::set_permissions(directory, fs::Permissions::from_mode(0o755))?;
        Ok(Self(postgres::Server::measured(&programs, directory)))
    }

    /// A fresh database.
    pub(crate) fn fresh(&self) -> Database {
        Database { url: self.0.fresh(), server: self.0.pid() }
    }
}

/// A database, and the server it lies on: in words `PID=URL`.
#[derive(Clone)]
pub(crate) struct Database {
    url: String,
    server: u32,
}

impl Database {
    /// Reads one from its words.
    pub(crate) fn parse(words: &str) -> Result<Self> {
        let (server, url) = words.split_once('=').context("a database is PID=URL")?;
        Ok(Self { url: url.to_owned(), server: server.parse().context("the id of the server")? })
    }

    /// It in words.
    pub(crate) fn words(&self) -> String {
        format!("{}={}", self.server, self.url)
    }

    /// The store in it, as the daemon opens it.
    pub(crate) fn open(&self) -> Result<Arc<dyn Store>> {
        let options = PostgresOptions { shown: Some(wire::SHOWN), ..PostgresOptions::default() };
        Ok(Arc::new(Postgres::open(&self.url, options)?))
    }

    /// Has everything that is only in the log and in memory written to its place.
    pub(crate) fn settle(&self) -> Result<()> {
        let mut psql = Command::new(programs()?.join("psql"));
        psql.args(["-X", "-q", "-c", "CHECKPOINT", &self.url]).stdin(Stdio::null()).stdout(Stdio::null());
        let done = psql.stderr(Stdio::inherit()).status().context("psql")?;
        if !done.success() {
            bail!("CHECKPOINT ended with {done}");
        }
        Ok(())
    }

    /// Seconds of processor time that the server has used, those of its ended processes included.
    pub(crate) fn cpu(&self) -> f64 {
        self.processes().into_iter().map(cpu_of).sum()
    }

    /// Bytes that the server caused to be written to the disk, likewise.
    pub(crate) fn written(&self) -> u64 {
        self.processes().into_iter().map(|pid| written_by(&pid.to_string())).sum()
    }

    /// The server's first process, and those that live by now. What ended ones did is counted with the first.
    fn processes(&self) -> Vec<u32> {
        let first = self.server;
        let text = fs::read_to_string(format!("/proc/{first}/task/{first}/children")).unwrap_or_default();
        let children = text.split_whitespace().filter_map(|pid| pid.parse().ok());
        std::iter::once(first).chain(children).collect()
    }
}

/// Own time and that of ended children: fields 14 to 17 of proc(5), counted after the name in brackets.
fn cpu_of(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(4);
    fields.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS
}

/// The directory of the server's programs.
fn programs() -> Result<PathBuf> {
    let newest = |directory: &str| {
        let versions = fs::read_dir(directory).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
        let number = |path: &PathBuf| path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
        versions.max_by_key(number).map(|version| version.join("bin"))
    };
    let told = env::var_os(postgres::PROGRAMS).map(PathBuf::from);
    let on_path = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect::<Vec<_>>();
    let mut places = told.into_iter().chain(on_path).chain(newest(DEBIAN));
    // A directory may hold the server without its client.
    let is_whole = |place: &PathBuf| ["initdb", "postgres", "psql"].iter().all(|name| place.join(name).exists());
    places.find(is_whole).with_context(|| {
        format!("there is no PostgreSQL server: install one, or set {} to the directory of initdb", postgres::PROGRAMS)
    })
}
