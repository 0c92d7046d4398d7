//! What may be typed after `rotate`.
//! It must never let anything be changed without a reason.

use clap::{
    Args, Subcommand, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use provost_model::Remedy;

use super::reason;

/// `rotate`.
#[derive(Clone, Debug, Subcommand)]
pub enum Rotate {
    /// What would be done, by which entry, in which steps; nothing is done
    Plan(Planning),
    /// Decide that it is done; it begins once enough people agree
    Run {
        /// What, and how.
        #[command(flatten)]
        what: Planning,
        /// Why; kept for good
        #[arg(long, value_name = "WORDS", value_parser = reason)]
        reason: String,
    },
    /// Changes under way, or one of them with its journal
    Status {
        /// The change, by its id or the end of it; all that are under way if left out
        id: Option<String>,
        /// Those that ended too
        #[arg(long, conflicts_with = "id")]
        all: bool,
    },
    /// Take a change back, as far as its provider allows
    Undo(ChangeWord),
    /// Let a change rest where it is
    Pause(ChangeWord),
    /// Let a change go on that rests, or that waits for a person's word
    Resume(ChangeWord),
    /// Stop everything that changes anything, or let it go on
    KillSwitch {
        /// Which
        state: OnOff,
        /// Why; kept for good
        #[arg(long, value_name = "WORDS", value_parser = reason)]
        reason: String,
    },
    /// Kinds of rotators and destinations, what each can do, and what its credential has to be allowed
    Kinds,
    /// An entry for the configuration, with a comment on each setting
    Example {
        /// The kind
        kind: String,
    },
    /// Whether rotators and destinations can be reached and let us in; nothing is changed
    Check {
        /// The `[[rotations]]` entry; all of them if left out
        name: Option<String>,
    },
}

/// What is to be done about what.
#[derive(Clone, Debug, Args)]
pub struct Planning {
    /// The credential, or whatever it is: its id, the end of its id, or its external id
    pub id: String,
    /// What
    #[arg(long, value_name = "REMEDY", default_value = "rotate", value_parser = remedy())]
    pub remedy: Remedy,
    /// At once, without seeing whether anybody still uses the old one: breakage is accepted
    #[arg(long)]
    pub emergency: bool,
}

/// A word about a change.
#[derive(Clone, Debug, Args)]
pub struct ChangeWord {
    /// The change: its id, or the end of it
    pub id: String,
    /// Why; kept for good
    #[arg(long, value_name = "WORDS", value_parser = reason)]
    pub reason: String,
}

/// Whether everything is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnOff {
    /// Everything is stopped
    On,
    /// Everything goes on
    Off,
}

/// What can be carried out step by step.
fn remedy() -> impl TypedValueParser<Value = Remedy> {
    let words = crate::jobs::decide::CARRIED_OUT.into_iter().map(Remedy::word);
    PossibleValuesParser::new(words).map(|word| Remedy::from_word(&word).unwrap_or(Remedy::Rotate))
}
