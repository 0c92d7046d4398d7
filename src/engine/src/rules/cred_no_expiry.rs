//! CRED-NO-EXPIRY: a credential that could have an end and has none.
//! It must never be raised where the provider knows no expiry for that kind.

use provost_model::{FieldSet, Kind, Reading, Severity, Time, field};

use super::{Check, Judged, Mapping, Neighbour, Rule, Verdict, View, life};
use crate::thresholds::{Thresholds, days};

/// What this rule is.
pub(super) static SPEC: Rule = Rule {
    id: "CRED-NO-EXPIRY",
    version: 1,
    severity: Severity::Medium,
    title: "credential without an expiry, though one could be set",
    why: "A secret without an end works for whoever holds a copy, for ever, unless somebody remembers it.",
    remedy: "Replace it by one with an expiry, and let a machine renew it.",
    frameworks: Mapping { owasp_nhi: &["NHI7"], nist_csf: &["PR.AA-01"], other: &[("nist_sp_800_53_r5", "IA-5(1)")] },
    needs: &[
        Kind::AccessKey,
        Kind::SshKey,
        Kind::Certificate,
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
    neighbours: &[Neighbour::Identity.reading(&[])],
    dates: false,
    figures: &["no_expiry_days"],
    check: Check::Record(check),
};

fn check(view: &View<'_>, thresholds: &Thresholds, now: Time) -> Judged {
    let working = life::working(view, now)?;
    match view.get(field::EXPIRES_AT) {
        Reading::Never => {}
        Reading::Known(_) => return Ok(Verdict::pass()),
        Reading::NotReported => return Ok(Verdict::not_applicable()),
        unknown => return Err(Verdict::unknown("expires_at", &unknown)),
    }
    let limit = thresholds.no_expiry_days;
    // The threshold takes the place of the usual grace; by default there is none.
    life::grace(view, days(limit), now)?;
    let words = || format!("{working}, an expiry could be set and is not");
    Ok(Verdict::fail(view.says(words), view.raisers()))
}

#[cfg(test)]
mod tests {
    use provost_model::Status;

    use super::*;
    use crate::rules::sample::{NOW, World, ago, key, truth};

    #[test]
    fn truth_table() {
        let ends = |reading| World::from(key().with(field::EXPIRES_AT, reading));
        let endless = || key().with(field::EXPIRES_AT, Reading::Never);
        let mut lenient = World::from(endless().with(field::CREATED_AT, ago(10)));
        lenient.thresholds.no_expiry_days = 10;
        let mut patient = lenient.clone();
        patient.thresholds.no_expiry_days = 11;
        truth(
            &SPEC,
            vec![
                ("could expire and does not", endless().into(), "fail"),
                ("expires", ends(Reading::Known(NOW + days(400))), "pass"),
                ("no grace by default", endless().with(field::CREATED_AT, NOW).into(), "fail"),
                ("edge: exactly the threshold configured", lenient, "fail"),
                ("edge: below the threshold configured", patient, "pass"),
                ("this kind has no expiry", ends(Reading::NotReported), "not_applicable"),
                ("unknown: not collected", ends(Reading::NotCollected), "inconclusive"),
                ("denied", ends(Reading::NotPermitted), "inconclusive"),
                ("inactive", endless().with(field::STATUS, Status::Inactive).into(), "pass"),
                ("data lag does not matter", endless().told(ago(20)).into(), "fail"),
            ],
        );
    }
}
