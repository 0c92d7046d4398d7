//! How a listing goes on from one page to the next, and how it is known that it ended.
//! It must never take an end for granted: what may be the end by the look of it alone is asked once more.

use provost_model::Why;
use serde_json::Value;

use super::pointer::{Found, Pointer};

/// Most pages of one listing.
const PAGES_MAX: u32 = 100_000;

/// How a listing goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Paging {
    pub style: Style,
    /// Whether there is more, said in so many words.
    pub more: Option<Pointer>,
    /// How many records there are in all.
    pub total: Option<Pointer>,
    /// The query that says how many records a page has, and the most it may have.
    pub size: Option<(String, u32)>,
    /// Whether a cursor or link that is absent ends the listing, as one that is null does.
    pub absent_ends: bool,
}

/// Where the next page is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// There is one page only.
    Whole,
    /// From the `Link` header (RFC 8288).
    Link,
    /// From a link in the body.
    Next(Pointer),
    /// From a cursor in the body, sent as that query.
    Cursor(Pointer, String),
    /// By its number, sent as that query; the first has that number.
    Number(String, u32),
    /// By how many records came before, sent as that query.
    Offset(String),
}

/// What is asked for next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The listing's own address, with this added to the query.
    Query(Vec<(String, String)>),
    /// That address.
    Link(String),
    /// Nothing: everything was listed.
    End,
}

/// Where a listing is.
#[derive(Debug)]
pub(super) struct Progress<'a> {
    paging: &'a Paging,
    pages: u32,
    records: u64,
    last: Option<Step>,
    /// What the page before began with, to see that the listing moves.
    began: Option<Value>,
}

/// Why a listing cannot go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stuck {
    pub why: Why,
    pub said: String,
}

impl Paging {
    /// The first step. `size` replaces the size of pages: a check asks for as little as can be.
    pub(super) fn first(&self, size: Option<u32>) -> Step {
        let mut query = self.sized(size);
        match &self.style {
            Style::Number(name, from) => query.push((name.clone(), from.to_string())),
            Style::Offset(name) => query.push((name.clone(), "0".to_owned())),
            Style::Whole | Style::Link | Style::Next(_) | Style::Cursor(..) => {}
        }
        Step::Query(query)
    }

    /// Whether one answer is all of it.
    pub(super) fn is_whole(&self) -> bool {
        self.style == Style::Whole
    }

    fn sized(&self, size: Option<u32>) -> Vec<(String, String)> {
        self.size.iter().map(|(name, most)| (name.clone(), size.unwrap_or(*most).to_string())).collect()
    }
}

impl<'a> Progress<'a> {
    pub(super) fn new(paging: &'a Paging) -> Self {
        Self { paging, pages: 0, records: 0, last: None, began: None }
    }

    /// Pages so far.
    pub(super) fn pages(&self) -> u32 {
        self.pages
    }

    /// What follows a page: its body, its records, and the link of its header.
    pub(super) fn after(&mut self, body: &Value, records: &[Value], link: Option<&str>) -> Result<Step, Stuck> {
        self.pages += 1;
        self.records += u64::try_from(records.len()).unwrap_or(u64::MAX);
        let step = match (&self.paging.style, self.more(body)?) {
            (Style::Whole, _) | (_, Some(false)) => Step::End,
            (Style::Link, _) => link.map_or(Step::End, |link| Step::Link(link.to_owned())),
            (Style::Next(at), _) => self.word(at, body)?.map_or(Step::End, Step::Link),
            (Style::Cursor(at, name), more) => match self.word(at, body)? {
                Some(cursor) => self.query(name, cursor),
                None if more == Some(true) => return Err(odd("the answer says that there is more, but not where")),
                None => Step::End,
            },
            (Style::Number(name, from), more) => {
                self.counted(records, body, more, (name, (u64::from(*from) + u64::from(self.pages)).to_string()))?
            }
            (Style::Offset(name), more) => self.counted(records, body, more, (name, self.records.to_string()))?,
        };
        if step != Step::End {
            self.moves(&step, records)?;
        } else if let Some(total) = self.total(body)?.filter(|total| *total > self.records) {
            return Err(odd(&format!("the provider says that there are {total}, and listed {}", self.records)));
        }
        self.last = Some(step.clone());
        Ok(step)
    }

    /// Pages by number or offset end where the provider says so, or else at one that is empty: a short page may be one
    /// that was cut to a size of the provider's own.
    fn counted(
        &self,
        records: &[Value],
        body: &Value,
        more: Option<bool>,
        (name, at): (&str, String),
    ) -> Result<Step, Stuck> {
        let all = self.total(body)?.is_some_and(|total| self.records >= total);
        let empty = records.is_empty();
        if empty && more == Some(true) {
            return Err(odd("the answer says that there is more, and is empty"));
        }
        Ok(if (all && more != Some(true)) || empty { Step::End } else { self.query(name, at) })
    }

    fn more(&self, body: &Value) -> Result<Option<bool>, Stuck> {
        let Some(at) = &self.paging.more else { return Ok(None) };
        match at.of(body) {
            Found::Value(Value::Bool(more)) => Ok(Some(*more)),
            _ => Err(odd(&format!("{at} does not say whether there is more"))),
        }
    }

    fn total(&self, body: &Value) -> Result<Option<u64>, Stuck> {
        let Some(at) = &self.paging.total else { return Ok(None) };
        match at.of(body).value().and_then(Value::as_u64) {
            Some(total) => Ok(Some(total)),
            None => Err(odd(&format!("{at} does not say how many there are"))),
        }
    }

    /// The cursor or link there: a text or a number. Null and an empty text end the listing.
    fn word(&self, at: &Pointer, body: &Value) -> Result<Option<String>, Stuck> {
        match at.of(body) {
            Found::Null => Ok(None),
            Found::Absent if self.paging.absent_ends => Ok(None),
            Found::Value(Value::String(text)) => Ok((!text.is_empty()).then(|| text.clone())),
            Found::Value(Value::Number(number)) => Ok(Some(number.to_string())),
            Found::Absent | Found::Value(_) => Err(odd(&format!("{at} does not say where the next page is"))),
        }
    }

    fn query(&self, name: &str, value: String) -> Step {
        let mut query = self.paging.sized(None);
        query.push((name.to_owned(), value));
        Step::Query(query)
    }

    /// A listing that turns in a circle would never end.
    fn moves(&mut self, step: &Step, records: &[Value]) -> Result<(), Stuck> {
        let again =
            self.last.as_ref() == Some(step) || (self.began.is_some() && self.began.as_ref() == records.first());
        if again || self.pages >= PAGES_MAX {
            return Err(odd("the listing does not end"));
        }
        self.began = records.first().cloned();
        Ok(())
    }
}

fn odd(said: &str) -> Stuck {
    Stuck { why: Why::Malformed, said: said.to_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(text: &str) -> Pointer {
        Pointer::parse(text).unwrap()
    }

    fn paging(style: Style) -> Paging {
        Paging { style, more: None, total: None, size: Some(("limit".into(), 2)), absent_ends: false }
    }

    fn query(pairs: &[(&str, &str)]) -> Step {
        Step::Query(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    fn records(body: &Value) -> Vec<Value> {
        body["r"].as_array().unwrap().clone()
    }

    /// What follows each of these bodies in turn.
    fn steps(paging: &Paging, bodies: &[Value]) -> Vec<Result<Step, String>> {
        let mut progress = Progress::new(paging);
        bodies.iter().map(|body| progress.after(body, &records(body), None).map_err(|it| it.said)).collect()
    }

    #[test]
    fn a_short_page_is_not_the_end_but_an_empty_one_is() {
        let numbered = paging(Style::Number("page".into(), 1));
        assert_eq!(numbered.first(None), query(&[("limit", "2"), ("page", "1")]));
        assert_eq!(numbered.first(Some(1)), query(&[("limit", "1"), ("page", "1")]));
        let told = steps(&numbered, &[json!({"r": [1]}), json!({"r": [2]}), json!({"r": []})]);
        let next = |page| Ok(query(&[("limit", "2"), ("page", page)]));
        assert_eq!(told, [next("2"), next("3"), Ok(Step::End)]);
        let offset = paging(Style::Offset("skip".into()));
        let told = steps(&offset, &[json!({"r": [1]}), json!({"r": [2, 3]}), json!({"r": []})]);
        let next = |skip| Ok(query(&[("limit", "2"), ("skip", skip)]));
        assert_eq!(told, [next("1"), next("3"), Ok(Step::End)]);
    }

    #[test]
    fn a_total_ends_a_listing_and_betrays_one_that_ended_early() {
        let mut counted = paging(Style::Offset("skip".into()));
        counted.total = Some(at("/n"));
        let told = steps(&counted, &[json!({"r": [1, 2], "n": 3}), json!({"r": [3], "n": 3})]);
        assert_eq!(told[1], Ok(Step::End));
        let told = steps(&counted, &[json!({"r": [1, 2], "n": 3}), json!({"r": [], "n": 3})]);
        assert_eq!(told[1], Err("the provider says that there are 3, and listed 2".to_owned()));
        let told = steps(&counted, &[json!({"r": [1, 2]})]);
        assert_eq!(told[0], Err("/n does not say how many there are".to_owned()));
    }

    #[test]
    fn a_cursor_ends_where_it_is_null_or_empty_and_only_if_allowed_where_it_is_absent() {
        let mut cursor = paging(Style::Cursor(at("/c"), "after".into()));
        for end in [json!({"r": [2], "c": null}), json!({"r": [2], "c": ""})] {
            let told = steps(&cursor, &[json!({"r": [1], "c": "x"}), end]);
            assert_eq!(told, [Ok(query(&[("limit", "2"), ("after", "x")])), Ok(Step::End)]);
        }
        assert_eq!(steps(&cursor, &[json!({"r": [1]})]), [Err("/c does not say where the next page is".to_owned())]);
        cursor.absent_ends = true;
        assert_eq!(steps(&cursor, &[json!({"r": [1]})]), [Ok(Step::End)]);
        cursor.more = Some(at("/m"));
        let told = steps(&cursor, &[json!({"r": [1], "c": "x", "m": true}), json!({"r": [2], "c": "y", "m": false})]);
        assert_eq!(told[1], Ok(Step::End));
        assert_eq!(
            steps(&cursor, &[json!({"r": [1], "c": "x"})]),
            [Err("/m does not say whether there is more".to_owned())]
        );
        assert!(steps(&cursor, &[json!({"r": [1], "m": true})])[0].is_err());
    }

    #[test]
    fn a_circle_is_seen() {
        let cursor = paging(Style::Cursor(at("/c"), "after".into()));
        let told = steps(&cursor, &[json!({"r": [1], "c": "x"}), json!({"r": [2], "c": "x"})]);
        assert_eq!(told[1], Err("the listing does not end".to_owned()));
        let numbered = paging(Style::Number("page".into(), 1));
        let told = steps(&numbered, &[json!({"r": [1, 2]}), json!({"r": [1, 2]})]);
        assert_eq!(told[1], Err("the listing does not end".to_owned()));
    }

    #[test]
    fn links_are_followed_as_given() {
        let next = paging(Style::Next(at("/next")));
        let told = steps(&next, &[json!({"r": [1], "next": "/x?p=2"}), json!({"r": [2], "next": null})]);
        assert_eq!(told, [Ok(Step::Link("/x?p=2".into())), Ok(Step::End)]);
        let link = paging(Style::Link);
        let mut progress = Progress::new(&link);
        assert_eq!(progress.after(&json!({}), &[json!(1)], Some("/x?p=2")).unwrap(), Step::Link("/x?p=2".into()));
        assert_eq!(progress.after(&json!({}), &[json!(2)], None).unwrap(), Step::End);
    }
}
