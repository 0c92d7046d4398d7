//! A database that goes down and comes back under daemons at work: they wait, go on, lose nothing and do nothing twice.
//! It must never be kind to them: the server ends at once, as `pg_ctl restart -m immediate` makes it.

use std::{collections::BTreeSet, fs, thread, time::Duration};

use provost_store::{Piece, Postgres, PostgresOptions, Store as _, inventory::Inventory};
use serde_json::Value;

use super::{looks, processes::configuration};
use crate::{
    postgres,
    program::{Place, Running, until},
};

const SOURCES: usize = 12;
const FILES: usize = 12;
/// How often the server ends.
const FALLS: usize = 2;

/// What stands in a place's store, by the names that people know it by.
fn seen(place: &Place) -> BTreeSet<String> {
    let row = |row: &Value, names: &[&str]| names.iter().map(|name| row[name].to_string() + " ").collect::<String>();
    let records = place.listed(&["inventory", "list"]);
    let records = records.iter().map(|it| row(it, &["source", "kind", "external_id", "name", "presence"]));
    let findings = place.listed(&["findings", "list", "--all"]);
    let listed: Vec<_> = records.chain(findings.iter().map(|it| row(it, &["rule", "external_id", "state"]))).collect();
    let seen: BTreeSet<_> = listed.iter().cloned().collect();
    assert_eq!(seen.len(), listed.len(), "nothing twice");
    seen
}

#[test]
fn daemons_wait_for_a_database_that_restarts_and_go_on_where_they_were() {
    let Some(mut server) = postgres::own(false) else { return };
    let url = server.fresh();
    let common = tempfile::TempDir::new().unwrap();
    for number in 0..SOURCES {
        let tree = common.path().join(format!("tree{number:03}"));
        fs::create_dir(&tree).unwrap();
        for file in 0..FILES {
            let content = format!("[app]\npassword = \"hunter2-{number}-{file}-Zq8v!x\"\n");
            fs::write(tree.join(format!("app{file}.env")), content).unwrap();
        }
    }
    let places = [Place::new(), Place::new(), Place::new()];
    for place in &places {
        place.write_configuration(&configuration(&url, common.path(), SOURCES));
    }
    // What a life without interruption comes to.
    let undisturbed = &places[2];
    let embedded =
        configuration(&url, common.path(), SOURCES).replace(&format!("url = {url:?}\n"), "min_free = \"1MiB\"\n");
    undisturbed.write_configuration(&embedded);
    undisturbed.done(&["scan"]);

    let mut daemons: Vec<Running> = places.iter().take(2).map(|place| place.daemon().0).collect();
    let store = Postgres::open(&url, PostgresOptions::default()).unwrap();
    let inventory = Inventory::of(&store);
    let done = || looks(inventory).values().filter(|times| **times > 0).count();
    let under_way = || {
        let names = inventory.source_names().unwrap();
        names.iter().any(|name| inventory.runs(name).unwrap().iter().any(|run| run.ended.is_none()))
    };
    for fall in 1..=FALLS {
        // Early: on a busy machine much more is done before that is found out.
        until("a part is done, and more is under way", || done() * FALLS * 4 >= fall * SOURCES && under_way());
        let before = done();
        assert!(before < SOURCES, "all was done before fall {fall}");
        server.cut();
        thread::sleep(Duration::from_millis(300));
        server.again();
        assert!(done() >= before, "what was acknowledged is there");
    }
    until("every source is looked at", || done() == SOURCES);
    until("nothing is left to judge", || inventory.unjudged().unwrap().is_empty());
    let looks = looks(inventory);
    assert!(looks.len() == SOURCES && looks.values().all(|times| *times == 1), "{looks:?}");
    for (daemon, place) in daemons.iter_mut().zip(&places) {
        assert!(daemon.0.try_wait().unwrap().is_none(), "it lives: {}", place.log());
    }
    assert_eq!(seen(&places[0]), seen(undisturbed));
    // Commit numbers without a gap: none was written twice, none half.
    let mut numbers = Vec::new();
    let head = store.head().unwrap().number;
    store
        .pieces(&mut |piece| {
            if let Piece::Commit { number, .. } = piece {
                numbers.push(number);
            }
            Ok(())
        })
        .unwrap();
    assert!(numbers.len() as u64 >= head.0 && numbers.windows(2).all(|two| two[1].0 == two[0].0 + 1));
    for (daemon, place) in daemons.iter_mut().zip(&places) {
        daemon.signal(rustix::process::Signal::TERM);
        assert_eq!(daemon.ends(), 0, "{}", place.log());
    }
}
