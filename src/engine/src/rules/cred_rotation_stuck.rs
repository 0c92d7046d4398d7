//! CRED-ROTATION-STUCK: a successor was made, and whoever uses the credential stayed with the old one.
//! It must never call two credentials a rotation that both lie idle.

use provost_model::{FieldSet, Kind, Reading, Severity, Time, field};

use super::{
    Beside, Check, Judged, Mapping, Near, Neighbour, Rule, Verdict, View,
    cred_multi_active::{RIVALS, Rivalry, rivalry},
    life,
};
use crate::thresholds::{Thresholds, days};

/// What this rule is.
pub(super) static SPEC: Rule = Rule {
    id: "CRED-ROTATION-STUCK",
    version: 1,
    severity: Severity::Medium,
    title: "rotation begun and not finished",
    why: "The old credential goes on working where it should have been replaced, and the new one is a second way in.",
    remedy: "Hand the new credential to whoever still uses the old one, see the old one fall silent, then switch it off \
             and delete it. If the new one is not needed, delete that.",
    frameworks: Mapping { owasp_nhi: &["NHI7"], nist_csf: &["RS.MI-02"], other: &[("nist_sp_800_53_r5", "IA-5")] },
    needs: &[Kind::AccessKey, Kind::ClientSecret, Kind::ServiceSpecificCredential],
    reads: FieldSet::of(&[
        field::STATUS.field(),
        field::EXPIRES_AT.field(),
        field::LOCATION.field(),
        field::CREATED_AT.field(),
        field::ROTATED_AT.field(),
        field::ISSUED_AT.field(),
        field::LAST_USED_AT.field(),
        field::USAGE_SINCE.field(),
        field::MULTI_ACTIVE_ALLOWED.field(),
        field::SERVICE.field(),
    ]),
    neighbours: &[
        Neighbour::Identity.reading(&[]),
        Beside { reads: RIVALS.reads.with(field::LAST_USED_AT.field()), ..RIVALS },
    ],
    dates: false,
    figures: &["rotation_stuck_days"],
    check: Check::Record(check),
};

fn check(view: &View<'_>, thresholds: &Thresholds, now: Time) -> Judged {
    life::working(view, now)?;
    let Rivalry { own, others } = rivalry(view, now)?;
    let older = others.into_iter().filter(|(birth, it)| (birth.at, it.id()) < (own.at, view.id()));
    let older: Vec<Near<'_>> = older.map(|(_, rival)| rival).collect();
    if older.is_empty() {
        return Ok(Verdict::pass());
    }
    let limit = days(thresholds.rotation_stuck_days);
    let used = view.get(field::LAST_USED_AT);
    // Used after that, the old one shows that somebody did not move.
    let (age, from) = match used {
        Reading::Never => (life::quiet(view, own.at, limit, now)?, own.at),
        Reading::Known(_) => (life::over(own.at, limit, own.as_of, now)?, own.at + limit),
        unknown => return Err(Verdict::unknown("last_used_at", &unknown)),
    };
    let uses = || older.iter().map(|it| (it.get(field::LAST_USED_AT), it));
    let latest = uses().filter_map(|(used, it)| Some((used.known()?, it))).max_by_key(|(used, it)| (*used, it.id()));
    let Some((last, old)) = latest.filter(|(last, _)| *last > from) else {
        let untold = uses().map(|(used, _)| used).find(|used| !used.is_answered());
        return Ok(untold.map_or_else(Verdict::pass, |used| Verdict::unknown("last_used_at of the older one", &used)));
    };
    let words = || {
        let (made, age, last) = (life::date(own.at), life::count(age), life::date(last));
        let how = if used == Reading::Never { "never used" } else { "in use" };
        let limit = thresholds.rotation_stuck_days;
        format!(
            "{} {made}, {age} ago, {how}, while {} was still used {last}, over {limit} days",
            own.label,
            old.external()
        )
    };
    Ok(Verdict::fail(view.says(words), view.raisers()))
}

#[cfg(test)]
mod tests {
    use provost_model::{Span, Status};

    use super::*;
    use crate::rules::sample::{NOW, Sample, World, ago, key, truth};

    #[test]
    fn truth_table() {
        let new = |days: i64| key().id(8).named("AKIA2").with(field::CREATED_AT, ago(days));
        let old = |used: Reading<Time>| key().with(field::CREATED_AT, ago(400)).with(field::LAST_USED_AT, used);
        let pair = |new: Sample, used: Reading<Time>| World::from(new).sibling(old(used));
        let unused = |days: i64| new(days).with(field::LAST_USED_AT, Reading::Never);
        let used = |days: i64| new(days).with(field::LAST_USED_AT, ago(1));
        let off = World::from(unused(11)).sibling(old(Reading::Known(ago(1))).with(field::STATUS, Status::Inactive));
        let words = truth(
            &SPEC,
            vec![
                ("never used, the old one still is", pair(unused(11), Reading::Known(ago(2))), "fail"),
                ("edge: exactly the limit", pair(unused(10), Reading::Known(ago(2))), "pass"),
                ("neither is used", pair(unused(11), Reading::Known(ago(20))), "pass"),
                ("neither was ever used", pair(unused(11), Reading::Never), "pass"),
                ("the new one is used, the old one too", pair(used(30), Reading::Known(ago(19))), "fail"),
                ("edge: the old one fell silent in time", pair(used(30), Reading::Known(ago(20))), "pass"),
                ("edge: a moment later", pair(used(30), Reading::Known(ago(20) + Span::micros(1))), "fail"),
                ("the overlap is not over", pair(used(10), Reading::Known(ago(0))), "pass"),
                ("no older one", World::from(used(30)), "pass"),
                ("about the newer one only", World::from(old(Reading::Known(ago(2)))).sibling(unused(11)), "pass"),
                ("the old one is switched off", off, "pass"),
                (
                    "several at once are normal",
                    pair(unused(11).with(field::MULTI_ACTIVE_ALLOWED, true), Reading::Known(ago(2))),
                    "not_applicable",
                ),
                ("unknown: use of the new one", pair(new(11), Reading::Known(ago(2))), "inconclusive"),
                ("unknown: use of the old one", pair(unused(11), Reading::NotCollected), "inconclusive"),
                ("denied", pair(unused(11), Reading::NotPermitted), "inconclusive"),
                (
                    "unknown: age of the old one",
                    World::from(unused(11))
                        .sibling(old(Reading::Known(ago(2))).with(field::CREATED_AT, Reading::NotCollected)),
                    "inconclusive",
                ),
                (
                    "uses are recorded since lately",
                    pair(unused(30).with(field::USAGE_SINCE, ago(3)), Reading::Known(ago(2))),
                    "inconclusive",
                ),
                ("data of before the limit", pair(unused(11).told(ago(2)), Reading::Known(ago(3))), "inconclusive"),
            ],
        );
        assert_eq!(
            words[0],
            "created 2026-11-13, 11 days ago, never used, while X1 was still used 2026-11-22, over 10 days"
        );
        assert!(NOW > ago(1));
    }
}
