//! CRED-STALE: a working credential that nobody has used for a long time.
//! It must never call a credential unused for a time in which uses were not recorded.

use provost_model::{FieldSet, Kind, Reading, Severity, Time, field};

use super::{Check, Judged, Mapping, Neighbour, Rule, Verdict, View, life, who};
use crate::thresholds::{Thresholds, days};

/// What this rule is.
pub(super) static SPEC: Rule = Rule {
    id: "CRED-STALE",
    version: 1,
    severity: Severity::Medium,
    title: "active credential not used for a long time",
    why: "A credential that nothing needs is only of use to whoever finds it; nobody would notice its use or its loss.",
    remedy: "Find out what it was for; if nothing turns up, switch it off, wait, then delete it.",
    frameworks: Mapping {
        owasp_nhi: &["NHI1"],
        nist_csf: &["PR.AA-01"],
        other: &[("cis_aws_5.0", "1.11"), ("nist_sp_800_53_r5", "AC-2(3)"), ("pci_dss_4.0.1", "7.2.5.1")],
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
    ]),
    neighbours: &[Neighbour::Identity.reading(&[field::ARN.field()])],
    dates: false,
    figures: &["stale_key_days", "stale_other_days"],
    check: Check::Record(check),
};

fn check(view: &View<'_>, thresholds: &Thresholds, now: Time) -> Judged {
    let working = life::working(view, now)?;
    if view.kind() == Kind::Password && who::authenticates_as_root(view) {
        // An unused root password is how it should be, and it cannot be removed.
        return Ok(Verdict::not_applicable());
    }
    let limit = match view.kind() {
        Kind::AccessKey | Kind::Password | Kind::ServiceSpecificCredential => thresholds.stale_key_days,
        _ => thresholds.stale_other_days,
    };
    let used = match view.get(field::LAST_USED_AT) {
        Reading::Known(used) => used,
        Reading::Never => return Ok(Verdict::pass()), // CRED-NEVER judges it.
        unknown => return Err(Verdict::unknown("last_used_at", &unknown)),
    };
    let quiet = life::quiet(view, used, days(limit), now)?;
    let words = || {
        let (used, quiet) = (life::date(used), life::count(quiet));
        format!("{working}, last used {used}, {quiet} ago, over {limit} days")
    };
    Ok(Verdict::fail(view.says(words), view.raisers()))
}

#[cfg(test)]
mod tests {
    use provost_model::{Span, Status};

    use super::*;
    use crate::rules::sample::{NOW, World, ago, key, truth, user};

    #[test]
    fn truth_table() {
        let used = |days| key().with(field::LAST_USED_AT, ago(days));
        let unknown = |reading| World::from(key().with(field::LAST_USED_AT, reading));
        let window = |since| World::from(used(60).with(field::USAGE_SINCE, ago(since)));
        let words = truth(
            &SPEC,
            vec![
                ("unused for longer than the threshold", used(267).into(), "fail"),
                ("used lately", used(3).into(), "pass"),
                ("edge: exactly the threshold", used(45).into(), "pass"),
                ("edge: a moment more", key().with(field::LAST_USED_AT, ago(45) - Span::micros(1)).into(), "fail"),
                ("grace does not matter: never used is another rule's", unknown(Reading::Never), "pass"),
                ("data lag: the data end before the threshold", used(46).told(ago(2)).into(), "inconclusive"),
                ("data lag: the scope was covered since", World::from(used(46).told(ago(2))).covered(NOW), "fail"),
                ("unknown: not reported", unknown(Reading::NotReported), "inconclusive"),
                ("unknown: not collected", unknown(Reading::NotCollected), "inconclusive"),
                ("denied", unknown(Reading::NotPermitted), "inconclusive"),
                ("uses recorded for too short a time", window(20), "inconclusive"),
                ("uses recorded for long enough", window(50), "fail"),
                ("inactive", used(267).with(field::STATUS, Status::Inactive).into(), "pass"),
                ("expired", used(267).with(field::EXPIRES_AT, ago(1)).into(), "pass"),
                ("status denied", used(267).with(field::STATUS, Reading::NotPermitted).into(), "inconclusive"),
            ],
        );
        assert_eq!(words[0], "active, last used 2026-03-02, 267 days ago, over 45 days");
    }

    #[test]
    fn time_alone_makes_it_stale_at_that_instant() {
        let verdict = World::from(key().with(field::LAST_USED_AT, ago(40))).judge(&SPEC);
        assert_eq!(verdict.until, Some(ago(40) + Span::days(45) + Span::micros(1)));
        let ending = key().with(field::LAST_USED_AT, ago(40)).with(field::EXPIRES_AT, NOW + Span::days(2));
        assert_eq!(World::from(ending).judge(&SPEC).until, Some(NOW + Span::days(2)));
    }

    #[test]
    fn an_unused_root_password_is_as_it_should_be() {
        let mut password = key().of("root").with(field::LAST_USED_AT, ago(300)).build();
        password.kind = Kind::Password;
        let root = user().with(field::ARN, "arn:aws:iam::123456789012:root".to_owned());
        let world = World { record: password, ..World::from(key()).identity(root) };
        assert_eq!(world.judge(&SPEC).word(), "not_applicable");
    }
}
