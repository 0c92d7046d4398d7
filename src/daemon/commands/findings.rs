//! `findings list|show|explain`: finds findings, and the neighbourhood that explains one.
//! It must never judge anew what is shown: it shows what was judged, and says what a rule would say now.

use provost_engine::{Rule, Told, rules::is_about_cases};
use provost_model::{Finding, FindingState, Time};
use provost_store::Go;

use super::{CommandError, commit_at};
use crate::{
    cli::{self, Exit, Findings, Screen, findings::RuleText},
    desk::Desk,
    filter::Filter,
    jobs::judge,
    output::{FindingRow, inventory::id_matches},
    rows::Rows,
};

/// Answers one of them.
pub(super) fn findings(desk: &Desk, action: &Findings, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    match action {
        Findings::List { selection, all, fail_on } => {
            let filter = selection.filter.as_deref().map(Filter::compile::<FindingRow>).transpose();
            let filter = filter.map_err(cli::CliError::from)?;
            let at = commit_at(desk, selection.at)?;
            let mut rows = Vec::new();
            desk.house.inventory().each_finding(at, &mut |finding| {
                let then = selection.as_of.is_none_or(|time| finding.opened_as_of <= time);
                if then && (*all || stood(&finding, selection.as_of)) {
                    rows.push(FindingRow::from(&finding));
                }
                Ok(Go::On)
            })?;
            Ok(cli::findings::list(rows, filter.as_ref(), *fail_on, screen)?)
        }
        Findings::Show { id } => {
            let finding = called(desk, id)?;
            let about = about(desk, &finding, screen.look.now)?;
            Ok(cli::findings::show(&finding, &about, screen)?)
        }
        Findings::Explain { id } => explain(desk, &called(desk, id)?, screen),
    }
}

/// Whether it stood at that time; `None` for now.
fn stood(finding: &Finding, at: Option<Time>) -> bool {
    match at {
        Some(time) => finding.resolved_at.is_none_or(|resolved| resolved > time),
        None => finding.state == FindingState::Open,
    }
}

fn explain(desk: &Desk, finding: &Finding, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    if !screen.is_table() {
        let about = about(desk, finding, screen.look.now)?;
        let text = Rule::of_id(&finding.rule).map_or_else(RuleText::default, |rule| RuleText {
            why: rule.why.to_owned(),
            remedy: rule.remedy.to_owned(),
        });
        return Ok(cli::findings::explain(finding, &about, &text, screen)?);
    }
    let (wiring, now) = (desk.wiring(), screen.look.now);
    let mut text = None;
    judge::examine(&desk.house, &wiring.yardstick, finding.subject, &mut |subject| {
        let thresholds = wiring.yardstick.policy.of_record(subject.record, subject.covers);
        // What a rule about cases says stands in the finding: it is asked with the rest of the case.
        let rule = Rule::of_id(&finding.rule).filter(|rule| !is_about_cases(rule.id));
        let verdict = rule.map(|rule| rule.of_record(subject, &thresholds, now));
        text = Some(provost_engine::explain(&Told { finding, subject: Some(subject), verdict: verdict.as_ref(), now }));
    })?;
    let text = text.unwrap_or_else(|| provost_engine::explain(&Told { finding, subject: None, verdict: None, now }));
    screen.prose(&text)?;
    Ok(Exit::Done)
}

fn called(desk: &Desk, typed: &str) -> Result<Finding, CommandError> {
    let mut found = Vec::new();
    desk.house.inventory().each_finding(None, &mut |finding| {
        if finding.id.to_string() == typed || id_matches(finding.id, typed) {
            found.push(finding);
        }
        Ok(if found.len() > 1 { Go::Stop } else { Go::On })
    })?;
    match found.len() {
        0 => Err(CommandError::Usage(format!("no finding is called {typed:?}; see: provost findings list --all"))),
        1 => found.pop().ok_or_else(|| CommandError::Usage("no finding".into())),
        _ => Err(CommandError::Usage(format!("more than one finding's id ends in {typed:?}; give the whole id"))),
    }
}

/// The subject in a line.
fn about(desk: &Desk, finding: &Finding, now: Time) -> Result<String, CommandError> {
    if let Some(source) = &finding.source {
        return Ok(format!("source {source}"));
    }
    let wiring = desk.wiring();
    let rows = Rows::new(desk.house.inventory(), &wiring.yardstick, now)?;
    let record = desk.house.inventory().record(finding.subject, None)?;
    let row = record.map(|record| rows.of(&record)).transpose()?;
    Ok(row.map_or_else(|| finding.external_id.clone(), |row| cli::inventory::in_a_line(&row)))
}
