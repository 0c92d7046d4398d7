//! Rewriting the engine beside readers and writers: what is live is copied into a fresh directory in the order of keys,
//! what is written meanwhile follows, and the format file then names the fresh one.
//! It must never touch the old engine before the format file names the new one.
//!
//! A pair is copied as readers see it. Whatever is written after it was read is kept, and put into the fresh engine after
//! the pair: so the last word is always the last write. Killed before the format file is replaced, the store is the old one;
//! killed after, the new one. The directory it does not name is removed by the next opening.

use std::{
    fs::{DirBuilder, File},
    ops::Bound,
    os::unix::fs::DirBuilderExt as _,
    path::Path,
    sync::Arc,
};

use super::{FILES, Journaled, Log, Pen, Pending, put_in_place};
use crate::{
    Compacted, StoreError,
    format::{self, Format, Place, VERSION},
    kv::{Engine, Kv, Tree, Way},
    opening::{self, Hold},
    space, whole,
};

/// Pairs read at a time.
const PAGE: usize = 256;
/// Bytes copied between two syncs.
const STEP: usize = 16 << 20;
/// Bytes of pages that the fresh engine keeps in memory while it is filled.
const CACHE: u64 = 8 << 20;
/// Room that is never taken.
const SPARE: u64 = 64 << 20;
/// Bytes of writes that may wait to follow; more, and writers wait.
pub(super) const MEANWHILE: usize = 32 << 20;
/// What may be left to follow while writers wait, in bytes; and how often to try for it.
const SHORT: usize = 256 << 10;
const ROUNDS: usize = 16;

/// What is called for each page of a tree.
type EachPage<'a> = dyn FnMut(Tree<'_>, &[crate::kv::Pair]) -> Result<(), StoreError> + 'a;

impl Journaled {
    /// One and a half times the bytes of everything that is live.
    pub(super) fn rewrite_needs(&self) -> Result<u64, StoreError> {
        let mut live = 0_u64;
        self.live(&mut |_, page| {
            live += page.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum::<u64>();
            Ok(())
        })?;
        Ok(live + live / 2)
    }

    /// Rewrites the engine; in a store without a place there is nothing to do.
    pub(super) fn rewrite(&self) -> Result<Compacted, StoreError> {
        let _one_at_a_time = self.rewriting.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let before = self.used()?;
        let Some(hold) = &self.hold else { return Ok(Compacted { before, after: before }) };
        if let Some(format) = format::read(&hold.path)?.filter(|format| format.version > VERSION) {
            return Err(StoreError::Later { path: hold.path.clone(), format: format.version, reader: VERSION });
        }
        let (needed, free) = (self.rewrite_needs()?, space::of(&hold.path, 0)?.free);
        enough(&hold.path, needed, free)?;
        tracing::info!(live = needed / 3 * 2, needed, free, "rewriting the store");
        let place = hold.place().next();
        let directory = hold.path.join(place.name());
        let done = self.fill(hold, &place).and_then(|fresh| self.swap(hold, fresh, &place));
        self.pen().meanwhile = None;
        self.caught_up.notify_all();
        // Where it is not known which engine the format file names, both stay: the next opening knows.
        let rubbish = match &done {
            Ok(former) => hold.path.join(former.name()),
            Err(_) if self.state().lost => return done.map(|_| Compacted::default()),
            Err(_) => directory,
        };
        if let Err(error) = whole::is_let_go(&rubbish, place.kind).and_then(|_| Ok(std::fs::remove_dir_all(&rubbish)?))
        {
            tracing::warn!(path = %rubbish.display(), %error, "what a rewrite left is removed by the next opening");
        }
        done.map(|_| ())?;
        Ok(Compacted { before, after: self.used()? })
    }

    /// A fresh engine with everything that was live when this began, and much of what was written meanwhile.
    fn fill(&self, hold: &Hold, place: &Place) -> Result<Arc<dyn Engine>, StoreError> {
        let directory = hold.path.join(place.name());
        if directory.try_exists()? {
            std::fs::remove_dir_all(&directory)?;
        }
        DirBuilder::new().mode(0o700).create(&directory)?;
        // From here on nothing is written without being kept to follow.
        self.pen().meanwhile = Some(Pending::default());
        let fresh = opening::opened(&hold.path, place, &directory, CACHE)?;
        let mut unsynced = 0;
        self.live(&mut |tree, page| {
            fresh.settle(tree, &mut page.iter().map(|(key, value)| (key.as_slice(), Some(value.as_slice()))))?;
            unsynced += page.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
            if unsynced >= STEP {
                unsynced = 0;
                self.follow(fresh.as_ref())?;
                enough(&hold.path, SPARE, space::of(&hold.path, 0)?.free)?;
            }
            Ok(())
        })?;
        self.follow(fresh.as_ref())?;
        drop(fresh);
        // Opened once more, as the next start will, and with all of its cache.
        opening::opened(&hold.path, place, &directory, hold.cache)
    }

    /// Hands over every pair as readers see it, page by page.
    fn live(&self, each: &mut EachPage<'_>) -> Result<(), StoreError> {
        for name in self.trees()? {
            let tree = Tree::named(&name).ok_or_else(|| StoreError::Codec(format!("the name of the tree {name:?}")))?;
            let mut from = Bound::Unbounded;
            loop {
                let page = self.page(tree, (from.as_ref().map(Vec::as_slice), Bound::Unbounded), Way::Up, PAGE)?;
                let Some((last, _)) = page.last() else { break };
                from = Bound::Excluded(last.clone());
                each(tree, &page)?;
            }
        }
        Ok(())
    }

    /// Puts what was written meanwhile into the fresh engine and makes all it has durable; tells how much that was.
    fn follow(&self, fresh: &dyn Engine) -> Result<usize, StoreError> {
        let writes = self.pen().meanwhile.as_mut().map(std::mem::take).unwrap_or_default();
        self.caught_up.notify_all();
        for (tree, writes) in writes.trees() {
            fresh.settle(tree, &mut writes.iter())?;
        }
        fresh.sync()?;
        Ok(writes.bytes())
    }

    /// Lets the fresh engine take the place of the old one; gives the old one's place.
    fn swap(&self, hold: &Hold, fresh: Arc<dyn Engine>, place: &Place) -> Result<Place, StoreError> {
        for _ in 0..ROUNDS {
            if self.follow(fresh.as_ref())? <= SHORT {
                break;
            }
        }
        // Nobody writes from here on.
        let mut pen = self.pen();
        self.arrived(&mut pen)?;
        let last = pen.meanwhile.take().unwrap_or_default();
        put_in_place(fresh.as_ref(), &last, pen.log.sequence())?;
        let directory = hold.path.join(place.name());
        let [log, other] = FILES.map(|file| Log::open(&directory.join(file), &mut |_| Ok(())));
        let (mut log, other) = (log?, other?);
        log.follow(pen.log.sequence());
        File::open(&directory)?.sync_all()?;
        // Whom something that was written shuts out stays so.
        let min_reader = format::read(&hold.path)?.map_or(0, |format| format.min_reader);
        if let Err(error) = format::write(&hold.path, &Format::anew(place.clone()).beyond(min_reader)) {
            let named = format::read(&hold.path).ok().flatten().map(|format| format.place);
            self.change(|state| state.lost = named != Some(hold.place()));
            return Err(error);
        }
        let former = self.change(|state| {
            state.recent = Pending::default();
            state.leaving = None;
            std::mem::replace(&mut state.engine, fresh)
        });
        *pen = Pen { log, other, porter: None, bound: pen.bound, meanwhile: None };
        let place = hold.moved_to(place.clone());
        drop(pen);
        drop(former);
        Ok(place)
    }
}

/// Refuses where there is not room enough.
fn enough(path: &Path, needed: u64, free: u64) -> Result<(), StoreError> {
    if free < needed {
        return Err(StoreError::NoRoom { path: path.to_owned(), needed, free });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_little_room_is_refused_with_what_it_takes() {
        let path = Path::new("/somewhere");
        assert!(enough(path, 150, 150).is_ok());
        let refusal = enough(path, 150, 149).unwrap_err().to_string();
        assert!(refusal.contains("needs 150 bytes free, there are 149"), "{refusal}");
    }
}
