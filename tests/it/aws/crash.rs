//! Promise 8 against a provider: runs killed anywhere lose nothing acknowledged, invent no absence, and the next makes good.
//! It must never pass because nothing was killed: kills that hit a finished process do not count.

use std::{
    collections::{BTreeMap, BTreeSet},
    os::unix::process::ExitStatusExt as _,
    time::{Duration, Instant},
};

use provost_connectors::aws::testing::FakeKey;
use serde_json::Value;

use super::{
    account::{Fake, now, user},
    place::{Place, sum, text},
};

/// New stores, and kills that hit in each.
const STORES: usize = 4;
const KILLS: usize = 13;
const USERS: usize = 120;
const KILLED: i32 = 9;

/// Somewhere within that time.
fn within(whole: Duration) -> Duration {
    let mut random = [0; 4];
    getrandom::fill(&mut random).unwrap();
    whole.mul_f64(f64::from(u32::from_le_bytes(random)) / f64::from(u32::MAX))
}

/// Starts a scan and kills it after that time; whether it was still there to be killed.
fn killed(place: &Place, after: Duration) -> bool {
    let mut running = place.start(&["scan"]);
    std::thread::sleep(after);
    running.0.kill().unwrap();
    running.0.wait().unwrap().signal() == Some(KILLED)
}

/// Records by id, whatever became of them.
fn records(place: &Place) -> BTreeMap<String, Value> {
    let rows = place.rows(&["inventory", "list", "--presence", "present,missing,gone,unwatched"]);
    rows.into_iter().map(|row| (text(&row, "id").to_owned(), row)).collect()
}

/// Kind and external id of everything in the inventory.
fn names(records: &BTreeMap<String, Value>) -> BTreeSet<(String, String)> {
    records.values().map(|row| (text(row, "kind").to_owned(), text(row, "external_id").to_owned())).collect()
}

/// Kind and external id of everything in the account.
fn truth(fake: &Fake) -> BTreeSet<(String, String)> {
    fake.with(|account| {
        let users = account.users.iter().map(|user| ("user".to_owned(), user.id.clone()));
        let keys = account.users.iter().flat_map(|user| &user.keys);
        users.chain(keys.map(|key| ("access_key".to_owned(), key.id.clone()))).collect()
    })
}

/// A user more, and a second key for another, so that every run has something new to write; nothing is taken away.
fn grow(fake: &Fake, number: usize) {
    fake.with(|account| {
        account.users.push(user(USERS + number));
        let key = FakeKey {
            id: format!("AKIASECOND{number}"),
            active: number.is_multiple_of(2),
            created: "2025-06-07T08:09:10Z".to_owned(),
            rotated: "2025-06-07T08:09:10Z".to_owned(),
        };
        account.users[number].keys.push(key);
        account.generated = now();
    });
}

#[test]
fn runs_killed_anywhere_lose_nothing_and_the_next_tells_the_truth() {
    let fake = Fake::with_users(USERS);
    fake.with(|account| account.page = 15);
    let (mut grown, mut whole) = (0, Duration::ZERO);
    for store in 0..STORES {
        let place = Place::new(fake.url(), "");
        if store == 0 {
            let since = Instant::now();
            assert_eq!(place.scan(&[]).0, 0);
            whole = since.elapsed();
            continue;
        }
        let mut known: BTreeMap<String, Value> = BTreeMap::new();
        let (mut hits, mut tries, mut span) = (0, 0, whole);
        while hits < KILLS * STORES / (STORES - 1) {
            tries += 1;
            assert!(tries < 8 * KILLS, "{hits} kills hit, the rest came too late");
            grow(&fake, grown);
            grown += 1;
            // Later runs have less to do and are killed earlier, so that most are hit.
            if !killed(&place, within(span)) {
                span = span.mul_f64(0.8).max(Duration::from_millis(20));
                continue;
            }
            hits += 1;
            let after = records(&place);
            for (id, before) in &known {
                let row = after.get(id).unwrap_or_else(|| panic!("lost after {tries} tries: {before}"));
                assert_eq!(row["presence"], "present", "after {tries} tries: {row}");
            }
            assert!(after.values().all(|row| row["presence"] == "present"), "after {tries} tries");
            known = after;
        }
        let (status, run) = place.scan(&[]);
        assert_eq!((status, text(&run, "outcome")), (0, "complete"), "{run:#}");
        assert_eq!((sum(&run, "missing"), sum(&run, "gone"), sum(&run, "held")), (0, 0, 0), "{run:#}");
        let after = records(&place);
        assert_eq!(names(&after), truth(&fake));
        assert_eq!(after.len(), names(&after).len(), "nothing is there twice");
        assert!(after.values().all(|row| row["presence"] == "present"));
        assert!(known.keys().all(|id| after.contains_key(id)));
    }
}
