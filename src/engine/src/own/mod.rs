//! Who answers for a thing: every piece of evidence weighed, faded with age, and added up per person or team.
//! It must never name an owner without the evidence, nor take a directory owner or a system account for one.

mod catalogue;
#[cfg(any(test, feature = "testing"))]
pub mod corpus;
mod names;
mod people;
mod roster;
mod signals;
mod told;
mod weigh;
mod weights;

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use provost_model::{FieldSet, Owner, OwnerWord, Record, ScopeNo, Time, field};

use catalogue::Catalogue;

pub use catalogue::CatalogueEntry;
pub use roster::{Fault, People, Person, Roster, Team};
pub use told::told;
pub use weights::{HalfLives, Owning, Weights};

/// Attributes of a record, and of the identity behind it, that say who answers for it.
pub const RESTS_ON: FieldSet = FieldSet::of(&[
    field::NAME.field(),
    field::PATH.field(),
    field::NATURE.field(),
    field::TAGS.field(),
    field::EMAILS.field(),
    field::APP_OWNER.field(),
    field::CODEOWNERS.field(),
    field::AUTHORS.field(),
    field::AUTHORED_AT.field(),
    field::CREATED_AT.field(),
    field::CREATED_BY.field(),
    field::REPO_ADMINS.field(),
    field::LAST_HUMAN_USER.field(),
    field::LAST_HUMAN_USE_AT.field(),
    field::FILE_OWNER.field(),
    field::FILE_OWNER_UID.field(),
]);

/// A record whose owner is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The record.
    pub record: &'a Record,
    /// The record it authenticates as, for a credential: whoever answers for that answers for it, unless it says
    /// something stronger itself.
    pub identity: Option<&'a Record>,
    /// What a human being said last about the record.
    pub word: Option<&'a OwnerWord>,
    /// What a human being said last about its identity.
    pub identity_word: Option<&'a OwnerWord>,
}

/// What owners are found by.
#[derive(Clone, Copy, Debug)]
pub struct Attribution<'a> {
    /// Weights and tags.
    pub owning: &'a Owning,
    /// People and teams.
    pub roster: &'a Roster,
    /// The source of each scope that has owner tags of its own.
    pub sources: &'a HashMap<ScopeNo, String>,
}

impl<'a> Asked<'a> {
    /// A record without identity, about which nobody said anything.
    pub fn alone(record: &'a Record) -> Self {
        Self { record, identity: None, word: None, identity_word: None }
    }
}

impl Attribution<'_> {
    /// Who answers for a record at that time, with everything that speaks for it and against it.
    pub fn owner_of(&self, asked: &Asked<'_>, now: Time) -> Option<Owner> {
        let mut collector = signals::Collector::new(self);
        collector.record(asked.record, asked.word, false);
        if let Some(identity) = asked.identity {
            collector.record(identity, asked.identity_word, true);
        }
        weigh::weigh(self, collector.into_found(), now)
    }

    /// The tags that name an owner in that scope.
    fn tags_of(&self, scope: ScopeNo) -> &[String] {
        let of_source = self.sources.get(&scope).and_then(|source| self.owning.tags_of.get(source));
        of_source.unwrap_or(&self.owning.tags)
    }
}
