//! What is wrong with a description of people: all of it, each with its place.
//! It must never let a name stand for two, nor a team be above itself.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    catalogue,
    roster::{BOUNDS, Fault, People},
};

/// Most faults told: after so many, the file is of another sort.
const FAULTS_MAX: usize = 100;

/// Everything wrong with these people.
pub(super) fn faults(people: &People) -> Vec<Fault> {
    let (_, persons, teams, entries, _) = BOUNDS;
    let mut check = Check { people, faults: Vec::new(), names: HashMap::new() };
    for (what, count, most) in [
        ("persons", people.persons.len(), persons),
        ("teams", people.teams.len(), teams),
        ("catalogue", people.catalogue.len(), entries),
    ] {
        if count > most {
            check.say(what, format!("at most {most}, there are {count}"));
        }
    }
    if check.faults.is_empty() {
        check.teams();
        check.persons();
        check.members();
        check.above("teams", people.teams.iter().map(|it| (it.id.as_str(), it.parent.as_deref())));
        check.above("persons", people.persons.iter().map(|it| (it.id.as_str(), it.manager.as_deref())));
        check.catalogue();
    }
    check.faults.truncate(FAULTS_MAX);
    check.faults
}

struct Check<'a> {
    people: &'a People,
    faults: Vec<Fault>,
    /// Who is called so, in small letters.
    names: HashMap<String, String>,
}

impl Check<'_> {
    fn say(&mut self, setting: impl Into<String>, said: impl Into<String>) {
        self.faults.push(Fault { setting: setting.into(), said: said.into() });
    }

    /// Takes a name for `whose`; says so if it is somebody else's.
    fn take(&mut self, setting: &str, name: &str, whose: &str) {
        if name.trim() != name || name.is_empty() || name.len() > BOUNDS.0 || name.chars().any(char::is_control) {
            self.say(setting, format!("a name has 1 to {} letters, none before or after it blank", BOUNDS.0));
            return;
        }
        let other = self.names.get(&name.to_lowercase()).filter(|it| *it != whose).cloned();
        match other {
            Some(other) => self.say(setting, format!("{name:?} is taken already, by {other}")),
            None => {
                self.names.insert(name.to_lowercase(), whose.to_owned());
            }
        }
    }

    fn teams(&mut self) {
        let mut ids = BTreeSet::new();
        for (at, team) in self.people.teams.iter().enumerate() {
            let setting = format!("teams[{at}]");
            if !ids.insert(team.id.to_lowercase()) {
                self.say(format!("{setting}.id"), format!("there is another team {:?}", team.id));
                continue;
            }
            let whose = format!("team {}", team.id);
            self.take(&format!("{setting}.id"), &team.id, &whose);
            for contact in &team.contacts {
                self.take(&format!("{setting}.contact"), contact, &whose);
            }
        }
    }

    fn persons(&mut self) {
        let mut ids = BTreeSet::new();
        let mut logins: BTreeMap<(&str, String), &str> = BTreeMap::new();
        let mut uids = BTreeMap::new();
        for (at, person) in self.people.persons.iter().enumerate() {
            let setting = format!("persons[{at}]");
            if !ids.insert(person.id.to_lowercase()) {
                self.say(format!("{setting}.id"), format!("there is another person {:?}", person.id));
                continue;
            }
            let whose = format!("person {}", person.id);
            self.take(&format!("{setting}.id"), &person.id, &whose);
            for email in &person.emails {
                match email.split_once('@') {
                    Some((local, domain)) if !local.is_empty() && !domain.is_empty() => {
                        self.take(&format!("{setting}.emails"), email, &whose);
                    }
                    _ => self.say(format!("{setting}.emails"), format!("{email:?} is no e-mail address")),
                }
            }
            for (realm, login) in person.logins.iter().flat_map(|(realm, all)| all.iter().map(move |it| (realm, it))) {
                let bad = login.trim() != login || login.is_empty() || login.len() > BOUNDS.0 || realm.is_empty();
                let other = logins.insert((realm.as_str(), login.to_lowercase()), &person.id);
                if bad {
                    self.say(format!("{setting}.logins"), format!("{login:?} is no login of {realm:?}"));
                } else if let Some(other) = other.filter(|other| *other != person.id) {
                    self.say(format!("{setting}.logins"), format!("{login:?} of {realm} is {other}'s already"));
                }
            }
            if let Some(uid) = person.uid {
                if uid == 0 {
                    self.say(format!("{setting}.uid"), "root is nobody in particular: name an ordinary user");
                } else if let Some(other) = uids.insert(uid, &person.id) {
                    self.say(format!("{setting}.uid"), format!("{uid} is {other}'s already"));
                }
            }
        }
    }

    /// Teams and members that are named and are not there.
    fn members(&mut self) {
        let people = self.people;
        let lower = |it: &String| it.to_lowercase();
        let teams: BTreeSet<String> = people.teams.iter().map(|it| lower(&it.id)).collect();
        let persons: BTreeSet<String> = people.persons.iter().map(|it| lower(&it.id)).collect();
        for (at, person) in people.persons.iter().enumerate() {
            for team in person.teams.iter().filter(|it| !teams.contains(&lower(it))) {
                self.say(format!("persons[{at}].teams"), format!("there is no team {team:?}"));
            }
            for above in person.manager.iter().filter(|it| !persons.contains(&lower(it))) {
                self.say(format!("persons[{at}].manager"), format!("there is no person {above:?}"));
            }
        }
        for (at, team) in people.teams.iter().enumerate() {
            for member in team.members.iter().filter(|it| !persons.contains(&lower(it))) {
                self.say(format!("teams[{at}].members"), format!("there is no person {member:?}"));
            }
            for above in team.parent.iter().filter(|it| !teams.contains(&lower(it))) {
                self.say(format!("teams[{at}].parent"), format!("there is no team {above:?}"));
            }
        }
    }

    /// Whoever is above themselves.
    fn above<'b>(&mut self, what: &str, pairs: impl Iterator<Item = (&'b str, Option<&'b str>)>) {
        let ids: Vec<(String, Option<String>)> =
            pairs.map(|(id, above)| (id.to_lowercase(), above.map(str::to_lowercase))).collect();
        let up: HashMap<&str, &str> =
            ids.iter().filter_map(|(id, above)| Some((id.as_str(), above.as_deref()?))).collect();
        for (at, (id, _)) in ids.iter().enumerate() {
            let mut path = std::iter::successors(up.get(id.as_str()), |it| up.get(**it)).take(BOUNDS.4 + 1);
            if path.any(|it| *it == id.as_str()) {
                self.say(format!("{what}[{at}]"), format!("{id:?} is above itself"));
            } else if std::iter::successors(up.get(id.as_str()), |it| up.get(**it)).nth(BOUNDS.4).is_some() {
                self.say(format!("{what}[{at}]"), format!("{id:?} has more than {} above it, or a circle", BOUNDS.4));
            }
        }
    }

    fn catalogue(&mut self) {
        let people = self.people;
        let persons = people.persons.iter().map(|it| it.id.to_lowercase());
        let known: BTreeSet<String> = persons.chain(people.teams.iter().map(|it| it.id.to_lowercase())).collect();
        for (at, entry) in people.catalogue.iter().enumerate() {
            let setting = format!("catalogue[{at}]");
            if !known.contains(&entry.owner.to_lowercase()) {
                self.say(format!("{setting}.owner"), format!("there is no person or team {:?}", entry.owner));
            }
            let stars_only = |it: &String| it.chars().all(|letter| letter == '*');
            if entry.name.as_ref().is_some_and(stars_only) {
                self.say(format!("{setting}.name"), "a pattern has letters beside its stars");
            }
            if entry.tag.as_deref().is_some_and(|tag| catalogue::folded(tag).is_none()) {
                self.say(format!("{setting}.tag"), "a tag is written name=value");
            }
            if entry.name.is_none() && entry.tag.is_none() && entry.id.is_none() {
                self.say(setting, "an entry says a name, tag or id");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::own::{CatalogueEntry, Person, Team};

    fn person(id: &str) -> Person {
        Person { id: id.into(), emails: vec![format!("{id}@x.org")], ..Person::default() }
    }

    fn team(id: &str) -> Team {
        Team { id: id.into(), ..Team::default() }
    }

    fn said(edit: impl FnOnce(&mut People)) -> String {
        let mut people =
            People { persons: vec![person("ann"), person("bob")], teams: vec![team("pay")], ..People::default() };
        edit(&mut people);
        faults(&people).iter().map(|it| format!("{}: {}\n", it.setting, it.said)).collect()
    }

    #[test]
    fn every_fault_is_told_with_its_place() {
        assert_eq!(said(|_| ()), "");
        let login = |whose: &mut Person, login: &str| {
            whose.logins.entry("github".into()).or_default().push(login.to_owned());
        };
        let table = [
            (said(|it| it.persons[1].id = "ANN".into()), "persons[1].id: there is another person \"ANN\"\n"),
            (said(|it| it.teams.push(team("pay"))), "teams[1].id: there is another team \"pay\"\n"),
            (said(|it| it.persons[1].id = "Pay".into()), "persons[1].id: \"Pay\" is taken already, by team pay\n"),
            (
                said(|it| it.persons[1].emails = vec!["Ann@x.org".into()]),
                "persons[1].emails: \"Ann@x.org\" is taken already, by person ann\n",
            ),
            (said(|it| it.persons[0].emails = vec!["ann".into()]), "persons[0].emails: \"ann\" is no e-mail address\n"),
            (
                said(|it| {
                    login(&mut it.persons[0], "a");
                    login(&mut it.persons[1], "A");
                }),
                "persons[1].logins: \"A\" of github is ann's already\n",
            ),
            (
                said(|it| it.persons[0].uid = Some(0)),
                "persons[0].uid: root is nobody in particular: name an ordinary user\n",
            ),
            (
                said(|it| {
                    it.persons[0].uid = Some(1000);
                    it.persons[1].uid = Some(1000);
                }),
                "persons[1].uid: 1000 is ann's already\n",
            ),
            (said(|it| it.persons[0].teams = vec!["ops".into()]), "persons[0].teams: there is no team \"ops\"\n"),
            (said(|it| it.persons[0].manager = Some("eve".into())), "persons[0].manager: there is no person \"eve\"\n"),
            (said(|it| it.teams[0].members = vec!["eve".into()]), "teams[0].members: there is no person \"eve\"\n"),
            (said(|it| it.teams[0].parent = Some("ops".into())), "teams[0].parent: there is no team \"ops\"\n"),
            (said(|it| it.teams[0].parent = Some("PAY".into())), "teams[0]: \"pay\" is above itself\n"),
            (
                said(|it| {
                    it.persons[0].manager = Some("bob".into());
                    it.persons[1].manager = Some("ann".into());
                }),
                "persons[0]: \"ann\" is above itself\npersons[1]: \"bob\" is above itself\n",
            ),
            (
                said(|it| it.catalogue = vec![CatalogueEntry { owner: "eve".into(), ..CatalogueEntry::default() }]),
                "catalogue[0].owner: there is no person or team \"eve\"\ncatalogue[0]: an entry says a name, tag or id\n",
            ),
            (
                said(|it| {
                    let (name, tag) = (Some("**".into()), Some("service".into()));
                    it.catalogue = vec![CatalogueEntry { owner: "ann".into(), name, tag, ..CatalogueEntry::default() }];
                }),
                "catalogue[0].name: a pattern has letters beside its stars\ncatalogue[0].tag: a tag is written name=value\n",
            ),
            (
                said(|it| it.persons[0].id = " ".into()),
                "persons[0].id: a name has 1 to 200 letters, none before or after it blank\n",
            ),
        ];
        for (said, expected) in table {
            assert_eq!(said, expected);
        }
    }

    #[test]
    fn what_is_too_much_is_refused_at_once() {
        let many = said(|it| it.teams = (0..=BOUNDS.2).map(|at| team(&format!("t{at}"))).collect());
        assert_eq!(many, "teams: at most 20000, there are 20001\n");
        let wrong = said(|it| it.catalogue = vec![CatalogueEntry::default(); 300]);
        assert_eq!(wrong.lines().count(), FAULTS_MAX);
        // A chain that is too long is refused like a circle, without walking it for ever.
        let deep = said(|it| {
            it.teams = (0..40)
                .map(|at| Team { parent: (at > 0).then(|| format!("t{}", at - 1)), ..team(&format!("t{at}")) })
                .collect();
        });
        assert!(deep.contains("has more than 32 above it"), "{deep}");
    }
}
