//! Taking the store apart as of one moment, and putting one together: pages over a connection of its own.
//! It must never leave a store that was put together half-way: it is one transaction.

use sqlx::{PgConnection, Row as _, postgres::PgRow};

use super::{
    fold::{Projector, text},
    trouble::{Halt, malformed},
};
use crate::{CommitNo, Entry, Head, Piece, Row};
use provost_model::Time;

/// Pieces read at a time.
const PAGE: i64 = 1_000;

/// What is handed over, one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    Commits,
    Rows,
    Past,
    Streams,
    Due,
    Leases,
}

impl Part {
    /// In the order in which pieces come.
    pub(super) const ALL: [Self; 6] = [Self::Commits, Self::Rows, Self::Past, Self::Streams, Self::Due, Self::Leases];
}

/// A place in a part: the columns that order it.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    number: i64,
    table: i16,
    name: String,
    key: Vec<u8>,
}

impl Place {
    /// Before everything.
    pub(super) fn first() -> Self {
        Self { number: i64::MIN, table: i16::MIN, ..Self::default() }
    }
}

/// A page of pieces, and the place after which to go on.
pub(super) type Page = (Vec<Piece>, Option<Place>);

/// Begins to look at the store as it stands now.
pub(super) async fn begin(on: &mut PgConnection) -> Result<Head, Halt> {
    sqlx::raw_sql("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL idle_in_transaction_session_timeout = 0")
        .execute(&mut *on)
        .await?;
    super::read::head(on).await
}

/// The pieces of a part after a place.
pub(super) async fn page(on: &mut PgConnection, part: Part, after: Place) -> Result<Page, Halt> {
    let rows = match part {
        Part::Commits => {
            let sql = "SELECT number, at FROM store_commits WHERE number > $1 ORDER BY number LIMIT $2";
            sqlx::query(sql).bind(after.number).bind(PAGE).fetch_all(on).await?
        }
        Part::Rows => {
            let sql = "SELECT r.tbl, r.key, r.commit, r.recorded, r.value, t.name, t.versioned \
                FROM (SELECT * FROM store_rows WHERE (tbl, key) > ($1, $2) ORDER BY tbl, key LIMIT $3) AS r \
                JOIN store_tables t ON t.id = r.tbl ORDER BY r.tbl, r.key";
            sqlx::query(sql).bind(after.table).bind(&after.key).bind(PAGE).fetch_all(on).await?
        }
        Part::Past => {
            let sql = "SELECT p.tbl, p.key, p.commit, p.recorded, p.value, t.name, t.versioned FROM (SELECT * FROM \
                store_past WHERE (tbl, key, commit) > ($1, $2, $3) ORDER BY tbl, key, commit LIMIT $4) AS p \
                JOIN store_tables t ON t.id = p.tbl ORDER BY p.tbl, p.key, p.commit";
            sqlx::query(sql).bind(after.table).bind(&after.key).bind(after.number).bind(PAGE).fetch_all(on).await?
        }
        Part::Streams => {
            let sql = "SELECT stream, sequence, at, hash, value FROM store_streams \
                WHERE (stream, sequence) > ($1, $2) ORDER BY stream, sequence LIMIT $3";
            sqlx::query(sql).bind(&after.name).bind(after.number).bind(PAGE).fetch_all(on).await?
        }
        Part::Due => {
            let sql = "SELECT queue, item, at FROM store_due WHERE (queue, item) > ($1, $2) \
                ORDER BY queue, item LIMIT $3";
            sqlx::query(sql).bind(&after.name).bind(&after.key).bind(PAGE).fetch_all(on).await?
        }
        Part::Leases => {
            let sql = "SELECT name, holder, token, until FROM store_leases WHERE name > $1 ORDER BY name LIMIT $2";
            sqlx::query(sql).bind(&after.name).bind(PAGE).fetch_all(on).await?
        }
    };
    let next = match rows.last() {
        Some(last) if rows.len() as i64 == PAGE => Some(place(part, last)?),
        _ => None,
    };
    let pieces = rows.iter().map(|row| piece(part, row)).collect::<Result<_, _>>()?;
    Ok((pieces, next))
}

fn place(part: Part, row: &PgRow) -> Result<Place, Halt> {
    let place = Place::first();
    Ok(match part {
        Part::Commits => Place { number: row.try_get(0)?, ..place },
        Part::Rows | Part::Past => {
            Place { table: row.try_get(0)?, key: row.try_get(1)?, number: row.try_get(2)?, ..place }
        }
        Part::Streams => Place { name: row.try_get(0)?, number: row.try_get(1)?, ..place },
        Part::Due => Place { name: row.try_get(0)?, key: row.try_get(1)?, ..place },
        Part::Leases => Place { name: row.try_get(0)?, ..place },
    })
}

fn piece(part: Part, row: &PgRow) -> Result<Piece, Halt> {
    let time = |place: usize| row.try_get(place).map(Time::from_micros);
    let number = |place: usize| row.try_get(place).map(i64::cast_unsigned);
    Ok(match part {
        Part::Commits => Piece::Commit { number: CommitNo(number(0)?), at: time(1)? },
        Part::Rows | Part::Past => Piece::Row {
            table: row.try_get(5)?,
            versioned: row.try_get(6)?,
            key: row.try_get(1)?,
            row: Row { commit: CommitNo(number(2)?), recorded: time(3)?, value: row.try_get(4)? },
            present: matches!(part, Part::Rows),
        },
        Part::Streams => {
            let hash: Vec<u8> = row.try_get(3)?;
            let hash = hash.try_into().map_err(|_| malformed("an entry of a stream"))?;
            let entry = Entry { sequence: number(1)?, at: time(2)?, hash, value: row.try_get(4)? };
            Piece::Entry { stream: row.try_get(0)?, entry }
        }
        Part::Due => Piece::Due { queue: row.try_get(0)?, item: row.try_get(1)?, at: time(2)? },
        Part::Leases => {
            Piece::Lease { name: row.try_get(0)?, holder: row.try_get(1)?, token: number(2)?, until: time(3)? }
        }
    })
}

/// Pieces about to be written, column by column.
#[derive(Debug, Default)]
pub(super) struct Heap {
    commits: (Vec<i64>, Vec<i64>),
    rows: Versions,
    past: Versions,
    entries: Entries,
    due: (Vec<String>, Vec<Vec<u8>>, Vec<i64>),
    leases: (Vec<String>, Vec<String>, Vec<i64>, Vec<i64>),
}

/// Streams, sequence numbers, times, hashes, values.
type Entries = (Vec<String>, Vec<i64>, Vec<i64>, Vec<Vec<u8>>, Vec<Vec<u8>>);

#[derive(Debug, Default)]
struct Versions {
    tables: Vec<i16>,
    keys: Vec<Vec<u8>>,
    commits: Vec<i64>,
    recorded: Vec<i64>,
    values: Vec<Option<Vec<u8>>>,
    shown: Vec<Option<String>>,
}

impl Heap {
    /// Adds a piece; `number`: that of its table.
    pub(super) fn add(&mut self, piece: Piece, number: i16, shown: Option<Projector>) {
        match piece {
            Piece::Commit { number, at } => {
                self.commits.0.push(number.0.cast_signed());
                self.commits.1.push(at.as_micros());
            }
            Piece::Row { table, key, row, present, .. } => {
                let to = if present { &mut self.rows } else { &mut self.past };
                let document = row.value.as_ref().filter(|_| present).and_then(|value| shown?(&table, &key, value));
                to.tables.push(number);
                to.keys.push(key);
                to.commits.push(row.commit.0.cast_signed());
                to.recorded.push(row.recorded.as_micros());
                to.values.push(row.value);
                to.shown.push(document.map(text));
            }
            Piece::Entry { stream, entry } => {
                self.entries.0.push(stream);
                self.entries.1.push(entry.sequence.cast_signed());
                self.entries.2.push(entry.at.as_micros());
                self.entries.3.push(entry.hash.to_vec());
                self.entries.4.push(entry.value);
            }
            Piece::Due { queue, item, at } => {
                self.due.0.push(queue);
                self.due.1.push(item);
                self.due.2.push(at.as_micros());
            }
            Piece::Lease { name, holder, token, until } => {
                self.leases.0.push(name);
                self.leases.1.push(holder);
                self.leases.2.push(token.cast_signed());
                self.leases.3.push(until.as_micros());
            }
        }
    }
}

/// Begins to put a store together; false if there is something in it. Nobody else writes until the end.
pub(super) async fn begin_empty(on: &mut PgConnection) -> Result<bool, Halt> {
    let begin = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL idle_in_transaction_session_timeout = 0; \
        SELECT number FROM store_head FOR UPDATE";
    sqlx::raw_sql(begin).execute(&mut *on).await?;
    let empty = "SELECT NOT (EXISTS (SELECT 1 FROM store_rows) OR EXISTS (SELECT 1 FROM store_past) \
        OR EXISTS (SELECT 1 FROM store_commits) OR EXISTS (SELECT 1 FROM store_streams) \
        OR EXISTS (SELECT 1 FROM store_due) OR EXISTS (SELECT 1 FROM store_leases))";
    Ok(sqlx::query_scalar(empty).fetch_one(on).await?)
}

/// Writes a heap of pieces.
pub(super) async fn put(on: &mut PgConnection, heap: Heap) -> Result<(), Halt> {
    let Heap { commits, rows, past, entries, due, leases } = heap;
    // Commits from elsewhere have no id here: no writer of this database looks for them.
    let sql = "INSERT INTO store_commits (number, at, id) SELECT *, ''::bytea FROM unnest($1::bigint[], $2::bigint[])";
    if !commits.0.is_empty() {
        sqlx::query(sql).bind(commits.0).bind(commits.1).execute(&mut *on).await?;
    }
    let sql = "INSERT INTO store_rows (tbl, key, commit, recorded, value, shown) \
        SELECT tbl, key, commit, recorded, value, shown::jsonb FROM unnest($1::smallint[], $2::bytea[], $3::bigint[], \
        $4::bigint[], $5::bytea[], $6::text[]) AS n(tbl, key, commit, recorded, value, shown)";
    if !rows.keys.is_empty() {
        let query = sqlx::query(sql).bind(rows.tables).bind(rows.keys).bind(rows.commits).bind(rows.recorded);
        query.bind(rows.values).bind(rows.shown).execute(&mut *on).await?;
    }
    let sql = "INSERT INTO store_past (tbl, key, commit, recorded, value) SELECT * FROM \
        unnest($1::smallint[], $2::bytea[], $3::bigint[], $4::bigint[], $5::bytea[])";
    if !past.keys.is_empty() {
        let query = sqlx::query(sql).bind(past.tables).bind(past.keys).bind(past.commits).bind(past.recorded);
        query.bind(past.values).execute(&mut *on).await?;
    }
    let sql = "INSERT INTO store_streams (stream, sequence, at, hash, value) SELECT * FROM \
        unnest($1::text[], $2::bigint[], $3::bigint[], $4::bytea[], $5::bytea[])";
    if !entries.0.is_empty() {
        let query = sqlx::query(sql).bind(entries.0).bind(entries.1).bind(entries.2).bind(entries.3);
        query.bind(entries.4).execute(&mut *on).await?;
    }
    let sql = "INSERT INTO store_due (queue, item, at) SELECT * FROM unnest($1::text[], $2::bytea[], $3::bigint[])";
    if !due.0.is_empty() {
        sqlx::query(sql).bind(due.0).bind(due.1).bind(due.2).execute(&mut *on).await?;
    }
    let sql = "INSERT INTO store_leases (name, holder, token, until) SELECT * FROM \
        unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[])";
    if !leases.0.is_empty() {
        let query = sqlx::query(sql).bind(leases.0).bind(leases.1).bind(leases.2).bind(leases.3);
        query.execute(on).await?;
    }
    Ok(())
}

/// Ends it: the store stands where the last commit left it.
pub(super) async fn end(on: &mut PgConnection, head: Head) -> Result<(), Halt> {
    let query = sqlx::query("UPDATE store_head SET number = $1, at = $2");
    query.bind(head.number.0.cast_signed()).bind(head.at.as_micros()).execute(&mut *on).await?;
    sqlx::raw_sql("COMMIT").execute(on).await?;
    Ok(())
}
