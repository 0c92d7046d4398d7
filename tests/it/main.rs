//! The one integration-test binary: each module is one view of the house from outside.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking; clippy exempts functions marked as tests, not what they call"
)]

mod architecture;
mod aws;
mod backups;
mod cli;
mod crash;
mod daemon;
mod docs;
mod owners;
mod pipeline;
mod program;
mod secrets;
mod systemd;
