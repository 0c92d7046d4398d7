//! The eyes: one file or folder per provider, each describing itself in a `SPEC`.
//! It must never reach the store or act: a connector is handed an [`Emitter`] and a read-only client, nothing else.

pub mod aws;
pub mod emitter;
pub mod fingerprint;
pub mod host;
pub mod spec;

pub use emitter::{Bookmarks, Emitter, Event, Stopped};
pub use spec::{Access, Check, Connector, Permission, Read, Source, Spec, Verdict};
