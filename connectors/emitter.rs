//! The one way out of a connector: sightings, covers and troubles, through a bounded channel.
//! It must never let an unbounded string or a control character pass.

use std::{collections::BTreeMap, sync::Arc};

use provost_model::{
    Clock, Cover, Cursor, Entity, Key, Reading, Realm, Scope, Sighting, Span, Time, Trouble, Value, Why,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Longest text kept of one attribute, in bytes.
const TEXT_MAX: usize = 4096;
/// Most elements kept of one list or map.
const ELEMENTS_MAX: usize = 512;
/// Sightings handed over at a time; they become one commit.
const BATCH: usize = 400;
/// Events handed over at a time, whatever they are.
const EVENTS_MAX: usize = 4 * BATCH;

/// What a connector says.
#[derive(Clone, Debug)]
pub enum Event {
    /// Which authority it meets. Said before anything else.
    Realm(Realm),
    /// The listing of a scope begins.
    Begin {
        /// Which scope.
        scope: Scope,
        /// When.
        at: Time,
        /// The record the scope hangs on, if any: when that is gone, so is what is in the scope.
        hangs_on: Option<Key>,
    },
    /// What was seen in a scope.
    See {
        /// Which scope.
        scope: Scope,
        /// Which part of it; `None` for a scope without parts.
        part: Option<String>,
        /// The provider's time.
        as_of: Time,
        /// Things seen, in order.
        sightings: Vec<Sighting>,
    },
    /// A part of a scope, or all of it, was read so completely. Ends the listing if `part` is `None`.
    Cover {
        /// Which scope.
        scope: Scope,
        /// Which part of it.
        part: Option<String>,
        /// How completely.
        cover: Cover,
        /// The provider's time.
        as_of: Time,
    },
    /// Everything below that path left the configured selection.
    Unwatch(Scope),
    /// Something went wrong.
    Trouble(Trouble),
    /// Our clock is so far ahead of the provider's; behind it if negative.
    ClockAhead(Span),
    /// What the credential it looks with could do beyond reading, and when that credential ends by itself.
    Eyes {
        /// Rights beyond reading, in the provider's words; known to be empty if there are none.
        could_write: Reading<Vec<String>>,
        /// When it ends without a human's help; never if it does not.
        expires_at: Reading<Time>,
    },
    /// A call was sent.
    Call {
        /// The operation.
        operation: String,
        /// Whether it was answered by a throttle.
        throttled: bool,
    },
    /// How far it is, for progress bars: done, expected in all if known, of what.
    Progress(u64, Option<u64>, &'static str),
}

/// The receiver is gone: the run is over, or the daemon drains. Stop looking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

/// Where former runs of the same source got to. Empty when they must not be built upon.
#[derive(Clone, Debug, Default)]
pub struct Bookmarks {
    /// Cursors by scope path.
    pub cursors: BTreeMap<String, Cursor>,
    /// Scope paths whose last full read is too long ago: a full one is due.
    pub full_due: Vec<String>,
    /// Scope paths to be swept now, not at leisure.
    pub sweep_now: bool,
}

/// A connector's way to say what it sees. Events are handed over in batches, in order.
pub struct Emitter {
    out: mpsc::Sender<Vec<Event>>,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
    pending: Vec<Event>,
    sightings: usize,
    /// Stands before the path of every scope, and before the place of every trouble.
    below: String,
}

impl Bookmarks {
    /// What is known of scopes below a path, by their paths from there.
    pub fn below(&self, path: &str) -> Self {
        let from = |it: &String| it.strip_prefix(path)?.strip_prefix('/').map(str::to_owned);
        let cursors = self.cursors.iter().filter_map(|(path, cursor)| Some((from(path)?, cursor.clone())));
        Self {
            cursors: cursors.collect(),
            full_due: self.full_due.iter().filter_map(from).collect(),
            sweep_now: self.sweep_now,
        }
    }
}

impl Emitter {
    /// An emitter into that channel. `stop` is cancelled when the daemon drains or the run's time is over.
    pub fn new(out: mpsc::Sender<Vec<Event>>, clock: Arc<dyn Clock>, stop: CancellationToken) -> Self {
        Self { out, clock, stop, pending: Vec::new(), sightings: 0, below: String::new() }
    }

    /// Another way out into the same run, for what is listed beside other things: its scopes lie below a path. It says
    /// nothing of the realm that the run meets, and must be flushed by whoever asked for it.
    pub fn below(&self, path: &str) -> Self {
        let below = format!("{}{path}/", self.below);
        Self {
            out: self.out.clone(),
            clock: Arc::clone(&self.clock),
            stop: self.stop.clone(),
            pending: Vec::new(),
            sightings: 0,
            below,
        }
    }

    /// The time; for connectors whose provider does not date its answers.
    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// Cancelled when the run should end soon.
    pub fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Says which authority it meets; before anything else.
    pub async fn realm(&mut self, realm: Realm) -> Result<(), Stopped> {
        self.push(Event::Realm(realm)).await?;
        self.flush().await
    }

    /// Begins the listing of a scope.
    pub async fn begin(&mut self, scope: &Scope, hangs_on: Option<Key>) -> Result<(), Stopped> {
        let at = self.now();
        let scope = self.placed(scope);
        self.push(Event::Begin { scope, at, hangs_on }).await
    }

    /// Says what is seen in a scope, as of the provider's time.
    pub async fn see(&mut self, scope: &Scope, part: Option<&str>, as_of: Time, entity: Entity) -> Result<(), Stopped> {
        self.sight(scope, part, as_of, Sighting::Present(bounded(entity))).await
    }

    /// Says that the provider says that something is gone.
    pub async fn gone(&mut self, scope: &Scope, part: Option<&str>, as_of: Time, key: Key) -> Result<(), Stopped> {
        self.sight(scope, part, as_of, Sighting::Gone(key)).await
    }

    /// Says how completely a scope, or a part of it, was read.
    pub async fn cover(&mut self, scope: &Scope, part: Option<&str>, as_of: Time, cover: Cover) -> Result<(), Stopped> {
        let scope = self.placed(scope);
        self.push(Event::Cover { scope, part: part.map(str::to_owned), cover, as_of }).await?;
        if part.is_none() { self.flush().await } else { Ok(()) }
    }

    /// Says that a scope ends incomplete, and why.
    pub async fn partial(&mut self, scope: &Scope, why: Why, said: impl Into<String>) -> Result<(), Stopped> {
        self.trouble(Trouble { place: scope.path.clone(), why, said: said.into(), blind_spot: false }).await?;
        let now = self.now();
        self.cover(scope, None, now, Cover::Partial { why }).await
    }

    /// Says that something went wrong.
    pub async fn trouble(&mut self, mut trouble: Trouble) -> Result<(), Stopped> {
        cut(&mut trouble.said);
        trouble.place.insert_str(0, &self.below);
        self.push(Event::Trouble(trouble)).await
    }

    /// Says that everything below a path left the configured selection.
    pub async fn unwatch(&mut self, scope: &Scope) -> Result<(), Stopped> {
        let scope = self.placed(scope);
        self.push(Event::Unwatch(scope)).await
    }

    /// Says what it looks with.
    pub async fn eyes(&mut self, could_write: Reading<Vec<String>>, expires_at: Reading<Time>) -> Result<(), Stopped> {
        let could_write = could_write.map(|mut words: Vec<String>| {
            cut_all(&mut words);
            words
        });
        self.push(Event::Eyes { could_write, expires_at }).await
    }

    /// Counts a call.
    pub async fn call(&mut self, operation: &str, throttled: bool) -> Result<(), Stopped> {
        self.push(Event::Call { operation: operation.to_owned(), throttled }).await
    }

    /// Says what time it is at the provider.
    pub async fn provider_time(&mut self, time: Time) -> Result<(), Stopped> {
        self.push(Event::ClockAhead(self.now() - time)).await
    }

    /// Says how far it is.
    pub async fn progress(&mut self, done: u64, total: Option<u64>, of: &'static str) -> Result<(), Stopped> {
        self.push(Event::Progress(done, total, of)).await
    }

    /// Hands over what is pending: at the end, and before a long wait.
    pub async fn flush(&mut self) -> Result<(), Stopped> {
        self.sightings = 0;
        let batch = std::mem::take(&mut self.pending);
        if batch.is_empty() {
            return Ok(());
        }
        self.out.send(batch).await.map_err(|_| Stopped)
    }

    /// Hands over what is pending if so many more sightings do not go with it: what is handed over together is one commit.
    pub async fn room_for(&mut self, sightings: usize) -> Result<(), Stopped> {
        if self.sightings + sightings > BATCH { self.flush().await } else { Ok(()) }
    }

    async fn sight(
        &mut self,
        scope: &Scope,
        part: Option<&str>,
        as_of: Time,
        sighting: Sighting,
    ) -> Result<(), Stopped> {
        self.sightings += 1;
        let scope = &self.placed(scope);
        if let Some(Event::See { scope: its_scope, part: its_part, as_of: its_time, sightings }) =
            self.pending.last_mut()
            && its_scope == scope
            && its_part.as_deref() == part
            && *its_time == as_of
            && sightings.len() < BATCH
        {
            sightings.push(sighting);
            return if self.sightings >= BATCH { self.flush().await } else { Ok(()) };
        }
        let (scope, part) = (scope.clone(), part.map(str::to_owned));
        self.push(Event::See { scope, part, as_of, sightings: vec![sighting] }).await
    }

    fn placed(&self, scope: &Scope) -> Scope {
        Scope::new(scope.realm.clone(), format!("{}{}", self.below, scope.path))
    }

    async fn push(&mut self, event: Event) -> Result<(), Stopped> {
        self.pending.push(event);
        if self.sightings >= BATCH || self.pending.len() >= EVENTS_MAX { self.flush().await } else { Ok(()) }
    }
}

/// The entity with every string within bounds.
fn bounded(mut entity: Entity) -> Entity {
    entity.facts.values_mut().for_each(bound);
    entity.aliases.truncate(ELEMENTS_MAX);
    entity
}

fn bound(value: &mut Value) {
    match value {
        Value::Text(text) => cut(text),
        Value::List(list) => cut_all(list),
        Value::Map(map) => {
            if map.len() > ELEMENTS_MAX || map.keys().any(|name| name.len() > TEXT_MAX) {
                let few = std::mem::take(map).into_iter().take(ELEMENTS_MAX);
                map.extend(few.map(|(mut name, it)| {
                    cut(&mut name);
                    (name, it)
                }));
            }
            map.values_mut().for_each(cut);
        }
        _ => {}
    }
}

fn cut_all(list: &mut Vec<String>) {
    list.truncate(ELEMENTS_MAX);
    list.iter_mut().for_each(cut);
}

/// Cuts a text at a character boundary. Control characters stay: they are shown escaped at every door.
fn cut(text: &mut String) {
    if text.len() > TEXT_MAX {
        let mut end = TEXT_MAX;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
    }
}

#[cfg(test)]
mod tests {
    use provost_model::{Kind, field};

    use super::*;

    #[test]
    fn what_is_known_below_a_path_is_known_by_the_rest_of_it() {
        let paths = ["accounts/1/iam/users", "accounts/12/iam/users", "iam/users"];
        let known = Bookmarks {
            cursors: paths.iter().map(|path| ((*path).to_owned(), Cursor(vec![1]))).collect(),
            full_due: paths.iter().map(|path| (*path).to_owned()).collect(),
            sweep_now: true,
        };
        let below = known.below("accounts/1");
        assert_eq!(below.cursors.keys().collect::<Vec<_>>(), ["iam/users"]);
        assert_eq!((below.full_due, below.sweep_now), (vec!["iam/users".to_owned()], true));
    }

    #[test]
    fn what_is_too_long_is_cut_and_what_fits_stays() {
        let (long, many) = ("x".repeat(TEXT_MAX + 1), ELEMENTS_MAX + 1);
        let cut = "x".repeat(TEXT_MAX);
        let numbered: BTreeMap<String, String> = (0..many).map(|at| (at.to_string(), String::new())).collect();
        let table = [
            (Value::Text(long.clone()), Value::Text(cut.clone())),
            (Value::List(vec![long.clone()]), Value::List(vec![cut.clone()])),
            (Value::List(vec![String::new(); many]), Value::List(vec![String::new(); ELEMENTS_MAX])),
            (Value::Map([(long.clone(), long)].into()), Value::Map([(cut.clone(), cut.clone())].into())),
            (Value::Map(numbered.clone()), Value::Map(numbered.into_iter().take(ELEMENTS_MAX).collect())),
            (Value::Text(cut.clone()), Value::Text(cut)),
            (Value::Bool(true), Value::Bool(true)),
        ];
        for (value, kept) in table {
            let mut entity = Entity::new(Key::new(Realm::new("aws", "1"), Kind::User, "ann"), "ann");
            entity.facts.set_value(field::DESCRIPTION.field(), Reading::Known(value));
            let found = bounded(entity).facts;
            assert_eq!(found.reading(field::DESCRIPTION.field()), Reading::Known(&kept));
        }
    }

    #[test]
    fn long_texts_are_cut_at_a_character() {
        let mut text = "é".repeat(TEXT_MAX);
        cut(&mut text);
        assert!(text.len() <= TEXT_MAX && text.ends_with('é'));
    }
}
