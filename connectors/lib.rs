//! The eyes: one file or folder per provider, each describing itself in a `SPEC`.
//! It must never reach the store or act: a connector is handed an [`Emitter`] and a read-only client, nothing else.

pub mod aws;
mod catalogue;
pub mod emitter;
pub mod fingerprint;
#[cfg(test)]
mod generic;
pub mod github;
pub mod host;
pub mod manifest;
mod settings;
pub mod spec;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod vault;

/// Every connector written in Rust, in the order in which they are listed. [`Catalogue`] adds those that are manifests.
pub const ALL: &[&Spec] = &[&host::SPEC, &aws::SPEC, &github::SPEC, &vault::SPEC];

pub use catalogue::Catalogue;
pub use emitter::{Bookmarks, Emitter, Event, Stopped};
pub use provost_client::Recorder;
pub use spec::{Access, Build, Check, Connector, Permission, Reach, Read, Secrets, Source, Spec, Verdict};
