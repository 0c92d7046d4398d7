//! A source that shows a part of the estate, the clock of an estate, and one run over all its sources: the daemon's own
//! way from a connector to the store. It must never stand in for anything behind the connector.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use async_trait::async_trait;
use provost::{
    house::House,
    jobs::{
        Watcher,
        scan::{Looking, scan},
    },
};
use provost_connectors::{Access, Bookmarks, Connector, Emitter, Reach, Spec};
use provost_model::{Clock, Cover, Kind, Outcome, Span, Time, Trouble};
use provost_store::{Store, StoreError};
use tokio_util::sync::CancellationToken;

use crate::estate::{DAWN, Estate};

/// The time of the estate's day, or of the store's last commit if that is later; it goes on as time does.
pub(crate) struct DayClock {
    day: AtomicI64,
    committed: Time,
    begun: Instant,
}

impl DayClock {
    /// Moves to the day.
    pub(crate) fn set(&self, day: u64) {
        self.day.store(i64::try_from(day).unwrap_or(0), Ordering::SeqCst);
    }
}

impl Clock for DayClock {
    fn now(&self) -> Time {
        let spent = i64::try_from(self.begun.elapsed().as_micros()).unwrap_or(0);
        self.committed.max(DAWN + Span::days(self.day.load(Ordering::SeqCst))) + Span::micros(spent)
    }
}

/// A house over a store, with the clock of an estate.
pub(crate) struct Place {
    pub(crate) house: Arc<House>,
    pub(crate) clock: Arc<DayClock>,
}

impl Place {
    pub(crate) fn over(store: Arc<dyn Store>, day: u64) -> Result<Self> {
        let day = AtomicI64::new(i64::try_from(day)?);
        let clock = Arc::new(DayClock { day, committed: store.head()?.at, begun: Instant::now() });
        Ok(Self { house: Arc::new(House::new(store, clock.clone())), clock })
    }

    /// Looks at every source once, one after the other. `on` is told how many sources are done.
    pub(crate) fn look(&self, estate: Estate, on: &mut dyn FnMut(usize)) -> Result<()> {
        self.clock.set(estate.day);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        for (number, source) in estate.sources().into_iter().enumerate() {
            let connector = Arc::new(Shown { estate, source: u64::try_from(number)? });
            let looking = Looking {
                source,
                spec: &SPEC,
                connector,
                limit: Duration::from_secs(24 * 3600),
                full_every: Span::days(7),
                sweep_now: false,
                next_run: None,
                no_room: CancellationToken::new(),
            };
            let run = scan(Arc::clone(&self.house), looking, Box::new(Nobody), CancellationToken::new());
            let run = runtime.block_on(run)?;
            if run.outcome != Outcome::Complete {
                bail!("a run ended as {:?}: {:?}", run.outcome, run.troubles);
            }
            on(number + 1);
        }
        Ok(())
    }
}

struct Shown {
    estate: Estate,
    source: u64,
}

static SPEC: Spec = Spec {
    name: "shown",
    title: "Shown",
    about: "Shows a part of an estate.",
    version: 1,
    reach: Reach::Provider,
    kinds: &[Kind::User, Kind::AccessKey, Kind::OauthGrant, Kind::Person],
    reads: &[],
    permissions: &[],
    blind_spots: &[],
    example: "",
    documentation: &[],
    build: &|_| Err("made by the bench".into()),
};

#[async_trait]
impl Connector for Shown {
    async fn announce(&self) -> String {
        "an estate of numbers".into()
    }

    async fn check(&self) -> Access {
        Access::default()
    }

    fn disposition(&self) -> String {
        String::new()
    }

    async fn discover(&self, _: &Bookmarks, to: &mut Emitter) -> Result<(), Trouble> {
        to.realm(Estate::realm(self.source)).await?;
        for part in self.estate.parts(self.source) {
            to.begin(&part.scope, None).await?;
            let mut as_of = to.now();
            for (number, entity) in self.estate.entities(&part).enumerate() {
                // A page of a provider's answer has one time.
                if number % 1_000 == 0 {
                    as_of = to.now();
                }
                to.see(&part.scope, None, as_of, entity).await?;
            }
            to.cover(&part.scope, None, to.now(), Cover::Full { next: None, atomic: false }).await?;
        }
        Ok(())
    }
}

/// Judging is measured by itself.
struct Nobody;

impl Watcher for Nobody {
    fn changed(&mut self, _: &House, _: Vec<provost::jobs::judge::Touched>) -> Result<(), StoreError> {
        Ok(())
    }
    fn over(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
    fn progress(&mut self, _: u64, _: Option<u64>, _: &'static str) {}
    fn clock_ahead(&mut self, _: Span) {}
}
