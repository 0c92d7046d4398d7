//! What people say of a saga: take it back, pause, go on; and of all of them: stop.
//! It must never take the word of nobody in particular.

use provost_actions::rotators::{self, Way};
use provost_engine::{
    govern::{Decider, Refusal},
    own::Roster,
    rotate::{resume, turn_back},
};
use provost_model::{Ending, Saga, SagaId, Time};
use provost_store::{
    StoreError,
    inventory::{Draft, KillSwitch},
};
use thiserror::Error;

use super::{WRITER, drive::STOPPED_BY, witness};
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
        let no_way = if word == Word::Undo { no_way_back(&saga) } else { None };
        if let Some(why) = no_way {
            return Ok(Err(KillError::Over(why)));
        }
        let what = match word {
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

/// Why nothing of a saga can be taken back, where that is known already.
fn no_way_back(saga: &Saga) -> Option<String> {
    let replaced = rotators::find(&saga.rotator).is_some_and(|spec| spec.way == Way::InPlace && !spec.reversible);
    let again = "nothing can be taken back; where the new one does not work, decide to rotate again";
    match saga.ended {
        _ if saga.deleted_at.is_some() => Some(format!("the old one was removed for good: {again}")),
        _ if saga.minted.is_some() && replaced => {
            Some(format!("its provider replaced the old one in its place: {again}"))
        }
        Some((Ending::Restored, _)) => Some("it was taken back already: everything is as it was".to_owned()),
        Some((Ending::Moot, _)) => {
            Some("there was nothing to do: nothing was changed that could be taken back".to_owned())
        }
        Some((Ending::Done, _)) | None => None,
    }
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
        if !stop {
            go_on(&mut draft, now)?;
        }
        let facts = [("by", Some(by)), ("uid", Some(uid.to_string())), ("reason", Some(reason.to_owned()))];
        draft.witness(WRITER, (now, if stop { "kill_switch.on" } else { "kill_switch.off" }), &facts)?;
        draft.commit()?;
        Ok(Ok(()))
    });
    said?
}

/// What was kept from going on goes on at once, not when it would have asked again.
fn go_on(draft: &mut Draft<'_>, now: Time) -> Result<(), StoreError> {
    for kept in draft.inventory().sagas()? {
        let is_stopped = |saga: &Saga| saga.waits.as_ref().is_some_and(|why| why.starts_with(STOPPED_BY));
        let Some(mut saga) = draft.saga(kept.id)?.filter(|saga| saga.ended.is_none() && is_stopped(saga)) else {
            continue;
        };
        (saga.waits, saga.not_before) = (None, now);
        draft.put_saga(&saga)?;
    }
    Ok(())
}
