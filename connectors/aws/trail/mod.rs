//! CloudTrail: who made what, and who read which secret; from the files of a trail in S3, or from the event history.
//! It must never take an attempt that failed for something that was done, nor silence for proof where events are missing.

mod births;
mod bucket;
mod event;
mod files;
mod history;
mod reads;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use provost_client::Failure;
use provost_model::{Span, Time};

use super::{look::Looking, regional::Secrets, session::Session, settings::Trail};
use crate::{Emitter, Stopped};

/// How late events may come: CloudTrail promises an average of five minutes.
const LATE: Span = Span::hours(1);
/// How long the event history keeps events.
const KEPT: Span = Span::days(90);

/// What the files of a trail say that were written since the last run.
struct Filed {
    events: event::Events,
    /// From when on every event stands in a file that was read, in this run or before.
    from: Time,
    until: Time,
    /// Whether the trail writes down what only reads.
    reads: bool,
    next: files::Position,
}

/// Tells who made what of the people there are, if all could be listed, and who read the secrets there are.
pub(super) async fn look(
    looking: &Looking<'_>,
    people: Option<&HashSet<String>>,
    secrets: &Secrets,
    to: &mut Emitter,
) -> Result<(), Stopped> {
    let filed = match looking.trail {
        Some(trail) => files::read_on(looking, trail, to).await?,
        None => None,
    };
    if let Some(people) = people {
        births::look(looking, people, filed.as_ref(), to).await?;
    }
    reads::look(looking, secrets, filed.as_ref(), to).await?;
    // Last of all: a run that ends before this reads the same files again.
    match filed {
        Some(filed) => files::end(looking, &filed.next, to).await,
        None => Ok(()),
    }
}

/// Whether the trail's bucket can be listed.
pub(super) async fn tried(session: &Session, trail: &Trail) -> Result<(), Failure> {
    bucket::Bucket::new(session, trail).tried().await
}
