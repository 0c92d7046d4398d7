//! `status`: sources, runs, findings and the daemon at a glance.
//! It must never read well when something is wrong: notices come first.

use provost_model::{Severity, Time};
use serde::Serialize;

use super::{CliError, Exit, Screen, sources::SourceRow};
use crate::output::{Row as _, age};

/// The state of everything.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Status {
    /// The daemon, if one runs.
    pub daemon: Option<Daemon>,
    /// Where the inventory is.
    pub store: String,
    /// Bytes it takes.
    pub store_bytes: u64,
    /// Bytes free on its disk; none where it lies on another machine's.
    pub free_bytes: Option<u64>,
    /// Records present.
    pub records: u64,
    /// Open findings by severity, the worst first.
    pub findings: Vec<(Severity, u64)>,
    /// What somebody should know at once: too little space, distrusted clock, held runs.
    pub notices: Vec<String>,
    /// Every source.
    pub sources: Vec<SourceRow>,
    /// Runs in progress.
    pub running: Vec<RunningRow>,
}

/// The daemon that answers.
#[derive(Clone, Debug, Serialize)]
pub struct Daemon {
    /// Its version.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// Since when it runs.
    pub since: Time,
}

/// One run in progress.
#[derive(Clone, Debug, Serialize)]
pub struct RunningRow {
    /// The source.
    pub source: String,
    /// When it began.
    pub started: Time,
    /// How far it is.
    pub done: u64,
    /// Of how many, if known.
    pub total: Option<u64>,
    /// Of what.
    pub of: String,
}

/// Shows the state of everything.
pub fn show(status: &Status, screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    if !screen.is_table() {
        screen.value(status)?;
        return Ok(Exit::Done);
    }
    let now = screen.look.now;
    for notice in &status.notices {
        screen.line(&format!("! {notice}"))?;
    }
    let daemon = match &status.daemon {
        Some(it) => format!("version {}, pid {}, since {}", it.version, it.pid, age::since(it.since, now)),
        None => "none runs; this is read from the store".to_owned(),
    };
    let free = status.free_bytes.map(|free| format!(", {} free", bytes(free))).unwrap_or_default();
    let findings: Vec<String> = status.findings.iter().map(|(severity, count)| format!("{count} {severity}")).collect();
    screen.pairs(&[
        ("daemon", daemon),
        ("store", format!("{}, {}{free}", status.store, bytes(status.store_bytes))),
        ("records", status.records.to_string()),
        ("findings", if findings.is_empty() { "none".to_owned() } else { findings.join(", ") }),
    ])?;
    let running = status.running.iter().map(|run| {
        let far = match run.total {
            Some(total) => format!("{} of {total} {}", run.done, run.of),
            None => format!("{} {}", run.done, run.of),
        };
        vec![run.source.clone().into(), age::since(run.started, now).into(), far.into()]
    });
    screen.section("Running", &["source", "for", "so far"], running.collect())?;
    let rows = status.sources.iter().map(|source| source.cells(now)).collect();
    screen.section("Sources", SourceRow::HEADINGS, rows)?;
    for source in &status.sources {
        source.notes.iter().try_for_each(|note| screen.line(&format!("{}: {note}", source.name)))?;
    }
    Ok(Exit::Done)
}

/// An amount of space as people say it.
pub fn bytes(bytes: u64) -> String {
    let units = [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match units.into_iter().find(|(_, size)| bytes >= *size) {
        Some((unit, size)) => format!("{}.{} {unit}", bytes / size, bytes % size * 10 / size),
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use provost_model::{Outcome, Span};

    use super::*;
    use crate::{
        cli::{screen::fake::written, sources::samples::source},
        output::{Format, inventory::samples::NOW},
    };

    #[test]
    fn notices_come_first_and_everything_fits() {
        let status = Status {
            daemon: Some(Daemon { version: "0.1.0".into(), pid: 42, since: NOW - Span::days(2) }),
            store: "/var/lib/provost".into(),
            store_bytes: 3 << 20,
            free_bytes: Some(17 << 30),
            records: 1234,
            findings: vec![(Severity::Critical, 1), (Severity::Low, 30)],
            notices: vec!["aws-prod: 300 absences are held back; `provost sources release aws-prod --reason …`".into()],
            sources: vec![source(Outcome::Held)],
            running: vec![RunningRow {
                source: "this-host".into(),
                started: NOW - Span::seconds(90),
                done: 10,
                total: Some(20),
                of: "files".into(),
            }],
        };
        let (out, _) = written(Format::Table, |screen| {
            show(&status, screen).unwrap();
        });
        assert!(out.lines().all(|line| line.chars().count() <= 100), "{out}");
        insta::assert_snapshot!(out, @r#"
    ! aws-prod: 300 absences are held back; `provost sources release aws-prod --reason …`
    daemon    version 0.1.0, pid 42, since 2 d
    store     /var/lib/provost, 3.0 MiB, 17.0 GiB free
    records   1234
    findings  1 critical, 30 low

    Running
    SOURCE     FOR    SO FAR
    this-host  1 min  10 of 20 files

    Sources
    NAME      CONNECTOR  REALM             RECORDS  LAST RUN  OUTCOME  COMPLETE  NEXT
    aws-prod  aws        aws:123456789012  1234     2 h       held     3 d       in 4 h
    aws-prod: not seen: iam:ListAccessKeys
    "#);
    }

    #[test]
    fn space_reads_as_people_say_it() {
        for (amount, said) in [(0, "0 B"), (1536, "1.5 KiB"), (3 << 20, "3.0 MiB"), ((1 << 30) * 1000, "1000.0 GiB")] {
            assert_eq!(bytes(amount), said);
        }
    }
}
