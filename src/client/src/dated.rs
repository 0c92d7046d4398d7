//! What the provider's clock says: the `Date` of its last answer, and how long ago that was.
//! It must never be a reason to refuse an answer: whether our own clock is right is decided elsewhere.

use std::sync::Mutex;

use aws_smithy_types::{DateTime, date_time::Format};
use provost_model::{Span, Time};
use tokio::time::Instant;

/// The date of the last answer that nobody asked about yet.
#[derive(Debug, Default)]
pub(crate) struct Dated(Mutex<Option<(Time, Instant)>>);

impl Dated {
    /// Notes the `Date` of an answer, if it has one.
    pub(crate) fn note(&self, date: Option<&str>) {
        let date = date.and_then(time_of);
        if let (Some(date), Ok(mut last)) = (date, self.0.lock()) {
            *last = Some((date, Instant::now()));
        }
    }

    /// Forgets the last answer: while the machine was suspended, nobody counted.
    pub(crate) fn forget(&self) {
        if let Ok(mut last) = self.0.lock() {
            *last = None;
        }
    }

    /// The time it is at the provider, by an answer since the last time this was asked.
    pub(crate) fn now(&self) -> Option<Time> {
        let (date, at) = self.0.lock().ok()?.take()?;
        Some(date + Span::micros(i64::try_from(at.elapsed().as_micros()).unwrap_or(i64::MAX)))
    }
}

/// The time a `Date` header means (RFC 9110, 5.6.7).
pub(crate) fn time_of(header: &str) -> Option<Time> {
    DateTime::from_str(header, Format::HttpDate).ok().map(|date| Time::from_seconds(date.secs()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_date_is_read_and_nonsense_is_none() {
        assert_eq!(time_of("Tue, 24 Nov 2026 12:00:00 GMT"), Some(Time::from_seconds(1_795_521_600)));
        for nonsense in ["", "2026-11-24T12:00:00Z", "Tue, 99 Nov 2026 12:00:00 GMT", "yesterday"] {
            assert_eq!(time_of(nonsense), None, "{nonsense}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn time_goes_on_after_an_answer_and_is_told_once() {
        let dated = Dated::default();
        assert_eq!(dated.now(), None);
        dated.note(None);
        assert_eq!(dated.now(), None, "an answer without a date says nothing");
        dated.note(Some("Tue, 24 Nov 2026 12:00:00 GMT"));
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(dated.now(), Some(Time::from_seconds(1_795_521_660)));
        assert_eq!(dated.now(), None);
    }
}
