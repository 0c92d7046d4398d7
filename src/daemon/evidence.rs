//! `evidence verify`: a file of evidence, checked without daemon, store and configuration.
//! It must never hold more of the file than a line.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Read},
    path::{Path, PathBuf},
};

use provost_store::evidence::{Hash, Verifier};

use crate::{
    cli::{self, Exit, Screen},
    commands::CommandError,
};

/// Longest line read, in bytes: one more than is taken.
const LINE_MAX: u64 = (1 << 20) + 2;

/// What is given beside a file: hashes, files of checkpoints, and keys, all kept elsewhere.
pub type Kept<'a> = (&'a [Hash], &'a [PathBuf], &'a [Hash]);

/// Checks a file, or what comes in.
pub fn verify(
    file: &Path,
    (heads, checkpoints, keys): Kept<'_>,
    screen: &mut Screen<'_>,
) -> Result<Exit, CommandError> {
    let mut verifier = Verifier::default();
    keys.iter().for_each(|key| verifier.trust(*key));
    for file in checkpoints {
        let wrong = |said: String| CommandError::Usage(format!("{}: {said}", file.display()));
        each_line(file, &mut |line| match line.trim_ascii().is_empty() {
            true => Ok(true),
            false => verifier.expect(line).map(|()| true).map_err(wrong),
        })?;
    }
    each_line(file, &mut |line| Ok(verifier.take(line)))?;
    Ok(cli::evidence::verified(&verifier.report(heads), screen)?)
}

/// Hands over a file line by line, until it ends or is not wanted any more.
fn each_line(file: &Path, each: &mut dyn FnMut(&[u8]) -> Result<bool, CommandError>) -> Result<(), CommandError> {
    let named = |error: io::Error| CommandError::Usage(format!("{}: {error}", file.display()));
    let from: Box<dyn Read> =
        if file.as_os_str() == "-" { Box::new(io::stdin()) } else { Box::new(File::open(file).map_err(named)?) };
    let (mut reader, mut line) = (BufReader::new(from), Vec::new());
    loop {
        line.clear();
        let length = reader.by_ref().take(LINE_MAX).read_until(b'\n', &mut line).map_err(named)?;
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        if length == 0 || !each(&line)? {
            return Ok(());
        }
    }
}
