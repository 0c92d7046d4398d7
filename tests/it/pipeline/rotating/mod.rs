//! From a decision to a changed credential over a real store: nothing without a decision that holds, nothing lost, nothing twice,
//! whatever dies or hangs (promises 5, 6 and 8).

mod consumers;
pub(super) mod faults;
mod github;
mod laws;
mod matrix;
mod paths;
mod stages;
pub(super) mod world;

use std::{path::Path, sync::Arc, time::UNIX_EPOCH};

use provost::{
    config::{Environment, Paths, Scene, parse},
    jobs::{
        decide::{self, DecideError, Say, Wanted},
        rotate::{self, InHand},
    },
    wire::{Hand, Wiring},
};
use provost_engine::{
    Roster,
    govern::Governance,
    own::{People, Person},
};
use provost_model::{Entity, Key, Kind, Motion, Purpose, RecordId, Remedy, Ruling, Saga, Status, Time, field};
use provost_store::evidence::Verifier;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use self::{
    faults::{Faults, behind},
    stages::{Play, Stage},
};
use super::script::{Desk, Lists, Nobody, realm};

pub(super) const ANN: u32 = 1001;
pub(super) const BOB: u32 = 1002;
pub(super) const CID: u32 = 1003;
/// Of somebody who has left.
pub(super) const DAN: u32 = 1004;

/// A holder who may do everything.
pub(super) const ADMIN: &str = "root-like";

/// A holder by which a source looks.
pub(super) const EYES: &str = "eyes";

/// A house with hands.
pub(super) struct Floor {
    pub(super) desk: Desk,
    pub(super) wiring: Arc<Wiring>,
    pub(super) faults: Arc<Faults>,
    values: InHand,
    stop: CancellationToken,
    runtime: Runtime,
    config: String,
    home: tempfile::TempDir,
}

pub(super) fn roster() -> Roster {
    let person = |id: &str, uid| Person { id: id.into(), uid: Some(uid), ..Person::default() };
    let dan = Person { left: Some(Time::from_seconds(0)), ..person("dan", DAN) };
    let persons = vec![person("ann", ANN), person("bob", BOB), person("cid", CID), dan];
    Roster::new(People { persons, ..People::default() }).unwrap()
}

fn purpose() -> Purpose {
    Purpose::stated("it is time").unwrap()
}

/// What follows from a configuration in that directory.
fn wiring(config: &str, secrets: &[(&str, &str)], path: &Path) -> Wiring {
    let paths = Paths {
        scene: Scene::User,
        file: path.join("provost.toml"),
        file_named: false,
        store: path.join("store"),
        fingerprint_key: path.join("fingerprint.key"),
        evidence_key: path.join("evidence.key"),
        socket: path.join("socket"),
    };
    let mut config = parse(config, &paths).unwrap_or_else(|problems| panic!("{problems:?}"));
    config.people = Arc::new(roster());
    let of_home = [("HOME".to_owned(), path.display().to_string())];
    let secrets = secrets.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Wiring::new(config, Environment::new(of_home.into_iter().chain(secrets), 1000)).unwrap()
}

impl Floor {
    /// One whose hands are made from its own configuration, `hand` among them with faults between it and the world.
    pub(super) fn new(
        config: &str,
        secrets: &[(&str, &str)],
        hand: impl FnOnce(&Wiring, &Arc<Faults>) -> Hand,
    ) -> Self {
        let home = tempfile::tempdir().unwrap();
        let text = config.to_owned();
        let wiring = wiring(config, secrets, home.path());
        let faults = Arc::new(Faults::default());
        let hand = hand(&wiring, &faults);
        let wiring = Arc::new(wiring.with(hand));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (values, stop) = (InHand::default(), CancellationToken::new());
        Self { desk: Desk::new(), wiring, faults, values, stop, runtime, config: text, home }
    }

    /// One on which a play of a real stage was asked for, with faults between it and the world; and the hand without them. `common`
    /// is what the entry says beside its kind's own.
    fn played((stage, play): (&dyn Stage, &Play), common: &str) -> (Self, Arc<Hand>) {
        let config = format!("[[rotations]]\nname = \"it\"\nkind = \"{}\"\n{common}{}", stage.name(), play.entry);
        let secrets: Vec<(&str, &str)> = play.secrets.iter().map(|(name, it)| (name.as_str(), it.as_str())).collect();
        let mut raw = None;
        let floor = Self::new(&config, &secrets, |wiring, faults| {
            let hand = wiring.hand("it").unwrap();
            let behind = behind(&hand, faults);
            raw = Some(hand);
            behind
        });
        let name = stage.called(play);
        let subject = floor.met_as(play.kind, (&play.external, &name), (&play.holder, &[]));
        let present = Time::from_micros(i64::try_from(UNIX_EPOCH.elapsed().unwrap().as_micros()).unwrap());
        floor.desk.pass(present - floor.now());
        floor.ask(ANN, subject, (stage.remedy(), false)).unwrap();
        (floor, raw.unwrap())
    }

    /// Another hand in place of the one there is, as after a reload.
    pub(super) fn rewire(&mut self, hand: Hand) {
        self.wiring = Arc::new(wiring(&self.config, &[], self.home.path()).with(hand));
    }

    /// Another configuration, as after a reload, with that hand.
    pub(super) fn reconfigure(&mut self, config: &str, hand: Hand) {
        self.config = config.to_owned();
        self.rewire(hand);
    }

    /// Puts a credential and its holder into the inventory; gives the credential's id.
    pub(super) fn met(&self, kind: Kind, external: &str, (holder, tags): (&str, &[(&str, &str)])) -> RecordId {
        self.met_as(kind, (external, external), (holder, tags))
    }

    /// The same where people call it otherwise than its provider.
    pub(super) fn met_as(
        &self,
        kind: Kind,
        (external, name): (&str, &str),
        (holder, tags): (&str, &[(&str, &str)]),
    ) -> RecordId {
        let key = Key::new(realm(), Kind::User, holder);
        let mut user = Entity::new(key.clone(), holder).with(field::STATUS, Status::Active);
        if holder == ADMIN {
            user = user.with(field::ADMIN, true);
        }
        if holder == EYES {
            user = user.with(field::LOOKED_BY, true);
        }
        if !tags.is_empty() {
            let tags = tags.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            user = user.with(field::TAGS, tags.collect::<std::collections::BTreeMap<_, _>>());
        }
        let it = Entity::new(Key::new(realm(), kind, external), name).of(key).with(field::STATUS, Status::Active);
        let things = vec![user, it];
        self.desk.through("test", Arc::new(Lists { realm: realm(), things }), Box::new(Nobody)).unwrap();
        self.desk.record(kind, external).unwrap().id
    }

    /// Asks for a change.
    pub(super) fn ask(
        &self,
        uid: u32,
        subject: RecordId,
        (remedy, emergency): (Remedy, bool),
    ) -> Result<Motion, DecideError> {
        self.want(uid, subject, (Ruling::Act { remedy }, emergency))
    }

    /// Asks for anything.
    pub(super) fn want(
        &self,
        uid: u32,
        subject: RecordId,
        (ruling, emergency): (Ruling, bool),
    ) -> Result<Motion, DecideError> {
        let wanted = Wanted { subject, rules: Vec::new(), ruling, purpose: purpose(), routine: true, emergency };
        let (people, governance) = (roster(), Governance::default());
        decide::Desk { house: &self.desk.house, people: &people, governance: &governance, uid }.ask(&wanted)
    }

    pub(super) fn say(&self, uid: u32, motion: &Motion, what: Say) -> Result<Motion, DecideError> {
        let (people, governance) = (roster(), Governance::default());
        let desk = decide::Desk { house: &self.desk.house, people: &people, governance: &governance, uid };
        desk.say((motion.subject, motion.id), what, &purpose())
    }

    /// One turn of whoever carries decisions out. Where a fault kills, everything in memory is gone, as after `kill -9`.
    pub(super) fn turn(&mut self) {
        let turn = rotate::turn(&self.desk.house, &self.wiring, &self.values, &self.stop);
        let died = self.runtime.block_on(async {
            tokio::select! {
                done = turn => { done.unwrap(); false }
                () = self.faults.died() => true,
            }
        });
        if died {
            self.values = InHand::default();
        }
    }

    pub(super) fn sagas(&self) -> Vec<Saga> {
        self.desk.house.inventory().sagas().unwrap()
    }

    /// The only saga there is.
    pub(super) fn saga(&self) -> Saga {
        let mut all = self.sagas();
        assert_eq!(all.len(), 1);
        all.remove(0)
    }

    /// Turns, with time going by to whenever something is due next, until nothing goes on, or `until` says so.
    pub(super) fn go(&mut self, until: impl Fn(&Saga) -> bool) -> Saga {
        for _ in 0..2_000 {
            self.turn();
            let saga = self.saga();
            if saga.ended.is_some() || saga.held.is_some() || saga.paused_by.is_some() || until(&saga) {
                return saga;
            }
            let now = self.desk.house.now();
            if saga.not_before > now {
                self.desk.pass(saga.not_before - now);
            }
        }
        panic!("it goes on for ever: {:#?}", self.saga());
    }

    /// Turns until everything rests.
    pub(super) fn rest(&mut self) -> Saga {
        self.go(|_| false)
    }

    pub(super) fn now(&self) -> Time {
        self.desk.house.now()
    }

    /// Everything that is written down about a saga: itself, with its journal, and all evidence.
    pub(super) fn kept(&self, saga: &Saga) -> String {
        let mut kept = format!("{} {saga:?} ", serde_json::to_string(saga).unwrap());
        let inventory = self.desk.house.inventory();
        inventory
            .each_exhibit(&mut |exhibit| {
                kept += &serde_json::to_string(&exhibit).unwrap();
                Ok(provost_store::Go::On)
            })
            .unwrap();
        kept
    }

    /// Kinds of all entries of evidence, whose chain holds.
    pub(super) fn evidence(&self) -> Vec<String> {
        let (mut verifier, mut kinds) = (Verifier::default(), Vec::new());
        self.desk
            .house
            .inventory()
            .each_exhibit(&mut |exhibit| {
                assert!(verifier.take(&serde_json::to_vec(&exhibit).unwrap()));
                kinds.push(exhibit.kind);
                Ok(provost_store::Go::On)
            })
            .unwrap();
        assert!(verifier.report(&[]).holds);
        kinds
    }
}
