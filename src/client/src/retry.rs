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
    /// Longest wait.
    pub longest: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let (first, longest) = (Duration::from_millis(200), Duration::from_secs(20));
        Self { throttled: 12, unavailable: 4, first, longest }
    }
}

impl Patience {
    /// Tries once only: for a check that must answer soon.
    pub fn none() -> Self {
        Self { throttled: 1, unavailable: 1, ..Self::default() }
    }

    /// How long to wait after the try of that number, counted from 1, or `None` to give up.
    /// `luck` between 0 and 1 spreads callers apart.
    fn wait(&self, why: Why, tried: u32, luck: f64) -> Option<Duration> {
        let most = match why {
            Why::Throttled => self.throttled,
            Why::Unavailable => self.unavailable,
            _ => return None,
        };
        if tried >= most {
            return None;
        }
        let doubled = self.first.saturating_mul(1 << (tried - 1).min(16)).min(self.longest);
        Some(doubled.mul_f64(0.5 + luck.clamp(0.0, 1.0) / 2.0))
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
    let mut tried = 1;
    loop {
        let failure = match attempt().await {
            Ok(answer) => return Ok(answer),
            Err(failure) => failure,
        };
        let Some(wait) = patience.wait(failure.why, tried, luck()) else { return Err(failure) };
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
        let waits: Vec<_> = (1..12).map(|tried| patience.wait(Why::Throttled, tried, 1.0).unwrap()).collect();
        assert!(waits.windows(2).all(|pair| pair[0] <= pair[1]));
        assert_eq!(waits.last(), Some(&patience.longest));
    }
}
