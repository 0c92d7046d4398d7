//! Lists that come in pages: how the next one is asked for, and how the last one is known.
//! It must never take a list for whole that ended in any other way than its provider ends lists.

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use provost_model::Why;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Answer, Ask, Web};
use crate::Failure;

/// Most pages of one list unless set.
const PAGES: usize = 10_000;
/// Longest cursor taken, in bytes.
const CURSOR_MAX: usize = 8 << 10;

/// How a provider hands out a list. Places in bodies are JSON Pointers (RFC 6901); an empty one is the whole body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Paging {
    /// All at once.
    Whole,
    /// By the `Link` header with relation `next`; without one the page is the last.
    Link,
    /// By the address of the next page in the body, absolute or relative; null, empty or missing on the last page.
    Next {
        /// Where it is.
        at: String,
    },
    /// By a cursor in the body, a text or a number, sent along in the query.
    Cursor {
        /// Where it is; null, empty or missing on the last page.
        at: String,
        /// The query's name for it.
        parameter: String,
        /// Where the body says with true or false whether there is more, if it does.
        more: Option<String>,
    },
    /// By a field of the last record, sent along in the query.
    LastRecord {
        /// Where it is in the record.
        at: String,
        /// The query's name for it.
        parameter: String,
        /// Where the body says with true or false whether there is more.
        more: String,
    },
    /// By how many records came before.
    Offset {
        /// The query's name for it.
        parameter: String,
        /// How the last page is known.
        end: End,
    },
    /// By the page's number.
    Number {
        /// The query's name for it.
        parameter: String,
        /// The first page's number.
        first: u64,
        /// How the last page is known.
        end: End,
    },
}

/// How the last page of a counted list is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// A page without records comes after it. The surest, for one more call.
    Empty,
    /// It has fewer records than that. Only where the provider says so, and takes that number as the size of a page.
    Short(u64),
    /// As many records came as the body says there are, at that place.
    Total(String),
    /// Its number among the pages is how many the body says there are, at that place.
    Pages(String),
    /// The body says false, at that place.
    More(String),
}

/// A list that is being read, page by page.
#[derive(Debug)]
pub struct Pages {
    web: Web,
    ask: Ask,
    paging: Paging,
    records: String,
    total: Option<String>,
    at_most: usize,
    next: Step,
    /// Cursors and pages met so far, by hash.
    met: HashSet<u64>,
    /// Pages and records so far.
    pages: usize,
    seen: u64,
}

#[derive(Clone, Debug)]
enum Step {
    First,
    With(String, String),
    At(String),
    Done,
    Failed(Failure),
}

/// One page.
#[derive(Clone, Debug)]
pub struct Page {
    answer: Answer,
    body: Value,
    records: String,
}

impl Web {
    /// The pages of the list that `ask` begins. Its query goes with every page, except where the provider gives addresses.
    pub fn pages(&self, ask: Ask, paging: Paging) -> Pages {
        Pages {
            web: self.clone(),
            ask,
            paging,
            records: String::new(),
            total: None,
            at_most: PAGES,
            next: Step::First,
            met: HashSet::new(),
            pages: 0,
            seen: 0,
        }
    }
}

impl Pages {
    /// Where the records are in the body: an array, on every page. The body itself unless set.
    pub fn records_at(mut self, place: impl Into<String>) -> Self {
        self.records = place.into();
        self
    }

    /// Where the body says how many records there are in all: a list that ends with fewer has failed.
    pub fn total_at(mut self, place: impl Into<String>) -> Self {
        self.total = Some(place.into());
        self
    }

    /// Fails after so many pages.
    pub fn at_most(mut self, pages: usize) -> Self {
        self.at_most = pages;
        self
    }

    /// The next page, or `None` behind the last one. Once failed it goes on failing: there is no end to be had any more.
    pub async fn next(&mut self) -> Result<Option<Page>, Failure> {
        let ask = match &self.next {
            Step::Done => return Ok(None),
            Step::Failed(failure) => return Err(failure.clone()),
            Step::First => self.first(),
            Step::With(name, value) => self.ask.clone().if_none_match(None).query(name.clone(), value.clone()),
            Step::At(address) => self.ask.clone().if_none_match(None).moved(address),
        };
        let page = match self.read(ask).await {
            Ok((page, next)) => {
                self.next = next;
                page
            }
            Err(failure) => {
                self.next = Step::Failed(failure.clone());
                return Err(failure);
            }
        };
        Ok(Some(page))
    }

    fn first(&self) -> Ask {
        match &self.paging {
            Paging::Offset { parameter, .. } => self.ask.clone().query(parameter.clone(), "0"),
            Paging::Number { parameter, first, .. } => self.ask.clone().query(parameter.clone(), first.to_string()),
            _ => self.ask.clone(),
        }
    }

    async fn read(&mut self, ask: Ask) -> Result<(Page, Step), Failure> {
        if self.pages >= self.at_most {
            return Err(self.failed(Why::TooLarge, &format!("the list has more than {} pages", self.at_most)));
        }
        let answer = self.web.ask(ask).await?;
        self.pages += 1;
        if answer.unchanged() {
            return Ok((Page { answer, body: Value::Null, records: String::new() }, Step::Done));
        }
        let body: Value = answer.json()?;
        let page = Page { answer, body, records: self.records.clone() };
        let count = u64::try_from(page.records()?.len()).unwrap_or(u64::MAX);
        self.seen = self.seen.saturating_add(count);
        let next = self.after(&page, count)?;
        if let (Step::Done, Some(place)) = (&next, &self.total) {
            self.all_of(&page, place)?;
        }
        Ok((page, next))
    }

    /// What follows a page of so many records.
    fn after(&mut self, page: &Page, count: u64) -> Result<Step, Failure> {
        match self.paging.clone() {
            Paging::Whole => Ok(Step::Done),
            Paging::Link => {
                let link = page.answer.next_link().map(str::to_owned);
                self.address(page, link)
            }
            Paging::Next { at } => {
                let address = self.word(page.body.pointer(&at))?;
                self.address(page, address)
            }
            Paging::Cursor { at, parameter, more } => {
                let more = more.map(|place| self.flag(page, &place)).transpose()?;
                match (more, self.word(page.body.pointer(&at))?) {
                    (Some(false), _) | (None, None) => Ok(Step::Done),
                    (Some(true), None) => Err(self.failed(Why::Malformed, "there is more, but no cursor to it")),
                    (_, Some(cursor)) => self.cursor(parameter, cursor),
                }
            }
            Paging::LastRecord { at, parameter, more } => {
                if !self.flag(page, &more)? {
                    return Ok(Step::Done);
                }
                let last = page.records()?.last().and_then(|record| record.pointer(&at));
                let cursor = self.word(last)?;
                let none = || self.failed(Why::Malformed, "there is more, but no last record to go on from");
                self.cursor(parameter, cursor.ok_or_else(none)?)
            }
            Paging::Offset { parameter, end } => {
                let offset = self.seen.to_string();
                self.counted(page, count, &end).map(|goes_on| step(goes_on, parameter, offset))
            }
            Paging::Number { parameter, first, end } => {
                let number = first.saturating_add(u64::try_from(self.pages).unwrap_or(u64::MAX)).to_string();
                self.counted(page, count, &end).map(|goes_on| step(goes_on, parameter, number))
            }
        }
    }

    /// Whether a counted list goes on.
    fn counted(&mut self, page: &Page, count: u64, end: &End) -> Result<bool, Failure> {
        let goes_on = match end {
            End::Empty => count > 0,
            End::Short(size) => count >= *size && count > 0,
            End::Total(place) if count == 0 => self.all_of(page, place).map(|()| false)?,
            End::Total(place) => self.seen < self.number(page, place)?,
            End::Pages(place) => u64::try_from(self.pages).unwrap_or(u64::MAX) < self.number(page, place)?,
            End::More(place) => self.flag(page, place)?,
        };
        // A provider that does not know the parameter gives the first page for ever.
        if count > 0 && !self.met.insert(hash(page.answer.body())) {
            return Err(self.failed(Why::Malformed, "the same page came twice"));
        }
        Ok(goes_on)
    }

    fn cursor(&mut self, parameter: String, cursor: String) -> Result<Step, Failure> {
        if self.met.insert(hash(cursor.as_bytes())) {
            return Ok(Step::With(parameter, cursor));
        }
        Err(self.failed(Why::Malformed, "the same cursor came twice"))
    }

    fn address(&mut self, page: &Page, address: Option<String>) -> Result<Step, Failure> {
        let Some(address) = address else { return Ok(Step::Done) };
        let address = page.answer.resolved(&address);
        let address = address.ok_or_else(|| self.failed(Why::Malformed, "the next page has no address"))?;
        if self.met.insert(hash(address.as_bytes())) {
            return Ok(Step::At(address));
        }
        Err(self.failed(Why::Malformed, "the same next page came twice"))
    }

    fn all_of(&self, page: &Page, place: &str) -> Result<(), Failure> {
        let total = self.number(page, place)?;
        if self.seen >= total {
            return Ok(());
        }
        Err(self.failed(Why::Malformed, &format!("the list ended after {} of {total} records", self.seen)))
    }

    /// A text or number that says where to go on; nothing on the last page.
    fn word(&self, value: Option<&Value>) -> Result<Option<String>, Failure> {
        match value {
            None | Some(Value::Null | Value::Bool(false)) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) if text.len() <= CURSOR_MAX => Ok(Some(text.clone())),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(_) => Err(self.failed(Why::Malformed, "the way to the next page is neither a text nor a number")),
        }
    }

    fn flag(&self, page: &Page, place: &str) -> Result<bool, Failure> {
        let flag = page.body.pointer(place).and_then(Value::as_bool);
        flag.ok_or_else(|| self.failed(Why::Malformed, &format!("whether there is more is not said at {place}")))
    }

    fn number(&self, page: &Page, place: &str) -> Result<u64, Failure> {
        let number = page.body.pointer(place).and_then(|value| match value {
            Value::String(text) => text.parse().ok(),
            other => other.as_u64(),
        });
        number.ok_or_else(|| self.failed(Why::Malformed, &format!("how many there are is not said at {place}")))
    }

    fn failed(&self, why: Why, said: &str) -> Failure {
        Failure::new(self.ask.read(), why, "", said)
    }
}

impl Page {
    /// The records of the page; none of an unchanged one.
    pub fn records(&self) -> Result<&[Value], Failure> {
        if self.answer.unchanged() {
            return Ok(&[]);
        }
        let records = self.body.pointer(&self.records).and_then(Value::as_array);
        records.map(Vec::as_slice).ok_or_else(|| {
            let place = if self.records.is_empty() { "the top" } else { &self.records };
            Failure::new(
                self.answer.operation(),
                Why::Malformed,
                "",
                &format!("there is no list of records at {place}"),
            )
        })
    }

    /// The whole body as that shape.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        self.answer.json()
    }

    /// The whole body.
    pub fn body(&self) -> &Value {
        &self.body
    }

    /// The answer that brought it.
    pub fn answer(&self) -> &Answer {
        &self.answer
    }
}

fn step(goes_on: bool, parameter: String, value: String) -> Step {
    if goes_on { Step::With(parameter, value) } else { Step::Done }
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}
