//! Findings to bytes and back.
//! It must never lose why a finding was resolved.

use provost_model::{Finding, FindingState, Frameworks, RecordId, Resolution, Severity, Time};

use super::{decode as decode_form, encode as encode_form, malformed, v1};
use crate::StoreError;

const WHAT: &str = "a finding";

/// The numbers on disk are places in these tables; they only grow at the end.
const STATES: [FindingState; 3] = [FindingState::Open, FindingState::Suspended, FindingState::Resolved];
const SEVERITIES: [Severity; 5] = [Severity::Info, Severity::Low, Severity::Medium, Severity::High, Severity::Critical];
const RESOLUTIONS: [Resolution; 5] =
    [Resolution::Fixed, Resolution::Gone, Resolution::Accepted, Resolution::PolicyChanged, Resolution::RuleChanged];

/// The bytes of a finding.
pub fn encode(finding: &Finding) -> Result<Vec<u8>, StoreError> {
    let disk = v1::Finding {
        id: *finding.id.as_bytes(),
        rule: finding.rule.clone(),
        rule_version: finding.rule_version,
        subject: *finding.subject.as_bytes(),
        external_id: finding.external_id.clone(),
        source: finding.source.clone(),
        state: v1::code(&STATES, &finding.state),
        severity: v1::code(&SEVERITIES, &finding.severity),
        severity_steps: finding.severity_steps.clone(),
        opened_at: finding.opened_at.as_micros(),
        opened_as_of: finding.opened_as_of.as_micros(),
        resolved_at: finding.resolved_at.map(Time::as_micros),
        resolution: finding.resolution.map(|it| v1::code(&RESOLUTIONS, &it)),
        unconfirmed_since: finding.unconfirmed_since.map(Time::as_micros),
        baseline: finding.baseline,
        because: finding.because.clone(),
        owasp_nhi: finding.frameworks.owasp_nhi.clone(),
        nist_csf: finding.frameworks.nist_csf.clone(),
        other: finding.frameworks.other.clone(),
        until: finding.until.map(Time::as_micros),
        policy: finding.policy.clone(),
    };
    encode_form(WHAT, &disk)
}

/// The finding of these bytes.
pub fn decode(bytes: &[u8]) -> Result<Finding, StoreError> {
    from_disk(decode_form(WHAT, bytes)?).ok_or_else(|| malformed(WHAT))
}

fn from_disk(disk: v1::Finding) -> Option<Finding> {
    let resolution = disk.resolution.map(|code| v1::from_code(&RESOLUTIONS, code));
    Some(Finding {
        id: RecordId::from_bytes(disk.id),
        rule: disk.rule,
        rule_version: disk.rule_version,
        subject: RecordId::from_bytes(disk.subject),
        external_id: disk.external_id,
        source: disk.source,
        state: v1::from_code(&STATES, disk.state)?,
        severity: v1::from_code(&SEVERITIES, disk.severity)?,
        severity_steps: disk.severity_steps,
        opened_at: Time::from_micros(disk.opened_at),
        opened_as_of: Time::from_micros(disk.opened_as_of),
        resolved_at: disk.resolved_at.map(Time::from_micros),
        resolution: if let Some(known) = resolution { Some(known?) } else { None },
        unconfirmed_since: disk.unconfirmed_since.map(Time::from_micros),
        baseline: disk.baseline,
        because: disk.because,
        frameworks: Frameworks { owasp_nhi: disk.owasp_nhi, nist_csf: disk.nist_csf, other: disk.other },
        until: disk.until.map(Time::from_micros),
        policy: disk.policy,
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
            frameworks: Frameworks {
                owasp_nhi: vec!["NHI1".to_owned()],
                nist_csf: Vec::new(),
                other: vec![("cis_aws_5.0".to_owned(), "1.12".to_owned())],
            },
            until: Some(Time::from_seconds(99)),
            policy: "p1".to_owned(),
        }
    }

    #[test]
    fn every_state_severity_and_resolution_survives_its_bytes() {
        for state in STATES {
            for severity in SEVERITIES {
                for resolution in RESOLUTIONS.map(Some).into_iter().chain([None]) {
                    let finding = finding(state, severity, resolution);
                    let bytes = encode(&finding).unwrap();
                    assert_eq!(decode(&bytes).unwrap(), finding);
                    assert!(decode(&bytes[..bytes.len() - 1]).is_err());
                }
            }
        }
    }

    #[test]
    fn a_word_that_later_versions_may_add_is_refused() {
        let bytes = encode(&finding(FindingState::Open, Severity::Low, Some(Resolution::Gone))).unwrap();
        let mut disk: v1::Finding = decode_form(WHAT, &bytes).unwrap();
        disk.resolution = Some(99);
        assert!(decode(&encode_form(WHAT, &disk).unwrap()).is_err());
    }
}
