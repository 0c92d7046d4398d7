//! PRIV-ADMIN: a machine identity with administrator rights.
//! It must never be raised on rights that were not evaluated.

use provost_model::{FieldSet, Kind, Reading, Severity, Time, field};

use super::{Check, Judged, Mapping, Rule, Verdict, View, life, who};
use crate::{severity::Raiser, thresholds::Thresholds};

/// What this rule is.
pub(super) static SPEC: Rule = Rule {
    id: "PRIV-ADMIN",
    version: 1,
    severity: Severity::High,
    title: "machine identity with administrator rights",
    why: "Whoever holds one of its credentials owns everything, without a second factor and without a face.",
    remedy: "Give it only the rights it uses; where it truly must administer, let it take such a role for the time of the task.",
    frameworks: Mapping {
        owasp_nhi: &["NHI5"],
        nist_csf: &["PR.AA-05"],
        other: &[("nist_sp_800_53_r5", "AC-6(5)"), ("pci_dss_4.0.1", "7.2.5"), ("iso_27001_2022", "A.8.2")],
    },
    needs: &[
        Kind::User,
        Kind::ServiceAccount,
        Kind::Role,
        Kind::ServicePrincipal,
        Kind::Application,
        Kind::AiAgent,
        Kind::Workload,
    ],
    reads: FieldSet::of(&[
        field::STATUS.field(),
        field::EXPIRES_AT.field(),
        field::LOCATION.field(),
        field::PATH.field(),
        field::ARN.field(),
        field::NATURE.field(),
        field::ADMIN.field(),
        field::ADMIN_BECAUSE.field(),
        field::NOT_EVALUATED.field(),
        field::CREATED_AT.field(),
        field::ROTATED_AT.field(),
        field::ISSUED_AT.field(),
    ]),
    neighbours: &[],
    dates: false,
    figures: &["grace_days"],
    check: Check::Record(check),
};

fn check(view: &View<'_>, thresholds: &Thresholds, now: Time) -> Judged {
    let working = life::working(view, now)?;
    // ROOT-KEY judges the root; people with administrator rights are another matter.
    if who::is_no_machine_of_ours(view) {
        return Ok(Verdict::not_applicable());
    }
    match view.get(field::ADMIN) {
        Reading::Known(true) => {}
        Reading::Known(false) | Reading::Never => return Ok(Verdict::pass()),
        Reading::NotReported => return Ok(Verdict::not_applicable()),
        unknown => return Err(Verdict::unknown("admin", &unknown)),
    }
    life::usual_grace(view, thresholds, now)?;
    let words = || {
        let mut words = format!("{working}, holds administrator rights");
        if let Some(because) = view.text(field::ADMIN_BECAUSE).known().filter(|it| !it.is_empty()) {
            words.push_str(&format!(": {because}"));
        }
        words.push_str(&not_evaluated(view));
        if view.text(field::NATURE).known() == Some("unclear") {
            words.push_str("; whether people or machines use it is unclear");
        }
        words
    };
    // Being privileged is the fault itself here, no reason to raise it.
    let raisers = view.raisers().into_iter().filter(|it| !matches!(it, Raiser::Privileged(_))).collect();
    Ok(Verdict::fail(view.says(words), raisers))
}

/// What to add to words about rights where some were not evaluated. Needs `not_evaluated` declared.
pub(super) fn not_evaluated(view: &View<'_>) -> String {
    let missing = view.list(field::NOT_EVALUATED).known().filter(|it| !it.is_empty());
    missing.map_or_else(String::new, |it| format!("; not evaluated: {}", it.join(", ")))
}

#[cfg(test)]
mod tests {
    use provost_model::Status;

    use super::*;
    use crate::rules::sample::{NOW, World, ago, truth, user};

    #[test]
    fn truth_table() {
        let rights = |reading| World::from(user().with(field::ADMIN, reading));
        let admin = || user().with(field::ADMIN, true).with(field::ADMIN_BECAUSE, "AdministratorAccess".to_owned());
        let limits = vec!["service control policies".to_owned()];
        let words = truth(
            &SPEC,
            vec![
                ("administrator", admin().with(field::NOT_EVALUATED, limits).into(), "fail"),
                ("no administrator", rights(Reading::Known(false)), "pass"),
                ("grace: made lately", admin().with(field::CREATED_AT, ago(6)).into(), "pass"),
                ("edge: exactly the grace", admin().with(field::CREATED_AT, ago(7)).into(), "fail"),
                ("unknown: not reported", rights(Reading::NotReported), "not_applicable"),
                ("unknown: not collected", rights(Reading::NotCollected), "inconclusive"),
                ("denied", rights(Reading::NotPermitted), "inconclusive"),
                ("inactive", admin().with(field::STATUS, Status::Inactive).into(), "pass"),
                ("a person", admin().with(field::NATURE, "human".to_owned()).into(), "not_applicable"),
                ("unclear who uses it", admin().with(field::NATURE, "unclear".to_owned()).into(), "fail"),
                ("the root of an account", admin().named("root").into(), "not_applicable"),
                (
                    "looked after by the provider",
                    admin().with(field::PATH, "/aws-service-role/x/".to_owned()).into(),
                    "not_applicable",
                ),
                ("data lag does not matter", admin().told(ago(9)).into(), "fail"),
            ],
        );
        assert_eq!(
            words[0],
            "active, holds administrator rights: AdministratorAccess; not evaluated: service control policies"
        );
        assert!(NOW > ago(1));
    }
}
