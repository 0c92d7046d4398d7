//! The engines a store may have below its journal, by name.
//! It must never guess: a store's format file says which engine made it.

use std::{path::Path, sync::Arc};

use crate::{StoreError, kv::Engine, redb::Redb, sled::Sled};

/// An engine that keeps ordered keys in files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum EngineKind {
    /// The default.
    #[default]
    Sled,
    /// One file, half the room, constant memory.
    Redb,
}

impl EngineKind {
    /// Every engine there is.
    pub const ALL: [EngineKind; 2] = [EngineKind::Sled, EngineKind::Redb];

    /// Its name on disk and in the configuration, for good.
    pub fn name(self) -> &'static str {
        match self {
            EngineKind::Sled => "sled",
            EngineKind::Redb => "redb",
        }
    }

    /// The engine of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The engine in a directory that was checked before, or a new one there. `cache` is in bytes.
    pub(crate) fn open(self, directory: &Path, cache: u64) -> Result<Arc<dyn Engine>, StoreError> {
        Ok(match self {
            EngineKind::Sled => Arc::new(Sled::open(directory, cache)?),
            EngineKind::Redb => Arc::new(Redb::open(directory, cache)?),
        })
    }

    /// Files that must lie in its directory, with the least length of each. The first is the large one, which the engine
    /// locks while it has it open.
    pub(crate) fn files(self) -> &'static [(&'static str, u64)] {
        match self {
            EngineKind::Sled => &[("db", 1), ("conf", 9)],
            EngineKind::Redb => &[("db", 1)],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_engine_is_found_by_its_name() {
        assert!(EngineKind::ALL.iter().all(|kind| EngineKind::named(kind.name()) == Some(*kind)));
        assert_eq!(EngineKind::named("rocks"), None);
    }
}
