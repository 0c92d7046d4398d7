//! What a root was when it was last read whole, so that a root that is not the same is not taken for an emptied one.
//! It must never be moved by a reading that was incomplete.

use std::collections::BTreeSet;

use provost_model::Cursor;
use serde::{Deserialize, Serialize};

/// Most files with finds that are remembered; with more, every file counts as one that had some.
const FILES_MAX: usize = 4096;
/// Most mounts that are remembered.
const MOUNTS_MAX: usize = 256;

/// The state of a root.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pin {
    /// The device, as the kernel numbers it.
    pub device: u64,
    /// The file system's own id; zero if it has none. Device numbers may differ after a restart.
    pub file_system: u64,
    /// The directory's number on its device.
    pub inode: u64,
    /// Whether something is mounted right there.
    pub mounted: bool,
    /// Whether anything was in it.
    pub filled: bool,
    /// Digests of places below where something else was mounted.
    pub mounts: BTreeSet<u32>,
    /// Digests of files in which something was found; `None` if there were too many.
    pub files: Option<BTreeSet<u32>>,
}

impl Pin {
    /// The pin in a cursor; `None` if it is none of ours.
    pub(crate) fn from_cursor(cursor: &Cursor) -> Option<Self> {
        serde_json::from_slice(&cursor.0).ok()
    }

    /// The cursor that keeps it.
    pub(crate) fn cursor(&self) -> Option<Cursor> {
        serde_json::to_vec(self).ok().map(Cursor)
    }

    /// Why the root is not what it was, if it is not.
    pub(crate) fn differs(&self, now: &Pin) -> Option<&'static str> {
        let same_device = self.device == now.device || (self.file_system != 0 && self.file_system == now.file_system);
        if self.mounted != now.mounted {
            return Some(if now.mounted {
                "something is mounted there that was not"
            } else {
                "what was mounted there is not"
            });
        }
        if !same_device {
            return Some("it is on another device than before");
        }
        if self.inode != now.inode {
            return Some("it was replaced by another directory");
        }
        None
    }

    /// Remembers a file with finds.
    pub(crate) fn remember_file(&mut self, path: &str) {
        if let Some(files) = &mut self.files {
            files.insert(short(path));
            if files.len() > FILES_MAX {
                self.files = None;
            }
        }
    }

    /// Whether something may have been found in that file before.
    pub(crate) fn had_finds(&self, path: &str) -> bool {
        self.files.as_ref().is_none_or(|files| files.contains(&short(path)))
    }

    /// Remembers a mount; whether there is room for it.
    pub(crate) fn remember_mount(&mut self, path: &str) -> bool {
        self.mounts.insert(short(path));
        self.mounts.len() <= MOUNTS_MAX
    }

    /// Whether something was mounted at that place before.
    pub(crate) fn had_mount(&self, path: &str) -> bool {
        self.mounts.contains(&short(path))
    }
}

/// FNV-1a, 32 bits. Two paths with one digest only make a reading more careful.
fn short(path: &str) -> u32 {
    path.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_is_the_same_only_if_device_inode_and_mount_agree() {
        let pin = Pin { device: 1, inode: 2, file_system: 9, filled: true, ..Pin::default() };
        assert_eq!(pin.differs(&pin), None);
        assert!(pin.differs(&Pin { device: 3, file_system: 0, ..pin.clone() }).is_some());
        assert_eq!(pin.differs(&Pin { device: 3, ..pin.clone() }), None, "renumbered after a restart");
        assert!(pin.differs(&Pin { inode: 3, ..pin.clone() }).is_some());
        assert!(pin.differs(&Pin { mounted: true, ..pin.clone() }).is_some());
        let unknown = Pin { device: 1, inode: 2, ..Pin::default() };
        assert!(unknown.differs(&Pin { device: 3, ..unknown.clone() }).is_some(), "no id is not the same id");
    }

    #[test]
    fn a_pin_survives_its_cursor() {
        let mut pin = Pin { device: 1, files: Some(BTreeSet::new()), ..Pin::default() };
        pin.remember_file("/a");
        assert_eq!(Pin::from_cursor(&pin.cursor().unwrap()), Some(pin.clone()));
        assert!(pin.had_finds("/a") && !pin.had_finds("/b"));
        assert!(Pin::default().had_finds("/b"), "unknown is not none");
        assert_eq!(Pin::from_cursor(&Cursor(b"junk".to_vec())), None);
    }
}
