//! A batch as one transaction: the head is locked, what the batch relies on is checked, sets are written.
//! It must never repeat a batch before it knows, under that lock, that it was not written.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use provost_model::Time;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use super::{
    fold::{Folded, Gone, Items, Rows},
    leases::Clock,
    trouble::{Halt, malformed},
};
use crate::{CommitNo, Committed, Fence, StoreError, Table, embedded::streams};

/// A batch on its way.
#[derive(Debug)]
pub(super) struct Parcel {
    /// Names this batch and no other, so that it is found again.
    pub(super) id: [u8; 16],
    /// The last commit known before it was sent: it can only be after that one.
    pub(super) after: i64,
    pub(super) at: Time,
    pub(super) fence: Option<Fence>,
    pub(super) clock: Clock,
    pub(super) folded: Folded,
    /// What it came to when it was last sent: if it is found written later, this is the answer.
    pub(super) sent: Mutex<Option<(Committed, Time)>>,
}

/// Locks the head. A writer that falls asleep in the middle loses its transaction: others wait for it no longer.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; \
    SET LOCAL idle_in_transaction_session_timeout = '20s'; \
    SELECT number, at FROM store_head FOR UPDATE";

/// Look-ups of many rows are LATERAL with a LIMIT: whatever the planner believes of a table that grows fast, it goes from
/// key to key, and never reads the whole table to join it.
const EXPECTED: &str = "SELECT e.place FROM unnest($1::smallint[], $2::bytea[], $3::bigint[]) \
    WITH ORDINALITY AS e(tbl, key, commit, place) LEFT JOIN LATERAL \
        (SELECT r.commit FROM store_rows r WHERE r.tbl = e.tbl AND r.key = e.key LIMIT 1) AS f ON true \
    WHERE f.commit IS DISTINCT FROM e.commit ORDER BY e.place LIMIT 1";

const AMEND: &str = "UPDATE store_rows r SET value = n.value, shown = n.shown::jsonb \
    FROM unnest($1::smallint[], $2::bytea[], $3::bytea[], $4::text[]) AS n(tbl, key, value, shown) \
    WHERE r.tbl = n.tbl AND r.key = n.key";

const NOT_THERE: &str = "SELECT n.key FROM unnest($1::smallint[], $2::bytea[]) AS n(tbl, key) \
    WHERE NOT EXISTS (SELECT 1 FROM store_rows r WHERE r.tbl = n.tbl AND r.key = n.key) LIMIT 1";

/// The index alone finds out whether one is there: no look-up, and no former version to keep. COPY would take a fifth less
/// of the server's time, but who falls asleep in the middle of it would keep the head locked: no time limit ends that.
const PUT_FRESH: &str = "INSERT INTO store_rows (tbl, key, commit, recorded, value, shown) \
    SELECT tbl, key, $5, $6, value, shown::jsonb \
    FROM unnest($1::smallint[], $2::bytea[], $3::bytea[], $4::text[]) AS n(tbl, key, value, shown)";

/// Both halves see the rows as they were before.
const PUT_VERSIONED: &str = "WITH n AS MATERIALIZED (SELECT * FROM \
    unnest($1::smallint[], $2::bytea[], $3::bytea[], $4::text[]) AS n(tbl, key, value, shown)), \
    kept AS (INSERT INTO store_past (tbl, key, commit, recorded, value) \
        SELECT n.tbl, n.key, f.commit, f.recorded, f.value FROM n CROSS JOIN LATERAL (SELECT r.commit, r.recorded, \
            r.value FROM store_rows r WHERE r.tbl = n.tbl AND r.key = n.key LIMIT 1) AS f) \
    INSERT INTO store_rows (tbl, key, commit, recorded, value, shown) \
        SELECT tbl, key, $5, $6, value, shown::jsonb FROM n \
    ON CONFLICT (tbl, key) DO UPDATE SET commit = excluded.commit, recorded = excluded.recorded, \
        value = excluded.value, shown = excluded.shown";

const PUT_PLAIN: &str = "INSERT INTO store_rows (tbl, key, commit, recorded, value, shown) \
    SELECT tbl, key, $5, $6, value, shown::jsonb \
    FROM unnest($1::smallint[], $2::bytea[], $3::bytea[], $4::text[]) AS n(tbl, key, value, shown) \
    ON CONFLICT (tbl, key) DO UPDATE SET commit = excluded.commit, recorded = excluded.recorded, \
        value = excluded.value, shown = excluded.shown";

const DELETE: &str = "WITH n AS MATERIALIZED (SELECT * FROM \
    unnest($1::smallint[], $2::bytea[], $3::boolean[], $4::boolean[]) AS n(tbl, key, versioned, was_put)), \
    old AS (DELETE FROM store_rows r USING n WHERE r.tbl = n.tbl AND r.key = n.key \
        RETURNING r.tbl, r.key, r.commit, r.recorded, r.value, n.versioned) \
    INSERT INTO store_past (tbl, key, commit, recorded, value) \
        SELECT tbl, key, commit, recorded, value FROM old WHERE versioned \
        UNION ALL SELECT tbl, key, $5, $6, NULL FROM \
            (SELECT tbl, key FROM old WHERE versioned UNION SELECT tbl, key FROM n WHERE versioned AND was_put) AS t";

/// An item that is there for that time already costs no write.
const SCHEDULE: &str = "INSERT INTO store_due AS d (queue, item, at) \
    SELECT * FROM unnest($1::text[], $2::bytea[], $3::bigint[]) \
    ON CONFLICT (queue, item) DO UPDATE SET at = excluded.at WHERE d.at <> excluded.at";

const UNSCHEDULE: &str = "DELETE FROM store_due d USING unnest($1::text[], $2::bytea[]) AS n(queue, item) \
    WHERE d.queue = n.queue AND d.item = n.item";

const TAILS: &str = "SELECT s.name, t.sequence, t.hash FROM unnest($1::text[]) AS s(name) \
    CROSS JOIN LATERAL (SELECT sequence, hash FROM store_streams WHERE stream = s.name \
        ORDER BY sequence DESC LIMIT 1) AS t";

const APPEND: &str = "INSERT INTO store_streams (stream, sequence, at, hash, value) \
    SELECT stream, sequence, $5, hash, value \
    FROM unnest($1::text[], $2::bigint[], $3::bytea[], $4::bytea[]) AS n(stream, sequence, hash, value)";

/// Writes a batch, or finds it written.
pub(super) async fn write(on: &mut PgConnection, parcel: Arc<Parcel>, before: u32) -> Result<(Committed, Time), Halt> {
    let head = sqlx::raw_sql(BEGIN).fetch_one(&mut *on).await?;
    let (number, at): (i64, i64) = (head.try_get(0)?, head.try_get(1)?);
    if before > 0 && written(on, &parcel).await? {
        sqlx::raw_sql("ROLLBACK").execute(on).await?;
        let sent = parcel.sent.lock().unwrap_or_else(PoisonError::into_inner).clone();
        return sent.ok_or_else(|| malformed("a commit that nobody sent"));
    }
    let head = (number + 1, at.max(parcel.at.as_micros()));
    match steps(on, &parcel, head).await {
        Ok(appended) => {
            let number = CommitNo(u64::try_from(head.0).map_err(|_| malformed("a commit's number"))?);
            let done = (Committed { number, appended }, Time::from_micros(head.1));
            // Before the last word goes out: from then on it may be written without an answer.
            *parcel.sent.lock().unwrap_or_else(PoisonError::into_inner) = Some(done.clone());
            finish(on, &parcel.id, head).await?;
            Ok(done)
        }
        Err(Halt::Store(refusal)) => {
            sqlx::raw_sql("ROLLBACK").execute(on).await?;
            Err(refusal.into())
        }
        Err(other) => Err(other),
    }
}

/// Whether an earlier attempt was written. The head is locked: whoever was in the middle of it is not any more.
async fn written(on: &mut PgConnection, parcel: &Parcel) -> Result<bool, Halt> {
    let asked = "SELECT EXISTS (SELECT 1 FROM store_commits WHERE number > $1 AND id = $2)";
    Ok(sqlx::query_scalar(asked).bind(parcel.after).bind(parcel.id.as_slice()).fetch_one(on).await?)
}

/// Notes the commit and ends the transaction, in one journey.
async fn finish(on: &mut PgConnection, id: &[u8], (number, at): (i64, i64)) -> Result<(), Halt> {
    let id: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    let sql = format!(
        "INSERT INTO store_commits (number, at, id) VALUES ({number}, {at}, decode('{id}', 'hex')); \
         UPDATE store_head SET number = {number}, at = {at}; COMMIT"
    );
    // Numbers and hexadecimal digits of our own making: nothing in it comes from outside.
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(on).await?;
    Ok(())
}

async fn steps(on: &mut PgConnection, parcel: &Parcel, head: (i64, i64)) -> Result<Vec<u64>, Halt> {
    if let Some(fence) = &parcel.fence {
        super::leases::check(on, fence, parcel.clock.given(Time::from_micros(head.1))).await?;
    }
    let folded = &parcel.folded;
    if !folded.expected.is_empty() {
        expected(on, &folded.expected).await?;
    }
    amend(on, &folded.amended).await?;
    put_fresh(on, &folded.fresh, head).await?;
    put(on, PUT_VERSIONED, &folded.versioned, head).await?;
    put(on, PUT_PLAIN, &folded.plain, head).await?;
    delete(on, &folded.gone, head).await?;
    schedule(on, &folded.scheduled, &folded.unscheduled).await?;
    append(on, &folded.appended, head.1).await
}

async fn expected(on: &mut PgConnection, expect: &[(Table, i16, Vec<u8>, Option<CommitNo>)]) -> Result<(), Halt> {
    let commits = expect.iter().map(|(.., commit)| commit.map(|it| it.0.cast_signed()));
    let failed: Option<i64> = sqlx::query_scalar(EXPECTED)
        .bind(expect.iter().map(|(_, number, ..)| *number).collect::<Vec<_>>())
        .bind(expect.iter().map(|(_, _, key, _)| key.as_slice()).collect::<Vec<_>>())
        .bind(commits.collect::<Vec<_>>())
        .fetch_optional(on)
        .await?;
    let Some(place) = failed else { return Ok(()) };
    let at = usize::try_from(place - 1).ok().and_then(|at| expect.get(at));
    let (table, _, key, _) = at.ok_or_else(|| malformed("a place among conditions"))?;
    Err(crate::embedded::conflict(*table, key).into())
}

async fn amend(on: &mut PgConnection, rows: &Rows) -> Result<(), Halt> {
    if rows.keys.is_empty() {
        return Ok(());
    }
    let query = sqlx::query(AMEND).bind(&rows.tables).bind(&rows.keys).bind(&rows.values).bind(&rows.shown);
    if query.execute(&mut *on).await?.rows_affected() == rows.keys.len() as u64 {
        return Ok(());
    }
    let missing: Vec<u8> = sqlx::query_scalar(NOT_THERE).bind(&rows.tables).bind(&rows.keys).fetch_one(on).await?;
    Err(crate::embedded::conflict(Table { name: "amended", versioned: false }, &missing).into())
}

async fn put_fresh(on: &mut PgConnection, rows: &Rows, head: (i64, i64)) -> Result<(), Halt> {
    match put(on, PUT_FRESH, rows, head).await {
        Err(Halt::Sqlx(sqlx::Error::Database(error))) if error.is_unique_violation() => {
            Err(StoreError::Conflict(format!("that was to be new, one of {}", rows.keys.len())).into())
        }
        done => done,
    }
}

async fn put(on: &mut PgConnection, sql: &'static str, rows: &Rows, head: (i64, i64)) -> Result<(), Halt> {
    if !rows.keys.is_empty() {
        let query = sqlx::query(sql).bind(&rows.tables).bind(&rows.keys).bind(&rows.values).bind(&rows.shown);
        query.bind(head.0).bind(head.1).execute(on).await?;
    }
    Ok(())
}

async fn delete(on: &mut PgConnection, gone: &Gone, head: (i64, i64)) -> Result<(), Halt> {
    if !gone.keys.is_empty() {
        let query = sqlx::query(DELETE).bind(&gone.tables).bind(&gone.keys).bind(&gone.versioned).bind(&gone.was_put);
        query.bind(head.0).bind(head.1).execute(on).await?;
    }
    Ok(())
}

async fn schedule(on: &mut PgConnection, put: &Items, taken: &Items) -> Result<(), Halt> {
    if !put.items.is_empty() {
        sqlx::query(SCHEDULE).bind(&put.queues).bind(&put.items).bind(&put.times).execute(&mut *on).await?;
    }
    if !taken.items.is_empty() {
        sqlx::query(UNSCHEDULE).bind(&taken.queues).bind(&taken.items).execute(on).await?;
    }
    Ok(())
}

/// Appends entries, each chained to the one before it.
async fn append(on: &mut PgConnection, entries: &[(String, Vec<u8>)], at: i64) -> Result<Vec<u64>, Halt> {
    if entries.is_empty() {
        return Ok(Vec::new());
    }
    let mut tails: BTreeMap<&str, (u64, [u8; 32])> =
        entries.iter().map(|(stream, _)| (stream.as_str(), (0, [0; 32]))).collect();
    let streams: Vec<String> = tails.keys().map(|name| (*name).to_owned()).collect();
    for row in sqlx::query(TAILS).bind(streams).fetch_all(&mut *on).await? {
        let (name, sequence, hash): (String, i64, Vec<u8>) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let hash = hash.try_into().map_err(|_| malformed("an entry of a stream"))?;
        if let Some(tail) = tails.get_mut(name.as_str()) {
            *tail = (sequence.cast_unsigned(), hash);
        }
    }
    let (mut sequences, mut hashes) = (Vec::with_capacity(entries.len()), Vec::with_capacity(entries.len()));
    for (stream, value) in entries {
        let Some(tail) = tails.get_mut(stream.as_str()) else { continue };
        let sequence = tail.0 + 1;
        *tail = (sequence, streams::chained(&tail.1, sequence, value));
        sequences.push(sequence);
        hashes.push(tail.1.to_vec());
    }
    sqlx::query(APPEND)
        .bind(entries.iter().map(|(stream, _)| stream.as_str()).collect::<Vec<_>>())
        .bind(sequences.iter().map(|sequence| sequence.cast_signed()).collect::<Vec<_>>())
        .bind(hashes)
        .bind(entries.iter().map(|(_, value)| value.as_slice()).collect::<Vec<_>>())
        .bind(at)
        .execute(on)
        .await?;
    Ok(sequences)
}

/// A name for a batch that no other has.
pub(super) fn id() -> Result<[u8; 16], StoreError> {
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|error| StoreError::Io(std::io::Error::other(error)))?;
    Ok(id)
}
