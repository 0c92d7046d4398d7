//! Real daemons on a real PostgreSQL: four share all sources while one is killed again and again.
//! It must never take long unless `PROVOST_TEST_CLUSTER=long` asks for it: 200 sources, a kill every three seconds.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use provost_store::{Postgres, PostgresOptions, inventory::Inventory};
use serde_json::Value;

use super::looks;
use crate::{
    postgres,
    program::{Place, Running, until},
};

/// How much a test does.
struct Figures {
    sources: usize,
    /// Files in what each source looks at: a kill is to hit runs, not pauses.
    files: usize,
    kill_every: Duration,
    patience: Duration,
}

fn figures() -> Figures {
    let seconds = Duration::from_secs;
    match std::env::var("PROVOST_TEST_CLUSTER").as_deref() {
        Ok("long") => Figures { sources: 200, files: 60, kill_every: seconds(3), patience: seconds(900) },
        _ => Figures { sources: 24, files: 20, kill_every: seconds(1), patience: seconds(60) },
    }
}

/// The same configuration for every daemon; what is looked at lies in one place.
pub fn configuration(url: &str, common: &Path, sources: usize) -> String {
    let mut text = format!(
        "[store]\nurl = {url:?}\n\n[daemon]\nlease = \"2s\"\nmax_concurrent_runs = 2\n\n\
         [fingerprints]\nkey = \"file:{}\"\n",
        common.join("fingerprint.key").display()
    );
    for number in 0..sources {
        let tree = common.join(format!("tree{number:03}"));
        // Each is a machine of its own: one realm belongs to one source.
        text.push_str(&format!(
            "\n[[sources]]\nname = \"s{number:03}\"\nconnector = \"host\"\nroots = [{tree:?}]\nsystem = false\n\
             machine_id = \"{number:032}\"\nschedule = \"0 0 1 1 *\"\n"
        ));
    }
    text
}

fn status(place: &Place) -> Value {
    serde_json::from_str(&place.done(&["cluster", "status", "-o", "json"]).out).unwrap()
}

fn many<'v>(status: &'v Value, what: &str) -> &'v [Value] {
    status[what].as_array().map(Vec::as_slice).unwrap_or_default()
}

#[test]
fn four_daemons_share_all_sources_none_twice_none_left_out_though_one_is_killed_again_and_again() {
    let Some(server) = postgres::shared() else { return };
    let (figures, url) = (figures(), server.fresh());
    let common = tempfile::TempDir::new().unwrap();
    for number in 0..figures.sources {
        let tree = common.path().join(format!("tree{number:03}"));
        fs::create_dir(&tree).unwrap();
        for file in 0..figures.files {
            let content = format!("[app]\npassword = \"hunter2-{number}-{file}-Zq8v!x\"\n");
            fs::write(tree.join(format!("app{file}.env")), content).unwrap();
        }
    }
    let places: Vec<Place> = (0..4).map(|_| Place::new()).collect();
    for place in &places {
        place.write_configuration(&configuration(&url, common.path(), figures.sources));
    }
    let mut daemons: Vec<Running> = places.iter().map(|place| place.daemon().0).collect();
    until("all are members", || many(&status(&places[0]), "members").len() == 4);

    let store = Postgres::open(&url, PostgresOptions::default()).unwrap();
    let inventory = Inventory::of(&store);
    let (begun, mut killed) = (Instant::now(), 0);
    while looks(inventory).values().filter(|times| **times > 0).count() < figures.sources {
        assert!(begun.elapsed() < figures.patience, "left out after {killed} kills: {:?}", looks(inventory));
        thread::sleep(figures.kill_every);
        let one = killed % 4;
        // Without a word, as a machine goes away.
        daemons[one].0.kill().unwrap();
        daemons[one].ends();
        daemons[one] = places[one].daemon().0;
        killed += 1;
    }
    assert!(killed > 0);
    let done = looks(inventory);
    assert_eq!(done.len(), figures.sources);
    let twice: Vec<_> = done.iter().filter(|(_, times)| **times != 1).collect();
    assert!(twice.is_empty(), "done twice, with {killed} kills: {twice:?}");
    // The dead are forgotten when their lease ends, their work is nobody's.
    let living: BTreeSet<u64> = daemons.iter().map(|daemon| u64::from(daemon.0.id())).collect();
    until("only the living are shown", || {
        let said = status(&places[1]);
        let shown = many(&said, "members").iter().filter_map(|member| member["pid"].as_u64());
        shown.collect::<BTreeSet<_>>() == living && many(&said, "work").is_empty()
    });
    for (place, daemon) in places.iter().zip(&mut daemons) {
        daemon.signal(rustix::process::Signal::TERM);
        assert_eq!(daemon.ends(), 0, "{}", place.log());
    }
    let said = status(&places[2]);
    assert!(many(&said, "members").is_empty() && many(&said, "turns").is_empty(), "{said}");
}
