//! CRED-AGE: a working credential that has not been replaced for too long.
//! It must never pass off a lower bound of age as an age.

use provost_model::{FieldSet, Kind, Severity, Time, field};

use super::{Check, Judged, Mapping, Neighbour, Rule, Verdict, View, life, who};
use crate::thresholds::{Thresholds, days};

/// What this rule is.
pub(super) static SPEC: Rule = Rule {
    id: "CRED-AGE",
    version: 1,
    severity: Severity::Medium,
    title: "credential not replaced for too long",
    why: "The longer a secret lives, the more copies, logs, backups and former colleagues know it.",
    remedy: "Make a new one, move its users over, watch that the old one falls silent, then delete that. Better: use \
             short-lived credentials that a workload obtains by its own identity.",
    frameworks: Mapping {
        owasp_nhi: &["NHI7"],
        nist_csf: &["PR.AA-01"],
        other: &[
            ("cis_aws_5.0", "1.13"),
            ("cis_aws_7.0", "2.12"),
            ("nist_sp_800_53_r5", "IA-5(1)"),
            ("pci_dss_4.0.1", "8.6.3"),
        ],
    },
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
        field::CREATED_AT.field(),
        field::ROTATED_AT.field(),
        field::ISSUED_AT.field(),
        field::MODIFIED_AT.field(),
    ]),
    neighbours: &[
        Neighbour::Identity.reading(&[field::NATURE.field(), field::ARN.field()]),
        Neighbour::SameSecret.reading(&[]),
    ],
    dates: false,
    figures: &["age_key_days", "age_ssh_key_days", "age_client_secret_days", "age_secret_days", "age_certificate_days"],
    check: Check::Record(check),
};

fn check(view: &View<'_>, thresholds: &Thresholds, now: Time) -> Judged {
    let working = life::working(view, now)?;
    if !concerned(view) {
        return Ok(Verdict::not_applicable());
    }
    let limit = match view.kind() {
        Kind::SshKey => thresholds.age_ssh_key_days,
        Kind::ClientSecret => thresholds.age_client_secret_days,
        Kind::Secret => thresholds.age_secret_days,
        Kind::Certificate => thresholds.age_certificate_days,
        _ => thresholds.age_key_days,
    };
    let birth = life::birth_or_file(view)?;
    let age = match life::over(birth.at, days(limit), birth.as_of, now) {
        Ok(age) => age,
        Err(young) if birth.may_be_older => {
            let words =
                || format!("{} {}; when it was created is not collected yet", birth.label, life::date(birth.at));
            let doubt = Verdict::inconclusive(super::Lack::Collection, view.says(words));
            return Err(Verdict { until: young.until, waits: young.waits, ..doubt });
        }
        Err(young) => return Err(young),
    };
    let words = view.says(|| {
        let (label, born, age) = (birth.label, life::date(birth.at), life::count(age));
        if label.starts_with("file") {
            format!("{working}, {label} {born}, so at least {age} old, over {limit} days")
        } else {
            format!("{working}, {label} {born}, {age} ago, over {limit} days")
        }
    });
    Ok(Verdict::fail(words, view.raisers()))
}

/// Whether age is a fault of this credential, and it is judged here rather than at its provider.
fn concerned(view: &View<'_>) -> bool {
    // People choose better passwords when they are not made to change them (NIST SP 800-63B).
    let human = view.kind() == Kind::Password && view.identity().is_some_and(|it| who::is_human(&it));
    let root = view.kind() == Kind::Password && who::authenticates_as_root(view);
    // A host key is the name of a machine: replacing it makes every client doubt.
    let location = view.text(field::LOCATION).known();
    let host_key = location.is_some_and(|path| path.rsplit('/').next().is_some_and(|it| it.starts_with("ssh_host_")));
    // What its own provider dates needs no guess from a file's time.
    let at_provider = location.is_some() && view.places().iter().any(|place| place.location.is_none());
    !human && !root && !host_key && !at_provider && life::keeps_secret(view)
}

#[cfg(test)]
mod tests {
    use provost_model::{Reading, Span, Status};

    use super::*;
    use crate::rules::sample::{NOW, Sample, World, ago, key, record, truth, user};

    fn file(kind: Kind) -> Sample {
        record(kind)
            .realm("host:m1")
            .baseline()
            .with(field::LOCATION, "/home/a/.npmrc".to_owned())
            .with(field::PLAINTEXT, true)
    }

    #[test]
    fn truth_table() {
        let made = |at: Time| World::from(key().with(field::CREATED_AT, at));
        let unknown = |reading| World::from(key().with(field::CREATED_AT, reading));
        let slot = |days| unknown(Reading::NotCollected).record_with(field::ROTATED_AT, ago(days));
        let password = |nature: &str| {
            World::from(
                record(Kind::Password).of("AIDA1").with(field::STATUS, Status::Active).with(field::ROTATED_AT, ago(99)),
            )
            .identity(user().with(field::NATURE, nature.to_owned()))
        };
        let words = truth(
            &SPEC,
            vec![
                ("old", made(ago(500)), "fail"),
                ("young", made(ago(10)), "pass"),
                ("grace lies within the threshold", made(ago(1)), "pass"),
                ("edge: exactly the threshold", made(ago(90)), "pass"),
                ("edge: a moment more", made(ago(90) - Span::micros(1)), "fail"),
                (
                    "data lag: it may have been replaced since",
                    key().with(field::CREATED_AT, ago(91)).told(ago(5)).into(),
                    "inconclusive",
                ),
                (
                    "data lag, covered since",
                    World::from(key().with(field::CREATED_AT, ago(91)).told(ago(5))).covered(NOW),
                    "fail",
                ),
                ("unknown: not reported", unknown(Reading::NotReported), "inconclusive"),
                ("unknown: not collected", unknown(Reading::NotCollected), "inconclusive"),
                ("unknown: never", unknown(Reading::Never), "inconclusive"),
                ("denied", unknown(Reading::NotPermitted), "inconclusive"),
                ("inactive", key().with(field::STATUS, Status::Inactive).into(), "pass"),
                ("slot of a report, created or last changed long ago", slot(120), "fail"),
                ("slot of a report, changed lately: may be older", slot(10), "inconclusive"),
                (
                    "key whose status changed lately is as old as ever",
                    key().with(field::ROTATED_AT, ago(1)).into(),
                    "fail",
                ),
                ("machine's password", password("machine"), "fail"),
                ("person's password", password("human"), "not_applicable"),
            ],
        );
        assert_eq!(words[0], "active, created 2025-07-12, 500 days ago, over 90 days");
        assert!(words.contains(&"active, created or last changed 2026-07-27, 120 days ago, over 90 days".to_owned()));
    }

    #[test]
    fn truth_table_of_files() {
        let token = |days| file(Kind::Token).with(field::MODIFIED_AT, ago(days));
        let words = truth(
            &SPEC,
            vec![
                ("file unchanged for long", token(300).into(), "fail"),
                ("file changed lately", token(10).into(), "pass"),
                ("no time known", file(Kind::Token).into(), "inconclusive"),
                ("the token says when it was issued", token(300).with(field::ISSUED_AT, ago(2)).into(), "pass"),
                ("its provider knows better", World::from(token(300)).place(key()), "not_applicable"),
                ("a reference, not a secret", token(300).with(field::PLAINTEXT, false).into(), "not_applicable"),
                ("a secret has a year", file(Kind::Secret).with(field::MODIFIED_AT, ago(300)).into(), "pass"),
                ("a private key has a year", file(Kind::SshKey).with(field::MODIFIED_AT, ago(366)).into(), "fail"),
                (
                    "a machine's host key",
                    file(Kind::SshKey)
                        .with(field::MODIFIED_AT, ago(900))
                        .with(field::LOCATION, "/etc/ssh/ssh_host_rsa_key".to_owned())
                        .into(),
                    "not_applicable",
                ),
                (
                    "a certificate without its key",
                    file(Kind::Certificate).with(field::PLAINTEXT, false).with(field::ISSUED_AT, ago(900)).into(),
                    "not_applicable",
                ),
                (
                    "a certificate with its key",
                    World::from(file(Kind::Certificate).with(field::PLAINTEXT, false).with(field::ISSUED_AT, ago(900)))
                        .place(file(Kind::Secret)),
                    "fail",
                ),
            ],
        );
        let first = "not known to be revoked, file unchanged since 2026-01-28, so at least 300 days old, over 90 days";
        assert_eq!(words[0], first);
    }
}
