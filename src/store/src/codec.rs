//! The bytes of stored things: a version, then the disk form of that version.
//! It must never read a version that it does not know, nor more than a bounded number of bytes.

pub mod finding;
pub mod record;
pub mod run;
mod v1;

use serde::{Deserialize, Serialize};

use crate::StoreError;

/// The longest row that is read; a longer one was not written by this program.
const LONGEST: usize = 4 << 20;

/// Bytes that most rows fit into.
const USUAL: usize = 512;

/// The version that is written.
const VERSION: u8 = 1;

fn encode<D: Serialize>(what: &str, disk: &D) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::with_capacity(USUAL);
    bytes.push(VERSION);
    let bytes = postcard::to_extend(disk, bytes).map_err(|_| malformed(what))?;
    if bytes.len() > LONGEST {
        return Err(StoreError::Codec(format!("{what} of {} bytes: the bound is {LONGEST}", bytes.len())));
    }
    Ok(bytes)
}

/// The disk form in some bytes of version 1, all of which must belong to it.
fn decode<'a, D: Deserialize<'a>>(what: &str, bytes: &'a [u8]) -> Result<D, StoreError> {
    if bytes.len() > LONGEST {
        return Err(malformed(what));
    }
    let (version, rest) = bytes.split_first().ok_or_else(|| malformed(what))?;
    if *version != VERSION {
        return Err(StoreError::Codec(format!("{what} of version {version}: this program knows {VERSION}")));
    }
    match postcard::take_from_bytes(rest) {
        Ok((disk, [])) => Ok(disk),
        _ => Err(malformed(what)),
    }
}

fn malformed(what: &str) -> StoreError {
    StoreError::Codec(what.to_owned())
}
