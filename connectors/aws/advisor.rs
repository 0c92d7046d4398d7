//! Access advisor: which services privileged identities were granted and never used. A job for each, a few at leisure.
//! It must never take a job that did not end for an identity that uses nothing.

use std::{collections::HashSet, time::Duration};

use aws_sdk_iam::types::{JobStatusType, ServiceLastAccessed};
use provost_client::Failure;
use provost_model::{Cover, Cursor, Entity, Key, Scope, Time, Why, field};

use super::{
    authorization::time,
    lists::{self, paged},
    look::Looking,
    session::Session,
    told::{self, ToldOf},
};
use crate::{Emitter, Stopped};

const SCOPE: &str = "iam/access-advisor";
const GENERATE: &str = "iam:GenerateServiceLastAccessedDetails";
const GET: &str = "iam:GetServiceLastAccessedDetails";
/// How often a job is asked whether it has ended, and how long it is left alone meanwhile.
const ASKED_MAX: u32 = 20;
const PAUSE: Duration = Duration::from_millis(500);
/// Most elements of a page.
const PAGE: i32 = 1000;

/// An identity whose rights lead far enough to ask which of them it uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) key: Key,
    pub(super) name: String,
    pub(super) arn: String,
    /// Since when its uses are tracked.
    pub(super) since: Time,
}

/// Who was told of, and how far the round is.
#[derive(Debug, PartialEq, Eq)]
struct Position {
    since: Time,
    /// The id of whom the round came to last.
    after: String,
    told: ToldOf,
}

/// Asks about those whose turn it is. `alive` are the ids of all users and roles that there are.
pub(super) async fn turn(
    looking: &Looking<'_>,
    mut candidates: Vec<Candidate>,
    alive: &HashSet<String>,
    to: &mut Emitter,
) -> Result<(), Stopped> {
    let scope = Scope::new(looking.realm.clone(), SCOPE);
    let now = to.now();
    let mut position = looking.cursor(SCOPE).and_then(Position::read).unwrap_or_else(|| Position {
        since: now,
        after: String::new(),
        told: ToldOf::new(),
    });
    candidates.sort_unstable_by(|one, other| one.key.external.cmp(&other.key.external));
    let (due, since) = due(looking, candidates.len(), position.since, now);
    position.since = since;
    let start = candidates.partition_point(|it| it.key.external <= position.after);
    candidates.rotate_left(start);
    let gone: Vec<_> = position.told.iter().filter(|(_, id)| !alive.contains(id)).cloned().collect();
    let mut begun = !gone.is_empty();
    if begun {
        to.begin(&scope, None).await?;
    }
    for (kind, id) in gone {
        to.gone(&scope, Some(&id), now, Key::new(looking.realm.clone(), kind, id.as_str())).await?;
        position.told.remove(&(kind, id));
    }
    for candidate in candidates.into_iter().take(due) {
        let id = candidate.key.external.clone();
        match used(looking.session, &candidate.arn).await {
            Ok((services, at)) => {
                if !begun {
                    to.begin(&scope, None).await?;
                    begun = true;
                }
                position.told.insert((candidate.key.kind, id.clone()));
                to.see(&scope, Some(&id), at, entity(candidate, &services)).await?;
                to.cover(&scope, Some(&id), at, Cover::Full { next: None, atomic: true }).await?;
            }
            Err(failure) if failure.code == "NoSuchEntity" => {}
            Err(failure) => {
                super::count(looking.session, to).await?;
                return if begun {
                    to.partial(&scope, failure.why, failure.to_string()).await
                } else {
                    lists::failed(&scope, &failure.operation.clone(), &failure, to).await
                };
            }
        }
        position.after = id;
        super::count(looking.session, to).await?;
    }
    if !begun {
        to.begin(&scope, None).await?;
    }
    let now = to.now();
    to.cover(&scope, None, now, Cover::Delta { next: position.cursor() }).await
}

/// How many are due, and since when the next share grows.
fn due(looking: &Looking<'_>, all: usize, since: Time, now: Time) -> (usize, Time) {
    if looking.known.sweep_now {
        return (all, now);
    }
    let passed = (now - since).as_micros().max(0) as f64 / 1e6;
    let due = all as f64 * passed / looking.sweep_every.as_secs_f64().max(1.0);
    if due < 1.0 { (0, since) } else { ((due as usize).min(all), now) }
}

/// The services granted to an identity with their last uses, and when that was found out.
async fn used(session: &Session, arn: &str) -> Result<(Vec<ServiceLastAccessed>, Time), Failure> {
    let call = || session.sweeping.generate_service_last_accessed_details().arn(arn).send();
    let job =
        session.ask(GENERATE, call).await?.job_id.ok_or_else(|| malformed(GENERATE, "the answer names no job"))?;
    let mut asked = 0;
    let ended = loop {
        let call = || session.sweeping.get_service_last_accessed_details().job_id(&job).max_items(PAGE).send();
        let answer = session.ask(GET, call).await?;
        match answer.job_status {
            JobStatusType::Completed => break time(answer.job_completion_date),
            JobStatusType::InProgress if asked < ASKED_MAX => {
                asked += 1;
                session.wait(PAUSE * asked).await;
            }
            _ => return Err(Failure { why: Why::Unavailable, ..malformed(GET, "the job did not end") }),
        }
    };
    let job = job.as_str();
    let services = paged(GET, session, |marker| async move {
        let call = || {
            let request = session.sweeping.get_service_last_accessed_details().job_id(job).max_items(PAGE);
            request.set_marker(marker.clone()).send()
        };
        let page = session.ask(GET, call).await?;
        Ok((page.services_last_accessed, page.marker.filter(|_| page.is_truncated)))
    })
    .await?;
    Ok((services, ended))
}

fn entity(candidate: Candidate, services: &[ServiceLastAccessed]) -> Entity {
    let unused = services.iter().filter(|it| it.last_authenticated.is_none());
    let mut unused: Vec<String> = unused.map(|it| it.service_namespace.clone()).collect();
    unused.sort_unstable();
    Entity::new(candidate.key, candidate.name)
        .with(field::UNUSED_SERVICES, unused)
        .with(field::GRANTED_SERVICES, i64::try_from(services.len()).unwrap_or(i64::MAX))
        .with(field::ADVISOR_SINCE, candidate.since)
}

fn malformed(operation: &str, said: &str) -> Failure {
    Failure { operation: operation.to_owned(), why: Why::Malformed, code: String::new(), said: said.to_owned() }
}

impl Position {
    fn read(cursor: &Cursor) -> Option<Self> {
        let (first, told) = told::read(cursor)?;
        let (since, after) = first.split_once(' ')?;
        Some(Self { since: Time::from_micros(since.parse().ok()?), after: after.to_owned(), told })
    }

    fn cursor(&self) -> Cursor {
        told::cursor(&format!("{} {}", self.since.as_micros(), self.after), &self.told)
    }
}

#[cfg(test)]
mod tests {
    use provost_model::Kind;

    use super::*;

    #[test]
    fn a_position_survives_its_cursor() {
        let told = [(Kind::User, "AIDA1".to_owned()), (Kind::Role, "AROA1".to_owned())];
        let position = Position { since: Time::from_seconds(7), after: "AIDA1".into(), told: told.into() };
        assert_eq!(Position::read(&position.cursor()).unwrap(), position);
        let empty = Position { since: Time::from_seconds(7), after: String::new(), told: ToldOf::new() };
        assert_eq!(Position::read(&empty.cursor()).unwrap(), empty);
        assert!(Position::read(&Cursor(b"nonsense".to_vec())).is_none());
    }
}
