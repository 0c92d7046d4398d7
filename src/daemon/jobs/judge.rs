//! Judges what changed, and what time alone may have changed: loads each subject with its neighbourhood, asks every rule
//! about it, writes down the findings that differ. It must never judge on half a neighbourhood.

use std::collections::HashSet;

use provost_engine::{Case, Covered, Neighbour, Owning, Place, Policy, Rule, Subject, rejudge, withdraw};
use provost_model::{Key, Noun, PartId, Reading, Record, RecordId, Time, field};
use provost_store::{
    StoreError,
    inventory::{Draft, Inventory, JUDGE_QUEUE, Reads, ScopeRow},
};

use super::owners::{Known, Owners};
use crate::house::House;

/// Subjects taken from the due queue at a time.
const BATCH: usize = 256;
/// Records judged between two commits.
const PART: usize = 400;
/// Places of one secret that are looked at; more than that are somebody's test value.
const PLACES_MAX: usize = 50;

/// The figures that rules and owning go by.
#[derive(Clone, Debug, Default)]
pub struct Yardstick {
    /// Thresholds, with their overrides.
    pub policy: Policy,
    /// How owners are found.
    pub owning: Owning,
    /// People and teams.
    pub people: Known,
}

impl Yardstick {
    /// Digest of what is configured about owners and people.
    pub fn owners_digest(&self) -> String {
        format!("{}-{}", self.owning.digest(), self.people.of_file().digest())
    }
}

/// Judges these records and whomever their change concerns; gives the number of findings that changed.
pub fn touched(house: &House, yardstick: &Yardstick, records: &[RecordId]) -> Result<u64, StoreError> {
    let scopes = house.again(|| house.inventory().scopes(None))?;
    // Where other processes write too, a verdict is refused if what it rests on moved meanwhile.
    let reads = Reads::default();
    let bench = Bench::new(house.inventory().noting(&reads), yardstick, covers(&scopes))?;
    // Verdicts are written by one at a time. What changes after it was read here is judged again by whoever changed it.
    let _gavel = house.gavel();
    let (mut changed, mut met) = (0, HashSet::new());
    for part in records.chunks(PART) {
        let mut first = true;
        let findings = house.again(|| {
            reads.clear();
            // Whom a try met that failed is not judged yet.
            let mut anew = HashSet::new();
            judge_part(house, &bench, part, if std::mem::take(&mut first) { &mut met } else { &mut anew })
        })?;
        tracing::debug!(records = part.len(), findings, "judged a part");
        changed += findings;
    }
    Ok(changed)
}

fn judge_part(
    house: &House,
    bench: &Bench<'_>,
    part: &[RecordId],
    met: &mut HashSet<Concerned>,
) -> Result<u64, StoreError> {
    let households = {
        // Nobody writes while neighbours are read, so that they are of one moment.
        let _pen = house.pen();
        bench.households(part, met)?
    };
    let mut draft = Draft::new(bench.inventory, house.now());
    let mut changed = 0;
    for household in &households {
        changed += bench.judge(&mut draft, household, house.now())?;
    }
    draft.commit()?;
    Ok(changed)
}

/// Judges what is due by time alone; gives the number of subjects that were.
pub fn due(house: &House, yardstick: &Yardstick) -> Result<u64, StoreError> {
    let mut judged = 0;
    loop {
        let due = house.store().due(JUDGE_QUEUE, house.now(), BATCH)?;
        let ids: Vec<RecordId> = due
            .iter()
            .filter_map(|(_, item)| <[u8; 16]>::try_from(item.as_slice()).ok())
            .map(RecordId::from_bytes)
            .collect();
        if ids.is_empty() {
            return Ok(judged);
        }
        // Taken out first: whatever is still to come is put in again by the verdict.
        house.again(|| {
            let _pen = house.pen();
            let mut draft = Draft::new(house.inventory(), house.now());
            ids.iter().for_each(|id| draft.judge_at(*id, None));
            draft.commit()
        })?;
        judged += ids.len() as u64;
        touched(house, yardstick, &ids)?;
    }
}

/// Shows a record with the neighbourhood in which it is judged, to whoever explains a finding about it.
pub fn examine(
    house: &House,
    yardstick: &Yardstick,
    id: RecordId,
    look: &mut dyn FnMut(&Subject<'_>),
) -> Result<(), StoreError> {
    let scopes = house.inventory().scopes(None)?;
    let bench = Bench::new(house.inventory(), yardstick, covers(&scopes))?;
    for household in bench.households(&[id], &mut HashSet::new())? {
        bench.each_subject(&household, house.now(), &mut |subject| {
            if subject.record.id == id {
                look(subject);
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Records that are judged together: an identity with its credentials, or a record by itself.
struct Household {
    identity: Option<Record>,
    /// Those that are there come first.
    members: Vec<Record>,
    there: usize,
}

impl Household {
    fn of(identity: Option<Record>, mut members: Vec<Record>) -> Self {
        members.sort_by_key(|it| !is_there(it));
        let there = members.iter().take_while(|it| is_there(it)).count();
        Self { identity, members, there }
    }
}

/// Whom a change concerns.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Concerned {
    /// An identity and its credentials.
    Household(Key),
    /// A record by itself.
    Alone(RecordId),
}

impl Concerned {
    fn by(record: &Record) -> Self {
        match &record.identity {
            Some(identity) => Self::Household(identity.clone()),
            None if record.kind.noun() == Noun::Identity => Self::Household(record.key()),
            None => Self::Alone(record.id),
        }
    }
}

/// What judging needs, loaded once.
struct Bench<'a> {
    inventory: Inventory<'a>,
    yardstick: &'a Yardstick,
    covers: Vec<Covered<'a>>,
    owners: Owners<'a>,
    /// Digest of what is configured about owners.
    owners_by: String,
}

impl<'a> Bench<'a> {
    fn new(inventory: Inventory<'a>, yardstick: &'a Yardstick, covers: Vec<Covered<'a>>) -> Result<Self, StoreError> {
        let owners = Owners::new(inventory, yardstick, None)?;
        let owners_by = yardstick.owners_digest();
        Ok(Self { inventory, yardstick, covers, owners, owners_by })
    }

    /// Whom a change of these records concerns: themselves, their identities, and whoever keeps the same secret. Each once,
    /// and not who was met before; in the order of the records, as what lies together in the store is read fastest.
    fn households(&self, ids: &[RecordId], met: &mut HashSet<Concerned>) -> Result<Vec<Household>, StoreError> {
        let mut households = Vec::new();
        let mut meet = |record: Record| -> Result<(), StoreError> {
            let who = Concerned::by(&record);
            if met.insert(who.clone()) {
                households.push(self.household(who, record)?);
            }
            Ok(())
        };
        for id in ids {
            let Some(record) = self.inventory.record(*id, None)? else { continue };
            for twin in self.twins(&record)? {
                self.inventory.record(twin, None)?.map_or(Ok(()), &mut meet)?;
            }
            meet(record)?;
        }
        Ok(households)
    }

    fn twins(&self, record: &Record) -> Result<Vec<RecordId>, StoreError> {
        let mut twins = Vec::new();
        for attr in [field::FINGERPRINT, field::KEY_ID, field::OPENS] {
            if let Reading::Known(value) = record.get(attr) {
                twins.extend(self.inventory.marked(&value)?.into_iter().take(PLACES_MAX));
            }
        }
        twins.sort_unstable();
        twins.dedup();
        twins.retain(|id| *id != record.id);
        Ok(twins)
    }

    /// Those who are judged together, one of whom was read already.
    fn household(&self, who: Concerned, read: Record) -> Result<Household, StoreError> {
        let Concerned::Household(key) = who else { return Ok(Household::of(None, vec![read])) };
        let key = &key;
        let identity = match self.inventory.resolve(key)? {
            Some(id) if id == read.id => Some(read),
            Some(id) => self.inventory.record(id, None)?,
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
                let record = self.inventory.record(id, None)?;
                members.extend(record.filter(|record| record.identity.as_ref() == Some(name)));
            }
        }
        Ok(Household::of(identity, members))
    }

    fn judge(&self, draft: &mut Draft<'a>, household: &Household, now: Time) -> Result<u64, StoreError> {
        let mut changed = 0;
        self.each_subject(household, now, &mut |subject| {
            changed += self.ask(draft, subject, now)?;
            if draft.is_full() {
                std::mem::replace(draft, Draft::new(self.inventory, now)).commit()?;
            }
            Ok(())
        })?;
        Ok(changed)
    }

    /// Every member of a household, with its neighbourhood.
    fn each_subject(
        &self,
        household: &Household,
        now: Time,
        each: &mut dyn FnMut(&Subject<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let identity = household.identity.as_ref();
        let (there, _) = household.members.split_at(household.there);
        if let Some(identity) = identity {
            let places = self.places(identity)?;
            let owner = self.owners.of(identity, None, now)?;
            each(&Subject {
                credentials: there,
                places: &places,
                owner: owner.as_ref(),
                covers: &self.covers,
                ..Subject::alone(identity)
            })?;
        }
        for record in &household.members {
            let places = self.places(record)?;
            let owner = self.owners.of(record, identity, now)?;
            each(&Subject {
                identity,
                siblings: there,
                places: &places,
                owner: owner.as_ref(),
                covers: &self.covers,
                ..Subject::alone(record)
            })?;
        }
        Ok(())
    }

    fn places(&self, record: &Record) -> Result<Vec<Place>, StoreError> {
        let mut places = Vec::new();
        for id in self.twins(record)? {
            let twin = self.inventory.record(id, None)?;
            places.extend(twin.filter(is_there).map(|twin| Place::of(&twin)));
        }
        Ok(places)
    }

    /// Asks every rule about one subject.
    fn ask(&self, draft: &mut Draft<'_>, subject: &Subject<'_>, now: Time) -> Result<u64, StoreError> {
        let record = subject.record;
        let mut findings = self.inventory.findings_of(record.id)?;
        let thresholds = self.yardstick.policy.of_record(record, &self.covers);
        // What a rule about owners goes by is more than thresholds.
        let with_owners = format!("{}-{}", thresholds.digest(), self.owners_by);
        let (mut changed, mut until) = (0, None::<Time>);
        for rule in Rule::about(record.kind) {
            let verdict = rule.of_record(subject, &thresholds, now);
            let by_owner = rule.neighbours.contains(&Neighbour::Owner);
            let case = Case {
                rule,
                subject: record.id,
                external_id: record.external(),
                source: None,
                presence: record.presence(),
                baseline: record.baseline,
                policy: if by_owner { &with_owners } else { thresholds.digest() },
                now,
            };
            until = [until, verdict.until].into_iter().flatten().min();
            changed += u64::from(rejudge(&mut findings, &verdict, &case));
        }
        changed += withdraw(&mut findings, Rule::about(record.kind), now);
        if changed > 0 {
            draft.put_findings(record.id, &findings)?;
        }
        if let Some(until) = until {
            draft.judge_at(record.id, Some(until));
        }
        Ok(changed)
    }
}

fn is_there(record: &Record) -> bool {
    matches!(record.presence(), provost_model::Presence::Present | provost_model::Presence::Missing)
}

fn covers(scopes: &[ScopeRow]) -> Vec<Covered<'_>> {
    let covered = scopes.iter().filter_map(|row| {
        let as_of = row.as_of?;
        Some(Covered { scope: row.number, part: PartId::WHOLE, as_of, source: &row.source, path: &row.scope.path })
    });
    covered.collect()
}
