//! CRED-MULTI-ACTIVE: an identity keeps an older credential active beside a newer one of the same kind.
//! It must never be raised for the newest one, nor during the overlap of a rotation.

use provost_model::{FieldSet, Kind, Reading, Severity, Status, Time, field};

use super::{
    Beside, Check, Judged, Lack, Mapping, Near, Neighbour, Rule, Verdict, View,
    life::{self, Birth},
};
use crate::thresholds::{Thresholds, days};

/// What this rule is.
pub(super) static SPEC: Rule = Rule {
    id: "CRED-MULTI-ACTIVE",
    version: 1,
    severity: Severity::Medium,
    title: "older credential still active beside a newer one",
    why: "A second active credential doubles what can leak; after a rotation it means that the rotation was not finished.",
    remedy: "See which users still need the older one, move them, then switch it off and delete it.",
    frameworks: Mapping {
        owasp_nhi: &["NHI7"],
        nist_csf: &["PR.AA-01"],
        other: &[("cis_aws_5.0", "1.12"), ("nist_sp_800_53_r5", "IA-5")],
    },
    needs: &[Kind::AccessKey, Kind::ClientSecret, Kind::Certificate, Kind::ServiceSpecificCredential],
    reads: FieldSet::of(&[
        field::STATUS.field(),
        field::EXPIRES_AT.field(),
        field::LOCATION.field(),
        field::CREATED_AT.field(),
        field::ROTATED_AT.field(),
        field::ISSUED_AT.field(),
        field::MULTI_ACTIVE_ALLOWED.field(),
        field::SERVICE.field(),
    ]),
    neighbours: &[Neighbour::Identity.reading(&[]), RIVALS],
    dates: false,
    figures: &["overlap_days"],
    check: Check::Record(check),
};

fn check(view: &View<'_>, thresholds: &Thresholds, now: Time) -> Judged {
    let working = life::working(view, now)?;
    let Rivalry { own, others } = rivalry(view, now)?;
    let newer = others.into_iter().filter(|(birth, it)| (birth.at, it.id()) > (own.at, view.id()));
    let Some((birth, rival)) = newer.min_by_key(|(birth, it)| (birth.at, it.id())) else {
        return Ok(Verdict::pass());
    };
    let limit = thresholds.overlap_days;
    let overlap = life::over(birth.at, days(limit), birth.as_of.min(own.as_of), now)?;
    let words = || {
        format!(
            "{working}, {} {}, beside {} of {}, together for {}, over {limit} days",
            own.label,
            life::date(own.at),
            rival.external(),
            life::date(birth.at),
            life::count(overlap),
        )
    };
    Ok(Verdict::fail(view.says(words), view.raisers()))
}

/// A credential and those that do the same work beside it, at least one, each with its birth.
pub(super) struct Rivalry<'a> {
    pub(super) own: Birth,
    pub(super) others: Vec<(Birth, Near<'a>)>,
}

/// What is asked of siblings to tell who among them does the same work.
pub(super) const RIVALS: Beside = Neighbour::Siblings
    .reading(&[field::STATUS.field(), field::EXPIRES_AT.field(), field::SERVICE.field()])
    .dated(life::BIRTH)
    .named();

/// Who does the same work as a credential: active, of the same kind, for the same service. Where nobody does, or several may,
/// that is the verdict. Needs [`RIVALS`], `multi_active_allowed`, `location` and `service` declared, and what tells births and
/// status.
pub(super) fn rivalry<'a>(view: &View<'a>, now: Time) -> Result<Rivalry<'a>, Verdict> {
    let allowed = view.get(field::MULTI_ACTIVE_ALLOWED) == Reading::Known(true);
    if allowed || !view.has_identity() || view.knows(field::LOCATION) {
        return Err(Verdict::not_applicable());
    }
    let rivals: Vec<Near<'a>> = view.siblings().filter(|it| is_rival(view, it, now)).collect();
    if rivals.is_empty() {
        return Err(Verdict::pass());
    }
    let own = life::birth(view)?;
    let mut others = Vec::new();
    for rival in rivals {
        let Some(birth) = life::birth_of(&rival) else {
            let words = || format!("when {} was created is not known", rival.external());
            return Err(Verdict::inconclusive(Lack::Collection, view.says(words)));
        };
        others.push((birth, rival));
    }
    Ok(Rivalry { own, others })
}

fn is_rival(view: &View<'_>, sibling: &Near<'_>, now: Time) -> bool {
    let same_service = view.text(field::SERVICE).known() == sibling.text(field::SERVICE).known();
    sibling.kind() == view.kind() && sibling.status(now) == Status::Active && same_service
}

#[cfg(test)]
mod tests {
    use provost_model::Span;

    use super::*;
    use crate::rules::sample::{NOW, Sample, World, ago, key, truth};

    #[test]
    fn truth_table() {
        let old = || key().with(field::CREATED_AT, ago(400));
        let newer = |days| key().id(8).named("AKIA2").with(field::CREATED_AT, ago(days));
        let beside = |it: Sample| World::from(old()).sibling(it);
        let slot =
            |it: Sample, days| it.with(field::CREATED_AT, Reading::NotCollected).with(field::ROTATED_AT, ago(days));
        let mut other_kind = newer(100).build();
        other_kind.kind = Kind::Password;
        let twin = || key().with(field::CREATED_AT, ago(400));
        let words = truth(
            &SPEC,
            vec![
                ("older, the newer one is there for long", beside(newer(100)), "fail"),
                ("alone", old().into(), "pass"),
                ("it is the newer one", World::from(newer(100)).sibling(old()), "pass"),
                ("grace: overlap of a rotation", beside(newer(3)), "pass"),
                ("edge: exactly the overlap", beside(newer(14)), "pass"),
                ("edge: a moment more", beside(newer(14).with(field::CREATED_AT, ago(14) - Span::micros(1))), "fail"),
                ("inactive", World::from(old().with(field::STATUS, Status::Inactive)).sibling(newer(100)), "pass"),
                ("the other one is inactive", beside(newer(100).with(field::STATUS, Status::Inactive)), "pass"),
                ("the other one has expired", beside(newer(100).with(field::EXPIRES_AT, ago(1))), "pass"),
                ("another kind", World { siblings: vec![other_kind], ..old().into() }, "pass"),
                ("another service", beside(newer(100).with(field::SERVICE, "codecommit".to_owned())), "pass"),
                (
                    "several are normal",
                    World::from(old().with(field::MULTI_ACTIVE_ALLOWED, true)).sibling(newer(100)),
                    "not_applicable",
                ),
                ("nobody's", World::from(old().of_nobody()).sibling(newer(100)), "not_applicable"),
                ("data lag", World::from(old().told(ago(4))).sibling(newer(15).told(ago(4))), "inconclusive"),
                (
                    "data lag, covered since",
                    World::from(old().told(ago(4))).sibling(newer(15).told(ago(4))).covered(NOW),
                    "fail",
                ),
                (
                    "unknown: own age not collected",
                    World::from(old().with(field::CREATED_AT, Reading::NotCollected)).sibling(newer(9)),
                    "inconclusive",
                ),
                (
                    "denied: age of the other one",
                    beside(newer(9).with(field::CREATED_AT, Reading::NotPermitted)),
                    "inconclusive",
                ),
                (
                    "unknown: age of the other one not reported",
                    beside(newer(9).with(field::CREATED_AT, Reading::NotReported)),
                    "inconclusive",
                ),
                ("slots of a report", World::from(slot(old(), 300)).sibling(slot(newer(1), 100)), "fail"),
                ("of two of one age, one", World::from(twin().id(1)).sibling(twin().id(2)), "fail"),
                ("of two of one age, not both", World::from(twin().id(2)).sibling(twin().id(1)), "pass"),
            ],
        );
        assert_eq!(
            words[0],
            "active, created 2025-10-20, beside AKIA2 of 2026-08-16, together for 100 days, over 14 days"
        );
    }
}
