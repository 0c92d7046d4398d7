//! From findings to a decision: what is wrong with one subject as one case, and who has to agree to what is done about it.
//! It must never decide but by a guardrail: people do, and it says whether they may.

mod case;
mod guardrail;
mod latency;
mod motion;
mod policy;

pub use case::{CaseView, OpenFault, answers, asked_for, deadline_of, remedy_of, runs_since};
pub use guardrail::{Guardrail, Left, Seen, rights_are_near};
pub use latency::Latency;
pub use motion::{Asked, Decider, InForce, Next, Refusal, Request};
pub use policy::{Deadlines, Governance};
