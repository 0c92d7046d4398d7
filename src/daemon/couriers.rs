//! Who carries letters out: one courier for each sink, so that a slow one keeps nobody else waiting.
//! It must never have two couriers for one sink, nor send one out when the daemon is to end.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tokio::task::{JoinHandle, spawn_blocking};
use tokio_util::sync::CancellationToken;

use crate::{
    house::House,
    jobs::{
        deliver::{AT_ONCE, Pace, deliver},
        rotate::{self, InHand},
        tell, tickets,
    },
    wire::Wiring,
};

/// Letters among which those that are due are looked for.
const DUE: usize = 20_000;
/// How often routes and baselines are looked at, in rounds.
const SURVEY: u64 = 10;
/// How often it is asked how tickets stand, in rounds.
const TICKETS: u64 = 300;
/// How often it is asked whether there is something to tell where no route is configured, in rounds: a multiple of the other, so
/// that routes that were taken away are noticed.
const NOBODY: u64 = 60;

/// Couriers on their way, and how fast each sink takes letters.
#[derive(Default)]
pub struct Couriers {
    writing: Option<JoinHandle<()>>,
    asking: Option<JoinHandle<()>>,
    changing: Option<JoinHandle<()>>,
    values: InHand,
    out: BTreeMap<String, JoinHandle<Option<Pace>>>,
    paces: BTreeMap<String, Pace>,
    rounds: u64,
}

impl Couriers {
    /// Has written down what there is to tell, and sends couriers out with what is due. `house` is that of this turn.
    pub async fn round(&mut self, house: &House, wiring: &Arc<Wiring>, stop: &CancellationToken) {
        self.rounds += 1;
        self.change(house, wiring, stop);
        if wiring.config.routes.is_empty() && self.rounds % NOBODY != 1 {
            return;
        }
        if self.writing.as_ref().is_none_or(JoinHandle::is_finished) {
            let (house, wiring, whole) = (house.clone(), Arc::clone(wiring), self.rounds % SURVEY == 1);
            self.writing = Some(spawn_blocking(move || {
                let surveyed = if whole { tell::survey(&house, &wiring) } else { Ok(()) };
                if let Err(error) = surveyed.and_then(|()| tell::turn(&house, &wiring)) {
                    tracing::error!(%error, "cannot write down what there is to tell");
                }
            }));
        }
        self.come_home().await;
        if stop.is_cancelled() {
            return;
        }
        if self.rounds % TICKETS == 1 && self.asking.as_ref().is_none_or(JoinHandle::is_finished) {
            let (house, wiring, stop) = (house.clone(), Arc::clone(wiring), stop.clone());
            self.asking = Some(tokio::spawn(async move {
                let asked = stop.run_until_cancelled(tickets::turn(&house, &wiring)).await;
                if let Some(Err(error)) = asked {
                    tracing::error!(%error, "cannot write down how tickets stand");
                }
            }));
        }
        let due = match house.inventory().due_letters(house.now(), (DUE, AT_ONCE)) {
            Ok(due) => due,
            Err(error) => return tracing::error!(%error, "cannot tell which letters are due"),
        };
        for (sink, letters) in due {
            if self.out.contains_key(&sink) {
                continue;
            }
            let pace = self.paces.get(&sink).copied().unwrap_or_else(|| Pace::new(house.now()));
            let (house, wiring, stop) = (house.clone(), Arc::clone(wiring), stop.clone());
            let to = sink.clone();
            let carried = async move {
                match deliver(house, wiring, (to.clone(), letters), pace, stop).await {
                    Ok(pace) => Some(pace),
                    Err(error) => {
                        tracing::error!(sink = to, %error, "cannot write down what became of a letter");
                        None
                    }
                }
            };
            self.out.insert(sink, tokio::spawn(carried));
        }
    }

    /// Has decisions to act carried on, beside everything else.
    fn change(&mut self, house: &House, wiring: &Arc<Wiring>, stop: &CancellationToken) {
        if self.changing.as_ref().is_some_and(|it| !it.is_finished()) {
            return;
        }
        let (house, wiring, values, stop) = (house.clone(), Arc::clone(wiring), self.values.clone(), stop.clone());
        self.changing = Some(tokio::spawn(async move {
            if let Err(error) = rotate::turn(&house, &wiring, &values, &stop).await {
                tracing::error!(%error, "cannot write down how a change goes on");
            }
        }));
    }

    /// Takes in what those who are back have learnt.
    async fn come_home(&mut self) {
        let back: BTreeSet<String> =
            self.out.iter().filter(|(_, courier)| courier.is_finished()).map(|(sink, _)| sink.clone()).collect();
        for sink in back {
            if let Some(courier) = self.out.remove(&sink)
                && let Ok(Some(pace)) = courier.await
            {
                self.paces.insert(sink, pace);
            }
        }
    }

    /// Waits until everybody is back.
    pub async fn home(self) {
        if let Some(writing) = self.writing {
            let _ = writing.await;
        }
        if let Some(asking) = self.asking {
            let _ = asking.await;
        }
        if let Some(changing) = self.changing {
            let _ = changing.await;
        }
        for (_, courier) in self.out {
            let _ = courier.await;
        }
    }
}
