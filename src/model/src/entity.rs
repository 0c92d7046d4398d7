//! What a connector says of one thing, before anything is known about it.
//! It must never carry a secret value.

use crate::{Attr, Facts, Key, Reading, field, field::Typed};

/// One thing as one listing shows it. Nouns share this shape, so that comparing, storing and filtering are written
/// once; [`Kind::noun`](crate::Kind::noun) says which noun it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entity {
    /// The name by which this listing knows it.
    pub key: Key,
    /// Other external ids of the same thing, in the same realm and kind. Naming the record's present main id here
    /// makes `key.external` its main id from now on.
    pub aliases: Vec<String>,
    /// For a credential: the identity it authenticates as.
    pub identity: Option<Key>,
    /// The record whose end is the end of this one: the user of a key, the host of a file.
    pub container: Option<Key>,
    /// Everything else the listing says.
    pub facts: Facts,
}

impl Entity {
    /// A thing of that key and name.
    pub fn new(key: Key, name: impl Into<String>) -> Self {
        let facts = Facts::new().with(field::NAME, name.into());
        Self { key, aliases: Vec::new(), identity: None, container: None, facts }
    }

    /// Adds an external id.
    pub fn alias(mut self, external: impl Into<String>) -> Self {
        self.aliases.push(external.into());
        self
    }

    /// Says as whom this credential authenticates; its end is this one's end too.
    pub fn of(mut self, identity: Key) -> Self {
        self.container = Some(identity.clone());
        self.identity = Some(identity);
        self
    }

    /// Says in what this thing lives.
    pub fn within(mut self, container: Key) -> Self {
        self.container = Some(container);
        self
    }

    /// Adds a fact.
    pub fn with<T: Typed>(mut self, attr: Attr<T>, reading: impl Into<Reading<T>>) -> Self {
        self.facts.set(attr, reading);
        self
    }
}
