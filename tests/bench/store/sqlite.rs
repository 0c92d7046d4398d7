//! The yardstick: the same inventory in SQLite, with the same rows, indexes and former versions, as somebody would write it
//! who knows SQLite. It must never be spared a row that the store writes, nor be held back by one that it does not.

use std::{path::Path, sync::mpsc, thread};

use anyhow::{Context as _, Result, anyhow};
use provost_model::{Entity, Record, ScopeNo, Time, What};
use provost_store::codec;
use rusqlite::{CachedStatement, Connection, OptionalExtension as _, params};

use crate::{
    estate::{DAWN, Estate},
    rows::{self, Rows},
};

/// Records of one transaction.
const A_TRANSACTION: u64 = 1_000;
/// Memory for pages from which on its journal may be as long.
const LARGE: u64 = 64 << 20;
/// Records between two words about how far it is.
pub(crate) const A_STEP: u64 = 100_000;
/// Entities handed over at a time.
const BATCH: usize = 400;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS records (id BLOB PRIMARY KEY, commit_no INTEGER NOT NULL, recorded INTEGER NOT NULL,
    value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS records_past (id BLOB, commit_no INTEGER, recorded INTEGER NOT NULL, value BLOB NOT NULL,
    PRIMARY KEY (id, commit_no)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS keys (digest BLOB PRIMARY KEY, id BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS places (scope INTEGER, part INTEGER, id BLOB, standing INTEGER NOT NULL,
    PRIMARY KEY (scope, part, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ties (digest BLOB, id BLOB, PRIMARY KEY (digest, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS marks (digest BLOB, id BLOB, PRIMARY KEY (digest, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS links (digest BLOB, id BLOB, PRIMARY KEY (digest, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS commits (number INTEGER PRIMARY KEY, at INTEGER NOT NULL);";

/// The inventory in SQLite.
pub(crate) struct Sqlite {
    connection: Connection,
    commits: i64,
}

impl Sqlite {
    /// Opens or makes it, with so many bytes for pages.
    pub(crate) fn open(directory: &Path, cache: u64) -> Result<Self> {
        std::fs::create_dir_all(directory)?;
        let connection = Connection::open(directory.join("inventory.sqlite"))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "cache_size", -i64::try_from(cache >> 10)?)?;
        if cache > LARGE {
            // Whoever gives it so much would not let it write back a few pages at a time.
            connection.pragma_update(None, "wal_autocheckpoint", i64::try_from(cache >> 12)?)?;
        }
        connection.execute_batch(SCHEMA)?;
        connection.set_prepared_statement_cache_capacity(32);
        let commits = connection.query_row("SELECT coalesce(max(number), 0) FROM commits", [], |row| row.get(0))?;
        Ok(Self { connection, commits })
    }

    /// Takes in everything the estate shows, or as much as `on` lets it, which is told the number at every hundred thousand;
    /// gives the number of records shown, and of those written.
    pub(crate) fn look(&mut self, estate: Estate, on: &mut dyn FnMut(u64) -> bool) -> Result<(u64, u64)> {
        let (mut shown, mut written, mut open) = (0_u64, 0_u64, false);
        let now = DAWN + provost_model::Span::days(i64::try_from(estate.day)?);
        // What is shown is made on another thread, as a connector's is.
        let (out, batches) = mpsc::sync_channel::<(ScopeNo, Vec<Entity>)>(2);
        let showing = thread::spawn(move || show(estate, &out));
        'all: for (scope, batch) in batches {
            for entity in batch {
                if !open {
                    self.begin(now)?;
                    open = true;
                }
                written += u64::from(self.see(entity, scope, now)?);
                shown += 1;
                if shown % A_TRANSACTION == 0 {
                    self.connection.execute_batch("COMMIT")?;
                    open = false;
                }
                if shown % A_STEP == 0 && !on(shown) {
                    break 'all;
                }
            }
        }
        if open {
            self.connection.execute_batch("COMMIT")?;
        }
        showing.join().map_err(|_| anyhow!("showing the estate panicked"))?;
        Ok((shown, written))
    }

    /// Puts everything into the file and closes it.
    pub(crate) fn close(self) -> Result<()> {
        self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        self.connection.close().map_err(|(_, error)| error).context("closing SQLite")
    }

    fn begin(&mut self, now: Time) -> Result<()> {
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        self.commits += 1;
        self.cached("INSERT INTO commits VALUES (?1, ?2)")?.execute(params![self.commits, now.as_micros()])?;
        Ok(())
    }

    fn see(&self, entity: Entity, scope: ScopeNo, now: Time) -> Result<bool> {
        let names = rows::names(&entity);
        let mut known: Option<[u8; 16]> = None;
        for name in &names {
            let mut find = self.cached("SELECT id FROM keys WHERE digest = ?1")?;
            known = known.or(find.query_row([name], |row| row.get(0)).optional()?);
        }
        let Some(id) = known else {
            let change = rows::seen(None, entity, scope, now)?.context("a new record changes nothing")?;
            self.appear(&Rows::of(&change.after, scope, names)?, now)?;
            return Ok(true);
        };
        let before = self.record(id)?;
        match rows::seen(Some(&before), entity, scope, now)? {
            Some(change) => {
                // Names, places, ties and marks stay what they are when an attribute changes.
                assert!(matches!(change.what, What::Touched | What::Changed), "the estate only changes attributes");
                self.replace(id, &codec::record::encode(&change.after)?, now)?;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    fn record(&self, id: [u8; 16]) -> Result<Record> {
        let mut find = self.cached("SELECT value FROM records WHERE id = ?1")?;
        let value: Vec<u8> = find.query_row([id], |row| row.get(0))?;
        Ok(codec::record::decode(&value)?)
    }

    fn appear(&self, rows: &Rows, now: Time) -> Result<()> {
        let id = rows.id.as_bytes();
        let put = "INSERT INTO records VALUES (?1, ?2, ?3, ?4)";
        self.cached(put)?.execute(params![id, self.commits, now.as_micros(), rows.value])?;
        for digest in &rows.keys {
            self.cached("INSERT INTO keys VALUES (?1, ?2)")?.execute(params![digest, id])?;
        }
        let (scope, part) = rows.place;
        let part = part.0.cast_signed();
        self.cached("INSERT INTO places VALUES (?1, ?2, ?3, 1)")?.execute(params![scope.0, part, id])?;
        for digest in &rows.ties {
            self.cached("INSERT INTO ties VALUES (?1, ?2)")?.execute(params![digest, id])?;
        }
        for digest in &rows.marks {
            self.cached("INSERT INTO marks VALUES (?1, ?2)")?.execute(params![digest, id])?;
        }
        for digest in &rows.links {
            self.cached("INSERT INTO links VALUES (?1, ?2)")?.execute(params![digest, id])?;
        }
        Ok(())
    }

    fn replace(&self, id: [u8; 16], value: &[u8], now: Time) -> Result<()> {
        self.cached("INSERT INTO records_past SELECT * FROM records WHERE id = ?1")?.execute([id])?;
        let put = "UPDATE records SET commit_no = ?2, recorded = ?3, value = ?4 WHERE id = ?1";
        self.cached(put)?.execute(params![id, self.commits, now.as_micros(), value])?;
        Ok(())
    }

    fn cached(&self, sql: &str) -> Result<CachedStatement<'_>> {
        Ok(self.connection.prepare_cached(sql)?)
    }
}

/// Hands the estate over, scope by scope, in batches.
pub(crate) fn show(estate: Estate, out: &mpsc::SyncSender<(ScopeNo, Vec<Entity>)>) {
    let mut scope = 0;
    for source in 0..u64::try_from(estate.sources().len()).unwrap_or(0) {
        for part in estate.parts(source) {
            scope += 1;
            let mut entities = estate.entities(&part).peekable();
            while entities.peek().is_some() {
                let batch = entities.by_ref().take(BATCH).collect();
                if out.send((ScopeNo(scope), batch)).is_err() {
                    return;
                }
            }
        }
    }
}
