//! The store alone: the same rows as batches of 1,000 records, without connector, reconciling and looking up.
//! It must never go another way than `Store::commit`.

use std::{sync::mpsc, thread};

use anyhow::{Context as _, Result, anyhow};
use provost_store::{Batch, Op, Store, Table, inventory::RECORDS};

use crate::{
    estate::{DAWN, Estate},
    rows::{self, Rows},
    sqlite::show,
};

const KEYS: Table = Table { name: "keys", versioned: false };
const PLACES: Table = Table { name: "places", versioned: false };
const TIES: Table = Table { name: "ties", versioned: false };
const MARKS: Table = Table { name: "marks", versioned: false };
const LINKS: Table = Table { name: "links", versioned: false };
/// Records of one batch.
const A_BATCH: u64 = 1_000;

/// Puts everything into an empty store; gives the number of records.
pub(crate) fn load(store: &dyn Store, estate: Estate) -> Result<u64> {
    let (out, batches) = mpsc::sync_channel(2);
    let showing = thread::spawn(move || show(estate, &out));
    let (mut records, mut ops) = (0_u64, Vec::new());
    for (scope, batch) in batches {
        for entity in batch {
            let names = rows::names(&entity);
            let change = rows::seen(None, entity, scope, DAWN)?.context("a new record changes nothing")?;
            put(&mut ops, Rows::of(&change.after, scope, names)?);
            records += 1;
            if records % A_BATCH == 0 {
                store.commit(Batch { at: DAWN, ops: std::mem::take(&mut ops), ..Batch::default() })?;
            }
        }
    }
    store.commit(Batch { at: DAWN, ops, ..Batch::default() })?;
    showing.join().map_err(|_| anyhow!("showing the estate panicked"))?;
    Ok(records)
}

fn put(ops: &mut Vec<Op>, rows: Rows) {
    let id = rows.id.as_bytes();
    let mut add = |table, key: Vec<u8>, value: Vec<u8>| ops.push(Op::Put { table, key, value });
    add(RECORDS, id.to_vec(), rows.value);
    rows.keys.iter().for_each(|digest| add(KEYS, digest.to_vec(), id.to_vec()));
    let (scope, part) = rows.place;
    add(PLACES, [&scope.0.to_be_bytes()[..], &part.0.to_be_bytes(), id].concat(), vec![1]);
    rows.ties.iter().for_each(|digest| add(TIES, [*digest, *id].concat(), Vec::new()));
    rows.links.iter().for_each(|digest| add(LINKS, [*digest, *id].concat(), Vec::new()));
    rows.marks.iter().for_each(|digest| add(MARKS, [*digest, *id].concat(), Vec::new()));
}
