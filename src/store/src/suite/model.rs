//! Random batches on a store and on a naive model of it: both must always say the same.
//! It must never share code with what it tests.

use std::collections::BTreeMap;

use proptest::prelude::*;
use provost_model::Time;
use tempfile::TempDir;

use super::{PLAIN, ROWS};
use crate::{Batch, CommitNo, EngineKind, Go, KeyRange, Op, OpenOptions, Row, Store, Table, memory, open};

/// What a store must answer, kept the simplest way: every state after every commit.
#[derive(Default)]
struct Naive {
    at: i64,
    past: Vec<Rows>,
    now: Rows,
    plain: BTreeMap<Vec<u8>, Vec<u8>>,
    due: BTreeMap<Vec<u8>, i64>,
    stream: Vec<Vec<u8>>,
}

type Rows = BTreeMap<Vec<u8>, (u64, i64, Vec<u8>)>;

impl Naive {
    /// Does a batch, or nothing.
    fn commit(&mut self, batch: &Batch) -> bool {
        let (number, at) = (self.past.len() as u64 + 1, self.at.max(batch.at.as_micros()));
        let (mut now, mut past) = (self.now.clone(), self.past.clone());
        let (mut plain, mut due, mut stream) = (self.plain.clone(), self.due.clone(), self.stream.clone());
        for op in batch.ops.iter().cloned() {
            match op {
                Op::Put { table, key, value } if table == ROWS => drop(now.insert(key, (number, at, value))),
                Op::Put { key, value, .. } => drop(plain.insert(key, value)),
                Op::Amend { table, key, value } if table == ROWS => match now.get_mut(&key) {
                    Some(row) => {
                        // It reaches back to every state since the row was put.
                        let states = past.iter_mut().filter_map(|state: &mut Rows| state.get_mut(&key));
                        states.filter(|before| before.0 == row.0).for_each(|before| before.2.clone_from(&value));
                        row.2 = value;
                    }
                    None => return false,
                },
                Op::Amend { key, value, .. } => match plain.get_mut(&key) {
                    Some(row) => *row = value,
                    None => return false,
                },
                Op::Delete { table, key } if table == ROWS => drop(now.remove(&key)),
                Op::Delete { key, .. } => drop(plain.remove(&key)),
                Op::Append { value, .. } => stream.push(value),
                Op::Schedule { item, at, .. } => drop(due.insert(item, at.as_micros())),
                Op::Unschedule { item, .. } => drop(due.remove(&item)),
            }
        }
        (self.at, self.plain, self.due, self.stream) = (at, plain, due, stream);
        past.push(now.clone());
        (self.now, self.past) = (now, past);
        true
    }

    fn at(&self, commit: u64) -> Rows {
        commit.checked_sub(1).and_then(|at| self.past.get(at as usize)).cloned().unwrap_or_default()
    }
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(0_u8..3, 0..3)
}

fn op() -> impl Strategy<Value = Op> {
    let value = || proptest::collection::vec(any::<u8>(), 0..5);
    let table = || prop_oneof![3 => Just(ROWS), 1 => Just(PLAIN)];
    prop_oneof![
        6 => (table(), key(), value()).prop_map(|(table, key, value)| Op::Put { table, key, value }),
        1 => (table(), key(), value()).prop_map(|(table, key, value)| Op::Amend { table, key, value }),
        3 => (table(), key()).prop_map(|(table, key)| Op::Delete { table, key }),
        1 => value().prop_map(|value| Op::Append { stream: "s", value }),
        2 => (key(), -9_i64..9).prop_map(|(item, at)| Op::Schedule { queue: "q", item, at: Time::from_micros(at) }),
        1 => key().prop_map(|item| Op::Unschedule { queue: "q", item }),
    ]
}

pub(super) fn batches() -> impl Strategy<Value = Vec<Batch>> {
    let batch = (0_i64..20, proptest::collection::vec(op(), 0..8));
    let batch = batch.prop_map(|(at, ops)| Batch { at: Time::from_micros(at), ops, ..Batch::default() });
    proptest::collection::vec(batch, 1..12)
}

fn rows(store: &dyn Store, table: Table, at: Option<u64>) -> Rows {
    let mut found = Rows::new();
    let mut note = |key: &[u8], row: Row| {
        found.insert(key.to_vec(), (row.commit.0, row.recorded.as_micros(), row.value.unwrap()));
        Ok(Go::On)
    };
    store.scan(table, &KeyRange::all(), at.map(CommitNo), &mut note).unwrap();
    found
}

fn agree(store: &dyn Store, batches: &[Batch]) {
    let mut naive = Naive::default();
    for (turn, batch) in batches.iter().enumerate() {
        if turn % 3 == 2 {
            // Of some rows everything, of others what is older; the model knows nothing of it.
            let keys: BTreeMap<_, _> =
                naive.past.iter().flatten().map(|(key, row)| (key.clone(), CommitNo(row.0))).collect();
            store.pack(ROWS, &keys.into_iter().collect::<Vec<_>>()).unwrap();
        }
        assert_eq!(store.commit(batch.clone()).is_ok(), naive.commit(batch));
        assert_eq!(store.head().unwrap().number.0, naive.past.len() as u64);
        assert_eq!(store.head().unwrap().at.as_micros(), naive.at);
    }
    assert_eq!(rows(store, ROWS, None), naive.now);
    for at in 0..=naive.past.len() as u64 {
        let expected = naive.at(at);
        assert_eq!(rows(store, ROWS, Some(at)), expected, "at commit {at}");
        for (key, row) in &expected {
            let found = store.get(ROWS, key, Some(CommitNo(at))).unwrap().unwrap();
            assert_eq!((found.commit.0, found.value.as_ref()), (row.0, Some(&row.2)));
        }
    }
    let plain: BTreeMap<_, _> = rows(store, PLAIN, None).into_iter().map(|(key, row)| (key, row.2)).collect();
    assert_eq!(plain, naive.plain);
    let mut expected: Vec<_> = naive.due.iter().map(|(item, at)| (Time::from_micros(*at), item.clone())).collect();
    expected.sort();
    assert_eq!(store.due("q", Time::from_micros(9), 99).unwrap(), expected);
    let stream: Vec<_> = store.entries("s", 1, 999).unwrap().into_iter().map(|entry| entry.value).collect();
    assert_eq!(stream, naive.stream);
}

proptest! {
    #[test]
    fn memory_agrees_with_the_naive_model(batches in batches()) {
        agree(&memory(), &batches);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn the_engines_agree_with_the_naive_model(
        batches in batches(), journal in 0_usize..2_000, engine in proptest::sample::select(EngineKind::ALL.to_vec()),
    ) {
        // A journal so small that it is put in place every few batches, while later ones are read above it.
        let dir = TempDir::new().unwrap();
        let options = OpenOptions { journal, cache: 4 << 20, engine: Some(engine), ..OpenOptions::default() };
        agree(&open(dir.path(), &options).unwrap(), &batches);
    }
}

#[test]
fn a_database_agrees_with_the_naive_model() {
    let Some(server) = super::server::shared() else { return };
    let config = ProptestConfig::with_cases(24);
    proptest::test_runner::TestRunner::new(config)
        .run(&batches(), |batches| {
            agree(&super::in_database(&server.fresh()), &batches);
            Ok(())
        })
        .unwrap();
}
