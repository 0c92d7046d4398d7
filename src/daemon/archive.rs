//! Backups as the asking side meets them: it keeps the file of a backup as its own, and restores beside the store.
//! It must never restore through a daemon: nobody may have a store open that is being replaced.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use provost_model::Clock as _;
use provost_store::{
    StoreError,
    archive::{ArchiveError, Aside, Backup},
};

use crate::{
    cli::{self, Exit, Screen},
    clock::WallClock,
    commands::{CommandError, Meter, Parcel},
    config::Config,
    wire,
};

/// How long a restore waits for whoever has the store: a command may just be ending.
const PATIENCE: Duration = Duration::from_secs(2);

/// The file of a backup that is being handed over.
pub struct Keeping {
    path: PathBuf,
    file: Arc<Mutex<Option<Aside>>>,
}

impl Keeping {
    /// Begins a file that is to be at that place.
    pub fn begin(path: &Path) -> Result<Self, CommandError> {
        Ok(Self { path: path.to_owned(), file: Arc::new(Mutex::new(Some(Aside::create(path)?))) })
    }

    /// Where the bytes go.
    pub fn parcel(&self) -> Parcel {
        let file = Arc::clone(&self.file);
        Arc::new(move |bytes| match file.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            Some(file) => file.write_all(bytes),
            None => Err(io::Error::other("the file of the backup is closed")),
        })
    }

    /// Gives the file its name, reads it again, and says what is in it.
    pub fn end(self, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
        if let Some(file) = self.file.lock().unwrap_or_else(PoisonError::into_inner).take() {
            file.settle()?;
        }
        let contents = Backup::open(&self.path)?.contents()?;
        let bytes = std::fs::metadata(&self.path)?.len();
        Ok(cli::store::backed_up(&self.path, bytes, &contents, screen)?)
    }
}

/// Restores a backup where the configuration says that the store is.
pub fn restore(
    config: &Config,
    (file, force): (&Path, bool),
    meter: &Meter,
    screen: &mut Screen<'_>,
) -> Result<Exit, CommandError> {
    let path = &config.store.path;
    let mut backup = Backup::open(file)?;
    let mut meter = |pieces| meter(pieces, None, "pieces");
    let how = (&wire::options(config, PATIENCE), force, WallClock.now());
    match provost_store::archive::restore(path, &mut backup, how, &mut meter) {
        Ok(restored) => Ok(cli::store::restored(&restored, path, screen)?),
        Err(error) => {
            if let ArchiveError::Store(StoreError::Locked { .. }) = error {
                screen.remark("Nobody may have the store open while it is restored: stop the daemon first.")?;
            }
            Err(error.into())
        }
    }
}
