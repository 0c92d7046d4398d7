//! Turns what a scope says of one thing into what changed: one record at a time, so that estates of any size stream.
//! It must never let an older statement replace a newer one; about absence see `absence`.

use provost_model::{
    Change, Entity, Field, FieldChange, PartId, Record, RecordId, ScopeNo, Standing, Statement, Time, Value, What,
};

/// Who speaks, about when, and when it is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    /// The scope that speaks.
    pub scope: ScopeNo,
    /// The part of it.
    pub part: PartId,
    /// The provider's time.
    pub as_of: Time,
    /// The time of the commit.
    pub recorded: Time,
}

/// A record that does not exist yet, as far as the engine may not decide it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Birth {
    /// The id to give it.
    pub id: RecordId,
    /// Whether its source had no complete run yet.
    pub baseline: bool,
}

/// A thing was seen: `None` if that changes nothing.
pub fn present(before: Option<&Record>, entity: Entity, said: Said, birth: Birth) -> Option<Change> {
    match before {
        None => Some(appear(entity, said, birth)),
        Some(before) => see_again(before, entity, said),
    }
}

fn appear(entity: Entity, said: Said, birth: Birth) -> Change {
    let mut externals = vec![entity.key.external];
    for alias in entity.aliases {
        if !externals.contains(&alias) {
            externals.push(alias);
        }
    }
    let after = Record {
        id: birth.id,
        kind: entity.key.kind,
        realm: entity.key.realm,
        externals,
        identity: entity.identity,
        container: entity.container,
        first_seen: said.recorded,
        baseline: birth.baseline,
        statements: vec![said.with(entity.facts)],
    };
    let aliases = after.externals.clone();
    Change { what: What::Appeared, after, fields: Vec::new(), aliases }
}

fn see_again(before: &Record, entity: Entity, said: Said) -> Option<Change> {
    let known = before.statements.iter().find(|it| said.is_by(it));
    if known.is_some_and(|it| it.as_of > said.as_of) {
        return None;
    }
    let names_known = before.externals.contains(&entity.key.external)
        && entity.aliases.iter().all(|alias| before.externals.contains(alias))
        && !takes_over(before, &entity);
    let links_known = (entity.identity.is_none() || entity.identity == before.identity)
        && (entity.container.is_none() || entity.container == before.container);
    let same_words = known.is_some_and(|it| it.standing == Standing::Seen && it.facts == entity.facts);
    let alone = before.statements.len() == 1;
    if same_words && names_known && links_known && alone {
        return None;
    }

    let mut after = before.clone();
    let aliases = learn_names(&mut after, &entity);
    after.identity = entity.identity.or(after.identity);
    after.container = entity.container.or(after.container);
    put_statement(&mut after, said.with(entity.facts));

    let fields = differences(before, &after);
    if same_words && names_known && links_known && fields.is_empty() {
        // The same words again, and nobody contradicts: `last_seen` belongs to the scope's run, nothing is written.
        return None;
    }
    let returned = before.presence() != after.presence();
    let lasting = fields.iter().any(|it| !it.field.is_volatile());
    let what = match (returned, lasting || !names_known || !links_known) {
        (true, _) => What::Returned,
        (false, true) => What::Changed,
        (false, false) => What::Touched,
    };
    Some(Change { what, after, fields, aliases })
}

/// Adds the names the entity brings, and gives those that are new. An entity that names the present main id among its
/// aliases brings a better one.
fn learn_names(record: &mut Record, entity: &Entity) -> Vec<String> {
    let mut learned = Vec::new();
    for name in std::iter::once(&entity.key.external).chain(&entity.aliases) {
        if !record.externals.contains(name) {
            record.externals.push(name.clone());
            learned.push(name.clone());
        }
    }
    if takes_over(record, entity) {
        record.externals.retain(|name| *name != entity.key.external);
        record.externals.insert(0, entity.key.external.clone());
    }
    learned
}

fn takes_over(record: &Record, entity: &Entity) -> bool {
    record.external() != entity.key.external && entity.aliases.iter().any(|alias| alias == record.external())
}

/// Puts a statement in place of the same speaker's former one, or in its place in the order of scope and part.
pub(crate) fn put_statement(record: &mut Record, statement: Statement) {
    let order = |it: &Statement| (it.scope, it.part);
    match record.statements.binary_search_by_key(&order(&statement), order) {
        Ok(at) => {
            if let Some(slot) = record.statements.get_mut(at) {
                *slot = statement;
            }
        }
        Err(at) => record.statements.insert(at, statement),
    }
}

/// Attributes of which something else is believed afterwards.
pub fn differences(before: &Record, after: &Record) -> Vec<FieldChange> {
    let mut fields: Vec<Field> = [before, after]
        .into_iter()
        .flat_map(|record| &record.statements)
        .flat_map(|said| said.facts.iter().map(|(field, _)| field))
        .collect();
    fields.sort_unstable();
    fields.dedup();
    let changed = fields.into_iter().filter_map(|field| {
        let (old, new) = (before.reading(field), after.reading(field));
        (old != new).then(|| FieldChange { field, old: old.map(Value::clone), new: new.map(Value::clone) })
    });
    changed.collect()
}

impl Said {
    fn with(self, facts: provost_model::Facts) -> Statement {
        Statement {
            scope: self.scope,
            part: self.part,
            as_of: self.as_of,
            recorded: self.recorded,
            standing: Standing::Seen,
            facts,
        }
    }

    fn is_by(self, statement: &Statement) -> bool {
        statement.scope == self.scope && statement.part == self.part
    }
}

#[cfg(test)]
mod tests {
    use provost_model::{Key, Kind, Presence, Reading, Realm, Status, field};

    use super::*;

    fn said(scope: u32, as_of: i64) -> Said {
        let recorded = Time::from_seconds(as_of);
        Said { scope: ScopeNo(scope), part: PartId::WHOLE, as_of: recorded, recorded }
    }

    fn birth() -> Birth {
        Birth { id: RecordId::from_bytes([1; 16]), baseline: false }
    }

    fn key(external: &str) -> Entity {
        Entity::new(Key::new(Realm::new("aws", "1"), Kind::AccessKey, external), external)
            .with(field::STATUS, Status::Active)
    }

    fn seen(entity: Entity) -> Record {
        present(None, entity, said(1, 10), birth()).unwrap().after
    }

    #[test]
    fn saying_it_twice_is_saying_it_once() {
        let record = seen(key("A"));
        assert_eq!(present(Some(&record), key("A"), said(1, 20), birth()), None);
    }

    #[test]
    fn a_change_names_the_field_the_old_and_the_new() {
        let record = seen(key("A"));
        let change =
            present(Some(&record), key("A").with(field::STATUS, Status::Inactive), said(1, 20), birth()).unwrap();
        assert_eq!(change.what, What::Changed);
        let [only] = change.fields.as_slice() else { panic!("{:?}", change.fields) };
        assert_eq!(
            (only.field, only.old.clone()),
            (field::STATUS.field(), Reading::Known(Value::Text("active".into())))
        );
    }

    #[test]
    fn an_older_statement_is_not_heard() {
        let record = seen(key("A"));
        let older = key("A").with(field::STATUS, Status::Inactive);
        assert_eq!(present(Some(&record), older, said(1, 9), birth()), None);
    }

    #[test]
    fn only_volatile_differences_are_a_touch() {
        let record = seen(key("A").with(field::LAST_USED_AT, Time::from_seconds(1)));
        let again = key("A").with(field::LAST_USED_AT, Time::from_seconds(15));
        assert_eq!(present(Some(&record), again, said(1, 20), birth()).unwrap().what, What::Touched);
    }

    #[test]
    fn learning_the_key_id_is_a_change_and_makes_it_the_main_id() {
        let slot = key("AIDA/slot-1@2026-01-01T00:00:00Z").with(field::NAME, Reading::NotReported);
        let record = seen(slot);
        let listed = key("AKIA1").alias("AIDA/slot-1@2026-01-01T00:00:00Z");
        let change = present(Some(&record), listed, said(2, 20), birth()).unwrap();
        assert_eq!((change.what, change.after.id, change.after.external()), (What::Changed, record.id, "AKIA1"));
        assert_eq!(change.aliases, ["AKIA1"]);
        // The report goes on naming it by its slot: that takes nothing back.
        let slot = key("AIDA/slot-1@2026-01-01T00:00:00Z").with(field::NAME, Reading::NotReported);
        assert_eq!(present(Some(&change.after), slot, said(1, 30), birth()), None);
    }

    #[test]
    fn what_comes_back_returns() {
        let mut record = seen(key("A"));
        record.statements[0].standing = Standing::Missing { began: Time::from_seconds(11) };
        assert_eq!(record.presence(), Presence::Missing);
        let change = present(Some(&record), key("A"), said(1, 20), birth()).unwrap();
        assert_eq!((change.what, change.after.presence()), (What::Returned, Presence::Present));
    }

    #[test]
    fn of_two_scopes_that_contradict_each_other_the_fresher_is_believed_even_if_it_only_repeats_itself() {
        let record = seen(key("A"));
        let other = key("A").with(field::STATUS, Status::Inactive);
        let record = present(Some(&record), other, said(2, 20), birth()).unwrap().after;
        assert_eq!(record.get(field::STATUS), Reading::Known(Status::Inactive));
        let change = present(Some(&record), key("A"), said(1, 30), birth()).unwrap();
        assert_eq!(change.after.get(field::STATUS), Reading::Known(Status::Active));
        assert_eq!(change.what, What::Changed);
    }
}
