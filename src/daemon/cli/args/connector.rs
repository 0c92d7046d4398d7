//! What may be typed after `connector`.
//! It must never take a credential: a manifest is tried with those of a source, or with a word that is none.

use std::path::PathBuf;

use clap::Subcommand;

/// `connector`.
#[derive(Clone, Debug, Subcommand)]
pub enum Connector {
    /// Show every connector there is
    List,
    /// Say everything that is wrong with a manifest, each with line and column
    Lint {
        /// The manifest
        file: PathBuf,
    },
    /// Read the first page of every list of a manifest, and show what is made of it; nothing is kept
    Try {
        /// The manifest
        file: PathBuf,
        /// Look as that source of the configuration does; only if the manifest is trusted
        #[arg(long, value_name = "NAME", conflicts_with = "base", required_unless_present = "base")]
        source: Option<String>,
        /// Look there, with no credential but the word "test-token" and only on this machine: for a mock server
        #[arg(long, value_name = "URL")]
        base: Option<String>,
        /// A setting of the manifest, for --base
        #[arg(long = "set", value_name = "NAME=VALUE", requires = "base")]
        settings: Vec<String>,
    },
    /// Pin the digest of a manifest in the directory connectors/ beside the configuration: from now on it is a connector
    Trust {
        /// The manifest
        file: PathBuf,
    },
}
