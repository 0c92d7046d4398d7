//! Which records are about one secret, one identity or one person, and why.
//! It must never unite by name, nor depend on the order in which records came.

mod bridge;
#[cfg(any(test, feature = "testing"))]
#[allow(clippy::cast_possible_truncation, clippy::indexing_slicing, reason = "made for tests and benchmarks only")]
pub mod corpus;
mod custody;
mod forest;
mod grouping;
mod member;
#[cfg(test)]
mod proofs;
mod reuse;
mod why;

pub use custody::{By, Custody, Hop, Reader, Tie, name_hint, secret_half_of};
pub use grouping::{Bond, Group, Grouping, Held, grouping};
pub use member::{Apart, Member, RESTS_ON};
pub use why::{Step, Stop, way};

/// What the grouping of now is made by; another version groups everything anew.
pub const VERSION: u32 = 1;
/// Most records of a group.
pub const GROUP_MOST: usize = 50;
/// Most carriers of a key that are looked at: a key that more carry unites nobody, whoever they are.
pub const CARRIERS_MOST: usize = 64;
/// Most records, and most keys, that may hang together before anything of it is believed.
pub const HORIZON: usize = 256;

/// Why a key does not unite some of those who carry it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Because {
    /// More records carry it than a group may have.
    Crowded,
    /// The group would have too many records.
    TooLarge,
    /// It alone joins two groups that hold together without it.
    Bridge,
    /// One realm gave it to one record after another.
    Reused,
    /// Two records of one kind and realm have it at the same time.
    Twins,
}

impl Because {
    /// All of them.
    pub const ALL: [Because; 5] =
        [Because::Crowded, Because::TooLarge, Because::Bridge, Because::Reused, Because::Twins];

    /// The word used in interfaces.
    pub fn word(self) -> &'static str {
        match self {
            Because::Crowded => "crowded",
            Because::TooLarge => "too_large",
            Because::Bridge => "bridge",
            Because::Reused => "reused",
            Because::Twins => "twins",
        }
    }

    /// What it means, in a clause.
    pub fn words(self) -> &'static str {
        match self {
            Because::Crowded => "more than 50 records carry it",
            Because::TooLarge => "the group would have more than 50 records",
            Because::Bridge => "it alone joins two groups that hold together without it",
            Because::Reused => "one system gave it to one record after another",
            Because::Twins => "two records of one kind in one system have it at the same time",
        }
    }

    /// The stable number used on disk.
    pub fn code(self) -> u8 {
        match self {
            Because::Crowded => 1,
            Because::TooLarge => 2,
            Because::Bridge => 3,
            Because::Reused => 4,
            Because::Twins => 5,
        }
    }

    /// What that number on disk stands for.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.code() == code)
    }
}
