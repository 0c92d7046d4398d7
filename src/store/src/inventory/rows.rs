//! What is kept of a source and of a scope between runs.
//! It must never hold what a record holds.

use provost_model::{KeyDigest, Realm, RecordId, RunId, Scope, ScopeNo, Time};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::StoreError;

/// Version of the rows of this file.
const VERSION: u8 = 1;

/// How far a source's baseline got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum BaselineState {
    /// No complete run yet.
    #[default]
    None,
    /// The first complete run is in; its findings wait for a word.
    Taken,
    /// Its findings are known and accepted as the starting point.
    Accepted,
    /// Its findings are to be worked off like all others.
    Working,
}

impl BaselineState {
    /// The word used in interfaces.
    pub fn word(self) -> &'static str {
        match self {
            BaselineState::None => "none",
            BaselineState::Taken => "taken",
            BaselineState::Accepted => "accepted",
            BaselineState::Working => "working",
        }
    }
}

/// What is kept of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRow {
    /// The authority it met first. A run that meets another one stops.
    pub realm: Option<Realm>,
    /// Another authority that a run met and was stopped by.
    pub met: Option<Realm>,
    /// When its first complete run ended.
    pub first_complete: Option<Time>,
    /// When its last complete run ended.
    pub last_complete: Option<Time>,
    /// The last run.
    pub last_run: Option<RunId>,
    /// How far the baseline got.
    pub baseline: BaselineState,
    /// When it is due again, as computed by the scheduler.
    pub next_run: Option<Time>,
    /// Why it is retired, if it is.
    pub retired: Option<String>,
    /// Whether its credential could write, as far as seen.
    pub could_write: Option<String>,
    /// When its credential stops working, if known.
    pub credential_expires: Option<Time>,
    /// What operators said about it, and when: releases, new realms, retirement, baseline.
    pub words: Vec<(Time, String)>,
}

/// What is kept of a scope of a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeRow {
    /// Its short name.
    pub number: ScopeNo,
    /// The source that lists it.
    pub source: String,
    /// What it is.
    pub scope: Scope,
    /// The record it hangs on.
    pub hangs_on: Option<KeyDigest>,
    /// Whether it is in the selection.
    pub watched: bool,
    /// When it was last covered by a full, delta or unchanged reading: `last_seen` of what stands in it.
    pub covered_at: Option<Time>,
    /// When a full reading last ended.
    pub full_at: Option<Time>,
    /// The provider's time of the last cover.
    pub as_of: Option<Time>,
    /// How the last reading ended: `full`, `delta`, `unchanged`, `partial`.
    pub last_cover: String,
    /// Digest of whatever makes the cursor worthless when it differs.
    pub made_by: [u8; 16],
    /// Chunks the cursor takes.
    pub cursor_chunks: u16,
    /// Statements of this scope that stand as seen.
    pub present: u64,
    /// Absences held back.
    pub held: u64,
}

impl ScopeRow {
    /// A scope that was never read.
    pub fn new(number: ScopeNo, source: &str, scope: Scope) -> Self {
        Self {
            number,
            source: source.to_owned(),
            scope,
            hangs_on: None,
            watched: true,
            covered_at: None,
            full_at: None,
            as_of: None,
            last_cover: String::new(),
            made_by: [0; 16],
            cursor_chunks: 0,
            present: 0,
            held: 0,
        }
    }
}

/// By what the records are judged, rule by rule, and what is being judged anew.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JudgedBy {
    /// For each rule by which every record was judged, what it judged by.
    pub rules: Vec<RuleDigest>,
    /// Rules by which records are being judged anew.
    pub under_way: Option<UnderWay>,
}

/// A rule, and the digest of whatever its verdicts rest on beside the records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleDigest {
    /// Its id.
    pub rule: String,
    /// Of its version, its figures and, if it asks for owners, where those are named.
    pub digest: [u8; 16],
}

/// How far judging anew got.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnderWay {
    /// By which rules.
    pub rules: Vec<RuleDigest>,
    /// The last record that was judged, in the order of ids.
    pub up_to: Option<RecordId>,
}

/// A daemon at work on the store, for as long as it holds the lease of its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRow {
    /// Its id, made when it started: what it holds leases as.
    pub id: String,
    /// The machine it runs on.
    pub host: String,
    /// Its process id there.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// When it started.
    pub since: Time,
}

pub(super) fn encode<T: Serialize>(row: &T) -> Result<Vec<u8>, StoreError> {
    postcard::to_extend(row, vec![VERSION]).map_err(|error| StoreError::Codec(error.to_string()))
}

pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8], what: &str) -> Result<T, StoreError> {
    match bytes.split_first() {
        Some((&VERSION, row)) => {
            postcard::from_bytes(row).map_err(|error| StoreError::Codec(format!("{what}: {error}")))
        }
        Some((version, _)) => Err(StoreError::Codec(format!("{what}: version {version} is not known here"))),
        None => Err(StoreError::Codec(format!("{what}: empty"))),
    }
}
