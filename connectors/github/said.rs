//! A field of a provider's answer that may be absent, null or there: three answers, never one.
//! It must never turn a field that is not there into a value.

use provost_model::{Reading, Time};
use serde::{Deserialize, Deserializer};

/// What an answer says in one field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Said<T> {
    /// The field is not there: an older server, or one that does not tell.
    #[default]
    Absent,
    /// It is there and null.
    Null,
    /// It is there.
    Is(T),
}

impl<T> Said<T> {
    /// The value, if there is one.
    pub(super) fn is(self) -> Option<T> {
        match self {
            Said::Is(value) => Some(value),
            Said::Absent | Said::Null => None,
        }
    }

    /// As a reading; what null means is the caller's to say.
    pub(super) fn or(self, null: Reading<T>) -> Reading<T> {
        match self {
            Said::Is(value) => Reading::Known(value),
            Said::Null => null,
            Said::Absent => Reading::NotReported,
        }
    }

    /// As a reading, where null says no more than that the provider does not tell.
    pub(super) fn reading(self) -> Reading<T> {
        self.or(Reading::NotReported)
    }
}

impl Said<String> {
    /// As a date; what null means is the caller's to say. A text that is no date reports none.
    pub(super) fn date(&self, null: Reading<Time>) -> Reading<Time> {
        match self {
            Said::Is(text) => text.parse().map_or(Reading::NotReported, Reading::Known),
            Said::Null => null,
            Said::Absent => Reading::NotReported,
        }
    }

    /// As a date that everything of this kind has.
    pub(super) fn dated(&self) -> Reading<Time> {
        self.date(Reading::NotReported)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Said<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::<T>::deserialize(deserializer)?.map_or(Said::Null, Said::Is))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Row {
        #[serde(default)]
        at: Said<String>,
    }

    #[test]
    fn absent_null_and_there_are_three_answers() {
        let read = |text: &str| serde_json::from_str::<Row>(text).unwrap().at.date(Reading::Never);
        assert_eq!(read("{}"), Reading::NotReported);
        assert_eq!(read(r#"{"at": null}"#), Reading::Never);
        assert_eq!(read(r#"{"at": "soon"}"#), Reading::NotReported);
        let known = read(r#"{"at": "2026-01-02T03:04:05.000-07:00"}"#);
        assert_eq!(known, Reading::Known("2026-01-02T10:04:05Z".parse().unwrap()));
        assert!(serde_json::from_str::<Row>(r#"{"at": 7}"#).is_err(), "another type is no answer at all");
    }
}
