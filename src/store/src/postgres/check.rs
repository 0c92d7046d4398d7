//! Reading everything through, as of one moment: whether rows, versions, streams and the log agree with each other.
//! It must never hold up a writer: it reads a snapshot.

use sqlx::{PgConnection, Row as _};

use super::trouble::Halt;
use crate::{MAX_FAULTS, Report};

const COUNTS: &str = "SELECT (SELECT count(*) FROM store_rows), (SELECT count(*) FROM store_past), \
    (SELECT count(*) FROM store_streams), (SELECT count(*) FROM store_due), (SELECT count(*) FROM store_commits)";

/// A sentence for each fault. The chain of hashes is the one of `embedded/streams.rs`, worked out by the database.
const FAULTS: &str = "SELECT fault FROM ( \
    SELECT format('row %s, key %s: its commit is later than the last one', tbl, encode(key, 'hex')) AS fault \
        FROM store_rows WHERE commit > (SELECT number FROM store_head) \
    UNION ALL SELECT format('version %s, key %s: its commit is later than the last one', tbl, encode(key, 'hex')) \
        FROM store_past WHERE commit > (SELECT number FROM store_head) \
    UNION ALL SELECT format('version %s, key %s: it is not older than the present one', p.tbl, encode(p.key, 'hex')) \
        FROM store_past p JOIN store_rows r ON r.tbl = p.tbl AND r.key = p.key WHERE r.commit <= p.commit \
    UNION ALL SELECT format('version %s, key %s: it was recorded before the one that it follows', tbl, \
            encode(key, 'hex')) FROM (SELECT tbl, key, recorded, lag(recorded) OVER \
        (PARTITION BY tbl, key ORDER BY commit) AS before FROM store_past) AS v WHERE recorded < before \
    UNION ALL SELECT format('row of table %s, which has no name', tbl) FROM (SELECT DISTINCT tbl FROM store_rows) AS t \
        WHERE NOT EXISTS (SELECT 1 FROM store_tables n WHERE n.id = t.tbl) \
    UNION ALL SELECT format('stream %s, entry %s: an entry before it is missing', stream, sequence) \
        FROM (SELECT stream, sequence, lag(sequence, 1, 0::bigint) OVER (PARTITION BY stream ORDER BY sequence) \
        AS before FROM store_streams) AS s WHERE sequence <> before + 1 \
    UNION ALL SELECT format('stream %s, entry %s: its hash is not that of what is before it and of its content', \
            stream, sequence) FROM (SELECT stream, sequence, value, hash, \
        lag(hash, 1, decode(repeat('00', 32), 'hex')) OVER (PARTITION BY stream ORDER BY sequence) AS before \
        FROM store_streams) AS s WHERE hash <> sha256(before || int8send(sequence) || value) \
    UNION ALL SELECT format('commit %s: a commit before it is missing', number) FROM (SELECT number, \
        lag(number, 1, 0::bigint) OVER (ORDER BY number) AS before FROM store_commits) AS c WHERE number <> before + 1 \
    UNION ALL SELECT format('commit %s: its time is before that of the commit that it follows', number) \
        FROM (SELECT number, at, lag(at) OVER (ORDER BY number) AS before FROM store_commits) AS c WHERE at < before \
    UNION ALL SELECT format('the log of commits ends at %s, the head is at %s', last, number) \
        FROM (SELECT coalesce(max(number), 0) AS last FROM store_commits) AS c, store_head WHERE last <> number \
    ) AS f LIMIT $1";

/// Reads everything through.
pub(super) async fn check(on: &mut PgConnection) -> Result<Report, Halt> {
    sqlx::raw_sql("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").execute(&mut *on).await?;
    let counts = sqlx::query(COUNTS).fetch_one(&mut *on).await?;
    let count = |place: usize| counts.try_get::<i64, _>(place).map(i64::cast_unsigned);
    let most = i64::try_from(MAX_FAULTS).unwrap_or(i64::MAX);
    let faults = sqlx::query_scalar(FAULTS).bind(most).fetch_all(&mut *on).await?;
    sqlx::raw_sql("COMMIT").execute(on).await?;
    Ok(Report { rows: count(0)?, versions: count(1)?, entries: count(2)?, due: count(3)?, commits: count(4)?, faults })
}
