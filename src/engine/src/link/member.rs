//! What grouping knows of a record: its keys, who named it, since when it is there. And which records are kept apart.
//! It must never know a name.

use std::collections::BTreeSet;

use provost_model::{CorrelationKey, Kind, Presence, Realm, Record, RecordId, Time, Unites, field};

/// A record as grouping sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The record.
    pub id: RecordId,
    /// The system that names it.
    pub realm: Realm,
    /// What sort of thing it is there.
    pub kind: Kind,
    /// Since when it has been there, if that is known.
    pub from: Option<Time>,
    /// Whether it is still there, as far as known.
    pub there: bool,
    /// Its keys, each once, in order.
    pub keys: Vec<CorrelationKey>,
}

/// Pairs of records that an operator keeps apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Apart(BTreeSet<(RecordId, RecordId)>);

/// Every correlation key of a record, each once, in order.
pub fn keys_of(record: &Record) -> Vec<CorrelationKey> {
    CorrelationKey::all_of(record)
}

impl Member {
    /// A record as it is grouped with others of one secret, identity or person; without keys if none speaks of that.
    pub fn of(record: &Record, unites: Unites) -> Self {
        let mut keys = keys_of(record);
        keys.retain(|key| key.unites() == unites);
        let made = record.get(field::CREATED_AT).known();
        Self {
            id: record.id,
            realm: record.realm.clone(),
            kind: record.kind,
            // What was met in a source's first run may be of any age.
            from: made.or_else(|| (!record.baseline).then_some(record.first_seen)),
            there: record.presence() != Presence::Gone,
            keys,
        }
    }
}

impl Apart {
    /// Keeps two records apart.
    pub fn insert(&mut self, one: RecordId, other: RecordId) {
        self.0.insert((one.min(other), one.max(other)));
    }

    /// Whether two records are kept apart.
    pub fn holds(&self, one: RecordId, other: RecordId) -> bool {
        !self.0.is_empty() && self.0.contains(&(one.min(other), one.max(other)))
    }

    /// Whether nobody is kept apart.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
