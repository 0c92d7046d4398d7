//! The command line: what may be typed, and how answers are shown.
//! It must never decide or compute what is shown: commands are handed plain rows and structs.

mod args;
pub mod baseline;
pub mod cases;
pub mod check;
pub mod cluster;
pub mod completions;
pub mod config;
pub mod connector;
pub mod custody;
pub mod evidence;
mod exit;
pub mod findings;
pub mod guardrails;
pub mod inventory;
pub mod links;
pub mod owners;
pub mod quickstart;
pub mod rotate;
pub mod rules;
pub mod scan;
mod screen;
pub mod snapshot;
pub mod sources;
pub mod status;
pub mod store;
pub mod telling;

pub use args::{
    About, Baseline, Cases, ChangeWord, Chosen, Cli, Cluster, Command, ConfigAction, Connector, DecisionWord, Evidence,
    Findings, Global, Inventory, Named, OnOff, Outbox, Owners, Parting, Planning, Quickstart, Rotate, Routes, Rules,
    Scan, Selection, Sinks, Snapshot, Sources, StoreAction, Two, WhatIf, When,
};
pub use exit::Exit;
pub use screen::{CliError, Screen};
