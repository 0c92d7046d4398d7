//! Judges what a change or the time concerns: loads each subject with its neighbourhood, asks every rule about it and
//! writes down what differs. It must never judge on half a neighbourhood, nor leave out whom a change concerns.

mod concern;
mod crew;
mod household;
mod page;
mod touched;
mod verdicts;
pub mod whatif;

use std::collections::BTreeSet;

use provost_engine::{Covered, Owning, Policy, Subject, govern::Governance};
use provost_model::{PartId, RecordId, Time};
use provost_store::{
    StoreError,
    inventory::{Draft, JUDGE_QUEUE, Reads, ScopeRow},
};

use self::{
    concern::Concerned,
    household::{Bench, Household},
    verdicts::{judged, write},
};
pub use self::{
    concern::Settled,
    touched::{Gathering, Touched},
};
use super::{digest, owners::Known};
use crate::{house::House, worked::Worked};

pub(super) use self::crew::pages;

/// Subjects taken from a queue at a time.
const BATCH: usize = 256;
/// Changed records whose consequences are judged between two commits.
const PART: usize = 400;

/// The figures that rules and owning go by.
#[derive(Clone, Debug, Default)]
pub struct Yardstick {
    /// Thresholds, with their overrides.
    pub policy: Policy,
    /// How owners are found.
    pub owning: Owning,
    /// People and teams.
    pub people: Known,
    /// How long what may stand.
    pub governance: Governance,
    /// Rules about whose faults a guardrail may have something to decide.
    pub guarded: BTreeSet<String>,
}

impl Yardstick {
    /// Digest of what is configured about owners and people.
    pub fn owners_digest(&self) -> String {
        format!("{}-{}", self.owning.digest(), self.people.of_file().digest())
    }

    /// Digest of everything that rules about cases go by beside findings and decisions.
    pub fn cases_digest(&self, worked: &Worked) -> String {
        let parts = std::iter::once(self.governance.digest()).chain(worked.words());
        digest::half(parts).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Judges these records and whomever they concern, whatever changed; gives the number of findings that changed.
pub fn touched(house: &House, yardstick: &Yardstick, records: &[RecordId]) -> Result<u64, StoreError> {
    let records: Vec<Touched> = records.iter().copied().map(Touched::wholly).collect();
    changed(house, yardstick, &records, &mut Settled::default())
}

/// Judges whom these changes concern, by what each rule declared to read; gives the number of findings that changed.
/// What `settled` knows need not be judged; what this call settles it knows then.
pub fn changed(
    house: &House,
    yardstick: &Yardstick,
    records: &[Touched],
    settled: &mut Settled,
) -> Result<u64, StoreError> {
    // Verdicts are written by one at a time. What changes after it was read here is judged again by whoever changed it.
    let _gavel = house.gavel();
    let (mut changed, mut met) = (0, Concerned::knowing(settled));
    for part in records.chunks(PART) {
        let (mut subjects, mut first) = (0, true);
        let findings = in_one_piece(house, yardstick, &mut |bench, draft| {
            // Whom a try met that failed is not judged yet.
            let mut anew = Concerned::knowing(settled);
            let loaded = {
                // Nobody writes while neighbours are read, so that they are of one moment.
                let _still = house.still();
                let moment = house.store().head()?.number;
                bench.concerned((part, moment), if std::mem::take(&mut first) { &mut met } else { &mut anew })?
            };
            subjects = loaded.iter().map(|it| it.subjects.len()).sum::<usize>();
            write_all(bench, draft, loaded, house.now())
        })?;
        tracing::debug!(records = part.len(), subjects, findings, "judged a part");
        changed += findings;
    }
    let new = met.settled();
    settled.add(new);
    Ok(changed)
}

/// Does a step of judging until nobody was faster, and commits it; under the gavel. Where other processes write too, a
/// verdict is refused if what it rests on moved meanwhile.
fn in_one_piece(
    house: &House,
    yardstick: &Yardstick,
    step: &mut dyn for<'b> FnMut(&Bench<'b>, &mut Draft<'b>) -> Result<u64, StoreError>,
) -> Result<u64, StoreError> {
    house.again(|| {
        let reads = Reads::default();
        let inventory = house.inventory().noting(&reads);
        let scopes = house.inventory().scopes(None)?;
        let bench = Bench::new(inventory, yardstick, &scopes)?;
        let mut draft = Draft::new(inventory, house.now());
        let changed = step(&bench, &mut draft)?;
        draft.commit()?;
        Ok(changed)
    })
}

fn write_all(bench: &Bench<'_>, draft: &mut Draft<'_>, loaded: Vec<Household>, now: Time) -> Result<u64, StoreError> {
    loaded
        .into_iter()
        .try_fold(0, |changed, household| Ok(changed + write(draft, judged(bench, household, now)?, now)?))
}

/// Judges what is due by time alone; gives the number of subjects that were.
pub fn due(house: &House, yardstick: &Yardstick) -> Result<u64, StoreError> {
    let mut judged = 0;
    loop {
        let ids = house.inventory().due_subjects(JUDGE_QUEUE, house.now(), BATCH)?;
        if ids.is_empty() {
            return Ok(judged);
        }
        judged += ids.len() as u64;
        by_themselves(house, yardstick, &ids, &mut |draft, id| {
            // Whatever is still to come is put in again by the verdict, in the same commit.
            draft.judge_at(id, None);
            Ok(())
        })?;
    }
}

/// Judges who waited for a scope that was read again meanwhile; gives the number of subjects that did.
pub fn awaited(house: &House, yardstick: &Yardstick) -> Result<u64, StoreError> {
    let inventory = house.inventory();
    let awaited = inventory.awaited()?;
    if awaited.is_empty() {
        return Ok(0);
    }
    let scopes = inventory.scopes_by_number()?;
    let mut judged = 0;
    for (scope, told) in awaited {
        let Some(read) = scopes.get(&scope).and_then(|row| row.as_of) else { continue };
        if told.is_some_and(|told| told >= read) {
            continue;
        }
        let mut after = None;
        loop {
            let ids = inventory.awaiting(scope, (read, after), BATCH)?;
            let Some(last) = ids.last() else { break };
            after = Some(*last);
            judged += ids.len() as u64;
            by_themselves(house, yardstick, &ids, &mut |draft, id| {
                draft.wait_no_more(scope, id);
                Ok(())
            })?;
        }
        let _gavel = house.gavel();
        house.again(|| {
            let wait_on = !inventory.awaiting(scope, (Time::from_micros(i64::MAX), None), 1)?.is_empty();
            let mut draft = Draft::new(inventory, house.now());
            draft.put_awaited(scope, wait_on.then_some(read))?;
            draft.commit()?;
            Ok(())
        })?;
    }
    Ok(judged)
}

/// Judges these subjects and nobody else. `first` says what goes with each verdict, before it.
fn by_themselves(
    house: &House,
    yardstick: &Yardstick,
    ids: &[RecordId],
    first: &mut dyn FnMut(&mut Draft<'_>, RecordId) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let _gavel = house.gavel();
    in_one_piece(house, yardstick, &mut |bench, draft| {
        let loaded = {
            let _still = house.still();
            bench.only(ids)?
        };
        ids.iter().try_for_each(|id| first(draft, *id))?;
        write_all(bench, draft, loaded, house.now())
    })?;
    Ok(())
}

/// Shows a record with the neighbourhood in which it is judged, to whoever explains a finding about it.
pub fn examine(
    house: &House,
    yardstick: &Yardstick,
    id: RecordId,
    look: &mut dyn FnMut(&Subject<'_>),
) -> Result<(), StoreError> {
    let scopes = house.inventory().scopes(None)?;
    let bench = Bench::new(house.inventory(), yardstick, &scopes)?;
    for household in bench.only(&[id])? {
        for subject in &household.subjects {
            bench.show(&household, subject, (true, house.now()), look)?;
        }
    }
    Ok(())
}

/// How far every scope was read, in the order of scopes.
fn covers(scopes: &[ScopeRow]) -> Vec<Covered<'_>> {
    let mut covers: Vec<Covered<'_>> = scopes
        .iter()
        .map(|row| {
            let as_of = row.as_of.unwrap_or(Covered::NEVER);
            Covered { scope: row.number, part: PartId::WHOLE, as_of, source: &row.source, path: &row.scope.path }
        })
        .collect();
    covers.sort_by_key(|it| it.scope);
    covers
}
