//! GOV-EXC-EXPIRED: a risk was taken until a date, the date is past, and the fault stands again.
//! It must never be raised for what was told to be no fault, nor once the risk was taken anew.

use provost_model::{FieldSet, Finding, FindingState, Motion, Resolution, Ruling, Severity, Stage, Time};

use super::CaseFile;
use crate::{
    rules::{Check, Judged, Mapping, Rule, Verdict, life},
    thresholds::Thresholds,
};

/// What this rule is.
pub(in crate::rules) static SPEC: Rule = Rule {
    id: "GOV-EXC-EXPIRED",
    version: 1,
    severity: Severity::High,
    title: "an accepted risk is past its date and the fault stands again",
    why: "A risk is taken for a time. What still stands after it is taken by nobody, and whoever took it may not know.",
    remedy: "Mend what is wrong, or have somebody who may take the same risk again until another date; how often that may \
             be is limited.",
    frameworks: Mapping {
        owasp_nhi: &["NHI1"],
        nist_csf: &["GV.RR-02", "GV.OV-03"],
        other: &[("nist_sp_800_53_r5", "CA-7")],
    },
    needs: &[],
    reads: FieldSet::EMPTY,
    neighbours: &[],
    dates: false,
    figures: &[],
    check: Check::Case(check),
};

/// How long a fault's risk is, or was, taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    /// Until that date, which is to come: the fault is worse than what was taken, or came later.
    Until(Time),
    /// Until that date, which is past.
    Over(Time),
}

fn check(case: &CaseFile<'_>, _: &Thresholds, now: Time) -> Judged {
    let (mut over, mut ends): (Vec<(Time, &str)>, Option<Time>) = (Vec::new(), None);
    for fault in case.faults {
        match taken(fault.finding, case.motions, now) {
            Some(Taken::Over(at)) if !is_settled(case.former, at) => over.push((at, &fault.finding.rule)),
            Some(Taken::Until(at)) => ends = ends.into_iter().chain([at]).min(),
            Some(Taken::Over(_)) | None => {}
        }
    }
    over.sort_unstable();
    let mut verdict = match over.first() {
        None => Verdict::pass(),
        Some((at, _)) => {
            let mut rules: Vec<&str> = over.iter().map(|(_, rule)| *rule).collect();
            rules.sort_unstable();
            let days = life::count((now - *at).whole_days());
            let said = format!("the risk was taken until {}, {days} ago: {}", life::date(*at), rules.join(", "));
            Verdict::fail(said, Vec::new())
        }
    };
    verdict.until = ends;
    Ok(verdict)
}

/// How long the risk of a fault is taken; if it is not any more, how long it was.
fn taken(fault: &Finding, motions: &[Motion], now: Time) -> Option<Taken> {
    let accepted = motions.iter().filter(|motion| {
        let about = motion.findings.iter().any(|(id, _)| *id == fault.id);
        about && matches!(motion.ruling, Ruling::Accept { .. })
    });
    let mut last = None;
    for motion in accepted {
        match (motion.stage(now), motion.ruling.silences_until()) {
            (Stage::InForce { .. }, Some(until)) => return Some(Taken::Until(until)),
            (Stage::Ended { at }, _) => last = last.max(Some(at)),
            _ => {}
        }
    }
    last.map(Taken::Over)
}

/// Whether that end was found before and settled since: the fault was gone, or its risk taken anew. What comes back later is
/// not what was taken.
fn is_settled(former: Option<&Finding>, end: Time) -> bool {
    former.is_some_and(|it| {
        let settled = it.state == FindingState::Resolved && it.resolution == Some(Resolution::Fixed);
        settled && it.resolved_at.is_some_and(|at| at >= end)
    })
}

#[cfg(test)]
mod tests {
    use provost_model::Span;

    use super::*;
    use crate::rules::case::sample::{Sheet, fault, motion};
    use crate::rules::sample::{NOW, ago};

    #[test]
    fn truth_table() {
        let accept = |until, asked| motion(&["CRED-AGE"], Ruling::Accept { until, control: None }, asked);
        let reject = |until, asked| motion(&["CRED-AGE"], Ruling::Reject { until }, asked);
        let stands = || Sheet::new(vec![fault("CRED-AGE", Severity::Medium, ago(3))]);
        let (soon, later) = (NOW + Span::days(2), NOW + Span::days(5));
        let table = [
            ("nothing stands", Sheet::new(vec![]).with(accept(ago(4), ago(40))), "pass", None),
            ("nobody took it", stands(), "pass", None),
            ("its date is past", stands().with(accept(ago(4), ago(40))), "fail", None),
            ("its date is now", stands().with(accept(NOW, ago(40))), "fail", None),
            ("worse than what was taken", stands().with(accept(soon, ago(40))), "pass", Some(soon)),
            ("taken anew", stands().with(accept(ago(4), ago(40))).with(accept(later, ago(2))), "pass", Some(later)),
            ("over twice", stands().with(accept(ago(9), ago(40))).with(accept(ago(4), ago(8))), "fail", None),
            ("no fault, it was said", stands().with(reject(ago(4), ago(40))), "pass", None),
            (
                "another fault's",
                Sheet::new(vec![fault("CRED-STALE", Severity::Medium, ago(3))]).with(accept(ago(4), ago(40))),
                "pass",
                None,
            ),
            (
                "asked for and not agreed to",
                stands().with(Motion { needs: 2, ..accept(ago(4), ago(40)) }),
                "pass",
                None,
            ),
            ("settled since", stands().with(accept(ago(9), ago(40))).settled(&SPEC, ago(5)), "pass", None),
            ("settled before", stands().with(accept(ago(4), ago(40))).settled(&SPEC, ago(5)), "fail", None),
        ];
        let words: Vec<String> = table
            .into_iter()
            .filter_map(|(about, sheet, word, until)| sheet.judged(&SPEC, (about, word, until)))
            .collect();
        assert_eq!(words[0], "the risk was taken until 2026-11-20, 4 days ago: CRED-AGE");
        assert_eq!(words[2], words[0], "the later of two ends");
    }

    #[test]
    fn the_earliest_of_several_ends_is_told_with_every_rule() {
        let faults = ["CRED-STALE", "CRED-AGE"].map(|rule| fault(rule, Severity::Low, ago(1))).to_vec();
        let accept = |rule, until| motion(&[rule], Ruling::Accept { until, control: None }, ago(40));
        let sheet = Sheet::new(faults).with(accept("CRED-STALE", ago(3))).with(accept("CRED-AGE", ago(2)));
        let words = sheet.judged(&SPEC, ("two", "fail", None)).unwrap();
        assert_eq!(words, "the risk was taken until 2026-11-21, 3 days ago: CRED-AGE, CRED-STALE");
    }
}
