//! What is read while records are grouped: who carries a key, who hangs together with whom, who is kept apart.
//! It must never read more than a bounded number of records to tell what one of them hangs together with.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    rc::Rc,
};

use provost_engine::link::{Apart, CARRIERS_MOST, Grouping, HORIZON, Member, grouping};
use provost_model::{CorrelationKey, Record, RecordId, Unites};
use provost_store::{
    StoreError,
    inventory::{Inventory, KeyRef, PartedRow},
};

/// What is read of the inventory while records are grouped, each thing once.
pub(super) struct Around<'a> {
    pub(super) inventory: Inventory<'a>,
    keeps_apart: bool,
    known: HashMap<RecordId, Option<Rc<Known>>>,
    carriers: HashMap<KeyRef, Rc<[RecordId]>>,
    apart: HashMap<RecordId, BTreeSet<RecordId>>,
    /// A word that is being said: it counts already.
    saying: Option<(RecordId, PartedRow)>,
}

/// A record as grouping sees it, with all its keys and where each is found in the index.
pub(super) struct Known {
    whole: Member,
    refs: Vec<KeyRef>,
}

/// Whom a record hangs together with.
pub(super) enum Met {
    /// These, and nobody else.
    All(Vec<RecordId>),
    /// More than are looked at; these are some of them.
    TooMany(Vec<RecordId>),
}

impl<'a> Around<'a> {
    /// Nothing read yet.
    pub(super) fn new(inventory: Inventory<'a>) -> Result<Self, StoreError> {
        Ok(Self {
            inventory,
            keeps_apart: inventory.keeps_apart()?,
            known: HashMap::new(),
            carriers: HashMap::new(),
            apart: HashMap::new(),
            saying: None,
        })
    }

    /// Counts a word that is being said.
    pub(super) fn heed(&mut self, word: RecordId, row: &PartedRow) {
        self.keeps_apart = true;
        self.saying = Some((word, row.clone()));
    }

    /// Reads these records and who carries their keys, each table once for all of them.
    pub(super) fn meet(&mut self, ids: &[RecordId]) -> Result<(), StoreError> {
        let read = self.inventory.records(ids, None)?;
        self.known.extend(ids.iter().map(|id| (*id, None)));
        self.known.extend(read.iter().map(|record| (record.id, Some(Rc::new(Known::of(record))))));
        let refs = ids.iter().filter_map(|id| self.known.get(id)?.as_ref()).flat_map(|it| &it.refs).copied();
        let carriers = carriers_of(self.inventory, refs.collect(), CARRIERS_MOST + 1)?;
        self.carriers.extend(carriers.map(|(key, carriers)| (key, Rc::from(carriers))));
        Ok(())
    }

    /// A record as it is now.
    pub(super) fn known(&mut self, id: RecordId) -> Result<Option<Rc<Known>>, StoreError> {
        if let Some(known) = self.known.get(&id) {
            return Ok(known.clone());
        }
        let known = self.inventory.record(id, None)?.map(|record| Rc::new(Known::of(&record)));
        self.known.insert(id, known.clone());
        Ok(known)
    }

    /// The same of a record that an index names.
    pub(super) fn named(&mut self, id: RecordId) -> Result<Rc<Known>, StoreError> {
        let known = self.known(id)?;
        known.ok_or_else(|| StoreError::Codec(format!("an index names the record {id}, which is not there")))
    }

    /// A record as it is grouped.
    pub(super) fn member(&mut self, unites: Unites, id: RecordId) -> Result<Member, StoreError> {
        Ok(self.named(id)?.whole.among(unites))
    }

    /// Who carries a key; one more than are looked at if it is more than that.
    pub(super) fn carriers(&mut self, key: KeyRef) -> Result<Rc<[RecordId]>, StoreError> {
        if let Some(known) = self.carriers.get(&key) {
            return Ok(known.clone());
        }
        let carriers: Rc<[RecordId]> = self.inventory.carriers(key, CARRIERS_MOST + 1)?.into();
        self.carriers.insert(key, carriers.clone());
        Ok(carriers)
    }

    /// Whether more carry a key than are looked at.
    pub(super) fn is_crowded(&mut self, key: &CorrelationKey) -> Result<bool, StoreError> {
        Ok(self.carriers(KeyRef::of(key))?.len() > CARRIERS_MOST)
    }

    fn are_apart(&mut self, one: RecordId, other: RecordId) -> Result<bool, StoreError> {
        if !self.keeps_apart {
            return Ok(false);
        }
        if !self.apart.contains_key(&one) {
            let others = self.apart_from(one)?;
            self.apart.insert(one, others);
        }
        Ok(self.apart.get(&one).is_some_and(|others| others.contains(&other)))
    }

    /// Who is kept apart from a record, the word that is being said included.
    fn apart_from(&self, id: RecordId) -> Result<BTreeSet<RecordId>, StoreError> {
        let mut others = self.inventory.kept_apart_from(id)?;
        if let Some((word, row)) = &self.saying {
            for (side, opposite) in [(&row.one, &row.other), (&row.other, &row.one)] {
                for other in opposite.iter().filter(|_| side.contains(&id)) {
                    let words = others.entry(*other).or_default();
                    words.retain(|it| it != word);
                    words.extend(row.released.is_none().then_some(*word));
                }
            }
        }
        others.retain(|_, words| !words.is_empty());
        Ok(others.into_keys().collect())
    }

    /// Those of a key's carriers whom it could unite with one of them: nobody has parted all of one side from the other.
    fn not_parted(&mut self, id: RecordId, carriers: &[RecordId]) -> Result<Vec<RecordId>, StoreError> {
        if !self.keeps_apart {
            return Ok(carriers.to_vec());
        }
        let (mut met, mut left) = (vec![id], carriers.to_vec());
        left.retain(|other| *other != id);
        let mut at = 0;
        while let Some(one) = met.get(at).copied() {
            at += 1;
            let mut further = Vec::new();
            for other in std::mem::take(&mut left) {
                (if self.are_apart(one, other)? { &mut left } else { &mut further }).push(other);
            }
            met.extend(further);
        }
        Ok(met)
    }

    /// Everybody whom a record hangs together with by keys of that sort of thing, itself included.
    pub(super) fn explore(&mut self, unites: Unites, id: RecordId) -> Result<Met, StoreError> {
        let (mut met, mut known) = (vec![id], HashSet::from([id]));
        let mut at = 0;
        while let Some(one) = met.get(at).copied() {
            at += 1;
            for (key, key_ref) in self.named(one)?.keys(unites) {
                let carriers = self.carriers(key_ref)?;
                if carriers.len() > CARRIERS_MOST || carriers.len() < 2 {
                    continue;
                }
                for other in self.not_parted(one, &carriers)? {
                    // The index of marks knows other records too, which the key may not unite.
                    if !known.contains(&other) && self.named(other)?.whole.keys.contains(key) {
                        known.insert(other);
                        met.push(other);
                    }
                }
            }
            if met.len() > HORIZON {
                return Ok(Met::TooMany(met));
            }
        }
        Ok(Met::All(met))
    }

    /// Groups members that hang together with nobody else.
    pub(super) fn grouping(&mut self, members: &[Member]) -> Result<Grouping, StoreError> {
        let mut crowded = BTreeSet::new();
        let mut apart = Apart::default();
        for member in members {
            for key in &member.keys {
                if self.is_crowded(key)? {
                    crowded.insert(key.clone());
                }
            }
            if self.keeps_apart {
                for other in members {
                    if member.id < other.id && self.are_apart(member.id, other.id)? {
                        apart.insert(member.id, other.id);
                    }
                }
            }
        }
        Ok(grouping(members, &crowded, &apart))
    }
}

/// Up to so many carriers of each of these keys, each key once.
pub(super) fn carriers_of(
    inventory: Inventory<'_>,
    mut keys: Vec<KeyRef>,
    limit: usize,
) -> Result<impl Iterator<Item = (KeyRef, Vec<RecordId>)>, StoreError> {
    keys.sort_unstable();
    keys.dedup();
    let carriers = inventory.carriers_of_each(&keys, limit)?;
    Ok(keys.into_iter().zip(carriers))
}

impl Known {
    fn of(record: &Record) -> Self {
        let whole = Member::whole(record);
        Self { refs: whole.keys.iter().map(KeyRef::of).collect(), whole }
    }

    /// Its keys that speak of one sort of thing.
    pub(super) fn keys(&self, unites: Unites) -> impl Iterator<Item = (&CorrelationKey, KeyRef)> {
        self.whole.keys.iter().zip(self.refs.iter().copied()).filter(move |(key, _)| key.unites() == unites)
    }
}
