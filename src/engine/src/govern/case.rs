//! Everything that is wrong with one subject, as one case: one action, one owner, one deadline.
//! It must never count what was found before anybody said that it is to be worked off.

use std::cmp::Ordering;

use provost_model::{Finding, FindingState, Motion, Remedy, Severity, Time};

use super::Governance;
use crate::rules::is_about_cases;

/// A fault that stands, and since when it is to be worked off.
#[derive(Clone, Copy, Debug)]
pub struct OpenFault<'a> {
    /// The finding.
    pub finding: &'a Finding,
    /// Since when its deadline runs; `None` while it belongs to a baseline that nobody said is to be worked off.
    pub runs_since: Option<Time>,
}

/// A case as far as findings say it: the owner and what was decided are beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseView {
    /// As bad as its worst fault.
    pub severity: Severity,
    /// What its worst fault asks for.
    pub remedy: Remedy,
    /// Its rules, the worst first; after them those about the case itself.
    pub rules: Vec<String>,
    /// Since when something of it stands.
    pub opened_at: Time,
    /// By when all of it is to be settled: the nearest of all deadlines. `None` while none runs.
    pub deadline: Option<Time>,
    /// Everything was found by a first complete run.
    pub baseline: bool,
}

impl CaseView {
    /// The case of these faults; `None` if none stands. What is wrong with the case itself makes no case, and neither its
    /// severity nor its deadline.
    pub fn of(faults: &[OpenFault<'_>], governance: &Governance) -> Option<Self> {
        let mut open: Vec<&OpenFault<'_>> = faults.iter().filter(|it| it.is_open()).collect();
        open.sort_by(|one, other| worse_first(one.finding, other.finding));
        let worst = open.first()?.finding;
        let mut of_case: Vec<&Finding> = faults.iter().map(|it| it.finding).collect();
        of_case.retain(|it| it.state == FindingState::Open && is_about_cases(&it.rule));
        of_case.sort_by(|one, other| worse_first(one, other));
        Some(Self {
            severity: worst.severity,
            remedy: remedy_of(&worst.rule),
            rules: open.iter().map(|it| it.finding).chain(of_case).map(|it| it.rule.clone()).collect(),
            opened_at: open.iter().map(|it| it.finding.opened_at).min()?,
            deadline: deadline_of(faults, governance),
            baseline: open.iter().all(|it| it.finding.baseline),
        })
    }
}

impl OpenFault<'_> {
    /// Whether it stands, and is a fault of the subject, not of the case.
    fn is_open(&self) -> bool {
        self.finding.state == FindingState::Open && !is_about_cases(&self.finding.rule)
    }
}

/// By when all of these faults that stand are to be settled: the nearest of their deadlines. `None` while none runs.
pub fn deadline_of(faults: &[OpenFault<'_>], governance: &Governance) -> Option<Time> {
    let open = faults.iter().filter(|it| it.is_open());
    open.filter_map(|it| Some(it.runs_since? + governance.deadline(it.finding.severity))).min()
}

/// Since when the deadline of a finding runs. What a first complete run found waits for a word, unless it is critical;
/// `worked` says since when all of its sources' beginnings are worked off.
pub fn runs_since(finding: &Finding, worked: Option<Time>) -> Option<Time> {
    if !finding.baseline || finding.severity == Severity::Critical {
        return Some(finding.opened_at);
    }
    worked.map(|since| since.max(finding.opened_at))
}

/// Whether something was asked for about one of these faults since it stands.
pub fn answers<'f>(motion: &Motion, mut open: impl Iterator<Item = &'f Finding>) -> bool {
    let asked_at = motion.steps.first().map(|step| step.at);
    open.any(|it| asked_at >= Some(it.opened_at) && motion.findings.iter().any(|(id, _)| *id == it.id))
}

/// The worst first, then what asks for most, then by name: the same faults always make the same case.
fn worse_first(one: &Finding, other: &Finding) -> Ordering {
    let worse = other.severity.cmp(&one.severity);
    worse.then_with(|| remedy_of(&other.rule).cmp(&remedy_of(&one.rule))).then_with(|| one.rule.cmp(&other.rule))
}

/// What the worst of these faults asks for; a setting to be mended where there are none.
pub fn asked_for(faults: &[Finding]) -> Remedy {
    let worst = faults.iter().min_by(|one, other| worse_first(one, other));
    worst.map_or(Remedy::Mend, |it| remedy_of(&it.rule))
}

/// What a rule's faults ask for, each by what is safe to begin with: disable before delete.
pub fn remedy_of(rule: &str) -> Remedy {
    match rule {
        "OWN-NONE" | "OWN-LEFT" | "OWN-MOVED" | "AI-AGENT-UNGOV" => Remedy::Own,
        "CRED-STALE" | "CRED-NEVER" | "CRED-MULTI-ACTIVE" | "ID-IDLE" | "ID-ORPHAN-CONSUMER" | "ROOT-KEY" => {
            Remedy::Disable
        }
        "CRED-AGE"
        | "CRED-EXPIRING"
        | "CRED-LEAKED"
        | "CRED-NO-EXPIRY"
        | "CRED-EXPIRY-FAR"
        | "CRED-REUSED"
        | "CRED-REUSED-XENV"
        | "CRED-WEAK-KEY"
        | "CFG-PLAINTEXT-STORE"
        | "AUTH-LEGACY" => Remedy::Rotate,
        "CRED-EXPIRED-LEFT" | "CRED-INACTIVE-LEFT" => Remedy::Delete,
        "PRIV-ADMIN" | "PRIV-ESCALATE" | "PRIV-SCOPE-BROAD" | "PRIV-UNUSED" | "TRUST-EXTERNAL" | "TRUST-OIDC-LOOSE" => {
            Remedy::Restrict
        }
        // Settings of credentials, of sources and of the store.
        _ => Remedy::Mend,
    }
}

#[cfg(test)]
mod tests {
    use provost_model::Span;

    use super::*;
    use crate::rules::{ALL, fault};

    fn finding(rule: &str, severity: Severity, opened: i64) -> Finding {
        fault(rule, severity, Time::from_seconds(opened))
    }

    fn runs(finding: &Finding) -> OpenFault<'_> {
        OpenFault { finding, runs_since: Some(finding.opened_at) }
    }

    #[test]
    fn a_case_asks_for_what_its_worst_fault_asks_for_by_the_nearest_deadline() {
        let governance = Governance::default();
        let (old, worst) = (finding("CRED-AGE", Severity::Low, 0), finding("CRED-STALE", Severity::High, 5));
        let case = CaseView::of(&[runs(&old), runs(&worst)], &governance).unwrap();
        assert_eq!((case.severity, case.remedy), (Severity::High, Remedy::Disable));
        assert_eq!(case.rules, ["CRED-STALE", "CRED-AGE"]);
        assert_eq!(case.opened_at, Time::from_seconds(0));
        assert_eq!(case.deadline, Some(Time::from_seconds(5) + Span::days(7)));
        // An old low one may be due sooner than a young high one.
        let young = finding("CRED-STALE", Severity::High, 90 * 86_400);
        let case = CaseView::of(&[runs(&young), runs(&old)], &governance).unwrap();
        assert_eq!(case.deadline, Some(Time::from_seconds(0) + Span::days(90)));
    }

    #[test]
    fn of_a_baseline_no_deadline_runs_and_what_is_settled_makes_no_case() {
        let governance = Governance::default();
        let found = Finding { baseline: true, ..finding("CRED-AGE", Severity::High, 1) };
        let case = CaseView::of(&[OpenFault { finding: &found, runs_since: None }], &governance).unwrap();
        assert_eq!((case.deadline, case.baseline), (None, true));
        let settled = Finding { state: FindingState::Resolved, ..finding("CRED-AGE", Severity::High, 1) };
        assert_eq!(CaseView::of(&[runs(&settled)], &governance), None);
        assert_eq!(CaseView::of(&[], &governance), None);
    }

    #[test]
    fn what_is_wrong_with_a_case_makes_none_and_moves_nothing_of_it_but_its_rules() {
        let governance = Governance::default();
        let (age, breach) = (finding("CRED-AGE", Severity::Low, 50), finding("GOV-SLA-BREACH", Severity::Critical, 0));
        let alone = CaseView::of(&[runs(&age)], &governance).unwrap();
        let both = CaseView::of(&[runs(&breach), runs(&age)], &governance).unwrap();
        assert_eq!(both.rules, ["CRED-AGE", "GOV-SLA-BREACH"]);
        assert_eq!(CaseView { rules: alone.rules.clone(), ..both }, alone);
        assert_eq!(CaseView::of(&[runs(&breach)], &governance), None);
    }

    #[test]
    fn what_was_found_first_runs_from_the_word_about_it_unless_it_is_critical() {
        let at = |second| Some(Time::from_seconds(second));
        let found = |severity| Finding { baseline: true, ..finding("CRED-AGE", severity, 10) };
        let since = |severity, worked| runs_since(&found(severity), worked);
        assert_eq!(since(Severity::High, None), None);
        assert_eq!((since(Severity::High, at(20)), since(Severity::High, at(5))), (at(20), at(10)));
        assert_eq!(since(Severity::Critical, None), at(10));
        assert_eq!(runs_since(&finding("CRED-AGE", Severity::Low, 10), None), at(10));
    }

    #[test]
    fn every_rule_about_records_says_what_it_asks_for() {
        // Settings are mended; whatever else a new rule asks for has to be said above.
        let mended =
            ["AUTH-NO-BINDING", "CRED-ROTATION-OFF", "CRED-ROTATION-STUCK", "CRED-USAGE-UNKNOWN", "STORE-ROOM"];
        for rule in ALL {
            let said = remedy_of(rule.id) != Remedy::Mend || mended.contains(&rule.id) || rule.id.starts_with("SRC-");
            let said = said || is_about_cases(rule.id);
            assert!(said, "{}", rule.id);
        }
    }
}
