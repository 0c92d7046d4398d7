//! Records as rows: what is shown beside a record comes from the scopes that speak of it, its identity and its owner.
//! It must never show a reading that no statement carries.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use provost_model::{Key, Owner, Record, RecordId, ScopeNo, Standing, Time};
use provost_store::{
    StoreError,
    inventory::{Inventory, ScopeRow},
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
        let mut row = self.without_owner(record)?;
        row.owner = self.owner(record)?.map(|owner| owner.name);
        Ok(row)
    }

    /// The rows of those records that a filter keeps (`None`: of all), and a count of those it could not tell about. Owners
    /// cost most: unless the filter asks for them, they are found for what it keeps only.
    pub fn kept(
        &self,
        records: &[Record],
        filter: Option<&Filter>,
        within: Duration,
    ) -> Result<(Vec<InventoryRow>, LeftOut), RowsError> {
        let Some(filter) = filter else {
            let rows = records.iter().map(|record| self.of(record)).collect::<Result<_, _>>()?;
            return Ok((rows, LeftOut::default()));
        };
        let by_owner = filter.asks_for("owner");
        let rows = records.iter().map(|it| if by_owner { self.of(it) } else { self.without_owner(it) });
        let (mut rows, left_out) = filter.keep(rows.collect::<Result<_, _>>()?, self.now, within)?;
        if !by_owner {
            let by_id: HashMap<RecordId, &Record> = records.iter().map(|record| (record.id, record)).collect();
            for row in &mut rows {
                let owner = by_id.get(&row.id).map(|record| self.owner(record)).transpose()?.flatten();
                row.owner = owner.map(|owner| owner.name);
            }
        }
        Ok((rows, left_out))
    }

    fn without_owner(&self, record: &Record) -> Result<InventoryRow, StoreError> {
        let identity = self.identity_of(record)?.map(|(id, _)| id);
        let (sources, last_seen) = (self.sources(record), self.last_seen(record));
        Ok(InventoryRow::of(record, Beside { sources, identity, owner: None, last_seen }, self.now))
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
        let mut identities = self.identities.borrow_mut();
        if identities.len() >= REMEMBERED {
            identities.clear();
        }
        identities.insert(key.clone(), found.clone());
        Ok(found)
    }
}
