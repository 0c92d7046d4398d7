//! `--where`: one CEL expression decides which rows are shown.
//! It must never take an unknown reading for an answer: such rows are left out, counted, and reported.

mod bounds;
mod compile;
mod error;
mod evaluate;
mod narrow;
mod subject;
#[cfg(test)]
mod tests;
mod vocabulary;

pub use compile::Filter;
pub use error::FilterError;
pub use evaluate::{DEADLINE, LeftOut};
pub use subject::Subject;
pub use vocabulary::{Shape, Vocabulary};
