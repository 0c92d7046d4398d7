//! Owners of records as of now: by the weights configured, the people known, and the words of human beings.
//! It must never weigh anything itself; that is the engine's.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use provost_engine::{
    Attribution, Roster,
    own::{Asked, People, Person, Team},
};
use provost_model::{Kind, Owner, OwnerWord, Presence, Reading, Record, RecordId, ScopeNo, Status, Time, field};
use provost_store::{
    CommitNo, StoreError,
    inventory::{Draft, Inventory},
};

use super::judge::Yardstick;
use crate::house::House;

/// The people file with whom sources met, as of a commit.
type Whole = (CommitNo, Arc<Roster>);

/// People and teams of the file, and with them those that sources met, as last read.
#[derive(Clone, Debug, Default)]
pub struct Known {
    file: Arc<Roster>,
    /// Everybody, as of the commit in which a person or team last changed.
    all: Arc<Mutex<Option<Whole>>>,
}

/// Finds owners.
pub struct Owners<'a> {
    inventory: Inventory<'a>,
    yardstick: &'a Yardstick,
    people: Arc<Roster>,
    sources: HashMap<ScopeNo, String>,
    /// Whether human beings said anything about any owner.
    words: bool,
    at: Option<CommitNo>,
}

impl Known {
    /// Those of a people file.
    pub fn new(file: Arc<Roster>) -> Self {
        Self { file, all: Arc::default() }
    }

    /// People and teams of the file alone.
    pub fn of_file(&self) -> &Roster {
        &self.file
    }

    /// Everybody. Read anew only if a person or team has changed since.
    pub fn everybody(&self, inventory: Inventory<'_>) -> Result<Arc<Roster>, StoreError> {
        let Some(changed) = inventory.people_changed()? else { return Ok(Arc::clone(&self.file)) };
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((as_of, known)) = all.as_ref()
            && *as_of == changed
        {
            return Ok(Arc::clone(known));
        }
        let met = Arc::new(self.file.with(met(&inventory.people()?)));
        *all = Some((changed, Arc::clone(&met)));
        Ok(met)
    }
}

impl<'a> Owners<'a> {
    /// Owners by that yardstick, by what was said up to a commit (`None`: now).
    pub fn new(inventory: Inventory<'a>, yardstick: &'a Yardstick, at: Option<CommitNo>) -> Result<Self, StoreError> {
        let people = yardstick.people.everybody(inventory)?;
        let mut sources = HashMap::new();
        if !yardstick.owning.tags_of.is_empty() {
            sources.extend(inventory.scopes(None)?.into_iter().map(|row| (row.number, row.source)));
        }
        Ok(Self { inventory, yardstick, people, sources, words: inventory.has_owner_words()?, at })
    }

    /// Everybody who is known.
    pub fn people(&self) -> &Roster {
        &self.people
    }

    /// Who answers for a record.
    pub fn of(&self, record: &Record, identity: Option<&Record>, now: Time) -> Result<Option<Owner>, StoreError> {
        let word = |record: &Record| match self.words {
            true => self.inventory.owner_word(record.id, self.at),
            false => Ok(None),
        };
        let (own, of_identity) = (word(record)?, identity.map(word).transpose()?.flatten());
        let asked = Asked { record, identity, word: own.as_ref(), identity_word: of_identity.as_ref() };
        let by = Attribution { owning: &self.yardstick.owning, roster: &self.people, sources: &self.sources };
        Ok(by.owner_of(&asked, now))
    }

    /// Digest of everything that owners rest on beside records and words.
    pub fn digest(&self) -> String {
        format!("{}-{}", self.yardstick.owning.digest(), self.people.digest())
    }
}

/// Writes down what somebody says about the owner of a record; `owner` is `None` to withdraw what was said before.
pub fn say(house: &House, id: RecordId, word: OwnerWord) -> Result<(), StoreError> {
    let _pen = house.pen();
    let mut draft = Draft::new(house.inventory(), house.now());
    draft.put_owner_word(id, &word)?;
    draft.commit()?;
    Ok(())
}

/// What sources say of people and teams.
fn met(records: &[Record]) -> People {
    let mut people = People::default();
    for record in records {
        match record.kind {
            Kind::Person => people.persons.push(person(record)),
            Kind::Team if there(record) => people.teams.push(team(record)),
            _ => {}
        }
    }
    people
}

fn person(record: &Record) -> Person {
    let emails = record.get(field::EMAILS).known().unwrap_or_default();
    let own = |login: String| (record.realm.to_string(), login);
    let mut logins: Vec<(String, String)> = record.get(field::USERNAME).known().map(own).into_iter().collect();
    for login in record.get(field::LOGINS).known().unwrap_or_default() {
        let (realm, login) = login.split_once(' ').unwrap_or(("*", &login));
        logins.push((realm.to_owned(), login.to_owned()));
    }
    let mut person = Person {
        id: emails.iter().min().map_or_else(|| record.external().to_owned(), |it| it.to_lowercase()),
        name: record.get(field::NAME).known(),
        teams: record.get(field::GROUPS).known().unwrap_or_default(),
        manager: record.get(field::MANAGER).known(),
        left: left(record),
        moved: record.get(field::MOVED_AT).known(),
        emails,
        ..Person::default()
    };
    for (realm, login) in logins {
        person.logins.entry(realm).or_default().push(login);
    }
    person
}

/// When a person left: as the directory says, or when it was first seen that the account is switched off or gone.
fn left(record: &Record) -> Option<Time> {
    if let Reading::Known(at) = record.get(field::LEFT_AT) {
        return Some(at);
    }
    let off = record.get(field::STATUS) == Reading::Known(Status::Inactive);
    (off || record.presence() == Presence::Gone).then(|| record.as_of())
}

fn team(record: &Record) -> Team {
    Team {
        id: record.get(field::USERNAME).known().unwrap_or_else(|| record.external().to_owned()),
        name: record.get(field::NAME).known(),
        contacts: record.get(field::EMAILS).known().unwrap_or_default(),
        members: Vec::new(),
        parent: record.get(field::MANAGER).known(),
    }
}

fn there(record: &Record) -> bool {
    matches!(record.presence(), Presence::Present | Presence::Missing)
}

#[cfg(test)]
mod tests {
    use provost_model::{Change, Facts, PartId, Party, Realm, RecordId, Standing, Statement, What};

    use super::*;
    use crate::jobs::anew;

    fn at(seconds: i64) -> Time {
        Time::from_seconds(seconds)
    }

    /// Commits a record, or a change of it.
    fn put(store: &dyn provost_store::Store, byte: u8, kind: Kind, (now, facts): (i64, Facts)) {
        let inventory = Inventory::of(store);
        let id = RecordId::from_bytes([byte; 16]);
        let said = Statement {
            scope: ScopeNo(1),
            part: PartId::WHOLE,
            as_of: at(now),
            recorded: at(now),
            standing: Standing::Seen,
            facts,
        };
        let known = inventory.record(id, None).unwrap();
        let after = Record {
            id,
            kind,
            realm: Realm::new("okta", "1"),
            externals: vec![format!("x{byte}")],
            identity: None,
            container: None,
            first_seen: at(1),
            baseline: false,
            statements: vec![said],
        };
        let what = if known.is_some() { What::Changed } else { What::Appeared };
        let mut draft = Draft::new(inventory, at(now));
        draft.apply(Change { what, after, fields: Vec::new(), aliases: Vec::new() }).unwrap();
        draft.commit().unwrap();
    }

    #[test]
    fn people_met_by_sources_answer_for_things_until_they_leave() {
        let store = provost_store::memory();
        let yardstick = Yardstick::default();
        let tags = std::collections::BTreeMap::from([("owner".to_owned(), "amiller".to_owned())]);
        put(&store, 1, Kind::Role, (10, Facts::new().with(field::TAGS, tags)));
        let inventory = Inventory::of(&store);
        let owner = |now: i64| {
            let record = inventory.record(RecordId::from_bytes([1; 16]), None).unwrap().unwrap();
            Owners::new(inventory, &yardstick, None).unwrap().of(&record, None, at(now)).unwrap().unwrap()
        };
        assert_eq!((owner(10).name.as_str(), owner(10).party), ("amiller", Party::Unknown));
        let ann = || {
            Facts::new()
                .with(field::EMAILS, vec!["Ann@x.org".to_owned()])
                .with(field::USERNAME, "amiller".to_owned())
                .with(field::STATUS, Status::Active)
        };
        let digest = || Owners::new(inventory, &yardstick, None).unwrap().digest();
        let before = digest();
        put(&store, 2, Kind::Person, (20, ann()));
        assert_eq!((owner(20).name.as_str(), owner(20).party, owner(20).left), ("ann@x.org", Party::Person, None));
        let met = digest();
        assert_ne!(met, before, "everything is judged anew when somebody is met");
        put(&store, 2, Kind::Person, (30, ann().with(field::STATUS, Status::Inactive)));
        assert_eq!(owner(30).left, Some(at(30)));
        assert_ne!(digest(), met, "and when somebody leaves");
        assert!(!anew::holds(inventory, &yardstick).unwrap());
    }
}
