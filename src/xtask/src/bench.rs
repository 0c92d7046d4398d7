//! Measures what the figures are about, against a deterministic endpoint given by path.
//! It must never assert: it prints.

use anyhow::{Result, bail};

/// Runs the benchmark named, or all of them.
pub fn run(_words: &[String]) -> Result<()> {
    bail!("no benchmark here yet")
}
