//! Loads subjects with their neighbourhoods: an identity with its credentials at once, or a record by itself.
//! It must never show a subject without a neighbour that a rule about it looks at.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use provost_engine::{Covered, Neighbour, Place, Rule, Subject, Thresholds};
use provost_model::{Finding, Key, Noun, Presence, Reading, Record, RecordId, Time, field};
use provost_store::{
    CommitNo, StoreError,
    inventory::{Inventory, ScopeRow},
};

use super::{super::owners::Owners, Yardstick, covers};

/// Places of one secret that are looked at; more than that are somebody's test value.
pub(super) const PLACES_MAX: usize = 50;

/// Records that are judged together, and which of them are.
pub(super) struct Household {
    pub(super) identity: Option<Record>,
    /// Those that are there come first.
    pub(super) members: Vec<Record>,
    there: usize,
    pub(super) subjects: Vec<Loaded>,
}

/// One member to be judged, with what only it needs.
pub(super) struct Loaded {
    /// Its place among the members; `None` for the identity.
    pub(super) member: Option<usize>,
    places: Vec<Place>,
    pub(super) findings: Vec<Finding>,
    /// Whether other records keep the same secret.
    pub(super) has_twins: bool,
}

/// Who is judged together: an identity and its credentials, or a record by itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Together {
    Identity(Key),
    Alone(RecordId),
}

impl Together {
    /// With whom that record is judged.
    pub(super) fn with(record: &Record) -> Self {
        match &record.identity {
            Some(identity) => Self::Identity(identity.clone()),
            None if record.kind.noun() == Noun::Identity => Self::Identity(record.key()),
            None => Self::Alone(record.id),
        }
    }
}

impl Household {
    fn of(identity: Option<Record>, mut members: Vec<Record>) -> Self {
        members.sort_by_key(|it| !is_there(it));
        let there = members.iter().take_while(|it| is_there(it)).count();
        Self { identity, members, there, subjects: Vec::new() }
    }

    /// Everybody in it, the identity first, each with its place among the members.
    pub(super) fn everybody(&self) -> impl Iterator<Item = (Option<usize>, &Record)> {
        let members = self.members.iter().enumerate().map(|(at, record)| (Some(at), record));
        self.identity.iter().map(|record| (None, record)).chain(members)
    }

    /// The member of that place.
    pub(super) fn record(&self, member: Option<usize>) -> Option<&Record> {
        match member {
            None => self.identity.as_ref(),
            Some(at) => self.members.get(at),
        }
    }

    /// Those credentials that are there.
    pub(super) fn credentials(&self) -> &[Record] {
        self.members.get(..self.there).unwrap_or_default()
    }
}

/// What judging needs, loaded once.
pub(super) struct Bench<'a> {
    pub(super) inventory: Inventory<'a>,
    /// As of which commit records, findings and words about owners are read; `None` for now. Indexes are today's.
    pub(super) at: Option<CommitNo>,
    pub(super) yardstick: &'a Yardstick,
    pub(super) covers: Vec<Covered<'a>>,
    owners: Owners<'a>,
    /// Digest of what is configured about owners.
    pub(super) owners_by: String,
}

impl<'a> Bench<'a> {
    pub(super) fn new(
        inventory: Inventory<'a>,
        yardstick: &'a Yardstick,
        scopes: &'a [ScopeRow],
    ) -> Result<Self, StoreError> {
        Self::at(inventory, yardstick, scopes, None)
    }

    /// The same as of a commit (`None`: now).
    pub(super) fn at(
        inventory: Inventory<'a>,
        yardstick: &'a Yardstick,
        scopes: &'a [ScopeRow],
        at: Option<CommitNo>,
    ) -> Result<Self, StoreError> {
        let owners = Owners::new(inventory, yardstick, at)?;
        Ok(Self { inventory, at, yardstick, covers: covers(scopes), owners, owners_by: yardstick.owners_digest() })
    }

    /// These subjects and nobody else.
    pub(super) fn only(&self, ids: &[RecordId]) -> Result<Vec<Household>, StoreError> {
        let mut households: Vec<Household> = Vec::new();
        let mut known: HashMap<Together, usize> = HashMap::new();
        for id in ids {
            let Some(record) = self.inventory.record(*id, self.at)? else { continue };
            let together = Together::with(&record);
            let at = match known.get(&together) {
                Some(at) => *at,
                None => {
                    households.push(self.household(&together, record)?);
                    known.insert(together, households.len() - 1);
                    households.len() - 1
                }
            };
            if let Some(household) = households.get_mut(at) {
                self.load(household, &|it| it.id == *id)?;
            }
        }
        Ok(households)
    }

    /// Every record of a page that is asked for and was not met, each with whoever of its household is asked for too.
    pub(super) fn page(
        &self,
        records: &[Record],
        which: &dyn Fn(&Record) -> bool,
        met: &mut HashSet<RecordId>,
    ) -> Result<Vec<Household>, StoreError> {
        let mut households = Vec::new();
        for record in records {
            if met.remove(&record.id) || !which(record) {
                continue;
            }
            let own = record.id;
            let mut household = self.household(&Together::with(record), record.clone())?;
            self.load(&mut household, which)?;
            met.extend(household.everybody().filter(|(_, it)| it.id != own && which(it)).map(|(_, it)| it.id));
            households.push(household);
        }
        Ok(households)
    }

    /// Loads what each member that is to be judged needs for itself, unless that was done.
    pub(super) fn load(&self, household: &mut Household, which: &dyn Fn(&Record) -> bool) -> Result<(), StoreError> {
        let mut loaded = Vec::new();
        for (member, record) in household.everybody() {
            if which(record) && !household.subjects.iter().any(|it| it.member == member) {
                let (places, has_twins) = self.places(record)?;
                let findings = self.inventory.findings_at(record.id, self.at)?;
                loaded.push(Loaded { member, places, findings, has_twins });
            }
        }
        household.subjects.extend(loaded);
        Ok(())
    }

    /// Those who are judged together, one of whom was read already.
    pub(super) fn household(&self, who: &Together, read: Record) -> Result<Household, StoreError> {
        let Together::Identity(key) = who else { return Ok(Household::of(None, vec![read])) };
        self.family(key, Some(read))
    }

    /// The same by the identity's name.
    pub(super) fn family(&self, key: &Key, read: Option<Record>) -> Result<Household, StoreError> {
        let identity = match self.inventory.resolve(key)? {
            Some(id) => match read {
                Some(read) if read.id == id => Some(read),
                _ => self.inventory.record(id, self.at)?,
            },
            None => None,
        };
        let mut names = vec![key.clone()];
        if let Some(identity) = &identity {
            let others = identity.externals.iter().filter(|external| **external != key.external);
            names.extend(others.map(|external| Key::new(key.realm.clone(), key.kind, external.clone())));
        }
        let mut members = Vec::new();
        for name in &names {
            for id in self.inventory.tied_to(name)? {
                let record = self.inventory.record(id, self.at)?;
                members.extend(record.filter(|record| record.identity.as_ref() == Some(name)));
            }
        }
        Ok(Household::of(identity, members))
    }

    /// Other places of a record's secret that are there, and whether there are any at all.
    fn places(&self, record: &Record) -> Result<(Vec<Place>, bool), StoreError> {
        let twins = self.twins(record)?;
        let mut places = Vec::new();
        if Rule::about(record.kind).iter().any(|rule| rule.looks_at(Neighbour::SameSecret)) {
            for id in &twins {
                let twin = self.inventory.record(*id, self.at)?;
                places.extend(twin.filter(is_there).map(|twin| Place::of(&twin)));
            }
        }
        Ok((places, !twins.is_empty()))
    }

    fn twins(&self, record: &Record) -> Result<Vec<RecordId>, StoreError> {
        let mut twins = Vec::new();
        for mark in marks(record) {
            twins.extend(self.inventory.marked_first(mark, PLACES_MAX)?);
        }
        twins.sort_unstable();
        twins.dedup();
        twins.retain(|id| *id != record.id);
        Ok(twins)
    }

    /// The figures that hold for a record.
    pub(super) fn thresholds(&self, record: &Record) -> Arc<Thresholds> {
        self.yardstick.policy.of_record(record, &self.covers)
    }

    /// Shows one member with its neighbourhood. Who answers for it is found out only where a rule asks, or `wholly`.
    pub(super) fn show(
        &self,
        household: &Household,
        loaded: &Loaded,
        (wholly, now): (bool, Time),
        look: &mut dyn FnMut(&Subject<'_>),
    ) -> Result<(), StoreError> {
        let Some(record) = household.record(loaded.member) else { return Ok(()) };
        let identity = loaded.member.and(household.identity.as_ref());
        let (siblings, credentials): (&[Record], &[Record]) = match loaded.member {
            Some(_) => (household.credentials(), &[]),
            None => (&[], household.credentials()),
        };
        let asked = wholly || Rule::asks_owner(record.kind, record.identity.is_some());
        let owner = if asked { self.owners.of(record, identity, now)? } else { None };
        look(&Subject {
            record,
            identity,
            siblings,
            credentials,
            places: &loaded.places,
            owner: owner.as_ref(),
            covers: &self.covers,
        });
        Ok(())
    }
}

/// The values by which places of one secret recognise each other.
pub(super) fn marks(record: &Record) -> Vec<&str> {
    let mut marks: Vec<&str> = Vec::new();
    for attr in [field::FINGERPRINT, field::KEY_ID, field::OPENS] {
        if let Reading::Known(mark) = record.text(attr) {
            marks.push(mark);
        }
    }
    marks
}

fn is_there(record: &Record) -> bool {
    matches!(record.presence(), Presence::Present | Presence::Missing)
}
