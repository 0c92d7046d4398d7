//! What keeps a saga from beginning: freezes, how many go on at once, how many there were today, the first of its kind.
//! It must never keep a saga from going back.

use provost_model::{Ending, RecordId, Saga, Span, Time};

/// How much may be changed at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Sagas of one owner at a time.
    pub of_owner: usize,
    /// Sagas of one entry that begin within a day: that many, or that share of all it could change, whichever is more.
    pub a_day: usize,
    /// In hundredths.
    pub share: usize,
    /// The first saga of an entry ends well before a second one begins.
    pub canary: bool,
    /// When nothing begins.
    pub freezes: Vec<Freeze>,
}

/// A time in which nothing begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Freeze {
    /// Its first moment.
    pub from: Time,
    /// The first moment after it.
    pub until: Time,
    /// Why.
    pub why: String,
}

/// What goes on beside a saga that wants to begin.
#[derive(Clone, Debug, Default)]
pub struct Busy<'a> {
    /// Every other saga, whether it ended or not.
    pub others: &'a [Saga],
    /// How many things its entry could change.
    pub all: usize,
}

impl Default for Limits {
    /// One at a time of an owner, one a day or a twentieth, the first alone.
    fn default() -> Self {
        Self { of_owner: 1, a_day: 1, share: 5, canary: true, freezes: Vec::new() }
    }
}

/// Why a saga may not begin now, and when it is worth asking again; nothing where it may. One that is urgent is not kept from
/// it by anything but a saga about the same thing.
pub fn hindrance(saga: &Saga, limits: &Limits, busy: &Busy<'_>, now: Time) -> Option<(String, Time)> {
    let others = || busy.others.iter().filter(|other| other.id != saga.id);
    let open = |other: &&Saga| other.ended.is_none() && has_begun(other);
    let soon = now + Span::minutes(10);
    let same = |record: RecordId| move |other: &&Saga| other.target.record == record;
    if let Some(other) = others().filter(open).find(same(saga.target.record)) {
        return Some((format!("saga {} changes the same thing", other.id), soon));
    }
    if saga.emergency {
        return None;
    }
    if let Some(freeze) = limits.freezes.iter().find(|it| it.from <= now && now < it.until) {
        return Some((format!("frozen until {}: {}", freeze.until, freeze.why), freeze.until));
    }
    // Two credentials of one holder are never changed at once.
    let holder = |other: &&Saga| {
        let (one, two) = (&other.target, &saga.target);
        one.realm == two.realm && one.holder_id == two.holder_id && !two.holder_id.is_empty()
    };
    if let Some(other) = others().filter(open).find(holder) {
        return Some((format!("saga {} changes a credential of the same holder", other.id), soon));
    }
    if let Some(owner) = &saga.owner {
        let of_owner = others().filter(open).filter(|other| other.owner.as_ref() == Some(owner)).count();
        if of_owner >= limits.of_owner {
            return Some((format!("{of_owner} of {owner} under way, {} at a time", limits.of_owner), soon));
        }
    }
    let of_entry = || others().filter(|other| other.profile == saga.profile && has_begun(other));
    let first_is_through = of_entry().any(|other| matches!(other.ended, Some((Ending::Done, _))));
    if limits.canary && !first_is_through && of_entry().any(|other| other.ended.is_none()) {
        return Some(("the first one by this entry has to end well before".to_owned(), soon));
    }
    let day = Span::days(1);
    let today: Vec<Time> = of_entry().filter_map(|other| other.admitted_at).filter(|at| now - *at < day).collect();
    let most = limits.a_day.max(busy.all.saturating_mul(limits.share) / 100);
    if today.len() >= most {
        let again = today.iter().min().map_or(soon, |first| *first + day);
        return Some((format!("{} began within a day, {most} at most", today.len()), again));
    }
    None
}

/// Whether it was let begin: what waits for its turn keeps nobody else from it, nor does what cannot even begin.
fn has_begun(saga: &Saga) -> bool {
    saga.admitted_at.is_some() && (saga.held.is_none() || !saga.is_untouched())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rotate::tests::saga_of;

    fn at(hours: i64) -> Time {
        Time::from_seconds(1_000_000) + Span::hours(hours)
    }

    /// A saga by an entry about a thing of that number, of that owner.
    fn saga(number: u8, owner: &str, begun: Option<Time>) -> Saga {
        let mut saga = saga_of(number);
        saga.owner = Some(owner.to_owned());
        saga.admitted_at = begun;
        saga
    }

    fn ended(saga: Saga, at: Time) -> Saga {
        Saga { ended: Some((Ending::Done, at)), ..saga }
    }

    fn kept(saga: &Saga, others: &[Saga], limits: &Limits, all: usize) -> Option<String> {
        hindrance(saga, limits, &Busy { others, all }, at(100)).map(|(why, _)| why)
    }

    #[test]
    fn one_of_an_owner_at_a_time_one_a_day_and_the_first_alone() {
        let (mine, usual) = (saga(1, "ann", None), Limits::default());
        let kept = |others: &[Saga], all| kept(&mine, others, &usual, all);
        assert_eq!(kept(&[], 0), None);
        // What waits for its turn, and what is over, keeps nobody.
        assert_eq!(kept(&[saga(2, "ann", None), ended(saga(3, "ann", Some(at(10))), at(20))], 0), None);
        assert!(kept(&[saga(2, "bob", Some(at(10)))], 0).unwrap().contains("first one"));
        let through = ended(saga(9, "eve", Some(at(1))), at(30));
        assert!(kept(&[through.clone(), saga(2, "ann", Some(at(10)))], 0).unwrap().contains("1 of ann under way"));
        assert_eq!(kept(&[through.clone(), saga(2, "bob", Some(at(10)))], 0), None, "begun long ago");
        let today = [through.clone(), saga(2, "bob", Some(at(90)))];
        assert!(kept(&today, 0).unwrap().contains("1 began within a day, 1 at most"));
        assert_eq!(kept(&today, 40), None, "a twentieth of forty is two");
        let other_entry = Saga { profile: "other".into(), ..saga(2, "bob", Some(at(99))) };
        assert_eq!(kept(&[through, other_entry], 0), None);
    }

    #[test]
    fn a_thing_and_its_holder_are_changed_by_one_saga_and_a_freeze_keeps_all_but_emergencies() {
        let mine = saga(1, "ann", None);
        let freezes = vec![Freeze { from: at(50), until: at(150), why: "release".into() }];
        let frozen = Limits { freezes, ..Limits::default() };
        let (why, until) = hindrance(&mine, &frozen, &Busy::default(), at(100)).unwrap();
        assert!(why.contains("release") && until == at(150));
        assert_eq!(hindrance(&mine, &frozen, &Busy::default(), at(150)), None);
        let urgent = Saga { emergency: true, ..mine.clone() };
        assert_eq!(kept(&urgent, &[], &frozen, 0), None);
        let mut same = saga(2, "bob", Some(at(10)));
        same.target.record = mine.target.record;
        assert!(kept(&urgent, &[same], &frozen, 0).unwrap().contains("changes the same thing"));
        let mut holder = saga(2, "bob", Some(at(10)));
        holder.target.holder_id.clone_from(&mine.target.holder_id);
        assert!(kept(&mine, &[holder], &Limits::default(), 0).unwrap().contains("same holder"));
    }
}
