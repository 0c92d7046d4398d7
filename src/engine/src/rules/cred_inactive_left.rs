//! CRED-INACTIVE-LEFT: a credential that was switched off long ago is still there.
//! It must never take a credential's age for the time since it was switched off.

use provost_model::{FieldSet, Kind, Reading, Severity, Status, Time, field};

use super::{Check, Judged, Mapping, Neighbour, Rule, Verdict, View, life};
use crate::thresholds::{Thresholds, days};

/// What this rule is.
pub(super) static SPEC: Rule = Rule {
    id: "CRED-INACTIVE-LEFT",
    version: 1,
    severity: Severity::Info,
    title: "inactive credential not deleted",
    why: "What is only switched off can be switched on again by anybody with the right to do so.",
    remedy: "If nothing broke since it was switched off, delete it.",
    frameworks: Mapping { owasp_nhi: &["NHI1"], nist_csf: &["ID.AM-08"], other: &[("nist_sp_800_53_r5", "AC-2(3)")] },
    needs: &[
        Kind::AccessKey,
        Kind::SshKey,
        Kind::Certificate,
        Kind::Token,
        Kind::ClientSecret,
        Kind::ServiceSpecificCredential,
        Kind::OauthGrant,
    ],
    reads: FieldSet::of(&[field::STATUS.field(), field::EXPIRES_AT.field(), field::ROTATED_AT.field()]),
    neighbours: &[Neighbour::Identity.reading(&[])],
    dates: true,
    figures: &["inactive_left_days"],
    check: Check::Record(check),
};

fn check(view: &View<'_>, thresholds: &Thresholds, now: Time) -> Judged {
    match view.get(field::STATUS) {
        Reading::Known(Status::Inactive) => {}
        Reading::Known(Status::Active | Status::Expired) => return Ok(Verdict::pass()),
        Reading::Known(Status::Unknown) | Reading::NotReported | Reading::Never => return Ok(Verdict::not_applicable()),
        unknown => return Err(Verdict::unknown("status", &unknown)),
    }
    // Switched off no later than its last change, and than the first statement that says so.
    let said = view.said_at(field::STATUS.field());
    let changed = view.get(field::ROTATED_AT).known();
    let Some(since) = said.into_iter().chain(changed).min() else {
        return Err(Verdict::unknown("rotated_at", &view.get(field::ROTATED_AT)));
    };
    let limit = thresholds.inactive_left_days;
    let off = life::over(since, days(limit), view.as_of(field::STATUS.field()), now)?;
    let words =
        || format!("inactive since {} at the latest, {} ago, over {limit} days", life::date(since), life::count(off));
    Ok(Verdict::fail(view.says(words), view.raisers()))
}

#[cfg(test)]
mod tests {
    use provost_model::Span;

    use super::*;
    use crate::rules::sample::{NOW, World, ago, key, truth};

    #[test]
    fn truth_table() {
        let off = || key().with(field::STATUS, Status::Inactive);
        let changed = |at: Time| World::from(off().with(field::ROTATED_AT, at));
        let status = |reading| World::from(key().with(field::STATUS, reading).with(field::ROTATED_AT, ago(99)));
        let words = truth(
            &SPEC,
            vec![
                ("off for long", changed(ago(99)), "fail"),
                ("grace: switched off lately", changed(ago(5)), "pass"),
                ("edge: exactly the threshold", changed(ago(30)), "pass"),
                ("edge: a moment more", changed(ago(30) - Span::micros(1)), "fail"),
                ("old, but since when it is off is not known", off().into(), "pass"),
                ("said to be off for long", World::from(off().told(ago(40))).covered(NOW), "fail"),
                (
                    "data lag: it may be deleted by now",
                    off().with(field::ROTATED_AT, ago(31)).told(ago(4)).into(),
                    "inconclusive",
                ),
                ("active", status(Reading::Known(Status::Active)), "pass"),
                ("expired", status(Reading::Known(Status::Expired)), "pass"),
                ("unknown: not reported", status(Reading::NotReported), "not_applicable"),
                ("unknown: not collected", status(Reading::NotCollected), "inconclusive"),
                ("denied", status(Reading::NotPermitted), "inconclusive"),
            ],
        );
        assert_eq!(words[0], "inactive since 2026-08-17 at the latest, 99 days ago, over 30 days");
    }
}
