//! Runs to bytes and back.
//! It must never lose a trouble.

use provost_model::{CallCount, Outcome, Realm, RecordId, Run, ScopeReport, Time, Trouble, Why};

use super::{decode as decode_form, encode as encode_form, malformed, v1};
use crate::StoreError;

const WHAT: &str = "a run";

/// The numbers on disk are places in these tables; they only grow at the end.
const OUTCOMES: [Outcome; 5] = [Outcome::Running, Outcome::Complete, Outcome::Partial, Outcome::Held, Outcome::Failed];
const WHYS: [Why; 11] = [
    Why::Denied,
    Why::Unauthenticated,
    Why::Throttled,
    Why::Unavailable,
    Why::Malformed,
    Why::TooLarge,
    Why::Stopped,
    Why::TimedOut,
    Why::Stale,
    Why::Changed,
    Why::NotReached,
];

/// The bytes of a run.
pub fn encode(run: &Run) -> Result<Vec<u8>, StoreError> {
    let scope = |it: &ScopeReport| v1::ScopeReport {
        scope: it.scope.clone(),
        cover: it.cover.clone(),
        counts: [it.seen, it.appeared, it.changed, it.returned, it.missing, it.gone, it.held],
    };
    let trouble = |it: &Trouble| v1::Trouble {
        place: it.place.clone(),
        why: v1::code(&WHYS, &it.why),
        said: it.said.clone(),
        blind_spot: it.blind_spot,
    };
    let calls =
        |it: &CallCount| v1::CallCount { operation: it.operation.clone(), sent: it.sent, throttled: it.throttled };
    let disk = v1::Run {
        id: *run.id.as_bytes(),
        source: run.source.clone(),
        realm: run.realm.as_ref().map(|realm| realm.as_str().to_owned()),
        started: run.started.as_micros(),
        ended: run.ended.map(Time::as_micros),
        outcome: v1::code(&OUTCOMES, &run.outcome),
        scopes: run.scopes.iter().map(scope).collect(),
        troubles: run.troubles.iter().map(trouble).collect(),
        calls: run.calls.iter().map(calls).collect(),
    };
    encode_form(WHAT, &disk)
}

/// The run of these bytes.
pub fn decode(bytes: &[u8]) -> Result<Run, StoreError> {
    from_disk(decode_form(WHAT, bytes)?).ok_or_else(|| malformed(WHAT))
}

fn from_disk(disk: v1::Run) -> Option<Run> {
    let scope = |it: v1::ScopeReport| {
        let [seen, appeared, changed, returned, missing, gone, held] = it.counts;
        ScopeReport { scope: it.scope, cover: it.cover, seen, appeared, changed, returned, missing, gone, held }
    };
    let trouble = |it: v1::Trouble| {
        let why = v1::from_code(&WHYS, it.why)?;
        Some(Trouble { place: it.place, why, said: it.said, blind_spot: it.blind_spot })
    };
    let calls = |it: v1::CallCount| CallCount { operation: it.operation, sent: it.sent, throttled: it.throttled };
    Some(Run {
        id: RecordId::from_bytes(disk.id),
        source: disk.source,
        realm: disk.realm.map(Realm::from_text),
        started: Time::from_micros(disk.started),
        ended: disk.ended.map(Time::from_micros),
        outcome: v1::from_code(&OUTCOMES, disk.outcome)?,
        scopes: disk.scopes.into_iter().map(scope).collect(),
        troubles: disk.troubles.into_iter().map(trouble).collect::<Option<_>>()?,
        calls: disk.calls.into_iter().map(calls).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_and_trouble_survives_its_bytes() {
        for outcome in OUTCOMES {
            let mut run = Run::begun(RecordId::from_bytes([3; 16]), "aws-prod", Time::from_seconds(5));
            run.outcome = outcome;
            run.realm = Some(Realm::new("aws", "1"));
            run.ended = Some(Time::from_seconds(-1));
            let trouble =
                |why| Trouble { place: "iam:X".to_owned(), why, said: "no".to_owned(), blind_spot: why == Why::Denied };
            run.troubles = WHYS.map(trouble).to_vec();
            run.calls = vec![CallCount { operation: "iam:X".to_owned(), sent: 9, throttled: 1 }];
            let report = ScopeReport {
                scope: "iam".to_owned(),
                cover: "full".to_owned(),
                seen: 1,
                appeared: 2,
                changed: 3,
                ..Default::default()
            };
            run.scopes = vec![ScopeReport { returned: 4, missing: 5, gone: 6, held: 7, ..report }];
            let bytes = encode(&run).unwrap();
            assert_eq!(decode(&bytes).unwrap(), run);
            assert!(decode(&bytes[..bytes.len() - 1]).is_err());
        }
    }
}
