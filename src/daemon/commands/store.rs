//! `store backup|check|compact`: what is done beside whoever uses the store.
//! It must never write a backup to a file of its own: the bytes go to the asking side, which keeps them as its own.

use std::io::{self, Write};

use provost_store::archive;

use super::{Asked, CommandError, Parcel};
use crate::{
    cli::{self, Exit, Screen},
    desk::Desk,
};

/// Bytes handed over at a time.
const CHUNK: usize = 64 << 10;

/// Hands a backup over.
pub(super) fn backup(asked: &Asked<'_>) -> Result<Exit, CommandError> {
    let house = &asked.desk.house;
    let mut handing = io::BufWriter::with_capacity(CHUNK, Handing { to: &asked.parcel, asked });
    let mut meter = |pieces| (asked.meter)(pieces, None, "pieces");
    archive::pack(house.store(), &mut handing, (house.now(), &mut meter))?;
    Ok(Exit::Done)
}

/// Reads everything through.
pub(super) fn check(desk: &Desk, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let report = desk.house.store().check()?;
    Ok(cli::store::checked(&report, screen)?)
}

/// Rewrites what is live.
pub(super) fn compact(desk: &Desk, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let store = desk.house.store();
    let (needed, space) = (store.compaction_needs()?, store.space()?);
    if needed > 0 {
        cli::store::about_to_compact(needed, space.free, screen)?;
    }
    let compacted = store.compact()?;
    Ok(cli::store::compacted(&compacted, screen)?)
}

/// The way to the asking side; it ends when nobody wants the answer any more.
struct Handing<'a> {
    to: &'a Parcel,
    asked: &'a Asked<'a>,
}

impl Write for Handing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.asked.stop.is_cancelled() {
            return Err(io::Error::other("the backup was broken off"));
        }
        (self.to)(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
