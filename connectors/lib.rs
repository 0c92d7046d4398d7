//! The eyes: one file or folder per provider, each describing itself in a `SPEC`.
//! It must never reach the store or act: a connector is handed an [`Emitter`] and a read-only client, nothing else.

pub mod aws;
pub mod emitter;
pub mod fingerprint;
pub mod host;
pub mod spec;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

/// Every connector, in the order in which they are listed.
pub const ALL: &[&Spec] = &[&host::SPEC, &aws::SPEC];

/// The connector of that name.
pub fn find(name: &str) -> Option<&'static Spec> {
    ALL.iter().copied().find(|spec| spec.name == name)
}

pub use emitter::{Bookmarks, Emitter, Event, Stopped};
pub use spec::{Access, Check, Connector, Permission, Reach, Read, Secrets, Source, Spec, Verdict};
