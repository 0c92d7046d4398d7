//! The connector as a whole, on trees made for it: what is found, what is not told, what is not taken for absence.
//! It must never need to be root, nor fail because it is.

mod complete;
mod hostile;
mod roots;

use std::{path::Path, sync::Arc};

use provost_model::{Clock, Cover, Cursor, Entity, Sighting, Time, Trouble};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{Bookmarks, Emitter, Event, Source, fingerprint::FingerprintKey};

struct Noon;

impl Clock for Noon {
    fn now(&self) -> Time {
        "2026-11-24T12:00:00Z".parse().unwrap()
    }
}

/// What one discovery said.
#[derive(Debug, Default)]
struct Discovery {
    entities: Vec<Entity>,
    troubles: Vec<Trouble>,
    covers: Vec<(String, Cover)>,
    unwatched: Vec<String>,
    realm: String,
}

impl Discovery {
    /// The cover of the scope of that root.
    fn cover(&self, root: &Path) -> &Cover {
        let path = format!("root[{}]", root.display());
        &self.covers.iter().find(|(scope, _)| *scope == path).unwrap().1
    }

    /// Bookmarks for the next discovery.
    fn bookmarks(&self) -> Bookmarks {
        let cursors = self.covers.iter().filter_map(|(scope, cover)| Some((scope.clone(), cover.next()?.clone())));
        Bookmarks { cursors: cursors.collect::<std::collections::BTreeMap<String, Cursor>>(), ..Bookmarks::default() }
    }

    fn at(&self, end: &str) -> &Entity {
        let found: Vec<_> = self.entities.iter().filter(|it| it.key.external.ends_with(end)).collect();
        assert_eq!(found.len(), 1, "{end}: {found:#?}");
        found[0]
    }
}

fn settings(root: &Path) -> serde_json::Value {
    json!({"roots": [root], "system": false, "machine_id": "0123456789abcdef0123456789abcdef"})
}

async fn discover(settings: serde_json::Value, known: &Bookmarks) -> Discovery {
    let source = Source {
        name: "h".into(),
        settings: settings.as_object().unwrap().clone(),
        fingerprints: Arc::new(FingerprintKey::new("k1", [7; 32])),
        secrets: Arc::new(crate::testing::Told::default()),
        clock: Arc::new(Noon),
    };
    let host = (super::SPEC.build)(&source).unwrap();
    let (out, mut events) = mpsc::channel(4);
    let mut emitter = Emitter::new(out, Arc::new(Noon), CancellationToken::new());
    let gather = tokio::spawn(async move {
        let mut all = Vec::new();
        while let Some(event) = events.recv().await {
            all.extend(event);
        }
        all
    });
    host.discover(known, &mut emitter).await.unwrap();
    drop(emitter);
    let mut discovery = Discovery::default();
    for event in gather.await.unwrap() {
        match event {
            Event::Realm(realm) => discovery.realm = realm.to_string(),
            Event::See { sightings, .. } => {
                discovery.entities.extend(sightings.into_iter().filter_map(|it| match it {
                    Sighting::Present(entity) => Some(entity),
                    Sighting::Gone(_) => None,
                }))
            }
            Event::Cover { scope, cover, .. } => discovery.covers.push((scope.path, cover)),
            Event::Trouble(trouble) => discovery.troubles.push(trouble),
            Event::Unwatch(scope) => discovery.unwatched.push(scope.path),
            Event::Begin { .. }
            | Event::Call { .. }
            | Event::ClockAhead(_)
            | Event::Eyes { .. }
            | Event::Progress(..) => {}
        }
    }
    discovery
}
