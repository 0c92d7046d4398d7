//! One row of the outbox, with the field names other programs rely on.
//! It must never call a letter delivered of which that is not known.

use provost_model::{About, Delivery, DeliveryId, Time};
use serde::Serialize;

use super::{
    age,
    inventory::short_id,
    table::{Cell, Tone},
    write::Row,
};

/// Longest text in a table.
const SAID_MOST: usize = 40;

/// One letter as it is listed. Field names and order are pinned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeliveryRow {
    /// Its name: also its dedup key.
    pub id: DeliveryId,
    /// The route that asked for it.
    pub route: String,
    /// Where it goes.
    pub sink: String,
    /// waits, trying, delivered, uncertain, dead, dropped.
    pub state: &'static str,
    /// What it is about: a case's name, or how many cases.
    pub about: String,
    /// opened, worse, changed, overdue, settled, unproven; digest for many.
    pub event: &'static str,
    /// When it was written.
    pub written_at: Time,
    /// How often it was tried.
    pub tries: u32,
    /// When it is tried next, if it is.
    pub next_at: Option<Time>,
    /// When it ended.
    pub ended_at: Option<Time>,
    /// What went wrong last.
    pub said: Option<String>,
    /// What the sink calls it.
    pub reference: Option<String>,
    /// Where a person finds it there.
    pub url: Option<String>,
}

impl From<&Delivery> for DeliveryRow {
    fn from(letter: &Delivery) -> Self {
        let (about, event) = match &letter.about {
            About::Case { event, note } => (note.name.clone(), event.word()),
            About::Digest(digest) => match digest.counts.values().sum::<u64>() {
                0 => ("no case".to_owned(), "digest"),
                1 => ("1 case".to_owned(), "digest"),
                cases => (format!("{cases} cases"), "digest"),
            },
        };
        let ended_at = letter.state.ended_at();
        Self {
            id: letter.id,
            route: letter.route.clone(),
            sink: letter.sink.clone(),
            state: letter.state.word(),
            about,
            event,
            written_at: letter.written_at,
            tries: letter.tries,
            next_at: ended_at.is_none().then_some(letter.not_before),
            ended_at,
            said: letter.said.clone(),
            reference: letter.reference.clone(),
            url: letter.url.clone(),
        }
    }
}

impl Row for DeliveryRow {
    const FIELDS: &'static [&'static str] = &[
        "id",
        "route",
        "sink",
        "state",
        "about",
        "event",
        "written_at",
        "tries",
        "next_at",
        "ended_at",
        "said",
        "reference",
        "url",
    ];
    const HEADINGS: &'static [&'static str] = &["id", "state", "route", "event", "about", "age", "tries", "said"];

    fn fields(&self) -> Vec<String> {
        let time = |at: Option<Time>| at.map(|at| at.to_string()).unwrap_or_default();
        vec![
            self.id.to_string(),
            self.route.clone(),
            self.sink.clone(),
            self.state.to_owned(),
            self.about.clone(),
            self.event.to_owned(),
            self.written_at.to_string(),
            self.tries.to_string(),
            time(self.next_at),
            time(self.ended_at),
            self.said.clone().unwrap_or_default(),
            self.reference.clone().unwrap_or_default(),
            self.url.clone().unwrap_or_default(),
        ]
    }

    fn cells(&self, now: Time) -> Vec<Cell> {
        let tone = match self.state {
            "dead" => Tone::Bad,
            "uncertain" => Tone::Warn,
            _ => Tone::Plain,
        };
        let said = match (&self.said, &self.reference) {
            (Some(said), _) => Cell::beginning(said, SAID_MOST),
            (None, Some(reference)) => Cell::ending(reference, SAID_MOST),
            (None, None) => Cell::new("-").tone(Tone::Faint),
        };
        vec![
            Cell::new(short_id(self.id)).tone(Tone::Faint),
            Cell::new(self.state).tone(tone),
            self.route.clone().into(),
            self.event.into(),
            Cell::ending(&self.about, 24),
            age::since(self.written_at, now).into(),
            self.tries.to_string().into(),
            said,
        ]
    }
}
