//! One row of the findings, with the field names other programs rely on.
//! It must never judge: it shows what was judged.

use std::collections::BTreeMap;

use provost_engine::{Rule, rules::Mapping};
use provost_model::{Finding, FindingId, FindingState, RecordId, Resolution, Severity, Time};
use serde::Serialize;

use super::{
    age,
    inventory::short_id,
    table::{Cell, Tone},
    write::{Row, write_json},
};

/// Longest name of a subject in a table, in letters: two lines of its column.
const SUBJECT_MOST: usize = 42;

/// One finding as it is listed. Field names and order are pinned.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FindingRow {
    /// The same for ever for one rule about one subject.
    pub id: FindingId,
    /// The rule.
    pub rule: String,
    /// The version that judged last.
    pub rule_version: u32,
    /// The record it is about.
    pub subject: RecordId,
    /// What the provider calls the subject.
    pub external_id: String,
    /// Where it is in its life.
    pub state: FindingState,
    /// How bad.
    pub severity: Severity,
    /// When it was opened.
    pub opened_at: Time,
    /// When it was resolved.
    pub resolved_at: Option<Time>,
    /// Why it was resolved.
    pub resolution: Option<Resolution>,
    /// What it rests on.
    pub because: String,
    /// Framework ids by framework.
    pub frameworks: BTreeMap<String, Vec<String>>,
}

impl From<&Finding> for FindingRow {
    fn from(finding: &Finding) -> Self {
        Self {
            id: finding.id,
            rule: finding.rule.clone(),
            rule_version: finding.rule_version,
            subject: finding.subject,
            external_id: finding.external_id.clone(),
            state: finding.state,
            severity: finding.severity,
            opened_at: finding.opened_at,
            resolved_at: finding.resolved_at,
            resolution: finding.resolution,
            because: finding.because.clone(),
            frameworks: Rule::of_id(&finding.rule).map(|rule| by_framework(&rule.frameworks)).unwrap_or_default(),
        }
    }
}

fn by_framework(frameworks: &Mapping) -> BTreeMap<String, Vec<String>> {
    let mut all = BTreeMap::<String, Vec<String>>::new();
    for (name, ids) in [("owasp_nhi", frameworks.owasp_nhi), ("nist_csf", frameworks.nist_csf)] {
        if !ids.is_empty() {
            all.insert(name.to_owned(), ids.iter().map(|id| (*id).to_owned()).collect());
        }
    }
    for (name, id) in frameworks.other {
        all.entry((*name).to_owned()).or_default().push((*id).to_owned());
    }
    all
}

/// The tone in which a severity is shown.
pub fn tone(severity: Severity) -> Tone {
    match severity {
        Severity::Info => Tone::Faint,
        Severity::Low => Tone::Plain,
        Severity::Medium => Tone::Warn,
        Severity::High | Severity::Critical => Tone::Bad,
    }
}

impl Row for FindingRow {
    const FIELDS: &'static [&'static str] = &[
        "id",
        "rule",
        "rule_version",
        "subject",
        "external_id",
        "state",
        "severity",
        "opened_at",
        "resolved_at",
        "resolution",
        "because",
        "frameworks",
    ];
    const HEADINGS: &'static [&'static str] = &["id", "severity", "rule", "subject", "state", "since", "because"];

    fn fields(&self) -> Vec<String> {
        let mut frameworks = Vec::new();
        // Writing to memory cannot fail.
        let _ = write_json(&self.frameworks, &mut frameworks);
        vec![
            self.id.to_string(),
            self.rule.clone(),
            self.rule_version.to_string(),
            self.subject.to_string(),
            self.external_id.clone(),
            self.state.word().to_owned(),
            self.severity.word().to_owned(),
            self.opened_at.to_string(),
            self.resolved_at.map(|time| time.to_string()).unwrap_or_default(),
            self.resolution.map(|it| it.word().to_owned()).unwrap_or_default(),
            self.because.clone(),
            String::from_utf8(frameworks).unwrap_or_default(),
        ]
    }

    fn cells(&self, now: Time) -> Vec<Cell> {
        let state = match self.resolution {
            Some(resolution) => resolution.word().replace('_', " "),
            None => self.state.word().to_owned(),
        };
        vec![
            Cell::new(short_id(self.id)).tone(Tone::Faint),
            Cell::new(self.severity.word()).tone(tone(self.severity)),
            self.rule.clone().into(),
            Cell::ending(&self.external_id, SUBJECT_MOST),
            state.into(),
            age::since(self.resolved_at.unwrap_or(self.opened_at), now).into(),
            self.because.clone().into(),
        ]
    }
}

#[cfg(test)]
pub(crate) mod samples {
    use super::*;

    /// An open finding of that rule and severity.
    pub(crate) fn finding(rule: &str, severity: Severity) -> Finding {
        Finding {
            id: RecordId::from_bytes([9; 16]),
            rule: rule.to_owned(),
            rule_version: 1,
            subject: RecordId::from_bytes([7; 16]),
            external_id: "AKIAEXAMPLE".into(),
            source: None,
            state: FindingState::Open,
            severity,
            severity_steps: vec!["medium: the rule's own".into(), "high: it has administrator rights".into()],
            opened_at: Time::from_seconds(1_790_000_000 - 4 * 86_400),
            opened_as_of: Time::from_seconds(1_790_000_000 - 4 * 86_400),
            resolved_at: None,
            resolution: None,
            unconfirmed_since: None,
            baseline: false,
            because: "not used for 267 days, the limit is 90".into(),
            until: None,
            policy: String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{samples::finding, *};
    use crate::output::{
        inventory::samples::NOW,
        write::{Format, Look, write_rows},
    };

    fn written(format: Format) -> String {
        let mut out = Vec::new();
        let row = FindingRow::from(&finding("CRED-STALE", Severity::High));
        write_rows([row], format, &Look { width: 100, colour: false, now: NOW }, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn one_finding_a_line_with_the_pinned_fields_in_order() {
        insta::assert_snapshot!(written(Format::Ndjson), @r#"{"id":"09090909-0909-0909-0909-090909090909","rule":"CRED-STALE","rule_version":1,"subject":"07070707-0707-0707-0707-070707070707","external_id":"AKIAEXAMPLE","state":"open","severity":"high","opened_at":"2026-09-17T14:13:20Z","resolved_at":null,"resolution":null,"because":"not used for 267 days, the limit is 90","frameworks":{"cis_aws_5.0":["1.11"],"nist_csf":["PR.AA-01"],"nist_sp_800_53_r5":["AC-2(3)"],"owasp_nhi":["NHI1"],"pci_dss_4.0.1":["7.2.5.1"]}}"#);
    }

    #[test]
    fn the_table_fits() {
        let table = written(Format::Table);
        assert!(table.lines().all(|line| line.chars().count() <= 100), "{table}");
        insta::assert_snapshot!(table, @r#"
    ID        SEVERITY  RULE        SUBJECT      STATE  SINCE  BECAUSE
    09090909  high      CRED-STALE  AKIAEXAMPLE  open   4 d    not used for 267 days, the limit is 90
    "#);
    }
}
