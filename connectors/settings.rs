//! Settings that sources of several connectors share: how fast, how much at a time, how often everything.
//! It must never take a setting that makes no sense for its default.

use std::{fmt::Display, time::Duration};

use provost_client::Mode;

/// Time in which everything is looked at one by one, where the operator does not say another.
pub(crate) const SWEEP_EVERY: Duration = Duration::from_secs(7 * 86_400);

/// The word behind `pace`; `most` calls a second where others share the rate, as they do unless it is said.
pub(crate) fn pace(typed: Option<&str>, most: f64) -> Result<Mode, String> {
    match typed {
        None | Some("shared") => Ok(Mode::Shared { most }),
        Some("full") => Ok(Mode::Full),
        Some(other) => Err(format!("pace = {other:?}: expected \"shared\" or \"full\"")),
    }
}

/// A number between two others, both included.
pub(crate) fn within<T: Copy + PartialOrd + Display>(name: &str, value: T, (least, most): (T, T)) -> Result<T, String> {
    if (least..=most).contains(&value) {
        Ok(value)
    } else {
        Err(format!("{name} = {value}: expected {least} to {most}"))
    }
}

/// The length of time behind `sweep_every`, such as `7d`, `12h` or `30m`.
pub(crate) fn sweep_every(typed: Option<&str>) -> Result<Duration, String> {
    let Some(text) = typed else { return Ok(SWEEP_EVERY) };
    let wrong = || no_sweep(text);
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let seconds = match unit {
        "d" => 86_400,
        "h" => 3_600,
        "m" => 60,
        _ => return Err(wrong()),
    };
    if number == 0 || number > 10_000 {
        return Err(wrong());
    }
    Ok(Duration::from_secs(number * seconds))
}

/// What is wrong with a length of time that is none.
pub(crate) fn no_sweep(text: &str) -> String {
    format!("sweep_every = {text:?}: expected a number with d, h or m, such as \"7d\"")
}
