//! A saga's next steps: each act is written down with its order before it is done, and its answer right after.
//! It must never do an act that changes something without the order that the commit gave for it.

use std::{sync::Arc, time::Duration};

use provost_actions::{ActionError, Bundle};
use provost_engine::rotate::{
    Answer, AtHand, Busy, Held, Next, Seen, Trouble, after, begin, hindrance, next, turn_back,
};
use provost_model::{Act, Course, Kind, Motion, Order, Phase, Saga, SagaId, Span, Stage, Time};
use provost_store::{Go, StoreError, inventory::Draft};
use tokio_util::sync::CancellationToken;

use super::{super::guard, GUIDED, InHand, guided, witness};
use crate::{
    house::House,
    wire::{Hand, Wiring},
};

/// Acts of one saga in one turn.
const STEPS: usize = 40;
/// How soon a saga is looked at again that something keeps from going on.
const LATER: Span = Span::minutes(10);
/// The same where everything is stopped.
const STOPPED: Span = Span::minutes(1);
/// How the words of a change begin that everything being stopped keeps from going on.
pub(super) const STOPPED_BY: &str = "everything is stopped by";
/// How long a call may take before it counts as lost.
const LONGEST_CALL: Duration = Duration::from_secs(180);

/// Things counted at most: a twentieth of them in a day is more than anybody means.
const COUNTED: usize = 20_000;

/// What is done next: a look, or an act with its order.
struct Step {
    saga: Saga,
    act: Act,
    order: Option<Order>,
}

/// Drives one saga as far as it goes.
pub(super) async fn drive(
    house: &House,
    wiring: &Arc<Wiring>,
    values: &InHand,
    id: SagaId,
    stop: &CancellationToken,
) -> Result<(), StoreError> {
    let Some(saga) = house.inventory().saga(id)? else { return Ok(()) };
    if saga.rotator == GUIDED {
        return guided::look(house, &saga);
    }
    let Some(hand) = wiring.hand(&saga.profile).filter(|hand| hand.entry.spec.name == saga.rotator) else {
        return wait(house, id, &format!("there is no [[rotations]] entry {:?} any more", saga.profile), LATER);
    };
    if saga.before.is_some() && saga.arrangement != hand.entry.arrangement {
        let why = "its entry says something else by now of what is changed, or where values go: put that back, and undo it first";
        return wait(house, id, why, LATER);
    }
    for _ in 0..STEPS {
        if stop.is_cancelled() {
            return Ok(());
        }
        let Some(step) = step(house, (wiring, &hand), id, &values.at_hand(id))? else {
            if house.inventory().saga(id)?.is_none_or(|saga| saga.ended.is_some()) {
                values.drop(id);
            }
            return Ok(());
        };
        let Step { saga, act, order } = *step;
        let call = perform((wiring, &hand), &saga, (&act, order.as_ref()), values);
        let answer = match tokio::time::timeout(LONGEST_CALL, call).await {
            Ok(answer) => answer,
            Err(_) => Answer::Failed(Trouble::Ambiguous, "no answer for three minutes".to_owned()),
        };
        settle(house, &hand, id, (&act, answer))?;
    }
    Ok(())
}

/// Decides on the next act and writes it down; nothing where nothing is to be done now.
fn step(
    house: &House,
    (wiring, hand): (&Wiring, &Hand),
    id: SagaId,
    at_hand: &AtHand,
) -> Result<Option<Box<Step>>, StoreError> {
    house.again(|| {
        let _pen = house.pen();
        let now = house.now();
        let mut draft = Draft::new(house.inventory(), now);
        let Some(found) = draft.saga(id)? else { return Ok(None) };
        let mut saga = found.clone();
        let motion = draft.motion(saga.target.record, saga.decision)?;
        if let Some((why, until)) = kept_back(house, (wiring, hand), (&mut saga, motion.as_ref()), now)? {
            (saga.waits, saga.not_before) = (Some(why), until);
            return put(draft, &saga, (&found, now));
        }
        let holds = motion.as_ref().is_some_and(|motion| matches!(motion.stage(now), Stage::InForce { .. }));
        if let Some(why) = forbidden(&mut draft, wiring, (&saga, motion), now)? {
            turn_back(&mut saga, &why, now);
            witness(&mut draft, &saga, ("left_to_people", None, Some(&why)), now)?;
        } else if !holds && saga.before.is_some() && can_be_turned(&saga) {
            turn_back(&mut saga, "the decision does not hold any more", now);
            witness(&mut draft, &saga, ("withdrawn", None, None), now)?;
        }
        let act = match next(&mut saga, &hand.entry.how, at_hand, now) {
            Next::Rest | Next::Wait(_) => return put(draft, &saga, (&found, now)),
            Next::Do(act) => act,
        };
        if !act.changes() {
            if saga != found {
                put(draft, &saga, (&found, now))?;
            }
            return Ok(Some(Box::new(Step { saga, act, order: None })));
        }
        begin(&mut saga, &act, now);
        witness(&mut draft, &saga, ("begun", Some(&act), None), now)?;
        if let Some(order) = draft.commit_step(&saga)?.and_then(Order::from_recorded) {
            return Ok(Some(Box::new(Step { saga, act, order: Some(order) })));
        }
        let mut draft = Draft::new(house.inventory(), now);
        let mut saga = Saga { not_before: now, ..found.clone() };
        match draft.inventory().kill_switch()? {
            Some(switch) => {
                saga.waits = Some(format!("{STOPPED_BY} {}: {}", switch.by, switch.reason));
                saga.not_before = now + STOPPED;
            }
            None if saga.course == Course::Forward => turn_back(&mut saga, "the decision does not hold", now),
            None => saga.held = Some("it rests on no decision that ever held".to_owned()),
        }
        // Once, not every minute.
        if saga.waits != found.waits || saga.held != found.held {
            witness(&mut draft, &saga, ("kept_back", Some(&act), saga.waits.as_deref()), now)?;
        }
        put(draft, &saga, (&found, now))
    })
}

/// Writes a saga down that does nothing now.
fn put(mut draft: Draft<'_>, saga: &Saga, (found, now): (&Saga, Time)) -> Result<Option<Box<Step>>, StoreError> {
    if saga == found {
        return Ok(None);
    }
    if let Some((ending, _)) = saga.ended.filter(|_| found.ended.is_none()) {
        witness(&mut draft, saga, ("ended", None, Some(ending.word())), now)?;
    }
    if saga.held.is_some() && found.held.is_none() {
        witness(&mut draft, saga, ("held", None, saga.held.as_deref()), now)?;
    }
    draft.put_saga(saga)?;
    draft.commit()?;
    Ok(None)
}

/// Why a saga does not go on now, and until when, beside its own reasons. One that was begun goes on to where it is safe; one
/// that may begin is admitted in the same commit, so that the next one to ask sees it.
fn kept_back(
    house: &House,
    (wiring, hand): (&Wiring, &Hand),
    (saga, motion): (&mut Saga, Option<&Motion>),
    now: Time,
) -> Result<Option<(String, Time)>, StoreError> {
    let rests = saga.ended.is_some() || saga.held.is_some() || saga.paused_by.is_some() || saga.not_before > now;
    if rests || !saga.is_untouched() {
        return Ok(None);
    }
    match motion.map(|motion| motion.stage(now)) {
        Some(Stage::InForce { .. }) => {}
        Some(Stage::Asked { waits_for }) => {
            return Ok(Some((format!("{waits_for} more have to agree"), now + STOPPED)));
        }
        _ => return Ok(None),
    }
    if !hand.entry.enabled {
        // It looks once, and shows what it would do.
        let said = "its entry is not switched on: enabled = true lets it act".to_owned();
        return Ok(saga.before.is_some().then(|| (said, now + LATER)));
    }
    if saga.admitted_at.is_some() {
        return Ok(None);
    }
    let others = house.inventory().sagas()?;
    // Counting takes a while, and matters only beyond the number that may begin in any case.
    let recent = |at: Time| now - at < Span::days(1);
    let of_entry = others.iter().filter(|other| other.profile == saga.profile && other.admitted_at.is_some_and(recent));
    let counts = of_entry.count() >= wiring.config.limits.a_day;
    let all = if counts { how_many(house, saga.target.kind)? } else { 0 };
    let hindrance = hindrance(saga, &wiring.config.limits, &Busy { others: &others, all }, now);
    if hindrance.is_none() {
        saga.admitted_at = Some(now);
    }
    Ok(hindrance)
}

/// Why what a guardrail decided may not begin, or go on, by what is known by now; the decision is then people's again.
fn forbidden(
    draft: &mut Draft<'_>,
    wiring: &Wiring,
    (saga, motion): (&Saga, Option<Motion>),
    now: Time,
) -> Result<Option<String>, StoreError> {
    let Some(motion) = motion.filter(|_| can_be_turned(saga)) else { return Ok(None) };
    let why = guard::forbids(draft.inventory(), &motion, saga)?;
    if let Some(why) = &why {
        guard::give_up(draft, motion, (why, wiring.environment.uid()), now)?;
    }
    Ok(why)
}

/// Whether a saga goes forward and can go back from here. What is being done is seen through first, and what cannot be taken back
/// any more is brought to its end.
fn can_be_turned(saga: &Saga) -> bool {
    saga.course == Course::Forward && saga.ended.is_none() && saga.doing.is_none() && saga.deleted_at.is_none()
}

/// How many things of a kind there are, as far as it matters.
fn how_many(house: &House, kind: Kind) -> Result<usize, StoreError> {
    let mut count = 0;
    house.inventory().each_of_kinds(None, &|it| it == kind, &mut |_| {
        count += 1;
        Ok(if count < COUNTED { Go::On } else { Go::Stop })
    })?;
    Ok(count)
}

/// Writes down what an answer makes of a saga.
fn settle(house: &House, hand: &Hand, id: SagaId, (act, answer): (&Act, Answer)) -> Result<(), StoreError> {
    house.again(|| {
        let _pen = house.pen();
        let now = house.now();
        let mut draft = Draft::new(house.inventory(), now);
        let Some(found) = draft.saga(id)? else { return Ok(()) };
        // Written by a batch whose answer was lost.
        if act.changes() && found.doing.as_ref().is_none_or(|doing| doing.act != *act) {
            return Ok(());
        }
        let mut saga = found.clone();
        after(&mut saga, act, answer.clone(), &hand.entry.how, now);
        let what = match &answer {
            Answer::Failed(Trouble::Ambiguous, _) => "unclear",
            Answer::Failed(..) => "failed",
            _ => "done",
        };
        if act.changes() || matches!(act, Act::Verify) {
            let said = if let Answer::Failed(_, said) = &answer { Some(said.as_str()) } else { None };
            witness(&mut draft, &saga, (what, Some(act), said), now)?;
        }
        let (phase, word) = (found.phase.word(), act.word());
        match &answer {
            Answer::Failed(_, said) => tracing::warn!(saga = %id, phase, act = word, what, said, "a step of a change"),
            _ if act.changes() => tracing::info!(saga = %id, phase, act = word, what, "a step of a change"),
            _ => tracing::debug!(saga = %id, phase, act = word, what, "a step of a change"),
        }
        put(draft, &saga, (&found, now)).map(drop)
    })
}

/// Does one act, or one look.
async fn perform(
    (wiring, hand): (&Wiring, &Hand),
    saga: &Saga,
    (act, order): (&Act, Option<&Order>),
    values: &InHand,
) -> Answer {
    let done = match (act, order) {
        (Act::Look, _) => look((wiring, hand), saga).await.map(Answer::Seen),
        (Act::Prepare, _) => hand.rotator.prepare(&saga.target).await.map(|prepared| {
            let mark = prepared.mark.clone();
            values.prepare(saga.id, prepared);
            Answer::Prepared(mark)
        }),
        (Act::Recover(at), _) => recover((wiring, hand), saga, (*at, values)).await,
        (Act::Verify, _) => match &saga.minted {
            Some(new) => hand.rotator.verify(&saga.target, &new.id, &values.get(saga.id)).await.map(|()| Answer::Done),
            None => Err(give_up("there is no new one")),
        },
        (_, Some(order)) => change((wiring, hand), saga, (act, order), values).await,
        (_, None) => Err(give_up("there is no order for it")),
    };
    done.unwrap_or_else(|error| {
        let said = error.said().to_owned();
        let trouble = match error {
            ActionError::Retry { after, .. } => Trouble::Retry(
                after.map(|it| Span::seconds(i64::try_from(it.as_secs()).unwrap_or(i64::MAX).min(6 * 3_600))),
            ),
            ActionError::GiveUp { .. } => Trouble::GiveUp,
            ActionError::Ambiguous { .. } => Trouble::Ambiguous,
        };
        Answer::Failed(trouble, said)
    })
}

async fn change(
    (wiring, hand): (&Wiring, &Hand),
    saga: &Saga,
    (act, order): (&Act, &Order),
    values: &InHand,
) -> Result<Answer, ActionError> {
    let (rotator, target, old) = (&hand.rotator, &saga.target, saga.old());
    let place = |at: u8| {
        let found = hand.places.get(usize::from(at)).zip(saga.placed.get(usize::from(at)));
        found.ok_or_else(|| give_up("there is no such destination any more"))
    };
    match act {
        Act::Mint => {
            let prepared = match (hand.entry.how.prepares, &saga.prepared) {
                (false, _) => Bundle::default(),
                (true, mark) => mark.as_deref().and_then(|mark| values.spend(saga.id, mark)).ok_or_else(spent)?,
            };
            let minted = rotator.mint(order, target, &saga.mark(), &prepared).await?;
            let fingerprint = minted.value.fingerprint(&wiring.marks());
            values.put(saga.id, minted.value);
            return Ok(Answer::Minted { id: minted.id, fingerprint });
        }
        Act::Put(at) => {
            let (place, known) = place(*at)?;
            let version = place.put(order, &values.get(saga.id), known.before.as_deref()).await?;
            return Ok(Answer::Put(version));
        }
        Act::Restore(at) => {
            let (place, known) = place(*at)?;
            place.restore(order, known.before.as_deref(), known.after.as_deref().unwrap_or_default()).await?;
        }
        Act::Reload(at) => place(*at)?.0.reload(order).await?,
        Act::Settle(at) => place(*at)?.0.settle(order).await?,
        Act::Disable => rotator.disable(order, target, old).await?,
        Act::Enable => rotator.enable(order, target, old).await?,
        Act::Delete => rotator.delete(order, target, old).await?,
        Act::Discard(id) => rotator.delete(order, target, id).await?,
        Act::Look | Act::Prepare | Act::Recover(_) | Act::Verify => return Err(give_up("it changes nothing")),
    }
    Ok(Answer::Done)
}

async fn look((wiring, hand): (&Wiring, &Hand), saga: &Saga) -> Result<Seen, ActionError> {
    let slots = hand.rotator.look(&saga.target).await?;
    let mut held = Vec::new();
    if saga.phases.contains(&Phase::Store) {
        for place in &hand.places {
            let holding = place.look().await?;
            let ours = ours(wiring, saga, holding.value.as_ref());
            held.push(Held { version: holding.version, ours });
        }
    }
    Ok(Seen { slots, held })
}

async fn recover(
    (wiring, hand): (&Wiring, &Hand),
    saga: &Saga,
    (at, values): (u8, &InHand),
) -> Result<Answer, ActionError> {
    let mut whole = Bundle::default();
    for ((number, place), placed) in hand.places.iter().enumerate().zip(&saga.placed) {
        if placed.after.is_none() {
            continue;
        }
        let holding = place.look().await?;
        let right = ours(wiring, saga, holding.value.as_ref());
        if number == usize::from(at) && !right {
            return Ok(Answer::Recovered(false));
        }
        // Places have a part each, as it may be.
        whole = whole.with(holding.value.filter(|_| right).unwrap_or_default());
    }
    values.put(saga.id, whole);
    Ok(Answer::Recovered(true))
}

/// Whether a value is the one that the saga made.
fn ours(wiring: &Wiring, saga: &Saga, value: Option<&Bundle>) -> bool {
    let made = saga.minted.as_ref().and_then(|new| new.fingerprint.as_deref());
    made.zip(value).is_some_and(|(made, value)| value.is_of(made, &wiring.marks()))
}

/// Writes down that a saga waits.
fn wait(house: &House, id: SagaId, why: &str, how_long: Span) -> Result<(), StoreError> {
    house.again(|| {
        let _pen = house.pen();
        let now = house.now();
        let mut draft = Draft::new(house.inventory(), now);
        let Some(mut saga) = draft.saga(id)? else { return Ok(()) };
        (saga.waits, saga.not_before) = (Some(why.to_owned()), now + how_long);
        draft.put_saga(&saga)?;
        draft.commit()?;
        Ok(())
    })
}

/// Nothing was asked for: something else is prepared, and written down.
fn spent() -> ActionError {
    ActionError::Retry { after: None, said: "what was prepared is not at hand any more".to_owned() }
}

fn give_up(said: &str) -> ActionError {
    ActionError::GiveUp { said: said.to_owned() }
}
