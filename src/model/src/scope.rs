//! What was listed, and how completely: the ground on which promise 2 stands.
//! It must never let a partial listing move a cursor.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Entity, Key, Realm, Time, Why};

/// What a connector lists as one whole, such as `iam/authorization` of one account. Scopes form a tree by path. A scope
/// may be divided into parts (the keys of one user), each of which can be listed whole by itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Scope {
    /// The authority whose things are listed.
    pub realm: Realm,
    /// Path in the tree of scopes of that realm.
    pub path: String,
}

/// The store's short name for a scope of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ScopeNo(pub u32);

/// A part of a scope: a digest of its name; zero stands for the scope as such.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PartId(pub u64);

/// Whatever a connector needs to read only what changed next time. Opaque to everybody else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor(pub Vec<u8>);

/// How completely a scope, or a part of one, was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cover {
    /// Everything in it was listed. `atomic`: in one response, so that absence is certain at once.
    Full {
        /// Where to go on from next time.
        next: Option<Cursor>,
        /// The listing came as one consistent response.
        atomic: bool,
    },
    /// Everything that changed since the cursor's state was listed; the rest stands.
    Delta {
        /// Where to go on from next time.
        next: Cursor,
    },
    /// The provider vouches that nothing changed.
    Unchanged {
        /// The provider's time of that statement.
        at: Time,
    },
    /// Something is missing from the listing: it says nothing about absence and moves no cursor.
    Partial {
        /// Why it is incomplete.
        why: Why,
    },
}

/// What a listing says of one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(
    clippy::large_enum_variant,
    reason = "nearly every sighting is Present; a box would cost each of them an allocation"
)]
pub enum Sighting {
    /// It is there.
    Present(Entity),
    /// The provider says that it is not there any more, or a read by id answered not-found.
    Gone(Key),
}

impl Scope {
    /// The scope of that path.
    pub fn new(realm: Realm, path: impl Into<String>) -> Self {
        Self { realm, path: path.into() }
    }

    /// Whether `other` is this scope or lies below it.
    pub fn holds(&self, other: &Scope) -> bool {
        self.realm == other.realm
            && other.path.strip_prefix(self.path.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.realm, self.path)
    }
}

impl PartId {
    /// The scope as such.
    pub const WHOLE: PartId = PartId(0);

    /// The part of that name: FNV-1a over its bytes, never zero.
    pub fn named(name: &str) -> Self {
        let hash = name
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        Self(hash.max(1))
    }
}

impl Cover {
    /// The cursor to keep, if this cover moves it.
    pub fn next(&self) -> Option<&Cursor> {
        match self {
            Cover::Full { next, .. } => next.as_ref(),
            Cover::Delta { next } => Some(next),
            Cover::Unchanged { .. } | Cover::Partial { .. } => None,
        }
    }

    /// Whether absence from this listing means something.
    pub fn is_full(&self) -> bool {
        matches!(self, Cover::Full { .. })
    }

    /// The word used in interfaces.
    pub fn word(&self) -> &'static str {
        match self {
            Cover::Full { .. } => "full",
            Cover::Delta { .. } => "delta",
            Cover::Unchanged { .. } => "unchanged",
            Cover::Partial { .. } => "partial",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_form_a_tree() {
        let realm = Realm::new("host", "x");
        let scope = |path: &str| Scope::new(realm.clone(), path);
        assert!(scope("home").holds(&scope("home/alice")));
        assert!(scope("home").holds(&scope("home")));
        assert!(!scope("home").holds(&scope("homes")));
        assert!(!scope("home/alice").holds(&scope("home")));
    }
}
