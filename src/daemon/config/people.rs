//! The people file: persons, teams, and whose things are whose, as typed in TOML.
//! It must never let a doubtful name pass: the engine's checks all apply, each problem with its line.

use std::{collections::BTreeMap, ops::Range, path::Path};

use provost_engine::{
    Roster,
    own::{CatalogueEntry, People, Person, Team},
};
use provost_model::{Kind, Time};
use serde::{Deserialize, Deserializer, de::Error as _};
use toml::{Spanned, value::Datetime};

use super::{Problem, typed};

/// Longest people file read, in bytes.
const FILE_MAX: u64 = 32 << 20;

/// A people file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TypedPeople {
    persons: Vec<Spanned<TypedPerson>>,
    teams: Vec<Spanned<TypedTeam>>,
    catalogue: Vec<Spanned<TypedEntry>>,
}

/// `[[persons]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TypedPerson {
    id: String,
    name: Option<String>,
    #[serde(default)]
    emails: Vec<String>,
    /// By realm, provider or `*`.
    #[serde(default)]
    logins: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    teams: Vec<String>,
    manager: Option<String>,
    uid: Option<u32>,
    #[serde(default, deserialize_with = "day")]
    left: Option<Time>,
    #[serde(default, deserialize_with = "day")]
    moved: Option<Time>,
}

/// `[[teams]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TypedTeam {
    id: String,
    name: Option<String>,
    contact: Option<String>,
    #[serde(default)]
    members: Vec<String>,
    parent: Option<String>,
}

/// `[[catalogue]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TypedEntry {
    owner: String,
    name: Option<String>,
    tag: Option<String>,
    id: Option<String>,
    realm: Option<String>,
    kind: Option<Kind>,
}

/// Reads the file and checks it as a whole.
pub(super) fn load(file: &Path) -> Result<Roster, Vec<Problem>> {
    let text = super::read_up_to(file, FILE_MAX).map_err(|error| vec![Problem::of_file(file, &error)])?;
    let named = |problem: Problem| Problem { setting: format!("{}: {}", file.display(), problem.setting), ..problem };
    parse(&text).map_err(|problems| problems.into_iter().map(named).collect())
}

fn parse(text: &str) -> Result<Roster, Vec<Problem>> {
    let typed: TypedPeople = typed::read(text).map_err(|problem| vec![problem])?;
    let mut places: BTreeMap<String, Range<usize>> = BTreeMap::new();
    let people = People {
        persons: placed("persons", typed.persons, &mut places).map(person).collect(),
        teams: placed("teams", typed.teams, &mut places).map(team).collect(),
        catalogue: placed("catalogue", typed.catalogue, &mut places).map(entry).collect(),
    };
    Roster::new(people).map_err(|faults| {
        let problem = |setting: String, said: String| {
            let place = setting.split('.').next().and_then(|entry| places.get(entry)).cloned();
            Problem::new(setting, said).located(text, place)
        };
        faults.into_iter().map(|fault| problem(fault.setting, fault.said)).collect()
    })
}

/// Entries without their places, which are noted under `persons[3]`.
fn placed<T>(
    list: &'static str,
    entries: Vec<Spanned<T>>,
    places: &mut BTreeMap<String, Range<usize>>,
) -> impl Iterator<Item = T> + use<T> {
    places.extend(entries.iter().enumerate().map(|(at, entry)| (format!("{list}[{at}]"), entry.span())));
    entries.into_iter().map(Spanned::into_inner)
}

fn person(typed: TypedPerson) -> Person {
    let TypedPerson { id, name, emails, logins, teams, manager, uid, left, moved } = typed;
    Person { id, name, emails, logins, teams, manager, uid, left, moved }
}

fn team(typed: TypedTeam) -> Team {
    let TypedTeam { id, name, contact, members, parent } = typed;
    Team { id, name, contacts: contact.into_iter().collect(), members, parent }
}

fn entry(typed: TypedEntry) -> CatalogueEntry {
    let TypedEntry { owner, name, tag, id, realm, kind } = typed;
    CatalogueEntry { owner, name, tag, id, realm, kind }
}

/// A date, which means its last instant in UTC, or an instant with its offset.
fn day<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Time>, D::Error> {
    let typed = Datetime::deserialize(deserializer)?;
    let expected = |_| D::Error::custom("expected a date such as 2026-05-31, or an instant with its offset");
    Time::parse_inclusive(&typed.to_string()).map(Some).map_err(expected)
}

#[cfg(test)]
mod tests {
    use provost_model::Party;

    use super::*;

    fn problems(text: &str) -> Vec<String> {
        parse(text).unwrap_err().iter().map(ToString::to_string).collect()
    }

    const FILE: &str = r#"
        [[persons]]
        id = "ann"
        name = "Ann Miller"
        emails = ["ann@x.org"]
        logins = { "aws:123456789012" = ["amiller"], github = ["annm"] }
        teams = ["payments"]
        uid = 1000
        left = 2026-05-31

        [[persons]]
        id = "bob"
        manager = "ann"
        moved = 2026-05-31T12:00:00Z

        [[teams]]
        id = "payments"
        contact = "payments@x.org"
        members = ["bob"]

        [[catalogue]]
        name = "svc-pay-*"
        realm = "aws"
        kind = "role"
        owner = "payments"
    "#;

    #[test]
    fn a_people_file_means_what_it_says() {
        let roster = parse(FILE).unwrap();
        assert_eq!(roster.counts(), (2, 1));
        assert_eq!(roster.known("payments@x.org", None), Some(("payments", Party::Team)));
        let end: Time = "2026-05-31T23:59:59.999999Z".parse().unwrap();
        assert_eq!(roster.left("annm", end), Some(end));
        assert_eq!(roster.left("annm", Time::from_seconds(0)), None);
        assert_eq!(roster.of_uid(1000).map(|it| it.id.as_str()), Some("ann"));
        assert!(parse("").unwrap().is_empty());
    }

    #[test]
    fn problems_have_their_line() {
        let doubled = format!("{FILE}\n[[persons]]\nid = \"Ann\"\n[[persons]]\nid = \"eve\"\nteams = [\"ops\"]\n");
        let said = problems(&doubled);
        assert!(said[0].starts_with("line 27, column 1: persons[2].id: there is another person"), "{said:?}");
        assert!(said[1].starts_with("line 29, column 1: persons[3].teams: there is no team \"ops\""), "{said:?}");
        for (text, expected) in [
            ("[[persons]]\nid = \"a\"\nemail = \"a@x\"\n", "did you mean \"emails\"?"),
            ("[[persons]]\nname = \"a\"\n", "missing field `id`"),
            ("[[persons]]\nid = \"a\"\nleft = \"soon\"\n", "line 3"),
            ("[[persons]]\nid = \"a\"\nleft = 12:00:00\n", "expected a date such as 2026-05-31"),
            ("[[catalogue]]\nowner = \"a\"\nkind = \"robot\"\n", "line 3"),
        ] {
            let said = problems(text).join("\n");
            assert!(said.contains(expected), "{text}: {said}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_or_too_long_is_said_to_be() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("people.toml");
        assert!(load(&file).unwrap_err()[0].said.contains("cannot be read"));
        std::fs::write(&file, "[[teams]]\nid = \"\"\n").unwrap();
        assert!(load(&file).unwrap_err()[0].setting.ends_with("people.toml: teams[0].id"));
        std::fs::File::create(&file).unwrap().set_len(FILE_MAX + 1).unwrap();
        assert!(load(&file).unwrap_err()[0].said.contains("longer than 32 MiB"));
    }
}
