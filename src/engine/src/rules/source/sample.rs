//! Sources for the truth tables of rules about sources.
//! It must never be compiled into the program.

use provost_model::{Reading, Span, Time};

use super::{ScopeView, SourceView};
use crate::{
    rules::{
        Outcome, Rule,
        sample::{NOW, ago},
    },
    thresholds::Thresholds,
};

/// A source that runs daily and is in order.
pub(crate) fn source() -> SourceView {
    SourceView {
        name: "aws-prod".into(),
        connector: "aws".into(),
        period: Some(Span::days(1)),
        since: ago(100),
        scopes: vec![scope("iam/users", Some(NOW))],
        credential_expires_at: Reading::NotReported,
        held: Vec::new(),
        writable: Reading::NotCollected,
    }
}

pub(crate) fn scope(path: &str, covered_at: Option<Time>) -> ScopeView {
    ScopeView { path: path.into(), covered_at }
}

/// Judges every row and compares; gives the words of failures.
pub(crate) fn truth(rule: &'static Rule, rows: Vec<(&'static str, SourceView, &'static str)>) -> Vec<String> {
    rows.into_iter()
        .filter_map(|(about, source, expected)| {
            let verdict = rule.of_source(&source, &Thresholds::default(), NOW);
            assert_eq!(verdict.word(), expected, "{}: {about}: {verdict:?}", rule.id);
            match verdict.outcome {
                Outcome::Fail(because) => Some(because.words),
                _ => None,
            }
        })
        .collect()
}
