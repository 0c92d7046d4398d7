//! SRC-STALE: a source has not seen everything for too long, or soon cannot look any more.
//! It must never let a partial run pass for a look.

use provost_model::{FieldSet, Reading, Severity, Span, Time};

use super::SourceView;
use crate::{
    rules::{Check, Judged, Mapping, Rule, Verdict, life},
    thresholds::{Thresholds, days},
};

/// What this rule is.
pub(in crate::rules) static SPEC: Rule = Rule {
    id: "SRC-STALE",
    version: 1,
    severity: Severity::High,
    title: "source not fully covered for too long, or about to be locked out",
    why: "What is not looked at changes unseen: new credentials do not appear, and findings can be neither opened nor closed.",
    remedy: "See `provost status` for what failed; renew the source's credential or grant what it lacks, then scan.",
    frameworks: Mapping { owasp_nhi: &[], nist_csf: &["DE.CM-09"], other: &[("nist_sp_800_53_r5", "CA-7")] },
    needs: &[],
    reads: FieldSet::EMPTY,
    neighbours: &[],
    dates: false,
    figures: &["source_periods", "source_credential_days"],
    check: Check::Source(check),
};

/// Most scopes named in the words.
const NAMED: usize = 3;

fn check(source: &SourceView, thresholds: &Thresholds, now: Time) -> Judged {
    let mut faults = Vec::new();
    let mut until: Option<Time> = None;
    let mut later = |at: Time| until = until.into_iter().chain([at]).min();
    if let Some(period) = source.period {
        let limit = Span::seconds(period.as_micros() / 1_000_000 * i64::from(thresholds.source_periods));
        let mut behind = Vec::new();
        for scope in &source.scopes {
            let last = scope.covered_at.unwrap_or(source.since);
            if now - last > limit {
                behind.push((scope, scope.covered_at));
            } else {
                later(last + limit + Span::micros(1));
            }
        }
        if source.scopes.is_empty() && now - source.since > limit {
            faults.push(format!("never read since {}", life::date(source.since)));
        } else if source.scopes.is_empty() {
            later(source.since + limit + Span::micros(1));
        }
        if !behind.is_empty() {
            let last = |at: &Option<Time>| at.map_or("never".to_owned(), |at| format!("last on {}", life::date(at)));
            let named = behind.iter().take(NAMED).map(|(scope, at)| format!("{} ({})", scope.path, last(at)));
            let named = named.collect::<Vec<_>>().join(", ");
            let more = if behind.len() > NAMED { ", …" } else { "" };
            faults.push(format!(
                "{} of {} scopes not fully covered for over {} periods: {named}{more}",
                behind.len(),
                source.scopes.len(),
                thresholds.source_periods
            ));
        }
    }
    if let Reading::Known(end) = source.credential_expires_at {
        let limit = thresholds.source_credential_days;
        if end <= now {
            faults.push(format!("the credential it looks with expired {}", life::date(end)));
        } else if now >= end - days(limit) {
            let left = life::count((end - now).whole_days());
            faults.push(format!(
                "the credential it looks with expires {}, in {left}, within {limit} days",
                life::date(end)
            ));
            later(end);
        } else {
            later(end - days(limit));
        }
    }
    let mut verdict = if faults.is_empty() { Verdict::pass() } else { Verdict::fail(faults.join("; "), Vec::new()) };
    verdict.until = until;
    Ok(verdict)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{
        sample::{NOW, ago, ahead},
        source::sample::{scope, source, truth},
    };

    #[test]
    fn truth_table() {
        let covered = |at| SourceView { scopes: vec![scope("iam/users", Some(at))], ..source() };
        let mixed =
            || SourceView { scopes: vec![scope("iam/users", Some(NOW)), scope("iam/keys", Some(ago(9)))], ..source() };
        let never = |since| SourceView { since, scopes: vec![scope("iam/users", None)], ..source() };
        let ends = |reading| SourceView { credential_expires_at: reading, ..source() };
        let words = truth(
            &SPEC,
            vec![
                ("one scope behind", mixed(), "fail"),
                ("covered lately", covered(ago(1)), "pass"),
                ("edge: exactly three periods", covered(ago(3)), "pass"),
                ("edge: a moment more", covered(ago(3) - Span::micros(1)), "fail"),
                ("grace: configured lately, not read yet", never(ago(1)), "pass"),
                ("never covered", never(ago(4)), "fail"),
                ("no scope ever began", SourceView { since: ago(4), scopes: vec![], ..source() }, "fail"),
                ("run by hand only", SourceView { period: None, ..covered(ago(99)) }, "pass"),
                ("its credential ends soon", ends(Reading::Known(ahead(14))), "fail"),
                ("edge: a moment before that", ends(Reading::Known(ahead(14) + Span::micros(1))), "pass"),
                ("its credential ended", ends(Reading::Known(ago(1))), "fail"),
                ("unknown: its credential's end is not reported", ends(Reading::NotReported), "pass"),
                ("denied", ends(Reading::NotPermitted), "pass"),
                ("unknown: not collected", ends(Reading::NotCollected), "pass"),
            ],
        );
        assert_eq!(words[0], "1 of 2 scopes not fully covered for over 3 periods: iam/keys (last on 2026-11-15)");
    }
}
