//! From what was found in a file to records of the inventory.
//! It must never say of a file's times more than they mean: mtime is no creation, atime is no use.

use provost_model::{Attr, Entity, Facts, Key, Kind, Reading, Realm, Status, Time, field};

use super::{
    found::{Found, Of},
    place::{FileFacts, Place, Users},
};

/// A file, as its records carry it.
#[derive(Debug)]
pub(crate) struct Origin<'a> {
    /// The authority for names on this host.
    pub realm: &'a Realm,
    /// Where the file is.
    pub place: &'a Place,
    /// What the file system says of it.
    pub file: &'a FileFacts,
    /// User names.
    pub users: &'a Users,
    /// The recogniser that took it.
    pub store_kind: &'static str,
}

impl Origin<'_> {
    /// The record of something found.
    pub(crate) fn entity(&self, found: Found) -> Entity {
        let Found { kind, position, name, facts, identity } = found;
        let title = if name == position { format!("{} {position}", self.place.name()) } else { name };
        let mut entity = self.bare(kind, &position, title);
        for (field, reading) in facts.iter() {
            entity.facts.set_value(field, reading.clone());
        }
        if kind != Kind::AiAgent {
            unsaid(&mut entity.facts, field::EXPIRES_AT, Reading::NotReported);
        }
        unsaid(&mut entity.facts, field::STATUS, Reading::Known(Status::Unknown));
        match identity {
            Some(Of::Agent(position)) => {
                entity.of(Key::new(self.realm.clone(), Kind::AiAgent, self.place.external(&position)))
            }
            Some(Of::Workload(external)) => {
                entity.identity = Some(Key::new(self.realm.clone(), Kind::Workload, external));
                entity
            }
            None => entity,
        }
    }

    /// The workload a client certificate names. It lives in no file: several certificates may name it.
    pub(crate) fn workload(&self, found: &Found) -> Option<Entity> {
        let Some(Of::Workload(external)) = &found.identity else { return None };
        let subject = found.facts.get(field::SUBJECT).known()?;
        let common = subject.split(',').find_map(|part| part.trim().strip_prefix("CN=")).unwrap_or(&subject);
        let entity = Entity::new(Key::new(self.realm.clone(), Kind::Workload, external.clone()), common);
        Some(
            entity
                .with(field::SUBJECT, subject.clone())
                .with(field::ISSUER, found.facts.get(field::ISSUER))
                .with(field::CREATED_AT, Reading::<Time>::NotReported)
                .with(field::LAST_USED_AT, Reading::<Time>::NotReported)
                .with(field::NATURE, "machine".to_owned())
                .with(field::NATURE_BECAUSE, "named by a certificate for client authentication".to_owned()),
        )
    }

    /// The record of a file that exists only to keep secrets and cannot be read.
    pub(crate) fn unreadable(&self) -> Entity {
        let mut entity = self.bare(Kind::Secret, "", self.place.name().to_owned());
        entity.facts.set(field::PLAINTEXT, Reading::NotPermitted);
        entity.facts.set(field::FINGERPRINT, Reading::NotPermitted);
        entity.facts.set(field::CREDENTIAL_TYPE, Reading::NotPermitted);
        entity.facts.set(field::EXPIRES_AT, Reading::<Time>::NotPermitted);
        entity.facts.set(field::STATUS, Status::Unknown);
        entity
    }

    /// The record of a file that exists only to keep secrets and was not understood.
    pub(crate) fn not_understood(&self, note: &str) -> Entity {
        let mut entity = self.bare(Kind::Secret, "", self.place.name().to_owned());
        entity.facts.set(field::FINGERPRINT, Reading::NotCollected);
        entity.facts.set(field::FINGERPRINT_NOTE, note.to_owned());
        entity.facts.set(field::EXPIRES_AT, Reading::<Time>::NotCollected);
        entity.facts.set(field::STATUS, Status::Unknown);
        entity
    }

    fn bare(&self, kind: Kind, position: &str, name: String) -> Entity {
        let key = Key::new(self.realm.clone(), kind, self.place.external(position));
        let mut entity = Entity::new(key, name);
        entity.facts = self.file.facts(self.place, self.users).with(field::NAME, entity.facts.get(field::NAME));
        entity
            .with(field::POSITION, position.to_owned())
            .with(field::STORE_KIND, self.store_kind.to_owned())
            .with(field::CREATED_AT, Reading::<Time>::NotReported)
            .with(field::ROTATED_AT, Reading::<Time>::NotReported)
            .with(field::LAST_USED_AT, Reading::<Time>::NotReported)
    }
}

fn unsaid<T: field::Typed>(facts: &mut Facts, attr: Attr<T>, reading: Reading<T>) {
    if matches!(facts.reading(attr.field()), Reading::NotCollected) {
        facts.set(attr, reading);
    }
}
