//! `baseline accept|work`: what is said once somebody decided about a source's first findings.
//! It must never hide that critical ones were told already.

use super::{CliError, Exit, Screen};

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decided {
    /// The findings are accepted.
    Accept,
    /// The findings are worked on like any others.
    Work,
}

/// Says what became of the findings of a source's first complete run.
pub fn done(source: &str, decided: Decided, findings: u64, screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    let text = match (findings, decided) {
        (0, _) => "there are no findings of a first complete run".to_owned(),
        (_, Decided::Accept) => format!("{findings} findings of the first complete run are accepted"),
        (_, Decided::Work) => format!("{findings} findings of the first complete run are worked on from now on"),
    };
    screen.remark(&format!("{source}: {text}"))?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cli::screen::fake::written, output::Format};

    #[test]
    fn what_was_decided_is_said() {
        let said = |decided, findings| written(Format::Table, |screen| drop(done("a", decided, findings, screen))).1;
        assert_eq!(said(Decided::Accept, 3), "a: 3 findings of the first complete run are accepted\n");
        assert_eq!(said(Decided::Work, 0), "a: there are no findings of a first complete run\n");
    }
}
