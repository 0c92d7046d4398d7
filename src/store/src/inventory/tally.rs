//! How many records each source sees, counted as they change: a record that several scopes of a source see counts once.
//! It must never be written but in the commit of the changes it counts.

use std::collections::{BTreeMap, BTreeSet};

use provost_model::{Record, ScopeNo, Standing};

use super::{Inventory, META, ScopeRow, index};
use crate::{Op, StoreError};

/// The row of a source's count.
pub(super) fn key(source: &str) -> Vec<u8> {
    [b"records_of\0".as_slice(), &index::path(&[source])].concat()
}

/// The steps that keep the counts right when records become other than they were.
pub(super) fn steps<'r>(
    inventory: Inventory<'_>,
    drafted: &BTreeMap<ScopeNo, ScopeRow>,
    changes: impl Iterator<Item = (Option<&'r Record>, &'r Record)>,
) -> Result<Vec<Op>, StoreError> {
    let moved: Vec<_> = changes.filter(|(before, now)| seen_in(*before) != seen_in(Some(now))).collect();
    if moved.is_empty() {
        return Ok(Vec::new());
    }
    let committed = inventory.scopes_by_number()?;
    let sources = |record| -> BTreeSet<&str> {
        let scopes = seen_in(record).into_iter();
        scopes.filter_map(|it| drafted.get(&it).or_else(|| committed.get(&it))).map(|row| row.source.as_str()).collect()
    };
    let mut by: BTreeMap<&str, i64> = BTreeMap::new();
    for (before, now) in moved {
        sources(before).into_iter().for_each(|source| *by.entry(source).or_default() -= 1);
        sources(Some(now)).into_iter().for_each(|source| *by.entry(source).or_default() += 1);
    }
    let mut steps = Vec::new();
    for (source, by) in by.into_iter().filter(|(_, by)| *by != 0) {
        let count = inventory.records_of(source)?.saturating_add_signed(by);
        steps.push(Op::Put { table: META, key: key(source), value: count.to_be_bytes().to_vec() });
    }
    Ok(steps)
}

/// The scopes that see a record.
fn seen_in(record: Option<&Record>) -> BTreeSet<ScopeNo> {
    let said = record.into_iter().flat_map(|record| &record.statements);
    said.filter(|said| said.standing == Standing::Seen).map(|said| said.scope).collect()
}
