//! When the store was last read through to see whether a rewrite is worth it.
//! It must never say whether it is: that is for whoever reads it through.

use provost_model::Time;
use serde::{Deserialize, Serialize};

use super::{Draft, Inventory, META, TENDED, rows};
use crate::{Op, StoreError};

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tended {
    /// When.
    pub at: Time,
    /// Bytes the store took then, or after the rewrite.
    pub used: u64,
    /// Whether a rewrite was worth it and not made.
    pub short: bool,
}

impl Inventory<'_> {
    /// What came of it last; nothing, if it never was.
    pub fn tended(&self) -> Result<Tended, StoreError> {
        let row = self.store.get(META, TENDED, None)?.and_then(|row| row.value);
        Ok(row.map(|bytes| rows::decode(&bytes, "when the store was tended")).transpose()?.unwrap_or_default())
    }
}

impl Draft<'_> {
    /// Writes down what came of it.
    pub fn put_tended(&mut self, tended: &Tended) -> Result<(), StoreError> {
        let value = rows::encode(tended)?;
        self.push(Op::Put { table: META, key: TENDED.to_vec(), value });
        Ok(())
    }
}
