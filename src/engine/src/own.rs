//! Who answers for a thing.
//! It must never invent an owner: every one rests on evidence that is kept.
