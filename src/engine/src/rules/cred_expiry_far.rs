//! CRED-EXPIRY-FAR: a credential ends by itself, but later than anybody should rely on it.
//! It must never count what has no end: that is CRED-NO-EXPIRY's matter.

use provost_model::{FieldSet, Kind, Reading, Severity, Time, field};

use super::{Check, Judged, Lack, Mapping, Neighbour, Rule, Verdict, View, life};
use crate::thresholds::{Thresholds, days};

/// What this rule is.
pub(super) static SPEC: Rule = Rule {
    id: "CRED-EXPIRY-FAR",
    version: 1,
    severity: Severity::Low,
    title: "credential made to last too long",
    why: "A copy that was taken works until the end that was set, and a far end is as good as none.",
    remedy: "Replace it by one that ends sooner, and let a machine renew it; limit the longest life in the provider's \
             settings.",
    frameworks: Mapping { owasp_nhi: &["NHI7"], nist_csf: &["PR.AA-01"], other: &[("nist_sp_800_53_r5", "IA-5(1)")] },
    needs: &[
        Kind::AccessKey,
        Kind::SshKey,
        Kind::Token,
        Kind::ClientSecret,
        Kind::ServiceSpecificCredential,
        Kind::OauthGrant,
        Kind::Secret,
    ],
    reads: FieldSet::of(&[
        field::STATUS.field(),
        field::EXPIRES_AT.field(),
        field::LOCATION.field(),
        field::CREATED_AT.field(),
        field::ROTATED_AT.field(),
        field::ISSUED_AT.field(),
    ]),
    neighbours: &[Neighbour::Identity.reading(&[]), Neighbour::SameSecret.reading(&[])],
    dates: false,
    figures: &["grace_days", "expiry_far_days", "expiry_far_client_secret_days"],
    check: Check::Record(check),
};

fn check(view: &View<'_>, thresholds: &Thresholds, now: Time) -> Judged {
    let working = life::working(view, now)?;
    let end = match view.get(field::EXPIRES_AT) {
        Reading::Known(end) => end,
        Reading::Never | Reading::NotReported => return Ok(Verdict::not_applicable()),
        unknown => return Err(Verdict::unknown("expires_at", &unknown)),
    };
    if !life::keeps_secret(view) {
        return Ok(Verdict::not_applicable());
    }
    let limit = match view.kind() {
        Kind::ClientSecret => thresholds.expiry_far_client_secret_days,
        _ => thresholds.expiry_far_days,
    };
    let birth = life::birth(view)?;
    let whole = end - birth.at;
    if whole <= days(limit) {
        if birth.may_be_older {
            return Err(Verdict::inconclusive(Lack::Report, "when it was created is not known, only its last change"));
        }
        return Ok(Verdict::pass());
    }
    life::usual_grace(view, thresholds, now)?;
    let words = || {
        let (from, to) = (life::date(birth.at), life::date(end));
        let whole = life::count(whole.whole_days());
        format!("{working}, {} {from}, expires {to}, made for {whole}, over {limit} days", birth.label)
    };
    Ok(Verdict::fail(view.says(words), view.raisers()))
}

#[cfg(test)]
mod tests {
    use provost_model::{Span, Status};

    use super::*;
    use crate::rules::sample::{NOW, Sample, World, ago, ahead, key, record, truth};

    fn secret(made: i64, left: i64) -> Sample {
        record(Kind::ClientSecret)
            .of("AIDA1")
            .with(field::STATUS, Status::Active)
            .with(field::CREATED_AT, ago(made))
            .with(field::EXPIRES_AT, ahead(left))
    }

    #[test]
    fn truth_table() {
        let lasting =
            |made: i64, left: i64| key().with(field::CREATED_AT, ago(made)).with(field::EXPIRES_AT, ahead(left));
        let born = |reading| World::from(lasting(100, 300).with(field::CREATED_AT, reading));
        let slot = |left| {
            let it = key().with(field::CREATED_AT, Reading::NotCollected).with(field::ROTATED_AT, ago(10));
            World::from(it.with(field::EXPIRES_AT, ahead(left)))
        };
        let end = |reading| World::from(key().with(field::EXPIRES_AT, reading));
        let file = || record(Kind::Token).with(field::LOCATION, "/x".to_owned()).with(field::ISSUED_AT, ago(100));
        let words = truth(
            &SPEC,
            vec![
                ("made for longer than a year", lasting(100, 266).into(), "fail"),
                ("edge: made for exactly a year", lasting(100, 265).into(), "pass"),
                (
                    "edge: a moment longer",
                    key()
                        .with(field::CREATED_AT, ago(100))
                        .with(field::EXPIRES_AT, ahead(265) + Span::micros(1))
                        .into(),
                    "fail",
                ),
                ("a client secret of half a year", secret(100, 80).into(), "pass"),
                ("a client secret of a day more", secret(100, 81).into(), "fail"),
                ("grace: made lately", lasting(6, 2000).into(), "pass"),
                ("no end at all", end(Reading::Never), "not_applicable"),
                ("this kind has no expiry", end(Reading::NotReported), "not_applicable"),
                ("unknown: end not collected", end(Reading::NotCollected), "inconclusive"),
                ("denied", end(Reading::NotPermitted), "inconclusive"),
                ("unknown: creation not collected", born(Reading::NotCollected), "inconclusive"),
                ("a slot is at least so old: too long at any rate", slot(400), "fail"),
                ("a slot may be older than it seems", slot(300), "inconclusive"),
                ("inactive", World::from(lasting(100, 900).with(field::STATUS, Status::Inactive)), "pass"),
                ("expired", lasting(900, -1).into(), "pass"),
                (
                    "a token in a file",
                    file().with(field::PLAINTEXT, true).with(field::EXPIRES_AT, ahead(3000)).into(),
                    "fail",
                ),
                ("a reference in a file", file().with(field::EXPIRES_AT, ahead(3000)).into(), "not_applicable"),
            ],
        );
        assert_eq!(words[0], "active, created 2026-08-16, expires 2027-08-17, made for 366 days, over 365 days");
        assert!(NOW > ago(1));
    }
}
