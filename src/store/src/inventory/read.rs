//! Reading the inventory, now or as of a commit.
//! It must never write.

use std::{collections::BTreeMap, ops::Bound};

use provost_model::{Cursor, Finding, Key, Kind, PartId, Record, RecordId, Run, Scope, ScopeNo, Standing, Time};

use super::{
    CURSORS, FINDINGS, HELD, JUDGED_BY, JudgedBy, KEYS, MACHINE, MARKS, MEMBER, META, MemberRow, PLACES, RECORDS, RUNS,
    Reads, SCOPES, SOURCES, ScopeRow, SourceRow, TIES, UNJUDGED, index, rows, tally,
};
use crate::{CommitNo, Fence, Go, KeyRange, Row, Store, StoreError, Table, codec};

/// The inventory in a store.
#[derive(Clone, Copy)]
pub struct Inventory<'a> {
    pub(super) store: &'a dyn Store,
    pub(super) reads: Option<&'a Reads>,
    pub(super) fence: Option<&'a Fence>,
}

/// One version of something, and the commit that made it.
#[derive(Clone, Debug)]
pub struct Version<T> {
    /// The commit.
    pub commit: CommitNo,
    /// When it was.
    pub recorded: Time,
    /// The thing.
    pub it: T,
}

impl<'a> Inventory<'a> {
    /// The inventory in that store.
    pub fn of(store: &'a dyn Store) -> Self {
        Self { store, reads: None, fence: None }
    }

    /// The same; where others write too, what is read now of records, findings and sources is noted, and drafts made from
    /// here are refused if any of it moved meanwhile.
    pub fn noting(self, reads: &'a Reads) -> Self {
        Self { reads: self.store.shared().then_some(reads), ..self }
    }

    /// The same; drafts made from here are refused once that lease is lost.
    pub fn fenced(self, fence: &'a Fence) -> Self {
        Self { fence: Some(fence), ..self }
    }

    /// The store below.
    pub fn store(&self) -> &'a dyn Store {
        self.store
    }

    /// A record as it stood at a commit (`None`: now).
    pub fn record(&self, id: RecordId, at: Option<CommitNo>) -> Result<Option<Record>, StoreError> {
        let row = self.store.get(RECORDS, id.as_bytes(), at)?;
        if at.is_none() {
            self.note(RECORDS, id.as_bytes(), row.as_ref());
        }
        row.and_then(|row| row.value).map(|bytes| codec::record::decode(&bytes)).transpose()
    }

    /// The record that a key names, under any of its names.
    pub fn resolve(&self, key: &Key) -> Result<Option<RecordId>, StoreError> {
        let row = self.store.get(KEYS, &index::digest(key).0, None)?;
        row.and_then(|row| row.value).map(|bytes| index::tail_id(&bytes)).transpose()
    }

    /// Visits every record as it stood at a commit (`None`: now), gone ones included, in the order of ids.
    pub fn each_record(
        &self,
        at: Option<CommitNo>,
        each: &mut dyn FnMut(Record, CommitNo) -> Result<Go, StoreError>,
    ) -> Result<(), StoreError> {
        self.store.scan(RECORDS, &KeyRange::all(), at, &mut |_, row| match row.value {
            Some(bytes) => each(codec::record::decode(&bytes)?, row.commit),
            None => Ok(Go::On),
        })
    }

    /// The same, of those kinds only; others are not read further than their kind.
    pub fn each_of_kinds(
        &self,
        at: Option<CommitNo>,
        kinds: &dyn Fn(Kind) -> bool,
        each: &mut dyn FnMut(Record) -> Result<Go, StoreError>,
    ) -> Result<(), StoreError> {
        self.store.scan(RECORDS, &KeyRange::all(), at, &mut |_, row| match row.value {
            Some(bytes) if codec::record::kind_of(&bytes).is_none_or(kinds) => each(codec::record::decode(&bytes)?),
            _ => Ok(Go::On),
        })
    }

    /// Up to `limit` records as they stand now, gone ones included, in the order of ids: those after that one.
    pub fn records_after(&self, after: Option<RecordId>, limit: usize) -> Result<Vec<Record>, StoreError> {
        self.of_kinds_after(after, limit, &|_| true)
    }

    /// The same, of those kinds only.
    pub fn of_kinds_after(
        &self,
        after: Option<RecordId>,
        limit: usize,
        kinds: &dyn Fn(Kind) -> bool,
    ) -> Result<Vec<Record>, StoreError> {
        let from = after.map_or(Bound::Unbounded, |id| Bound::Excluded(id.as_bytes().to_vec()));
        let mut records = Vec::new();
        self.store.scan(RECORDS, &KeyRange { from, to: Bound::Unbounded }, None, &mut |_, row| {
            if let Some(bytes) = row.value.filter(|bytes| codec::record::kind_of(bytes).is_none_or(kinds)) {
                records.push(codec::record::decode(&bytes)?);
            }
            Ok(if records.len() < limit { Go::On } else { Go::Stop })
        })?;
        Ok(records)
    }

    /// Sources with a run of which not everything was judged: one under way, or one that was cut.
    pub fn unjudged(&self) -> Result<Vec<String>, StoreError> {
        let mut sources = Vec::new();
        self.store.scan(META, &KeyRange::prefix(UNJUDGED), None, &mut |key, _| {
            sources.extend(key.strip_prefix(UNJUDGED).map(|name| String::from_utf8_lossy(name).into_owned()));
            Ok(Go::On)
        })?;
        Ok(sources)
    }

    /// By what the records are judged: by nothing before anything was. The row of the first version says nothing of single
    /// rules, so that it counts as nothing too.
    pub fn judged_by(&self) -> Result<JudgedBy, StoreError> {
        let row = self.store.get(META, JUDGED_BY, None)?;
        self.note(META, JUDGED_BY, row.as_ref());
        let row = row.and_then(|row| row.value);
        row.map_or_else(|| Ok(JudgedBy::default()), |bytes| rows::decode(&bytes, "what is judged by"))
    }

    /// Up to so many of the records that carry that fingerprint or key id.
    pub fn marked_first(&self, value: &str, limit: usize) -> Result<Vec<RecordId>, StoreError> {
        let mut ids = Vec::new();
        self.store.scan(MARKS, &KeyRange::prefix(&index::mark(value)), None, &mut |key, _| {
            ids.push(index::tail_id(key)?);
            Ok(if ids.len() < limit { Go::On } else { Go::Stop })
        })?;
        Ok(ids)
    }

    /// Every version kept of a record, oldest first.
    pub fn record_versions(&self, id: RecordId) -> Result<Vec<Version<Record>>, StoreError> {
        let rows = self.store.versions(RECORDS, id.as_bytes())?;
        let kept = rows.into_iter().filter_map(|row| row.value.map(|bytes| (row.commit, row.recorded, bytes)));
        kept.map(|(commit, recorded, bytes)| Ok(Version { commit, recorded, it: codec::record::decode(&bytes)? }))
            .collect()
    }

    /// Records that authenticate as, or live in, what that key names.
    pub fn tied_to(&self, key: &Key) -> Result<Vec<RecordId>, StoreError> {
        self.ids(TIES, &index::digest(key).0)
    }

    /// Records that carry that fingerprint or key id.
    pub fn marked(&self, value: &str) -> Result<Vec<RecordId>, StoreError> {
        self.ids(MARKS, &index::mark(value))
    }

    /// All findings about a subject, resolved ones included.
    pub fn findings_of(&self, subject: RecordId) -> Result<Vec<Finding>, StoreError> {
        let row = self.store.get(FINDINGS, subject.as_bytes(), None)?;
        self.note(FINDINGS, subject.as_bytes(), row.as_ref());
        row.and_then(|row| row.value).map_or_else(|| Ok(Vec::new()), |bytes| codec::finding::decode(&bytes))
    }

    /// Up to `limit` subjects that are due in a queue of subjects, the most overdue first.
    pub fn due_subjects(&self, queue: &str, now: Time, limit: usize) -> Result<Vec<RecordId>, StoreError> {
        let due = self.store.due(queue, now, limit)?;
        due.iter().map(|(_, item)| index::tail_id(item)).collect()
    }

    /// Visits every finding as it stood at a commit (`None`: now), resolved ones included, subject by subject.
    pub fn each_finding(
        &self,
        at: Option<CommitNo>,
        each: &mut dyn FnMut(Finding) -> Result<Go, StoreError>,
    ) -> Result<(), StoreError> {
        self.store.scan(FINDINGS, &KeyRange::all(), at, &mut |_, row| match row.value {
            Some(bytes) => {
                for finding in codec::finding::decode(&bytes)? {
                    if each(finding)? == Go::Stop {
                        return Ok(Go::Stop);
                    }
                }
                Ok(Go::On)
            }
            None => Ok(Go::On),
        })
    }

    /// What is kept of a source; an empty row if it never ran.
    pub fn source(&self, name: &str) -> Result<SourceRow, StoreError> {
        let key = index::path(&[name]);
        let row = self.store.get(SOURCES, &key, None)?;
        self.note(SOURCES, &key, row.as_ref());
        row.and_then(|row| row.value).map_or_else(|| Ok(SourceRow::default()), |bytes| rows::decode(&bytes, "a source"))
    }

    /// What is kept of every source that ever ran, by name. Not noted: these rows move with every commit of a run.
    pub fn sources(&self) -> Result<Vec<(String, SourceRow)>, StoreError> {
        let mut found = Vec::new();
        self.store.scan(SOURCES, &KeyRange::all(), None, &mut |key, row| {
            if let Some(bytes) = row.value {
                let name = String::from_utf8_lossy(key.strip_suffix(&[0]).unwrap_or(key)).into_owned();
                found.push((name, rows::decode(&bytes, "a source")?));
            }
            Ok(Go::On)
        })?;
        Ok(found)
    }

    /// Names of all sources that ever ran.
    pub fn source_names(&self) -> Result<Vec<String>, StoreError> {
        let mut names = Vec::new();
        self.store.scan(SOURCES, &KeyRange::all(), None, &mut |key, _| {
            names.push(String::from_utf8_lossy(key.strip_suffix(&[0]).unwrap_or(key)).into_owned());
            Ok(Go::On)
        })?;
        Ok(names)
    }

    /// A scope of a source, if it was ever read.
    pub fn scope(&self, source: &str, scope: &Scope) -> Result<Option<ScopeRow>, StoreError> {
        let key = index::path(&[source, scope.realm.as_str(), &scope.path]);
        let row = self.store.get(SCOPES, &key, None)?;
        self.note(SCOPES, &key, row.as_ref());
        row.and_then(|row| row.value).map(|bytes| rows::decode(&bytes, "a scope")).transpose()
    }

    /// Every scope of a source (`None`: of all sources), in the order of source, realm and path.
    pub fn scopes(&self, source: Option<&str>) -> Result<Vec<ScopeRow>, StoreError> {
        let range = source.map_or_else(KeyRange::all, |name| KeyRange::prefix(&index::path(&[name])));
        let mut scopes = Vec::new();
        self.store.scan(SCOPES, &range, None, &mut |_, row| {
            if let Some(bytes) = row.value {
                scopes.push(rows::decode(&bytes, "a scope")?);
            }
            Ok(Go::On)
        })?;
        Ok(scopes)
    }

    /// Every scope by its short name: what a statement's speaker is called.
    pub fn scopes_by_number(&self) -> Result<BTreeMap<ScopeNo, ScopeRow>, StoreError> {
        Ok(self.scopes(None)?.into_iter().map(|row| (row.number, row)).collect())
    }

    /// The cursor of a scope.
    pub fn cursor(&self, scope: &ScopeRow) -> Result<Option<Cursor>, StoreError> {
        if scope.cursor_chunks == 0 {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        for chunk in 0..scope.cursor_chunks {
            let row = self.store.get(CURSORS, &chunk_key(scope.number, chunk), None)?;
            match row.and_then(|row| row.value) {
                Some(part) => bytes.extend_from_slice(&part),
                None => return Ok(None),
            }
        }
        Ok(Some(Cursor(bytes)))
    }

    /// Visits what stands as seen or missing in a part of a scope, in the order of record ids.
    pub fn each_place(
        &self,
        scope: ScopeNo,
        part: PartId,
        each: &mut dyn FnMut(RecordId) -> Result<Go, StoreError>,
    ) -> Result<(), StoreError> {
        let range = KeyRange::prefix(&index::place_prefix(scope, Some(part)));
        self.store.scan(PLACES, &range, None, &mut |key, row| match row.value {
            Some(standing) if index::can_vanish(&standing) => each(index::read_place(key)?.1),
            _ => Ok(Go::On),
        })
    }

    /// Every record that ever stood in a scope, with the part.
    pub fn places(&self, scope: ScopeNo) -> Result<Vec<(PartId, RecordId)>, StoreError> {
        let mut places = Vec::new();
        let range = KeyRange::prefix(&index::place_prefix(scope, None));
        self.store.scan(PLACES, &range, None, &mut |key, _| {
            places.push(index::read_place(key)?);
            Ok(Go::On)
        })?;
        Ok(places)
    }

    /// Absences held back in a scope: part, record, when the listing that lacked it began, and whether it was atomic.
    pub fn held(&self, scope: ScopeNo) -> Result<Vec<(PartId, RecordId, Time, bool)>, StoreError> {
        let mut held = Vec::new();
        let range = KeyRange::prefix(&index::place_prefix(scope, None));
        self.store.scan(HELD, &range, None, &mut |key, row| {
            let (part, id) = index::read_place(key)?;
            let (began, atomic): (Time, bool) = rows::decode(&row.value.unwrap_or_default(), "an absence held back")?;
            held.push((part, id, began, atomic));
            Ok(Go::On)
        })?;
        Ok(held)
    }

    /// How many records a source sees, each counted once. Read from a counter; what no counter was kept of is counted.
    pub fn records_of(&self, source: &str) -> Result<u64, StoreError> {
        let row = self.store.get(META, &tally::key(source), None)?;
        self.note(META, &tally::key(source), row.as_ref());
        let row = row.and_then(|row| row.value);
        if let Some(count) = row.and_then(|bytes| <[u8; 8]>::try_from(bytes.as_slice()).ok()) {
            return Ok(u64::from_be_bytes(count));
        }
        let seen = [index::standing_byte(Standing::Seen)];
        let mut ids = Vec::new();
        for scope in self.scopes(Some(source))? {
            let range = KeyRange::prefix(&index::place_prefix(scope.number, None));
            self.store.scan(PLACES, &range, None, &mut |key, row| {
                if row.value.is_some_and(|standing| standing == seen) {
                    ids.push(index::tail_id(key)?);
                }
                Ok(Go::On)
            })?;
        }
        ids.sort_unstable();
        ids.dedup();
        Ok(ids.len() as u64)
    }

    /// The machine on which alone a source can be looked at, once one looked; `None` for what can be looked at from anywhere.
    pub fn machine_of(&self, source: &str) -> Result<Option<String>, StoreError> {
        let key = [MACHINE, source.as_bytes()].concat();
        let row = self.store.get(META, &key, None)?;
        self.note(META, &key, row.as_ref());
        Ok(row.and_then(|row| row.value).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Daemons that said they are at work on the store; whether one still is, its lease tells.
    pub fn members(&self) -> Result<Vec<MemberRow>, StoreError> {
        let mut members = Vec::new();
        self.store.scan(META, &KeyRange::prefix(MEMBER), None, &mut |key, row| {
            self.note(META, key, Some(&row));
            if let Some(bytes) = row.value {
                members.push(rows::decode(&bytes, "a daemon")?);
            }
            Ok(Go::On)
        })?;
        Ok(members)
    }

    /// A run of a source.
    pub fn run(&self, source: &str, id: provost_model::RunId) -> Result<Option<Run>, StoreError> {
        let row = self.store.get(RUNS, &run_key(source, id), None)?;
        row.and_then(|row| row.value).map(|bytes| codec::run::decode(&bytes)).transpose()
    }

    /// The runs kept of a source, oldest first.
    pub fn runs(&self, source: &str) -> Result<Vec<Run>, StoreError> {
        let mut runs = Vec::new();
        self.store.scan(RUNS, &KeyRange::prefix(&index::path(&[source])), None, &mut |_, row| {
            if let Some(bytes) = row.value {
                runs.push(codec::run::decode(&bytes)?);
            }
            Ok(Go::On)
        })?;
        Ok(runs)
    }

    pub(super) fn note(&self, table: Table, key: &[u8], row: Option<&Row>) {
        if let Some(reads) = self.reads {
            reads.note(table, key, row);
        }
    }

    fn ids(&self, table: Table, prefix: &[u8]) -> Result<Vec<RecordId>, StoreError> {
        let mut ids = Vec::new();
        self.store.scan(table, &KeyRange::prefix(prefix), None, &mut |key, _| {
            ids.push(index::tail_id(key)?);
            Ok(Go::On)
        })?;
        Ok(ids)
    }
}

pub(super) fn run_key(source: &str, id: provost_model::RunId) -> Vec<u8> {
    let mut key = index::path(&[source]);
    key.extend_from_slice(id.as_bytes());
    key
}

pub(super) fn chunk_key(scope: ScopeNo, chunk: u16) -> Vec<u8> {
    let mut key = scope.0.to_be_bytes().to_vec();
    key.extend_from_slice(&chunk.to_be_bytes());
    key
}
