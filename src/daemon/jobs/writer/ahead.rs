//! Reading ahead: what the events that wait will look up is looked up together. Many are about one thing each, and what they
//! ask for lies far apart.
//! It must never read outside of the draft that takes them in.

use provost_connectors::Event;
use provost_model::{Entity, Key, Sighting};
use provost_store::{StoreError, inventory::Draft};

use super::Writer;

/// Sightings that are read ahead for at a time, unless one event has more; the records found are held in memory.
const AHEAD: usize = 400;

impl Writer<'_> {
    /// Reads what these sightings of the event at hand ask for, and with them those of the events that wait behind it.
    pub(super) fn foresee(&mut self, draft: &mut Draft<'_>, sightings: &[Sighting]) -> Result<(), StoreError> {
        if self.staged.foreseen < sightings.len() {
            let behind = if self.house.store().shared() { self.staged.events + 1 } else { 0 };
            let mut count = sightings.len();
            let waiting = self.waiting.iter().skip(behind).filter_map(|event| match event {
                Event::See { sightings, .. } => Some(sightings),
                _ => None,
            });
            let waiting = waiting.take_while(|sightings| {
                let fit = count + sightings.len() <= AHEAD;
                count += if fit { sightings.len() } else { 0 };
                fit
            });
            let names = sightings.iter().chain(waiting.flatten()).flat_map(|sighting| match sighting {
                Sighting::Present(entity) => names_of(entity),
                Sighting::Gone(key) => vec![key.clone()],
            });
            draft.prefetch(&names.collect::<Vec<_>>())?;
            self.staged.foreseen = count;
        }
        self.staged.foreseen -= sightings.len();
        Ok(())
    }
}

/// All that an entity is known by.
pub(super) fn names_of(entity: &Entity) -> Vec<Key> {
    let alias = |external: &String| Key::new(entity.key.realm.clone(), entity.key.kind, external.clone());
    std::iter::once(entity.key.clone()).chain(entity.aliases.iter().map(alias)).collect()
}
