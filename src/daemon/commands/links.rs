//! `inventory groups|why-linked|unlink|link-again`: how records hang together, and an operator's word about it.
//! It must never change a record: groups are a view.

use std::collections::BTreeSet;

use provost_engine::link::{Because, Stop, way};
use provost_model::{CorrelationKey, Record, RecordId, Unites, field};
use provost_store::{
    Go, StoreError,
    inventory::{KeyRef, PartedRow, Word},
};

use super::{Asked, CommandError, inventory::called};
use crate::{
    cli::{
        self, Exit, Parting, Screen, Two,
        links::{ApartRow, EndRow, GroupRow, HeldRow, StepRow, Why},
    },
    desk::Desk,
    jobs::link,
    rows::Rows,
};

/// Most records named of a key that is held back.
const NAMED: usize = 64;

/// Lists groups.
pub(super) fn groups(desk: &Desk, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let inventory = desk.house.inventory();
    let mut rows = Vec::new();
    inventory.each_group(&mut |group, changed_at| {
        let mut systems = BTreeSet::new();
        let mut name = None;
        for id in &group.members {
            if let Some(record) = inventory.record(*id, None)? {
                systems.insert(record.realm.to_string());
                name.get_or_insert_with(|| record.name());
            }
        }
        rows.push(GroupRow {
            of: group.unites.word(),
            id: group.id,
            name: name.unwrap_or_default(),
            systems: systems.into_iter().collect(),
            records: group.members,
            changed_at,
        });
        Ok(Go::On)
    })?;
    Ok(cli::links::groups(rows, screen)?)
}

/// Lists keys that do not unite those who carry them.
pub(super) fn held(desk: &Desk, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let inventory = desk.house.inventory();
    let mut rows = Vec::new();
    for held in inventory.held_keys()? {
        for (because, members) in &held.entries {
            let because = Because::from_code(*because)
                .ok_or_else(|| StoreError::Codec(format!("a reason to hold a key back: {because}")))?;
            // Of a key that is everywhere, nobody is named.
            let (count, records) = if members.is_empty() {
                let all = inventory.carriers(KeyRef::of(&held.key), usize::MAX)?;
                (all.len(), all.into_iter().take(NAMED).collect())
            } else {
                (members.len(), members.clone())
            };
            rows.push(HeldRow {
                of: held.key.unites().word(),
                key: held.key.to_string(),
                because: because.word(),
                words: because.words(),
                count: count as u64,
                records,
                since: held.since,
            });
        }
    }
    Ok(cli::links::held(rows, screen)?)
}

/// Lists who is kept apart.
pub(super) fn apart(desk: &Desk, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let words = desk.house.inventory().parted()?;
    Ok(cli::links::apart(words.iter().map(|(_, word)| apart_row(word)).collect(), screen)?)
}

/// Shows why two records are one, or are not.
pub(super) fn why_linked(desk: &Desk, two: &Two, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let (one, other) = match both(desk, two, screen)? {
        Ok(both) => both,
        Err(exit) => return Ok(exit),
    };
    let inventory = desk.house.inventory();
    let wiring = desk.wiring();
    let rows = Rows::new(inventory, &wiring.yardstick, screen.look.now)?;
    let words = inventory.words_between(one.id, other.id)?;
    let apart: Vec<ApartRow> = words.iter().map(|(_, word)| apart_row(word)).collect();
    let mut best: Option<Why> = None;
    for unites in Unites::ALL {
        let (members, grouping) = link::neighbourhood(inventory, unites, &[one.id, other.id])?;
        let Some(steps) = way(&members, &grouping, (one.id, other.id)) else { continue };
        let linked = steps.iter().all(|step| step.stop.is_none());
        let group = grouping.group_of(one.id).filter(|_| linked).map(|group| group.id);
        let mut chain = Vec::new();
        for step in &steps {
            chain.push(StepRow {
                from: end(&rows, (step.from, &step.key), desk)?,
                to: end(&rows, (step.to, &step.key), desk)?,
                key: step.key.to_string(),
                broken: step.stop.map(|stop| stopped(stop).to_owned()),
            });
        }
        let said = if linked {
            format!("One {}: the two share keys.", unites.word())
        } else {
            format!("Not one {}: keys lead from one to the other, but not all of them unite.", unites.word())
        };
        let why = Why { linked, of: Some(unites.word()), group, said, chain, apart: apart.clone() };
        if linked || best.is_none() {
            best = Some(why);
        }
        if linked {
            break;
        }
    }
    let why = best.unwrap_or_else(|| Why {
        linked: false,
        of: None,
        group: None,
        said: unrelated(&one, &other).to_owned(),
        chain: Vec::new(),
        apart,
    });
    Ok(cli::links::why(&why, screen)?)
}

/// Keeps two records apart.
pub(super) fn unlink(asked: &Asked<'_>, parting: &Parting, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let (one, other) = match both(asked.desk, &parting.two, screen)? {
        Ok(both) => both,
        Err(exit) => return Ok(exit),
    };
    let word = link::unlink(&asked.desk.house, (one.id, other.id), said(asked, parting))?;
    tracing::info!(one = %one.id, other = %other.id, uid = asked.uid, "an operator keeps two records apart");
    let with = |side: &[RecordId]| match side.len() {
        1 => String::new(),
        more => format!(" and {} with it", more - 1),
    };
    let told = format!(
        "{}{} and {}{} are kept apart from now on: {}",
        one.name(),
        with(&word.one),
        other.name(),
        with(&word.other),
        parting.reason
    );
    Ok(cli::links::done(&[apart_row(&word)], &told, screen)?)
}

/// Takes back that two records are kept apart.
pub(super) fn link_again(asked: &Asked<'_>, parting: &Parting, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let (one, other) = match both(asked.desk, &parting.two, screen)? {
        Ok(both) => both,
        Err(exit) => return Ok(exit),
    };
    let released = link::link_again(&asked.desk.house, (one.id, other.id), &said(asked, parting))?;
    if released.is_empty() {
        return Err(CommandError::Usage("nobody keeps these two apart; see: provost inventory groups --apart".into()));
    }
    tracing::info!(one = %one.id, other = %other.id, uid = asked.uid, "an operator keeps two records apart no more");
    let rows: Vec<ApartRow> = released.iter().map(apart_row).collect();
    let told = format!("{} and {} are kept apart no more: {}", one.name(), other.name(), parting.reason);
    Ok(cli::links::done(&rows, &told, screen)?)
}

fn said(asked: &Asked<'_>, parting: &Parting) -> Word {
    Word { by: asked.uid, at: asked.desk.house.now(), reason: parting.reason.clone() }
}

/// The two records that were named; what else to say if one is not found, or they are the same.
fn both(desk: &Desk, two: &Two, screen: &mut Screen<'_>) -> Result<Result<(Record, Record), Exit>, CommandError> {
    let mut found = Vec::new();
    for typed in [&two.one, &two.other] {
        match called(desk, typed, screen)? {
            Ok(id) => found.extend(desk.house.inventory().record(id, None)?),
            Err(exit) => return Ok(Err(exit)),
        }
    }
    match <[Record; 2]>::try_from(found) {
        Ok([one, other]) if one.id != other.id => Ok(Ok((one, other))),
        _ => Err(CommandError::Usage(format!("{:?} and {:?} are one record", two.one, two.other))),
    }
}

/// One end of a step, and where it says the key.
fn end(rows: &Rows<'_>, (id, key): (RecordId, &CorrelationKey), desk: &Desk) -> Result<EndRow, StoreError> {
    let record = desk.house.inventory().record(id, None)?;
    let said = record.as_ref().and_then(|record| key.said_by(record));
    let source = said.and_then(|(_, said)| rows.scopes().get(&said.scope)).map(|row| row.source.clone());
    Ok(EndRow {
        id,
        words: record.as_ref().map_or_else(String::new, words),
        field: said.map(|(field, _)| field.name()),
        source,
        as_of: said.map(|(_, said)| said.as_of),
        presence: record.as_ref().map_or("gone", |record| record.presence().name()),
    })
}

/// A record in a few words.
pub(super) fn words(record: &Record) -> String {
    let place = record.get(field::LOCATION).known().map_or_else(String::new, |place| format!(" at {place}"));
    format!("{} {}{place} in {}", record.kind, record.name(), record.realm)
}

fn stopped(stop: Stop) -> &'static str {
    match stop {
        Stop::Held(because) => because.words(),
        Stop::Apart => "an operator keeps apart who would come together by it",
    }
}

/// Why two records that no keys join are not one.
fn unrelated(one: &Record, other: &Record) -> &'static str {
    if one.name() == other.name() {
        "Not one: they have the same name, and no key in common. A name unites nobody."
    } else {
        "Not one: they have no key in common, nor do other records join them."
    }
}

fn apart_row(word: &PartedRow) -> ApartRow {
    let first = |named: RecordId, side: &[RecordId]| -> Vec<RecordId> {
        std::iter::once(named).chain(side.iter().copied().filter(|id| *id != named)).collect()
    };
    ApartRow {
        one: first(word.named.0, &word.one),
        other: first(word.named.1, &word.other),
        by: word.word.by,
        at: word.word.at,
        reason: word.word.reason.clone(),
        released_by: word.released.as_ref().map(|it| it.by),
        released_at: word.released.as_ref().map(|it| it.at),
        released_reason: word.released.as_ref().map(|it| it.reason.clone()),
    }
}
