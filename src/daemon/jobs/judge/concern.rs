//! Whom a change concerns: the record, its identity, the credentials beside it, the places of its secret, as far as a rule
//! about them reads what changed. It must never leave anybody out, nor count somebody twice.

use std::collections::{HashMap, HashSet};

use provost_engine::{
    News, Relation,
    rules::{concerned, dates_matter},
};
use provost_model::{Key, Kind, Noun, Record, RecordId, ScopeNo};
use provost_store::StoreError;

use super::{
    Touched,
    household::{Bench, Household, PLACES_MAX, Together, marks},
};

/// Who was found concerned so far by the changes of one call.
#[derive(Default)]
pub(super) struct Concerned {
    /// Subjects that were judged.
    met: HashSet<RecordId>,
    /// Those among them that concern nobody who was not judged with them.
    settled: HashSet<RecordId>,
    /// Whether somebody waits for a scope.
    awaited: HashMap<ScopeNo, bool>,
}

/// Households that are being put together for one part.
struct Part<'b, 'a> {
    bench: &'b Bench<'a>,
    concerned: &'b mut Concerned,
    /// All changes of the part, in the order of ids.
    touched: &'b [Touched],
    households: Vec<Household>,
    known: HashMap<Together, usize>,
    /// In which household a record was read.
    at: HashMap<RecordId, usize>,
}

impl Bench<'_> {
    /// Whom these changes concern, with their neighbourhoods; nobody whom former parts of the call judged.
    pub(super) fn concerned(
        &self,
        touched: &[Touched],
        concerned: &mut Concerned,
    ) -> Result<Vec<Household>, StoreError> {
        let (households, known, at) = (Vec::new(), HashMap::new(), HashMap::new());
        let mut part = Part { bench: self, concerned, touched, households, known, at };
        for each in touched {
            part.take(each)?;
        }
        let mut households = part.households;
        households.retain(|it| !it.subjects.is_empty());
        for household in &households {
            concerned.settle(household);
        }
        Ok(households)
    }
}

impl Concerned {
    /// Notes who of a household was judged with everybody it concerns.
    fn settle(&mut self, household: &Household) {
        let everybody = household.everybody().count();
        if household.subjects.len() < everybody {
            return;
        }
        for subject in household.subjects.iter().filter(|it| !it.has_twins) {
            self.settled.extend(household.record(subject.member).map(|record| record.id));
        }
    }
}

impl Part<'_, '_> {
    fn take(&mut self, touched: &Touched) -> Result<(), StoreError> {
        let Touched { id, news } = touched;
        if news.former.is_none() && self.concerned.settled.contains(id) {
            return Ok(());
        }
        let Some(record) = self.record(*id)? else { return Ok(()) };
        let waits = news.dated && self.awaited(&record)?;
        self.family(&record, news, waits)?;
        for key in news.former.iter().flat_map(|former| &former.identities) {
            self.former_family(key, news)?;
        }
        self.twins(&record, news)
    }

    /// The record and those judged together with it.
    fn family(&mut self, record: &Record, news: &News, waits: bool) -> Result<(), StoreError> {
        let itself = concerned(record.kind, Relation::Itself, news) || waits;
        let others = record.identity.is_some() || record.kind.noun() == Noun::Identity;
        let relations = [Relation::Identity, Relation::Sibling, Relation::Credential];
        if !itself && !(others && (waits || relations.into_iter().any(|relation| anybody(relation, news)))) {
            return Ok(());
        }
        let at = self.household(&Together::with(record), record.clone())?;
        let by_identity = record.identity.is_none();
        self.judge(at, &|it, is_identity| {
            let relation = match (it.id == record.id, by_identity, is_identity) {
                (true, ..) => Relation::Itself,
                (false, true, _) => Relation::Identity,
                (false, false, true) => Relation::Credential,
                (false, false, false) => Relation::Sibling,
            };
            concerned(it.kind, relation, news) || (waits && dates_matter(it.kind, relation))
        })
    }

    /// Those it was judged together with before.
    fn former_family(&mut self, key: &Key, news: &News) -> Result<(), StoreError> {
        let together = Together::Identity(key.clone());
        let at = match self.known.get(&together) {
            Some(at) => *at,
            None => {
                let household = self.bench.family(key, None)?;
                self.keep(together, household)
            }
        };
        self.judge(at, &|it, is_identity| {
            let relation = if is_identity { Relation::Credential } else { Relation::Sibling };
            concerned(it.kind, relation, news)
        })
    }

    /// Other places of its secret, as it is and as it was.
    fn twins(&mut self, record: &Record, news: &News) -> Result<(), StoreError> {
        if !anybody(Relation::Twin, news) {
            return Ok(());
        }
        let mut twins: Vec<RecordId> = Vec::new();
        for mark in marks(record) {
            let all = self.bench.inventory.marked(mark)?;
            // Who comes after that many is seen by nobody.
            if all.iter().take(PLACES_MAX).any(|id| *id == record.id) {
                twins.extend(all);
            }
        }
        for mark in news.former.iter().flat_map(|former| &former.marks) {
            twins.extend(self.bench.inventory.marked(mark)?);
        }
        twins.sort_unstable();
        twins.dedup();
        for id in twins {
            if id == record.id || self.concerned.met.contains(&id) || self.comes_itself(id) {
                continue;
            }
            let Some(twin) = self.record(id)? else { continue };
            if concerned(twin.kind, Relation::Twin, news) {
                let at = self.household(&Together::with(&twin), twin)?;
                self.judge(at, &|it, _| it.id == id)?;
            }
        }
        Ok(())
    }

    /// Whether that record is among the changes of this part, and will be judged for it.
    fn comes_itself(&self, id: RecordId) -> bool {
        let at = self.touched.binary_search_by_key(&id, |it| it.id);
        at.ok().and_then(|at| self.touched.get(at)).is_some_and(|it| it.news.whole)
    }

    /// Has those of a household judged for whom `who` says so, given whether they are its identity.
    fn judge(&mut self, at: usize, who: &dyn Fn(&Record, bool) -> bool) -> Result<(), StoreError> {
        let Some(household) = self.households.get_mut(at) else { return Ok(()) };
        let identity = household.identity.as_ref().map(|it| it.id);
        let met = &self.concerned.met;
        let new: HashSet<RecordId> = household
            .everybody()
            .filter(|(_, it)| !met.contains(&it.id) && who(it, identity == Some(it.id)))
            .map(|(_, it)| it.id)
            .collect();
        if !new.is_empty() {
            self.bench.load(household, &|it| new.contains(&it.id))?;
            self.concerned.met.extend(new);
        }
        Ok(())
    }

    fn household(&mut self, together: &Together, read: Record) -> Result<usize, StoreError> {
        if let Some(at) = self.known.get(together) {
            return Ok(*at);
        }
        let household = self.bench.household(together, read)?;
        Ok(self.keep(together.clone(), household))
    }

    fn keep(&mut self, together: Together, household: Household) -> usize {
        let at = self.households.len();
        self.at.extend(household.everybody().map(|(_, it)| (it.id, at)));
        self.known.insert(together, at);
        self.households.push(household);
        at
    }

    fn record(&self, id: RecordId) -> Result<Option<Record>, StoreError> {
        let household = self.at.get(&id).and_then(|at| self.households.get(*at));
        let read = household.and_then(|it| it.everybody().map(|(_, record)| record).find(|record| record.id == id));
        match read {
            Some(record) => Ok(Some(record.clone())),
            None => self.bench.inventory.record(id, self.bench.at),
        }
    }

    /// Whether somebody waits for a scope that speaks of the record.
    fn awaited(&mut self, record: &Record) -> Result<bool, StoreError> {
        for said in &record.statements {
            let known = self.concerned.awaited.get(&said.scope).copied();
            let awaited = match known {
                Some(awaited) => awaited,
                None => {
                    let awaited = self.bench.inventory.is_awaited(said.scope)?;
                    self.concerned.awaited.insert(said.scope, awaited);
                    awaited
                }
            };
            if awaited {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Whether a rule about any kind of subject reads such news of a record that stands so to it.
fn anybody(relation: Relation, news: &News) -> bool {
    (0..=u8::MAX).map_while(Kind::from_code).any(|kind| concerned(kind, relation, news))
}
