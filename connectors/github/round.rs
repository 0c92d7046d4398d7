//! How far a sweep is: since when the next share grows, who was last, and the tags of the answers so far.
//! It must never leave anybody out for good: whoever was not due is due within the time of a round.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use provost_model::{Cursor, Time};

/// The form of the bytes; another is read as nothing.
const VERSION: u8 = 1;
/// Marks of a tag of 64 hexadecimal digits, which is kept as 32 bytes: weak and strong.
const WEAK: u8 = 255;
const STRONG: u8 = 254;

/// How far a sweep is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Position {
    since: Time,
    after: u64,
    /// Tags of answers, by what was asked.
    pub(super) tags: BTreeMap<u64, String>,
}

impl Position {
    /// A sweep that begins now.
    pub(super) fn begun(now: Time) -> Self {
        Self { since: now, ..Self::default() }
    }

    /// Whose turn it is among those; all if the operator asks for it. The turn moves on behind the last of them.
    pub(super) fn share(&mut self, among: &BTreeSet<u64>, all: bool, (every, now): (Duration, Time)) -> Vec<u64> {
        let passed = (now - self.since).as_micros().max(0) as f64 / 1e6;
        let due = among.len() as f64 * passed / every.as_secs_f64().max(1.0);
        if due < 1.0 && !all {
            return Vec::new();
        }
        let due = if all { among.len() } else { (due as usize).min(among.len()) };
        let order = among.range(self.after.saturating_add(1)..).chain(among.range(..=self.after));
        let order: Vec<u64> = order.take(due).copied().collect();
        self.since = now;
        self.after = order.last().copied().unwrap_or(self.after);
        order
    }

    /// Gives the turn back to whom it was.
    pub(super) fn back(&mut self, to: &Self) {
        (self.since, self.after) = (to.since, to.after);
    }

    /// Forgets the tags of what is not asked for any more.
    pub(super) fn keep(&mut self, wanted: impl Fn(u64) -> bool) {
        self.tags.retain(|key, _| wanted(*key));
    }

    /// What a cursor holds; `None` if it is of another version or damaged.
    pub(super) fn read(cursor: &Cursor) -> Option<Self> {
        let (version, rest) = cursor.0.split_first()?;
        let (since, rest) = rest.split_first_chunk::<8>()?;
        let (after, mut rest) = rest.split_first_chunk::<8>()?;
        if *version != VERSION {
            return None;
        }
        let mut tags = BTreeMap::new();
        while !rest.is_empty() {
            let (key, behind) = rest.split_first_chunk::<8>()?;
            let (length, behind) = behind.split_first()?;
            let (bytes, behind) = behind.split_at_checked(if *length >= STRONG { 32 } else { usize::from(*length) })?;
            let tag = match *length {
                WEAK => format!("W/\"{}\"", hex::encode(bytes)),
                STRONG => format!("\"{}\"", hex::encode(bytes)),
                _ => String::from_utf8(bytes.to_vec()).ok()?,
            };
            tags.insert(u64::from_be_bytes(*key), tag);
            rest = behind;
        }
        let (since, after) = (Time::from_micros(i64::from_be_bytes(*since)), u64::from_be_bytes(*after));
        Some(Self { since, after, tags })
    }

    /// The cursor that holds it, without tags too long to be kept.
    pub(super) fn cursor(&self) -> Cursor {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&self.since.as_micros().to_be_bytes());
        bytes.extend_from_slice(&self.after.to_be_bytes());
        for (key, tag) in &self.tags {
            let bare = tag.strip_prefix("W/").unwrap_or(tag);
            let digits = bare.strip_prefix('"').and_then(|it| it.strip_suffix('"')).filter(|it| is_digest(it));
            let (mark, kept) = match digits.and_then(|digits| hex::decode(digits).ok()) {
                Some(short) => (if tag.starts_with("W/") { WEAK } else { STRONG }, short),
                None => match u8::try_from(tag.len()) {
                    Ok(length) if length < STRONG => (length, tag.clone().into_bytes()),
                    _ => continue,
                },
            };
            bytes.extend_from_slice(&key.to_be_bytes());
            bytes.push(mark);
            bytes.extend_from_slice(&kept);
        }
        Cursor(bytes)
    }
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_survives_its_cursor_and_a_usual_tag_is_kept_short() {
        let digest = "0123456789abcdef".repeat(4);
        let mut position = Position { since: Time::from_seconds(7), after: 9, tags: BTreeMap::new() };
        position.tags.insert(1, format!("W/\"{digest}\""));
        position.tags.insert(2, format!("\"{digest}\""));
        position.tags.insert(3, "\"odd\"".into());
        assert_eq!(Position::read(&position.cursor()).unwrap(), position);
        assert_eq!(position.cursor().0.len(), 17 + 2 * 41 + 14);
        position.tags.insert(4, "x".repeat(300));
        assert_eq!(Position::read(&position.cursor()).unwrap().tags.len(), 3);
        assert_eq!(Position::read(&Cursor(vec![VERSION])), None);
    }

    #[test]
    fn everybody_is_due_once_in_a_round() {
        let among: BTreeSet<u64> = (1..=10).collect();
        let every = Duration::from_secs(1_000);
        let mut position = Position::begun(Time::from_seconds(0));
        assert!(position.share(&among, false, (every, Time::from_seconds(50))).is_empty());
        assert_eq!(position.share(&among, false, (every, Time::from_seconds(300))), [1, 2, 3]);
        assert_eq!(position.share(&among, false, (every, Time::from_seconds(1_100))), [4, 5, 6, 7, 8, 9, 10, 1]);
        assert_eq!(position.share(&among, true, (every, Time::from_seconds(1_101))).len(), 10);
        assert!(position.share(&BTreeSet::new(), true, (every, Time::from_seconds(2_000))).is_empty());
    }
}
