//! Decisions on their way, and the one place where a decision is attested to be durable.
//! It must never attest before the commit that wrote it down.

use provost_model::{Decision, DecisionId, Motion, Move, RecordId, Recorded};
use serde::Serialize;

use super::{Draft, Inventory, MOTIONS, rows};
use crate::{CommitNo, Go, KeyRange, Op, StoreError};

/// The stream in which every step of every decision stands, for good.
pub const DECISIONS: &str = "decisions";

/// One step as the stream has it: all that is needed to know what it was about, without the store.
#[derive(Serialize)]
struct Said<'a> {
    /// Grows with the shape.
    version: u32,
    decision: DecisionId,
    subject: RecordId,
    findings: &'a [(RecordId, String)],
    ruling: &'a provost_model::Ruling,
    needs: u8,
    policy: &'a str,
    what: &'static str,
    by: &'a str,
    uid: u32,
    at: provost_model::Time,
    purpose: &'a str,
    /// Whether it holds after this step.
    holds: bool,
}

impl Inventory<'_> {
    /// A decision on its way.
    pub fn motion(&self, subject: RecordId, id: DecisionId) -> Result<Option<Motion>, StoreError> {
        let key = key(subject, id);
        let row = self.store.get(MOTIONS, &key, None)?;
        self.note(MOTIONS, &key, row.as_ref());
        row.and_then(|row| row.value).map(|bytes| rows::decode(&bytes, "a decision")).transpose()
    }

    /// Those about one subject, in the order in which they were asked for, as they stood at a commit (`None`: now).
    pub fn motions_of(&self, subject: RecordId, at: Option<CommitNo>) -> Result<Vec<Motion>, StoreError> {
        self.motions_in(&KeyRange::prefix(subject.as_bytes()), at)
    }

    /// All of them, by subject.
    pub fn motions(&self, at: Option<CommitNo>) -> Result<Vec<Motion>, StoreError> {
        self.motions_in(&KeyRange::all(), at)
    }

    fn motions_in(&self, range: &KeyRange, at: Option<CommitNo>) -> Result<Vec<Motion>, StoreError> {
        let mut found = Vec::new();
        self.store.scan(MOTIONS, range, at, &mut |_, row| {
            if let Some(bytes) = row.value {
                found.push(rows::decode(&bytes, "a decision")?);
            }
            Ok(Go::On)
        })?;
        Ok(found)
    }
}

impl Draft<'_> {
    /// A decision on its way, to be changed here.
    pub fn motion(&self, subject: RecordId, id: DecisionId) -> Result<Option<Motion>, StoreError> {
        self.inventory_noting().motion(subject, id)
    }

    /// Writes a decision on its way after a step, and the step into the stream of decisions.
    pub fn put_motion(&mut self, motion: &Motion) -> Result<(), StoreError> {
        let Some(step) = motion.steps.last() else { return Ok(()) };
        let said = Said {
            version: 1,
            decision: motion.id,
            subject: motion.subject,
            findings: &motion.findings,
            ruling: &motion.ruling,
            needs: motion.needs,
            policy: &motion.policy,
            what: step.what.word(),
            by: &step.by,
            uid: step.uid,
            at: step.at,
            purpose: step.purpose.as_str(),
            holds: motion.agreed_at().is_some() && !matches!(step.what, Move::Refused | Move::Withdrawn),
        };
        let value = serde_json::to_vec(&said).map_err(|error| StoreError::Codec(error.to_string()))?;
        self.push(Op::Put { table: MOTIONS, key: key(motion.subject, motion.id), value: rows::encode(motion)? });
        self.push(Op::Append { stream: DECISIONS, value });
        Ok(())
    }

    /// Commits a decision that holds, with whatever follows from it here, and attests that it is durable.
    pub fn commit_decided(self, decision: Decision) -> Result<Recorded<Decision>, StoreError> {
        let at = self.at();
        let nothing = || StoreError::Codec("a decision that writes nothing".to_owned());
        let committed = self.commit()?.ok_or_else(nothing)?;
        #[allow(clippy::disallowed_methods, reason = "the commit above made it durable: the one place that may say so")]
        Ok(Recorded::attest(decision, committed.number.0, at))
    }
}

/// By subject, then by name: names are made in the order of time.
fn key(subject: RecordId, id: DecisionId) -> Vec<u8> {
    [subject.as_bytes().as_slice(), id.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use provost_model::{Order, Purpose, Remedy, Ruling, Step, Time, Warrant as _};

    use super::*;
    use crate::Store;

    fn motion(byte: u8, ruling: Ruling) -> Motion {
        let step = Step {
            what: Move::Asked,
            by: "ann".into(),
            uid: 1001,
            at: Time::from_seconds(5),
            purpose: Purpose::stated("leaver").unwrap(),
        };
        Motion {
            id: RecordId::from_bytes([byte; 16]),
            subject: RecordId::from_bytes([2; 16]),
            findings: vec![(RecordId::from_bytes([3; 16]), "CRED-STALE".into())],
            ruling,
            because: Vec::new(),
            needs: 0,
            renewal: 0,
            policy: "p".into(),
            steps: vec![step],
        }
    }

    #[test]
    fn a_decision_is_attested_by_its_commit_and_every_step_stands_in_the_stream() {
        let store = crate::memory();
        let inventory = Inventory::of(&store);
        let act = motion(1, Ruling::Act { remedy: Remedy::Disable });
        let mut draft = Draft::new(inventory, Time::from_seconds(9));
        draft.put_motion(&act).unwrap();
        let recorded = draft.commit_decided(act.decision().unwrap()).unwrap();
        assert_eq!((recorded.commit(), recorded.at()), (store.head().unwrap().number.0, Time::from_seconds(9)));
        assert_eq!(Order::from_recorded(recorded).unwrap().remedy(), Remedy::Disable);
        assert_eq!(inventory.motion(act.subject, act.id).unwrap().as_ref(), Some(&act));

        let mut later = motion(4, Ruling::Reject { until: Time::from_seconds(99) });
        later.needs = 2;
        let mut draft = Draft::new(inventory, Time::from_seconds(10));
        draft.put_motion(&later).unwrap();
        draft.commit().unwrap();
        assert_eq!(inventory.motions_of(act.subject, None).unwrap(), [act, later.clone()]);
        assert!(inventory.motions_of(RecordId::from_bytes([7; 16]), None).unwrap().is_empty());
        let asked = [RecordId::from_bytes([7; 16]), later.subject, later.subject];
        let each: Vec<Vec<Motion>> = asked.iter().map(|id| inventory.motions_of(*id, None).unwrap()).collect();
        assert_eq!(inventory.motions_of_all(&asked, None).unwrap(), each);
        assert_eq!(each[1].len(), 2);
        let said: Vec<serde_json::Value> = store
            .entries(DECISIONS, 1, 10)
            .unwrap()
            .iter()
            .map(|entry| serde_json::from_slice(&entry.value).unwrap())
            .collect();
        let holds: Vec<_> = said.iter().map(|it| (it["what"].clone(), it["holds"].clone(), it["by"].clone())).collect();
        let line = |holds: bool| ("asked".into(), holds.into(), "ann".into());
        assert_eq!(holds, [line(true), line(false)]);
        assert_eq!(said[0]["ruling"]["Act"]["remedy"], "disable");
        let nothing =
            Draft::new(inventory, Time::from_seconds(11)).commit_decided(motion(1, later.ruling).decision().unwrap());
        assert!(nothing.is_err(), "what wrote nothing is not attested");
    }
}
