//! `evidence verify|export|head`.
//! It must never say that evidence holds without what could not be excluded.

use std::io;

use provost_store::evidence::{Checkpoint, Exhibit, Report};
use serde::Serialize;

use super::{CliError, Exit, Screen};
use crate::output::Cell;

/// A line that holds a checkpoint.
#[derive(Serialize)]
struct Line<'a> {
    checkpoint: &'a Checkpoint,
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
        None => {
            let vouched = match report.checkpoints {
                0 => String::new(),
                1 => ", 1 signed checkpoint".to_owned(),
                more => format!(", {more} signed checkpoints"),
            };
            screen.line(&format!("{} entries, all of them hold{vouched}", report.entries))?;
        }
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

/// Writes one checkpoint: as a file of evidence has it.
pub fn checkpoint(checkpoint: &Checkpoint, screen: &mut Screen<'_>) -> io::Result<()> {
    screen.value(&Line { checkpoint })
}

/// Shows checkpoints.
pub fn heads(rows: &[Checkpoint], screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    if !screen.is_table() {
        rows.iter().try_for_each(|row| checkpoint(row, screen))?;
        return Ok(Exit::Done);
    }
    let Some(first) = rows.first() else {
        screen.remark("there is no evidence yet: nobody decided anything")?;
        return Ok(Exit::Done);
    };
    let key = first.key.to_string();
    let cells = rows.iter().map(|row| {
        let cell = |text: &str| Cell::new(text);
        vec![cell(&row.writer), cell(&row.count.to_string()), cell(&row.head.to_string())]
    });
    screen.section("Ends of chains", &["chain", "entries", "hash of the last"], cells.collect())?;
    screen.pairs(&[("\nkey", key)])?;
    screen.remark("to be kept elsewhere, signed: provost evidence head -o ndjson")?;
    Ok(Exit::Done)
}
