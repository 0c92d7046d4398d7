//! `sinks …`, `routes …`, `outbox …`.
//! It must never send anything: letters leave by couriers alone.

use std::collections::BTreeMap;

use provost_actions::{
    Dialect, Letter, Wording,
    sinks::{self, ALL},
};
use provost_engine::tell::{Form, Which, routes_of};
use provost_model::{About, Delivery, Event, Leaving, Time};
use provost_store::Go;

use super::{Asked, CommandError, cases::subject};
use crate::{
    cli::{
        self, Exit, Outbox, Routes, Screen, Sinks,
        telling::{CheckRow, KindRow, RouteRow, SinkRow},
    },
    jobs::{deliver::again, tell},
    letters,
    output::{DeliveryRow, inventory::id_matches},
};

/// Answers one about sinks.
pub(super) async fn sinks(asked: &Asked<'_>, action: &Sinks, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    match action {
        Sinks::List => list_sinks(asked, screen),
        Sinks::Kinds => {
            let rows: Vec<KindRow> = ALL.iter().map(|spec| KindRow::from(*spec)).collect();
            Ok(cli::telling::kinds(&rows, screen)?)
        }
        Sinks::Example { kind } => match sinks::find(kind) {
            Some(spec) => Ok(cli::telling::example(spec.example.trim(), screen)?),
            None => Err(CommandError::Usage(format!("there is no kind {kind:?}; see: provost sinks kinds"))),
        },
        Sinks::Check { name } => {
            let wiring = asked.desk.wiring();
            let mut rows = Vec::new();
            for sink in wiring.config.sinks.iter().filter(|it| name.as_ref().is_none_or(|name| *name == it.name)) {
                let Some((_, built)) = wiring.sink(&sink.name) else { continue };
                let (ok, said) = match built.check().await {
                    Ok(said) => (true, said),
                    Err(error) => (false, error.said().to_owned()),
                };
                rows.push(CheckRow { sink: sink.name.clone(), ok, said });
            }
            match name {
                Some(name) if rows.is_empty() => Err(no_sink(name)),
                _ => Ok(cli::telling::checks(&rows, screen)?),
            }
        }
        Sinks::Preview { name, case } => {
            let wiring = asked.desk.wiring();
            let (_, sink) = wiring.sink(name).ok_or_else(|| no_sink(name))?;
            let letter = match case.as_deref().map(|typed| about(asked, typed, screen)).transpose()? {
                Some(Ok(letter)) => letter,
                Some(Err(exit)) => return Ok(exit),
                None => Letter::sample(),
            };
            let text = sink.preview(&letter).map_err(CommandError::Usage)?;
            Ok(cli::telling::preview(&text, screen)?)
        }
    }
}

fn no_sink(name: &str) -> CommandError {
    CommandError::Usage(format!("there is no sink {name:?}; see: provost sinks list"))
}

fn list_sinks(asked: &Asked<'_>, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let wiring = asked.desk.wiring();
    let mut counts: BTreeMap<String, (u64, u64, u64, Option<Time>)> = BTreeMap::new();
    asked.desk.house.inventory().each_delivery(&mut |letter| {
        let of_sink = counts.entry(letter.sink).or_default();
        match letter.state {
            Leaving::Waits | Leaving::Trying => of_sink.0 += 1,
            Leaving::Dead { .. } => of_sink.1 += 1,
            Leaving::Uncertain { .. } => of_sink.2 += 1,
            Leaving::Delivered { at } => of_sink.3 = of_sink.3.max(Some(at)),
            Leaving::Dropped { .. } => {}
        }
        Ok(Go::On)
    })?;
    let rows = wiring.config.sinks.iter().filter_map(|sink| {
        let (configured, built) = wiring.sink(&sink.name)?;
        let (waiting, dead, uncertain, last_delivered_at) = counts.get(&sink.name).copied().unwrap_or_default();
        Some(SinkRow {
            name: sink.name.clone(),
            kind: configured.spec.name,
            delivery: built.delivery().word(),
            per_minute: configured.per_minute,
            waiting,
            dead,
            uncertain,
            last_delivered_at,
        })
    });
    Ok(cli::telling::sinks(rows.collect(), screen)?)
}

/// A letter about a case as it stands.
fn about(asked: &Asked<'_>, typed: &str, screen: &mut Screen<'_>) -> Result<Result<Letter, Exit>, CommandError> {
    let subject = match subject(asked, typed, screen)? {
        Ok(subject) => subject,
        Err(exit) => return Ok(Err(exit)),
    };
    let (house, wiring, now) = (&asked.desk.house, asked.desk.wiring(), screen.look.now);
    let note = tell::note_of(house, &wiring, subject)?
        .ok_or_else(|| CommandError::Usage(format!("nothing stands of {typed}: there is nothing to tell")))?;
    let about = About::Case { event: Event::Opened, note: Box::new(note) };
    let letter = Delivery::new(subject, ("preview", "preview"), (String::new(), about), (now, now));
    Ok(Ok(letters::letter(&letter, None)))
}

/// Answers one about routes.
pub(super) fn routes(asked: &Asked<'_>, action: &Routes, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let wiring = asked.desk.wiring();
    let inventory = asked.desk.house.inventory();
    match action {
        Routes::List => {
            let mut rows = Vec::new();
            for path in &wiring.config.routes {
                let route = &path.route;
                let standing = inventory.standing(&route.name)?.filter(|it| it.policy == path.policy);
                let mut cases = 0;
                inventory.each_told(&route.name, &mut |told| {
                    cases += u64::from(told.event != Event::Settled);
                    Ok(Go::On)
                })?;
                rows.push(RouteRow {
                    name: route.name.clone(),
                    to: route.sink.clone(),
                    takes: in_words(&route.which),
                    events: route.events.iter().map(|event| event.word()).collect(),
                    form: form(&route.form, path.dry_run),
                    enabled_by: standing.as_ref().map(|it| it.by.clone()),
                    enabled_at: standing.map(|it| it.at),
                    cases,
                });
            }
            let everything = |path: &crate::config::telling::Path| path.route.which == Which::default();
            let no_rest = !wiring.config.routes.iter().any(|path| path.route.which.rest || everything(path));
            Ok(cli::telling::routes(rows, no_rest, screen)?)
        }
        Routes::Of { id } => {
            let subject = match subject(asked, id, screen)? {
                Ok(subject) => subject,
                Err(exit) => return Ok(exit),
            };
            let note = tell::note_of(&asked.desk.house, &wiring, subject)?;
            let Some(note) = note else {
                return Err(CommandError::Usage(format!("nothing stands of {id}: there is nothing to tell")));
            };
            let routes = wiring.config.routes.iter().map(|path| &path.route);
            let names: Vec<String> = routes_of(routes, &note).iter().map(|route| route.name.clone()).collect();
            Ok(cli::telling::routes_of(&note.name, &names, screen)?)
        }
    }
}

/// Which cases a route takes.
fn in_words(which: &Which) -> String {
    let mut words = Vec::new();
    words.extend(which.severity.map(|severity| format!("{} or worse", severity.word())));
    words.extend(which.owned.map(|owned| if owned { "owned" } else { "unowned" }.to_owned()));
    for (what, all) in [("of", &which.owners), ("from", &which.sources), ("kind", &which.kinds), ("rule", &which.rules)]
    {
        if !all.is_empty() {
            words.push(format!("{what} {}", all.join(" ")));
        }
    }
    let said = if words.is_empty() { "everything".to_owned() } else { words.join(", ") };
    if which.rest { format!("the rest: {said}") } else { said }
}

fn form(form: &Form, dry_run: bool) -> String {
    let said = match form {
        Form::Each => "each case by itself".to_owned(),
        Form::Gathered { for_seconds, by_owner, .. } => {
            let length = match for_seconds {
                seconds if seconds % 3_600 == 0 => format!("{} h", seconds / 3_600),
                seconds if seconds % 60 == 0 => format!("{} min", seconds / 60),
                seconds => format!("{seconds} s"),
            };
            format!("gathered for {length}{}", if *by_owner { ", to each owner" } else { "" })
        }
    };
    if dry_run { format!("{said}; dry run") } else { said }
}

/// Answers one about letters.
pub(super) fn outbox(asked: &Asked<'_>, action: &Outbox, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let inventory = asked.desk.house.inventory();
    let mut letters = Vec::new();
    inventory.each_delivery(&mut |letter| {
        letters.push(letter);
        Ok(if asked.stop.is_cancelled() { Go::Stop } else { Go::On })
    })?;
    match action {
        Outbox::List { state, route } => {
            let meant = |letter: &&Delivery| {
                state.as_ref().is_none_or(|state| letter.state.word() == state)
                    && route.as_ref().is_none_or(|route| letter.route == *route)
            };
            let rows: Vec<DeliveryRow> = letters.iter().rev().filter(meant).map(DeliveryRow::from).collect();
            Ok(cli::telling::outbox(rows, screen)?)
        }
        Outbox::Show { id } => {
            let letter = one(&letters, id)?;
            let words = Wording::new(Dialect::Plain, None).map_err(|error| CommandError::Usage(error.to_string()))?;
            let text = words.words(&letters::letter(letter, None));
            let text = text.map_err(|error| CommandError::Usage(error.to_string()))?;
            Ok(cli::telling::letter(&DeliveryRow::from(letter), &text, screen)?)
        }
        Outbox::Retry(chosen) => {
            let meant = chosen_of(&letters, chosen)?;
            let may = |letter: &&Delivery| match letter.state {
                Leaving::Dead { .. } | Leaving::Dropped { .. } => true,
                Leaving::Uncertain { .. } => chosen.twice,
                Leaving::Waits | Leaving::Trying | Leaving::Delivered { .. } => false,
            };
            if let Some(not) = meant.iter().find(|letter| !may(letter)) {
                let why = match not.state {
                    Leaving::Uncertain { .. } => "it may have arrived; with --twice it is sent all the same",
                    Leaving::Delivered { .. } => "it arrived",
                    _ => "it is on its way",
                };
                return Err(CommandError::Usage(format!("{}: {why}", not.id)));
            }
            for letter in &meant {
                again(&asked.desk.house, letter, (Leaving::Waits, asked.uid))?;
            }
            Ok(cli::telling::done(meant.len(), "on the way again", screen)?)
        }
        Outbox::Drop(chosen) => {
            let meant = chosen_of(&letters, chosen)?;
            let now = asked.desk.house.now();
            let may = |letter: &&Delivery| !matches!(letter.state, Leaving::Delivered { .. } | Leaving::Trying);
            if let Some(not) = meant.iter().find(|letter| !may(letter)) {
                return Err(CommandError::Usage(format!("{} is {}", not.id, not.state.word())));
            }
            for letter in &meant {
                again(&asked.desk.house, letter, (Leaving::Dropped { at: now }, asked.uid))?;
            }
            Ok(cli::telling::done(meant.len(), "need not arrive", screen)?)
        }
    }
}

/// The letters that somebody chose.
fn chosen_of(letters: &[Delivery], chosen: &cli::Chosen) -> Result<Vec<Delivery>, CommandError> {
    if chosen.dead {
        return Ok(letters.iter().filter(|it| matches!(it.state, Leaving::Dead { .. })).cloned().collect());
    }
    chosen.ids.iter().map(|id| one(letters, id).cloned()).collect()
}

/// The letter that is called so.
fn one<'l>(letters: &'l [Delivery], typed: &str) -> Result<&'l Delivery, CommandError> {
    let mut found = letters.iter().filter(|it| it.id.to_string() == typed || id_matches(it.id, typed));
    match (found.next(), found.next()) {
        (Some(letter), None) => Ok(letter),
        (None, _) => Err(CommandError::Usage(format!("no letter is called {typed:?}; see: provost outbox list"))),
        (Some(_), Some(_)) => Err(CommandError::Usage(format!("more than one letter is called {typed:?}"))),
    }
}
