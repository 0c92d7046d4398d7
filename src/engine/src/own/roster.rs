//! People and teams, and under which names they are known where.
//! It must never take one for another: a name that fits two is the name of nobody.

use std::collections::{BTreeMap, BTreeSet, HashMap, hash_map::Entry};

use provost_model::{Party, Realm, Time};
use serde::Serialize;

use super::{Catalogue, CatalogueEntry, names};
use crate::thresholds::digest_of;

/// A person.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Person {
    /// The name that interfaces show and records refer to.
    pub id: String,
    /// The name people use.
    pub name: Option<String>,
    /// E-mail addresses.
    pub emails: Vec<String>,
    /// Logins by realm (`aws:123456789012`), provider (`aws`) or everywhere (`*`).
    pub logins: BTreeMap<String, Vec<String>>,
    /// Ids of teams the person is a member of.
    pub teams: Vec<String>,
    /// The id of the person above.
    pub manager: Option<String>,
    /// The user of this machine that the person signs in as.
    pub uid: Option<u32>,
    /// When the person left the organisation, or will.
    pub left: Option<Time>,
    /// When the person last moved to another team or manager.
    pub moved: Option<Time>,
}

/// A team.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Team {
    /// The name that interfaces show and records refer to.
    pub id: String,
    /// The name people use.
    pub name: Option<String>,
    /// Addresses at which the team is reached.
    pub contacts: Vec<String>,
    /// Ids of members, beside the persons who name the team themselves.
    pub members: Vec<String>,
    /// The id of the team above.
    pub parent: Option<String>,
}

/// Everybody there is, and whose things the catalogue says are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct People {
    /// Persons.
    pub persons: Vec<Person>,
    /// Teams.
    pub teams: Vec<Team>,
    /// The catalogue.
    pub catalogue: Vec<CatalogueEntry>,
}

/// One thing wrong with a description of people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where, such as `persons[3].teams`.
    pub setting: String,
    /// What is wrong.
    pub said: String,
}

/// Somebody of the roster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Who {
    Person(usize),
    Team(usize),
}

/// People and teams, ready to be asked for.
#[derive(Clone, Debug, Default)]
pub struct Roster {
    persons: Vec<Person>,
    teams: Vec<Team>,
    pub(super) catalogue: Catalogue,
    /// Teams of each person, those above them included.
    teams_of: Vec<BTreeSet<usize>>,
    /// Teams above each team.
    above: Vec<BTreeSet<usize>>,
    /// Ids and addresses. `None`: more than one is called so.
    names: HashMap<String, Option<Who>>,
    /// The names people use, which several may share.
    spoken: HashMap<String, Option<Who>>,
    /// Logins by realm, provider or `*`; under the empty realm those of any.
    logins: HashMap<String, HashMap<String, Option<Who>>>,
    /// What names of things may contain.
    in_names: HashMap<String, Option<Who>>,
    digest: String,
}

/// Longest name of anything here.
const NAME_MAX: usize = 200;
/// Most persons, teams and catalogue entries.
const PERSONS_MAX: usize = 200_000;
const TEAMS_MAX: usize = 20_000;
const ENTRIES_MAX: usize = 20_000;
/// Most teams above one another.
const DEPTH_MAX: usize = 32;
/// Shorter logins are in too many names of things by accident.
const IN_NAMES_MIN: usize = 3;

impl Roster {
    /// The roster of these people, or everything that is wrong with them.
    pub fn new(people: People) -> Result<Self, Vec<Fault>> {
        let faults = super::people::faults(&people);
        if faults.is_empty() { Ok(Self::built(people)) } else { Err(faults) }
    }

    /// Nobody is known.
    pub fn is_empty(&self) -> bool {
        self.persons.is_empty() && self.teams.is_empty() && self.catalogue.is_empty()
    }

    /// Digest of all of it, for whoever must notice that it changed.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Numbers of persons and teams.
    pub fn counts(&self) -> (usize, usize) {
        (self.persons.len(), self.teams.len())
    }

    /// The id and sort of whoever is called so, if anybody is. `realm` is where the name was found, if anywhere.
    pub fn known(&self, text: &str, realm: Option<&Realm>) -> Option<(&str, Party)> {
        self.resolve(text, realm).map(|who| self.id(who))
    }

    /// Since when whoever is called so has left, if so.
    pub fn left(&self, text: &str, now: Time) -> Option<Time> {
        self.resolve(text, None).and_then(|who| self.person(who)?.left).filter(|at| *at <= now)
    }

    /// Where whoever is called so reads mail: a person's first address, a team's first contact.
    pub fn address(&self, text: &str) -> Option<&str> {
        let addresses = match self.resolve(text, None)? {
            Who::Person(at) => &self.persons.get(at)?.emails,
            Who::Team(at) => &self.teams.get(at)?.contacts,
        };
        addresses.first().map(String::as_str)
    }

    /// The person who signs in on this machine as that user.
    pub fn of_uid(&self, uid: u32) -> Option<&Person> {
        self.persons.iter().find(|person| person.uid == Some(uid))
    }

    /// The person of that id.
    pub fn of_id(&self, id: &str) -> Option<&Person> {
        self.persons.iter().find(|person| person.id == id)
    }

    /// Ids of all persons and teams.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.persons.iter().map(|it| it.id.as_str()).chain(self.teams.iter().map(|it| it.id.as_str()))
    }

    /// The same with what directories say of people: persons with one of the same addresses are one, and what the file says
    /// of anybody holds.
    pub fn with(&self, found: People) -> Self {
        let mut people =
            People { persons: self.persons.clone(), teams: self.teams.clone(), catalogue: self.catalogue.entries() };
        let mut taken: BTreeSet<String> = self.ids().map(str::to_lowercase).collect();
        let of_file = self.persons.iter().enumerate();
        let by_address: HashMap<String, usize> =
            of_file.flat_map(|(at, person)| addresses(person).map(move |it| (it, at))).collect();
        for person in united(found.persons) {
            let same = addresses(&person).find_map(|it| by_address.get(&it).copied());
            match same.and_then(|at| people.persons.get_mut(at)) {
                Some(known) => {
                    let left = known.left.or(person.left);
                    join(known, person);
                    known.left = left;
                }
                None if taken.insert(person.id.to_lowercase()) => people.persons.push(person),
                None => {}
            }
        }
        let teams = found.teams.into_iter().filter(|team| taken.insert(team.id.to_lowercase()));
        people.teams.extend(teams);
        Self::built(people)
    }

    fn built(people: People) -> Self {
        let digest = digest_of(&people);
        let mut roster = Self { digest, catalogue: Catalogue::of(people.catalogue), ..Self::default() };
        (roster.persons, roster.teams) = (people.persons, people.teams);
        roster.index_names();
        roster.index_teams();
        roster
    }

    fn index_names(&mut self) {
        let (mut names, mut spoken, mut in_names) = (HashMap::new(), HashMap::new(), HashMap::new());
        let mut logins: HashMap<String, HashMap<String, Option<Who>>> = HashMap::new();
        for (at, team) in self.teams.iter().enumerate() {
            let who = Who::Team(at);
            std::iter::once(&team.id).chain(&team.contacts).for_each(|it| enter(&mut names, it.to_lowercase(), who));
            team.name.iter().for_each(|it| enter(&mut spoken, it.to_lowercase(), who));
            let slugs = std::iter::once(&team.id).chain(&team.name).map(|it| names::slug(it));
            slugs.for_each(|it| enter(&mut in_names, it, who));
        }
        for (at, person) in self.persons.iter().enumerate() {
            let who = Who::Person(at);
            std::iter::once(&person.id).chain(&person.emails).for_each(|it| enter(&mut names, it.to_lowercase(), who));
            person.name.iter().for_each(|it| enter(&mut spoken, it.to_lowercase(), who));
            enter(&mut in_names, names::slug(&person.id), who);
            for (realm, login) in person.logins.iter().flat_map(|(realm, all)| all.iter().map(move |it| (realm, it))) {
                enter(logins.entry(realm.clone()).or_default(), login.to_lowercase(), who);
                enter(logins.entry(String::new()).or_default(), login.to_lowercase(), who);
                enter(&mut in_names, names::slug(login), who);
            }
        }
        in_names.retain(|name: &String, _| name.len() >= IN_NAMES_MIN);
        (self.names, self.spoken, self.logins, self.in_names) = (names, spoken, logins, in_names);
    }

    fn index_teams(&mut self) {
        let by_id: HashMap<String, usize> =
            self.teams.iter().enumerate().map(|(at, team)| (team.id.to_lowercase(), at)).collect();
        let find = |id: &String| by_id.get(&id.to_lowercase()).copied();
        let parents: Vec<Option<usize>> = self.teams.iter().map(|team| team.parent.as_ref().and_then(find)).collect();
        self.above = (0..self.teams.len())
            .map(|at| {
                let up = std::iter::successors(Some(at), |at| parents.get(*at).copied().flatten());
                up.skip(1).take(DEPTH_MAX).collect()
            })
            .collect();
        let persons: HashMap<String, usize> =
            self.persons.iter().enumerate().map(|(at, person)| (person.id.to_lowercase(), at)).collect();
        let mut teams_of = vec![BTreeSet::new(); self.persons.len()];
        for (at, person) in self.persons.iter().enumerate() {
            if let Some(teams) = teams_of.get_mut(at) {
                teams.extend(person.teams.iter().filter_map(find));
            }
        }
        for (at, team) in self.teams.iter().enumerate() {
            for member in team.members.iter().filter_map(|it| persons.get(&it.to_lowercase())) {
                teams_of.get_mut(*member).map(|teams: &mut BTreeSet<usize>| teams.insert(at));
            }
        }
        for teams in &mut teams_of {
            let above: Vec<usize> = teams.iter().filter_map(|at| self.above.get(*at)).flatten().copied().collect();
            teams.extend(above);
        }
        self.teams_of = teams_of;
    }

    /// Whoever is called so.
    pub(super) fn resolve(&self, text: &str, realm: Option<&Realm>) -> Option<Who> {
        if self.names.is_empty() {
            return None;
        }
        names::forms(text).into_iter().find_map(|form| {
            let of = |names: &HashMap<String, Option<Who>>| names.get(&form.text).copied().flatten();
            if form.team_only {
                return of(&self.names).or_else(|| of(&self.spoken)).filter(|who| matches!(who, Who::Team(_)));
            }
            let login = || self.login(&form.text, form.realm.as_ref().or(realm));
            let anywhere = || self.logins.get("").and_then(of);
            of(&self.names).or_else(login).or_else(|| of(&self.spoken)).or_else(anywhere)
        })
    }

    /// The person whose own account of that realm it is.
    pub(super) fn account(&self, text: &str, realm: &Realm) -> Option<Who> {
        let text = text.to_lowercase();
        let address = || text.contains('@').then(|| self.names.get(&text).copied().flatten()).flatten();
        self.login(&text, Some(realm)).or_else(address).filter(|who| matches!(who, Who::Person(_)))
    }

    fn login(&self, login: &str, realm: Option<&Realm>) -> Option<Who> {
        let realms = realm.into_iter().flat_map(|realm| [realm.as_str(), realm.provider()]).chain(["*"]);
        realms.into_iter().find_map(|realm| self.logins.get(realm)?.get(login).copied().flatten())
    }

    /// Whoever a part of a name stands for.
    pub(super) fn in_name(&self, part: &str) -> Option<Who> {
        self.in_names.get(part).copied().flatten()
    }

    pub(super) fn knows_names(&self) -> bool {
        !self.in_names.is_empty()
    }

    pub(super) fn id(&self, who: Who) -> (&str, Party) {
        match who {
            Who::Person(at) => (self.persons.get(at).map_or("", |it| &it.id), Party::Person),
            Who::Team(at) => (self.teams.get(at).map_or("", |it| &it.id), Party::Team),
        }
    }

    pub(super) fn person(&self, who: Who) -> Option<&Person> {
        if let Who::Person(at) = who { self.persons.get(at) } else { None }
    }

    /// Whether one is a member of the other, or above or below it.
    pub(super) fn related(&self, one: Who, other: Who) -> bool {
        let over = |team: usize, who: Who| match who {
            Who::Person(at) => self.teams_of.get(at).is_some_and(|teams| teams.contains(&team)),
            Who::Team(at) => self.above.get(at).is_some_and(|above| above.contains(&team)),
        };
        match (one, other) {
            (Who::Person(_), Who::Person(_)) => one == other,
            (Who::Team(team), _) if over(team, other) => true,
            (_, Who::Team(team)) => over(team, one),
            _ => false,
        }
    }
}

/// What bounds there are, for those who check a description of people.
pub(super) const BOUNDS: (usize, usize, usize, usize, usize) =
    (NAME_MAX, PERSONS_MAX, TEAMS_MAX, ENTRIES_MAX, DEPTH_MAX);

fn enter(names: &mut HashMap<String, Option<Who>>, name: String, who: Who) {
    match names.entry(name) {
        Entry::Vacant(free) => {
            free.insert(Some(who));
        }
        Entry::Occupied(mut taken) => {
            if *taken.get() != Some(who) {
                taken.insert(None);
            }
        }
    }
}

fn addresses(person: &Person) -> impl Iterator<Item = String> + '_ {
    person.emails.iter().map(|it| it.to_lowercase())
}

/// Persons of several directories, each once.
fn united(found: Vec<Person>) -> Vec<Person> {
    let mut by_address: HashMap<String, usize> = HashMap::new();
    let mut persons: Vec<Person> = Vec::new();
    for person in found {
        let same = addresses(&person).find_map(|it| by_address.get(&it).copied());
        let at = same.unwrap_or(persons.len());
        by_address.extend(addresses(&person).map(|it| (it, at)));
        match persons.get_mut(at) {
            Some(known) => join(known, person),
            None => persons.push(person),
        }
    }
    persons
}

/// Two descriptions of one person. Somebody has left when both say so, at the later time.
fn join(known: &mut Person, found: Person) {
    known.emails.extend(found.emails);
    known.emails.sort();
    known.emails.dedup();
    for (realm, logins) in found.logins {
        known.logins.entry(realm).or_default().extend(logins);
    }
    known.teams.extend(found.teams);
    known.name = known.name.take().or(found.name);
    known.manager = known.manager.take().or(found.manager);
    known.moved = known.moved.max(found.moved);
    known.left = known.left.zip(found.left).map(|(one, other)| one.max(other));
}
