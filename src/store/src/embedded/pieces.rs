//! Taking a store over ordered keys apart, as of one commit, and putting one together again.
//! It must never take a piece in that contradicts another: a store put together is one that could have been written.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Bound,
};

use super::{
    leases, log, past, queues, rows,
    still::{Copying, Named, Watched},
    streams,
};
use crate::{
    CommitNo, Head, Piece, StoreError,
    kv::{Draft, Kv, Shelf, Tree, Way},
};

/// Pieces written at a time, and about how many bytes.
const PIECES: usize = 8_000;
const BYTES: usize = 4 << 20;

/// A store about to be taken apart as it stands now. Nobody may be writing while this is called.
pub(super) fn begin<K: Kv>(kv: &Watched<K>) -> Result<Copying<'_, K>, StoreError> {
    let trees = kv.trees()?;
    let named = trees.iter().filter_map(|name| Tree::named(name)).map(|tree| (tree.shelf, tree.name.to_owned()));
    let mut order: Vec<(u8, Named)> = named.filter_map(|tree| Some((turn(&tree)?, tree))).collect();
    // Tables one after the other, each with its past; what is needed to understand them first.
    order.sort_by(|(turn, tree), (other_turn, other)| {
        turn.cmp(other_turn).then_with(|| tree.1.cmp(&other.1)).then_with(|| tree.0.cmp(&other.0))
    });
    Ok(kv.copying(order.into_iter().map(|(_, tree)| tree).collect()))
}

/// Which trees hold pieces, and which come before others.
fn turn((shelf, name): &Named) -> Option<u8> {
    match shelf {
        Shelf::Commits if name.is_empty() => Some(0),
        Shelf::Commits => Some(1),
        Shelf::Rows | Shelf::Past => Some(2),
        Shelf::Stream => Some(3),
        Shelf::DueAt => Some(4),
        Shelf::Leases => Some(5),
        // The same items in another order; and what only this engine needs.
        Shelf::Due | Shelf::Settled => None,
    }
}

/// Hands over every piece.
pub(super) fn hand_over<K: Kv>(
    copying: Copying<'_, K>,
    each: &mut dyn FnMut(Piece) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut versioned = copying.trees_of(Shelf::Past);
    copying.each(&mut |tree, key, value| {
        let name = tree.name.to_owned();
        let piece = match tree.shelf {
            Shelf::Commits if name.is_empty() => {
                let (number, at) = log::commit(&key, &value)?;
                Piece::Commit { number, at }
            }
            Shelf::Commits => {
                if let Some(table) = log::versioned_table(&key, &value)? {
                    versioned.insert(table);
                }
                return Ok(());
            }
            Shelf::Rows => {
                let versioned = versioned.contains(&name);
                Piece::Row { table: name, versioned, key, row: rows::decode(value)?, present: true }
            }
            Shelf::Past => {
                let key = rows::key_of_past(&key)?;
                let piece =
                    |row| Piece::Row { table: name.clone(), versioned: true, key: key.clone(), row, present: false };
                return past::at_place(value)?.into_iter().map(piece).try_for_each(&mut *each);
            }
            Shelf::Stream => Piece::Entry { stream: name, entry: streams::entry((key, value))? },
            Shelf::DueAt => Piece::Due { queue: name, item: key, at: queues::time(&value)? },
            Shelf::Leases => leases::piece(&key, &value)?,
            Shelf::Due | Shelf::Settled => return Ok(()),
        };
        each(piece)
    })
}

/// Fills an empty store; gives where it then stands.
pub(super) fn rebuild<K: Kv>(
    kv: &K,
    next: &mut dyn FnMut() -> Result<Option<Piece>, StoreError>,
) -> Result<Head, StoreError> {
    for tree in kv.trees()?.iter().filter_map(|name| Tree::named(name)).filter(|tree| tree.shelf != Shelf::Settled) {
        let any = kv.page(tree, (Bound::Unbounded, Bound::Unbounded), Way::Up, 1)?;
        if !any.is_empty() {
            return Err(refused("the store is not empty"));
        }
    }
    let mut so_far = SoFar::default();
    let mut pieces = Vec::new();
    loop {
        pieces.clear();
        let mut bytes = 0;
        while pieces.len() < PIECES && bytes < BYTES {
            let Some(piece) = next()? else { break };
            so_far.check(&piece)?;
            bytes += size(&piece);
            pieces.push(piece);
        }
        if pieces.is_empty() {
            return so_far.head();
        }
        let tables = std::mem::take(&mut so_far.fresh);
        kv.write(&mut |draft| {
            tables.iter().try_for_each(|(table, versioned)| log::note_table(draft, table, *versioned))?;
            pieces.iter().try_for_each(|piece| put(draft, piece))
        })?;
    }
}

fn put(draft: &mut dyn Draft, piece: &Piece) -> Result<(), StoreError> {
    match piece {
        Piece::Commit { number, at } => log::note(draft, Head { number: *number, at: *at }),
        Piece::Row { table, key, row, present, .. } => {
            let mut bytes = Vec::new();
            rows::encode(row.commit, row.recorded, row.value.as_deref(), &mut bytes);
            if *present {
                draft.put(Tree::new(Shelf::Rows, table), key, &bytes)
            } else {
                draft.put(Tree::new(Shelf::Past, table), &rows::past_key(key, row.commit), &bytes)
            }
        }
        Piece::Entry { stream, entry } => streams::put(draft, stream, entry),
        Piece::Due { queue, item, at } => queues::schedule(draft, queue, item, *at),
        Piece::Lease { name, holder, token, until } => leases::put(draft, name, holder, (*token, *until)),
    }
}

/// What the pieces so far said, as far as later ones must agree with it.
#[derive(Default)]
pub(crate) struct SoFar {
    head: Head,
    latest_row: CommitNo,
    tables: BTreeMap<String, bool>,
    /// Tables that were not noted yet.
    pub(crate) fresh: Vec<(String, bool)>,
    tails: HashMap<String, streams::Tail>,
}

impl SoFar {
    /// Refuses a piece that contradicts those before it.
    pub(crate) fn check(&mut self, piece: &Piece) -> Result<(), StoreError> {
        match piece {
            Piece::Commit { number, at } => {
                if number.0 != self.head.number.0 + 1 || (number.0 > 1 && *at < self.head.at) {
                    return Err(refused("the commits are not in order"));
                }
                self.head = Head { number: *number, at: *at };
            }
            Piece::Row { table, versioned, row, present, .. } => {
                let known = self.tables.get(table).copied().unwrap_or_else(|| {
                    self.tables.insert(table.clone(), *versioned);
                    self.fresh.push((table.clone(), *versioned));
                    *versioned
                });
                if known != *versioned || (*present && row.value.is_none()) || !(*present || *versioned) {
                    return Err(refused("a row is not of its table"));
                }
                if row.commit == CommitNo(0) {
                    return Err(refused("a row is of no commit"));
                }
                self.latest_row = self.latest_row.max(row.commit);
            }
            Piece::Entry { stream, entry } => {
                let tail = self.tails.entry(stream.clone()).or_default();
                if !tail.precedes(entry) {
                    return Err(refused("the chain of a stream is broken"));
                }
                *tail = streams::Tail { sequence: entry.sequence, hash: entry.hash };
            }
            Piece::Due { .. } | Piece::Lease { .. } => {}
        }
        Ok(())
    }

    /// Where the pieces leave a store, if they agree.
    pub(crate) fn head(self) -> Result<Head, StoreError> {
        if self.latest_row > self.head.number { Err(refused("a row is of a later commit")) } else { Ok(self.head) }
    }
}

/// About how many bytes a piece takes.
pub(crate) fn size(piece: &Piece) -> usize {
    match piece {
        Piece::Row { key, row, .. } => key.len() + row.value.as_ref().map_or(0, Vec::len),
        Piece::Entry { entry, .. } => entry.value.len(),
        Piece::Due { item, .. } => item.len(),
        Piece::Commit { .. } | Piece::Lease { .. } => 0,
    }
}

pub(crate) fn refused(what: &str) -> StoreError {
    StoreError::Codec(format!("what the store is to be put together from: {what}"))
}
