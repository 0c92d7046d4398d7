//! The verbs: what follows from what was seen. Pure and synchronous; time and policy are arguments.
//! It must never do I/O, ask the time, or depend on the order in which it is called.

pub mod absence;
#[cfg(any(test, feature = "testing"))]
mod dice;
pub mod environment;
pub mod explain;
pub mod govern;
pub mod judge;
pub mod link;
pub mod own;
pub mod reconcile;
pub mod rotate;
pub mod rules;
pub mod severity;
pub mod tell;
pub mod thresholds;

pub use explain::{Told, explain};
pub use judge::{
    Case, Hearing, Judgement, Measure, finding_id, judge, judge_case, judge_record, rejudge, source_subject,
    store_subject, withdraw,
};
pub use own::{Attribution, Owning, Roster};
pub use rules::{Covered, Neighbour, News, Outcome, Place, Relation, Rule, SourceView, Subject, Verdict, View};
pub use thresholds::{Policy, PolicyConfig, Thresholds};
