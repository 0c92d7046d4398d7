//! Trackers: each case a ticket, kept by one way of working ([`life`]) over what each tracker's interface can do.
//! It must never leave two tickets or two comments for one letter where the tracker can tell what it has.

pub(super) mod github;
pub(super) mod gitlab;
mod inert;
pub(super) mod jira;
mod life;
pub(super) mod manifest;
pub(super) mod roundup;

use std::{ops::ControlFlow, sync::Arc, time::Duration};

use async_trait::async_trait;
use provost_client::{Authority, Failure, Limits, Pages, Patience, Provider, Web};
use provost_model::{Errand, Span, Time};
use serde_json::Value;

use self::life::{Desk, Draft};
use super::{Delivery, Handed, Receipt, Sink, SinkSpec, Ticket, Tracker};
use crate::{ActionError, Dialect, Letter, Wording};

/// How far before a letter's first try its ticket is looked for, since a tracker's clock and ours differ.
const MARGIN: Span = Span::hours(1);
/// Records of a page: the most that these trackers give.
const PAGE: &str = "100";
/// Most pages looked through for one mark.
const PAGES: usize = 100;

/// A tracker as a sink.
struct Office<D> {
    spec: &'static SinkSpec,
    wording: Wording,
    desk: D,
}

impl<D: Desk> Office<D> {
    /// That tracker, with letters in that dialect.
    fn open(spec: &'static SinkSpec, handed: &Handed, (dialect, desk): (Dialect, D)) -> Result<Box<dyn Sink>, String>
    where
        D: 'static,
    {
        let wording = Wording::new(dialect, handed.template.as_deref()).map_err(|error| error.to_string())?;
        Ok(Box::new(Self { spec, wording, desk }))
    }

    /// A letter as this tracker takes it.
    fn draft<'a>(&self, letter: &'a Letter) -> Result<Draft<'a>, ActionError> {
        let [case] = letter.cases.as_slice() else {
            return Err(ActionError::GiveUp { said: "a ticket is about one case".to_owned() });
        };
        let words = self.wording.words(letter).map_err(|error| ActionError::GiveUp { said: error.to_string() })?;
        Ok(Draft { letter, case, title: inert::title(case), body: self.desk.body(&words, &letter.id) })
    }
}

#[async_trait]
impl<D: Desk> Sink for Office<D> {
    fn delivery(&self) -> Delivery {
        if D::FINDS { self.spec.delivery } else { Delivery::Blind }
    }

    async fn deliver(&self, errand: &Errand, letter: &Letter) -> Result<Receipt, ActionError> {
        life::delivered(&self.desk, errand, &self.draft(letter)?).await
    }

    async fn look_up(&self, letter: &Letter) -> Result<Option<Receipt>, ActionError> {
        life::looked_up(&self.desk, &self.draft(letter)?).await
    }

    async fn check(&self) -> Result<String, ActionError> {
        self.desk.check().await
    }

    fn tracker(&self) -> Option<&dyn Tracker> {
        Some(self)
    }

    fn preview(&self, letter: &Letter) -> Result<String, String> {
        let draft = self.draft(letter).map_err(|error| error.to_string())?;
        let wire = self.desk.wire(&draft.body).map(|wire| format!("\n\n{wire}")).unwrap_or_default();
        Ok(format!("{}\n\n{}{wire}", draft.title, draft.body))
    }
}

#[async_trait]
impl<D: Desk> Tracker for Office<D> {
    async fn tickets(&self, keys: &[String]) -> Result<Vec<Ticket>, ActionError> {
        self.desk.look(keys).await
    }
}

/// What is known of a tracker before the first call.
fn provider(spec: &SinkSpec, origin: String, headers: &[(&str, &str)]) -> Provider {
    Provider {
        headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        // Whoever tells tries again later by itself: a look that does not get through soon has failed.
        patience: Patience {
            throttled: 2,
            unavailable: 3,
            longest: Duration::from_secs(2),
            window: Duration::from_secs(10),
            ..Patience::default()
        },
        ..super::provider::provider((spec.reads, spec.acts), origin, Limits::default())
    }
}

/// The way to a tracker; an error names the setting that its address is in.
fn way(provider: Provider, authority: impl Authority + 'static) -> Result<Web, String> {
    Web::new(provider, Arc::new(authority)).map_err(|said| format!("base_url: {said}"))
}

/// The first record of a list that has that mark at that place. In a list with the newest first, none made before `floor` is
/// looked at.
async fn marked(mut pages: Pages, mark: (&str, &str), floor: Option<Time>) -> Result<Option<Value>, Failure> {
    while let Some(page) = pages.next().await? {
        if let ControlFlow::Break(found) = met(page.records()?, mark, floor) {
            return Ok(found);
        }
    }
    Ok(None)
}

/// The same in one page: what was found, or that nothing will be, or nothing yet.
fn met(records: &[Value], (place, mark): (&str, &str), floor: Option<Time>) -> ControlFlow<Option<Value>> {
    for record in records {
        // A text or a document: a mark is one piece of either.
        if record.pointer(place).is_some_and(|text| text.to_string().contains(mark)) {
            return ControlFlow::Break(Some(record.clone()));
        }
        let made = record.get("created_at").and_then(Value::as_str).and_then(|it| it.parse::<Time>().ok());
        if floor.zip(made).is_some_and(|(floor, made)| made < floor) {
            return ControlFlow::Break(None);
        }
    }
    ControlFlow::Continue(())
}

/// Before when nothing of a letter can be in a tracker, whatever its clock says.
fn floor(letter: &Letter) -> Time {
    (letter.first_tried_at - MARGIN).whole_seconds()
}

/// What finds a letter again in a text that is shown as HTML: a comment, which no reader sees.
fn hidden_mark(letter: &str) -> String {
    format!("<!-- provost:{letter} -->")
}

#[cfg(test)]
mod tests;
