//! The integration tests, in one binary so that the workspace is linked once.
//! It must never hold a test itself: each module is about one thing.

mod systemd;
