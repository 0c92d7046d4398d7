//! A process that writes is killed at random moments: what it was told is durable is there, and no half batch is.
//! It must never close the store in order before the kill.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use provost_model::Time;
use tempfile::TempDir;

use super::{PLAIN, ROWS, batch, put};
use crate::{CommitNo, Embedded, EngineKind, Go, Journaled, KeyRange, Op, OpenOptions, Store, Table, open};

/// How often a process is killed, unless the environment says otherwise.
const ROUNDS: u64 = 25;
const ROUNDS_SAID: &str = "PROVOST_KILLS";
const WIDTH: u64 = 60;
/// Names the directory, the engine and the size of the journal to the process that is to be killed.
const DIR: &str = "PROVOST_STORE_KILLED_IN";
const ENGINE: &str = "PROVOST_STORE_ENGINE";
const JOURNAL: &str = "PROVOST_STORE_JOURNAL";
/// Journals so small that they are put in place every few batches, and one that is before every batch.
const JOURNALS: [usize; 3] = [128 << 10, 1, 32 << 10];

fn opened(dir: &Path, engine: EngineKind, journal: usize) -> Embedded<Journaled> {
    let wait = Duration::from_secs(30);
    let options = OpenOptions { wait, journal, engine: Some(engine), cache: 4 << 20 };
    open(dir, &options).unwrap_or_else(|error| panic!("{error}"))
}

/// Writes one batch over every shape there is; each of its parts tells the number of its commit.
pub(super) fn write(store: &dyn Store) -> u64 {
    let number = store.head().unwrap().number.0 + 1;
    let value = format!("{number} {}", "x".repeat(200));
    let mut ops = vec![Op::Append { stream: "s", value: value.clone().into() }];
    for row in 0..WIDTH {
        let item = format!("{row}").into_bytes();
        ops.extend([put(ROWS, &format!("{row}"), &value), put(PLAIN, &format!("{row}"), &value)]);
        ops.push(Op::Schedule { queue: "q", item, at: Time::from_micros(number.cast_signed()) });
    }
    store.commit(batch(number.cast_signed(), ops)).unwrap().number.0
}

/// Whether everything in a store is of one commit, and the past is whole.
pub(super) fn check(store: &dyn Store) {
    let head = store.head().unwrap().number.0;
    let told =
        |value: Option<Vec<u8>>| String::from_utf8(value.unwrap()).unwrap().split(' ').next().unwrap().to_owned();
    let all_of = |table: Table, at: u64| {
        let mut seen = 0;
        let mut each = |_: &[u8], row: crate::Row| {
            assert_eq!(told(row.value), at.to_string());
            seen += 1;
            Ok(Go::On)
        };
        store.scan(table, &KeyRange::all(), Some(CommitNo(at)), &mut each).unwrap();
        assert_eq!(seen, if at == 0 { 0 } else { WIDTH }, "at commit {at} of {head}");
    };
    all_of(PLAIN, head);
    (head.saturating_sub(3)..=head).for_each(|at| all_of(ROWS, at));
    let due = store.due("q", Time::from_micros(i64::MAX), 9_999).unwrap();
    assert!(due.iter().all(|(at, _)| at.as_micros().cast_unsigned() == head));
    assert_eq!(due.len() as u64, if head == 0 { 0 } else { WIDTH });
    let entries = store.entries("s", 1, usize::MAX).unwrap();
    assert_eq!(entries.len() as u64, head);
    let mut before = [0; 32];
    for entry in entries {
        before = crate::embedded::streams::chained(&before, entry.sequence, &entry.value);
        assert_eq!(entry.hash, before);
    }
}

/// The process that is killed runs this test with a directory; by itself it writes a few batches and is not killed.
#[test]
fn a_writer_that_is_not_killed_leaves_whole_batches() {
    let spare = TempDir::new().unwrap();
    let said = |name: &str| std::env::var(name).ok();
    let dir = said(DIR);
    let engine = said(ENGINE).and_then(|name| EngineKind::named(&name)).unwrap_or_default();
    let journal = said(JOURNAL).and_then(|bytes| bytes.parse().ok()).unwrap_or(JOURNALS[0]);
    let store = opened(dir.as_deref().map_or(spare.path(), Path::new), engine, journal);
    for _ in 0..dir.map_or(3, |_| u64::MAX) {
        let number = write(&store);
        let mut out = std::io::stdout().lock();
        writeln!(out, "\nacknowledged {number}").and_then(|()| out.flush()).unwrap();
    }
    check(&store);
}

#[test]
fn whatever_sled_acknowledged_survives_a_kill_whole() {
    survives_kills(EngineKind::Sled);
}

#[test]
fn whatever_redb_acknowledged_survives_a_kill_whole() {
    survives_kills(EngineKind::Redb);
}

fn survives_kills(engine: EngineKind) {
    let rounds = std::env::var(ROUNDS_SAID).map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let dir = TempDir::new().unwrap();
    let (mut dice, mut before) = (0x9e37_79b9_u64, 0);
    for (round, journal) in (0..rounds).zip(JOURNALS.into_iter().cycle()) {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "suite::kills::a_writer_that_is_not_killed_leaves_whole_batches", "--nocapture"])
            .envs([(DIR, dir.path().to_str().unwrap()), (ENGINE, engine.name()), (JOURNAL, &journal.to_string())])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let number = |line: &String| line.strip_prefix("acknowledged ").and_then(|number| number.parse::<u64>().ok());
        // Every fourth is killed wherever it is: opening, rehearsing, or before its first batch is durable.
        let first = if round % 4 == 0 { before } else { lines.by_ref().find_map(|line| number(&line)).unwrap() };
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(Duration::from_micros((dice >> 33) % 60_000));
        child.kill().unwrap();
        child.wait().unwrap();
        let last = lines.filter_map(|line| number(&line)).last().unwrap_or(first);
        let store = opened(dir.path(), engine, journal);
        let head = store.head().unwrap().number.0;
        assert!(head == last || head == last + 1, "round {round}: {last} was acknowledged, {head} is there");
        check(&store);
        before = head;
    }
}
