//! Which versions of which rows a decision rests on: where others write too, a batch names them and is refused if one of
//! them moved. It must never take the version of a later read for that of the first: the decision rests on the first.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{CommitNo, Op, Row, Table};

/// Rows that were read: the commit of the version read, or that there was none.
#[derive(Debug, Default)]
pub struct Reads(Mutex<Noted>);

type Noted = HashMap<(Table, Vec<u8>), Option<CommitNo>>;

impl Reads {
    /// Forgets everything: the decision begins again.
    pub fn clear(&self) {
        self.noted().clear();
    }

    /// Notes what was read. A row that was deleted counts as one that is not there.
    pub(super) fn note(&self, table: Table, key: &[u8], row: Option<&Row>) {
        if let Entry::Vacant(place) = self.noted().entry((table, key.to_vec())) {
            place.insert(row.filter(|row| row.value.is_some()).map(|row| row.commit));
        }
    }

    /// Everything noted, in the form a batch takes it.
    pub(super) fn all(&self) -> Vec<(Table, Vec<u8>, Option<CommitNo>)> {
        self.noted().iter().map(|((table, key), commit)| (*table, key.clone(), *commit)).collect()
    }

    /// What was noted of the rows that these steps write, in the form a batch takes it.
    pub(super) fn of_written(&self, ops: &[Op]) -> Vec<(Table, Vec<u8>, Option<CommitNo>)> {
        let mut noted = self.noted();
        let written = ops.iter().filter_map(written);
        written
            .filter_map(|(table, key)| noted.remove(&(table, key.to_vec())).map(|it| (table, key.to_vec(), it)))
            .collect()
    }

    /// Forgets what these steps, which were committed, have replaced.
    pub(super) fn forget_written(&self, ops: &[(Table, Vec<u8>)]) {
        let mut noted = self.noted();
        for written in ops {
            noted.remove(written);
        }
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The row that a step writes.
pub(super) fn written(op: &Op) -> Option<(Table, &[u8])> {
    match op {
        Op::Put { table, key, .. } | Op::Amend { table, key, .. } | Op::Delete { table, key } => Some((*table, key)),
        Op::Append { .. } | Op::Schedule { .. } | Op::Unschedule { .. } => None,
    }
}
