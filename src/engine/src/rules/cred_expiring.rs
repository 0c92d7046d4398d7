//! CRED-EXPIRING: a credential in use is about to end, and nothing is there to follow it.
//! It must never be raised for what is renewed as a matter of course, such as tokens of an hour.

use provost_model::{FieldSet, Kind, Reading, Severity, Span, Status, Time, field};

use super::{Check, Judged, Mapping, Near, Neighbour, Rule, Verdict, View, life};
use crate::thresholds::{Thresholds, days};

/// What this rule is.
pub(super) static SPEC: Rule = Rule {
    id: "CRED-EXPIRING",
    version: 1,
    severity: Severity::High,
    title: "credential in use expires soon and has no successor",
    why: "When it ends, whatever uses it stops, usually at the worst time.",
    remedy: "Make its successor now, move its users over, and let a machine renew it from then on.",
    frameworks: Mapping { owasp_nhi: &["NHI7"], nist_csf: &["ID.AM-08"], other: &[("nist_sp_800_53_r5", "IA-5")] },
    needs: &[
        Kind::AccessKey,
        Kind::Password,
        Kind::SshKey,
        Kind::Certificate,
        Kind::Token,
        Kind::ClientSecret,
        Kind::ServiceSpecificCredential,
        Kind::Secret,
    ],
    reads: FieldSet::of(&[
        field::STATUS.field(),
        field::EXPIRES_AT.field(),
        field::LOCATION.field(),
        field::LAST_USED_AT.field(),
        field::CREATED_AT.field(),
        field::ROTATED_AT.field(),
        field::ISSUED_AT.field(),
        field::MODIFIED_AT.field(),
    ]),
    neighbours: &[
        Neighbour::Identity.reading(&[]),
        Neighbour::Siblings.reading(&[field::STATUS.field(), field::EXPIRES_AT.field()]),
        Neighbour::SameSecret.reading(&[]),
    ],
    dates: false,
    figures: &["expiring_days", "expiring_used_days"],
    check: Check::Record(check),
};

/// A step of the ladder counts only if it is at most this part of the credential's whole life.
const PART_OF_LIFE: i64 = 3;

fn check(view: &View<'_>, thresholds: &Thresholds, now: Time) -> Judged {
    let working = life::working(view, now)?;
    let end = match view.get(field::EXPIRES_AT) {
        Reading::Known(end) => end,
        Reading::Never | Reading::NotReported => return Ok(Verdict::pass()),
        unknown => return Err(Verdict::unknown("expires_at", &unknown)),
    };
    if !life::keeps_secret(view) {
        return Ok(Verdict::not_applicable());
    }
    let whole = life::birth_or_file(view).ok().map(|birth| end - birth.at);
    let counts = |step: &&u32| whole.is_none_or(|whole| days(**step).as_micros() <= whole.as_micros() / PART_OF_LIFE);
    let steps: Vec<u32> = thresholds.expiring_days.iter().filter(counts).copied().collect();
    let Some(step) = steps.iter().rev().copied().find(|step| now >= end - days(*step)) else {
        let first = steps.first().map(|step| Verdict::pass_until(end - days(*step)));
        return Ok(first.unwrap_or_else(Verdict::not_applicable));
    };
    let used = used(view, days(thresholds.expiring_used_days), now)?;
    if view.siblings().any(|it| succeeds(&it, view.kind(), end, now)) {
        return Ok(Verdict::pass());
    }
    let next = steps.iter().copied().find(|shorter| *shorter < step).map_or(end, |shorter| end - days(shorter));
    let words = || {
        let left = life::count((end - now).whole_days());
        format!("{working}, expires {}, in {left}, within {step} days, {}", life::date(end), used.words())
    };
    let next = used.until(days(thresholds.expiring_used_days)).map_or(next, |at| at.min(next));
    let verdict = Verdict::fail(view.says(words), view.raisers()).until(next);
    Ok(Verdict { waits: matches!(used, Used::KnownOf(_)), ..verdict })
}

/// What is known of its use, where it counts as used.
enum Used {
    /// Lately.
    At(Time),
    /// Lately, when the data were taken: a later reading may say that it has fallen silent.
    KnownOf(Time),
    /// It cannot be told.
    Untold(&'static str),
}

impl Used {
    fn words(&self) -> String {
        match self {
            Used::At(used) => format!("last used {}", life::date(*used)),
            Used::KnownOf(used) => format!("last known use {}", life::date(*used)),
            Used::Untold(why) => format!("whether it is used {why}"),
        }
    }

    /// When time alone makes it another.
    fn until(&self, lately: Span) -> Option<Time> {
        if let Used::At(used) = self { Some(*used + lately + Span::micros(1)) } else { None }
    }
}

/// What is known of its use; a pass if it is not in use. What is not known counts as used: nobody misses a warning less.
fn used(view: &View<'_>, lately: Span, now: Time) -> Result<Used, Verdict> {
    match view.get(field::LAST_USED_AT) {
        Reading::Known(used) if now - used <= lately => Ok(Used::At(used)),
        Reading::Known(used) if view.as_of(field::LAST_USED_AT.field()) - used <= lately => Ok(Used::KnownOf(used)),
        Reading::Known(_) | Reading::Never => Err(Verdict::pass()),
        Reading::NotReported => Ok(Used::Untold("is not reported")),
        Reading::NotPermitted => Ok(Used::Untold("may not be seen")),
        Reading::NotCollected => Ok(Used::Untold("is not known")),
    }
}

fn succeeds(sibling: &Near<'_>, kind: Kind, end: Time, now: Time) -> bool {
    let outlives = match sibling.get(field::EXPIRES_AT) {
        Reading::Known(its_end) => its_end > end,
        Reading::Never | Reading::NotReported => true,
        Reading::NotPermitted | Reading::NotCollected => false,
    };
    sibling.kind() == kind && sibling.status(now) == Status::Active && outlives
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::sample::{NOW, Sample, World, ago, ahead, key, record, truth};

    fn ending(at: Time) -> Sample {
        key().with(field::EXPIRES_AT, at).with(field::LAST_USED_AT, ago(1))
    }

    #[test]
    fn truth_table() {
        let usage = |reading| World::from(ending(ahead(10)).with(field::LAST_USED_AT, reading));
        let ends = |reading| World::from(ending(NOW).with(field::EXPIRES_AT, reading));
        let short = |hours| {
            let born = NOW - Span::seconds(60);
            World::from(ending(born + Span::hours(hours)).with(field::CREATED_AT, born))
        };
        let successor = |end| World::from(ending(ahead(10))).sibling(key().id(8).with(field::EXPIRES_AT, end));
        let words = truth(
            &SPEC,
            vec![
                ("ends soon", ending(ahead(12)).into(), "fail"),
                ("ends later", ending(ahead(60)).into(), "pass"),
                ("edge: exactly the first step", ending(ahead(30)).into(), "fail"),
                ("edge: a moment before it", ending(ahead(30) + Span::micros(1)).into(), "pass"),
                ("ended: another rule's", ending(ago(1)).into(), "pass"),
                (
                    "no grace: what ends ends",
                    ending(NOW + Span::hours(20)).with(field::CREATED_AT, ago(5)).into(),
                    "fail",
                ),
                ("lives an hour: renewed as a matter of course", short(1), "not_applicable"),
                ("lives a week, six days left", short(24 * 7), "pass"),
                ("not used lately", usage(Reading::Known(ago(31))), "pass"),
                ("used within thirty days", usage(Reading::Known(ago(30))), "fail"),
                (
                    "data lag: used lately when the data were taken",
                    ending(ahead(10)).with(field::LAST_USED_AT, ago(40)).told(ago(20)).into(),
                    "fail",
                ),
                ("never used", usage(Reading::Never), "pass"),
                ("use unknown: not reported", usage(Reading::NotReported), "fail"),
                ("use unknown: not collected", usage(Reading::NotCollected), "fail"),
                ("use denied", usage(Reading::NotPermitted), "fail"),
                ("expiry: never", ends(Reading::Never), "pass"),
                ("expiry: not reported", ends(Reading::NotReported), "pass"),
                ("expiry unknown", ends(Reading::NotCollected), "inconclusive"),
                ("expiry denied", ends(Reading::NotPermitted), "inconclusive"),
                ("inactive", ending(ahead(10)).with(field::STATUS, Status::Inactive).into(), "pass"),
                ("a successor is there", successor(Reading::Known(ahead(400))), "pass"),
                ("the other one ends as soon", successor(Reading::Known(ahead(9))), "fail"),
                ("the end of the other one is not known", successor(Reading::NotCollected), "fail"),
            ],
        );
        assert_eq!(words[0], "active, expires 2026-12-06, in 12 days, within 14 days, last used 2026-11-23");
    }

    #[test]
    fn each_step_of_the_ladder_is_told() {
        let verdict = World::from(ending(ahead(12))).judge(&SPEC);
        assert_eq!(verdict.until, Some(ahead(12) - Span::days(7)));
        let verdict = World::from(ending(ahead(60))).judge(&SPEC);
        assert_eq!(verdict.until, Some(ahead(30)));
    }

    #[test]
    fn a_public_certificate_is_no_credential() {
        let certificate = || {
            record(Kind::Certificate)
                .realm("host:m1")
                .with(field::LOCATION, "/etc/ssl/certs/ca.pem".to_owned())
                .with(field::PLAINTEXT, false)
                .with(field::EXPIRES_AT, ahead(3))
        };
        let private = record(Kind::Secret).with(field::PLAINTEXT, true);
        truth(
            &SPEC,
            vec![
                ("of a bundle", certificate().into(), "not_applicable"),
                ("with its key", World::from(certificate()).place(private), "fail"),
                ("somebody's proof", certificate().of("w").into(), "fail"),
            ],
        );
    }
}
