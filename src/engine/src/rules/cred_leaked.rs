//! CRED-LEAKED: a scanner or the provider reports that a credential which still works was exposed.
//! It must never be silenced by somebody's word that nothing will be done.

use provost_model::{FieldSet, Kind, Reading, Severity, Time, field};

use super::{Check, Judged, Mapping, Neighbour, Place, Rule, Verdict, View, life};
use crate::{
    severity::{self, Raiser},
    thresholds::Thresholds,
};

/// What this rule is.
pub(super) static SPEC: Rule = Rule {
    id: "CRED-LEAKED",
    version: 1,
    severity: Severity::Critical,
    title: "credential reported exposed and not revoked",
    why: "Strangers look for exposed credentials all day: the first use comes within minutes.",
    remedy: "Replace it now and revoke the old one, look through its uses since the exposure, then close the report.",
    frameworks: Mapping {
        owasp_nhi: &["NHI2"],
        nist_csf: &["DE.AE-02"],
        other: &[("nist_sp_800_53_r5", "IR-4"), ("pci_dss_4.0.1", "8.3.9")],
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
    reads: FieldSet::of(&[
        field::STATUS.field(),
        field::EXPIRES_AT.field(),
        field::LOCATION.field(),
        field::LEAK.field(),
        field::LEAKED_AT.field(),
        field::LEAK_VALIDITY.field(),
        field::PUBLICLY_LEAKED.field(),
    ]),
    neighbours: &[Neighbour::Identity.reading(&[field::POLICIES.field()]), Neighbour::SameSecret.reading(&[])],
    dates: false,
    figures: &[],
    check: Check::Record(check),
};

fn check(view: &View<'_>, _: &Thresholds, now: Time) -> Judged {
    let working = life::working(view, now)?;
    if view.get(field::LEAK) == Reading::NotPermitted {
        return Err(Verdict::unknown("leak", &Reading::<()>::NotPermitted));
    }
    // Being leaked is the fault itself here, no reason to raise it.
    let raisers = || view.raisers().into_iter().filter(|it| !matches!(it, Raiser::Leaked(_))).collect();
    let reported = view.knows(field::LEAK) || view.places().iter().any(|it| it.exposure.is_some());
    if let Some(own) = reported.then(|| view.as_place()).flatten() {
        let everywhere = || std::iter::once(&own).chain(view.places());
        let open = everywhere().filter_map(|it| Some((it, it.exposure.as_ref().filter(|report| report.is_open())?)));
        if let Some((place, report)) = open.min_by_key(|(place, report)| (report.since, place.id)) {
            if !answers(&own, view.places()) {
                return Ok(Verdict::pass());
            }
            let there = match place.id == view.id() {
                true => String::new(),
                false => format!(", in {} of {}", place.external, place.realm),
            };
            return Ok(Verdict::fail(view.says(|| format!("{working}, {}{there}", report.words())), raisers()));
        }
    }
    // AWS does not say which of a user's keys was found.
    let policies = match view.identity() {
        Some(user) if view.kind() == Kind::AccessKey && !view.knows(field::LOCATION) => {
            user.list(field::POLICIES).known()
        }
        _ => None,
    };
    let Some(policy) = policies.into_iter().flatten().find(|policy| policy.contains(severity::QUARANTINE)) else {
        return Ok(Verdict::pass());
    };
    let words = || format!("{working}, a key of its user was found in public: AWS attached {policy}");
    Ok(Verdict::fail(view.says(words), raisers()))
}

/// Whether it is this record that the finding is about: one secret, one finding. It is about the credential at its
/// provider if that is known; else about the report met first.
fn answers(own: &Place, others: &[Place]) -> bool {
    let at_provider = |it: &Place| it.exposure.is_none() && it.location.is_none() && it.kind != Kind::Secret;
    let rank = |it: &Place| (!at_provider(it), it.exposure.is_none(), it.id);
    others.iter().all(|it| rank(own) < rank(it) || (at_provider(own) && at_provider(it)))
}

#[cfg(test)]
mod tests {
    use provost_model::Status;

    use super::*;
    use crate::rules::sample::{NOW, Sample, World, ago, key, record, truth, user};

    fn report(byte: u8) -> Sample {
        record(Kind::Secret)
            .id(byte)
            .realm("github:org/1")
            .named(&format!("alert-{byte}"))
            .with(field::LEAK, "open".to_owned())
            .with(field::LEAKED_AT, ago(3))
            .with(field::FINGERPRINT, "k1:aa".to_owned())
    }

    #[test]
    fn truth_table() {
        let closed = |how: &str| World::from(report(1).with(field::LEAK, how.to_owned()));
        let tried = |found: &str| World::from(report(1).with(field::LEAK_VALIDITY, found.to_owned()));
        let copy = record(Kind::Token).id(5).with(field::LOCATION, "/x".to_owned()).with(field::PLAINTEXT, true);
        let quarantined = || {
            let policy = "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3".to_owned();
            World::from(key()).identity(user().with(field::POLICIES, vec![policy]))
        };
        let words = truth(
            &SPEC,
            vec![
                ("reported, its provider not known", report(1).into(), "fail"),
                ("the credential that was reported", World::from(key()).place(report(1)), "fail"),
                ("the report leaves it to the credential", World::from(report(1)).place(key()), "pass"),
                ("several reports, one finding", World::from(report(1)).place(report(2)), "fail"),
                ("the second report", World::from(report(2)).place(report(1)), "pass"),
                ("a copy in a file leaves it to the report", World::from(copy.clone()).place(report(1)), "pass"),
                ("the report is about the copy too", World::from(report(9)).place(copy), "fail"),
                ("found to work", tried("active"), "fail"),
                ("found not to work", tried("inactive"), "pass"),
                ("not known whether it works", tried("unknown"), "fail"),
                ("closed as revoked", closed("revoked"), "pass"),
                ("closed as no secret", closed("false_positive"), "pass"),
                ("closed as made for tests", closed("used_in_tests"), "pass"),
                ("closed with the word that nothing will be done", closed("wont_fix"), "fail"),
                (
                    "the credential is switched off",
                    World::from(key().with(field::STATUS, Status::Inactive)).place(report(1)),
                    "pass",
                ),
                ("nothing reported", key().into(), "pass"),
                ("no grace", World::from(key().with(field::CREATED_AT, NOW)).place(report(1)), "fail"),
                ("its user is in quarantine", quarantined(), "fail"),
                (
                    "its user is not",
                    World::from(key()).identity(user().with(field::POLICIES, vec!["ReadOnly".to_owned()])),
                    "pass",
                ),
                ("denied", World::from(report(1).with(field::LEAK, Reading::NotPermitted)), "inconclusive"),
                (
                    "unknown whether it works at all",
                    World::from(key().with(field::STATUS, Reading::NotCollected)).place(report(1)),
                    "inconclusive",
                ),
            ],
        );
        assert_eq!(words[0], "not known to be revoked, reported exposed since 2026-11-21 (open)");
        assert_eq!(words[1], "active, reported exposed since 2026-11-21 (open), in alert-1 of github:org/1");
        assert_eq!(words[4], "not known to be revoked, reported exposed since 2026-11-21 (open), found to work");
    }

    #[test]
    fn being_leaked_does_not_count_twice() {
        let verdict = World::from(report(1)).judge(&SPEC);
        let crate::rules::Outcome::Fail(because) = verdict.outcome else { panic!("{verdict:?}") };
        assert!(because.raisers.is_empty(), "{because:?}");
    }
}
