//! The hands: how orders reach the world, and what an act that went wrong asks of its caller.
//! It must never act on anything but an [`Order`](provost_model::Order), tell but on an [`Errand`](provost_model::Errand), nor repeat a step whose answer was ambiguous.

mod aws;
pub mod destinations;
mod given;
mod letter;
mod outcome;
pub mod rotators;
pub mod sinks;
#[cfg(test)]
mod testing;
mod value;
mod wording;

pub use given::{Handed, Secrets};
pub use letter::{Baseline, Case, Count, Fault, Letter};
pub use outcome::ActionError;
pub use provost_model::Event;
pub use value::{Bundle, Fingerprints};
pub use wording::{Dialect, Wording, WordingError};
