//! PRIV-SCOPE-BROAD: a token or app reaches far more than it is used on.
//! It must never take a time that was not watched for a time without use.

use provost_model::{FieldSet, Kind, Reading, Severity, Time, field};

use super::{Check, Judged, Lack, Mapping, Neighbour, Rule, Verdict, View, life};
use crate::thresholds::{Thresholds, days};

/// What this rule is.
pub(super) static SPEC: Rule = Rule {
    id: "PRIV-SCOPE-BROAD",
    version: 1,
    severity: Severity::Medium,
    title: "reaches far more than it is used on",
    why: "Who takes it has everything it reaches, not only the little it was made for.",
    remedy: "Choose the repositories or projects it needs, or replace it by one that is made for them.",
    frameworks: Mapping {
        owasp_nhi: &["NHI5"],
        nist_csf: &["PR.AA-05"],
        other: &[("nist_sp_800_53_r5", "AC-6"), ("iso_27001_2022", "A.8.3")],
    },
    needs: &[Kind::Token, Kind::OauthGrant, Kind::Application, Kind::ServicePrincipal],
    reads: FieldSet::of(&[
        field::STATUS.field(),
        field::EXPIRES_AT.field(),
        field::LOCATION.field(),
        field::REACH.field(),
        field::REACH_SIZE.field(),
        field::REACH_USED.field(),
        field::USAGE_SINCE.field(),
        field::CREATED_AT.field(),
        field::ROTATED_AT.field(),
        field::ISSUED_AT.field(),
    ]),
    neighbours: &[Neighbour::Identity.reading(&[])],
    dates: false,
    figures: &["scope_used_days", "scope_used_percent"],
    check: Check::Record(check),
};

/// Of so few things a share says nothing.
const FEW: i64 = 10;

fn check(view: &View<'_>, thresholds: &Thresholds, now: Time) -> Judged {
    let working = life::working(view, now)?;
    if view.knows(field::LOCATION) || view.text(field::REACH).known().is_some_and(|reach| reach != "all") {
        return Ok(Verdict::not_applicable());
    }
    let all = match view.get(field::REACH_SIZE) {
        Reading::Known(all) if all < FEW => return Ok(Verdict::pass()),
        Reading::Known(all) => all,
        Reading::Never | Reading::NotReported => return Ok(Verdict::not_applicable()),
        unknown => return Err(Verdict::unknown("reach_size", &unknown)),
    };
    let used = match view.get(field::REACH_USED) {
        Reading::Known(used) => used,
        Reading::Never => 0,
        unknown => return Err(Verdict::unknown("reach_used", &unknown)),
    };
    let percent = used.saturating_mul(100) / all;
    if used.saturating_mul(100) > i64::from(thresholds.scope_used_percent).saturating_mul(all) {
        return Ok(Verdict::pass());
    }
    let Reading::Known(since) = view.get(field::USAGE_SINCE) else {
        return Err(Verdict::inconclusive(Lack::Window, "since when uses are recorded is not known"));
    };
    let from = view.get(field::CREATED_AT).known().map_or(since, |made| made.max(since));
    let limit = thresholds.scope_used_days;
    let watched = life::over(from, days(limit), view.as_of(field::REACH_USED.field()), now)?;
    let words = || {
        let (from, watched) = (life::date(from), life::count(watched));
        format!("{working}, reaches {all}, used on {used} ({percent} %) since {from}, {watched} ago, over {limit} days")
    };
    Ok(Verdict::fail(view.says(words), view.raisers()))
}

#[cfg(test)]
mod tests {
    use provost_model::{Span, Status};

    use super::*;
    use crate::rules::sample::{NOW, Sample, World, ago, record, truth};

    fn app(all: i64, used: i64, since: Time) -> Sample {
        record(Kind::Application)
            .with(field::STATUS, Status::Active)
            .with(field::CREATED_AT, ago(900))
            .with(field::REACH, "all".to_owned())
            .with(field::REACH_SIZE, all)
            .with(field::REACH_USED, used)
            .with(field::USAGE_SINCE, since)
    }

    #[test]
    fn truth_table() {
        let broad = || app(200, 4, ago(120));
        let size = |reading| World::from(broad().with(field::REACH_SIZE, reading));
        let used = |reading| World::from(broad().with(field::REACH_USED, reading));
        let words = truth(
            &SPEC,
            vec![
                ("used on few", broad().into(), "fail"),
                ("used on none", used(Reading::Never), "fail"),
                ("edge: exactly the share", app(200, 20, ago(120)).into(), "fail"),
                ("edge: one more", app(200, 21, ago(120)).into(), "pass"),
                ("edge: reaches few", app(9, 0, ago(120)).into(), "pass"),
                ("edge: watched for exactly the limit", app(200, 4, ago(90)).into(), "pass"),
                ("edge: a moment longer", app(200, 4, ago(90) - Span::micros(1)).into(), "fail"),
                ("made within the limit", broad().with(field::CREATED_AT, ago(80)).into(), "pass"),
                ("reaches what was chosen", broad().with(field::REACH, "selected".to_owned()).into(), "not_applicable"),
                ("not reported", size(Reading::NotReported), "not_applicable"),
                ("unknown: reach not collected", size(Reading::NotCollected), "inconclusive"),
                ("unknown: use not collected", used(Reading::NotCollected), "inconclusive"),
                ("use not reported", used(Reading::NotReported), "inconclusive"),
                ("denied", used(Reading::NotPermitted), "inconclusive"),
                ("unknown: since when", broad().with(field::USAGE_SINCE, Reading::NotReported).into(), "inconclusive"),
                ("data of before the limit", app(200, 4, ago(91)).told(ago(2)).into(), "inconclusive"),
                ("a copy in a file", broad().with(field::LOCATION, "/x".to_owned()).into(), "not_applicable"),
                ("inactive", broad().with(field::STATUS, Status::Inactive).into(), "pass"),
            ],
        );
        assert_eq!(words[0], "active, reaches 200, used on 4 (2 %) since 2026-07-27, 120 days ago, over 90 days");
        assert!(NOW > ago(1));
    }
}
