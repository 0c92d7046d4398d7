//! Reading: rows as they stand and as they stood, versions, streams, queues, the log. One statement a page, so that
//! each page is of one moment. It must never lock a row.

use std::{collections::BTreeMap, ops::Bound, sync::Arc};

use provost_model::Time;
use sqlx::{PgConnection, Row as _, postgres::PgRow};

use super::trouble::{Halt, malformed};
use crate::{CommitNo, Entry, Head, KeyRange, Row};

/// A row's key and content.
pub(super) type Found = (Vec<u8>, Row);

/// A page of a scan.
#[derive(Clone, Debug)]
pub(super) struct Page {
    pub(super) table: i16,
    /// Where it begins, itself included.
    pub(super) from: Vec<u8>,
    /// Where it ends, itself left out.
    pub(super) to: Option<Vec<u8>>,
    /// As of which commit.
    pub(super) at: Option<i64>,
    pub(super) limit: i64,
}

impl Page {
    /// The first page of a range.
    pub(super) fn first(table: i16, range: &KeyRange, at: Option<i64>, limit: i64) -> Self {
        let from = match &range.from {
            Bound::Included(key) => key.clone(),
            Bound::Excluded(key) => next(key),
            Bound::Unbounded => Vec::new(),
        };
        let to = match &range.to {
            Bound::Included(key) => Some(next(key)),
            Bound::Excluded(key) => Some(key.clone()),
            Bound::Unbounded => None,
        };
        Self { table, from, to, at, limit }
    }

    /// The page after the one that ended with that key.
    pub(super) fn after(&self, key: &[u8], limit: i64) -> Self {
        Self { from: next(key), limit, ..self.clone() }
    }
}

/// The least key greater than one.
fn next(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

const NOW: &str = "SELECT key, commit, recorded, value FROM store_rows \
    WHERE tbl = $1 AND key >= $2 ORDER BY key LIMIT $3";
const NOW_TO: &str = "SELECT key, commit, recorded, value FROM store_rows \
    WHERE tbl = $1 AND key >= $2 AND key < $4 ORDER BY key LIMIT $3";
/// The keys of a page, those of rows and those that only former versions have; then for each the newest version that is not
/// later. An index step a key, however long its history. Keys that had no value then are in the page without one.
const AT: &str = "WITH RECURSIVE former(key) AS ( \
        (SELECT key FROM store_past WHERE (tbl, key) >= ($1, $2) AND (tbl, key) < ($5, $6) ORDER BY tbl, key LIMIT 1) \
        UNION ALL SELECT (SELECT p.key FROM store_past p WHERE (p.tbl, p.key) > ($1, former.key) \
            AND (p.tbl, p.key) < ($5, $6) ORDER BY p.tbl, p.key LIMIT 1) FROM former WHERE former.key IS NOT NULL), \
    page AS ( \
        (SELECT key FROM store_rows WHERE (tbl, key) >= ($1, $2) AND (tbl, key) < ($5, $6) ORDER BY tbl, key LIMIT $3) \
        UNION (SELECT key FROM former WHERE key IS NOT NULL LIMIT $3) ORDER BY key LIMIT $3) \
    SELECT page.key, coalesce(v.commit, 0), coalesce(v.recorded, 0), v.value FROM page LEFT JOIN LATERAL ( \
        SELECT r.commit, r.recorded, r.value FROM store_rows r \
            WHERE r.tbl = $1 AND r.key = page.key AND r.commit <= $4 \
        UNION ALL (SELECT p.commit, p.recorded, p.value FROM store_past p \
            WHERE p.tbl = $1 AND p.key = page.key AND p.commit <= $4 ORDER BY p.commit DESC LIMIT 1) \
        ORDER BY commit DESC LIMIT 1) AS v ON true ORDER BY page.key";

/// The rows of a page, in key order; as of a commit with those that had no value then.
pub(super) async fn page(on: &mut PgConnection, page: Arc<Page>) -> Result<Vec<Found>, Halt> {
    let query = match (page.at, &page.to) {
        (None, None) => sqlx::query(NOW).bind(page.table).bind(&page.from).bind(page.limit),
        (None, Some(to)) => sqlx::query(NOW_TO).bind(page.table).bind(&page.from).bind(page.limit).bind(to),
        (Some(at), to) => {
            // No end: the beginning of the next table.
            let end = to.as_ref().map_or((page.table + 1, &[][..]), |to| (page.table, to.as_slice()));
            let query = sqlx::query(AT).bind(page.table).bind(&page.from).bind(page.limit).bind(at);
            query.bind(end.0).bind(end.1)
        }
    };
    query.fetch_all(on).await?.iter().map(|found| Ok((found.try_get(0)?, row(found, 1)?))).collect()
}

/// A row at a commit (`None`: now).
pub(super) async fn get(on: &mut PgConnection, place: (i16, &[u8]), at: Option<i64>) -> Result<Option<Row>, Halt> {
    let now = "SELECT commit, recorded, value FROM store_rows WHERE tbl = $1 AND key = $2";
    let then = "SELECT commit, recorded, value FROM (SELECT commit, recorded, value FROM store_rows \
        WHERE tbl = $1 AND key = $2 AND commit <= $3 UNION ALL (SELECT commit, recorded, value FROM store_past \
        WHERE tbl = $1 AND key = $2 AND commit <= $3 ORDER BY commit DESC LIMIT 1)) AS v ORDER BY commit DESC LIMIT 1";
    let query = sqlx::query(if at.is_some() { then } else { now }).bind(place.0).bind(place.1);
    let query = if let Some(at) = at { query.bind(at) } else { query };
    let found = query.fetch_optional(on).await?.map(|found| row(&found, 0)).transpose()?;
    Ok(found.filter(|row| row.value.is_some()))
}

/// Several rows as they stand now, each with its place among the keys.
pub(super) async fn get_many(
    on: &mut PgConnection,
    table: i16,
    keys: &[Vec<u8>],
) -> Result<BTreeMap<usize, Row>, Halt> {
    let sql = "SELECT n.place, f.* FROM unnest($2::bytea[]) WITH ORDINALITY AS n(key, place) CROSS JOIN LATERAL \
        (SELECT r.commit, r.recorded, r.value FROM store_rows r WHERE r.tbl = $1 AND r.key = n.key LIMIT 1) AS f";
    let found = sqlx::query(sql).bind(table).bind(keys).fetch_all(on).await?;
    let placed = |found: &PgRow| {
        let place: i64 = found.try_get(0)?;
        Ok((usize::try_from(place - 1).map_err(|_| malformed("a place among keys"))?, row(found, 1)?))
    };
    found.iter().map(placed).collect()
}

/// The keys in each of these ranges, each with its range's place: of each the first `limit`. Both ends are plain bounds of one
/// table: compared as pairs with the table's number, the planner takes each range for a third of everything.
pub(super) async fn keys_in_each(
    on: &mut PgConnection,
    table: i16,
    (low, high, limit): (&[Vec<u8>], &[Vec<u8>], i64),
) -> Result<Vec<(usize, Vec<u8>)>, Halt> {
    let sql = "SELECT n.place, f.key FROM unnest($2::bytea[], $3::bytea[]) WITH ORDINALITY AS n(low, high, place) \
        CROSS JOIN LATERAL (SELECT r.key FROM store_rows r WHERE r.tbl = $1 AND r.key >= n.low AND r.key < n.high \
        ORDER BY r.key LIMIT $4) AS f ORDER BY n.place, f.key";
    let found = sqlx::query(sql).bind(table).bind(low).bind(high).bind(limit).fetch_all(on).await?;
    let placed = |found: &PgRow| {
        let place: i64 = found.try_get(0)?;
        Ok((usize::try_from(place - 1).map_err(|_| malformed("a place among ranges"))?, found.try_get(1)?))
    };
    found.iter().map(placed).collect()
}

/// Every version of a row, oldest first.
pub(super) async fn versions(on: &mut PgConnection, (table, key): (i16, &[u8]), past: bool) -> Result<Vec<Row>, Halt> {
    let sql = "SELECT commit, recorded, value FROM store_past WHERE tbl = $1 AND key = $2 AND $3 \
        UNION ALL SELECT commit, recorded, value FROM store_rows WHERE tbl = $1 AND key = $2 ORDER BY commit";
    let found = sqlx::query(sql).bind(table).bind(key).bind(past).fetch_all(on).await?;
    found.iter().map(|found| row(found, 0)).collect()
}

/// Where the store stands.
pub(super) async fn head(on: &mut PgConnection) -> Result<Head, Halt> {
    let found = sqlx::query("SELECT number, at FROM store_head").fetch_one(on).await?;
    Ok(Head { number: number(found.try_get(0)?)?, at: Time::from_micros(found.try_get(1)?) })
}

/// The last commit not after a time.
pub(super) async fn commit_at(on: &mut PgConnection, at: Time) -> Result<CommitNo, Halt> {
    let sql = "SELECT number FROM store_commits WHERE at <= $1 ORDER BY at DESC, number DESC LIMIT 1";
    let found: Option<i64> = sqlx::query_scalar(sql).bind(at.as_micros()).fetch_optional(on).await?;
    number(found.unwrap_or_default())
}

/// Entries of a stream from a sequence number on.
pub(super) async fn entries(
    on: &mut PgConnection,
    stream: &str,
    (from, limit): (i64, i64),
) -> Result<Vec<Entry>, Halt> {
    let sql = "SELECT sequence, at, hash, value FROM store_streams WHERE stream = $1 AND sequence >= $2 \
        ORDER BY sequence LIMIT $3";
    let found = sqlx::query(sql).bind(stream).bind(from).bind(limit).fetch_all(on).await?;
    let entry = |found: &PgRow| {
        let hash: Vec<u8> = found.try_get(2)?;
        Ok(Entry {
            sequence: found.try_get::<i64, _>(0)?.cast_unsigned(),
            at: Time::from_micros(found.try_get(1)?),
            hash: hash.try_into().map_err(|_| malformed("an entry of a stream"))?,
            value: found.try_get(3)?,
        })
    };
    found.iter().map(entry).collect()
}

/// Items of a queue that are due, the most overdue first.
pub(super) async fn due(
    on: &mut PgConnection,
    queue: &str,
    (now, limit): (i64, i64),
) -> Result<Vec<(Time, Vec<u8>)>, Halt> {
    let sql = "SELECT at, item FROM store_due WHERE queue = $1 AND at <= $2 ORDER BY at, item LIMIT $3";
    let found = sqlx::query(sql).bind(queue).bind(now).bind(limit).fetch_all(on).await?;
    found.iter().map(|found| Ok((Time::from_micros(found.try_get(0)?), found.try_get(1)?))).collect()
}

/// Bytes that the database takes.
pub(super) async fn used(on: &mut PgConnection) -> Result<u64, Halt> {
    let used: i64 = sqlx::query_scalar("SELECT pg_database_size(current_database())").fetch_one(on).await?;
    Ok(used.cast_unsigned())
}

/// Commit, time and value, from that column on.
fn row(found: &PgRow, from: usize) -> Result<Row, Halt> {
    Ok(Row {
        commit: number(found.try_get(from)?)?,
        recorded: Time::from_micros(found.try_get(from + 1)?),
        value: found.try_get(from + 2)?,
    })
}

fn number(number: i64) -> Result<CommitNo, Halt> {
    u64::try_from(number).map(CommitNo).map_err(|_| malformed("a commit's number"))
}
