//! Opening files and directories so that nothing is followed, nothing waits and nothing is written.
//! It must never open what is not a regular file or a directory.

use std::{ffi::CStr, os::unix::ffi::OsStrExt, path::Path};

use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat, StatxAttributes, StatxFlags},
    io::Errno,
};
use zeroize::Zeroizing;

use super::{
    pin::Pin,
    place::{FileFacts, Reach},
};

/// File systems that hold no files of anybody: the kernel's own views, from `linux/magic.h`.
const KERNEL_VIEWS: &[u64] = &[
    0x9fa0,
    0x6265_6572,
    0x6462_6720,
    0x7472_6163,
    0x0027_e0eb,
    0x6367_7270,
    0x1cd1,
    0x7363_6673,
    0xf97c_ff8c,
    0xcafe_4a11,
    0x6165_6765,
    0x1980_0202,
    0x4249_4e4d,
    0x6265_6570,
    0xde5e_81e4,
    0x5051_4d00,
    0x0187,
];

/// The content of a file, or why there is none.
#[derive(Debug)]
pub(crate) enum Content {
    /// All of it; wiped when dropped.
    Bytes(Zeroizing<Vec<u8>>),
    /// It may not be read.
    Denied,
    /// It is larger than the bound; so many bytes.
    TooLarge(u64),
    /// Reading failed.
    Failed(Errno),
}

/// Opens a configured root. The root itself may be a link: the operator named it.
pub(crate) fn root(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let directory = rustix::fs::open(path, flags, Mode::empty())?;
    let kind = rustix::fs::fstatfs(&directory)?.f_type;
    if KERNEL_VIEWS.contains(&(kind as u64)) { Err(Errno::NOTSUP) } else { Ok(directory) }
}

/// What the root is now.
pub(crate) fn pin(directory: &OwnedFd) -> Result<Pin, Errno> {
    let stat = rustix::fs::fstat(directory)?;
    let file_system = rustix::fs::fstatvfs(directory).map_or(0, |it| it.f_fsid);
    let mounted = match is_mount(directory.as_fd()) {
        Some(so) => so,
        // A kernel that does not tell: the directory above is then on another device.
        None => rustix::fs::statat(directory, c"..", AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|above| above.st_dev != stat.st_dev),
    };
    let files = Some(std::collections::BTreeSet::new());
    Ok(Pin { device: stat.st_dev, file_system, inode: stat.st_ino, mounted, files, ..Pin::default() })
}

/// Opens a directory in a directory, never through a link.
pub(crate) fn directory(parent: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    rustix::fs::openat(parent, name, flags, Mode::empty())
}

/// Whether something is mounted right at this directory; `None` if the kernel does not tell.
pub(crate) fn is_mount(directory: BorrowedFd<'_>) -> Option<bool> {
    let said = rustix::fs::statx(directory, c"", AtFlags::EMPTY_PATH, StatxFlags::empty()).ok()?;
    said.stx_attributes_mask
        .contains(StatxAttributes::MOUNT_ROOT)
        .then(|| said.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// Whom the directories from `/` down to this one let pass.
pub(crate) fn reach(path: &Path) -> Reach {
    let mut above: Vec<&Path> = path.ancestors().collect();
    above.reverse();
    above.iter().fold(Reach::ALL, |reach, directory| match rustix::fs::stat(*directory) {
        Ok(stat) => reach.through(stat.st_mode),
        Err(_) => reach,
    })
}

/// The facts in a stat.
pub(crate) fn facts(stat: &Stat, reach: Reach) -> FileFacts {
    FileFacts {
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        modified: (stat.st_mtime, stat.st_mtime_nsec as i64),
        reach,
    }
}

/// Reads a regular file that was just looked at; whatever took its place since is not opened for long, nor read.
pub(crate) fn read(parent: BorrowedFd<'_>, name: &CStr, seen: &Stat, most: u64) -> Content {
    if seen.st_size as u64 > most {
        return Content::TooLarge(seen.st_size as u64);
    }
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    // Reading leaves no trace in the access time where the kernel allows that: to the owner and to root.
    let opened =
        rustix::fs::openat(parent, name, flags | OFlags::NOATIME, Mode::empty()).or_else(|error| match error {
            Errno::PERM => rustix::fs::openat(parent, name, flags, Mode::empty()),
            other => Err(other),
        });
    finish(opened, seen, most)
}

/// Follows a link to a regular file without ever leaving the root.
pub(crate) fn follow(root: BorrowedFd<'_>, inside: &[u8]) -> Result<(OwnedFd, Stat), Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
    let path = Path::new(std::ffi::OsStr::from_bytes(inside));
    // First only a handle, which opens nothing: a device or pipe behind the link is not touched.
    let handle = rustix::fs::openat2(root, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve)?;
    let stat = rustix::fs::fstat(&handle)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Errno::NOTSUP);
    }
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok((rustix::fs::openat2(root, path, flags, Mode::empty(), resolve)?, stat))
}

/// Reads what was opened, if it is the regular file that was looked at.
pub(crate) fn finish(opened: Result<OwnedFd, Errno>, seen: &Stat, most: u64) -> Content {
    let file = match opened {
        Ok(file) => file,
        Err(Errno::ACCESS | Errno::PERM) => return Content::Denied,
        Err(error) => return Content::Failed(error),
    };
    match rustix::fs::fstat(&file) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile => Content::Failed(Errno::NOTSUP),
        Ok(stat) if stat.st_ino != seen.st_ino || stat.st_dev != seen.st_dev => Content::Failed(Errno::STALE),
        Ok(stat) if stat.st_size as u64 > most => Content::TooLarge(stat.st_size as u64),
        Ok(stat) => all_of(&file, stat.st_size as u64, most),
        Err(error) => Content::Failed(error),
    }
}

fn all_of(file: &OwnedFd, size: u64, most: u64) -> Content {
    // One byte more than it has, to see that it did not grow.
    let room = usize::try_from(size.min(most)).unwrap_or(usize::MAX).saturating_add(1);
    let mut bytes = Zeroizing::new(vec![0; room]);
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match rustix::io::read(file, rest) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(Errno::INTR) => {}
            Err(Errno::ACCESS | Errno::PERM) => return Content::Denied,
            Err(error) => return Content::Failed(error),
        }
    }
    if filled as u64 > size {
        return Content::Failed(Errno::STALE);
    }
    bytes.truncate(filled);
    Content::Bytes(bytes)
}
