//! Manifests from outside: what lint says, what a run says.
//! It must never need a network.
