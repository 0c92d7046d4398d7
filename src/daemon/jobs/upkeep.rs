//! Rewrites the store when that gives much room back, and says so by a finding where there is no room for it.
//! It must never read the whole store through for nothing: only when it has doubled since that was last done.

use provost_engine::{Case, Measure, Rule, rejudge, rules::StoreView, store_subject, withdraw};
use provost_model::{Presence, Span};
use provost_store::{
    Compacted, StoreError,
    inventory::{Draft, Tended},
};

use super::judge::Yardstick;
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
    note(house, yardstick, &view)?;
    let _pen = house.pen();
    let mut draft = Draft::new(house.inventory(), now);
    draft.put_tended(&Tended { at: now, used: done.map_or(view.used, |it| it.after), short })?;
    draft.commit()?;
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

/// Brings the findings about the store up to date.
fn note(house: &House, yardstick: &Yardstick, view: &StoreView) -> Result<(), StoreError> {
    let _gavel = house.gavel();
    let (now, subject, thresholds) = (house.now(), store_subject(), yardstick.policy.everywhere());
    let mut draft = Draft::new(house.inventory(), now);
    let mut findings = draft.findings_of(subject)?;
    let mut changed = 0;
    for rule in Rule::about_store() {
        let case = Case {
            rule,
            subject,
            external_id: STORE,
            source: None,
            presence: Presence::Present,
            baseline: false,
            measure: Measure { figures: thresholds.digest_of(rule.id), owners: None },
            now,
        };
        changed += u64::from(rejudge(&mut findings, &rule.of_store(view, thresholds, now), &case));
    }
    changed += withdraw(&mut findings, Rule::about_store(), now);
    if changed > 0 {
        let _pen = house.pen();
        draft.put_findings(subject, &findings)?;
        draft.commit()?;
    }
    Ok(())
}
