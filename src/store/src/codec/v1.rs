//! Version 1 of the disk forms: numbers for words, so that renaming a word in the model alters nothing on disk.
//! It must never change: a new form is a new version beside it.

use serde::{Deserialize, Serialize};

/// Texts are borrowed from the model when written and from the row when read: records are what there is most of.
#[derive(Serialize, Deserialize)]
pub(super) struct Record<'a> {
    pub(super) id: [u8; 16],
    pub(super) kind: u8,
    pub(super) realm: &'a str,
    #[serde(borrow)]
    pub(super) externals: Vec<&'a str>,
    #[serde(borrow)]
    pub(super) identity: Option<Key<'a>>,
    #[serde(borrow)]
    pub(super) container: Option<Key<'a>>,
    pub(super) first_seen: i64,
    pub(super) baseline: bool,
    #[serde(borrow)]
    pub(super) statements: Vec<Statement<'a>>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Key<'a> {
    /// `None`: the record's own.
    #[serde(borrow)]
    pub(super) realm: Option<&'a str>,
    pub(super) kind: u8,
    pub(super) external: &'a str,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Statement<'a> {
    pub(super) scope: u32,
    pub(super) part: u64,
    pub(super) as_of: i64,
    /// Time after `as_of`, in microseconds: a small number nearly always.
    pub(super) recorded_after: i64,
    pub(super) standing: Standing,
    #[serde(borrow)]
    pub(super) facts: Vec<(u16, Reading<'a>)>,
}

#[derive(Serialize, Deserialize)]
pub(super) enum Standing {
    Seen,
    Missing(i64),
    GoneAbsent,
    GoneTold,
    GoneContainer,
    GoneMerged,
    Unwatched,
}

/// A reading; the known ones by the shape of their value.
#[derive(Serialize, Deserialize)]
pub(super) enum Reading<'a> {
    Never,
    NotReported,
    NotPermitted,
    NotCollected,
    Bool(bool),
    Int(i64),
    Time(i64),
    Text(&'a str),
    List(#[serde(borrow)] Vec<&'a str>),
    Map(#[serde(borrow)] Vec<(&'a str, &'a str)>),
}

#[derive(Serialize, Deserialize)]
pub(super) struct Findings<'a> {
    pub(super) subject: [u8; 16],
    pub(super) external_id: &'a str,
    pub(super) source: Option<&'a str>,
    #[serde(borrow)]
    pub(super) findings: Vec<Finding<'a>>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Finding<'a> {
    pub(super) id: [u8; 16],
    pub(super) rule: &'a str,
    pub(super) rule_version: u32,
    pub(super) state: u8,
    pub(super) severity: u8,
    #[serde(borrow)]
    pub(super) severity_steps: Vec<&'a str>,
    pub(super) opened_at: i64,
    pub(super) opened_as_of: i64,
    pub(super) resolved_at: Option<i64>,
    pub(super) resolution: Option<u8>,
    pub(super) unconfirmed_since: Option<i64>,
    pub(super) baseline: bool,
    pub(super) because: &'a str,
    pub(super) until: Option<i64>,
    pub(super) policy: &'a str,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) id: [u8; 16],
    pub(super) source: String,
    pub(super) realm: Option<String>,
    pub(super) started: i64,
    pub(super) ended: Option<i64>,
    pub(super) outcome: u8,
    pub(super) scopes: Vec<ScopeReport>,
    pub(super) troubles: Vec<Trouble>,
    pub(super) calls: Vec<CallCount>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct ScopeReport {
    pub(super) scope: String,
    pub(super) cover: String,
    /// seen, appeared, changed, returned, missing, gone, held.
    pub(super) counts: [u64; 7],
}

#[derive(Serialize, Deserialize)]
pub(super) struct Trouble {
    pub(super) place: String,
    pub(super) why: u8,
    pub(super) said: String,
    pub(super) blind_spot: bool,
}

#[derive(Serialize, Deserialize)]
pub(super) struct CallCount {
    pub(super) operation: String,
    pub(super) sent: u64,
    pub(super) throttled: u64,
}

/// The place of a value in a table of all values, as the number on disk.
pub(super) fn code<T: PartialEq>(table: &[T], value: &T) -> u8 {
    // Tables hold every value of their enum and fewer than 256; a value that is lacking would not decode.
    table.iter().position(|it| it == value).and_then(|at| u8::try_from(at).ok()).unwrap_or(u8::MAX)
}

/// The value of a number on disk.
pub(super) fn from_code<T: Copy>(table: &[T], code: u8) -> Option<T> {
    table.get(usize::from(code)).copied()
}
