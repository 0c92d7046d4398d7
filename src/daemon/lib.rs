//! The shell of Provost: what turns the pure rooms into a program that runs.
//! It must never hold knowledge of a provider, nor judge: that is for connectors and engine.

pub mod cli;
pub mod config;
pub mod filter;
pub mod output;
