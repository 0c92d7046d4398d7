//! Our side of the door: exactly the calls that a `SPEC` names, by this machine's way out.
//! It must never declare a call that the `SPEC` does not name.

use provost_client::{Egress, Limits, Patience, Provider};

/// What is spoken to at that origin: what only looks, and what changes something. A look is made once: whoever asked looks
/// again later.
pub(crate) fn provider((reads, acts): (&[&str], &[&str]), origin: String, limits: Limits) -> Provider {
    let named = |all: &[&str]| all.iter().map(|it| (*it).to_owned()).collect();
    Provider {
        origin,
        reads: named(reads),
        acts: named(acts),
        limits,
        egress: Egress::of_environment(),
        patience: Patience::none(),
        ..Provider::default()
    }
}
