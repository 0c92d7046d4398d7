//! What is to be decided: the faults of each subject as one case, with who answers for it and what was decided so far.
//! It must never show a deadline for what nobody said is to be worked off.

use std::collections::BTreeMap;

use provost_engine::{
    govern::{CaseView, OpenFault, answers, runs_since},
    rules::is_about_cases,
};
use provost_model::{
    DecisionId, Finding, FindingState, Motion, Record, RecordId, Resolution, Ruling, Saga, Stage, Time,
};
use provost_store::{Go, StoreError, inventory::Inventory};

use crate::{house::House, output::CaseRow, rows::Rows, wire::Wiring, worked::Worked};

/// Called with the findings of one subject.
pub type OfSubject<'a> = dyn FnMut(RecordId, &[Finding]) -> Result<Go, StoreError> + 'a;

/// Everything that cases are made of, as of now.
pub struct Docket<'a> {
    inventory: Inventory<'a>,
    wiring: &'a Wiring,
    rows: Rows<'a>,
    /// Since when the baseline of each source is worked off.
    worked: Worked,
    now: Time,
}

/// The times of one fault on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// Since when it is to be worked off.
    pub since: Time,
    /// When something was decided about it.
    pub decided: Option<Time>,
    /// Since when what was decided is done, or was seen to be.
    pub acted: Option<Time>,
    /// When a later look proved that it is gone.
    pub verified: Option<Time>,
    /// Whether somebody answers for it.
    pub owned: bool,
}

impl<'a> Docket<'a> {
    /// The docket of a house.
    pub fn new(house: &'a House, wiring: &'a Wiring, now: Time) -> Result<Self, StoreError> {
        let inventory = house.inventory();
        let worked = Worked::of(inventory)?;
        Ok(Self { inventory, wiring, rows: Rows::new(inventory, &wiring.yardstick, now)?, worked, now })
    }

    /// The case of every subject of which something stands, in the order of subjects.
    pub fn each(&self, each: &mut dyn FnMut(CaseRow) -> Result<Go, StoreError>) -> Result<(), StoreError> {
        self.by_subject(&mut |subject, findings| match self.case(subject, findings)? {
            Some(row) => each(row),
            None => Ok(Go::On),
        })
    }

    /// The times of every fault that stands, or stood and was settled by a decision or by proof.
    pub fn ways(&self) -> Result<Vec<Way>, StoreError> {
        let mut ways = Vec::new();
        let done: BTreeMap<DecisionId, Time> = self.inventory.sagas()?.iter().filter_map(done_by).collect();
        self.by_subject(&mut |subject, findings| {
            let record = self.inventory.record(subject, None)?;
            let motions = self.inventory.motions_of(subject, None)?;
            let owner = record.as_ref().map(|record| self.rows.owner(record)).transpose()?.flatten();
            let owned = owner.is_some() && !is_unowned(findings);
            for finding in findings.iter().filter(|it| !is_about_cases(&it.rule)) {
                let proven = matches!(finding.resolution, Some(Resolution::Fixed | Resolution::Gone));
                let counts = proven || finding.resolution == Some(Resolution::Accepted) || is_open(finding);
                let Some(since) = self.runs_since(finding, record.as_ref()).filter(|_| counts) else { continue };
                let decides = |motion: &&Motion| !matches!(motion.ruling, Ruling::Reassign { .. });
                let answers = |motion: &&Motion| motion.findings.iter().any(|(id, _)| *id == finding.id);
                let about: Vec<&Motion> = motions.iter().filter(decides).filter(answers).collect();
                let after = |at: &Time| *at >= since;
                let decided = about.iter().filter_map(|it| it.agreed_at()).filter(after).min();
                let acted = about.iter().filter_map(|it| done.get(&it.id).copied()).filter(after).min();
                let verified = finding.resolved_at.filter(|_| proven);
                // What people did is known to be done when it is proven.
                ways.push(Way { since, decided: decided.or(verified), acted: acted.or(verified), verified, owned });
            }
            Ok(Go::On)
        })?;
        Ok(ways)
    }

    /// The case of one subject; nothing if nothing of it stands.
    pub fn case(&self, subject: RecordId, findings: &[Finding]) -> Result<Option<CaseRow>, StoreError> {
        let Some(first) = findings.iter().find(|it| is_open(it)) else { return Ok(None) };
        let record = self.inventory.record(subject, None)?;
        let faults: Vec<OpenFault<'_>> = findings
            .iter()
            .map(|finding| OpenFault { finding, runs_since: self.runs_since(finding, record.as_ref()) })
            .collect();
        let Some(view) = CaseView::of(&faults, &self.wiring.config.governance) else { return Ok(None) };
        let motions = self.inventory.motions_of(subject, None)?;
        // The latest that is under way, of those asked for since a fault stands. A risk that was taken, and yet stands, became
        // worse than what was taken; who answers is no decision about the fault; what ended or was refused leaves it open.
        let about = |motion: &&Motion| answers(motion, findings.iter().filter(|it| is_open(it)));
        let under_way = motions.iter().rev().filter(about).find_map(|motion| match motion.stage(self.now) {
            Stage::Asked { .. } => Some((motion.id, "asked")),
            Stage::InForce { .. } if motion.guardrail().is_some() => Some((motion.id, "guarded")),
            Stage::InForce { .. } if motion.ruling.remedy().is_some() => Some((motion.id, "decided")),
            _ => None,
        });
        let owner = record.as_ref().map(|record| self.owner(record, findings)).transpose()?.flatten();
        let (kind, name) = match (&record, &first.source) {
            (Some(record), _) => (record.kind.name(), record.name()),
            (None, Some(source)) => ("source", source.clone()),
            (None, None) => ("store", "store".to_owned()),
        };
        Ok(Some(CaseRow {
            id: subject,
            kind,
            name,
            external_id: first.external_id.clone(),
            source: match (&record, &first.source) {
                (Some(record), _) => self.rows.sources(record),
                (None, source) => source.iter().cloned().collect(),
            },
            severity: view.severity,
            action: view.remedy,
            owner,
            deadline: view.deadline,
            overdue: view.deadline.is_some_and(|deadline| deadline <= self.now),
            rules: view.rules,
            opened_at: view.opened_at,
            stage: under_way.map_or("open", |(_, stage)| stage),
            decision: under_way.map(|(id, _)| id),
            baseline: view.baseline,
        }))
    }

    /// What it is put together from.
    pub fn rows(&self) -> &Rows<'a> {
        &self.rows
    }

    /// Who answers for a record with these findings. The best guess is nobody who answers, while the rule about owners says so.
    pub fn owner(&self, record: &Record, findings: &[Finding]) -> Result<Option<String>, StoreError> {
        let owner = self.rows.owner(record)?.map(|owner| owner.name);
        Ok(owner.filter(|name| !name.is_empty() && !is_unowned(findings)))
    }

    /// Since when the deadline of a finding runs.
    pub fn runs_since(&self, finding: &Finding, record: Option<&Record>) -> Option<Time> {
        let sources = record.filter(|_| finding.baseline).map(|record| self.rows.sources(record));
        runs_since(finding, self.worked.since(sources.iter().flatten().map(String::as_str)))
    }

    /// Visits the findings of every subject, in the order of subjects.
    pub fn by_subject(&self, each: &mut OfSubject<'_>) -> Result<(), StoreError> {
        let mut held: Vec<Finding> = Vec::new();
        let mut stopped = false;
        self.inventory.each_finding(None, &mut |finding| {
            if held.first().is_some_and(|it| it.subject != finding.subject) {
                stopped = each_of(&std::mem::take(&mut held), each)? == Go::Stop;
                if stopped {
                    return Ok(Go::Stop);
                }
            }
            held.push(finding);
            Ok(Go::On)
        })?;
        if !stopped {
            each_of(&held, each)?;
        }
        Ok(())
    }
}

fn each_of(findings: &[Finding], each: &mut OfSubject<'_>) -> Result<Go, StoreError> {
    findings.first().map_or(Ok(Go::On), |first| each(first.subject, findings))
}

fn is_unowned(findings: &[Finding]) -> bool {
    findings.iter().any(|it| is_open(it) && it.rule == "OWN-NONE")
}

fn is_open(finding: &Finding) -> bool {
    finding.state == FindingState::Open
}

/// The decision that a saga carried out, and since when what it asked for is so.
fn done_by(saga: &Saga) -> Option<(DecisionId, Time)> {
    let at = [saga.disabled_at, saga.deleted_at, saga.proven_at].into_iter().flatten().min()?;
    Some((saga.decision, at))
}
