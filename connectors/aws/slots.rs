//! The report's key slots: their names until the key ids are known, which listed key sits in which, and the cursor that
//! remembers whose keys were listed.
//! It must never adopt a key into a slot on a guess.

use std::collections::BTreeMap;

use provost_model::Time;
use sha2::{Digest, Sha256};

use super::report::Row;

/// First byte of a written cursor.
const VERSION: u8 = 1;
/// Most users a cursor remembers: 4 MiB. Those beyond are simply listed again.
const USERS_MAX: usize = 1 << 18;
/// Bytes before the entries, of an entry, and after them.
const HEAD: usize = 1;
const ENTRY: usize = 16;
const TAIL: usize = 8;

/// A slot of the report that shows a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// 1 or 2.
    pub slot: u8,
    /// Whether its key's status was Active when the report was made.
    pub active: bool,
    /// When its key was created or last changed; `None` if the report does not say.
    pub last_rotated: Option<Time>,
}

/// A key as ListAccessKeys shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedKey<'a> {
    /// The access key id.
    pub id: &'a str,
    /// Whether its status is Active.
    pub active: bool,
    /// When it was created.
    pub created: Time,
}

/// Where a listed key sits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Adopted {
    /// Index into the listed keys.
    pub key: usize,
    /// Its slot, if that is certain.
    pub slot: Option<u8>,
}

/// Whose keys were listed, and what the report's key columns were then. Digests only, so that it stays small.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed(BTreeMap<u64, u64>);

/// The slots of a row that show a key.
pub fn slots(row: &Row<'_>) -> Vec<Slot> {
    row.keys
        .iter()
        .filter(|key| key.slot_exists())
        .map(|key| Slot { slot: key.slot, active: key.active, last_rotated: key.last_rotated })
        .collect()
}

/// The external id of a key known only by its slot.
pub fn alias(user_id: &str, slot: u8, created: Time) -> String {
    format!("{user_id}/slot-{slot}@{created}")
}

/// The slots whose keys may become records before they are listed, each with its alias. A slot without a date has no
/// name, and of two slots with one date nobody could say later which key was which: those wait for their listing.
pub fn nameable(user_id: &str, slots: &[Slot]) -> Vec<(u8, String)> {
    slots
        .iter()
        .filter_map(|it| {
            let date = it.last_rotated?;
            let alone = slots.iter().filter(|other| other.last_rotated == Some(date)).count() == 1;
            alone.then(|| (it.slot, alias(user_id, it.slot, date)))
        })
        .collect()
}

/// Which listed key sits in which slot. Equal dates match where only one slot and one key have that date. Then, if exactly
/// one slot and one key remain, they match if they can be the same: the key is not younger than the slot's date, which a
/// change of status moves forward, and has the slot's status. Every key is answered for once, in the order given.
pub fn adopt(slots: &[Slot], keys: &[ListedKey<'_>]) -> Vec<Adopted> {
    let mut adopted: Vec<Adopted> = (0..keys.len()).map(|key| Adopted { key, slot: None }).collect();
    let mut left: Vec<&Slot> = Vec::new();
    for slot in slots {
        let same_date = slots.iter().filter(|other| other.last_rotated == slot.last_rotated).count();
        let mut equal = adopted.iter_mut().zip(keys).filter(|(_, key)| slot.last_rotated == Some(key.created));
        match (same_date, equal.next(), equal.next()) {
            (1, Some((found, _)), None) => found.slot = Some(slot.slot),
            _ => left.push(slot),
        }
    }
    let mut free = adopted.iter_mut().zip(keys).filter(|(it, _)| it.slot.is_none());
    if let ([slot], Some((found, key)), None) = (left.as_slice(), free.next(), free.next()) {
        let can_be = slot.last_rotated.is_some_and(|date| key.created <= date) && key.active == slot.active;
        if can_be {
            found.slot = Some(slot.slot);
        }
    }
    adopted
}

/// A digest of the user's unique id and of a row's key columns other than last use. As long as it stays the same, the
/// user's keys need no listing.
pub fn key_columns_digest(user_id: &str, row: &Row<'_>) -> u64 {
    let mut hash = Sha256::new();
    hash.update((user_id.len() as u64).to_be_bytes());
    hash.update(user_id);
    for key in &row.keys {
        hash.update([key.slot, u8::from(key.active), u8::from(key.last_rotated.is_some())]);
        hash.update(key.last_rotated.map_or(0, Time::as_micros).to_be_bytes());
    }
    hash.update(row.additional.unwrap_or_default());
    first_eight(hash)
}

impl Listed {
    /// Nobody's keys were listed yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of users remembered.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nobody is remembered.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this user's keys were listed while the columns were these.
    pub fn knows(&self, user_id: &str, columns: u64) -> bool {
        self.0.get(&user_digest(user_id)) == Some(&columns)
    }

    /// Whether this user's keys were ever listed.
    pub fn has(&self, user_id: &str) -> bool {
        self.0.contains_key(&user_digest(user_id))
    }

    /// Remembers that this user's keys were listed while the columns were these.
    pub fn note(&mut self, user_id: &str, columns: u64) {
        self.0.insert(user_digest(user_id), columns);
    }

    /// Adds what a later, perhaps unfinished, pass listed; it overrides.
    pub fn merge(&mut self, later: &Listed) {
        self.0.extend(&later.0);
    }

    /// The bytes of a cursor: version, entries in order, digest.
    pub fn encode(&self) -> Vec<u8> {
        let kept = self.0.len().min(USERS_MAX);
        let mut bytes = Vec::with_capacity(HEAD + kept * ENTRY + TAIL);
        bytes.push(VERSION);
        for (user, columns) in self.0.iter().take(USERS_MAX) {
            bytes.extend_from_slice(&user.to_be_bytes());
            bytes.extend_from_slice(&columns.to_be_bytes());
        }
        let digest = first_eight(Sha256::new().chain_update(&bytes));
        bytes.extend_from_slice(&digest.to_be_bytes());
        bytes
    }

    /// What [`Listed::encode`] wrote; `None` for anything else, which means: read cold.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > HEAD + USERS_MAX * ENTRY + TAIL {
            return None;
        }
        let (body, tail) = bytes.split_last_chunk::<TAIL>()?;
        if first_eight(Sha256::new().chain_update(body)).to_be_bytes() != *tail {
            return None;
        }
        let (VERSION, entries) = body.split_first().map(|(version, rest)| (*version, rest))? else {
            return None;
        };
        let entries = entries.chunks(ENTRY).map(|entry| {
            let (user, columns) = entry.split_first_chunk::<8>()?;
            Some((u64::from_be_bytes(*user), u64::from_be_bytes(columns.try_into().ok()?)))
        });
        entries.collect::<Option<BTreeMap<u64, u64>>>().map(Self)
    }
}

fn user_digest(user_id: &str) -> u64 {
    first_eight(Sha256::new().chain_update(user_id))
}

fn first_eight(hash: Sha256) -> u64 {
    hash.finalize().first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::aws::report;

    fn slot(slot: u8, active: bool, date: i64) -> Slot {
        Slot { slot, active, last_rotated: (date >= 0).then(|| Time::from_seconds(date)) }
    }

    fn key(active: bool, created: i64) -> ListedKey<'static> {
        ListedKey { id: "AKIA", active, created: Time::from_seconds(created) }
    }

    fn adopted(slots: &[Slot], keys: &[ListedKey<'_>]) -> Vec<Option<u8>> {
        adopt(slots, keys).into_iter().map(|it| it.slot).collect()
    }

    #[test]
    fn keys_find_their_slots_only_where_that_is_certain() {
        let (on, off) = (true, false);
        type Case<'a> = (&'a str, &'a [Slot], &'a [ListedKey<'static>], &'a [Option<u8>]);
        let cases: &[Case<'_>] = &[
            ("equal time", &[slot(1, on, 10)], &[key(on, 10)], &[Some(1)]),
            (
                "equal times, listed the other way",
                &[slot(1, on, 10), slot(2, on, 20)],
                &[key(on, 20), key(on, 10)],
                &[Some(2), Some(1)],
            ),
            (
                "status changed since the report: the date still matches",
                &[slot(1, on, 10)],
                &[key(off, 10)],
                &[Some(1)],
            ),
            (
                "one matches, the other by elimination",
                &[slot(1, on, 10), slot(2, off, 99)],
                &[key(off, 20), key(on, 10)],
                &[Some(2), Some(1)],
            ),
            ("one slot, one key, date moved by a status change", &[slot(2, off, 99)], &[key(off, 20)], &[Some(2)]),
            ("a key made after the report is another key", &[slot(1, on, 10)], &[key(on, 50)], &[None]),
            ("another status: perhaps a hidden key", &[slot(1, on, 99)], &[key(off, 20)], &[None]),
            (
                "twins are not told apart",
                &[slot(1, on, 10), slot(2, on, 10)],
                &[key(on, 10), key(on, 10)],
                &[None, None],
            ),
            ("twins of which one is left", &[slot(1, on, 10), slot(2, on, 10)], &[key(on, 10)], &[None]),
            ("two keys of the slot's date", &[slot(1, on, 10)], &[key(on, 10), key(off, 10)], &[None, None]),
            ("both dates moved", &[slot(1, off, 90), slot(2, off, 99)], &[key(off, 1), key(off, 2)], &[None, None]),
            ("hidden inactive key", &[slot(1, on, 10)], &[key(off, 5), key(on, 10)], &[None, Some(1)]),
            ("no date", &[slot(1, on, -1)], &[key(on, 10)], &[None]),
            ("nothing shown", &[], &[key(off, 10)], &[None]),
            ("nothing listed", &[slot(1, on, 10)], &[], &[]),
        ];
        for (what, slots, keys, wanted) in cases {
            assert_eq!(adopted(slots, keys), *wanted, "{what}");
        }
    }

    #[test]
    fn slots_that_could_not_be_told_apart_later_get_no_name() {
        let named = |slots: &[Slot]| nameable("AIDA1", slots).into_iter().map(|(slot, _)| slot).collect::<Vec<_>>();
        assert_eq!(named(&[slot(1, true, 10), slot(2, true, 20)]), [1, 2]);
        assert_eq!(named(&[slot(1, true, 10), slot(2, false, 10)]), [0_u8; 0]);
        assert_eq!(named(&[slot(1, true, -1), slot(2, true, 20)]), [2]);
        let made = Time::from_seconds(1_700_000_000);
        assert_eq!(alias("AIDA1", 2, made), "AIDA1/slot-2@2023-11-14T22:13:20Z");
    }

    fn digest(user_id: &str, keys: &str) -> u64 {
        let header = "user,arn,access_key_1_active,access_key_1_last_rotated,access_key_2_active,access_key_2_last_rotated,\
            access_key_1_last_used_date";
        let mut found = 0;
        let counts = report::read(format!("{header}\nu,arn:x,{keys}").as_bytes(), &mut |row| {
            found = key_columns_digest(user_id, &row);
        });
        assert_eq!(counts.unwrap().rows, 1);
        found
    }

    #[test]
    fn the_digest_follows_everything_but_last_use() {
        let (t1, t2) = ("2023-11-14T22:13:20Z", "2024-11-14T22:13:20Z");
        let base = digest("AIDA1", &format!("true,{t1},false,N/A,N/A"));
        assert_eq!(base, digest("AIDA1", &format!("true,{t1},false,N/A,{t2}")), "last use");
        for (what, user, keys) in [
            ("recreated user", "AIDA2", format!("true,{t1},false,N/A,N/A")),
            ("status", "AIDA1", format!("false,{t1},false,N/A,N/A")),
            ("date", "AIDA1", format!("true,{t2},false,N/A,N/A")),
            ("second key", "AIDA1", format!("true,{t1},true,{t1},N/A")),
            ("other slot", "AIDA1", format!("false,N/A,true,{t1},N/A")),
        ] {
            assert_ne!(base, digest(user, &keys), "{what}");
        }
    }

    #[test]
    fn fifty_thousand_users_fit_in_eight_tenths_of_a_megabyte() {
        let mut listed = Listed::new();
        for user in 0..50_000_u64 {
            listed.note(&format!("AIDA{user}"), user);
        }
        let bytes = listed.encode();
        assert!(bytes.len() <= 800_009, "{}", bytes.len());
        let mut back = Listed::decode(&bytes).unwrap();
        assert!(back == listed && back.knows("AIDA7", 7) && !back.knows("AIDA7", 8) && !back.knows("AIDB7", 7));
        let mut later = Listed::new();
        later.note("AIDA7", 8);
        back.merge(&later);
        assert!(back.knows("AIDA7", 8) && back.len() == listed.len());
    }

    #[test]
    fn a_cursor_that_is_cut_altered_or_foreign_is_read_cold() {
        let mut listed = Listed::new();
        listed.note("AIDA1", 1);
        listed.note("AIDA2", 2);
        let bytes = listed.encode();
        for at in 0..bytes.len() {
            assert_eq!(Listed::decode(&bytes[..at]), None);
            let mut altered = bytes.clone();
            altered[at] ^= 1;
            assert_eq!(Listed::decode(&altered), None, "byte {at}");
        }
        let mut newer = vec![VERSION + 1];
        newer.extend_from_slice(&first_eight(Sha256::new().chain_update([VERSION + 1])).to_be_bytes());
        assert_eq!(Listed::decode(&newer), None);
        assert_eq!(Listed::decode(&Listed::new().encode()), Some(Listed::new()));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2048))]

        #[test]
        fn garbage_is_no_cursor(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(Listed::decode(&bytes), None);
        }

        #[test]
        fn no_key_and_no_slot_is_given_twice(
            slots in prop::collection::vec((any::<bool>(), -1..3_i64), 1..3),
            keys in prop::collection::vec((any::<bool>(), 0..3_i64), 1..4),
        ) {
            let slots: Vec<Slot> = slots.into_iter().zip(1..).map(|((on, date), no)| slot(no, on, date)).collect();
            let keys: Vec<ListedKey<'_>> = keys.into_iter().map(|(on, created)| key(on, created)).collect();
            let adopted = adopt(&slots, &keys);
            prop_assert_eq!(adopted.iter().map(|it| it.key).collect::<Vec<_>>(), (0..keys.len()).collect::<Vec<_>>());
            let mut taken: Vec<u8> = adopted.iter().filter_map(|it| it.slot).collect();
            taken.sort_unstable();
            let all = taken.len();
            taken.dedup();
            prop_assert_eq!(taken.len(), all);
            prop_assert!(taken.iter().all(|no| slots.iter().any(|slot| slot.slot == *no)));
        }
    }
}
