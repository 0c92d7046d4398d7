//! New ids: UUIDv7 from the trusted clock and the system's randomness.
//! It must never fall back to a weaker source of randomness.

use provost_model::{RecordId, Time};

/// A source of ids.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ids;

impl Ids {
    /// A new id of that moment. If the system has no randomness, the error says so: ids are then not made at all.
    pub fn make(self, at: Time) -> std::io::Result<RecordId> {
        let mut random = [0_u8; 10];
        getrandom::fill(&mut random).map_err(std::io::Error::other)?;
        let millis = u64::try_from(at.as_micros() / 1000).unwrap_or(0);
        Ok(RecordId::from_bytes(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_ids_sort_later() {
        let early = Ids.make(Time::from_seconds(1_700_000_000)).unwrap();
        let late = Ids.make(Time::from_seconds(1_700_000_001)).unwrap();
        assert!(early < late);
        assert_eq!(early.to_string().as_bytes()[14], b'7');
    }
}
