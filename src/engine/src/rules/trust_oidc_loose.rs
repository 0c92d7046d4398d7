//! TRUST-OIDC-LOOSE: tokens of strangers fit its trust in an OpenID Connect issuer.
//! It must never judge an issuer: only the conditions that were read.

use provost_model::{FieldSet, Kind, Severity, Time, field};

use super::{Check, Judged, Mapping, Rule, Verdict, View, life, lists, who};
use crate::thresholds::Thresholds;

/// What this rule is.
pub(super) static SPEC: Rule = Rule {
    id: "TRUST-OIDC-LOOSE",
    version: 1,
    severity: Severity::High,
    title: "trusts tokens of strangers",
    why: "An issuer such as a public CI serves everybody: whoever has an account there may act as this identity.",
    remedy: "Name the organisation, repository and branch or environment in the condition on the subject, without a \
             wildcard before them, and check the audience.",
    frameworks: Mapping {
        owasp_nhi: &["NHI6"],
        nist_csf: &["PR.AA-05"],
        other: &[("nist_sp_800_53_r5", "IA-8"), ("iso_27001_2022", "A.8.5")],
    },
    needs: &[Kind::Role, Kind::ServiceAccount, Kind::ServicePrincipal],
    reads: FieldSet::of(&[
        field::STATUS.field(),
        field::EXPIRES_AT.field(),
        field::LOCATION.field(),
        field::PATH.field(),
        field::ARN.field(),
        field::OIDC_LOOSE.field(),
    ]),
    neighbours: &[],
    dates: false,
    figures: &[],
    check: Check::Record(check),
};

/// Most patterns named in the words.
const NAMED: usize = 5;

fn check(view: &View<'_>, _: &Thresholds, now: Time) -> Judged {
    let working = life::working(view, now)?;
    if who::is_providers_own(view) {
        return Ok(Verdict::not_applicable());
    }
    let loose = lists::faults(view, field::OIDC_LOOSE)?;
    let words = || {
        let named = lists::first(NAMED, loose.iter().map(String::as_str));
        format!("{working}, trusts token subjects that fit strangers too: {named}")
    };
    Ok(Verdict::fail(view.says(words), view.raisers()))
}

#[cfg(test)]
mod tests {
    use provost_model::{Reading, Status};

    use super::*;
    use crate::rules::sample::{NOW, World, ago, record, truth};

    #[test]
    fn truth_table() {
        let role = |reading: Reading<Vec<String>>| {
            record(Kind::Role).with(field::STATUS, Status::Active).with(field::OIDC_LOOSE, reading)
        };
        let any = || vec!["token.actions.githubusercontent.com repo:*".to_owned()];
        let words = truth(
            &SPEC,
            vec![
                ("any repository", World::from(role(Reading::Known(any()))), "fail"),
                ("edge: none", World::from(role(Reading::Known(Vec::new()))), "pass"),
                ("trusts no issuer", World::from(role(Reading::NotReported)), "not_applicable"),
                ("unknown: not collected", World::from(role(Reading::NotCollected)), "inconclusive"),
                ("denied", World::from(role(Reading::NotPermitted)), "inconclusive"),
                ("inactive", role(Reading::Known(any())).with(field::STATUS, Status::Inactive).into(), "pass"),
                (
                    "the provider's own",
                    role(Reading::Known(any())).with(field::PATH, "/aws-service-role/x/".to_owned()).into(),
                    "not_applicable",
                ),
            ],
        );
        assert_eq!(
            words[0],
            "active, trusts token subjects that fit strangers too: token.actions.githubusercontent.com repo:*"
        );
        assert!(NOW > ago(1));
    }
}
