//! `[governance]` as meant.
//! It must never let a worse fault stand longer than a milder one, nor a risk be taken without end.

use std::time::Duration;

use provost_engine::govern::{Deadlines, Governance};

use super::{super::typed::TypedGovernance, Check};

/// Longest deadline, and longest exception.
const LONGEST: Duration = Duration::from_secs(3 * 366 * 86_400);
/// Most renewals and approvals that anybody means.
const RENEWALS_MAX: u32 = 20;
const APPROVALS_MAX: u8 = 5;

impl Check {
    pub(super) fn governance(&mut self, typed: &TypedGovernance) -> Governance {
        let usual = Governance::default();
        let mut length = |setting: &str, text: Option<&String>, usual: i64| {
            let setting = format!("governance.{setting}");
            let usual = Duration::from_secs(usual.unsigned_abs());
            let length = self.length(setting.clone(), text, usual);
            if length < Duration::from_secs(60) || length > LONGEST {
                self.fault(setting, "between 1m and 1098d");
            }
            i64::try_from(length.as_secs()).unwrap_or(i64::MAX)
        };
        let of = usual.deadlines;
        let deadlines = Deadlines {
            critical: length("deadline_critical", typed.deadline_critical.as_ref(), of.critical),
            high: length("deadline_high", typed.deadline_high.as_ref(), of.high),
            medium: length("deadline_medium", typed.deadline_medium.as_ref(), of.medium),
            low: length("deadline_low", typed.deadline_low.as_ref(), of.low),
            info: length("deadline_info", typed.deadline_info.as_ref(), of.info),
        };
        let longest_exception = length("longest_exception", typed.longest_exception.as_ref(), usual.longest_exception);
        let containment = length("containment", typed.containment.as_ref(), usual.containment);
        let Deadlines { critical, high, medium, low, info } = deadlines;
        if !(critical <= high && high <= medium && medium <= low && low <= info) {
            self.fault("governance", "a worse fault may not stand longer than a milder one");
        }
        let renewals = typed.renewals.unwrap_or(usual.renewals);
        if renewals > RENEWALS_MAX {
            self.fault("governance.renewals", format!("at most {RENEWALS_MAX}"));
        }
        let approvals = typed.approvals.unwrap_or(usual.approvals);
        if !(1..=APPROVALS_MAX).contains(&approvals) {
            self.fault("governance.approvals", format!("between 1 and {APPROVALS_MAX}: nobody approves alone"));
        }
        Governance { deadlines, longest_exception, renewals, approvals, containment }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meant(typed: &TypedGovernance) -> (Governance, Vec<String>) {
        let mut check = Check::default();
        let governance = check.governance(typed);
        (governance, check.0.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn nothing_said_is_the_usual_and_what_is_said_holds() {
        assert_eq!(meant(&TypedGovernance::default()), (Governance::default(), Vec::new()));
        let typed = TypedGovernance {
            deadline_critical: Some("4h".into()),
            longest_exception: Some("90d".into()),
            renewals: Some(0),
            approvals: Some(1),
            ..TypedGovernance::default()
        };
        let (governance, problems) = meant(&typed);
        assert_eq!(problems, [""; 0]);
        assert_eq!((governance.deadlines.critical, governance.renewals, governance.approvals), (4 * 3_600, 0, 1));
        assert_eq!(governance.longest_exception, 90 * 86_400);
    }

    #[test]
    fn what_cannot_be_meant_is_said_all_at_once() {
        let typed = TypedGovernance {
            deadline_low: Some("1h".into()),
            deadline_info: Some("soon".into()),
            longest_exception: Some("10000d".into()),
            renewals: Some(99),
            approvals: Some(0),
            ..TypedGovernance::default()
        };
        let (_, problems) = meant(&typed);
        for said in ["governance: a worse", "deadline_info", "longest_exception", "renewals", "approvals"] {
            assert!(problems.iter().any(|it| it.contains(said)), "{said}: {problems:?}");
        }
    }
}
