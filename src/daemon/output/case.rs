//! One row of the docket, with the field names other programs rely on.
//! It must never show a deadline that does not run.

use provost_model::{DecisionId, RecordId, Remedy, Severity, Time};
use serde::Serialize;

use super::{
    age,
    finding::tone,
    inventory::short_id,
    table::{Cell, Tone},
    write::Row,
};

/// Longest name in a table.
const NAME_MOST: usize = 22;

/// One case as it is listed. Field names and order are pinned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CaseRow {
    /// The subject: a record, or what stands for a source or the store.
    pub id: RecordId,
    /// The record's kind; `source` and `store` for those.
    pub kind: &'static str,
    /// What people call it.
    pub name: String,
    /// What the provider calls it.
    pub external_id: String,
    /// The sources that see it.
    pub source: Vec<String>,
    /// As bad as its worst fault.
    pub severity: Severity,
    /// What its worst fault asks for.
    pub action: Remedy,
    /// Who answers for it.
    pub owner: Option<String>,
    /// By when it is to be settled; null while no deadline runs.
    pub deadline: Option<Time>,
    /// Whether that is past.
    pub overdue: bool,
    /// Its rules, the worst first.
    pub rules: Vec<String>,
    /// Since when something of it stands.
    pub opened_at: Time,
    /// open, asked (a decision waits for others), decided, guarded (a guardrail decided).
    pub stage: &'static str,
    /// The decision that is asked for or holds.
    pub decision: Option<DecisionId>,
    /// Everything was found by a first complete run.
    pub baseline: bool,
}

impl Row for CaseRow {
    const FIELDS: &'static [&'static str] = &[
        "id",
        "kind",
        "name",
        "external_id",
        "source",
        "severity",
        "action",
        "owner",
        "deadline",
        "overdue",
        "rules",
        "opened_at",
        "stage",
        "decision",
        "baseline",
    ];
    const HEADINGS: &'static [&'static str] =
        &["id", "severity", "subject", "action", "owner", "due", "stage", "rules"];

    fn fields(&self) -> Vec<String> {
        vec![
            self.id.to_string(),
            self.kind.to_owned(),
            self.name.clone(),
            self.external_id.clone(),
            self.source.join(" "),
            self.severity.word().to_owned(),
            self.action.word().to_owned(),
            self.owner.clone().unwrap_or_default(),
            self.deadline.map(|it| it.to_string()).unwrap_or_default(),
            self.overdue.to_string(),
            self.rules.join(" "),
            self.opened_at.to_string(),
            self.stage.to_owned(),
            self.decision.map(|it| it.to_string()).unwrap_or_default(),
            self.baseline.to_string(),
        ]
    }

    fn cells(&self, now: Time) -> Vec<Cell> {
        let due = match self.deadline {
            Some(deadline) if self.overdue => Cell::new(format!("{} ago", age::since(deadline, now))).tone(Tone::Bad),
            Some(deadline) => Cell::new(age::since(deadline, now)),
            None => Cell::new("-").tone(Tone::Faint),
        };
        let owner = match &self.owner {
            Some(owner) => Cell::beginning(owner, NAME_MOST),
            None => Cell::new("nobody").tone(Tone::Warn),
        };
        vec![
            Cell::new(short_id(self.id)).tone(Tone::Faint),
            Cell::new(self.severity.word()).tone(tone(self.severity)),
            Cell::ending(&self.name, NAME_MOST),
            self.action.word().into(),
            owner,
            due,
            self.stage.into(),
            self.rules.join(" ").into(),
        ]
    }
}
