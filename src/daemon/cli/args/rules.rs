//! What may be typed after `rules`.
//! It must never have a daemon open a file that the asking side named.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum as _};
use provost_model::Time;

use super::Global;

/// `rules`.
#[derive(Clone, Debug, Subcommand)]
pub enum Rules {
    /// List every rule, the figures it compares with, and how many of its findings are open
    List,
    /// Show what other thresholds would open and close, without doing it
    WhatIf(WhatIf),
}

/// `rules what-if`.
#[derive(Clone, Debug, Args)]
pub struct WhatIf {
    /// TOML file with a table `[thresholds]`; a whole configuration will do
    pub file: PathBuf,
    /// On what was believed at that time; a date means its last instant in UTC
    #[arg(long, value_name = "TIME", value_parser = Time::parse_inclusive)]
    pub at: Option<Time>,
    /// Most findings shown of each sort, the worst; `-o ndjson` gives all of them
    #[arg(long, value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(u32).range(..=10_000))]
    pub limit: u32,
    /// The thresholds of the file, which whoever asks a daemon has read
    #[arg(long, value_name = "TEXT", hide = true)]
    pub policy_text: Option<String>,
}

impl WhatIf {
    /// The words by which a daemon is asked the same: it is given the thresholds themselves.
    pub fn words(&self, global: &Global) -> Vec<String> {
        let form = global.output.to_possible_value();
        let mut words = vec!["rules".to_owned(), "what-if".to_owned(), format!("--limit={}", self.limit)];
        words.extend(form.map(|form| format!("--output={}", form.get_name())));
        words.extend(self.at.map(|at| format!("--at={at}")));
        words.extend(self.policy_text.as_ref().map(|text| format!("--policy-text={text}")));
        words.extend(["--".to_owned(), self.file.to_string_lossy().into_owned()]);
        words
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn parsed(words: &[String]) -> (WhatIf, Global) {
        let words = std::iter::once("provost".to_owned()).chain(words.iter().cloned());
        let cli = Cli::try_parse_from(words).unwrap();
        match cli.command {
            Command::Rules(Rules::WhatIf(wanted)) => (wanted, cli.global),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_daemon_is_asked_what_was_typed_with_the_thresholds_in_the_place_of_the_file() {
        let typed = ["-o", "json", "rules", "what-if", "--at", "2026-10-01", "--limit=7", "--", "--odd name.toml"];
        let (mut wanted, global) = parsed(&typed.map(str::to_owned));
        wanted.policy_text = Some("[thresholds]\nage_key_days = 3\n".to_owned());
        let (asked, form) = parsed(&wanted.words(&global));
        assert_eq!((asked.at, asked.limit, &asked.policy_text), (wanted.at, 7, &wanted.policy_text));
        assert_eq!((asked.file, form.output), (wanted.file, global.output));
    }
}
