//! Forgetting former versions, a page at a time.
//! It must never forget a version that a reader at the named commit or later would be given.

use sqlx::{PgConnection, Row as _};

use super::trouble::Halt;

/// Versions looked at in one statement.
const PAGE: i64 = 4_096;

/// A version was replaced by the next one of its key; a deletion that nothing followed says no more than the absence
/// of all versions does, so it counts as replaced by itself.
const FORGET: &str = "WITH page AS MATERIALIZED (SELECT key, commit, value IS NULL AS gone FROM store_past \
        WHERE tbl = $1 AND (key, commit) > ($2, $3) ORDER BY key, commit LIMIT $5), \
    judged AS (SELECT key, commit, CASE WHEN gone THEN commit ELSE coalesce( \
        (SELECT min(p.commit) FROM store_past p WHERE p.tbl = $1 AND p.key = page.key AND p.commit > page.commit), \
        (SELECT r.commit FROM store_rows r WHERE r.tbl = $1 AND r.key = page.key)) END AS replaced FROM page), \
    forgotten AS (DELETE FROM store_past p USING judged j \
        WHERE p.tbl = $1 AND p.key = j.key AND p.commit = j.commit AND j.replaced < $4 RETURNING 1) \
    SELECT (SELECT count(*) FROM forgotten), last.key, last.commit, (SELECT count(*) FROM page) \
    FROM (SELECT key, commit FROM page ORDER BY key DESC, commit DESC LIMIT 1) AS last";

/// Of versions named twice one goes.
const SINGLE: &str = "DELETE FROM store_past p USING unnest($2::bytea[], $3::bigint[]) AS which(key, commit) \
    WHERE p.tbl = $1 AND p.key = which.key AND p.commit = which.commit";

/// A place among former versions.
pub(super) type Place = (Vec<u8>, i64);

/// Forgets what nobody needs of the page after a place; gives how many, and the place after which to go on.
pub(super) async fn page(
    on: &mut PgConnection,
    (table, before): (i16, i64),
    after: &Place,
) -> Result<(u64, Option<Place>), Halt> {
    let query = sqlx::query(FORGET).bind(table).bind(&after.0).bind(after.1).bind(before).bind(PAGE);
    let Some(found) = query.fetch_optional(on).await? else { return Ok((0, None)) };
    let (forgotten, seen): (i64, i64) = (found.try_get(0)?, found.try_get(3)?);
    let last = if seen < PAGE { None } else { Some((found.try_get(1)?, found.try_get(2)?)) };
    Ok((forgotten.cast_unsigned(), last))
}

/// Forgets single versions: keys and the commits of them; gives how many there were.
pub(super) async fn single(
    on: &mut PgConnection,
    table: i16,
    (keys, commits): &(Vec<Vec<u8>>, Vec<i64>),
) -> Result<u64, Halt> {
    Ok(sqlx::query(SINGLE).bind(table).bind(keys).bind(commits).execute(on).await?.rows_affected())
}
