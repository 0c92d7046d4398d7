//! Commands that need the store: each finds what was asked for and hands it to `cli` to be shown. They run the same
//! beside the store and inside a daemon that answers for it. They must never print, nor open a store of their own.

mod cases;
mod cluster;
pub mod custody;
mod evidence;
mod findings;
mod guardrails;
mod inventory;
mod links;
mod owners;
mod rotate;
mod rules;
mod scan;
mod snapshot;
mod sources;
mod status;
mod store;
mod telling;

use std::{io, sync::Arc};

use provost_model::Time;
use provost_store::{CommitNo, StoreError, archive::ArchiveError};
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::{
    cli::{self, CliError, Command, Evidence, Exit, Screen, StoreAction},
    config::Problem,
    desk::{Desk, LookError},
    jobs::{WriteError, decide::DecideError, snapshot::SnapshotError},
    output::door,
    wire::WireError,
};

/// Told how far a long step is.
pub type Meter = Arc<dyn Fn(u64, Option<u64>, &str) + Send + Sync>;

/// Given the bytes of a file that the asking side keeps.
pub type Parcel = Arc<dyn Fn(&[u8]) -> io::Result<()> + Send + Sync>;

/// For commands that hand no file over.
pub fn no_parcel() -> Parcel {
    Arc::new(|_| Err(io::Error::other("nobody keeps the file")))
}

/// Why a command could not do what was asked.
#[derive(Debug, Error)]
pub enum CommandError {
    /// It could not be shown.
    #[error(transparent)]
    Show(#[from] CliError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A source could not be looked at.
    #[error(transparent)]
    Look(#[from] LookError),
    /// A snapshot failed.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// A backup failed.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// It was not decided.
    #[error(transparent)]
    Decide(#[from] DecideError),
    /// It is not so, in words.
    #[error("{0}")]
    Said(String),
    /// What was named is not there.
    #[error("{0}")]
    Usage(String),
}

/// What commands share while they answer.
pub struct Asked<'a> {
    /// Where the answer is.
    pub desk: &'a Desk,
    /// The user of this machine who asks.
    pub uid: u32,
    /// Told how far it is.
    pub meter: Meter,
    /// Where the bytes of a file go.
    pub parcel: Parcel,
    /// Cancelled when the answer is not wanted any more.
    pub stop: CancellationToken,
}

/// Whether a command needs the store, and so the daemon that holds it.
pub fn needs_store(command: &Command) -> bool {
    match command {
        Command::Scan(_)
        | Command::Sources { .. }
        | Command::Inventory(_)
        | Command::Findings(_)
        | Command::Cases(_)
        | Command::Evidence(Evidence::Export { .. } | Evidence::Head)
        | Command::Sinks(_)
        | Command::Routes(_)
        | Command::Outbox(_)
        | Command::Rotate(_)
        | Command::Rules(_)
        | Command::Owners(_)
        | Command::Snapshot(_)
        | Command::Baseline(_)
        | Command::Cluster(_)
        | Command::Status
        | Command::Store(StoreAction::Backup { .. } | StoreAction::Check | StoreAction::Compact) => true,
        Command::Quickstart(_)
        | Command::Run
        | Command::Check { .. }
        | Command::Connector(_)
        | Command::Evidence(Evidence::Verify { .. })
        | Command::Store(StoreAction::Restore { .. } | StoreAction::Migrate { .. } | StoreAction::Rollback { .. })
        | Command::Config(_)
        | Command::Record { .. }
        | Command::Completions { .. } => false,
    }
}

/// Answers a command that needs the store.
pub async fn answer(asked: &Asked<'_>, command: &Command, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    match command {
        Command::Scan(scan) => scan::scan(asked, scan, screen).await,
        Command::Sources { action } => sources::sources(asked.desk, action.as_ref(), screen),
        Command::Baseline(action) => sources::baseline(asked.desk, action, screen),
        Command::Inventory(action) => inventory::inventory(asked, action, screen),
        Command::Findings(action) => findings::findings(asked.desk, action, screen),
        Command::Cases(action) => cases::cases(asked, action, screen),
        Command::Evidence(action) => evidence::evidence(asked, action, screen),
        Command::Sinks(action) => telling::sinks(asked, action, screen).await,
        Command::Routes(action) => telling::routes(asked, action, screen),
        Command::Outbox(action) => telling::outbox(asked, action, screen),
        Command::Rotate(action) => rotate::rotate(asked, action, screen).await,
        Command::Rules(action) => rules::rules(asked, action, screen).await,
        Command::Owners(action) => owners::owners(asked, action, screen),
        Command::Snapshot(action) => snapshot::snapshot(asked.desk, action, screen),
        Command::Status => status::status(asked.desk, screen),
        Command::Cluster(cli::Cluster::Status) => cluster::status(asked.desk, screen),
        Command::Store(StoreAction::Backup { .. }) => store::backup(asked),
        Command::Store(StoreAction::Check) => store::check(asked.desk, screen),
        Command::Store(StoreAction::Compact) => store::compact(asked.desk, screen),
        Command::Quickstart(_)
        | Command::Run
        | Command::Check { .. }
        | Command::Connector(_)
        | Command::Store(StoreAction::Restore { .. } | StoreAction::Migrate { .. } | StoreAction::Rollback { .. })
        | Command::Config(_)
        | Command::Record { .. }
        | Command::Completions { .. } => Err(CommandError::Usage("this command is not answered by a daemon".into())),
    }
}

/// The commit that a `--at` names; `None` for now.
fn commit_at(desk: &Desk, at: Option<Time>) -> Result<Option<CommitNo>, StoreError> {
    at.map(|time| desk.house.store().commit_at(time)).transpose()
}

impl From<WireError> for CommandError {
    fn from(error: WireError) -> Self {
        Self::Look(error.into())
    }
}

impl From<io::Error> for CommandError {
    fn from(error: io::Error) -> Self {
        Self::Show(error.into())
    }
}

impl CommandError {
    /// The status to exit with.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Show(error) => error.exit(),
            Self::Store(error)
            | Self::Archive(ArchiveError::Store(error))
            | Self::Decide(DecideError::Store(error)) => of_store(error),
            Self::Look(LookError::Wire(error)) => of_wire(error),
            Self::Look(LookError::Write(WriteError::Store(error)) | LookError::Store(error)) => of_store(error),
            Self::Usage(_)
            | Self::Snapshot(SnapshotError::Unknown(_))
            | Self::Archive(ArchiveError::There(_) | ArchiveError::NoBackup(_) | ArchiveError::NoCopy(_)) => {
                Exit::Usage
            }
            Self::Said(_) | Self::Look(_) | Self::Snapshot(_) | Self::Archive(_) | Self::Decide(_) => Exit::Failed,
        }
    }

    /// What is said of it on a terminal, in lines that end. Only an expression and a configuration take several.
    pub fn told(&self) -> String {
        match self {
            // It passed its door, piece by piece.
            Self::Show(error @ CliError::Filter(_)) => format!("provost: {error}\n"),
            Self::Show(CliError::Config(problems)) => {
                let line = |problem: &Problem| format!("provost: {}\n", door::terminal(&problem.to_string()));
                problems.iter().map(line).collect()
            }
            other => format!("provost: {}\n", door::terminal(&other.to_string())),
        }
    }
}

/// The status for a store that fails.
pub fn of_store(error: &StoreError) -> Exit {
    match error {
        StoreError::Locked { .. }
        | StoreError::Newer { .. }
        | StoreError::Later { .. }
        | StoreError::Damaged { .. }
        | StoreError::OtherEngine { .. }
        | StoreError::Foreign { .. }
        | StoreError::Refused { .. } => Exit::Store,
        StoreError::Conflict(_)
        | StoreError::NoRoom { .. }
        | StoreError::NoRoomForCopy { .. }
        | StoreError::Away(_)
        | StoreError::Io(_)
        | StoreError::Codec(_) => Exit::Failed,
    }
}

/// The status for a configuration that cannot be put to work.
pub fn of_wire(error: &WireError) -> Exit {
    match error {
        WireError::Store(error) => of_store(error),
        WireError::NoPlace { .. } => Exit::Failed,
        WireError::Setting { .. } | WireError::FingerprintKey(_) | WireError::EvidenceKey(_) => Exit::Usage,
    }
}
