//! The store and the judging under load, beside SQLite doing the same: one table, in one run, with machine, date and commit.
//! `cargo xtask bench store [--identities N] [--credentials N] [--days N] [--directory DIR]
//! [--engine sled|redb|postgres] [--cache MIB] [--brief]`

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a bench may end")]

mod estate;
mod looker;
mod measure;
mod parts;
mod raw;
mod rows;
mod server;
mod sqlite;
mod table;

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context as _, Result, bail};
use provost_store::{Space, min_free};

use crate::{
    parts::{Figures, Work},
    server::{Database, Server},
    table::Table,
};

const USAGE: &str =
    "bench store [--identities N] [--credentials N] [--days N] [--directory DIR] [--engine sled|redb|postgres]
            [--cache MIB] [--brief]
  --identities N   identities of the estate (default 50000)
  --credentials N  credentials of each (default 2)
  --days N         daily scans simulated, of one identity in fifty, 1000 at least (default 365)
  --directory DIR  where the data lies meanwhile (default: below the build directory)
  --engine NAME    sled (default), redb, or postgres: a server that the bench starts and ends
  --cache MIB      memory for pages of the embedded store, and for those of SQLite; 32 if not said
  --brief          only what has a target: SQLite's first load alone, no year, no rescans of a database";

/// Bytes of disk an identity takes at most, in all stores that lie there at once.
const BYTES_AN_IDENTITY: u64 = 8_000;
/// And each of its credentials.
const BYTES_A_CREDENTIAL: u64 = 6_000;

struct Words {
    identities: u64,
    credentials: u64,
    days: u64,
    /// Only what has a target.
    brief: bool,
    directory: PathBuf,
    engine: String,
    /// Memory for pages of the embedded store, in MiB.
    cache: u64,
    /// Set for a child: the part it does.
    part: Option<String>,
    /// Set for a child where the store is in a database: which.
    database: Option<Database>,
}

fn main() -> ExitCode {
    match words().and_then(|words| run(&words)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("bench store: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn words() -> Result<Words> {
    let mut words = Words {
        identities: 50_000,
        credentials: 2,
        days: 365,
        brief: false,
        directory: PathBuf::from(env!("CARGO_TARGET_TMPDIR")),
        engine: "sled".to_owned(),
        cache: 32,
        part: None,
        database: None,
    };
    let mut typed = std::env::args().skip(1);
    while let Some(word) = typed.next() {
        let mut value = || typed.next().with_context(|| format!("{word} takes a value\n{USAGE}"));
        match word.as_str() {
            "--identities" => words.identities = value()?.parse().context("--identities takes a number")?,
            "--credentials" => words.credentials = value()?.parse().context("--credentials takes a number")?,
            "--brief" => words.brief = true,
            "--days" => words.days = value()?.parse().context("--days takes a number")?,
            "--directory" => words.directory = value()?.into(),
            "--engine" => words.engine = value()?,
            "--cache" => words.cache = value()?.parse().context("--cache takes a number of MiB")?,
            "--part" => words.part = Some(value()?),
            "--database" => words.database = Some(Database::parse(&value()?)?),
            // Cargo's own.
            "--bench" => {}
            other => bail!("{other:?} is not known\n{USAGE}"),
        }
    }
    if words.identities < 1_000 || !(1..=9).contains(&words.credentials) || words.days == 0 {
        bail!("at least 1000 identities, one to nine credentials, one day\n{USAGE}");
    }
    Ok(words)
}

fn run(words: &Words) -> Result<()> {
    if let Some(part) = &words.part {
        let figures = work(words).part(part)?;
        print(&serde_json::to_string(&figures)?);
        return Ok(());
    }
    std::fs::create_dir_all(&words.directory)?;
    let each = BYTES_AN_IDENTITY + BYTES_A_CREDENTIAL * words.credentials;
    let needed = words.identities.max(50_000) * each;
    let free = free(&words.directory)?;
    say(&format!("{} MiB of disk are needed in {}", needed >> 20, words.directory.display()));
    if free < needed {
        bail!("only {} MiB are free there", free >> 20);
    }
    let scratch = tempfile::tempdir_in(&words.directory)?;
    let table = measure(words, scratch.path())?;
    print(&table.to_string());
    Ok(())
}

fn measure(words: &Words, directory: &Path) -> Result<Table> {
    let server = if words.engine == server::NAME { Some(Server::start(directory)?) } else { None };
    let fresh = || server.as_ref().map(Server::fresh);
    let mut table = Table::begin((words.identities, words.credentials), &words.engine)?;
    let part = |name: &str, database: Option<&Database>| child(words, name, (words.identities, directory), database);
    table.sqlite(&part("sqlite-load", None)?);
    if !words.brief {
        table.sqlite_again(&part("sqlite-unchanged", None)?, &part("sqlite-moved", None)?);
    }
    std::fs::remove_dir_all(directory.join("sqlite"))?;
    if !words.brief {
        table.raw(&part("raw-load", fresh().as_ref())?);
        if server.is_none() {
            std::fs::remove_dir_all(directory.join("raw"))?;
        }
    }
    let database = fresh();
    let part = |name: &str| part(name, database.as_ref());
    table.load(&part("load")?);
    if !(words.brief && server.is_some()) {
        table.rescans(&part("unchanged")?, &part("moved")?);
    }
    table.opening(&part("open")?);
    table.look_ups(&part("look-ups")?);
    table.rules(&part("rules")?);
    table.telling(&part("telling")?);
    table.changes(&part("changes")?);
    if server.is_some() {
        table.left_out(&format!("{} daily rescans, compacted", words.days), "a database gives room back by itself");
    } else if !words.brief {
        let small = directory.join("days");
        let days = child(words, "days", ((words.identities / 50).max(1_000), small.as_path()), None)?;
        table.days(words.days, &days);
    }
    table.end()?;
    Ok(table)
}

/// Runs a part in a process of its own.
fn child(
    words: &Words,
    part: &str,
    (identities, directory): (u64, &Path),
    database: Option<&Database>,
) -> Result<Figures> {
    say(&format!("{part} …"));
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--part", part, "--identities", &identities.to_string(), "--days", &words.days.to_string()]);
    command.args(["--credentials", &words.credentials.to_string()]);
    command.args(["--engine", &words.engine, "--cache", &words.cache.to_string()]).arg("--directory").arg(directory);
    command.args(database.iter().flat_map(|database| ["--database".to_owned(), database.words()]));
    command.stdin(Stdio::null()).stderr(Stdio::inherit());
    let done = command.output()?;
    if !done.status.success() {
        bail!("{part} ended with {}", done.status);
    }
    serde_json::from_slice(&done.stdout).with_context(|| format!("what {part} measured"))
}

fn work(words: &Words) -> Work {
    let (directory, engine, database) = (words.directory.clone(), words.engine.clone(), words.database.clone());
    let Words { identities, credentials, days, .. } = *words;
    Work { directory, engine, database, cache: words.cache << 20, identities, credentials, days }
}

fn free(directory: &Path) -> Result<u64> {
    let about = rustix::fs::statvfs(directory)?;
    let bytes = |blocks: u64| blocks.saturating_mul(about.f_frsize);
    let space = Space { free: bytes(about.f_bavail), total: bytes(about.f_blocks), used: 0 };
    Ok(space.free.saturating_sub(min_free(&space)))
}

#[allow(clippy::print_stderr, reason = "progress for the person who typed it")]
pub(crate) fn say(text: &str) {
    eprintln!("{text}");
}

#[allow(clippy::print_stdout, reason = "the table is what was asked for")]
fn print(text: &str) {
    println!("{text}");
}
