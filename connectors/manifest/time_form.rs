//! How providers write times: RFC 3339, seconds or milliseconds since 1970, RFC 2822, dates, and forms of their own.
//! It must never make a time of what is none, nor of the zero times with which some providers say "not at all".

use jiff::{Timestamp, civil, fmt::rfc2822, tz::TimeZone};
use provost_model::Time;
use serde_json::Value;

/// One way to write a time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum TimeForm {
    #[default]
    Rfc3339,
    Rfc2822,
    /// Seconds since 1970.
    Unix,
    /// Milliseconds since 1970.
    UnixMs,
    /// A date: its first instant in UTC.
    Date,
    /// As `strptime` writes it; UTC if it names no zone.
    Custom(String),
}

/// What was written where a time belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    Time(Time),
    /// Nothing: an empty text, or the zero time of a program that has no other word for it.
    Nothing,
    Unreadable,
}

impl TimeForm {
    /// The form of that name.
    pub(super) fn named(name: &str) -> Result<Self, String> {
        Ok(match name {
            "rfc3339" => Self::Rfc3339,
            "rfc2822" => Self::Rfc2822,
            "unix" => Self::Unix,
            "unix_ms" => Self::UnixMs,
            "date" => Self::Date,
            own if own.contains('%') => {
                // A form that cannot even write a time cannot read one.
                jiff::fmt::strtime::format(
                    own,
                    &civil::date(2026, 1, 2).to_zoned(TimeZone::UTC).map_err(|it| it.to_string())?,
                )
                .map_err(|error| format!("this form of times makes no sense: {error}"))?;
                Self::Custom(own.to_owned())
            }
            _ => {
                return Err(
                    "times are rfc3339, rfc2822, unix, unix_ms, date, or a form such as %d.%m.%Y %H:%M".to_owned()
                );
            }
        })
    }

    /// Reads what is written.
    pub(super) fn read(&self, written: &Value) -> Written {
        match (self, written) {
            (Self::Unix | Self::UnixMs, Value::Number(_)) => self.number(written),
            (Self::Unix | Self::UnixMs, Value::String(text)) => match text.trim().parse::<i64>() {
                Ok(number) => self.number(&number.into()),
                Err(_) if text.trim().is_empty() => Written::Nothing,
                Err(_) => Written::Unreadable,
            },
            (_, Value::String(text)) if text.trim().is_empty() || text.starts_with("0001-01-01") => Written::Nothing,
            (_, Value::String(text)) => self
                .text(text.trim())
                .map_or(Written::Unreadable, |at| Written::Time(Time::from_micros(at.as_microsecond()))),
            _ => Written::Unreadable,
        }
    }

    fn number(&self, number: &Value) -> Written {
        let factor = if *self == Self::Unix { 1_000_000 } else { 1_000 };
        let whole = number.as_i64().and_then(|it| it.checked_mul(factor));
        // Some write fractions; what is smaller than a microsecond is nobody's.
        let micros = whole.or_else(|| {
            let text = number.as_f64().map(|it| format!("{:.0}", it * if *self == Self::Unix { 1e6 } else { 1e3 }));
            text.and_then(|text| text.parse().ok())
        });
        match micros {
            Some(0) => Written::Nothing,
            Some(micros) if Timestamp::from_microsecond(micros).is_ok() => Written::Time(Time::from_micros(micros)),
            _ => Written::Unreadable,
        }
    }

    fn text(&self, text: &str) -> Option<Timestamp> {
        match self {
            Self::Rfc3339 => text.parse().ok(),
            Self::Rfc2822 => rfc2822::DateTimeParser::new().parse_timestamp(text).ok(),
            Self::Date => midnight(text.parse().ok()?),
            Self::Custom(form) => {
                let parsed = jiff::fmt::strtime::parse(form, text).ok()?;
                parsed.to_timestamp().ok().or_else(|| {
                    let civil =
                        parsed.to_datetime().ok().or_else(|| parsed.to_date().ok().map(civil::DateTime::from))?;
                    civil.to_zoned(TimeZone::UTC).ok().map(|it| it.timestamp())
                })
            }
            Self::Unix | Self::UnixMs => None,
        }
    }
}

fn midnight(date: civil::Date) -> Option<Timestamp> {
    date.to_zoned(TimeZone::UTC).ok().map(|it| it.timestamp())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_form_reads_its_own_and_nothing_else() {
        let at = "2026-04-01T10:20:30Z";
        let table = [
            ("rfc3339", json!("2026-04-01T10:20:30Z"), Some(at)),
            ("rfc3339", json!("2026-04-01T12:20:30.000+02:00"), Some(at)),
            ("rfc3339", json!("2026-04-01T12:20:30+0200"), Some(at)),
            ("rfc3339", json!("2026-04-01"), None),
            ("rfc3339", json!(1_775_038_830), None),
            ("rfc2822", json!("Wed, 01 Apr 2026 10:20:30 +0000"), Some(at)),
            ("unix", json!(1_775_038_830), Some(at)),
            ("unix", json!("1775038830"), Some(at)),
            ("unix", json!(1_775_038_830.0), Some(at)),
            ("unix", json!(i64::MAX), None),
            ("unix_ms", json!(1_775_038_830_000_i64), Some(at)),
            ("date", json!("2026-04-01"), Some("2026-04-01T00:00:00Z")),
            ("%d.%m.%Y %H:%M:%S", json!("01.04.2026 10:20:30"), Some(at)),
            ("%Y-%m-%d %H:%M:%S %z", json!("2026-04-01 12:20:30 +0200"), Some(at)),
            ("%Y/%m/%d", json!("2026/04/01"), Some("2026-04-01T00:00:00Z")),
            ("rfc3339", json!("soon"), None),
            ("rfc3339", json!(true), None),
        ];
        for (form, written, expected) in table {
            let read = TimeForm::named(form).unwrap().read(&written);
            let expected = expected.map_or(Written::Unreadable, |at| Written::Time(at.parse().unwrap()));
            assert_eq!(read, expected, "{form} {written}");
        }
    }

    #[test]
    fn zero_times_are_nothing() {
        for (form, written) in [
            ("rfc3339", json!("")),
            ("rfc3339", json!("0001-01-01T00:00:00Z")),
            ("unix", json!(0)),
            ("unix_ms", json!("")),
        ] {
            assert_eq!(TimeForm::named(form).unwrap().read(&written), Written::Nothing, "{form} {written}");
        }
        assert!(TimeForm::named("iso").is_err() && TimeForm::named("%Q!%").is_err());
    }
}
