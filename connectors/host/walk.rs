//! The walk through a root: every directory below it on the same mount, every file that somebody wants to see.
//! It must never leave the root, follow a directory link, or say that it saw all when it did not.

use std::{
    collections::BTreeSet,
    ffi::{CString, OsStr},
    os::unix::ffi::OsStrExt,
    path::{Component, Path, PathBuf},
};

use provost_model::Why;
use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{AtFlags, Dir, FileType, Stat},
    io::Errno,
};

use super::{
    opening::{self, Content},
    pin::Pin,
    place::{FileFacts, Place, Reach},
    settings::Bounds,
};

/// Most entries of one directory.
const PER_DIRECTORY: usize = 200_000;
/// Entries between two looks at whether to stop.
const CHUNK: u64 = 256;

/// What is walked, and how far.
pub(crate) struct Walk<'w> {
    /// Bounds on files, entries and depth.
    pub bounds: Bounds,
    /// Ends of paths of directories that are not entered.
    pub exclude: &'w BTreeSet<String>,
    /// Directories, by device and inode, that other scopes cover.
    pub elsewhere: &'w BTreeSet<(u64, u64)>,
    /// Which files somebody wants to see.
    pub wants: &'w dyn Fn(&Place) -> bool,
    /// Whether their content is read, or only their names counted.
    pub reads: bool,
    /// Only the files right in the root are looked at.
    pub shallow: bool,
    /// What the root was when it was last read whole.
    pub before: Option<&'w Pin>,
}

/// Something the walk came upon.
#[derive(Debug)]
pub(crate) enum Met {
    /// A file somebody wanted, with its content or why there is none.
    File(Place, FileFacts, Content),
    /// Something that was not seen, why, and whether that leaves the reading whole.
    Trouble(Place, Why, String, bool),
    /// So many entries so far.
    Progress(u64),
}

/// Whoever is told wants no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Enough;

/// How a walk ended.
#[derive(Debug)]
pub(crate) struct Walked {
    /// What the root is now.
    pub pin: Pin,
    /// Entries looked at.
    pub entries: u64,
    /// Why it is not whole, if it is not: the first reason.
    pub partial: Option<Why>,
}

struct Under<'w, 't> {
    walk: &'w Walk<'w>,
    root: BorrowedFd<'w>,
    root_path: &'w Path,
    device: u64,
    tell: &'t mut dyn FnMut(Met) -> Result<(), Enough>,
    done: Walked,
}

impl Walk<'_> {
    /// Walks below an opened root. `tell` is told everything and may end the walk.
    pub(crate) fn through(
        &self,
        root: &OwnedFd,
        path: &Path,
        tell: &mut dyn FnMut(Met) -> Result<(), Enough>,
    ) -> Result<Walked, Errno> {
        let pin = opening::pin(root)?;
        let stat = rustix::fs::fstat(root)?;
        let done = Walked { pin, entries: 0, partial: None };
        let mut under = Under { walk: self, root: root.as_fd(), root_path: path, device: stat.st_dev, tell, done };
        let place = Place::new(path.as_os_str().as_bytes());
        let reach = opening::reach(path);
        let names = match under.names(root.as_fd(), &place) {
            Ok(names) => names,
            Err(Enough) => return Ok(under.stopped()),
        };
        under.done.pin.filled = !names.is_empty();
        match under.entries(root.as_fd(), &place, names, (reach, 0)) {
            Ok(()) => Ok(under.done),
            Err(Enough) => Ok(under.stopped()),
        }
    }
}

impl Under<'_, '_> {
    fn stopped(mut self) -> Walked {
        self.done.partial.get_or_insert(Why::Stopped);
        self.done
    }

    /// Names in a directory, in order, with their types where the file system tells.
    fn names(&mut self, directory: BorrowedFd<'_>, place: &Place) -> Result<Vec<(CString, FileType)>, Enough> {
        let mut names = Vec::new();
        let reading = match Dir::read_from(directory) {
            Ok(reading) => reading,
            Err(error) => {
                self.lost(place, why(error), "the directory could not be listed")?;
                return Ok(names);
            }
        };
        for entry in reading {
            match entry {
                Ok(entry) if matches!(entry.file_name().to_bytes(), b"." | b"..") => {}
                Ok(entry) if names.len() < PER_DIRECTORY => {
                    names.push((entry.file_name().to_owned(), entry.file_type()))
                }
                Ok(_) => {
                    self.lost(place, Why::TooLarge, "the directory has too many entries")?;
                    break;
                }
                Err(error) => {
                    self.lost(place, why(error), "the directory could not be listed to its end")?;
                    break;
                }
            }
        }
        names.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        Ok(names)
    }

    fn entries(
        &mut self,
        directory: BorrowedFd<'_>,
        place: &Place,
        names: Vec<(CString, FileType)>,
        (reach, depth): (Reach, usize),
    ) -> Result<(), Enough> {
        for (name, kind) in names {
            self.done.entries += 1;
            if self.done.entries.is_multiple_of(CHUNK) {
                (self.tell)(Met::Progress(self.done.entries))?;
            }
            if self.done.entries > self.walk.bounds.files {
                self.lost(place, Why::TooLarge, "more entries than max_files allows")?;
                return Err(Enough);
            }
            let child = place.child(name.to_bytes());
            let kind = if kind == FileType::Unknown { type_of(directory, &name) } else { kind };
            match kind {
                FileType::Directory if self.walk.shallow => {}
                FileType::Directory => self.enter(directory, &name, &child, (reach, depth + 1))?,
                FileType::RegularFile if (self.walk.wants)(&child) => self.file(directory, &name, child, reach)?,
                FileType::Symlink if (self.walk.wants)(&child) => self.link(directory, &name, child, reach)?,
                // Pipes, devices and sockets are never opened.
                _ => {}
            }
        }
        Ok(())
    }

    fn enter(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &CString,
        place: &Place,
        (reach, depth): (Reach, usize),
    ) -> Result<(), Enough> {
        if self.walk.exclude.iter().any(|pattern| place.ends(pattern)) {
            return Ok(());
        }
        if depth > self.walk.bounds.depth {
            return self.lost(place, Why::TooLarge, "nested deeper than max_depth allows");
        }
        let directory = match opening::directory(parent, name) {
            Ok(directory) => directory,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(()),
            Err(error) => return self.lost(place, why(error), "the directory may not be entered"),
        };
        let Ok(stat) = rustix::fs::fstat(&directory) else {
            return self.lost(place, Why::Unavailable, "the directory could not be looked at");
        };
        if stat.st_dev != self.device || opening::is_mount(directory.as_fd()) == Some(true) {
            return self.mount(place);
        }
        if self.walk.elsewhere.contains(&(stat.st_dev, stat.st_ino)) {
            return Ok(());
        }
        let names = self.names(directory.as_fd(), place)?;
        self.entries(directory.as_fd(), place, names, (reach.through(stat.st_mode), depth))
    }

    /// Another mount below the root is not entered. One that was not there before may hide what was.
    fn mount(&mut self, place: &Place) -> Result<(), Enough> {
        let new = self.walk.before.is_some_and(|before| !before.had_mount(place.shown()));
        if new || !self.done.pin.remember_mount(place.shown()) {
            return self.lost(place, Why::Changed, "something is mounted there that was not, and may hide what was");
        }
        let said = "another file system is mounted there; name it as a root of its own to look into it";
        (self.tell)(Met::Trouble(place.clone(), Why::NotReached, said.to_owned(), true))
    }

    fn file(&mut self, parent: BorrowedFd<'_>, name: &CString, place: Place, reach: Reach) -> Result<(), Enough> {
        let stat = match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(()),
            Err(error) => return self.lost(&place, why(error), "the file could not be looked at"),
        };
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Ok(());
        }
        let content = if self.walk.reads {
            opening::read(parent, name, &stat, self.walk.bounds.file_bytes)
        } else {
            Content::TooLarge(stat.st_size as u64)
        };
        self.content(place, &stat, reach, content)
    }

    /// A link that bears the name of a credential file: followed inside of the root only.
    fn link(&mut self, parent: BorrowedFd<'_>, name: &CString, place: Place, reach: Reach) -> Result<(), Enough> {
        let Some(target) = self.target(parent, name, &place) else { return Ok(()) };
        // If the file itself is met under a name of its own, once is enough.
        if (self.walk.wants)(&Place::new(self.root_path.join(&target).as_os_str().as_bytes())) {
            return Ok(());
        }
        match opening::follow(self.root, target.as_os_str().as_bytes()) {
            Ok((file, stat)) => {
                let content = if self.walk.reads {
                    opening::finish(Ok(file), &stat, self.walk.bounds.file_bytes)
                } else {
                    Content::TooLarge(stat.st_size as u64)
                };
                self.content(place, &stat, reach, content)
            }
            Err(Errno::ACCESS | Errno::PERM) => {
                self.lost(&place, Why::Denied, "the file behind the link may not be read")
            }
            Err(_) => Ok(()),
        }
    }

    /// Where a link leads, relative to the root; `None` if that is outside of it or cannot be told.
    fn target(&self, parent: BorrowedFd<'_>, name: &CString, place: &Place) -> Option<PathBuf> {
        let raw = rustix::fs::readlinkat(parent, name, Vec::new()).ok()?;
        let raw: &Path = Path::new(OsStr::from_bytes(raw.to_bytes()));
        let full = place.directory().join(raw);
        let mut plain = PathBuf::new();
        for part in full.components() {
            match part {
                Component::ParentDir => {
                    plain.pop();
                }
                Component::CurDir => {}
                other => plain.push(other),
            }
        }
        plain.strip_prefix(self.root_path).ok().map(Path::to_owned)
    }

    fn content(&mut self, place: Place, stat: &Stat, reach: Reach, content: Content) -> Result<(), Enough> {
        (self.tell)(Met::File(place, opening::facts(stat, reach), content))
    }

    /// Something below the root was not seen: what lies there is unknown, and the reading is not whole.
    fn lost(&mut self, place: &Place, why: Why, said: &str) -> Result<(), Enough> {
        self.done.partial.get_or_insert(why);
        (self.tell)(Met::Trouble(place.clone(), why, said.to_owned(), false))
    }
}

/// What an operator does about an error.
pub(crate) fn why(error: Errno) -> Why {
    match error {
        Errno::ACCESS | Errno::PERM => Why::Denied,
        Errno::NOENT | Errno::NOTDIR | Errno::NODEV | Errno::NOTSUP => Why::Changed,
        _ => Why::Unavailable,
    }
}

fn type_of(directory: BorrowedFd<'_>, name: &CString) -> FileType {
    let stat = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW);
    stat.map_or(FileType::Unknown, |stat| FileType::from_raw_mode(stat.st_mode))
}
