//! Promise 3 as a type: an attribute is known, never happened, or is unknown for a stated reason.
//! It must never be flattened to an `Option` outside the engine's rules.

use serde::{Deserialize, Serialize};

/// What is known of one attribute. The four ways of not knowing are different answers to "why not?".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "reading", content = "value", rename_all = "snake_case")]
pub enum Reading<T> {
    /// The provider said so.
    Known(T),
    /// The provider said that it never happened (a key that was never used, a token without expiry).
    Never,
    /// This provider does not report it, to anybody.
    NotReported,
    /// The provider reports it, but the source's credential may not see it.
    NotPermitted,
    /// It has not been asked for yet.
    #[default]
    NotCollected,
}

impl<T> Reading<T> {
    /// The value, if there is one. Whoever calls this has decided what the other four mean.
    pub fn known(self) -> Option<T> {
        match self {
            Self::Known(value) => Some(value),
            _ => None,
        }
    }

    /// True for [`Reading::Known`] and [`Reading::Never`]: the provider answered.
    pub fn is_answered(&self) -> bool {
        matches!(self, Self::Known(_) | Self::Never)
    }

    /// A borrowed reading.
    pub fn as_ref(&self) -> Reading<&T> {
        match self {
            Self::Known(value) => Reading::Known(value),
            Self::Never => Reading::Never,
            Self::NotReported => Reading::NotReported,
            Self::NotPermitted => Reading::NotPermitted,
            Self::NotCollected => Reading::NotCollected,
        }
    }

    /// Applies `with` to a known value.
    pub fn map<U>(self, with: impl FnOnce(T) -> U) -> Reading<U> {
        match self {
            Self::Known(value) => Reading::Known(with(value)),
            Self::Never => Reading::Never,
            Self::NotReported => Reading::NotReported,
            Self::NotPermitted => Reading::NotPermitted,
            Self::NotCollected => Reading::NotCollected,
        }
    }

    /// The word used in every interface: `known`, `never`, `not_reported`, `not_permitted`, `not_collected`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Known(_) => "known",
            Self::Never => "never",
            Self::NotReported => "not_reported",
            Self::NotPermitted => "not_permitted",
            Self::NotCollected => "not_collected",
        }
    }

    /// How much this reading says; of two statements about one attribute the more telling one is believed.
    pub(crate) fn weight(&self) -> u8 {
        match self {
            Self::Known(_) | Self::Never => 3,
            Self::NotPermitted => 2,
            Self::NotReported => 1,
            Self::NotCollected => 0,
        }
    }
}

impl<T> From<T> for Reading<T> {
    fn from(value: T) -> Self {
        Self::Known(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pinned_wire_form() {
        assert_eq!(serde_json::to_string(&Reading::Known(7)).unwrap(), r#"{"reading":"known","value":7}"#);
        assert_eq!(serde_json::to_string(&Reading::<i64>::NotReported).unwrap(), r#"{"reading":"not_reported"}"#);
        let back: Reading<i64> = serde_json::from_str(r#"{"reading":"never"}"#).unwrap();
        assert_eq!(back, Reading::Never);
    }
}
