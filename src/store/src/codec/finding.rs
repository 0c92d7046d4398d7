//! Findings to bytes and back: all of one subject together, since they are judged together.
//! It must never lose why a finding was resolved.

use provost_model::{Finding, FindingState, RecordId, Resolution, Severity, Time};

use super::{decode as decode_form, encode as encode_form, malformed, v1};
use crate::StoreError;

const WHAT: &str = "findings";

/// The numbers on disk are places in these tables; they only grow at the end.
const STATES: [FindingState; 3] = [FindingState::Open, FindingState::Suspended, FindingState::Resolved];
const SEVERITIES: [Severity; 5] = [Severity::Info, Severity::Low, Severity::Medium, Severity::High, Severity::Critical];
const RESOLUTIONS: [Resolution; 5] =
    [Resolution::Fixed, Resolution::Gone, Resolution::Accepted, Resolution::PolicyChanged, Resolution::RuleChanged];

/// The bytes of all findings about a subject.
pub fn encode(subject: RecordId, findings: &[Finding]) -> Result<Vec<u8>, StoreError> {
    let disk = v1::Findings {
        subject: *subject.as_bytes(),
        external_id: findings.last().map_or("", |finding| &finding.external_id),
        source: findings.last().and_then(|finding| finding.source.as_deref()),
        findings: findings.iter().map(to_disk).collect(),
    };
    encode_form(WHAT, &disk)
}

/// The findings of these bytes.
pub fn decode(bytes: &[u8]) -> Result<Vec<Finding>, StoreError> {
    let disk: v1::Findings<'_> = decode_form(WHAT, bytes)?;
    let about = (RecordId::from_bytes(disk.subject), disk.external_id, disk.source);
    disk.findings.into_iter().map(|finding| from_disk(finding, about).ok_or_else(|| malformed(WHAT))).collect()
}

fn to_disk(finding: &Finding) -> v1::Finding<'_> {
    v1::Finding {
        id: *finding.id.as_bytes(),
        rule: &finding.rule,
        rule_version: finding.rule_version,
        state: v1::code(&STATES, &finding.state),
        severity: v1::code(&SEVERITIES, &finding.severity),
        severity_steps: finding.severity_steps.iter().map(String::as_str).collect(),
        opened_at: finding.opened_at.as_micros(),
        opened_as_of: finding.opened_as_of.as_micros(),
        resolved_at: finding.resolved_at.map(Time::as_micros),
        resolution: finding.resolution.map(|it| v1::code(&RESOLUTIONS, &it)),
        unconfirmed_since: finding.unconfirmed_since.map(Time::as_micros),
        baseline: finding.baseline,
        because: &finding.because,
        until: finding.until.map(Time::as_micros),
        policy: &finding.policy,
    }
}

fn from_disk(disk: v1::Finding<'_>, about: (RecordId, &str, Option<&str>)) -> Option<Finding> {
    let (subject, external_id, source) = about;
    let resolution = disk.resolution.map(|code| v1::from_code(&RESOLUTIONS, code));
    Some(Finding {
        id: RecordId::from_bytes(disk.id),
        rule: disk.rule.to_owned(),
        rule_version: disk.rule_version,
        subject,
        external_id: external_id.to_owned(),
        source: source.map(str::to_owned),
        state: v1::from_code(&STATES, disk.state)?,
        severity: v1::from_code(&SEVERITIES, disk.severity)?,
        severity_steps: disk.severity_steps.into_iter().map(str::to_owned).collect(),
        opened_at: Time::from_micros(disk.opened_at),
        opened_as_of: Time::from_micros(disk.opened_as_of),
        resolved_at: disk.resolved_at.map(Time::from_micros),
        resolution: if let Some(known) = resolution { Some(known?) } else { None },
        unconfirmed_since: disk.unconfirmed_since.map(Time::from_micros),
        baseline: disk.baseline,
        because: disk.because.to_owned(),
        until: disk.until.map(Time::from_micros),
        policy: disk.policy.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(state: FindingState, severity: Severity, resolution: Option<Resolution>) -> Finding {
        Finding {
            id: RecordId::from_bytes([1; 16]),
            rule: "CRED-STALE".to_owned(),
            rule_version: 3,
            subject: RecordId::from_bytes([2; 16]),
            external_id: "AKIAEXAMPLE".to_owned(),
            source: Some("aws-prod".to_owned()),
            state,
            severity,
            severity_steps: vec!["base medium".to_owned(), "admin +1".to_owned()],
            opened_at: Time::from_seconds(10),
            opened_as_of: Time::from_seconds(9),
            resolved_at: resolution.map(|_| Time::from_seconds(20)),
            resolution,
            unconfirmed_since: None,
            baseline: true,
            because: "unused for 200 days".to_owned(),
            until: Some(Time::from_seconds(99)),
            policy: "p1".to_owned(),
        }
    }

    #[test]
    fn every_state_severity_and_resolution_survives_its_bytes() {
        let subject = RecordId::from_bytes([2; 16]);
        let mut all = Vec::new();
        for state in STATES {
            for severity in SEVERITIES {
                all.extend(RESOLUTIONS.map(Some).into_iter().chain([None]).map(|it| finding(state, severity, it)));
            }
        }
        let bytes = encode(subject, &all).unwrap();
        assert_eq!(decode(&bytes).unwrap(), all);
        assert!(decode(&bytes[..bytes.len() - 1]).is_err());
        assert_eq!(decode(&encode(subject, &[]).unwrap()).unwrap(), []);
    }

    #[test]
    fn a_word_that_later_versions_may_add_is_refused() {
        let subject = RecordId::from_bytes([2; 16]);
        let bytes = encode(subject, &[finding(FindingState::Open, Severity::Low, Some(Resolution::Gone))]).unwrap();
        let mut disk: v1::Findings<'_> = decode_form(WHAT, &bytes).unwrap();
        disk.findings[0].resolution = Some(99);
        assert!(decode(&encode_form(WHAT, &disk).unwrap()).is_err());
    }
}
