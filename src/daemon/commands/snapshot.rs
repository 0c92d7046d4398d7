//! `snapshot take|list|diff|verify`.
//! It must never show a snapshot that its manifest does not vouch for.

use std::{
    io,
    path::{Path, PathBuf},
};

use provost_model::{Kind, Time};
use serde_json::Value;

use super::CommandError;
use crate::{
    cli::{
        self, Exit, Screen, Snapshot,
        snapshot::{DiffRow, SnapshotRow, VerifyRow},
    },
    desk::Desk,
    jobs::{
        compare::{Difference, compare},
        snapshot::{self, Manifest, SnapshotError},
    },
};

/// Answers one of them.
pub(super) fn snapshot(desk: &Desk, action: &Snapshot, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let wiring = desk.wiring();
    let directory = &wiring.config.snapshots.path;
    match action {
        Snapshot::Take => {
            let (name, manifest) = snapshot::take(&desk.house, &wiring.yardstick, directory)?;
            snapshot::prune(directory, wiring.config.snapshots.keep)?;
            Ok(cli::snapshot::taken(row(name, &manifest), screen)?)
        }
        Snapshot::List => {
            let rows = snapshot::list(directory)?.into_iter().map(|(name, manifest)| row(name, &manifest)).collect();
            Ok(cli::snapshot::list(rows, screen)?)
        }
        Snapshot::Verify { name } => {
            let names = match name {
                Some(name) => vec![name.clone()],
                None => snapshot::list(directory)?.into_iter().map(|(name, _)| name).collect(),
            };
            let verified = names.into_iter().map(|name| verified(directory, name)).collect::<Result<_, _>>()?;
            Ok(cli::snapshot::verify(verified, screen)?)
        }
        Snapshot::Diff { from, to } => diff(desk, directory, (from, to.as_deref()), screen),
    }
}

fn diff(
    desk: &Desk,
    directory: &Path,
    (from, to): (&str, Option<&str>),
    screen: &mut Screen<'_>,
) -> Result<Exit, CommandError> {
    let scratch = tempfile::tempdir()?;
    let before = side(desk, directory, (Some(from), &scratch.path().join("before")))?;
    let after = side(desk, directory, (to, &scratch.path().join("after")))?;
    let mut rows = Vec::new();
    for difference in compare(snapshot::records(&before)?, snapshot::records(&after)?) {
        rows.extend(in_rows(&difference.map_err(cli::CliError::Write)?)?);
    }
    Ok(cli::snapshot::diff(rows, screen)?)
}

/// One side of a comparison: a snapshot that is kept, or one made for the purpose of a date or of now.
fn side(desk: &Desk, directory: &Path, (named, scratch): (Option<&str>, &Path)) -> Result<PathBuf, CommandError> {
    let commit = match named {
        Some(name) => match Time::parse_inclusive(name) {
            Ok(time) => desk.house.store().commit_at(time)?,
            Err(_) => return Ok(snapshot::find(directory, name)?),
        },
        None => desk.house.store().head()?.number,
    };
    std::fs::create_dir_all(scratch)?;
    snapshot::write_all(&desk.house, &desk.wiring().yardstick, (scratch, commit))?;
    Ok(scratch.to_owned())
}

fn in_rows(difference: &Difference) -> Result<Vec<DiffRow>, CommandError> {
    let torn = || CommandError::Usage(format!("a line about {:?} makes no sense", difference.external_id));
    let (id, kind) = (difference.id.parse().map_err(|_| torn())?, difference.kind.parse::<Kind>().map_err(|_| torn())?);
    let line = |field: Option<String>, old: Option<String>, new: Option<String>| DiffRow {
        what: difference.what.to_owned(),
        id,
        kind,
        external_id: difference.external_id.clone(),
        name: difference.name.clone(),
        field,
        old,
        new,
    };
    if difference.fields.is_empty() {
        return Ok(vec![line(None, None, None)]);
    }
    let fields = difference.fields.iter();
    Ok(fields.map(|(name, old, new)| line(Some(name.clone()), Some(plain(old)), Some(plain(new)))).collect())
}

/// A value in plain words: a reading by what it says.
fn plain(value: &Value) -> String {
    let reading = value.get("reading").and_then(Value::as_str);
    match (reading, value) {
        (Some("known"), _) => value.get("value").map_or_else(String::new, plain),
        (Some(word), _) => word.replace('_', " "),
        (None, Value::String(text)) => text.clone(),
        (None, Value::Null) => "-".into(),
        (None, other) => other.to_string(),
    }
}

fn verified(directory: &Path, name: String) -> Result<VerifyRow, CommandError> {
    let found = snapshot::find(directory, &name)?;
    Ok(match snapshot::verify(&found) {
        Ok(manifest) => VerifyRow { name, whole: true, said: format!("commit {}", manifest.commit) },
        Err(SnapshotError::Altered { path, what }) => {
            VerifyRow { name, whole: false, said: format!("{}: {what}", path.display()) }
        }
        Err(SnapshotError::File { path, error }) if error.kind() != io::ErrorKind::PermissionDenied => {
            VerifyRow { name, whole: false, said: format!("{}: {error}", path.display()) }
        }
        Err(error) => return Err(error.into()),
    })
}

fn row(name: String, manifest: &Manifest) -> SnapshotRow {
    let lines = |at: usize| manifest.files.get(at).map_or(0, |file| file.lines);
    SnapshotRow {
        name,
        commit: manifest.commit,
        taken_at: manifest.taken_at,
        records: lines(0),
        findings: lines(1),
        bytes: manifest.files.iter().map(|file| file.bytes).sum(),
    }
}
