//! CRED-EXPIRED-LEFT: a credential that ended long ago is still lying about.
//! It must never count a public certificate without its key.

use provost_model::{FieldSet, Kind, Reading, Severity, Status, Time, field};

use super::{Check, Judged, Mapping, Neighbour, Rule, Verdict, View, life};
use crate::thresholds::{Thresholds, days};

/// What this rule is.
pub(super) static SPEC: Rule = Rule {
    id: "CRED-EXPIRED-LEFT",
    version: 1,
    severity: Severity::Info,
    title: "expired credential not removed",
    why: "Dead credentials hide the living ones, and some come back to life by a renewal or a wrong clock.",
    remedy: "Remove it.",
    frameworks: Mapping {
        owasp_nhi: &["NHI1"],
        nist_csf: &["ID.AM-08"],
        other: &[("cis_aws_5.0", "1.18"), ("cis_aws_7.0", "2.17")],
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
        Kind::Secret,
    ],
    reads: FieldSet::of(&[field::STATUS.field(), field::EXPIRES_AT.field(), field::LOCATION.field()]),
    neighbours: &[Neighbour::Identity.reading(&[]), Neighbour::SameSecret.reading(&[])],
    dates: true,
    figures: &["expired_left_days"],
    check: Check::Record(check),
};

fn check(view: &View<'_>, thresholds: &Thresholds, now: Time) -> Judged {
    if !life::keeps_secret(view) {
        return Ok(Verdict::not_applicable());
    }
    let limit = thresholds.expired_left_days;
    let (end, since) = match (view.get(field::EXPIRES_AT), view.status(now)) {
        (Reading::Known(end), _) if end <= now => (end, "expired"),
        (Reading::Known(end), _) => return Err(Verdict::pass_until(end + days(limit))),
        // Said to be expired, not since when: at the latest since that was first said.
        (_, Status::Expired) => (view.said_at(field::STATUS.field()).unwrap_or(now), "expired at the latest"),
        (Reading::Never | Reading::NotReported, _) => return Ok(Verdict::pass()),
        (unknown, _) => return Err(Verdict::unknown("expires_at", &unknown)),
    };
    // It was still there when its scope was last read.
    let ago = life::over(end, days(limit), view.seen_as_of(), now)?;
    let words = || {
        let (end, ago) = (life::date(end), life::count(ago));
        format!("{since} {end}, {ago} ago, over {limit} days, and still there")
    };
    Ok(Verdict::fail(view.says(words), view.raisers()))
}

#[cfg(test)]
mod tests {
    use provost_model::Span;

    use super::*;
    use crate::rules::sample::{NOW, World, ago, ahead, key, record, truth};

    #[test]
    fn truth_table() {
        let ended = |at: Time| key().with(field::EXPIRES_AT, at);
        let ends = |reading| World::from(key().with(field::EXPIRES_AT, reading));
        let said = |days| key().with(field::STATUS, Status::Expired).told(ago(days));
        let file = || ended(ago(99)).with(field::LOCATION, "/x.pem".to_owned());
        let mut public = World::from(file().of_nobody().with(field::PLAINTEXT, false));
        public.record.kind = Kind::Certificate;
        let private = public.clone().place(record(Kind::Secret).with(field::PLAINTEXT, true));
        let words = truth(
            &SPEC,
            vec![
                ("ended long ago", ended(ago(327)).into(), "fail"),
                ("grace: ended lately", ended(ago(5)).into(), "pass"),
                ("edge: exactly the threshold", ended(ago(30)).into(), "pass"),
                ("edge: a moment more", ended(ago(30) - Span::micros(1)).into(), "fail"),
                ("not ended", ended(ahead(5)).into(), "pass"),
                ("data lag: it may be removed by now", ended(ago(31)).told(ago(4)).into(), "inconclusive"),
                ("data lag, covered since", World::from(ended(ago(31)).told(ago(4))).covered(NOW), "fail"),
                ("no end", ends(Reading::Never), "pass"),
                ("unknown: not reported", ends(Reading::NotReported), "pass"),
                ("unknown: not collected", ends(Reading::NotCollected), "inconclusive"),
                ("denied", ends(Reading::NotPermitted), "inconclusive"),
                ("inactive ones are counted too", ended(ago(327)).with(field::STATUS, Status::Inactive).into(), "fail"),
                ("said to be expired for long", World::from(said(40)).covered(NOW), "fail"),
                ("said to be expired of late", World::from(said(4)).covered(NOW), "pass"),
                ("a public certificate", public, "not_applicable"),
                ("a certificate with its key", private, "fail"),
            ],
        );
        assert_eq!(words[0], "expired 2026-01-01, 327 days ago, over 30 days, and still there");
    }
}
