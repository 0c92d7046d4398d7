//! PRIV-ESCALATE: an identity could give itself more rights than it was given.
//! It must never be raised on rights that were not evaluated, nor for who holds all of them already.

use provost_model::{FieldSet, Kind, Reading, Severity, Time, field};

use super::{Check, Judged, Mapping, Rule, Verdict, View, life, lists, priv_admin::not_evaluated, who};
use crate::thresholds::Thresholds;

/// What this rule is.
pub(super) static SPEC: Rule = Rule {
    id: "PRIV-ESCALATE",
    version: 1,
    severity: Severity::High,
    title: "machine identity that can give itself more rights",
    why: "It is an administrator in all but name, and no list of administrators shows it.",
    remedy: "Take the rights away that lead further, or narrow them to the roles and policies it needs; a permissions \
             boundary caps what remains.",
    frameworks: Mapping {
        owasp_nhi: &["NHI5"],
        nist_csf: &["PR.AA-05"],
        other: &[("nist_sp_800_53_r5", "AC-6(5)"), ("iso_27001_2022", "A.8.2")],
    },
    needs: &[Kind::User, Kind::ServiceAccount, Kind::Role, Kind::ServicePrincipal],
    reads: FieldSet::of(&[
        field::STATUS.field(),
        field::EXPIRES_AT.field(),
        field::LOCATION.field(),
        field::PATH.field(),
        field::ARN.field(),
        field::NATURE.field(),
        field::ADMIN.field(),
        field::ESCALATES.field(),
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

/// Most techniques named in the words.
const NAMED: usize = 5;

fn check(view: &View<'_>, thresholds: &Thresholds, now: Time) -> Judged {
    let working = life::working(view, now)?;
    if who::is_no_machine_of_ours(view) {
        return Ok(Verdict::not_applicable());
    }
    let ways = lists::faults(view, field::ESCALATES)?;
    // PRIV-ADMIN says the worse thing.
    if view.get(field::ADMIN) == Reading::Known(true) {
        return Ok(Verdict::pass());
    }
    life::usual_grace(view, thresholds, now)?;
    let words = || {
        let named = lists::first(NAMED, ways.iter().map(String::as_str));
        format!("{working}, could give itself more rights by {named}{}", not_evaluated(view))
    };
    Ok(Verdict::fail(view.says(words), view.raisers()))
}

#[cfg(test)]
mod tests {
    use provost_model::Status;

    use super::*;
    use crate::rules::sample::{NOW, World, ago, truth, user};

    #[test]
    fn truth_table() {
        let said = |reading: Reading<Vec<String>>| World::from(user().with(field::ESCALATES, reading));
        let ways = |count: usize| (0..count).map(|it| format!("iam:{it}")).collect::<Vec<_>>();
        let able = || user().with(field::ESCALATES, ways(1));
        let words = truth(
            &SPEC,
            vec![
                ("can", able().into(), "fail"),
                ("in many ways", said(Reading::Known(ways(7))), "fail"),
                ("cannot", said(Reading::Known(Vec::new())), "pass"),
                ("is an administrator anyway", able().with(field::ADMIN, true).into(), "pass"),
                ("grace: made lately", able().with(field::CREATED_AT, ago(6)).into(), "pass"),
                ("edge: exactly the grace", able().with(field::CREATED_AT, ago(7)).into(), "fail"),
                ("a person", able().with(field::NATURE, "human".to_owned()).into(), "not_applicable"),
                ("the root of an account", able().named("root").into(), "not_applicable"),
                (
                    "the provider's own",
                    able().with(field::PATH, "/aws-service-role/x/".to_owned()).into(),
                    "not_applicable",
                ),
                ("not reported", said(Reading::NotReported), "not_applicable"),
                ("unknown: not collected", said(Reading::NotCollected), "inconclusive"),
                ("denied", said(Reading::NotPermitted), "inconclusive"),
                ("inactive", able().with(field::STATUS, Status::Inactive).into(), "pass"),
            ],
        );
        assert_eq!(words[0], "active, could give itself more rights by iam:0");
        assert_eq!(words[1], "active, could give itself more rights by iam:0, iam:1, iam:2, iam:3, iam:4, …");
        assert!(NOW > ago(1));
    }
}
