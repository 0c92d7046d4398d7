//! Whether the engine's files are whole, as far as that can be told without writing.
//! It must never write to the files it looks at.

use std::{io::ErrorKind, path::Path};

use crate::{Sled, StoreError};

/// Looks at sled's files before sled does.
pub(crate) fn check(engine: &Path) -> Result<(), String> {
    for (name, least) in [("conf", 9), ("db", 1)] {
        match std::fs::metadata(engine.join(name)) {
            Ok(found) if found.is_file() && found.len() >= least => {}
            Ok(_) => return Err(format!("sled/{name} is cut off")),
            Err(error) => return Err(format!("sled/{name}: {error}")),
        }
    }
    Ok(())
}

/// Opens sled on a thread of its own: some damage makes it panic, and a panic there ends the thread only.
pub(crate) fn guarded(path: &Path, engine: &Path, cache: u64) -> Result<Sled, StoreError> {
    let at = engine.to_owned();
    let opening = std::thread::Builder::new().name("store opening".to_owned()).spawn(move || Sled::open(&at, cache))?;
    let what = match opening.join() {
        Ok(Ok(kv)) => return Ok(kv),
        Ok(Err(::sled::Error::Io(error)))
            if !matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::InvalidData) =>
        {
            return Err(StoreError::Io(error));
        }
        Ok(Err(error)) => error.to_string(),
        Err(_) => "the engine gave up".to_owned(),
    };
    Err(StoreError::Damaged { path: path.to_owned(), what })
}
