//! The log of commits: which number was committed when. Times never fall, so that a time names one commit.
//! It must never have a gap.

use std::ops::Bound;

use provost_model::Time;

use crate::{
    CommitNo, Head, StoreError,
    kv::{Draft, Kv, Shelf, Tree, Way},
};

/// Where the last commit left the store.
pub(super) fn head<K: Kv>(kv: &K) -> Result<Head, StoreError> {
    let last = kv.page(Tree::COMMITS, (Bound::Unbounded, Bound::Unbounded), Way::Down, 1)?;
    let Some((number, at)) = last.into_iter().next() else { return Ok(Head::default()) };
    let (number, at) = commit(&number, &at)?;
    Ok(Head { number, at })
}

/// Notes a commit.
pub(super) fn note(draft: &mut dyn Draft, head: Head) -> Result<(), StoreError> {
    draft.put(Tree::COMMITS, &head.number.0.to_be_bytes(), &head.at.as_micros().to_be_bytes())
}

/// The commit of a pair of the log.
pub(super) fn commit(key: &[u8], value: &[u8]) -> Result<(CommitNo, Time), StoreError> {
    let number = key.try_into().map(u64::from_be_bytes).map_err(|_| malformed())?;
    Ok((CommitNo(number), time(value)?))
}

/// Notes that there is a table, and whether it is versioned.
pub(super) fn note_table(draft: &mut dyn Draft, table: &str, versioned: bool) -> Result<(), StoreError> {
    let said = [u8::from(versioned)];
    match draft.get(Tree::TABLES, table.as_bytes())? {
        Some(known) if known == said => Ok(()),
        _ => draft.put(Tree::TABLES, table.as_bytes(), &said),
    }
}

/// Notes the tables of which there are former versions: before format 3 nothing said that they keep them.
pub(super) fn note_versioned<K: Kv>(kv: &K) -> Result<(), StoreError> {
    let trees = kv.trees()?;
    let tables: Vec<&str> = trees
        .iter()
        .filter_map(|name| Tree::named(name))
        .filter(|tree| tree.shelf == Shelf::Past)
        .map(|it| it.name)
        .collect();
    kv.write(&mut |draft| tables.iter().try_for_each(|table| note_table(draft, table, true)))
}

/// The table of a pair that notes one, if it is versioned.
pub(super) fn versioned_table(key: &[u8], value: &[u8]) -> Result<Option<String>, StoreError> {
    let name = std::str::from_utf8(key).map_err(|_| StoreError::Codec("the name of a table".to_owned()))?;
    Ok((value == [1]).then(|| name.to_owned()))
}

/// The last commit whose time is not after `at`.
pub(super) fn commit_at<K: Kv>(kv: &K, head: Head, at: Time) -> Result<CommitNo, StoreError> {
    if head.at <= at {
        return Ok(head.number);
    }
    // All up to `low` are not after `at`; `high` is.
    let (mut low, mut high) = (0, head.number.0);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        let noted = kv.get(Tree::COMMITS, &middle.to_be_bytes())?.ok_or_else(malformed)?;
        if time(&noted)? <= at {
            low = middle;
        } else {
            high = middle;
        }
    }
    Ok(CommitNo(low))
}

/// Refuses a log that lacks a commit up to the last one.
pub(super) fn check<K: Kv>(kv: &K, last: CommitNo) -> Result<(), StoreError> {
    let mut next = 1_u64;
    while next <= last.0 {
        let from = next.to_be_bytes();
        let page = kv.page(Tree::COMMITS, (Bound::Included(from.as_slice()), Bound::Unbounded), Way::Up, 512)?;
        if page.is_empty() {
            return Err(malformed());
        }
        for (number, _) in page {
            if number != next.to_be_bytes() {
                return Err(malformed());
            }
            next += 1;
        }
    }
    Ok(())
}

pub(super) fn time(bytes: &[u8]) -> Result<Time, StoreError> {
    bytes.try_into().map(|bytes| Time::from_micros(i64::from_be_bytes(bytes))).map_err(|_| malformed())
}

fn malformed() -> StoreError {
    StoreError::Codec("the log of commits".to_owned())
}
