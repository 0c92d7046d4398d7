//! Policy documents: who may do what, as far as the documents alone can tell.
//! It must never call a right certain that a condition guards, nor let a document cost unbounded time.

mod clause;
mod document;
mod effect;
mod pattern;
mod trust;
mod writes;

pub use document::{Document, Effect, PolicyError, Principal, Selection, Statement};
pub use effect::{Named, Summary, Verdict, admin};
pub use trust::{Trust, trusted_principals};
pub use writes::writes;
