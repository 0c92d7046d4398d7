//! What may be typed, and nothing else: every command and option, with its help.
//! It must never do anything: what a command does is in the file named after it.

mod cases;
mod connector;
mod evidence;
mod rotate;
mod rules;
mod store;
mod telling;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, builder::PossibleValuesParser};
use clap_complete::Shell;
use provost_model::{Presence, Severity, Time};

use crate::output::Format;

pub use cases::{About, Cases, DecisionWord};
pub use connector::Connector;
pub use evidence::Evidence;
pub use rotate::{ChangeWord, OnOff, Planning, Rotate};
pub use rules::{Rules, WhatIf};
pub use store::StoreAction;
pub use telling::{Chosen, Outbox, Routes, Sinks};

/// One authoritative inventory of non-human identities, what is wrong with them, and proof.
#[derive(Clone, Debug, Parser)]
#[command(name = "provost", version, propagate_version = true, max_term_width = 100, after_help = super::exit::TABLE)]
pub struct Cli {
    /// Options every command understands.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options every command understands.
#[derive(Clone, Debug, Args)]
#[command(next_display_order = 1000)]
pub struct Global {
    /// Configuration file [default: $XDG_CONFIG_HOME/provost/provost.toml]
    #[arg(long, global = true, value_name = "FILE", env = "PROVOST_CONFIG")]
    pub config: Option<PathBuf>,
    /// Form of lists
    #[arg(long, short, global = true, value_enum, default_value_t, value_name = "FORM")]
    pub output: Format,
    /// No colours; also by NO_COLOR
    #[arg(long, global = true)]
    pub no_color: bool,
}

/// Which rows are listed, and as of when.
#[derive(Clone, Debug, Default, Args)]
pub struct Selection {
    /// Only rows for which this CEL expression is true: 'kind == "access_key" && age_days > 90'
    #[arg(long = "where", value_name = "EXPR")]
    pub filter: Option<String>,
    /// What was believed at that time; a date means its last instant in UTC
    #[arg(long, value_name = "TIME", value_parser = Time::parse_inclusive)]
    pub at: Option<Time>,
    /// What was so at that time, by the providers' own clocks
    #[arg(long, value_name = "TIME", value_parser = Time::parse_inclusive, conflicts_with = "at")]
    pub as_of: Option<Time>,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Look at this host, and at AWS if standard credentials are present, and stay as daemon
    Quickstart(Quickstart),
    /// Run as daemon: look at every source on its schedule
    Run,
    /// Look at sources now
    Scan(Scan),
    /// Try what a source or connector may see, and say what a run will cost
    Check {
        /// A source of the configuration, or a connector such as aws or host
        name: String,
    },
    /// Look at a source once and write down what its provider answered, without secrets, for tests and questions
    Record {
        /// A source of the configuration
        source: String,
        /// Where to, a new file; SOURCE.cassette.jsonl unless set
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// Connectors that are files: check one, try it, trust it
    #[command(subcommand)]
    Connector(Connector),
    /// Sources: list, show, retire, accept another realm, release held absences
    Sources {
        /// What to do with them; lists them if left out
        #[command(subcommand)]
        action: Option<Sources>,
    },
    /// What exists
    #[command(subcommand)]
    Inventory(Inventory),
    /// What is wrong
    #[command(subcommand)]
    Findings(Findings),
    /// What is to be decided, and what people decided
    #[command(subcommand)]
    Cases(Cases),
    /// Proof of what was decided
    #[command(subcommand)]
    Evidence(Evidence),
    /// Where people are told of cases
    #[command(subcommand)]
    Sinks(Sinks),
    /// Which cases are told of where
    #[command(subcommand)]
    Routes(Routes),
    /// Letters on their way to sinks, and what became of them
    #[command(subcommand)]
    Outbox(Outbox),
    /// Rotate, disable, remove: what is being changed, and what would be
    #[command(subcommand)]
    Rotate(Rotate),
    /// What is looked for, and what other thresholds would open and close
    #[command(subcommand)]
    Rules(Rules),
    /// Who answers for what, and how that is known
    #[command(subcommand)]
    Owners(Owners),
    /// The whole inventory at one moment, in a file
    #[command(subcommand)]
    Snapshot(Snapshot),
    /// What was found by a source's first complete run
    #[command(subcommand)]
    Baseline(Baseline),
    /// The store itself: back it up, restore it, look after it
    #[command(subcommand)]
    Store(StoreAction),
    /// The configuration
    #[command(subcommand)]
    Config(ConfigAction),
    /// Sources, runs, findings and the daemon at a glance
    Status,
    /// Several daemons on one store
    #[command(subcommand)]
    Cluster(Cluster),
    /// Completions for a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
}

/// `quickstart`.
#[derive(Clone, Debug, Default, Args)]
pub struct Quickstart {
    /// Stop after the first scan
    #[arg(long)]
    pub once: bool,
    /// Leave AWS out
    #[arg(long)]
    pub no_aws: bool,
    /// Take credentials from the instance metadata service too
    #[arg(long, conflicts_with = "no_aws")]
    pub instance_credentials: bool,
    /// Directory to look into instead of the home directory; may be repeated
    #[arg(long = "root", value_name = "DIR")]
    pub roots: Vec<PathBuf>,
}

/// `scan`.
#[derive(Clone, Debug, Default, Args)]
pub struct Scan {
    /// Which sources; all if none is named
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Read what has no list now, not spread over days
    #[arg(long)]
    pub sweep: bool,
    /// Exit 6 if findings of that severity or worse are open afterwards
    #[arg(long, value_name = "SEVERITY", value_parser = severity())]
    pub fail_on: Option<Severity>,
}

/// `sources`.
#[derive(Clone, Debug, Subcommand)]
pub enum Sources {
    /// Show every source and its last run
    List,
    /// Show one source: its last run, and everything it cannot see
    Show {
        /// The source
        name: String,
    },
    /// Stop watching a source that left the configuration; its records stay, its findings are suspended
    Retire(Named),
    /// Accept that a source meets another account, organisation or host than before
    Repin(Named),
    /// Let go absences that were held back
    Release(Named),
}

/// One source, and why.
#[derive(Clone, Debug, Args)]
pub struct Named {
    /// The source
    pub name: String,
    /// Why; kept in the history
    #[arg(long, value_name = "WORDS", value_parser = reason)]
    pub reason: String,
}

/// `inventory`.
#[derive(Clone, Debug, Subcommand)]
pub enum Inventory {
    /// List records, those that are present or missing unless --presence says otherwise
    List {
        /// Which rows.
        #[command(flatten)]
        selection: Selection,
        /// Records so present; may be repeated
        #[arg(long, value_name = "WORD", value_delimiter = ',', value_parser = presence())]
        presence: Vec<Presence>,
    },
    /// Show everything known of one record, and who said it
    Show {
        /// Its id, the end of its id, or its external id
        id: String,
        /// As of when.
        #[command(flatten)]
        when: When,
    },
    /// Show what changed in one record, and when
    History {
        /// Its id, the end of its id, or its external id
        id: String,
    },
    /// List groups: records that are one secret, one identity or one person
    Groups {
        /// List keys that do not unite those who carry them, and why
        #[arg(long)]
        held: bool,
        /// List records that are kept apart, by whom and why
        #[arg(long, conflicts_with = "held")]
        apart: bool,
    },
    /// Show why two records are one, or why they are not
    WhyLinked(Two),
    /// Keep two records apart for good, and those who were with each before they came together
    Unlink(Parting),
    /// Take back that two records are kept apart
    LinkAgain(Parting),
}

/// Two records.
#[derive(Clone, Debug, Args)]
pub struct Two {
    /// The id of one, the end of its id, or its external id
    #[arg(value_name = "ID")]
    pub one: String,
    /// The same of the other
    #[arg(value_name = "OTHER")]
    pub other: String,
}

/// Two records, and why.
#[derive(Clone, Debug, Args)]
pub struct Parting {
    /// The records.
    #[command(flatten)]
    pub two: Two,
    /// Why; kept in the history
    #[arg(long, value_name = "WORDS", value_parser = reason)]
    pub reason: String,
}

/// As of when one record is shown.
#[derive(Clone, Debug, Default, Args)]
pub struct When {
    /// What was believed at that time; a date means its last instant in UTC
    #[arg(long, value_name = "TIME", value_parser = Time::parse_inclusive)]
    pub at: Option<Time>,
    /// What was so at that time, by the providers' own clocks
    #[arg(long, value_name = "TIME", value_parser = Time::parse_inclusive, conflicts_with = "at")]
    pub as_of: Option<Time>,
}

/// `findings`.
#[derive(Clone, Debug, Subcommand)]
pub enum Findings {
    /// List findings, open ones unless --all
    List {
        /// Which rows.
        #[command(flatten)]
        selection: Selection,
        /// Suspended and resolved ones too
        #[arg(long)]
        all: bool,
        /// Exit 6 if one of that severity or worse is among them
        #[arg(long, value_name = "SEVERITY", value_parser = severity())]
        fail_on: Option<Severity>,
    },
    /// Show one finding
    Show {
        /// Its id, or the end of it
        id: String,
    },
    /// Show how the severity of one finding came about, and what to do
    Explain {
        /// Its id, or the end of it
        id: String,
    },
}

/// `owners`.
#[derive(Clone, Debug, Subcommand)]
pub enum Owners {
    /// List what somebody should answer for, with its owner and how sure that is
    List {
        /// Only where somebody else is about as likely
        #[arg(long)]
        conflicts: bool,
        /// Only what is less sure than that, and what nobody is known to answer for
        #[arg(long, value_name = "CONFIDENCE", value_parser = confidence)]
        below: Option<f64>,
    },
    /// Show every piece of evidence about the owner of one record, and how it adds up
    Explain {
        /// Its id, the end of its id, or its external id
        id: String,
    },
    /// Say who answers for a record; holds until it is withdrawn or the owner leaves
    Confirm {
        /// Its id, the end of its id, or its external id
        id: String,
        /// A person or team, by any of their names
        owner: String,
        /// Why; kept in the history
        #[arg(long, value_name = "WORDS", value_parser = reason)]
        reason: String,
    },
    /// Withdraw what was confirmed about a record
    Withdraw {
        /// Its id, the end of its id, or its external id
        id: String,
        /// Why; kept in the history
        #[arg(long, value_name = "WORDS", value_parser = reason)]
        reason: String,
    },
}

/// `snapshot`.
#[derive(Clone, Debug, Subcommand)]
pub enum Snapshot {
    /// Take one now
    Take,
    /// List those kept
    List,
    /// Compare two, or one with now
    Diff {
        /// A snapshot or a date
        from: String,
        /// A snapshot or a date; now if left out
        to: Option<String>,
    },
    /// Check the digests of one, or of all
    Verify {
        /// Which; all if left out
        name: Option<String>,
    },
}

/// `baseline`.
#[derive(Clone, Debug, Subcommand)]
pub enum Baseline {
    /// Take what the first complete run found as accepted
    Accept {
        /// The source
        source: String,
        /// Why; kept in the history
        #[arg(long, value_name = "WORDS", value_parser = reason)]
        reason: String,
    },
    /// Work on what the first complete run found like on anything else
    Work {
        /// The source
        source: String,
    },
}

/// `cluster`.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum Cluster {
    /// Show which daemons are at work on the store, and who does what
    Status,
}

/// `config`.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum ConfigAction {
    /// List every problem of the configuration
    Check,
    /// Print the JSON schema
    Schema,
    /// Print the annotated default with an example of each connector
    Example,
}

fn severity() -> impl clap::builder::TypedValueParser<Value = Severity> {
    use clap::builder::TypedValueParser as _;
    PossibleValuesParser::new(["info", "low", "medium", "high", "critical"])
        .map(|word| Severity::from_word(&word).unwrap_or(Severity::Info))
}

fn presence() -> impl clap::builder::TypedValueParser<Value = Presence> {
    use clap::builder::TypedValueParser as _;
    PossibleValuesParser::new(["present", "missing", "gone", "unwatched"]).map(|word| match word.as_str() {
        "missing" => Presence::Missing,
        "gone" => Presence::Gone,
        "unwatched" => Presence::Unwatched,
        _ => Presence::Present,
    })
}

fn confidence(text: &str) -> Result<f64, String> {
    let said = "a confidence is between 0 and 1, such as 0.6";
    text.parse().ok().filter(|it| (0.0..=1.0).contains(it)).ok_or_else(|| said.to_owned())
}

fn reason(words: &str) -> Result<String, String> {
    let words = words.trim();
    if words.is_empty() || words.len() > 1000 {
        Err("say why, in up to 1000 letters".to_owned())
    } else {
        Ok(words.to_owned())
    }
}

impl ValueEnum for Format {
    fn value_variants<'a>() -> &'a [Self] {
        &[Format::Table, Format::Json, Format::Ndjson, Format::Csv]
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(match self {
            Format::Table => "table",
            Format::Json => "json",
            Format::Ndjson => "ndjson",
            Format::Csv => "csv",
        }))
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parsed(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_commands_are_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_is_written_in_the_documentation_can_be_typed() {
        for line in [
            "provost quickstart --once --no-aws --root /srv --root /home",
            "provost quickstart --instance-credentials",
            "provost run",
            "provost --config x.toml scan a b --sweep --fail-on high",
            "provost check aws",
            "provost sources",
            "provost sources retire old --reason moved",
            "provost sources repin a --reason moved",
            "provost sources release a --reason cleaned",
            "provost inventory list --where kind==\"user\" --presence gone,missing --output ndjson",
            "provost inventory list --at 2026-10-01 -o csv",
            "provost inventory show 0193ab --as-of 2026-10-01T12:00:00Z",
            "provost inventory history 0193ab",
            "provost inventory groups --held -o ndjson",
            "provost inventory groups --apart",
            "provost inventory why-linked 0193ab AKIA1",
            "provost inventory unlink 0193ab AKIA1 --reason mistaken",
            "provost inventory link-again 0193ab AKIA1 --reason mistaken",
            "provost findings list --all --fail-on critical --output json",
            "provost findings explain 0193ab",
            "provost cases list --where overdue -o json",
            "provost cases accept 0193ab --until 2026-12-31 --rule CRED-STALE --reason known",
            "provost cases act 0193ab --remedy disable --reason leaver",
            "provost cases approve 0193ab --reason checked",
            "provost evidence verify x --head 0000000000000000000000000000000000000000000000000000000000000000",
            "provost rules list -o json",
            "provost rules what-if stricter.toml --at 2026-10-01 --limit 0",
            "provost owners list --conflicts --below 0.6",
            "provost owners explain 0193ab",
            "provost owners confirm 0193ab payments --reason asked",
            "provost owners withdraw 0193ab --reason moved",
            "provost snapshot take",
            "provost snapshot diff 2026-10-01",
            "provost snapshot verify",
            "provost baseline accept aws-prod --reason known",
            "provost baseline work aws-prod",
            "provost store backup /backups/today",
            "provost store restore /backups/today --force",
            "provost store restore --latest",
            "provost store migrate --to redb /srv/new",
            "provost store migrate --to postgres postgres://db/provost",
            "provost store check -o json",
            "provost store compact",
            "provost config check --config x.toml",
            "provost status --no-color",
            "provost cluster status --output json",
            "provost completions bash",
        ] {
            if let Err(error) = parsed(line) {
                panic!("{line}: {error}");
            }
        }
    }

    #[test]
    fn what_cannot_be_meant_is_usage() {
        for line in [
            "provost",
            "provost sources retire old",
            "provost sources retire old --reason ",
            "provost inventory list --presence lost",
            "provost inventory list --at yesterday",
            "provost inventory list --at 2026-10-01 --as-of 2026-10-01",
            "provost findings list --fail-on terrible",
            "provost inventory unlink 0193ab AKIA1",
            "provost inventory why-linked 0193ab",
            "provost inventory groups --held --apart",
            "provost cases accept 0193ab --reason known",
            "provost cases act 0193ab --remedy tell --reason x",
            "provost owners list --below 7",
            "provost rules",
            "provost rules what-if",
            "provost rules what-if stricter.toml --limit 10001",
            "provost owners confirm 0193ab payments",
            "provost quickstart --no-aws --instance-credentials",
            "provost store",
            "provost store backup",
            "provost store restore",
            "provost store restore --latest x",
            "provost store migrate --to rocks /srv/new",
        ] {
            assert_eq!(parsed(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn a_date_means_its_last_instant() {
        let Command::Inventory(Inventory::Show { when, .. }) =
            parsed("provost inventory show x --at 2026-10-01").unwrap().command
        else {
            panic!("another command")
        };
        assert_eq!(when.at.unwrap().to_string(), "2026-10-01T23:59:59.999999Z");
    }
}
