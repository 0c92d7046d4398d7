//! Budgets learned from answers: calls wait when only the share that belongs to others is left.
//! It must never let a call go that its provider asked to be spared, nor wait longer than it may.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::Response;
use provost_model::Time;
use tokio::{sync::Notify, time::Instant};

use super::dialect;

/// One budget of a provider, as its answers told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// What it is for: the provider's name of it, or the read.
    pub resource: String,
    /// Calls that a window allows.
    pub limit: u64,
    /// Calls left in the present window.
    pub remaining: u64,
    /// Calls of them that are left to others.
    pub reserve: u64,
    /// When the next window begins, by the provider's clock.
    pub resets: Option<Time>,
}

/// The budgets of one provider.
#[derive(Debug)]
pub(crate) struct Budgets {
    /// Share left to others.
    reserve: f64,
    state: Mutex<State>,
    /// Wakes those who wait for an answer to a call before theirs.
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Which budget the calls of a read are taken from, once an answer told.
    classes: HashMap<String, String>,
    purses: BTreeMap<String, Purse>,
}

/// What is left for one class of calls.
#[derive(Debug, Default)]
struct Purse {
    told: Option<Budget>,
    /// Until when what was told counts.
    until: Option<Instant>,
    /// Until when the provider wants to be left alone.
    spared: Option<Instant>,
    in_flight: u64,
}

/// Why no call may go.
enum Closed {
    /// The window must end, or the time for which the provider asked.
    Until(Instant),
    /// The calls in flight may have taken what is left: their answers will tell.
    InFlight,
}

/// A call that may go. Dropped when its answer is there, or was given up.
#[derive(Debug)]
pub(crate) struct Ticket<'a> {
    budgets: &'a Budgets,
    class: String,
}

/// Most budgets with a name of the provider's.
const NAMES_MAX: usize = 256;
/// How long what is left counts when the provider does not say.
const UNSAID: Duration = Duration::from_secs(60);

impl Budgets {
    /// Budgets of which that share, between 0 and 1, is left to others.
    pub(crate) fn new(reserve: f64) -> Self {
        Self { reserve: reserve.clamp(0.0, 1.0), state: Mutex::default(), changed: Notify::new() }
    }

    /// Waits until a call of that read may go. If that is further off than `at_most`, says how far at once.
    pub(crate) async fn admit(&self, read: &str, at_most: Duration) -> Result<Ticket<'_>, Duration> {
        loop {
            let (now, changed) = (Instant::now(), self.changed.notified());
            let until = {
                let mut state = self.state();
                let class = state.classes.get(read).map_or(read, String::as_str).to_owned();
                let purse = state.purses.entry(class.clone()).or_default();
                match purse.closed(now) {
                    None => {
                        purse.in_flight += 1;
                        return Ok(Ticket { budgets: self, class });
                    }
                    Some(Closed::Until(until)) => Some(until),
                    Some(Closed::InFlight) => None,
                }
            };
            let Some(until) = until else {
                changed.await;
                continue;
            };
            let wait = until - now;
            if wait > at_most {
                return Err(wait);
            }
            tracing::debug!(read, seconds = wait.as_secs(), "waited for the provider's next window");
            tokio::time::sleep_until(until).await;
        }
    }

    /// Learns from an answer to that read.
    pub(crate) fn learn(&self, read: &str, answer: &Response<Bytes>, throttled: bool) {
        let headers = answer.headers();
        let (told, wait) = (dialect::told(headers), dialect::wait(answer, throttled));
        let wait = wait.filter(|_| throttled || answer.status().is_server_error());
        if told.is_none() && wait.is_none() {
            return;
        }
        let now = Instant::now();
        let mut state = self.state();
        let named = told.as_ref().and_then(|told| told.resource.clone());
        let named = named.filter(|name| state.purses.contains_key(name) || state.purses.len() < NAMES_MAX);
        if let Some(name) = named {
            state.classes.insert(read.to_owned(), name);
        }
        let class = state.classes.get(read).map_or(read, String::as_str).to_owned();
        let purse = state.purses.entry(class.clone()).or_default();
        if let Some(wait) = wait.and_then(|wait| now.checked_add(wait)) {
            purse.spared = purse.spared.max(Some(wait));
        }
        if let Some(told) = told {
            let before = purse.told.as_ref().map_or(0, |budget| budget.limit);
            let limit = told.limit.unwrap_or(before).max(told.remaining);
            let resets = told.lasts.and_then(|lasts| dialect::moment(headers, lasts));
            purse.until = now.checked_add(told.lasts.unwrap_or(UNSAID));
            let reserve = share(limit, self.reserve);
            purse.told = Some(Budget { resource: class, limit, remaining: told.remaining, reserve, resets });
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// What was told so far.
    pub(crate) fn known(&self) -> Vec<Budget> {
        self.state().purses.values().filter_map(|purse| purse.told.clone()).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A poisoned lock means that another task panicked between two plain assignments: the figures are sound.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Purse {
    /// Why no call may go now, if none may.
    fn closed(&mut self, now: Instant) -> Option<Closed> {
        if let Some(spared) = self.spared.filter(|spared| *spared > now) {
            return Some(Closed::Until(spared));
        }
        let told = self.told.as_mut()?;
        if self.until.is_some_and(|until| until <= now) {
            // A new window: as many calls as it allows, until an answer tells.
            (told.remaining, told.resets, self.until) = (told.limit, None, None);
        }
        if told.remaining.saturating_sub(self.in_flight) > told.reserve {
            return None;
        }
        match self.until {
            Some(until) if told.remaining <= told.reserve => Some(Closed::Until(until)),
            _ => Some(Closed::InFlight),
        }
    }
}

/// The calls that are left to others: never all of them.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a share of calls"
)]
fn share(limit: u64, reserve: f64) -> u64 {
    ((limit as f64 * reserve).ceil() as u64).min(limit.saturating_sub(1))
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        if let Some(purse) = self.budgets.state().purses.get_mut(&self.class) {
            purse.in_flight = purse.in_flight.saturating_sub(1);
        }
        self.budgets.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &str)]) -> Response<Bytes> {
        let mut answer = Response::new(Bytes::new());
        *answer.status_mut() = status.try_into().unwrap();
        for (name, value) in headers {
            answer.headers_mut().append(*name, value.parse().unwrap());
        }
        answer
    }

    fn left(remaining: &str, reset: &str, resource: Option<&str>) -> Response<Bytes> {
        let mut headers =
            vec![("x-ratelimit-limit", "100"), ("x-ratelimit-remaining", remaining), ("x-ratelimit-reset", reset)];
        headers.extend(resource.map(|name| ("x-ratelimit-resource", name)));
        answer(200, &headers)
    }

    const HOUR: Duration = Duration::from_secs(3_600);

    /// How long a call waits, in seconds.
    async fn waits(budgets: &Budgets, read: &str) -> u64 {
        let began = Instant::now();
        drop(budgets.admit(read, HOUR).await.unwrap());
        began.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_left_to_others_is_not_touched() {
        let budgets = Budgets::new(0.2);
        assert_eq!(waits(&budgets, "a").await, 0, "nothing is known");
        budgets.learn("a", &left("21", "60", None), false);
        let first = budgets.admit("a", HOUR).await.unwrap();
        let second = budgets.admit("a", Duration::ZERO);
        let answered = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            drop(first);
        };
        assert!(tokio::join!(second, answered).0.is_ok(), "the answer told nothing, so one is left");
        budgets.learn("a", &left("20", "60", None), false);
        assert_eq!(budgets.admit("a", Duration::from_secs(59)).await.map(drop), Err(Duration::from_secs(60)));
        assert_eq!(waits(&budgets, "b").await, 0, "another read has a budget of its own");
        assert_eq!(waits(&budgets, "a").await, 60);
        assert_eq!(waits(&budgets, "a").await, 0, "a new window");
        let [known] = &budgets.known()[..] else { panic!() };
        assert_eq!((known.resource.as_str(), known.limit, known.reserve), ("a", 100, 20));
    }

    #[tokio::test(start_paused = true)]
    async fn reads_of_one_resource_share_its_budget() {
        let budgets = Budgets::new(0.0);
        budgets.learn("a", &left("50", "60", Some("core")), false);
        budgets.learn("b", &left("0", "60", Some("core")), false);
        budgets.learn("c", &left("10", "60", Some("graphql")), false);
        assert_eq!(waits(&budgets, "c").await, 0);
        assert_eq!(waits(&budgets, "a").await, 60);
        assert_eq!(budgets.known().len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_window_is_not_overrun_before_it_is_known() {
        let budgets = Budgets::new(0.5);
        let told = [("x-ratelimit-limit", "4"), ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "60")];
        budgets.learn("a", &answer(200, &told), false);
        let one = budgets.admit("a", HOUR).await.unwrap();
        let two = budgets.admit("a", HOUR).await.unwrap();
        let third = tokio::time::timeout(HOUR, budgets.admit("a", HOUR)).await;
        assert!(third.is_err(), "two of four are others'");
        let told = [("x-ratelimit-limit", "4"), ("x-ratelimit-remaining", "3"), ("x-ratelimit-reset", "60")];
        budgets.learn("a", &answer(200, &told), false);
        drop((one, two));
        assert_eq!(waits(&budgets, "a").await, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_provider_that_asks_to_be_spared_is() {
        let budgets = Budgets::new(0.0);
        budgets.learn("a", &answer(429, &[("retry-after", "30")]), true);
        budgets.learn("b", &answer(503, &[("retry-after", "20")]), false);
        budgets.learn("c", &answer(200, &[("retry-after", "20")]), false);
        budgets.learn("d", &answer(429, &[("retry-after", "90000")]), true);
        assert_eq!(waits(&budgets, "c").await, 0);
        assert_eq!(waits(&budgets, "b").await, 20);
        assert_eq!(waits(&budgets, "a").await, 10);
        assert!(budgets.admit("d", HOUR).await.is_err());
    }

    #[test]
    fn a_share_is_never_all() {
        let table = [(5_000, 0.2, 1_000), (1, 0.9, 0), (2, 1.0, 1), (0, 0.5, 0), (3, 0.1, 1)];
        for (limit, reserve, kept) in table {
            assert_eq!(share(limit, reserve), kept, "{reserve} of {limit}");
        }
    }
}
