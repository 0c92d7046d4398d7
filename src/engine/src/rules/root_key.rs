//! ROOT-KEY: the root of an account has a credential that programs can use.
//! It must never wait: there is no grace for this one.

use provost_model::{FieldSet, Kind, Severity, Time, field};

use super::{Check, Judged, Mapping, Neighbour, Rule, Verdict, View, life, who};
use crate::thresholds::Thresholds;

/// What this rule is.
pub(super) static SPEC: Rule = Rule {
    id: "ROOT-KEY",
    version: 1,
    severity: Severity::Critical,
    title: "programmatic credential of an account's root",
    why: "Nothing can limit the root of an account: whoever holds this key can take the account, and nobody can stop it.",
    remedy: "Find what uses it, give that a role of its own, then delete the root's key at once.",
    frameworks: Mapping {
        owasp_nhi: &["NHI5"],
        nist_csf: &["PR.AA-05"],
        other: &[("cis_aws_5.0", "1.3"), ("cis_aws_7.0", "2.4"), ("nist_sp_800_53_r5", "AC-6(5)")],
    },
    needs: &[
        Kind::AccessKey,
        Kind::SshKey,
        Kind::Certificate,
        Kind::Token,
        Kind::ClientSecret,
        Kind::ServiceSpecificCredential,
    ],
    reads: FieldSet::of(&[
        field::STATUS.field(),
        field::EXPIRES_AT.field(),
        field::LOCATION.field(),
        field::LAST_USED_AT.field(),
    ]),
    neighbours: &[Neighbour::Identity.reading(&[field::ARN.field()])],
    dates: false,
    figures: &[],
    check: Check::Record(check),
};

fn check(view: &View<'_>, _: &Thresholds, now: Time) -> Judged {
    if !who::authenticates_as_root(view) {
        return Ok(Verdict::not_applicable());
    }
    let working = life::working(view, now)?;
    let words = || {
        let used = match view.get(field::LAST_USED_AT) {
            provost_model::Reading::Known(used) => format!(", last used {}", life::date(used)),
            provost_model::Reading::Never => ", never used".to_owned(),
            _ => String::new(),
        };
        format!("{working}, authenticates as the root of {}{used}", view.realm())
    };
    Ok(Verdict::fail(view.says(words), view.raisers()))
}

#[cfg(test)]
mod tests {
    use provost_model::{Reading, Status};

    use super::*;
    use crate::rules::sample::{NOW, World, ago, key, truth, user};

    #[test]
    fn truth_table() {
        let root = || user().named("AIDAROOT").with(field::ARN, "arn:aws:iam::123456789012:root".to_owned());
        let status = |reading| World::from(key().of("root").with(field::STATUS, reading));
        let words = truth(
            &SPEC,
            vec![
                ("root's key", World::from(key().with(field::LAST_USED_AT, ago(10))).identity(root()), "fail"),
                ("edge: root known by its name only", key().of("root").into(), "fail"),
                ("somebody else's", World::from(key()).identity(user()), "not_applicable"),
                (
                    "somebody whose name ends in root",
                    World::from(key()).identity(user().with(field::ARN, "arn:aws:iam::1:user/root".to_owned())),
                    "not_applicable",
                ),
                ("somebody on a host", key().realm("host:a").of("root").into(), "not_applicable"),
                ("no grace: made a moment ago", key().of("root").with(field::CREATED_AT, NOW).into(), "fail"),
                ("inactive", status(Reading::Known(Status::Inactive)), "pass"),
                ("unknown: not reported", status(Reading::NotReported), "fail"),
                ("unknown: not collected", status(Reading::NotCollected), "inconclusive"),
                ("denied", status(Reading::NotPermitted), "inconclusive"),
                ("data lag does not matter", key().of("root").told(ago(9)).into(), "fail"),
            ],
        );
        assert_eq!(words[0], "active, authenticates as the root of aws:123456789012, last used 2026-11-14");
    }
}
