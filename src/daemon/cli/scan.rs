//! What is said after a scan: run by run, what was seen, what was not, what it cost.
//! It must never leave out what was not seen.

use provost_model::{Outcome, Run, Severity, Trouble};

use super::{CliError, Exit, Screen, sources::tone};
use crate::output::Cell;

/// Most troubles shown of one run; the rest is counted.
const TROUBLES_MAX: usize = 20;

/// Shows finished runs; exit 6 if all went well and an open finding reaches the bound.
pub fn show(
    runs: &[Run],
    open: &[Severity],
    fail_on: Option<Severity>,
    screen: &mut Screen<'_>,
) -> Result<Exit, CliError> {
    let exit = Exit::of_runs(runs.iter().map(|run| run.outcome)).or_findings(fail_on, open.iter().copied());
    if !screen.is_table() {
        screen.value(runs)?;
        return Ok(exit);
    }
    let rows = runs.iter().map(|run| {
        let sum = |of: fn(&provost_model::ScopeReport) -> u64| run.scopes.iter().map(of).sum::<u64>().to_string();
        vec![
            run.source.clone().into(),
            Cell::new(run.outcome.word()).tone(tone(run.outcome)),
            sum(|scope| scope.seen).into(),
            sum(|scope| scope.appeared).into(),
            sum(|scope| scope.changed).into(),
            sum(|scope| scope.returned).into(),
            sum(|scope| scope.missing).into(),
            sum(|scope| scope.gone).into(),
            sum(|scope| scope.held).into(),
            run.calls_sent().to_string().into(),
            run.ended.map_or_else(|| "-".to_owned(), |end| took(run, end)).into(),
        ]
    });
    let header = ["source", "outcome", "seen", "new", "changed", "back", "missing", "gone", "held", "calls", "took"];
    crate::output::table::draw(&header, rows.collect(), &screen.look, screen.out)?;
    for run in runs {
        troubles(run, screen)?;
        if run.outcome == Outcome::Held {
            let source = &run.source;
            screen.line(&format!(
                "{source}: too much would have vanished at once, so nothing was let go; if it is right:"
            ))?;
            screen.line(&format!("  provost sources release {source} --reason …"))?;
        }
    }
    Ok(exit)
}

fn troubles(run: &Run, screen: &mut Screen<'_>) -> std::io::Result<()> {
    for trouble in run.troubles.iter().take(TROUBLES_MAX) {
        let what = if trouble.blind_spot { "cannot see" } else { "not seen" };
        screen.line(&format!("{}: {what}: {}", run.source, told(trouble)))?;
    }
    match run.troubles.len().checked_sub(TROUBLES_MAX) {
        Some(more) if more > 0 => screen.line(&format!("{}: and {more} more; --output json shows all", run.source)),
        _ => Ok(()),
    }
}

/// Where, why and what was said. What ends a whole run has no place.
pub fn told(trouble: &Trouble) -> String {
    let Trouble { place, why, said, .. } = trouble;
    if place.is_empty() { format!("{why}: {said}") } else { format!("{place}: {why}: {said}") }
}

fn took(run: &Run, end: provost_model::Time) -> String {
    let tenths = (end - run.started).as_micros().max(0) / 100_000;
    if tenths < 600 { format!("{}.{} s", tenths / 10, tenths % 10) } else { format!("{} min", tenths / 600) }
}

#[cfg(test)]
mod tests {
    use provost_model::{CallCount, RecordId, ScopeReport, Span, Why};

    use super::*;
    use crate::{
        cli::screen::fake::written,
        output::{Format, inventory::samples::NOW},
    };

    fn run(outcome: Outcome) -> Run {
        let mut run = Run::begun(RecordId::from_bytes([3; 16]), "aws-prod", NOW);
        run.ended = Some(NOW + Span::seconds(7));
        run.outcome = outcome;
        run.scopes.push(ScopeReport {
            scope: "iam/authorization".into(),
            seen: 300,
            appeared: 4,
            held: 90,
            ..ScopeReport::default()
        });
        run.calls.push(CallCount { operation: "iam:ListUsers".into(), sent: 12, throttled: 1 });
        let said = "AccessDenied\u{1b}[2J".to_owned();
        run.troubles.push(Trouble { place: "iam/access-keys".into(), why: Why::Denied, said, blind_spot: false });
        run
    }

    #[test]
    fn what_was_not_seen_is_said() {
        let (out, _) = written(Format::Table, |screen| {
            assert_eq!(show(&[run(Outcome::Held)], &[], None, screen).unwrap(), Exit::Held);
        });
        insta::assert_snapshot!(out, @r#"
    SOURCE    OUTCOME  SEEN  NEW  CHANGED  BACK  MISSING  GONE  HELD  CALLS  TOOK
    aws-prod  held     300   4    0        0     0        0     90    12     7.0 s
    aws-prod: not seen: iam/access-keys: denied: AccessDenied\u{1b}[2J
    aws-prod: too much would have vanished at once, so nothing was let go; if it is right:
      provost sources release aws-prod --reason …
    "#);
    }

    #[test]
    fn many_troubles_are_counted() {
        let mut many = run(Outcome::Partial);
        many.troubles = vec![many.troubles[0].clone(); 25];
        let (out, _) = written(Format::Table, |screen| {
            assert_eq!(show(&[many], &[], None, screen).unwrap(), Exit::Partial);
        });
        assert!(out.contains("and 5 more"), "{out}");
    }

    #[test]
    fn findings_decide_when_nothing_else_does() {
        written(Format::Json, |screen| {
            let exit = show(&[run(Outcome::Complete)], &[Severity::High], Some(Severity::High), screen);
            assert_eq!(exit.unwrap(), Exit::Findings);
        });
    }
}
