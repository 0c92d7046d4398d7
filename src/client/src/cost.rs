//! What calls cost in time, in words for whoever is about to let them be made.
//! It must never promise a time that the pace does not allow.

use crate::{Budget, Mode};

/// The least time for a run whose busiest read is called so often, at that pace: `at least 17 min at 10 calls a second`.
pub fn at_pace(busiest: u64, pace: Mode) -> String {
    match pace {
        Mode::Shared { most } if most > 0.0 => {
            let seconds = per(busiest, most);
            format!("at least {} at {most} calls a second", span(seconds))
        }
        _ => "as fast as the provider answers".to_owned(),
    }
}

/// How so many calls stand to what the provider told of a budget: `5000 calls a window, 4000 of them for this source, so 3
/// windows`.
pub fn within(calls: u64, budget: &Budget) -> String {
    let ours = budget.limit.saturating_sub(budget.reserve).max(1);
    let windows = calls.div_ceil(ours).max(1);
    let plural = if windows == 1 { "" } else { "s" };
    let Budget { resource, limit, remaining, .. } = budget;
    format!(
        "{resource}: {limit} calls a window, {ours} of them for this source, so {windows} window{plural}; {remaining} are left now"
    )
}

#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss, reason = "a rough time")]
fn per(calls: u64, most: f64) -> u64 {
    (calls as f64 / most).ceil() as u64
}

/// A span of seconds in its largest fitting unit, rounded up.
fn span(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds.div_ceil(60)),
        _ => format!("{} h", seconds.div_ceil(3_600)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_by_the_busiest_read() {
        let shared = Mode::Shared { most: 10.0 };
        let table = [
            (0, shared, "at least 0 s at 10 calls a second"),
            (1_001, shared, "at least 101 s at 10 calls a second"),
            (10_000, shared, "at least 17 min at 10 calls a second"),
            (100_000, shared, "at least 3 h at 10 calls a second"),
            (10, Mode::Full, "as fast as the provider answers"),
        ];
        for (calls, pace, said) in table {
            assert_eq!(at_pace(calls, pace), said);
        }
    }

    #[test]
    fn a_budget_is_told_in_windows_of_what_is_not_others() {
        let budget = |limit, reserve| Budget { resource: "core".into(), limit, remaining: 10, reserve, resets: None };
        for (limit, reserve, windows) in
            [(5_000, 1_000, "3 windows"), (15_000, 0, "1 window;"), (0, 0, "12000 windows")]
        {
            assert!(within(12_000, &budget(limit, reserve)).contains(windows));
        }
    }
}
