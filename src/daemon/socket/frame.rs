//! What travels over the socket: one JSON object a line, bounded.
//! It must never be longer than its bound, whoever wrote it.

use std::{io, path::PathBuf};

use serde::{Deserialize, Serialize};

/// Longest line, in bytes.
pub(super) const LINE_MAX: usize = 1 << 20;

/// What somebody asks of the daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Question {
    /// The store that is asked about: a daemon answers for its own only.
    pub(super) store: PathBuf,
    /// The command line, without the program's name.
    pub(super) arguments: Vec<String>,
    /// Whether the answer goes to a terminal.
    pub(super) terminal: bool,
    /// Its width in columns.
    pub(super) width: Option<u16>,
    /// Whether colours are unwanted.
    pub(super) no_colour: bool,
    /// Whether somebody watches the remarks, so that progress is worth telling.
    pub(super) watched: bool,
}

/// A piece of the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Piece {
    /// Answers.
    Out(String),
    /// Remarks.
    Err(String),
    /// Bytes of a file that the asking side keeps, in base64.
    Parcel(String),
    /// How far it is.
    Progress(u64, Option<u64>, String),
    /// The end: this daemon holds another store.
    Elsewhere,
    /// The end, with the exit status.
    Exit(u8),
}

pub(super) fn line<T: Serialize>(it: &T) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(it)?;
    line.push(b'\n');
    Ok(line)
}

pub(super) fn read<T: for<'a> Deserialize<'a>>(line: &[u8]) -> io::Result<T> {
    if line.len() > LINE_MAX {
        return Err(io::Error::other("a line is too long"));
    }
    serde_json::from_slice(line).map_err(io::Error::from)
}
