//! Asks the rules about those who are to be judged, and puts what came of it into a draft.
//! It must never leave out when, or after which reading, a subject is to be judged again.

use provost_engine::{Covered, Judgement, judge_record};
use provost_model::{Record, ScopeNo, Time};
use provost_store::{StoreError, inventory::Draft};

use super::household::{Bench, Household};

/// Judges the subjects of a household; gives the number of findings that changed.
pub(super) fn write<'a>(
    bench: &Bench<'a>,
    draft: &mut Draft<'a>,
    household: &Household,
    now: Time,
) -> Result<u64, StoreError> {
    let mut changed = 0;
    for loaded in &household.subjects {
        let Some(record) = household.record(loaded.member) else { continue };
        let (mut findings, mut judged) = (loaded.findings.clone(), Judgement::default());
        bench.show(household, loaded, (false, now), &mut |subject| {
            judged = judge_record(subject, &mut findings, (&bench.thresholds(record), &bench.owners_by), now);
        })?;
        changed += judged.changed;
        if judged.changed > 0 {
            draft.put_findings(record.id, &findings)?;
        }
        if let Some(until) = judged.until {
            draft.judge_at(record.id, Some(until));
        }
        if judged.waits {
            wait(bench, draft, household, record)?;
        }
        if draft.is_full() {
            std::mem::replace(draft, Draft::new(bench.inventory, now)).commit()?;
        }
    }
    Ok(changed)
}

/// Has a subject judged again when a scope was read that speaks of it or of a credential beside it.
fn wait(bench: &Bench<'_>, draft: &mut Draft<'_>, household: &Household, record: &Record) -> Result<(), StoreError> {
    let speaking = std::iter::once(record).chain(household.credentials()).flat_map(|it| &it.statements);
    let mut scopes: Vec<ScopeNo> = speaking.map(|said| said.scope).collect();
    scopes.sort_unstable();
    scopes.dedup();
    for scope in scopes {
        let at = bench.covers.binary_search_by_key(&scope, |it| it.scope).ok();
        let read = at.and_then(|at| bench.covers.get(at)).map_or(Covered::NEVER, |it| it.as_of);
        draft.wait(scope, record.id, read)?;
    }
    Ok(())
}
