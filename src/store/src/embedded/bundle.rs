//! Several former versions of one row in one value: their bytes. What the versions have in common is kept once.
//! It must never be read for a single version: the first byte tells them apart.

use provost_model::Time;

use super::rows;
use crate::{CommitNo, Row, StoreError};

/// The first byte; a single version begins with 0 or 1.
const TAG: u8 = 2;
/// Versions in one bundle at most.
pub(crate) const MOST: usize = 64;
/// Bytes of their contents at most.
pub(crate) const LONGEST: usize = 64 << 10;
/// Bytes of the whole before it is compressed at most: three numbers and two lengths beside each content.
const WHOLE: usize = LONGEST + MOST * 48;
/// Levels above give a hundredth more and take several times as long.
const LEVEL: i32 = 3;

/// Commits and times as distances from the version before, and what was kept: numbers by numbers and contents by contents,
/// so that likeness lies near likeness.
type Body = (Vec<u64>, Vec<i64>, Vec<Option<Vec<u8>>>);

/// Whether these are the bytes of a bundle.
pub(crate) fn is_one(bytes: &[u8]) -> bool {
    bytes.first() == Some(&TAG)
}

/// The bytes of a bundle of versions, oldest first, within the bounds of this file.
pub(crate) fn encode(versions: &[Row]) -> Result<Vec<u8>, StoreError> {
    let (mut commit, mut recorded) = (0, 0);
    let mut body = Body::default();
    for version in versions {
        let (at, time) = (version.commit.0, version.recorded.as_micros());
        body.0.push(at.wrapping_sub(commit));
        body.1.push(time.wrapping_sub(recorded));
        body.2.push(version.value.clone());
        (commit, recorded) = (at, time);
    }
    let body = postcard::to_allocvec(&body).map_err(|_| malformed())?;
    let mut bytes = vec![TAG];
    bytes.extend(zstd::bulk::compress(&body, LEVEL)?);
    Ok(bytes)
}

/// The versions of these bytes, oldest first; at least one.
pub(crate) fn decode(bytes: &[u8]) -> Result<Vec<Row>, StoreError> {
    let packed = bytes.strip_prefix(&[TAG]).ok_or_else(malformed)?;
    let body = zstd::bulk::decompress(packed, WHOLE).map_err(|_| malformed())?;
    let ((commits, times, values), rest) = postcard::take_from_bytes::<Body>(&body).map_err(|_| malformed())?;
    let alike = commits.len() == times.len() && times.len() == values.len();
    if !rest.is_empty() || !alike || values.is_empty() || values.len() > MOST {
        return Err(malformed());
    }
    let (mut commit, mut recorded) = (0_u64, 0_i64);
    let mut versions: Vec<Row> = Vec::with_capacity(values.len());
    for ((after, later), value) in commits.into_iter().zip(times).zip(values) {
        commit = commit.checked_add(after).filter(|_| after > 0).ok_or_else(malformed)?;
        recorded = recorded.wrapping_add(later);
        versions.push(Row { commit: CommitNo(commit), recorded: Time::from_micros(recorded), value });
    }
    Ok(versions)
}

fn malformed() -> StoreError {
    rows::malformed()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_bundle_survives_its_bytes_and_cut_ones_are_refused(
            versions in proptest::collection::vec((1..u64::MAX / 64, any::<i64>(), proptest::option::of("[ab]{0,9}")), 1..9),
        ) {
            let mut commit = 0;
            let versions: Vec<Row> = versions.into_iter().map(|(after, recorded, value)| {
                commit += after;
                let value = value.map(String::into_bytes);
                Row { commit: CommitNo(commit), recorded: Time::from_micros(recorded), value }
            }).collect();
            let bytes = encode(&versions).unwrap();
            prop_assert!(is_one(&bytes));
            prop_assert_eq!(decode(&bytes).unwrap(), versions);
            for cut in 0..bytes.len() {
                prop_assert!(decode(&bytes[..cut]).is_err(), "cut at {cut}");
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&[&[TAG], bytes.as_slice()].concat());
            let _ = decode(&[vec![TAG], zstd::bulk::compress(&bytes, 3).unwrap()].concat());
        }
    }

    #[test]
    fn what_would_grow_beyond_bounds_or_goes_backwards_is_refused() {
        let version = |commit| Row { commit: CommitNo(commit), recorded: Time::default(), value: None };
        assert!(decode(&encode(&[]).unwrap()).is_err());
        assert!(decode(&encode(&[version(2), version(2)]).unwrap()).is_err());
        let many: Vec<Row> = (1..=MOST as u64 + 1).map(version).collect();
        assert!(decode(&encode(&many[..MOST]).unwrap()).is_ok());
        assert!(decode(&encode(&many).unwrap()).is_err());
        let long = Row { value: Some(vec![0; WHOLE]), ..version(1) };
        assert!(decode(&encode(&[long]).unwrap()).is_err());
    }
}
