//! Backups as the asking side meets them: it keeps the file of a backup as its own, and restores beside the store.
//! It must never restore through a daemon: nobody may have a store open that is being replaced.

use std::{
    io::{self, Write as _},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use provost_model::{Clock as _, Time};
use provost_store::{
    EngineKind, Store, StoreError,
    archive::{ArchiveError, Aside, Backup, Contents, Former, Mode, Restored, name, pack, prune},
};
use tokio_util::sync::CancellationToken;

use crate::{
    cli::{self, Exit, Screen},
    clock::WallClock,
    commands::{CommandError, Meter, Parcel},
    config::{Address, Config, Environment},
    desk::Desk,
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
    (config, environment): (&Config, &Environment),
    (file, force): (Option<&Path>, bool),
    meter: &Meter,
    screen: &mut Screen<'_>,
) -> Result<Exit, CommandError> {
    let mode = Mode { force, with_segments: file.is_none() };
    let mut backup = match file {
        Some(file) => Backup::open(file)?,
        None => Backup::open(&newest(&config.store.backups.path, screen)?)?,
    };
    let mut meter = |pieces| meter(pieces, None, "pieces");
    if let Some(address) = &config.store.url {
        if force {
            let said = "a store in a database is not set aside; empty the database, or name another one in store.url";
            return Err(CommandError::Usage(said.to_owned()));
        }
        let database = wire::database((config, address), environment, PATIENCE)?;
        let contents = backup.unpack(&database, &mut meter)?;
        let restored = Restored { contents, former: Former::None, from_segments: 0, segments_refused: None };
        return Ok(cli::store::restored(&restored, &config.store.name(), screen)?);
    }
    let path = &config.store.path;
    let how = (&wire::options(config, PATIENCE), mode, WallClock.now());
    let restored = provost_store::archive::restore(path, &mut backup, how, &mut meter).map_err(CommandError::from);
    Ok(cli::store::restored(&alone(restored, screen)?, path, screen)?)
}

/// The newest whole backup; which one, and which newer ones are not whole, is said.
fn newest(directory: &Path, screen: &mut Screen<'_>) -> Result<PathBuf, CommandError> {
    let none =
        || CommandError::Usage(format!("there is no whole backup in {} (store.backups.path)", directory.display()));
    let newest = provost_store::archive::newest(directory)?.ok_or_else(none)?;
    newest.passed_over.iter().try_for_each(|why| screen.remark(&format!("Passed over: {why}")))?;
    let taken_at = Time::from_micros(newest.contents.taken_at);
    let when = age::dated(taken_at, WallClock.now());
    screen.remark(&format!("The newest whole backup is {}, taken {when}.", newest.path.display()))?;
    Ok(newest.path)
}

/// Copies the store to another engine in a new directory, or to a database that is empty.
pub fn migrate(
    (config, environment, configuration): (&Config, &Environment, &Path),
    (to, place): (&str, &str),
    meter: &Meter,
    screen: &mut Screen<'_>,
) -> Result<Exit, CommandError> {
    let mut meter = |pieces| meter(pieces, None, "pieces");
    let mut copy = |from: &dyn Store| match EngineKind::named(to) {
        Some(engine) => {
            let directory = std::path::absolute(place)?;
            let contents = provost_store::archive::fill_directory(from, (&directory, engine), &mut meter)?;
            Ok((contents, format!("path = {:?}\nengine = {to:?}", directory.display().to_string())))
        }
        None => {
            let address = Address::parse(place).map_err(CommandError::Usage)?;
            let database = wire::database((config, &address), environment, PATIENCE)?;
            let contents = provost_store::archive::fill(from, &database, &mut meter)?;
            Ok((contents, format!("url = {:?}", address.to_string())))
        }
    };
    let (contents, lines) = match &config.store.url {
        Some(address) => copy(&wire::database((config, address), environment, PATIENCE)?)?,
        // It is left as it is: of its own format, too.
        None => {
            let options = wire::options(config, PATIENCE);
            alone(provost_store::look(&config.store.path, &options, |store| copy(store)), screen)?
        }
    };
    Ok(cli::store::migrated(&contents, (&config.store.name(), &lines), configuration, screen)?)
}

/// Goes back to the copy that was made before the store was brought to a later format.
pub fn roll_back(config: &Config, lose_commits: bool, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    if config.store.url.is_some() {
        let said = "a store in a database has no copy that this program made: go back by the database's own means, such as \
                    a dump or its point-in-time recovery";
        return Err(CommandError::Usage(said.to_owned()));
    }
    let path = &config.store.path;
    let how = (&wire::options(config, PATIENCE), lose_commits, WallClock.now());
    let done = provost_store::archive::roll_back(path, how).map_err(CommandError::from);
    Ok(cli::store::rolled_back(&alone(done, screen)?, path, screen)?)
}

/// Takes a backup into the configured directory, and removes the oldest beyond those that are kept. It ends when the daemon
/// does.
pub fn take(desk: &Desk) -> Result<Contents, ArchiveError> {
    let (wiring, house) = (desk.wiring(), &desk.house);
    let backups = &wiring.config.store.backups;
    let failed = |error| ArchiveError::File { path: backups.path.clone(), error };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&backups.path).map_err(failed)?;
    let commit = house.store().head()?.number.0;
    let mut file =
        Ending { to: Aside::create(&backups.path.join(name(house.now(), commit)))?, end: house.closing().clone() };
    let contents = pack(house.store(), &mut file, (house.now(), &mut |_| {}))?;
    file.to.settle()?;
    prune(&backups.path, backups.keep)?;
    Ok(contents)
}

/// A file that is given up when the daemon ends.
struct Ending {
    to: Aside,
    end: CancellationToken,
}

impl io::Write for Ending {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.end.is_cancelled() {
            return Err(io::Error::other("the daemon ends"));
        }
        self.to.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Says what to do when somebody has the store that must be had alone.
fn alone<T>(done: Result<T, CommandError>, screen: &mut Screen<'_>) -> Result<T, CommandError> {
    if let Err(
        CommandError::Store(StoreError::Locked { .. })
        | CommandError::Archive(ArchiveError::Store(StoreError::Locked { .. })),
    ) = done
    {
        screen.remark("Nobody else may have the store open for this: stop the daemon first.")?;
    }
    done
}
