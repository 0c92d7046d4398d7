//! Promise 2: what silence means. Absence from a full listing is `missing`, a second one or an atomic one is `gone`.
//! It must never be asked about a listing that was not full, nor answer for more than the brake lets pass.

use provost_model::{Because, Change, PartId, Presence, Record, ScopeNo, Standing, Time, What};

/// A full listing, from the point of view of what it lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listing {
    /// What was listed.
    pub scope: ScopeNo,
    /// Which part of it.
    pub part: PartId,
    /// When the listing began.
    pub began: Time,
    /// Whether it came as one consistent response.
    pub atomic: bool,
}

/// A full listing lacks a record: `None` if that changes nothing.
pub fn absent(before: &Record, listing: Listing) -> Option<Change> {
    let said = before.statements.iter().find(|it| it.scope == listing.scope && it.part == listing.part)?;
    if said.recorded > listing.began {
        // First committed after the listing began: it could not have been in it.
        return None;
    }
    let standing = match said.standing {
        Standing::Seen | Standing::Missing { .. } if listing.atomic => Standing::Gone(Because::Absent),
        Standing::Seen => Standing::Missing { began: listing.began },
        Standing::Missing { began } if began < listing.began => Standing::Gone(Because::Absent),
        Standing::Missing { .. } | Standing::Gone(_) | Standing::Unwatched => return None,
    };
    stand(before, standing, |it| it.scope == listing.scope && it.part == listing.part)
}

/// The provider says that it is gone, or answered not-found to a read by id.
pub fn told_gone(before: &Record, scope: ScopeNo, part: PartId) -> Option<Change> {
    stand(before, Standing::Gone(Because::Told), |it| it.scope == scope && it.part == part)
}

/// What it lived in is gone: so is it, whoever spoke of it.
pub fn container_gone(before: &Record) -> Option<Change> {
    stand(before, Standing::Gone(Because::Container), |it| it.standing != Standing::Unwatched)
}

/// It proved to be the same thing as an older record, which lives on.
pub fn merged_away(before: &Record) -> Option<Change> {
    stand(before, Standing::Gone(Because::Merged), |_| true)
}

/// A scope left the configured selection.
pub fn unwatch(before: &Record, scope: ScopeNo) -> Option<Change> {
    stand(before, Standing::Unwatched, |it| it.scope == scope)
}

fn stand(before: &Record, standing: Standing, whose: impl Fn(&provost_model::Statement) -> bool) -> Option<Change> {
    let mut after = before.clone();
    let mut moved = false;
    for said in after.statements.iter_mut().filter(|it| whose(it)) {
        let already_gone = matches!((said.standing, standing), (Standing::Gone(_), Standing::Gone(_)));
        if said.standing != standing && !already_gone {
            said.standing = standing;
            moved = true;
        }
    }
    if !moved {
        return None;
    }
    let what = match (before.presence(), after.presence()) {
        (old, new) if old == new => What::Touched,
        (_, Presence::Missing) => What::Missing,
        (_, Presence::Gone) => What::Gone,
        (_, Presence::Unwatched) => What::Unwatched,
        (_, Presence::Present) => What::Returned,
    };
    Some(Change { what, after, fields: Vec::new(), aliases: Vec::new() })
}

/// How many records would vanish, out of how many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vanishing {
    /// Records that would become missing or gone.
    pub absent: u64,
    /// Records present before.
    pub present: u64,
}

/// Absences that need a human being before they are believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Brake {
    /// They may pass.
    Free,
    /// The scope would be empty.
    Empties,
    /// At least 10 records and more than 20 % would vanish.
    TooMany,
}

/// Fewest absences that can be too many.
const TOO_MANY: u64 = 10;
/// Largest share of a scope's or source's present records that may vanish in one run, in per cent.
const SHARE: u64 = 20;

/// Whether a run's absences in one scope are held back, in view of the scope and of the whole source.
pub fn brake(scope: Vanishing, source: Vanishing) -> Brake {
    if scope.absent == 0 {
        return Brake::Free;
    }
    if scope.absent >= scope.present {
        return Brake::Empties;
    }
    let too_many = |it: Vanishing| it.absent >= TOO_MANY && it.absent * 100 > it.present * SHARE;
    if too_many(scope) || too_many(source) { Brake::TooMany } else { Brake::Free }
}

#[cfg(test)]
mod tests {
    use provost_model::{Facts, Kind, Realm, RecordId, Statement};

    use super::*;

    fn record(standings: &[Standing]) -> Record {
        let statements = (1..).zip(standings).map(|(scope, standing)| Statement {
            scope: ScopeNo(scope),
            part: PartId::WHOLE,
            as_of: Time::from_seconds(10),
            recorded: Time::from_seconds(10),
            standing: *standing,
            facts: Facts::new(),
        });
        Record {
            id: RecordId::from_bytes([1; 16]),
            kind: Kind::User,
            realm: Realm::new("aws", "1"),
            externals: vec!["AIDA".into()],
            identity: None,
            container: None,
            first_seen: Time::from_seconds(10),
            baseline: false,
            statements: statements.collect(),
        }
    }

    fn listing(began: i64, atomic: bool) -> Listing {
        Listing { scope: ScopeNo(1), part: PartId::WHOLE, began: Time::from_seconds(began), atomic }
    }

    #[test]
    fn one_listing_makes_it_missing_a_later_one_gone() {
        let once = absent(&record(&[Standing::Seen]), listing(20, false)).unwrap();
        assert_eq!(once.what, What::Missing);
        // The same listing, replayed after a crash, confirms nothing.
        assert_eq!(absent(&once.after, listing(20, false)), None);
        let twice = absent(&once.after, listing(30, false)).unwrap();
        assert_eq!((twice.what, twice.after.presence()), (What::Gone, Presence::Gone));
    }

    #[test]
    fn an_atomic_listing_needs_no_second() {
        assert_eq!(absent(&record(&[Standing::Seen]), listing(20, true)).unwrap().what, What::Gone);
    }

    #[test]
    fn what_was_committed_after_the_listing_began_never_vanishes_by_it() {
        assert_eq!(absent(&record(&[Standing::Seen]), listing(9, true)), None);
    }

    #[test]
    fn it_is_gone_only_when_every_scope_says_so() {
        let first = absent(&record(&[Standing::Seen, Standing::Seen]), listing(20, true)).unwrap();
        assert_eq!((first.what, first.after.presence()), (What::Touched, Presence::Present));
        let second = told_gone(&first.after, ScopeNo(2), PartId::WHOLE).unwrap();
        assert_eq!((second.what, second.after.presence()), (What::Gone, Presence::Gone));
    }

    #[test]
    fn with_its_container_it_is_gone_for_every_scope() {
        let change = container_gone(&record(&[Standing::Seen, Standing::Seen])).unwrap();
        assert_eq!(change.after.gone_because(), Some(Because::Container));
        assert_eq!(container_gone(&change.after), None);
    }

    #[test]
    fn leaving_the_selection_is_not_absence() {
        let change = unwatch(&record(&[Standing::Seen]), ScopeNo(1)).unwrap();
        assert_eq!(change.what, What::Unwatched);
        assert_eq!(absent(&change.after, listing(20, true)), None);
    }

    #[test]
    fn the_brake() {
        let of = |absent, present| Vanishing { absent, present };
        let large = of(10, 10_000);
        let table = [
            (of(0, 0), of(0, 0), Brake::Free),
            (of(9, 20), large, Brake::Free),
            (of(10, 50), large, Brake::Free),
            (of(11, 50), large, Brake::TooMany),
            (of(1, 1), large, Brake::Empties),
            (of(50, 50), large, Brake::Empties),
            (of(1, 400), of(21, 100), Brake::TooMany),
        ];
        for (scope, source, held) in table {
            assert_eq!(brake(scope, source), held, "{scope:?} {source:?}");
        }
    }
}
