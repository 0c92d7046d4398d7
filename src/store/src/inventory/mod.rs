//! The inventory as typed tables over any store: which rows there are, and how one is found.
//! It must never decide what a change means, nor hold an index that a record does not imply.

mod awaits;
mod draft;
mod evidence;
mod guardrails;
mod index;
mod links;
mod many;
mod motions;
mod outbox;
mod owners;
mod past;
mod read;
mod reads;
mod retention;
mod rows;
mod sagas;
mod shown;
mod tally;
mod tended;

pub use draft::Draft;
pub use index::digest;
pub use links::{GroupRow, HeldRow, KeyRef, LinkDraft, LinkedBy, LinkedPart, LinkedRow, PartedRow, Word};
pub use many::Sealed;
pub use motions::DECISIONS;
pub use outbox::{Gathering, StandingRow, TicketRow};
pub use read::{Inventory, Version};
pub use reads::Reads;
pub use retention::Passing;
pub use rows::{BaselineState, JudgedBy, MemberRow, RuleDigest, ScopeRow, SourceRow, UnderWay};
pub use sagas::KillSwitch;
pub use shown::{VIEWS, VIEWS_VERSION, shown};
pub use tended::Tended;

use crate::Table;

/// Records by id, with every former version: history is the difference between versions.
pub const RECORDS: Table = Table { name: "records", versioned: true };
/// Subject → all findings about it, with every former version.
pub const FINDINGS: Table = Table { name: "findings_of", versioned: true };
/// Digest of (realm, kind, external id) → record id.
const KEYS: Table = Table { name: "keys", versioned: false };
/// (scope, part, record id) → one byte of standing.
const PLACES: Table = Table { name: "places", versioned: false };
/// (digest of identity or container key, record id): who lives and dies with whom.
const TIES: Table = Table { name: "ties", versioned: false };
/// (digest of a fingerprint or key id, record id): places of one secret.
const MARKS: Table = Table { name: "marks", versioned: false };
/// (digest of a correlation key that is no mark, record id): who carries it.
const LINKS: Table = Table { name: "links", versioned: false };
/// Record → what was made of it when it was grouped last, with every former version.
const LINKED: Table = Table { name: "linked", versioned: true };
/// (sort of thing, id of its oldest record) → members of a group, with every former version: merges and splits.
const GROUPS: Table = Table { name: "groups", versioned: true };
/// Correlation key → why it does not unite some of its carriers.
const HELD_KEYS: Table = Table { name: "held_keys", versioned: false };
/// Word → which records an operator keeps apart, by whom, when and why; with every former version.
const PARTED: Table = Table { name: "parted", versioned: true };
/// (record, record, word): pairs that are kept apart now, both ways.
const APART: Table = Table { name: "apart", versioned: false };
/// (source, realm, path) → what is known of the scope.
const SCOPES: Table = Table { name: "scopes", versioned: false };
/// (scope, chunk) → bytes of the scope's cursor.
const CURSORS: Table = Table { name: "cursors", versioned: false };
/// (scope, record id): absences the brake holds back → when the listing that lacked them began, and its part.
const HELD: Table = Table { name: "held", versioned: false };
/// Source name → what is known of the source.
const SOURCES: Table = Table { name: "sources", versioned: false };
/// (source, run id) → the run.
const RUNS: Table = Table { name: "runs", versioned: false };
/// (subject, decision) → a decision on its way with all its steps, with every former version.
const MOTIONS: Table = Table { name: "motions", versioned: true };
/// Delivery → a letter on its way, or one that ended.
const OUTBOX: Table = Table { name: "outbox", versioned: false };
/// (route, lane, delivery): letters of a lane that did not end, in the order in which they leave.
const LANES: Table = Table { name: "lanes", versioned: false };
/// (route, subject) → what the route told of a case last.
const TOLD: Table = Table { name: "told", versioned: false };
/// (route, subject) → how the ticket of a case stood when it was asked for last.
const TICKETS: Table = Table { name: "tickets", versioned: false };
/// (route, address) → what is gathered for the next message.
const DIGESTS: Table = Table { name: "digests", versioned: false };
/// Saga → as it is, with its journal.
const SAGAS: Table = Table { name: "sagas", versioned: false };
/// Record id → what human beings said about its owner, with every former word.
pub const OWNER_WORDS: Table = Table { name: "owner_words", versioned: true };
/// Ids of the records that are persons and teams.
const PEOPLE: Table = Table { name: "people", versioned: false };
/// (scope, record id) → the time of the scope's reading on which the record was judged: it waits for the next one. Under the
/// scope alone: up to which reading those who waited were judged.
const AWAITS: Table = Table { name: "awaits", versioned: false };
/// Single values, such as the last scope number given.
const META: Table = Table { name: "meta", versioned: false };
/// Its row about [`JudgedBy`].
const JUDGED_BY: &[u8] = b"judged_by_rules";
/// The row that the first version kept instead: one digest of everything.
const JUDGED_BY_ALL: &[u8] = b"judged_by";
/// Its row about [`LinkedBy`].
const LINKED_BY: &[u8] = b"linked_by";
/// Its row that every commit writes in which a person or team changes.
const PEOPLE_CHANGED: &[u8] = b"people_changed";
/// Its row about [`Passing`].
const PASSING: &[u8] = b"passing";
/// Its row about [`Tended`].
const TENDED: &[u8] = b"tended";
/// With a source's name behind it: the source has a run of which not everything was judged.
const UNJUDGED: &[u8] = b"unjudged/";
/// With a daemon's id behind it: [`MemberRow`].
const MEMBER: &[u8] = b"member/";
/// With a writer's name behind it: the end of its chain of evidence.
const CHAIN: &[u8] = b"evidence/";
/// With a decision's id behind it: breakage is accepted where it is carried out.
const EMERGENCY: &[u8] = b"emergency/";
/// Its row about who stopped everything: [`KillSwitch`].
const KILL_SWITCH: &[u8] = b"kill_switch";
/// With a route's name behind it: the standing decision that enables it.
const STANDING: &[u8] = b"standing/";
/// With a guardrail's name behind it: the standing decision that lets it decide.
const GUARDRAIL: &[u8] = b"guardrail/";
/// With a route's and a source's name behind it: the route told what the source's first complete run found.
const BASELINE_TOLD: &[u8] = b"baseline_told/";
/// With a source's name behind it: how far its baseline had got when it was told of last.
const BASELINE_SEEN: &[u8] = b"baseline_seen/";
/// With a source's name behind it: the machine on which alone it can be looked at.
const MACHINE: &[u8] = b"machine_of/";

/// Sources that are to be looked at, under their names.
pub const WORK_QUEUE: &str = "work";
/// Turns that come round by a schedule, under their names.
pub const TURN_QUEUE: &str = "turn";
/// Records whose verdict may change by time alone.
pub const JUDGE_QUEUE: &str = "judge";
/// Subjects of which there may be something to tell.
pub const TELL_QUEUE: &str = "tell";
/// Letters that are due to be tried, and ended ones that are due to be forgotten.
pub const OUTBOX_QUEUE: &str = "outbox";
/// Sagas that are to go on.
pub const SAGA_QUEUE: &str = "saga";
/// Decisions to act that nobody has begun to carry out.
pub const ACT_QUEUE: &str = "act";
/// Subjects about which a guardrail may decide something.
pub const GUARD_QUEUE: &str = "guard";
/// Messages whose time of gathering is over.
pub const DIGEST_QUEUE: &str = "digest";
