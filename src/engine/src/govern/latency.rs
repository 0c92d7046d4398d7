//! How long it takes from a fault to a decision about it and to the proof that it is gone.
//! It must never count what was found before anybody said that it is to be worked off.

use provost_model::{Span, Time};
use serde::Serialize;

/// One stage of the way, over many faults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Latency {
    /// Faults that got there.
    pub settled: usize,
    /// Half of them took no longer, in seconds.
    pub p50: Option<i64>,
    /// Nine of ten took no longer, in seconds.
    pub p90: Option<i64>,
    /// Faults that did not get there yet.
    pub open: usize,
    /// How long the oldest of those has waited, in seconds.
    pub oldest_open: Option<i64>,
}

impl Latency {
    /// Of these faults: since when each runs, and when it got there.
    pub fn of(faults: impl IntoIterator<Item = (Time, Option<Time>)>, now: Time) -> Self {
        let (mut took, mut waits) = (Vec::new(), Vec::new());
        for (since, reached) in faults {
            match reached {
                Some(reached) => took.push(seconds(reached - since)),
                None => waits.push(seconds(now - since)),
            }
        }
        took.sort_unstable();
        Self {
            settled: took.len(),
            p50: nearest_rank(&took, 50),
            p90: nearest_rank(&took, 90),
            open: waits.len(),
            oldest_open: waits.into_iter().max(),
        }
    }
}

fn seconds(span: Span) -> i64 {
    (span.as_micros() / 1_000_000).max(0)
}

/// The least value that so many per cent do not exceed.
fn nearest_rank(sorted: &[i64], per_cent: usize) -> Option<i64> {
    let rank = (sorted.len() * per_cent).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_and_tenths_are_those_of_what_settled_and_the_oldest_of_what_did_not() {
        let at = |seconds: i64| Time::from_seconds(seconds);
        assert_eq!(Latency::of([], at(9)), Latency::default());
        let settled = (1..=10).map(|took| (at(100), Some(at(100 + took))));
        let open = [(at(50), None), (at(90), None)];
        let latency = Latency::of(settled.chain(open), at(200));
        assert_eq!((latency.settled, latency.p50, latency.p90), (10, Some(5), Some(9)));
        assert_eq!((latency.open, latency.oldest_open), (2, Some(150)));
        assert_eq!(
            Latency::of([(at(5), Some(at(3)))], at(9)).p50,
            Some(0),
            "clocks differ: nothing takes less than no time"
        );
    }
}
