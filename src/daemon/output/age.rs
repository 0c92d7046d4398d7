//! Instants as people say them: "267 d", "in 12 d".
//! It must never be parsed by anybody: programs get RFC 3339.

use provost_model::{Reading, Time};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// How long ago that was, or how long until then.
pub fn since(then: Time, now: Time) -> String {
    let seconds = now.as_seconds().saturating_sub(then.as_seconds());
    let length = length(seconds.saturating_abs());
    match seconds {
        -29..=29 => "now".to_owned(),
        30.. => length,
        _ => format!("in {length}"),
    }
}

/// The second, and how long ago that was: nobody reads microseconds.
pub fn dated(then: Time, now: Time) -> String {
    format!("{} ({})", then.whole_seconds(), since(then, now))
}

/// A reading of an instant, or why there is none.
pub fn reading(reading: &Reading<Time>, now: Time) -> String {
    match reading {
        Reading::Known(then) => since(*then, now),
        Reading::Never => "never".to_owned(),
        unknown => unknown.word().replace('_', " "),
    }
}

fn length(seconds: i64) -> String {
    match seconds {
        ..MINUTE => format!("{seconds} s"),
        MINUTE..HOUR => format!("{} min", seconds / MINUTE),
        HOUR..DAY => format!("{} h", seconds / HOUR),
        _ => format!("{} d", seconds / DAY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_read_as_people_say_them() {
        let now = Time::from_seconds(1_000 * DAY);
        let table = [
            (0, "now"),
            (45, "45 s"),
            (5 * MINUTE, "5 min"),
            (3 * HOUR + 59, "3 h"),
            (267 * DAY + HOUR, "267 d"),
            (-12 * DAY - 5, "in 12 d"),
        ];
        for (ago, said) in table {
            assert_eq!(since(Time::from_seconds(1_000 * DAY - ago), now), said);
        }
        assert_eq!(reading(&Reading::Never, now), "never");
        assert_eq!(reading(&Reading::NotPermitted, now), "not permitted");
        assert!(since(Time::from_micros(i64::MIN), Time::from_micros(i64::MAX)).ends_with(" d"));
    }
}
