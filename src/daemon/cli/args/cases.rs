//! What may be typed after `cases`.
//! It must never let anything be decided without a reason.

use clap::{
    Args, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};
use provost_model::{Remedy, Time};

use super::reason;

/// `cases`.
#[derive(Clone, Debug, Subcommand)]
pub enum Cases {
    /// List subjects with faults, each with one action, one owner and one deadline
    List {
        /// Only cases for which this CEL expression is true: 'overdue && severity == "high"'
        #[arg(long = "where", value_name = "EXPR")]
        filter: Option<String>,
    },
    /// Show one case: its faults, who answers for it, what was decided
    Show {
        /// The subject: its id, the end of its id, its external id, or the name of a source
        id: String,
    },
    /// Decide that something is done about it
    Act {
        /// What; what its worst fault asks for unless it is said
        #[arg(long, value_name = "REMEDY", value_parser = remedy())]
        remedy: Option<Remedy>,
        /// About what, and why.
        #[command(flatten)]
        about: About,
    },
    /// Take the risk until a date; on that day it is open again
    Accept {
        /// Until when; a date means its last instant in UTC
        #[arg(long, value_name = "TIME", value_parser = Time::parse_inclusive)]
        until: Time,
        /// What keeps the risk small meanwhile
        #[arg(long, value_name = "WORDS", value_parser = reason)]
        control: Option<String>,
        /// About what, and why.
        #[command(flatten)]
        about: About,
    },
    /// Say that it is no fault; looked at again on a date
    Reject {
        /// When; a date means its last instant in UTC
        #[arg(long, value_name = "TIME", value_parser = Time::parse_inclusive)]
        until: Time,
        /// About what, and why.
        #[command(flatten)]
        about: About,
    },
    /// Say who answers for it from now on
    Reassign {
        /// A person or team, by any of their names
        #[arg(long, value_name = "OWNER")]
        to: String,
        /// About what, and why.
        #[command(flatten)]
        about: About,
    },
    /// Disable it at once, before others agree; taken back unless they do in time
    Contain {
        /// How long, such as 4h
        #[arg(long = "for", value_name = "TIME", default_value = "4h", value_parser = crate::config::duration::parse)]
        length: std::time::Duration,
        /// About what, and why.
        #[command(flatten)]
        about: About,
    },
    /// Agree to a decision that somebody asked for, or that was contained
    Approve(DecisionWord),
    /// Do not agree to a decision that somebody asked for: it is over
    Refuse(DecisionWord),
    /// Take back a decision that is asked for or holds
    Withdraw(DecisionWord),
    /// List every decision, with who asked and who agreed
    Decisions,
    /// List what policy decides by itself, or show what one guardrail would decide and what it leaves to people
    Guardrails {
        /// The name of a `[[guardrails]]` entry
        name: Option<String>,
    },
    /// How long it takes from a fault to its owner, a decision and proof
    Latency,
}

/// What is decided about, and why.
#[derive(Clone, Debug, Args)]
pub struct About {
    /// The subject: its id, the end of its id, its external id, or the name of a source
    pub id: String,
    /// Only faults found by this rule; may be repeated
    #[arg(long = "rule", value_name = "RULE")]
    pub rules: Vec<String>,
    /// Why; kept for good
    #[arg(long, value_name = "WORDS", value_parser = reason)]
    pub reason: String,
}

/// A word about a decision.
#[derive(Clone, Debug, Args)]
pub struct DecisionWord {
    /// The decision: its id, or the end of it
    pub decision: String,
    /// Why; kept for good
    #[arg(long, value_name = "WORDS", value_parser = reason)]
    pub reason: String,
}

/// Telling is no remedy that anybody decides case by case.
fn remedy() -> impl TypedValueParser<Value = Remedy> {
    let words = Remedy::ALL.into_iter().filter(|it| *it != Remedy::Tell).map(Remedy::word);
    PossibleValuesParser::new(words).map(|word| Remedy::from_word(&word).unwrap_or(Remedy::Mend))
}
