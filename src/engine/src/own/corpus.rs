//! The labelled corpus of `link`, its machine identities dressed with what systems say about owners: true, stale, wrong
//! and misleading, at made-up rates. The same seed gives the same evidence. It must never be compiled into the program.

use std::collections::{BTreeMap, HashMap};

use provost_model::{Attr, Facts, Noun, Record, ScopeNo, Span, Time, field};

use super::{Asked, Attribution, CatalogueEntry, Owning, People, Person, Roster, Team};
use crate::{
    dice::Dice,
    link::corpus::{Corpus, NOW},
};

/// An organisation whose machine identities carry evidence about their owners.
#[derive(Debug)]
pub struct Owned {
    /// Machine identities, each with whoever answers for it: a place among the people.
    pub identities: Vec<(Record, usize)>,
    /// What a people file and the directories say.
    pub roster: Roster,
    /// The id of each person, and that of their team.
    pub people: Vec<(String, String)>,
}

/// How well owners were found.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Found {
    /// Machine identities.
    pub identities: u32,
    /// With an owner of confidence 0.6 or more.
    pub likely: u32,
    /// Of those, right.
    pub likely_right: u32,
    /// With an owner of confidence 0.8 or more.
    pub sure: u32,
    /// Of those, right.
    pub sure_right: u32,
}

/// Days for which a tag, catalogue or list of owners may not have been looked after: nobody knows.
const OLDEST: i64 = 1500;
/// Administrators who own nothing and are named everywhere.
const ADMINS: usize = 3;

impl Owned {
    /// The organisation of that seed.
    pub fn of(seed: u64) -> Self {
        let corpus = Corpus::of(seed);
        let mut dresser = Dresser::new(seed, &corpus);
        let machines = corpus.records.iter().filter(|it| {
            let answered = matches!(it.record.kind.noun(), Noun::Identity | Noun::Application);
            answered && it.truth.person.is_none() && it.record.statements.iter().all(|said| !gone(said.standing))
        });
        let mut identities = Vec::new();
        for it in machines {
            let Some(owner) = it.truth.owner.map(|at| at as usize) else { continue };
            identities.push((dresser.dressed(&it.record, owner), owner));
        }
        let people = dresser.people.iter().map(|it| (it.id.clone(), it.teams.concat())).collect();
        let roster = dresser.roster();
        Self { identities, roster, people }
    }

    /// Finds owners, and compares them with the truth: the person, or their team.
    pub fn measure(&self, owning: &Owning) -> Found {
        let sources = HashMap::<ScopeNo, String>::new();
        let by = Attribution { owning, roster: &self.roster, sources: &sources };
        let mut found = Found::default();
        for (record, truth) in &self.identities {
            found.identities += 1;
            let Some(owner) = by.owner_of(&Asked::alone(record), NOW) else { continue };
            let right = self.people.get(*truth).is_some_and(|(id, team)| owner.name == *id || owner.name == *team);
            if owner.confidence >= 0.6 {
                found.likely += 1;
                found.likely_right += u32::from(right);
            }
            if owner.confidence >= 0.8 {
                found.sure += 1;
                found.sure_right += u32::from(right);
            }
        }
        found
    }
}

impl Found {
    /// The share of identities with an owner that is likely.
    pub fn likely_share(&self) -> f64 {
        f64::from(self.likely) / f64::from(self.identities.max(1))
    }

    /// The share of identities with an owner that is sure.
    pub fn sure_share(&self) -> f64 {
        f64::from(self.sure) / f64::from(self.identities.max(1))
    }

    /// Of owners that are likely, the share that is right.
    pub fn likely_precision(&self) -> f64 {
        f64::from(self.likely_right) / f64::from(self.likely.max(1))
    }

    /// Of owners that are sure, the share that is right.
    pub fn sure_precision(&self) -> f64 {
        f64::from(self.sure_right) / f64::from(self.sure.max(1))
    }
}

fn gone(standing: provost_model::Standing) -> bool {
    matches!(standing, provost_model::Standing::Gone(_))
}

struct Dresser {
    dice: Dice,
    people: Vec<Person>,
    teams: Vec<Team>,
    catalogue: Vec<CatalogueEntry>,
}

impl Dresser {
    fn new(seed: u64, corpus: &Corpus) -> Self {
        let mut people = Vec::new();
        for (at, it) in corpus.people.iter().enumerate() {
            // Who left has no address any more: it may be a successor's.
            let emails = if it.left { Vec::new() } else { vec![it.email.clone()] };
            people.push(Person {
                id: if it.left { format!("former-{at}") } else { it.email.clone() },
                name: Some(it.name.clone()),
                emails,
                logins: BTreeMap::from([(
                    "*".to_owned(),
                    vec![if it.left { format!("x{at}") } else { it.login.clone() }],
                )]),
                teams: vec![format!("team-of-{}", TEAM_NAMES.get(it.team as usize).copied().unwrap_or("others"))],
                left: it.left.then(|| NOW - Span::days(200)),
                ..Person::default()
            });
        }
        let mut teams: Vec<Team> = Vec::new();
        for name in TEAM_NAMES.iter().chain(&["others"]) {
            teams.push(Team { id: format!("team-of-{name}"), name: Some((*name).to_owned()), ..Team::default() });
        }
        Self { dice: Dice(seed ^ 0x0b7e), people, teams, catalogue: Vec::new() }
    }

    fn roster(self) -> Roster {
        let people = People { persons: self.people, teams: self.teams, catalogue: self.catalogue };
        Roster::default().with(people)
    }

    /// A name of somebody as people write it: address, login or team.
    fn name_of(&mut self, owner: usize, team: bool) -> String {
        let Some(person) = self.people.get(owner) else { return String::new() };
        if team {
            return person.teams.concat();
        }
        let login = person.logins.values().flatten().next().cloned();
        let email = person.emails.first().cloned();
        let named = if self.dice.chance(60) { email.or(login) } else { login };
        named.unwrap_or_else(|| person.id.clone())
    }

    /// Somebody else; in one case of three one of the administrators.
    fn other(&mut self, than: usize) -> usize {
        let most = if self.dice.chance(33) { ADMINS } else { self.people.len() };
        let picked = self.dice.place(most);
        if picked == than { (picked + 1) % self.people.len().max(1) } else { picked }
    }

    /// The owner in so many cases of a hundred, else somebody else.
    fn mostly(&mut self, owner: usize, per_cent: u64, team: bool) -> String {
        let who = if self.dice.chance(per_cent) { owner } else { self.other(owner) };
        self.name_of(who, team)
    }

    fn age(&mut self, most: i64) -> Time {
        let days = self.dice.place(usize::try_from(most).unwrap_or(1));
        NOW - Span::days(i64::try_from(days).unwrap_or(0))
    }

    fn dressed(&mut self, record: &Record, owner: usize) -> Record {
        let mut record = record.clone();
        let Some(said) = record.statements.first_mut() else { return record };
        let facts = std::mem::take(&mut said.facts);
        said.facts = self.declared(facts, owner);
        if self.dice.chance(8) {
            let id = Some(record.externals.concat());
            let owner = self.people.get(owner).map(|it| it.teams.concat()).unwrap_or_default();
            self.catalogue.push(CatalogueEntry { owner, id, ..CatalogueEntry::default() });
        }
        let Some(said) = record.statements.first_mut() else { return record };
        let facts = std::mem::take(&mut said.facts);
        said.facts = self.inferred(facts, owner);
        record
    }

    /// What somebody once declared: mostly right, now and then out of date.
    fn declared(&mut self, mut facts: Facts, owner: usize) -> Facts {
        let mut tags = facts.get(field::TAGS).known().unwrap_or_default();
        tags.remove("owner");
        match self.dice.place(100) {
            0..40 => drop(tags.insert("Owner".into(), self.mostly(owner, 97, false))),
            40..60 => drop(tags.insert("team".into(), self.mostly(owner, 97, true))),
            60..65 => drop(tags.insert("contact".into(), self.mostly(owner, 85, false))),
            65..70 => drop(tags.insert("owner".into(), "n/a".into())),
            _ => {}
        }
        facts.set(field::TAGS, tags);
        if self.dice.chance(18) {
            facts.set(field::APP_OWNER, vec![self.mostly(owner, 96, false)]);
        }
        facts
    }

    /// What can be seen: who made, changed, administers and used it, and what it is called.
    fn inferred(&mut self, mut facts: Facts, owner: usize) -> Facts {
        let list = |facts: &mut Facts, attr: Attr<Vec<String>>, names: Vec<String>| facts.set(attr, names);
        if self.dice.chance(35) {
            let names = vec![format!("@corp/{}", self.mostly(owner, 95, true))];
            list(&mut facts, field::CODEOWNERS, names);
        }
        if self.dice.chance(40) {
            let names = vec![self.mostly(owner, 80, false)];
            list(&mut facts, field::AUTHORS, names);
            facts.set(field::AUTHORED_AT, self.age(OLDEST));
        }
        if self.dice.chance(70) {
            // Machines make things too, and administrators make them for others.
            let by = if self.dice.chance(20) { "terraform".to_owned() } else { self.mostly(owner, 75, false) };
            facts.set(field::CREATED_BY, by);
        }
        if self.dice.chance(45) {
            // An administrator is always among them; the owner in half the cases.
            let admin = self.dice.place(ADMINS);
            let mut names = vec![self.name_of(admin, false)];
            if self.dice.chance(50) {
                names.push(self.name_of(owner, false));
            }
            list(&mut facts, field::REPO_ADMINS, names);
        }
        if self.dice.chance(50) {
            let right = self.dice.chance(55);
            let who = if right { owner } else { self.other(owner) };
            facts.set(field::LAST_HUMAN_USER, self.name_of(who, false));
            // Whoever answers for it was there lately; others looked once.
            facts.set(field::LAST_HUMAN_USE_AT, self.age(if right { 90 } else { 600 }));
        }
        if self.dice.chance(40) {
            // Whoever may add credentials: never the owner here.
            let names = vec![self.other(owner), self.dice.place(ADMINS)];
            let names = names.into_iter().filter(|at| *at != owner).map(|at| self.name_of(at, false)).collect();
            list(&mut facts, field::DIRECTORY_OWNERS, names);
        }
        if self.dice.chance(30) {
            // A prefix that looks like a team, of another in four cases of ten.
            let who = if self.dice.chance(60) { owner } else { self.other(owner) };
            let team = self.people.get(who).map(|it| it.teams.concat()).unwrap_or_default();
            let name = facts.get(field::NAME).known().unwrap_or_default();
            facts.set(field::NAME, format!("{}-{name}", team.trim_start_matches("team-of-")));
        }
        facts
    }
}

/// Names of teams; some are words that names of things contain.
const TEAM_NAMES: [&str; 40] = [
    "payments",
    "search",
    "mailing",
    "reporting",
    "observability",
    "ingestion",
    "billing",
    "edge",
    "scheduling",
    "core",
    "identity",
    "fraud",
    "risk",
    "ledger",
    "cards",
    "loans",
    "treasury",
    "onboarding",
    "support",
    "crm",
    "growth",
    "ads",
    "catalogue",
    "pricing",
    "orders",
    "shipping",
    "returns",
    "stock",
    "suppliers",
    "stores",
    "mobile",
    "web",
    "data",
    "machine-learning",
    "platform",
    "network",
    "security",
    "compliance",
    "legal",
    "people",
];

#[cfg(test)]
mod tests {
    use provost_model::Kind;

    use super::*;

    /// The targets: owners for 85 % of identities, 95 % of those right where the confidence is 0.8 or more.
    #[test]
    fn owners_are_found_often_enough_and_hardly_ever_wrongly() {
        for seed in [1, 2, 3, 2026] {
            let found = Owned::of(seed).measure(&Owning::default());
            assert!(found.identities > 1000, "{found:?}");
            assert!(found.likely_share() >= 0.85, "{} of {found:?}", found.likely_share());
            assert!(found.sure_precision() >= 0.95, "{} of {found:?}", found.sure_precision());
            assert!(found.sure_share() >= 0.6, "{} of {found:?}", found.sure_share());
        }
    }

    /// Whoever only used, administers, or is similarly named never gets sure, nor does anybody through a directory.
    #[test]
    fn misleading_evidence_alone_is_never_believed() {
        let owned = Owned::of(7);
        let (sources, owning) = (HashMap::new(), Owning::default());
        let by = Attribution { owning: &owning, roster: &owned.roster, sources: &sources };
        let (mut stale, mut near) = (0, 0);
        for (record, _) in &owned.identities {
            let mut record = record.clone();
            let Some(said) = record.statements.first_mut() else { continue };
            let kept = [
                field::NAME.field(),
                field::REPO_ADMINS.field(),
                field::LAST_HUMAN_USER.field(),
                field::LAST_HUMAN_USE_AT.field(),
                field::DIRECTORY_OWNERS.field(),
            ];
            let facts =
                said.facts.iter().filter(|(it, _)| kept.contains(it)).map(|(it, reading)| (it, reading.clone()));
            said.facts = facts.collect();
            let Some(owner) = by.owner_of(&Asked::alone(&record), NOW) else { continue };
            near += 1;
            assert!(owner.confidence < 0.8, "{owner:?}");
            stale += u32::from(owner.confidence < 0.6);
        }
        assert!(near > 500 && stale * 10 > near * 9, "{stale} of {near}");
    }

    #[test]
    fn the_same_seed_gives_the_same_evidence() {
        let (one, again) = (Owned::of(3), Owned::of(3));
        assert_eq!(one.identities, again.identities);
        assert_eq!(one.roster.digest(), again.roster.digest());
        assert!(one.identities.iter().any(|(record, _)| record.kind == Kind::Role));
    }
}
