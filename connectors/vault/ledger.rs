//! What a scope's cursor remembers of each of its parts: a digest of its listing, when it was read, when it is due again.
//! It must never let a part count as read that was not, nor spread a sweep so that a part is older than `sweep_every`.

use std::{collections::BTreeMap, time::Duration};

use provost_model::{Cursor, Time};
use sha2::{Digest, Sha256};

/// Grows with the shape of the bytes.
const VERSION: u8 = 1;
/// Longest time for which a part may stand unread when the whole scope is due.
const FULL: Duration = Duration::from_secs(7 * 86_400);
/// Bytes of an entry behind its name.
const ENTRY: usize = 8 + 4 + 4 + 4;

/// The parts of a scope, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ledger {
    parts: BTreeMap<String, Part>,
}

/// What is remembered of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Of whatever shows cheaply that the part changed.
    pub(super) digest: u64,
    /// When it was read, in seconds.
    looked: u32,
    /// When it is to be read again though nothing shows a change, in seconds.
    due: u32,
    /// Things in it.
    pub(super) items: u32,
}

/// Why parts are read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    /// Now, at the beginning of the run.
    pub(super) now: Time,
    /// Time in which every part is read once more.
    pub(super) sweep_every: Duration,
    /// The sweep is to be done now.
    pub(super) sweep_now: bool,
    /// The whole scope is due.
    pub(super) full: bool,
}

impl Ledger {
    /// What a cursor holds; nothing if it is of another version or broken.
    pub(super) fn read(cursor: Option<&Cursor>) -> Self {
        cursor.and_then(|cursor| Self::decode(&cursor.0)).unwrap_or_default()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (version, mut rest) = bytes.split_first()?;
        let mut parts = BTreeMap::new();
        while *version == VERSION && !rest.is_empty() {
            let (length, behind) = rest.split_first_chunk::<2>()?;
            let (name, behind) = behind.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
            let (entry, behind) = behind.split_at_checked(ENTRY)?;
            let (digest, entry) = entry.split_first_chunk::<8>()?;
            let (looked, entry) = entry.split_first_chunk::<4>()?;
            let (due, items) = entry.split_first_chunk::<4>()?;
            let part = Part {
                digest: u64::from_be_bytes(*digest),
                looked: u32::from_be_bytes(*looked),
                due: u32::from_be_bytes(*due),
                items: u32::from_be_bytes(*items.first_chunk::<4>()?),
            };
            parts.insert(String::from_utf8(name.to_vec()).ok()?, part);
            rest = behind;
        }
        (*version == VERSION).then_some(Self { parts })
    }

    /// The cursor that remembers it.
    pub(super) fn cursor(&self) -> Cursor {
        let mut bytes = vec![VERSION];
        for (name, part) in &self.parts {
            // Names come from servers; one that does not fit is read again every time.
            let Ok(length) = u16::try_from(name.len()) else { continue };
            bytes.extend(length.to_be_bytes());
            bytes.extend(name.as_bytes());
            bytes.extend(part.digest.to_be_bytes());
            bytes.extend(part.looked.to_be_bytes());
            bytes.extend(part.due.to_be_bytes());
            bytes.extend(part.items.to_be_bytes());
        }
        Cursor(bytes)
    }

    /// What is remembered of a part.
    pub(super) fn part(&self, name: &str) -> Option<&Part> {
        self.parts.get(name)
    }

    /// Parts whose names begin so.
    pub(super) fn within<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a Part)> {
        let from = self.parts.range::<str, _>((std::ops::Bound::Included(prefix), std::ops::Bound::Unbounded));
        from.map(|(name, part)| (name.as_str(), part)).take_while(move |(name, _)| name.starts_with(prefix))
    }

    /// Things in all parts.
    pub(super) fn items(&self) -> u64 {
        self.parts.values().map(|part| u64::from(part.items)).sum()
    }

    /// Whether a part is to be read: it is new, its digest differs, or its turn came.
    pub(super) fn wants(&self, name: &str, digest: u64, turn: &Turn) -> bool {
        let Some(part) = self.parts.get(name) else { return true };
        part.digest != digest || self.is_due(part, turn)
    }

    fn is_due(&self, part: &Part, turn: &Turn) -> bool {
        let now = seconds(turn.now);
        let oldest = now.saturating_sub(whole(turn.sweep_every.min(FULL)));
        turn.sweep_now || part.due <= now || (turn.full && part.looked < oldest)
    }

    /// Notes that a part was read now, with so many things in it. A part read for the first time comes up again somewhere
    /// within `sweep_every`, so that what was read at once does not come up at once; `sooner`: when it changes by itself.
    pub(super) fn note(&mut self, name: &str, digest: u64, items: usize, (turn, sooner): (&Turn, Option<Time>)) {
        let now = seconds(turn.now);
        let every = whole(turn.sweep_every);
        let wait = match self.parts.contains_key(name) && !turn.sweep_now {
            true => every,
            false => every / 4 + u32::try_from(name_digest(name) % u64::from((every / 4 * 3).max(1))).unwrap_or(0),
        };
        let due = now.saturating_add(wait).min(sooner.map_or(u32::MAX, |at| seconds(at).max(now + 1)));
        let items = u32::try_from(items).unwrap_or(u32::MAX);
        self.parts.insert(name.to_owned(), Part { digest, looked: now, due, items });
    }

    /// Notes that a part is no more.
    pub(super) fn forget(&mut self, name: &str) {
        self.parts.remove(name);
    }

    /// When a part was read.
    pub(super) fn looked_at(&self, name: &str) -> Option<Time> {
        self.parts.get(name).map(|part| Time::from_seconds(i64::from(part.looked)))
    }
}

fn seconds(time: Time) -> u32 {
    u32::try_from(time.as_seconds().max(0)).unwrap_or(u32::MAX)
}

fn whole(length: Duration) -> u32 {
    u32::try_from(length.as_secs()).unwrap_or(u32::MAX)
}

/// A digest of a name, for spreading.
pub(super) fn name_digest(name: &str) -> u64 {
    digest([name])
}

/// A digest of texts in order, each told apart from its neighbours. What it vouches for may be written by people who would
/// like a change to go unseen: it is the beginning of a SHA-256.
pub(super) fn digest<'a>(texts: impl IntoIterator<Item = &'a str>) -> u64 {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(text);
    }
    hash.finalize().first_chunk::<8>().map_or(0, |half| u64::from_be_bytes(*half))
}

/// Which of so many buckets a name falls into, as two digits.
pub(super) fn bucket(name: &str, of: u64) -> String {
    format!("{:02x}", (name_digest(name) >> 32) % of.max(1))
}

#[cfg(test)]
mod tests {
    use provost_model::Span;

    use super::*;

    const DAY: i64 = 86_400;

    fn turn(at: i64) -> Turn {
        Turn {
            now: Time::from_seconds(1_000 * DAY + at),
            sweep_every: Duration::from_secs(7 * 86_400),
            sweep_now: false,
            full: false,
        }
    }

    fn read(parts: usize) -> Ledger {
        let mut ledger = Ledger::default();
        for number in 0..parts {
            ledger.note(&format!("part-{number}"), 7, 3, (&turn(0), None));
        }
        ledger
    }

    fn wanted(ledger: &Ledger, turn: &Turn) -> usize {
        ledger.parts.keys().filter(|name| ledger.wants(name, 7, turn)).count()
    }

    #[test]
    fn it_survives_its_cursor_and_a_broken_one_is_nothing() {
        let mut ledger = read(3);
        ledger.note("é/\n", u64::MAX, usize::MAX, (&turn(5), Some(Time::from_seconds(-1))));
        let cursor = ledger.cursor();
        assert_eq!(Ledger::read(Some(&cursor)), ledger);
        for cut in 1..cursor.0.len() {
            let read = Ledger::decode(&cursor.0[..cut]);
            assert!(read.is_none_or(|it| it.parts.len() < ledger.parts.len()));
        }
        assert_eq!(Ledger::read(Some(&Cursor(vec![9, 0, 0]))), Ledger::default());
        assert_eq!(Ledger::read(None), Ledger::default());
    }

    #[test]
    fn nothing_is_due_at_once_and_everything_within_the_time_of_a_sweep() {
        let mut ledger = read(1_000);
        assert_eq!(wanted(&ledger, &turn(60)), 0);
        let (mut most, mut read) = (0, 0);
        for run in 1..=28 {
            let turn = turn(run * DAY / 4);
            let due: Vec<String> = ledger.parts.keys().filter(|it| ledger.wants(it, 7, &turn)).cloned().collect();
            most = most.max(due.len());
            read += due.len();
            for name in due {
                ledger.note(&name, 7, 3, (&turn, None));
            }
        }
        assert_eq!(read, 1_000, "each once in seven days");
        assert!(most < 100, "{most} at a time");
        assert_eq!(wanted(&ledger, &Turn { sweep_now: true, ..turn(60) }), 1_000);
    }

    #[test]
    fn a_due_scope_reads_what_the_sweep_left_out_and_no_more() {
        let mut ledger = Ledger::default();
        let slow = Turn { sweep_every: Duration::from_secs(30 * 86_400), ..turn(0) };
        for number in 0..100 {
            ledger.note(&format!("part-{number}"), 7, 1, (&slow, None));
        }
        let later = Turn { now: slow.now + Span::days(7) + Span::seconds(1), ..slow };
        assert!(wanted(&ledger, &later) < 50);
        assert_eq!(wanted(&ledger, &Turn { full: true, ..later }), 100);
        assert_eq!(wanted(&ledger, &Turn { full: true, ..turn(60) }), 0);
    }

    #[test]
    fn a_part_is_wanted_when_it_differs_or_changes_by_itself() {
        let mut ledger = read(1);
        assert!(ledger.wants("part-0", 8, &turn(60)) && ledger.wants("other", 7, &turn(60)));
        ledger.note("part-0", 7, 1, (&turn(0), Some(turn(100).now)));
        assert!(!ledger.wants("part-0", 7, &turn(99)) && ledger.wants("part-0", 7, &turn(100)));
    }

    #[test]
    fn parts_are_found_by_the_beginning_of_their_names() {
        let mut ledger = Ledger::default();
        for name in ["a/0", "a/1", "a", "ab/0", "b/0"] {
            ledger.note(name, 1, 2, (&turn(0), None));
        }
        assert_eq!(ledger.within("a/").map(|(name, _)| name).collect::<Vec<_>>(), ["a/0", "a/1"]);
        ledger.forget("a/0");
        assert_eq!(ledger.within("a/").count(), 1);
        assert_eq!(ledger.items(), 8);
    }
}
