//! Turns of the daemon: each can be killed at any point and run again without loss and without duplicates (promise 8).
//! It must never take input beside the house and the configuration: restart and happy path run the same code.

pub mod anew;
pub mod assess;
mod cascade;
pub mod compare;
pub mod decide;
pub mod deliver;
mod digest;
pub mod guard;
pub mod judge;
pub mod jury;
pub mod link;
mod listing;
pub mod owners;
pub mod retention;
pub mod rotate;
pub mod runs;
pub mod scan;
pub mod snapshot;
pub mod sources;
mod spool;
pub mod tell;
pub mod tickets;
pub mod upkeep;
pub mod vouch;
mod writer;

pub use writer::{Watcher, WriteError};
