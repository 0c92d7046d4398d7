//! What an answer means for a saga.
//! It must never take silence for a no: what may have happened is looked at before anything else.

use provost_model::{Act, Course, New, Phase, Placed, Saga, Slot, Span, Time};

use super::{
    How, PATIENCE, UNDER_WAY, advance, hold,
    look::{looked, resolved},
    note, patience, turn_back,
};

/// How often a new credential may be refused before it counts as one that does not work.
const REFUSALS: u32 = 3;
/// How long between two tries of one.
const BETWEEN: Span = Span::seconds(15);

/// What came of an act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// What a look saw.
    Seen(Seen),
    /// What a new credential is asked for with is at hand: by what that one will be known.
    Prepared(String),
    /// A new credential: what the provider calls it, and the fingerprint of its value.
    Minted {
        /// Its id.
        id: String,
        /// Keyed fingerprint; none where there is no value.
        fingerprint: Option<String>,
    },
    /// The value is there under that version.
    Put(String),
    /// The value was read back; whether it is the one that was put.
    Recovered(bool),
    /// It is done.
    Done,
    /// It is not, or nobody knows.
    Failed(Trouble, String),
}

/// Why it is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing happened; it may be tried again, after a while that was asked for.
    Retry(Option<Span>),
    /// Nothing happened, and nothing will.
    GiveUp,
    /// It may have happened.
    Ambiguous,
}

/// What a look saw: the provider's list, and each destination.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The credentials.
    pub slots: Vec<Slot>,
    /// The destinations, in their order.
    pub held: Vec<Held>,
}

/// What a destination has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Its version; none if nothing is there.
    pub version: Option<String>,
    /// Whether it was read and is the value that the saga put.
    pub ours: bool,
}

impl Seen {
    /// The credential of that id.
    pub(super) fn slot(&self, id: &str) -> Option<&Slot> {
        self.slots.iter().find(|slot| slot.id == id)
    }
}

/// What becomes of a saga by an answer.
pub fn after(saga: &mut Saga, act: &Act, answer: Answer, how: &How, now: Time) {
    if let Answer::Failed(trouble, said) = answer {
        return failed(saga, act, (trouble, &said), now);
    }
    if let (Act::Prepare, Answer::Prepared(mark)) = (act, &answer) {
        return prepared(saga, mark, now);
    }
    let pending = saga.doing.take();
    match (act, answer) {
        (Act::Look, Answer::Seen(seen)) => {
            note(saga, act, ("done", ""), now);
            match pending {
                Some(doing) => resolved(saga, doing, &seen, how, now),
                None => {
                    saga.tries = 0;
                    looked(saga, &seen, how, now);
                }
            }
            return;
        }
        (Act::Mint, Answer::Minted { id, fingerprint }) => {
            saga.minted = Some(New { id, fingerprint, at: now });
            saga.prepared = None;
            advance(saga, now);
        }
        (Act::Put(at), Answer::Put(version)) => put(saga, *at, version, now),
        (Act::Recover(_), Answer::Recovered(true)) => saga.tries = 0,
        (Act::Recover(at), Answer::Recovered(false)) => {
            hold(saga, &format!("destination {at} has another value than was put there: somebody else wrote it"));
        }
        (Act::Verify, Answer::Done) => {
            saga.verified_at = Some(now);
            advance(saga, now);
        }
        (Act::Reload(at), Answer::Done) => {
            if let Some(placed) = saga.placed.get_mut(usize::from(*at)) {
                placed.reloaded = true;
            }
            saga.tries = 0;
            if saga.course == Course::Forward && saga.placed.iter().all(|it| it.reloaded) {
                advance(saga, now);
            }
        }
        (Act::Disable, Answer::Done) => disabled(saga, now),
        (Act::Enable, Answer::Done) => (saga.disabled_at, saga.tries) = (None, 0),
        (Act::Delete, Answer::Done) => deleted(saga, now),
        (Act::Discard(id), Answer::Done) => discarded(saga, id),
        (Act::Restore(at), Answer::Done) => restored(saga, *at, now),
        (Act::Settle(at), Answer::Done) => {
            if let Some(placed) = saga.placed.get_mut(usize::from(*at)) {
                placed.settled = true;
            }
            saga.tries = 0;
        }
        (_, _) => hold(saga, "an answer that does not belong to what was asked"),
    }
    note(saga, act, ("done", ""), now);
}

fn failed(saga: &mut Saga, act: &Act, (trouble, said): (Trouble, &str), now: Time) {
    let what = if trouble == Trouble::Ambiguous { "unclear" } else { "failed" };
    note(saga, act, (what, said), now);
    saga.tries = saga.tries.saturating_add(1);
    saga.waits = Some(said.to_owned());
    // Nothing that is only looked at can be half done; whoever looks for an act that was begun goes on looking for it.
    if trouble == Trouble::Ambiguous && act.changes() {
        saga.not_before = now + UNDER_WAY;
        return;
    }
    if act.changes() {
        saga.doing = None;
    }
    if *act == Act::Mint {
        saga.prepared = None;
    }
    let asked = if let Trouble::Retry(asked) = trouble { asked } else { None };
    saga.not_before = now + patience(saga.tries, asked);
    // Before the old one is touched there is a way back; after that a person is asked.
    let early = saga.course == Course::Forward && saga.phase < Phase::Observe;
    let hopeless = match (act, trouble) {
        (Act::Verify, Trouble::GiveUp) => {
            saga.not_before = now + BETWEEN;
            saga.tries >= REFUSALS
        }
        (Act::Look | Act::Recover(_), Trouble::GiveUp) => saga.tries >= REFUSALS,
        (_, Trouble::GiveUp) => true,
        _ => early && saga.doing.is_none() && saga.tries >= PATIENCE,
    };
    match hopeless {
        true if early && saga.doing.is_none() => turn_back(saga, &format!("{}: {said}", act.word()), now),
        true => hold(saga, &format!("{}: {said}", act.word())),
        false => {}
    }
}

/// Nothing is asked for yet: what is prepared while something is being asked for would take the place of what that is known by.
fn prepared(saga: &mut Saga, mark: &str, now: Time) {
    if saga.doing.is_none() && saga.phase == Phase::Mint {
        saga.prepared = Some(mark.to_owned());
        note(saga, &Act::Prepare, ("done", ""), now);
    }
}

pub(super) fn put(saga: &mut Saga, at: u8, version: String, now: Time) {
    if let Some(placed) = saga.placed.get_mut(usize::from(at)) {
        placed.after = Some(version);
    }
    saga.tries = 0;
    if saga.course == Course::Forward && saga.placed.iter().all(|it| it.after.is_some()) {
        advance(saga, now);
    }
}

pub(super) fn disabled(saga: &mut Saga, now: Time) {
    saga.disabled_at = Some(now);
    advance(saga, now);
}

pub(super) fn deleted(saga: &mut Saga, now: Time) {
    saga.deleted_at = Some(now);
    advance(saga, now);
}

pub(super) fn discarded(saga: &mut Saga, id: &str) {
    saga.strays.retain(|stray| stray != id);
    if saga.minted.as_ref().is_some_and(|new| new.id == id) {
        saga.minted = None;
    }
    saga.tries = 0;
}

pub(super) fn restored(saga: &mut Saga, at: u8, now: Time) {
    if let Some(placed) = saga.placed.get_mut(usize::from(at)) {
        (placed.restored, placed.reloaded) = (true, false);
    }
    saga.tries = 0;
    let back = |it: &Placed| it.after.is_none() || it.restored;
    if saga.placed.iter().all(back) {
        saga.restored_at = Some(now);
    }
}
