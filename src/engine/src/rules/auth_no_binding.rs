//! AUTH-NO-BINDING: a privileged secret works from anywhere, though it could be bound to a place.
//! It must never be raised where the provider knows no such limits.

use provost_model::{FieldSet, Kind, Reading, Severity, Time, field};

use super::{Check, Judged, Mapping, Neighbour, Rule, Verdict, View, life};
use crate::{severity::Raiser, thresholds::Thresholds};

/// What this rule is.
pub(super) static SPEC: Rule = Rule {
    id: "AUTH-NO-BINDING",
    version: 1,
    severity: Severity::Low,
    title: "privileged secret that works from anywhere",
    why: "Whoever copies it can use it from their own machine; bound to a network or a key it would be worth nothing there.",
    remedy: "Bind it to the addresses it is used from, to a client certificate or to a proof of possession, as its \
             provider offers.",
    frameworks: Mapping { owasp_nhi: &["NHI4"], nist_csf: &["PR.AA-03"], other: &[("nist_sp_800_53_r5", "AC-17")] },
    needs: &[
        Kind::AccessKey,
        Kind::Password,
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
        field::RESTRICTIONS.field(),
        field::ADMIN.field(),
        field::CREATED_AT.field(),
        field::ROTATED_AT.field(),
        field::ISSUED_AT.field(),
    ]),
    neighbours: &[Neighbour::Identity.reading(&[field::ADMIN.field()])],
    dates: false,
    figures: &["grace_days"],
    check: Check::Record(check),
};

fn check(view: &View<'_>, thresholds: &Thresholds, now: Time) -> Judged {
    let working = life::working(view, now)?;
    let limits = view.list(field::RESTRICTIONS);
    match &limits {
        Reading::Known(limits) if !limits.is_empty() => return Ok(Verdict::pass()),
        Reading::NotReported => return Ok(Verdict::not_applicable()),
        _ => {}
    }
    let of_identity = view.identity().map(|it| it.get(field::ADMIN));
    match (view.get(field::ADMIN), of_identity) {
        (Reading::Known(true), _) | (_, Some(Reading::Known(true))) => {}
        (Reading::Known(false), _) | (_, Some(Reading::Known(false))) => return Ok(Verdict::pass()),
        // Nobody's, and nobody says that it has rights.
        (_, None) if !view.has_identity() => return Ok(Verdict::not_applicable()),
        (_, unknown) => return Err(Verdict::unknown("admin", &unknown.unwrap_or(Reading::NotCollected))),
    }
    if !matches!(limits, Reading::Known(_) | Reading::Never) {
        return Err(Verdict::unknown("restrictions", &limits));
    }
    life::usual_grace(view, thresholds, now)?;
    // Being privileged is part of the fault here, no reason to raise it.
    let raisers = view.raisers().into_iter().filter(|it| !matches!(it, Raiser::Privileged(_))).collect();
    Ok(Verdict::fail(view.says(|| format!("{working} and privileged, could be bound to a place and is not")), raisers))
}

#[cfg(test)]
mod tests {
    use provost_model::Status;

    use super::*;
    use crate::rules::sample::{NOW, World, ago, key, record, truth, user};

    #[test]
    fn truth_table() {
        let limits = |reading: Reading<Vec<String>>| {
            World::from(key().with(field::RESTRICTIONS, reading)).identity(user().with(field::ADMIN, true))
        };
        let none = || key().with(field::RESTRICTIONS, Vec::<String>::new());
        let rights = |reading| World::from(none()).identity(user().with(field::ADMIN, reading));
        let words = truth(
            &SPEC,
            vec![
                ("privileged and unbound", limits(Reading::Known(Vec::new())), "fail"),
                ("never bound", limits(Reading::Never), "fail"),
                ("bound", limits(Reading::Known(vec!["from 10.0.0.0/8".to_owned()])), "pass"),
                ("cannot be bound", limits(Reading::NotReported), "not_applicable"),
                ("unknown: limits not collected", limits(Reading::NotCollected), "inconclusive"),
                ("denied", limits(Reading::NotPermitted), "inconclusive"),
                ("not privileged", rights(Reading::Known(false)), "pass"),
                ("privileged itself", World::from(none().of_nobody().with(field::ADMIN, true)), "fail"),
                ("unknown: rights not collected", rights(Reading::NotCollected), "inconclusive"),
                ("rights denied", rights(Reading::NotPermitted), "inconclusive"),
                ("its identity is not in the inventory", none().into(), "inconclusive"),
                ("nobody's", none().of_nobody().into(), "not_applicable"),
                (
                    "a line of authorized_keys",
                    record(Kind::SshKey).with(field::LOCATION, "/root/.ssh/authorized_keys".to_owned()).into(),
                    "not_applicable",
                ),
                (
                    "grace: made lately",
                    limits(Reading::Known(Vec::new())).record_with(field::CREATED_AT, ago(6)),
                    "pass",
                ),
                (
                    "edge: exactly the grace",
                    limits(Reading::Known(Vec::new())).record_with(field::CREATED_AT, ago(7)),
                    "fail",
                ),
                ("inactive", limits(Reading::Known(Vec::new())).record_with(field::STATUS, Status::Inactive), "pass"),
            ],
        );
        assert_eq!(words[0], "active and privileged, could be bound to a place and is not");
        assert!(NOW > ago(1));
    }
}
