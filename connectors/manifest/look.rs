//! One run of a manifest: list after list, page after page, and how completely each was read.
//! It must never cover a scope of which a page, a record or a parent is missing.

use std::collections::BTreeMap;

use provost_client::{Answer, Ask, Failure, Web};
use provost_model::{Cover, Field, Realm, Scope, Trouble, Why};
use serde_json::Value;

use super::{
    meant::{List, Manifest, RealmOf, read_of},
    paging::{Progress, Step},
    record::{End, Kept, Parent, Reader, holds, id_at},
    template::{Fillings, Template},
};
use crate::{Emitter, Stopped};

/// How far a run goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// To the end of every list.
    Whole,
    /// The first page of every list, and the first parent: for a trial.
    FirstPage,
}

/// One run.
pub(super) struct Looking<'a> {
    pub manifest: &'a Manifest,
    pub web: &'a Web,
    /// What fills holes, but those that name lists.
    pub with: &'a Fillings,
    pub depth: Depth,
}

/// What is known of the listing under way.
struct Listing<'a> {
    list: &'a List,
    scope: Scope,
    /// Whether it was begun: a list that may not be read at all is a blind spot, no scope.
    begun: bool,
    kept: Kept,
    /// Attributes that could not be read: how many, and the first record's id.
    unread: BTreeMap<Field, (u64, String)>,
}

/// Why a listing, or one parent's part of it, ended early.
#[derive(Debug)]
struct Ended {
    why: Why,
    said: String,
}

/// How a list is asked for.
struct Question<'a> {
    list: &'a List,
    fillings: Fillings,
}

impl Looking<'_> {
    /// Which tenant this is.
    pub(super) async fn realm(&self) -> Result<Realm, Failure> {
        let id = match &self.manifest.realm {
            RealmOf::Settings(template) => template.fill(self.with).map_err(|said| unfit("realm", &said))?,
            RealmOf::Asked { get, query, at } => {
                let ask = asked(get, query, self.with).map_err(|said| unfit("realm", &said))?;
                let body: Value = self.web.ask(ask).await?.json()?;
                let operation = read_of(get);
                id_at(at, &body).ok_or_else(|| unfit(&operation, &format!("{at} does not say which tenant this is")))?
            }
        };
        Ok(Realm::new(&self.manifest.name, &id))
    }

    /// Looks at every list.
    pub(super) async fn look(&self, realm: &Realm, to: &mut Emitter) -> Result<(), Stopped> {
        let mut kept: Vec<Kept> = Vec::new();
        for list in &self.manifest.lists {
            let listing = Listing {
                list,
                scope: Scope::new(realm.clone(), list.scope.as_str()),
                begun: false,
                kept: Kept::default(),
                unread: BTreeMap::new(),
            };
            let done = Box::pin(self.list(listing, (realm, &kept), to)).await?;
            count(self.web, to).await?;
            kept.push(done);
        }
        Ok(())
    }

    /// Reads one list, and says how completely. Gives what later lists need of it.
    async fn list(
        &self,
        mut listing: Listing<'_>,
        (realm, kept): (&Realm, &[Kept]),
        to: &mut Emitter,
    ) -> Result<Kept, Stopped> {
        let reader = Reader { realm, lists: &self.manifest.lists, kept };
        let list = listing.list;
        let Some(each) = &list.each else {
            let ended = Box::pin(self.pages(&mut listing, None, &reader, to)).await?;
            return self.end(listing, ended, to).await;
        };
        let (above, name) =
            (kept.get(each.list), self.manifest.lists.get(each.list).map_or("", |it| it.scope.as_str()));
        let mut ended = match above.map(|it| it.end) {
            Some(End::Whole) => None,
            Some(End::Denied) => return self.unreachable(listing, name, to).await,
            Some(End::Partial) | None => {
                Some(Ended { why: Why::NotReached, said: format!("{name} were not listed completely") })
            }
        };
        let mut parents = above.map(|it| it.parents(each.list, each.at.as_ref())).unwrap_or_default();
        if self.depth == Depth::FirstPage {
            parents.truncate(1);
        }
        let all = parents.len();
        for (done, parent) in parents.into_iter().enumerate() {
            to.progress(u64::try_from(done).unwrap_or(0), u64::try_from(all).ok(), "parents").await?;
            if let Some(failure) = Box::pin(self.pages(&mut listing, Some(&parent), &reader, to)).await? {
                let over = failure.why == Why::Stopped || failure.why == Why::Unauthenticated;
                ended.get_or_insert(failure);
                if over {
                    break;
                }
            }
        }
        self.end(listing, ended, to).await
    }

    /// A list whose parents may not be listed at all.
    async fn unreachable(&self, listing: Listing<'_>, name: &str, to: &mut Emitter) -> Result<Kept, Stopped> {
        let said = format!("{name} may not be listed, so nothing of this can be");
        to.trouble(Trouble { place: listing.scope.path.clone(), why: Why::Denied, said, blind_spot: true }).await?;
        let mut kept = listing.kept;
        kept.end = End::Denied;
        Ok(kept)
    }

    /// Reads all pages of one list, or of one parent's part of it. Gives why it ended early, if it did.
    async fn pages(
        &self,
        listing: &mut Listing<'_>,
        parent: Option<&Parent>,
        reader: &Reader<'_>,
        to: &mut Emitter,
    ) -> Result<Option<Ended>, Stopped> {
        let question = Question::new((self.manifest, listing.list), self.with, parent);
        let mut progress = Progress::new(&listing.list.paging);
        let mut step = listing.list.paging.first(None);
        let part = parent.map(|it| it.id.as_str());
        loop {
            if to.stop().is_cancelled() {
                return Ok(Some(Ended { why: Why::Stopped, said: "the run was stopped".to_owned() }));
            }
            let answered = match question.ask(&step) {
                Ok(ask) => self.web.ask(ask).await,
                Err(said) => Err(unfit(&listing.scope.path, &said)),
            };
            let page = answered.and_then(|answer| page(listing.list, &answer).map(|page| (page, answer)));
            let ((body, records), answer) = match page {
                Ok(page) => page,
                Err(failure) => return Ok(Some(Ended { why: failure.why, said: failure.to_string() })),
            };
            if !listing.begun {
                listing.begun = true;
                to.begin(&listing.scope, None).await?;
            }
            if let Some(ended) = self.records(listing, (&records, parent), reader, to).await? {
                return Ok(Some(ended));
            }
            step = match progress.after(&body, &records, answer.next_link()) {
                Ok(Step::End) => break,
                Ok(_) if self.depth == Depth::FirstPage => {
                    return Ok(Some(Ended {
                        why: Why::NotReached,
                        said: "only the first page was asked for".to_owned(),
                    }));
                }
                Ok(step) => step,
                Err(stuck) => return Ok(Some(Ended { why: stuck.why, said: stuck.said })),
            };
        }
        if let Some(part) = part {
            let now = to.now();
            let cover = Cover::Full { next: None, atomic: progress.pages() == 1 };
            to.cover(&listing.scope, Some(part), now, cover).await?;
        } else {
            listing.kept.end = End::Whole;
            listing.kept.atomic = progress.pages() == 1;
        }
        Ok(None)
    }

    /// Says what the records of one page tell. Gives why the listing cannot be whole, if one of them has no id.
    async fn records(
        &self,
        listing: &mut Listing<'_>,
        (records, parent): (&[Value], Option<&Parent>),
        reader: &Reader<'_>,
        to: &mut Emitter,
    ) -> Result<Option<Ended>, Stopped> {
        let mut nameless = 0_u64;
        for record in records {
            let Some(told) = reader.told(listing.list, record, parent) else {
                nameless += 1;
                continue;
            };
            listing.kept.keep(&told, listing.list, record);
            for field in &told.unread {
                let (count, _) = listing.unread.entry(*field).or_insert_with(|| (0, told.id.clone()));
                *count += 1;
            }
            let now = to.now();
            for entity in told.entities {
                to.see(&listing.scope, parent.map(|it| it.id.as_str()), now, entity).await?;
            }
        }
        let said = format!("{nameless} of {} records on a page have no id at {}", records.len(), listing.list.id);
        Ok((nameless > 0).then_some(Ended { why: Why::Malformed, said }))
    }

    /// Says how completely a list was read.
    async fn end(&self, mut listing: Listing<'_>, ended: Option<Ended>, to: &mut Emitter) -> Result<Kept, Stopped> {
        let place = listing.scope.path.clone();
        for (field, (count, id)) in std::mem::take(&mut listing.unread) {
            let said = format!("{} of {count} records cannot be read, such as that of {id}", field.name());
            to.trouble(Trouble { place: place.clone(), why: Why::Malformed, said, blind_spot: false }).await?;
        }
        let now = to.now();
        match ended {
            None => {
                if !listing.begun {
                    to.begin(&listing.scope, None).await?;
                }
                listing.kept.end = End::Whole;
                let cover = Cover::Full { next: None, atomic: listing.kept.atomic };
                to.cover(&listing.scope, None, now, cover).await?;
            }
            Some(ended) if !listing.begun && ended.why == Why::Denied && listing.list.optional => {
                listing.kept.end = End::Denied;
                to.trouble(Trouble { place, why: Why::Denied, said: ended.said, blind_spot: true }).await?;
            }
            Some(ended) => {
                if !listing.begun {
                    to.begin(&listing.scope, None).await?;
                }
                listing.kept.end = End::Partial;
                to.partial(&listing.scope, ended.why, ended.said).await?;
            }
        }
        Ok(listing.kept)
    }
}

impl<'a> Question<'a> {
    fn new((manifest, list): (&Manifest, &'a List), with: &Fillings, parent: Option<&Parent>) -> Self {
        let mut fillings = with.clone();
        if let Some((parent, above)) = parent.and_then(|it| Some((it, manifest.lists.get(it.list)?))) {
            fillings.insert(above.scope.clone(), parent.fills.clone());
        }
        Self { list, fillings }
    }

    fn ask(&self, step: &Step) -> Result<Ask, String> {
        match step {
            Step::Link(link) => Ok(Ask::link(read_of(&self.list.get), link)),
            Step::Query(added) => {
                let ask = asked(&self.list.get, &self.list.query, &self.fillings)?;
                Ok(added.iter().fold(ask, |ask, (name, value)| ask.query(name, value)))
            }
            Step::End => Err("the listing is over".to_owned()),
        }
    }
}

/// The question for the smallest page of a list: whether it may be read at all.
pub(super) fn smallest(looking: &Looking<'_>, list: &List, parent: Option<&Parent>) -> Result<Ask, String> {
    Question::new((looking.manifest, list), looking.with, parent).ask(&list.paging.first(Some(1)))
}

/// The question at that path with that query.
pub(super) fn asked(get: &Template, query: &[(String, Template)], with: &Fillings) -> Result<Ask, String> {
    let values = get.values(with)?;
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let mut ask = Ask::get(read_of(get), &values);
    for (name, value) in query {
        ask = ask.query(name, value.fill(with)?);
    }
    Ok(ask)
}

/// The body of an answer and its records.
pub(super) fn page(list: &List, answer: &Answer) -> Result<(Value, Vec<Value>), Failure> {
    let mut body: Value = answer.json()?;
    let odd = |why, said: String| Failure { operation: read_of(&list.get), why, code: String::new(), said };
    if list.cut.as_ref().is_some_and(|at| holds(at, &body)) {
        return Err(odd(
            Why::TooLarge,
            "the answer leaves something out, and there is no way to ask for the rest".to_owned(),
        ));
    }
    let records = match list.records.take(&mut body) {
        Some(Value::Array(records)) => records,
        _ => return Err(odd(Why::Malformed, format!("there is no list at {:?}", list.records.to_string()))),
    };
    if list.cut_at.is_some_and(|most| records.len() >= usize::try_from(most).unwrap_or(usize::MAX)) {
        let said = format!("{} records are the most one answer has: there may be more", records.len());
        return Err(odd(Why::TooLarge, said));
    }
    Ok((body, records))
}

/// Reports the calls sent since last time, and what time their answers say it is.
pub(super) async fn count(web: &Web, to: &mut Emitter) -> Result<(), Stopped> {
    for call in web.calls() {
        to.call(&call.operation, call.throttled).await?;
    }
    if let Some(time) = web.provider_time() {
        to.provider_time(time).await?;
    }
    Ok(())
}

/// A question that cannot be asked, or an answer without what it is asked for.
fn unfit(operation: &str, said: &str) -> Failure {
    Failure { operation: operation.to_owned(), why: Why::Malformed, code: String::new(), said: said.to_owned() }
}
