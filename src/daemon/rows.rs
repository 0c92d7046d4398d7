//! Records as rows: what is shown beside a record comes from the scopes that speak of it, its identity and its owner.
//! It must never show a reading that no statement carries.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
};

use provost_model::{Key, Owner, Record, RecordId, ScopeNo, Standing, Time};
use provost_store::{
    StoreError,
    inventory::{Inventory, ScopeRow},
};

use crate::{
    jobs::{judge::Yardstick, owners::Owners},
    output::{Beside, InventoryRow},
};

/// Identities remembered while rows are made; one identity stands behind few credentials that follow each other.
const REMEMBERED: usize = 4096;

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
        let identity = self.identity_of(record)?;
        let owner = self.owners.of(record, identity.as_ref().map(|(_, it)| it), self.now)?;
        let beside = Beside {
            sources: self.sources(record),
            identity: identity.map(|(id, _)| id),
            owner: owner.map(|owner| owner.name),
            last_seen: self.last_seen(record),
        };
        Ok(InventoryRow::of(record, beside, self.now))
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
