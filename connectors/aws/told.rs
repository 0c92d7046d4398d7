//! Of whom a scope told in parts over many runs, as its cursor keeps them: a line of its own first, then one for each.
//! It must never give back what was not written here.

use std::collections::BTreeSet;

use provost_model::{Cursor, Kind};

/// Kinds and ids.
pub(super) type ToldOf = BTreeSet<(Kind, String)>;

/// What a cursor holds: its first line, and of whom was told.
pub(super) fn read(cursor: &Cursor) -> Option<(String, ToldOf)> {
    let text = std::str::from_utf8(&cursor.0).ok()?;
    let mut lines = text.lines();
    let first = lines.next()?.to_owned();
    let told = lines
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(kind, id)| Some((kind.parse().ok()?, id.to_owned())));
    Some((first, told.collect()))
}

/// The cursor that holds that. The first line must be one.
pub(super) fn cursor(first: &str, told: &ToldOf) -> Cursor {
    let mut text = first.to_owned();
    for (kind, id) in told {
        text.push_str(&format!("\n{kind} {id}"));
    }
    Cursor(text.into_bytes())
}
