//! What a source said over its runs, as the inventory would take it: scope by scope, part by part.
//! It must never take a thing for absent but by a cover that says so.

use std::collections::{BTreeMap, BTreeSet};

use provost_model::{Attr, Cover, Entity, Key, Kind, Reading, Sighting, Time, Trouble, field::Typed};

use crate::{Bookmarks, Event};

/// A scope's path and a part of it.
type Where = (String, Option<String>);

/// What a source said.
#[derive(Default)]
pub(super) struct Ledger {
    /// What stands, by where it was said.
    standing: BTreeMap<Where, BTreeMap<Key, Entity>>,
    seen: BTreeMap<Where, BTreeSet<Key>>,
    /// How each scope ended in the last run.
    pub(super) covers: BTreeMap<String, &'static str>,
    /// What went wrong in the last run.
    pub(super) troubles: Vec<Trouble>,
    /// Calls of the last run by operation.
    pub(super) calls: BTreeMap<String, u64>,
    pub(super) unwatched: Vec<String>,
    pub(super) could_write: Option<Reading<Vec<String>>>,
    pub(super) ends: Option<Reading<Time>>,
    /// What the next run is handed.
    pub(super) next: Bookmarks,
}

impl Ledger {
    /// A new run begins.
    pub(super) fn begin(&mut self) {
        self.covers.clear();
        self.troubles.clear();
        self.calls.clear();
        self.seen.clear();
    }

    pub(super) fn hear(&mut self, event: Event) {
        match event {
            Event::Begin { scope, .. } => drop(self.covers.insert(scope.path, "open")),
            Event::See { scope, part, sightings, .. } => {
                assert!(self.covers.contains_key(&scope.path), "{} was not begun", scope.path);
                let place = (scope.path, part);
                for sighting in sightings {
                    match sighting {
                        Sighting::Present(entity) => {
                            self.seen.entry(place.clone()).or_default().insert(entity.key.clone());
                            self.standing.entry(place.clone()).or_default().insert(entity.key.clone(), entity);
                        }
                        Sighting::Gone(key) => self.gone(&key),
                    }
                }
            }
            Event::Cover { scope, part, cover, .. } => self.cover((scope.path, part), &cover),
            Event::Trouble(trouble) => self.troubles.push(trouble),
            Event::Call { operation, .. } => *self.calls.entry(operation).or_default() += 1,
            Event::Unwatch(scope) => self.unwatched.push(scope.path),
            Event::Eyes { could_write, expires_at } => {
                (self.could_write, self.ends) = (Some(could_write), Some(expires_at));
            }
            Event::Realm(_) | Event::ClockAhead(_) | Event::Progress(..) => {}
        }
    }

    fn cover(&mut self, place: Where, cover: &Cover) {
        if matches!(cover, Cover::Full { .. }) {
            let seen = self.seen.remove(&place).unwrap_or_default();
            if let Some(standing) = self.standing.get_mut(&place) {
                standing.retain(|key, _| seen.contains(key));
            }
        }
        let (path, None) = place else { return };
        if let Cover::Partial { why } = cover {
            assert!(!self.troubles.is_empty(), "{path} is partial ({why}) without a reason");
        }
        if let Some(next) = cover.next() {
            self.next.cursors.insert(path.clone(), next.clone());
        }
        self.covers.insert(path, cover.word());
    }

    /// It is gone, and what lives in it with it.
    fn gone(&mut self, key: &Key) {
        for standing in self.standing.values_mut() {
            standing.retain(|its, entity| its != key && entity.container.as_ref() != Some(key));
        }
    }

    /// External ids of what stands of that kind.
    pub(super) fn ids(&self, kind: Kind) -> BTreeSet<String> {
        let all = self.standing.values().flat_map(BTreeMap::keys);
        all.filter(|key| key.kind == kind).map(|key| key.external.clone()).collect()
    }

    /// Everything said of one thing, the more telling reading of each attribute.
    pub(super) fn get<T: Typed>(&self, kind: Kind, external: &str, attr: Attr<T>) -> Reading<T> {
        let all = self.standing.values().flat_map(|standing| standing.values());
        let said = all.filter(|it| it.key.kind == kind && it.key.external == external).map(|it| it.facts.get(attr));
        said.fold(Reading::NotCollected, |best, reading| {
            let weight = |it: &Reading<T>| match it {
                Reading::Known(_) | Reading::Never => 3,
                Reading::NotPermitted => 2,
                Reading::NotReported => 1,
                Reading::NotCollected => 0,
            };
            if weight(&reading) > weight(&best) { reading } else { best }
        })
    }

    /// Every statement of a thing.
    pub(super) fn all(&self, kind: Kind, external: &str) -> Vec<&Entity> {
        let all = self.standing.values().flat_map(|standing| standing.values());
        all.filter(|it| it.key.kind == kind && it.key.external == external).collect()
    }

    /// One statement of a thing.
    pub(super) fn entity(&self, kind: Kind, external: &str) -> Option<&Entity> {
        self.all(kind, external).first().copied()
    }

    /// How a scope of organization 42 ended.
    pub(super) fn ended(&self, path: &str) -> &str {
        self.covers.get(&format!("orgs/42/{path}")).copied().unwrap_or("-")
    }

    /// Calls that were sent, those of sweeps apart.
    pub(super) fn sent(&self) -> (u64, u64) {
        let sum = |swept: bool| {
            self.calls.iter().filter(|(name, _)| name.ends_with("(sweep)") == swept).map(|(_, sent)| sent).sum()
        };
        (sum(false), sum(true))
    }

    /// Troubles that are no blind spots.
    pub(super) fn faults(&self) -> Vec<&Trouble> {
        self.troubles.iter().filter(|trouble| !trouble.blind_spot).collect()
    }

    /// Places of blind spots.
    pub(super) fn blind(&self) -> BTreeSet<&str> {
        self.troubles.iter().filter(|trouble| trouble.blind_spot).map(|trouble| trouble.place.as_str()).collect()
    }
}
