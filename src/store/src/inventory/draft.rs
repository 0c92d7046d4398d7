//! Changes on their way into the store: read through, collected, and committed as one batch with all their index rows.
//! It must never commit a cursor apart from the changes it vouches for.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use provost_model::{
    Change, Cursor, Finding, Key, KeyDigest, PartId, Record, RecordId, Run, Scope, ScopeNo, Standing, Statement, Time,
    What,
};

use super::{
    CURSORS, FINDINGS, HELD, Inventory, JUDGE_QUEUE, JUDGED_BY, JUDGED_BY_ALL, JudgedBy, KEYS, MACHINE, MARKS, MEMBER,
    META, MemberRow, PLACES, RECORDS, RUNS, Reads, SCOPES, SOURCES, ScopeRow, SourceRow, TIES, TURN_QUEUE, UNJUDGED,
    WORK_QUEUE,
    index::{self, standing_byte},
    links, owners,
    read::{chunk_key, run_key},
    reads, rows, tally,
};
use crate::{Batch, Committed, Op, Row, StoreError, Table, codec, evidence::ChainEnd};

/// Steps after which a draft is full: half of what a store takes, so that whatever is under way still fits.
const FULL: usize = crate::MAX_OPS / 2;
/// Steps that a changed record takes: its row and those of its indexes.
const STEPS_A_RECORD: usize = 8;
/// Bytes of a cursor kept in one row.
const CHUNK: usize = 48 * 1024;

/// A record as it will be, and as it was when the draft began.
struct Pending {
    before: Option<Record>,
    now: Record,
    /// Its id was made for it: no row that is named after it was ever written.
    born: bool,
    /// Only volatile content differs, and today's history point exists already.
    amend: bool,
    day: Option<i64>,
    /// Digests of names that it did not have before.
    learned: Vec<KeyDigest>,
}

/// Changes that will be one commit.
pub struct Draft<'a> {
    inventory: Inventory<'a>,
    at: Time,
    records: HashMap<RecordId, Pending>,
    keys: HashMap<KeyDigest, Option<RecordId>>,
    known: HashMap<RecordId, Option<(Record, i64)>>,
    scopes: BTreeMap<ScopeNo, ScopeRow>,
    /// Scopes of which something is said here.
    speaking: BTreeMap<ScopeNo, (String, Scope)>,
    pub(super) ops: Vec<Op>,
    /// Ends of chains of evidence to which entries were added here.
    pub(super) chains: BTreeMap<String, ChainEnd>,
    /// Where others write too: which versions were read of what may be written here.
    read: Option<Reads>,
}

impl<'a> Draft<'a> {
    /// An empty draft.
    pub fn new(inventory: Inventory<'a>, at: Time) -> Self {
        Self {
            inventory,
            at,
            records: HashMap::new(),
            keys: HashMap::new(),
            known: HashMap::new(),
            scopes: BTreeMap::new(),
            speaking: BTreeMap::new(),
            ops: Vec::new(),
            chains: BTreeMap::new(),
            read: inventory.store.shared().then(Reads::default),
        }
    }

    /// An empty draft that takes this one's place and speaks of the same scopes.
    pub fn replace(&mut self, at: Time) -> Self {
        let speaking = self.speaking.clone();
        let next = Self { speaking, ..Self::new(self.inventory, at) };
        std::mem::replace(self, next)
    }

    /// Says of which scope something will be said, so that its row need not be looked for among those of all scopes.
    pub fn speak_of(&mut self, row: &ScopeRow) {
        self.speaking.entry(row.number).or_insert_with(|| (row.source.clone(), row.scope.clone()));
    }

    /// The inventory as committed so far.
    pub fn inventory(&self) -> Inventory<'a> {
        self.inventory
    }

    /// Records changed so far.
    pub fn changed(&self) -> usize {
        self.records.len()
    }

    /// Whether it had better be committed before it grows past what a store takes in one batch.
    pub fn is_full(&self) -> bool {
        self.ops.len() + self.records.len() * STEPS_A_RECORD >= FULL
    }

    /// Whether nothing is to be written.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.ops.is_empty() && self.scopes.is_empty()
    }

    /// Reads ahead what many look-ups will ask for: cheaper than one by one.
    pub fn prefetch(&mut self, keys: &[Key]) -> Result<(), StoreError> {
        let asked: Vec<KeyDigest> =
            keys.iter().map(index::digest).filter(|digest| !self.keys.contains_key(digest)).collect();
        let rows = self.inventory.store.get_many(KEYS, &asked.iter().map(|it| it.0.to_vec()).collect::<Vec<_>>())?;
        let mut wanted = Vec::new();
        for (digest, row) in asked.into_iter().zip(rows) {
            self.note(KEYS, &digest.0, row.as_ref());
            let id = row.and_then(|row| row.value).map(|bytes| index::tail_id(&bytes)).transpose()?;
            self.keys.insert(digest, id);
            wanted.extend(id.filter(|id| !self.known.contains_key(id) && !self.records.contains_key(id)));
        }
        let rows = self
            .inventory
            .store
            .get_many(RECORDS, &wanted.iter().map(|id| id.as_bytes().to_vec()).collect::<Vec<_>>())?;
        for (id, row) in wanted.into_iter().zip(rows) {
            self.note(RECORDS, id.as_bytes(), row.as_ref());
            self.known.insert(id, read_row(row)?);
        }
        Ok(())
    }

    /// The record a key names, as it will be.
    pub fn resolve(&mut self, key: &Key) -> Result<Option<RecordId>, StoreError> {
        let digest = index::digest(key);
        if let Some(id) = self.keys.get(&digest) {
            return Ok(*id);
        }
        let row = self.inventory.store.get(KEYS, &digest.0, None)?;
        self.note(KEYS, &digest.0, row.as_ref());
        let id = row.and_then(|row| row.value).map(|bytes| index::tail_id(&bytes)).transpose()?;
        self.keys.insert(digest, id);
        Ok(id)
    }

    /// A record as it will be.
    pub fn record(&mut self, id: RecordId) -> Result<Option<&Record>, StoreError> {
        if self.records.contains_key(&id) {
            return Ok(self.records.get(&id).map(|pending| &pending.now));
        }
        if !self.known.contains_key(&id) {
            let row = self.inventory.store.get(RECORDS, id.as_bytes(), None)?;
            self.note(RECORDS, id.as_bytes(), row.as_ref());
            self.known.insert(id, read_row(row)?);
        }
        Ok(self.known.get(&id).and_then(Option::as_ref).map(|(record, _)| record))
    }

    /// A record is about to appear under an id that was made just now: nothing need be read to know that it is not there.
    pub fn born(&mut self, id: RecordId) {
        self.known.insert(id, None);
    }

    /// Takes a change in.
    pub fn apply(&mut self, change: Change) -> Result<(), StoreError> {
        let id = change.after.id;
        if let Some(pending) = self.records.get_mut(&id) {
            let learned = index::learned(Some(&pending.now), &change.after);
            self.keys.extend(learned.iter().map(|digest| (*digest, Some(id))));
            pending.learned.extend(learned);
            pending.now = change.after;
            pending.amend = pending.amend && change.what == What::Touched;
            return Ok(());
        }
        let appears = change.what == What::Appeared;
        if !appears {
            self.record(id)?;
        }
        let known = self.known.remove(&id);
        let born = appears && known.as_ref().is_some_and(Option::is_none);
        let known = known.flatten().filter(|_| !appears);
        let (before, day) = known.map_or((None, None), |(record, day)| (Some(record), Some(day)));
        let amend = change.what == What::Touched && day == Some(self.at.day());
        let learned = index::learned(before.as_ref(), &change.after);
        self.keys.extend(learned.iter().map(|digest| (*digest, Some(id))));
        self.records.insert(id, Pending { before, now: change.after, born, amend, day, learned });
        Ok(())
    }

    /// Records that authenticate as, or live in, a record, under any of its names, as committed or as they will be.
    pub fn dependents(&mut self, of: &Record) -> Result<Vec<RecordId>, StoreError> {
        let mut ids: Vec<RecordId> = Vec::new();
        for external in &of.externals {
            let key = Key::new(of.realm.clone(), of.kind, external.clone());
            ids.extend(self.inventory.tied_to(&key)?);
            let tied = |it: &Record| it.container.as_ref() == Some(&key) || it.identity.as_ref() == Some(&key);
            ids.extend(self.records.iter().filter(|(_, pending)| tied(&pending.now)).map(|(id, _)| *id));
        }
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }

    /// The row of a scope, given a number if it has none yet.
    pub fn open_scope(&mut self, source: &str, scope: &Scope) -> Result<ScopeRow, StoreError> {
        if let Some(row) = self.scopes.values().find(|row| row.source == source && row.scope == *scope) {
            return Ok(row.clone());
        }
        if let Some(row) = self.inventory.scope(source, scope)? {
            return Ok(row);
        }
        let last = self.inventory.store.get(META, b"last_scope", None)?;
        self.note(META, b"last_scope", last.as_ref());
        let last = last.and_then(|row| row.value);
        let committed = last.and_then(|bytes| <[u8; 4]>::try_from(bytes.as_slice()).ok()).map_or(0, u32::from_be_bytes);
        let drafted = self.scopes.keys().next_back().map_or(0, |number| number.0);
        let number = committed.max(drafted) + 1;
        let put = Op::Put { table: META, key: b"last_scope".to_vec(), value: number.to_be_bytes().to_vec() };
        self.ops.push(put);
        let row = ScopeRow::new(ScopeNo(number), source, scope.clone());
        self.scopes.insert(row.number, row.clone());
        Ok(row)
    }

    /// Writes what is known of a scope. Its count of what is present is kept by the draft itself.
    pub fn put_scope(&mut self, row: ScopeRow) {
        self.scopes.insert(row.number, row);
    }

    /// Writes the cursor of a scope, in the same commit as everything else here.
    pub fn put_cursor(&mut self, scope: &mut ScopeRow, cursor: Option<&Cursor>) {
        let bytes = cursor.map_or(&[][..], |cursor| cursor.0.as_slice());
        let mut chunks = 0_u16;
        for chunk in bytes.chunks(CHUNK) {
            let key = chunk_key(scope.number, chunks);
            self.ops.push(Op::Put { table: CURSORS, key, value: chunk.to_vec() });
            chunks = chunks.saturating_add(1);
        }
        for stale in chunks..scope.cursor_chunks {
            self.ops.push(Op::Delete { table: CURSORS, key: chunk_key(scope.number, stale) });
        }
        scope.cursor_chunks = chunks;
    }

    /// Holds an absence back.
    pub fn hold(
        &mut self,
        scope: ScopeNo,
        part: PartId,
        id: RecordId,
        listing: (Time, bool),
    ) -> Result<(), StoreError> {
        let value = rows::encode(&listing)?;
        self.ops.push(Op::Put { table: HELD, key: index::place(scope, part, id), value });
        Ok(())
    }

    /// Holds an absence back no longer.
    pub fn unhold(&mut self, scope: ScopeNo, part: PartId, id: RecordId) {
        self.ops.push(Op::Delete { table: HELD, key: index::place(scope, part, id) });
    }

    /// What is kept of a source, to be changed here; an empty row if it never ran.
    pub fn source(&self, name: &str) -> Result<SourceRow, StoreError> {
        self.inventory_noting().source(name)
    }

    /// All findings about a subject, to be changed here; resolved ones included.
    pub fn findings_of(&self, subject: RecordId) -> Result<Vec<Finding>, StoreError> {
        self.inventory_noting().findings_of(subject)
    }

    /// By what the records are judged, to be changed here.
    pub fn judged_by(&self) -> Result<JudgedBy, StoreError> {
        self.inventory_noting().judged_by()
    }

    /// Writes what is known of a source. Read it by [`Draft::source`] first: others write into it too.
    pub fn put_source(&mut self, name: &str, row: &SourceRow) -> Result<(), StoreError> {
        let value = rows::encode(row)?;
        self.ops.push(Op::Put { table: SOURCES, key: index::path(&[name]), value });
        // When it is due again is asked of the queue, by whoever has time for it.
        self.schedule(WORK_QUEUE, name.as_bytes().to_vec(), row.next_run);
        Ok(())
    }

    /// Writes by what the records are judged.
    pub fn put_judged_by(&mut self, row: &JudgedBy) -> Result<(), StoreError> {
        self.ops.push(Op::Put { table: META, key: JUDGED_BY.to_vec(), value: rows::encode(row)? });
        // A program of the first version that opens this store must not take its own row for true.
        self.ops.push(Op::Delete { table: META, key: JUDGED_BY_ALL.to_vec() });
        Ok(())
    }

    /// Writes a run.
    pub fn put_run(&mut self, run: &Run) -> Result<(), StoreError> {
        let value = codec::run::encode(run)?;
        self.ops.push(Op::Put { table: RUNS, key: run_key(&run.source, run.id), value });
        Ok(())
    }

    /// Writes all findings about a subject.
    pub fn put_findings(&mut self, subject: RecordId, findings: &[Finding]) -> Result<(), StoreError> {
        self.put_encoded_findings(subject, codec::finding::encode(subject, findings)?);
        Ok(())
    }

    /// The same, for who has their bytes already.
    pub fn put_encoded_findings(&mut self, subject: RecordId, value: Vec<u8>) {
        self.ops.push(Op::Put { table: FINDINGS, key: subject.as_bytes().to_vec(), value });
        self.tell_at(subject, Some(self.at));
    }

    /// The time of the commit.
    pub(super) fn at(&self) -> Time {
        self.at
    }

    /// Takes in one more step.
    pub(super) fn push(&mut self, op: Op) {
        self.ops.push(op);
    }

    /// Notes whether a source has a run of which not everything was judged.
    pub fn put_unjudged(&mut self, source: &str, is: bool) {
        let key = [UNJUDGED, source.as_bytes()].concat();
        self.ops.push(match is {
            true => Op::Put { table: META, key, value: Vec::new() },
            false => Op::Delete { table: META, key },
        });
    }

    /// Says that a daemon is at work on the store, or that it is not any more.
    pub fn put_member(&mut self, id: &str, row: Option<&MemberRow>) -> Result<(), StoreError> {
        let key = [MEMBER, id.as_bytes()].concat();
        self.ops.push(match row {
            Some(row) => Op::Put { table: META, key, value: rows::encode(row)? },
            None => Op::Delete { table: META, key },
        });
        Ok(())
    }

    /// The members as committed, to be changed here.
    pub fn members(&self) -> Result<Vec<MemberRow>, StoreError> {
        self.inventory_noting().members()
    }

    /// Says on which machine alone a source can be looked at (`None`: on any, or not known yet).
    pub fn put_machine(&mut self, source: &str, machine: Option<&str>) {
        let key = [MACHINE, source.as_bytes()].concat();
        self.ops.push(match machine {
            Some(machine) => Op::Put { table: META, key, value: machine.as_bytes().to_vec() },
            None => Op::Delete { table: META, key },
        });
    }

    /// Says when a turn comes round (`None`: not by a schedule).
    pub fn turn_at(&mut self, turn: &str, at: Option<Time>) {
        self.schedule(TURN_QUEUE, turn.as_bytes().to_vec(), at);
    }

    /// Says when a record is to be judged again (`None`: not by time alone).
    pub fn judge_at(&mut self, subject: RecordId, at: Option<Time>) {
        self.schedule(JUDGE_QUEUE, subject.as_bytes().to_vec(), at);
    }

    pub(super) fn schedule(&mut self, queue: &'static str, item: Vec<u8>, at: Option<Time>) {
        self.ops.push(match at {
            Some(at) => Op::Schedule { queue, item, at },
            None => Op::Unschedule { queue, item },
        });
    }

    /// Makes everything durable in one commit, or nothing.
    pub fn commit(mut self) -> Result<Option<Committed>, StoreError> {
        if self.is_empty() {
            return Ok(None);
        }
        let mut ops = std::mem::take(&mut self.ops);
        let mut present: BTreeMap<ScopeNo, i64> = BTreeMap::new();
        // In the order of ids, so that neighbours in the trees are written together.
        let mut records: Vec<_> = std::mem::take(&mut self.records).into_iter().collect();
        records.sort_unstable_by_key(|(id, _)| *id);
        self.spare_others(&mut records)?;
        let mut not_there = Vec::new();
        for (id, pending) in &records {
            for digest in &pending.learned {
                ops.push(Op::Put { table: KEYS, key: digest.0.to_vec(), value: id.as_bytes().to_vec() });
            }
            let begins = ops.len();
            write_record(&mut ops, *id, pending)?;
            write_places(&mut ops, *id, pending, &mut present);
            write_ties(&mut ops, *id, pending);
            write_marks(&mut ops, *id, pending);
            links::index_steps(&mut ops, *id, (pending.before.as_ref(), &pending.now));
            if pending.born && self.read.is_some() {
                let named = ops.iter().skip(begins).filter_map(reads::written);
                not_there.extend(named.map(|(table, key)| (table, key.to_vec(), None)));
            }
        }
        let changes = records.iter().map(|(_, pending)| (pending.before.as_ref(), &pending.now));
        ops.extend(owners::steps(changes.clone()));
        let moved = tally::moved(changes);
        let speaking: BTreeSet<ScopeNo> = present.keys().copied().chain(tally::scopes(&moved)).collect();
        let unopened = self.unopened(&speaking)?;
        ops.extend(tally::steps(self.inventory_noting(), &moved, |number| {
            self.scopes.get(&number).or_else(|| unopened.get(&number)).map(|row| row.source.as_str())
        })?);
        self.scopes.extend(unopened.into_iter().filter(|(number, _)| present.contains_key(number)));
        let inventory = self.read.as_ref().map_or(self.inventory, |reads| self.inventory.noting(reads));
        for row in self.scopes.values_mut() {
            let committed = inventory.scope(&row.source, &row.scope)?.map_or(0, |row| row.present);
            row.present = committed.saturating_add_signed(present.get(&row.number).copied().unwrap_or(0));
        }
        for row in self.scopes.values() {
            let key = index::path(&[&row.source, row.scope.realm.as_str(), &row.scope.path]);
            ops.push(Op::Put { table: SCOPES, key, value: rows::encode(row)? });
        }
        let mut expect = self.read.as_ref().map_or_else(Vec::new, |reads| reads.of_written(&ops));
        expect.append(&mut not_there);
        let mut written = Vec::new();
        if let Some(reads) = self.inventory.reads {
            expect.extend(reads.all());
            written.extend(ops.iter().filter_map(reads::written).map(|(table, key)| (table, key.to_vec())));
        }
        let batch = Batch { at: self.at, ops, expect, fence: self.inventory.fence.cloned() };
        let committed = self.inventory.store.commit(batch)?;
        if let Some(reads) = self.inventory.reads {
            reads.forget_written(&written);
        }
        Ok(Some(committed))
    }

    /// Rows of these scopes, as far as they are not written here anyway.
    fn unopened(&self, numbers: &BTreeSet<ScopeNo>) -> Result<BTreeMap<ScopeNo, ScopeRow>, StoreError> {
        let (mut found, mut all) = (BTreeMap::new(), None);
        for number in numbers.iter().filter(|number| !self.scopes.contains_key(number)) {
            if !self.speaking.contains_key(number) && all.is_none() {
                all = Some(self.inventory.scopes_by_number()?);
            }
            let listed = all.as_ref().and_then(|all| all.get(number)).map(|row| (&row.source, &row.scope));
            let named = self.speaking.get(number).map(|(source, scope)| (source, scope)).or(listed);
            // Read by name, so that it is noted with the version that it has by now.
            if let Some((source, scope)) = named
                && let Some(row) = self.inventory_noting().scope(source, scope)?
            {
                found.insert(*number, row);
            }
        }
        Ok(found)
    }

    /// An amended row keeps its commit, so others who read it do not see that it moved. Where others write, only volatile
    /// facts are therefore amended, and only while one source alone speaks of the record: whoever else changes it in that
    /// very moment may write the volatile facts back as they were, until they are read again.
    fn spare_others(&self, records: &mut [(RecordId, Pending)]) -> Result<(), StoreError> {
        if self.read.is_none() || !records.iter().any(|(_, pending)| pending.amend) {
            return Ok(());
        }
        let mut scopes = None;
        for (_, pending) in records.iter_mut().filter(|(_, pending)| pending.amend) {
            let stands = |record: &Record| -> Vec<_> {
                record.statements.iter().map(|said| (said.scope, said.part, said.standing)).collect()
            };
            pending.amend = pending.before.as_ref().map(stands) == Some(stands(&pending.now));
            if pending.amend && pending.now.statements.len() > 1 {
                let scopes = match &scopes {
                    Some(scopes) => scopes,
                    None => scopes.insert(self.inventory.scopes_by_number()?),
                };
                let mut sources =
                    pending.now.statements.iter().map(|said| scopes.get(&said.scope).map(|row| &row.source));
                let first = sources.next();
                pending.amend = sources.all(|source| Some(source) == first);
            }
        }
        Ok(())
    }

    fn note(&self, table: Table, key: &[u8], row: Option<&Row>) {
        if let Some(reads) = &self.read {
            reads.note(table, key, row);
        }
    }

    /// The inventory as committed so far, where what is read is noted as read by this draft.
    pub(super) fn inventory_noting(&self) -> Inventory<'_> {
        self.read.as_ref().map_or(self.inventory, |reads| self.inventory.noting(reads))
    }
}

fn read_row(row: Option<crate::Row>) -> Result<Option<(Record, i64)>, StoreError> {
    let Some(row) = row else { return Ok(None) };
    let day = row.recorded.day();
    row.value.map(|bytes| Ok((codec::record::decode(&bytes)?, day))).transpose()
}

fn write_record(ops: &mut Vec<Op>, id: RecordId, pending: &Pending) -> Result<(), StoreError> {
    let (table, key, value) = (RECORDS, id.as_bytes().to_vec(), codec::record::encode(&pending.now)?);
    let in_place = pending.amend && pending.day.is_some();
    ops.push(if in_place { Op::Amend { table, key, value } } else { Op::Put { table, key, value } });
    Ok(())
}

fn write_places(ops: &mut Vec<Op>, id: RecordId, pending: &Pending, present: &mut BTreeMap<ScopeNo, i64>) {
    let before = pending.before.as_ref().map_or(&[][..], |record| &record.statements);
    for said in &pending.now.statements {
        let former = before.iter().find(|it| (it.scope, it.part) == (said.scope, said.part));
        let (was, is) = (former.map(|it| standing_byte(it.standing)), standing_byte(said.standing));
        if was != Some(is) {
            ops.push(Op::Put { table: PLACES, key: index::place(said.scope, said.part, id), value: vec![is] });
        }
        let seen = |it: &Statement| i64::from(it.standing == Standing::Seen);
        let by = seen(said) - former.map_or(0, seen);
        if by != 0 {
            *present.entry(said.scope).or_default() += by;
        }
    }
}

fn write_ties(ops: &mut Vec<Op>, id: RecordId, pending: &Pending) {
    diff(ops, TIES, ties(pending.before.as_ref(), id), ties(Some(&pending.now), id));
}

fn ties(record: Option<&Record>, id: RecordId) -> Vec<Vec<u8>> {
    let keys = record.into_iter().flat_map(|it| it.identity.iter().chain(&it.container));
    let mut ties: Vec<_> = keys.map(|key| index::tied(index::digest(key), id)).collect();
    ties.dedup();
    ties
}

fn write_marks(ops: &mut Vec<Op>, id: RecordId, pending: &Pending) {
    let of = |record: &Record| -> Vec<Vec<u8>> {
        index::marks(record).into_iter().map(|mark| index::tied(KeyDigest(mark), id)).collect()
    };
    diff(ops, MARKS, pending.before.as_ref().map(of).unwrap_or_default(), of(&pending.now));
}

pub(super) fn diff(ops: &mut Vec<Op>, table: Table, before: Vec<Vec<u8>>, after: Vec<Vec<u8>>) {
    let gone: Vec<_> = before.iter().filter(|key| !after.contains(key)).cloned().collect();
    for key in gone {
        ops.push(Op::Delete { table, key });
    }
    for key in after.into_iter().filter(|key| !before.contains(key)) {
        ops.push(Op::Put { table, key, value: Vec::new() });
    }
}
