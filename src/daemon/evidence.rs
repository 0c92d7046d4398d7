//! `evidence verify`: a file of evidence, checked without daemon, store and configuration.
//! It must never hold more of the file than a line.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Read},
    path::Path,
};

use provost_store::evidence::{Hash, Verifier};

use crate::{
    cli::{self, Exit, Screen},
    commands::CommandError,
};

/// Longest line read, in bytes: one more than is taken.
const LINE_MAX: u64 = (1 << 20) + 2;

/// Checks a file, or what comes in.
pub fn verify(file: &Path, heads: &[Hash], screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let named = |error: io::Error| CommandError::Usage(format!("{}: {error}", file.display()));
    let from: Box<dyn Read> =
        if file.as_os_str() == "-" { Box::new(io::stdin()) } else { Box::new(File::open(file).map_err(named)?) };
    let (mut reader, mut verifier, mut line) = (BufReader::new(from), Verifier::default(), Vec::new());
    loop {
        line.clear();
        let length = reader.by_ref().take(LINE_MAX).read_until(b'\n', &mut line).map_err(named)?;
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        if length == 0 || !verifier.take(&line) {
            break;
        }
    }
    Ok(cli::evidence::verified(&verifier.report(heads), screen)?)
}
