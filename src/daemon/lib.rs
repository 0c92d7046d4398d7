//! The shell: configuration, command line, scheduler, socket, and the wiring of eyes, engine and store.
//! It must never judge or reconcile by itself: it hands data to those who do.

pub mod archive;
pub mod cli;
pub mod clock;
pub mod clockwatch;
pub mod cluster;
pub mod commands;
pub mod config;
pub mod connector;
pub mod couriers;
pub mod desk;
pub mod docket;
pub mod entry;
pub mod evidence;
pub mod filter;
pub mod house;
pub mod ids;
pub mod jobs;
pub mod letters;
pub mod logging;
pub mod managed;
pub mod manifests;
pub mod output;
pub mod quickstart;
pub mod recording;
pub mod rows;
pub mod scheduler;
pub mod socket;
pub mod tenancy;
pub mod tries;
pub mod vigil;
pub mod wire;
pub mod worked;

/// The heap of every program that has the daemon in it. Several threads read records at once; glibc has them wait for each
/// other, or keep a heap each.
#[global_allocator]
static HEAP: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;
