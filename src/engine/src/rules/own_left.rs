//! OWN-LEFT: whoever answers for it, or alone made it, has left the organisation.
//! It must never be silent because somebody else might answer: nobody has said so yet.

use provost_model::{Severity, Signal, Time};

use super::{Check, Judged, Mapping, Neighbour, Rule, Verdict, View, life, who};
use crate::thresholds::Thresholds;

/// What this rule is.
pub(super) static SPEC: Rule = Rule {
    id: "OWN-LEFT",
    version: 1,
    severity: Severity::High,
    title: "whoever answers for it has left",
    why: "Nobody watches what a leaver leaves behind, and whoever kept its secret may use it from outside.",
    remedy: "Find out who takes it over, name them in its owner tag or with `provost owners confirm`, and replace its \
             secret; remove it if nobody needs it.",
    frameworks: Mapping {
        owasp_nhi: &["NHI1"],
        nist_csf: &["PR.AA-01"],
        other: &[("nist_sp_800_53_r5", "PS-4"), ("iso_27001_2022", "A.5.18"), ("soc_2", "CC6.2")],
    },
    needs: who::OWNED,
    reads: who::OWNED_READS,
    neighbours: &[Neighbour::Owner.reading(&[]), Neighbour::SameSecret.reading(&[])],
    dates: false,
    figures: &["owner_confidence"],
    check: Check::Record(check),
};

fn check(view: &View<'_>, thresholds: &Thresholds, now: Time) -> Judged {
    life::working(view, now)?;
    if !who::answered_for(view) {
        return Ok(Verdict::not_applicable());
    }
    let Some((owner, left)) = view.owner().and_then(|owner| Some((owner, owner.left?))) else {
        return Ok(Verdict::pass());
    };
    let made = owner.evidence.iter().any(|it| it.signal == Signal::Creator);
    let part = match owner.confidence >= thresholds.owner_confidence {
        true => "who answers for it",
        false if made => "who made it and is the best guess at an owner",
        false => return Ok(Verdict::pass()),
    };
    let words = || {
        let mut words = format!("{}, {part}, left {} days ago", owner.name, (now - left).whole_days());
        if let Some(next) = owner.others.iter().find(|it| it.left.is_none()) {
            words.push_str(&format!("; the next best guess is {} with confidence {:.2}", next.name, next.confidence));
        }
        words
    };
    Ok(Verdict::fail(view.says(words), view.raisers()))
}

#[cfg(test)]
mod tests {
    use provost_model::{Kind, OtherOwner, Owner, OwnerEvidence, Status, field};

    use super::*;
    use crate::rules::sample::{Sample, World, ago, key, record, truth, user};

    fn owned(sample: Sample, owner: Owner) -> World {
        World { owner: Some(owner), ..World::from(sample) }
    }

    fn leaver(confidence: f64) -> Owner {
        Owner { left: Some(ago(30)), ..Owner::named("carol", confidence) }
    }

    fn by(signal: Signal, confidence: f64) -> Owner {
        let evidence = OwnerEvidence {
            signal,
            source: "x".into(),
            names: "carol".into(),
            as_of: None,
            weight: confidence,
            confidence,
        };
        Owner { evidence: vec![evidence], ..leaver(confidence) }
    }

    #[test]
    fn truth_table() {
        let other = |name: &str, left| OtherOwner {
            name: name.into(),
            confidence: 0.5,
            conflicts: false,
            left,
            evidence: Vec::new(),
        };
        let followed = Owner { others: vec![other("eve", Some(ago(9))), other("bob", None)], ..leaver(0.9) };
        let file = record(Kind::Token).with(field::LOCATION, "/x".to_owned()).with(field::PLAINTEXT, true);
        let rds = user().with(field::PATH, "/aws-service-role/rds.amazonaws.com/".to_owned());
        let words = truth(
            &SPEC,
            vec![
                ("the owner left", owned(user(), leaver(0.9)), "fail"),
                ("somebody else is named too", owned(user(), followed), "fail"),
                ("the owner is there", owned(user(), Owner::named("ann", 0.9)), "pass"),
                ("nobody is known", user().into(), "pass"),
                ("edge: exactly the confidence", owned(user(), leaver(0.6)), "fail"),
                ("a faint guess left", owned(user(), by(Signal::Naming, 0.3)), "pass"),
                ("the sole creator left", owned(user(), by(Signal::Creator, 0.3)), "fail"),
                ("a person's own account", owned(user().with(field::NATURE, "human".to_owned()), leaver(0.9)), "fail"),
                ("inactive", owned(user().with(field::STATUS, Status::Inactive), leaver(0.9)), "pass"),
                ("a credential goes with its identity", owned(key(), leaver(0.9)), "not_applicable"),
                ("a secret in a leaver's file", owned(file, leaver(0.6)), "fail"),
                ("the provider's own", owned(rds, leaver(0.9)), "not_applicable"),
            ],
        );
        assert_eq!(words[0], "carol, who answers for it, left 30 days ago");
        assert_eq!(
            words[1],
            "carol, who answers for it, left 30 days ago; the next best guess is bob with confidence 0.50"
        );
        assert_eq!(words[3], "carol, who made it and is the best guess at an owner, left 30 days ago");
    }
}
