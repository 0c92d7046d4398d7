//! Whether the wall clock can be believed: held against the store, against the time since boot, against providers.
//! It must never ask for a time itself, nor let one look at the clock change what the next one is held against.

use std::fmt;

use provost_model::{Span, Time};

/// How far the wall clock may be ahead of the time that went by.
const AHEAD_MAX: Span = Span::hours(1);
/// How far the wall clock may be from what providers say, and behind those who share the store.
pub const SKEW_MAX: Span = Span::seconds(5 * 60);

/// Two clocks at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// What the wall clock says.
    pub wall: Time,
    /// How long the machine has been up, suspends included: nobody can set it.
    pub up: Span,
}

/// Why the wall clock is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distrust {
    /// It is before the last commit of the store.
    Behind {
        /// What it says.
        wall: Time,
        /// The highest time committed.
        committed: Time,
    },
    /// It went ahead by more than went by.
    Ahead(Span),
    /// It is so far ahead of a provider's; behind it if negative.
    Skewed(Span),
}

/// What the wall clock is held against.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clockwatch {
    first: Option<Moment>,
    told: Option<Moment>,
}

impl Clockwatch {
    /// A provider's clock: the wall clock was so far ahead of it just now.
    pub fn told(&mut self, now: Moment, ahead: Span) {
        self.told = Some(Moment { wall: now.wall - ahead, up: now.up });
    }

    /// Why the wall clock is not believed at this moment, if it is not. What a provider said last overrules the time that
    /// went by since the first moment: a machine may have stood still without noticing.
    pub fn distrust(&mut self, now: Moment, committed: Time) -> Option<Distrust> {
        let first = *self.first.get_or_insert(now);
        if now.wall < committed {
            return Some(Distrust::Behind { wall: now.wall, committed });
        }
        let against = |then: Moment| {
            now.wall - (then.wall + Span::micros(now.up.as_micros().saturating_sub(then.up.as_micros())))
        };
        match self.told.map(against) {
            Some(by) if by.as_micros().unsigned_abs() > SKEW_MAX.as_micros().unsigned_abs() => {
                Some(Distrust::Skewed(by))
            }
            Some(_) => None,
            None => Some(against(first)).filter(|by| *by > AHEAD_MAX).map(Distrust::Ahead),
        }
    }
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = |by: Span| by.as_micros().unsigned_abs() / 60_000_000;
        match self {
            Self::Behind { wall, committed } => {
                write!(
                    f,
                    "it says {}, but the store was written at {}",
                    wall.whole_seconds(),
                    committed.whole_seconds()
                )
            }
            Self::Ahead(by) => write!(
                f,
                "it went ahead by {} minutes that did not go by; if it is right now, restart provost",
                minutes(*by)
            ),
            Self::Skewed(by) => {
                let where_to = if *by > Span::seconds(0) { "ahead of" } else { "behind" };
                write!(f, "it is {} minutes {where_to} a provider's clock", minutes(*by))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Time = Time::from_seconds(1_795_521_600);

    /// So many seconds on the wall and so many on the machine after the start.
    fn after(wall: i64, up: i64) -> Moment {
        Moment { wall: START + Span::seconds(wall), up: Span::seconds(50 + up) }
    }

    #[test]
    fn truth_table() {
        const HOUR: i64 = 3600;
        let behind = |wall: i64, committed: i64| Distrust::Behind {
            wall: START + Span::seconds(wall),
            committed: START + Span::seconds(committed),
        };
        let ahead = |by: i64| Some(Distrust::Ahead(Span::seconds(by)));
        let skewed = |by: i64| Some(Distrust::Skewed(Span::seconds(by)));
        // Seconds: on the wall, on the machine, of the last commit, the wall ahead of a provider when it answered; the answer.
        let table = [
            (0, 0, 0, None, None),
            (10, 10, 10, None, None),
            (10, 10, 11, None, Some(behind(10, 11))),
            (-5, 10, 0, None, Some(behind(-5, 0))),
            // Back, but not before a commit.
            (10, 500, 10, None, None),
            (HOUR + 10, 10, 0, None, None),
            (HOUR + 11, 10, 0, None, ahead(HOUR + 1)),
            // A suspend counts as time that went by.
            (9 * HOUR, 9 * HOUR, 0, None, None),
            (9 * HOUR, HOUR, 0, None, ahead(8 * HOUR)),
            (0, 0, 0, Some(300), None),
            (0, 0, 0, Some(301), skewed(301)),
            (0, 0, 0, Some(-301), skewed(-301)),
            // It was set right after the provider answered.
            (400, 0, 0, Some(-400), None),
            (-400, 0, -400, Some(400), None),
            // A provider agrees with a clock that jumped.
            (9 * HOUR, 10, 0, Some(-9 * HOUR), None),
            (10, 10, 11, Some(0), Some(behind(10, 11))),
        ];
        for (wall, up, committed, told, expected) in table {
            let mut watch = Clockwatch::default();
            assert_eq!(watch.distrust(after(0, 0), START), None);
            if let Some(ahead) = told {
                watch.told(after(0, 0), Span::seconds(ahead));
            }
            let answer = watch.distrust(after(wall, up), START + Span::seconds(committed));
            assert_eq!(answer, expected, "{wall} {up} {committed} {told:?}");
        }
    }

    #[test]
    fn looking_often_does_not_get_a_jump_through() {
        let mut watch = Clockwatch::default();
        watch.distrust(after(0, 0), START);
        for minute in 1..=60 {
            // The wall clock runs twice as fast.
            assert_eq!(watch.distrust(after(minute * 120, minute * 60), START), None, "{minute}");
        }
        assert!(watch.distrust(after(61 * 120, 61 * 60), START).is_some());
        assert_eq!(watch.distrust(after(62 * 60, 62 * 60), START), None, "set right, it is believed again");
    }
}
