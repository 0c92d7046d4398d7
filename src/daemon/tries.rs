//! How often a step is taken again: where another process was faster, and while the store cannot be reached.
//! It must never go on once the lease is lost that the step needs, nor wait when the process is to end.

use std::{
    thread,
    time::{Duration, Instant},
};

use provost_store::StoreError;

use crate::house::House;

/// How often somebody else may be faster before the step is given up.
const FASTER: u32 = 40;
/// The longest pause after somebody else was faster.
const PAUSE_MAX: Duration = Duration::from_millis(400);
/// Pauses while the store is away: doubled from the first to the last.
const AWAY_FIRST: Duration = Duration::from_millis(50);
const AWAY_LAST: Duration = Duration::from_secs(5);
/// How long a step waits for a store that is away.
const AWAY_MAX: Duration = Duration::from_secs(300);
/// How soon the end of the process is noticed while waiting.
const MOMENT: Duration = Duration::from_millis(50);

/// The tries of one step.
pub struct Tries<'a> {
    house: &'a House,
    faster: u32,
    away: Duration,
    since: Option<Instant>,
}

impl<'a> Tries<'a> {
    /// None was made yet.
    pub fn of(house: &'a House) -> Self {
        Self { house, faster: 0, away: AWAY_FIRST, since: None }
    }

    /// Waits before another try, or gives the error back if there is to be none.
    pub fn another(&mut self, error: StoreError) -> Result<(), StoreError> {
        match &error {
            StoreError::Conflict(what) => {
                self.faster += 1;
                // Without others nobody was faster: the batch contradicts itself, and would again.
                if self.faster > FASTER || !self.house.store().shared() || self.house.lost_lease()? {
                    return Err(error);
                }
                tracing::debug!(%what, tries = self.faster, "somebody else was faster; the step is taken again");
                self.wait(drawn(PAUSE_MAX.min(Duration::from_millis(4) * self.faster)));
                Ok(())
            }
            StoreError::Away(_) => {
                self.house.out_of_reach();
                let since = *self.since.get_or_insert_with(Instant::now);
                if since.elapsed() > AWAY_MAX || self.house.closing().is_cancelled() {
                    return Err(error);
                }
                self.wait(self.away / 2 + drawn(self.away / 2));
                self.away = AWAY_LAST.min(self.away * 2);
                Ok(())
            }
            _ => Err(error),
        }
    }

    fn wait(&self, length: Duration) {
        let until = Instant::now() + length;
        while !self.house.closing().is_cancelled() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            thread::sleep(left.min(MOMENT));
        }
    }
}

/// A random length up to that one, so that those who met once do not meet again.
fn drawn(most: Duration) -> Duration {
    let mut random = [0_u8; 8];
    let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
    if micros == 0 || getrandom::fill(&mut random).is_err() {
        return most;
    }
    Duration::from_micros(u64::from_le_bytes(random) % micros)
}
