//! Backups as the asking side meets them: it keeps the file of a backup as its own, and restores beside the store.
//! It must never restore through a daemon: nobody may have a store open that is being replaced.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use provost_model::{Clock as _, Time};
use provost_store::{
    EngineKind, StoreError,
    archive::{ArchiveError, Aside, Backup, Mode},
};

use crate::{
    cli::{self, Exit, Screen},
    clock::WallClock,
    commands::{CommandError, Meter, Parcel},
    config::Config,
    output::age,
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

/// Restores a backup where the configuration says that the store is; the newest one if none is named, and then with what the
/// segments of streams hold beyond it.
pub fn restore(
    config: &Config,
    (file, force): (Option<&Path>, bool),
    meter: &Meter,
    screen: &mut Screen<'_>,
) -> Result<Exit, CommandError> {
    let path = &config.store.path;
    let mode = Mode { force, with_segments: file.is_none() };
    let mut backup = match file {
        Some(file) => Backup::open(file)?,
        None => Backup::open(&newest(&config.store.backups.path, screen)?)?,
    };
    let mut meter = |pieces| meter(pieces, None, "pieces");
    let how = (&wire::options(config, PATIENCE), mode, WallClock.now());
    let restored = provost_store::archive::restore(path, &mut backup, how, &mut meter);
    Ok(cli::store::restored(&alone(restored, screen)?, path, screen)?)
}

/// The newest whole backup; which one, and which newer ones are not whole, is said.
fn newest(directory: &Path, screen: &mut Screen<'_>) -> Result<PathBuf, CommandError> {
    let none = || CommandError::Usage(format!("there is no whole backup in {} (store.backups.path)", directory.display()));
    let newest = provost_store::archive::newest(directory)?.ok_or_else(none)?;
    newest.passed_over.iter().try_for_each(|why| screen.remark(&format!("Passed over: {why}")))?;
    let taken_at = Time::from_micros(newest.contents.taken_at);
    screen.remark(&format!(
        "The newest whole backup is {}, taken {}.",
        newest.path.display(),
        age::dated(taken_at, WallClock.now())
    ))?;
    Ok(newest.path)
}

/// Copies the store to another engine in a new directory.
pub fn migrate(
    (config, configuration): (&Config, &Path),
    (to, directory): (EngineKind, &Path),
    meter: &Meter,
    screen: &mut Screen<'_>,
) -> Result<Exit, CommandError> {
    let directory = std::path::absolute(directory)?;
    let from = alone(provost_store::open(&config.store.path, &wire::options(config, PATIENCE)).map_err(Into::into), screen)?;
    let mut meter = |pieces| meter(pieces, None, "pieces");
    let contents = provost_store::archive::fill_directory(&from, (&directory, to), &mut meter)?;
    let old = &config.store.path;
    Ok(cli::store::migrated(&contents, (old, &directory, to.name()), configuration, screen)?)
}

/// Says what to do when somebody has the store that must be had alone.
fn alone<T>(done: Result<T, ArchiveError>, screen: &mut Screen<'_>) -> Result<T, CommandError> {
    if let Err(ArchiveError::Store(StoreError::Locked { .. })) = done {
        screen.remark("Nobody else may have the store open for this: stop the daemon first.")?;
    }
    Ok(done?)
}
