//! `rotate …`: what would be changed, what is being changed, and what people say of it.
//! It must never change anything itself: that is for whoever carries out decisions.

use provost_actions::{destinations, rotators};
use provost_model::{RecordId, Ruling, Saga};

use super::{Asked, CommandError, cases::with_desk, inventory::called};
use crate::{
    cli::{
        self, ChangeWord, Exit, OnOff, Planning, Rotate, Screen,
        rotate::{KindRow, PlanShown, SagaRow, SagaShown},
        telling::CheckRow,
    },
    jobs::{
        decide::Wanted,
        rotate::{Planned, Word, kill_switch, planned, say},
    },
    output::inventory::id_matches,
    rows::Rows,
};

/// Answers one of them.
pub(super) async fn rotate(asked: &Asked<'_>, action: &Rotate, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    match action {
        Rotate::Plan(what) => plan(asked, what, screen).await,
        Rotate::Run { what, reason } => run(asked, (what, reason), screen),
        Rotate::Status { id: Some(id), .. } => {
            let saga = change(asked, id)?;
            Ok(cli::rotate::one(&SagaShown::of(&saga), stopped(asked)?.as_deref(), screen)?)
        }
        Rotate::Status { id: None, all } => {
            let sagas = asked.desk.house.inventory().sagas()?;
            let shown: Vec<SagaRow> =
                sagas.iter().rev().filter(|saga| *all || saga.ended.is_none()).map(SagaRow::of).collect();
            let ended = sagas.iter().filter(|saga| saga.ended.is_some()).count();
            Ok(cli::rotate::list(shown, (if *all { 0 } else { ended }, stopped(asked)?), screen)?)
        }
        Rotate::Undo(word) => word_of(asked, (Word::Undo, word), screen),
        Rotate::Pause(word) => word_of(asked, (Word::Pause, word), screen),
        Rotate::Resume(word) => word_of(asked, (Word::Resume, word), screen),
        Rotate::KillSwitch { state, reason } => {
            let wiring = asked.desk.wiring();
            let by = (wiring.yardstick.people.of_file(), asked.uid);
            let stop = *state == OnOff::On;
            kill_switch(&asked.desk.house, by, (stop, reason))
                .map_err(|error| CommandError::Said(error.to_string()))?;
            Ok(cli::rotate::stopped(stop, screen)?)
        }
        Rotate::Kinds => {
            let rotators = rotators::ALL.iter().map(|spec| KindRow::from(*spec));
            let rows: Vec<KindRow> =
                rotators.chain(destinations::ALL.iter().map(|spec| KindRow::from(*spec))).collect();
            Ok(cli::rotate::kinds(&rows, screen)?)
        }
        Rotate::Example { kind } => {
            let example = rotators::find(kind).map(|spec| spec.example);
            match example.or_else(|| destinations::find(kind).map(|spec| spec.example)) {
                Some(example) => Ok(cli::telling::example(example.trim(), screen)?),
                None => Err(CommandError::Usage(format!("there is no kind {kind:?}; see: provost rotate kinds"))),
            }
        }
        Rotate::Check { name } => check(asked, name.as_deref(), screen).await,
    }
}

/// Who stopped everything, in words, if somebody did.
fn stopped(asked: &Asked<'_>) -> Result<Option<String>, CommandError> {
    let switch = asked.desk.house.inventory().kill_switch()?;
    Ok(switch.map(|it| format!("everything is stopped by {} since {}: {}", it.by, it.at, it.reason)))
}

/// Whether the hands of an entry would be let in.
async fn check(asked: &Asked<'_>, name: Option<&str>, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let wiring = asked.desk.wiring();
    let mut rows = Vec::new();
    let row = |sink: String, said: Result<String, provost_actions::ActionError>| match said {
        Ok(said) => CheckRow { sink, ok: true, said },
        Err(error) => CheckRow { sink, ok: false, said: error.said().to_owned() },
    };
    for hand in wiring.hands().filter(|hand| name.is_none_or(|name| name == hand.entry.name)) {
        rows.push(row(hand.entry.name.clone(), hand.rotator.check().await));
        for (at, (place, configured)) in hand.places.iter().zip(&hand.entry.places).enumerate() {
            let called = format!("{} places[{at}] {}", hand.entry.name, configured.spec.name);
            rows.push(row(called, place.check().await));
        }
    }
    match name {
        Some(name) if rows.is_empty() => Err(CommandError::Usage(format!("there is no [[rotations]] entry {name:?}"))),
        _ => Ok(cli::telling::checks(&rows, screen)?),
    }
}

/// The record that is meant, and what would be done about it.
fn found(
    asked: &Asked<'_>,
    what: &Planning,
    screen: &mut Screen<'_>,
) -> Result<Result<(RecordId, Planned), Exit>, CommandError> {
    let subject = match called(asked.desk, &what.id, screen)? {
        Ok(subject) => subject,
        Err(exit) => return Ok(Err(exit)),
    };
    let wiring = asked.desk.wiring();
    let house = &asked.desk.house;
    let rows = Rows::new(house.inventory(), &wiring.yardstick, house.now())?;
    let planned = planned((house, &wiring), &rows, (subject, what.remedy, what.emergency))?;
    let planned = planned.ok_or_else(|| CommandError::Usage(format!("{:?} is there no more", what.id)))?;
    Ok(Ok((subject, planned)))
}

async fn plan(asked: &Asked<'_>, what: &Planning, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let (_, planned) = match found(asked, what, screen)? {
        Ok(found) => found,
        Err(exit) => return Ok(exit),
    };
    let wiring = asked.desk.wiring();
    let mut shown = PlanShown::of(&planned, (what.remedy, what.emergency));
    if let Some(hand) = planned.entry.as_ref().and_then(|entry| wiring.hand(&entry.name)) {
        match hand.rotator.look(&planned.target).await {
            Ok(slots) => shown.listed(&slots),
            Err(error) => shown.problems.push(format!("the provider: {}", error.said())),
        }
        for (at, place) in hand.places.iter().enumerate() {
            match place.look().await {
                Ok(holding) => shown.held(at, holding.version),
                Err(error) => shown.problems.push(format!("places[{at}]: {}", error.said())),
            }
        }
    }
    Ok(cli::rotate::plan(&shown, screen)?)
}

fn run(asked: &Asked<'_>, (what, reason): (&Planning, &str), screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let (subject, planned) = match found(asked, what, screen)? {
        Ok(found) => found,
        Err(exit) => return Ok(exit),
    };
    let wanted = Wanted {
        subject,
        rules: Vec::new(),
        ruling: Ruling::Act { remedy: what.remedy },
        purpose: super::cases::purpose(reason)?,
        routine: true,
        emergency: what.emergency,
    };
    let exit = with_desk(asked, |desk| desk.ask(&wanted), screen)?;
    cli::rotate::begun(&PlanShown::of(&planned, (what.remedy, what.emergency)), screen)?;
    Ok(exit)
}

/// The change that is called so.
fn change(asked: &Asked<'_>, typed: &str) -> Result<Saga, CommandError> {
    let mut found = asked.desk.house.inventory().sagas()?;
    found.retain(|saga| saga.id.to_string() == typed || id_matches(saga.id, typed));
    match (found.pop(), found.is_empty()) {
        (Some(saga), true) => Ok(saga),
        (None, _) => {
            Err(CommandError::Usage(format!("no change is called {typed:?}; see: provost rotate status --all")))
        }
        (Some(_), false) => Err(CommandError::Usage(format!("more than one change is called {typed:?}"))),
    }
}

fn word_of(
    asked: &Asked<'_>,
    (word, typed): (Word, &ChangeWord),
    screen: &mut Screen<'_>,
) -> Result<Exit, CommandError> {
    let (saga, wiring) = (change(asked, &typed.id)?, asked.desk.wiring());
    let by = (wiring.yardstick.people.of_file(), asked.uid);
    let said = say(&asked.desk.house, by, saga.id, (word, &typed.reason));
    let saga = said.map_err(|error| CommandError::Said(error.to_string()))?;
    Ok(cli::rotate::one(&SagaShown::of(&saga), stopped(asked)?.as_deref(), screen)?)
}
