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
#[path = "../servers/aws_proxy/mod.rs"]
mod aws_proxy;
mod backups;
mod cases;
mod changing;
mod cli;
mod cluster;
mod connector;
mod crash;
mod daemon;
mod database;
mod docs;
mod formats;
mod github;
mod links;
#[path = "../servers/loopback/mod.rs"]
#[allow(dead_code, reason = "shared with rooms that use more of it")]
mod loopback;
mod moves;
#[path = "../stores/old.rs"]
mod old;
#[path = "../servers/openbao.rs"]
mod openbao;
mod owners;
mod pipeline;
#[path = "../servers/postgres.rs"]
mod postgres;
mod program;
mod search;
mod secrets;
#[path = "../servers/sshd.rs"]
mod sshd;
mod systemd;
mod telling;
mod vault;
mod whatif;
