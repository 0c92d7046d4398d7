//! Promise 8 with real processes: killed anywhere, the store opens, keeps what it acknowledged, invents no absence.
//! It must never pass because nothing was killed: kills that hit a finished process do not count.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::{Duration, Instant},
};

use provost_connectors::host::testtree;
use serde_json::Value;

use crate::program::{Place, Running};

/// Kills that hit, for each of what is killed.
const SCANS_KILLED: u32 = 50;
const SNAPSHOTS_KILLED: u32 = 10;
/// New stores whose first scans are killed.
const STORES: u32 = 16;
/// Copies of the tree with every sort of file.
const COPIES: u32 = 6;

const KILLED: i32 = 128 + 9;

/// Somewhere within that time.
fn within(whole: Duration) -> Duration {
    let mut random = [0; 4];
    getrandom::fill(&mut random).unwrap();
    whole.mul_f64(f64::from(u32::from_le_bytes(random)) / f64::from(u32::MAX))
}

/// Starts it, kills it after that time; whether it was still there to be killed.
fn killed(place: &Place, words: &[&str], after: Duration) -> bool {
    let mut running: Running = place.start(words);
    std::thread::sleep(after);
    running.0.kill().unwrap();
    running.ends() == KILLED
}

/// How long it takes undisturbed.
fn time(place: &Place, words: &[&str]) -> Duration {
    let since = Instant::now();
    place.done(words);
    since.elapsed()
}

/// Records by id, whatever became of them.
fn records(place: &Place) -> BTreeMap<String, Value> {
    let rows = place.listed(&["inventory", "list", "--presence", "present,missing,gone,unwatched"]);
    rows.into_iter().map(|row| (row["id"].as_str().unwrap().to_owned(), row)).collect()
}

/// What is there, by the names the world gives it.
fn names(records: &BTreeMap<String, Value>) -> BTreeSet<(String, String)> {
    let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    records.values().map(|row| (text(row, "kind"), text(row, "external_id"))).collect()
}

fn grow(below: &Path, copies: std::ops::Range<u32>) {
    for copy in copies {
        testtree::grow(&below.join(format!("copy-{copy}"))).unwrap();
    }
}

#[test]
fn scans_killed_anywhere_lose_nothing_and_invent_no_absence() {
    let place = Place::new();
    place.configure("");
    grow(&place.tree(), 0..COPIES);
    let mut whole = time(&place, &["scan"]);
    fs::remove_dir_all(place.store()).unwrap();

    let mut known: BTreeMap<String, Value> = BTreeMap::new();
    let (mut hits, mut tries) = (0, 0);
    while hits < SCANS_KILLED {
        tries += 1;
        assert!(tries < 4 * SCANS_KILLED, "{hits} kills hit, the rest came too late");
        // Something new each time, and now and then much, so that every run has something to write.
        let path = place.tree().join(format!("copy-{}/new-{tries}", tries % COPIES));
        fs::create_dir_all(&path).unwrap();
        let token = testtree::secret(&format!("crash {tries}"), 36);
        fs::write(path.join(".env"), format!("API_TOKEN={token}\nDB_PASSWORD={token}x\n")).unwrap();
        if tries % 16 == 0 {
            grow(&place.tree(), COPIES + tries..COPIES + tries + 1);
        }
        // The first run takes longest: later ones are killed earlier, so that most are hit.
        if !killed(&place, &["scan"], within(whole)) {
            whole = whole.mul_f64(0.8).max(Duration::from_millis(20));
            continue;
        }
        hits += 1;
        let now = records(&place);
        for (id, before) in &known {
            let after = now.get(id).unwrap_or_else(|| panic!("lost after {tries} tries: {before}"));
            assert_eq!(after["presence"], "present", "after {tries} tries: {after}");
        }
        assert!(now.values().all(|row| row["presence"] == "present"), "after {tries} tries");
        known = now;
    }

    place.done(&["scan"]);
    let other = Place::new();
    other.write_configuration(&fs::read_to_string(place.configuration()).unwrap());
    other.done(&["scan"]);
    complete(&records(&place), &records(&other));
}

/// Everything that an undisturbed look at the same tree finds, and nothing twice.
fn complete(after: &BTreeMap<String, Value>, undisturbed: &BTreeMap<String, Value>) {
    assert_eq!(names(after), names(undisturbed));
    assert_eq!(after.len(), names(after).len(), "nothing is there twice");
    assert!(after.values().all(|row| row["presence"] == "present"));
}

#[test]
fn first_scans_killed_anywhere_are_made_good_by_the_next() {
    let place = Place::new();
    place.configure("");
    grow(&place.tree(), 0..COPIES / 2);
    let whole = time(&place, &["scan"]);
    let undisturbed = records(&place);
    let mut hits = 0;
    for _ in 0..STORES {
        fs::remove_dir_all(place.store()).unwrap();
        hits += u32::from(killed(&place, &["scan"], within(whole)));
        hits += u32::from(killed(&place, &["scan"], within(whole)));
        place.done(&["scan"]);
        complete(&records(&place), &undisturbed);
    }
    assert!(hits > STORES / 2, "most kills came too late: {hits} hit");
}

#[test]
fn a_killed_snapshot_leaves_the_former_ones_whole() {
    let (place, _) = Place::grown();
    place.done(&["scan"]);
    let whole = time(&place, &["snapshot", "take"]);
    let (mut hits, mut tries) = (0, 0);
    while hits < SNAPSHOTS_KILLED {
        tries += 1;
        assert!(tries < 10 * SNAPSHOTS_KILLED, "{hits} kills hit, the rest came too late");
        hits += u32::from(killed(&place, &["snapshot", "take"], within(whole)));
        let verified = place.listed(&["snapshot", "verify"]);
        assert!(!verified.is_empty() && verified.iter().all(|it| it["whole"] == true), "{verified:?}");
    }
    place.done(&["snapshot", "take"]);
    let left = fs::read_dir(place.store().join("snapshots")).unwrap();
    let names: Vec<String> = left.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    assert!(names.iter().all(|name| !name.starts_with('.')), "what was never finished is cleared away: {names:?}");
}
