//! Records as rows: what is shown beside a record comes from the scopes that speak of it, its identity and its owner.
//! It must never show a reading that no statement carries.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use provost_model::{Key, KeyDigest, Owner, Record, RecordId, ScopeNo, Standing, Time};
use provost_store::{
    StoreError,
    inventory::{Inventory, ScopeRow, digest},
};

use thiserror::Error;

use crate::{
    filter::{Filter, FilterError, LeftOut},
    jobs::{judge::Yardstick, owners::Owners},
    output::{Beside, InventoryRow},
};

/// Identities remembered while rows are made; one identity stands behind few credentials that follow each other.
const REMEMBERED: usize = 4096;

/// Why there are no rows.
#[derive(Debug, Error)]
pub enum RowsError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The filter cannot be applied, or takes too long.
    #[error(transparent)]
    Filter(#[from] FilterError),
}

/// A record that is put to a filter, with as much of what is beside it as the filter asks for.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The record.
    pub record: Record,
    /// What is known beside it.
    pub beside: Beside,
}

/// Makes rows of records.
pub struct Rows<'a> {
    inventory: Inventory<'a>,
    owners: Owners<'a>,
    scopes: BTreeMap<ScopeNo, ScopeRow>,
    identities: RefCell<HashMap<Key, Option<(RecordId, Record)>>>,
    now: Time,
}

impl<'a> Rows<'a> {
    /// Rows as of that moment.
    pub fn new(inventory: Inventory<'a>, yardstick: &'a Yardstick, now: Time) -> Result<Self, StoreError> {
        let scopes = inventory.scopes_by_number()?;
        let owners = Owners::new(inventory, yardstick, Some(inventory.store().commit_at(now)?))?;
        Ok(Self { inventory, owners, scopes, identities: RefCell::default(), now })
    }

    /// The scopes by number: what a statement's speaker is called.
    pub fn scopes(&self) -> &BTreeMap<ScopeNo, ScopeRow> {
        &self.scopes
    }

    /// The row of a record.
    pub fn of(&self, record: &Record) -> Result<InventoryRow, StoreError> {
        Ok(InventoryRow::of(record, self.beside(record, |_| true)?, self.now))
    }

    /// The rows of those records that a filter keeps (`None`: of all), and a count of those it could not tell about. What
    /// is beside a record costs more than the record: it is found for what the filter asks for, and for what it keeps.
    pub fn kept(
        &self,
        records: Vec<Record>,
        filter: Option<&Filter>,
        within: Duration,
    ) -> Result<(Vec<InventoryRow>, LeftOut), RowsError> {
        let Some(filter) = filter else {
            self.meet(records.iter())?;
            let rows = records.iter().map(|record| self.of(record)).collect::<Result<_, _>>()?;
            return Ok((rows, LeftOut::default()));
        };
        if ["identity", "owner"].iter().any(|name| filter.asks_for(name)) {
            self.meet(records.iter())?;
        }
        let put = |record: Record| {
            let beside = self.beside(&record, |name| filter.asks_for(name))?;
            Ok(Candidate { record, beside })
        };
        let candidates = records.into_iter().map(put).collect::<Result<Vec<_>, StoreError>>()?;
        let (kept, left_out) = filter.keep(candidates, self.now, within)?;
        self.meet(kept.iter().map(|it| &it.record))?;
        Ok((kept.iter().map(|it| self.of(&it.record)).collect::<Result<_, _>>()?, left_out))
    }

    /// What is beside a record, as far as somebody asks for it by the name of a column.
    fn beside(&self, record: &Record, asked: impl Fn(&str) -> bool) -> Result<Beside, StoreError> {
        let identity = if asked("identity") { self.identity_of(record)?.map(|(id, _)| id) } else { None };
        Ok(Beside {
            sources: if asked("source") { self.sources(record) } else { Vec::new() },
            identity,
            owner: if asked("owner") { self.owner(record)?.map(|owner| owner.name) } else { None },
            last_seen: if asked("last_seen") { self.last_seen(record) } else { None },
        })
    }

    /// Who answers for a record, and what that rests on.
    pub fn owner(&self, record: &Record) -> Result<Option<Owner>, StoreError> {
        let identity = self.identity_of(record)?;
        self.owners.of(record, identity.as_ref().map(|(_, it)| it), self.now)
    }

    /// Names of the sources whose scopes speak of it.
    pub fn sources(&self, record: &Record) -> Vec<String> {
        let speaking = record.statements.iter().filter_map(|said| self.scopes.get(&said.scope));
        let mut names: Vec<String> = speaking.map(|row| row.source.clone()).collect();
        names.sort();
        names.dedup();
        names
    }

    /// When a scope last vouched for it: its last cover, if it still stands there.
    fn last_seen(&self, record: &Record) -> Option<Time> {
        let vouched = record.statements.iter().filter_map(|said| {
            let covered = self.scopes.get(&said.scope).and_then(|row| row.covered_at);
            match said.standing {
                Standing::Seen => covered.max(Some(said.recorded)),
                _ => Some(said.recorded),
            }
        });
        vouched.max()
    }

    /// Reads at once the identities behind those records: one by one each would be a journey of its own.
    fn meet<'r>(&self, records: impl Iterator<Item = &'r Record>) -> Result<(), StoreError> {
        let named: BTreeSet<&Key> = records.filter_map(|record| record.identity.as_ref()).collect();
        let keys: Vec<&Key> = {
            let known = self.identities.borrow();
            named.into_iter().filter(|key| !known.contains_key(*key)).collect()
        };
        let digests: Vec<KeyDigest> = keys.iter().map(|key| digest(key)).collect();
        let ids = self.inventory.resolve_all(&digests)?;
        let wanted: BTreeSet<RecordId> = ids.iter().flatten().copied().collect();
        let records = self.inventory.records(&wanted.into_iter().collect::<Vec<_>>(), None)?;
        let by_id: HashMap<RecordId, Record> = records.into_iter().map(|record| (record.id, record)).collect();
        for (key, id) in keys.into_iter().zip(ids) {
            self.remember(key, id.and_then(|id| Some((id, by_id.get(&id)?.clone()))));
        }
        Ok(())
    }

    fn identity_of(&self, record: &Record) -> Result<Option<(RecordId, Record)>, StoreError> {
        Ok(record.identity.as_ref().map(|key| self.identity(key)).transpose()?.flatten())
    }

    fn identity(&self, key: &Key) -> Result<Option<(RecordId, Record)>, StoreError> {
        if let Some(known) = self.identities.borrow().get(key) {
            return Ok(known.clone());
        }
        let found = match self.inventory.resolve(key)? {
            Some(id) => self.inventory.record(id, None)?.map(|record| (id, record)),
            None => None,
        };
        self.remember(key, found.clone());
        Ok(found)
    }

    fn remember(&self, key: &Key, found: Option<(RecordId, Record)>) {
        let mut identities = self.identities.borrow_mut();
        if identities.len() >= REMEMBERED {
            identities.clear();
        }
        identities.insert(key.clone(), found);
    }
}

#[cfg(test)]
mod tests {
    use provost_model::{Change, Facts, Kind, PartId, Realm, Statement, What, field};
    use provost_store::inventory::Draft;

    use super::*;

    const DAWN: Time = Time::from_seconds(10);

    /// Commits a record of one realm; what authenticates as it names it by its kind and number.
    fn put(store: &dyn provost_store::Store, (byte, kind): (u8, Kind), identity: Option<Key>) {
        let tags = BTreeMap::from([("owner".to_owned(), format!("team{byte}"))]);
        let facts = if kind == Kind::User { Facts::new().with(field::TAGS, tags) } else { Facts::new() };
        let (part, standing) = (PartId::WHOLE, Standing::Seen);
        let said = Statement { scope: ScopeNo(1), part, as_of: DAWN, recorded: DAWN, standing, facts };
        let after = Record {
            id: RecordId::from_bytes([byte; 16]),
            kind,
            realm: Realm::new("okta", "1"),
            externals: vec![format!("x{byte}")],
            identity,
            container: None,
            first_seen: DAWN,
            baseline: false,
            statements: vec![said],
        };
        let mut draft = Draft::new(Inventory::of(store), DAWN);
        draft.apply(Change { what: What::Appeared, after, fields: Vec::new(), aliases: Vec::new() }).unwrap();
        draft.commit().unwrap();
    }

    #[test]
    fn rows_of_a_page_are_those_of_its_records_one_by_one() {
        let store = provost_store::memory();
        let user = |byte: u8| Some(Key::new(Realm::new("okta", "1"), Kind::User, format!("x{byte}")));
        put(&store, (1, Kind::User), None);
        put(&store, (2, Kind::User), None);
        // One behind two, one behind one, nobody, and one who is not there.
        let identities = [user(1), user(1), user(2), None, user(9)];
        for (byte, identity) in (3..).zip(identities) {
            put(&store, (byte, Kind::AccessKey), identity);
        }
        let (inventory, yardstick) = (Inventory::of(&store), Yardstick::default());
        let records = inventory.records_after(None, 100).unwrap();
        let text = |row: &InventoryRow| serde_json::to_string(row).unwrap();
        let single = |record: &Record| text(&Rows::new(inventory, &yardstick, DAWN).unwrap().of(record).unwrap());
        let expected: Vec<String> = records.iter().map(single).collect();
        let filter = Filter::compile::<Candidate>("owner != \"nobody\" || kind != \"user\"").unwrap();
        for filter in [None, Some(&filter)] {
            let rows = Rows::new(inventory, &yardstick, DAWN).unwrap();
            let (kept, _) = rows.kept(records.clone(), filter, Duration::from_secs(60)).unwrap();
            assert_eq!(kept.iter().map(text).collect::<Vec<_>>(), expected);
        }
        assert!(expected[2].contains("team1") && expected[4].contains("team2") && !expected[6].contains("team"));
    }
}
