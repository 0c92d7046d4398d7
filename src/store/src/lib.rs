//! Where the inventory is kept: the contract, the embedded engines, the codec, and the typed view of the inventory.
//! It must never judge: what a change means is the engine's business.

mod contract;

pub use contract::{Batch, CommitNo, Committed, Entry, Fence, Go, Head, KeyRange, Op, Row, Space, Store, StoreError, Table};
