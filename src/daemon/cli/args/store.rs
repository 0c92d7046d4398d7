//! What may be typed after `store`.
//! It must never name a place that a daemon would open for somebody else.

use std::path::PathBuf;

use clap::{Subcommand, builder::PossibleValuesParser};

/// `store`.
#[derive(Clone, Debug, Subcommand)]
pub enum StoreAction {
    /// Write everything the store holds at this moment into a file, while others go on using it
    Backup {
        /// The file; it must not be there yet
        file: PathBuf,
    },
    /// Put a backup where the store is to be; nobody may have the store open
    Restore {
        /// The backup
        #[arg(required_unless_present = "latest", conflicts_with = "latest")]
        file: Option<PathBuf>,
        /// The newest whole backup of store.backups, and what the segments of streams hold beyond it
        #[arg(long)]
        latest: bool,
        /// Set a store that is there and not empty aside, and restore the backup in its place
        #[arg(long)]
        force: bool,
    },
    /// Copy the store to another engine or to PostgreSQL, and compare; nobody may have the store open
    Migrate {
        /// To what
        #[arg(long, value_name = "ENGINE", value_parser = PossibleValuesParser::new(["sled", "redb", "postgres"]))]
        to: String,
        /// The new directory; for postgres an address without a password, or where one is: env:NAME, file:/path
        place: String,
    },
    /// Go back to the copy made before the store was brought to a later format, for the release before; nobody may have
    /// the store open
    Rollback {
        /// Even if that leaves commits out; the store that is there is set aside
        #[arg(long)]
        lose_commits: bool,
    },
    /// Read everything through and say what is wrong
    Check,
    /// Rewrite what is live and give the rest of the room back, while others go on using the store
    Compact,
}
