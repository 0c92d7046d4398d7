//! Reading many things at once: what a page of records is judged by costs one question a table, not one a record.
//! It must never answer otherwise than single reads do, nor read a row without noting it where they do.

use std::ops::Bound;

use provost_model::{Finding, KeyDigest, Motion, Record, RecordId};

use super::{FINDINGS, Inventory, KEYS, MARKS, MOTIONS, RECORDS, TIES, index, rows};
use crate::{CommitNo, Go, KeyRange, Row, StoreError, Table, codec};

/// A record as it was read, not yet taken apart.
#[derive(Clone, Debug)]
pub struct Sealed {
    /// Which record.
    pub id: RecordId,
    row: Row,
}

impl Inventory<'_> {
    /// Up to `limit` records as they stand now, gone ones included, in the order of ids: those after that one.
    pub fn sealed_after(&self, after: Option<RecordId>, limit: usize) -> Result<Vec<Sealed>, StoreError> {
        let from = after.map_or(Bound::Unbounded, |id| Bound::Excluded(id.as_bytes().to_vec()));
        let mut found = Vec::new();
        self.store.scan(RECORDS, &KeyRange { from, to: Bound::Unbounded }, None, &mut |key, row| {
            found.push(Sealed { id: index::tail_id(key)?, row });
            Ok(if found.len() < limit { Go::On } else { Go::Stop })
        })?;
        Ok(found)
    }

    /// The records themselves; what was read counts as read now.
    pub fn unsealed(&self, records: &[Sealed]) -> Result<Vec<Record>, StoreError> {
        let mut found = Vec::with_capacity(records.len());
        for Sealed { id, row } in records {
            self.note(RECORDS, id.as_bytes(), Some(row));
            if let Some(bytes) = &row.value {
                found.push(codec::record::decode(bytes)?);
            }
        }
        Ok(found)
    }

    /// These records as they stood at a commit (`None`: now), those that there are, in the order asked for.
    pub fn records(&self, ids: &[RecordId], at: Option<CommitNo>) -> Result<Vec<Record>, StoreError> {
        if at.is_some() {
            return ids.iter().filter_map(|id| self.record(*id, at).transpose()).collect();
        }
        let rows = self.rows(RECORDS, ids)?;
        let bytes = rows.into_iter().filter_map(|row| row.and_then(|row| row.value));
        bytes.map(|bytes| codec::record::decode(&bytes)).collect()
    }

    /// All findings about each of these subjects as they stood at a commit (`None`: now), resolved ones included, in the
    /// order asked for.
    pub fn findings_of_all(
        &self,
        subjects: &[RecordId],
        at: Option<CommitNo>,
    ) -> Result<Vec<Vec<Finding>>, StoreError> {
        if at.is_some() {
            return subjects.iter().map(|subject| self.findings_at(*subject, at)).collect();
        }
        let rows = self.rows(FINDINGS, subjects)?.into_iter().map(|row| row.and_then(|row| row.value));
        rows.map(|bytes| bytes.map_or_else(|| Ok(Vec::new()), |bytes| codec::finding::decode(&bytes))).collect()
    }

    /// What people asked for and decided about each of these subjects as it stood at a commit (`None`: now), in the order in
    /// which it was asked for.
    pub fn motions_of_all(&self, subjects: &[RecordId], at: Option<CommitNo>) -> Result<Vec<Vec<Motion>>, StoreError> {
        if at.is_some() {
            return subjects.iter().map(|subject| self.motions_of(*subject, at)).collect();
        }
        let prefixes: Vec<Vec<u8>> = subjects.iter().map(|id| id.as_bytes().to_vec()).collect();
        let found = self.store.keys_below(MOTIONS, &prefixes, usize::MAX)?;
        let keys: Vec<Vec<u8>> = found.iter().flatten().cloned().collect();
        let mut read = Vec::with_capacity(keys.len());
        if !keys.is_empty() {
            let rows = self.store.get_many(MOTIONS, &keys)?;
            for (key, row) in keys.iter().zip(rows) {
                self.note(MOTIONS, key, row.as_ref());
                let motion = row.and_then(|row| row.value).map(|bytes| rows::decode(&bytes, "a decision"));
                read.push(motion.transpose()?);
            }
        }
        let mut read = read.into_iter();
        Ok(found.iter().map(|keys| read.by_ref().take(keys.len()).flatten().collect()).collect())
    }

    /// The records that these keys name, in the order asked for.
    pub fn resolve_all(&self, keys: &[KeyDigest]) -> Result<Vec<Option<RecordId>>, StoreError> {
        let asked: Vec<Vec<u8>> = keys.iter().map(|key| key.0.to_vec()).collect();
        let rows = self.store.get_many(KEYS, &asked)?.into_iter();
        rows.map(|row| row.and_then(|row| row.value).map(|bytes| index::tail_id(&bytes)).transpose()).collect()
    }

    /// For each of these keys the records that authenticate as, or live in, what it names.
    pub fn tied_to_each(&self, keys: &[KeyDigest]) -> Result<Vec<Vec<RecordId>>, StoreError> {
        self.ids_below(TIES, keys.iter().map(|key| key.0.to_vec()).collect(), usize::MAX)
    }

    /// For each of these values up to so many of the records that carry that fingerprint or key id.
    pub fn marked_first_each(&self, values: &[&str], limit: usize) -> Result<Vec<Vec<RecordId>>, StoreError> {
        self.ids_below(MARKS, values.iter().map(|value| index::mark(value).to_vec()).collect(), limit)
    }

    pub(super) fn rows(&self, table: Table, ids: &[RecordId]) -> Result<Vec<Option<Row>>, StoreError> {
        let keys: Vec<Vec<u8>> = ids.iter().map(|id| id.as_bytes().to_vec()).collect();
        let rows = self.store.get_many(table, &keys)?;
        for (key, row) in keys.iter().zip(&rows) {
            self.note(table, key, row.as_ref());
        }
        Ok(rows)
    }

    pub(super) fn ids_below(
        &self,
        table: Table,
        prefixes: Vec<Vec<u8>>,
        limit: usize,
    ) -> Result<Vec<Vec<RecordId>>, StoreError> {
        let found = self.store.keys_below(table, &prefixes, limit)?.into_iter();
        found.map(|keys| keys.iter().map(|key| index::tail_id(key)).collect()).collect()
    }
}
