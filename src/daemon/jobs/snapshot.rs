//! Snapshots: the whole inventory at one commit, as compressed lines with a manifest of digests.
//! It must never leave a half-written one where a whole one is looked for.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use provost_model::Time;
use provost_store::{CommitNo, Go, StoreError};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::judge::Yardstick;
use crate::{
    house::House,
    output::{FindingRow, write::write_json},
    rows::Rows,
};

/// Version of the manifest and of the lines.
const FORMAT: u32 = 1;
const RECORDS: &str = "records.ndjson.zst";
const FINDINGS: &str = "findings.ndjson.zst";
const MANIFEST: &str = "manifest.json";
/// What an unfinished snapshot's directory begins with.
const UNFINISHED: &str = ".unfinished-";
/// zstd's own default: a sixth of the size at hundreds of MB a second.
const LEVEL: i32 = 3;

/// What is wrong with a snapshot.
#[derive(Debug, Error)]
pub enum SnapshotError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file failed.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// How.
        error: io::Error,
    },
    /// It is not what its manifest says.
    #[error("{path} is not the file that was written: {what}")]
    Altered {
        /// Which file.
        path: PathBuf,
        /// In what it differs.
        what: String,
    },
    /// There is none of that name.
    #[error("there is no snapshot {0:?}; see: provost snapshot list")]
    Unknown(String),
}

/// What a snapshot says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this form.
    pub format: u32,
    /// The program that wrote it.
    pub provost: String,
    /// When it was taken.
    pub taken_at: Time,
    /// The commit it shows.
    pub commit: u64,
    /// Its files.
    pub files: Vec<Listed>,
}

/// One file of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Lines in it, unpacked.
    pub lines: u64,
    /// Its size in bytes, packed.
    pub bytes: u64,
    /// SHA-256 of the packed bytes, hexadecimal.
    pub sha256: String,
}

/// Takes a snapshot of one commit into a directory of snapshots; gives its name.
pub fn take(house: &House, yardstick: &Yardstick, directory: &Path) -> Result<(String, Manifest), SnapshotError> {
    let head = house.store().head()?;
    let name = format!("{}-c{}", stamp(house.now()), head.number.0);
    let unfinished = directory.join(format!("{UNFINISHED}{name}-{}", std::process::id()));
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error| SnapshotError::File { path, error }
    };
    fs::create_dir_all(&unfinished).map_err(at(&unfinished))?;
    let manifest = write_all(house, yardstick, (&unfinished, head.number))?;
    let name = settle(&unfinished, directory, name)?;
    File::open(directory).and_then(|it| it.sync_all()).map_err(at(directory))?;
    Ok((name, manifest))
}

/// Puts a finished snapshot in its place, under a free name: two of one commit may be taken within a second.
fn settle(unfinished: &Path, directory: &Path, name: String) -> Result<String, SnapshotError> {
    let mut free = name.clone();
    for next in 2.. {
        let place = directory.join(&free);
        match fs::rename(unfinished, &place) {
            Err(error) if place.exists() && next < 1000 => {
                tracing::debug!(%error, name = %free, "a snapshot of that name is there already");
                free = format!("{name}-{next}");
            }
            Err(error) => return Err(SnapshotError::File { path: place, error }),
            Ok(()) => break,
        }
    }
    Ok(free)
}

/// Writes the files of a snapshot of that commit into a directory.
pub fn write_all(
    house: &House,
    yardstick: &Yardstick,
    (into, commit): (&Path, CommitNo),
) -> Result<Manifest, SnapshotError> {
    let now = house.now();
    let inventory = house.inventory();
    let rows = Rows::new(inventory, yardstick, now)?;
    let mut records = Packing::begin(into, RECORDS)?;
    inventory.each_record(Some(commit), &mut |record, _| {
        records.line(&rows.of(&record)?)?;
        Ok(Go::On)
    })?;
    let mut findings = Packing::begin(into, FINDINGS)?;
    inventory.each_finding(Some(commit), &mut |finding| {
        findings.line(&FindingRow::from(&finding))?;
        Ok(Go::On)
    })?;
    let manifest = Manifest {
        format: FORMAT,
        provost: env!("CARGO_PKG_VERSION").into(),
        taken_at: now,
        commit: commit.0,
        files: vec![records.end()?, findings.end()?],
    };
    let path = into.join(MANIFEST);
    let text = serde_json::to_vec_pretty(&manifest).map_err(io::Error::from);
    let written = text
        .and_then(|text| File::create(&path).and_then(|mut file| file.write_all(&text).and_then(|()| file.sync_all())));
    written.map_err(|error| SnapshotError::File { path, error })?;
    Ok(manifest)
}

/// The snapshots of a directory, oldest first. What is unfinished is not among them.
pub fn list(directory: &Path) -> Result<Vec<(String, Manifest)>, SnapshotError> {
    let mut found = Vec::new();
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(SnapshotError::File { path: directory.to_owned(), error }),
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && entry.path().join(MANIFEST).exists() {
            found.push((name, manifest(&entry.path())?));
        }
    }
    found.sort_by(|a, b| (a.1.taken_at, &a.0).cmp(&(b.1.taken_at, &b.0)));
    Ok(found)
}

/// Keeps the newest `keep` snapshots, and removes what was never finished by a process that is gone.
pub fn prune(directory: &Path, keep: usize) -> Result<Vec<String>, SnapshotError> {
    let all = list(directory)?;
    let mut gone: Vec<String> = all.iter().rev().skip(keep.max(1)).map(|(name, _)| name.clone()).collect();
    if let Ok(entries) = fs::read_dir(directory) {
        let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
        gone.extend(names.filter(|name| name.starts_with(UNFINISHED) && !is_being_written(name)));
    }
    for name in &gone {
        let path = directory.join(name);
        fs::remove_dir_all(&path).map_err(|error| SnapshotError::File { path, error })?;
    }
    Ok(gone)
}

/// Reads every byte of a snapshot again and compares it with its manifest.
pub fn verify(snapshot: &Path) -> Result<Manifest, SnapshotError> {
    let manifest = manifest(snapshot)?;
    for listed in &manifest.files {
        let path = snapshot.join(&listed.name);
        let altered = |what: &str| SnapshotError::Altered { path: path.clone(), what: what.to_owned() };
        let failed = |error| SnapshotError::File { path: path.clone(), error };
        let mut hashing = Hashing { file: io::sink(), hash: Sha256::new(), bytes: 0 };
        File::open(&path).and_then(|mut file| io::copy(&mut file, &mut hashing)).map_err(failed)?;
        if hex::encode(hashing.hash.finalize()) != listed.sha256 {
            return Err(altered("its digest differs"));
        }
        let mut lines = 0;
        each_line(&path, &mut |_| {
            lines += 1;
            Ok(())
        })?;
        if lines != listed.lines {
            return Err(altered("it has another number of lines"));
        }
    }
    Ok(manifest)
}

/// The directory of the snapshot of that name.
pub fn find(directory: &Path, name: &str) -> Result<PathBuf, SnapshotError> {
    let sound = !name.is_empty() && !name.starts_with('.') && !name.contains('/');
    let path = directory.join(name);
    if sound && path.join(MANIFEST).exists() { Ok(path) } else { Err(SnapshotError::Unknown(name.to_owned())) }
}

/// The records of a snapshot, line by line, in the order of ids.
pub fn records(snapshot: &Path) -> Result<impl Iterator<Item = io::Result<serde_json::Value>> + use<>, SnapshotError> {
    let path = snapshot.join(RECORDS);
    let lines = File::open(&path).and_then(zstd::Decoder::new).map_err(|error| SnapshotError::File { path, error })?;
    let lines = BufReader::new(lines).lines();
    Ok(lines.map(|line| line.and_then(|line| serde_json::from_str(&line).map_err(io::Error::from))))
}

fn manifest(snapshot: &Path) -> Result<Manifest, SnapshotError> {
    let path = snapshot.join(MANIFEST);
    let mut text = String::new();
    let read = File::open(&path).and_then(|file| file.take(1 << 20).read_to_string(&mut text));
    let parsed = read.and_then(|_| serde_json::from_str(&text).map_err(io::Error::from));
    parsed.map_err(|error| SnapshotError::File { path, error })
}

fn each_line(path: &Path, each: &mut dyn FnMut(&str) -> io::Result<()>) -> Result<(), SnapshotError> {
    let failed = |error| SnapshotError::File { path: path.to_owned(), error };
    let file = File::open(path).and_then(zstd::Decoder::new).map_err(failed)?;
    BufReader::new(file).lines().try_for_each(|line| each(&line?)).map_err(failed)
}

fn is_being_written(unfinished: &str) -> bool {
    let pid = unfinished.rsplit('-').next().unwrap_or_default();
    Path::new("/proc").join(pid).exists()
}

/// The time as it can stand in a file name.
fn stamp(at: Time) -> String {
    let text = Time::from_seconds(at.as_seconds()).to_string();
    text.chars().map(|letter| if letter == ':' { '-' } else { letter }).collect()
}

/// A file of compressed lines on its way to the disk.
struct Packing {
    name: &'static str,
    path: PathBuf,
    lines: u64,
    out: zstd::Encoder<'static, Hashing<BufWriter<File>>>,
}

/// Hashes what passes on its way to somewhere.
struct Hashing<W> {
    file: W,
    hash: Sha256,
    bytes: u64,
}

impl Packing {
    fn begin(into: &Path, name: &'static str) -> Result<Self, SnapshotError> {
        let path = into.join(name);
        let opened = File::create(&path).and_then(|file| {
            zstd::Encoder::new(Hashing { file: BufWriter::new(file), hash: Sha256::new(), bytes: 0 }, LEVEL)
        });
        let out = opened.map_err(|error| SnapshotError::File { path: path.clone(), error })?;
        Ok(Self { name, path, lines: 0, out })
    }

    fn line<T: Serialize>(&mut self, row: &T) -> Result<(), StoreError> {
        self.lines += 1;
        write_json(row, &mut self.out).and_then(|()| self.out.write_all(b"\n")).map_err(StoreError::Io)
    }

    fn end(self) -> Result<Listed, SnapshotError> {
        let path = self.path;
        let finished = self.out.finish().and_then(|mut it| {
            it.file.flush()?;
            it.file.get_ref().sync_all()?;
            Ok((it.bytes, hex::encode(it.hash.finalize())))
        });
        let (bytes, sha256) = finished.map_err(|error| SnapshotError::File { path, error })?;
        Ok(Listed { name: self.name.to_owned(), lines: self.lines, bytes, sha256 })
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        if let Some(bytes) = bytes.get(..written) {
            self.hash.update(bytes);
        }
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use provost_model::Clock;

    use super::*;

    struct Noon;

    impl Clock for Noon {
        fn now(&self) -> Time {
            Time::from_seconds(1_790_000_000)
        }
    }

    #[test]
    fn two_of_one_commit_within_a_second_are_two() {
        let house = House::new(Arc::new(provost_store::memory()), Arc::new(Noon));
        let directory = tempfile::tempdir().unwrap();
        let take = || take(&house, &Yardstick::default(), directory.path()).unwrap().0;
        assert_eq!([take(), take()], ["2026-09-21T14-13-20Z-c0", "2026-09-21T14-13-20Z-c0-2"]);
        for (name, manifest) in list(directory.path()).unwrap() {
            assert_eq!(verify(&find(directory.path(), &name).unwrap()).unwrap(), manifest);
        }
        assert_eq!(prune(directory.path(), 1).unwrap().len(), 1);
    }
}
