//! Reading rows: as they stand, as they stood at a commit, in all their versions.
//! It must never trust an engine's iterator for isolation: a row that moved to the past meanwhile is found there.

use std::ops::Bound;

use super::{past, rows};
use crate::{
    CommitNo, Go, KeyRange, Row, StoreError, Table, Visit,
    kv::{Kv, Shelf, Tree, Way},
};

/// Rows read at a time.
const PAGE: usize = 512;

pub(crate) fn rows_of(table: Table) -> Tree<'static> {
    Tree::new(Shelf::Rows, table.name)
}

/// A row at a commit. A plain table knows the present only and answers with it whatever commit is named.
pub(crate) fn get<K: Kv>(kv: &K, table: Table, key: &[u8], at: Option<CommitNo>) -> Result<Option<Row>, StoreError> {
    // The present is read before the past: what a commit moves in between is then found in the past.
    let present = kv.get(rows_of(table), key)?.map(rows::decode).transpose()?;
    let Some(at) = at.filter(|_| table.versioned) else { return Ok(present) };
    match present {
        Some(row) if row.commit <= at => Ok(Some(row)),
        _ => Ok(past::at(kv, table, key, at)?.filter(|row| row.value.is_some())),
    }
}

/// Every version of a row, oldest first.
pub(crate) fn versions<K: Kv>(kv: &K, table: Table, key: &[u8]) -> Result<Vec<Row>, StoreError> {
    let present = kv.get(rows_of(table), key)?.map(rows::decode).transpose()?;
    let mut found = if table.versioned { past::versions(kv, table, key)? } else { Vec::new() };
    // What a commit moved to the past since the present was read is not told twice.
    found.retain(|version| present.as_ref().is_none_or(|present| version.commit < present.commit));
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
                let mut merged = past::between(kv, table, (from.as_ref().map(Vec::as_slice), upto), at)?;
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
