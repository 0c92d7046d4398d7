//! The outbound door: every call to a provider passes a [`Gate`] that knows which reads are allowed, paces and counts.
//! It must never send an operation that was not named to it as allowed.

mod cassette;
mod cost;
mod dated;
mod egress;
mod failure;
mod gate;
mod operation;
mod pace;
mod retry;
mod routes;
mod scrub;
mod tally;
mod web;
mod whole;

pub use cassette::{Cassette, Recorder};
pub use cost::{at_pace, within};
pub use egress::Egress;
pub use failure::{Failure, Refused, answered_badly, classified, unanswered};
pub use gate::{Door, Gate, Limits};
pub use operation::{CREDENTIAL_CALLS, INSTANCE_CALLS, operation_of};
pub use pace::{Mode, Pace};
pub use retry::{Patience, with_patience};
pub use tally::Call;
pub use web::{
    Answer, Ask, Authority, Body, Budget, Element, End, Fate, Gap, Luck, Outgoing, Page, Pages, Paging, Provider,
    Undone, Web, authority,
};
