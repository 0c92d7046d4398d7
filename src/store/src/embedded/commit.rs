//! What a batch does to the trees, step by step, inside one write of the engine.
//! It must never read the engine but through the draft: what was checked there is what is written.

use std::collections::{BTreeSet, HashMap, HashSet};

use provost_model::Time;

use super::{leases, log, past, queues, rows, streams, tables};
use crate::{
    Batch, Entry, Head, Op, StoreError, Table,
    kv::{Draft, Tree},
};

/// Steps one batch may have: what a batch writes is held in memory until it is durable, so larger work comes in several.
pub const MAX_OPS: usize = 16_000;
/// Bytes of keys and values one batch may have.
pub const MAX_BYTES: usize = 16 << 20;
/// Steps of which is read at once what they look at.
const AHEAD: usize = 1024;

/// Refuses a batch over the bounds before anything is written.
pub(crate) fn check_size(batch: &Batch) -> Result<(), StoreError> {
    let bytes: usize = batch.ops.iter().map(size).sum();
    if batch.ops.len() <= MAX_OPS && bytes <= MAX_BYTES {
        return Ok(());
    }
    let said = format!(
        "a batch of {} steps and {bytes} bytes is over the bound of {MAX_OPS} and {MAX_BYTES}",
        batch.ops.len()
    );
    Err(StoreError::Io(std::io::Error::new(std::io::ErrorKind::InvalidInput, said)))
}

/// Refuses more steps than a batch may have.
pub(crate) fn check_count(steps: usize) -> Result<(), StoreError> {
    if steps <= MAX_OPS {
        return Ok(());
    }
    let said = format!("{steps} steps at once are over the bound of {MAX_OPS}");
    Err(StoreError::Io(std::io::Error::new(std::io::ErrorKind::InvalidInput, said)))
}

/// The streams a batch appends to.
pub(super) fn streams_of(batch: &Batch) -> BTreeSet<&'static str> {
    batch.ops.iter().filter_map(|op| if let Op::Append { stream, .. } = op { Some(*stream) } else { None }).collect()
}

/// The entries a batch appends, in order, and where its streams end then.
pub(super) fn entries_of(
    batch: &Batch,
    at: Time,
    tails: &mut HashMap<&'static str, streams::Tail>,
) -> Vec<(&'static str, Entry)> {
    let mut entries = Vec::new();
    for op in &batch.ops {
        if let Op::Append { stream, value } = op {
            let tail = tails.entry(stream).or_default();
            let entry = tail.next(at, value);
            *tail = streams::Tail { sequence: entry.sequence, hash: entry.hash };
            entries.push((*stream, entry));
        }
    }
    entries
}

/// The tables a batch puts rows into, some of them several times.
pub(super) fn tables_of(batch: &Batch) -> impl Iterator<Item = Table> {
    batch.ops.iter().filter_map(|op| if let Op::Put { table, .. } = op { Some(*table) } else { None })
}

/// Checks what the batch relies on, then does its steps in order. `entries`: what it appends.
pub(super) fn apply(
    draft: &mut dyn Draft,
    batch: &Batch,
    head: Head,
    entries: &[(&'static str, Entry)],
) -> Result<(), StoreError> {
    if let Some(fence) = &batch.fence {
        leases::check(draft, fence, head.at)?;
    }
    for (table, key, expected) in &batch.expect {
        let found = draft.get(tables::rows_of(*table), key)?.as_deref().map(rows::commit_of).transpose()?;
        if found != *expected {
            return Err(conflict(*table, key));
        }
    }
    log::note(draft, head)?;
    entries.iter().try_for_each(|(stream, entry)| streams::put(draft, stream, entry))?;
    let mut step = Step { draft, head, deleted: HashSet::new(), bytes: Vec::new() };
    for ops in batch.ops.chunks(AHEAD) {
        step.draft.foresee(&mut ops.iter().filter_map(looked_at).collect::<Vec<_>>())?;
        ops.iter().try_for_each(|op| step.take(op))?;
    }
    Ok(())
}

/// What a step looks at before it writes.
fn looked_at(op: &Op) -> Option<(Tree<'_>, &[u8])> {
    match op {
        Op::Put { table, key, .. } | Op::Delete { table, key } if table.versioned => {
            Some((tables::rows_of(*table), key))
        }
        Op::Amend { table, key, .. } => Some((tables::rows_of(*table), key)),
        Op::Schedule { queue, item, .. } | Op::Unschedule { queue, item } => Some((queues::times_of(queue), item)),
        Op::Put { .. } | Op::Delete { .. } | Op::Append { .. } => None,
    }
}

/// The writing of one batch.
struct Step<'a> {
    draft: &'a mut dyn Draft,
    head: Head,
    /// Places among former versions where this batch left a deletion.
    deleted: HashSet<(Table, Vec<u8>)>,
    /// Scratch space for the bytes of a row.
    bytes: Vec<u8>,
}

impl Step<'_> {
    fn take(&mut self, op: &Op) -> Result<(), StoreError> {
        match op {
            Op::Put { table, key, value } => self.put(*table, key, value),
            Op::Amend { table, key, value } => self.amend(*table, key, value),
            Op::Delete { table, key } => self.delete(*table, key),
            // Written with its hash already.
            Op::Append { .. } => Ok(()),
            Op::Schedule { queue, item, at } => queues::schedule(self.draft, queue, item, *at),
            Op::Unschedule { queue, item } => queues::unschedule(self.draft, queue, item),
        }
    }

    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        if table.versioned {
            self.keep(table, key)?;
            if self.deleted.remove(&(table, key.to_vec())) {
                self.draft.delete(past::of(table), &rows::past_key(key, self.head.number))?;
            }
        }
        rows::encode(self.head.number, self.head.at, Some(value), &mut self.bytes);
        self.draft.put(tables::rows_of(table), key, &self.bytes)
    }

    fn amend(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let Some(present) = self.draft.get(tables::rows_of(table), key)? else { return Err(conflict(table, key)) };
        let row = rows::decode(present)?;
        rows::encode(row.commit, row.recorded, Some(value), &mut self.bytes);
        self.draft.put(tables::rows_of(table), key, &self.bytes)
    }

    fn delete(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError> {
        if table.versioned && self.keep(table, key)? {
            rows::encode(self.head.number, self.head.at, None, &mut self.bytes);
            self.draft.put(past::of(table), &rows::past_key(key, self.head.number), &self.bytes)?;
            self.deleted.insert((table, key.to_vec()));
        }
        self.draft.delete(tables::rows_of(table), key)
    }

    /// Copies the present version to the former ones, unless this very batch wrote it. Tells whether there is one.
    fn keep(&mut self, table: Table, key: &[u8]) -> Result<bool, StoreError> {
        let Some(present) = self.draft.get(tables::rows_of(table), key)? else { return Ok(false) };
        let commit = rows::commit_of(&present)?;
        if commit != self.head.number {
            self.draft.put(past::of(table), &rows::past_key(key, commit), &present)?;
        }
        Ok(true)
    }
}

fn size(op: &Op) -> usize {
    match op {
        Op::Put { key, value, .. } | Op::Amend { key, value, .. } => key.len() + value.len(),
        Op::Delete { key, .. } => key.len(),
        Op::Append { value, .. } => value.len(),
        Op::Schedule { item, .. } | Op::Unschedule { item, .. } => item.len(),
    }
}

/// The refusal for a row that is not what a batch relied on.
pub(crate) fn conflict(table: Table, key: &[u8]) -> StoreError {
    let digits: String = key.iter().take(32).map(|byte| format!("{byte:02x}")).collect();
    StoreError::Conflict(format!("{}/{digits}", table.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_over_the_bounds_is_refused() {
        let op = Op::Append { stream: "s", value: vec![0; 16] };
        let batch = Batch { ops: vec![op; MAX_OPS], ..Batch::default() };
        assert!(check_size(&batch).is_ok());
        let large = Op::Append { stream: "s", value: vec![0; MAX_BYTES] };
        for extra in [Op::Delete { table: Table { name: "t", versioned: false }, key: vec![1] }, large] {
            let mut batch = batch.clone();
            batch.ops.push(extra);
            assert!(check_size(&batch).is_err());
        }
    }
}
