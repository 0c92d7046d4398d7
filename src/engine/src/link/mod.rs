//! Which records are about one secret, one identity or one person, and why.
//! It must never unite by name, nor depend on the order in which records came.

#[cfg(any(test, feature = "testing"))]
#[allow(clippy::cast_possible_truncation, clippy::indexing_slicing, reason = "made for tests and benchmarks only")]
pub mod corpus;

pub use provost_model::CorrelationKey;
