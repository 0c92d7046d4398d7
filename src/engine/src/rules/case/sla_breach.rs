//! GOV-SLA-BREACH: the deadline of a case is past, and what stands was neither taken as a risk nor mended.
//! It must never be raised where no deadline runs, nor be settled by a promise: only by an answer that holds, or by proof.

use provost_model::{FieldSet, Ruling, Severity, Stage, Time};

use super::CaseFile;
use crate::{
    govern::{answers, deadline_of},
    rules::{Check, Judged, Mapping, Rule, Verdict, life},
    thresholds::Thresholds,
};

/// What this rule is.
pub(in crate::rules) static SPEC: Rule = Rule {
    id: "GOV-SLA-BREACH",
    version: 1,
    severity: Severity::High,
    title: "the deadline of a case is past and it is not settled",
    why: "A fault that stands longer than anybody said it may stand is a risk that nobody took: nobody decided, or what was \
          decided was not done.",
    remedy: "Look at the case with `provost cases show`. Mend what is wrong, or have somebody who may take the risk until a \
             date; if acting was decided, find out what keeps it from being done.",
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

fn check(case: &CaseFile<'_>, _: &Thresholds, now: Time) -> Judged {
    let Some(deadline) = deadline_of(case.faults, case.governance) else { return Ok(Verdict::pass()) };
    if now < deadline {
        return Ok(Verdict::pass_until(deadline));
    }
    let days = life::count((now - deadline).whole_days());
    let said = format!("to be settled by {}, {days} ago; {}", life::date(deadline), answer(case, now));
    Ok(Verdict::fail(said, Vec::new()))
}

/// What was decided about it. What merely waits for somebody to agree is no answer.
fn answer(case: &CaseFile<'_>, now: Time) -> String {
    let about = case.motions.iter().rev().filter(|it| answers(it, case.faults.iter().map(|fault| fault.finding)));
    let acts = about.filter_map(|motion| match (&motion.ruling, motion.stage(now)) {
        (Ruling::Act { remedy }, Stage::InForce { since }) => Some((remedy, since)),
        _ => None,
    });
    acts.take(1).next().map_or_else(
        || "nobody decided".to_owned(),
        |(remedy, since)| format!("{} was decided on {} and is not done", remedy.word(), life::date(since)),
    )
}

#[cfg(test)]
mod tests {
    use provost_model::{Remedy, Span};

    use super::*;
    use crate::rules::case::sample::{Sheet, fault, motion};
    use crate::rules::sample::{NOW, ago};

    #[test]
    fn truth_table() {
        let act = |asked| motion(&["CRED-AGE"], Ruling::Act { remedy: Remedy::Rotate }, asked);
        let waiting = |asked| provost_model::Motion { needs: 2, ..act(asked) };
        let medium = |opened| fault("CRED-AGE", Severity::Medium, opened);
        let owner = motion(&["CRED-AGE"], Ruling::Reassign { owner: "bob".into() }, ago(1));
        let table = [
            ("nothing stands", Sheet::new(vec![]), "pass", None),
            ("its deadline is to come", Sheet::new(vec![medium(ago(29))]), "pass", Some(NOW + Span::days(1))),
            ("its deadline is now", Sheet::new(vec![medium(ago(30))]), "fail", None),
            ("long ago", Sheet::new(vec![medium(ago(40))]), "fail", None),
            ("no deadline runs", Sheet::new(vec![medium(ago(40))]).waiting(), "pass", None),
            (
                "the nearest of two counts",
                Sheet::new(vec![medium(ago(29)), fault("CRED-STALE", Severity::High, ago(8))]),
                "fail",
                None,
            ),
            ("acting was decided and not done", Sheet::new(vec![medium(ago(40))]).with(act(ago(12))), "fail", None),
            ("acting waits for others", Sheet::new(vec![medium(ago(40))]).with(waiting(ago(12))), "fail", None),
            ("who answers is no answer", Sheet::new(vec![medium(ago(40))]).with(owner), "fail", None),
            ("decided before it stood", Sheet::new(vec![medium(ago(40))]).with(act(ago(50))), "fail", None),
        ];
        let words: Vec<String> = table
            .into_iter()
            .filter_map(|(about, sheet, word, until)| sheet.judged(&SPEC, (about, word, until)))
            .collect();
        let nobody = |date: &str, days| format!("to be settled by {date}, {days} days ago; nobody decided");
        assert_eq!(words[0], nobody("2026-11-24", 0));
        assert_eq!(words[1], nobody("2026-11-14", 10));
        assert_eq!(
            words[3],
            "to be settled by 2026-11-14, 10 days ago; rotate was decided on 2026-11-12 and is not done"
        );
        assert_eq!(words[4..], vec![nobody("2026-11-14", 10); 3]);
    }
}
