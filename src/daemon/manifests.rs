//! Manifests that an operator put into the configuration directory, and the digests of those that somebody trusts.
//! It must never take a file for a connector whose digest is not pinned, nor read one twice: what is checked is what is used.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use provost_connectors::{
    Catalogue,
    manifest::{Manifest, Trust},
};
use sha2::{Digest as _, Sha256};

/// The directory of manifests, beside the configuration file.
const DIRECTORY: &str = "connectors";
/// The file of pinned digests in it, as `sha256sum` writes and checks them.
const PINS: &str = "trusted.sha256";
/// Longest manifest, in bytes.
const LONGEST: u64 = 64 << 10;
/// Most files looked at.
const FILES_MAX: usize = 500;

/// The connectors of a configuration, and the files that are none, with the reason.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Every connector that may be used.
    pub catalogue: Catalogue,
    /// Why a file is no connector, by the name it would have.
    refused: BTreeMap<String, String>,
    /// Why the directory of manifests could not be read.
    unread: Option<String>,
}

/// Why a file cannot be trusted or read.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It cannot be read or written.
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
    /// It is no manifest: what is wrong with it, each with line and column.
    #[error("{}", .1.iter().map(|fault| format!("{}:{fault}", .0.display())).collect::<Vec<_>>().join("\n"))]
    Faults(PathBuf, Vec<provost_connectors::manifest::Fault>),
    /// It is not where it would be used.
    #[error("{0} is not in {1}: put it there first, since only what is there is a connector")]
    Elsewhere(PathBuf, PathBuf),
    /// Its name is taken.
    #[error("{0}: {1}")]
    Taken(PathBuf, String),
}

/// A manifest's text as it stands in a file, read once.
pub struct Text {
    /// The file.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
}

impl Text {
    /// Reads a file that may be a manifest.
    pub fn read(path: &Path) -> Result<Self, ManifestError> {
        let failed = |error| ManifestError::File(path.to_owned(), error);
        let mut text = String::new();
        let file = fs::File::open(path).map_err(failed)?;
        file.take(LONGEST + 1).read_to_string(&mut text).map_err(failed)?;
        if text.len() as u64 > LONGEST {
            return Err(failed(io::Error::other(format!("it is longer than {} KiB", LONGEST >> 10))));
        }
        Ok(Self { path: path.to_owned(), text })
    }

    /// The manifest it is.
    pub fn manifest(&self) -> Result<Arc<Manifest>, ManifestError> {
        Manifest::parse(&self.text).map(Arc::new).map_err(|faults| ManifestError::Faults(self.path.clone(), faults))
    }

    /// SHA-256 of it, hexadecimal.
    pub fn digest(&self) -> String {
        hex::encode(Sha256::digest(self.text.as_bytes()))
    }
}

impl Known {
    /// What is part of the program, and the trusted files of that directory.
    pub fn of(directory: &Path) -> Self {
        let mut known = Self::default();
        let (pins, files) = match pins(directory).and_then(|pins| Ok((pins, files(directory)?))) {
            Ok(found) => found,
            Err(error) => {
                known.unread = Some(error.to_string());
                return known;
            }
        };
        for path in files {
            let name = stem(&path);
            match trusted(&path, &pins) {
                Ok(text) => match text.manifest() {
                    Ok(manifest) => known.take(&name, (*manifest).clone(), &path),
                    Err(error) => drop(known.refused.insert(name, error.to_string())),
                },
                Err(why) => drop(known.refused.insert(name, why)),
            }
        }
        known
    }

    fn take(&mut self, stem: &str, manifest: Manifest, path: &Path) {
        let name = manifest.name.clone();
        if name != stem {
            let said =
                format!("{}: the connector it describes is called {name:?}: name the file {name}.toml", path.display());
            self.refused.insert(stem.to_owned(), said);
            return;
        }
        if let Err(said) = self.catalogue.add(manifest.spec(Trust::Pinned)) {
            self.refused.insert(name, format!("{}: {said}", path.display()));
        }
    }

    /// Files that are no connector, by the name they would have, and why.
    pub fn refused(&self) -> impl Iterator<Item = (&str, &str)> {
        self.refused.iter().map(|(name, why)| (name.as_str(), why.as_str()))
    }

    /// Why there is no connector of that name.
    pub fn why_not(&self, name: &str) -> String {
        if let Some(why) = self.refused.get(name) {
            return why.clone();
        }
        let names: Vec<&str> = self.catalogue.iter().map(|spec| spec.name).collect();
        let unread = self.unread.as_ref().map_or_else(String::new, |why| format!(" ({why})"));
        format!("there is no connector {name:?}; there are {}{unread}", names.join(", "))
    }
}

/// Pins the digest of a manifest in its directory. Gives the manifest, and the digest that was pinned before if it was
/// another one.
pub fn trust(text: &Text, directory: &Path) -> Result<(Arc<Manifest>, Option<String>), ManifestError> {
    let inside = |path: &Path| Some((fs::canonicalize(path.parent()?).ok()?, path.file_name()?.to_owned()));
    let here = fs::canonicalize(directory).ok();
    if inside(&text.path).is_none_or(|(parent, _)| Some(parent) != here) {
        return Err(ManifestError::Elsewhere(text.path.clone(), directory.to_owned()));
    }
    let manifest = text.manifest()?;
    if stem(&text.path) != manifest.name {
        let said = format!("the connector it describes is called {:?}: name the file {0}.toml", manifest.name);
        return Err(ManifestError::Taken(text.path.clone(), said));
    }
    if Catalogue::shipped().find(&manifest.name).is_some() {
        let said = format!("there is a connector {:?} already", manifest.name);
        return Err(ManifestError::Taken(text.path.clone(), said));
    }
    let mut pinned = pins(directory)?;
    let before = pinned.insert(format!("{}.toml", manifest.name), text.digest());
    write(&directory.join(PINS), &pinned)?;
    Ok((manifest, before.filter(|before| *before != text.digest())))
}

/// Whether that very text is trusted: its digest is pinned in that directory.
pub fn is_trusted(text: &Text, directory: &Path) -> Result<bool, ManifestError> {
    let pinned = pins(directory)?;
    Ok(pinned.values().any(|digest| *digest == text.digest()))
}

/// The directory of manifests beside that configuration file.
pub fn directory(configuration: &Path) -> PathBuf {
    configuration.parent().unwrap_or_else(|| Path::new("")).join(DIRECTORY)
}

fn trusted(path: &Path, pins: &BTreeMap<String, String>) -> Result<Text, String> {
    let text = Text::read(path).map_err(|error| error.to_string())?;
    let shown = path.display();
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let short = |digest: &str| digest.chars().take(12).collect::<String>();
    match pins.get(&file) {
        None => Err(format!("{shown} is not trusted: read it, then `provost connector trust {shown}`")),
        Some(pinned) if *pinned != text.digest() => Err(format!(
            "{shown} changed since it was trusted (it was {}…, it is {}…): read it again, then `provost connector trust {shown}`",
            short(pinned),
            short(&text.digest())
        )),
        Some(_) => Ok(text),
    }
}

/// The manifests in a directory, in order.
fn files(directory: &Path) -> Result<Vec<PathBuf>, ManifestError> {
    let failed = |error| ManifestError::File(directory.to_owned(), error);
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut files = Vec::new();
    for entry in entries.take(FILES_MAX) {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|it| it == "toml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Pinned digests by file name.
fn pins(directory: &Path) -> Result<BTreeMap<String, String>, ManifestError> {
    let path = directory.join(PINS);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(ManifestError::File(path, error)),
    };
    let mut pins = BTreeMap::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let sound = line
            .split_once("  ")
            .filter(|(digest, _)| digest.len() == 64 && digest.bytes().all(|it| it.is_ascii_hexdigit()));
        let Some((digest, file)) = sound else {
            let error = io::Error::other("a line of it is no digest, two blanks and a file name");
            return Err(ManifestError::File(path, error));
        };
        pins.insert(file.to_owned(), digest.to_lowercase());
    }
    Ok(pins)
}

/// Writes the pins whole or not at all.
fn write(path: &Path, pins: &BTreeMap<String, String>) -> Result<(), ManifestError> {
    let failed = |error| ManifestError::File(path.to_owned(), error);
    let text: String = pins.iter().map(|(file, digest)| format!("{digest}  {file}\n")).collect();
    let new = path.with_extension("new");
    let mut file =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(&new).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    fs::rename(&new, path).map_err(failed)
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}
