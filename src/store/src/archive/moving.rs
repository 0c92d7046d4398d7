//! Moving everything of one store into another.
//! It must never write to the store it moves from, nor call it moved before both were read again and compared.

use std::{path::Path, sync::mpsc, time::Duration};

use sha2::{Digest, Sha256};

use super::{ArchiveError, Contents, bytes, bytes::Said};
use crate::{EngineKind, OpenOptions, Piece, Store, StoreError};

/// Pieces on their way.
const ON_THE_WAY: usize = 1024;

/// Fills an empty store with everything of another one, then compares the two.
pub fn fill(from: &dyn Store, to: &dyn Store, meter: &mut dyn FnMut(u64)) -> Result<Contents, ArchiveError> {
    let (giving, taking) = mpsc::sync_channel::<Option<Piece>>(ON_THE_WAY);
    let (given, taken) = std::thread::scope(|threads| {
        let given = threads.spawn(move || {
            let nobody = || StoreError::Codec("nobody takes the pieces any more".to_owned());
            from.pieces(&mut |piece| giving.send(Some(piece)).map_err(|_| nobody()))?;
            // Without this last word the other side knows that something is lacking.
            giving.send(None).map_err(|_| nobody())
        });
        let (mut count, mut ended) = (0_u64, false);
        let taken = to.rebuild(&mut || {
            count += 1;
            if count.is_multiple_of(10_000) {
                meter(count);
            }
            if ended {
                return Ok(None);
            }
            let lacking = || StoreError::Codec("the store that is moved, to its end".to_owned());
            let piece = taking.recv().map_err(|_| lacking())?;
            ended = piece.is_none();
            Ok(piece)
        });
        drop(taking);
        (given.join(), taken)
    });
    match (given, taken) {
        // Whoever failed first made the other one fail.
        (_, Err(error)) if !matches!(error, StoreError::Codec(_)) => return Err(error.into()),
        (Ok(Err(error)), Err(_)) => return Err(error.into()),
        (_, Err(error)) | (Ok(Err(error)), Ok(())) => return Err(error.into()),
        (Err(_), Ok(())) => return Err(StoreError::Codec("the store that is moved".to_owned()).into()),
        (Ok(Ok(())), Ok(())) => {}
    }
    to.tidy()?;
    let (before, after) = (sum(from)?, sum(to)?);
    if before != after || from.head()? != to.head()? {
        let what = "what was written is not what was read; nothing was changed in the store that is there".to_owned();
        return Err(StoreError::Codec(what).into());
    }
    Ok(before.0)
}

/// Moves a store into a directory that is empty or not there, kept by that engine. It is there whole or not at all.
pub fn fill_directory(
    from: &dyn Store,
    (directory, engine): (&Path, EngineKind),
    meter: &mut dyn FnMut(u64),
) -> Result<Contents, ArchiveError> {
    let failed = |error| ArchiveError::File { path: directory.to_owned(), error };
    let Some(name) = directory.file_name() else {
        return Err(ArchiveError::There(directory.to_owned()));
    };
    if directory.try_exists().map_err(failed)? && std::fs::read_dir(directory).map_err(failed)?.next().is_some() {
        return Err(ArchiveError::There(directory.to_owned()));
    }
    let mut making = name.to_owned();
    making.push(".moving");
    let making = directory.with_file_name(making);
    match std::fs::remove_dir_all(&making) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let options = OpenOptions { engine: Some(engine), wait: Duration::ZERO, ..OpenOptions::default() };
    let filled = crate::open(&making, &options).map_err(ArchiveError::from).and_then(|to| fill(from, &to, meter));
    match filled {
        Ok(contents) => {
            std::fs::rename(&making, directory).map_err(failed)?;
            Ok(contents)
        }
        Err(error) => {
            let _ = std::fs::remove_dir_all(&making);
            Err(error)
        }
    }
}

/// What a store holds, and a sum over all its pieces that does not ask for their order.
fn sum(store: &dyn Store) -> Result<(Contents, [u64; 4]), StoreError> {
    let (mut contents, mut sum, mut frame) = (Contents::default(), [0_u64; 4], Vec::new());
    store.pieces(&mut |piece| {
        contents.count(&piece);
        let digest = Sha256::digest(bytes::written(&Said::Piece(piece), &mut frame)?);
        let (parts, _) = digest.as_chunks::<8>();
        sum.iter_mut().zip(parts).for_each(|(sum, part)| *sum = sum.wrapping_add(u64::from_be_bytes(*part)));
        Ok(())
    })?;
    Ok((contents, sum))
}
