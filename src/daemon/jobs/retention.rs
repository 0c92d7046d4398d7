//! Forgets history that need not be kept: versions beyond `keep_history`, and, beyond `keep_daily`, all but the last version
//! of a month of those that differ in volatile attributes only. What stays beyond `keep_daily` is packed together.
//! It must never forget a version that says something lasting for the first time, nor anything a human being said.
//!
//! What is asked as of a version that is kept is answered as before. In between, lasting attributes are answered as before
//! too, volatile ones as of the version before.

use std::ops::Bound;

use crate::house::House;
use jiff::{Timestamp, tz::TimeZone};
use provost_model::{Record, Span, Time};
use provost_store::{
    CommitNo, Go, KeyRange, MAX_OPS, Row, StoreError, codec,
    inventory::{Draft, Passing, RECORDS},
};

/// Versions looked at in one turn, about.
const TURN: usize = 20_000;
/// How often everything is gone through.
const EVERY: Span = Span::days(1);

/// How long history is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Versions replaced longer ago are forgotten.
    pub history: Span,
    /// How long every version is kept, however little it differs from the next.
    pub daily: Span,
}

/// What a turn did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// Versions it forgot.
    pub forgotten: u64,
    /// Whether everything was gone through.
    pub over: bool,
}

/// Goes on where the last turn ended; at the end it rests for a day.
pub fn turn(house: &House, keep: Keep) -> Result<Turn, StoreError> {
    let now = house.now();
    let mut passing = house.inventory().passing()?;
    if passing.over.is_some_and(|over| over <= now && now < over + EVERY) && passing.after.is_none() {
        return Ok(Turn { forgotten: 0, over: true });
    }
    let at = usize::from(passing.table);
    let Some(table) = Passing::TABLES.get(at).copied() else {
        return Err(StoreError::Codec("how far history is gone through".to_owned()));
    };
    let store = house.store();
    let (mut seen, mut which, mut old) = (0, Vec::new(), Vec::new());
    let from = passing.after.take().map_or(Bound::Unbounded, Bound::Excluded);
    store.scan(table, &KeyRange { from, to: Bound::Unbounded }, None, &mut |key, _| {
        let versions = store.versions(table, key)?;
        seen += versions.len();
        let kept = versions.into_iter().map(|row| Kept::of(row, table == RECORDS)).collect::<Result<Vec<_>, _>>()?;
        let forgettable = forgettable(&kept, (now, keep));
        old.extend(to_pack(&kept, &forgettable, now - keep.daily).map(|upto| (key.to_vec(), upto)));
        which.extend(forgettable.into_iter().map(|commit| (key.to_vec(), commit)));
        passing.after = (seen >= TURN).then(|| key.to_vec());
        Ok(if seen >= TURN { Go::Stop } else { Go::On })
    })?;
    let mut forgotten = 0;
    for some in which.chunks(MAX_OPS / 2) {
        forgotten += store.forget_versions(table, some)?;
    }
    for some in old.chunks(MAX_OPS) {
        store.pack(table, some)?;
    }
    let over = passing.after.is_none() && at + 1 == Passing::TABLES.len();
    if over {
        passing = Passing { table: 0, after: None, over: Some(now) };
    } else if passing.after.is_none() {
        passing.table += 1;
    }
    let _pen = house.pen();
    let mut draft = Draft::new(house.inventory(), now);
    draft.put_passing(&passing)?;
    draft.commit()?;
    Ok(Turn { forgotten, over })
}

/// A version, as far as it matters for how long it is kept.
struct Kept {
    commit: CommitNo,
    recorded: Time,
    /// What lasts of a record; `None` where every difference counts.
    lasting: Option<Record>,
}

impl Kept {
    fn of(row: Row, is_record: bool) -> Result<Self, StoreError> {
        let record = row.value.filter(|_| is_record).map(|bytes| codec::record::decode(&bytes)).transpose()?;
        Ok(Self { commit: row.commit, recorded: row.recorded, lasting: record.map(lasting) })
    }
}

/// A record without what is volatile: attributes that are, and when somebody last said something.
fn lasting(mut record: Record) -> Record {
    for said in &mut record.statements {
        (said.as_of, said.recorded) = (Time::default(), Time::default());
        said.facts = said.facts.iter().filter(|(field, _)| !field.is_volatile()).map(|(f, r)| (f, r.clone())).collect();
    }
    record
}

/// The versions that need not be kept; of all versions, the oldest first.
fn forgettable(versions: &[Kept], (now, keep): (Time, Keep)) -> Vec<CommitNo> {
    let (oldest, daily) = (now - keep.history, now - keep.daily);
    let mut found = Vec::new();
    // What lasts since the last version that is kept or stands for those after it.
    let mut before: Option<&Record> = None;
    for pair in versions.windows(2) {
        let [version, next] = pair else { continue };
        if next.recorded <= oldest {
            found.push(version.commit);
            continue;
        }
        let lasting = version.lasting.as_ref();
        let little = lasting.is_some() && lasting == before && lasting == next.lasting.as_ref();
        if little && next.recorded <= daily && month(version.recorded) == month(next.recorded) {
            found.push(version.commit);
        }
        before = lasting;
    }
    found
}

/// Up to which version they are packed: those that stay and were replaced before that time, if there are several.
fn to_pack(versions: &[Kept], forgettable: &[CommitNo], daily: Time) -> Option<CommitNo> {
    let mut old = versions.windows(2).filter_map(|pair| match pair {
        [version, next] if next.recorded <= daily && !forgettable.contains(&version.commit) => Some(version.commit),
        _ => None,
    });
    old.next()?;
    old.next_back()
}

/// Months since the year 0, in UTC.
fn month(at: Time) -> i32 {
    let date = Timestamp::from_microsecond(at.as_micros()).unwrap_or_default().to_zoned(TimeZone::UTC);
    i32::from(date.year()) * 12 + i32::from(date.month())
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeMap,
        sync::{
            Arc,
            atomic::{AtomicI64, Ordering},
        },
    };

    use provost_model::{
        Change, Clock, Facts, Kind, PartId, Realm, RecordId, ScopeNo, Standing, Statement, What, field,
    };

    use super::*;

    /// A clock of days.
    struct Days(AtomicI64);

    impl Clock for Days {
        fn now(&self) -> Time {
            Time::default() + Span::days(self.0.load(Ordering::Relaxed)) + Span::hours(3)
        }
    }

    /// 1 January 2026.
    const BEGIN: i64 = 20_454;

    fn record(day: i64) -> Record {
        let at = Time::default() + Span::days(day);
        // Something lasting changes on two days of the year, the last use every day.
        let name = match day - BEGIN {
            ..100 => "one",
            100..230 => "two",
            _ => "three",
        };
        let facts = Facts::new().with(field::NAME, name.to_owned()).with(field::LAST_USED_AT, at);
        let said = Statement {
            scope: ScopeNo(1),
            part: PartId::WHOLE,
            as_of: at,
            recorded: at,
            standing: Standing::Seen,
            facts,
        };
        Record {
            id: RecordId::from_bytes([7; 16]),
            kind: Kind::AccessKey,
            realm: Realm::new("aws", "1"),
            externals: vec!["AKIA".to_owned()],
            identity: None,
            container: None,
            first_seen: Time::default() + Span::days(BEGIN),
            baseline: false,
            statements: vec![said],
        }
    }

    /// Every version of the record by commit, and what is answered as of every commit.
    fn history(house: &House) -> (Vec<CommitNo>, BTreeMap<u64, Option<Record>>) {
        let key = record(BEGIN).id;
        let versions = house.store().versions(RECORDS, key.as_bytes()).unwrap();
        let head = house.store().head().unwrap().number.0;
        let as_of = |at| house.inventory().record(key, Some(CommitNo(at))).unwrap();
        (versions.iter().map(|row| row.commit).collect(), (0..=head).map(|at| (at, as_of(at))).collect())
    }

    #[test]
    fn a_year_of_daily_use_is_thinned_to_months_and_what_is_kept_answers_as_before() {
        let clock = Arc::new(Days(AtomicI64::new(BEGIN)));
        let house = House::new(Arc::new(provost_store::memory()), Arc::clone(&clock) as Arc<dyn Clock>);
        for day in BEGIN..BEGIN + 365 {
            clock.0.store(day, Ordering::Relaxed);
            let mut draft = Draft::new(house.inventory(), house.now());
            let what = if day == BEGIN { What::Appeared } else { What::Touched };
            draft.apply(Change { what, after: record(day), fields: Vec::new(), aliases: Vec::new() }).unwrap();
            draft.commit().unwrap();
        }
        let (all, before) = history(&house);
        assert_eq!(all.len(), 365);
        let keep = Keep { history: Span::days(300), daily: Span::days(35) };
        let mut turns = Vec::new();
        while !turns.last().is_some_and(|turn: &Turn| turn.over) {
            turns.push(turn(&house, keep).unwrap());
        }
        let (kept, after) = history(&house);
        // Beyond 300 days nothing, then ten months and the two changes, then 35 days one by one.
        assert!((35 + 10..=35 + 14).contains(&kept.len()), "{}", kept.len());
        assert_eq!(turns.iter().map(|turn| turn.forgotten).sum::<u64>(), (365 - kept.len()) as u64);
        for commit in &kept {
            assert_eq!(after[&commit.0], before[&commit.0], "at {commit:?}");
        }
        for (at, was) in before.iter().filter(|(at, _)| **at >= kept[0].0) {
            let lasts = |it: &Option<Record>| it.clone().map(lasting);
            assert_eq!(lasts(&after[at]), lasts(was), "what lasts at {at}");
        }
        assert!(house.store().check().unwrap().faults.is_empty());
        // What stays of the months is packed already, what is kept day by day is not.
        let pack =
            |upto: CommitNo| house.store().pack(RECORDS, &[(record(BEGIN).id.as_bytes().to_vec(), upto)]).unwrap();
        assert_eq!(pack(kept[kept.len() - 38]), 0);
        assert!(pack(kept[kept.len() - 2]) > 0);
        assert_eq!(turn(&house, keep).unwrap(), Turn { forgotten: 0, over: true }, "it rests for a day");
        clock.0.store(BEGIN + 366, Ordering::Relaxed);
        assert!(turn(&house, keep).unwrap().forgotten < 4);
    }
}
