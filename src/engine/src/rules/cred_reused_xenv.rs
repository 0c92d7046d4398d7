//! CRED-REUSED-XENV: one secret serves production and something beside it.
//! It must never guess an environment: only tags and configuration say one.

use std::collections::BTreeSet;

use provost_model::{FieldSet, Kind, Reading, Severity, Time, field};

use super::{Check, Judged, Mapping, Neighbour, Place, Rule, Verdict, View, cred_reused::counts, life};
use crate::{environment::is_prod, thresholds::Thresholds};

/// What this rule is.
pub(super) static SPEC: Rule = Rule {
    id: "CRED-REUSED-XENV",
    version: 1,
    severity: Severity::High,
    title: "one secret in production and outside of it",
    why: "Test systems are guarded less: whoever takes the secret there is in production.",
    remedy: "Give production a credential of its own, that no other environment holds, and replace the shared one.",
    frameworks: Mapping {
        owasp_nhi: &["NHI8"],
        nist_csf: &["PR.AA-05"],
        other: &[("pci_dss_4.0.1", "6.5.3"), ("nist_sp_800_53_r5", "IA-4"), ("iso_27001_2022", "A.8.31")],
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
        field::FINGERPRINT.field(),
        field::KEY_ID.field(),
        field::OPENS.field(),
        field::CREATED_AT.field(),
        field::ROTATED_AT.field(),
        field::ISSUED_AT.field(),
    ]),
    neighbours: &[Neighbour::Identity.reading(&[]), Neighbour::SameSecret.reading(&[])],
    dates: false,
    figures: &["grace_days"],
    check: Check::Record(check),
};

/// Most places named in the words.
const NAMED: usize = 5;

fn check(view: &View<'_>, thresholds: &Thresholds, now: Time) -> Judged {
    let working = life::working(view, now)?;
    let recognised = [view.text(field::FINGERPRINT), view.text(field::KEY_ID), view.text(field::OPENS)];
    if !recognised.iter().any(Reading::is_answered) {
        let denied = recognised.iter().find(|it| **it == Reading::NotPermitted);
        return Err(denied.map_or_else(Verdict::not_applicable, |denied| Verdict::unknown("fingerprint", denied)));
    }
    let Some(mut own) = view.as_place().filter(|_| !view.places().is_empty()) else { return Ok(Verdict::pass()) };
    // Keys bear no tags: theirs are those of the identity.
    own.environment = own.environment.or_else(|| view.environment_of_identity());
    let everywhere: Vec<&Place> = std::iter::once(&own).chain(view.places()).collect();
    let counts = |it: &Place| counts(it) || is_item(it);
    let said: BTreeSet<&str> =
        everywhere.iter().filter(|it| counts(it)).filter_map(|it| it.environment.as_deref()).collect();
    let (prod, other): (Vec<&str>, Vec<&str>) = said.iter().partition(|name| is_prod(name));
    if prod.is_empty() || other.is_empty() {
        return Ok(Verdict::pass());
    }
    // One secret, one finding: on the credential at its provider if that is known, else on the place met first.
    let first = everywhere.iter().filter(|it| counts(it)).map(|it| (it.location.is_some(), it.id)).min();
    if first.map(|(_, id)| id) != Some(view.id()) {
        return Ok(Verdict::pass());
    }
    life::usual_grace(view, thresholds, now)?;
    let words = || {
        let kept = everywhere.iter().filter(|it| it.holds_secret && it.environment.is_some());
        let named: Vec<String> = kept
            .take(NAMED)
            .map(|it| format!("{} of {} ({})", it.external, it.realm, it.environment.as_deref().unwrap_or_default()))
            .collect();
        let kept = if named.is_empty() { String::new() } else { format!(": {}", named.join(", ")) };
        format!("{working}, the same secret in {} and in {}{kept}", prod.join(", "), other.join(", "))
    };
    Ok(Verdict::fail(view.says(words), view.raisers()))
}

/// What a store keeps without showing it.
fn is_item(place: &Place) -> bool {
    place.kind == Kind::Secret && place.store_kind.is_some() && place.exposure.is_none()
}

#[cfg(test)]
mod tests {
    use provost_model::Status;

    use super::*;
    use crate::rules::sample::{NOW, Sample, World, ago, key, record, truth, user};

    fn file(byte: u8, environment: &str) -> Sample {
        let file = record(Kind::Token)
            .id(byte)
            .realm("host:a")
            .named(&format!("/srv/{byte}"))
            .baseline()
            .with(field::LOCATION, format!("/srv/{byte}"))
            .with(field::PLAINTEXT, true)
            .with(field::FINGERPRINT, "k1:aa".to_owned());
        if environment.is_empty() { file } else { file.with(field::ENVIRONMENT, environment.to_owned()) }
    }

    #[test]
    fn truth_table() {
        let pair = |one: Sample, other: Sample| World::from(one).place(other);
        let provider = || key().id(9).with(field::KEY_ID, "AKIA".to_owned());
        let of_prod = || World::from(provider()).identity(user().with(field::ENVIRONMENT, "prod".to_owned()));
        let public = file(2, "dev").with(field::PLAINTEXT, Reading::NotCollected);
        let print = |reading| pair(file(1, "prod").with(field::FINGERPRINT, reading), file(2, "dev"));
        let words = truth(
            &SPEC,
            vec![
                ("production and development", pair(file(1, "prod"), file(2, "dev")), "fail"),
                ("one finding only", pair(file(2, "dev"), file(1, "prod")), "pass"),
                ("a key of production in a test system's file", of_prod().place(file(2, "test")), "fail"),
                ("the file leaves it to the key", pair(file(2, "test"), provider()), "pass"),
                (
                    "a secret of a production environment in CI, and a test system's file",
                    pair(
                        file(2, "test").with(field::OPENS, "AKIA".to_owned()),
                        record(Kind::Secret)
                            .id(3)
                            .realm("github:org/1")
                            .with(field::LOCATION, "o/r/environments/prod".to_owned())
                            .with(field::STORE_KIND, "github_actions".to_owned())
                            .with(field::ENVIRONMENT, "prod".to_owned()),
                    ),
                    "fail",
                ),
                ("both in production", pair(file(1, "prod"), file(2, "production")), "pass"),
                ("both outside of it", pair(file(1, "dev"), file(2, "staging")), "pass"),
                ("unknown: nobody says where the other is", pair(file(1, "prod"), file(2, "")), "pass"),
                ("the public half elsewhere", pair(file(1, "prod"), public), "pass"),
                ("alone", file(1, "prod").into(), "pass"),
                ("grace: made lately", of_prod().place(file(2, "test")).record_with(field::CREATED_AT, ago(6)), "pass"),
                ("inactive", of_prod().place(file(2, "test")).record_with(field::STATUS, Status::Inactive), "pass"),
                ("too weak for a fingerprint", print(Reading::NotReported), "not_applicable"),
                ("denied", print(Reading::NotPermitted), "inconclusive"),
            ],
        );
        assert_eq!(
            words[0],
            "not known to be revoked, the same secret in prod and in dev: /srv/1 of host:a (prod), /srv/2 of host:a (dev)"
        );
        assert!(NOW > ago(1));
    }
}
