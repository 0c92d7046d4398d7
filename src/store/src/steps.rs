//! What brings a store from each format to the next: expand (add what older readers do not see), migrate (fill it), contract
//! (stop serving them, by raising `min_reader`).
//! It must never take a step before what the store was lies whole in a copy.
//!
//! A step is taken when a store is opened. Killed at any moment, the format file names the last step that is whole, and the
//! next opening goes on from there; so a step that is begun again must find what it did before.

mod copied;

use std::path::Path;

use self::copied::Making;
pub(crate) use self::copied::{Copied, SPARE};
use crate::{
    Embedded, EngineKind, Journaled, OpenOptions, Store, StoreError,
    format::{self, Format, Place, Stepping},
};

/// A step from one format to the next.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// The format it leads to, from the one before.
    pub to: u32,
    /// What it adds that readers of the format before do not see.
    pub expands: &'static str,
    /// What it brings over.
    pub migrates: &'static str,
    /// When the format before is served no longer.
    pub contracts: &'static str,
    /// The oldest format whose programs read the store after it, kept by sled in its first directory.
    pub min_reader: u32,
    /// The same where the engine is redb, or was rewritten and so lies in another directory.
    pub elsewhere: u32,
    /// The same where sled's files were made by a program that knows the step: by a new store, or by a rewrite.
    pub anew: u32,
    /// The same once everything is used that the step allows, wherever the engine is.
    pub contracted: u32,
    /// Does it; whatever is done already is left.
    take: fn(&Embedded<Journaled>) -> Result<(), StoreError>,
}

/// Every step, in order.
pub const ALL: &[Step] = &[
    Step {
        to: 2,
        expands: "a journal of two files beside the engine's",
        migrates: "nothing: what is in the trees stays there",
        contracts: "at once: a reader of 1 does not see what is in the journal",
        min_reader: 2,
        elsewhere: 2,
        anew: 2,
        contracted: 2,
        // The journal's files are made by whoever opens it.
        take: |_| Ok(()),
    },
    Step {
        to: 3,
        expands: "a tree that says which tables keep versions; segments of streams; the engine's directory may be another",
        migrates: "the tables that have former versions are noted; streams are copied to segments",
        contracts: "when the engine is redb, or was rewritten and so lies elsewhere: 2 knows one directory of sled's only",
        min_reader: 2,
        elsewhere: 3,
        anew: 3,
        contracted: 3,
        // Segments are filled from the engine at every opening.
        take: |store| store.note_versioned(),
    },
    Step {
        to: 4,
        expands: "bundles among former versions: several of one row in one value",
        migrates: "nothing: what lies singly is bundled as house-keeping comes by",
        contracts: "when versions are bundled first, which a reader of 3 takes for damage",
        min_reader: 2,
        elsewhere: 3,
        anew: 3,
        contracted: 4,
        take: |_| Ok(()),
    },
    Step {
        to: 5,
        expands: "sled's trees in blocks: pairs that lie side by side in one value",
        migrates: "nothing: a store that sled keeps singly stays so until it is rewritten",
        contracts: "when sled's files are made anew, by a new store or a rewrite: 4 does not look into blocks",
        min_reader: 2,
        elsewhere: 3,
        anew: 5,
        contracted: 4,
        take: |_| Ok(()),
    },
];

/// The oldest format whose programs read a store of this program's in which everything is used that it may use.
pub(crate) fn contracted() -> u32 {
    ALL.last().map_or(format::VERSION, |step| step.contracted)
}

impl Step {
    /// The same step, done otherwise: for tests of steps that fail.
    #[cfg(test)]
    pub(crate) fn that_takes(self, take: fn(&Embedded<Journaled>) -> Result<(), StoreError>) -> Self {
        Self { take, ..self }
    }

    /// The oldest format whose programs read what this one's make anew, with the engine in that place.
    pub(crate) fn reader_of_new(&self, place: &Place) -> u32 {
        if place.kind == EngineKind::Sled { self.anew } else { self.elsewhere }
    }

    /// The oldest format whose programs read a store after this step, with the engine in that place.
    pub(crate) fn reader_of(&self, place: &Place) -> u32 {
        if *place == Place::first(EngineKind::Sled) { self.min_reader } else { self.elsewhere }
    }
}

/// Steps about to be taken.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    path: &'a Path,
    format: Format,
    steps: &'a [Step],
    /// The copy in the making; none where an earlier walk made it and was cut short.
    making: Option<Making>,
}

impl<'a> Walk<'a> {
    /// Sees which steps are due, and copies the store first, which nobody has open. Without room for that nothing is changed.
    pub(crate) fn begin(
        path: &'a Path,
        format: &Format,
        (steps, options): (&'a [Step], &OpenOptions),
    ) -> Result<Option<Self>, StoreError> {
        let due = steps.iter().position(|step| step.to > format.version).and_then(|first| steps.get(first..));
        let Some((steps, to)) = due.and_then(|steps| Some((steps, steps.last()?.to))) else { return Ok(None) };
        let backups = options.backups_of(path);
        let made = format.stepping.as_ref().is_some_and(|stepping| Copied::open(&backups.join(&stepping.copy)).is_ok());
        let making = if made { None } else { Some(Making::begin((path, format), to, &backups)?) };
        Ok(Some(Self { path, format: format.clone(), steps, making }))
    }

    /// Takes the steps. `false`: an older program wrote to the store since it was copied, and it must be opened and copied
    /// anew.
    pub(crate) fn go(mut self, store: &Embedded<Journaled>) -> Result<bool, StoreError> {
        let head = store.head()?;
        if let Some(making) = self.making.take() {
            let copy = making.settle(head)?;
            tracing::warn!(
                store = %self.path.display(),
                format = self.format.version,
                copy = %copy.path().display(),
                "the store is of an older format: it was copied, and is now brought to this program's"
            );
            let stepping = Stepping { copy: copy.name(), commit: head.number.0 };
            self.format.stepping = Some(stepping);
            format::write(self.path, &self.format)?;
        } else if self.format.stepping.as_ref().is_none_or(|stepping| stepping.commit != head.number.0) {
            self.format.stepping = None;
            format::write(self.path, &self.format)?;
            return Ok(false);
        }
        let last = self.steps.last().map(|step| step.to);
        for step in self.steps {
            (step.take)(store)?;
            self.format.version = step.to;
            self.format = self.format.clone().beyond(step.reader_of(&self.format.place));
            if last == Some(step.to) {
                self.format.stepping = None;
            }
            format::write(self.path, &self.format)?;
            tracing::info!(store = %self.path.display(), format = step.to, expands = step.expands, "a step is taken");
        }
        Ok(true)
    }
}
