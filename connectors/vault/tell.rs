//! How listings become what the inventory is told: all at once, or in parts of which only those are read that ask for it.
//! It must never cover a part of which a thing could not be read, nor take a denial for an absence.

use std::{collections::BTreeMap, future::Future};

use futures::{StreamExt, stream};
use provost_client::Failure;
use provost_model::{Cover, Cursor, Entity, Key, Scope, Trouble, Why};
use sha2::{Digest, Sha256};

use super::{ledger::Ledger, place::Place, spec::SPEC};
use crate::{Emitter, Stopped};

/// Parts read between two checkpoints.
const CHECKPOINT: usize = 500;
/// Refusals in a row after which asking on is no use.
const DENIED_MAX: u32 = 5;

/// A listing that came as a whole.
pub(super) struct Whole {
    /// Everything in it.
    pub(super) entities: Vec<Entity>,
    /// Whether it came in one answer.
    pub(super) atomic: bool,
    /// What of it was refused.
    pub(super) denied: Option<Failure>,
}

/// A part to be read: its name, the digest that its listing has, and what the reader needs to read it.
pub(super) struct Wanted<P> {
    pub(super) name: String,
    pub(super) digest: u64,
    pub(super) payload: P,
}

/// A part to be read that holds these names.
pub(super) type WantedNames<T> = Wanted<Vec<(String, T)>>;

/// What a part was found to hold.
#[derive(Default)]
pub(super) struct Found {
    pub(super) entities: Vec<Entity>,
    /// When it changes by itself.
    pub(super) changes_at: Option<provost_model::Time>,
    /// What of it was refused, so that readings are missing.
    pub(super) denied: Option<Failure>,
}

/// Says what went wrong with a listing: a blind spot where its permission is optional and denied.
pub(super) async fn failed(
    place: &Place<'_>,
    (scope, hangs_on): (&Scope, Option<Key>),
    failure: &Failure,
    to: &mut Emitter,
) -> Result<(), Stopped> {
    place.looking.count(to).await?;
    if failure.why == Why::Denied && SPEC.may_lack(&failure.operation) {
        return blind(scope, failure, to).await;
    }
    to.begin(scope, hangs_on).await?;
    to.partial(scope, failure.why, failure.to_string()).await
}

/// Says that a permission is missing.
pub(super) async fn blind(scope: &Scope, failure: &Failure, to: &mut Emitter) -> Result<(), Stopped> {
    let said = format!("{}: {}", failure.operation, failure.said);
    to.trouble(Trouble { place: scope.path.clone(), why: Why::Denied, said, blind_spot: true }).await
}

/// Tells a listing that came as a whole: nothing where it is what it was.
pub(super) async fn whole(
    place: &Place<'_>,
    (scope, hangs_on): (Scope, Option<Key>),
    found: Result<Whole, Failure>,
    to: &mut Emitter,
) -> Result<(), Stopped> {
    let Whole { entities, atomic, denied } = match found {
        Ok(found) => found,
        Err(failure) => return failed(place, (&scope, hangs_on), &failure, to).await,
    };
    place.looking.count(to).await?;
    if let Some(failure) = &denied {
        blind(&scope, failure, to).await?;
    }
    let digest = digest_of(&entities);
    let looking = place.looking;
    to.begin(&scope, hangs_on).await?;
    let now = to.now();
    if !looking.is_full_due(&scope) && looking.cursor(&scope).is_some_and(|cursor| *cursor == digest) {
        return to.cover(&scope, None, now, Cover::Unchanged { at: now }).await;
    }
    for entity in entities {
        to.see(&scope, None, now, entity).await?;
    }
    to.cover(&scope, None, now, Cover::Full { next: Some(digest), atomic }).await
}

/// A digest of all that is said of these things.
fn digest_of(entities: &[Entity]) -> Cursor {
    let mut hash = Sha256::new();
    for entity in entities {
        hash.update(format!("{entity:?}\n"));
    }
    Cursor(hash.finalize().to_vec())
}

/// A scope read in parts.
pub(super) struct Parts<'p, 'a> {
    place: &'p Place<'a>,
    scope: Scope,
    hangs_on: Option<Key>,
    /// What is remembered of the parts.
    pub(super) ledger: Ledger,
    /// The first failure, and how many parts failed.
    failure: Option<(Failure, u64)>,
    denied: Option<Failure>,
    denials: u32,
    since_checkpoint: usize,
}

impl<'p, 'a> Parts<'p, 'a> {
    /// Begins that scope where former runs left it.
    pub(super) async fn begin(
        place: &'p Place<'a>,
        (scope, hangs_on): (Scope, Option<Key>),
        to: &mut Emitter,
    ) -> Result<Self, Stopped> {
        to.begin(&scope, hangs_on.clone()).await?;
        let ledger = Ledger::read(place.looking.cursor(&scope));
        Ok(Self { place, scope, hangs_on, ledger, failure: None, denied: None, denials: 0, since_checkpoint: 0 })
    }

    /// Reads those parts, as many at a time as may be in flight, and tells each as it comes.
    pub(super) async fn read<P, F, A>(
        &mut self,
        wanted: Vec<Wanted<P>>,
        (of, reader): (&'static str, F),
        to: &mut Emitter,
    ) -> Result<(), Stopped>
    where
        F: Fn(P) -> A,
        A: Future<Output = Result<Found, Failure>>,
    {
        let looking = self.place.looking;
        let (total, mut done) = (u64::try_from(wanted.len()).ok(), 0);
        let flights = wanted.into_iter().map(|part| {
            let answer = reader(part.payload);
            async move { (part.name, part.digest, answer.await) }
        });
        let mut flying = stream::iter(flights).buffer_unordered(looking.at_once());
        while let Some((name, digest, answer)) = flying.next().await {
            done += 1;
            match answer {
                Ok(found) => self.tell(&name, digest, found, to).await?,
                Err(failure) => {
                    if self.failed(failure) {
                        break;
                    }
                }
            }
            if done % 50 == 0 || Some(done) == total {
                looking.count(to).await?;
                to.progress(done, total, of).await?;
            }
        }
        Ok(())
    }

    /// Tells a part, and that this is all of it.
    pub(super) async fn tell(
        &mut self,
        name: &str,
        digest: u64,
        found: Found,
        to: &mut Emitter,
    ) -> Result<(), Stopped> {
        let now = to.now();
        self.ledger.note(name, digest, found.entities.len(), (&self.place.looking.turn, found.changes_at));
        match found.denied {
            Some(failure) => drop(self.denied.get_or_insert(failure)),
            None => self.denials = 0,
        }
        for entity in found.entities {
            to.see(&self.scope, Some(name), now, entity).await?;
        }
        self.cover(name, to).await?;
        self.since_checkpoint += 1;
        if self.since_checkpoint < CHECKPOINT {
            return Ok(());
        }
        self.since_checkpoint = 0;
        to.cover(&self.scope, None, now, Cover::Delta { next: self.ledger.cursor() }).await?;
        to.begin(&self.scope, self.hangs_on.clone()).await
    }

    /// Parts that a whole listing lacks are empty: so it is told.
    pub(super) async fn vanish(&mut self, names: Vec<String>, to: &mut Emitter) -> Result<(), Stopped> {
        for name in names {
            self.cover(&name, to).await?;
            self.ledger.forget(&name);
        }
        Ok(())
    }

    async fn cover(&self, name: &str, to: &mut Emitter) -> Result<(), Stopped> {
        let now = to.now();
        to.cover(&self.scope, Some(name), now, Cover::Full { next: None, atomic: true }).await
    }

    /// Notes a failure; true if asking on is no use.
    pub(super) fn failed(&mut self, failure: Failure) -> bool {
        if failure.why == Why::Denied {
            self.denials += 1;
        }
        let hopeless = is_hopeless(failure.why) || self.denials >= DENIED_MAX;
        let (_, parts) = self.failure.get_or_insert((failure, 0));
        *parts += 1;
        hopeless
    }

    /// Ends the scope: changes up to here are told, and what failed is said.
    pub(super) async fn end(self, to: &mut Emitter) -> Result<(), Stopped> {
        self.place.looking.count(to).await?;
        if let Some(failure) = &self.denied {
            blind(&self.scope, failure, to).await?;
        }
        let now = to.now();
        to.cover(&self.scope, None, now, Cover::Delta { next: self.ledger.cursor() }).await?;
        let Some((failure, parts)) = self.failure else { return Ok(()) };
        if failure.why == Why::Denied && SPEC.may_lack(&failure.operation) {
            return blind(&self.scope, &failure, to).await;
        }
        to.begin(&self.scope, self.hangs_on).await?;
        to.partial(&self.scope, failure.why, format!("{parts} parts were not read; the first: {failure}")).await
    }

    /// The scope.
    pub(super) fn scope(&self) -> Scope {
        self.scope.clone()
    }

    /// The place whose scope it is.
    pub(super) fn place(&self) -> &'p Place<'a> {
        self.place
    }
}

/// Whether the next call would fare no better.
pub(super) fn is_hopeless(why: Why) -> bool {
    matches!(why, Why::Unauthenticated | Why::Stopped | Why::TooLarge)
}

/// Names sorted into parts of about equal size, each with a digest of what is in it. `word` says what of a name shows
/// cheaply that it changed.
pub(super) fn buckets<T>(
    prefix: &str,
    (names, of): (impl IntoIterator<Item = (String, T)>, u64),
    word: impl Fn(&str, &T) -> String,
) -> Bucketed<T> {
    let mut parts: Bucketed<T> = BTreeMap::new();
    for (name, more) in names {
        let part = format!("{prefix}{}", super::ledger::bucket(&name, of));
        parts.entry(part).or_default().1.push((name, more));
    }
    for (digest, items) in parts.values_mut() {
        items.sort_by(|a, b| a.0.cmp(&b.0));
        items.dedup_by(|a, b| a.0 == b.0);
        let words: Vec<String> = items.iter().flat_map(|(name, more)| [name.clone(), word(name, more)]).collect();
        *digest = super::ledger::digest(words.iter().map(String::as_str));
    }
    parts
}

/// Parts of a listing by name, each with a digest and the names in it.
pub(super) type Bucketed<T> = BTreeMap<String, (u64, Vec<(String, T)>)>;

/// The parts of a whole listing that ask to be read, and the names of those that it lacks.
pub(super) fn chosen<T>(
    ledger: &Ledger,
    prefix: &str,
    listed: Bucketed<T>,
    turn: &super::ledger::Turn,
) -> (Vec<WantedNames<T>>, Vec<String>) {
    let lost = ledger.within(prefix).map(|(name, _)| name).filter(|name| !listed.contains_key(*name));
    let lost = lost.map(str::to_owned).collect();
    let wanted = listed.into_iter().filter(|(name, (digest, _))| ledger.wants(name, *digest, turn));
    let wanted = wanted.map(|(name, (digest, payload))| Wanted { name, digest, payload });
    (wanted.collect(), lost)
}
