//! The configuration: as typed in TOML, as meant after every check, and the references to secrets in it.
//! It must never hold a secret, only say where one is.

mod address;
pub(crate) mod duration;
mod meant;
mod paths;
mod people;
mod policy;
mod problem;
mod reference;
mod resolve;
mod size;
mod text;
mod typed;

pub use address::Address;
pub use meant::{Config, DaemonSettings, Schedule, Snapshots, Source, StoreChoice};
pub use meant::{rotation, telling};
pub use paths::{Paths, Scene};
pub use policy::{thresholds_in, thresholds_of};
pub use problem::{Problem, nearest};
pub use reference::{MalformedReference, Reference};
pub use resolve::{Environment, ResolveError};
pub use size::Size;
pub use text::{example, schema};
pub use typed::Typed;
pub(crate) use typed::scrubbed;

use std::{os::unix::fs::MetadataExt as _, path::Path};

/// Longest configuration file read, in bytes.
const FILE_MAX: u64 = 1 << 20;

/// A configuration from text: checked as a whole, so that one look shows every problem.
pub fn parse(text: &str, paths: &Paths) -> Result<Config, Vec<Problem>> {
    let typed = typed::parse(text).map_err(|problem| vec![problem])?;
    Config::mean(typed, paths)
}

/// The configuration in that file; a file that is not there is the same as an empty one only if nobody named it.
pub fn load(paths: &Paths) -> Result<Config, Vec<Problem>> {
    let text = match read(&paths.file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !paths.file_named => String::new(),
        Err(error) => return Err(vec![Problem::of_file(&paths.file, &error)]),
    };
    let mut config = parse(&text, paths)?;
    config.configured_by = std::fs::metadata(&paths.file).ok().map(|about| about.uid());
    let unread = |sink: &mut telling::Sink| {
        let error = sink.read_template().err()?;
        let file = sink.template_file.as_ref()?;
        Some(Problem::new(format!("sinks {}.template", sink.name), format!("{}: {error}", file.display())))
    };
    let problems: Vec<Problem> = config.sinks.iter_mut().filter_map(unread).collect();
    if !problems.is_empty() {
        return Err(problems);
    }
    if let Some(file) = &config.people_file {
        config.people = people::load(file)?.into();
    }
    Ok(config)
}

fn read(file: &Path) -> std::io::Result<String> {
    read_up_to(file, FILE_MAX)
}

/// A text file of at most so many bytes.
fn read_up_to(file: &Path, most: u64) -> std::io::Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    let read = std::fs::File::open(file)?.take(most + 1).read_to_string(&mut text)?;
    if read as u64 > most {
        let most = if most >= 1 << 20 { format!("{} MiB", most >> 20) } else { format!("{} KiB", most >> 10) };
        return Err(std::io::Error::other(format!("it is longer than {most}")));
    }
    Ok(text)
}
