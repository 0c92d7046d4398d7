//! How the command line talks to a daemon that holds the store: a command goes one way, what it writes comes back.
//! It must never carry a secret, nor answer somebody the socket's permissions and the peer's credentials do not allow.

mod client;
mod frame;
mod server;

pub use client::{Daemonless, ask};
pub use server::{Door, serve};
