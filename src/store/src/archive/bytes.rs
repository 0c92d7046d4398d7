//! The bytes of a backup's pieces.
//! It must never change for backups that exist, nor make room for what a length only claims.
//!
//! A piece is its length (4 bytes, big-endian) and that many bytes of postcard. What is new comes last in [`Stored`].

use std::io::Read;

use provost_model::Time;
use serde::{Deserialize, Serialize};

use super::Contents;
use crate::{CommitNo, Entry, Piece, Row, StoreError};

/// Longest piece: more than one batch may write.
const LONGEST: u64 = 32 << 20;

/// What a backup says next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Piece(Piece),
    End(Contents),
}

/// The same on disk. A version of a row without value says "deleted".
#[derive(Serialize, Deserialize)]
enum Stored {
    End(Contents),
    Commit {
        number: u64,
        at: i64,
    },
    Row {
        table: String,
        versioned: bool,
        key: Vec<u8>,
        commit: u64,
        recorded: i64,
        value: Option<Vec<u8>>,
        present: bool,
    },
    Entry {
        stream: String,
        sequence: u64,
        at: i64,
        hash: [u8; 32],
        value: Vec<u8>,
    },
    Due {
        queue: String,
        item: Vec<u8>,
        at: i64,
    },
    Lease {
        name: String,
        holder: String,
        token: u64,
        until: i64,
    },
}

/// The bytes of the next one, in a buffer that is used again.
pub(super) fn written<'a>(said: &Said, into: &'a mut Vec<u8>) -> Result<&'a [u8], StoreError> {
    let too_long = || StoreError::Codec("a piece too long for a backup".to_owned());
    into.clear();
    into.extend_from_slice(&[0; 4]);
    let stored = Stored::from(said.clone());
    let bytes = postcard::to_extend(&stored, std::mem::take(into)).map_err(|_| too_long())?;
    *into = bytes;
    let length = into.len() as u64 - 4;
    if length > LONGEST {
        return Err(too_long());
    }
    let length = u32::try_from(length).map_err(|_| too_long())?;
    into.iter_mut().zip(length.to_be_bytes()).for_each(|(place, byte)| *place = byte);
    Ok(into)
}

/// Reads the next one; what is wrong if it cannot be.
pub(super) fn read(from: &mut impl Read) -> Result<Said, String> {
    let mut length = [0; 4];
    from.read_exact(&mut length).map_err(|_| "it breaks off".to_owned())?;
    let length = u64::from(u32::from_be_bytes(length));
    if length > LONGEST {
        return Err("a piece is too long".to_owned());
    }
    let mut bytes = Vec::new();
    from.take(length).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 != length {
        return Err("it breaks off".to_owned());
    }
    match postcard::take_from_bytes::<Stored>(&bytes) {
        Ok((stored, [])) => Ok(stored.into()),
        _ => Err("a piece cannot be read".to_owned()),
    }
}

impl From<Said> for Stored {
    fn from(said: Said) -> Self {
        match said {
            Said::End(contents) => Stored::End(contents),
            Said::Piece(Piece::Commit { number, at }) => Stored::Commit { number: number.0, at: at.as_micros() },
            Said::Piece(Piece::Row { table, versioned, key, row, present }) => {
                let Row { commit, recorded, value } = row;
                Stored::Row { table, versioned, key, commit: commit.0, recorded: recorded.as_micros(), value, present }
            }
            Said::Piece(Piece::Entry { stream, entry }) => {
                let Entry { sequence, at, hash, value } = entry;
                Stored::Entry { stream, sequence, at: at.as_micros(), hash, value }
            }
            Said::Piece(Piece::Due { queue, item, at }) => Stored::Due { queue, item, at: at.as_micros() },
            Said::Piece(Piece::Lease { name, holder, token, until }) => {
                Stored::Lease { name, holder, token, until: until.as_micros() }
            }
        }
    }
}

impl From<Stored> for Said {
    fn from(stored: Stored) -> Self {
        let time = Time::from_micros;
        Said::Piece(match stored {
            Stored::End(contents) => return Said::End(contents),
            Stored::Commit { number, at } => Piece::Commit { number: CommitNo(number), at: time(at) },
            Stored::Row { table, versioned, key, commit, recorded, value, present } => {
                let row = Row { commit: CommitNo(commit), recorded: time(recorded), value };
                Piece::Row { table, versioned, key, row, present }
            }
            Stored::Entry { stream, sequence, at, hash, value } => {
                Piece::Entry { stream, entry: Entry { sequence, at: time(at), hash, value } }
            }
            Stored::Due { queue, item, at } => Piece::Due { queue, item, at: time(at) },
            Stored::Lease { name, holder, token, until } => Piece::Lease { name, holder, token, until: time(until) },
        })
    }
}
