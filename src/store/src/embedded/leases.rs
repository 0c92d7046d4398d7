//! Leases: who may do a thing until when, with a token that grows with every new holder.
//! It must never let a lost lease write: a batch with an old token is refused.

use std::ops::Bound;

use provost_model::Time;

use super::queues;
use crate::{
    Claim, Fence, Held, Piece, StoreError,
    kv::{Draft, Kv, Tree, Way},
    lease_of,
};

const HEADER: usize = 16;
/// Due items and leases read at a time.
const PAGE: usize = 256;

/// A lease as kept. An empty holder: nobody's.
pub(super) struct Lease {
    token: u64,
    until: Time,
    holder: Vec<u8>,
}

/// Takes a lease that nobody holds. `clock` is the highest time committed: a clock that was set back prolongs nobody's
/// lease, and what the caller asks for is then counted from there.
pub(super) fn take<K: Kv>(
    kv: &K,
    (name, holder): (&str, &str),
    (now, until): (Time, Time),
    clock: Time,
) -> Result<Option<Fence>, StoreError> {
    let (now, until) = on_the_stores_clock((now, until), clock);
    let known = kv.get(Tree::LEASES, name.as_bytes())?.as_deref().map(decode).transpose()?;
    let token = match &known {
        Some(lease) if lease.is_held(now) => return Ok(None),
        // Whoever comes back after the end of a lease is a new holder: it may have been somebody else's meanwhile.
        Some(lease) => lease.token + 1,
        None => 1,
    };
    keep(kv, name, &Lease { token, until, holder: holder.as_bytes().to_vec() })?;
    Ok(Some(Fence { name: name.to_owned(), token }))
}

/// Prolongs a lease that is still held by that token.
pub(super) fn renew<K: Kv>(kv: &K, fence: &Fence, (now, until): (Time, Time), clock: Time) -> Result<bool, StoreError> {
    let (now, until) = on_the_stores_clock((now, until), clock);
    let known = kv.get(Tree::LEASES, fence.name.as_bytes())?.as_deref().map(decode).transpose()?;
    let Some(lease) = known.filter(|lease| lease.token == fence.token && lease.is_held(now)) else { return Ok(false) };
    keep(kv, &fence.name, &Lease { until, ..lease })?;
    Ok(true)
}

/// Takes the leases of due items that nobody holds, in one write. `times`: now, until, and the highest time committed.
pub(super) fn claim<K: Kv>(
    kv: &K,
    (queue, holder): (&str, &str),
    (now, until, clock): (Time, Time, Time),
    limit: usize,
) -> Result<Vec<Claim>, StoreError> {
    // What is due is asked of the caller's clock, which also said when it would be.
    let asked = now;
    let (now, until) = on_the_stores_clock((now, until), clock);
    let (mut claims, mut after) = (Vec::new(), None);
    'pages: loop {
        let page = queues::due_after(kv, queue, (after.as_ref(), asked), PAGE)?;
        let full = page.len() == PAGE;
        after = page.last().cloned();
        for (due, item) in page {
            if claims.len() >= limit {
                break 'pages;
            }
            let name = lease_of(queue, &item);
            let known = kv.get(Tree::LEASES, name.as_bytes())?.as_deref().map(decode).transpose()?;
            if known.as_ref().is_some_and(|lease| lease.is_held(now)) {
                continue;
            }
            let token = known.map_or(1, |lease| lease.token + 1);
            claims.push(Claim { item, due, fence: Fence { name, token } });
        }
        if !full {
            break;
        }
    }
    if !claims.is_empty() {
        kv.write(&mut |draft| {
            claims.iter().try_for_each(|claim| {
                let lease = Lease { token: claim.fence.token, until, holder: holder.as_bytes().to_vec() };
                draft.put(Tree::LEASES, claim.fence.name.as_bytes(), &encode(&lease))
            })
        })?;
    }
    Ok(claims)
}

/// Every lease that was not given back, in the order of names.
pub(super) fn all<K: Kv>(kv: &K) -> Result<Vec<Held>, StoreError> {
    let (mut leases, mut after) = (Vec::new(), Bound::Unbounded);
    loop {
        let from = after.as_ref().map(Vec::as_slice);
        let page = kv.page(Tree::LEASES, (from, Bound::Unbounded), Way::Up, PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(leases) };
        after = Bound::Excluded(last.clone());
        for (name, bytes) in page {
            let Lease { token, until, holder } = decode(&bytes)?;
            if !holder.is_empty() {
                let text = |bytes: Vec<u8>| String::from_utf8(bytes).map_err(|_| malformed());
                leases.push(Held { name: text(name)?, holder: text(holder)?, token, until });
            }
        }
    }
}

/// Gives a lease back; the token is kept, so that the next one is greater.
pub(super) fn release<K: Kv>(kv: &K, fence: &Fence) -> Result<(), StoreError> {
    let known = kv.get(Tree::LEASES, fence.name.as_bytes())?.as_deref().map(decode).transpose()?;
    match known {
        Some(lease) if lease.token == fence.token && !lease.holder.is_empty() => {
            keep(kv, &fence.name, &Lease { holder: Vec::new(), ..lease })
        }
        _ => Ok(()),
    }
}

/// Refuses if a lease is not held any more at the time of a commit.
pub(super) fn check(draft: &mut dyn Draft, fence: &Fence, at: Time) -> Result<(), StoreError> {
    let known = draft.get(Tree::LEASES, fence.name.as_bytes())?.as_deref().map(decode).transpose()?;
    match known {
        Some(lease) if lease.token == fence.token && lease.until > at && !lease.holder.is_empty() => Ok(()),
        _ => Err(StoreError::Conflict(format!("lease {}", fence.name))),
    }
}

/// A lease taken out of one store for another.
pub(super) fn piece(key: &[u8], value: &[u8]) -> Result<Piece, StoreError> {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).map_err(|_| StoreError::Codec("a lease".to_owned()));
    let Lease { token, until, holder } = decode(value)?;
    Ok(Piece::Lease { name: text(key.to_vec())?, holder: text(holder)?, token, until })
}

/// Writes a lease as it was taken out of another store.
pub(super) fn put(
    draft: &mut dyn Draft,
    name: &str,
    holder: &str,
    (token, until): (u64, Time),
) -> Result<(), StoreError> {
    draft.put(Tree::LEASES, name.as_bytes(), &encode(&Lease { token, until, holder: holder.as_bytes().to_vec() }))
}

/// A time asked for, counted from the store's clock where that is ahead.
fn on_the_stores_clock((now, until): (Time, Time), clock: Time) -> (Time, Time) {
    let behind = clock.max(now) - now;
    (now + behind, until + behind)
}

fn keep<K: Kv>(kv: &K, name: &str, lease: &Lease) -> Result<(), StoreError> {
    let bytes = encode(lease);
    kv.write(&mut |draft| draft.put(Tree::LEASES, name.as_bytes(), &bytes))
}

fn encode(lease: &Lease) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + lease.holder.len());
    bytes.extend_from_slice(&lease.token.to_be_bytes());
    bytes.extend_from_slice(&lease.until.as_micros().to_be_bytes());
    bytes.extend_from_slice(&lease.holder);
    bytes
}

pub(super) fn decode(bytes: &[u8]) -> Result<Lease, StoreError> {
    let (token, rest) = bytes.split_first_chunk().ok_or_else(malformed)?;
    let (until, holder) = rest.split_first_chunk().ok_or_else(malformed)?;
    Ok(Lease {
        token: u64::from_be_bytes(*token),
        until: Time::from_micros(i64::from_be_bytes(*until)),
        holder: holder.to_vec(),
    })
}

fn malformed() -> StoreError {
    StoreError::Codec("a lease".to_owned())
}

impl Lease {
    fn is_held(&self, now: Time) -> bool {
        self.until > now && !self.holder.is_empty()
    }
}
