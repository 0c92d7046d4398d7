//! Streams kept outside the engine too: how both sides are brought together.
//! It must never take an entry away from either side, nor choose between two that tell different stories.

use std::collections::BTreeSet;

use super::{log, streams};
use crate::{
    CommitNo, Entry, Head, StoreError,
    kv::{Kv, Shelf, Tree},
    segments::Segments,
};

/// Entries and bytes taken over at a time.
const PAGE: usize = 256;
const BYTES: usize = 4 << 20;

/// Brings both sides together; gives where the store stands then, and how many entries the engine got back.
pub(super) fn together<K: Kv>(kv: &K, segments: &mut Segments, mut head: Head) -> Result<(Head, u64), StoreError> {
    let trees = kv.trees()?;
    let trees = trees.iter().filter_map(|name| Tree::named(name)).filter(|tree| tree.shelf == Shelf::Stream);
    let mut all: BTreeSet<String> = trees.map(|tree| tree.name.to_owned()).collect();
    all.extend(segments.streams());
    let mut given_back = 0;
    for stream in all {
        let (engine, files) = (streams::tail(kv, &stream)?, segments.tail(&stream));
        if engine == files {
            continue;
        }
        agree(kv, segments, (&stream, engine.sequence.min(files.sequence)))?;
        if engine.sequence > files.sequence {
            let lacking = engine.sequence - files.sequence;
            tracing::info!(stream, lacking, "entries of a stream are added to its segments");
            add(kv, segments, &stream)?;
        } else {
            let lacking = files.sequence - engine.sequence;
            tracing::warn!(
                stream,
                lacking,
                "the engine lost entries of a stream that were acknowledged; they are taken back from its segments, \
                 whatever else was committed with them is lost"
            );
            head = give_back(kv, segments, &stream, head)?;
            given_back += lacking;
        }
    }
    Ok((head, given_back))
}

/// Refuses two sides of which an entry differs that both have.
fn agree<K: Kv>(kv: &K, segments: &Segments, (stream, sequence): (&str, u64)) -> Result<(), StoreError> {
    if sequence == 0 {
        return Ok(());
    }
    let here = streams::entries(kv, stream, sequence, 1)?;
    let there = segments.entries(stream, sequence, 0)?;
    let same = |one: Option<&Entry>, other: Option<&Entry>| one.map(|it| it.hash) == other.map(|it| it.hash);
    if same(here.first(), there.first()) {
        return Ok(());
    }
    let what = format!("entry {sequence} of stream {stream:?} is another one in the engine than in its segment");
    Err(StoreError::Damaged { path: segments.directory().to_owned(), what })
}

fn add<K: Kv>(kv: &K, segments: &mut Segments, stream: &str) -> Result<(), StoreError> {
    loop {
        let page = streams::entries(kv, stream, segments.tail(stream).sequence + 1, PAGE)?;
        if page.is_empty() {
            return Ok(());
        }
        let page: Vec<(&str, Entry)> = page.into_iter().map(|entry| (stream, entry)).collect();
        let reserved = segments.reserve(&page)?;
        segments.seal(reserved)?;
    }
}

fn give_back<K: Kv>(kv: &K, segments: &Segments, stream: &str, mut head: Head) -> Result<Head, StoreError> {
    loop {
        let from = streams::tail(kv, stream)?.sequence + 1;
        let page = segments.entries(stream, from, BYTES)?;
        let Some(last) = page.last() else { return Ok(head) };
        head = Head { number: CommitNo(head.number.0 + 1), at: head.at.max(last.at) };
        kv.write(&mut |draft| {
            log::note(draft, head)?;
            page.iter().try_for_each(|entry| streams::put(draft, stream, entry))
        })?;
    }
}
