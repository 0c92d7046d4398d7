//! How many records each source sees, counted as they change: a record that several scopes of a source see counts once.
//! It must never be written but in the commit of the changes it counts.

use std::collections::BTreeMap;

use provost_model::{Record, ScopeNo, Standing};

use super::{Inventory, META, index};
use crate::{Op, StoreError};

/// The row of a source's count.
pub(super) fn key(source: &str) -> Vec<u8> {
    [b"records_of\0".as_slice(), &index::path(&[source])].concat()
}

/// Records whose sources may be others than they were: the scopes that saw each, and those that see it.
pub(super) type Moved = Vec<(Vec<ScopeNo>, Vec<ScopeNo>)>;

/// Those of the changed records that other scopes see than before.
pub(super) fn moved<'r>(changes: impl Iterator<Item = (Option<&'r Record>, &'r Record)>) -> Moved {
    let seen = |record: &Record| -> Vec<ScopeNo> {
        // Statements are in the order of scopes.
        let mut scopes: Vec<_> = record.statements.iter().filter(|it| it.standing == Standing::Seen).collect();
        scopes.dedup_by_key(|it| it.scope);
        scopes.into_iter().map(|it| it.scope).collect()
    };
    changes
        .map(|(before, now)| (before.map(seen).unwrap_or_default(), seen(now)))
        .filter(|(before, now)| before != now)
        .collect()
}

/// Every scope that these changes name.
pub(super) fn scopes(moved: &Moved) -> impl Iterator<Item = ScopeNo> + '_ {
    moved.iter().flat_map(|(before, now)| before.iter().chain(now)).copied()
}

/// The steps that keep the counts right when records become other than they were. `source_of` knows whose a scope is.
pub(super) fn steps<'s>(
    inventory: Inventory<'_>,
    moved: &Moved,
    source_of: impl Fn(ScopeNo) -> Option<&'s str>,
) -> Result<Vec<Op>, StoreError> {
    let sources = |scopes: &[ScopeNo]| -> Vec<&'s str> {
        let mut sources: Vec<_> = scopes.iter().filter_map(|number| source_of(*number)).collect();
        sources.sort_unstable();
        sources.dedup();
        sources
    };
    let mut by: BTreeMap<&str, i64> = BTreeMap::new();
    for (before, now) in moved {
        sources(before).into_iter().for_each(|source| *by.entry(source).or_default() -= 1);
        sources(now).into_iter().for_each(|source| *by.entry(source).or_default() += 1);
    }
    let mut steps = Vec::new();
    for (source, by) in by.into_iter().filter(|(_, by)| *by != 0) {
        let count = inventory.records_of(source)?.saturating_add_signed(by);
        steps.push(Op::Put { table: META, key: key(source), value: count.to_be_bytes().to_vec() });
    }
    Ok(steps)
}
