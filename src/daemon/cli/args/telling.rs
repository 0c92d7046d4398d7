//! What may be typed after `sinks`, `routes` and `outbox`.
//! It must never let a letter be sent again that may have arrived, unless that is said.

use clap::{Args, Subcommand, builder::PossibleValuesParser};

/// `sinks`.
#[derive(Clone, Debug, Subcommand)]
pub enum Sinks {
    /// Configured sinks, with the letters that wait for each
    List,
    /// Kinds of sinks there are, and what can be said of a letter that got no clear answer
    Kinds,
    /// An entry for the configuration, with a comment on each setting
    Example {
        /// The kind
        kind: String,
    },
    /// Whether a sink can be reached and lets us in; nothing is sent
    Check {
        /// The sink; all of them if left out
        name: Option<String>,
    },
    /// A message as it would be sent; nothing is sent
    Preview {
        /// The sink
        name: String,
        /// The case it is about, by its subject; a sample if left out
        #[arg(long, value_name = "ID")]
        case: Option<String>,
    },
}

/// `routes`.
#[derive(Clone, Debug, Subcommand)]
pub enum Routes {
    /// Configured routes, who enabled each, and how many cases each has told of
    List,
    /// The routes by which a case is told of
    Of {
        /// The case's subject
        id: String,
    },
}

/// `outbox`.
#[derive(Clone, Debug, Subcommand)]
pub enum Outbox {
    /// Letters, the latest first
    List {
        /// Only those in that state
        #[arg(long, value_parser = PossibleValuesParser::new(
            ["waits", "trying", "delivered", "uncertain", "dead", "dropped"]
        ))]
        state: Option<String>,
        /// Only those of that route
        #[arg(long)]
        route: Option<String>,
    },
    /// One letter, as it would be read
    Show {
        /// The letter, by the end of its id
        id: String,
    },
    /// Send letters on their way again that were given up
    Retry(Chosen),
    /// Say that letters need not arrive
    Drop(Chosen),
}

/// Which letters.
#[derive(Clone, Debug, Args)]
pub struct Chosen {
    /// The letters, each by the end of its id
    #[arg(required_unless_present = "dead")]
    pub ids: Vec<String>,
    /// All that were given up
    #[arg(long, conflicts_with = "ids")]
    pub dead: bool,
    /// Even if they may have arrived already
    #[arg(long)]
    pub twice: bool,
}
