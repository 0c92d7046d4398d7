//! The contract as tests, the same for every back end.
//! It must never know which back end it runs on, but for what only a disk can do.

mod apart;
mod backups;
mod database;
mod kills;
mod laws;
mod model;
#[path = "../../../tests/stores/old.rs"]
mod old;
mod proxy;
mod refusals;
mod rewrites;
mod rollback;
mod segments;
#[path = "../../../tests/servers/postgres.rs"]
pub(crate) mod server;
mod steps;
mod timely;

use std::{sync::Arc, time::Duration};

use provost_model::Time;
use tempfile::TempDir;

use crate::{
    Batch, CommitNo, Embedded, EngineKind, Head, Journaled, Memory, Op, OpenOptions, Postgres, PostgresOptions, Store,
    Table, memory, open,
};

pub(crate) const ROWS: Table = Table { name: "things", versioned: true };
pub(crate) const PLAIN: Table = Table { name: "plain", versioned: false };

/// Runs a law on a fresh store of every back end.
pub(crate) fn on_each(law: impl Fn(&dyn Store)) {
    law(&memory());
    // A journal of one byte is put in place before every write; one of 4 KiB, now and then.
    for bound in [1, 4096] {
        let dir = TempDir::new().unwrap();
        let journaled = Journaled::open(Arc::new(Memory::default()), dir.path(), bound, None).unwrap();
        law(&Embedded::at(journaled, Head::default()));
    }
    for engine in EngineKind::ALL {
        let dir = TempDir::new().unwrap();
        law(&on_disk(&dir, engine));
    }
    if let Some(server) = server::shared() {
        law(&in_database(&server.fresh()));
    }
}

/// A store in a database, on the clock that the laws give.
pub(crate) fn in_database(url: &str) -> Postgres {
    Postgres::open(url, PostgresOptions::default()).unwrap_or_else(|error| panic!("{error}")).on_given_time()
}

pub(crate) fn on_disk(dir: &TempDir, engine: EngineKind) -> Embedded<Journaled> {
    let wait = Duration::from_secs(10);
    let options =
        OpenOptions { cache: 4 << 20, journal: 64 << 10, wait, engine: Some(engine), ..OpenOptions::default() };
    open(dir.path(), &options).unwrap()
}

pub(crate) fn batch(at: i64, ops: impl IntoIterator<Item = Op>) -> Batch {
    Batch { at: Time::from_seconds(at), ops: ops.into_iter().collect(), ..Batch::default() }
}

pub(crate) fn commit(store: &dyn Store, at: i64, ops: impl IntoIterator<Item = Op>) -> CommitNo {
    store.commit(batch(at, ops)).unwrap().number
}

pub(crate) fn put(table: Table, key: &str, value: &str) -> Op {
    Op::Put { table, key: key.into(), value: value.into() }
}

pub(crate) fn amend(table: Table, key: &str, value: &str) -> Op {
    Op::Amend { table, key: key.into(), value: value.into() }
}

pub(crate) fn delete(table: Table, key: &str) -> Op {
    Op::Delete { table, key: key.into() }
}

pub(crate) fn read(store: &dyn Store, table: Table, key: &str, at: Option<u64>) -> Option<String> {
    let row = store.get(table, key.as_bytes(), at.map(CommitNo)).unwrap()?;
    Some(String::from_utf8(row.value.unwrap()).unwrap())
}
