//! Chores of the project: `cargo xtask test | deny | bench | layout | tools`.
//! It must never be needed to build or run Provost itself.

mod bench;
mod layout;
mod tools;

use std::{
    env,
    process::{Command, ExitCode},
};

use anyhow::{Context as _, Result, bail};

const USAGE: &str = "cargo xtask test [ARGS for the test runner]   install what tests need, run them all
cargo xtask deny                              check licences, bans and sources
cargo xtask bench --endpoint DIR              measure scans of AWS, print a table; --users N,N, --engine redb,
                                              --beside COMMAND: what does the same, in turns
cargo xtask bench store [--identities N] …    measure the store beside SQLite, print a table
cargo xtask layout --endpoint DIR             watch what runs, write src/daemon/used.ld for the linker
cargo xtask tools                             install what tests need, print where it is";

fn main() -> ExitCode {
    let mut words = env::args().skip(1);
    let task = words.next().unwrap_or_default();
    let rest: Vec<String> = words.collect();
    let done = match task.as_str() {
        "test" => test(&rest),
        "deny" => deny(),
        "bench" => bench::run(&rest),
        "layout" => layout::run(&rest),
        "tools" => tools::Tools::install().map(|tools| say(&format!("{tools:?}"))),
        _ => {
            say(USAGE);
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("xtask {task}: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Runs every test of the workspace, with the real servers they need at hand.
fn test(rest: &[String]) -> Result<()> {
    let tools = tools::Tools::install()?;
    let profile = if env::var_os("CI").is_some() { "ci" } else { "default" };
    let mut runner = Command::new(&tools.nextest);
    runner.args(["nextest", "run", "--locked", "--workspace", "--profile", profile]).args(rest);
    runner.env("PROVOST_TEST_MOTO", &tools.moto).env("PROVOST_TEST_POSTGRES", &tools.postgres);
    runner.env("PROVOST_TEST_OPENBAO", &tools.openbao).env("PROVOST_TEST_SSHD", &tools.sshd);
    runner.env("PROVOST_TEST_PYTHON", &tools.python).env("PROVOST_TEST_NODE_MODULES", &tools.modules);
    finish(runner)
}

fn deny() -> Result<()> {
    let tools = tools::Tools::install()?;
    let mut deny = Command::new(&tools.deny);
    deny.args(["--locked", "check", "--hide-inclusion-graph", "licenses", "bans", "sources"]);
    finish(deny)
}

/// Runs a command with this terminal, and makes its failure ours.
fn finish(mut command: Command) -> Result<()> {
    let status = command.status().with_context(|| format!("{:?} does not start", command.get_program()))?;
    if !status.success() {
        bail!("{:?} ended with {status}", command.get_program());
    }
    Ok(())
}

#[allow(clippy::print_stderr, reason = "a chore speaks to the person who typed it")]
fn say(text: &str) {
    eprintln!("{text}");
}
