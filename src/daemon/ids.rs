//! New ids: UUIDv7 from the trusted clock and the system's randomness.
//! It must never fall back to a weaker source of randomness.

use std::cell::RefCell;

use provost_model::{RecordId, Time};

/// Random bytes that are drawn at a time: asking the system costs more than the bytes do.
const DRAWN: usize = 128 * RANDOM;
/// Random bytes of an id.
const RANDOM: usize = 10;

thread_local! {
    /// What was drawn and is in no id yet.
    static LEFT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A source of ids.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ids;

impl Ids {
    /// A new id of that moment. If the system has no randomness, the error says so: ids are then not made at all.
    pub fn make(self, at: Time) -> std::io::Result<RecordId> {
        let random = LEFT.with_borrow_mut(drawn)?;
        let millis = u64::try_from(at.as_micros() / 1000).unwrap_or(0);
        Ok(RecordId::from_bytes(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid().into_bytes()))
    }
}

/// Random bytes that were never given out.
fn drawn(left: &mut Vec<u8>) -> std::io::Result<[u8; RANDOM]> {
    if left.len() < RANDOM {
        let mut anew = vec![0; DRAWN];
        getrandom::fill(&mut anew).map_err(std::io::Error::other)?;
        *left = anew;
    }
    let (rest, taken) = left.split_last_chunk().ok_or_else(|| std::io::Error::other("too little randomness"))?;
    let (rest, taken) = (rest.len(), *taken);
    left.truncate(rest);
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn later_ids_sort_later() {
        let early = Ids.make(Time::from_seconds(1_700_000_000)).unwrap();
        let late = Ids.make(Time::from_seconds(1_700_000_001)).unwrap();
        assert!(early < late);
        assert_eq!(early.to_string().as_bytes()[14], b'7');
    }

    #[test]
    fn no_two_ids_of_one_moment_are_alike() {
        let ids: HashSet<RecordId> = (0..1_000).map(|_| Ids.make(Time::from_seconds(1_700_000_000)).unwrap()).collect();
        assert_eq!(ids.len(), 1_000);
    }
}
