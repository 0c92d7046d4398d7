//! Where the inventory is kept: the contract, the embedded engines, the codec, and the typed view of the inventory.
//! It must never judge: what a change means is the engine's business.

pub mod archive;
pub mod codec;
mod contract;
mod embedded;
mod engines;
pub mod evidence;
mod format;
pub mod inventory;
mod journal;
pub mod kv;
mod memory;
mod opening;
mod piece;
mod postgres;
mod redb;
mod segments;
mod sled;
mod space;
pub mod steps;
#[cfg(test)]
mod suite;
mod upkeep;
mod whole;

pub use contract::{
    Batch, Claim, CommitNo, Committed, Entry, Fence, Go, Head, Held, KeyRange, Op, Row, Space, Store, StoreError,
    Table, Visit, lease_of,
};
pub use embedded::{Embedded, MAX_BYTES, MAX_OPS};
pub use engines::EngineKind;
pub use journal::Journaled;
pub use memory::Memory;
pub use opening::{OpenOptions, look, open};
pub use piece::Piece;
pub use postgres::{Postgres, PostgresOptions, Projector, Shown};
pub use space::{has_room, min_free};
pub use upkeep::{Compacted, MAX_FAULTS, Report};

/// An empty store in memory.
pub fn memory() -> Embedded<Memory> {
    Embedded::at(Memory::default(), Head::default())
}
