//! A source that says exactly what a test wants, a clock that stands where a test puts it, and a store in memory.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use provost::{
    house::House,
    jobs::{
        Watcher, WriteError,
        judge::Touched,
        scan::{Looking, scan},
    },
};
use provost_connectors::{Access, Bookmarks, Connector, Emitter, Reach, Spec};
use provost_model::{
    Clock, Cover, Cursor, Entity, Key, Kind, Presence, Realm, Record, Run, Scope, Span, Status, Time, Trouble, Why,
    field,
};
use provost_store::{Store, StoreError};
use tokio_util::sync::CancellationToken;

/// One thing the source says.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Realm(&'static str),
    Begin(&'static str),
    /// A user of that id.
    User(&'static str, &'static str),
    /// An active user of that id, made long ago, with one tag.
    Tagged(&'static str, &'static str, (&'static str, &'static str)),
    /// In that scope and part, a key of that id, of that user.
    Key(&'static str, Option<&'static str>, &'static str, &'static str),
    Full(&'static str),
    Atomic(&'static str),
    PartFull(&'static str, &'static str),
    Partial(&'static str),
    /// Changes only, with a cursor.
    Delta(&'static str),
    /// The scope must have been announced as due for a full reading, or not.
    Due(&'static str, bool),
    Unwatch(&'static str),
    GiveUp,
    /// What was said so far is handed over, and the connector panics.
    Panic,
    /// The store's disk becomes nearly full; it goes on until it is told to stop.
    NoRoom,
    /// A day passes.
    Day,
}

pub(crate) struct TestClock {
    micros: AtomicI64,
    stands: AtomicBool,
}

impl TestClock {
    /// From now on time passes only where a test says so.
    pub(crate) fn stop(&self) {
        self.stands.store(true, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Time {
        // Every look at the clock takes a millisecond, as in life.
        let passes = if self.stands.load(Ordering::SeqCst) { 0 } else { 1000 };
        Time::from_micros(self.micros.fetch_add(passes, Ordering::SeqCst))
    }
}

struct Scripted {
    acts: Vec<Act>,
    no_room: CancellationToken,
    clock: Arc<TestClock>,
}

static SPEC: Spec = Spec {
    name: "scripted",
    title: "Scripted",
    about: "Says what a test wants.",
    version: 1,
    reach: Reach::Provider,
    kinds: &[Kind::User, Kind::AccessKey, Kind::Role, Kind::Secret],
    reads: &[],
    permissions: &[],
    blind_spots: &[],
    example: "",
    documentation: &[],
    build: &|_| Err("made by tests".into()),
};

pub(crate) struct Desk {
    pub(crate) house: Arc<House>,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) source: String,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self::over(Arc::new(provost_store::memory()))
    }

    pub(crate) fn over(store: Arc<dyn Store>) -> Self {
        let clock =
            Arc::new(TestClock { micros: AtomicI64::new(1_790_000_000_000_000), stands: AtomicBool::new(false) });
        Self { house: Arc::new(House::new(store, clock.clone())), clock, source: "test".into() }
    }

    /// Another process on the same store, by the same clock, that looks at another source.
    pub(crate) fn beside(&self, store: Arc<dyn Store>, source: &str) -> Self {
        let (house, clock) = (Arc::new(House::new(store, self.clock.clone())), self.clock.clone());
        Self { house, clock, source: source.into() }
    }

    /// The same process, under a lease.
    pub(crate) fn fenced(&self, fence: provost_store::Fence) -> Self {
        let house = Arc::new(self.house.fenced(Some(fence)));
        Self { house, clock: self.clock.clone(), source: self.source.clone() }
    }

    /// Lets time go by.
    pub(crate) fn pass(&self, time: Span) {
        self.clock.micros.fetch_add(time.as_micros(), Ordering::SeqCst);
    }

    /// One run that says this.
    pub(crate) fn run(&self, acts: &[Act]) -> Run {
        self.try_run(acts).unwrap()
    }

    pub(crate) fn try_run(&self, acts: &[Act]) -> Result<Run, WriteError> {
        self.watched(acts, Box::new(Nobody))
    }

    /// One run that says this, while somebody is told what changes.
    pub(crate) fn watched(&self, acts: &[Act], watcher: Box<dyn Watcher>) -> Result<Run, WriteError> {
        self.pass(Span::hours(1));
        self.look(acts, watcher)
    }

    /// The same, at once.
    pub(crate) fn look(&self, acts: &[Act], watcher: Box<dyn Watcher>) -> Result<Run, WriteError> {
        let no_room = CancellationToken::new();
        let connector = Arc::new(Scripted { acts: acts.to_vec(), no_room: no_room.clone(), clock: self.clock.clone() });
        self.eyes(self.source.clone(), connector, (watcher, no_room))
    }

    /// One run of another source, through eyes of its own.
    pub(crate) fn through(
        &self,
        source: &str,
        connector: Arc<dyn Connector>,
        watcher: Box<dyn Watcher>,
    ) -> Result<Run, WriteError> {
        self.pass(Span::hours(1));
        self.eyes(source.to_owned(), connector, (watcher, CancellationToken::new()))
    }

    fn eyes(
        &self,
        source: String,
        connector: Arc<dyn Connector>,
        (watcher, no_room): (Box<dyn Watcher>, CancellationToken),
    ) -> Result<Run, WriteError> {
        let looking = Looking {
            source,
            spec: &SPEC,
            connector,
            limit: Duration::from_secs(60),
            full_every: Span::days(7),
            sweep_now: false,
            next_run: None,
            no_room,
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(scan(self.house.clone(), looking, watcher, CancellationToken::new()))
    }

    pub(crate) fn record(&self, kind: Kind, external: &str) -> Option<Record> {
        let key = Key::new(realm(), kind, external);
        let id = self.house.inventory().resolve(&key).unwrap()?;
        self.house.inventory().record(id, None).unwrap()
    }

    pub(crate) fn presence(&self, kind: Kind, external: &str) -> Presence {
        self.record(kind, external).unwrap().presence()
    }

    /// Everything in the inventory, without what differs from run to run: ids and times.
    pub(crate) fn picture(&self) -> Vec<(Kind, String, Presence, Option<String>)> {
        let mut picture = Vec::new();
        let mut each = |record: Record, _| {
            let identity = record.identity.as_ref().map(|key| key.external.clone());
            picture.push((record.kind, record.external().to_owned(), record.presence(), identity));
            Ok(provost_store::Go::On)
        };
        self.house.inventory().each_record(None, &mut each).unwrap();
        picture.sort();
        picture
    }
}

pub(crate) fn realm() -> Realm {
    Realm::new("aws", "123456789012")
}

/// A user made 400 days ago, and its key, which is as old and was used yesterday.
pub(crate) fn user_with_old_key(now: Time, user: &str, key: &str) -> [Entity; 2] {
    let (named, born) = (Key::new(realm(), Kind::User, user), now - Span::days(400));
    let access = Entity::new(Key::new(realm(), Kind::AccessKey, key), key)
        .of(named.clone())
        .with(field::STATUS, Status::Active)
        .with(field::CREATED_AT, born)
        .with(field::ROTATED_AT, born)
        .with(field::LAST_USED_AT, now - Span::days(1));
    let user = Entity::new(named, user).with(field::STATUS, Status::Active).with(field::CREATED_AT, born);
    [user, access]
}

pub(crate) fn users(names: &[&'static str]) -> Vec<Act> {
    names.iter().map(|name| Act::User("users", name)).collect()
}

/// A run that lists these users completely.
pub(crate) fn listing(names: &[&'static str]) -> Vec<Act> {
    let mut acts = vec![Act::Realm("123456789012"), Act::Begin("users")];
    acts.extend(users(names));
    acts.push(Act::Full("users"));
    acts
}

/// A source that lists these things completely.
pub(crate) struct Lists {
    pub(crate) realm: Realm,
    pub(crate) things: Vec<Entity>,
}

#[async_trait]
impl Connector for Lists {
    async fn announce(&self) -> String {
        String::new()
    }
    async fn check(&self) -> Access {
        Access::default()
    }
    fn disposition(&self) -> String {
        String::new()
    }
    async fn discover(&self, _: &Bookmarks, to: &mut Emitter) -> Result<(), Trouble> {
        let (scope, now) = (Scope::new(self.realm.clone(), "all"), to.now());
        to.realm(self.realm.clone()).await?;
        to.begin(&scope, None).await?;
        for thing in &self.things {
            to.see(&scope, None, now, thing.clone()).await?;
        }
        Ok(to.cover(&scope, None, now, Cover::Full { next: None, atomic: true }).await?)
    }
}

pub(crate) struct Nobody;

impl Watcher for Nobody {
    fn changed(&mut self, _: &House, _: Vec<Touched>) -> Result<(), StoreError> {
        Ok(())
    }
    fn over(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
    fn progress(&mut self, _: u64, _: Option<u64>, _: &'static str) {}
    fn clock_ahead(&mut self, _: Span) {}
}

#[async_trait]
impl Connector for Scripted {
    async fn announce(&self) -> String {
        "nothing".into()
    }
    async fn check(&self) -> Access {
        Access::default()
    }
    fn disposition(&self) -> String {
        String::new()
    }

    async fn discover(&self, known: &Bookmarks, to: &mut Emitter) -> Result<(), Trouble> {
        let scope = |path: &str| Scope::new(realm(), path);
        for act in &self.acts {
            let now = to.now();
            match act {
                Act::Realm(account) => to.realm(Realm::new("aws", account)).await?,
                Act::Begin(path) => to.begin(&scope(path), None).await?,
                Act::User(path, id) => {
                    to.see(&scope(path), None, now, Entity::new(Key::new(realm(), Kind::User, *id), *id)).await?;
                }
                Act::Tagged(path, id, (tag, value)) => {
                    let tags = std::collections::BTreeMap::from([((*tag).to_owned(), (*value).to_owned())]);
                    let user = Entity::new(Key::new(realm(), Kind::User, *id), *id)
                        .with(field::STATUS, Status::Active)
                        .with(field::CREATED_AT, now - Span::days(400))
                        .with(field::TAGS, tags);
                    to.see(&scope(path), None, now, user).await?;
                }
                Act::Key(path, part, id, user) => {
                    let key = Entity::new(Key::new(realm(), Kind::AccessKey, *id), *id)
                        .of(Key::new(realm(), Kind::User, *user))
                        .with(field::SLOT, 1);
                    to.see(&scope(path), *part, now, key).await?;
                }
                Act::Full(path) => to.cover(&scope(path), None, now, Cover::Full { next: None, atomic: false }).await?,
                Act::Atomic(path) => {
                    to.cover(&scope(path), None, now, Cover::Full { next: None, atomic: true }).await?
                }
                Act::PartFull(path, part) => {
                    to.cover(&scope(path), Some(part), now, Cover::Full { next: None, atomic: true }).await?;
                }
                Act::Partial(path) => to.partial(&scope(path), Why::Unavailable, "500 in mid-listing").await?,
                Act::Delta(path) => {
                    to.cover(&scope(path), None, now, Cover::Delta { next: Cursor(vec![1]) }).await?;
                }
                Act::Due(path, due) => {
                    assert_eq!(known.full_due.iter().any(|it| it == path), *due, "{path} is due");
                    assert!(known.cursors.contains_key(*path), "{path} goes on where it was");
                }
                Act::Unwatch(path) => to.unwatch(&scope(path)).await?,
                Act::GiveUp => {
                    to.flush().await?;
                    let said = "the provider is gone".into();
                    return Err(Trouble { place: "users".into(), why: Why::Unavailable, said, blind_spot: false });
                }
                Act::Panic => {
                    to.flush().await?;
                    panic!("a fault of the connector's");
                }
                Act::NoRoom => {
                    self.no_room.cancel();
                    to.stop().cancelled().await;
                    return Ok(());
                }
                Act::Day => drop(self.clock.micros.fetch_add(86_400_000_000, Ordering::SeqCst)),
            }
        }
        Ok(())
    }
}
