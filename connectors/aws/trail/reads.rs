//! Who read which secret of Secrets Manager, told beside what its listing says.
//! It must never keep a secret alive that the listing lacks, nor say since when reads are known where some may be missing.

use std::collections::BTreeMap;

use provost_client::Failure;
use provost_model::{Cover, Cursor, Entity, Key, Kind, Scope, Time, Why, field};
use serde::{Deserialize, Serialize};

use super::{
    Filed, KEPT, LATE,
    event::{Events, READ},
    history::{self, LOOKUP},
};
use crate::{
    Emitter, Stopped,
    aws::{
        count, lists,
        look::Looking,
        regional::{self, Kept, Secrets},
    },
};

/// Grows with the shape of what is remembered.
const VERSION: u32 = 1;
/// Most pages of the history for one region and run: a thousand reads, the newest.
const PAGES_MAX: usize = 20;
/// Most readers of one secret; those seen longest ago are forgotten.
const READERS_MAX: usize = 8;

/// What is known of reads in a region, over all runs. Times in seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    version: u32,
    /// Until when reads were looked for.
    until: i64,
    /// Since when every read is known.
    since: i64,
    /// Readers by secret, each with the time of the latest read.
    readers: BTreeMap<String, BTreeMap<String, i64>>,
}

/// What was found of one region: by what the reader called the secret, who and when.
struct Found<'a> {
    reads: Option<&'a BTreeMap<String, BTreeMap<String, Time>>>,
    /// Between these every read is known.
    from: Time,
    until: Time,
}

/// Tells who read the secrets of every region that has some.
pub(super) async fn look(
    looking: &Looking<'_>,
    secrets: &Secrets,
    filed: Option<&Filed>,
    to: &mut Emitter,
) -> Result<(), Stopped> {
    // A trail may leave out what only reads: its silence says nothing then.
    let filed = filed.filter(|filed| filed.reads);
    for (region, secrets) in secrets {
        let path = format!("{}/secretsmanager/reads", regional::path(region));
        let scope = Scope::new(looking.realm.clone(), path);
        let known = looking.cursor(&scope.path).and_then(Known::read).unwrap_or_default();
        if secrets.is_empty() && known.readers.is_empty() {
            continue;
        }
        let telling = Telling { looking, scope, secrets };
        if let Some(filed) = filed.filter(|filed| filed.from.as_seconds() <= known.until) {
            telling.tell(known, &[filed.of(region)], to).await?;
            continue;
        }
        let now = to.now();
        let from = (Time::from_seconds(known.until) - LATE).max(now - KEPT);
        let read = asked(looking, region, (from, now)).await;
        count(looking.session, to).await?;
        match (read, filed) {
            (Ok((events, from)), _) => {
                let asked = Found { reads: events.reads.get(region.as_str()), from, until: now };
                // The history may lag behind a file.
                let found: Vec<_> = [asked].into_iter().chain(filed.map(|filed| filed.of(region))).collect();
                telling.tell(known, &found, to).await?;
            }
            (Err(failure), Some(filed)) if failure.why == Why::Denied => {
                lists::failed(&telling.scope, LOOKUP.operation, &failure, to).await?;
                telling.tell(known, &[filed.of(region)], to).await?;
            }
            (Err(failure), _) => {
                lists::failed(&telling.scope, LOOKUP.operation, &failure, to).await?;
                if failure.why == Why::Denied {
                    // It is one permission for all regions.
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

/// Asks the history, and says from when on what it gave is everything.
async fn asked(looking: &Looking<'_>, region: &str, (from, until): (Time, Time)) -> Result<(Events, Time), Failure> {
    let found = history::events(looking, (region, READ), (from, until), PAGES_MAX).await?;
    let oldest = found.events.iter().map(super::event::Event::at).min();
    let mut events = Events::default();
    found.events.iter().for_each(|event| events.take(event));
    Ok((events, if found.whole { from } else { oldest.unwrap_or(until) }))
}

impl Filed {
    fn of(&self, region: &str) -> Found<'_> {
        Found { reads: self.events.reads.get(region), from: self.from, until: self.until }
    }
}

struct Telling<'a> {
    looking: &'a Looking<'a>,
    scope: Scope,
    secrets: &'a [Kept],
}

impl Telling<'_> {
    async fn tell(&self, mut known: Known, found: &[Found<'_>], to: &mut Emitter) -> Result<(), Stopped> {
        let before = known.clone();
        found.iter().for_each(|found| known.take(self.secrets, found));
        to.begin(&self.scope, None).await?;
        let now = to.now();
        let by_arn: BTreeMap<&str, &Kept> = self.secrets.iter().map(|it| (it.arn.as_str(), it)).collect();
        let key = |arn: &str| Key::new(self.looking.realm.clone(), Kind::Secret, arn);
        for arn in before.readers.keys().filter(|arn| !by_arn.contains_key(arn.as_str())) {
            to.gone(&self.scope, None, now, key(arn)).await?;
        }
        known.readers.retain(|arn, _| by_arn.contains_key(arn.as_str()));
        for (arn, readers) in &known.readers {
            let is_told = before.since == known.since && before.readers.get(arn) == Some(readers);
            let Some(secret) = by_arn.get(arn.as_str()).filter(|_| !is_told) else { continue };
            let words = readers.iter().map(|(who, at)| (who.clone(), Time::from_seconds(*at).to_string()));
            let entity = Entity::new(key(arn), secret.name.as_str())
                .with(field::READERS, words.collect::<BTreeMap<_, _>>())
                .with(field::READS_SINCE, Time::from_seconds(known.since));
            to.see(&self.scope, None, now, entity).await?;
        }
        to.cover(&self.scope, None, now, Cover::Delta { next: known.cursor() }).await
    }
}

impl Known {
    fn read(cursor: &Cursor) -> Option<Self> {
        serde_json::from_slice::<Self>(&cursor.0).ok().filter(|it| it.version == VERSION)
    }

    fn cursor(&self) -> Cursor {
        Cursor(serde_json::to_vec(self).unwrap_or_default())
    }

    /// Adds what was found, of secrets that there are.
    fn take(&mut self, secrets: &[Kept], found: &Found<'_>) {
        let from = found.from.as_seconds();
        if self.version != VERSION || from > self.until {
            // Between the last run and this something is missing, or nothing was known.
            self.since = from;
        }
        self.version = VERSION;
        self.until = found.until.as_seconds().max(self.until);
        let names = names(secrets);
        for (called, readers) in found.reads.into_iter().flatten() {
            let Some(secret) = names.get(called.as_str()) else { continue };
            for (who, at) in readers {
                // A name may have been another secret's before.
                if secret.created.is_none_or(|created| created <= *at) {
                    note(self.readers.entry(secret.arn.clone()).or_default(), who, at.as_seconds());
                }
            }
        }
    }
}

/// Secrets by whatever a reader may call them: ARN, ARN without what stands at its end by chance, or name.
fn names(secrets: &[Kept]) -> BTreeMap<&str, &Kept> {
    let mut names = BTreeMap::new();
    for secret in secrets {
        // Six characters behind a hyphen.
        let short = secret.arn.rsplit_once('-').filter(|(_, end)| end.len() == 6).map(|(short, _)| short);
        names.extend(short.map(|short| (short, secret)));
        names.insert(secret.name.as_str(), secret);
    }
    // What is whole goes before what is only called alike.
    names.extend(secrets.iter().map(|secret| (secret.arn.as_str(), secret)));
    names
}

fn note(readers: &mut BTreeMap<String, i64>, who: &str, at: i64) {
    let latest = readers.entry(who.to_owned()).or_insert(at);
    *latest = at.max(*latest);
    if readers.len() > READERS_MAX
        && let Some(oldest) = readers.iter().min_by_key(|(_, at)| **at).map(|(who, _)| who.clone())
    {
        readers.remove(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Time {
        Time::from_seconds(seconds)
    }

    fn secret(name: &str, created: i64) -> Kept {
        let arn = format!("arn:aws:secretsmanager:eu-west-1:1:secret:{name}-AbCdEf");
        Kept { arn, name: name.to_owned(), created: Some(at(created)) }
    }

    fn take(known: &mut Known, (from, until): (i64, i64), reads: &[(&str, &str, i64)]) {
        let mut found: BTreeMap<String, BTreeMap<String, Time>> = BTreeMap::new();
        for (called, who, when) in reads {
            found.entry((*called).to_owned()).or_default().insert((*who).to_owned(), at(*when));
        }
        let secrets = [secret("app/db", 100), secret("app", 100)];
        known.take(&secrets, &Found { reads: Some(&found), from: at(from), until: at(until) });
    }

    #[test]
    fn a_secret_is_known_by_name_and_by_arn_and_not_for_what_bore_its_name_before() {
        let (mut known, arn) = (Known::default(), secret("app/db", 100).arn);
        let short = arn.trim_end_matches("-AbCdEf").to_owned();
        let reads =
            [("app/db", "a", 200), (arn.as_str(), "b", 300), (&short, "c", 250), ("app/db", "d", 50), ("x", "e", 1)];
        take(&mut known, (0, 400), &reads);
        let readers: Vec<_> = known.readers[&arn].iter().map(|(who, at)| (who.as_str(), *at)).collect();
        assert_eq!(readers, [("a", 200), ("b", 300), ("c", 250)]);
        assert_eq!(known.readers.len(), 1);
        assert_eq!(Known::read(&known.cursor()).as_ref(), Some(&known));
        assert_eq!(Known::read(&Cursor(b"nonsense".to_vec())), None);
    }

    #[test]
    fn since_when_reads_are_known_moves_where_some_are_missing() {
        let mut known = Known::default();
        take(&mut known, (10, 400), &[]);
        take(&mut known, (300, 500), &[("app", "a", 450)]);
        assert_eq!((known.since, known.until), (10, 500));
        take(&mut known, (600, 700), &[]);
        assert_eq!((known.since, known.until), (600, 700), "a hundred seconds were not seen");
    }

    #[test]
    fn those_who_read_last_are_kept() {
        let mut readers = BTreeMap::new();
        (0..100).for_each(|number| note(&mut readers, &format!("reader-{number:03}"), number));
        note(&mut readers, "reader-099", 1);
        assert_eq!((readers.len(), readers["reader-099"], readers["reader-092"]), (READERS_MAX, 99, 92));
    }
}
