//! Leases on the database's clock: who may do a thing until when, however the clocks of the daemons differ.
//! It must never let a lease be taken between its check and the end of the commit that relies on it.

use std::collections::{HashMap, HashSet};

use provost_model::Time;
use sqlx::{PgConnection, Row as _};

use super::trouble::Halt;
use crate::{Claim, Fence, Held, StoreError, lease_of};

/// Due items looked at, at a time.
const PAGE: i64 = 256;

/// Whose clock says what time it is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clock {
    /// The caller's, never before the head's time, as in the embedded store; else the database's.
    pub(super) given: bool,
}

impl Clock {
    /// The time to count from; `None`: the database's.
    pub(super) fn given(self, now: Time) -> Option<i64> {
        self.given.then_some(now.as_micros())
    }
}

/// A given time is never before the head's; `excluded.until - $3` is the present in the second half.
const TAKE: &str = "INSERT INTO store_leases AS l (name, holder, token, until) \
    SELECT $1, $2, 1, $3 + coalesce(greatest($4::bigint, (SELECT at FROM store_head WHERE $4 IS NOT NULL)), \
        (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) \
    ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until, token = l.token + 1 \
    WHERE l.until <= excluded.until - $3 OR l.holder = '' \
    RETURNING token";

/// Takes a lease that nobody holds for so many microseconds.
pub(super) async fn take(
    on: &mut PgConnection,
    (name, holder): (&str, &str),
    length: i64,
    given: Option<i64>,
) -> Result<Option<Fence>, Halt> {
    let query = sqlx::query_scalar::<_, i64>(TAKE).bind(name).bind(holder).bind(length).bind(given);
    let token = query.fetch_optional(on).await?;
    Ok(token.map(|token| Fence { name: name.to_owned(), token: token.cast_unsigned() }))
}

/// `$4` as in [`now`].
const RENEW: &str = "UPDATE store_leases AS l SET until = c.now + $3 \
    FROM (SELECT coalesce(greatest($4::bigint, (SELECT at FROM store_head WHERE $4 IS NOT NULL)), \
        (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) AS now) AS c \
    WHERE l.name = $1 AND l.token = $2 AND l.holder <> '' AND l.until > c.now";

/// Prolongs a lease that is still held by that token, for so many microseconds from now.
pub(super) async fn renew(on: &mut PgConnection, fence: &Fence, length: i64, given: Option<i64>) -> Result<bool, Halt> {
    let query = sqlx::query(RENEW).bind(&fence.name).bind(fence.token.cast_signed()).bind(length).bind(given);
    Ok(query.execute(on).await?.rows_affected() == 1)
}

/// Gives a lease back; the token is kept.
pub(super) async fn release(on: &mut PgConnection, fence: &Fence) -> Result<(), Halt> {
    let sql = "UPDATE store_leases SET holder = '' WHERE name = $1 AND token = $2 AND holder <> ''";
    sqlx::query(sql).bind(&fence.name).bind(fence.token.cast_signed()).execute(on).await?;
    Ok(())
}

/// Refuses if a lease is not held any more. The row stays locked until the commit ends: nobody takes it meanwhile.
pub(super) async fn check(on: &mut PgConnection, fence: &Fence, given: Option<i64>) -> Result<(), Halt> {
    let sql = "SELECT token FROM store_leases WHERE name = $1 AND token = $2 AND holder <> '' \
        AND until > coalesce($3::bigint, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) FOR SHARE";
    let query = sqlx::query_scalar::<_, i64>(sql).bind(&fence.name).bind(fence.token.cast_signed()).bind(given);
    match query.fetch_optional(on).await? {
        Some(_) => Ok(()),
        None => Err(StoreError::Conflict(format!("lease {}", fence.name)).into()),
    }
}

/// What a claim asks for.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) queue: String,
    pub(super) holder: String,
    /// On whichever clock: items that are due then, and the time a lease is counted from where it is given.
    pub(super) now: i64,
    /// Microseconds.
    pub(super) length: i64,
    pub(super) given: Option<i64>,
    pub(super) limit: usize,
}

const DUE: &str = "SELECT at, item FROM store_due WHERE queue = $1 AND at <= $2 AND (at, item) > ($3, $4) \
    ORDER BY at, item LIMIT $5";
const HELD: &str = "SELECT name FROM store_leases WHERE name = ANY($1) AND until > $2 AND holder <> ''";
/// What another daemon has in hand at this moment is passed over; what was moved meanwhile is not due any more.
const LOCK: &str = "SELECT at, item FROM store_due WHERE queue = $1 AND item = ANY($2) AND at <= $3 \
    ORDER BY at, item FOR UPDATE SKIP LOCKED";
/// A free lease gets a new holder; one that was taken at this moment is left alone.
const CLAIM: &str = "INSERT INTO store_leases AS l (name, holder, token, until) \
    SELECT name, $2, 1, $4 FROM unnest($1::text[]) AS n(name) \
    ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until, token = l.token + 1 \
    WHERE l.until <= $3 OR l.holder = '' RETURNING name, token";

/// Takes the leases of due items that nobody holds.
pub(super) async fn claim(on: &mut PgConnection, wanted: &Wanted) -> Result<Vec<Claim>, Halt> {
    sqlx::raw_sql("BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL idle_in_transaction_session_timeout = '20s'")
        .execute(&mut *on)
        .await?;
    let clock = now(on, wanted.given).await?;
    let due_by = if wanted.given.is_some() { clock } else { wanted.now };
    let (mut claims, mut after) = (Vec::new(), (i64::MIN, Vec::new()));
    while claims.len() < wanted.limit {
        let query = sqlx::query(DUE).bind(&wanted.queue).bind(due_by).bind(after.0).bind(&after.1).bind(PAGE);
        let page = query.fetch_all(&mut *on).await?;
        let page = page.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
        let page = page.collect::<Result<Vec<(i64, Vec<u8>)>, Halt>>()?;
        let full = page.len() as i64 == PAGE;
        let names: Vec<String> = page.iter().map(|(_, item)| lease_of(&wanted.queue, item)).collect();
        let held: Vec<String> = sqlx::query_scalar(HELD).bind(&names).bind(clock).fetch_all(&mut *on).await?;
        let items = unheld(&page, &names, &held);
        let mut rest = items.as_slice();
        while claims.len() < wanted.limit && !rest.is_empty() {
            let (some, others) = rest.split_at(rest.len().min(wanted.limit - claims.len()));
            claims.extend(take_some(on, wanted, (some, due_by, clock)).await?);
            rest = others;
        }
        match page.into_iter().next_back().filter(|_| full) {
            Some(last) => after = last,
            None => break,
        }
    }
    sqlx::raw_sql("COMMIT").execute(on).await?;
    Ok(claims)
}

/// The items of a page whose lease nobody holds.
fn unheld(page: &[(i64, Vec<u8>)], names: &[String], held: &[String]) -> Vec<Vec<u8>> {
    let held: HashSet<&String> = held.iter().collect();
    let free = page.iter().zip(names).filter(|(_, name)| !held.contains(name));
    free.map(|((_, item), _)| item.clone()).collect()
}

async fn take_some(
    on: &mut PgConnection,
    wanted: &Wanted,
    (items, due_by, clock): (&[Vec<u8>], i64, i64),
) -> Result<Vec<Claim>, Halt> {
    let locked = sqlx::query(LOCK).bind(&wanted.queue).bind(items).bind(due_by).fetch_all(&mut *on).await?;
    let mut found = Vec::with_capacity(locked.len());
    for row in locked {
        let (due, item): (i64, Vec<u8>) = (row.try_get(0)?, row.try_get(1)?);
        found.push((lease_of(&wanted.queue, &item), due, item));
    }
    let names: Vec<&str> = found.iter().map(|(name, ..)| name.as_str()).collect();
    let until = clock.saturating_add(wanted.length);
    let query = sqlx::query(CLAIM).bind(names).bind(&wanted.holder).bind(clock).bind(until);
    let mut tokens = HashMap::new();
    for row in query.fetch_all(on).await? {
        let (name, token): (String, i64) = (row.try_get(0)?, row.try_get(1)?);
        tokens.insert(name, token.cast_unsigned());
    }
    let claimed = found.into_iter().filter_map(|(name, due, item)| {
        let token = tokens.remove(&name)?;
        Some(Claim { item, due: Time::from_micros(due), fence: Fence { name, token } })
    });
    Ok(claimed.collect())
}

/// Every lease that was not given back, in the order of names.
pub(super) async fn all(on: &mut PgConnection) -> Result<Vec<Held>, Halt> {
    let sql = "SELECT name, holder, token, until FROM store_leases WHERE holder <> '' ORDER BY name";
    let mut held = Vec::new();
    for row in sqlx::query(sql).fetch_all(on).await? {
        let (token, until): (i64, i64) = (row.try_get(2)?, row.try_get(3)?);
        let (name, holder) = (row.try_get(0)?, row.try_get(1)?);
        held.push(Held { name, holder, token: token.cast_unsigned(), until: Time::from_micros(until) });
    }
    Ok(held)
}

/// The time on the database's clock, or the given one, never before the head's.
pub(super) async fn now(on: &mut PgConnection, given: Option<i64>) -> Result<i64, Halt> {
    let sql = "SELECT coalesce(greatest($1::bigint, (SELECT at FROM store_head WHERE $1 IS NOT NULL)), \
        (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)";
    Ok(sqlx::query_scalar(sql).bind(given).fetch_one(on).await?)
}
