//! `evidence verify|export|head`.
//! It must never say that evidence holds without what could not be excluded.

use std::io;

use provost_store::evidence::{Exhibit, Report};
use serde::Serialize;

use super::{CliError, Exit, Screen};
use crate::output::Cell;

/// The end of a chain.
#[derive(Clone, Debug, Serialize)]
pub struct HeadRow {
    /// Whose chain it is.
    pub writer: String,
    /// Entries in it.
    pub entries: u64,
    /// The hash of the last.
    pub head: String,
}

/// Shows what came of checking a file.
pub fn verified(report: &Report, screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    let exit = if report.holds { Exit::Done } else { Exit::Failed };
    if !screen.is_table() {
        screen.value(report)?;
        return Ok(exit);
    }
    for chain in &report.chains {
        let (writer, first, last) = (&chain.writer, chain.first, chain.last);
        screen.line(&format!("{writer}: entries {first} to {last}, the last is {}", chain.head))?;
    }
    match &report.first_bad {
        None => screen.line(&format!("{} entries, all of them hold", report.entries))?,
        Some(bad) => {
            let entry = bad.entry.as_ref().map(|(writer, number)| format!(", entry {number} of {writer}"));
            screen.line(&format!("line {}{}: {}", bad.line, entry.unwrap_or_default(), bad.said))?;
            screen.line("what follows it was not looked at")?;
        }
    }
    screen.prose("\nNot excluded:")?;
    report.not_excluded.iter().try_for_each(|it| screen.told(it))?;
    Ok(exit)
}

/// Writes one entry: as it is hashed, whatever the form asked for.
pub fn exhibit(exhibit: &Exhibit, screen: &mut Screen<'_>) -> io::Result<()> {
    screen.value(exhibit)
}

/// Shows the ends of chains.
pub fn heads(rows: &[HeadRow], screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    if !screen.is_table() {
        screen.value(rows)?;
        return Ok(Exit::Done);
    }
    if rows.is_empty() {
        screen.remark("there is no evidence yet: nobody decided anything")?;
    }
    let cells = rows.iter().map(|row| {
        let cell = |text: &str| Cell::new(text);
        vec![cell(&row.writer), cell(&row.entries.to_string()), cell(&row.head)]
    });
    screen.section(
        "Ends of chains, to be kept elsewhere",
        &["chain", "entries", "hash of the last"],
        cells.collect(),
    )?;
    Ok(Exit::Done)
}
