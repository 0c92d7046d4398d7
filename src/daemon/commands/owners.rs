//! `owners list|explain|confirm|withdraw`: who answers for what, and what a human being says about it.
//! It must never take a word about somebody who is not known or has left, where people are known at all.

use provost_engine::Roster;
use provost_model::{Kind, Noun, OwnerWord, Presence, Record, field};
use provost_store::Go;

use super::{Asked, CommandError, inventory::called};
use crate::{
    cli::{
        self, Exit, Owners, Screen,
        owners::{ExplainedOwner, OwnerRow},
    },
    jobs::owners as words,
    rows::Rows,
};

/// Longest name of an owner where nobody is known by whom to check it.
const NAME_MAX: usize = 200;

/// Answers one of them.
pub(super) fn owners(asked: &Asked<'_>, action: &Owners, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    match action {
        Owners::List { conflicts, below } => list(asked, *conflicts, *below, screen),
        Owners::Explain { id } => explain(asked, id, screen),
        Owners::Confirm { id, owner, reason } => say(asked, (id, Some(owner), reason), screen),
        Owners::Withdraw { id, reason } => say(asked, (id, None, reason), screen),
    }
}

fn list(asked: &Asked<'_>, conflicts: bool, below: Option<f64>, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let (house, wiring) = (&asked.desk.house, asked.desk.wiring());
    let rows = Rows::new(house.inventory(), &wiring.yardstick, house.now())?;
    let at = house.store().head()?.number;
    let mut found = Vec::new();
    house.inventory().each_record(Some(at), &mut |record, _| {
        if !answered_for(&record) {
            return Ok(Go::On);
        }
        let owner = rows.owner(&record)?;
        let contested = owner.as_ref().is_some_and(|owner| owner.conflicts().next().is_some());
        let sure = owner.as_ref().map_or(0.0, |owner| owner.confidence);
        if (!conflicts || contested) && below.is_none_or(|below| sure < below) {
            found.push(OwnerRow::of(&record, rows.sources(&record), owner));
        }
        Ok(Go::On)
    })?;
    Ok(cli::owners::list(found, screen)?)
}

/// What is there and has an owner of its own: credentials go with their identity.
fn answered_for(record: &Record) -> bool {
    let alone = match record.kind.noun() {
        Noun::Identity | Noun::Application => record.kind != Kind::Group,
        Noun::Credential | Noun::Secret => record.identity.is_none(),
        Noun::Grant | Noun::Person => false,
    };
    alone && matches!(record.presence(), Presence::Present | Presence::Missing)
}

fn explain(asked: &Asked<'_>, typed: &str, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let (house, wiring) = (&asked.desk.house, asked.desk.wiring());
    let id = match called(asked.desk, typed, screen)? {
        Ok(id) => id,
        Err(exit) => return Ok(exit),
    };
    let Some(record) = house.inventory().record(id, None)? else {
        return Err(CommandError::Usage(format!("{typed:?} is not known any more")));
    };
    let rows = Rows::new(house.inventory(), &wiring.yardstick, house.now())?;
    let explained = ExplainedOwner {
        id,
        about: cli::inventory::in_a_line(&rows.of(&record)?),
        owner: rows.owner(&record)?,
        directory_owners: record.get(field::DIRECTORY_OWNERS).known().unwrap_or_default(),
        words: house.inventory().owner_words(id)?.into_iter().map(|version| version.it).collect(),
    };
    Ok(cli::owners::explain(&explained, screen)?)
}

/// Confirms, or withdraws what was confirmed.
fn say(
    asked: &Asked<'_>,
    (typed, owner, reason): (&str, Option<&String>, &str),
    screen: &mut Screen<'_>,
) -> Result<Exit, CommandError> {
    let (house, wiring) = (&asked.desk.house, asked.desk.wiring());
    let id = match called(asked.desk, typed, screen)? {
        Ok(id) => id,
        Err(exit) => return Ok(exit),
    };
    let people = wiring.yardstick.people.everybody(house.inventory())?;
    let standing = house.inventory().owner_word(id, None)?.and_then(|word| word.owner);
    let owner = match (owner, &standing) {
        (Some(owner), _) => Some(live(&people, owner, asked)?),
        (None, Some(_)) => None,
        (None, None) => return Err(CommandError::Usage(format!("nothing is confirmed about the owner of {typed}"))),
    };
    let by = people.of_uid(asked.uid).map_or_else(|| format!("uid {}", asked.uid), |person| person.id.clone());
    let word = OwnerWord { owner: owner.clone(), by, at: house.now(), reason: reason.to_owned() };
    tracing::info!(record = %id, owner = owner.as_deref(), by = %word.by, "somebody said who answers for a record");
    words::say(house, id, word)?;
    asked.desk.judge(&[id])?;
    let said = match (&owner, &standing) {
        (Some(owner), _) => format!("{owner} answers for it from now on: {reason}"),
        (None, former) => format!("{} is not confirmed any more: {reason}", former.as_deref().unwrap_or("nobody")),
    };
    Ok(cli::owners::done(typed, &said, screen)?)
}

/// The id of whoever is called so and is there. Where nobody is known, any name will do.
pub(super) fn live(people: &Roster, typed: &str, asked: &Asked<'_>) -> Result<String, CommandError> {
    let typed = typed.trim();
    if people.counts() == (0, 0) {
        let sound = !typed.is_empty() && typed.len() <= NAME_MAX && !typed.chars().any(char::is_control);
        let refused = || CommandError::Usage(format!("the name of an owner has 1 to {NAME_MAX} letters"));
        return sound.then(|| typed.to_owned()).ok_or_else(refused);
    }
    let Some((id, _)) = people.known(typed, None) else {
        let (persons, teams) = people.counts();
        let near = crate::config::nearest(typed, people.ids());
        let hint = near.map_or_else(String::new, |it| format!("; did you mean {it:?}?"));
        return Err(CommandError::Usage(format!(
            "none of the {persons} persons and {teams} teams known is called {typed:?}{hint}"
        )));
    };
    if let Some(left) = people.left(typed, asked.desk.house.now()) {
        return Err(CommandError::Usage(format!("{id} left {}", left.whole_seconds())));
    }
    Ok(id.to_owned())
}
