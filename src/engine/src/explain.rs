//! A finding told in full: what the rule says, what it rests on, how the severity came about, what to do.
//! It must never print a control character that came from outside.

use std::fmt::Write;

use provost_model::{FieldSet, Finding, FindingState, Reading, Time, Value};

use crate::{
    own::told,
    rules::{Covered, Mapping, Outcome, Rule, Subject, Verdict},
};

/// What there is to tell with a finding, as far as it could be loaded.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// The finding.
    pub finding: &'a Finding,
    /// Its subject now; `None` for sources.
    pub subject: Option<&'a Subject<'a>>,
    /// What the rule says of it now.
    pub verdict: Option<&'a Verdict>,
    /// The time.
    pub now: Time,
}

/// The text of `provost findings explain ID`, lines ending in newlines.
pub fn explain(told: &Told<'_>) -> String {
    let finding = told.finding;
    let rule = Rule::of_id(&finding.rule);
    let mut out = String::new();
    let title = rule.map_or("a rule this version does not know", |rule| rule.title);
    line(&mut out, 0, &format!("{} (version {}): {title}", finding.rule, finding.rule_version));
    line(&mut out, 0, &format!("about {}{}", subject_name(told), state(finding)));
    section(&mut out, "Found", [finding.because.clone()]);
    if let Some(rule) = rule {
        section(&mut out, "Why it matters", [rule.why.to_owned()]);
    }
    if let Some(subject) = told.subject {
        section(&mut out, "What it rests on", rests_on(rule, subject));
    }
    section(&mut out, "Severity", finding.severity_steps.clone());
    section(&mut out, "Judged now", now(told));
    section(&mut out, "When it may change", [when(told)]);
    if let Some(rule) = rule {
        section(&mut out, "What to do", [rule.remedy.to_owned()]);
    }
    if let Some(rule) = rule {
        section(&mut out, "Frameworks", frameworks(&rule.frameworks));
    }
    out
}

fn subject_name(told: &Told<'_>) -> String {
    match (told.subject, &told.finding.source) {
        (_, Some(source)) => format!("source {source}"),
        (Some(subject), None) => {
            let record = subject.record;
            format!("{} {} ({}, {})", record.kind, record.name(), record.external(), record.realm)
        }
        (None, None) => told.finding.external_id.clone(),
    }
}

fn state(finding: &Finding) -> String {
    let opened = format!(", {}, open since {}", finding.severity, finding.opened_at.whole_seconds());
    let more = match finding.state {
        FindingState::Open if finding.unconfirmed_since.is_some() => {
            let since = finding.unconfirmed_since.map(|at| at.whole_seconds().to_string()).unwrap_or_default();
            format!(", unconfirmed since {since}")
        }
        FindingState::Open => String::new(),
        FindingState::Suspended => ", suspended: its subject left the selection".to_owned(),
        FindingState::Resolved => {
            let reason = finding.resolution.map_or("resolved", |reason| reason.word());
            let at = finding.resolved_at.map(|at| at.whole_seconds().to_string()).unwrap_or_default();
            format!(", resolved at {at}: {reason}")
        }
    };
    let baseline = if finding.baseline { ", in the source's baseline" } else { "" };
    format!("{opened}{more}{baseline}")
}

/// One line per attribute the rule reads: the reading, its time, who says it.
fn rests_on(rule: Option<&Rule>, subject: &Subject<'_>) -> Vec<String> {
    let fields = rule.map_or(FieldSet::EMPTY, |rule| rule.reads);
    let mut lines: Vec<String> = fields
        .iter()
        .filter_map(|field| {
            let (reading, said) = subject.record.said(field)?;
            let by = subject.covers.iter().find(|it: &&Covered<'_>| it.scope == said.scope);
            let by = by.map_or_else(|| format!("scope {}", said.scope.0), |it| format!("{} ({})", it.source, it.path));
            let fresh = subject.freshness(said);
            let stood =
                if fresh > said.as_of { format!(", still so at {}", fresh.whole_seconds()) } else { String::new() };
            let as_of = said.as_of.whole_seconds();
            Some(format!("{field}: {}, as of {as_of}{stood}, from {by}", shown(reading)))
        })
        .collect();
    if let Some(owner) = subject.owner {
        lines.extend(told(owner).into_iter().enumerate().map(|(at, line)| {
            let heading = if at == 0 { "owner: " } else { "  " };
            format!("{heading}{line}")
        }));
    }
    lines
}

fn shown(reading: Reading<&Value>) -> String {
    match reading {
        Reading::Known(Value::Bool(it)) => it.to_string(),
        Reading::Known(Value::Int(it)) => it.to_string(),
        Reading::Known(Value::Time(it)) => it.whole_seconds().to_string(),
        Reading::Known(Value::Text(it)) => it.clone(),
        Reading::Known(Value::List(it)) => it.join(", "),
        Reading::Known(Value::Map(it)) => {
            it.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", ")
        }
        unknown => unknown.word().to_owned(),
    }
}

fn now(told: &Told<'_>) -> Vec<String> {
    let Some(verdict) = told.verdict else { return Vec::new() };
    let as_of = verdict.as_of.map(|at| format!("on data as of {}", at.whole_seconds()));
    let said = match &verdict.outcome {
        Outcome::Pass => "the fault is not there".to_owned(),
        Outcome::NotApplicable => "the rule does not apply".to_owned(),
        Outcome::Fail(because) => because.words.clone(),
        Outcome::Inconclusive(why) => format!("cannot be told: {}", why.words()),
    };
    std::iter::once(said).chain(as_of).collect()
}

fn when(told: &Told<'_>) -> String {
    let until = told.verdict.map_or(told.finding.until, |verdict| verdict.until);
    match until {
        Some(at) if at > told.now => format!("by itself at {}, or when something new is seen", at.whole_seconds()),
        Some(_) => "at the next look: its time has come".to_owned(),
        None => "only when something new is seen, or a threshold or the rule changes".to_owned(),
    }
}

fn frameworks(ids: &Mapping) -> Vec<String> {
    let mut lines = Vec::new();
    if !ids.owasp_nhi.is_empty() {
        lines.push(format!("OWASP NHI Top 10 (2025): {}", ids.owasp_nhi.join(", ")));
    }
    if !ids.nist_csf.is_empty() {
        lines.push(format!("NIST CSF 2.0: {}", ids.nist_csf.join(", ")));
    }
    lines.extend(ids.other.iter().map(|(key, id)| format!("{key}: {id}")));
    lines
}

fn section(out: &mut String, heading: &str, lines: impl IntoIterator<Item = String>) {
    let mut lines = lines.into_iter().filter(|text| !text.is_empty()).peekable();
    if lines.peek().is_none() {
        return;
    }
    out.push('\n');
    line(out, 0, heading);
    lines.for_each(|text| line(out, 2, &text));
}

/// One line, with whatever could move a cursor or turn the direction of writing escaped.
fn line(out: &mut String, indent: usize, text: &str) {
    out.extend(std::iter::repeat_n(' ', indent));
    for character in text.chars() {
        if character.is_control() || is_format(character) {
            let _ = write!(out, "{}", character.escape_unicode());
        } else {
            out.push(character);
        }
    }
    out.push('\n');
}

/// Marks that are invisible or turn the direction of writing.
fn is_format(character: char) -> bool {
    let ranges = ['\u{200b}'..='\u{200f}', '\u{2028}'..='\u{202e}', '\u{2060}'..='\u{206f}', '\u{feff}'..='\u{feff}'];
    character == '\u{61c}' || ranges.iter().any(|range| range.contains(&character))
}

#[cfg(test)]
mod tests {
    use provost_model::{PartId, Presence, ScopeNo, field};

    use super::*;
    use crate::{
        judge::{Case, Measure, judge},
        rules::sample::{NOW, ago, key, user},
        thresholds::Thresholds,
    };

    fn told(name: &str) -> String {
        let record = key().with(field::LAST_USED_AT, ago(267)).with(field::NAME, name.to_owned()).told(ago(1)).build();
        let identity = user().with(field::ADMIN, true).build();
        let covers = [Covered { scope: ScopeNo(1), part: PartId::WHOLE, as_of: NOW, source: "aws-prod", path: "iam" }];
        let subject = Subject { identity: Some(&identity), covers: &covers, ..Subject::alone(&record) };
        let rule = Rule::of_id("cred-stale").unwrap();
        let thresholds = Thresholds::default();
        let verdict = rule.of_record(&subject, &thresholds, NOW);
        let case = Case {
            rule,
            subject: record.id,
            external_id: record.external(),
            source: None,
            presence: Presence::Present,
            baseline: true,
            measure: Measure { figures: thresholds.digest_of(rule.id), beside: None },
            now: NOW,
        };
        let finding = judge(None, &verdict, &case).unwrap();
        explain(&Told { finding: &finding, subject: Some(&subject), verdict: Some(&verdict), now: NOW })
    }

    #[test]
    fn everything_it_rests_on_is_told() {
        let text = told("deploy");
        for words in [
            "CRED-STALE (version 1): active credential not used for a long time",
            "about access_key deploy (X1, aws:123456789012), high, open since 2026-11-24T12:00:00Z, in the source's baseline",
            "  active, last used 2026-03-02, 267 days ago, over 45 days",
            "  last_used_at: 2026-03-02T12:00:00Z, as of 2026-11-23T12:00:00Z, still so at 2026-11-24T12:00:00Z, from aws-prod (iam)",
            "  expires_at: not_reported",
            "  medium: the rule's own severity",
            "  high: raised one step, because privileged (administrator rights)",
            "  only when something new is seen",
            "  OWASP NHI Top 10 (2025): NHI1",
            "  cis_aws_5.0: 1.11",
            "What to do\n  Find out what it was for",
        ] {
            assert!(text.contains(words), "{words:?} in\n{text}");
        }
    }

    #[test]
    fn what_comes_from_outside_moves_no_cursor() {
        let text = told("a\x1b[2J\r\n\u{202e}b");
        assert!(text.contains("a\\u{1b}[2J\\u{d}\\u{a}\\u{202e}b"), "{text}");
        assert!(text.chars().all(|it| it == '\n' || !it.is_control()));
    }
}
