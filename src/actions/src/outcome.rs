//! What an act that went wrong asks of its caller.
//! It must never call repeatable what may have happened.

use std::time::Duration;

use provost_client::{Failure, Fate, Undone};
use provost_model::Why;
use thiserror::Error;

/// Why an external step did not end well, named by what the caller does next (promise 6).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ActionError {
    /// Nothing happened out there: the same step may be tried again.
    #[error("not done yet, try again{}: {said}", after.map(|it| format!(" in {} s", it.as_secs())).unwrap_or_default())]
    Retry {
        /// How long the other side asked to wait.
        after: Option<Duration>,
        /// What it said, without secrets.
        said: String,
    },
    /// Nothing happened out there, and trying again will not help.
    #[error("not possible: {said}")]
    GiveUp {
        /// What the other side said, without secrets.
        said: String,
    },
    /// It may have happened or not: look before anything else. Never repeat blindly.
    #[error("cannot tell whether it happened; look first: {said}")]
    Ambiguous {
        /// What is known of the answer, without secrets.
        said: String,
    },
}

impl ActionError {
    /// Whether the same step may be sent again without looking first.
    pub fn may_repeat(&self) -> bool {
        matches!(self, Self::Retry { .. })
    }

    /// What is known of it, without secrets.
    pub fn said(&self) -> &str {
        match self {
            Self::Retry { said, .. } | Self::GiveUp { said } | Self::Ambiguous { said } => said,
        }
    }
}

impl From<Undone> for ActionError {
    fn from(undone: Undone) -> Self {
        let Undone { fate, failure, after } = undone;
        let said = failure.to_string();
        match fate {
            Fate::Nothing => Self::Retry { after, said },
            Fate::Refused => Self::GiveUp { said },
            Fate::Unknown => Self::Ambiguous { said },
        }
    }
}

/// A look that failed changed nothing, and says nothing of the act it looked for.
impl From<Failure> for ActionError {
    fn from(failure: Failure) -> Self {
        let said = failure.to_string();
        match failure.why {
            Why::Malformed | Why::Changed => Self::GiveUp { said },
            _ => Self::Retry { after: None, said },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ambiguous_answer_is_never_repeated_blindly() {
        assert!(!ActionError::Ambiguous { said: "connection cut after the request was sent".into() }.may_repeat());
        assert!(!ActionError::GiveUp { said: "403".into() }.may_repeat());
        assert!(ActionError::Retry { after: None, said: "503".into() }.may_repeat());
    }
}
