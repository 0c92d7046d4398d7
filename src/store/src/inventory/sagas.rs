//! Sagas: changes of the world in several steps, each step written down before it is taken and attested only if the decision
//! it rests on still holds. It must never attest a step that its commit did not write down.

use provost_model::{Act, Course, Decision, DecisionId, RecordId, Recorded, Saga, SagaId, Stage, Time};
use serde::{Deserialize, Serialize};

use super::{ACT_QUEUE, Draft, EMERGENCY, Inventory, KILL_SWITCH, META, SAGA_QUEUE, SAGAS, index, rows};
use crate::{Go, KeyRange, Op, StoreError};

/// Who stopped everything, when and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KillSwitch {
    /// The person.
    pub by: String,
    /// When.
    pub at: Time,
    /// Why.
    pub reason: String,
}

impl Inventory<'_> {
    /// A saga.
    pub fn saga(&self, id: SagaId) -> Result<Option<Saga>, StoreError> {
        let row = self.store.get(SAGAS, id.as_bytes(), None)?;
        self.note(SAGAS, id.as_bytes(), row.as_ref());
        row.and_then(|row| row.value).map(|bytes| read(&bytes)).transpose()
    }

    /// Every saga, the oldest first.
    pub fn sagas(&self) -> Result<Vec<Saga>, StoreError> {
        let mut found = Vec::new();
        self.store.scan(SAGAS, &KeyRange::all(), None, &mut |_, row| {
            if let Some(bytes) = row.value {
                found.push(read(&bytes)?);
            }
            Ok(Go::On)
        })?;
        Ok(found)
    }

    /// Sagas that are to go on now, the most overdue first.
    pub fn due_sagas(&self, now: Time, limit: usize) -> Result<Vec<SagaId>, StoreError> {
        self.store.due(SAGA_QUEUE, now, limit)?.iter().map(|(_, item)| index::tail_id(item)).collect()
    }

    /// Decisions to act that nobody has begun to carry out: subject and decision.
    pub fn due_acts(&self, now: Time, limit: usize) -> Result<Vec<(RecordId, DecisionId)>, StoreError> {
        let mut due = Vec::new();
        for (_, item) in self.store.due(ACT_QUEUE, now, limit)? {
            let subject = item.get(..16).and_then(|it| <[u8; 16]>::try_from(it).ok()).map(RecordId::from_bytes);
            let subject = subject.ok_or_else(|| StoreError::Codec("a decision that is due".to_owned()))?;
            due.push((subject, index::tail_id(&item)?));
        }
        Ok(due)
    }

    /// Whether breakage is accepted where a decision is carried out.
    pub fn is_emergency(&self, decision: DecisionId) -> Result<bool, StoreError> {
        let row = self.store.get(META, &[EMERGENCY, decision.as_bytes()].concat(), None)?;
        Ok(row.is_some_and(|row| row.value.is_some()))
    }

    /// Who stopped everything, if somebody did.
    pub fn kill_switch(&self) -> Result<Option<KillSwitch>, StoreError> {
        let row = self.store.get(META, KILL_SWITCH, None)?;
        self.note(META, KILL_SWITCH, row.as_ref());
        row.and_then(|row| row.value).map(|bytes| rows::decode(&bytes, "the kill switch")).transpose()
    }
}

impl Draft<'_> {
    /// Says when a decision to act is to be carried out (`None`: it is, or never will be).
    pub fn act_at(&mut self, (subject, decision): (RecordId, DecisionId), at: Option<Time>) {
        self.schedule(ACT_QUEUE, [subject.as_bytes().as_slice(), decision.as_bytes()].concat(), at);
    }

    /// Says that breakage is accepted where a decision is carried out.
    pub fn put_emergency(&mut self, decision: DecisionId) {
        self.push(Op::Put { table: META, key: [EMERGENCY, decision.as_bytes()].concat(), value: vec![1] });
    }

    /// A saga, to be changed here.
    pub fn saga(&self, id: SagaId) -> Result<Option<Saga>, StoreError> {
        self.inventory_noting().saga(id)
    }

    /// Writes a saga down as it is, and when it goes on.
    pub fn put_saga(&mut self, saga: &Saga) -> Result<(), StoreError> {
        let rests = saga.ended.is_some() || saga.held.is_some() || saga.paused_by.is_some();
        self.schedule(SAGA_QUEUE, saga.id.as_bytes().to_vec(), (!rests).then_some(saga.not_before));
        self.push(Op::Put { table: SAGAS, key: saga.id.as_bytes().to_vec(), value: written(saga)? });
        Ok(())
    }

    /// Stops everything, or lets it go on.
    pub fn put_kill_switch(&mut self, switch: Option<&KillSwitch>) -> Result<(), StoreError> {
        let key = KILL_SWITCH.to_vec();
        self.push(match switch {
            Some(switch) => Op::Put { table: META, key, value: rows::encode(switch)? },
            None => Op::Delete { table: META, key },
        });
        Ok(())
    }

    /// Commits that an act is being done, and attests the decision it is done under. Nothing is written, and nothing attested,
    /// where the decision does not hold, is a guardrail's that stands no more, is about something else, asks for something else, or
    /// where everything is stopped. What is only taken back, or tidied up when the old one is removed, rests on a decision that held
    /// once.
    pub fn commit_step(mut self, saga: &Saga) -> Result<Option<Recorded<Decision>>, StoreError> {
        let at = self.at();
        let Some(doing) = &saga.doing else { return Ok(None) };
        if self.inventory_noting().kill_switch()?.is_some() {
            return Ok(None);
        }
        let tidies = saga.deleted_at.is_some() && matches!(doing.act, Act::Settle(_) | Act::Discard(_));
        let Some(motion) = self.motion(saga.target.record, saga.decision)? else { return Ok(None) };
        let asks_for_it = motion.ruling.remedy() == Some(saga.remedy);
        // What policy decided goes forward only while the policy stands.
        let lapsed = match motion.guardrail() {
            Some(name) if saga.course == Course::Forward && !tidies => self.guardrail(name)?.is_none(),
            _ => false,
        };
        let holds = !lapsed
            && match saga.course {
                Course::Forward if !tidies => matches!(motion.stage(at), Stage::InForce { .. }),
                Course::Forward | Course::Back => motion.agreed_at().is_some(),
            };
        let Some(decision) = motion.decision().filter(|_| asks_for_it && holds) else { return Ok(None) };
        self.put_saga(saga)?;
        let Some(committed) = self.commit()? else { return Ok(None) };
        #[allow(clippy::disallowed_methods, reason = "the commit above wrote the step, under a decision that it read")]
        Ok(Some(Recorded::attest(decision, committed.number.0, at)))
    }
}

/// Sagas are few, long-lived and read by later programs: they are kept as JSON, in which fields have names.
fn written(saga: &Saga) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(saga).map_err(|error| StoreError::Codec(error.to_string()))
}

fn read(bytes: &[u8]) -> Result<Saga, StoreError> {
    serde_json::from_slice(bytes).map_err(|error| StoreError::Codec(format!("a saga: {error}")))
}
