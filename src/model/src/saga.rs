//! A change of the world in several steps, written down before each of them: a rotation, a disabling, a deletion.
//! It must never have the value of a secret, nor forget a step that was begun.

use serde::{Deserialize, Serialize};

use crate::{DecisionId, Kind, Reading, RecordId, Remedy, Time};

/// A saga's name, which new credentials carry as a mark where the provider lets them.
pub type SagaId = RecordId;

/// The steps of a rotation, in their order. Other changes take some of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Look at what there is, and whether there is room.
    Plan,
    /// Make a new credential beside the old one.
    Mint,
    /// Put its value where consumers find it.
    Store,
    /// Use it once, harmlessly.
    Verify,
    /// Have consumers read it.
    Propagate,
    /// See that the new one is used and the old one is not.
    Observe,
    /// Make the old one unusable, reversibly.
    Disable,
    /// See that nobody misses it.
    Watch,
    /// Remove the old one for good.
    Delete,
    /// See that the old one is gone or useless.
    Prove,
}

/// One call, or one look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// Look at what the provider lists and what the destinations hold.
    Look,
    /// Make what a new credential is asked for with, here: a key of its own. Nothing outside changes.
    Prepare,
    /// Make the new credential.
    Mint,
    /// Put the new value into that destination.
    Put(u8),
    /// Read the new value back from that destination.
    Recover(u8),
    /// Use the new one once.
    Verify,
    /// Have the consumers of that destination read it.
    Reload(u8),
    /// Make the old one unusable.
    Disable,
    /// Make the old one usable again.
    Enable,
    /// Remove the old one.
    Delete,
    /// Remove one that this saga made.
    Discard(String),
    /// Put what was there before back into that destination.
    Restore(u8),
    /// Give up what that destination kept for a way back.
    Settle(u8),
}

/// Which way a saga goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Course {
    /// To its end.
    Forward,
    /// Back to how it was.
    Back,
}

/// How a saga ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// What was decided is done, and proven.
    Done,
    /// Everything is as it was.
    Restored,
    /// There was nothing to do: the provider did not list it any more.
    Moot,
}

/// What is to be changed, as the inventory knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The record.
    pub record: RecordId,
    /// The authority that issued its id, as `aws/123456789012`.
    pub realm: String,
    /// What sort of thing it is.
    pub kind: Kind,
    /// What the provider calls it: `AKIA…`, an accessor, a number.
    pub external_id: String,
    /// What people call it.
    pub name: String,
    /// What whoever it authenticates as is called by the provider; empty where that is unknown.
    pub holder_id: String,
    /// What people call that one: a user's, a role's name.
    pub holder_name: String,
}

/// One credential of the same holder, as the provider lists it now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// What the provider calls it.
    pub id: String,
    /// Whether it works.
    pub active: bool,
    /// When it was made.
    pub made_at: Reading<Time>,
    /// When it was used last.
    pub used_at: Reading<Time>,
    /// The saga that made it, where the provider keeps a word of ours; or by what one is known that was prepared here.
    pub mark: Option<String>,
}

/// The credential that a saga made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct New {
    /// What the provider calls it.
    pub id: String,
    /// Keyed fingerprint of its value; none where it has no value that leaves the provider.
    pub fingerprint: Option<String>,
    /// When it was made.
    pub at: Time,
}

/// What a saga did at one destination.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    /// What the destination called what was there before; none if nothing was.
    pub before: Option<String>,
    /// What it calls the new value; none while it is not there.
    pub after: Option<String>,
    /// Whether what was there before is back.
    pub restored: bool,
    /// Whether its consumers were told.
    pub reloaded: bool,
    /// Whether what it kept for a way back is gone.
    pub settled: bool,
}

/// An act that was begun; whoever finds it does not know what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doing {
    /// Which.
    pub act: Act,
    /// Since when.
    pub since: Time,
}

/// One line of a saga's journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When.
    pub at: Time,
    /// In which step.
    pub phase: Phase,
    /// The act.
    pub act: Act,
    /// What became of it: `begun`, `done`, `failed`, `unclear`.
    pub what: String,
    /// What is known of it, without secrets.
    pub said: String,
}

/// A change in several steps. It is written down as it is before each act, and after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saga {
    /// Its name.
    pub id: SagaId,
    /// The decision it carries out.
    pub decision: DecisionId,
    /// What that asks for.
    pub remedy: Remedy,
    /// The `[[rotations]]` entry it goes by; empty where people do it.
    pub profile: String,
    /// Digest of what that entry says of where values go: it goes on only by the same.
    pub arrangement: String,
    /// The kind of rotator; `guided` where people do it.
    pub rotator: String,
    /// What is to be changed.
    pub target: Target,
    /// Who answers for it, as far as that is known.
    pub owner: Option<String>,
    /// Whether breakage is accepted for speed.
    pub emergency: bool,
    /// The steps it takes.
    pub phases: Vec<Phase>,
    /// The step it is in.
    pub phase: Phase,
    /// Since when.
    pub since: Time,
    /// Which way it goes.
    pub course: Course,
    /// When it was let begin, beside others that go on; none while it waits for its turn.
    pub admitted_at: Option<Time>,
    /// The act that is being done.
    pub doing: Option<Doing>,
    /// What the provider listed before anything was done.
    pub before: Option<Vec<Slot>>,
    /// By what a new credential is known that is being made, where that was prepared here: written down before it is asked for.
    #[serde(default)]
    pub prepared: Option<String>,
    /// The same of everything that was ever asked for: what comes late is known by it.
    #[serde(default)]
    pub asked_with: Vec<String>,
    /// Until when a new credential may come to be that was asked for without an answer; it is looked for once more after that.
    #[serde(default)]
    pub late_until: Option<Time>,
    /// The new credential.
    pub minted: Option<New>,
    /// Credentials it made whose value is lost: they are removed before another is made.
    pub strays: Vec<String>,
    /// The destinations, in the order of the configuration.
    pub placed: Vec<Placed>,
    /// When the new credential was seen to work.
    pub verified_at: Option<Time>,
    /// When the old one was disabled.
    pub disabled_at: Option<Time>,
    /// When the old one was removed.
    pub deleted_at: Option<Time>,
    /// When the end was seen to be what was decided.
    pub proven_at: Option<Time>,
    /// When the destinations had again what they had before.
    pub restored_at: Option<Time>,
    /// When nobody had used the new one for long enough after that.
    pub quiet_at: Option<Time>,
    /// When it goes on, at the earliest.
    pub not_before: Time,
    /// How often the present act failed.
    pub tries: u32,
    /// Why it waits, in words.
    pub waits: Option<String>,
    /// Why it needs a person's word before it goes on.
    pub held: Option<String>,
    /// Who said that it is to pause.
    pub paused_by: Option<String>,
    /// What happened, the oldest first.
    pub journal: Vec<Entry>,
    /// When it began.
    pub begun_at: Time,
    /// How and when it ended.
    pub ended: Option<(Ending, Time)>,
}

impl Phase {
    /// Every step, in order.
    pub const ALL: [Phase; 10] = [
        Phase::Plan,
        Phase::Mint,
        Phase::Store,
        Phase::Verify,
        Phase::Propagate,
        Phase::Observe,
        Phase::Disable,
        Phase::Watch,
        Phase::Delete,
        Phase::Prove,
    ];

    /// The word used in interfaces.
    pub fn word(self) -> &'static str {
        match self {
            Phase::Plan => "plan",
            Phase::Mint => "mint",
            Phase::Store => "store",
            Phase::Verify => "verify",
            Phase::Propagate => "propagate",
            Phase::Observe => "observe",
            Phase::Disable => "disable",
            Phase::Watch => "watch",
            Phase::Delete => "delete",
            Phase::Prove => "prove",
        }
    }
}

impl Act {
    /// Whether it changes anything outside.
    pub fn changes(&self) -> bool {
        !matches!(self, Act::Look | Act::Prepare | Act::Recover(_) | Act::Verify)
    }

    /// The word used in interfaces.
    pub fn word(&self) -> &'static str {
        match self {
            Act::Look => "look",
            Act::Prepare => "prepare",
            Act::Mint => "mint",
            Act::Put(_) => "put",
            Act::Recover(_) => "read back",
            Act::Verify => "verify",
            Act::Reload(_) => "reload",
            Act::Disable => "disable",
            Act::Enable => "enable",
            Act::Delete => "delete",
            Act::Discard(_) => "discard",
            Act::Restore(_) => "restore",
            Act::Settle(_) => "settle",
        }
    }
}

impl Course {
    /// The word used in interfaces.
    pub fn word(self) -> &'static str {
        match self {
            Course::Forward => "forward",
            Course::Back => "back",
        }
    }
}

impl Ending {
    /// The word used in interfaces.
    pub fn word(self) -> &'static str {
        match self {
            Ending::Done => "done",
            Ending::Restored => "restored",
            Ending::Moot => "moot",
        }
    }
}

impl Saga {
    /// One that begins now with its first step, by people until an entry is named.
    pub fn new((id, decision): (SagaId, DecisionId), remedy: Remedy, target: Target, now: Time) -> Self {
        Self {
            id,
            decision,
            remedy,
            profile: String::new(),
            arrangement: String::new(),
            rotator: String::new(),
            target,
            owner: None,
            emergency: false,
            phases: Vec::new(),
            phase: Phase::Plan,
            since: now,
            course: Course::Forward,
            admitted_at: None,
            doing: None,
            before: None,
            prepared: None,
            asked_with: Vec::new(),
            late_until: None,
            minted: None,
            strays: Vec::new(),
            placed: Vec::new(),
            verified_at: None,
            disabled_at: None,
            deleted_at: None,
            proven_at: None,
            restored_at: None,
            quiet_at: None,
            not_before: now,
            tries: 0,
            waits: None,
            held: None,
            paused_by: None,
            journal: Vec::new(),
            begun_at: now,
            ended: None,
        }
    }

    /// Whether it goes forward and nothing was done yet, nor is being done.
    pub fn is_untouched(&self) -> bool {
        let done = self.disabled_at.is_some() || self.deleted_at.is_some() || self.minted.is_some();
        self.course == Course::Forward && self.doing.is_none() && !done && self.strays.is_empty()
    }

    /// What the provider calls the old one: its id, or, where it is replaced in its place, that of the last version before.
    pub fn old(&self) -> &str {
        let external = self.target.external_id.as_str();
        let mut before = self.before.iter().flatten();
        let last = before.clone().next_back().map_or(external, |slot| slot.id.as_str());
        before.find(|slot| slot.id == external).map_or(last, |slot| slot.id.as_str())
    }

    /// The mark that what it makes carries, where the provider keeps a word of ours.
    pub fn mark(&self) -> String {
        format!("provost {}", self.id)
    }

    /// Where it stands, in a word.
    pub fn state(&self) -> &'static str {
        match (&self.ended, &self.held, &self.paused_by) {
            (Some((ending, _)), ..) => ending.word(),
            (None, Some(_), _) => "held",
            (None, None, Some(_)) => "paused",
            (None, None, None) => "under_way",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Span;

    #[test]
    fn a_saga_that_an_older_program_wrote_is_read() {
        let target = Target {
            record: RecordId::from_bytes([2; 16]),
            realm: "r".into(),
            kind: Kind::Certificate,
            external_id: "pki/00:11".into(),
            name: "api".into(),
            holder_id: String::new(),
            holder_name: String::new(),
        };
        let now = Time::from_seconds(1_000_000);
        let ids = (RecordId::from_bytes([7; 16]), RecordId::from_bytes([1; 16]));
        let mut saga = Saga::new(ids, Remedy::Rotate, target, now);
        saga.doing = Some(Doing { act: Act::Mint, since: now + Span::seconds(1) });
        saga.prepared = Some("sha256:ab".into());
        let mut written = serde_json::to_value(&saga).unwrap();
        assert_eq!(serde_json::from_value::<Saga>(written.clone()).unwrap(), saga);
        // It knew nothing of what is prepared, nor of what comes late.
        for unknown in ["prepared", "asked_with", "late_until"] {
            assert!(written.as_object_mut().unwrap().remove(unknown).is_some());
        }
        saga.prepared = None;
        assert_eq!(serde_json::from_value::<Saga>(written).unwrap(), saga);
        assert!(!Act::Prepare.changes() && Act::Mint.changes());
    }
}
