//! SRC-HELD: the brake holds back absences of a source until somebody looks.
//! It must never be raised by anything but the brake.

use provost_model::{FieldSet, Severity, Time};

use super::SourceView;
use crate::{
    rules::{Check, Judged, Mapping, Rule, Verdict, life},
    thresholds::Thresholds,
};

/// What this rule is.
pub(in crate::rules) static SPEC: Rule = Rule {
    id: "SRC-HELD",
    version: 1,
    severity: Severity::High,
    title: "absences held back",
    why: "More things vanished at once than is likely: either somebody cleaned up, or the source was shown less than there is.",
    remedy: "Look at the scope with the provider's own tools. If the things are truly gone, release the absences with a \
             reason; if not, mend the source's permissions or roots.",
    frameworks: Mapping { owasp_nhi: &[], nist_csf: &["DE.AE-02"], other: &[("nist_sp_800_53_r5", "CM-8")] },
    needs: &[],
    reads: FieldSet::EMPTY,
    neighbours: &[],
    dates: false,
    figures: &[],
    check: Check::Source(check),
};

fn check(source: &SourceView, _: &Thresholds, _: Time) -> Judged {
    if source.held.is_empty() {
        return Ok(Verdict::pass());
    }
    let held = source
        .held
        .iter()
        .map(|it| format!("{} of {} records of {} since {}", it.absences, it.of, it.scope, life::date(it.since)));
    Ok(Verdict::fail(format!("held back: {}", held.collect::<Vec<_>>().join("; ")), Vec::new()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{
        sample::{NOW, ago},
        source::{
            Held,
            sample::{source, truth},
        },
    };

    #[test]
    fn truth_table() {
        let held = |absences, since| {
            let held = vec![Held { scope: "iam/users".into(), absences, of: 300, since }];
            SourceView { held, ..source() }
        };
        let words = truth(
            &SPEC,
            vec![
                ("absences held back", held(240, ago(1)), "fail"),
                ("edge: one is enough", held(1, ago(1)), "fail"),
                ("no grace: a moment ago", held(240, NOW), "fail"),
                ("none", source(), "pass"),
            ],
        );
        assert_eq!(words[0], "held back: 240 of 300 records of iam/users since 2026-11-23");
    }
}
