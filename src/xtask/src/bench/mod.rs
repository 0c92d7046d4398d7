//! Measures the program against a deterministic endpoint that counts calls and knows the truth.
//! It must never assert: it prints one table, with machine, date and commit.

mod beside;
mod endpoint;
mod program;
mod truth;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use self::{beside::Beside, program::Took};
pub(crate) use self::{endpoint::Endpoint, program::Program};
use crate::{say, tools};

/// What findings about users, roles, groups, policies and keys rest on: who looks, the credential report, the details of
/// authorization. They stand before the lists of what else there is (certificates, providers) and before any user is asked for.
const BULK: [&str; 4] =
    ["GetCallerIdentity", "GenerateCredentialReport", "GetCredentialReport", "GetAccountAuthorizationDetails"];

/// One line of the table.
struct Line {
    what: String,
    took: Took,
    calls: Calls,
    right: String,
}

/// What the endpoint counted.
#[derive(Clone, Copy, Debug, Default)]
struct Calls {
    total: u64,
    bulk: u64,
    listing: u64,
    sweep: u64,
    throttled: u64,
    connections: u64,
    in_flight: u64,
}

/// Makes the program to be measured, with an empty store, for an endpoint's address and at a pace.
type Start<'a> = dyn Fn(&str, &str) -> Result<Program> + 'a;

/// How often processor time is taken: on a machine that is shared one run says little.
const CPU_RUNS: usize = 5;

/// Runs `bench --endpoint DIR [--users N,N] [--engine NAME] [--beside COMMAND]`, or `bench store` with the words of that benchmark.
pub fn run(words: &[String]) -> Result<()> {
    if let Some(("store", rest)) = words.split_first().map(|(word, rest)| (word.as_str(), rest)) {
        let mut cargo = Command::new("cargo");
        cargo.args(["bench", "--quiet", "--locked", "--package", "provost", "--bench", "store", "--"]).args(rest);
        return crate::finish(cargo);
    }
    let option = |name: &str| words.iter().position(|word| word == name).and_then(|at| words.get(at + 1)).cloned();
    let Some(directory) = option("--endpoint") else {
        bail!("--endpoint DIR is missing: the directory of the endpoint's crate (a Cargo package named iamreplay)");
    };
    let sizes = option("--users").unwrap_or_else(|| "500,5000,50000".into());
    let engine = option("--engine").unwrap_or_else(|| "sled".into());
    let sizes =
        sizes.split(',').map(|it| it.parse::<u64>().context("--users takes numbers")).collect::<Result<Vec<_>>>()?;
    let endpoint = built_endpoint(&PathBuf::from(directory))?;
    let program = built_program()?;
    let start = |url: &str, pace: &str| Program::new(&program, url, pace, &engine);
    let beside = option("--beside").map(Beside::new);
    header(&engine)?;
    for users in sizes {
        for line in measure(&endpoint, &start, users)? {
            print(users, &line);
        }
        processor_time(&endpoint, &start, beside.as_ref(), users)?;
    }
    print(500, &throttled(&endpoint, &start, 500)?);
    Ok(())
}

/// Cold, warm unchanged, warm with one per cent churned, hidden keys with a sweep, pages shorter than asked for.
fn measure(binary: &Path, start: &Start<'_>, users: u64) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    {
        let endpoint = Endpoint::start(binary, users, &[])?;
        let program = start(&endpoint.url(), "full")?;
        lines.push(line("cold, full", &endpoint, program.scan(&[])?, &program)?);
        endpoint.get("/__reset?report=1")?;
        lines.push(line("warm, unchanged", &endpoint, program.scan(&[])?, &program)?);
        endpoint.get("/__churn?rotate_permille=10&use_pct=50&seed=7")?;
        endpoint.get("/__reset?report=1")?;
        lines.push(line("warm, 1 % churned", &endpoint, program.scan(&[])?, &program)?);
    }
    {
        let endpoint = Endpoint::start(binary, users, &["--report-hides-inactive", "1", "--latency-ms", "2"])?;
        let program = start(&endpoint.url(), "full")?;
        program.scan(&[])?;
        endpoint.get("/__reset?report=1")?;
        lines.push(line("hidden keys, --sweep", &endpoint, program.scan(&["--sweep"])?, &program)?);
    }
    {
        let endpoint = Endpoint::start(binary, users, &["--max-page", "37", "--latency-ms", "2"])?;
        let program = start(&endpoint.url(), "full")?;
        lines.push(line("cold, pages of 37", &endpoint, program.scan(&[])?, &program)?);
    }
    Ok(lines)
}

/// Processor time without latency, in turns with what does the same work beside it: the same machine takes half as much again from
/// one hour to the next, and only what ran in turns can be compared.
fn processor_time(binary: &Path, start: &Start<'_>, beside: Option<&Beside>, users: u64) -> Result<()> {
    let (mut ours, mut others) = (Vec::new(), Vec::new());
    for run in 1..=CPU_RUNS {
        let endpoint = Endpoint::start(binary, users, &["--latency-ms", "0"])?;
        let program = start(&endpoint.url(), "full")?;
        let line = line(&format!("cold, no latency (CPU), {run}"), &endpoint, program.scan(&[])?, &program)?;
        print(users, &line);
        ours.push(line.took.cpu);
        if let Some(beside) = beside {
            let endpoint = Endpoint::start(binary, users, &["--latency-ms", "0"])?;
            let took = beside.run(&endpoint.url())?;
            let what = format!("beside: {}, {run}", beside.name());
            print(users, &Line { what, took, calls: counted(&endpoint)?, right: "-".into() });
            others.push(took.cpu);
        }
    }
    let per_user = |seconds: f64| seconds * 1000.0 / users as f64;
    let (ours, others) = (per_user(median(ours)), per_user(median(others)));
    say(&format!("{users:<6} processor time, median: {ours:.3} ms a user"));
    if let Some(beside) = beside.filter(|_| others > 0.0) {
        say(&format!(
            "{users:<6} the same of {}: {others:.3} ms a user, the program takes {:.2} of it",
            beside.name(),
            ours / others
        ));
    }
    Ok(())
}

/// The middle one, zero of none.
fn median(mut taken: Vec<f64>) -> f64 {
    taken.sort_by(f64::total_cmp);
    taken.get(taken.len() / 2).copied().unwrap_or_default()
}

/// The default pace under fifteen calls a second for each action.
fn throttled(binary: &Path, start: &Start<'_>, users: u64) -> Result<Line> {
    let endpoint = Endpoint::start(binary, users, &["--rate", "15", "--burst", "15", "--throttle-scope", "action"])?;
    let program = start(&endpoint.url(), "shared")?;
    line("cold, shared, 15/s per action", &endpoint, program.scan(&[])?, &program)
}

fn line(what: &str, endpoint: &Endpoint, took: Took, program: &Program) -> Result<Line> {
    let calls = counted(endpoint)?;
    let right = truth::compare(&endpoint.json("/__truth")?, &program.inventory()?);
    Ok(Line { what: what.to_owned(), took, calls, right })
}

fn counted(endpoint: &Endpoint) -> Result<Calls> {
    let counted = endpoint.json("/__calls")?;
    let number = |name: &str| counted.get(name).and_then(serde_json::Value::as_u64).unwrap_or(0);
    let action =
        |name: &str| counted.pointer(&format!("/calls/{name}")).and_then(serde_json::Value::as_u64).unwrap_or(0);
    Ok(Calls {
        total: number("total"),
        bulk: BULK.into_iter().map(action).sum(),
        listing: action("ListAccessKeys"),
        sweep: action("ListSSHPublicKeys") + action("ListSigningCertificates"),
        throttled: number("throttled_total"),
        // The question after them came by one of its own.
        connections: number("connections").saturating_sub(1),
        in_flight: number("max_inflight"),
    })
}

fn header(engine: &str) -> Result<()> {
    let commit = Command::new("git").args(["rev-parse", "--short", "HEAD"]).output().context("git")?;
    let date = Command::new("date").args(["-u", "+%Y-%m-%d %H:%M UTC"]).output().context("date")?;
    let machine = std::thread::available_parallelism().map_or(0, usize::from);
    say(&format!(
        "{machine} cores, {}, commit {}, {engine}",
        String::from_utf8_lossy(&date.stdout).trim(),
        String::from_utf8_lossy(&commit.stdout).trim()
    ));
    say(
        "users  run                            exit  wall s  first s  cpu s  cpu ms/u  rss MiB  calls  /user   bulk+lists   sweep  throttled  conns  in flight  keys",
    );
    Ok(())
}

fn print(users: u64, line: &Line) {
    let Line { what, took, calls, right } = line;
    let per_user = |it: f64| it / users as f64;
    say(&format!(
        "{users:<6} {what:<30} {:<5} {:<7.2} {:<8.2} {:<6.2} {:<9.3} {:<8.1} {:<6} {:<7.4} {:<12} {:<6} {:<10} {:<6} {:<10} {right}",
        took.exit,
        took.wall,
        took.first_findings,
        took.cpu,
        per_user(took.cpu * 1000.0),
        took.peak_mib,
        calls.total,
        per_user((calls.total - calls.sweep) as f64),
        format!("{}+{}", calls.bulk, calls.total - calls.bulk - calls.listing - calls.sweep),
        calls.sweep,
        calls.throttled,
        calls.connections,
        calls.in_flight,
    ));
}

/// The endpoint, built from its crate.
pub(crate) fn built_endpoint(directory: &Path) -> Result<PathBuf> {
    let target = tools::target().join("bench");
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--release", "--quiet", "--locked", "--bin", "iamreplay", "--manifest-path"]);
    cargo.arg(directory.join("Cargo.toml")).arg("--target-dir").arg(&target);
    crate::finish(cargo)?;
    Ok(target.join("release/iamreplay"))
}

fn built_program() -> Result<PathBuf> {
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--release", "--quiet", "--locked", "--package", "provost"]);
    crate::finish(cargo)?;
    Ok(tools::target().join("release/provost"))
}
