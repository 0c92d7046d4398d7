//! ID-IDLE: an identity that has shown no activity for a long time.
//! It must never call an identity idle that has a credential whose uses nobody sees.

use provost_model::{FieldSet, Kind, Reading, Severity, Status, Time, field};

use super::{Check, Judged, Mapping, Near, Neighbour, Rule, Verdict, View, life, who};
use crate::thresholds::{Thresholds, days};

/// What this rule is.
pub(super) static SPEC: Rule = Rule {
    id: "ID-IDLE",
    version: 1,
    severity: Severity::Medium,
    title: "identity without activity",
    why: "An identity that does nothing keeps its rights, and whoever takes it over goes unnoticed.",
    remedy: "Ask its owner; take its rights away, wait, then delete it.",
    frameworks: Mapping {
        owasp_nhi: &["NHI1"],
        nist_csf: &["ID.AM-08"],
        other: &[("nist_sp_800_53_r5", "AC-2(3)"), ("pci_dss_4.0.1", "7.2.5.1"), ("soc_2", "CC6.2")],
    },
    needs: &[Kind::User, Kind::ServiceAccount, Kind::Role, Kind::ServicePrincipal, Kind::Application, Kind::Workload],
    reads: FieldSet::of(&[
        field::STATUS.field(),
        field::EXPIRES_AT.field(),
        field::LOCATION.field(),
        field::PATH.field(),
        field::ARN.field(),
        field::NATURE.field(),
        field::LAST_USED_AT.field(),
        field::USAGE_SINCE.field(),
        field::CREATED_AT.field(),
        field::ROTATED_AT.field(),
        field::ISSUED_AT.field(),
    ]),
    neighbours: &[Neighbour::Credentials
        .reading(&[field::STATUS.field(), field::EXPIRES_AT.field(), field::USAGE_SINCE.field()])
        // Neither its name nor its external id, which a key of AWS has only once it was listed: every user would be judged
        // again for that.
        .dated(&[field::LAST_USED_AT.field()])],
    dates: false,
    figures: &["idle_role_days", "idle_account_days"],
    check: Check::Record(check),
};

/// What is known of the uses of an identity and of its credentials.
struct Activity {
    latest: Option<Time>,
    since: Reading<Time>,
    as_of: Time,
}

fn check(view: &View<'_>, thresholds: &Thresholds, now: Time) -> Judged {
    let working = life::working(view, now)?;
    if who::is_no_machine_of_ours(view) {
        return Ok(Verdict::not_applicable());
    }
    let limit = match view.kind() {
        Kind::Role | Kind::User => thresholds.idle_role_days,
        _ => thresholds.idle_account_days,
    };
    let activity = activity(view, now);
    if let Some(latest) = activity.latest.filter(|latest| now - *latest <= days(limit)) {
        // Active at any rate, whatever else is not known.
        return life::over(latest, days(limit), now, now).map(|_| Verdict::pass());
    }
    if let Some(unseen) = unseen(view, now) {
        return Err(unseen);
    }
    let born = life::birth(view).map_or_else(|_| view.first_seen(), |birth| birth.at);
    let from = activity.latest.unwrap_or(born);
    let watched = activity.since.known().map_or(from, |since| since.max(from));
    let quiet = life::silent(from, &activity.since, activity.latest.is_some(), (activity.as_of, days(limit), now))?;
    let words = || match activity.latest {
        Some(latest) => {
            format!("{working}, last used {}, {} ago, over {limit} days", life::date(latest), life::count(quiet))
        }
        None => {
            let silence = life::count((now - watched).whole_days());
            format!("{working}, no use recorded since {}, {silence} ago, over {limit} days", life::date(watched))
        }
    };
    Ok(Verdict::fail(view.says(words), view.raisers()))
}

fn activity(view: &View<'_>, now: Time) -> Activity {
    let own = view.get(field::LAST_USED_AT);
    let mut latest = own.known();
    let mut since = view.get(field::USAGE_SINCE);
    let mut as_of = own.is_answered().then(|| view.as_of(field::LAST_USED_AT.field()));
    for credential in view.credentials() {
        let used = credential.get(field::LAST_USED_AT);
        latest = latest.max(used.known());
        if used.is_answered() && works(&credential, now) {
            let fresh = credential.as_of(field::LAST_USED_AT.field());
            as_of = as_of.into_iter().chain(fresh).min();
            since = match (since, credential.get(field::USAGE_SINCE)) {
                (Reading::Known(one), Reading::Known(other)) => Reading::Known(one.max(other)),
                (Reading::Known(one), _) | (_, Reading::Known(one)) => Reading::Known(one),
                (unknown, _) => unknown,
            };
        }
    }
    Activity { latest, since, as_of: as_of.unwrap_or_else(|| view.seen_as_of()) }
}

/// The verdict if something may have been used unseen.
fn unseen(view: &View<'_>, now: Time) -> Option<Verdict> {
    let own = view.get(field::LAST_USED_AT);
    let working = || view.credentials().filter(|it| works(it, now));
    let blind = working().map(|it| (it, it.get(field::LAST_USED_AT))).find(|(_, used)| !used.is_answered());
    if let Some((credential, used)) = blind {
        let whose = view.says(|| format!("last_used_at of its {}", credential.kind().name()));
        return Some(Verdict::unknown(whose, &used));
    }
    let answered = own.is_answered() || working().next().is_some();
    (!answered).then(|| Verdict::unknown("last_used_at", &own))
}

fn works(credential: &Near<'_>, now: Time) -> bool {
    matches!(credential.status(now), Status::Active | Status::Unknown)
}

#[cfg(test)]
mod tests {
    use provost_model::Span;

    use super::*;
    use crate::rules::sample::{NOW, Sample, World, ago, key, truth, user};

    fn of_kind(kind: Kind, it: Sample) -> World {
        let mut world = World::from(it);
        world.record.kind = kind;
        world
    }

    #[test]
    fn truth_table() {
        let role = |it: Sample| of_kind(Kind::Role, it);
        let used = |days| user().with(field::LAST_USED_AT, ago(days)).with(field::USAGE_SINCE, ago(400));
        let blank = |since| user().with(field::LAST_USED_AT, Reading::Never).with(field::USAGE_SINCE, since);
        let own = |reading| role(user().with(field::LAST_USED_AT, reading));
        let words = truth(
            &SPEC,
            vec![
                ("unused for long", role(used(327)), "fail"),
                ("used lately", role(used(5)), "pass"),
                ("edge: exactly the threshold", role(used(90)), "pass"),
                ("edge: a moment more", role(user().with(field::LAST_USED_AT, ago(90) - Span::micros(1))), "fail"),
                ("a service account has twice the time", of_kind(Kind::ServiceAccount, used(100)), "pass"),
                ("blank, recorded for long enough", role(blank(Reading::Known(ago(380)))), "fail"),
                ("blank, recorded for too short a time", role(blank(Reading::Known(ago(50)))), "inconclusive"),
                ("blank, recording not known", role(blank(Reading::NotReported)), "inconclusive"),
                (
                    "grace: blank because it is new",
                    role(blank(Reading::Known(ago(380))).with(field::CREATED_AT, ago(20))),
                    "pass",
                ),
                ("data lag", role(used(91).told(ago(3))), "inconclusive"),
                ("data lag, covered since", role(used(91).told(ago(3))).covered(NOW), "fail"),
                ("unknown: not reported", own(Reading::NotReported), "inconclusive"),
                ("unknown: not collected", own(Reading::NotCollected), "inconclusive"),
                ("denied", own(Reading::NotPermitted), "inconclusive"),
                ("inactive", role(used(327).with(field::STATUS, Status::Inactive)), "pass"),
                ("a person", World::from(used(327).with(field::NATURE, "human".to_owned())), "not_applicable"),
                ("the root of an account", World::from(used(327).named("root")), "not_applicable"),
                (
                    "looked after by the provider",
                    role(used(327).with(field::PATH, "/aws-service-role/x/".to_owned())),
                    "not_applicable",
                ),
            ],
        );
        assert_eq!(words[0], "active, last used 2026-01-01, 327 days ago, over 90 days");
        assert_eq!(words[2], "active, no use recorded since 2025-11-09, 380 days ago, over 90 days");
    }

    #[test]
    fn truth_table_of_credentials() {
        let with = |reading: Reading<Time>| World::from(user()).credential(key().with(field::LAST_USED_AT, reading));
        let old = || World::from(user().with(field::LAST_USED_AT, ago(200)));
        truth(
            &SPEC,
            vec![
                ("its key was used lately", with(Reading::Known(ago(2))), "pass"),
                ("its key was used long ago", with(Reading::Known(ago(200))), "fail"),
                ("its key was never used", with(Reading::Never), "fail"),
                ("uses of its key are not seen", with(Reading::NotReported), "inconclusive"),
                (
                    "uses of another key are not seen",
                    old().credential(key().with(field::LAST_USED_AT, Reading::NotPermitted)),
                    "inconclusive",
                ),
                ("that key is inactive", old().credential(key().with(field::STATUS, Status::Inactive)), "fail"),
                ("nothing is known at all", user().into(), "inconclusive"),
            ],
        );
    }
}
