//! A case as it is noted when it is told of.
//! It must never take what was accepted for what was mended.

use provost_engine::{Roster, rules::is_about_cases};
use provost_model::{CaseNote, Finding, FindingState, Resolution};

use crate::output::CaseRow;

/// A case as it stands.
pub(super) fn noted(row: &CaseRow, findings: &[Finding], people: &Roster) -> CaseNote {
    let because = |rule: &String| {
        let finding = findings.iter().find(|it| it.state == FindingState::Open && it.rule == *rule);
        (rule.clone(), finding.map(|it| it.because.clone()).unwrap_or_default())
    };
    let address = row.owner.as_deref().and_then(|owner| people.address(owner)).map(str::to_owned);
    CaseNote {
        subject: row.id,
        kind: row.kind.to_owned(),
        name: row.name.clone(),
        external_id: row.external_id.clone(),
        sources: row.source.clone(),
        severity: row.severity,
        action: row.action,
        faults: row.rules.iter().map(because).collect(),
        owner: row.owner.clone(),
        address,
        opened_at: row.opened_at,
        deadline: row.deadline,
        overdue: row.overdue,
        stage: row.stage.to_owned(),
    }
}

/// A case of which nothing stands any more: as it was, with how it ended.
pub(super) fn settled(before: &CaseNote, findings: &[Finding]) -> CaseNote {
    let told = |finding: &&Finding| {
        // What was wrong with the case ends with it, however that was.
        !is_about_cases(&finding.rule) && before.faults.iter().any(|(rule, _)| *rule == finding.rule)
    };
    let how: Vec<Option<Resolution>> = findings.iter().filter(told).map(|finding| finding.resolution).collect();
    let stage = match how.as_slice() {
        how if how.contains(&Some(Resolution::Accepted)) => "accepted",
        how if how.contains(&Some(Resolution::Gone)) => "gone",
        how if how.contains(&Some(Resolution::Fixed)) => "fixed",
        _ if findings.iter().any(|it| it.state == FindingState::Suspended) => "unwatched",
        _ if findings.iter().any(|it| it.state == FindingState::Open) => "baseline",
        _ => "rejudged",
    };
    CaseNote { stage: stage.to_owned(), overdue: false, ..before.clone() }
}
