//! Policy documents: who may do what, as far as the documents alone can tell.
//! It must never call a right certain that a condition guards, nor let a document cost unbounded time.

mod chains;
mod clause;
mod document;
mod effect;
mod escalation;
mod outsiders;
mod pattern;
mod trust;
mod writes;

pub use chains::{Chains, Trusts};
pub use document::{Document, Effect, PolicyError, Principal, Selection, Statement};
pub use effect::{Named, Summary, Verdict, admin};
pub use escalation::escalates;
pub use outsiders::Outsiders;
pub use trust::{Trust, trusted_principals};
pub use writes::writes;
