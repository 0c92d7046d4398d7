//! SRC-OVERPRIVILEGED: the credential a source looks with could also change things.
//! It must never trust that what we do not send cannot be sent.

use provost_model::{FieldSet, Reading, Severity, Time};

use super::SourceView;
use crate::{
    rules::{Check, Judged, Lack, Mapping, Rule, Verdict},
    thresholds::Thresholds,
};

/// What this rule is.
pub(in crate::rules) static SPEC: Rule = Rule {
    id: "SRC-OVERPRIVILEGED",
    version: 1,
    severity: Severity::Medium,
    title: "source looks with a credential that could write",
    why: "Looking needs no right to change. Whoever takes this host would have that right too.",
    remedy: "Give the source a credential with only the reads that `provost check` prints.",
    frameworks: Mapping {
        owasp_nhi: &["NHI5"],
        nist_csf: &["PR.AA-05"],
        other: &[("nist_sp_800_53_r5", "AC-6"), ("pci_dss_4.0.1", "7.2.5")],
    },
    needs: &[],
    reads: FieldSet::EMPTY,
    neighbours: &[],
    dates: false,
    figures: &[],
    check: Check::Source(check),
};

/// Most rights named in the words.
const NAMED: usize = 5;

fn check(source: &SourceView, _: &Thresholds, _: Time) -> Judged {
    let writable = match &source.writable {
        Reading::Known(writable) if writable.is_empty() => return Ok(Verdict::pass()),
        Reading::Known(writable) => writable,
        Reading::Never => return Ok(Verdict::pass()),
        Reading::NotReported => return Ok(Verdict::not_applicable()),
        Reading::NotPermitted => return Err(Verdict::inconclusive(Lack::Permission, "its rights may not be seen")),
        Reading::NotCollected => return Err(Verdict::inconclusive(Lack::Collection, "its rights are not checked yet")),
    };
    let named = writable.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = if writable.len() > NAMED { ", …" } else { "" };
    Ok(Verdict::fail(format!("its credential could also: {named}{more}"), Vec::new()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::source::sample::{source, truth};

    #[test]
    fn truth_table() {
        let could = |reading| SourceView { writable: reading, ..source() };
        let words = truth(
            &SPEC,
            vec![
                ("could write", could(Reading::Known(vec!["iam:*".into()])), "fail"),
                ("edge: nothing found", could(Reading::Known(vec![])), "pass"),
                ("cannot", could(Reading::Never), "pass"),
                ("unknown: not checked yet", could(Reading::NotCollected), "inconclusive"),
                ("unknown: the provider does not say", could(Reading::NotReported), "not_applicable"),
                ("denied", could(Reading::NotPermitted), "inconclusive"),
            ],
        );
        assert_eq!(words[0], "its credential could also: iam:*");
    }
}
