//! What does the same work beside the program under measurement: any command that is told of an account as tools of Amazon are.
//! It must never be given an account of whoever measures.

use std::{
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, Result, bail};

use super::program::{Took, account, watched};

/// A command, its words parted by blanks.
pub(super) struct Beside(String);

impl Beside {
    /// The command as it was given.
    pub(super) fn new(command: String) -> Self {
        Self(command)
    }

    /// The file it ends with, without the way there: what a line of the table has room for.
    pub(super) fn name(&self) -> &str {
        self.0.split_whitespace().next_back().and_then(|word| word.rsplit('/').next()).unwrap_or_default()
    }

    /// One run against an endpoint, with the environment this has but for accounts of Amazon. One that fails says nothing of
    /// what the work costs.
    pub(super) fn run(&self, url: &str) -> Result<Took> {
        let mut words = self.0.split_whitespace();
        let mut command = Command::new(words.next().context("--beside takes a command")?);
        command.args(words).stdin(Stdio::null()).stdout(Stdio::null());
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AWS_")) {
            command.env_remove(name);
        }
        account(&mut command, url);
        let begun = Instant::now();
        let took = watched(&mut command.spawn().with_context(|| format!("--beside {:?}", self.0))?, begun)?;
        if took.exit != 0 {
            bail!("--beside {:?} ended with {}", self.0, took.exit);
        }
        Ok(took)
    }
}
