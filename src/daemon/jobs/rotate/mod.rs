//! Decisions to act, carried out: planned, then driven step by step, each written down before it is taken.
//! It must never take a step that was not committed before, nor keep a value longer than the saga needs it.

mod drive;
mod guided;
mod plan;
mod words;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use futures::{StreamExt as _, stream};
use provost_actions::Bundle;
use provost_model::{Act, Saga, SagaId, Time};
use provost_store::{StoreError, inventory::Draft};
use tokio_util::sync::CancellationToken;

pub use self::{
    guided::steps as guided_steps,
    plan::{Planned, planned},
    words::{KillError, Word, kill_switch, say},
};
use crate::{house::House, wire::Wiring};

/// Whose chain of evidence changes are in.
pub(crate) const WRITER: &str = "changes";
/// What people do themselves.
pub(crate) const GUIDED: &str = "guided";
/// Decisions planned, and sagas driven, in one turn.
const AT_ONCE: usize = 64;
/// Sagas driven at the same time.
const ABREAST: usize = 4;

/// New values on their way: in the memory of this process alone, wiped when they are dropped.
#[derive(Clone, Default)]
pub struct InHand(Arc<Mutex<BTreeMap<SagaId, Bundle>>>);

impl InHand {
    fn has(&self, saga: SagaId) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&saga)
    }

    fn get(&self, saga: SagaId) -> Bundle {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&saga).cloned().unwrap_or_default()
    }

    fn put(&self, saga: SagaId, value: Bundle) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(saga, value);
    }

    fn drop(&self, saga: SagaId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&saga);
    }
}

/// Plans what was decided and drives what is due. Stopped, it takes no new step.
pub async fn turn(
    house: &House,
    wiring: &Arc<Wiring>,
    values: &InHand,
    stop: &CancellationToken,
) -> Result<(), StoreError> {
    for due in house.inventory().due_acts(house.now(), AT_ONCE)? {
        plan::plan(house, wiring, due)?;
    }
    let due = house.inventory().due_sagas(house.now(), AT_ONCE)?;
    let driven = due.into_iter().map(|id| drive::drive(house, wiring, values, id, stop));
    let mut driven = stream::iter(driven.collect::<Vec<_>>()).buffer_unordered(ABREAST);
    while let Some(done) = driven.next().await {
        done?;
    }
    Ok(())
}

/// Writes a line of evidence about a saga.
pub(crate) fn witness(
    draft: &mut Draft<'_>,
    saga: &Saga,
    (what, act, said): (&str, Option<&Act>, Option<&str>),
    at: Time,
) -> Result<(), StoreError> {
    let facts = [
        ("saga", Some(saga.id.to_string())),
        ("decision", Some(saga.decision.to_string())),
        ("subject", Some(saga.target.record.to_string())),
        ("remedy", Some(saga.remedy.word().to_owned())),
        ("rotator", Some(saga.rotator.clone())),
        ("entry", Some(saga.profile.clone()).filter(|it| !it.is_empty())),
        ("target", Some(saga.target.external_id.clone())),
        ("holder", Some(saga.target.holder_id.clone()).filter(|it| !it.is_empty())),
        ("step", Some(saga.phase.word().to_owned())),
        ("course", Some(saga.course.word().to_owned())),
        ("act", act.map(|act| act.word().to_owned())),
        ("new", saga.minted.as_ref().map(|new| new.id.clone())),
        ("fingerprint", saga.minted.as_ref().and_then(|new| new.fingerprint.clone())),
        ("said", said.map(str::to_owned)),
    ];
    draft.witness(WRITER, (at, &format!("change.{what}")), &facts)
}
