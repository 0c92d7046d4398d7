//! Due queues: items in the order of their time, and the time of each item.
//! It must never hold an item twice in one queue.

use std::ops::Bound;

use provost_model::Time;

use crate::{
    StoreError,
    kv::{Draft, Kv, Shelf, Tree, Way},
};

/// The tree of the times of the items of a queue.
pub(super) fn times_of(queue: &str) -> Tree<'_> {
    Tree::new(Shelf::DueAt, queue)
}

/// Puts an item into a queue or moves it. One that is there for that time already costs no write.
pub(super) fn schedule(draft: &mut dyn Draft, queue: &str, item: &[u8], at: Time) -> Result<(), StoreError> {
    let (new, known) = (ordered(at), draft.get(times_of(queue), item)?);
    if known.as_deref() == Some(new.as_slice()) {
        return Ok(());
    }
    if let Some(old) = known {
        draft.delete(Tree::new(Shelf::Due, queue), &[old.as_slice(), item].concat())?;
    }
    draft.put(times_of(queue), item, &new)?;
    draft.put(Tree::new(Shelf::Due, queue), &[new.as_slice(), item].concat(), &[])
}

/// Takes an item out of a queue, if it is there.
pub(super) fn unschedule(draft: &mut dyn Draft, queue: &str, item: &[u8]) -> Result<(), StoreError> {
    let Some(old) = draft.get(times_of(queue), item)? else { return Ok(()) };
    draft.delete(Tree::new(Shelf::Due, queue), &[old.as_slice(), item].concat())?;
    draft.delete(times_of(queue), item)
}

/// Up to `limit` items that are due, the most overdue first; of equal times the lesser item first.
pub(super) fn due<K: Kv>(kv: &K, queue: &str, now: Time, limit: usize) -> Result<Vec<(Time, Vec<u8>)>, StoreError> {
    due_after(kv, queue, (None, now), limit)
}

/// As [`due`], but only items that come after one.
pub(super) fn due_after<K: Kv>(
    kv: &K,
    queue: &str,
    (after, now): (Option<&(Time, Vec<u8>)>, Time),
    limit: usize,
) -> Result<Vec<(Time, Vec<u8>)>, StoreError> {
    let after = after.map(|(at, item)| [ordered(*at).as_slice(), item].concat());
    let from = after.as_ref().map_or(Bound::Unbounded, |place| Bound::Excluded(place.as_slice()));
    // The first place that is later than every item of `now`.
    let end = now.as_micros().checked_add(1).map(|next| ordered(Time::from_micros(next)));
    let to = end.as_ref().map_or(Bound::Unbounded, |end| Bound::Excluded(end.as_slice()));
    let page = kv.page(Tree::new(Shelf::Due, queue), (from, to), Way::Up, limit)?;
    page.into_iter().map(|(place, _)| split(&place)).collect()
}

/// The time of an item, from its bytes.
pub(super) fn time(bytes: &[u8]) -> Result<Time, StoreError> {
    let at = bytes.try_into().map_err(|_| StoreError::Codec("the time of an item of a queue".to_owned()))?;
    Ok(Time::from_micros((u64::from_be_bytes(at) ^ SIGN).cast_signed()))
}

/// The time and the item of a place in a queue.
pub(super) fn split(place: &[u8]) -> Result<(Time, Vec<u8>), StoreError> {
    let (at, item) = place.split_first_chunk().ok_or_else(|| StoreError::Codec("an item of a queue".to_owned()))?;
    Ok((Time::from_micros((u64::from_be_bytes(*at) ^ SIGN).cast_signed()), item.to_vec()))
}

/// Bytes that sort as the times do.
fn ordered(at: Time) -> [u8; 8] {
    (at.as_micros().cast_unsigned() ^ SIGN).to_be_bytes()
}

const SIGN: u64 = 1 << 63;
