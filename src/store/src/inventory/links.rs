//! How records hang together: who carries a correlation key, which group a record is in, what is held back, and whom an
//! operator keeps apart. It must never decide any of it.

use std::collections::BTreeMap;

use provost_model::{CorrelationKey, Record, RecordId, Sort, Time, Unites};
use serde::{Deserialize, Serialize};

use super::{
    APART, GROUPS, HELD_KEYS, Inventory, LINKED, LINKED_BY, LINKS, MARKS, META, PARTED, draft::diff, index,
    read::Version, rows,
};
use crate::{Batch, CommitNo, Committed, Go, KeyRange, Op, Row, StoreError, Table};

/// Steps after which a draft had better be committed.
const FULL: usize = crate::MAX_OPS / 4;

/// A correlation key in the index: which index it is in, and its digest there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KeyRef {
    marked: bool,
    digest: [u8; 16],
}

/// What was made of a record when it was grouped last, as to one sort of thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkedPart {
    unites: u8,
    /// The keys it had.
    pub keys: Vec<KeyRef>,
    /// The group it is in.
    pub group: Option<RecordId>,
}

/// What was made of a record. There is none where it has no part: it shares no key with anybody.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkedRow {
    /// Its parts, in order.
    parts: Vec<LinkedPart>,
}

/// A group as it is kept: sort of thing, name, members in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRow {
    /// What its members are one of.
    pub unites: Unites,
    /// Its name: the id of its oldest record.
    pub id: RecordId,
    /// Its members, in order.
    pub members: Vec<RecordId>,
}

/// A key that does not unite some of those who carry it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldRow {
    /// The key.
    pub key: CorrelationKey,
    /// Since when something of it is held back.
    pub since: Time,
    /// Why, as the engine's stable number, and of whom it is not believed; of everybody, if nobody is named.
    pub entries: Vec<(u8, Vec<RecordId>)>,
}

#[derive(Serialize, Deserialize)]
struct HeldDisk {
    sort: u8,
    value: String,
    within: Option<String>,
    since: Time,
    entries: Vec<(u8, Vec<RecordId>)>,
}

/// An operator's word that records are not one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartedRow {
    /// The two records that were named.
    pub named: (RecordId, RecordId),
    /// Who is with the first.
    pub one: Vec<RecordId>,
    /// Who is with the second.
    pub other: Vec<RecordId>,
    /// What was said.
    pub word: Word,
    /// What was said when it was taken back, if it was.
    pub released: Option<Word>,
}

/// What somebody said, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Word {
    /// The user id of whoever said it.
    pub by: u32,
    /// When.
    pub at: Time,
    /// Why.
    pub reason: String,
}

/// By which version of the engine the records are grouped, and how far that got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkedBy {
    /// The version.
    pub version: u32,
    /// The last record grouped by it in the order of ids, while not all are.
    pub up_to: Option<RecordId>,
    /// Whether every record is.
    pub everything: bool,
}

/// The numbers on disk are places in this table; it only grows at the end.
const SORTS: [Sort; 8] = [
    Sort::KeyId,
    Sort::PublicKey,
    Sort::Fingerprint,
    Sort::Arn,
    Sort::ClientId,
    Sort::OidcSubject,
    Sort::CertificateSubject,
    Sort::Email,
];

impl KeyRef {
    /// Where a key is found in the index. Keys of secrets that are unique everywhere are the marks of before.
    pub fn of(key: &CorrelationKey) -> Self {
        match (&key.within, key.unites()) {
            (None, Unites::Secrets) => Self { marked: true, digest: index::mark(&key.value) },
            (within, _) => {
                let within = within.as_ref().map_or(&b""[..], |it| it.as_bytes());
                let has_within = [u8::from(key.within.is_some())];
                let parts = [&[sort_code(key.sort)][..], key.value.as_bytes(), &has_within[..], within];
                Self { marked: false, digest: index::half(&parts).0 }
            }
        }
    }

    fn table(self) -> Table {
        if self.marked { MARKS } else { LINKS }
    }

    fn bytes(self) -> Vec<u8> {
        [&[u8::from(self.marked)][..], &self.digest].concat()
    }
}

impl LinkedRow {
    /// What was made of it as to that sort of thing.
    pub fn part(&self, unites: Unites) -> Option<&LinkedPart> {
        self.parts.iter().find(|part| part.unites == unites.code())
    }

    /// Puts in what was made of it: nothing, if it is in no group and none of its keys is held.
    pub fn set(&mut self, unites: Unites, made: Option<(Vec<KeyRef>, Option<RecordId>)>) {
        self.parts.retain(|part| part.unites != unites.code());
        self.parts.extend(made.map(|(keys, group)| LinkedPart { unites: unites.code(), keys, group }));
        self.parts.sort_by_key(|part| part.unites);
    }

    /// The groups it is in.
    pub fn groups(&self) -> Vec<(Unites, RecordId)> {
        let groups = self.parts.iter().filter_map(|part| Some((Unites::from_code(part.unites)?, part.group?)));
        groups.collect()
    }
}

impl Inventory<'_> {
    /// Up to `limit` records that carry a key, in the order of ids.
    pub fn carriers(&self, key: KeyRef, limit: usize) -> Result<Vec<RecordId>, StoreError> {
        let mut ids = Vec::new();
        self.store.scan(key.table(), &KeyRange::prefix(&key.digest), None, &mut |row, _| {
            ids.push(index::tail_id(row)?);
            Ok(if ids.len() < limit { Go::On } else { Go::Stop })
        })?;
        Ok(ids)
    }

    /// For each of these keys up to `limit` records that carry it, in the order of ids.
    pub fn carriers_of_each(&self, keys: &[KeyRef], limit: usize) -> Result<Vec<Vec<RecordId>>, StoreError> {
        let below = |table: Table| {
            let of_table = keys.iter().filter(|key| key.table() == table);
            let of_table: Vec<Vec<u8>> = of_table.map(|key| key.digest.to_vec()).collect();
            if of_table.is_empty() { Ok(Vec::new()) } else { self.ids_below(table, of_table, limit) }
        };
        let (mut marked, mut linked) = (below(MARKS)?.into_iter(), below(LINKS)?.into_iter());
        let found = keys.iter().map(|key| if key.marked { marked.next() } else { linked.next() });
        Ok(found.map(Option::unwrap_or_default).collect())
    }

    /// What was made of each of these records, in the order asked for.
    pub fn linked_all(&self, ids: &[RecordId]) -> Result<Vec<LinkedRow>, StoreError> {
        self.rows(LINKED, ids)?.into_iter().map(made_of).collect()
    }

    /// What was made of a record at a commit (`None`: now).
    pub fn linked(&self, id: RecordId, at: Option<CommitNo>) -> Result<LinkedRow, StoreError> {
        made_of(self.store.get(LINKED, id.as_bytes(), at)?)
    }

    /// Everything that was ever made of a record, oldest first.
    pub fn linked_versions(&self, id: RecordId) -> Result<Vec<Version<LinkedRow>>, StoreError> {
        let rows = self.store.versions(LINKED, id.as_bytes())?.into_iter();
        rows.map(|row| Ok(Version { commit: row.commit, recorded: row.recorded, it: made_of(Some(row))? })).collect()
    }

    /// A group as it stood at a commit (`None`: now).
    pub fn group(
        &self,
        unites: Unites,
        id: RecordId,
        at: Option<CommitNo>,
    ) -> Result<Option<Version<GroupRow>>, StoreError> {
        let row = self.store.get(GROUPS, &group_key(unites, id), at)?;
        let Some((row, bytes)) = row.and_then(|mut row| row.value.take().map(|bytes| (row, bytes))) else {
            return Ok(None);
        };
        let it = GroupRow { unites, id, members: rows::decode(&bytes, "a group")? };
        Ok(Some(Version { commit: row.commit, recorded: row.recorded, it }))
    }

    /// Visits every group, in the order of sorts and ids, with the time of its last change.
    pub fn each_group(&self, each: &mut dyn FnMut(GroupRow, Time) -> Result<Go, StoreError>) -> Result<(), StoreError> {
        self.store.scan(GROUPS, &KeyRange::all(), None, &mut |key, row| {
            let unites = key.first().and_then(|code| Unites::from_code(*code));
            let unites = unites.ok_or_else(|| StoreError::Codec("a group's key".into()))?;
            let members = rows::decode(&row.value.unwrap_or_default(), "a group")?;
            each(GroupRow { unites, id: index::tail_id(key)?, members }, row.recorded)
        })
    }

    /// What is held back of a key.
    pub fn held_key(&self, key: KeyRef) -> Result<Option<HeldRow>, StoreError> {
        let row = self.store.get(HELD_KEYS, &key.bytes(), None)?.and_then(|row| row.value);
        row.map(|bytes| read_held(&bytes)).transpose()
    }

    /// Every key of which something is held back.
    pub fn held_keys(&self) -> Result<Vec<HeldRow>, StoreError> {
        let mut held = Vec::new();
        self.store.scan(HELD_KEYS, &KeyRange::all(), None, &mut |_, row| {
            held.push(read_held(&row.value.unwrap_or_default())?);
            Ok(Go::On)
        })?;
        Ok(held)
    }

    /// Records that are kept apart from one, each with the words that do so.
    pub fn kept_apart_from(&self, id: RecordId) -> Result<BTreeMap<RecordId, Vec<RecordId>>, StoreError> {
        let mut others = BTreeMap::<RecordId, Vec<RecordId>>::new();
        self.store.scan(APART, &KeyRange::prefix(id.as_bytes()), None, &mut |key, _| {
            let other = key.get(16..32).ok_or_else(|| StoreError::Codec("who is kept apart".into()))?;
            others.entry(index::tail_id(other)?).or_default().push(index::tail_id(key)?);
            Ok(Go::On)
        })?;
        Ok(others)
    }

    /// Whether anybody is kept apart from anybody.
    pub fn keeps_apart(&self) -> Result<bool, StoreError> {
        let mut any = false;
        self.store.scan(APART, &KeyRange::all(), None, &mut |_, _| {
            any = true;
            Ok(Go::Stop)
        })?;
        Ok(any)
    }

    /// The words by which two records are kept apart, by their ids.
    pub fn words_between(&self, one: RecordId, other: RecordId) -> Result<Vec<(RecordId, PartedRow)>, StoreError> {
        let mut words = Vec::new();
        for id in self.kept_apart_from(one)?.remove(&other).unwrap_or_default() {
            let row = self.store.get(PARTED, id.as_bytes(), None)?.and_then(|row| row.value);
            words.extend(row.map(|bytes| Ok::<_, StoreError>((id, rows::decode(&bytes, "a word")?))).transpose()?);
        }
        Ok(words)
    }

    /// Every word that ever kept records apart, oldest first, those taken back included.
    pub fn parted(&self) -> Result<Vec<(RecordId, PartedRow)>, StoreError> {
        let mut words = Vec::new();
        self.store.scan(PARTED, &KeyRange::all(), None, &mut |key, row| {
            words.push((index::tail_id(key)?, rows::decode(&row.value.unwrap_or_default(), "a word")?));
            Ok(Go::On)
        })?;
        Ok(words)
    }

    /// How far grouping got; `None` before anything was.
    pub fn linked_by(&self) -> Result<Option<LinkedBy>, StoreError> {
        let row = self.store.get(META, LINKED_BY, None)?.and_then(|row| row.value);
        row.map(|bytes| rows::decode(&bytes, "what is linked by")).transpose()
    }
}

/// What grouping changes, on its way into the store as one commit.
pub struct LinkDraft<'a> {
    inventory: Inventory<'a>,
    at: Time,
    /// The mark as it was read: grouping in two places at once would not see each other's groups.
    mark: Option<CommitNo>,
    by: LinkedBy,
    moved: bool,
    ops: Vec<Op>,
}

impl<'a> LinkDraft<'a> {
    /// An empty draft. What is read for it must be read after this.
    pub fn new(inventory: Inventory<'a>, at: Time, version: u32) -> Result<Self, StoreError> {
        let row = inventory.store.get(META, LINKED_BY, None)?;
        let mark = row.as_ref().map(|row| row.commit);
        let by = match row.and_then(|row| row.value) {
            Some(bytes) => rows::decode(&bytes, "what is linked by")?,
            None => LinkedBy { version, up_to: None, everything: false },
        };
        Ok(Self { inventory, at, mark, by, moved: false, ops: Vec::new() })
    }

    /// Whether it had better be committed before more is put in.
    pub fn is_full(&self) -> bool {
        self.ops.len() >= FULL
    }

    /// Writes how far grouping got.
    pub fn put_linked_by(&mut self, by: LinkedBy) {
        self.moved = true;
        self.by = by;
    }

    /// Writes what was made of a record.
    pub fn put_linked(&mut self, id: RecordId, row: &LinkedRow) -> Result<(), StoreError> {
        let key = id.as_bytes().to_vec();
        self.ops.push(match row.parts.is_empty() {
            true => Op::Delete { table: LINKED, key },
            false => Op::Put { table: LINKED, key, value: rows::encode(row)? },
        });
        Ok(())
    }

    /// Writes a group; one without members is no more.
    pub fn put_group(&mut self, group: &GroupRow) -> Result<(), StoreError> {
        let key = group_key(group.unites, group.id);
        self.ops.push(match group.members.is_empty() {
            true => Op::Delete { table: GROUPS, key },
            false => Op::Put { table: GROUPS, key, value: rows::encode(&group.members)? },
        });
        Ok(())
    }

    /// Writes what is held back of a key.
    pub fn put_held(&mut self, row: &HeldRow) -> Result<(), StoreError> {
        let disk = HeldDisk {
            sort: sort_code(row.key.sort),
            value: row.key.value.clone(),
            within: row.key.within.clone(),
            since: row.since,
            entries: row.entries.clone(),
        };
        let key = KeyRef::of(&row.key).bytes();
        self.ops.push(Op::Put { table: HELD_KEYS, key, value: rows::encode(&disk)? });
        Ok(())
    }

    /// Nothing of a key is held back any more.
    pub fn let_go(&mut self, key: KeyRef) {
        self.ops.push(Op::Delete { table: HELD_KEYS, key: key.bytes() });
    }

    /// Writes a word that keeps records apart, or that it was taken back.
    pub fn put_parted(&mut self, id: RecordId, row: &PartedRow) -> Result<(), StoreError> {
        self.ops.push(Op::Put { table: PARTED, key: id.as_bytes().to_vec(), value: rows::encode(row)? });
        for (one, other) in row.one.iter().flat_map(|one| row.other.iter().map(move |other| (*one, *other))) {
            for (one, other) in [(one, other), (other, one)] {
                let key = [one, other, id].iter().flat_map(|it| *it.as_bytes()).collect();
                self.ops.push(match row.released {
                    None => Op::Put { table: APART, key, value: Vec::new() },
                    Some(_) => Op::Delete { table: APART, key },
                });
            }
        }
        Ok(())
    }

    /// Makes everything durable in one commit, or nothing: a conflict says that somebody else grouped meanwhile.
    pub fn commit(self) -> Result<Option<Committed>, StoreError> {
        if self.ops.is_empty() && !self.moved {
            return Ok(None);
        }
        let mut ops = self.ops;
        ops.push(Op::Put { table: META, key: LINKED_BY.to_vec(), value: rows::encode(&self.by)? });
        let expect = vec![(META, LINKED_BY.to_vec(), self.mark)];
        let batch = Batch { at: self.at, ops, expect, fence: self.inventory.fence.cloned() };
        self.inventory.store.commit(batch).map(Some)
    }
}

/// The steps that keep the index of keys right when a record becomes other than it was.
pub(super) fn index_steps(ops: &mut Vec<Op>, id: RecordId, (before, now): (Option<&Record>, &Record)) {
    let of = |record: &Record| -> Vec<Vec<u8>> {
        let refs = CorrelationKey::all_of(record);
        let refs = refs.iter().map(KeyRef::of).filter(|key| !key.marked);
        refs.map(|key| [key.digest, *id.as_bytes()].concat()).collect()
    };
    diff(ops, LINKS, before.map(of).unwrap_or_default(), of(now));
}

fn made_of(row: Option<Row>) -> Result<LinkedRow, StoreError> {
    let bytes = row.and_then(|row| row.value);
    bytes.map_or_else(|| Ok(LinkedRow::default()), |bytes| rows::decode(&bytes, "what is linked"))
}

fn read_held(bytes: &[u8]) -> Result<HeldRow, StoreError> {
    let disk: HeldDisk = rows::decode(bytes, "a held key")?;
    let sort = SORTS.get(usize::from(disk.sort)).copied();
    let sort = sort.ok_or_else(|| StoreError::Codec("a held key of an unknown sort".into()))?;
    let key = CorrelationKey { sort, value: disk.value, within: disk.within };
    Ok(HeldRow { key, since: disk.since, entries: disk.entries })
}

fn sort_code(sort: Sort) -> u8 {
    // The table holds every sort.
    SORTS.iter().position(|it| *it == sort).and_then(|at| u8::try_from(at).ok()).unwrap_or(u8::MAX)
}

fn group_key(unites: Unites, id: RecordId) -> Vec<u8> {
    [&[unites.code()][..], id.as_bytes()].concat()
}
