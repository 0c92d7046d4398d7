//! An AWS key whose value lives in OpenBao, rotated while somebody uses it all the time.
//! It must never tell the consumer what goes on.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, UNIX_EPOCH},
};

use provost::wire::Hand;
use provost_model::{Ending, Phase, Span, Target};
use secrecy::ExposeSecret as _;
use tokio::runtime::Runtime;

use super::{
    Floor,
    faults::Fate,
    stages::{AccessKeys, Play, Stage},
};

fn floor(stage: &AccessKeys, play: &Play) -> (Floor, Arc<Hand>) {
    Floor::played((stage, play), "enabled = true\nlook_every = \"8h\"\n")
}

/// Reads the value from its place and uses it, again and again; counts uses and refusals.
fn consumer(hand: Arc<Hand>, target: Target, over: Arc<AtomicBool>) -> thread::JoinHandle<(usize, Vec<String>)> {
    thread::spawn(move || {
        let runtime = Runtime::new().unwrap();
        let (uses, mut refusals) = (AtomicUsize::new(0), Vec::new());
        while !over.load(Ordering::SeqCst) {
            let used = runtime.block_on(async {
                let held = hand.places[0].look().await.map_err(|error| format!("its place: {error}"))?;
                let value = held.value.ok_or("nothing is there")?;
                let id = value.get("access_key_id").ok_or("it has no id")?.expose_secret().to_owned();
                hand.rotator.verify(&target, &id, &value).await.map_err(|error| format!("refused: {error}"))
            });
            match used {
                Ok(()) => drop(uses.fetch_add(1, Ordering::SeqCst)),
                Err(said) => refusals.push(said),
            }
            thread::sleep(Duration::from_millis(5));
        }
        (uses.into_inner(), refusals)
    })
}

#[test]
fn whoever_uses_a_key_throughout_its_rotation_never_notices() {
    let Some(stage) = AccessKeys::new() else { return };
    for (number, fault) in [None, Some((0, Fate::DiesAfter)), Some((1, Fate::LostDone)), Some((3, Fate::DiesBefore))]
        .into_iter()
        .enumerate()
    {
        let play = stage.play(number);
        let (mut floor, raw) = floor(&stage, &play);
        if let Some((call, fate)) = fault {
            floor.faults.at(call, fate);
        }
        let target = Target {
            record: provost_model::RecordId::from_bytes([1; 16]),
            realm: super::realm().to_string(),
            kind: play.kind,
            external_id: play.external.clone(),
            name: play.external.clone(),
            holder_id: play.holder.clone(),
            holder_name: play.holder.clone(),
        };
        let over = Arc::new(AtomicBool::new(false));
        let using = consumer(raw, target, Arc::clone(&over));
        let begun = floor.now();
        let done = floor.go(|_| {
            // Consumers come by more often than a saga takes a step.
            thread::sleep(Duration::from_millis(60));
            false
        });
        over.store(true, Ordering::SeqCst);
        let (uses, refusals) = using.join().unwrap();
        assert_eq!(done.ended.map(|it| it.0), Some(Ending::Done), "{done:#?}");
        assert_eq!(refusals, [""; 0], "of {uses}");
        assert!(uses > 10 && floor.now() - begun > Span::days(8), "{uses}");
        assert_eq!(stage.working(&play), 1);
    }
}

#[test]
fn an_old_key_that_is_still_in_use_is_never_disabled() {
    let Some(stage) = AccessKeys::new() else { return };
    let play = stage.play(0);
    let (mut floor, _) = floor(&stage, &play);
    let begun = floor.now();
    // Somebody has the old one in memory, and uses it every few hours for two weeks.
    while floor.now() - begun < Span::days(14) {
        let now = Duration::from_micros(u64::try_from(floor.now().as_micros()).unwrap());
        stage.aws.ahead(now.saturating_sub(UNIX_EPOCH.elapsed().unwrap()));
        stage.aws.used(&play.external, UNIX_EPOCH + now);
        floor.turn();
        floor.desk.pass(Span::hours(4));
    }
    let saga = floor.saga();
    assert!(saga.phase == Phase::Observe && saga.ended.is_none(), "{saga:#?}");
    assert!(saga.waits.unwrap().contains("the old one was used at"));
    assert!(stage.aws.keys(&play.holder).contains(&(play.external.clone(), "Active".to_owned())));
    assert_eq!(floor.faults.calls(), ["mint", "put", "reload"]);
}
