//! One listing of an organization as a scope: asked page by page, or only whether its pages changed since last time.
//! It must never cover a scope whose last page was not read.

use provost_client::{Answer, Ask, Failure, Web};
use provost_model::{Cover, Cursor, Entity, Why};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{
    audit::Family,
    org::{Org, rows_of, stopped},
    people::People,
};
use crate::{Emitter, Stopped};

/// Most pages of one listing.
const PAGES_MAX: usize = 10_000;
/// The form of the cursor; another is read as nothing.
const VERSION: u8 = 1;

/// A listing of an organization.
pub(super) struct List {
    /// The scope's path below the organization.
    pub(super) path: &'static str,
    /// The read, with the organization's name as its only value.
    pub(super) read: &'static str,
    /// The field its rows stand in; empty if the answer is the list.
    pub(super) rows: &'static str,
    /// Rows of a page: the most that the read gives.
    pub(super) page: usize,
    /// What else is asked for.
    pub(super) query: &'static [(&'static str, &'static str)],
    /// The sort of change in the audit log without which it stays as it was; `None` if more changes than the log tells.
    pub(super) family: Option<Family>,
    /// What a row says.
    pub(super) map: fn(&Seen<'_>, Value) -> Result<Vec<Entity>, serde_json::Error>,
}

/// What rows are read against.
pub(super) struct Seen<'a> {
    pub(super) org: &'a Org<'a>,
    pub(super) people: &'a People,
}

/// What came of asking for the pages of a listing.
pub(super) enum Heard {
    /// The provider says that no page changed.
    Unchanged,
    /// Every row, and the entity tags of the pages.
    Rows(Vec<Value>, Tags),
}

/// Entity tags of the pages of a listing; none if they could not tell of every change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tags(Vec<String>);

/// Where pages are asked for.
pub(super) struct Pages<'a> {
    pub(super) web: &'a Web,
    pub(super) stop: &'a CancellationToken,
    pub(super) read: &'a str,
    pub(super) values: &'a [&'a str],
    pub(super) rows: &'a str,
    pub(super) page: usize,
    pub(super) query: &'a [(&'a str, &'a str)],
}

impl List {
    /// Looks at it and says what it shows.
    pub(super) async fn look(&self, seen: &Seen<'_>, to: &mut Emitter) -> Result<(), Stopped> {
        let (org, scope) = (seen.org, seen.org.scope(self.path));
        let before = org.cursor(self.path).filter(|_| !org.is_due(self.path)).map(Tags::read);
        if before.is_some() && self.family.is_some_and(|family| org.changes.spare(family)) {
            return org.unchanged(self.path, to).await;
        }
        let values = [org.login.as_str()];
        let pages = Pages {
            web: org.web,
            stop: &org.stop,
            read: self.read,
            values: &values,
            rows: self.rows,
            page: self.page,
            query: self.query,
        };
        let now = to.now();
        let (rows, tags) = match pages.hear(&before.unwrap_or_default()).await {
            Ok(Heard::Unchanged) => return org.unchanged(self.path, to).await,
            Ok(Heard::Rows(rows, tags)) => (rows, tags),
            Err(failure) => return org.failed(&scope, self.read, &failure, to).await,
        };
        let entities = match self.entities(seen, rows) {
            Ok(entities) => entities,
            Err(failure) => return org.failed(&scope, self.read, &failure, to).await,
        };
        to.begin(&scope, None).await?;
        for entity in entities {
            to.see(&scope, None, now, entity).await?;
        }
        to.cover(&scope, None, now, Cover::Full { next: Some(tags.cursor()), atomic: tags.0.len() == 1 }).await
    }

    fn entities(&self, seen: &Seen<'_>, rows: Vec<Value>) -> Result<Vec<Entity>, Failure> {
        let mut entities = Vec::with_capacity(rows.len());
        for (at, row) in rows.into_iter().enumerate() {
            match (self.map)(seen, row) {
                Ok(found) => entities.extend(found),
                Err(_) => return Err(unreadable(self.read, at)),
            }
        }
        Ok(entities)
    }
}

/// A row that lacks what every row has. What it holds is not repeated.
pub(super) fn unreadable(read: &str, at: usize) -> Failure {
    Failure::new(read, Why::Malformed, "", &format!("row {} of the listing is not what it should be", at + 1))
}

impl Pages<'_> {
    /// Asks whether the pages changed since those tags, and for all of them if one did.
    pub(super) async fn hear(&self, before: &Tags) -> Result<Heard, Failure> {
        let mut first = None;
        for (at, tag) in before.0.iter().enumerate() {
            let answer = self.ask(at + 1, Some(tag)).await?;
            if !answer.unchanged() {
                first = Some(answer).filter(|_| at == 0);
                return self.whole(first).await;
            }
        }
        if before.0.is_empty() { self.whole(first).await } else { Ok(Heard::Unchanged) }
    }

    /// Every row. `first` is the first page, if it was answered already.
    async fn whole(&self, mut first: Option<Answer>) -> Result<Heard, Failure> {
        let (mut all, mut tags) = (Vec::new(), Vec::new());
        for number in 1..=PAGES_MAX {
            let answer = match first.take() {
                Some(answer) => answer,
                None => self.ask(number, None).await?,
            };
            let rows = rows_of(&answer, self.read, self.rows)?;
            let is_full = rows.len() >= self.page;
            all.extend(rows);
            tags.extend(answer.etag().map(str::to_owned));
            if answer.next_link().is_none() {
                // A row may follow a full page without changing it, and a page without a tag may change unseen.
                let tells = !is_full && tags.len() == number && number <= usize::from(u8::MAX);
                return Ok(Heard::Rows(all, if tells { Tags(tags) } else { Tags::default() }));
            }
        }
        Err(Failure::new(self.read, Why::Malformed, "", "the listing does not end"))
    }

    async fn ask(&self, number: usize, tag: Option<&str>) -> Result<Answer, Failure> {
        if self.stop.is_cancelled() {
            return Err(stopped(self.read));
        }
        let mut ask = Ask::get(self.read, self.values).query("per_page", self.page.to_string());
        if number > 1 {
            ask = ask.query("page", number.to_string());
        }
        for (name, value) in self.query {
            ask = ask.query(*name, *value);
        }
        self.web.ask(ask.if_none_match(tag)).await
    }
}

impl Tags {
    /// What a cursor holds; none if it is of another version or damaged.
    pub(super) fn read(cursor: &Cursor) -> Self {
        Self::decoded(&cursor.0).unwrap_or_default()
    }

    fn decoded(bytes: &[u8]) -> Option<Self> {
        let (version, mut rest) = bytes.split_first()?;
        let mut tags = Vec::new();
        while *version == VERSION && !rest.is_empty() {
            let (length, behind) = rest.split_first()?;
            let (tag, behind) = behind.split_at_checked(usize::from(*length))?;
            tags.push(String::from_utf8(tag.to_vec()).ok()?);
            rest = behind;
        }
        Some(Self(tags))
    }

    /// The cursor that holds them. Tags too long to be kept leave it without any.
    pub(super) fn cursor(&self) -> Cursor {
        let mut bytes = vec![VERSION];
        for tag in &self.0 {
            let Ok(length) = u8::try_from(tag.len()) else { return Cursor(vec![VERSION]) };
            bytes.push(length);
            bytes.extend_from_slice(tag.as_bytes());
        }
        Cursor(bytes)
    }

    /// The tag of a listing of one page.
    pub(super) fn one(&self) -> Option<&str> {
        match self.0.as_slice() {
            [tag] => Some(tag),
            _ => None,
        }
    }

    /// The tag of one page, if there is one.
    pub(super) fn of(tag: Option<&str>) -> Self {
        Self(tag.map(str::to_owned).into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_survive_their_cursor() {
        let tags = Tags(vec!["W/\"1\"".into(), "\"2\"".into()]);
        assert_eq!(Tags::read(&tags.cursor()), tags);
        assert_eq!(Tags::read(&Cursor(vec![VERSION, 9, b'x'])), Tags::default());
        assert_eq!(Tags::read(&Tags(vec!["x".repeat(300)]).cursor()), Tags::default());
        assert_eq!((tags.one(), Tags::of(Some("a")).one()), (None, Some("a")));
    }
}
