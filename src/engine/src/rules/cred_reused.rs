//! CRED-REUSED: one secret serves several identities, systems or environments.
//! It must never count a credential and the place where it is rightly kept as two.

use std::collections::BTreeSet;

use provost_model::{FieldSet, Kind, Reading, Severity, Time, field};

use super::{Check, Judged, Mapping, Neighbour, Place, Rule, Verdict, View, life, lists};
use crate::thresholds::Thresholds;

/// What this rule is.
pub(super) static SPEC: Rule = Rule {
    id: "CRED-REUSED",
    version: 1,
    severity: Severity::High,
    title: "one secret in several identities, systems or environments",
    why: "Whoever takes it in one place has it in all of them, and it can be replaced only everywhere at once.",
    remedy: "Give every identity and system a credential of its own, then delete the shared one.",
    frameworks: Mapping {
        owasp_nhi: &["NHI9"],
        nist_csf: &["PR.AA-01"],
        other: &[("pci_dss_4.0.1", "8.2.2"), ("nist_sp_800_53_r5", "IA-4")],
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
    figures: &["grace_days", "reused_in"],
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
    // One place shares with nobody.
    let Some(own) = view.as_place().filter(|_| !view.places().is_empty()) else { return Ok(Verdict::pass()) };
    let everywhere: Vec<&Place> = std::iter::once(&own).chain(view.places()).collect();
    let shared = Shared::among(&everywhere);
    if shared.most() < thresholds.reused_in as usize {
        return Ok(Verdict::pass());
    }
    // One secret, one finding: on the record met first among those that count.
    let first = everywhere.iter().filter(|place| counts(place)).map(|place| place.id).min();
    if first != Some(view.id()) {
        return Ok(Verdict::pass());
    }
    life::usual_grace(view, thresholds, now)?;
    let words = || format!("{working}, {}", shared.words(&everywhere));
    Ok(Verdict::fail(view.says(words), view.raisers()))
}

/// Who shares a secret.
struct Shared {
    identities: BTreeSet<String>,
    systems: BTreeSet<String>,
    environments: BTreeSet<String>,
}

/// Whether a place has part in sharing: it keeps the secret, or it is an identity's credential at a provider. Public keys
/// and certificates in files say only who is let in.
pub(super) fn counts(place: &Place) -> bool {
    place.holds_secret || place.location.is_none()
}

impl Shared {
    fn among(places: &[&Place]) -> Self {
        let counted = || places.iter().filter(|place| counts(place));
        let keeping = || counted().filter(|place| place.holds_secret);
        // At a provider the identity is who authenticates; in files, whose file it is.
        let at_provider =
            counted().filter(|place| place.location.is_none()).filter_map(|place| place.identity.as_ref());
        let mut identities: BTreeSet<String> = at_provider.map(ToString::to_string).collect();
        let users: BTreeSet<String> =
            keeping().filter_map(|it| Some(format!("{} on {}", it.file_owner.as_ref()?, it.realm))).collect();
        if users.len() > identities.len() {
            identities = users;
        }
        let systems = keeping().map(|place| place.realm.to_string()).collect();
        let environments = counted().filter_map(|place| place.environment.clone()).collect();
        Self { identities, systems, environments }
    }

    fn most(&self) -> usize {
        self.identities.len().max(self.systems.len()).max(self.environments.len())
    }

    fn words(&self, places: &[&Place]) -> String {
        let mut parts = Vec::new();
        for (set, what) in
            [(&self.identities, "identities"), (&self.systems, "systems"), (&self.environments, "environments")]
        {
            if set.len() > 1 {
                let named = lists::first(NAMED, set.iter().map(String::as_str));
                parts.push(format!("{} {what} ({named})", set.len()));
            }
        }
        let kept = places.iter().filter(|place| place.holds_secret).count();
        format!("the same secret in {}, kept in {kept} places", parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use provost_model::Status;

    use super::*;
    use crate::rules::sample::{NOW, Sample, World, ago, record, truth};

    fn file(byte: u8, host: &str, user: &str) -> Sample {
        record(Kind::Token)
            .id(byte)
            .realm(host)
            .baseline()
            .with(field::LOCATION, format!("/home/{user}/.env"))
            .with(field::FILE_OWNER, user.to_owned())
            .with(field::PLAINTEXT, true)
            .with(field::FINGERPRINT, "k1:aa".to_owned())
    }

    fn provider(byte: u8, of: &str) -> Sample {
        record(Kind::SshKey)
            .id(byte)
            .of(of)
            .with(field::STATUS, Status::Active)
            .with(field::CREATED_AT, ago(100))
            .with(field::FINGERPRINT, "k1:aa".to_owned())
    }

    #[test]
    fn truth_table() {
        let one = || file(1, "host:a", "alice");
        let public = |byte, host| file(byte, host, "root").with(field::PLAINTEXT, Reading::NotCollected);
        let print = |reading| World::from(one().with(field::FINGERPRINT, reading)).place(file(2, "host:b", "alice"));
        let mut three = World::from(one()).place(file(2, "host:b", "alice"));
        three.thresholds.reused_in = 3;
        let words = truth(
            &SPEC,
            vec![
                ("in two systems", World::from(one()).place(file(2, "host:b", "alice")), "fail"),
                ("one finding only", World::from(file(2, "host:b", "alice")).place(one()), "pass"),
                ("of two users of one host", World::from(one()).place(file(2, "host:a", "bob")), "fail"),
                ("five places of one user on one host", World::from(one()).place(file(2, "host:a", "alice")), "pass"),
                ("alone", one().into(), "pass"),
                (
                    "a key and the file that keeps it",
                    World::from(provider(1, "A")).place(file(2, "host:a", "alice")),
                    "pass",
                ),
                ("two identities of a provider", World::from(provider(1, "A")).place(provider(2, "B")), "fail"),
                ("two records of one identity", World::from(provider(1, "A")).place(provider(2, "A")), "pass"),
                (
                    "a private key and the servers that let it in",
                    World::from(one()).place(public(2, "host:b")).place(public(3, "host:c")),
                    "pass",
                ),
                (
                    "prod and dev",
                    World::from(one().with(field::ENVIRONMENT, "prod".to_owned()))
                        .place(file(2, "host:a", "alice").with(field::ENVIRONMENT, "dev".to_owned())),
                    "fail",
                ),
                ("edge: below the threshold configured", three, "pass"),
                (
                    "grace: a new record of a later run",
                    World::from(provider(1, "A").with(field::CREATED_AT, ago(2))).place(provider(2, "B")),
                    "pass",
                ),
                (
                    "inactive",
                    World::from(provider(1, "A").with(field::STATUS, Status::Inactive)).place(provider(2, "B")),
                    "pass",
                ),
                ("unknown: too weak for a fingerprint", print(Reading::NotReported), "not_applicable"),
                ("unknown: not collected", print(Reading::NotCollected), "not_applicable"),
                ("denied", print(Reading::NotPermitted), "inconclusive"),
                ("data lag does not matter", World::from(one().told(ago(9))).place(file(2, "host:b", "alice")), "fail"),
            ],
        );
        assert_eq!(
            words[0],
            "not known to be revoked, the same secret in 2 identities (alice on host:a, alice on host:b), 2 systems \
             (host:a, host:b), kept in 2 places"
        );
        assert!(NOW > ago(1));
    }
}
