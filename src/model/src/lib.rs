//! The nouns of Provost: what connectors see, what the inventory keeps, what rules say of it.
//! It must never do anything: no I/O, no clock, no randomness, no asynchronous code.

mod believed;
mod change;
mod clock;
mod correlation;
mod decision;
pub mod door;
mod entity;
pub mod field;
mod finding;
mod key;
mod kind;
mod motion;
mod owner;
mod reading;
mod record;
mod run;
mod saga;
mod scope;
mod secret;
mod telling;
mod time;

pub use believed::Believed;
pub use change::{Change, FieldChange, What};
pub use clock::Clock;
pub use correlation::{CorrelationKey, Sort, Unites};
pub use decision::{Decision, DecisionId, Errand, Order, Purpose, Recorded, Remedy, Ruling, Warrant};
pub use entity::Entity;
pub use field::{Attr, Facts, Field, FieldSet, Value};
pub use finding::{Finding, FindingId, FindingState, Resolution, Severity};
pub use key::{Key, KeyDigest, MalformedId, Realm, RecordId};
pub use kind::{Kind, Noun, UnknownKind};
pub use motion::{Motion, Move, Stage, Step};
pub use owner::{OtherOwner, Owner, OwnerEvidence, OwnerWord, Party, Signal};
pub use reading::Reading;
pub use record::{Because, Presence, Record, Standing, Statement, Status};
pub use run::{CallCount, Outcome, Run, RunId, ScopeReport, Trouble, Why};
pub use saga::{Act, Course, Doing, Ending, Entry, New, Phase, Placed, Saga, SagaId, Slot, Target};
pub use scope::{Cover, Cursor, PartId, Scope, ScopeNo, Sighting};
pub use secret::{Fingerprint, MalformedFingerprint};
pub use telling::{About, CaseNote, Delivery, DeliveryId, Digest, Event, Leaving, Told};
pub use time::{MalformedTime, Span, Time};
