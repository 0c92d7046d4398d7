//! `completions`: printed from the arguments themselves.
//! It must never be kept by hand.

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::{Cli, CliError, Exit, Screen};

/// Prints completions for a shell.
pub fn print(shell: Shell, screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "provost", &mut text);
    screen.out.write_all(&text)?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cli::screen::fake::written, output::Format};

    #[test]
    fn every_shell_gets_every_command() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::PowerShell, Shell::Elvish] {
            let (out, _) = written(Format::Table, |screen| drop(print(shell, screen)));
            assert!(["quickstart", "inventory", "baseline"].iter().all(|command| out.contains(command)), "{shell}");
        }
    }
}
