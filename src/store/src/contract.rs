//! What every store can do, in general shapes: versioned and plain tables, streams, due queues, leases.
//! It must never name a feature of Provost: tables of findings or runs are data here, not methods.

use std::{ops::Bound, path::PathBuf};

use provost_model::Time;
use thiserror::Error;

use crate::{Compacted, Piece, Report};

/// The number of a commit. Numbers ascend without gaps; zero is the empty store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommitNo(pub u64);

/// A table. Versioned tables keep every version a commit replaced; plain ones keep only the present.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Table {
    /// Its name, for good.
    pub name: &'static str,
    /// Whether former versions are kept.
    pub versioned: bool,
}

/// A row as it stood at some commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The commit that put this version.
    pub commit: CommitNo,
    /// The time of that commit.
    pub recorded: Time,
    /// The bytes; `None` for a version that says "deleted".
    pub value: Option<Vec<u8>>,
}

/// A range of keys of one table, in byte order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// Where it begins.
    pub from: Bound<Vec<u8>>,
    /// Where it ends.
    pub to: Bound<Vec<u8>>,
}

/// One step of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Writes a row; in a versioned table the version it replaces is kept.
    Put {
        /// Where.
        table: Table,
        /// Under which key.
        key: Vec<u8>,
        /// What.
        value: Vec<u8>,
    },
    /// Overwrites the present version of a row in place, leaving its commit number: for volatile content.
    Amend {
        /// Where.
        table: Table,
        /// Under which key.
        key: Vec<u8>,
        /// What.
        value: Vec<u8>,
    },
    /// Removes a row; a versioned table keeps the version.
    Delete {
        /// Where.
        table: Table,
        /// Under which key.
        key: Vec<u8>,
    },
    /// Adds an entry to the end of an append-only stream.
    Append {
        /// Which stream.
        stream: &'static str,
        /// What.
        value: Vec<u8>,
    },
    /// Puts an item into a due queue, or moves it to another time.
    Schedule {
        /// Which queue.
        queue: &'static str,
        /// Which item.
        item: Vec<u8>,
        /// When it is due.
        at: Time,
    },
    /// Takes an item out of a due queue.
    Unschedule {
        /// Which queue.
        queue: &'static str,
        /// Which item.
        item: Vec<u8>,
    },
}

/// A set of steps that happen together or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The time of the commit, from the trusted clock.
    pub at: Time,
    /// The steps, in order.
    pub ops: Vec<Op>,
    /// Rows that must still be of that version (`None`: must not be there), or nothing is written.
    pub expect: Vec<(Table, Vec<u8>, Option<CommitNo>)>,
    /// A lease that must still be held, or nothing is written.
    pub fence: Option<Fence>,
}

/// A batch that is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Its number.
    pub number: CommitNo,
    /// Sequence numbers of the stream entries it appended, in order.
    pub appended: Vec<u64>,
}

/// An entry of an append-only stream. `hash` is SHA-256 over the former entry's hash, the sequence number and the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the stream, counted from 1.
    pub sequence: u64,
    /// When it was appended.
    pub at: Time,
    /// The chain's hash up to and with this entry.
    pub hash: [u8; 32],
    /// The content.
    pub value: Vec<u8>,
}

/// Proof of holding a lease: the token grows with every new holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    /// Which lease.
    pub name: String,
    /// The holder's token.
    pub token: u64,
}

/// A due item that was claimed: it stays in its queue until it is scheduled anew, and nobody else gets it meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The item.
    pub item: Vec<u8>,
    /// When it became due.
    pub due: Time,
    /// Proof of the claim: the lease of that item, as [`lease_of`] names it.
    pub fence: Fence,
}

/// A lease as it stands, run out or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Which lease.
    pub name: String,
    /// Who holds it.
    pub holder: String,
    /// The holder's token.
    pub token: u64,
    /// Until when, on the store's clock.
    pub until: Time,
}

/// Where the store stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The last commit.
    pub number: CommitNo,
    /// The highest time any commit carried.
    pub at: Time,
}

/// Room on the device that holds the store, in bytes. Memory has no bounds of its own: all `u64::MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes free to this user.
    pub free: u64,
    /// Bytes in all.
    pub total: u64,
    /// Bytes the store takes.
    pub used: u64,
}

/// Whether a visit goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Go {
    /// The next row, please.
    On,
    /// Enough.
    Stop,
}

/// What is called for each row of a scan, with the row's key.
pub type Visit<'a> = dyn FnMut(&[u8], Row) -> Result<Go, StoreError> + 'a;

/// What can go wrong, named by what the caller does next.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Somebody else has it open: wait, or talk to them.
    #[error("the store at {path} is locked by another process{}", holder.map(|pid| format!(" (pid {pid})")).unwrap_or_default())]
    Locked {
        /// Where it is.
        path: PathBuf,
        /// Who holds it, if known.
        holder: Option<u32>,
    },
    /// A later Provost wrote it: use that one.
    #[error("the store at {path} needs a reader of version {min_reader}, this is {reader}; use the newer provost")]
    Newer {
        /// Where it is.
        path: PathBuf,
        /// The oldest version that can read it.
        min_reader: u32,
        /// This program's version.
        reader: u32,
    },
    /// Its bytes make no sense: restore it. Nothing was changed.
    #[error("the store at {path} is damaged: {what}; nothing was changed")]
    Damaged {
        /// Where it is.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A later Provost wrote it, for readers of this one too, but what it keeps this program cannot rewrite: use that one.
    #[error("the store at {path} is of format {format}, this program rewrites up to {reader}; use the newer provost")]
    Later {
        /// Where it is.
        path: PathBuf,
        /// The format it is of.
        format: u32,
        /// The newest format this program writes.
        reader: u32,
    },
    /// Made with another engine than was asked for: ask for that one, or have it moved. Nothing was changed.
    #[error(
        "the store at {path} is kept by {found}, not {asked}; use: provost store migrate --to {asked} PLACE, or set engine = \"{found}\""
    )]
    OtherEngine {
        /// Where it is.
        path: PathBuf,
        /// The engine it has.
        found: &'static str,
        /// The engine that was asked for.
        asked: &'static str,
    },
    /// Another user's: act as that user.
    #[error("the store at {path} belongs to uid {owner}, this is uid {uid}; use: sudo -u '#{owner}' provost …")]
    Foreign {
        /// Where it is.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who asks.
        uid: u32,
    },
    /// The database lets nobody in like this: change the configuration or the rights.
    #[error("the database at {place} refuses: {said}")]
    Refused {
        /// Where it is, without user and password.
        place: String,
        /// Why.
        said: String,
    },
    /// Somebody was faster, or the lease is lost: read again, then decide again.
    #[error("the row or lease {0} changed in the meantime")]
    Conflict(String),
    /// It cannot be reached: wait, and try again. Whether a batch under way was written is not known; one that names the
    /// versions it rests on can be tried again all the same.
    #[error("the store cannot be reached: {0}")]
    Away(String),
    /// No room or a failing device: nothing of the batch was written.
    #[error("cannot write the store: {0}")]
    Io(#[from] std::io::Error),
    /// Too little room for a rewrite: make room first. Nothing was changed.
    #[error("rewriting the store at {path} needs {needed} bytes free, there are {free}; nothing was changed")]
    NoRoom {
        /// Where it is.
        path: PathBuf,
        /// Bytes it needs.
        needed: u64,
        /// Bytes there are.
        free: u64,
    },
    /// Too little room for the copy before a step of format: make room, or name another place. Nothing was changed.
    #[error(
        "the store at {path} is of an older format and is copied to {backups} before it is changed; that needs {needed} \
         bytes free, there are {free}; nothing was changed. Make room there, or set store.backups.path"
    )]
    NoRoomForCopy {
        /// The store.
        path: PathBuf,
        /// Where the copy would be.
        backups: PathBuf,
        /// Bytes it needs.
        needed: u64,
        /// Bytes there are.
        free: u64,
    },
    /// A row that this program wrote cannot be read back: report it.
    #[error("cannot decode {0}")]
    Codec(String),
}

/// A place to keep things. Reads that must agree name the same commit. All calls may block.
pub trait Store: Send + Sync {
    /// Where it stands.
    fn head(&self) -> Result<Head, StoreError>;

    /// A row as it stood at a commit (`None`: now); `None` if it was not there.
    fn get(&self, table: Table, key: &[u8], at: Option<CommitNo>) -> Result<Option<Row>, StoreError>;

    /// Several rows as they stand now, in the order asked for.
    fn get_many(&self, table: Table, keys: &[Vec<u8>]) -> Result<Vec<Option<Row>>, StoreError> {
        keys.iter().map(|key| self.get(table, key, None)).collect()
    }

    /// The keys of rows that begin with each of these prefixes, as they stand now: for each prefix the first `limit`.
    fn keys_below(&self, table: Table, prefixes: &[Vec<u8>], limit: usize) -> Result<Vec<Vec<Vec<u8>>>, StoreError> {
        prefixes.iter().map(|prefix| first_keys(self, table, &KeyRange::prefix(prefix), limit)).collect()
    }

    /// Visits the rows of a range in key order, as they stood at a commit (`None`: now). Deleted rows are left out.
    fn scan(
        &self,
        table: Table,
        range: &KeyRange,
        at: Option<CommitNo>,
        each: &mut Visit<'_>,
    ) -> Result<(), StoreError>;

    /// Every version kept of a row, oldest first, deletions included.
    fn versions(&self, table: Table, key: &[u8]) -> Result<Vec<Row>, StoreError>;

    /// The last commit whose time is not after `time`.
    fn commit_at(&self, time: Time) -> Result<CommitNo, StoreError>;

    /// Makes a batch durable, or changes nothing.
    fn commit(&self, batch: Batch) -> Result<Committed, StoreError>;

    /// Up to `limit` entries of a stream from a sequence number on.
    fn entries(&self, stream: &str, from: u64, limit: usize) -> Result<Vec<Entry>, StoreError>;

    /// Up to `limit` items of a queue that are due at `now`, the most overdue first.
    fn due(&self, queue: &str, now: Time, limit: usize) -> Result<Vec<(Time, Vec<u8>)>, StoreError>;

    /// Takes a lease until `until`, on the store's clock; `None` while anybody holds it, be it this holder.
    fn lease(&self, name: &str, holder: &str, now: Time, until: Time) -> Result<Option<Fence>, StoreError>;

    /// Prolongs a lease until `until`, on the store's clock; `false`, and nothing is changed, if it ran out, was given back
    /// or is somebody else's.
    fn renew(&self, fence: &Fence, now: Time, until: Time) -> Result<bool, StoreError>;

    /// Gives a lease back; harmless if it is lost already.
    fn release(&self, fence: &Fence) -> Result<(), StoreError>;

    /// Whether other processes may write too: then a batch must name the versions it rests on.
    fn shared(&self) -> bool;

    /// Takes the leases of up to `limit` due items that nobody holds, not even this holder, the most overdue first. Each
    /// claim is one holder's for the `term` from now until then, on the store's clock; the items stay in the queue.
    fn claim(&self, queue: &str, holder: &str, term: (Time, Time), limit: usize) -> Result<Vec<Claim>, StoreError>;

    /// Every lease that somebody holds or let run out, in the order of names; those given back are left out.
    fn leases(&self) -> Result<Vec<Held>, StoreError>;

    /// The store's clock: what leases are held against. `local` is the caller's own clock, for a store that has none.
    fn clock(&self, local: Time) -> Result<Time, StoreError>;

    /// Forgets versions replaced before a commit; gives the number forgotten.
    fn forget_before(&self, table: Table, commit: CommitNo) -> Result<u64, StoreError>;

    /// Takes the store apart: hands over everything it holds as of one commit, which it gives. Readers and writers go on
    /// beside it; the memory it takes has a bound. It ends at the first error of `each`.
    fn pieces(&self, each: &mut dyn FnMut(Piece) -> Result<(), StoreError>) -> Result<CommitNo, StoreError>;

    /// Puts a store together from the pieces of another: commit numbers, times, former versions and hashes stay. Only an
    /// empty store is filled, and pieces that contradict each other are refused. A store in which it ended half-way is
    /// none: nobody may use it before it is filled.
    fn rebuild(&self, next: &mut dyn FnMut() -> Result<Option<Piece>, StoreError>) -> Result<(), StoreError>;

    /// Forgets single former versions, at most [`crate::MAX_OPS`] of them; gives the number forgotten. Present versions stay,
    /// whatever is named. Whoever reads at a commit whose version is forgotten gets the version before it.
    fn forget_versions(&self, table: Table, which: &[(Vec<u8>, CommitNo)]) -> Result<u64, StoreError>;

    /// Keeps former versions of rows, of each those up to a commit, in as little room as it can; gives the bytes that saves.
    /// Whatever is asked is answered as before. At most [`crate::MAX_OPS`] rows at once.
    fn pack(&self, table: Table, which: &[(Vec<u8>, CommitNo)]) -> Result<u64, StoreError>;

    /// Does what was put off: for a time when nothing else is to do. Nothing is lost where it is never called.
    fn tidy(&self) -> Result<(), StoreError>;

    /// Reads everything through, beside readers and writers: whether it can be read and agrees with itself.
    fn check(&self) -> Result<Report, StoreError>;

    /// Bytes that must be free for a rewrite: one and a half times what is live.
    fn compaction_needs(&self) -> Result<u64, StoreError>;

    /// Rewrites what is live and gives the rest of the room back, beside readers and writers. Refused where there is not
    /// room enough; killed at any moment it has changed nothing or everything. In memory there is nothing to do.
    fn compact(&self) -> Result<Compacted, StoreError>;

    /// How much room there is.
    fn space(&self) -> Result<Space, StoreError>;
}

/// The first `limit` keys of a range.
pub(crate) fn first_keys<S: Store + ?Sized>(
    store: &S,
    table: Table,
    range: &KeyRange,
    limit: usize,
) -> Result<Vec<Vec<u8>>, StoreError> {
    let mut keys = Vec::new();
    store.scan(table, range, None, &mut |key, _| {
        if keys.len() < limit {
            keys.push(key.to_vec());
        }
        Ok(if keys.len() < limit { Go::On } else { Go::Stop })
    })?;
    Ok(keys)
}

/// The name of the lease of an item of a queue: `{queue}/{item}`. Whatever is not a letter, a digit or one of `-_.:@/`
/// is written as `%` and two hexadecimal digits, so that no two items share a lease.
pub fn lease_of(queue: &str, item: &[u8]) -> String {
    let mut name = format!("{queue}/");
    for byte in item {
        if byte.is_ascii_alphanumeric() || b"-_.:@/".contains(byte) {
            name.push(char::from(*byte));
        } else {
            name.push_str(&format!("%{byte:02x}"));
        }
    }
    name
}

impl KeyRange {
    /// Every key.
    pub fn all() -> Self {
        Self { from: Bound::Unbounded, to: Bound::Unbounded }
    }

    /// Every key that begins like this.
    pub fn prefix(prefix: &[u8]) -> Self {
        let mut end = prefix.to_vec();
        while let Some(last) = end.pop() {
            if last < u8::MAX {
                end.push(last + 1);
                return Self { from: Bound::Included(prefix.to_vec()), to: Bound::Excluded(end) };
            }
        }
        Self { from: Bound::Included(prefix.to_vec()), to: Bound::Unbounded }
    }
}
