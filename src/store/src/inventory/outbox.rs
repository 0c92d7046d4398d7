//! Letters on their way: written down before they leave, one after the other in each lane, and tried only under the standing
//! decision of their route. It must never attest a decision for a try that its commit did not write down.

use std::collections::BTreeMap;

use provost_model::{Decision, Delivery, DeliveryId, Digest, Leaving, RecordId, Recorded, Span, Time, Told};
use serde::{Deserialize, Serialize};

use super::{
    BASELINE_SEEN, BASELINE_TOLD, BaselineState, DIGEST_QUEUE, DIGESTS, Draft, Inventory, LANES, META, OUTBOX,
    OUTBOX_QUEUE, STANDING, TELL_QUEUE, TICKETS, TOLD, index, rows,
};
use crate::{Go, KeyRange, Op, StoreError};

/// How long a letter is kept after its end, in days.
const KEPT_DAYS: i64 = 90;

/// The standing decision by which a route tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandingRow {
    /// Digest of the route and its sink, as configured.
    pub policy: String,
    /// Who enabled it.
    pub by: String,
    /// When.
    pub at: Time,
}

/// What is gathered for the next message of a route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gathering {
    /// The route.
    pub route: String,
    /// What it is to say.
    pub digest: Digest,
    /// When it leaves.
    pub due: Time,
}

/// What a sink calls the first letter about a case, and, where that is a ticket, how it stood when it was asked for last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketRow {
    /// What the tracker calls it.
    pub key: String,
    /// Whether it was there.
    pub there: bool,
    /// Whether somebody closed it.
    pub closed: bool,
    /// Its status in the tracker's words.
    pub status: String,
    /// Who works on it, in the tracker's words.
    pub assignee: Option<String>,
    /// How many comments it has, where the tracker tells.
    pub comments: Option<u64>,
    /// When that was new.
    pub seen_at: Time,
}

impl TicketRow {
    /// A ticket of which no more is known than its key.
    pub fn new(key: String, at: Time) -> Self {
        Self { key, there: true, closed: false, status: String::new(), assignee: None, comments: None, seen_at: at }
    }
}

impl Inventory<'_> {
    /// Visits the tickets of cases that a route told of, in the order of subjects.
    pub fn each_ticket(
        &self,
        route: &str,
        each: &mut dyn FnMut(RecordId, TicketRow) -> Result<Go, StoreError>,
    ) -> Result<(), StoreError> {
        self.store.scan(TICKETS, &KeyRange::prefix(&index::path(&[route])), None, &mut |key, row| match row.value {
            Some(bytes) => each(index::tail_id(key)?, rows::decode(&bytes, "a ticket")?),
            None => Ok(Go::On),
        })
    }

    /// The ticket of a case that a route told of.
    pub fn ticket(&self, route: &str, subject: RecordId) -> Result<Option<TicketRow>, StoreError> {
        let row = self.store.get(TICKETS, &told_key(route, subject), None)?;
        row.and_then(|row| row.value).map(|bytes| rows::decode(&bytes, "a ticket")).transpose()
    }

    /// The standing decision of a route.
    pub fn standing(&self, route: &str) -> Result<Option<StandingRow>, StoreError> {
        let key = [STANDING, route.as_bytes()].concat();
        let row = self.store.get(META, &key, None)?;
        self.note(META, &key, row.as_ref());
        row.and_then(|row| row.value).map(|bytes| rows::decode(&bytes, "a standing decision")).transpose()
    }

    /// Every route that has one.
    pub fn standing_routes(&self) -> Result<Vec<String>, StoreError> {
        let mut routes = Vec::new();
        self.store.scan(META, &KeyRange::prefix(STANDING), None, &mut |key, _| {
            routes.push(String::from_utf8_lossy(key.strip_prefix(STANDING).unwrap_or_default()).into_owned());
            Ok(Go::On)
        })?;
        Ok(routes)
    }

    /// What a route told of a case last.
    pub fn told(&self, route: &str, subject: RecordId) -> Result<Option<Told>, StoreError> {
        let key = told_key(route, subject);
        let row = self.store.get(TOLD, &key, None)?;
        self.note(TOLD, &key, row.as_ref());
        row.and_then(|row| row.value).map(|bytes| rows::decode(&bytes, "what was told")).transpose()
    }

    /// Visits what a route told of cases last, in the order of subjects.
    pub fn each_told(
        &self,
        route: &str,
        each: &mut dyn FnMut(Told) -> Result<Go, StoreError>,
    ) -> Result<(), StoreError> {
        self.store.scan(TOLD, &KeyRange::prefix(&index::path(&[route])), None, &mut |_, row| match row.value {
            Some(bytes) => each(rows::decode(&bytes, "what was told")?),
            None => Ok(Go::On),
        })
    }

    /// Whether a route told what the first complete run of a source found.
    pub fn told_baseline(&self, route: &str, source: &str) -> Result<bool, StoreError> {
        let key = baseline_key(route, source);
        let row = self.store.get(META, &key, None)?;
        self.note(META, &key, row.as_ref());
        Ok(row.is_some_and(|row| row.value.is_some()))
    }

    /// How far the baseline of a source had got when it was told of last.
    pub fn seen_baseline(&self, source: &str) -> Result<BaselineState, StoreError> {
        let row = self.store.get(META, &[BASELINE_SEEN, source.as_bytes()].concat(), None)?;
        let seen = row.and_then(|row| row.value).map(|bytes| rows::decode(&bytes, "a baseline")).transpose()?;
        Ok(seen.unwrap_or_default())
    }

    /// A letter.
    pub fn delivery(&self, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
        let row = self.store.get(OUTBOX, id.as_bytes(), None)?;
        self.note(OUTBOX, id.as_bytes(), row.as_ref());
        row.and_then(|row| row.value).map(|bytes| rows::decode(&bytes, "a letter")).transpose()
    }

    /// Visits every letter, the oldest first.
    pub fn each_delivery(&self, each: &mut dyn FnMut(Delivery) -> Result<Go, StoreError>) -> Result<(), StoreError> {
        self.store.scan(OUTBOX, &KeyRange::all(), None, &mut |_, row| match row.value {
            Some(bytes) => each(rows::decode(&bytes, "a letter")?),
            None => Ok(Go::On),
        })
    }

    /// The sinks for which letters are due, or ended ones are due to be forgotten: of each up to `each`, the most overdue first,
    /// among the first `limit` of all.
    pub fn due_letters(
        &self,
        now: Time,
        (limit, each): (usize, usize),
    ) -> Result<BTreeMap<String, Vec<DeliveryId>>, StoreError> {
        let mut due: BTreeMap<String, Vec<DeliveryId>> = BTreeMap::new();
        for (_, item) in self.store.due(OUTBOX_QUEUE, now, limit)? {
            let sink = item.split(|byte| *byte == 0).next().unwrap_or_default();
            let of_sink = due.entry(String::from_utf8_lossy(sink).into_owned()).or_default();
            if of_sink.len() < each {
                of_sink.push(index::tail_id(&item)?);
            }
        }
        Ok(due)
    }

    /// What is gathered for the next message of a route to somebody.
    pub fn gathering(&self, route: &str, address: Option<&str>) -> Result<Option<Gathering>, StoreError> {
        self.gathering_at(&gathering_key(route, address))
    }

    /// The same under its key in the queue of messages.
    pub fn gathering_at(&self, key: &[u8]) -> Result<Option<Gathering>, StoreError> {
        let row = self.store.get(DIGESTS, key, None)?;
        self.note(DIGESTS, key, row.as_ref());
        row.and_then(|row| row.value).map(|bytes| rows::decode(&bytes, "a message")).transpose()
    }

    /// The letter whose turn it is in a lane.
    fn head_of(&self, lane: &[u8]) -> Result<Option<DeliveryId>, StoreError> {
        let found = self.store.keys_below(LANES, &[lane.to_vec()], 1)?;
        found.iter().flatten().next().map(|key| index::tail_id(key)).transpose()
    }
}

impl Draft<'_> {
    /// Says when there may be something to tell of a subject (`None`: not by time alone).
    pub fn tell_at(&mut self, subject: RecordId, at: Option<Time>) {
        self.schedule(TELL_QUEUE, subject.as_bytes().to_vec(), at);
    }

    /// Writes the standing decision of a route down, or that it has none any more.
    pub fn put_standing(&mut self, route: &str, standing: Option<&StandingRow>) -> Result<(), StoreError> {
        let key = [STANDING, route.as_bytes()].concat();
        self.push(match standing {
            Some(standing) => Op::Put { table: META, key, value: rows::encode(standing)? },
            None => Op::Delete { table: META, key },
        });
        Ok(())
    }

    /// Writes what a route told of a case.
    pub fn put_told(&mut self, route: &str, told: &Told) -> Result<(), StoreError> {
        let key = told_key(route, told.note.subject);
        self.push(Op::Put { table: TOLD, key, value: rows::encode(told)? });
        Ok(())
    }

    /// Writes how the ticket of a case stands, or that it has none any more.
    pub fn put_ticket(&mut self, route: &str, subject: RecordId, row: Option<&TicketRow>) -> Result<(), StoreError> {
        let key = told_key(route, subject);
        self.push(match row {
            Some(row) => Op::Put { table: TICKETS, key, value: rows::encode(row)? },
            None => Op::Delete { table: TICKETS, key },
        });
        Ok(())
    }

    /// Writes that a route told what the first complete run of a source found.
    pub fn put_told_baseline(&mut self, route: &str, source: &str) {
        self.push(Op::Put { table: META, key: baseline_key(route, source), value: vec![1] });
    }

    /// Writes how far the baseline of a source had got when it was told of.
    pub fn put_seen_baseline(&mut self, source: &str, state: BaselineState) -> Result<(), StoreError> {
        let key = [BASELINE_SEEN, source.as_bytes()].concat();
        self.push(Op::Put { table: META, key, value: rows::encode(&state)? });
        Ok(())
    }

    /// Writes what is gathered for the next message of a route to somebody.
    pub fn put_gathering(&mut self, gathering: &Gathering) -> Result<(), StoreError> {
        let key = gathering_key(&gathering.route, gathering.digest.address.as_deref());
        self.push(Op::Put { table: DIGESTS, key: key.clone(), value: rows::encode(gathering)? });
        self.schedule(DIGEST_QUEUE, key, Some(gathering.due));
        Ok(())
    }

    /// Gathers no more for that message: it is a letter now, or nothing is left of it.
    pub fn close_gathering(&mut self, key: &[u8]) {
        self.push(Op::Delete { table: DIGESTS, key: key.to_vec() });
        self.schedule(DIGEST_QUEUE, key.to_vec(), None);
    }

    /// Puts a new letter at the end of its lane; at most one of each lane in a commit.
    pub fn post(&mut self, delivery: &Delivery) -> Result<(), StoreError> {
        let lane = lane_key(&delivery.route, &delivery.lane);
        if self.inventory_noting().head_of(&lane)?.is_none() {
            self.schedule(OUTBOX_QUEUE, item(delivery), Some(delivery.not_before));
        }
        self.push(Op::Put { table: LANES, key: in_lane(lane, delivery.id), value: Vec::new() });
        self.put_delivery(delivery)
    }

    /// Writes what became of a letter. One that ended makes room for the next of its lane; one that is sent on its way again
    /// takes its place in front of those written later.
    pub fn moved_on(&mut self, delivery: &Delivery) -> Result<(), StoreError> {
        let lane = lane_key(&delivery.route, &delivery.lane);
        match delivery.state.ended_at() {
            None => {
                self.push(Op::Put { table: LANES, key: in_lane(lane, delivery.id), value: Vec::new() });
                self.schedule(OUTBOX_QUEUE, item(delivery), Some(delivery.not_before));
            }
            Some(at) => {
                let waiting = self.inventory_noting().store.keys_below(LANES, std::slice::from_ref(&lane), 2)?;
                for key in waiting.iter().flatten() {
                    let next = index::tail_id(key)?;
                    if next != delivery.id
                        && let Some(next) = self.inventory_noting().delivery(next)?
                    {
                        self.schedule(OUTBOX_QUEUE, item(&next), Some(next.not_before));
                        break;
                    }
                }
                self.push(Op::Delete { table: LANES, key: in_lane(lane, delivery.id) });
                self.schedule(OUTBOX_QUEUE, item(delivery), Some(at + Span::days(KEPT_DAYS)));
            }
        }
        self.put_delivery(delivery)
    }

    /// Forgets a letter that ended long ago.
    pub fn forget_delivery(&mut self, delivery: &Delivery) {
        self.push(Op::Delete { table: OUTBOX, key: delivery.id.as_bytes().to_vec() });
        self.schedule(OUTBOX_QUEUE, item(delivery), None);
    }

    /// Commits that these letters are being tried, and attests for each the standing decision it is tried under. Those whose
    /// route has none any more are left out: nothing is written about them.
    pub fn commit_tries(mut self, letters: Vec<Delivery>) -> Result<Vec<(Delivery, Recorded<Decision>)>, StoreError> {
        let at = self.at();
        let mut tried = Vec::new();
        for mut letter in letters {
            let Some(standing) = self.inventory_noting().standing(&letter.route)? else { continue };
            letter.state = Leaving::Trying;
            letter.tries = letter.tries.saturating_add(1);
            letter.first_tried_at = letter.first_tried_at.or(Some(at));
            self.put_delivery(&letter)?;
            tried.push((letter, Decision::Standing { policy: standing.policy, by: standing.by }));
        }
        let Some(committed) = self.commit()? else { return Ok(Vec::new()) };
        #[allow(clippy::disallowed_methods, reason = "the commit above wrote the tries, under a decision that it read")]
        let attested = |(letter, decision)| (letter, Recorded::attest(decision, committed.number.0, at));
        Ok(tried.into_iter().map(attested).collect())
    }

    fn put_delivery(&mut self, delivery: &Delivery) -> Result<(), StoreError> {
        let (table, key) = (OUTBOX, delivery.id.as_bytes().to_vec());
        self.push(Op::Put { table, key, value: rows::encode(delivery)? });
        Ok(())
    }
}

/// A letter in the queue: with its sink, so that who looks for work need not read letters.
fn item(delivery: &Delivery) -> Vec<u8> {
    [index::path(&[&delivery.sink]).as_slice(), delivery.id.as_bytes()].concat()
}

/// The key of what is gathered for a message, in its queue too.
fn gathering_key(route: &str, address: Option<&str>) -> Vec<u8> {
    index::path(&[route, address.unwrap_or_default()])
}

fn told_key(route: &str, subject: RecordId) -> Vec<u8> {
    [index::path(&[route]).as_slice(), subject.as_bytes()].concat()
}

fn baseline_key(route: &str, source: &str) -> Vec<u8> {
    [BASELINE_TOLD, index::path(&[route, source]).as_slice()].concat()
}

fn lane_key(route: &str, lane: &str) -> Vec<u8> {
    index::path(&[route, lane])
}

/// By name within the lane: names are made in the order of time.
fn in_lane(mut lane: Vec<u8>, id: DeliveryId) -> Vec<u8> {
    lane.extend_from_slice(id.as_bytes());
    lane
}

#[cfg(test)]
mod tests {
    use provost_model::{About, Errand, Event, Remedy, Warrant as _};

    use super::*;
    use crate::Store;

    fn letter(number: u8, lane: &str) -> Delivery {
        let (id, at) = (RecordId::from_bytes([number; 16]), at(i64::from(number)));
        Delivery::new(id, ("r", "s"), (lane.into(), About::Digest(Box::default())), (at, at))
    }

    fn at(seconds: i64) -> Time {
        Time::from_seconds(seconds)
    }

    fn due(store: &dyn Store, now: i64) -> Vec<u8> {
        let due = Inventory::of(store).due_letters(at(now), (9, 9)).unwrap();
        due.into_values().flatten().map(|id| id.as_bytes()[0]).collect()
    }

    fn committed(store: &dyn Store, write: impl Fn(&mut Draft<'_>)) {
        let mut draft = Draft::new(Inventory::of(store), at(50));
        write(&mut draft);
        draft.commit().unwrap();
    }

    #[test]
    fn letters_of_a_lane_leave_one_after_the_other_and_other_lanes_do_not_wait() {
        let store = crate::memory();
        for (number, lane) in [(1, "a"), (2, "a"), (3, "b"), (4, "a")] {
            committed(&store, |draft| draft.post(&letter(number, lane)).unwrap());
        }
        assert_eq!(due(&store, 60), [1, 3]);
        let ended = |number: u8, lane: &str, state: Leaving| Delivery { state, ..letter(number, lane) };
        committed(&store, |draft| draft.moved_on(&ended(1, "a", Leaving::Uncertain { at: at(50) })).unwrap());
        assert_eq!(due(&store, 60), [2, 3]);
        // One that waits to be tried again keeps its place.
        let later = Delivery { not_before: at(100), ..letter(2, "a") };
        committed(&store, |draft| draft.moved_on(&later).unwrap());
        assert_eq!(due(&store, 60), [3]);
        assert_eq!(due(&store, 100), [3, 2]);
        committed(&store, |draft| draft.moved_on(&ended(2, "a", Leaving::Dead { at: at(50) })).unwrap());
        assert_eq!(due(&store, 60), [3, 4]);
        // What ended is kept for a while, then it is due to be forgotten.
        let days = 91 * 86_400;
        assert_eq!(due(&store, days), [3, 4, 1, 2]);
        committed(&store, |draft| draft.forget_delivery(&letter(1, "a")));
        assert!(Inventory::of(&store).delivery(RecordId::from_bytes([1; 16])).unwrap().is_none());
        assert_eq!(due(&store, days), [3, 4, 2]);
        // One that was given up and is sent on its way again goes before those of its lane written later.
        committed(&store, |draft| draft.moved_on(&Delivery { not_before: at(55), ..letter(2, "a") }).unwrap());
        committed(&store, |draft| draft.moved_on(&ended(4, "a", Leaving::Delivered { at: at(50) })).unwrap());
        assert_eq!(due(&store, 60), [3, 2]);
    }

    #[test]
    fn a_try_is_written_down_before_there_is_an_order_for_it_and_only_under_a_standing_decision() {
        let store = crate::memory();
        let inventory = Inventory::of(&store);
        committed(&store, |draft| draft.post(&letter(1, "a")).unwrap());
        let tries = || Draft::new(inventory, at(60)).commit_tries(vec![letter(1, "a")]).unwrap();
        assert!(tries().is_empty(), "nobody enabled the route");
        assert_eq!(inventory.delivery(RecordId::from_bytes([1; 16])).unwrap().unwrap().state, Leaving::Waits);
        let standing = StandingRow { policy: "p1".into(), by: "ann".into(), at: at(1) };
        committed(&store, |draft| draft.put_standing("r", Some(&standing)).unwrap());
        assert_eq!(inventory.standing_routes().unwrap(), ["r"]);
        let (tried, recorded) = tries().remove(0);
        assert_eq!((tried.state, tried.tries, tried.first_tried_at), (Leaving::Trying, 1, Some(at(60))));
        assert_eq!(inventory.delivery(tried.id).unwrap(), Some(tried));
        assert_eq!(recorded.commit(), store.head().unwrap().number.0);
        let wanted = Decision::Standing { policy: "p1".into(), by: "ann".into() };
        assert_eq!(recorded.what(), &wanted);
        assert_eq!(Errand::from_recorded(recorded).unwrap().remedy(), Remedy::Tell);
        committed(&store, |draft| draft.put_standing("r", None).unwrap());
        assert!(tries().is_empty() && inventory.standing_routes().unwrap().is_empty());
    }

    #[test]
    fn what_was_told_and_gathered_is_found_by_route() {
        let store = crate::memory();
        let inventory = Inventory::of(&store);
        let digest = Digest { address: Some("ann@example.org".into()), ..Digest::default() };
        let gathering = Gathering { route: "r".into(), digest, due: at(70) };
        committed(&store, |draft| {
            draft.put_gathering(&gathering).unwrap();
            draft.put_told_baseline("r", "aws");
            draft.tell_at(RecordId::from_bytes([7; 16]), Some(at(5)));
        });
        assert_eq!(inventory.gathering("r", Some("ann@example.org")).unwrap().as_ref(), Some(&gathering));
        assert_eq!(inventory.gathering("r", None).unwrap(), None);
        assert!(inventory.told_baseline("r", "aws").unwrap() && !inventory.told_baseline("r", "aw").unwrap());
        let (_, key) = store.due(DIGEST_QUEUE, at(70), 9).unwrap().remove(0);
        assert_eq!(inventory.gathering_at(&key).unwrap(), Some(gathering));
        committed(&store, |draft| draft.close_gathering(&key));
        assert!(store.due(DIGEST_QUEUE, at(70), 9).unwrap().is_empty());
        assert_eq!(store.due(TELL_QUEUE, at(9), 9).unwrap().len(), 1);
        let note = |subject: u8| provost_model::CaseNote {
            subject: RecordId::from_bytes([subject; 16]),
            kind: "token".into(),
            name: "t".into(),
            external_id: "t".into(),
            sources: Vec::new(),
            severity: provost_model::Severity::Low,
            action: Remedy::Rotate,
            faults: Vec::new(),
            owner: None,
            address: None,
            opened_at: at(1),
            deadline: None,
            overdue: false,
            stage: "open".into(),
        };
        let told = |subject| Told { note: note(subject), event: Event::Opened, at: at(2) };
        for (route, subject) in [("r", 1), ("r2", 2), ("r", 3)] {
            committed(&store, |draft| draft.put_told(route, &told(subject)).unwrap());
        }
        assert_eq!(inventory.told("r", RecordId::from_bytes([3; 16])).unwrap(), Some(told(3)));
        assert_eq!(inventory.told("r", RecordId::from_bytes([2; 16])).unwrap(), None);
        let mut seen = Vec::new();
        inventory
            .each_told("r", &mut |told| {
                seen.push(told.note.subject.as_bytes()[0]);
                Ok(Go::On)
            })
            .unwrap();
        assert_eq!(seen, [1, 3]);
    }
}
