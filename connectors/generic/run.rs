//! One run of any connector, and everything it said.
//! It must never forget what was said twice.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use provost_model::{Clock, Cover, Entity, Reading, Sighting, Time, Trouble, Value};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Door, Estate};
use crate::{Bookmarks, Connector, Emitter, Event};

/// The time in every test.
const NOW: &str = "2026-11-24T06:00:00Z";

struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Time {
        NOW.parse().unwrap()
    }
}

/// Everything one run said.
#[derive(Debug, Default)]
pub(crate) struct Said {
    /// The address that the provider was asked at, where that matters.
    pub door: Option<String>,
    pub realm: Option<String>,
    /// Things by scope and part.
    pub seen: BTreeMap<(String, Option<String>), Vec<Entity>>,
    /// Covers by scope and part.
    pub covers: BTreeMap<(String, Option<String>), Cover>,
    pub begun: BTreeSet<String>,
    pub troubles: Vec<Trouble>,
    pub calls: BTreeMap<String, u64>,
    /// Whether the run broke off.
    pub broke: Option<Trouble>,
}

impl Said {
    /// A reading as text, the same at every door.
    pub(crate) fn text(&self, reading: &Reading<Value>) -> String {
        let text = serde_json::to_string(reading).unwrap();
        match &self.door {
            Some(door) => text.replace(door, "http://provider"),
            None => text,
        }
    }

    /// Whether a scope, or a part of it, was read whole.
    pub(crate) fn is_whole(&self, place: &(String, Option<String>)) -> bool {
        matches!(self.covers.get(place), Some(Cover::Full { .. } | Cover::Unchanged { .. }))
    }

    /// Everything in a scope, parts and all, by key.
    pub(crate) fn in_scope(&self, scope: &str) -> BTreeMap<String, &Entity> {
        let lists = self.seen.iter().filter(|((path, _), _)| path == scope);
        lists.flat_map(|(_, all)| all).map(|it| (it.key.to_string(), it)).collect()
    }

    /// What a cover speaks for, by key.
    pub(crate) fn covered_by(&self, place: &(String, Option<String>)) -> BTreeMap<String, &Entity> {
        match place {
            (scope, None) => self.in_scope(scope),
            part => self.seen.get(part).into_iter().flatten().map(|it| (it.key.to_string(), it)).collect(),
        }
    }

    /// Everything, by scope and key.
    pub(crate) fn entities(&self) -> BTreeMap<(String, String), &Entity> {
        let all = self.seen.iter().flat_map(|((scope, _), all)| all.iter().map(move |it| (scope.clone(), it)));
        all.map(|(scope, it)| ((scope, it.key.to_string()), it)).collect()
    }
}

/// One run of an estate's eyes through that door.
pub(crate) async fn through(door: &Door, estate: &dyn Estate) -> Said {
    let said = looked(&*estate.eyes(&door.url), &estate.known()).await;
    Said { door: Some(door.url.clone()), ..said }
}

/// One run that knows that much, which is nothing but what an operator asks for.
pub(crate) async fn looked(eyes: &dyn Connector, known: &Bookmarks) -> Said {
    let (out, mut events) = mpsc::channel(16);
    let mut to = Emitter::new(out, Arc::new(Fixed), CancellationToken::new());
    let hearing = async {
        let mut said = Said::default();
        while let Some(batch) = events.recv().await {
            batch.into_iter().for_each(|event| said.hear(event));
        }
        said
    };
    let looking = async {
        let done = eyes.discover(known, &mut to).await;
        let _ = to.flush().await;
        drop(to);
        done
    };
    let (done, mut said) = tokio::join!(looking, hearing);
    said.broke = done.err();
    said
}

impl Said {
    fn hear(&mut self, event: Event) {
        match event {
            Event::Realm(realm) => self.realm = Some(realm.to_string()),
            Event::Begin { scope, .. } => drop(self.begun.insert(scope.path)),
            Event::See { scope, part, sightings, .. } => {
                let present = sightings.into_iter().filter_map(|it| match it {
                    Sighting::Present(entity) => Some(entity),
                    Sighting::Gone(_) => None,
                });
                self.seen.entry((scope.path, part)).or_default().extend(present);
            }
            Event::Cover { scope, part, cover, .. } => drop(self.covers.insert((scope.path, part), cover)),
            Event::Trouble(trouble) => self.troubles.push(trouble),
            Event::Call { operation, .. } => *self.calls.entry(operation).or_default() += 1,
            Event::Unwatch(_) | Event::ClockAhead(_) | Event::Eyes { .. } | Event::Progress(..) => {}
        }
    }
}
