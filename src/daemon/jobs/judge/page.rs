//! Puts households together, many at once: each table is asked once for all of them.
//! It must never load a subject otherwise than it would be loaded by itself.

use std::collections::{HashMap, HashSet};

use provost_engine::{Neighbour, Place, Rule};
use provost_model::{Finding, Key, KeyDigest, Motion, Record, RecordId};
use provost_store::{StoreError, inventory::digest};

use super::household::{Bench, Household, Loaded, PLACES_MAX, Together, is_there, marks};

/// Households that are being put together, with whoever of them is to be judged.
#[derive(Default)]
pub(super) struct Gathered {
    families: Vec<Family>,
    /// Where a family is, by the digest of its identity's key.
    at: HashMap<KeyDigest, usize>,
    /// How many families were looked up.
    found: usize,
    /// Who is judged by itself.
    alone: Vec<RecordId>,
    /// The places of the secrets of records for whom they were looked up.
    marked: HashMap<RecordId, Vec<RecordId>>,
    pool: Pool,
}

/// An identity and its credentials, some of whom are to be judged.
struct Family {
    key: Key,
    digest: KeyDigest,
    identity: Option<RecordId>,
    /// The key, and the identity's other names.
    names: Vec<Key>,
    /// Who is tied to each name.
    tied: Vec<Vec<RecordId>>,
    subjects: HashSet<RecordId>,
}

/// Records that were read, and how many households still need each.
#[derive(Default)]
struct Pool {
    records: HashMap<RecordId, Record>,
    needed: HashMap<RecordId, usize>,
}

/// What a subject needs beside its household.
type Own = (Vec<Place>, bool, Vec<Finding>, Vec<Motion>);

impl Bench<'_> {
    /// Every record of a page that is asked for, with its household. Nobody else is to be judged, so that no two pages judge
    /// the same subject.
    pub(super) fn page(
        &self,
        records: Vec<Record>,
        which: &dyn Fn(&Record) -> bool,
    ) -> Result<Vec<Household>, StoreError> {
        let mut gathered = Gathered::default();
        for record in records.iter().filter(|it| which(it)) {
            match Together::with(record) {
                Together::Identity(key) => {
                    let at = gathered.family(&key);
                    gathered.judge(at, record.id);
                }
                Together::Alone(id) => gathered.judge_alone(id),
            }
        }
        gathered.pool.records.extend(records.into_iter().map(|it| (it.id, it)));
        self.find_families(&mut gathered)?;
        self.assembled(gathered)
    }

    /// The households, each subject with what it needs for itself. All families must have been found.
    pub(super) fn assembled(&self, gathered: Gathered) -> Result<Vec<Household>, StoreError> {
        let Gathered { families, alone, marked, mut pool, .. } = gathered;
        let subjects = families.iter().flat_map(|it| &it.subjects).chain(&alone);
        let subjects: Vec<RecordId> = subjects.copied().collect();
        let mut own = self.own(&subjects, marked, &mut pool)?;
        for family in &families {
            pool.need(family.everybody());
        }
        pool.need(alone.iter().copied());
        let mut households = Vec::with_capacity(families.len() + alone.len());
        for family in families {
            let identity = family.identity.and_then(|id| pool.take(id));
            let members = family.tied.iter().flatten().filter_map(|id| pool.take(*id)).collect();
            let mut household = Household::of(identity, members);
            household.take(&mut own, &|id| family.subjects.contains(&id));
            households.push(household);
        }
        for id in alone {
            let mut household = Household::of(None, pool.take(id).into_iter().collect());
            household.take(&mut own, &|_| true);
            households.push(household);
        }
        Ok(households)
    }

    /// Finds the identity of each family that was not looked up yet, and whoever is tied to it.
    pub(super) fn find_families(&self, gathered: &mut Gathered) -> Result<(), StoreError> {
        let Gathered { families, found, pool, .. } = gathered;
        let new = families.get_mut(*found..).unwrap_or_default();
        let keys: Vec<KeyDigest> = new.iter().map(|it| it.digest).collect();
        let identities = self.inventory.resolve_all(&keys)?;
        self.read(identities.iter().flatten().copied(), pool)?;
        let mut names = Vec::new();
        for ((family, identity), digest_of_key) in new.iter_mut().zip(identities).zip(keys) {
            family.identity = identity;
            names.push(digest_of_key);
            let externals = identity.and_then(|id| pool.records.get(&id)).map_or(&[][..], |it| &it.externals);
            for external in externals.iter().filter(|external| **external != family.key.external) {
                let name = Key::new(family.key.realm.clone(), family.key.kind, external.clone());
                names.push(digest(&name));
                family.names.push(name);
            }
        }
        let mut tied = self.inventory.tied_to_each(&names)?.into_iter();
        for family in new.iter_mut() {
            family.tied = tied.by_ref().take(family.names.len()).collect();
        }
        self.read(new.iter().flat_map(|it| &it.tied).flatten().copied(), pool)?;
        for family in new {
            for (name, tied) in family.names.iter().zip(&mut family.tied) {
                tied.retain(|id| pool.records.get(id).is_some_and(|it| it.identity.as_ref() == Some(name)));
            }
        }
        *found = families.len();
        Ok(())
    }

    /// Reads those of these records that were not read yet.
    pub(super) fn fetch(&self, ids: impl Iterator<Item = RecordId>, gathered: &mut Gathered) -> Result<(), StoreError> {
        self.read(ids, &mut gathered.pool)
    }

    /// What each subject needs for itself: the other places of its secret, whether there are any, its findings, and what
    /// people decided about them.
    fn own(
        &self,
        subjects: &[RecordId],
        mut marked: HashMap<RecordId, Vec<RecordId>>,
        pool: &mut Pool,
    ) -> Result<HashMap<RecordId, Own>, StoreError> {
        let mut twins: HashMap<RecordId, Vec<RecordId>> = HashMap::new();
        let (mut asked, mut values) = (Vec::new(), Vec::new());
        for record in subjects.iter().filter_map(|id| pool.records.get(id)) {
            match marked.remove(&record.id) {
                Some(known) => drop(twins.insert(record.id, known)),
                None => {
                    let all = marks(record);
                    asked.push((record.id, all.len()));
                    values.extend(all);
                }
            }
        }
        let mut found = self.inventory.marked_first_each(&values, PLACES_MAX)?.into_iter();
        twins.extend(asked.into_iter().map(|(id, marks)| (id, found.by_ref().take(marks).flatten().collect())));
        for (id, all) in &mut twins {
            all.retain(|it| it != id);
            all.sort_unstable();
            all.dedup();
        }
        twins.retain(|_, all| !all.is_empty());
        let looks = |id: &RecordId| {
            let rules = pool.records.get(id).map_or(&[][..], |it| Rule::about(it.kind));
            rules.iter().any(|rule| rule.looks_at(Neighbour::SameSecret))
        };
        let looking: HashSet<RecordId> = twins.keys().copied().filter(looks).collect();
        let seen = twins.iter().filter(|(id, _)| looking.contains(id)).flat_map(|(_, twins)| twins);
        self.read(seen.copied(), pool)?;
        let findings = self.inventory.findings_of_all(subjects, self.at)?;
        // Nobody decided about what was never found.
        let found: Vec<RecordId> =
            subjects.iter().zip(&findings).filter(|it| !it.1.is_empty()).map(|it| *it.0).collect();
        let mut motions = self.inventory.motions_of_all(&found, self.at)?.into_iter();
        let own = subjects.iter().zip(findings).map(|(id, findings)| {
            let motions = if findings.is_empty() { Vec::new() } else { motions.next().unwrap_or_default() };
            let twins = twins.get(id).map_or(&[][..], Vec::as_slice);
            let seen = if looking.contains(id) { twins } else { &[] };
            let there = seen.iter().filter_map(|it| pool.records.get(it)).filter(|it| is_there(it));
            (*id, (there.map(Place::of).collect(), !twins.is_empty(), findings, motions))
        });
        Ok(own.collect())
    }

    /// Reads those of these records that were not read yet.
    fn read(&self, ids: impl Iterator<Item = RecordId>, pool: &mut Pool) -> Result<(), StoreError> {
        let mut lacking: Vec<RecordId> = ids.filter(|id| !pool.records.contains_key(id)).collect();
        lacking.sort_unstable();
        lacking.dedup();
        let read = self.inventory.records(&lacking, self.at)?;
        pool.records.extend(read.into_iter().map(|it| (it.id, it)));
        Ok(())
    }
}

impl Gathered {
    /// The place of the family of the identity with that name.
    pub(super) fn family(&mut self, key: &Key) -> usize {
        let digest = digest(key);
        let at = *self.at.entry(digest).or_insert(self.families.len());
        if at == self.families.len() {
            self.families.push(Family::of(key.clone(), digest));
        }
        at
    }

    /// A record that was read.
    pub(super) fn record(&self, id: RecordId) -> Option<&Record> {
        self.pool.records.get(&id)
    }

    /// Places of a record's secret, as far as somebody sees them.
    pub(super) fn places(&mut self, of: RecordId, all: &[RecordId]) {
        self.marked.entry(of).or_default().extend(all.iter().take(PLACES_MAX));
    }

    /// Everybody of a family that was found, and whether it is the identity.
    pub(super) fn members(&self, at: usize) -> impl Iterator<Item = (&Record, bool)> {
        let family = self.families.get(at);
        let everybody = family.into_iter().flat_map(|it| it.everybody().map(move |id| (id, it.identity == Some(id))));
        everybody.filter_map(|(id, is_identity)| Some((self.pool.records.get(&id)?, is_identity)))
    }

    /// Has a member of a family judged.
    pub(super) fn judge(&mut self, at: usize, subject: RecordId) {
        if let Some(family) = self.families.get_mut(at) {
            family.subjects.insert(subject);
        }
    }

    /// Has a record judged that belongs to no identity; once.
    pub(super) fn judge_alone(&mut self, subject: RecordId) {
        self.alone.push(subject);
    }
}

impl Family {
    fn of(key: Key, digest: KeyDigest) -> Self {
        let names = vec![key.clone()];
        Self { key, digest, identity: None, names, tied: Vec::new(), subjects: HashSet::new() }
    }

    fn everybody(&self) -> impl Iterator<Item = RecordId> {
        self.identity.into_iter().chain(self.tied.iter().flatten().copied())
    }
}

impl Pool {
    fn need(&mut self, ids: impl IntoIterator<Item = RecordId>) {
        ids.into_iter().for_each(|id| *self.needed.entry(id).or_default() += 1);
    }

    /// The record; a copy as long as somebody else needs it too.
    fn take(&mut self, id: RecordId) -> Option<Record> {
        match self.needed.get_mut(&id) {
            Some(needed) if *needed > 1 => {
                *needed -= 1;
                self.records.get(&id).cloned()
            }
            _ => self.records.remove(&id),
        }
    }
}

impl Household {
    /// Has those members judged for whom `who` says so and something is known.
    fn take(&mut self, own: &mut HashMap<RecordId, Own>, who: &dyn Fn(RecordId) -> bool) {
        let loaded: Vec<Loaded> = self
            .everybody()
            .filter(|(_, record)| who(record.id))
            .filter_map(|(member, record)| {
                let (places, has_twins, findings, motions) = own.remove(&record.id)?;
                Some(Loaded { member, places, findings, motions, has_twins })
            })
            .collect();
        self.subjects.extend(loaded);
    }
}
