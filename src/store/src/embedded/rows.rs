//! How a row and its former versions lie in the trees: the bytes of keys and values.
//! It must never let two keys of a table share a past, nor change the order of keys.

use provost_model::Time;

use crate::{CommitNo, Row, StoreError};

const PRESENT: u8 = 1;
const DELETED: u8 = 0;
const HEADER: usize = 17;
/// Two zero bytes end a key among former versions; a zero byte inside it is followed by 255.
const END: [u8; 2] = [0, 0];

/// The bytes of a row: a tag, commit, time, value.
pub(crate) fn encode(commit: CommitNo, recorded: Time, value: Option<&[u8]>, into: &mut Vec<u8>) {
    into.clear();
    into.push(if value.is_some() { PRESENT } else { DELETED });
    into.extend_from_slice(&commit.0.to_be_bytes());
    into.extend_from_slice(&recorded.as_micros().to_be_bytes());
    into.extend_from_slice(value.unwrap_or_default());
}

/// The row of these bytes.
pub(crate) fn decode(mut bytes: Vec<u8>) -> Result<Row, StoreError> {
    let commit = commit_of(&bytes)?;
    let recorded = bytes.get(9..HEADER).and_then(|part| part.try_into().ok()).map(i64::from_be_bytes);
    let recorded = Time::from_micros(recorded.ok_or_else(malformed)?);
    let present = bytes.first() == Some(&PRESENT);
    bytes.drain(..HEADER);
    Ok(Row { commit, recorded, value: present.then_some(bytes) })
}

/// The commit of a row, without the rest.
pub(crate) fn commit_of(bytes: &[u8]) -> Result<CommitNo, StoreError> {
    if bytes.len() < HEADER || !matches!(bytes.first(), Some(&(PRESENT | DELETED))) {
        return Err(malformed());
    }
    let part = bytes.get(1..9).and_then(|part| part.try_into().ok());
    part.map(|part| CommitNo(u64::from_be_bytes(part))).ok_or_else(malformed)
}

/// Where the versions of a key begin among former versions: less than any of them, more than those of lesser keys.
pub(crate) fn past_prefix(key: &[u8]) -> Vec<u8> {
    let mut bytes = escaped(key);
    bytes.extend_from_slice(&END);
    bytes
}

/// Where one version of a key lies among former versions.
pub(crate) fn past_key(key: &[u8], commit: CommitNo) -> Vec<u8> {
    let mut bytes = past_prefix(key);
    bytes.extend_from_slice(&commit.0.to_be_bytes());
    bytes
}

/// The key of a version among former versions.
pub(crate) fn key_of_past(bytes: &[u8]) -> Result<Vec<u8>, StoreError> {
    let mut key = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter();
    loop {
        match rest.next() {
            Some(0) => match rest.next() {
                Some(0) => return Ok(key),
                Some(255) => key.push(0),
                _ => return Err(malformed()),
            },
            Some(byte) => key.push(*byte),
            None => return Err(malformed()),
        }
    }
}

fn escaped(key: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(key.len() + 12);
    for byte in key {
        bytes.push(*byte);
        if *byte == 0 {
            bytes.push(255);
        }
    }
    bytes
}

pub(super) fn malformed() -> StoreError {
    StoreError::Codec("a row of the store".to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn former_versions_lie_in_the_order_of_their_keys(
            one in proptest::collection::vec(0_u8..3, 0..6), other in proptest::collection::vec(0_u8..3, 0..6), commits: (u64, u64),
        ) {
            let (a, b) = (past_key(&one, CommitNo(commits.0)), past_key(&other, CommitNo(commits.1)));
            prop_assert_eq!((&one, commits.0).cmp(&(&other, commits.1)), a.cmp(&b));
            prop_assert_eq!(key_of_past(&a).unwrap(), one);
        }
    }

    #[test]
    fn a_row_survives_its_bytes_and_cut_bytes_are_refused() {
        let mut bytes = Vec::new();
        for value in [Some(&b"v"[..]), Some(&b""[..]), None] {
            encode(CommitNo(7), Time::from_micros(-3), value, &mut bytes);
            let row = decode(bytes.clone()).unwrap();
            assert_eq!(
                row,
                Row { commit: CommitNo(7), recorded: Time::from_micros(-3), value: value.map(<[u8]>::to_vec) }
            );
        }
        assert!(decode(bytes[..16].to_vec()).is_err());
        assert!(decode([[9].as_slice(), &[0; 16]].concat()).is_err());
    }
}
