//! PRIV-UNUSED: an identity was granted services that it does not use.
//! It must never take a time that was not watched for a time without use.

use provost_model::{FieldSet, Kind, Reading, Severity, Time, field};

use super::{Check, Judged, Mapping, Rule, Verdict, View, life, lists, who};
use crate::thresholds::{Thresholds, days};

/// What this rule is.
pub(super) static SPEC: Rule = Rule {
    id: "PRIV-UNUSED",
    version: 1,
    severity: Severity::Medium,
    title: "rights granted and not used",
    why: "Rights that nobody uses help only whoever takes the credential.",
    remedy: "Take the unused services out of its policies; what is needed once a year can be granted for that day.",
    frameworks: Mapping {
        owasp_nhi: &["NHI5"],
        nist_csf: &["PR.AA-05"],
        other: &[("nist_sp_800_53_r5", "AC-6(7)"), ("pci_dss_4.0.1", "7.2.5.1")],
    },
    needs: &[Kind::User, Kind::ServiceAccount, Kind::Role, Kind::ServicePrincipal],
    reads: FieldSet::of(&[
        field::STATUS.field(),
        field::EXPIRES_AT.field(),
        field::LOCATION.field(),
        field::PATH.field(),
        field::ARN.field(),
        field::NATURE.field(),
        field::UNUSED_SERVICES.field(),
        field::GRANTED_SERVICES.field(),
        field::ADVISOR_SINCE.field(),
        field::CREATED_AT.field(),
        field::ROTATED_AT.field(),
        field::ISSUED_AT.field(),
    ]),
    neighbours: &[],
    dates: false,
    figures: &["unused_rights_days", "unused_rights_percent"],
    check: Check::Record(check),
};

/// Services whose rights lead to all others, or to every secret: one of them unused is enough.
const PRIVILEGED: [&str; 8] =
    ["iam", "organizations", "sso", "sso-directory", "identitystore", "kms", "secretsmanager", "account"];
/// Most services named in the words.
const NAMED: usize = 8;

fn check(view: &View<'_>, thresholds: &Thresholds, now: Time) -> Judged {
    let working = life::working(view, now)?;
    if who::is_no_machine_of_ours(view) {
        return Ok(Verdict::not_applicable());
    }
    let unused = lists::faults(view, field::UNUSED_SERVICES)?;
    let privileged: Vec<&str> = unused.iter().map(String::as_str).filter(|it| PRIVILEGED.contains(it)).collect();
    let granted = view.get(field::GRANTED_SERVICES);
    let share = granted.known().filter(|all| *all > 0).map(|all| percent(unused.len(), all));
    let (share, limit) = match share {
        Some(share) if share >= i64::from(thresholds.unused_rights_percent) => {
            (Some(share), thresholds.unused_rights_days)
        }
        _ if !privileged.is_empty() => (share, thresholds.unused_rights_days),
        Some(_) => return Ok(Verdict::pass()),
        None => return Err(Verdict::unknown("granted_services", &granted)),
    };
    // Watched since then, and since it was made.
    let since = match view.get(field::ADVISOR_SINCE) {
        Reading::Known(since) => since,
        unknown => return Err(Verdict::unknown("advisor_since", &unknown)),
    };
    let from = view.get(field::CREATED_AT).known().map_or(since, |made| made.max(since));
    let as_of = view.as_of(field::UNUSED_SERVICES.field());
    let watched = life::over(from, days(limit), as_of, now)?;
    let words = || {
        let mut named: Vec<&str> = privileged.clone();
        named.extend(unused.iter().map(String::as_str).filter(|it| !PRIVILEGED.contains(it)));
        let named = lists::first(NAMED, named.into_iter());
        let of = granted.known().map_or(String::new(), |all| format!(" of {all}"));
        let share = share.map_or(String::new(), |share| format!(", {share} %"));
        let count = unused.len();
        let (from, watched) = (life::date(from), life::count(watched));
        format!(
            "{working}, {count}{of} services granted were not used since {from}, {watched} ago, over {limit} days{share}: {named}"
        )
    };
    Ok(Verdict::fail(view.says(words), view.raisers()))
}

fn percent(part: usize, all: i64) -> i64 {
    i64::try_from(part).unwrap_or(i64::MAX).saturating_mul(100) / all
}

#[cfg(test)]
mod tests {
    use provost_model::{Span, Status};

    use super::*;
    use crate::rules::sample::{NOW, Sample, World, ago, truth, user};

    fn with(unused: &[&str], granted: i64, since: Time) -> Sample {
        let unused: Vec<String> = unused.iter().map(|it| (*it).to_owned()).collect();
        user()
            .with(field::UNUSED_SERVICES, unused)
            .with(field::GRANTED_SERVICES, granted)
            .with(field::ADVISOR_SINCE, since)
    }

    #[test]
    fn truth_table() {
        let said =
            |reading: Reading<Vec<String>>| World::from(with(&[], 4, ago(400)).with(field::UNUSED_SERVICES, reading));
        let half = || with(&["s3", "sqs"], 4, ago(400));
        let words = truth(
            &SPEC,
            vec![
                ("half of the services", half().into(), "fail"),
                ("edge: less than half", with(&["s3", "sqs"], 5, ago(400)).into(), "pass"),
                ("one that leads to all others", with(&["s3", "iam"], 50, ago(400)).into(), "fail"),
                ("of how many is not known, but one leads to all others", with(&["kms"], 0, ago(400)).into(), "fail"),
                ("uses all", said(Reading::Known(Vec::new())), "pass"),
                ("edge: watched for exactly the limit", with(&["s3"], 1, ago(90)).into(), "pass"),
                ("edge: a moment longer", with(&["s3"], 1, ago(90) - Span::micros(1)).into(), "fail"),
                ("made within the limit", half().with(field::CREATED_AT, ago(89)).into(), "pass"),
                ("data of before the limit", with(&["s3"], 1, ago(91)).told(ago(2)).into(), "inconclusive"),
                (
                    "unknown: of how many",
                    half().with(field::GRANTED_SERVICES, Reading::NotCollected).into(),
                    "inconclusive",
                ),
                (
                    "unknown: since when",
                    half().with(field::ADVISOR_SINCE, Reading::NotCollected).into(),
                    "inconclusive",
                ),
                ("unknown: not collected", said(Reading::NotCollected), "inconclusive"),
                ("denied", said(Reading::NotPermitted), "inconclusive"),
                ("not reported", said(Reading::NotReported), "not_applicable"),
                ("a person", half().with(field::NATURE, "human".to_owned()).into(), "not_applicable"),
                ("inactive", half().with(field::STATUS, Status::Inactive).into(), "pass"),
            ],
        );
        assert_eq!(
            words[0],
            "active, 2 of 4 services granted were not used since 2025-10-20, 400 days ago, over 90 days, 50 %: s3, sqs"
        );
        assert!(words[1].ends_with(", 4 %: iam, s3"), "{}", words[1]);
        assert!(NOW > ago(1));
    }
}
