//! A tracker as its manifest describes it, at work.
//! It must never say that a step was taken which the ticket does not show, nor that there is nothing where a place is missing.

use std::{fmt::Write as _, sync::Arc};

use async_trait::async_trait;
use provost_client::{Answer, Failure, Page, Pages, Web};
use provost_model::{Clock, Errand};
use serde_json::Value;

use super::{
    super::{Desk, Draft, PAGES, floor, inert},
    meant::{Call, List, Manifest, Markup},
    scalar,
    template::Fillings,
};
use crate::{
    ActionError, Letter,
    sinks::{Ticket, place},
};

/// Longest key of a ticket that is taken.
const KEY_MAX: usize = 200;

/// A tracker; whether its list of tickets tells for certain.
pub(super) struct Described<const VOUCHED: bool> {
    pub(super) web: Web,
    pub(super) manifest: Manifest,
    /// The manifest's own settings.
    pub(super) with: Fillings,
    /// Where people find it.
    pub(super) home: String,
    pub(super) clock: Arc<dyn Clock>,
}

/// What finds a letter again. It is written for people too: no mark-up hides a text in every tracker.
pub(super) fn mark(letter: &str) -> String {
    format!("provost letter {letter}")
}

impl<const VOUCHED: bool> Described<VOUCHED> {
    /// The settings, and what fills the holes of one call.
    fn with(&self, more: &[(&str, &str)]) -> Fillings {
        let mut with = self.with.clone();
        with.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        with
    }

    /// What fills the holes of a call that carries a letter.
    fn with_letter(&self, draft: &Draft<'_>, more: &[(&str, &str)]) -> Fillings {
        let word = draft.case.severity.word();
        let severity = self.manifest.severity.get(word).map_or(word, String::as_str);
        let mark = mark(&draft.letter.id);
        let mut with = self.with(&[("title", &draft.title), ("text", &draft.body), ("mark", &mark)]);
        with.extend(self.with(more));
        with.insert("severity".to_owned(), severity.to_owned());
        with
    }

    async fn act(&self, errand: &Errand, (call, with): (&Call, &Fillings)) -> Result<Answer, ActionError> {
        Ok(self.web.act(errand, call.ask(with).map_err(unfit)?).await?)
    }

    async fn ticket(&self, key: &str) -> Result<Ticket, ActionError> {
        let read = &self.manifest.read;
        let answer = match self.web.ask(read.call.ask(&self.with(&[("key", key)])).map_err(unfit)?).await {
            Err(failure) if failure.is_missing() => return Ok(Ticket::Gone),
            answer => answer?,
        };
        let answer: Value = answer.json()?;
        if read.gone.as_ref().and_then(|it| it.met(&answer)).unwrap_or(false) {
            return Ok(Ticket::Gone);
        }
        let lacks = || lacking(&read.call, "read.closed");
        let closed = read.closed.met(&answer).ok_or_else(lacks)?;
        let at = |place: &Option<String>| place.as_ref().and_then(|it| answer.pointer(it));
        let status = at(&read.status).and_then(scalar);
        Ok(Ticket::There {
            closed,
            status: status.unwrap_or_else(|| if closed { "closed" } else { "open" }.to_owned()),
            assignee: at(&read.assignee).and_then(scalar),
            comments: at(&read.comments).and_then(|it| match it {
                Value::Array(all) => u64::try_from(all.len()).ok(),
                it => it.as_u64(),
            }),
        })
    }

    fn pages(&self, list: &List, with: &Fillings) -> Result<Pages, ActionError> {
        let ask = list.call.ask(with).map_err(unfit)?;
        Ok(self.web.pages(ask, list.paging.clone()).records_at(list.records.clone()).at_most(PAGES))
    }

    /// The first record of a list that has the letter's mark.
    async fn marked(&self, list: &List, (key, letter): (&str, &Letter)) -> Result<Option<Value>, ActionError> {
        let (mark, since) = (mark(&letter.id), floor(letter).to_string());
        let mut pages = self.pages(list, &self.with(&[("key", key), ("mark", &mark), ("since", &since)]))?;
        while let Some(page) = pages.next().await? {
            for (record, text) in texts(list, &page)? {
                if text.to_string().contains(&mark) {
                    return Ok(Some(record.clone()));
                }
            }
        }
        Ok(None)
    }

    /// Has a ticket closed or opened. A workflow may forbid that without a word: only what the ticket shows then counts.
    async fn moved(&self, errand: &Errand, (call, key): (&Call, &str), wanted: bool) -> Result<(), ActionError> {
        self.act(errand, (call, &self.with(&[("key", key)]))).await?;
        match self.ticket(key).await {
            Ok(Ticket::There { closed, .. }) if closed != wanted => {
                let done = if wanted { "closed" } else { "opened again" };
                let said = format!("{} was taken, and the ticket is not {done} by it", call.declared);
                Err(ActionError::GiveUp { said })
            }
            Ok(_) => Ok(()),
            // It was sent, and nothing tells what came of it.
            Err(error) => Err(ActionError::Ambiguous { said: error.said().to_owned() }),
        }
    }
}

#[async_trait]
impl<const VOUCHED: bool> Desk for Described<VOUCHED> {
    const FINDS: bool = VOUCHED;

    fn body(&self, words: &str, letter: &str) -> String {
        let mark = mark(letter);
        match self.manifest.markup {
            Markup::Plain | Markup::Markdown => format!("{words}\n\n{mark}"),
            Markup::Html => format!("{words}<br>\n<br>\n{mark}"),
            Markup::Other => format!("{}\n\n{mark}", inert::lifeless(words)),
        }
    }

    fn url(&self, key: &str) -> String {
        let with = self.with(&[("base", &self.home), ("key", &encoded(key))]);
        self.manifest.url.fill(&with).unwrap_or_else(|_| self.home.clone())
    }

    async fn find(&self, letter: &Letter) -> Result<Option<String>, ActionError> {
        let Some((list, key, true)) = &self.manifest.list else { return Ok(None) };
        let Some(record) = self.marked(list, ("", letter)).await? else { return Ok(None) };
        key_at(&record, key).ok_or_else(|| lacking(&list.call, "list.key")).map(Some)
    }

    async fn make(&self, errand: &Errand, draft: &Draft<'_>) -> Result<String, ActionError> {
        let (call, with) = (&self.manifest.create, self.with_letter(draft, &[]));
        let answer = self.web.act(errand, call.ask(&with).map_err(unfit)?).await.map_err(place::undone)?;
        // It was done; that what came back cannot be read changes nothing of that.
        let read: Result<Value, Failure> = answer.json();
        let read = read.map_err(|failure| ActionError::Ambiguous { said: failure.to_string() })?;
        let said = || format!("the answer to {} has no key at create.key", call.declared);
        key_at(&read, &self.manifest.key).ok_or_else(|| ActionError::Ambiguous { said: said() })
    }

    async fn look(&self, keys: &[String]) -> Result<Vec<Ticket>, ActionError> {
        let mut tickets = Vec::new();
        for key in keys {
            tickets.push(self.ticket(key).await?);
        }
        Ok(tickets)
    }

    async fn has(&self, key: &str, letter: &Letter) -> Result<bool, ActionError> {
        Ok(self.marked(&self.manifest.comments, (key, letter)).await?.is_some())
    }

    async fn say(&self, errand: &Errand, key: &str, draft: &Draft<'_>) -> Result<(), ActionError> {
        self.act(errand, (&self.manifest.comment, &self.with_letter(draft, &[("key", key)]))).await.map(drop)
    }

    async fn close(&self, errand: &Errand, key: &str) -> Result<(), ActionError> {
        self.moved(errand, (&self.manifest.close, key), true).await
    }

    async fn reopen(&self, errand: &Errand, key: &str) -> Result<(), ActionError> {
        self.moved(errand, (&self.manifest.reopen, key), false).await
    }

    async fn check(&self) -> Result<String, ActionError> {
        let (call, who) = &self.manifest.check;
        let answer: Value = self.web.ask(call.ask(&self.with).map_err(unfit)?).await?.json()?;
        let who = match who {
            Some(place) => answer.pointer(place).and_then(scalar).ok_or_else(|| lacking(call, "check.who"))?,
            None => "somebody".to_owned(),
        };
        let mut sees = "";
        if let Some((list, ..)) = &self.manifest.list {
            let since = self.clock.now().whole_seconds().to_string();
            let mut pages = self.pages(list, &self.with(&[("mark", &mark("of a check")), ("since", &since)]))?;
            if let Some(page) = pages.next().await? {
                texts(list, &page)?;
            }
            sees = " and sees the list of tickets";
        }
        let title = &self.manifest.title;
        Ok(format!("{title} lets {who} in{sees}; whether it may make tickets shows only when it does"))
    }
}

/// The records of a page, each with what stands where a mark would be: null counts, no such place does not.
fn texts<'a>(list: &List, page: &'a Page) -> Result<Vec<(&'a Value, &'a Value)>, ActionError> {
    let lacks = || lacking(&list.call, "text or mark");
    page.records()?.iter().map(|it| Ok((it, it.pointer(&list.text).ok_or_else(lacks)?))).collect()
}

/// A ticket's key, if what stands there can be one.
fn key_at(answer: &Value, place: &str) -> Option<String> {
    let fits = |key: &String| !key.is_empty() && key.len() <= KEY_MAX && !key.contains(char::is_control);
    answer.pointer(place).and_then(scalar).filter(fits)
}

/// An answer that is not what the manifest says of it.
fn lacking(call: &Call, place: &str) -> ActionError {
    let said = format!("the answer to {} has nothing where the manifest says: {place}", call.declared);
    ActionError::GiveUp { said }
}

fn unfit(said: String) -> ActionError {
    ActionError::GiveUp { said: format!("the manifest's call cannot be made: {said}") }
}

/// A key as it stands in an address.
fn encoded(key: &str) -> String {
    let mut text = String::new();
    for byte in key.bytes() {
        match char::from(byte) {
            letter if letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.' | '~') => text.push(letter),
            // Writing to a text does not fail.
            _ => drop(write!(text, "%{byte:02X}")),
        }
    }
    text
}
