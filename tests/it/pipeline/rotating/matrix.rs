//! The crash matrix: every rotator, killed before and after every step that changes something outside, and with every answer lost.
//! It must never be written by hand: `PROVOST_UPDATE_DOCS=1` writes it anew from what happened.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use provost::wire::Hand;
use provost_model::{Ending, Remedy, Saga};
use secrecy::ExposeSecret as _;

use super::{
    Floor,
    faults::Fate,
    stages::{self, Play, Stage, active},
};

const GOLDEN: &str = "tests/golden/crash_matrix.txt";
/// Windows long enough to be waited for, and short enough that clocks outside and inside stay near each other.
const COMMON: &str =
    "enabled = true\noverlap = \"10s\"\nquiet = \"10s\"\nblind = \"20s\"\nwatch = \"10s\"\nlook_every = \"5h\"\n";

/// Parts of values that are no secret: ids and names, what is public.
const OPEN: [&str; 5] = ["access_key_id", "user", "public_key", "certificate", "ca_chain"];

/// One play of a stage, with a fault.
fn played(stage: &dyn Stage, number: usize, fault: Option<(usize, Fate)>) -> (Vec<&'static str>, String) {
    let play = stage.play(number);
    let (mut floor, raw) = Floor::played((stage, &play), COMMON);
    if let Some((call, fate)) = fault {
        floor.faults.at(call, fate);
    }
    let saga = floor.rest();
    let said = outcome((stage, &play), (&floor, &raw), &saga);
    (floor.faults.calls(), said)
}

/// What came of it; anything that is not as it should be is said.
fn outcome((stage, play): (&dyn Stage, &Play), (floor, raw): (&Floor, &Arc<Hand>), saga: &Saga) -> String {
    let word = match saga.ended {
        Some((Ending::Done, _)) if saga.remedy != Remedy::Rotate => "done",
        Some((Ending::Done, _)) => "rotated",
        Some((Ending::Restored, _)) => "restored",
        Some((Ending::Moot, _)) => return "MOOT".to_owned(),
        None => return format!("HELD: {}", saga.held.clone().unwrap_or_default()),
    };
    let mut faults = Vec::new();
    let working = stage.working(play);
    if working != 1 {
        faults.push(format!("{working} WORK"));
    }
    // One that may be ours, and that nobody has the value of.
    faults
        .extend(saga.journal.iter().filter(|entry| entry.what == "left").map(|entry| format!("LEFT: {}", entry.said)));
    let new = saga.minted.as_ref().filter(|_| word == "rotated");
    floor.runtime.block_on(async {
        let mut active = active(raw.rotator.as_ref(), &saga.target).await;
        // What is replaced in its place stays, and lists its versions.
        active.retain(|id| !raw.entry.how.in_place || *id != saga.target.external_id);
        if let Some(new) = new
            && (!active.contains(&new.id) || active.len() != 1)
        {
            faults.push(format!("{active:?} ACTIVE, {} MADE", new.id));
        }
        // What the places have works.
        let mut held = provost_actions::Bundle::default();
        for place in &raw.places {
            held = held.with(place.look().await.unwrap().value.unwrap_or_default());
        }
        let kept = floor.kept(saga);
        for (part, value) in held.iter().filter(|(part, _)| !OPEN.contains(part)) {
            // In whichever form: as it is, and as JSON has it.
            let value = value.expose_secret().trim();
            let escaped = serde_json::to_string(value).unwrap();
            if kept.contains(value) || kept.contains(escaped.trim_matches('"')) {
                faults.push(format!("{part} IS WRITTEN DOWN"));
            }
        }
        if let Some(new) = new
            && let Err(error) = raw.rotator.verify(&saga.target, &new.id, &held).await
        {
            faults.push(format!("HELD VALUE REFUSED: {error}"));
        }
    });
    if faults.is_empty() { word.to_owned() } else { format!("{word}, BUT {}", faults.join("; ")) }
}

#[test]
fn whatever_dies_or_is_lost_at_whichever_step_one_credential_works_and_is_where_it_belongs() {
    let stages = stages::all();
    let mut lines: BTreeMap<String, Vec<String>> = BTreeMap::new();
    std::thread::scope(|scope| {
        let plays: Vec<_> = stages.iter().map(|stage| scope.spawn(|| (stage.name(), matrix(stage.as_ref())))).collect();
        for play in plays {
            let (name, rows) = play.join().unwrap();
            lines.insert(name.to_owned(), rows);
        }
    });
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(GOLDEN);
    if std::env::var_os("PROVOST_UPDATE_DOCS").is_some() {
        fs::write(&path, lines.values().flatten().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    for (name, rows) in &lines {
        let kept: Vec<&str> = golden.lines().filter(|line| line.split(' ').next() == Some(name)).collect();
        assert_eq!(rows, &kept, "PROVOST_UPDATE_DOCS=1 writes {GOLDEN} anew");
        let wrong: Vec<&String> = rows.iter().filter(|row| row.chars().any(char::is_uppercase)).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}

/// Every row of one rotator.
fn matrix(stage: &dyn Stage) -> Vec<String> {
    let mut number = 0;
    let mut play = |fault| {
        number += 1;
        played(stage, number, fault)
    };
    let (calls, said) = play(None);
    let mut rows = vec![format!("{} undisturbed: {said}", stage.name())];
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for (at, call) in calls.iter().enumerate() {
        let nth = seen.entry(call).and_modify(|it| *it += 1).or_insert(1);
        let call = if *nth > 1 { format!("{call} {nth}") } else { (*call).to_owned() };
        for fate in Fate::ALL {
            let (_, said) = play(Some((at, fate)));
            rows.push(format!("{} {call}, {}: {said}", stage.name(), fate.word()));
        }
    }
    rows
}
