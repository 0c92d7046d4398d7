//! Files that others read, replaced whole: the new one is written beside the old one and then takes its place.
//! It must never follow a symbolic link, nor write where somebody else could put another file in the way.

use std::{
    ffi::{OsStr, OsString},
    fmt,
    io::{Read as _, Write as _},
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::{Component, Path},
};

use rustix::{
    fs::{AtFlags, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid},
    io::Errno,
};
use zeroize::Zeroizing;

use crate::ActionError;

/// Longest file that is read, in bytes.
const LONGEST: u64 = 1 << 20;
/// What the file is called while it is written. A kill leaves it behind, and the next one to write removes it.
const NEW: &str = "provost-new";

/// A place for one file: a directory that was reached without a link, and a name in it.
#[derive(Debug)]
pub(crate) struct Place {
    directory: OwnedFd,
    name: OsString,
    /// Who else can put files there, beside root and the daemon's user.
    owner: Option<u32>,
}

/// Which file it is, and as of when: it differs for whatever else is put there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    inode: u64,
    /// When it was written last: seconds and nanoseconds.
    written: (i64, i64),
}

/// What is known of a file beside its content.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About {
    pub(crate) stamp: Stamp,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// A file.
pub(crate) struct Found {
    pub(crate) about: About,
    pub(crate) bytes: Zeroizing<Vec<u8>>,
}

/// How a file is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Like {
    pub(crate) mode: u32,
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
}

impl Place {
    /// Goes to the directory of that path, from the root, through no link and through nothing that others can write.
    pub(crate) fn open(path: &Path) -> Result<Self, ActionError> {
        let plain = || refused("the path is not absolute, or has . or .. in it");
        let mut parts = path.components();
        if parts.next() != Some(Component::RootDir) || path.as_os_str().as_bytes().ends_with(b"/") {
            return Err(plain());
        }
        let names = parts.map(|part| if let Component::Normal(name) = part { Ok(name) } else { Err(plain()) });
        let names: Vec<&OsStr> = names.collect::<Result<_, _>>()?;
        let (name, directories) = names.split_last().ok_or_else(plain)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened =
            |done: Result<OwnedFd, Errno>| done.map_err(|errno| trouble("its directory cannot be opened", errno));
        let (mut at, mut owner) = (opened(rustix::fs::open("/", flags, Mode::empty()))?, None);
        for (number, directory) in directories.iter().enumerate() {
            at = opened(rustix::fs::openat(&at, *directory, flags, Mode::empty()))?;
            trusted(&at, number + 1 == directories.len(), &mut owner)?;
        }
        // The same once more, to be read: what was opened to be passed through cannot be made durable.
        let directory = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = opened(rustix::fs::openat(&at, ".", directory, Mode::empty()))?;
        Ok(Self { directory, name: (*name).to_owned(), owner })
    }

    /// A hidden file in the same directory, named after this one.
    pub(crate) fn beside(&self, what: &str) -> Result<Self, ActionError> {
        let directory = self.directory.as_fd().try_clone_to_owned();
        let directory = directory.map_err(|error| repeatable(&format!("its directory cannot be opened: {error}")))?;
        Ok(Self { directory, name: self.hidden(what), owner: self.owner })
    }

    fn hidden(&self, what: &str) -> OsString {
        let mut name = OsString::from(".");
        name.push(&self.name);
        name.push(".");
        name.push(what);
        name
    }

    /// Whether a file there can be that user's: not where the directory is another's, who could put something in its place.
    pub(crate) fn may_own(&self, uid: u32) -> bool {
        let ours = rustix::process::geteuid().as_raw();
        self.owner.is_none_or(|owner| [owner, ours, 0].contains(&uid))
    }

    /// Whether the directory can be written.
    pub(crate) fn is_writable(&self) -> bool {
        rustix::fs::accessat(&self.directory, ".", rustix::fs::Access::WRITE_OK, AtFlags::EACCESS).is_ok()
    }

    /// What is there, but for its content.
    pub(crate) fn about(&self) -> Result<Option<About>, ActionError> {
        match rustix::fs::statat(&self.directory, &self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => About::of(&stat).map(Some),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(trouble("the file cannot be looked at", errno)),
        }
    }

    /// What is there.
    pub(crate) fn read(&self) -> Result<Option<Found>, ActionError> {
        // Without blocking: a pipe put in the place of a file must not hold the daemon.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&self.directory, &self.name, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => return Err(refused("there is a symbolic link in the place of the file")),
            Err(errno) => return Err(trouble("the file cannot be opened", errno)),
        };
        let stat = rustix::fs::fstat(&file).map_err(|errno| trouble("the file cannot be looked at", errno))?;
        let about = About::of(&stat)?;
        let size = usize::try_from(stat.st_size).unwrap_or_default().min(LONGEST as usize);
        let mut bytes = Zeroizing::new(Vec::with_capacity(size + 1));
        let read = std::fs::File::from(file).take(LONGEST + 1).read_to_end(&mut bytes);
        read.map_err(|error| repeatable(&format!("the file cannot be read: {}", error.kind())))?;
        if bytes.len() as u64 > LONGEST {
            return Err(refused("the file is longer than 1 MiB"));
        }
        Ok(Some(Found { about, bytes }))
    }

    /// Puts a file there in the place of that one, or of none. Whoever has the old one open keeps it.
    pub(crate) fn replace(&self, bytes: &[u8], like: Like, instead: Option<Stamp>) -> Result<Stamp, ActionError> {
        let new = self.hidden(NEW);
        let written = self.written(&new, bytes, like).and_then(|stamp| {
            self.unchanged(instead)?;
            let renamed = rustix::fs::renameat(&self.directory, &new, &self.directory, &self.name);
            renamed.map(|()| stamp).map_err(|errno| trouble("the new file cannot be put in its place", errno))
        });
        match written {
            Ok(stamp) => self.durable().map(|()| stamp),
            Err(error) => {
                // It holds the value. The next one to write removes it where this fails.
                let _ = rustix::fs::unlinkat(&self.directory, &new, AtFlags::empty());
                Err(error)
            }
        }
    }

    /// Takes that file away. If none is there, nothing is to be done.
    pub(crate) fn remove(&self, which: Stamp) -> Result<(), ActionError> {
        self.unchanged(Some(which))?;
        match rustix::fs::unlinkat(&self.directory, &self.name, AtFlags::empty()) {
            Ok(()) => self.durable(),
            Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(trouble("the file cannot be removed", errno)),
        }
    }

    /// Removes what a kill may have left of a file that was being written.
    pub(crate) fn sweep(&self) -> Result<(), ActionError> {
        match rustix::fs::unlinkat(&self.directory, self.hidden(NEW), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(trouble("a file left over beside it cannot be removed", errno)),
        }
    }

    /// Gives the file there the time of another, by which it can be told whose copy it is.
    pub(crate) fn date(&self, by: Stamp) -> Result<(), ActionError> {
        let (tv_sec, tv_nsec) = by.written;
        let time = Timespec { tv_sec, tv_nsec };
        let times = Timestamps { last_access: time, last_modification: time };
        let dated = rustix::fs::utimensat(&self.directory, &self.name, &times, AtFlags::SYMLINK_NOFOLLOW);
        dated.map_err(|errno| trouble("the copy of the former file cannot be dated", errno))
    }

    fn written(&self, name: &OsStr, bytes: &[u8], like: Like) -> Result<Stamp, ActionError> {
        self.sweep()?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.directory, name, flags, Mode::RUSR | Mode::WUSR);
        let mut file = std::fs::File::from(file.map_err(|errno| trouble("no file can be made beside it", errno))?);
        let failed = |error: std::io::Error| repeatable(&format!("the new file cannot be written: {}", error.kind()));
        if like.uid.is_some() || like.gid.is_some() {
            let (uid, gid) = (like.uid.map(Uid::from_raw), like.gid.map(Gid::from_raw));
            rustix::fs::fchown(&file, uid, gid).map_err(|errno| trouble("the new file cannot be given away", errno))?;
        }
        file.write_all(bytes).map_err(failed)?;
        // After it was given away, which takes some modes away.
        let mode = Mode::from_raw_mode(like.mode & 0o777);
        rustix::fs::fchmod(&file, mode).map_err(|errno| trouble("the new file's mode cannot be set", errno))?;
        file.sync_all().map_err(failed)?;
        let stat = rustix::fs::fstat(&file).map_err(|errno| trouble("the new file cannot be looked at", errno))?;
        Ok(About::of(&stat)?.stamp)
    }

    fn unchanged(&self, since: Option<Stamp>) -> Result<(), ActionError> {
        if self.about()?.map(|it| it.stamp) == since {
            return Ok(());
        }
        Err(repeatable("the file was changed by somebody else in this moment; nothing was written"))
    }

    /// What was done is there after a crash. Where the disk does not say so, it may not be.
    fn durable(&self) -> Result<(), ActionError> {
        let unclear = |errno| ActionError::Ambiguous { said: format!("whether the disk has it is not known: {errno}") };
        rustix::fs::fsync(&self.directory).map_err(unclear)
    }
}

impl About {
    fn of(stat: &Stat) -> Result<Self, ActionError> {
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {}
            FileType::Symlink => return Err(refused("there is a symbolic link in the place of the file")),
            _ => return Err(refused("what is there is no regular file")),
        }
        let written = (stat.st_mtime, i64::try_from(stat.st_mtime_nsec).unwrap_or_default());
        let stamp = Stamp { inode: stat.st_ino, written };
        Ok(Self { stamp, mode: stat.st_mode & 0o7777, uid: stat.st_uid, gid: stat.st_gid })
    }
}

impl Stamp {
    /// Whether that one was written at the same time.
    pub(crate) fn is_of(&self, text: &str) -> bool {
        text.split_once('-').is_some_and(|(_, written)| self.to_string().ends_with(&format!("-{written}")))
    }
}

/// Inode and time: it says nothing of the content.
impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanos) = self.written;
        write!(f, "{}-{seconds}.{nanos:09}", self.inode)
    }
}

/// A directory that is gone through, or that the file is in, is nobody's but root's, the daemon's, and one other user's.
fn trusted(directory: &OwnedFd, is_last: bool, owner: &mut Option<u32>) -> Result<(), ActionError> {
    let stat = rustix::fs::fstat(directory).map_err(|errno| trouble("its directory cannot be looked at", errno))?;
    // In a sticky directory others can add files, but not replace a directory of somebody else's.
    let sticky = !is_last && stat.st_mode & 0o1000 != 0;
    if stat.st_mode & 0o022 != 0 && !sticky {
        return Err(refused("its directory, or one above it, can be written by others"));
    }
    let uid = stat.st_uid;
    if uid != 0 && uid != rustix::process::geteuid().as_raw() && owner.replace(uid).is_some_and(|it| it != uid) {
        return Err(refused("the directories above it belong to several users"));
    }
    Ok(())
}

fn refused(said: &str) -> ActionError {
    ActionError::GiveUp { said: said.to_owned() }
}

fn repeatable(said: &str) -> ActionError {
    ActionError::Retry { after: None, said: said.to_owned() }
}

/// Nothing happened; an operator or time may change that. A link in the way is there on purpose.
fn trouble(what: &str, errno: Errno) -> ActionError {
    match errno {
        Errno::LOOP | Errno::NOTDIR => {
            refused(&format!("{what}: there is a symbolic link, or no directory, in the way"))
        }
        errno => repeatable(&format!("{what}: {errno}")),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    const PRIVATE: Like = Like { mode: 0o600, uid: None, gid: None };

    #[test]
    fn a_file_is_replaced_whole_and_nothing_is_left_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::open(&dir.path().join("a")).unwrap();
        fs::write(dir.path().join(".a.provost-new"), "left over by a kill").unwrap();
        let one = place.replace(b"one", PRIVATE, None).unwrap();
        let two = place.replace(b"two", Like { mode: 0o640, ..PRIVATE }, Some(one)).unwrap();
        let found = place.read().unwrap().unwrap();
        assert_eq!((found.bytes.as_slice(), found.about.stamp, found.about.mode), (b"two".as_slice(), two, 0o640));
        let late = place.replace(b"three", PRIVATE, Some(one)).unwrap_err();
        assert!(late.may_repeat() && late.said().contains("somebody else"), "{late}");
        assert!(place.replace(b"three", PRIVATE, None).is_err() && place.remove(one).is_err());
        let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
        assert_eq!(names, ["a"]);
        place.remove(two).unwrap();
        assert!(place.read().unwrap().is_none());
    }

    #[test]
    fn no_link_is_followed_and_no_open_directory_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().join("real");
        fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink(&real, dir.path().join("link")).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", real.join("a")).unwrap();
        let through = Place::open(&dir.path().join("link/a")).unwrap_err();
        assert!(matches!(&through, ActionError::GiveUp { said } if said.contains("symbolic link")), "{through}");
        let place = Place::open(&real.join("a")).unwrap();
        for refusal in [place.read().map(drop), place.replace(b"x", PRIVATE, None).map(drop)] {
            let error = refusal.unwrap_err();
            assert!(matches!(&error, ActionError::GiveUp { said } if said.contains("symbolic link")), "{error}");
        }
        for mode in [0o770, 0o702, 0o1777] {
            fs::set_permissions(&real, fs::Permissions::from_mode(mode)).unwrap();
            let error = Place::open(&real.join("a")).unwrap_err();
            assert!(matches!(&error, ActionError::GiveUp { said } if said.contains("by others")), "{mode:o} {error}");
        }
        for path in ["a", "/", "/tmp/../etc/x", "/tmp/"] {
            assert!(matches!(Place::open(Path::new(path)), Err(ActionError::GiveUp { .. })), "{path}");
        }
    }

    #[test]
    fn what_is_no_file_holds_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, FileType::Fifo, Mode::RUSR, 0).unwrap();
        assert!(matches!(Place::open(&pipe).unwrap().read(), Err(ActionError::GiveUp { .. })));
        fs::write(dir.path().join("long"), vec![b'x'; (LONGEST + 1) as usize]).unwrap();
        assert!(matches!(Place::open(&dir.path().join("long")).unwrap().read(), Err(ActionError::GiveUp { .. })));
    }
}
