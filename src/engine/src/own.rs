//! Who answers for a thing.
//! It must never invent an owner: every one rests on evidence that is kept.

use provost_model::{Owner, Record};

/// stand-in
#[derive(Clone, Debug, Default)]
pub struct Labels;

/// stand-in
pub fn own(_: &Record, _: Option<&Record>, _: &Labels) -> Option<Owner> {
    None
}
