//! The hands: how orders reach the world, and what an act that went wrong asks of its caller.
//! It must never act on anything but an [`Order`](provost_model::Order), nor repeat a step whose answer was ambiguous.

mod letter;
mod outcome;
pub mod sinks;
#[cfg(test)]
mod testing;
mod wording;

pub use letter::{Baseline, Case, Count, Fault, Letter};
pub use outcome::ActionError;
pub use provost_model::Event;
pub use wording::{Dialect, Wording, WordingError};
