//! What an operator says about a source: release its absences, accept its new realm, retire it, accept its baseline.
//! It must never do any of it without a reason.

use provost_engine::absence;
use provost_model::{RecordId, Time};
use provost_store::{
    StoreError,
    inventory::{BaselineState, Draft, ScopeRow, SourceRow},
};

use super::cascade::with_dependents;
use crate::house::House;

/// Lets the absences through that the brake holds back; gives the records they were about.
pub fn release(house: &House, source: &str, reason: &str) -> Result<Vec<RecordId>, StoreError> {
    change_source(house, source, |row, now| row.words.push((now, format!("released: {reason}"))))?;
    let mut released = Vec::new();
    house.again(|| let_through(house, source, &mut released))?;
    released.sort_unstable();
    released.dedup();
    Ok(released)
}

/// What was let through before a try that failed is let through for good: the next one goes on from there.
fn let_through(house: &House, source: &str, released: &mut Vec<RecordId>) -> Result<(), StoreError> {
    let _pen = house.pen();
    let mut draft = Draft::new(house.inventory(), house.now());
    for mut row in house.inventory().scopes(Some(source))? {
        for (part, id, began, atomic) in house.inventory().held(row.number)? {
            let listing = absence::Listing { scope: row.number, part, began, atomic };
            draft.unhold(row.number, part, id);
            if let Some(change) = draft.record(id)?.and_then(|record| absence::absent(record, listing)) {
                released.push(id);
                for change in with_dependents(&mut draft, change)? {
                    draft.apply(change)?;
                    commit_if_full(house, &mut draft)?;
                }
            }
            commit_if_full(house, &mut draft)?;
        }
        if row.held > 0 {
            row.held = 0;
            draft.put_scope(row);
        }
    }
    draft.commit()?;
    Ok(())
}

/// Accepts the realm that the source met instead of the pinned one: the next run pins what it meets. Nobody looks at the
/// former one any more: what was said of it stays, unwatched. Gives the records that this touches.
pub fn repin(house: &House, source: &str, reason: &str) -> Result<Vec<RecordId>, StoreError> {
    let met = house.inventory().source(source)?.met;
    let touched = match &met {
        Some(met) => unwatch(house, source, |row| row.scope.realm != *met)?,
        None => Vec::new(),
    };
    change_source(house, source, |row, now| {
        row.realm = row.met.take();
        row.words.push((now, format!("repinned: {reason}")));
    })?;
    Ok(touched)
}

/// Nobody looks at the source any more: what it said stays, unwatched.
pub fn retire(house: &House, source: &str, reason: &str) -> Result<Vec<RecordId>, StoreError> {
    let touched = unwatch(house, source, |_| true)?;
    change_source(house, source, |row, now| {
        row.retired = Some(reason.to_owned());
        row.next_run = None;
        row.words.push((now, format!("retired: {reason}")));
    })?;
    Ok(touched)
}

/// Nobody looks at these scopes of the source any more. Gives the records that this touches.
fn unwatch(house: &House, source: &str, which: impl Fn(&ScopeRow) -> bool) -> Result<Vec<RecordId>, StoreError> {
    let mut touched = Vec::new();
    house.again(|| unwatch_in(house, source, (&which, &mut touched)))?;
    touched.sort_unstable();
    touched.dedup();
    Ok(touched)
}

fn unwatch_in(
    house: &House,
    source: &str,
    (which, touched): (&impl Fn(&ScopeRow) -> bool, &mut Vec<RecordId>),
) -> Result<(), StoreError> {
    let _pen = house.pen();
    let mut draft = Draft::new(house.inventory(), house.now());
    for mut row in house.inventory().scopes(Some(source))?.into_iter().filter(which) {
        for (_, id) in house.inventory().places(row.number)? {
            if let Some(change) = draft.record(id)?.and_then(|record| absence::unwatch(record, row.number)) {
                touched.push(id);
                draft.apply(change)?;
            }
            commit_if_full(house, &mut draft)?;
        }
        row.watched = false;
        draft.put_scope(row);
    }
    draft.commit()?;
    Ok(())
}

/// Says what becomes of the findings of the source's first complete run.
pub fn baseline(house: &House, source: &str, state: BaselineState, reason: &str) -> Result<(), StoreError> {
    change_source(house, source, |row, now| {
        row.baseline = state;
        row.words.push((now, format!("baseline {}: {reason}", state.word())));
    })
}

/// Changes what is kept of a source. `change` may be asked again, on what another process left meanwhile.
pub fn change_source(house: &House, source: &str, change: impl Fn(&mut SourceRow, Time)) -> Result<(), StoreError> {
    house.again(|| {
        let _pen = house.pen();
        let mut draft = Draft::new(house.inventory(), house.now());
        let mut row = draft.source(source)?;
        change(&mut row, house.now());
        draft.put_source(source, &row)?;
        draft.commit()?;
        Ok(())
    })
}

fn commit_if_full<'a>(house: &'a House, draft: &mut Draft<'a>) -> Result<(), StoreError> {
    if draft.is_full() {
        let next = Draft::new(house.inventory(), house.now());
        std::mem::replace(draft, next).commit()?;
    }
    Ok(())
}
