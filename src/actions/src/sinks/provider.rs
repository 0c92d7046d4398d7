//! A sink's side of the door: exactly the calls that its `SPEC` names, by this machine's way out.
//! It must never declare a call that the `SPEC` does not name.

use provost_client::{Egress, Limits, Patience, Provider};

use super::SinkSpec;

/// What is spoken to at that origin. A look is made once: whoever delivers looks again later.
pub(crate) fn provider(spec: &SinkSpec, origin: String, limits: Limits) -> Provider {
    let named = |all: &[&str]| all.iter().map(|it| (*it).to_owned()).collect();
    Provider {
        origin,
        reads: named(spec.reads),
        acts: named(spec.acts),
        limits,
        egress: Egress::of_environment(),
        patience: Patience::none(),
        ..Provider::default()
    }
}
