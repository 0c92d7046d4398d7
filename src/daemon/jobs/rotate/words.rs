//! What people say of a saga: take it back, pause, go on; and of all of them: stop.
//! It must never take the word of nobody in particular.

use provost_engine::{
    govern::{Decider, Refusal},
    own::Roster,
    rotate::{resume, turn_back},
};
use provost_model::{Ending, Saga, SagaId};
use provost_store::{
    StoreError,
    inventory::{Draft, KillSwitch},
};
use thiserror::Error;

use super::{WRITER, witness};
use crate::house::House;

/// Why a word changes nothing.
#[derive(Debug, Error)]
pub enum KillError {
    /// It is not that person's to say.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// There is no such saga.
    #[error("there is no such change any more")]
    Unknown,
    /// It is over, or there is no way back.
    #[error("{0}")]
    Over(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What can be said of a saga.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// Back to how it was.
    Undo,
    /// No further for now.
    Pause,
    /// On again.
    Resume,
}

/// Says something of a saga.
pub fn say(
    house: &House,
    (people, uid): (&Roster, u32),
    id: SagaId,
    (word, reason): (Word, &str),
) -> Result<Saga, KillError> {
    let said = house.again(|| {
        let _pen = house.pen();
        let now = house.now();
        let by = match Decider::of(people, uid, now) {
            Ok(by) => by,
            Err(refusal) => return Ok(Err(refusal.into())),
        };
        let mut draft = Draft::new(house.inventory(), now);
        let Some(mut saga) = draft.saga(id)? else { return Ok(Err(KillError::Unknown)) };
        let why = format!("{}: {reason}", by.person());
        let done_and_there = matches!(saga.ended, Some((Ending::Done, _))) && saga.deleted_at.is_none();
        let what = match word {
            Word::Undo if saga.ended.is_some() && !done_and_there => {
                let over = format!("it is {}: nothing can be taken back", saga.state());
                return Ok(Err(KillError::Over(over)));
            }
            Word::Undo => {
                saga.paused_by = None;
                turn_back(&mut saga, &why, now);
                "undone"
            }
            _ if saga.ended.is_some() => return Ok(Err(KillError::Over(format!("it is {}", saga.state())))),
            Word::Pause => {
                saga.paused_by = Some(by.person().to_owned());
                "paused"
            }
            Word::Resume => {
                resume(&mut saga, now);
                "resumed"
            }
        };
        witness(&mut draft, &saga, (what, None, Some(&why)), now)?;
        draft.put_saga(&saga)?;
        draft.commit()?;
        Ok(Ok(saga))
    });
    said?
}

/// Stops everything, or lets it go on. Whoever may decide may stop; the reason is kept.
pub fn kill_switch(
    house: &House,
    (people, uid): (&Roster, u32),
    (stop, reason): (bool, &str),
) -> Result<(), KillError> {
    let said = house.again(|| {
        let _pen = house.pen();
        let now = house.now();
        let by = match Decider::of(people, uid, now) {
            Ok(by) => by.person().to_owned(),
            Err(refusal) => return Ok(Err(KillError::from(refusal))),
        };
        let mut draft = Draft::new(house.inventory(), now);
        let switch = KillSwitch { by: by.clone(), at: now, reason: reason.to_owned() };
        draft.put_kill_switch(stop.then_some(&switch))?;
        let facts = [("by", Some(by)), ("uid", Some(uid.to_string())), ("reason", Some(reason.to_owned()))];
        draft.witness(WRITER, (now, if stop { "kill_switch.on" } else { "kill_switch.off" }), &facts)?;
        draft.commit()?;
        Ok(Ok(()))
    });
    said?
}
