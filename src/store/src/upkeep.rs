//! What looking after a store gives: what reading it through found, what rewriting it saved.
//! It must never be kept in the store itself.

/// How many faults a report names; more are not looked for.
pub const MAX_FAULTS: usize = 100;

/// What reading a store through to its end found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Present rows of all tables.
    pub rows: u64,
    /// Former versions of rows.
    pub versions: u64,
    /// Entries of all streams.
    pub entries: u64,
    /// Items in due queues.
    pub due: u64,
    /// Commits in the log.
    pub commits: u64,
    /// What is wrong, a sentence each; empty if nothing is. At most [`MAX_FAULTS`].
    pub faults: Vec<String>,
}

/// What a rewrite saved, in bytes on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    /// What the store took before.
    pub before: u64,
    /// What it takes now.
    pub after: u64,
}
