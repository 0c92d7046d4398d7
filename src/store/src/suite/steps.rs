//! Stores of former formats, as the programs of their time left them: brought over whole, copied before, wherever it is cut
//! short.
//! It must never take what a store holds from the store that is tested: it is written down here.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use provost_model::Time;
use tempfile::TempDir;

use super::{ROWS, commit, old::unpack, put};
use crate::{
    Embedded, Journaled, OpenOptions, Piece, Store, StoreError, look, open, opening,
    steps::{self, Step},
};

/// When the stores of former formats begin.
const BEGIN: i64 = 1_700_000_000;

/// What every one of them holds.
const CONTENTS: &str = r#"
commit 1 at 1
"#;

/// What a store holds, a line each.
fn told(store: &dyn Store) -> Vec<String> {
    let mut lines = Vec::new();
    let text = |bytes: &[u8]| match bytes.len() {
        0..99 => bytes.escape_ascii().to_string(),
        long => format!("{}… {long} bytes", bytes[..9].escape_ascii()),
    };
    let after = |at: Time| at.as_seconds() - BEGIN;
    let mut each = |piece: Piece| {
        lines.push(match piece {
            Piece::Commit { number, at } => format!("commit {} at {}", number.0, after(at)),
            Piece::Row { table, versioned, key, row, present } => format!(
                "{}{table} {} of {} at {}: {}{}",
                if versioned { "" } else { "plain " },
                text(&key),
                row.commit.0,
                after(row.recorded),
                row.value.map_or_else(|| "deleted".to_owned(), |value| text(&value)),
                if present { "" } else { ", former" },
            ),
            Piece::Entry { stream, entry } => {
                let hash = entry.hash[..2].iter().map(|byte| format!("{byte:02x}")).collect::<String>();
                format!("{stream} {} at {}: {} {hash}", entry.sequence, after(entry.at), text(&entry.value))
            }
            Piece::Due { queue, item, at } => format!("{queue} {} at {}", text(&item), after(at)),
            Piece::Lease { name, holder, token, until } => {
                format!("lease {name} of {holder:?}, token {token}, until {}", after(until))
            }
        });
        Ok(())
    };
    store.pieces(&mut each).unwrap();
    lines
}

#[test]
fn a_store_of_a_former_format_is_brought_over_whole() {
    for format in [1, 2] {
        let dir = TempDir::new().unwrap();
        unpack(format, dir.path());
        let store = open(dir.path(), &OpenOptions::default()).unwrap();
        println!("{}", told(&store).join("\n"));
    }
}
