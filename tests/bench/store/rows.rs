//! The rows of a new or changed record, the same for every back end: the record's bytes and those of its indexes.
//! It must never leave out a row that the inventory writes.

use anyhow::Result;
use provost::ids::Ids;
use provost_engine::reconcile::{Birth, Said, present};
use provost_model::{
    Change, CorrelationKey, Entity, Key, PartId, Reading, Record, RecordId, ScopeNo, Time, Unites, field,
};
use provost_store::{codec, inventory::digest};
use sha2::{Digest as _, Sha256};

/// The rows of one record that was never seen before.
pub(crate) struct Rows {
    pub(crate) id: RecordId,
    pub(crate) value: Vec<u8>,
    /// Digests of its names.
    pub(crate) keys: Vec<[u8; 16]>,
    pub(crate) place: (ScopeNo, PartId),
    /// Digests of what it lives and dies with.
    pub(crate) ties: Vec<[u8; 16]>,
    /// Digests of what it is recognised by.
    pub(crate) marks: Vec<[u8; 16]>,
    /// Digests of the other keys by which it is linked.
    pub(crate) links: Vec<[u8; 16]>,
}

/// A thing under all its names.
pub(crate) fn names(entity: &Entity) -> Vec<[u8; 16]> {
    let alias = |external: &String| Key::new(entity.key.realm.clone(), entity.key.kind, external.clone());
    let keys = std::iter::once(entity.key.clone()).chain(entity.aliases.iter().map(alias));
    keys.map(|key| digest(&key).0).collect()
}

/// What seeing a thing changes; `None` if nothing.
pub(crate) fn seen(before: Option<&Record>, entity: Entity, scope: ScopeNo, now: Time) -> Result<Option<Change>> {
    let id = match before {
        Some(known) => known.id,
        None => Ids.make(now)?,
    };
    let said = Said { scope, part: PartId::WHOLE, as_of: now, recorded: now };
    Ok(present(before, entity, said, Birth { id, baseline: true }))
}

impl Rows {
    /// The rows of a record, with the digests of its names.
    pub(crate) fn of(record: &Record, scope: ScopeNo, keys: Vec<[u8; 16]>) -> Result<Self> {
        let mut ties: Vec<_> = record.identity.iter().chain(&record.container).map(|key| digest(key).0).collect();
        ties.dedup();
        let carried = [field::FINGERPRINT, field::KEY_ID, field::OPENS].into_iter();
        let marks = carried.filter_map(|attr| match record.get(attr) {
            Reading::Known(value) => Some(mark(&value)),
            _ => None,
        });
        let links = CorrelationKey::all_of(record);
        let links = links.iter().filter(|key| key.within.is_some() || key.unites() != Unites::Secrets);
        Ok(Self {
            id: record.id,
            value: codec::record::encode(record)?,
            keys,
            place: (scope, PartId::WHOLE),
            ties,
            marks: marks.collect(),
            links: links.map(|key| mark(&format!("{:?}{}", key.sort, key.value))).collect(),
        })
    }
}

fn mark(value: &str) -> [u8; 16] {
    let mut hash = Sha256::new();
    hash.update(u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes());
    hash.update(value);
    let mut half = [0; 16];
    half.iter_mut().zip(hash.finalize()).for_each(|(to, from)| *to = from);
    half
}
