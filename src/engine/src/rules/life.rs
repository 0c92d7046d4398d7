//! Whether a thing works, how old it is, how long it has been quiet: what most rules ask first.
//! It must never take the time that passed since the data were taken for time in which nothing happened.

use provost_model::{Kind, Noun, Reading, Span, Status, Time, field};

use super::{Lack, Near, Outcome, Verdict, View};
use crate::thresholds::{Thresholds, days};

/// A lower bound of a thing's age, and how it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Birth {
    /// It is at least as old as that.
    pub(super) at: Time,
    /// How to say so: `created`, `created or last changed` ….
    pub(super) label: &'static str,
    /// Whether it may be much older, so that youth proves nothing.
    pub(super) may_be_older: bool,
    /// How fresh the statement is.
    pub(super) as_of: Time,
}

/// The word for a thing that works as far as known; else the verdict on one that does not, or may not.
pub(super) fn working(view: &View<'_>, now: Time) -> Result<&'static str, Verdict> {
    match view.status(now) {
        Status::Active => return Ok("active"),
        Status::Inactive | Status::Expired => return Err(Verdict::pass()),
        Status::Unknown => {}
    }
    let status = view.get(field::STATUS);
    let silent_by_nature = view.kind().noun() != Noun::Credential || view.knows(field::LOCATION);
    match status {
        Reading::Known(_) | Reading::NotReported => Ok("not known to be revoked"),
        Reading::NotCollected | Reading::Never if silent_by_nature => Ok("not known to be revoked"),
        _ => Err(Verdict::unknown("status", &status)),
    }
}

/// A pass while the thing is new: grace runs from the provider's creation time, and from first sight only where that is
/// unknown and the record appeared after the source's first complete run.
pub(super) fn grace(view: &View<'_>, length: Span, now: Time) -> Result<(), Verdict> {
    let made = view.get(field::CREATED_AT).known();
    let made = made.or_else(|| view.get(field::ISSUED_AT).known());
    let made = made.or_else(|| view.get(field::ROTATED_AT).known());
    let from = made.or_else(|| (!view.baseline()).then(|| view.first_seen()));
    match from {
        Some(from) if now < from + length => Err(Verdict::pass_until(from + length)),
        _ => Ok(()),
    }
}

/// The usual grace.
pub(super) fn usual_grace(view: &View<'_>, thresholds: &Thresholds, now: Time) -> Result<(), Verdict> {
    grace(view, days(thresholds.grace_days), now)
}

/// Since when the subject has had its present secret, at the latest, by what is said of the secret.
pub(super) fn birth(view: &View<'_>) -> Result<Birth, Verdict> {
    born(view, None)
}

/// The same where the time of the file it is kept in may stand for it. Needs `modified_at` declared.
pub(super) fn birth_or_file(view: &View<'_>) -> Result<Birth, Verdict> {
    born(view, view.get(field::MODIFIED_AT).known())
}

fn born(view: &View<'_>, modified: Option<Time>) -> Result<Birth, Verdict> {
    let created = view.get(field::CREATED_AT);
    let times = Times {
        created: created.known(),
        rotated: view.get(field::ROTATED_AT).known(),
        issued: view.get(field::ISSUED_AT).known(),
        modified,
    };
    let as_of = |field| view.as_of(field);
    times.birth(view.kind(), as_of).ok_or_else(|| Verdict::unknown("created_at", &created))
}

/// What tells when something was made.
pub(super) const BIRTH: &[provost_model::Field] =
    &[field::CREATED_AT.field(), field::ROTATED_AT.field(), field::ISSUED_AT.field()];

/// The same of a neighbour. Needs [`BIRTH`] declared, dated.
pub(super) fn birth_of(near: &Near<'_>) -> Option<Birth> {
    let times = Times {
        created: near.get(field::CREATED_AT).known(),
        rotated: near.get(field::ROTATED_AT).known(),
        issued: near.get(field::ISSUED_AT).known(),
        modified: None,
    };
    times.birth(near.kind(), |field| near.as_of(field).unwrap_or(near.first_seen()))
}

/// Whether more than `limit` passed since `from`, as far as data that fresh can tell: the whole days, or the verdict.
pub(super) fn over(from: Time, limit: Span, as_of: Time, now: Time) -> Result<i64, Verdict> {
    if as_of.min(now) - from > limit {
        return Ok((now - from).whole_days());
    }
    if now - from <= limit {
        return Err(Verdict::pass_until(from + limit + Span::micros(1)));
    }
    Err(Verdict::too_old(as_of))
}

/// For how many days the subject has been quiet since `from`, if for longer than `limit`; else the verdict.
pub(super) fn quiet(view: &View<'_>, from: Time, limit: Span, now: Time) -> Result<i64, Verdict> {
    let as_of = view.as_of(field::LAST_USED_AT.field());
    let used = view.knows(field::LAST_USED_AT);
    silent(from, &view.get(field::USAGE_SINCE), used, (as_of, limit, now))
}

/// The same for uses gathered from several records: `from` is the latest use, or what could be the first; `since` is when
/// uses began to be recorded; `used` tells whether any is known. `within` is how fresh that is, the limit, and the time.
pub(super) fn silent(
    from: Time,
    since: &Reading<Time>,
    used: bool,
    within: (Time, Span, Time),
) -> Result<i64, Verdict> {
    let (as_of, limit, now) = within;
    let watched = match since {
        Reading::Known(since) => from.max(*since),
        // Who names a use has recorded uses since then.
        _ if used => from,
        _ => return Err(Verdict::inconclusive(Lack::Window, "since when uses are recorded is not known")),
    };
    match over(watched, limit, as_of, now) {
        Ok(_) => Ok((now - from).whole_days()),
        Err(verdict) if watched > from && now - from > limit && verdict.outcome == Outcome::Pass => {
            Err(Verdict { until: verdict.until, ..Verdict::unwatched(watched) })
        }
        // From then on it would be a fault, had uses been recorded for longer.
        Err(verdict) if watched > from && verdict.outcome == Outcome::Pass => {
            Err(verdict.until(from + limit + Span::micros(1)))
        }
        Err(verdict) => Err(verdict),
    }
}

/// Whether the subject is a credential at all: a certificate in a file is one only with its private key or as somebody's
/// proof; a reference to a secret, or a public key, is none. What a store keeps without showing it is one.
pub(super) fn keeps_secret(view: &View<'_>) -> bool {
    if !view.knows(field::LOCATION) {
        return true;
    }
    if !view.is_in_file() && view.is_item() {
        return true;
    }
    match view.kind() {
        Kind::Certificate => view.has_identity() || view.places().iter().any(|place| place.holds_secret),
        _ => view.holds_secret(),
    }
}

/// The UTC date of an instant.
pub(super) fn date(at: Time) -> String {
    let text = at.to_string();
    text.get(..10).unwrap_or(&text).to_owned()
}

/// `1 day`, `2 days`.
pub(super) fn count(days: i64) -> String {
    if days == 1 { "1 day".into() } else { format!("{days} days") }
}

struct Times {
    created: Option<Time>,
    rotated: Option<Time>,
    issued: Option<Time>,
    modified: Option<Time>,
}

impl Times {
    fn birth(&self, kind: Kind, as_of: impl Fn(provost_model::Field) -> Time) -> Option<Birth> {
        // The secret part of these cannot be replaced: a later "rotation" is a change of status or of a name.
        let fixed = matches!(kind, Kind::AccessKey | Kind::SshKey | Kind::Certificate);
        let known =
            |at, label, attr: provost_model::Field| Birth { at, label, may_be_older: false, as_of: as_of(attr) };
        let (created, rotated) = (field::CREATED_AT.field(), field::ROTATED_AT.field());
        match (self.created, self.rotated) {
            (Some(at), _) if fixed => return Some(known(at, "created", created)),
            (Some(made), Some(at)) if at > made => return Some(known(at, "last changed", rotated)),
            (Some(at), _) => return Some(known(at, "created", created)),
            (None, Some(at)) => {
                let birth = known(at, "created or last changed", rotated);
                return Some(Birth { may_be_older: fixed, ..birth });
            }
            (None, None) => {}
        }
        let issued = self.issued.map(|at| known(at, "issued", field::ISSUED_AT.field()));
        // A file's time says since when its content stands; whoever replaced the secret changed it.
        issued.or_else(|| self.modified.map(|at| known(at, "file unchanged since", field::MODIFIED_AT.field())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::sample::{NOW, ago};

    #[test]
    fn time_since_the_data_were_taken_proves_nothing() {
        let limit = Span::days(45);
        assert_eq!(over(ago(46), limit, NOW, NOW), Ok(46));
        assert_eq!(over(ago(45), limit, NOW, NOW).unwrap_err().until, Some(NOW + Span::micros(1)));
        let doubt = over(ago(46), limit, ago(2), NOW).unwrap_err();
        assert_eq!(doubt.word(), "inconclusive");
        assert!(doubt.waits && doubt.until.is_none(), "a later reading can tell, time alone cannot");
        assert_eq!(over(ago(48), limit, ago(2), NOW), Ok(48));
    }

    #[test]
    fn a_change_of_status_makes_no_key_younger() {
        let as_of = |_| NOW;
        let times = Times { created: Some(ago(900)), rotated: Some(ago(3)), issued: None, modified: None };
        assert_eq!(times.birth(Kind::AccessKey, as_of).map(|it| it.at), Some(ago(900)));
        assert_eq!(times.birth(Kind::Password, as_of).map(|it| it.at), Some(ago(3)));
        let slot = Times { created: None, ..times };
        assert!(slot.birth(Kind::AccessKey, as_of).is_some_and(|it| it.may_be_older && it.at == ago(3)));
    }
}
