//! Whom a change concerns: the record, its identity, the credentials beside it, the places of its secret, as far as a rule
//! about them reads what changed. It must never leave anybody out, nor count somebody twice.

use std::collections::{BTreeMap, HashMap, HashSet};

use provost_engine::{
    News, Relation,
    rules::{anybody_concerned, concerned, dates_matter},
};
use provost_model::{Record, RecordId, ScopeNo};
use provost_store::{CommitNo, StoreError};

use super::{
    Touched,
    household::{Bench, Household, PLACES_MAX, Together, marks},
    page::Gathered,
};

/// Who concerns nobody who was not judged with them, and as of which commit all of them were read.
///
/// A run hands over in turns what it changed. Much of what it changes while a turn is judged is read in that turn already.
#[derive(Debug, Default)]
pub struct Settled {
    turn: HashMap<RecordId, CommitNo>,
    former: HashMap<RecordId, CommitNo>,
}

impl Settled {
    /// A turn begins: everything handed over in it was changed before.
    pub fn turn(&mut self) {
        self.former = std::mem::take(&mut self.turn);
    }

    pub(super) fn add(&mut self, new: HashMap<RecordId, CommitNo>) {
        self.turn.extend(new);
    }

    /// Whether everybody whom a change concerns was judged since.
    fn knows(&self, Touched { id, by, .. }: &Touched) -> bool {
        let since = |at: &CommitNo| by.is_some_and(|by| by <= *at);
        self.turn.contains_key(id) || self.former.get(id).is_some_and(since)
    }
}

/// Who was found concerned so far by the changes of one call.
pub(super) struct Concerned<'s> {
    known: &'s Settled,
    /// Subjects that were judged.
    met: HashSet<RecordId>,
    /// Those among them that concern nobody who was not judged with them.
    settled: HashMap<RecordId, CommitNo>,
    /// Whether somebody waits for a scope.
    awaited: HashMap<ScopeNo, bool>,
}

/// One part of the changes, and whom it concerns.
struct Part<'b, 's> {
    concerned: &'b mut Concerned<'s>,
    /// All changes of the part, in the order of ids.
    touched: &'b [Touched],
    gathered: Gathered,
}

/// A change whose record is there, with the families it reaches.
struct Reach<'b> {
    id: RecordId,
    news: &'b News,
    /// Whether somebody waits for a scope that speaks of the record.
    waits: bool,
    /// The record's own family.
    family: Option<usize>,
    /// Those it belonged to before.
    former: Vec<usize>,
}

impl Bench<'_> {
    /// Whom these changes concern, with their neighbourhoods as of a commit; nobody whom former parts of the call judged.
    pub(super) fn concerned(
        &self,
        (touched, moment): (&[Touched], CommitNo),
        concerned: &mut Concerned<'_>,
    ) -> Result<Vec<Household>, StoreError> {
        let mut part = Part { concerned, touched, gathered: Gathered::default() };
        part.families(self)?;
        let mut households = self.assembled(part.gathered)?;
        households.retain(|it| !it.subjects.is_empty());
        for household in &households {
            concerned.settle(household, moment);
        }
        Ok(households)
    }
}

impl<'s> Concerned<'s> {
    /// Nobody, where so many were settled before.
    pub(super) fn knowing(known: &'s Settled) -> Self {
        Self { known, met: HashSet::new(), settled: HashMap::new(), awaited: HashMap::new() }
    }

    /// What the call settled.
    pub(super) fn settled(self) -> HashMap<RecordId, CommitNo> {
        self.settled
    }

    fn is_settled(&self, touched: &Touched) -> bool {
        touched.news.former.is_none() && (self.settled.contains_key(&touched.id) || self.known.knows(touched))
    }

    /// Notes who of a household was judged with everybody it concerns.
    fn settle(&mut self, household: &Household, moment: CommitNo) {
        let everybody = household.everybody().count();
        if household.subjects.len() < everybody {
            return;
        }
        for subject in household.subjects.iter().filter(|it| !it.has_twins) {
            self.settled.extend(household.record(subject.member).map(|record| (record.id, moment)));
        }
    }

    /// Whether somebody waits for a scope that speaks of the record.
    fn awaits(&mut self, record: &Record, bench: &Bench<'_>) -> Result<bool, StoreError> {
        for said in &record.statements {
            let awaited = match self.awaited.get(&said.scope) {
                Some(awaited) => *awaited,
                None => {
                    let awaited = bench.inventory.is_awaited(said.scope)?;
                    self.awaited.insert(said.scope, awaited);
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

impl<'b> Part<'b, '_> {
    /// Gathers whom the changes concern: the families they reach first, then the other places of a secret.
    fn families(&mut self, bench: &Bench<'_>) -> Result<(), StoreError> {
        let touched = self.touched;
        let unsettled: Vec<&Touched> = touched.iter().filter(|it| !self.concerned.is_settled(it)).collect();
        bench.fetch(unsettled.iter().map(|it| it.id), &mut self.gathered)?;
        let mut reaches = Vec::with_capacity(unsettled.len());
        for each in unsettled {
            reaches.extend(self.reach(each, bench)?);
        }
        bench.find_families(&mut self.gathered)?;
        for reach in &reaches {
            self.of_family(reach);
            self.of_former(reach);
        }
        self.twins(&reaches, bench)
    }

    /// Which families a change reaches; `None` if its record is not there.
    fn reach(&mut self, touched: &'b Touched, bench: &Bench<'_>) -> Result<Option<Reach<'b>>, StoreError> {
        let Touched { id, news, .. } = touched;
        let Some(record) = self.gathered.record(*id) else { return Ok(None) };
        let waits = news.dated && self.concerned.awaits(record, bench)?;
        let itself = concerned(record.kind, Relation::Itself, news);
        let relations = [Relation::Identity, Relation::Sibling, Relation::Credential];
        let others = relations.into_iter().any(|relation| anybody_concerned(relation, news));
        let family = match Together::with(record) {
            Together::Identity(key) if waits || itself || others => Some(self.gathered.family(&key)),
            Together::Identity(_) => None,
            Together::Alone(id) => {
                let dated = waits && dates_matter(record.kind, Relation::Itself);
                if (itself || dated) && self.concerned.met.insert(id) {
                    self.gathered.judge_alone(id);
                }
                None
            }
        };
        let former = news.former.iter().flat_map(|former| &former.identities);
        let former = former.map(|key| self.gathered.family(key)).collect();
        Ok(Some(Reach { id: *id, news, waits, family, former }))
    }

    /// Of the record and those judged together with it.
    fn of_family(&mut self, reach: &Reach<'_>) {
        let Reach { id, news, waits, family: Some(at), .. } = reach else { return };
        let by_identity = self.gathered.record(*id).is_some_and(|it| it.identity.is_none());
        self.judge(*at, &|it, is_identity| {
            let relation = match (it.id == *id, by_identity, is_identity) {
                (true, ..) => Relation::Itself,
                (false, true, _) => Relation::Identity,
                (false, false, true) => Relation::Credential,
                (false, false, false) => Relation::Sibling,
            };
            concerned(it.kind, relation, news) || (*waits && dates_matter(it.kind, relation))
        });
    }

    /// Of those it was judged together with before.
    fn of_former(&mut self, reach: &Reach<'_>) {
        for at in &reach.former {
            self.judge(*at, &|it, is_identity| {
                let relation = if is_identity { Relation::Credential } else { Relation::Sibling };
                concerned(it.kind, relation, reach.news)
            });
        }
    }

    /// Of the other places of its secret, as it is and as it was.
    fn twins(&mut self, reaches: &[Reach<'_>], bench: &Bench<'_>) -> Result<(), StoreError> {
        let seen: Vec<&Reach<'_>> = reaches.iter().filter(|it| anybody_concerned(Relation::Twin, it.news)).collect();
        let (mut values, mut whose) = (Vec::new(), Vec::new());
        for reach in seen {
            let now = self.gathered.record(reach.id).map(marks).unwrap_or_default();
            let before = reach.news.former.iter().flat_map(|former| &former.marks).map(String::as_str);
            whose.extend(now.iter().map(|_| (reach, true)));
            values.extend(now);
            let held = values.len();
            values.extend(before);
            whose.extend((held..values.len()).map(|_| (reach, false)));
        }
        let found = bench.inventory.marked_first_each(&values, usize::MAX)?;
        let mut twins: BTreeMap<RecordId, Vec<&Reach<'_>>> = BTreeMap::new();
        for ((reach, is_now), all) in whose.into_iter().zip(found) {
            if is_now {
                self.gathered.places(reach.id, &all);
                // Who comes after that many is seen by nobody.
                if !all.iter().take(PLACES_MAX).any(|id| *id == reach.id) {
                    continue;
                }
            }
            for id in all {
                if id != reach.id && !self.concerned.met.contains(&id) && !self.comes_itself(id) {
                    twins.entry(id).or_default().push(reach);
                }
            }
        }
        bench.fetch(twins.keys().copied(), &mut self.gathered)?;
        let mut families = Vec::new();
        for (id, reaches) in &twins {
            let Some(twin) = self.gathered.record(*id) else { continue };
            if !reaches.iter().any(|it| concerned(twin.kind, Relation::Twin, it.news)) {
                continue;
            }
            match Together::with(twin) {
                Together::Identity(key) => families.push((*id, self.gathered.family(&key))),
                Together::Alone(id) => {
                    if self.concerned.met.insert(id) {
                        self.gathered.judge_alone(id);
                    }
                }
            }
        }
        bench.find_families(&mut self.gathered)?;
        for (id, at) in families {
            self.judge(at, &|it, _| it.id == id);
        }
        Ok(())
    }

    /// Whether that record is among the changes of this part, and will be judged for it.
    fn comes_itself(&self, id: RecordId) -> bool {
        let at = self.touched.binary_search_by_key(&id, |it| it.id);
        at.ok().and_then(|at| self.touched.get(at)).is_some_and(|it| it.news.is_other())
    }

    /// Has those of a family judged for whom `who` says so, given whether they are its identity.
    fn judge(&mut self, at: usize, who: &dyn Fn(&Record, bool) -> bool) {
        let members = self.gathered.members(at).filter(|(it, is_identity)| who(it, *is_identity));
        let new: Vec<RecordId> = members.map(|(it, _)| it.id).collect();
        for id in new {
            if self.concerned.met.insert(id) {
                self.gathered.judge(at, id);
            }
        }
    }
}
