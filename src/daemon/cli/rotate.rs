//! `rotate …`: plans, changes under way, what each did.
//! It must never show a value: it has fingerprints, versions and ids.

use provost_actions::{destinations::DestinationSpec, rotators::RotatorSpec};
use provost_model::{Act, Entry, Phase, Reading, Remedy, Saga, SagaId, Slot, Time};
use serde::Serialize;

use super::{CliError, Exit, Screen, telling::checked};
use crate::{
    jobs::rotate::{Planned, guided_steps},
    output::{Cell, Row, Tone, age, inventory::short_id},
};

/// How the reason of a change that goes back begins.
const BACK: &str = "goes back: ";

/// A change as it is listed. Field names and order are pinned.
#[derive(Clone, Debug, Serialize)]
pub struct SagaRow {
    /// Its id.
    pub id: SagaId,
    /// rotate, disable, delete, restrict, revoke.
    pub remedy: &'static str,
    /// What people call what it changes.
    pub name: String,
    /// Whose that is.
    pub holder: String,
    /// The `[[rotations]]` entry; empty where people do it.
    pub entry: String,
    /// under_way, held, paused, done, restored, moot.
    pub state: &'static str,
    /// The step it is in.
    pub step: &'static str,
    /// forward, back.
    pub course: &'static str,
    /// Why it waits.
    pub waits: Option<String>,
    /// When it goes on, at the earliest.
    pub next_at: Option<Time>,
    /// When it began.
    pub begun_at: Time,
    /// When it ended.
    pub ended_at: Option<Time>,
    /// Who let it rest.
    #[serde(skip)]
    paused_by: Option<String>,
    /// How often the present act failed.
    #[serde(skip)]
    tries: u32,
}

/// One change in full.
#[derive(Debug, Serialize)]
pub struct SagaShown {
    /// The change.
    pub change: SagaRow,
    /// The decision it rests on.
    pub decision: String,
    /// The record it changes.
    pub subject: String,
    /// Who answers for it.
    pub owner: Option<String>,
    /// What the provider calls the old one.
    pub old: String,
    /// What it calls the new one.
    pub new: Option<String>,
    /// What people have to do, where they do it.
    pub by_hand: Vec<String>,
    /// The steps it takes.
    pub steps: Vec<&'static str>,
    /// What happened.
    pub journal: Vec<Line>,
}

/// A line of a journal.
#[derive(Debug, Serialize)]
pub struct Line {
    /// When.
    pub at: Time,
    /// The step.
    pub step: &'static str,
    /// What was done.
    pub act: &'static str,
    /// At which of its places, where that was at one.
    pub place: Option<u8>,
    /// begun, done, failed, unclear.
    pub what: String,
    /// What is known of it.
    pub said: String,
}

/// What would be done.
#[derive(Debug, Serialize)]
pub struct PlanShown {
    /// What it is about.
    pub name: String,
    /// Whose that is.
    pub holder: String,
    /// What is done.
    pub remedy: &'static str,
    /// Whether breakage is accepted.
    pub emergency: bool,
    /// Who answers for it.
    pub owner: Option<String>,
    /// The entry; null where people do it.
    pub entry: Option<String>,
    /// Whether the entry acts.
    pub enabled: bool,
    /// Why people do it.
    pub because: Option<String>,
    /// What people have to do.
    pub by_hand: Vec<String>,
    /// The steps, each with what it waits for.
    pub steps: Vec<String>,
    /// What the provider lists.
    pub listed: Vec<String>,
    /// What destinations have.
    pub places: Vec<String>,
    /// What stands in the way.
    pub problems: Vec<String>,
    #[serde(skip)]
    capacity: Option<usize>,
}

/// A kind as it is listed.
#[derive(Debug, Serialize)]
pub struct KindRow {
    /// The word in `kind = "…"`.
    pub kind: &'static str,
    /// rotator, destination.
    pub is: &'static str,
    /// What it does.
    pub about: &'static str,
    /// What it can do, or whether values can be read back.
    pub can: String,
    /// What its credential has to be allowed.
    pub permissions: &'static [&'static str],
    /// How far it was tried out.
    pub checked: String,
}

impl SagaRow {
    /// The row of a change.
    pub fn of(saga: &Saga) -> Self {
        Self {
            id: saga.id,
            remedy: saga.remedy.word(),
            name: saga.target.name.clone(),
            holder: saga.target.holder_name.clone(),
            entry: saga.profile.clone(),
            state: saga.state(),
            step: saga.phase.word(),
            course: saga.course.word(),
            waits: saga.held.clone().or_else(|| saga.waits.clone()).filter(|_| saga.ended.is_none()),
            next_at: (saga.state() == "under_way").then_some(saga.not_before),
            begun_at: saga.begun_at,
            ended_at: saga.ended.map(|(_, at)| at),
            paused_by: saga.paused_by.clone().filter(|_| saga.ended.is_none()),
            tries: saga.tries,
        }
    }

    /// Why it does not go on at once: what that is called, and the words.
    fn why(&self) -> Option<(&'static str, String)> {
        let waits = self.waits.clone()?;
        Some(match (self.state, waits.strip_prefix(BACK), self.tries) {
            ("held", ..) => ("needs a word", waits),
            (_, Some(why), _) => ("because", why.to_owned()),
            (_, None, 0) => ("waits for", waits),
            (_, None, 1) => ("failed once", waits),
            (_, None, tries) => ("failed", format!("{tries} times; the last time: {waits}")),
        })
    }
}

impl SagaShown {
    /// A change in full.
    pub fn of(saga: &Saga) -> Self {
        Self {
            change: SagaRow::of(saga),
            decision: saga.decision.to_string(),
            subject: saga.target.record.to_string(),
            owner: saga.owner.clone(),
            old: saga.target.external_id.clone(),
            new: saga.minted.as_ref().map(|new| new.id.clone()),
            by_hand: if saga.profile.is_empty() { guided_steps(saga.remedy, &saga.target) } else { Vec::new() },
            steps: saga.phases.iter().map(|phase| phase.word()).collect(),
            journal: lines(&saga.journal),
        }
    }
}

impl PlanShown {
    /// What is planned, before the provider was asked.
    pub fn of(planned: &Planned, (remedy, emergency): (Remedy, bool)) -> Self {
        let entry = planned.entry.as_ref();
        let steps = match entry {
            Some(entry) => planned.phases.iter().map(|phase| in_words(*phase, &entry.how)).collect(),
            None => Vec::new(),
        };
        Self {
            name: planned.target.name.clone(),
            holder: planned.target.holder_name.clone(),
            remedy: remedy.word(),
            emergency,
            owner: planned.owner.clone(),
            entry: entry.map(|entry| entry.name.clone()),
            enabled: entry.is_some_and(|entry| entry.enabled),
            because: planned.because.clone(),
            by_hand: if entry.is_none() { guided_steps(remedy, &planned.target) } else { Vec::new() },
            steps,
            listed: Vec::new(),
            places: Vec::new(),
            problems: Vec::new(),
            capacity: entry.and_then(|entry| entry.how.capacity).filter(|_| remedy == Remedy::Rotate),
        }
    }

    /// What the provider lists.
    pub fn listed(&mut self, slots: &[Slot]) {
        let used = |slot: &Slot| match slot.used_at {
            Reading::Known(at) => format!("used last at {at}"),
            other => format!("last use {}", other.word().replace('_', " ")),
        };
        let word = |slot: &Slot| if slot.active { "works" } else { "disabled" };
        self.listed = slots.iter().map(|slot| format!("{}: {}, {}", slot.id, word(slot), used(slot))).collect();
        if let Some(capacity) = self.capacity.filter(|capacity| slots.len() >= *capacity) {
            self.problems.push(format!("there are {} already, {capacity} at most: no room for a new one", slots.len()));
        }
    }

    /// What a destination has.
    pub fn held(&mut self, at: usize, version: Option<String>) {
        let version =
            version.map_or_else(|| "nothing there yet".to_owned(), |version| format!("has version {version}"));
        self.places.push(format!("places[{at}]: {version}"));
    }
}

/// A journal as it is read. An answer is noted when the change is a step further already: shown is the step in which it was asked.
fn lines(journal: &[Entry]) -> Vec<Line> {
    let (mut begun, mut lines): (Option<&Entry>, _) = (None, Vec::new());
    for entry in journal {
        let asked = begun.filter(|it| it.act == entry.act && entry.what != "begun");
        let step = match (&entry.act, asked) {
            (Act::Verify, _) => Phase::Verify,
            (_, Some(asked)) => asked.phase,
            (_, None) => entry.phase,
        };
        if entry.what == "begun" {
            begun = Some(entry);
        }
        let (step, act, place) = (step.word(), entry.act.word(), place_of(&entry.act));
        lines.push(Line { at: entry.at, step, act, place, what: entry.what.clone(), said: entry.said.clone() });
    }
    lines
}

/// The place that an act is about.
fn place_of(act: &Act) -> Option<u8> {
    match act {
        Act::Put(at) | Act::Recover(at) | Act::Reload(at) | Act::Restore(at) | Act::Settle(at) => Some(*at),
        _ => None,
    }
}

/// A step in words, with how long it takes.
fn in_words(phase: Phase, how: &provost_engine::rotate::How) -> String {
    let days = |span: provost_model::Span| match span.as_micros() / 1_000_000 {
        seconds if seconds % 86_400 == 0 && seconds > 0 => format!("{} d", seconds / 86_400),
        seconds if seconds % 3_600 == 0 && seconds > 0 => format!("{} h", seconds / 3_600),
        seconds => format!("{seconds} s"),
    };
    let windows = how.windows;
    let said = match phase {
        Phase::Plan => "look at what there is".to_owned(),
        Phase::Mint if how.in_place => "have the provider replace it in its place".to_owned(),
        Phase::Mint => "make a new one; the old one stays".to_owned(),
        Phase::Store => match how.readable.len() {
            1 => "put its value into its place, and read it back".to_owned(),
            places => format!("put its value into {places} places, and read it back"),
        },
        Phase::Verify => "use the new one once".to_owned(),
        Phase::Propagate => "have consumers read it".to_owned(),
        Phase::Observe => match how.lag {
            Some(lag) => format!(
                "both work for {} at least, until the new one is used and the old one was not for {} and {} of lag",
                days(windows.overlap),
                days(windows.quiet),
                days(lag)
            ),
            None => format!("both work for {}: the provider does not say which is used", days(windows.blind)),
        },
        Phase::Disable => "disable the old one; that can be undone".to_owned(),
        Phase::Watch => format!("wait {} whether anybody misses it", days(windows.watch)),
        Phase::Delete => "remove the old one for good".to_owned(),
        Phase::Prove => "see that it is so".to_owned(),
    };
    format!("{}: {said}", phase.word())
}

impl From<&RotatorSpec> for KindRow {
    fn from(spec: &RotatorSpec) -> Self {
        let can: Vec<&str> = spec.remedies.iter().map(|remedy| remedy.word()).collect();
        Self {
            kind: spec.name,
            is: "rotator",
            about: spec.about,
            can: can.join(", "),
            permissions: spec.permissions,
            checked: checked(spec.checked),
        }
    }
}

impl From<&DestinationSpec> for KindRow {
    fn from(spec: &DestinationSpec) -> Self {
        Self {
            kind: spec.name,
            is: "destination",
            about: spec.about,
            can: if spec.readable { "can be read back" } else { "cannot be read back" }.to_owned(),
            permissions: spec.permissions,
            checked: checked(spec.checked),
        }
    }
}

impl Row for SagaRow {
    const FIELDS: &'static [&'static str] = &[
        "id", "remedy", "name", "holder", "entry", "state", "step", "course", "waits", "next_at", "begun_at",
        "ended_at",
    ];
    const HEADINGS: &'static [&'static str] = &["id", "what", "of", "by", "state", "step", "next", "waits for"];

    fn fields(&self) -> Vec<String> {
        let time = |at: Option<Time>| at.map(|at| at.to_string()).unwrap_or_default();
        vec![
            self.id.to_string(),
            self.remedy.to_owned(),
            self.name.clone(),
            self.holder.clone(),
            self.entry.clone(),
            self.state.to_owned(),
            self.step.to_owned(),
            self.course.to_owned(),
            self.waits.clone().unwrap_or_default(),
            time(self.next_at),
            self.begun_at.to_string(),
            time(self.ended_at),
        ]
    }

    fn cells(&self, now: Time) -> Vec<Cell> {
        let tone = match self.state {
            "held" => Tone::Bad,
            "paused" => Tone::Warn,
            "under_way" => Tone::Plain,
            _ => Tone::Faint,
        };
        let of = if self.holder.is_empty() { self.name.clone() } else { format!("{} of {}", self.name, self.holder) };
        let by = if self.entry.is_empty() { "people" } else { &self.entry };
        let step = if self.course == "back" { format!("back from {}", self.step) } else { self.step.to_owned() };
        let next = match self.next_at {
            Some(at) if at > now => age::since(at, now),
            Some(_) => "now".to_owned(),
            None => String::new(),
        };
        vec![
            short_id(self.id).into(),
            self.remedy.into(),
            of.into(),
            by.into(),
            Cell::new(self.state.replace('_', " ")).tone(tone),
            step.into(),
            next.into(),
            self.waits.clone().unwrap_or_default().into(),
        ]
    }
}

/// Lists changes.
pub fn list(
    rows: Vec<SagaRow>,
    (ended, stopped): (usize, Option<String>),
    screen: &mut Screen<'_>,
) -> Result<Exit, CliError> {
    let (all, held) = (rows.len(), rows.iter().filter(|row| row.state == "held").count());
    screen.rows(rows)?;
    if screen.is_table() {
        if let Some(stopped) = stopped {
            screen.remark(&stopped)?;
        }
        let word = if all == 1 { "change" } else { "changes" };
        screen.remark(&format!("{all} {word}, {held} waiting for a person's word"))?;
        if ended > 0 {
            screen.remark(&format!("{ended} that ended are not shown; see: provost rotate status --all"))?;
        }
    }
    Ok(Exit::Done)
}

/// Shows one change, and who stopped everything.
pub fn one(shown: &SagaShown, stopped: Option<&str>, screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    if !screen.is_table() {
        screen.value(shown)?;
        return Ok(Exit::Done);
    }
    let change = &shown.change;
    let state = match (change.state, change.course) {
        ("under_way", "back") => "under way, going back".to_owned(),
        (state, _) => state.replace('_', " "),
    };
    let step = if change.course == "back" { format!("back from {}", change.step) } else { change.step.to_owned() };
    let mut pairs = vec![
        ("change", change.id.to_string()),
        ("what", format!("{} {}", change.remedy, change.name)),
        ("of", change.holder.clone()),
        ("owner", shown.owner.clone().unwrap_or_else(|| "nobody is known".to_owned())),
        ("by", if change.entry.is_empty() { "people".to_owned() } else { change.entry.clone() }),
        ("state", state),
        ("step", step),
        ("old", shown.old.clone()),
    ];
    pairs.extend(shown.new.clone().map(|new| ("new", new)));
    pairs.extend(change.paused_by.clone().map(|by| ("rests by", by)));
    pairs.extend(change.why());
    let next = change.next_at.map(|at| if at > screen.look.now { at.to_string() } else { "now".to_owned() });
    pairs.extend(next.map(|at| (if change.tries > 0 { "tried again" } else { "goes on" }, at)));
    pairs.retain(|(_, value)| !value.is_empty());
    screen.pairs(&pairs)?;
    by_hand(&shown.by_hand, screen)?;
    let rows = shown.journal.iter().map(|line| {
        let tone = if line.what == "failed" || line.what == "unclear" { Tone::Warn } else { Tone::Plain };
        let act = line.place.map_or_else(|| line.act.to_owned(), |at| format!("{} places[{at}]", line.act));
        vec![
            line.at.to_string().into(),
            line.step.into(),
            act.into(),
            Cell::new(line.what.clone()).tone(tone),
            line.said.clone().into(),
        ]
    });
    screen.section("journal", &["at", "step", "act", "", "said"], rows.collect())?;
    if let Some(stopped) = stopped.filter(|_| change.ended_at.is_none()) {
        screen.remark(stopped)?;
    }
    let id = short_id(change.id);
    match change.state {
        "held" => screen.remark(&format!("look at it, then: provost rotate resume {id} --reason …, or undo"))?,
        "paused" => screen.remark(&format!("it rests until: provost rotate resume {id} --reason …, or undo"))?,
        "under_way" if change.course == "back" => {
            screen.remark(&format!("it goes back by itself; see: provost rotate status {id}"))?;
        }
        _ => {}
    }
    Ok(Exit::Done)
}

fn by_hand(steps: &[String], screen: &mut Screen<'_>) -> Result<(), CliError> {
    for (at, step) in steps.iter().enumerate() {
        screen.told(&format!("{}. {step}", at + 1))?;
    }
    Ok(())
}

/// Shows a plan.
pub fn plan(shown: &PlanShown, screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    let exit = if shown.problems.is_empty() { Exit::Done } else { Exit::Failed };
    if !screen.is_table() {
        screen.value(shown)?;
        return Ok(exit);
    }
    let mut pairs = vec![
        ("what", format!("{} {}", shown.remedy, shown.name)),
        ("of", shown.holder.clone()),
        ("owner", shown.owner.clone().unwrap_or_else(|| "nobody is known".to_owned())),
    ];
    pairs.extend(shown.entry.clone().map(|entry| ("by", entry)));
    pairs.retain(|(_, value)| !value.is_empty());
    screen.pairs(&pairs)?;
    if let Some(because) = &shown.because {
        screen.prose(&format!("people do it: {because}"))?;
    }
    by_hand(&shown.by_hand, screen)?;
    for step in &shown.steps {
        screen.told(step)?;
    }
    for line in shown.listed.iter().chain(&shown.places) {
        screen.prose(line)?;
    }
    for problem in &shown.problems {
        screen.remark(&format!("in the way: {problem}"))?;
    }
    begun(shown, screen)?;
    Ok(exit)
}

/// Says what follows once it is decided.
pub fn begun(shown: &PlanShown, screen: &mut Screen<'_>) -> Result<(), CliError> {
    if !screen.is_table() {
        return Ok(());
    }
    match (&shown.entry, shown.enabled) {
        (Some(entry), false) => {
            screen.remark(&format!("{entry} is not switched on: it plans, and does nothing until enabled = true"))?;
        }
        (Some(entry), true) => screen.remark(&format!("{entry} does it; see: provost rotate status"))?,
        (None, _) => screen.remark("people do it; the next look proves it; see: provost rotate status")?,
    }
    if shown.emergency {
        screen.remark("the old one is let go at once, whoever uses it")?;
    }
    Ok(())
}

/// Says that everything is stopped, or goes on.
pub fn stopped(stop: bool, screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    screen.remark(match stop {
        true => "everything is stopped: nothing is changed until somebody says: provost rotate kill-switch off",
        false => "everything goes on",
    })?;
    Ok(Exit::Done)
}

/// Lists kinds.
pub fn kinds(rows: &[KindRow], screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    if !screen.is_table() {
        screen.value(rows)?;
        return Ok(Exit::Done);
    }
    for row in rows {
        screen.prose(&format!("{} ({}): {}", row.kind, row.is, row.about))?;
        screen.told(&format!("can: {}", row.can))?;
        screen.told(&format!("needs: {}", row.permissions.join("; ")))?;
        screen.told(&format!("checked against {}", row.checked))?;
    }
    Ok(Exit::Done)
}
