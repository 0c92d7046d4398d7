//! Exit statuses: what a script learns without reading.
//! It must never give one number two meanings.

use std::process::ExitCode;

use provost_model::{Outcome, Severity};

/// How a command ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything asked for was done.
    #[default]
    Done = 0,
    /// It failed and changed nothing.
    Failed = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// What was seen is committed, but not everything was seen.
    Partial = 3,
    /// Absences were held back.
    Held = 4,
    /// The store is locked, newer than this program, or damaged.
    Store = 5,
    /// There are findings at or above the bound.
    Findings = 6,
}

/// The table as `--help` shows it.
pub(super) const TABLE: &str = "\
Exit status:
  0  done
  1  failed, nothing changed
  2  usage or configuration
  3  partial: what was seen is committed, not everything was seen
  4  held back: too much would have vanished at once
  5  the store is locked, newer than this program, or damaged
  6  findings at or above --fail-on";

impl Exit {
    /// The number.
    pub fn status(self) -> u8 {
        self as u8
    }

    /// The exit of that number; an unknown number means failure.
    pub fn of_status(status: u8) -> Self {
        let all = [Exit::Done, Exit::Failed, Exit::Usage, Exit::Partial, Exit::Held, Exit::Store, Exit::Findings];
        all.into_iter().find(|exit| exit.status() == status).unwrap_or(Exit::Failed)
    }

    /// The worst of several runs: what failed tells more than what is held, that more than what is partial.
    pub fn of_runs(outcomes: impl IntoIterator<Item = Outcome>) -> Self {
        let rank = |outcome: &Outcome| match outcome {
            Outcome::Complete => 0,
            Outcome::Partial | Outcome::Running => 1,
            Outcome::Held => 2,
            Outcome::Failed => 3,
        };
        match outcomes.into_iter().max_by_key(rank) {
            None | Some(Outcome::Complete) => Exit::Done,
            Some(Outcome::Partial | Outcome::Running) => Exit::Partial,
            Some(Outcome::Held) => Exit::Held,
            Some(Outcome::Failed) => Exit::Failed,
        }
    }

    /// This exit, or 6 if all went well and one of the severities is at or above the bound.
    pub fn or_findings(self, bound: Option<Severity>, severities: impl IntoIterator<Item = Severity>) -> Self {
        let reached = bound.is_some_and(|bound| severities.into_iter().any(|severity| severity >= bound));
        if self == Exit::Done && reached { Exit::Findings } else { self }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.status())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_run_exits_as_the_model_says() {
        for outcome in [Outcome::Running, Outcome::Complete, Outcome::Partial, Outcome::Held, Outcome::Failed] {
            assert_eq!(Exit::of_runs([outcome]).status(), outcome.exit_status(), "{outcome:?}");
        }
    }

    #[test]
    fn several_runs_exit_as_the_worst() {
        let table = [
            (vec![], Exit::Done),
            (vec![Outcome::Complete, Outcome::Partial], Exit::Partial),
            (vec![Outcome::Held, Outcome::Partial], Exit::Held),
            (vec![Outcome::Held, Outcome::Failed, Outcome::Complete], Exit::Failed),
        ];
        for (outcomes, exit) in table {
            assert_eq!(Exit::of_runs(outcomes.clone()), exit, "{outcomes:?}");
        }
    }

    #[test]
    fn findings_show_only_when_nothing_else_went_wrong() {
        let severities = [Severity::Low, Severity::High];
        assert_eq!(Exit::Done.or_findings(Some(Severity::High), severities), Exit::Findings);
        assert_eq!(Exit::Done.or_findings(Some(Severity::Critical), severities), Exit::Done);
        assert_eq!(Exit::Done.or_findings(None, severities), Exit::Done);
        assert_eq!(Exit::Partial.or_findings(Some(Severity::Low), severities), Exit::Partial);
    }

    #[test]
    fn the_table_names_every_status() {
        let statuses = [Exit::Done, Exit::Failed, Exit::Usage, Exit::Partial, Exit::Held, Exit::Store, Exit::Findings];
        for (number, exit) in statuses.into_iter().enumerate() {
            assert_eq!(usize::from(exit.status()), number);
            assert!(TABLE.contains(&format!("\n  {number}  ")));
        }
    }
}
