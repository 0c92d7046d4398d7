//! Asks the rules about those who are to be judged, and puts what came of it into a draft.
//! It must never leave out when, or after which reading, a subject is to be judged again.

use provost_engine::{Covered, Judgement, judge_record};
use provost_model::{Finding, FindingState, Record, RecordId, ScopeNo, Time};
use provost_store::{StoreError, codec, inventory::Draft};

use super::household::{Bench, Household};

/// What came of judging one subject.
pub(super) struct Judged {
    id: RecordId,
    /// How many of its findings changed.
    changed: u64,
    /// The bytes of all its findings, if some changed.
    findings: Option<Vec<u8>>,
    /// Whether a guardrail may have something to decide about it.
    guarded: bool,
    until: Option<Time>,
    /// Scopes whose next reading may change something, each with the time of the reading it was judged on.
    waits: Vec<(ScopeNo, Time)>,
}

/// Judges the subjects of a household.
pub(super) fn judged(bench: &Bench<'_>, mut household: Household, now: Time) -> Result<Vec<Judged>, StoreError> {
    let mut subjects = std::mem::take(&mut household.subjects);
    let mut all = Vec::with_capacity(subjects.len());
    for loaded in &mut subjects {
        let mut findings = std::mem::take(&mut loaded.findings);
        let Some(record) = household.record(loaded.member) else { continue };
        let (mut it, thresholds) = (Judgement::default(), bench.thresholds(record));
        bench.show(&household, loaded, (false, now), &mut |subject| {
            it = judge_record(subject, &mut findings, (&thresholds, &bench.owners_by), now);
        })?;
        let it = it.and(bench.hear((record, &loaded.motions), &mut findings, (&thresholds, now)));
        if it == Judgement::default() {
            continue;
        }
        let waits = if it.waits { waits(bench, &household, record) } else { Vec::new() };
        let about = |it: &Finding| it.state == FindingState::Open && bench.yardstick.guarded.contains(&it.rule);
        let guarded = it.changed > 0 && findings.iter().any(about);
        let findings = if it.changed > 0 { Some(codec::finding::encode(record.id, &findings)?) } else { None };
        all.push(Judged { id: record.id, changed: it.changed, findings, guarded, until: it.until, waits });
    }
    Ok(all)
}

/// Puts what came of judging into a draft, which is committed whenever it is full; gives the number of findings that
/// changed.
pub(super) fn write(draft: &mut Draft<'_>, judged: Vec<Judged>, now: Time) -> Result<u64, StoreError> {
    let (mut changed, inventory) = (0, draft.inventory());
    for it in judged {
        changed += it.changed;
        if let Some(findings) = it.findings {
            draft.put_encoded_findings(it.id, findings);
        }
        if it.guarded {
            draft.guard_at(it.id, Some(now));
        }
        if let Some(until) = it.until {
            draft.judge_at(it.id, Some(until));
        }
        for (scope, read) in it.waits {
            draft.wait(scope, it.id, read)?;
        }
        if draft.is_full() {
            std::mem::replace(draft, Draft::new(inventory, now)).commit()?;
        }
    }
    Ok(changed)
}

/// A subject is judged again when a scope was read that speaks of it or of a credential beside it.
fn waits(bench: &Bench<'_>, household: &Household, record: &Record) -> Vec<(ScopeNo, Time)> {
    let speaking = std::iter::once(record).chain(household.credentials()).flat_map(|it| &it.statements);
    let mut scopes: Vec<ScopeNo> = speaking.map(|said| said.scope).collect();
    scopes.sort_unstable();
    scopes.dedup();
    let read = |scope: ScopeNo| {
        let at = bench.covers.binary_search_by_key(&scope, |it| it.scope).ok();
        at.and_then(|at| bench.covers.get(at)).map_or(Covered::NEVER, |it| it.as_of)
    };
    scopes.into_iter().map(|scope| (scope, read(scope))).collect()
}
