//! Instants and spans: microseconds since 1970 in UTC, printed as RFC 3339.
//! It must never ask what time it is.

use std::{
    fmt,
    ops::{Add, Sub},
    str::FromStr,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An instant, in microseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(i64);

/// A length of time in microseconds; may be negative.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Span(i64);

/// A text that is no RFC 3339 instant and no date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MalformedTime(pub String);

impl Time {
    /// The instant so many microseconds after the Unix epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// The instant so many seconds after the Unix epoch.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// Microseconds since the Unix epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// The beginning of the second this instant lies in, for people to read.
    pub const fn whole_seconds(self) -> Self {
        Self::from_seconds(self.as_seconds())
    }

    /// The number of the UTC day this instant lies in, counted from the Unix epoch.
    pub const fn day(self) -> i64 {
        self.0.div_euclid(86_400_000_000)
    }

    /// What an operator typed after `--at`: an RFC 3339 instant, or a date, which means its last instant in UTC.
    pub fn parse_inclusive(text: &str) -> Result<Self, MalformedTime> {
        if let Ok(date) = text.parse::<jiff::civil::Date>() {
            let malformed = |_| MalformedTime(text.to_owned());
            let next = date.tomorrow().map_err(malformed)?;
            let midnight = next.to_zoned(jiff::tz::TimeZone::UTC).map_err(malformed)?;
            return Ok(Self(midnight.timestamp().as_microsecond() - 1));
        }
        text.parse()
    }
}

impl Span {
    /// So many days of 24 hours.
    pub const fn days(days: i64) -> Self {
        Self(days.saturating_mul(86_400_000_000))
    }

    /// So many hours.
    pub const fn hours(hours: i64) -> Self {
        Self(hours.saturating_mul(3_600_000_000))
    }

    /// So many minutes.
    pub const fn minutes(minutes: i64) -> Self {
        Self(minutes.saturating_mul(60_000_000))
    }

    /// So many seconds.
    pub const fn seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// So many microseconds.
    pub const fn micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Whole days, rounded towards zero.
    pub const fn whole_days(self) -> i64 {
        self.0 / 86_400_000_000
    }

    /// Microseconds.
    pub const fn as_micros(self) -> i64 {
        self.0
    }
}

impl Add<Span> for Time {
    type Output = Time;
    fn add(self, span: Span) -> Time {
        Time(self.0.saturating_add(span.0))
    }
}

impl Sub<Span> for Time {
    type Output = Time;
    fn sub(self, span: Span) -> Time {
        Time(self.0.saturating_sub(span.0))
    }
}

impl Sub for Time {
    type Output = Span;
    fn sub(self, earlier: Time) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(instant) => instant.fmt(f),
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Time {
    type Err = MalformedTime;
    fn from_str(text: &str) -> Result<Self, MalformedTime> {
        let instant: jiff::Timestamp = text.parse().map_err(|_| MalformedTime(text.to_owned()))?;
        Ok(Self(instant.as_microsecond()))
    }
}

impl fmt::Display for MalformedTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is neither a date (2026-10-01) nor an RFC 3339 instant (2026-10-01T12:00:00Z)", self.0)
    }
}

impl std::error::Error for MalformedTime {}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { serializer.serialize_i64(self.0) }
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            text.parse().map_err(serde::de::Error::custom)
        } else {
            i64::deserialize(deserializer).map(Self)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_means_its_last_instant() {
        let end = Time::parse_inclusive("2026-10-01").unwrap();
        assert_eq!(end.to_string(), "2026-10-01T23:59:59.999999Z");
        assert_eq!(end.day() + 1, (end + Span::seconds(1)).day());
    }

    #[test]
    fn an_instant_survives_its_text() {
        let instant: Time = "2026-11-24T06:12:56.5Z".parse().unwrap();
        assert_eq!(instant.to_string().parse::<Time>().unwrap(), instant);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "yesterday", "2026-13-01", "2026-10-01T"] {
            assert!(Time::parse_inclusive(text).is_err(), "{text}");
        }
    }
}
