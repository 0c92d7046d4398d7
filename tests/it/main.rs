//! The integration tests, in one binary so that the workspace is linked once.
//! It must never hold a test itself: each module is about one thing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking; clippy exempts functions marked as tests, not what they call"
)]

mod systemd;
