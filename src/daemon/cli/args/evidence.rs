//! What may be typed after `evidence`.
//! It must never have a daemon open a file that the asking side named.

use std::path::PathBuf;

use clap::Subcommand;
use provost_model::Time;
use provost_store::evidence::Hash;

/// `evidence`.
#[derive(Clone, Debug, Subcommand)]
pub enum Evidence {
    /// Check a file of evidence, entry by entry, without daemon and store
    Verify {
        /// The file, or - for what comes in
        file: PathBuf,
        /// The hash of the last entry, as it was kept elsewhere; may be repeated, one for each chain
        #[arg(long, value_name = "HASH", value_parser = hash)]
        head: Vec<Hash>,
        /// File of checkpoints that were kept elsewhere: what provost evidence head -o ndjson printed; may be repeated
        #[arg(long, value_name = "FILE")]
        checkpoint: Vec<PathBuf>,
        /// Public key whose checkpoints are believed, and no other's; may be repeated
        #[arg(long, value_name = "KEY", value_parser = hash)]
        key: Vec<Hash>,
    },
    /// Write evidence out, one entry a line
    Export {
        /// Only what was decided about this subject; of other entries only what the chain needs
        #[arg(long, value_name = "ID")]
        subject: Option<String>,
        /// From that time on
        #[arg(long, value_name = "TIME")]
        since: Option<Time>,
        /// Until that time; a date means its last instant in UTC
        #[arg(long, value_name = "TIME", value_parser = Time::parse_inclusive)]
        until: Option<Time>,
        /// Without people and their words: their digests stay, so that the chain can be checked
        #[arg(long)]
        redacted: bool,
    },
    /// Show a signed checkpoint of each chain, to be kept elsewhere
    Head,
}

fn hash(text: &str) -> Result<Hash, String> {
    Hash::parse(text).ok_or_else(|| "it has 64 hexadecimal digits; see: provost evidence head".to_owned())
}
