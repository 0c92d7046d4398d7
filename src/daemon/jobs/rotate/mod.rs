//! Decisions to act, carried out: planned, then driven step by step, each written down before it is taken.
//! It must never take a step that was not committed before, nor keep a value longer than the saga needs it.

mod drive;
mod guided;
mod plan;
mod words;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::{StreamExt as _, stream};
use provost_actions::{Bundle, rotators::Prepared};
use provost_engine::rotate::AtHand;
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

/// New values on their way, and what new ones are asked for with: in the memory of this process alone, wiped when dropped.
#[derive(Clone, Default)]
pub struct InHand(Arc<Mutex<BTreeMap<SagaId, Carried>>>);

/// What is carried for one saga.
#[derive(Default)]
struct Carried {
    value: Option<Bundle>,
    prepared: Option<Prepared>,
}

impl InHand {
    fn all(&self) -> MutexGuard<'_, BTreeMap<SagaId, Carried>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn at_hand(&self, saga: SagaId) -> AtHand {
        let all = self.all();
        let Some(carried) = all.get(&saga) else { return AtHand::default() };
        let prepared = carried.prepared.as_ref().map(|it| it.mark.clone());
        AtHand { value: carried.value.is_some(), prepared }
    }

    fn get(&self, saga: SagaId) -> Bundle {
        self.all().get(&saga).and_then(|it| it.value.clone()).unwrap_or_default()
    }

    fn put(&self, saga: SagaId, value: Bundle) {
        self.all().entry(saga).or_default().value = Some(value);
    }

    /// In place of what was prepared before.
    fn prepare(&self, saga: SagaId, prepared: Prepared) {
        self.all().entry(saga).or_default().prepared = Some(prepared);
    }

    /// What was prepared and is known by that mark: given once.
    fn spend(&self, saga: SagaId, mark: &str) -> Option<Bundle> {
        let mut all = self.all();
        let prepared = all.get_mut(&saga)?.prepared.take_if(|it| it.mark == mark);
        prepared.map(|it| it.value)
    }

    fn drop(&self, saga: SagaId) {
        self.all().remove(&saga);
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
