//! Access keys by ListAccessKeys: only for users whose report row asks for it, each user a part listed whole.
//! It must never forget progress: a stopped run goes on where it was.

use std::collections::{HashMap, HashSet};

use futures::{StreamExt, stream::FuturesUnordered};
use provost_client::Failure;
use provost_model::{Cover, Cursor, Entity, Key, Kind, Reading, Realm, Scope, Status, Why, field};

use super::{
    authorization::set,
    key_page::KeyFound,
    people::{User, UserNo, Users},
    session::{Session, stopped},
    slots::{self, Listed, ListedKey, Slot},
};
use crate::{Emitter, Stopped};

const OPERATION: &str = "iam:ListAccessKeys";
/// Users between two checkpoints.
const CHECKPOINT: usize = 1000;
/// Keys of one user; AWS allows two.
const KEYS_MAX: usize = 1000;
/// Refusals in a row after which asking on is no use.
const DENIED_MAX: u32 = 5;

/// The listing of keys in progress.
pub(super) struct Keys<'a> {
    session: &'a Session,
    realm: &'a Realm,
    users: &'a Users,
    scope: Scope,
    listed: Listed,
    /// Slots of users to be listed, from the report.
    pub(super) slots: HashMap<UserNo, Vec<Slot>>,
    /// Users whose listing failed, and the first failure.
    pub(super) failed: HashSet<UserNo>,
    pub(super) failure: Option<Failure>,
    since_checkpoint: usize,
}

/// Why a user is listed, which decides how it is counted and whether it is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Because {
    /// The report's columns ask for it.
    Columns,
    /// The user is younger than the report: listed again until a report knows it.
    TooNew,
    /// There is no report: everybody is listed once.
    NoReport,
    /// Nothing tells that there is a key.
    Sweep,
}

impl<'a> Keys<'a> {
    pub(super) fn new(session: &'a Session, realm: &'a Realm, users: &'a Users, listed: Listed) -> Self {
        let scope = Scope::new(realm.clone(), "iam/access-keys");
        let (slots, failed) = (HashMap::new(), HashSet::new());
        Self { session, realm, users, scope, listed, slots, failed, failure: None, since_checkpoint: 0 }
    }

    pub(super) async fn begin(&self, to: &mut Emitter) -> Result<(), Stopped> {
        to.begin(&self.scope, None).await
    }

    /// Lists the keys of those users, as many at a time as the gate lets fly. `columns` is remembered with each user.
    pub(super) async fn list(
        &mut self,
        users: &[(UserNo, u64)],
        because: Because,
        to: &mut Emitter,
    ) -> Result<(), Stopped> {
        if self.failure.as_ref().is_some_and(|failure| is_hopeless(failure.why)) {
            self.failed.extend(users.iter().map(|(number, _)| *number));
            return Ok(());
        }
        let (session, all) = (self.session, self.users);
        let total = users.len() as u64;
        let mut done = 0;
        let mut denied = 0;
        let mut waiting = users.iter().filter_map(|(number, columns)| Some((*number, *columns, all.get(*number)?)));
        let mut flying = FuturesUnordered::new();
        loop {
            while flying.len() < session.at_once() {
                let Some((number, columns, user)) = waiting.next() else { break };
                flying.push(asked(session, user, because, (number, columns)));
            }
            let Some(((number, columns), answer)) = flying.next().await else { break };
            done += 1;
            match answer {
                Ok(keys) => {
                    denied = 0;
                    self.say(number, &keys, to).await?;
                    if matches!(because, Because::Columns | Because::NoReport) {
                        self.remember(number, columns, to).await?;
                    }
                }
                // The user is gone since; its record will be told so by the listing of users.
                Err(failure) if failure.code == "NoSuchEntity" => {}
                Err(failure) => {
                    denied += u32::from(failure.why == Why::Denied);
                    let hopeless = denied >= DENIED_MAX || is_hopeless(failure.why);
                    self.failed.insert(number);
                    self.failure.get_or_insert(failure);
                    if hopeless {
                        break;
                    }
                }
            }
            if done % 100 == 0 || done == total {
                super::count(session, to).await?;
                to.progress(done, Some(total), "access keys").await?;
            }
        }
        if done < total {
            let left = users.iter().map(|(number, _)| *number).filter(|number| !self.listed_now(*number));
            self.failed.extend(left.collect::<Vec<_>>());
        }
        Ok(())
    }

    /// Ends the scope: with the progress made, and partial if something failed.
    pub(super) async fn end(mut self, to: &mut Emitter) -> Result<(), Stopped> {
        let Some(failure) = self.failure.take() else {
            let next = Cursor(self.listed.encode());
            let now = to.now();
            return to.cover(&self.scope, None, now, Cover::Delta { next }).await;
        };
        self.checkpoint(to).await?;
        let said = format!("the keys of {} users were not listed; the first: {failure}", self.failed.len().max(1));
        to.partial(&self.scope, failure.why, said).await
    }

    /// Whether the user's keys were ever listed.
    pub(super) fn knows(&self, number: UserNo) -> bool {
        self.users.get(number).is_some_and(|user| self.listed.has(&user.id))
    }

    /// Says one user's keys, and that these are all.
    async fn say(&mut self, number: UserNo, keys: &[KeyFound], to: &mut Emitter) -> Result<(), Stopped> {
        let Some(user) = self.users.get(number) else { return Ok(()) };
        let as_of = to.now();
        let known: Vec<ListedKey<'_>> = keys.iter().map(listed_key).collect();
        let slots = self.slots.remove(&number).unwrap_or_default();
        let adopted = slots::adopt(&slots, &known);
        for (found, key) in adopted.iter().zip(&known) {
            let slot = found.slot.and_then(|number| slots.iter().find(|slot| slot.slot == number));
            to.see(&self.scope, Some(&user.id), as_of, entity(self.realm, user, key, slot)).await?;
        }
        to.cover(&self.scope, Some(&user.id), as_of, Cover::Full { next: None, atomic: true }).await
    }

    async fn remember(&mut self, number: UserNo, columns: u64, to: &mut Emitter) -> Result<(), Stopped> {
        if let Some(user) = self.users.get(number) {
            self.listed.note(&user.id, columns);
        }
        self.since_checkpoint += 1;
        if self.since_checkpoint >= CHECKPOINT { self.checkpoint(to).await } else { Ok(()) }
    }

    /// Commits the progress so far, and goes on.
    async fn checkpoint(&mut self, to: &mut Emitter) -> Result<(), Stopped> {
        self.since_checkpoint = 0;
        let next = Cursor(self.listed.encode());
        let now = to.now();
        to.cover(&self.scope, None, now, Cover::Delta { next }).await?;
        to.begin(&self.scope, None).await
    }

    fn listed_now(&self, number: UserNo) -> bool {
        self.knows(number) && !self.slots.contains_key(&number)
    }
}

/// All keys of one user, with what tells the answers apart.
async fn asked<T>(session: &Session, user: &User, because: Because, which: T) -> (T, Result<Vec<KeyFound>, Failure>) {
    (which, keys_of(session, user, because).await)
}

/// All keys of one user. A listing of several pages is still one user's few keys: the pages are read to the end.
async fn keys_of(session: &Session, user: &User, because: Because) -> Result<Vec<KeyFound>, Failure> {
    let way = session.way(matches!(because, Because::Sweep | Because::NoReport)).await?;
    let mut keys = Vec::new();
    let mut marker: Option<String> = None;
    loop {
        if session.is_stopping() {
            return Err(stopped(OPERATION));
        }
        let page = session.patiently(OPERATION, || way.keys(&user.name, marker.as_deref())).await?;
        keys.extend(page.keys);
        let next = page.marker.filter(|next| page.is_truncated && Some(next) != marker.as_ref());
        match (page.is_truncated, next) {
            (false, _) => return Ok(keys),
            (true, Some(next)) if keys.len() <= KEYS_MAX => marker = Some(next),
            _ => {
                let said = "the listing of a user's keys does not end".to_owned();
                return Err(Failure {
                    operation: OPERATION.to_owned(),
                    why: Why::Malformed,
                    code: String::new(),
                    said,
                });
            }
        }
    }
}

/// Whether the next call would fare no better.
fn is_hopeless(why: Why) -> bool {
    matches!(why, Why::Unauthenticated | Why::Stopped | Why::TooLarge)
}

fn listed_key(key: &KeyFound) -> ListedKey<'_> {
    ListedKey { id: &key.id, active: key.active, created: key.created }
}

fn entity(realm: &Realm, user: &User, key: &ListedKey<'_>, slot: Option<&Slot>) -> Entity {
    let identity = Key::new(realm.clone(), Kind::User, user.id.as_str());
    let mut entity = Entity::new(Key::new(realm.clone(), Kind::AccessKey, key.id), key.id)
        .of(identity)
        .with(field::KEY_ID, key.id.to_owned())
        .with(field::STATUS, if key.active { Status::Active } else { Status::Inactive })
        .with(field::CREATED_AT, key.created)
        .with(field::EXPIRES_AT, Reading::NotReported)
        .with(field::LONG_LIVED, true);
    if let Some((slot, rotated)) = slot.and_then(|slot| Some((slot, slot.last_rotated?))) {
        set(&mut entity, field::SLOT, Some(i64::from(slot.slot)));
        entity = entity.alias(slots::alias(&user.id, slot.slot, rotated));
    }
    entity
}
