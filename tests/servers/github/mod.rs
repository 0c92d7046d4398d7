//! A GitHub of one organization on loopback: what it holds, how it answers, and the App that may ask.
//! It must only know what GitHub's documentation says; whoever includes it has the connector's `documents` beside it.

#![allow(dead_code, reason = "several programs use it, each a part of it")]

pub mod app;
pub mod estate;
pub mod server;
