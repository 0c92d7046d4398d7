//! Lengths of time as typed: `5m`, `25s`, `7d`, `1h 30m`.
//! It must never take a bare number: nobody remembers which unit was meant.

use std::time::Duration;

/// The length of time a text means; days are 24 hours.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || "write a length of time with its unit, such as 5m, 25s or 7d".to_owned();
    let span: jiff::Span = text.trim().parse().map_err(|_| wrong())?;
    let length = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    Duration::try_from(length).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_need_a_unit() {
        for (text, seconds) in
            [("5m", 300), ("25s", 25), ("7d", 604_800), ("1h 30m", 5_400), ("2 hours", 7_200), ("0s", 0)]
        {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "5", "-5m", "soon", "1y", "9999999999999999d"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
