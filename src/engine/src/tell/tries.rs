//! When a letter that did not arrive is tried again, and when it is given up.
//! It must never give up sooner because the other side asked for time.

use provost_model::{Span, Time};

/// First wait, in seconds; it doubles with every try.
const FIRST: i64 = 15;
/// Longest wait of our own choosing, in seconds.
const LONGEST: i64 = 3_600;
/// Longest wait taken because the other side asks for it, in seconds.
const ASKED_MAX: i64 = 6 * 3_600;
/// How long a letter is tried, in seconds: a long weekend on which nobody mends the sink.
const PATIENCE: i64 = 4 * 86_400;

/// What comes after a try that did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Another one.
    At(Time),
    /// None: it is given up.
    Never,
}

/// After so many tries since the first. `asked` is how long the other side wants to be left alone, in seconds; `luck` between
/// 0 and 1 spreads letters apart.
pub fn after_failure((first_at, tries): (Time, u32), asked: Option<u64>, luck: f64, now: Time) -> Next {
    if now - first_at > Span::seconds(PATIENCE) {
        return Next::Never;
    }
    let doubled = FIRST.saturating_mul(1 << tries.saturating_sub(1).min(16)).min(LONGEST);
    let own = Span::micros((doubled as f64 * 1e6 * (0.5 + luck.clamp(0.0, 1.0) / 2.0)) as i64);
    let asked = asked.map(|seconds| Span::seconds(i64::try_from(seconds).unwrap_or(ASKED_MAX).min(ASKED_MAX)));
    Next::At(now + asked.map_or(own, |asked| asked.max(own)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_an_hour_and_end_after_days() {
        let at = |seconds| Time::from_seconds(seconds);
        let wait = |tries, asked| match after_failure((at(0), tries), asked, 1.0, at(100)) {
            Next::At(next) => (next - at(100)).as_micros() / 1_000_000,
            Next::Never => -1,
        };
        assert_eq!([1, 2, 3, 9, 40].map(|tries| wait(tries, None)), [15, 30, 60, 3_600, 3_600]);
        assert_eq!([Some(7), Some(600), Some(u64::MAX)].map(|asked| wait(1, asked)), [15, 600, 21_600]);
        assert_eq!(after_failure((at(0), 3), None, 0.0, at(100)), Next::At(at(130)));
        assert_eq!(after_failure((at(0), 3), Some(9), 0.5, at(5 * 86_400)), Next::Never);
    }
}
