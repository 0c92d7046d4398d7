//! OWN-MOVED: whoever answers for it has another team or manager since, and nobody confirmed that they still do.
//! It must never be raised before they had time to hand over.

use provost_model::{Severity, Time};

use super::{Check, Judged, Mapping, Neighbour, Rule, Verdict, View, life, who};
use crate::thresholds::{Thresholds, days};

/// What this rule is.
pub(super) static SPEC: Rule = Rule {
    id: "OWN-MOVED",
    version: 1,
    severity: Severity::Low,
    title: "whoever answers for it has moved since",
    why: "Whoever changes teams takes neither the knowledge nor the duty along for ever, and often keeps the rights.",
    remedy: "Ask who answers for it now, and say so with `provost owners confirm`.",
    frameworks: Mapping {
        owasp_nhi: &["NHI1"],
        nist_csf: &["GV.RR-02"],
        other: &[("nist_sp_800_53_r5", "AC-2"), ("iso_27001_2022", "A.5.18")],
    },
    needs: who::OWNED,
    reads: who::OWNED_READS,
    neighbours: &[Neighbour::Owner.reading(&[]), Neighbour::SameSecret.reading(&[])],
    dates: false,
    figures: &["owner_confidence", "moved_days"],
    check: Check::Record(check),
};

fn check(view: &View<'_>, thresholds: &Thresholds, now: Time) -> Judged {
    life::working(view, now)?;
    if !who::answered_for(view) {
        return Ok(Verdict::not_applicable());
    }
    let owner = view.owner().filter(|owner| owner.confidence >= thresholds.owner_confidence && owner.left.is_none());
    let Some((owner, moved)) = owner.and_then(|owner| Some((owner, owner.moved?))) else {
        return Ok(Verdict::pass());
    };
    if owner.confirmed.is_some_and(|at| at >= moved) {
        return Ok(Verdict::pass());
    }
    let due = moved + days(thresholds.moved_days);
    if now < due {
        return Ok(Verdict::pass_until(due));
    }
    let ago = (now - moved).whole_days();
    let words = || format!("{}, who answers for it, moved {ago} days ago and was not confirmed since", owner.name);
    Ok(Verdict::fail(view.says(words), view.raisers()))
}

#[cfg(test)]
mod tests {
    use provost_model::{Owner, Status, field};

    use super::*;
    use crate::rules::sample::{NOW, Sample, World, ago, key, truth, user};

    fn owned(sample: Sample, owner: Owner) -> World {
        World { owner: Some(owner), ..World::from(sample) }
    }

    fn moved(days: i64) -> Owner {
        Owner { moved: Some(ago(days)), ..Owner::named("bob", 0.9) }
    }

    #[test]
    fn truth_table() {
        let confirmed = |days| Owner { confirmed: Some(ago(days)), ..moved(20) };
        let words = truth(
            &SPEC,
            vec![
                ("the owner moved", owned(user(), moved(20)), "fail"),
                ("edge: exactly the days", owned(user(), moved(14)), "fail"),
                ("edge: a day less", owned(user(), moved(13)), "pass"),
                ("confirmed since", owned(user(), confirmed(3)), "pass"),
                ("confirmed as they moved", owned(user(), confirmed(20)), "pass"),
                ("confirmed before", owned(user(), confirmed(21)), "fail"),
                ("never moved", owned(user(), Owner::named("ann", 0.9)), "pass"),
                ("left: another rule's", owned(user(), Owner { left: Some(ago(1)), ..moved(20) }), "pass"),
                ("a faint guess", owned(user(), Owner { confidence: 0.5, ..moved(20) }), "pass"),
                ("nobody is known", user().into(), "pass"),
                ("inactive", owned(user().with(field::STATUS, Status::Inactive), moved(20)), "pass"),
                ("a credential goes with its identity", owned(key(), moved(20)), "not_applicable"),
            ],
        );
        assert_eq!(words[0], "bob, who answers for it, moved 20 days ago and was not confirmed since");
        let verdict = owned(user(), moved(13)).judge(&SPEC);
        assert_eq!(verdict.until, Some(NOW + days(1)), "its time is known");
    }
}
