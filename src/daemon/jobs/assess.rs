//! Judges sources: are they read as often as promised, is anything held back, could their credential write?
//! It must never judge what a source sees; that is `judge`.

use provost_engine::{
    Case, Hearing, Measure, Policy, Rule, SourceView, Thresholds,
    govern::Governance,
    judge_case, rejudge,
    rules::{Held, ScopeView, Verdict},
    source_subject, withdraw,
};
use provost_model::{Finding, Motion, Outcome, Presence, Reading, RecordId, Span, Time};
use provost_store::{StoreError, inventory::Draft};

use super::judge::Yardstick;
use crate::{house::House, worked::Worked};

/// What the configuration says of a source, as far as judging it needs.
#[derive(Clone, Debug)]
pub struct Watched {
    /// Its name.
    pub name: String,
    /// Its connector.
    pub connector: String,
    /// The longest time between two runs of its schedule.
    pub period: Option<Span>,
}

/// Judges a source; gives the number of findings that changed.
pub fn assess(house: &House, yardstick: &Yardstick, watched: &Watched) -> Result<u64, StoreError> {
    house.again(|| assess_once(house, yardstick, watched))
}

fn assess_once(house: &House, yardstick: &Yardstick, watched: &Watched) -> Result<u64, StoreError> {
    let _gavel = house.gavel();
    let now = house.now();
    let subject = source_subject(&watched.name);
    let mut draft = Draft::new(house.inventory(), now);
    // Read before what it is judged by: whoever judges a later state meanwhile is noticed.
    let mut findings = draft.findings_of(subject)?;
    let view = view(house, watched, now)?;
    let docketed = Docketed::of(house, yardstick, subject)?;
    let changed = judge(&mut findings, &view, (&yardstick.policy, &docketed), now);
    if changed > 0 {
        draft.put_findings(subject, &findings)?;
        draft.commit()?;
    }
    Ok(changed)
}

/// A source's findings as each of these policies would have them.
pub(super) fn supposed<const N: usize>(
    house: &House,
    watched: &Watched,
    (yardstick, policies, now): (&Yardstick, [&Policy; N], Time),
) -> Result<[Vec<Finding>; N], StoreError> {
    let subject = source_subject(&watched.name);
    let findings = house.inventory().findings_at(subject, None)?;
    let view = view(house, watched, now)?;
    let docketed = Docketed::of(house, yardstick, subject)?;
    Ok(policies.map(|policy| {
        let mut findings = findings.clone();
        judge(&mut findings, &view, (policy, &docketed), now);
        findings
    }))
}

/// Brings a source's findings up to date; gives the number of those that changed.
fn judge(
    findings: &mut Vec<Finding>,
    view: &SourceView,
    (policy, docketed): (&Policy, &Docketed<'_>),
    now: Time,
) -> u64 {
    let thresholds = policy.of_source(&view.name);
    let subject = source_subject(&view.name);
    let ours = Ours { subject, name: &view.name, source: Some(&view.name), docketed };
    ours.judge(findings, Rule::about_sources, (&thresholds, now), &|rule| rule.of_source(view, &thresholds, now))
}

/// What is Provost's own and judged, not met by a source.
pub(super) struct Ours<'a> {
    /// What stands for it where a finding names its subject.
    pub(super) subject: RecordId,
    /// What it is called there.
    pub(super) name: &'a str,
    /// The source, if it is one.
    pub(super) source: Option<&'a str>,
    /// What was decided about it.
    pub(super) docketed: &'a Docketed<'a>,
}

/// What was decided about a source or the store, and what rules about its case go by.
pub(super) struct Docketed<'a> {
    motions: Vec<Motion>,
    governance: &'a Governance,
    by: String,
}

impl<'a> Docketed<'a> {
    pub(super) fn of(house: &House, yardstick: &'a Yardstick, subject: RecordId) -> Result<Self, StoreError> {
        let (inventory, governance) = (house.inventory(), &yardstick.governance);
        let by = yardstick.cases_digest(&Worked::of(inventory)?);
        Ok(Self { motions: inventory.motions_of(subject, None)?, governance, by })
    }
}

impl Ours<'_> {
    /// Brings its findings up to date by these rules, each of which `verdict` asks; gives the number of those that changed.
    pub(super) fn judge<R: Iterator<Item = &'static Rule>>(
        &self,
        findings: &mut Vec<Finding>,
        rules: impl Fn() -> R,
        (thresholds, now): (&Thresholds, Time),
        verdict: &dyn Fn(&Rule) -> Verdict,
    ) -> u64 {
        let mut changed = 0;
        for rule in rules() {
            let case = Case {
                rule,
                subject: self.subject,
                external_id: self.name,
                source: self.source,
                presence: Presence::Present,
                baseline: false,
                measure: Measure { figures: thresholds.digest_of(rule.id), beside: None },
                now,
            };
            changed += u64::from(rejudge(findings, &verdict(rule), &case));
        }
        changed += withdraw(findings, rules().chain(Rule::about_cases()), now);
        // Time alone changes nothing that the next look, which comes anyhow, would not see.
        let hearing = Hearing {
            subject: self.subject,
            external_id: self.name,
            source: self.source,
            presence: Presence::Present,
            motions: &self.docketed.motions,
            worked: None,
            governance: self.docketed.governance,
            by: &self.docketed.by,
        };
        changed + judge_case(findings, &hearing, thresholds, now).changed
    }
}

fn view(house: &House, watched: &Watched, now: Time) -> Result<SourceView, StoreError> {
    let inventory = house.inventory();
    let row = inventory.source(&watched.name)?;
    let scopes = inventory.scopes(Some(&watched.name))?;
    let runs = inventory.runs(&watched.name)?;
    let since = runs.first().map_or(now, |run| run.started);
    let held_since =
        runs.iter().rev().take_while(|run| run.outcome == Outcome::Held).last().map_or(now, |run| run.started);
    let mut held: Vec<Held> = scopes
        .iter()
        .filter(|row| row.held > 0)
        .map(|row| Held { scope: row.scope.path.clone(), absences: row.held, of: row.present, since: held_since })
        .collect();
    if let (Some(pinned), Some(met)) = (&row.realm, &row.met) {
        // A source that shows another authority holds back everything.
        let present = scopes.iter().map(|row| row.present).sum();
        held.push(Held {
            scope: format!("{pinned}, where it now meets {met}"),
            absences: present,
            of: present,
            since: held_since,
        });
    }
    Ok(SourceView {
        name: watched.name.clone(),
        connector: watched.connector.clone(),
        period: watched.period,
        since,
        scopes: scopes
            .iter()
            .filter(|row| row.watched)
            .map(|row| ScopeView { path: row.scope.path.clone(), covered_at: row.covered_at })
            .collect(),
        credential_expires_at: row.credential_expires.map_or(Reading::NotCollected, Reading::Known),
        held,
        writable: row
            .could_write
            .map_or(Reading::NotCollected, |words| Reading::Known(words.lines().map(str::to_owned).collect())),
    })
}
