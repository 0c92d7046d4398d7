//! `findings list|show|explain`.
//! It must never show a severity without the steps that led to it, where there is room.

use provost_model::{Finding, FindingState, Severity};
use serde::Serialize;

use super::{CliError, Exit, Screen};
use crate::{
    filter::Filter,
    output::{FindingRow, age},
};

/// What a rule says of itself, for explanations.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RuleText {
    /// Why it matters.
    pub why: String,
    /// What to do.
    pub remedy: String,
}

/// Lists findings; exit 6 if an open one reaches the bound.
pub fn list(
    rows: Vec<FindingRow>,
    filter: Option<&Filter>,
    fail_on: Option<Severity>,
    screen: &mut Screen<'_>,
) -> Result<Exit, CliError> {
    let mut rows = screen.kept(rows, filter)?;
    // The worst first; what one rule finds stands together, the oldest first.
    rows.sort_by(|one, other| {
        let worse = other.severity.cmp(&one.severity);
        worse.then_with(|| one.rule.cmp(&other.rule)).then_with(|| one.opened_at.cmp(&other.opened_at))
    });
    let open = rows.iter().filter(|row| row.state == FindingState::Open).map(|row| row.severity);
    let exit = Exit::Done.or_findings(fail_on, open.collect::<Vec<_>>());
    let summary = summary(&rows);
    screen.rows(rows)?;
    if screen.is_table() {
        screen.remark(&summary)?;
    }
    Ok(exit)
}

/// Shows one finding; `about` is its subject in a line.
pub fn show(finding: &Finding, about: &str, screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    if !screen.is_table() {
        screen.value(&FindingRow::from(finding))?;
        return Ok(Exit::Done);
    }
    screen.pairs(&pairs(finding, about, screen))?;
    Ok(Exit::Done)
}

/// Shows how the severity came about, why it matters and what to do.
pub fn explain(finding: &Finding, about: &str, rule: &RuleText, screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    #[derive(Serialize)]
    struct Whole<'a> {
        #[serde(flatten)]
        row: FindingRow,
        severity_steps: &'a [String],
        unconfirmed_since: Option<provost_model::Time>,
        #[serde(flatten)]
        rule_text: &'a RuleText,
    }
    if !screen.is_table() {
        screen.value(&Whole {
            row: FindingRow::from(finding),
            severity_steps: &finding.severity_steps,
            unconfirmed_since: finding.unconfirmed_since,
            rule_text: rule,
        })?;
        return Ok(Exit::Done);
    }
    screen.pairs(&pairs(finding, about, screen))?;
    screen.line("")?;
    screen.line("Severity:")?;
    for step in &finding.severity_steps {
        screen.line(&format!("  {step}"))?;
    }
    for (title, text) in [("Why it matters:", &rule.why), ("What to do:", &rule.remedy)] {
        if !text.is_empty() {
            screen.line("")?;
            screen.line(title)?;
            text.lines().try_for_each(|line| screen.line(&format!("  {line}")))?;
        }
    }
    Ok(Exit::Done)
}

fn pairs(finding: &Finding, about: &str, screen: &Screen<'_>) -> Vec<(&'static str, String)> {
    let now = screen.look.now;
    let dated = |time: provost_model::Time| age::dated(time, now);
    let mut pairs = vec![
        ("id", finding.id.to_string()),
        ("rule", format!("{} version {}", finding.rule, finding.rule_version)),
        ("about", about.to_owned()),
        ("severity", finding.severity.word().to_owned()),
        ("state", finding.state.word().to_owned()),
        ("because", finding.because.clone()),
        ("opened", dated(finding.opened_at)),
        ("on data of", dated(finding.opened_as_of)),
    ];
    if let (Some(time), Some(resolution)) = (finding.resolved_at, finding.resolution) {
        pairs.push(("resolved", format!("{}: {}", dated(time), resolution.word().replace('_', " "))));
    }
    if let Some(time) = finding.unconfirmed_since {
        pairs.push(("unconfirmed", format!("since {}", dated(time))));
    }
    if finding.baseline {
        pairs.push(("baseline", "found by the source's first complete run".to_owned()));
    }
    let frameworks = FindingRow::from(finding).frameworks;
    pairs.extend(
        (!frameworks.is_empty())
            .then(|| {
                frameworks.iter().map(|(name, ids)| format!("{name} {}", ids.join(" "))).collect::<Vec<_>>().join(", ")
            })
            .map(|text| ("frameworks", text)),
    );
    pairs
}

/// How many of which severity.
fn summary(rows: &[FindingRow]) -> String {
    let worst_first = [Severity::Critical, Severity::High, Severity::Medium, Severity::Low, Severity::Info];
    let counts: Vec<String> = worst_first
        .into_iter()
        .map(|severity| (rows.iter().filter(|row| row.severity == severity).count(), severity))
        .filter(|(count, _)| *count > 0)
        .map(|(count, severity)| format!("{count} {severity}"))
        .collect();
    if counts.is_empty() { "no findings".to_owned() } else { counts.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::screen::fake::written,
        output::{Format, finding::samples::finding},
    };

    #[test]
    fn the_worst_come_first_and_the_bound_decides_the_exit() {
        let rows = || {
            vec![
                FindingRow::from(&finding("OWN-NONE", Severity::Low)),
                FindingRow::from(&finding("ROOT-KEY", Severity::Critical)),
            ]
        };
        let (out, err) = written(Format::Table, |screen| {
            assert_eq!(list(rows(), None, Some(Severity::High), screen).unwrap(), Exit::Findings);
        });
        assert!(out.find("ROOT-KEY").unwrap() < out.find("OWN-NONE").unwrap());
        assert_eq!(err, "1 critical, 1 low\n");
        let filter = Filter::compile::<FindingRow>("rule == \"OWN-NONE\"").unwrap();
        written(Format::Csv, |screen| {
            assert_eq!(list(rows(), Some(&filter), Some(Severity::High), screen).unwrap(), Exit::Done);
        });
    }

    #[test]
    fn an_explanation_shows_the_arithmetic() {
        let rule = RuleText { why: "Nobody misses it.".into(), remedy: "Deactivate it,\nthen delete it.".into() };
        let (out, _) = written(Format::Table, |screen| {
            explain(&finding("CRED-STALE", Severity::High), "access_key deploy (0d0e0fff)", &rule, screen).unwrap();
        });
        insta::assert_snapshot!(out, @r#"
    id          09090909-0909-0909-0909-090909090909
    rule        CRED-STALE version 1
    about       access_key deploy (0d0e0fff)
    severity    high
    state       open
    because     not used for 267 days, the limit is 90
    opened      2026-09-17T14:13:20Z (4 d)
    on data of  2026-09-17T14:13:20Z (4 d)
    frameworks  cis_aws_5.0 1.11, nist_csf PR.AA-01, nist_sp_800_53_r5 AC-2(3), owasp_nhi NHI1,
                pci_dss_4.0.1 7.2.5.1

    Severity:
      medium: the rule's own
      high: it has administrator rights

    Why it matters:
      Nobody misses it.

    What to do:
      Deactivate it,
      then delete it.
    "#);
    }

    #[test]
    fn an_explanation_for_programs_holds_all_of_it() {
        let (out, _) = written(Format::Json, |screen| {
            explain(&finding("CRED-STALE", Severity::High), "x", &RuleText::default(), screen).unwrap();
        });
        let value: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(value["severity_steps"].as_array().unwrap().len(), 2);
        assert!(value["remedy"].is_string() && value["rule"].is_string());
    }
}
