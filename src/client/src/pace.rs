//! How fast calls may follow each other, per action: additive increase, multiplicative decrease on throttles.
//! It must never be faster than the ceiling it was given, nor stop for good.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Whose bucket the calls are taken from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    /// The bucket belongs to others too: at most so many calls a second for each action.
    Shared {
        /// Calls a second for each action.
        most: f64,
    },
    /// As fast as calls in flight allow, until the provider throttles.
    Full,
}

/// The pace of one source: one lane per action.
#[derive(Debug)]
pub struct Pace {
    mode: Mode,
    lanes: Mutex<HashMap<String, Arc<Lane>>>,
}

/// Slowest pace, calls a second: a throttled lane goes on trying.
const LEAST: f64 = 0.5;
/// Share of the pace gained by each second of calls that went well: slow, since every throttle hits others too.
const RISE: f64 = 0.015;
/// Most calls a second so gained when the bucket belongs to others too.
const RISE_MOST: f64 = 0.1;
/// What is left of the pace after a throttle.
const CUT: f64 = 0.6;
/// Over how long the pace that led to a throttle is measured in full mode.
const WINDOW: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct Lane {
    /// Whoever holds it is the next to go. The others wait behind it, and so feel a cut at once.
    turn: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Calls a second; infinite in full mode until the first throttle.
    rate: f64,
    /// When the next call may go.
    free_at: Instant,
    /// When the pace was last cut: throttles of calls sent before belong to the same congestion.
    cut_at: Option<Instant>,
    /// Calls answered well since `counted_from`, in full mode.
    answered: u32,
    counted_from: Instant,
}

impl Pace {
    /// A pace in that mode.
    pub fn new(mode: Mode) -> Self {
        Self { mode, lanes: Mutex::default() }
    }

    /// Waits until a call of that action may be sent, and gives the moment at which it is.
    pub async fn turn(&self, action: &str) -> Instant {
        let lane = self.lane(action);
        let _turn = lane.turn.lock().await;
        loop {
            let now = Instant::now();
            let free_at = lane.with(|state| {
                if state.free_at <= now && state.rate.is_finite() {
                    state.free_at = now + Duration::from_secs_f64(1.0 / state.rate);
                    return now;
                }
                state.free_at
            });
            if free_at <= now {
                return now;
            }
            tokio::time::sleep_until(free_at).await;
        }
    }

    /// Learns that a call went through.
    pub fn went_well(&self, action: &str) {
        let ceiling = self.ceiling();
        self.lane(action).with(|state| {
            if state.rate.is_finite() {
                let rise =
                    if ceiling.is_finite() { (state.rate * RISE).min(RISE_MOST) } else { state.rate * 2.0 * RISE };
                state.rate = (state.rate + rise / state.rate).min(ceiling);
                return;
            }
            let now = Instant::now();
            if now.duration_since(state.counted_from) > WINDOW {
                (state.counted_from, state.answered) = (now, 0);
            }
            state.answered = state.answered.saturating_add(1);
        });
    }

    /// Learns that a call sent at that moment was throttled.
    pub fn was_throttled(&self, action: &str, sent: Instant) {
        self.lane(action).with(|state| {
            let now = Instant::now();
            if state.cut_at.is_some_and(|cut_at| sent <= cut_at) {
                return;
            }
            let before = if state.rate.is_finite() { state.rate } else { state.measured(now) };
            state.rate = (before * CUT).max(LEAST);
            state.cut_at = Some(now);
            // Let the bucket gather a little before going on.
            state.free_at = state.free_at.max(now + Duration::from_secs_f64(2.0 / state.rate));
        });
    }

    fn ceiling(&self) -> f64 {
        match self.mode {
            Mode::Shared { most } => most.max(LEAST),
            Mode::Full => f64::INFINITY,
        }
    }

    fn lane(&self, action: &str) -> Arc<Lane> {
        // A poisoned lock means that another task panicked between two plain assignments: the numbers are sound.
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lane) = lanes.get(action) {
            return lane.clone();
        }
        let state = State::new(self.ceiling(), Instant::now());
        let lane = Arc::new(Lane { turn: tokio::sync::Mutex::default(), state: Mutex::new(state) });
        lanes.insert(action.to_owned(), lane.clone());
        lane
    }
}

impl Lane {
    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn new(rate: f64, now: Instant) -> Self {
        Self { rate, free_at: now, cut_at: None, answered: 0, counted_from: now }
    }

    /// Calls a second that went well lately, for the first throttle in full mode.
    fn measured(&self, now: Instant) -> f64 {
        let over = now.duration_since(self.counted_from).max(WINDOW / 4);
        (f64::from(self.answered) / over.as_secs_f64()).max(LEAST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A provider's bucket: `rate` a second, `burst` at most.
    struct Bucket {
        rate: f64,
        burst: f64,
        level: f64,
        at: Instant,
        sent: u32,
        throttled: u32,
    }

    impl Bucket {
        fn take(&mut self) -> bool {
            let now = Instant::now();
            self.level = (self.level + self.rate * now.duration_since(self.at).as_secs_f64()).min(self.burst);
            self.at = now;
            self.sent += 1;
            let went = self.level >= 1.0;
            if went {
                self.level -= 1.0;
            } else {
                self.throttled += 1;
            }
            went
        }
    }

    /// Sixteen workers that need `needed` answers; gives calls sent and throttled.
    async fn simulate(mode: Mode, rate: f64, burst: f64, needed: u32) -> (u32, u32) {
        let pace = Arc::new(Pace::new(mode));
        let bucket = Bucket { rate, burst, level: burst, at: Instant::now(), sent: 0, throttled: 0 };
        let shared = Arc::new(Mutex::new((bucket, needed)));
        let workers = (0..16).map(|_| {
            let (pace, shared) = (pace.clone(), shared.clone());
            tokio::spawn(async move {
                loop {
                    {
                        let mut shared = shared.lock().unwrap();
                        if shared.1 == 0 {
                            return;
                        }
                        shared.1 -= 1;
                    }
                    loop {
                        let sent = pace.turn("iam:ListAccessKeys").await;
                        let went = shared.lock().unwrap().0.take();
                        tokio::time::sleep(Duration::from_millis(40)).await;
                        if went {
                            pace.went_well("iam:ListAccessKeys");
                            break;
                        }
                        pace.was_throttled("iam:ListAccessKeys", sent);
                    }
                }
            })
        });
        for worker in workers.collect::<Vec<_>>() {
            worker.await.unwrap();
        }
        let shared = shared.lock().unwrap();
        (shared.0.sent, shared.0.throttled)
    }

    #[tokio::test(start_paused = true)]
    async fn a_shared_pace_hardly_ever_meets_a_throttle() {
        // Alone on the bucket, and with others who leave little of it.
        for (rate, burst) in [(15.0, 15.0), (8.0, 15.0), (4.0, 15.0), (2.0, 10.0)] {
            let (sent, throttled) = simulate(Mode::Shared { most: 10.0 }, rate, burst, 1_000).await;
            assert!(f64::from(throttled) <= 0.02 * f64::from(sent), "{rate}/s: {throttled} of {sent} throttled");
            assert!(sent <= 1_050, "{rate}/s: {sent} sent for 1000");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_pace_learns_the_bucket_and_never_loses_the_run() {
        let (sent, throttled) = simulate(Mode::Full, 15.0, 15.0, 2_000).await;
        assert_eq!(sent - throttled, 2_000);
        assert!(f64::from(throttled) <= 0.10 * f64::from(sent), "{throttled} of {sent} throttled");
    }

    #[tokio::test(start_paused = true)]
    async fn a_shared_pace_keeps_to_its_share() {
        let pace = Pace::new(Mode::Shared { most: 10.0 });
        let began = Instant::now();
        for _ in 0..51 {
            pace.turn("iam:ListUsers").await;
            pace.went_well("iam:ListUsers");
        }
        assert!(began.elapsed() >= Duration::from_millis(4_950), "{:?}", began.elapsed());
        let other = Instant::now();
        pace.turn("iam:ListRoles").await;
        assert_eq!(other.elapsed(), Duration::ZERO, "each action has a lane of its own");
    }
}
