//! What only a database can do to a store: be made by two at once, be of a later version, go away and come back.
//! It must never rely on how long anything takes.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use provost_model::Time;

use super::{
    ROWS, commit, in_database,
    kills::{check, write},
    proxy::Proxy,
    put, read, server,
};
use crate::{CommitNo, Head, Postgres, PostgresOptions, Store, StoreError};

/// How often a process is killed, unless the environment says otherwise.
const ROUNDS: u64 = 25;
/// Names the database to the process that is to be killed.
const URL: &str = "PROVOST_DATABASE_KILLED_IN";

fn opened(url: &str, patience: u64) -> Result<Postgres, StoreError> {
    Postgres::open(url, PostgresOptions { patience: Duration::from_secs(patience), ..PostgresOptions::default() })
}

fn refused(url: &str) -> StoreError {
    opened(url, 0).map(drop).expect_err("refused")
}

#[test]
fn many_make_the_same_store_at_once_and_all_are_let_in() {
    let Some(server) = server::shared() else { return };
    let url = server.fresh();
    std::thread::scope(|threads| {
        for opener in 0..6 {
            let url = &url;
            threads.spawn(move || commit(&opened(url, 30).unwrap(), 1, [put(ROWS, &format!("{opener}"), "v")]));
        }
    });
    let store = opened(&url, 30).unwrap();
    assert_eq!(store.head().unwrap(), Head { number: CommitNo(6), at: Time::from_seconds(1) });
    assert!((0..6).all(|opener| read(&store, ROWS, &format!("{opener}"), None).is_some()));
}

#[test]
fn a_database_of_a_later_version_is_refused_and_left_as_it_is() {
    let Some(server) = server::shared() else { return };
    let url = server.fresh();
    commit(&in_database(&url), 1, [put(ROWS, "a", "1")]);
    server.query(&url, "UPDATE store_format SET format = 9, min_reader = 7");
    let refusal = refused(&url);
    assert!(matches!(refusal, StoreError::Newer { min_reader: 7, .. }), "{refusal}");
    server.query(&url, "UPDATE store_format SET min_reader = 1");
    assert_eq!(read(&in_database(&url), ROWS, "a", None).as_deref(), Some("1"), "what old readers may read is read");
    assert_eq!(server.query(&url, "SELECT format FROM store_format").trim(), "9");
}

#[test]
fn a_database_that_lets_nobody_in_says_why_without_the_password() {
    let Some(server) = server::shared() else { return };
    let url = server.fresh();
    let tcp = server.over_tcp(&url, server.port());
    assert!(opened(&tcp, 0).is_ok());
    let wrong = tcp.replace("only-for-tests", "s3cr3t-Value");
    let refusal = refused(&wrong);
    assert!(matches!(refusal, StoreError::Refused { .. }), "{refusal}");
    assert!(!format!("{refusal} {refusal:?}").contains("s3cr3t-Value"), "{refusal}");
    assert!(format!("{refusal}").contains(&format!("postgres://127.0.0.1:{}/fresh", server.port())), "{refusal}");
    let nowhere = refused(&tcp.replace("/fresh", "/nowhere"));
    assert!(matches!(nowhere, StoreError::Refused { .. }), "{nowhere}");
    server.query(&url, "CREATE DATABASE ascii ENCODING 'SQL_ASCII' TEMPLATE template0");
    let place = url.find("/fresh").unwrap();
    let end = url.find('?').unwrap();
    let ascii = refused(&format!("{}/ascii{}", &url[..place], &url[end..]));
    assert!(ascii.to_string().contains("UTF8"), "{ascii}");
    let silent = refused("postgres://me:s3cr3t-Value@127.0.0.1:1/x");
    assert!(matches!(&silent, StoreError::Away(said) if !said.contains("s3cr3t")), "{silent}");
}

#[test]
fn a_thread_of_another_runtime_may_ask() {
    let Some(server) = server::shared() else { return };
    let store = in_database(&server.fresh());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async move {
        commit(&store, 1, [put(ROWS, "a", "1")]);
        assert_eq!(read(&store, ROWS, "a", None).as_deref(), Some("1"));
        drop(store);
    });
}

#[test]
fn a_lease_is_held_on_the_databases_clock_whatever_the_daemons_clocks_say() {
    let Some(server) = server::shared() else { return };
    let url = server.fresh();
    let (one, other) = (opened(&url, 30).unwrap(), opened(&url, 30).unwrap());
    let hour = |store: &Postgres, holder: &str, now: i64| {
        store.lease("l", holder, Time::from_seconds(now), Time::from_seconds(now + 3_600)).unwrap()
    };
    let fence = hour(&one, "one", 5).unwrap();
    assert_eq!(hour(&other, "other", 9_999_999_999), None, "a clock far ahead takes nothing");
    let held = other.leases().unwrap();
    let left = held[0].until - other.clock(Time::from_seconds(0)).unwrap();
    assert!(left.as_micros() > 3_000_000_000 && left.as_micros() <= 3_600_000_000, "{left:?}");
    let batch = || crate::Batch { fence: Some(fence.clone()), ..super::batch(1, []) };
    assert!(one.commit(batch()).is_ok());
    one.release(&fence).unwrap();
    assert_eq!(hour(&other, "other", 0).unwrap().token, 2);
    assert!(matches!(one.commit(batch()), Err(StoreError::Conflict(_))), "woken up late it writes nothing");
}

/// The process that is killed runs this test with an address; by itself it writes a few batches and is not killed.
#[test]
fn a_writer_to_a_database_that_is_not_killed_leaves_whole_batches() {
    let told = std::env::var(URL).ok();
    let Some(url) = told.clone().or_else(|| server::shared().map(server::Server::fresh)) else { return };
    let store = opened(&url, 30).unwrap();
    for _ in 0..told.map_or(3, |_| u64::MAX) {
        let number = write(&store);
        let mut out = std::io::stdout().lock();
        writeln!(out, "\nacknowledged {number}").and_then(|()| out.flush()).unwrap();
    }
    check(&store);
}

#[test]
fn whatever_a_database_acknowledged_survives_a_kill_of_the_writer_whole() {
    let Some(server) = server::own(true) else { return };
    let rounds = std::env::var("PROVOST_KILLS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let url = server.fresh();
    let (mut dice, mut before) = (0x9e37_79b9_u64, 0);
    for round in 0..rounds {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "suite::database::a_writer_to_a_database_that_is_not_killed_leaves_whole_batches"])
            .arg("--nocapture")
            .env(URL, format!("{url}&application_name=killed"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let number = |line: &String| line.strip_prefix("acknowledged ").and_then(|number| number.parse::<u64>().ok());
        // Every fourth is killed wherever it is: connecting, making tables, or before its first batch is durable.
        let first = if round % 4 == 0 { before } else { lines.by_ref().find_map(|line| number(&line)).unwrap() };
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(Duration::from_micros((dice >> 33) % 60_000));
        child.kill().unwrap();
        child.wait().unwrap();
        let last = lines.filter_map(|line| number(&line)).last().unwrap_or(first);
        // The server ends what the dead process had sent: first that, then the look.
        let working = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'killed'";
        while server.query(&url, working).trim() != "0" {
            std::thread::sleep(Duration::from_millis(5));
        }
        let store = opened(&url, 30).unwrap();
        let head = store.head().unwrap().number.0;
        assert!(head == last || head == last + 1, "round {round}: {last} was acknowledged, {head} is there");
        check(&store);
        before = head;
    }
}

#[test]
fn a_database_that_crashes_and_comes_back_has_lost_nothing_and_written_nothing_twice() {
    let Some(mut server) = server::own(true) else { return };
    let store = opened(&server.fresh(), 120).unwrap();
    let enough = AtomicBool::new(false);
    let written = std::thread::scope(|threads| {
        let writer = threads.spawn(|| {
            let mut last = 0;
            while !enough.load(Ordering::Acquire) {
                let number = write(&store);
                assert_eq!(number, last + 1);
                last = number;
            }
            last
        });
        for round in 0..5 {
            let reached = || store.head().unwrap().number.0 >= (round + 1) * 8;
            while !reached() {
                std::thread::sleep(Duration::from_millis(10));
            }
            server.kill();
            server.again();
        }
        enough.store(true, Ordering::Release);
        writer.join().unwrap()
    });
    assert_eq!(store.head().unwrap().number.0, written);
    check(&store);
}

#[test]
fn connections_cut_in_the_middle_of_commits_lose_nothing_and_write_nothing_twice() {
    let Some(server) = server::shared() else { return };
    let url = server.fresh();
    let proxy = Proxy::before(server.port());
    let store = opened(&server.over_tcp(&url, proxy.port()), 120).unwrap();
    proxy.cut_from_now_on();
    for number in 1..=60 {
        assert_eq!(write(&store), number);
    }
    assert!(proxy.cuts() > 20, "{} cuts", proxy.cuts());
    check(&opened(&url, 30).unwrap());
}
