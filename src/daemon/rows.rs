//! Records as rows: what is shown beside a record comes from the scopes that speak of it, its identity and its owner.
//! It must never show a reading that no statement carries.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
};

use provost_engine::own::owner_of;
use provost_model::{Key, Record, RecordId, ScopeNo, Standing, Time};
use provost_store::{
    StoreError,
    inventory::{Inventory, ScopeRow},
};

use crate::{
    jobs::judge::Yardstick,
    output::{Beside, InventoryRow},
};

/// Identities remembered while rows are made; one identity stands behind few credentials that follow each other.
const REMEMBERED: usize = 4096;

/// Makes rows of records.
pub struct Rows<'a> {
    inventory: Inventory<'a>,
    yardstick: &'a Yardstick,
    scopes: BTreeMap<ScopeNo, ScopeRow>,
    identities: RefCell<HashMap<Key, Option<(RecordId, Record)>>>,
    now: Time,
}

impl<'a> Rows<'a> {
    /// Rows as of that moment.
    pub fn new(inventory: Inventory<'a>, yardstick: &'a Yardstick, now: Time) -> Result<Self, StoreError> {
        let scopes = inventory.scopes_by_number()?;
        Ok(Self { inventory, yardstick, scopes, identities: RefCell::default(), now })
    }

    /// The scopes by number: what a statement's speaker is called.
    pub fn scopes(&self) -> &BTreeMap<ScopeNo, ScopeRow> {
        &self.scopes
    }

    /// The row of a record.
    pub fn of(&self, record: &Record) -> Result<InventoryRow, StoreError> {
        let identity = record.identity.as_ref().map(|key| self.identity(key)).transpose()?.flatten();
        let owner = owner_of(record, identity.as_ref().map(|(_, it)| it), &self.yardstick.owners);
        let beside = Beside {
            sources: self.sources(record),
            identity: identity.map(|(id, _)| id),
            owner: owner.map(|owner| owner.name),
            last_seen: self.last_seen(record),
        };
        Ok(InventoryRow::of(record, beside, self.now))
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
