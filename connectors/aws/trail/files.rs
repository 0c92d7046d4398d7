//! The log files that a trail writes into a bucket, read on from where the last run got to.
//! It must never take a file for read that was not, nor the silence of a trail that is broken for an account's.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, stream::FuturesOrdered};
use provost_client::Failure;
use provost_model::{Cover, Cursor, Scope, Span, Time, Trouble, Why};
use serde::{Deserialize, Serialize};

use super::{
    Filed, LATE,
    bucket::Bucket,
    event::{Event, Events},
};
use crate::{
    Emitter, Stopped,
    aws::{
        count, lists,
        look::Looking,
        session::stopped,
        settings::{Trail, is_region},
    },
};

const SCOPE: &str = "cloudtrail/files";
/// Grows with the shape of what is remembered.
const VERSION: u32 = 1;
/// How far back the first run reads: what is older the event history tells.
const FIRST: Span = Span::days(1);
/// A trail that wrote nothing for so long has stopped: what looks here leaves traces by itself.
const OLD: Span = Span::days(1);
/// Most files of one region read in one run: a week of one every five minutes. The next run goes on.
const FILES_MAX: usize = 2_000;
/// Files asked for at a time.
const AT_ONCE: usize = 8;
/// How every file's name ends.
const END: &str = ".json.gz";

/// How far the files were read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    version: u32,
    /// Until when every event stands in a file that was read, in seconds.
    until: i64,
    /// Whether the trail writes down what only reads, by the newest files.
    reads: bool,
    regions: BTreeMap<String, Reached>,
}

/// How far those of a region were read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Reached {
    /// The time of the newest, in seconds.
    until: i64,
    /// Names of the newest, of the time within which others may still come.
    names: BTreeSet<String>,
}

/// A file that is to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
struct File {
    key: String,
    name: String,
    /// The end of the time it is about, in seconds.
    at: i64,
}

#[derive(Deserialize)]
struct Records {
    #[serde(rename = "Records")]
    records: Vec<Event>,
}

/// Reads what was written since the last run; nothing where that cannot be told, which is said.
pub(super) async fn read_on(looking: &Looking<'_>, trail: &Trail, to: &mut Emitter) -> Result<Option<Filed>, Stopped> {
    let scope = Scope::new(looking.realm.clone(), SCOPE);
    let now = to.now();
    let known = looking.cursor(SCOPE).and_then(Position::read).unwrap_or_else(|| Position::first(now));
    let bucket = Bucket::new(looking.archive, trail);
    let base = format!("{}/{}/CloudTrail/", trail.prefix, looking.account);
    let mut reading = Reading { looking, bucket, base, events: Events::default(), taken: 0, refused: 0 };
    let read = Box::pin(reading.all(known.clone())).await;
    count(looking.session, to).await?;
    let Reading { base, events, taken, refused, .. } = reading;
    let trouble = |why, said| Trouble { place: SCOPE.to_owned(), why, said, blind_spot: true };
    if refused > 0 {
        to.trouble(trouble(Why::Malformed, format!("{refused} files of the trail make no sense"))).await?;
    }
    let mut next = match read {
        Ok(next) => next,
        Err(failure) => {
            lists::failed(&scope, &failure.operation.clone(), &failure, to).await?;
            return Ok(None);
        }
    };
    let newest = Time::from_seconds(next.regions.values().map(|it| it.until).max().unwrap_or_default());
    if now - newest >= OLD {
        let place = format!("s3://{}/{base}", trail.bucket);
        let said = format!("nothing was written below {place} for a day: is this the trail's place, and is it on?");
        to.trouble(trouble(Why::Stale, said)).await?;
        return Ok(None);
    }
    next.reads = if taken > 0 { events.any_read } else { known.reads };
    let (from, until) = (Time::from_seconds(known.until), Time::from_seconds(next.until));
    Ok(Some(Filed { events, from, until, reads: next.reads, next }))
}

/// Remembers how far the files were read, once what they say is told.
pub(super) async fn end(looking: &Looking<'_>, next: &Position, to: &mut Emitter) -> Result<(), Stopped> {
    let scope = Scope::new(looking.realm.clone(), SCOPE);
    to.begin(&scope, None).await?;
    let now = to.now();
    to.cover(&scope, None, now, Cover::Delta { next: next.cursor() }).await
}

struct Reading<'a> {
    looking: &'a Looking<'a>,
    bucket: Bucket<'a>,
    /// What stands before the region.
    base: String,
    events: Events,
    taken: usize,
    refused: usize,
}

impl Reading<'_> {
    /// Reads the new files of every region.
    async fn all(&mut self, mut position: Position) -> Result<Position, Failure> {
        let mut behind: Option<i64> = None;
        for region in self.regions().await? {
            let first = Reached { until: position.until, names: BTreeSet::new() };
            let reached = position.regions.entry(region.clone()).or_insert(first);
            let (files, whole) = self.news(&region, reached).await?;
            self.take(&files).await?;
            for file in files {
                reached.until = file.at.max(reached.until);
                reached.names.insert(file.name);
            }
            let oldest = (Time::from_seconds(reached.until) - LATE).as_seconds();
            reached.names.retain(|name| time(name).is_some_and(|at| at >= oldest));
            if !whole {
                behind = Some(behind.map_or(reached.until, |before| before.min(reached.until)));
            }
        }
        let newest = position.regions.values().map(|it| it.until).max().unwrap_or_default();
        position.until = behind.unwrap_or(newest).max(position.until);
        Ok(position)
    }

    /// The regions below which there are files.
    async fn regions(&self) -> Result<Vec<String>, Failure> {
        let (mut regions, mut token) = (Vec::new(), None);
        loop {
            let words = [
                ("prefix", Some(self.base.as_str())),
                ("delimiter", Some("/")),
                ("continuation-token", token.as_deref()),
            ];
            let page = self.bucket.list(&words).await?;
            let names = page.prefixes.iter().filter_map(|it| it.strip_prefix(&self.base)?.strip_suffix('/'));
            regions.extend(names.filter(|name| is_region(name)).map(str::to_owned));
            match page.next {
                Some(next) if token.as_ref() != Some(&next) => token = Some(next),
                _ => return Ok(regions),
            }
        }
    }

    /// The files of a region that were not read yet, in the order of their time, and whether these are all.
    async fn news(&self, region: &str, reached: &Reached) -> Result<(Vec<File>, bool), Failure> {
        let (prefix, account) = (format!("{}{region}/", self.base), self.looking.account);
        let after = begins(&prefix, (account, region), Time::from_seconds(reached.until) - LATE);
        let (mut files, mut token): (Vec<File>, Option<String>) = (Vec::new(), None);
        loop {
            if self.looking.session.is_stopping() {
                return Err(stopped("s3:ListBucket"));
            }
            let words = [
                ("prefix", Some(prefix.as_str())),
                ("start-after", Some(after.as_str())),
                ("continuation-token", token.as_deref()),
            ];
            let page = self.bucket.list(&words).await?;
            let found = page.keys.into_iter().filter_map(File::of);
            files.extend(found.filter(|file| !reached.names.contains(&file.name)));
            if files.len() > FILES_MAX {
                files.truncate(FILES_MAX);
                return Ok((files, false));
            }
            match page.next {
                Some(next) if token.as_ref() != Some(&next) => token = Some(next),
                _ => return Ok((files, true)),
            }
        }
    }

    /// Takes what the files say. One that makes no sense is passed over: it would stand in the way for ever.
    async fn take(&mut self, files: &[File]) -> Result<(), Failure> {
        let bucket = &self.bucket;
        let (mut waiting, mut flying) = (files.iter(), FuturesOrdered::new());
        loop {
            while flying.len() < AT_ONCE {
                let Some(file) = waiting.next() else { break };
                flying.push_back(bucket.object(&file.key));
            }
            let Some(body) = flying.next().await else { return Ok(()) };
            let body = match body {
                Ok(Some(body)) => body,
                Ok(None) => continue,
                Err(failure) if failure.why == Why::Malformed => {
                    self.refused += 1;
                    continue;
                }
                Err(failure) => return Err(failure),
            };
            let read = tokio::task::spawn_blocking(move || serde_json::from_slice::<Records>(&body)).await;
            match read {
                Ok(Ok(file)) => {
                    self.taken += 1;
                    file.records.iter().for_each(|event| self.events.take(event));
                }
                Ok(Err(_)) => self.refused += 1,
                Err(_) => return Err(stopped("s3:GetObject")),
            }
        }
    }
}

impl File {
    /// The file of a key; nothing for what is no log file.
    fn of(key: String) -> Option<Self> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.=+!".contains(&byte);
        let name = key.rsplit('/').next()?.to_owned();
        let at = time(&name)?;
        (key.bytes().all(is_plain) && !key.contains("..")).then_some(Self { key, name, at })
    }
}

/// The time in a file's name, such as `123456789012_CloudTrail_eu-west-1_20261129T0005Z_Xq3.json.gz`, in seconds.
fn time(name: &str) -> Option<i64> {
    let (before, _) = name.strip_suffix(END)?.rsplit_once('_')?;
    let (_, at) = before.rsplit_once('_')?;
    let (day, minute) = at.strip_suffix('Z')?.split_once('T')?;
    let digits = |text: &str, length| text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(day, 8) || !digits(minute, 4) {
        return None;
    }
    let (year, day) = day.split_at(4);
    let ((month, day), (hour, minute)) = (day.split_at(2), minute.split_at(2));
    format!("{year}-{month}-{day}T{hour}:{minute}:00Z").parse::<Time>().ok().map(Time::as_seconds)
}

/// What every key of a file from that time on comes after.
fn begins(prefix: &str, (account, region): (&str, &str), from: Time) -> String {
    // 2026-11-29T00:05:00Z
    let text = from.to_string();
    let (date, clock) = text.split_once('T').unwrap_or((&text, "00:00"));
    let minute: String = clock.chars().filter(char::is_ascii_digit).take(4).collect();
    format!("{prefix}{}/{account}_CloudTrail_{region}_{}T{minute}Z", date.replace('-', "/"), date.replace('-', ""))
}

impl Position {
    fn first(now: Time) -> Self {
        Self { version: VERSION, until: (now - FIRST).as_seconds(), ..Self::default() }
    }

    fn read(cursor: &Cursor) -> Option<Self> {
        serde_json::from_slice::<Self>(&cursor.0).ok().filter(|it| it.version == VERSION)
    }

    fn cursor(&self) -> Cursor {
        Cursor(serde_json::to_vec(self).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "123456789012_CloudTrail_eu-west-1_20261129T0005Z_Xq3dV0kLmNoPqRsT.json.gz";

    #[test]
    fn a_file_s_name_holds_its_time_and_what_has_none_is_no_file() {
        let at = "2026-11-29T00:05:00Z".parse::<Time>().unwrap();
        let key = format!("AWSLogs/123456789012/CloudTrail/eu-west-1/2026/11/29/{NAME}");
        assert_eq!(File::of(key.clone()), Some(File { key: key.clone(), name: NAME.to_owned(), at: at.as_seconds() }));
        let prefix = "AWSLogs/123456789012/CloudTrail/eu-west-1/";
        let begin = |minutes: i64| begins(prefix, ("123456789012", "eu-west-1"), at + Span::seconds(minutes * 60));
        assert!(begin(0) < key && begin(-5) < key && begin(5) > key && begin(60 * 24) > key, "{}", begin(0));
        for wrong in [
            "AWSLogs/x/CloudTrail/eu-west-1/",
            "a_b_20261129T0005Z_c.json",
            "a_b_20261329T0005Z_c.json.gz",
            "a_b_2026112T90005Z_c.json.gz",
            "x/../a_b_20261129T0005Z_c.json.gz",
            "a b_20261129T0005Z_c.json.gz",
            "a?_b_20261129T0005Z_c.json.gz",
        ] {
            assert_eq!(File::of(wrong.to_owned()), None, "{wrong}");
        }
    }

    #[test]
    fn a_position_survives_its_cursor() {
        let mut position = Position::first(Time::from_seconds(1_790_000_000));
        let reached = Reached { until: 7, names: [NAME.to_owned()].into() };
        position.regions.insert("eu-west-1".to_owned(), reached);
        assert_eq!(Position::read(&position.cursor()).as_ref(), Some(&position));
        assert_eq!(Position::read(&Cursor(b"{}".to_vec())), None);
    }
}
