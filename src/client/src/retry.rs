//! When a call is tried again, how often and after how long.
//! It must never repeat a call whose answer would be the same: denials and garbage stand.

use std::{future::Future, time::Duration};

use provost_model::Why;

use crate::Failure;

/// How much is borne before a call counts as failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Tries of a call that is throttled.
    pub throttled: u32,
    /// Tries of a call that fails on the way or at the provider.
    pub unavailable: u32,
    /// First wait; doubles with every try.
    pub first: Duration,
    /// Longest wait of our own choosing.
    pub longest: Duration,
    /// Longest wait taken because the provider asks for it; a call that would have to wait longer has failed.
    pub window: Duration,
}

/// A try that failed, and how long the provider wants to be left alone.
#[derive(Clone, Debug)]
pub(crate) struct Setback {
    pub(crate) failure: Failure,
    pub(crate) wait: Option<Duration>,
}

impl From<Failure> for Setback {
    fn from(failure: Failure) -> Self {
        Self { failure, wait: None }
    }
}

impl Default for Patience {
    fn default() -> Self {
        let (first, longest) = (Duration::from_millis(200), Duration::from_secs(20));
        // An hour is the longest window in which a provider of today counts calls.
        let window = Duration::from_secs(3_900);
        Self { throttled: 12, unavailable: 4, first, longest, window }
    }
}

impl Patience {
    /// Tries once only: for a check that must answer soon.
    pub fn none() -> Self {
        Self { throttled: 1, unavailable: 1, window: Duration::ZERO, ..Self::default() }
    }

    /// How long to wait after the try of that number, counted from 1, or `None` to give up.
    /// `luck` between 0 and 1 spreads callers apart. What the provider asks for is never cut short.
    fn wait(&self, (why, asked): (Why, Option<Duration>), tried: u32, luck: f64) -> Option<Duration> {
        let most = match why {
            Why::Throttled => self.throttled,
            Why::Unavailable => self.unavailable,
            _ => return None,
        };
        if tried >= most {
            return None;
        }
        let doubled = self.first.saturating_mul(1 << (tried - 1).min(16)).min(self.longest);
        let luck = luck.clamp(0.0, 1.0);
        match asked {
            Some(asked) if asked > self.window => None,
            Some(asked) => Some(asked + self.first.mul_f64(luck)),
            None => Some(doubled.mul_f64(0.5 + luck / 2.0)),
        }
    }
}

/// Makes a call until it answers or patience ends. `luck` gives numbers between 0 and 1.
pub async fn with_patience<T, F, A>(
    patience: Patience,
    luck: &(dyn Fn() -> f64 + Sync),
    attempt: F,
) -> Result<T, Failure>
where
    F: Fn() -> A,
    A: Future<Output = Result<T, Failure>>,
{
    let attempt = || {
        let attempt = attempt();
        async move { attempt.await.map_err(Setback::from) }
    };
    with_setbacks(patience, luck, attempt).await
}

/// The same for calls whose provider may say how long to wait.
pub(crate) async fn with_setbacks<T, F, A>(
    patience: Patience,
    luck: &(dyn Fn() -> f64 + Sync),
    attempt: F,
) -> Result<T, Failure>
where
    F: Fn() -> A,
    A: Future<Output = Result<T, Setback>>,
{
    let mut tried = 1;
    loop {
        let Setback { failure, wait } = match attempt().await {
            Ok(answer) => return Ok(answer),
            Err(setback) => setback,
        };
        let Some(wait) = patience.wait((failure.why, wait), tried, luck()) else { return Err(failure) };
        tracing::debug!(operation = failure.operation, why = failure.why.word(), tried, "waited before trying again");
        tokio::time::sleep(wait).await;
        tried += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    async fn tries(why: Why) -> u32 {
        let count = AtomicU32::new(0);
        let failure = Failure { operation: "iam:ListUsers".into(), why, code: String::new(), said: String::new() };
        let answer: Result<(), Failure> = with_patience(Patience::default(), &|| 0.5, || {
            count.fetch_add(1, Ordering::Relaxed);
            let failure = failure.clone();
            async move { Err(failure) }
        })
        .await;
        assert!(answer.is_err());
        count.load(Ordering::Relaxed)
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_may_pass_is_tried_again() {
        let table = [
            (Why::Throttled, 12),
            (Why::Unavailable, 4),
            (Why::Denied, 1),
            (Why::Unauthenticated, 1),
            (Why::Malformed, 1),
        ];
        for (why, expected) in table {
            assert_eq!(tries(why).await, expected, "{why}");
        }
    }

    #[test]
    fn waits_grow_up_to_the_longest() {
        let patience = Patience::default();
        let waits: Vec<_> = (1..12).map(|tried| patience.wait((Why::Throttled, None), tried, 1.0).unwrap()).collect();
        assert!(waits.windows(2).all(|pair| pair[0] <= pair[1]));
        assert_eq!(waits.last(), Some(&patience.longest));
    }

    #[test]
    fn what_the_provider_asks_for_is_waited_in_full_or_not_at_all() {
        let patience = Patience::default();
        for (asked, tried) in [(60, 1), (60, 11), (3_600, 1)] {
            let asked = Duration::from_secs(asked);
            let wait = patience.wait((Why::Throttled, Some(asked)), tried, 0.5).unwrap();
            assert!(wait >= asked && wait <= asked + patience.first, "{wait:?}");
        }
        assert_eq!(patience.wait((Why::Throttled, Some(Duration::from_secs(86_400))), 1, 0.5), None);
        assert_eq!(patience.wait((Why::Denied, Some(Duration::ZERO)), 1, 0.5), None);
    }
}
