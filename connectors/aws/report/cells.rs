//! The cells of a credential report: splitting a line, and the provider's words in them.
//! It must never read a word it does not know as "no".

use provost_model::{Reading, Time};

/// Longest cell, in bytes. The longest the guide allows is an ARN with a path of 512 characters.
const CELL_MAX: usize = 2048;
/// `true` or `false` in any case, or one of the provider's words for "does not apply".
pub(super) fn flag(text: &str) -> Result<Reading<bool>, ()> {
    match text {
        "" | "N/A" | "not_supported" => Ok(Reading::NotReported),
        _ if text.eq_ignore_ascii_case("true") => Ok(Reading::Known(true)),
        _ if text.eq_ignore_ascii_case("false") => Ok(Reading::Known(false)),
        _ => Err(()),
    }
}

/// An instant, or what its absence means in that place. A time without offset is UTC, as all of IAM's are.
pub(super) fn time(text: &str, absent: Reading<Time>) -> Result<Reading<Time>, ()> {
    match text {
        "" | "N/A" | "no_information" => return Ok(absent),
        "not_supported" => return Ok(Reading::NotReported),
        _ => {}
    }
    if let Ok(instant) = text.parse::<Time>() {
        return Ok(Reading::Known(instant));
    }
    let civil: jiff::civil::DateTime = text.parse().map_err(|_| ())?;
    let instant = civil.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| ())?.timestamp();
    Ok(Reading::Known(Time::from_micros(instant.as_microsecond())))
}

/// A word of the provider's, unless it says that there is none.
pub(super) fn word(text: &str) -> Option<&str> {
    (!matches!(text, "" | "N/A" | "not_supported" | "no_information")).then_some(text)
}

/// Splits a line into its cells. Quoted cells lose their quotes; a quote within one is malformed, since no name that IAM
/// allows holds one, so that every cell is a slice of the line.
pub(super) fn split<'a>(line: &'a [u8], cells: &mut Vec<&'a str>) -> Result<(), &'static str> {
    cells.clear();
    let mut rest = std::str::from_utf8(line).map_err(|_| "not UTF-8")?;
    loop {
        let (cell, after) = match rest.strip_prefix('"') {
            Some(inner) => inner.split_once('"').ok_or("a quote is never closed")?,
            None => rest.split_at(rest.find(',').unwrap_or(rest.len())),
        };
        if cell.len() > CELL_MAX {
            return Err("a cell is too long");
        }
        cells.push(cell);
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None if after.is_empty() => return Ok(()),
            None => return Err("text after a quoted cell"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_falls_into_its_cells_or_is_refused() {
        let cases: &[(&str, Option<&[&str]>)] = &[
            ("a,b,c", Some(&["a", "b", "c"])),
            ("", Some(&[""])),
            (",", Some(&["", ""])),
            ("\"last, first\",arn", Some(&["last, first", "arn"])),
            ("a,\"\"", Some(&["a", ""])),
            ("\"a", None),
            ("\"a\"b,c", None),
            ("\"a\"\"b\",c", None),
        ];
        for (line, wanted) in cases {
            let mut cells = vec!["left over"];
            let got = split(line.as_bytes(), &mut cells);
            assert_eq!(got.is_ok().then_some(cells.as_slice()), *wanted, "{line}");
        }
        assert!(split(b"\xff,a", &mut Vec::new()).is_err());
        assert!(split("x".repeat(CELL_MAX + 1).as_bytes(), &mut Vec::new()).is_err());
    }

    #[test]
    fn times_are_utc_and_garbage_is_no_time() {
        let noon = Time::from_seconds(1_700_000_000);
        for text in
            ["2023-11-14T22:13:20+00:00", "2023-11-14T22:13:20Z", "2023-11-14T23:13:20+01:00", "2023-11-14T22:13:20"]
        {
            assert_eq!(time(text, Reading::Never), Ok(Reading::Known(noon)), "{text}");
        }
        assert_eq!(time("N/A", Reading::Never), Ok(Reading::Never));
        assert_eq!(time("not_supported", Reading::Never), Ok(Reading::NotReported));
        for text in ["yesterday", "n/a", "2023-13-14T22:13:20Z", "1700000000"] {
            assert_eq!(time(text, Reading::Never), Err(()), "{text}");
        }
    }

    #[test]
    fn a_flag_is_true_or_false_in_any_case_and_nothing_else() {
        assert_eq!(flag("TRUE"), Ok(Reading::Known(true)));
        assert_eq!(flag("false"), Ok(Reading::Known(false)));
        assert_eq!(flag("not_supported"), Ok(Reading::NotReported));
        assert_eq!(flag("yes"), Err(()));
    }
}
