//! Since when what the first complete run of each source found is worked off.
//! It must never take a source for worked off about which nobody said so.

use std::collections::BTreeMap;

use provost_model::Time;
use provost_store::{
    StoreError,
    inventory::{BaselineState, Inventory, SourceRow},
};

/// Sources whose beginnings are worked off, each with the time since when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Worked(BTreeMap<String, Time>);

impl Worked {
    /// As the store has it now. Whoever says something else has everything judged anew, so that no verdict rests on it.
    pub fn of(inventory: Inventory<'_>) -> Result<Self, StoreError> {
        let rows = inventory.sources()?.into_iter();
        Ok(Self(rows.filter_map(|(name, row)| Some((name, since(&row)?))).collect()))
    }

    /// Since when those beginnings are all worked off; nothing if one is not, or if there are no sources.
    pub fn since<'n>(&self, sources: impl Iterator<Item = &'n str>) -> Option<Time> {
        let all: Option<Vec<Time>> = sources.map(|name| self.0.get(name).copied()).collect();
        all.and_then(|all| all.into_iter().max())
    }

    /// Each of them in words that differ when anything does.
    pub fn words(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(name, since)| format!("{name} {since}"))
    }
}

/// Since when somebody said that what the first complete run of a source found is to be worked off.
fn since(row: &SourceRow) -> Option<Time> {
    let said = format!("baseline {}", BaselineState::Working.word());
    let word = row.words.iter().rev().find(|(_, words)| words.starts_with(&said));
    word.filter(|_| row.baseline == BaselineState::Working).map(|(at, _)| *at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(baseline: BaselineState, words: &[(i64, &str)]) -> SourceRow {
        let words = words.iter().map(|(at, words)| (Time::from_seconds(*at), (*words).to_owned())).collect();
        SourceRow { baseline, words, ..SourceRow::default() }
    }

    #[test]
    fn only_what_is_worked_off_now_is_and_since_the_last_word() {
        let words = [(5, "baseline working: to be worked off"), (7, "released"), (9, "baseline working: again")];
        assert_eq!(since(&row(BaselineState::Working, &words)), Some(Time::from_seconds(9)));
        assert_eq!(since(&row(BaselineState::Accepted, &words)), None);
        assert_eq!(since(&row(BaselineState::Taken, &[])), None);
    }

    #[test]
    fn what_several_sources_see_is_worked_off_once_all_of_them_are() {
        let at = Time::from_seconds;
        let worked = Worked([("a".to_owned(), at(3)), ("b".to_owned(), at(8))].into());
        let since = |names: &[&str]| worked.since(names.iter().copied());
        assert_eq!((since(&["a"]), since(&["a", "b"])), (Some(at(3)), Some(at(8))));
        assert_eq!((since(&["a", "c"]), since(&[])), (None, None));
    }
}
