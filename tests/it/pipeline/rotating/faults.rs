//! What stands between hands and the world in tests: a call dies before it leaves or before its answer is written down, or its
//! answer is lost. It must never change what a call does.

use std::{
    future::{Future, pending},
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use provost::wire::Hand;
use provost_actions::{
    ActionError, Bundle,
    destinations::{Destination, Holding},
    rotators::{Minted, Prepared, Rotator},
};
use provost_model::{Order, Remedy, Slot, Target, Warrant as _};
use tokio::sync::Notify;

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    DiesBefore,
    DiesAfter,
    LostDone,
    LostUndone,
}

impl Fate {
    pub(crate) const ALL: [Fate; 4] = [Fate::DiesBefore, Fate::DiesAfter, Fate::LostDone, Fate::LostUndone];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Fate::DiesBefore => "killed before",
            Fate::DiesAfter => "killed after",
            Fate::LostDone => "answer lost, done",
            Fate::LostUndone => "answer lost, not done",
        }
    }
}

/// Which call meets which fate, and which calls there were.
#[derive(Default)]
pub(crate) struct Faults {
    plan: Mutex<Option<(usize, Fate)>>,
    calls: Mutex<Vec<&'static str>>,
    died: Notify,
}

impl Faults {
    /// The call of that number, from now on, meets that fate.
    pub(crate) fn at(&self, number: usize, fate: Fate) {
        self.calls.lock().unwrap().clear();
        *self.plan.lock().unwrap() = Some((number, fate));
    }

    /// The calls since then.
    pub(crate) fn calls(&self) -> Vec<&'static str> {
        self.calls.lock().unwrap().clone()
    }

    /// Waits until somebody dies.
    pub(crate) async fn died(&self) {
        self.died.notified().await;
    }

    async fn meet<T>(
        &self,
        call: &'static str,
        order: Option<&Order>,
        done: impl Future<Output = Result<T, ActionError>> + Send,
    ) -> Result<T, ActionError> {
        assert!(order.is_none_or(|it| it.remedy() != Remedy::Tell), "an order to tell changes nothing");
        let fate = {
            let mut calls = self.calls.lock().unwrap();
            calls.push(call);
            let plan = self.plan.lock().unwrap();
            plan.filter(|(number, _)| calls.len() == number + 1).map(|(_, fate)| fate)
        };
        let lost = || Err(ActionError::Ambiguous { said: "cut".into() });
        match fate {
            None => done.await,
            Some(Fate::DiesBefore) => {
                self.died.notify_one();
                pending().await
            }
            Some(Fate::DiesAfter) => {
                let _ = done.await;
                self.died.notify_one();
                pending().await
            }
            Some(Fate::LostDone) => {
                let _ = done.await;
                lost()
            }
            Some(Fate::LostUndone) => lost(),
        }
    }
}

/// The same hand behind faults.
pub(crate) fn behind(hand: &Hand, faults: &Arc<Faults>) -> Hand {
    let rotator = Arc::new(Behind { it: Arc::clone(&hand.rotator), faults: Arc::clone(faults) });
    let places = hand.places.iter().map(|it| {
        let place: Arc<dyn Destination> = Arc::new(Behind { it: Arc::clone(it), faults: Arc::clone(faults) });
        place
    });
    Hand { entry: hand.entry.clone(), rotator, places: places.collect() }
}

struct Behind<T> {
    it: T,
    faults: Arc<Faults>,
}

#[async_trait]
impl Rotator for Behind<Arc<dyn Rotator>> {
    async fn look(&self, target: &Target) -> Result<Vec<Slot>, ActionError> {
        self.it.look(target).await
    }

    /// It changes nothing outside, and whoever does it may die all the same.
    async fn prepare(&self, target: &Target) -> Result<Prepared, ActionError> {
        self.faults.meet("prepare", None, self.it.prepare(target)).await
    }

    async fn mint(&self, order: &Order, target: &Target, mark: &str, prepared: &Bundle) -> Result<Minted, ActionError> {
        self.faults.meet("mint", Some(order), self.it.mint(order, target, mark, prepared)).await
    }

    async fn verify(&self, target: &Target, id: &str, value: &Bundle) -> Result<(), ActionError> {
        self.it.verify(target, id, value).await
    }

    async fn disable(&self, order: &Order, target: &Target, id: &str) -> Result<(), ActionError> {
        self.faults.meet("disable", Some(order), self.it.disable(order, target, id)).await
    }

    async fn enable(&self, order: &Order, target: &Target, id: &str) -> Result<(), ActionError> {
        self.faults.meet("enable", Some(order), self.it.enable(order, target, id)).await
    }

    async fn delete(&self, order: &Order, target: &Target, id: &str) -> Result<(), ActionError> {
        self.faults.meet("delete", Some(order), self.it.delete(order, target, id)).await
    }

    async fn check(&self) -> Result<String, ActionError> {
        self.it.check().await
    }

    fn own(&self) -> Vec<String> {
        self.it.own()
    }
}

#[async_trait]
impl Destination for Behind<Arc<dyn Destination>> {
    async fn look(&self) -> Result<Holding, ActionError> {
        self.it.look().await
    }

    async fn put(&self, order: &Order, value: &Bundle, before: Option<&str>) -> Result<String, ActionError> {
        self.faults.meet("put", Some(order), self.it.put(order, value, before)).await
    }

    async fn restore(&self, order: &Order, before: Option<&str>, ours: &str) -> Result<(), ActionError> {
        self.faults.meet("restore", Some(order), self.it.restore(order, before, ours)).await
    }

    async fn reload(&self, order: &Order) -> Result<(), ActionError> {
        self.faults.meet("reload", Some(order), self.it.reload(order)).await
    }

    async fn settle(&self, order: &Order) -> Result<(), ActionError> {
        self.faults.meet("settle", Some(order), self.it.settle(order)).await
    }

    async fn check(&self) -> Result<String, ActionError> {
        self.it.check().await
    }
}
