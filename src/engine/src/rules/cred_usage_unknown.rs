//! CRED-USAGE-UNKNOWN: nobody can tell whether a privileged credential is used.
//! It must never be raised for what is merely not collected yet.

use provost_model::{FieldSet, Kind, Reading, Severity, Time, field};

use super::{Check, Judged, Mapping, Neighbour, Rule, Verdict, View, life};
use crate::{severity::Raiser, thresholds::Thresholds};

/// What this rule is.
pub(super) static SPEC: Rule = Rule {
    id: "CRED-USAGE-UNKNOWN",
    version: 1,
    severity: Severity::Low,
    title: "privileged credential whose use nobody can see",
    why: "Where uses are not recorded, misuse is not noticed, and nobody dares to remove the credential.",
    remedy: "Grant the source the permission to see uses, or replace it by a kind of credential whose uses are recorded.",
    frameworks: Mapping { owasp_nhi: &["NHI1"], nist_csf: &["DE.CM-09"], other: &[("nist_sp_800_53_r5", "AU-2")] },
    needs: &[
        Kind::AccessKey,
        Kind::SshKey,
        Kind::Certificate,
        Kind::Token,
        Kind::ClientSecret,
        Kind::ServiceSpecificCredential,
        Kind::OauthGrant,
    ],
    reads: FieldSet::of(&[
        field::STATUS.field(),
        field::EXPIRES_AT.field(),
        field::LOCATION.field(),
        field::LAST_USED_AT.field(),
        field::ADMIN.field(),
    ]),
    neighbours: &[Neighbour::Identity.reading(&[field::ADMIN.field()])],
    dates: false,
    figures: &[],
    check: Check::Record(check),
};

fn check(view: &View<'_>, _: &Thresholds, now: Time) -> Judged {
    let working = life::working(view, now)?;
    let admin = view.identity().map_or(Reading::NotCollected, |identity| identity.get(field::ADMIN));
    match (view.get(field::ADMIN), admin) {
        (Reading::Known(true), _) | (_, Reading::Known(true)) => {}
        (Reading::Known(false), _) | (_, Reading::Known(false)) => return Ok(Verdict::pass()),
        (_, unknown) => return Err(Verdict::unknown("admin", &unknown)),
    }
    let why = match view.get(field::LAST_USED_AT) {
        Reading::Known(_) | Reading::Never => return Ok(Verdict::pass()),
        unknown @ Reading::NotCollected => return Err(Verdict::unknown("last_used_at", &unknown)),
        Reading::NotReported => "this provider reports no uses of it",
        Reading::NotPermitted => "this source may not see its uses",
    };
    // Being privileged is the fault itself here, no reason to raise it.
    let raisers = view.raisers().into_iter().filter(|it| !matches!(it, Raiser::Privileged(_))).collect();
    let words = || format!("{working} and privileged, and {why}");
    Ok(Verdict::fail(view.says(words), raisers))
}

#[cfg(test)]
mod tests {
    use provost_model::Status;

    use super::*;
    use crate::rules::sample::{NOW, Sample, World, ago, key, truth, user};

    #[test]
    fn truth_table() {
        let of_admin = |it: Sample| World::from(it).identity(user().with(field::ADMIN, true));
        let unseen = || key().with(field::LAST_USED_AT, Reading::NotReported);
        let rights = |reading| World::from(unseen()).identity(user().with(field::ADMIN, reading));
        truth(
            &SPEC,
            vec![
                ("privileged, uses not reported", of_admin(unseen()), "fail"),
                (
                    "denied: uses may not be seen",
                    of_admin(key().with(field::LAST_USED_AT, Reading::NotPermitted)),
                    "fail",
                ),
                ("uses seen", of_admin(key().with(field::LAST_USED_AT, ago(1))), "pass"),
                ("never used", of_admin(key().with(field::LAST_USED_AT, Reading::Never)), "pass"),
                ("unknown: not collected", of_admin(key()), "inconclusive"),
                ("no grace: created today", of_admin(unseen().with(field::CREATED_AT, NOW)), "fail"),
                ("edge: not privileged", rights(Reading::Known(false)), "pass"),
                ("rights unknown: not collected", rights(Reading::NotCollected), "inconclusive"),
                ("rights unknown: not reported", rights(Reading::NotReported), "inconclusive"),
                ("rights denied", rights(Reading::NotPermitted), "inconclusive"),
                ("identity not in the inventory", unseen().into(), "inconclusive"),
                ("inactive", of_admin(unseen().with(field::STATUS, Status::Inactive)), "pass"),
                ("data lag does not matter", of_admin(unseen().told(ago(9))), "fail"),
            ],
        );
    }

    #[test]
    fn being_privileged_does_not_count_twice() {
        let verdict = World::from(key().with(field::LAST_USED_AT, Reading::NotReported))
            .identity(user().with(field::ADMIN, true))
            .judge(&SPEC);
        let crate::rules::Outcome::Fail(because) = verdict.outcome else { panic!("{verdict:?}") };
        assert!(because.raisers.is_empty());
    }
}
