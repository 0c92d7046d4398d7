//! Reading rows: as they stand, as they stood at a commit, in all their versions; and forgetting old versions.
//! It must never trust an engine's iterator for isolation: a row that moved to the past meanwhile is found there.

use std::{collections::BTreeMap, ops::Bound};

use super::rows;
use crate::{
    CommitNo, Go, KeyRange, Row, StoreError, Table, Visit,
    kv::{Kv, Range, Shelf, Tree, Way},
};

/// Rows read at a time.
const PAGE: usize = 512;

pub(crate) fn rows_of(table: Table) -> Tree<'static> {
    Tree::new(Shelf::Rows, table.name)
}

pub(crate) fn past_of(table: Table) -> Tree<'static> {
    Tree::new(Shelf::Past, table.name)
}

/// A row at a commit. A plain table knows the present only and answers with it whatever commit is named.
pub(crate) fn get<K: Kv>(kv: &K, table: Table, key: &[u8], at: Option<CommitNo>) -> Result<Option<Row>, StoreError> {
    // The present is read before the past: what a commit moves in between is then found in the past.
    let present = kv.get(rows_of(table), key)?.map(rows::decode).transpose()?;
    let Some(at) = at.filter(|_| table.versioned) else { return Ok(present) };
    match present {
        Some(row) if row.commit <= at => Ok(Some(row)),
        _ => Ok(past_at(kv, table, key, at)?.filter(|row| row.value.is_some())),
    }
}

/// Several rows as they stand now, in the order asked for.
pub(crate) fn get_many<K: Kv>(kv: &K, table: Table, keys: &[Vec<u8>]) -> Result<Vec<Option<Row>>, StoreError> {
    let found = kv.get_many(rows_of(table), keys)?.into_iter();
    found.map(|value| value.map(rows::decode).transpose()).collect()
}

/// The first keys that begin with each of these prefixes.
pub(crate) fn keys_below<K: Kv>(
    kv: &K,
    table: Table,
    prefixes: &[Vec<u8>],
    limit: usize,
) -> Result<Vec<Vec<Vec<u8>>>, StoreError> {
    let ranges: Vec<KeyRange> = prefixes.iter().map(|prefix| KeyRange::prefix(prefix)).collect();
    let pages: Vec<Range<'_>> = ranges.iter().map(borrowed).collect();
    let page = limit.min(PAGE);
    let mut found = Vec::with_capacity(ranges.len());
    for (range, pairs) in ranges.iter().zip(kv.pages(rows_of(table), &pages, page)?) {
        let mut keys: Vec<Vec<u8>> = pairs.into_iter().map(|(key, _)| key).collect();
        let mut full = keys.len() == page;
        while full && keys.len() < limit {
            let from = keys.last().map_or(Bound::Unbounded, |last| Bound::Excluded(last.as_slice()));
            let rest = kv.page(rows_of(table), (from, borrowed(range).1), Way::Up, page)?;
            full = rest.len() == page;
            keys.extend(rest.into_iter().map(|(key, _)| key));
        }
        keys.truncate(limit);
        found.push(keys);
    }
    Ok(found)
}

fn borrowed(range: &KeyRange) -> Range<'_> {
    (range.from.as_ref().map(Vec::as_slice), range.to.as_ref().map(Vec::as_slice))
}

/// Every version of a row, oldest first.
pub(crate) fn versions<K: Kv>(kv: &K, table: Table, key: &[u8]) -> Result<Vec<Row>, StoreError> {
    let present = kv.get(rows_of(table), key)?.map(rows::decode).transpose()?;
    let before = present.as_ref().map_or(CommitNo(u64::MAX), |row| row.commit);
    let mut found = Vec::new();
    if table.versioned {
        let (mut from, to) = (Bound::Included(rows::past_key(key, CommitNo(0))), rows::past_key(key, before));
        loop {
            let range = (from.as_ref().map(Vec::as_slice), Bound::Excluded(to.as_slice()));
            let page = kv.page(past_of(table), range, Way::Up, PAGE)?;
            let Some((last, _)) = page.last() else { break };
            from = Bound::Excluded(last.clone());
            for (_, value) in page {
                found.push(rows::decode(value)?);
            }
        }
    }
    found.extend(present);
    Ok(found)
}

/// Visits the rows of a range in key order.
pub(crate) fn scan<K: Kv>(
    kv: &K,
    table: Table,
    range: &KeyRange,
    at: Option<CommitNo>,
    each: &mut Visit<'_>,
) -> Result<(), StoreError> {
    let at = at.filter(|_| table.versioned);
    let (mut from, to) = (range.from.clone(), range.to.as_ref().map(Vec::as_slice));
    loop {
        let present = kv.page(rows_of(table), (from.as_ref().map(Vec::as_slice), to), Way::Up, PAGE)?;
        let last = if present.len() < PAGE { None } else { present.last().map(|(key, _)| key.clone()) };
        let upto = last.as_deref().map_or(to, Bound::Included);
        let found = match at {
            None => present
                .into_iter()
                .map(|(key, value)| Ok((key, rows::decode(value)?)))
                .collect::<Result<Vec<_>, StoreError>>()?,
            Some(at) => {
                let mut merged = past_between(kv, table, (from.as_ref().map(Vec::as_slice), upto), at)?;
                for (key, value) in present {
                    if rows::commit_of(&value)? <= at {
                        merged.insert(key, rows::decode(value)?);
                    }
                }
                merged.into_iter().filter(|(_, row)| row.value.is_some()).collect()
            }
        };
        for (key, row) in found {
            if each(&key, row)? == Go::Stop {
                return Ok(());
            }
        }
        match last {
            Some(key) => from = Bound::Excluded(key),
            None => return Ok(()),
        }
    }
}

/// Places among former versions that nobody needs, and the place after which to go on.
pub(crate) struct Forgettable {
    pub(crate) places: Vec<Vec<u8>>,
    pub(crate) go_on: Option<Vec<u8>>,
}

/// Up to a page of versions that nobody reading at `commit` or later needs, of those after `after`.
pub(crate) fn forgettable<K: Kv>(
    kv: &K,
    table: Table,
    commit: CommitNo,
    after: &Bound<Vec<u8>>,
) -> Result<Forgettable, StoreError> {
    let page = kv.page(past_of(table), (after.as_ref().map(Vec::as_slice), Bound::Unbounded), Way::Up, PAGE)?;
    let go_on = if page.len() < PAGE { None } else { page.last().map(|(place, _)| place.clone()) };
    let mut places = Vec::new();
    let mut page = page.into_iter().peekable();
    while let Some((place, value)) = page.next() {
        let key = rows::key_of_past(&place)?;
        let row = rows::decode(value)?;
        let next = match page.peek() {
            Some((next, value)) if rows::key_of_past(next)? == key => Some(rows::commit_of(value)?),
            _ => successor(kv, table, &key, &place)?,
        };
        // A deletion that nothing followed says no more than the absence of all versions does.
        let replaced = if row.value.is_none() { Some(row.commit) } else { next };
        if replaced.is_some_and(|by| by < commit) {
            places.push(place);
        }
    }
    Ok(Forgettable { places, go_on })
}

/// The commit of the version that follows one among former versions.
fn successor<K: Kv>(kv: &K, table: Table, key: &[u8], place: &[u8]) -> Result<Option<CommitNo>, StoreError> {
    let present = kv.get(rows_of(table), key)?;
    let end = rows::past_key(key, CommitNo(u64::MAX));
    let page = kv.page(past_of(table), (Bound::Excluded(place), Bound::Included(&end)), Way::Up, 1)?;
    match page.first().map(|(_, value)| value).or(present.as_ref()) {
        Some(value) => rows::commit_of(value).map(Some),
        None => Ok(None),
    }
}

/// The newest former version of a row that is not later than a commit.
fn past_at<K: Kv>(kv: &K, table: Table, key: &[u8], at: CommitNo) -> Result<Option<Row>, StoreError> {
    let (from, to) = (rows::past_key(key, CommitNo(0)), rows::past_key(key, at));
    let page = kv.page(past_of(table), (Bound::Included(&from), Bound::Included(&to)), Way::Down, 1)?;
    page.into_iter().next().map(|(_, value)| rows::decode(value)).transpose()
}

/// The newest former version not later than a commit, of every key of a range.
fn past_between<K: Kv>(
    kv: &K,
    table: Table,
    range: (Bound<&[u8]>, Bound<&[u8]>),
    at: CommitNo,
) -> Result<BTreeMap<Vec<u8>, Row>, StoreError> {
    let mut from = match range.0 {
        Bound::Included(key) => Bound::Included(rows::past_prefix(key)),
        Bound::Excluded(key) => Bound::Excluded(rows::past_key(key, CommitNo(u64::MAX))),
        Bound::Unbounded => Bound::Unbounded,
    };
    let to = match range.1 {
        Bound::Included(key) => Bound::Included(rows::past_key(key, CommitNo(u64::MAX))),
        Bound::Excluded(key) => Bound::Excluded(rows::past_prefix(key)),
        Bound::Unbounded => Bound::Unbounded,
    };
    let mut found = BTreeMap::new();
    loop {
        let range = (from.as_ref().map(Vec::as_slice), to.as_ref().map(Vec::as_slice));
        let page = kv.page(past_of(table), range, Way::Up, PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(found) };
        from = Bound::Excluded(last.clone());
        let full = page.len() == PAGE;
        for (place, value) in page {
            if rows::commit_of(&value)? <= at {
                found.insert(rows::key_of_past(&place)?, rows::decode(value)?);
            }
        }
        if !full {
            return Ok(found);
        }
    }
}
