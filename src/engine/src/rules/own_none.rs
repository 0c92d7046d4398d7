//! OWN-NONE: nobody is known to answer for an identity.
//! It must never be raised where the evidence could not be seen.

use provost_model::{FieldSet, Kind, Reading, Severity, Time, field};

use super::{Check, Judged, Mapping, Neighbour, Rule, Verdict, View, life, who};
use crate::thresholds::{Thresholds, days};

/// What this rule is.
pub(super) static SPEC: Rule = Rule {
    id: "OWN-NONE",
    version: 1,
    severity: Severity::Medium,
    title: "nobody answers for it",
    why: "What nobody answers for is never reviewed, never renewed in time and never removed.",
    remedy: "Find out who uses it, and name a person or team in its owner tag.",
    frameworks: Mapping {
        owasp_nhi: &["NHI1"],
        nist_csf: &["GV.RR-02"],
        other: &[("iso_27001_2022", "A.5.9"), ("pci_dss_4.0.1", "7.2.4")],
    },
    needs: &[
        Kind::User,
        Kind::ServiceAccount,
        Kind::Role,
        Kind::ServicePrincipal,
        Kind::Application,
        Kind::Workload,
        Kind::AccessKey,
        Kind::SshKey,
        Kind::Certificate,
        Kind::Token,
        Kind::ClientSecret,
        Kind::Secret,
    ],
    reads: who::OWNED_READS.and(FieldSet::of(&[
        field::NATURE.field(),
        field::TAGS.field(),
        field::CREATED_AT.field(),
        field::ROTATED_AT.field(),
        field::ISSUED_AT.field(),
    ])),
    neighbours: &[Neighbour::Owner.reading(&[]), Neighbour::SameSecret.reading(&[])],
    dates: false,
    figures: &["owner_confidence", "ownerless_days", "ownerless_critical_days"],
    check: Check::Record(check),
};

fn check(view: &View<'_>, thresholds: &Thresholds, now: Time) -> Judged {
    life::working(view, now)?;
    if !concerned(view) {
        return Ok(Verdict::not_applicable());
    }
    let best = view.owner();
    if best.is_some_and(|owner| owner.confidence >= thresholds.owner_confidence) {
        return Ok(Verdict::pass());
    }
    let tags = view.tags();
    let in_file = view.knows(field::LOCATION);
    if matches!(tags, Reading::NotPermitted) || (tags == Reading::NotCollected && !in_file) {
        return Err(Verdict::unknown("tags", &tags));
    }
    let limit = if view.is_critical() { thresholds.ownerless_critical_days } else { thresholds.ownerless_days };
    life::grace(view, days(limit), now)?;
    let words = || match best {
        None => "no owner is named anywhere".to_owned(),
        Some(owner) => format!(
            "the best guess at an owner is {} with confidence {:.2}, under {:.2}",
            owner.name, owner.confidence, thresholds.owner_confidence
        ),
    };
    Ok(Verdict::fail(view.says(words), view.raisers()))
}

/// Whether somebody should answer for it. People answer for themselves.
fn concerned(view: &View<'_>) -> bool {
    who::answered_for(view) && view.text(field::NATURE).known() != Some("human")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use provost_model::Status;

    use super::*;
    use crate::rules::sample::{NOW, Sample, World, ago, key, record, truth, user};

    fn untagged() -> Sample {
        user().with(field::TAGS, BTreeMap::new())
    }

    #[test]
    fn truth_table() {
        let tags = |reading: Reading<BTreeMap<String, String>>| World::from(user().with(field::TAGS, reading));
        let born = |it: Sample, at: Time| World::from(it.with(field::CREATED_AT, at));
        let critical = || untagged().with(field::ADMIN, true).with(field::ENVIRONMENT, "prod".to_owned());
        let role = |path: &str| {
            let mut it = World::from(untagged().with(field::PATH, path.to_owned()));
            it.record.kind = Kind::Role;
            it
        };
        let unborn = || untagged().with(field::CREATED_AT, Reading::NotReported);
        let file = || {
            record(Kind::Token)
                .realm("host:a")
                .baseline()
                .with(field::LOCATION, "/x".to_owned())
                .with(field::PLAINTEXT, true)
        };
        let words = truth(
            &SPEC,
            vec![
                ("no tag names anybody", untagged().into(), "fail"),
                ("somebody answers", World::from(untagged()).owned_by("ops", 0.9), "pass"),
                ("edge: exactly the confidence", World::from(untagged()).owned_by("ops", 0.6), "pass"),
                ("edge: a little less", World::from(untagged()).owned_by("root", 0.59), "fail"),
                ("grace: made lately", born(untagged(), ago(6)), "pass"),
                ("edge: exactly the grace", born(untagged(), ago(7)), "fail"),
                ("privileged in production: a day only", born(critical(), ago(1)), "fail"),
                ("privileged in production, made today", born(critical(), NOW), "pass"),
                ("age unknown, met by the first run: no grace", unborn().baseline().first_seen(NOW).into(), "fail"),
                ("age unknown, met later", unborn().first_seen(ago(2)).into(), "pass"),
                ("unknown: tags not reported", tags(Reading::NotReported), "fail"),
                ("unknown: tags not collected", tags(Reading::NotCollected), "inconclusive"),
                ("denied", tags(Reading::NotPermitted), "inconclusive"),
                ("denied, but somebody answers", tags(Reading::NotPermitted).owned_by("ops", 0.9), "pass"),
                ("inactive", untagged().with(field::STATUS, Status::Inactive).into(), "pass"),
                ("a person", untagged().with(field::NATURE, "human".to_owned()).into(), "not_applicable"),
                (
                    "the root of an account",
                    untagged().with(field::ARN, "arn:aws:iam::1:root".to_owned()).into(),
                    "not_applicable",
                ),
                ("a role of ours", role("/app/"), "fail"),
                ("a role the provider looks after", role("/aws-service-role/rds.amazonaws.com/"), "not_applicable"),
                (
                    "a credential is answered for with its identity",
                    key().with(field::TAGS, Reading::NotReported).into(),
                    "not_applicable",
                ),
                ("a secret in a file of nobody known", file().into(), "fail"),
                ("a secret in a user's file", World::from(file()).owned_by("alice", 0.6), "pass"),
                ("a reference in a file", file().with(field::PLAINTEXT, false).into(), "not_applicable"),
                ("data lag does not matter", untagged().told(ago(9)).into(), "fail"),
            ],
        );
        assert_eq!(words[0], "no owner is named anywhere");
        assert_eq!(words[1], "the best guess at an owner is root with confidence 0.59, under 0.60");
    }
}
