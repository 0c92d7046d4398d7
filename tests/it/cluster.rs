//! Several daemons on one store: who claims what, who takes over, and what `provost cluster status` says of it.

mod processes;
mod restart;

use std::{
    collections::BTreeMap,
    fs,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use provost::{
    cli::{self, Command, Screen},
    cluster,
    commands::{Asked, answer, no_parcel},
    config::{Environment, Paths, parse},
    desk::{Desk, LookError},
    house::House,
    jobs::WriteError,
    output::{Format, Look},
    scheduler,
    tenancy::Hold,
    wire::Wiring,
};
use provost_model::{Clock, Outcome, Span, Time};
use provost_store::{Store, inventory::Inventory};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{runtime::Runtime, sync::Semaphore};
use tokio_util::sync::CancellationToken;

use crate::{pipeline::shared::Shared, program::until};

/// Longer than a lease lasts.
const OVER: Span = Span::seconds(31);

/// Stands where a test puts it.
struct Standing(AtomicI64);

impl Clock for Standing {
    fn now(&self) -> Time {
        Time::from_micros(self.0.fetch_add(1, Ordering::SeqCst))
    }
}

/// Daemons on one store, each with the same configuration: so many sources that look into one directory.
struct Town {
    place: TempDir,
    store: Arc<Shared>,
    clock: Arc<Standing>,
    sources: usize,
}

/// A daemon without its process: its desk, and the threads on which it works.
struct Daemon {
    desk: Arc<Desk>,
    runtime: Runtime,
    places: Arc<Semaphore>,
}

impl Town {
    fn new(sources: usize) -> Self {
        let place = TempDir::new().unwrap();
        fs::create_dir(place.path().join("tree")).unwrap();
        let clock = Arc::new(Standing(AtomicI64::new(Time::parse_inclusive("2026-11-24").unwrap().as_micros())));
        Self { place, store: Arc::new(Shared::new()), clock, sources }
    }

    fn wiring(&self) -> Wiring {
        let home = self.place.path().display().to_string();
        let environment = Environment::new([("HOME".to_owned(), home)], 1000);
        let paths = Paths::find(None, &environment).unwrap();
        let source = |number: usize| {
            let tree = self.place.path().join("tree");
            // Each is a machine of its own: one realm belongs to one source.
            format!(
                "[[sources]]\nname = \"s{number:03}\"\nconnector = \"host\"\nroots = [{tree:?}]\nsystem = false\n\
                 machine_id = \"{number:032}\"\nschedule = \"0 0 1 1 *\"\n"
            )
        };
        let text: String = (0..self.sources).map(source).collect();
        Wiring::new(parse(&text, &paths).unwrap(), environment).unwrap()
    }

    fn daemon(&self, clock: Arc<dyn Clock>) -> Daemon {
        let house = Arc::new(House::new(Arc::clone(&self.store) as Arc<dyn Store>, clock));
        let desk = Arc::new(Desk::new(house, self.wiring(), None));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        cluster::plan(&desk).unwrap();
        Daemon { desk, runtime, places: Arc::new(Semaphore::new(3)) }
    }

    fn pass(&self, time: Span) {
        self.clock.0.fetch_add(time.as_micros(), Ordering::SeqCst);
    }
}

impl Daemon {
    fn claim(&self) -> Vec<cluster::Work> {
        let _within = self.runtime.enter();
        cluster::claim(&self.desk, &self.places).unwrap()
    }

    /// Looks at what it claimed; gives the names of what it looked at to the end.
    fn look(&self, work: Vec<cluster::Work>) -> Vec<String> {
        work.into_iter()
            .filter_map(|work| {
                let looked = self.runtime.block_on(self.desk.look_claimed(&work, CancellationToken::new()));
                match looked {
                    Ok(run) => {
                        assert_eq!(run.outcome, Outcome::Complete, "{:?}", run.troubles);
                        // Nothing more is needed: a daemon that dies now did what it claimed.
                        Some(work.source.name.clone())
                    }
                    Err(LookError::Write(WriteError::Lost(_))) => None,
                    Err(error) => panic!("{error}"),
                }
            })
            .collect()
    }

    /// What `provost cluster status` says.
    fn status(&self) -> Value {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let look = Look::suited(false, None, true, self.desk.house.now());
        let mut screen = Screen { out: &mut out, err: &mut err, format: Format::Json, look, most: None };
        let (meter, stop) = (Arc::new(|_, _, _: &str| ()), CancellationToken::new());
        let asked = Asked { desk: &self.desk, uid: 1000, meter, parcel: no_parcel(), stop };
        self.runtime.block_on(answer(&asked, &Command::Cluster(cli::Cluster::Status), &mut screen)).unwrap();
        serde_json::from_slice(&out).unwrap()
    }
}

/// How often each source was looked at to the end.
fn looks(inventory: Inventory<'_>) -> BTreeMap<String, usize> {
    let complete =
        |name: &String| inventory.runs(name).unwrap().iter().filter(|run| run.outcome == Outcome::Complete).count();
    inventory.source_names().unwrap().into_iter().map(|name| (name.clone(), complete(&name))).collect()
}

#[test]
fn every_source_is_looked_at_once_by_somebody_though_daemons_die() {
    let town = Town::new(14);
    let clock = || Arc::clone(&town.clock) as Arc<dyn Clock>;
    let (one, two) = (town.daemon(clock()), town.daemon(clock()));
    let mut done: Vec<String> = Vec::new();
    let mut left: Vec<String> = Vec::new();
    for round in 0..3 {
        // A third one claims and dies, at once or after it began.
        let third = town.daemon(clock());
        let claimed = third.claim();
        assert!(!claimed.is_empty(), "round {round}");
        left.extend(claimed.iter().map(|work| work.source.name.clone()));
        let (others, mine) = (two.claim(), one.claim());
        let names: Vec<&String> =
            [&claimed, &others, &mine].into_iter().flatten().map(|work| &work.source.name).collect();
        assert_eq!(
            names.iter().collect::<std::collections::BTreeSet<_>>().len(),
            names.len(),
            "claimed once: {names:?}"
        );
        done.extend(one.look(mine));
        done.extend(two.look(others));
        third.runtime.shutdown_background();
        std::mem::forget(claimed);
        assert!(one.claim().iter().all(|work| !left.contains(&work.source.name)), "its leases last");
        town.pass(OVER);
    }
    loop {
        let claimed = one.claim();
        if claimed.is_empty() {
            break;
        }
        done.extend(one.look(claimed));
    }
    done.sort();
    let all: Vec<String> = (0..14).map(|number| format!("s{number:03}")).collect();
    assert_eq!(done, all, "each once");
    assert!(
        looks(one.desk.house.inventory()).values().all(|times| *times == 1),
        "{:?}",
        looks(one.desk.house.inventory())
    );
    assert!(!left.is_empty() && left.iter().all(|name| done.contains(name)));
    // A missed time is caught up once, whoever does it.
    town.pass(Span::days(900));
    let mut again = Vec::new();
    for daemon in [&one, &two, &one, &two, &one, &two, &one, &two] {
        again.extend(daemon.look(daemon.claim()));
    }
    again.sort();
    assert_eq!(again, all);
}

#[test]
fn a_daemon_that_wakes_up_after_another_took_its_source_gives_it_up() {
    let town = Town::new(1);
    let clock = || Arc::clone(&town.clock) as Arc<dyn Clock>;
    let (sleeper, other) = (town.daemon(clock()), town.daemon(clock()));
    let claimed = sleeper.claim();
    town.pass(OVER);
    assert_eq!(other.look(other.claim()), ["s000"]);
    assert_eq!(sleeper.look(claimed), [""; 0], "nothing of it is taken");
    let inventory = other.desk.house.inventory();
    let (row, runs) = (inventory.source("s000").unwrap(), inventory.runs("s000").unwrap());
    assert_eq!(runs.len(), 1);
    assert_eq!(row.last_run, Some(runs[0].id));
    assert!(row.next_run.unwrap() > other.desk.house.now() + Span::days(1));
}

#[test]
fn what_is_about_a_machine_is_left_to_the_machine_that_looked_first() {
    let town = Town::new(2);
    let daemon = town.daemon(Arc::clone(&town.clock) as Arc<dyn Clock>);
    let house = &daemon.desk.house;
    let mut draft = provost_store::inventory::Draft::new(house.inventory(), house.now());
    draft.put_machine("s000", Some("another machine"));
    draft.commit().unwrap();
    assert_eq!(daemon.look(daemon.claim()), ["s001"]);
    assert!(daemon.claim().is_empty());
    let machine = house.inventory().machine_of("s001").unwrap();
    assert_eq!(machine, Some(provost::wire::machine()));
}

#[test]
fn members_work_and_turns_are_shown_while_their_leases_last() {
    let town = Town::new(3);
    let clock = || Arc::clone(&town.clock) as Arc<dyn Clock>;
    let (one, two) = (town.daemon(clock()), town.daemon(clock()));
    let join = |daemon: &Daemon| {
        let _within = daemon.runtime.enter();
        daemon.desk.tenancy.join().unwrap().unwrap()
    };
    let (here, there) = (join(&one), join(&two));
    let _work = two.claim();
    let said = one.status();
    assert_eq!(said["shared"], true);
    let ids = |said: &Value| -> Vec<String> {
        said["members"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect()
    };
    let (me, other) = (one.desk.tenancy.me().id.clone(), two.desk.tenancy.me().id.clone());
    assert_eq!(ids(&said), [me.clone(), other.clone()]);
    assert_eq!(said["members"][0]["pid"], std::process::id());
    let work = said["work"].as_array().unwrap();
    assert_eq!(work.len(), 3);
    assert!(work.iter().all(|it| it["holder"] == other.as_str() && it["scope"] == ""), "{work:?}");
    // One that says goodbye is gone at once; one that dies, when its lease ends.
    let third = town.daemon(clock());
    let goodbye = join(&third);
    assert_eq!(ids(&one.status()).len(), 3);
    third.desk.tenancy.leave(goodbye).unwrap();
    assert_eq!(ids(&one.status()), [me.clone(), other]);
    two.runtime.shutdown_background();
    std::mem::forget(there);
    town.pass(OVER);
    drop(here);
    let again = join(&one);
    assert_eq!(ids(&one.status()), [me]);
    assert!(one.status()["work"].as_array().unwrap().is_empty());
    assert_eq!(one.desk.house.inventory().members().unwrap().len(), 1, "and its row is gone too");
    drop(again);
}

#[test]
fn who_joins_while_another_looks_for_the_gone_is_not_forgotten() {
    let town = Town::new(1);
    let clock = || Arc::clone(&town.clock) as Arc<dyn Clock>;
    let one = town.daemon(clock());
    let two = town.daemon(clock()).desk;
    // Outside a runtime nothing prolongs what it takes.
    let joins = |desk: &Arc<Desk>, former: Option<Hold>| {
        let (desk, (tell, told)) = (Arc::clone(desk), std::sync::mpsc::channel());
        let join = move || {
            drop(former);
            tell.send(desk.tenancy.join().unwrap()).unwrap();
        };
        *town.store.listed.lock().unwrap() = Some(Box::new(join));
        told
    };
    let known = || -> Vec<String> {
        one.desk.house.inventory().members().unwrap().into_iter().map(|member| member.id).collect()
    };
    let told = joins(&two, None);
    one.desk.tenancy.forget_gone().unwrap();
    let first = told.recv().unwrap();
    assert_eq!(known(), [two.tenancy.me().id.clone()], "it came while the leases were listed");
    // Its lease is over, which the other has just seen; it says so anew before it is forgotten.
    town.pass(OVER);
    let told = joins(&two, first);
    one.desk.tenancy.forget_gone().unwrap();
    let second = told.recv().unwrap();
    assert!(second.is_some());
    assert_eq!(known(), [two.tenancy.me().id.clone()], "it came back");
    town.pass(OVER);
    one.desk.tenancy.forget_gone().unwrap();
    assert_eq!(known(), [""; 0]);
}

#[test]
fn two_schedulers_share_sources_and_turns_and_hand_over_when_they_end() {
    let town = Town::new(9);
    let wall = || Arc::new(provost::clock::WallClock) as Arc<dyn Clock>;
    let daemons = [town.daemon(wall()), town.daemon(wall())];
    let stop = CancellationToken::new();
    let running: Vec<_> = daemons
        .iter()
        .map(|daemon| {
            let turning = scheduler::run(Arc::clone(&daemon.desk), stop.clone(), Arc::new(AtomicU64::new(0)));
            daemon.runtime.spawn(turning)
        })
        .collect();
    until("every source is looked at", || {
        let looks = looks(daemons[0].desk.house.inventory());
        looks.len() == 9 && looks.values().all(|times| *times > 0)
    });
    assert!(looks(daemons[0].desk.house.inventory()).values().all(|times| *times == 1));
    // One of them may have looked at everything before the other was there.
    until("both are members", || daemons[1].status()["members"].as_array().unwrap().len() == 2);
    until("somebody does each turn", || {
        let said = daemons[1].status();
        let turns = said["turns"].as_array().unwrap().iter().map(|turn| turn["turn"].as_str().unwrap().to_owned());
        turns.collect::<std::collections::BTreeSet<_>>() == ["assess", "evaluate", "tell"].map(str::to_owned).into()
    });
    stop.cancel();
    for (daemon, running) in daemons.iter().zip(running) {
        daemon
            .runtime
            .block_on(async { tokio::time::timeout(Duration::from_secs(30), running).await })
            .unwrap()
            .unwrap()
            .unwrap();
    }
    let after = daemons[0].status();
    assert!(
        after["members"].as_array().unwrap().is_empty() && after["turns"].as_array().unwrap().is_empty(),
        "{after}"
    );
    assert!(daemons[0].desk.house.store().leases().unwrap().is_empty());
}
