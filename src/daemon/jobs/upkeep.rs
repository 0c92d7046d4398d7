//! Rewrites the store when that gives much room back, and says so by a finding where there is no room for it.
//! It must never read the whole store through for nothing: only when it has doubled since that was last done.

use provost_engine::{Rule, rules::StoreView, store_subject};
use provost_model::Span;
use provost_store::{
    Compacted, StoreError,
    inventory::{Draft, Tended},
};

use super::{
    assess::{Docketed, Ours},
    judge::Yardstick,
};
use crate::house::House;

/// What the store is called where a finding names its subject.
const STORE: &str = "store";
/// How long after a rewrite that found no room it is tried again.
const AGAIN: Span = Span::days(1);

/// Rewrites the store if it is time; gives how much it took before and after.
pub fn turn(house: &House, yardstick: &Yardstick) -> Result<Option<Compacted>, StoreError> {
    let store = house.store();
    // A database looks after its own room.
    if store.shared() {
        return Ok(None);
    }
    let (now, space, tended) = (house.now(), store.space()?, house.inventory().tended()?);
    let due = match tended.short {
        true => tended.at + AGAIN <= now,
        false => space.used >= StoreView::SMALL && space.used / 2 >= tended.used,
    };
    if !due {
        return Ok(None);
    }
    let needed = store.compaction_needs()?;
    let view = StoreView { used: space.used, live: needed / 3 * 2, needed, free: space.free };
    let done = if view.is_worth_it() && view.free >= view.needed { rewritten(house)? } else { None };
    let short = done.is_none() && view.is_worth_it();
    note(house, yardstick, (&view, Tended { at: now, used: done.map_or(view.used, |it| it.after), short }))?;
    Ok(done)
}

/// Rewrites it. `None`: room was taken meanwhile, or the store is a later program's.
fn rewritten(house: &House) -> Result<Option<Compacted>, StoreError> {
    match house.store().compact() {
        Ok(done) => Ok(Some(done)),
        Err(error @ (StoreError::NoRoom { .. } | StoreError::Later { .. })) => {
            tracing::warn!(%error, "the store is not rewritten");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Writes down what came of it, with the findings about the store.
fn note(house: &House, yardstick: &Yardstick, (view, tended): (&StoreView, Tended)) -> Result<(), StoreError> {
    let _gavel = house.gavel();
    let _pen = house.pen();
    let (now, subject, thresholds) = (house.now(), store_subject(), yardstick.policy.everywhere());
    let mut draft = Draft::new(house.inventory(), now);
    let mut findings = draft.findings_of(subject)?;
    let docketed = Docketed::of(house, yardstick, subject)?;
    let ours = Ours { subject, name: STORE, source: None, docketed: &docketed };
    let verdict = |rule: &Rule| rule.of_store(view, thresholds, now);
    if ours.judge(&mut findings, Rule::about_store, (thresholds, now), &verdict) > 0 {
        draft.put_findings(subject, &findings)?;
    }
    draft.put_tended(&tended)?;
    draft.commit()?;
    Ok(())
}
