//! Where letters of one commit are written: into lanes, or into the messages that are being gathered.
//! It must never write a letter whose route nobody enabled.

use std::{collections::BTreeMap, sync::Arc};

use provost_engine::{
    Roster,
    tell::{Form, gathered, uncertain},
};
use provost_model::{About, CaseNote, Delivery, DeliveryId, Digest, Event, Leaving, Severity, Span, Time};
use provost_store::{
    StoreError,
    inventory::{Draft, Gathering, Inventory, Reads},
};

use crate::{config::telling::Path, house::House, ids::Ids, wire::Wiring};

/// What is written in one commit.
pub(in crate::jobs) struct MailRoom<'a> {
    pub(in crate::jobs) wiring: &'a Wiring,
    pub(in crate::jobs) draft: Draft<'a>,
    pub(in crate::jobs) now: Time,
    inventory: Inventory<'a>,
    noting: Inventory<'a>,
    people: Arc<Roster>,
    /// Messages that are being gathered, as they are after this commit.
    gatherings: BTreeMap<(String, Option<String>), Gathering>,
}

impl<'a> MailRoom<'a> {
    /// An empty one. What is read through `reads` must not change before the commit.
    pub(in crate::jobs) fn new(
        house: &'a House,
        (wiring, reads): (&'a Wiring, &'a Reads),
        now: Time,
    ) -> Result<Self, StoreError> {
        let noting = house.inventory().noting(reads);
        let (inventory, draft) = (house.inventory(), Draft::new(noting, now));
        let people = wiring.yardstick.people.everybody(inventory)?;
        Ok(Self { wiring, draft, now, inventory, noting, people, gatherings: BTreeMap::new() })
    }

    /// The inventory as committed so far.
    pub(super) fn inventory(&self) -> Inventory<'a> {
        self.inventory
    }

    /// The same, for what must not change before the commit.
    pub(super) fn noting(&self) -> Inventory<'a> {
        self.noting
    }

    /// Everybody who is known.
    pub(super) fn people(&self) -> &Roster {
        &self.people
    }

    /// Tells of a case by a route: by a letter of its own, or in the next message.
    pub(in crate::jobs) fn write(&mut self, path: &Path, event: Event, note: &CaseNote) -> Result<(), StoreError> {
        match path.route.form {
            Form::Each => {
                let ready = path.leaves(note.severity, self.now);
                let about = About::Case { event, note: Box::new(note.clone()) };
                self.post(path, note.subject.to_string(), (about, ready))
            }
            Form::Gathered { for_seconds, at_once, by_owner } => {
                let address = note.address.clone().filter(|_| by_owner);
                let at_once = at_once.is_some_and(|least| note.severity >= least && event != Event::Settled);
                let wait = if at_once { Span::seconds(0) } else { Span::seconds(for_seconds) };
                let due = path.leaves(note.severity, self.now + wait);
                gathered(&mut self.gathering(path, address, due)?.digest, event, note);
                Ok(())
            }
        }
    }

    /// Tells of what the first complete run of a source found, in the next message.
    pub(super) fn begin_with(
        &mut self,
        path: &Path,
        (source, counts): (&str, BTreeMap<Severity, u64>),
    ) -> Result<(), StoreError> {
        if let Some(gathering) = self.next(path, None)? {
            gathering.digest.baselines.push((source.to_owned(), counts));
        }
        Ok(())
    }

    /// Has the next message of a route say that nobody knows whether a letter arrived.
    pub(in crate::jobs) fn mention(
        &mut self,
        path: &Path,
        (address, id): (Option<String>, DeliveryId),
    ) -> Result<(), StoreError> {
        if let Some(gathering) = self.next(path, address)? {
            uncertain(&mut gathering.digest, id);
        }
        Ok(())
    }

    /// The next message of a route that gathers, for what is no hurry.
    fn next(&mut self, path: &Path, address: Option<String>) -> Result<Option<&mut Gathering>, StoreError> {
        let Form::Gathered { for_seconds, .. } = path.route.form else { return Ok(None) };
        let due = path.leaves(Severity::Info, self.now + Span::seconds(for_seconds));
        self.gathering(path, address, due).map(Some)
    }

    /// The message of a route to somebody; it leaves no later than `due`.
    fn gathering(&mut self, path: &Path, address: Option<String>, due: Time) -> Result<&mut Gathering, StoreError> {
        let name = path.route.name.clone();
        let key = (name.clone(), address.clone());
        let known = match self.gatherings.remove(&key) {
            Some(known) => Some(known),
            None => self.inventory.gathering(&name, address.as_deref())?,
        };
        let digest = Digest { address, ..Digest::default() };
        let mut gathering = known.unwrap_or(Gathering { route: name, digest, due });
        gathering.due = gathering.due.min(due);
        Ok(self.gatherings.entry(key).or_insert(gathering))
    }

    /// Puts a letter into a lane.
    pub(super) fn post(&mut self, path: &Path, lane: String, (about, ready): (About, Time)) -> Result<(), StoreError> {
        let id = Ids.make(self.now).map_err(StoreError::from)?;
        let route = (path.route.name.as_str(), path.route.sink.as_str());
        let mut letter = Delivery::new(id, route, (lane, about), (self.now, ready));
        if path.dry_run {
            (letter.state, letter.said) = (Leaving::Dropped { at: self.now }, Some("dry run: not sent".to_owned()));
            return self.draft.moved_on(&letter);
        }
        self.draft.post(&letter)
    }

    /// Writes everything, or nothing.
    pub(in crate::jobs) fn commit(mut self) -> Result<(), StoreError> {
        for gathering in self.gatherings.values() {
            self.draft.put_gathering(gathering)?;
        }
        self.draft.commit()?;
        Ok(())
    }
}
