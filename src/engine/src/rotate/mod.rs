//! What a saga does next, and what an answer means for it: the whole of safe rotation, as functions of what is written down.
//! It must never let go of the old credential before the new one was seen to work, nor repeat what may have happened.
//!
//! Whoever drives a saga writes it down before each act ([`begin`]), does the act, and writes down what [`after`] makes of the
//! answer. An act that was begun and has no answer is never repeated: the next thing done is to look.

mod answer;
mod limits;
mod look;
#[cfg(test)]
mod tests;

use provost_model::{Act, Course, Doing, Ending, Entry, Phase, Saga, Span, Time};

pub use self::{
    answer::{Answer, Held, Seen, Trouble, after},
    limits::{Busy, Freeze, Limits, hindrance},
};

/// How long an act whose answer was lost may still be under way.
const UNDER_WAY: Span = Span::seconds(60);
/// How often an act that may be repeated is tried before the saga goes back.
const PATIENCE: u32 = 8;
/// How often a new credential is made, at most: each time before, its value was lost.
const MINTS: usize = 4;
/// Longest wait between two tries.
const LONGEST_WAIT: i64 = 900;
/// Lines of a journal; of a longer one the first and the last are kept.
const JOURNAL: usize = 400;

/// How one kind of credential is changed, and how much time is left for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct How {
    /// The provider replaces it in its place.
    pub in_place: bool,
    /// How many a holder can have.
    pub capacity: Option<usize>,
    /// Disabling can be undone.
    pub reversible: bool,
    /// The old one is removed in the end.
    pub removes: bool,
    /// What is made carries the saga's mark.
    pub marks: bool,
    /// What a new one is asked for with is made here first, and it is known by that. Each is used for one asking.
    pub prepares: bool,
    /// A value has to be carried to the destinations.
    pub carries: bool,
    /// By how much the provider's word on the last use is late; none where it has none.
    pub lag: Option<Span>,
    /// Of each destination whether it can be read back.
    pub readable: Vec<bool>,
    /// For how long.
    pub windows: Windows,
}

impl How {
    /// What is made is known again by its own: by the saga's mark, or by what was prepared for it.
    fn is_known(&self) -> bool {
        self.marks || self.prepares
    }
}

/// For how long is waited for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// Both credentials work at least that long.
    pub overlap: Span,
    /// The old one is not used for that long before it is let go, beside the provider's lag.
    pub quiet: Span,
    /// The same where the provider does not say when one was used.
    pub blind: Span,
    /// One that was not used for that long before has no consumers who must be seen to use the new one.
    pub idle: Span,
    /// The old one stays disabled that long before it is removed.
    pub watch: Span,
    /// How often is looked meanwhile.
    pub look_every: Span,
}

impl Default for Windows {
    /// A day of overlap and of quiet, seven days blind, ninety days idle, seven days of watch, a look each hour.
    fn default() -> Self {
        Self {
            overlap: Span::days(1),
            quiet: Span::days(1),
            blind: Span::days(7),
            idle: Span::days(90),
            watch: Span::days(7),
            look_every: Span::hours(1),
        }
    }
}

/// What is to be done about a saga.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// This act.
    Do(Act),
    /// Nothing before then.
    Wait(Time),
    /// Nothing: it ended, or waits for a person's word.
    Rest,
}

/// What whoever drives a saga has in memory for it, and in memory only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AtHand {
    /// The new value is there.
    pub value: bool,
    /// Something was prepared, and not used yet: by what it is known.
    pub prepared: Option<String>,
}

/// What is to be done now, by what is at hand; a new value that is lost for good is given up here.
pub fn next(saga: &mut Saga, how: &How, at_hand: &AtHand, now: Time) -> Next {
    if saga.ended.is_some() || saga.held.is_some() || saga.paused_by.is_some() {
        return Next::Rest;
    }
    if now < saga.not_before {
        return Next::Wait(saga.not_before);
    }
    if let Some(doing) = &saga.doing {
        let until = doing.since + UNDER_WAY;
        // What bears no mark is known only by when it came to be: whoever asked may have died, and the other side still be at it.
        if doing.act == Act::Mint && !how.in_place && !how.is_known() && now < until {
            saga.not_before = until;
            return Next::Wait(until);
        }
        return Next::Do(Act::Look);
    }
    match saga.course {
        Course::Forward => forward(saga, how, at_hand, now),
        Course::Back => back(saga, how, now),
    }
}

fn forward(saga: &mut Saga, how: &How, at_hand: &AtHand, now: Time) -> Next {
    if saga.phase < Phase::Observe && saga.tries >= PATIENCE {
        turn_back(saga, "it was tried again and again", now);
        return back(saga, how, now);
    }
    let needs_value = how.carries && !at_hand.value && matches!(saga.phase, Phase::Store | Phase::Verify);
    if needs_value && saga.minted.is_some() {
        let kept = saga.placed.iter().zip(&how.readable).position(|(it, readable)| it.after.is_some() && *readable);
        match kept.and_then(|at| u8::try_from(at).ok()) {
            Some(at) => return Next::Do(Act::Recover(at)),
            None => lose(saga, now),
        }
    }
    let first = |wanted: &dyn Fn(&provost_model::Placed) -> bool| {
        saga.placed.iter().position(wanted).and_then(|at| u8::try_from(at).ok())
    };
    Next::Do(match saga.phase {
        Phase::Plan | Phase::Observe | Phase::Watch => Act::Look,
        Phase::Prove if saga.proven_at.is_none() => match saga.strays.first() {
            // What came to be after nobody waited for it any more.
            Some(stray) => Act::Discard(stray.clone()),
            None => Act::Look,
        },
        Phase::Prove => match first(&|it| !it.settled) {
            Some(at) => Act::Settle(at),
            None => return stepped(saga, how, at_hand, now),
        },
        Phase::Mint => match saga.strays.first() {
            Some(stray) => Act::Discard(stray.clone()),
            None if mints(saga) >= MINTS => {
                turn_back(saga, "the new value was lost again and again", now);
                return back(saga, how, now);
            }
            // Only what is written down is asked for with: it has to be known again.
            None if how.prepares && (saga.prepared.is_none() || saga.prepared != at_hand.prepared) => Act::Prepare,
            None => Act::Mint,
        },
        Phase::Store => match first(&|it| it.after.is_none()) {
            Some(at) => Act::Put(at),
            None => return stepped(saga, how, at_hand, now),
        },
        Phase::Verify => Act::Verify,
        Phase::Propagate => match first(&|it| !it.reloaded) {
            Some(at) => Act::Reload(at),
            None => return stepped(saga, how, at_hand, now),
        },
        Phase::Disable => Act::Disable,
        Phase::Delete => Act::Delete,
    })
}

/// A step of which nothing is left to do.
fn stepped(saga: &mut Saga, how: &How, at_hand: &AtHand, now: Time) -> Next {
    advance(saga, now);
    next(saga, how, at_hand, now)
}

fn back(saga: &mut Saga, how: &How, now: Time) -> Next {
    if saga.deleted_at.is_some() {
        hold(saga, "the old one was removed: nothing can be taken back, rotate again");
        return Next::Rest;
    }
    if saga.disabled_at.is_some() {
        return Next::Do(Act::Enable);
    }
    if how.in_place {
        if saga.minted.is_some() && !how.reversible {
            hold(saga, "the provider replaced it in its place: nothing can be taken back");
            return Next::Rest;
        }
        return over(saga, Ending::Restored, now);
    }
    let numbered = |wanted: &dyn Fn(&provost_model::Placed) -> bool| {
        saga.placed.iter().rposition(wanted).and_then(|at| u8::try_from(at).ok())
    };
    if let Some(at) = numbered(&|it| it.after.is_some() && !it.restored) {
        return Next::Do(Act::Restore(at));
    }
    if let Some(at) = numbered(&|it| it.restored && !it.reloaded) {
        return Next::Do(Act::Reload(at));
    }
    if let Some(stray) = saga.strays.first() {
        return Next::Do(Act::Discard(stray.clone()));
    }
    // What a place kept for a way back, if anything was ever put anywhere.
    let put = saga.journal.iter().any(|it| matches!(it.act, Act::Put(_)));
    let unsettled = if put { numbered(&|it| !it.settled) } else { None };
    match &saga.minted {
        // Consumers may still use the new one: they are left the time to come back.
        Some(_) if saga.restored_at.is_some() && saga.quiet_at.is_none() && !saga.emergency => Next::Do(Act::Look),
        Some(new) => Next::Do(Act::Discard(new.id.clone())),
        None => match (saga.late_until, unsettled) {
            (Some(until), _) if now < until => {
                saga.not_before = until;
                saga.waits = Some("what was asked for without an answer may still come to be".to_owned());
                Next::Wait(until)
            }
            (Some(_), _) => Next::Do(Act::Look),
            (None, Some(at)) => Next::Do(Act::Settle(at)),
            (None, None) => over(saga, Ending::Restored, now),
        },
    }
}

/// Writes down that an act is being done. Looks need no such line.
pub fn begin(saga: &mut Saga, act: &Act, now: Time) {
    if act.changes() {
        saga.doing = Some(Doing { act: act.clone(), since: now });
        if *act == Act::Mint {
            saga.asked_with.extend(saga.prepared.clone());
        }
        note(saga, act, ("begun", ""), now);
    }
}

/// Sends a saga back, as far as there is a way back. What ended well can be taken back too while the old one is there.
pub fn turn_back(saga: &mut Saga, why: &str, now: Time) {
    saga.course = Course::Back;
    (saga.tries, saga.not_before) = (0, now);
    (saga.held, saga.ended) = (None, None);
    saga.waits = Some(format!("goes back: {why}"));
    note(saga, &Act::Look, ("goes back", why), now);
}

/// Lets a saga that waited for a person's word go on.
pub fn resume(saga: &mut Saga, now: Time) {
    (saga.held, saga.paused_by) = (None, None);
    (saga.tries, saga.not_before) = (0, now);
    // Meanwhile others may have begun.
    if saga.is_untouched() {
        saga.admitted_at = None;
    }
}

/// The step after this one.
fn advance(saga: &mut Saga, now: Time) {
    (saga.tries, saga.waits, saga.not_before) = (0, None, now);
    if saga.course == Course::Back {
        return;
    }
    let following = saga.phases.iter().copied().find(|phase| *phase > saga.phase);
    match following {
        Some(phase) => (saga.phase, saga.since) = (phase, now),
        None => saga.ended = Some((Ending::Done, now)),
    }
}

fn over(saga: &mut Saga, ending: Ending, now: Time) -> Next {
    saga.ended = Some((ending, now));
    saga.waits = None;
    Next::Rest
}

/// It waits for a person's word.
fn hold(saga: &mut Saga, why: &str) {
    saga.held = Some(why.to_owned());
}

/// The value of the new one is nowhere: it is removed, and another one is made.
fn lose(saga: &mut Saga, now: Time) {
    if let Some(new) = saga.minted.take() {
        note(saga, &Act::Look, ("lost", "the value of the new one was in memory only"), now);
        saga.strays.push(new.id);
    }
    // What cannot be read back may have the lost value: it is written once more.
    saga.placed.iter_mut().for_each(|it| it.after = None);
    (saga.phase, saga.since) = (Phase::Mint, now);
}

fn mints(saga: &Saga) -> usize {
    saga.journal.iter().filter(|entry| entry.act == Act::Mint && entry.what == "begun").count()
}

/// How long is waited before the next try.
fn patience(tries: u32, asked: Option<Span>) -> Span {
    let grown = Span::seconds(5_i64.saturating_mul(1_i64 << tries.min(12)).min(LONGEST_WAIT));
    asked.map_or(grown, |asked| asked.max(grown))
}

fn note(saga: &mut Saga, act: &Act, (what, said): (&str, &str), now: Time) {
    let entry = Entry { at: now, phase: saga.phase, act: act.clone(), what: what.to_owned(), said: said.to_owned() };
    // Looks that say the same again are one line.
    let again = |last: &Entry| *act == Act::Look && last.act == *act && last.what == what && last.phase == saga.phase;
    if saga.journal.last().is_some_and(again) {
        saga.journal.pop();
    }
    if saga.journal.len() >= JOURNAL {
        saga.journal.remove(JOURNAL / 2);
    }
    saga.journal.push(entry);
}
