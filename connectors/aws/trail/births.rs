//! Who made users, roles and access keys.
//! It must never tell of what is not there any more.

use std::collections::HashSet;

use provost_client::Failure;
use provost_model::{Cover, Cursor, Entity, Key, Kind, Scope, Span, Time, Why, field};

use super::{
    Filed, KEPT, LATE,
    event::{BIRTHS, DEATH, Events},
    history::{self, LOOKUP},
};
use crate::{
    Emitter, Stopped,
    aws::{
        count, lists,
        look::Looking,
        signed::failed,
        told::{self, ToldOf},
    },
};

const SCOPE: &str = "cloudtrail/births";
/// What is read between two checkpoints.
const WINDOW: Span = Span::days(10);
/// Most pages of the history for one window and name.
const PAGES_MAX: usize = 10_000;

/// Until when events were read, and of whom was told.
#[derive(Debug, PartialEq, Eq)]
struct Position {
    until: Time,
    told: ToldOf,
}

/// The region in which a partition keeps the events of IAM.
fn home(region: &str) -> &'static str {
    match region {
        _ if region.starts_with("cn-") => "cn-north-1",
        _ if region.starts_with("us-gov-") => "us-gov-west-1",
        _ => "us-east-1",
    }
}

/// Tells who made what, of whatever is alive: `alive` are the ids of all users and roles that there are.
pub(super) async fn look(
    looking: &Looking<'_>,
    alive: &HashSet<String>,
    filed: Option<&Filed>,
    to: &mut Emitter,
) -> Result<(), Stopped> {
    let now = to.now();
    let oldest = now - KEPT;
    let known = looking.cursor(SCOPE).and_then(Position::read);
    let position = known.unwrap_or_else(|| Position { until: oldest, told: ToldOf::new() });
    let mut telling = Telling { looking, scope: Scope::new(looking.realm.clone(), SCOPE), alive, position };
    if let Some(filed) = filed.filter(|filed| filed.from <= telling.position.until) {
        return telling.tell(&filed.events, filed.until, to).await;
    }
    let mut from = (telling.position.until - LATE).max(oldest);
    while from < now {
        let until = (from + WINDOW).min(now);
        let read = window(looking, (from, until)).await;
        count(looking.session, to).await?;
        match read {
            Ok(events) => telling.tell(&events, until, to).await?,
            // What was told stands, and the next run goes on from the last checkpoint.
            Err(failure) => {
                lists::failed(&telling.scope, LOOKUP.operation, &failure, to).await?;
                return match filed {
                    // What lies between is not known; that the history cannot be asked was said.
                    Some(filed) if failure.why == Why::Denied => telling.tell(&filed.events, filed.until, to).await,
                    _ => Ok(()),
                };
            }
        }
        from = until;
    }
    match filed {
        // The history may lag behind a file.
        Some(filed) => telling.tell(&filed.events, filed.until, to).await,
        None => Ok(()),
    }
}

async fn window(looking: &Looking<'_>, between: (Time, Time)) -> Result<Events, Failure> {
    let mut events = Events::default();
    for name in BIRTHS.iter().map(|(name, ..)| *name).chain([DEATH]) {
        let found = history::events(looking, (home(looking.session.region()), name), between, PAGES_MAX).await?;
        if !found.whole {
            let said = "the history of ten days is longer than any should be";
            return Err(Failure { why: Why::Malformed, ..failed(LOOKUP.operation, said) });
        }
        found.events.iter().for_each(|event| events.take(event));
    }
    Ok(events)
}

struct Telling<'a> {
    looking: &'a Looking<'a>,
    scope: Scope,
    alive: &'a HashSet<String>,
    position: Position,
}

impl Telling<'_> {
    /// Tells what events say, and of those who are gone since they were told of.
    async fn tell(&mut self, events: &Events, until: Time, to: &mut Emitter) -> Result<(), Stopped> {
        to.begin(&self.scope, None).await?;
        let is_gone = |(kind, id): &&(Kind, String)| match kind {
            Kind::AccessKey => events.deaths.contains(id),
            _ => !self.alive.contains(id),
        };
        let gone: Vec<_> = self.position.told.iter().filter(is_gone).cloned().collect();
        for (kind, id) in gone {
            let now = to.now();
            to.gone(&self.scope, None, now, Key::new(self.looking.realm.clone(), kind, id.as_str())).await?;
            self.position.told.remove(&(kind, id));
        }
        for (id, birth) in &events.births {
            let is_there = match id.0 {
                Kind::AccessKey => !events.deaths.contains(&id.1),
                _ => self.alive.contains(&id.1),
            };
            if !is_there {
                continue;
            }
            let key = Key::new(self.looking.realm.clone(), id.0, id.1.as_str());
            let entity = Entity::new(key, birth.name.as_str()).with(field::CREATED_BY, birth.by.clone());
            self.position.told.insert(id.clone());
            to.see(&self.scope, None, birth.at, entity).await?;
        }
        self.position.until = until.max(self.position.until);
        let next = self.position.cursor();
        to.cover(&self.scope, None, until, Cover::Delta { next }).await
    }
}

impl Position {
    fn read(cursor: &Cursor) -> Option<Self> {
        let (until, told) = told::read(cursor)?;
        Some(Self { until: Time::from_micros(until.parse().ok()?), told })
    }

    fn cursor(&self) -> Cursor {
        told::cursor(&self.until.as_micros().to_string(), &self.told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_survives_its_cursor() {
        let told = [(Kind::AccessKey, "AKIA1".to_owned())].into();
        let position = Position { until: Time::from_seconds(7), told };
        assert_eq!(Position::read(&position.cursor()).unwrap(), position);
        assert!(Position::read(&Cursor(b"nonsense".to_vec())).is_none());
    }
}
