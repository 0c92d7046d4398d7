//! The only place where the house asks what time it is.
//! It must never be called for anything but the trusted present.

use provost_model::{Clock, Span, Time};

/// The machine's wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct WallClock;

impl Clock for WallClock {
    #[allow(clippy::disallowed_methods, reason = "the one implementation of the one clock")]
    fn now(&self) -> Time {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Time::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}

/// How long the machine has been up, suspends included. It cannot be set.
pub fn up() -> Span {
    let up = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Span::micros(up.tv_sec.saturating_mul(1_000_000).saturating_add(up.tv_nsec / 1000))
}
