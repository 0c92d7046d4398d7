//! Cases for the truth tables of rules about cases.
//! It must never be compiled into the program.

use provost_model::{Finding, FindingState, Motion, Move, Purpose, RecordId, Resolution, Ruling, Severity, Step, Time};

use super::CaseFile;
use crate::{
    govern::{Governance, OpenFault},
    judge::finding_id,
    rules::{Outcome, Rule, sample::NOW},
    thresholds::Thresholds,
};

const SUBJECT: RecordId = RecordId::from_bytes([7; 16]);

/// A fault of the subject that stands since then.
pub(crate) fn fault(rule: &str, severity: Severity, opened: Time) -> Finding {
    Finding {
        id: finding_id(rule, SUBJECT),
        rule: rule.to_owned(),
        rule_version: 1,
        subject: SUBJECT,
        external_id: "AKIA1".into(),
        source: None,
        state: FindingState::Open,
        severity,
        severity_steps: Vec::new(),
        opened_at: opened,
        opened_as_of: opened,
        resolved_at: None,
        resolution: None,
        unconfirmed_since: None,
        baseline: false,
        because: String::new(),
        until: None,
        policy: String::new(),
    }
}

/// What ann asked for then about those rules' faults, and nobody had to agree to.
pub(crate) fn motion(rules: &[&str], ruling: Ruling, asked: Time) -> Motion {
    let purpose = Purpose::stated("leaver").unwrap();
    Motion {
        id: RecordId::from_bytes([9; 16]),
        subject: SUBJECT,
        findings: rules.iter().map(|rule| (finding_id(rule, SUBJECT), (*rule).to_owned())).collect(),
        ruling,
        because: Vec::new(),
        needs: 0,
        renewal: 0,
        policy: String::new(),
        steps: vec![Step { what: Move::Asked, by: "ann".into(), uid: 1001, at: asked, purpose }],
    }
}

/// A case to be judged.
pub(crate) struct Sheet {
    faults: Vec<Finding>,
    motions: Vec<Motion>,
    former: Option<Finding>,
    runs: bool,
}

impl Sheet {
    pub(crate) fn new(faults: Vec<Finding>) -> Self {
        Self { faults, motions: Vec::new(), former: None, runs: true }
    }

    /// The same, of which no deadline runs.
    pub(crate) fn waiting(self) -> Self {
        Self { runs: false, ..self }
    }

    pub(crate) fn with(mut self, motion: Motion) -> Self {
        self.motions.push(motion);
        self
    }

    /// The same, where the rule found something before that was settled then.
    pub(crate) fn settled(self, rule: &Rule, at: Time) -> Self {
        let found = fault(rule.id, rule.severity, at);
        let (state, resolution) = (FindingState::Resolved, Some(Resolution::Fixed));
        Self { former: Some(Finding { state, resolution, resolved_at: Some(at), ..found }), ..self }
    }

    /// Judges it and compares; gives the words of a failure.
    pub(crate) fn judged(&self, rule: &Rule, (about, word, until): (&str, &str, Option<Time>)) -> Option<String> {
        let runs = |finding: &Finding| self.runs.then_some(finding.opened_at);
        let faults: Vec<OpenFault<'_>> =
            self.faults.iter().map(|finding| OpenFault { finding, runs_since: runs(finding) }).collect();
        let governance = Governance::default();
        let file =
            CaseFile { faults: &faults, motions: &self.motions, governance: &governance, former: self.former.as_ref() };
        let verdict = rule.of_case(&file, &Thresholds::default(), NOW);
        assert_eq!((verdict.word(), verdict.until), (word, until), "{}: {about}: {verdict:?}", rule.id);
        match verdict.outcome {
            Outcome::Fail(because) => Some(because.words),
            _ => None,
        }
    }
}
