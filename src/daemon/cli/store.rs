//! `store backup|restore|check|compact`: what is said of the store itself.
//! It must never leave an operator in doubt whether something was lost, nor where what was set aside is.

use std::path::Path;

use provost_store::{
    Compacted, Report,
    archive::{Contents, Former, Restored, RolledBack},
};
use serde::Serialize;

use super::{CliError, Exit, Screen, status::bytes};

/// What reading the store through found, for programs.
#[derive(Serialize)]
struct Checked<'a> {
    commits: u64,
    rows: u64,
    versions: u64,
    entries: u64,
    due: u64,
    faults: &'a [String],
}

/// What a rewrite saved, for programs.
#[derive(Serialize)]
struct Saved {
    bytes_before: u64,
    bytes_after: u64,
}

/// A backup, for programs.
#[derive(Serialize)]
struct InFile<'a> {
    file: &'a Path,
    bytes: u64,
    #[serde(flatten)]
    contents: &'a Contents,
}

/// Says what is in the backup just written and read again.
pub fn backed_up(file: &Path, size: u64, contents: &Contents, screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    if !screen.is_table() {
        screen.value(&InFile { file, bytes: size, contents })?;
        return Ok(Exit::Done);
    }
    screen.prose(&format!("Backed up as of commit {}: {}.", contents.commit, told(contents)))?;
    screen.prose(&format!("Written to {} ({}) and read again: it is whole.", file.display(), bytes(size)))?;
    screen.prose("The key for fingerprints is not in it, nor is the configuration: keep copies of both elsewhere.")?;
    Ok(Exit::Done)
}

/// Says what a restore did, and what became of what was there.
pub fn restored(restored: &Restored, store: &Path, screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    let contents = &restored.contents;
    match &restored.former {
        Former::None => {}
        Former::SetAside { to, commit } => screen.prose(&format!(
            "The store that was there (last commit {commit}) was set aside, as it was, in {}.",
            to.display()
        ))?,
        Former::Damaged { to, what } => screen.prose(&format!(
            "The store that was there is damaged ({what}); it was set aside, as it was, in {}.",
            to.display()
        ))?,
    }
    screen.prose(&format!("Restored as of commit {}: {}.", contents.commit, told(contents)))?;
    if restored.from_segments > 0 {
        let entries = restored.from_segments;
        screen.prose(&format!("{entries} later entries of streams came from the segments beside the engine."))?;
    }
    if let Some(why) = &restored.segments_refused {
        screen.prose(&format!("The segments beside the engine were left out ({why}); they are set aside too."))?;
    }
    screen.prose(&format!("The store at {} can be used now: provost status", store.display()))?;
    Ok(Exit::Done)
}

/// Says what going back to an older format did, and what to do then.
pub fn rolled_back(done: &RolledBack, store: &Path, screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    let RolledBack::Done { copy, format, commit, recorded, aside, lost } = done else {
        let RolledBack::NotNeeded { format, min_reader } = done else { return Ok(Exit::Done) };
        screen.prose(&format!(
            "Nothing to go back from: the store at {} is of format {format}, and programs from format {min_reader} on read \
             it as it is. Nothing was changed.",
            store.display()
        ))?;
        screen.prose("To go back to the copy all the same, without the commits made since, add --lose-commits.")?;
        return Ok(Exit::Done);
    };
    if let Some(aside) = aside {
        screen.prose(&format!("The store that was there was set aside, as it was, in {}.", aside.display()))?;
    }
    screen.prose(&format!("Every file was put back from {} and is the one that was copied.", copy.display()))?;
    let recorded = recorded.whole_seconds();
    screen.prose(&format!("The store is of format {format} again, as of commit {commit} of {recorded}."))?;
    match lost {
        Some(0) => screen.line("No commit was lost.")?,
        Some(lost) => screen.prose(&format!("{lost} later commits are in the store that was set aside only."))?,
        None => screen.line("Which commits only the store that was set aside has is not known.")?,
    }
    screen.prose(&format!(
        "Install the provost that reads format {format} before the store is opened: this one would bring it to its own again."
    ))?;
    Ok(Exit::Done)
}

/// Says what was copied to another engine or database, and what to change so that it is used.
pub fn migrated(
    contents: &Contents,
    (old, lines): (&Path, &str),
    configuration: &Path,
    screen: &mut Screen<'_>,
) -> Result<Exit, CliError> {
    let old = old.display();
    screen.prose(&format!("Copied as of commit {}: {}.", contents.commit, told(contents)))?;
    screen.prose("Both were read again and compared: they hold the same.")?;
    let file = configuration.display();
    screen.prose(&format!("The store at {old} was left as it is. To use the new one, let {file} say:"))?;
    screen.line("[store]")?;
    screen.lines(lines)?;
    screen.prose("in place of the path, url and engine that are there, and start the daemon.")?;
    Ok(Exit::Done)
}

/// Says what reading everything through found; exit 5 if something is wrong.
pub fn checked(report: &Report, screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    let Report { rows, versions, entries, due, commits, faults } = report;
    let exit = if faults.is_empty() { Exit::Done } else { Exit::Store };
    if !screen.is_table() {
        let (rows, versions, entries, due, commits) = (*rows, *versions, *entries, *due, *commits);
        screen.value(&Checked { commits, rows, versions, entries, due, faults })?;
        return Ok(exit);
    }
    screen.prose(&format!(
        "Read through: {commits} commits, {rows} rows, {versions} former versions, {entries} stream entries, {due} due \
         items."
    ))?;
    if faults.is_empty() {
        screen.line("Nothing is wrong.")?;
        return Ok(exit);
    }
    screen.line(&format!("{} faults:", faults.len()))?;
    faults.iter().try_for_each(|fault| screen.prose(&format!("  {fault}")))?;
    screen.prose(
        "Stop the daemon and restore the last backup: provost store restore FILE --force (the store that is there is set \
         aside, not thrown away).",
    )?;
    Ok(exit)
}

/// Says what a rewrite needs, before it begins.
pub fn about_to_compact(needed: u64, free: u64, screen: &mut Screen<'_>) -> Result<(), CliError> {
    Ok(screen.remark(&format!("Rewriting needs {} free meanwhile; there are {}.", bytes(needed), bytes(free)))?)
}

/// Says what a rewrite saved.
pub fn compacted(compacted: &Compacted, screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    let Compacted { before, after } = *compacted;
    if screen.is_table() {
        screen.line(&format!("The store takes {} now; it took {}.", bytes(after), bytes(before)))?;
    } else {
        screen.value(&Saved { bytes_before: before, bytes_after: after })?;
    }
    Ok(Exit::Done)
}

/// What is in a backup, in words.
fn told(contents: &Contents) -> String {
    let Contents { rows, versions, entries, due, leases, .. } = contents;
    format!("{rows} rows, {versions} former versions, {entries} stream entries, {due} due items, {leases} leases")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cli::screen::fake::written, output::Format};

    #[test]
    fn faults_are_named_with_what_to_do_and_show_in_the_exit_status() {
        let report =
            Report { rows: 7, commits: 3, faults: vec!["rows/things, key 61: …".into()], ..Report::default() };
        let (out, _) = written(Format::Table, |screen| {
            assert_eq!(checked(&report, screen).unwrap(), Exit::Store);
        });
        insta::assert_snapshot!(out, @r"
        Read through: 3 commits, 7 rows, 0 former versions, 0 stream entries, 0 due items.
        1 faults:
          rows/things, key 61: …
        Stop the daemon and restore the last backup: provost store restore FILE --force (the store that is
          there is set aside, not thrown away).
        ");
        let (out, _) = written(Format::Json, |screen| {
            assert_eq!(checked(&Report { faults: vec![], ..report.clone() }, screen).unwrap(), Exit::Done);
        });
        insta::assert_snapshot!(out, @r#"{"commits":3,"rows":7,"versions":0,"entries":0,"due":0,"faults":[]}"#);
    }

    #[test]
    fn what_was_set_aside_is_said_with_its_place() {
        let contents = Contents { commit: 9, rows: 4, versions: 3, ..Contents::default() };
        let said = |former| {
            let restored = Restored { contents: contents.clone(), former, from_segments: 2, segments_refused: None };
            written(Format::Table, |screen| drop(super::restored(&restored, Path::new("/s"), screen))).0
        };
        let to = || Path::new("/s/damaged-2026-11-24T03-00-00Z").to_owned();
        insta::assert_snapshot!(said(Former::Damaged { to: to(), what: "sled/db is cut off".into() }), @r"
        The store that was there is damaged (sled/db is cut off); it was set aside, as it was, in
          /s/damaged-2026-11-24T03-00-00Z.
        Restored as of commit 9: 4 rows, 3 former versions, 0 stream entries, 0 due items, 0 leases.
        2 later entries of streams came from the segments beside the engine.
        The store at /s can be used now: provost status
        ");
        insta::assert_snapshot!(said(Former::SetAside { to: to(), commit: 4711 }), @r"
        The store that was there (last commit 4711) was set aside, as it was, in
          /s/damaged-2026-11-24T03-00-00Z.
        Restored as of commit 9: 4 rows, 3 former versions, 0 stream entries, 0 due items, 0 leases.
        2 later entries of streams came from the segments beside the engine.
        The store at /s can be used now: provost status
        ");
        insta::assert_snapshot!(said(Former::None), @r"
        Restored as of commit 9: 4 rows, 3 former versions, 0 stream entries, 0 due items, 0 leases.
        2 later entries of streams came from the segments beside the engine.
        The store at /s can be used now: provost status
        ");
    }

    #[test]
    fn what_a_rewrite_needs_and_saved_is_said() {
        let (out, err) = written(Format::Table, |screen| {
            about_to_compact(3 << 20, 5 << 30, screen).unwrap();
            compacted(&Compacted { before: 9 << 20, after: 2 << 20 }, screen).unwrap();
        });
        assert_eq!(err, "Rewriting needs 3.0 MiB free meanwhile; there are 5.0 GiB.\n");
        assert_eq!(out, "The store takes 2.0 MiB now; it took 9.0 MiB.\n");
    }
}
