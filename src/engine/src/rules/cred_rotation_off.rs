//! CRED-ROTATION-OFF: the store that keeps a secret could replace it by itself, and does not.
//! It must never take a store that cannot rotate for one that does not.

use provost_model::{FieldSet, Kind, Reading, Severity, Span, Time, field};

use super::{Check, Judged, Lack, Mapping, Neighbour, Rule, Verdict, View, life};
use crate::thresholds::Thresholds;

/// What this rule is.
pub(super) static SPEC: Rule = Rule {
    id: "CRED-ROTATION-OFF",
    version: 1,
    severity: Severity::Medium,
    title: "rotation is off or failing where its store can rotate",
    why: "What nobody replaces stays as it was handed out, and a rotation that fails in silence is believed to work.",
    remedy: "Turn rotation on, or repair what it calls and run it once; where it cannot rotate, write down who replaces \
             it by hand, and raise this rule's figures there.",
    frameworks: Mapping { owasp_nhi: &["NHI7"], nist_csf: &["PR.AA-01"], other: &[("nist_sp_800_53_r5", "IA-5(1)")] },
    needs: &[Kind::Secret, Kind::Password, Kind::AccessKey, Kind::Token, Kind::Certificate, Kind::SshKey],
    reads: FieldSet::of(&[
        field::STATUS.field(),
        field::EXPIRES_AT.field(),
        field::LOCATION.field(),
        field::ROTATION.field(),
        field::ROTATION_DUE_AT.field(),
        field::ROTATION_PERIOD.field(),
        field::ROTATED_AT.field(),
        field::CREATED_AT.field(),
        field::ISSUED_AT.field(),
    ]),
    neighbours: &[Neighbour::Identity.reading(&[])],
    dates: false,
    figures: &["grace_days", "rotation_periods"],
    check: Check::Record(check),
};

fn check(view: &View<'_>, thresholds: &Thresholds, now: Time) -> Judged {
    let working = life::working(view, now)?;
    // A file replaces nothing by itself.
    if view.is_in_file() {
        return Ok(Verdict::not_applicable());
    }
    let words = match view.text(field::ROTATION) {
        Reading::Known("off") => {
            life::usual_grace(view, thresholds, now)?;
            view.says(|| format!("{working}, its store could replace it by itself and is not told to{}", last(view)))
        }
        Reading::Known("failing") => view.says(|| format!("{working}, its rotation fails{}", last(view))),
        Reading::Known("on") => overdue(view, thresholds, now)?,
        Reading::Known("managed") => return Ok(Verdict::pass()),
        Reading::Known(_) => return Err(Verdict::inconclusive(Lack::Report, "the state of its rotation is unclear")),
        Reading::Never | Reading::NotReported => return Ok(Verdict::not_applicable()),
        unknown => return Err(Verdict::unknown("rotation", &unknown)),
    };
    Ok(Verdict::fail(words, view.raisers()))
}

/// The words on a rotation that is on and did not happen for several of its periods; else the verdict.
fn overdue(view: &View<'_>, thresholds: &Thresholds, now: Time) -> Result<String, Verdict> {
    let due = match view.get(field::ROTATION_DUE_AT) {
        Reading::Known(due) => due,
        Reading::Never | Reading::NotReported => return Err(Verdict::pass()),
        unknown => return Err(Verdict::unknown("rotation_due_at", &unknown)),
    };
    let (rotated, made) = (view.get(field::ROTATED_AT), view.get(field::CREATED_AT));
    let Some(last) = rotated.known().or(made.known()) else { return Err(Verdict::unknown("rotated_at", &rotated)) };
    let period = match view.get(field::ROTATION_PERIOD).known() {
        Some(seconds) => Span::micros(seconds.saturating_mul(1_000_000)),
        None => due - last,
    };
    if period <= Span::micros(0) {
        // It is told of as due at once: what is late cannot be told from that.
        return Err(Verdict::pass());
    }
    let periods = thresholds.rotation_periods;
    let longest = Span::micros(period.as_micros().saturating_mul(i64::from(periods)));
    let as_of = view.as_of(field::ROTATION_DUE_AT.field());
    let late = life::over(last, longest, as_of, now)?;
    Ok(view.says(|| {
        let (last, due) = (life::date(last), life::date(due));
        let period = life::count(period.whole_days());
        format!(
            "rotation is on, last done {last}, {} ago, due {due}, over {periods} periods of {period}",
            life::count(late)
        )
    }))
}

fn last(view: &View<'_>) -> String {
    match view.get(field::ROTATED_AT) {
        Reading::Known(at) => format!(", last replaced {}", life::date(at)),
        Reading::Never => ", never replaced".to_owned(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use provost_model::Status;

    use super::*;
    use crate::rules::sample::{NOW, Sample, World, ago, ahead, record, truth};

    fn item() -> Sample {
        record(Kind::Secret).with(field::CREATED_AT, ago(500)).with(field::ROTATED_AT, ago(90))
    }

    fn state(word: &str) -> Sample {
        item().with(field::ROTATION, word.to_owned())
    }

    #[test]
    fn truth_table() {
        let on =
            |last: i64, due: Time| state("on").with(field::ROTATED_AT, ago(last)).with(field::ROTATION_DUE_AT, due);
        let unsaid = |reading| World::from(item().with(field::ROTATION, reading));
        let mut patient = World::from(on(91, ago(61)));
        patient.thresholds.rotation_periods = 4;
        let never = state("on").with(field::ROTATED_AT, Reading::Never).with(field::CREATED_AT, ago(100));
        let words = truth(
            &SPEC,
            vec![
                ("off", state("off").into(), "fail"),
                ("off, and never done", state("off").with(field::ROTATED_AT, Reading::Never).into(), "fail"),
                ("grace: made lately and off", state("off").with(field::CREATED_AT, ago(6)).into(), "pass"),
                ("failing", state("failing").into(), "fail"),
                ("no grace for a failure", state("failing").with(field::CREATED_AT, ago(1)).into(), "fail"),
                ("managed by its service", state("managed").into(), "pass"),
                ("on and in time", on(10, ahead(20)).into(), "pass"),
                ("on and two periods ago", on(61, ago(31)).into(), "fail"),
                ("edge: exactly two periods", on(60, ago(30)).into(), "pass"),
                ("edge: below the periods configured", patient, "pass"),
                ("never done since it was made", never.clone().with(field::ROTATION_DUE_AT, ago(70)).into(), "fail"),
                ("due at once", on(5, ago(5)).into(), "pass"),
                ("the store says its period", on(61, ago(1)).with(field::ROTATION_PERIOD, 30 * 86_400).into(), "fail"),
                ("on without a plan", state("on").with(field::ROTATION_DUE_AT, Reading::NotReported).into(), "pass"),
                ("unknown: the plan", state("on").into(), "inconclusive"),
                (
                    "unknown: when it was last done",
                    record(Kind::Secret)
                        .with(field::ROTATION, "on".to_owned())
                        .with(field::ROTATION_DUE_AT, ago(1))
                        .into(),
                    "inconclusive",
                ),
                ("a word nobody knows", state("perhaps").into(), "inconclusive"),
                ("the store cannot rotate", unsaid(Reading::NotReported), "not_applicable"),
                ("unknown: not collected", unsaid(Reading::NotCollected), "inconclusive"),
                ("denied", unsaid(Reading::NotPermitted), "inconclusive"),
                ("in a file", state("off").with(field::LOCATION, "/x".to_owned()).into(), "not_applicable"),
                ("switched off", state("off").with(field::STATUS, Status::Inactive).into(), "pass"),
                ("data of before the limit", World::from(on(61, ago(31)).told(ago(3))), "inconclusive"),
            ],
        );
        assert!(words[0].ends_with("and is not told to, last replaced 2026-08-26"), "{}", words[0]);
        assert_eq!(
            words[4],
            "rotation is on, last done 2026-09-24, 61 days ago, due 2026-10-24, over 2 periods of 30 days"
        );
        assert!(NOW > ago(1));
    }
}
