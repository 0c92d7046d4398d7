//! An act that was refused because there is nothing at the place that the settings name.
//! It must never give a letter up for what an operator can put right without the letter changing.

use provost_client::{Fate, Undone};

use crate::ActionError;

/// What became of an act whose whole path is the operator's: that nothing is there (404, 410) can be mended.
pub(crate) fn undone(undone: Undone) -> ActionError {
    let mendable = undone.fate == Fate::Refused && undone.failure.is_missing();
    if mendable { Undone { fate: Fate::Nothing, ..undone }.into() } else { undone.into() }
}

#[cfg(test)]
mod tests {
    use provost_client::Failure;
    use provost_model::Why;

    use super::*;

    #[test]
    fn a_place_that_is_not_there_is_tried_again_and_a_letter_that_is_wrong_is_not() {
        let of = |fate, code: &str| {
            let failure = Failure::new("POST /x", Why::Changed, code, "HTTP");
            super::undone(Undone { fate, failure, after: None })
        };
        assert!(of(Fate::Refused, "404").may_repeat() && of(Fate::Refused, "410").may_repeat());
        assert!(matches!(of(Fate::Refused, "400"), ActionError::GiveUp { .. }));
        assert!(matches!(of(Fate::Unknown, "404"), ActionError::Ambiguous { .. }));
    }
}
