//! CRED-NEVER: a working credential that was never used though it has long been there.
//! It must never call a credential unused that its provider merely does not watch.

use provost_model::{FieldSet, Kind, Reading, Severity, Time, field};

use super::{Check, Judged, Mapping, Neighbour, Rule, Verdict, View, life, who};
use crate::thresholds::{Thresholds, days};

/// What this rule is.
pub(super) static SPEC: Rule = Rule {
    id: "CRED-NEVER",
    version: 1,
    severity: Severity::Medium,
    title: "active credential never used",
    why: "A credential made and never used was a mistake, a spare, or is kept for later by somebody: nothing breaks without it.",
    remedy: "Ask whoever made it; switch it off, wait, then delete it.",
    frameworks: Mapping {
        owasp_nhi: &["NHI1"],
        nist_csf: &["PR.AA-01"],
        other: &[("cis_aws_5.0", "1.11"), ("nist_sp_800_53_r5", "AC-2(3)")],
    },
    needs: &[
        Kind::AccessKey,
        Kind::Password,
        Kind::SshKey,
        Kind::Certificate,
        Kind::Token,
        Kind::ClientSecret,
        Kind::ServiceSpecificCredential,
        Kind::OauthGrant,
    ],
    reads: FieldSet::of(&[
        field::STATUS.field(),
        field::EXPIRES_AT.field(),
        field::LOCATION.field(),
        field::LAST_USED_AT.field(),
        field::USAGE_SINCE.field(),
        field::CREATED_AT.field(),
        field::ROTATED_AT.field(),
        field::ISSUED_AT.field(),
    ]),
    neighbours: &[Neighbour::Identity.reading(&[field::ARN.field()])],
    dates: false,
    figures: &["never_used_days"],
    check: Check::Record(check),
};

fn check(view: &View<'_>, thresholds: &Thresholds, now: Time) -> Judged {
    let working = life::working(view, now)?;
    if view.kind() == Kind::Password && who::authenticates_as_root(view) {
        return Ok(Verdict::not_applicable());
    }
    match view.get(field::LAST_USED_AT) {
        Reading::Known(_) => return Ok(Verdict::pass()),
        Reading::Never => {}
        unknown => return Err(Verdict::unknown("last_used_at", &unknown)),
    }
    // At least as old as our first sight of it, whatever else is known.
    let (born, label) = life::birth(view).map_or((view.first_seen(), "seen since"), |birth| (birth.at, birth.label));
    let limit = thresholds.never_used_days;
    let age = life::quiet(view, born, days(limit), now)?;
    let words = || {
        let (born, age) = (life::date(born), life::count(age));
        format!("{working}, never used, {label} {born}, {age} ago, over {limit} days")
    };
    Ok(Verdict::fail(view.says(words), view.raisers()))
}

#[cfg(test)]
mod tests {
    use provost_model::{Span, Status};

    use super::*;
    use crate::rules::sample::{NOW, World, ago, key, truth};

    #[test]
    fn truth_table() {
        let never = || key().with(field::LAST_USED_AT, Reading::Never);
        let made = |at: Time| World::from(never().with(field::CREATED_AT, at));
        let unknown = |reading| World::from(key().with(field::LAST_USED_AT, reading));
        let slot = |days| never().with(field::CREATED_AT, Reading::NotCollected).with(field::ROTATED_AT, ago(days));
        let unborn = || never().with(field::CREATED_AT, Reading::NotReported);
        let words = truth(
            &SPEC,
            vec![
                ("old and never used", made(ago(500)), "fail"),
                ("used once", unknown(Reading::Known(ago(400))), "pass"),
                ("grace: the threshold takes its place", made(ago(8)), "pass"),
                ("edge: exactly the threshold", made(ago(30)), "pass"),
                ("edge: a moment more", made(ago(30) - Span::micros(1)), "fail"),
                ("data lag", never().with(field::CREATED_AT, ago(31)).told(ago(3)).into(), "inconclusive"),
                ("data lag, covered since", World::from(never().told(ago(3))).covered(NOW), "fail"),
                ("unknown: not reported", unknown(Reading::NotReported), "inconclusive"),
                ("unknown: not collected", unknown(Reading::NotCollected), "inconclusive"),
                ("denied", unknown(Reading::NotPermitted), "inconclusive"),
                (
                    "uses not known to be recorded",
                    never().with(field::USAGE_SINCE, Reading::NotReported).into(),
                    "inconclusive",
                ),
                (
                    "uses recorded for too short a time",
                    never().with(field::USAGE_SINCE, ago(10)).into(),
                    "inconclusive",
                ),
                ("inactive", never().with(field::STATUS, Status::Inactive).into(), "pass"),
                ("slot of a report, created or last changed long ago", slot(200).into(), "fail"),
                ("slot of a report, changed lately", slot(10).into(), "pass"),
                ("age unknown, but seen for long", unborn().baseline().into(), "fail"),
                ("age unknown, seen lately", unborn().first_seen(ago(2)).into(), "pass"),
            ],
        );
        assert_eq!(words[0], "active, never used, created 2025-07-12, 500 days ago, over 30 days");
        assert!(words.iter().any(|it| it.contains("created or last changed 2026-05-08, 200 days ago")));
    }
}
