//! A store taken apart: everything it holds, piece by piece, for backups and for moving to another back end.
//! It must never know how a back end keeps a piece.

use provost_model::Time;

use crate::{CommitNo, Entry, Row};

/// One thing a store holds.
///
/// Every commit comes before everything else, in order. The entries of a stream come in order. Nothing comes twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A commit.
    Commit {
        /// Its number.
        number: CommitNo,
        /// Its time.
        at: Time,
    },
    /// A version of a row.
    Row {
        /// The table's name.
        table: String,
        /// Whether the table keeps former versions.
        versioned: bool,
        /// The row's key.
        key: Vec<u8>,
        /// The version.
        row: Row,
        /// Whether it is the present one. A version that says "deleted" never is.
        present: bool,
    },
    /// An entry of a stream.
    Entry {
        /// The stream's name.
        stream: String,
        /// The entry, with its hash.
        entry: Entry,
    },
    /// An item of a due queue.
    Due {
        /// The queue's name.
        queue: String,
        /// The item.
        item: Vec<u8>,
        /// When it is due.
        at: Time,
    },
    /// A lease, also one that was given back: its token must not be given again.
    Lease {
        /// Its name.
        name: String,
        /// Who holds it; empty if nobody does.
        holder: String,
        /// The last token given.
        token: u64,
        /// Until when it holds.
        until: Time,
    },
}
