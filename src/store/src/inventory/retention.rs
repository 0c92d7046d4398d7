//! How far the going through history is that forgets what need not be kept.
//! It must never say what need not be kept: that is for whoever goes through it.

use provost_model::Time;
use serde::{Deserialize, Serialize};

use super::{Draft, FINDINGS, Inventory, META, PASSING, RECORDS, rows};
use crate::{Op, StoreError, Table};

/// How far it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passing {
    /// Which of [`Passing::TABLES`] is gone through.
    pub table: u8,
    /// The last key that was looked at.
    pub after: Option<Vec<u8>>,
    /// When everything was last gone through.
    pub over: Option<Time>,
}

impl Passing {
    /// The tables whose history ends some time. What human beings said is not among them.
    pub const TABLES: [Table; 2] = [RECORDS, FINDINGS];
}

impl Inventory<'_> {
    /// How far it is; the beginning, if it never began.
    pub fn passing(&self) -> Result<Passing, StoreError> {
        let row = self.store.get(META, PASSING, None)?.and_then(|row| row.value);
        Ok(row.map(|bytes| rows::decode(&bytes, "how far history is gone through")).transpose()?.unwrap_or_default())
    }
}

impl Draft<'_> {
    /// Writes how far it is.
    pub fn put_passing(&mut self, passing: &Passing) -> Result<(), StoreError> {
        let value = rows::encode(passing)?;
        self.push(Op::Put { table: META, key: PASSING.to_vec(), value });
        Ok(())
    }
}
