//! A process that writes is killed at random moments: what it was told is durable is there, and no half batch is.
//! It must never close the store in order before the kill.

use std::{
    io::{BufRead, BufReader, Lines, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
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

pub(super) fn opened(dir: &Path, engine: EngineKind, journal: usize) -> Embedded<Journaled> {
    let wait = Duration::from_secs(30);
    let options = OpenOptions { wait, journal, engine: Some(engine), cache: 4 << 20, ..OpenOptions::default() };
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
    assert_eq!(store.check().unwrap().faults, [""; 0], "engine and segments agree");
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
    let killed = told();
    let batches = if killed.is_some() { usize::MAX } else { 3 };
    let (dir, engine, journal) = killed.unwrap_or((spare.path().to_owned(), EngineKind::Sled, JOURNALS[0]));
    let store = opened(&dir, engine, journal);
    (0..batches).for_each(|_| write_aloud(&store));
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

/// How often a process is to be killed.
pub(super) fn rounds() -> u64 {
    std::env::var(ROUNDS_SAID).map_or(ROUNDS, |rounds| rounds.parse().unwrap())
}

/// Where a kill hits sled once in some hundred: while it writes the snapshot of its page table.
#[test]
fn a_snapshot_of_sled_that_was_being_written_is_passed_over() {
    let dir = TempDir::new().unwrap();
    (0..3).for_each(|_| {
        write(&opened(dir.path(), EngineKind::Sled, JOURNALS[1]));
    });
    let within = dir.path().join(EngineKind::Sled.name());
    let is_snapshot = |name: &str| name.starts_with("snap.");
    let names = std::fs::read_dir(&within).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let whole = std::fs::read(within.join(names.into_iter().find(|name| is_snapshot(name)).unwrap())).unwrap();
    for length in [0, 1, whole.len() / 2, whole.len()] {
        // A crash leaves no note of an orderly close.
        std::fs::remove_file(dir.path().join(crate::whole::CLOSED)).unwrap();
        let half = within.join("snap.00FFFFFFFFFFFFFF.generating");
        std::fs::write(&half, whole.get(..length).unwrap()).unwrap();
        let store = opened(dir.path(), EngineKind::Sled, JOURNALS[1]);
        check(&store);
        assert!(!half.exists());
    }
}

fn survives_kills(engine: EngineKind) {
    let rounds = rounds();
    let dir = TempDir::new().unwrap();
    let test = "suite::kills::a_writer_that_is_not_killed_leaves_whole_batches";
    let (mut dice, mut before) = (Dice::default(), 0);
    for (round, journal) in (0..rounds).zip(JOURNALS.into_iter().cycle()) {
        let mut writer = Writer::start(test, dir.path(), engine, journal);
        // Every fourth is killed wherever it is: opening, rehearsing, or before its first batch is durable.
        if round % 4 != 0 {
            writer.says("acknowledged");
        }
        let last = writer.killed_after(dice.micros(60_000)).unwrap_or(before);
        let store = opened(dir.path(), engine, journal);
        let head = store.head().unwrap().number.0;
        assert!(head == last || head == last + 1, "round {round}: {last} was acknowledged, {head} is there");
        check(&store);
        before = head;
    }
}

/// A process that runs one of these tests, and tells what was acknowledged to it.
pub(super) struct Writer {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
    last: Option<u64>,
}

impl Writer {
    pub(super) fn start(test: &str, dir: &Path, engine: EngineKind, journal: usize) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .envs([(DIR, dir.to_str().unwrap()), (ENGINE, engine.name()), (JOURNAL, &journal.to_string())])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines, last: None }
    }

    /// Waits until it says a word; what it says was acknowledged before is remembered. `false` if it ended.
    pub(super) fn says(&mut self, word: &str) -> bool {
        for line in self.lines.by_ref().map_while(Result::ok) {
            if let Some(number) = line.strip_prefix("acknowledged ") {
                self.last = number.parse().ok().or(self.last);
            }
            if line.starts_with(word) {
                return true;
            }
        }
        false
    }

    /// Kills it after that time; the last batch that was acknowledged to it.
    pub(super) fn killed_after(mut self, wait: Duration) -> Option<u64> {
        std::thread::sleep(wait);
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        while self.says("acknowledged") {}
        self.last
    }
}

/// What the process that is to be killed was told: where, which engine, how large a journal.
pub(super) fn told() -> Option<(PathBuf, EngineKind, usize)> {
    let said = |name: &str| std::env::var(name).ok();
    Some((PathBuf::from(said(DIR)?), EngineKind::named(&said(ENGINE)?)?, said(JOURNAL)?.parse().ok()?))
}

/// Writes a batch and says so.
pub(super) fn write_aloud(store: &dyn Store) {
    let number = write(store);
    say(&format!("acknowledged {number}"));
}

/// Says something on a line of its own.
pub(super) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{line}").and_then(|()| out.flush()).unwrap();
}

/// Moments that look random and are the same in every run.
pub(super) struct Dice(u64);

impl Default for Dice {
    fn default() -> Self {
        Self(0x9e37_79b9)
    }
}

impl Dice {
    pub(super) fn micros(&mut self, below: u64) -> Duration {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Duration::from_micros((self.0 >> 33) % below)
    }
}
