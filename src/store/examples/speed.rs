//! What a scan's writing costs: processor time per record through the store, and through sled in several ways.
//! It must never be a test: it prints figures and asserts nothing.
//!
//! `cargo run --release -p provost-store --example speed -- DIRECTORY [RECORDS [ordered]]`: keys that ascend, as record ids do

#![allow(clippy::print_stdout, reason = "printing is all it does")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed measurement may end the program")]

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use provost_model::Time;
use provost_store::{Batch, EngineKind, Op, OpenOptions, Store, Table, memory, open};
use rustix::time::{ClockId, clock_gettime};
use sled::transaction::{ConflictableTransactionError, Transactional, TransactionalTree};

const RECORDS: Table = Table { name: "records", versioned: true };
const ALIASES: Table = Table { name: "aliases", versioned: false };
const BATCH: usize = 500;
const SIZE: usize = 430;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let dir = PathBuf::from(arguments.next().expect("a directory for the trial stores"));
    let records: usize = arguments.next().map_or(50_000, |count| count.parse().expect("a number of records"));
    println!(
        "{records} records of {SIZE} bytes in batches of {BATCH}; microseconds of processor time (and elapsed) a record"
    );
    through_store("memory", &memory(), records);
    for engine in EngineKind::ALL {
        through_engine(&dir.join(format!("store-{}", engine.name())), engine, records);
    }
    for way in [Way::Transaction, Way::BatchInTransaction, Way::BatchPerTree, Way::Inserts] {
        through_sled(&dir.join(format!("{way:?}")), way, records);
    }
}

/// Through the store with an engine: what it costs, the room and the memory it takes, and a rewrite.
fn through_engine(dir: &Path, engine: EngineKind, records: usize) {
    let options = OpenOptions { engine: Some(engine), ..OpenOptions::default() };
    let store = open(dir, &options).unwrap();
    through_store(engine.name(), &store, records);
    store.tidy().unwrap();
    let mebibytes = |bytes: u64| bytes as f64 / 1_048_576.0;
    println!("{:<44}{:>8.0} MiB", "  room taken", mebibytes(store.space().unwrap().used));
    println!("{:<44}{:>8.0} MiB", "  memory of the process", mebibytes(memory_taken()));
    let forgotten = store.forget_before(RECORDS, store.head().unwrap().number).unwrap();
    let live = store.compaction_needs().unwrap() / 3 * 2;
    let mut done = None;
    let cost = measured(|| done = Some(store.compact().unwrap()));
    print(&format!("{}, rewritten, {forgotten} forgotten", engine.name()), cost, records);
    let after = done.unwrap().after;
    println!("{:<44}{:>8.0} MiB, {:.0} MiB live", "  room taken then", mebibytes(after), mebibytes(live));
    println!("{:<44}{:>8.0} MiB", "  memory of the process", mebibytes(memory_taken()));
    drop(store);
    let again = measured(|| drop(open(dir, &options).unwrap()));
    println!("{:<44}{:>8.0} ms elapsed", "  opened again after an orderly close", again.1.as_secs_f64() * 1e3);
    std::fs::remove_file(dir.join("closed")).unwrap();
    let again = measured(|| drop(open(dir, &options).unwrap()));
    println!("{:<44}{:>8.0} ms elapsed", "  opened again after a crash", again.1.as_secs_f64() * 1e3);
}

/// Bytes of memory that the process has now.
fn memory_taken() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * rustix::param::page_size() as u64
}

/// A first scan, a scan that finds nothing new but last use, and one that finds everything changed.
fn through_store(name: &str, store: &dyn Store, records: usize) {
    let new = |record: usize| {
        vec![
            put(RECORDS, record, 0),
            put(ALIASES, record, 0),
            schedule(record, 0),
            Op::Append { stream: "history", value: vec![7; 40] },
        ]
    };
    let touched = |record: usize| vec![Op::Amend { table: RECORDS, key: key(record), value: value(record, 1) }];
    let changed = |record: usize| vec![put(RECORDS, record, 2), schedule(record, 2)];
    for (what, ops) in [("new", &new as &dyn Fn(usize) -> Vec<Op>), ("touched", &touched), ("changed", &changed)] {
        let cost = measured(|| {
            for first in (0..records).step_by(BATCH) {
                let ops = (first..records.min(first + BATCH)).flat_map(ops).collect();
                store.commit(Batch { at: Time::from_seconds(1), ops, ..Batch::default() }).unwrap();
            }
        });
        print(&format!("{name}, {what}"), cost, records);
    }
    let cost = measured(|| {
        for first in (0..records).step_by(BATCH) {
            let keys: Vec<_> = (first..records.min(first + BATCH)).map(key).collect();
            assert!(store.get_many(RECORDS, &keys).unwrap().iter().all(Option::is_some));
        }
    });
    print(&format!("{name}, read"), cost, records);
}

#[derive(Clone, Copy, Debug)]
enum Way {
    /// Single inserts into one transaction over two trees.
    Transaction,
    /// A batch per tree, applied inside one transaction.
    BatchInTransaction,
    /// A batch per tree: atomic in each tree only.
    BatchPerTree,
    /// No atomicity.
    Inserts,
}

/// Two entries a record, straight into sled.
fn through_sled(dir: &Path, way: Way, records: usize) {
    let db = sled::Config::new().path(dir).cache_capacity(32 << 20).open().unwrap();
    let trees = [db.open_tree("records").unwrap(), db.open_tree("aliases").unwrap()];
    for round in 0..2 {
        let cost = measured(|| {
            for first in (0..records).step_by(BATCH) {
                write(
                    &trees,
                    way,
                    (first..records.min(first + BATCH)).map(|record| (key(record), value(record, round))).collect(),
                );
                db.flush().unwrap();
            }
        });
        print(&format!("bare sled, {way:?}, {}", if round == 0 { "new" } else { "changed" }), cost, records);
    }
}

fn write(trees: &[sled::Tree; 2], way: Way, pairs: Vec<(Vec<u8>, Vec<u8>)>) {
    let batch = || {
        let mut batch = sled::Batch::default();
        pairs.iter().for_each(|(key, value)| batch.insert(key.as_slice(), value.as_slice()));
        batch
    };
    type Aborted = ConflictableTransactionError<()>;
    match way {
        Way::Transaction => trees
            .as_slice()
            .transaction(|views: &Vec<TransactionalTree>| {
                for (key, value) in &pairs {
                    for view in views {
                        view.insert(key.as_slice(), value.as_slice())?;
                    }
                }
                Ok::<(), Aborted>(())
            })
            .unwrap(),
        Way::BatchInTransaction => trees
            .as_slice()
            .transaction(|views: &Vec<TransactionalTree>| {
                let batch = batch();
                views.iter().try_for_each(|view| view.apply_batch(&batch))?;
                Ok::<(), Aborted>(())
            })
            .unwrap(),
        Way::BatchPerTree => trees.iter().for_each(|tree| tree.apply_batch(batch()).unwrap()),
        Way::Inserts => trees.iter().for_each(|tree| {
            for (key, value) in &pairs {
                tree.insert(key, value.as_slice()).unwrap();
            }
        }),
    }
}

fn put(table: Table, record: usize, round: usize) -> Op {
    Op::Put { table, key: key(record), value: if table == RECORDS { value(record, round) } else { vec![1; 16] } }
}

fn schedule(record: usize, round: usize) -> Op {
    let at = Time::from_seconds((record % 90 * 86_400 + round) as i64);
    Op::Schedule { queue: "due", item: key(record), at }
}

/// Sixteen bytes, in no order unless asked for.
fn key(record: usize) -> Vec<u8> {
    if std::env::args().nth(3).is_some_and(|word| word == "ordered") {
        return [[0; 8], (record as u64).to_be_bytes()].concat();
    }
    let mixed = (record as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    [mixed.to_be_bytes(), (record as u64).to_be_bytes()].concat()
}

fn value(record: usize, round: usize) -> Vec<u8> {
    (0..SIZE).map(|place| (place * 31 + record * 7 + round) as u8).collect()
}

fn measured(work: impl FnOnce()) -> (Duration, Duration) {
    let (cpu, begun) = (clock_gettime(ClockId::ProcessCPUTime), Instant::now());
    work();
    let spent = clock_gettime(ClockId::ProcessCPUTime);
    let nanos = (spent.tv_sec - cpu.tv_sec) * 1_000_000_000 + (spent.tv_nsec - cpu.tv_nsec);
    (Duration::from_nanos(nanos.cast_unsigned()), begun.elapsed())
}

fn print(what: &str, (cpu, elapsed): (Duration, Duration), records: usize) {
    let each = |time: Duration| time.as_secs_f64() * 1e6 / records as f64;
    println!("{what:<44}{:>8.1} us ({:.1})", each(cpu), each(elapsed));
}
