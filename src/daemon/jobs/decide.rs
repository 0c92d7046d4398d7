//! Decisions: asked for, agreed to, refused, withdrawn; with what follows from each in the same commit.
//! It must never write what follows apart from the decision, nor follow one that does not hold.

use provost_engine::{
    govern::{Asked, Decider, Governance, InForce, Next, Refusal, Request},
    own::Roster,
    rules::is_about_cases,
    severity::{Raiser, raisers},
};
use provost_model::{
    DecisionId, Finding, FindingState, Motion, OwnerWord, Party, Purpose, Record, RecordId, Remedy, Resolution, Ruling,
    Stage, Time, field,
};
use provost_store::{
    StoreError,
    inventory::{Draft, Inventory},
};
use thiserror::Error;

use crate::{house::House, ids::Ids};

/// Why nothing was decided.
#[derive(Debug, Error)]
pub enum DecideError {
    /// It may not be decided so, or not by that person.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// There is no such decision.
    #[error("there is no such decision any more")]
    Unknown,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Who decides, by which policy.
pub struct Desk<'a> {
    /// Where.
    pub house: &'a House,
    /// Everybody who is known.
    pub people: &'a Roster,
    /// The policy.
    pub governance: &'a Governance,
    /// The user of this machine who asks.
    pub uid: u32,
}

/// What somebody wants decided.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// About what.
    pub subject: RecordId,
    /// Rules whose findings it is about; all that stand if there are none.
    pub rules: Vec<String>,
    /// What is to hold.
    pub ruling: Ruling,
    /// Why.
    pub purpose: Purpose,
    /// Whether it is done without a fault, because it is time.
    pub routine: bool,
    /// Whether breakage is accepted where it is carried out.
    pub emergency: bool,
}

/// What else can be said of a decision on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Say {
    /// Somebody agrees.
    Approve,
    /// Somebody does not.
    Refuse,
    /// It is not asked for, or does not hold, any more.
    Withdraw,
}

/// What is carried out step by step: everything else is people's to do.
pub const CARRIED_OUT: [Remedy; 5] =
    [Remedy::Rotate, Remedy::Disable, Remedy::Delete, Remedy::Restrict, Remedy::Revoke];

/// Whose chain of evidence decisions are in. They are few: daemons that share a store share it too, and whoever is slower
/// reads its end again.
pub(crate) const WRITER: &str = "decisions";

type Done = Result<Result<Motion, DecideError>, StoreError>;

impl Desk<'_> {
    /// Asks for a decision; where nobody else has to agree, it holds at once.
    pub fn ask(&self, wanted: &Wanted) -> Result<Motion, DecideError> {
        let id = Ids.make(self.house.now()).map_err(StoreError::from)?;
        self.in_one_piece(&|mut draft: Draft<'_>, by: &Decider, now: Time| -> Done {
            let (record, identity) = subject(draft.inventory(), wanted.subject)?;
            let findings = chosen(&draft.findings_of(wanted.subject)?, &wanted.rules);
            let request = Request {
                id,
                subject: wanted.subject,
                renewal: renewal(&draft.inventory().motions_of(wanted.subject, None)?, &findings),
                findings,
                ruling: wanted.ruling.clone(),
                because: record.as_ref().map(|it| because(it, identity.as_ref())).unwrap_or_default(),
                creator: record.as_ref().and_then(|record| creator(self.people, record)),
                purpose: wanted.purpose.clone(),
                routine: wanted.routine,
            };
            if wanted.emergency {
                draft.put_emergency(id);
            }
            match Next::ask(request, by, self.governance, now) {
                Ok(next) => settle(&mut draft, next, now).and_then(|next| committed(draft, next)),
                Err(refusal) => Ok(Err(refusal.into())),
            }
        })
    }

    /// Says something about a decision on its way.
    pub fn say(
        &self,
        (subject_id, id): (RecordId, DecisionId),
        what: Say,
        purpose: &Purpose,
    ) -> Result<Motion, DecideError> {
        self.in_one_piece(&|mut draft: Draft<'_>, by: &Decider, now: Time| -> Done {
            let Some(motion) = draft.motion(subject_id, id)? else { return Ok(Err(DecideError::Unknown)) };
            let (record, _) = subject(draft.inventory(), subject_id)?;
            let creator = record.as_ref().and_then(|record| creator(self.people, record));
            let word = (purpose.clone(), creator.as_deref());
            let over = match (what, motion.stage(now)) {
                (Say::Approve, _) => {
                    return match Asked::of(motion, now).and_then(|asked| asked.approve(by, word, now)) {
                        Ok(next) => settle(&mut draft, next, now).and_then(|next| committed(draft, next)),
                        Err(refusal) => Ok(Err(refusal.into())),
                    };
                }
                (Say::Refuse, _) => Asked::of(motion, now).and_then(|asked| asked.refuse(by, word, now)),
                (Say::Withdraw, Stage::Asked { .. }) => {
                    Asked::of(motion, now).map(|asked| asked.withdraw(by, purpose.clone(), now))
                }
                (Say::Withdraw, _) => match InForce::of(motion, now) {
                    Ok(held) => {
                        take_back(&mut draft, held.motion(), by.person(), now)?;
                        Ok(held.withdraw(by, purpose.clone(), now))
                    }
                    Err(refusal) => Err(refusal),
                },
            };
            match over {
                Ok(motion) => {
                    if matches!(motion.ruling, Ruling::Contain { .. }) {
                        // What was done before others agreed is taken back.
                        draft.act_at((motion.subject, motion.id), Some(now));
                    }
                    put(&mut draft, &motion, now)?;
                    draft.commit()?;
                    Ok(Ok(motion))
                }
                Err(refusal) => Ok(Err(refusal.into())),
            }
        })
    }

    /// Reads, decides and commits as one; again where another process was faster.
    fn in_one_piece(&self, step: &dyn Fn(Draft<'_>, &Decider, Time) -> Done) -> Result<Motion, DecideError> {
        let done = self.house.again(|| {
            // Findings are written by one at a time.
            let _gavel = self.house.gavel();
            let _pen = self.house.pen();
            let now = self.house.now();
            match Decider::of(self.people, self.uid, now) {
                Ok(by) => step(Draft::new(self.house.inventory(), now), &by, now),
                Err(refusal) => Ok(Err(refusal.into())),
            }
        });
        done?
    }
}

/// The person who made a record, where a provider or a log says so.
pub(super) fn creator(people: &Roster, record: &Record) -> Option<String> {
    let by = record.get(field::CREATED_BY).known()?;
    let (id, party) = people.known(&by, Some(&record.realm))?;
    (party == Party::Person).then(|| id.to_owned())
}

/// A record and the identity behind it; nothing for sources and the store.
pub(super) fn subject(inventory: Inventory<'_>, id: RecordId) -> Result<(Option<Record>, Option<Record>), StoreError> {
    let record = inventory.record(id, None)?;
    let key = record.as_ref().and_then(|record| record.identity.as_ref());
    let identity = key.map(|key| inventory.resolve(key)).transpose()?.flatten();
    let identity = identity.map(|id| inventory.record(id, None)).transpose()?.flatten();
    Ok((record, identity))
}

/// Why more people have to agree, in words.
fn because(record: &Record, identity: Option<&Record>) -> Vec<String> {
    let counts = |it: &Raiser| matches!(it, Raiser::Privileged(_) | Raiser::Leaked(_));
    raisers(record, identity).iter().filter(|it| counts(it)).map(Raiser::words).collect()
}

/// Whether a finding stands, and one of those rules found it; any if there are none. What is wrong with a case is answered
/// by answering its faults.
pub fn is_meant(finding: &Finding, rules: &[String]) -> bool {
    let named = || rules.iter().any(|rule| rule.eq_ignore_ascii_case(&finding.rule));
    let is_fault = finding.state == FindingState::Open && !is_about_cases(&finding.rule);
    is_fault && (rules.is_empty() || named())
}

/// Findings that are meant, each with its rule.
fn chosen(findings: &[Finding], rules: &[String]) -> Vec<(RecordId, String)> {
    findings.iter().filter(|it| is_meant(it, rules)).map(|it| (it.id, it.rule.clone())).collect()
}

/// How often one of these was accepted before.
fn renewal(before: &[Motion], findings: &[(RecordId, String)]) -> u32 {
    let same = |motion: &&Motion| {
        let accepted = matches!(motion.ruling, Ruling::Accept { .. }) && motion.agreed_at().is_some();
        accepted && motion.findings.iter().any(|it| findings.contains(it))
    };
    u32::try_from(before.iter().filter(same).count()).unwrap_or(u32::MAX)
}

/// Commits a decision that needs nobody else, with what follows from it.
pub(super) fn hold(mut draft: Draft<'_>, held: InForce, now: Time) -> Result<(), StoreError> {
    let next = settle(&mut draft, Next::Holds(held), now)?;
    committed(draft, next)?.map(drop).map_err(|_| StoreError::Codec("a decision that does not hold".to_owned()))
}

/// Puts a step into a draft, and what follows from it if the decision holds now.
fn settle(draft: &mut Draft<'_>, next: Next, now: Time) -> Result<Next, StoreError> {
    put(draft, next.motion(), now)?;
    if let Next::Holds(held) = &next {
        let motion = held.motion();
        match &motion.ruling {
            Ruling::Accept { until, .. } | Ruling::Reject { until } => silence(draft, motion, (*until, now))?,
            Ruling::Reassign { owner } => {
                let step = motion.steps.first();
                let word = OwnerWord {
                    owner: Some(owner.clone()),
                    by: motion.asker().unwrap_or_default().to_owned(),
                    at: now,
                    reason: step.map(|step| step.purpose.as_str().to_owned()).unwrap_or_default(),
                };
                draft.put_owner_word(motion.subject, &word)?;
            }
            // Who carries it out is planned from there; what nobody can do but people is told to them.
            Ruling::Contain { .. } => {
                draft.put_emergency(motion.id);
                draft.act_at((motion.subject, motion.id), Some(now));
            }
            Ruling::Act { remedy } if CARRIED_OUT.contains(remedy) => {
                draft.act_at((motion.subject, motion.id), Some(now));
            }
            Ruling::Act { .. } => {}
        }
        // Whoever dies here leaves it to be judged again, which also notes when the acceptance ends.
        draft.judge_at(motion.subject, Some(now));
    }
    Ok(next)
}

/// Writes a step of a decision down, as it is and as evidence.
pub(super) fn put(draft: &mut Draft<'_>, motion: &Motion, now: Time) -> Result<(), StoreError> {
    draft.put_motion(motion)?;
    // What was decided is news, though no fault changed.
    draft.tell_at(motion.subject, Some(now));
    let Some(step) = motion.steps.last() else { return Ok(()) };
    let rules: Vec<&str> = motion.findings.iter().map(|(_, rule)| rule.as_str()).collect();
    let (mut remedy, mut owner, mut control) = (None, None, None);
    match &motion.ruling {
        Ruling::Act { .. } | Ruling::Contain { .. } => remedy = motion.ruling.remedy().map(|it| it.word().to_owned()),
        Ruling::Accept { control: it, .. } => control.clone_from(it),
        Ruling::Reassign { owner: it } => owner = Some(it.clone()),
        Ruling::Reject { .. } => {}
    }
    let holds = matches!(motion.stage(now), Stage::InForce { .. });
    let facts = [
        ("decision", Some(motion.id.to_string())),
        ("subject", Some(motion.subject.to_string())),
        ("ruling", Some(motion.ruling.word().to_owned())),
        ("remedy", remedy),
        ("until", motion.ends_at().map(|until| until.to_string())),
        ("control", control),
        ("owner", owner),
        ("rules", Some(rules.join(" "))),
        ("needs", Some(motion.needs.to_string())),
        ("because", Some(motion.because.join("; ")).filter(|words| !words.is_empty())),
        ("by", Some(step.by.clone())),
        ("uid", Some(step.uid.to_string())),
        ("purpose", Some(step.purpose.as_str().to_owned())),
        ("policy", Some(motion.policy.clone())),
        ("holds", Some(holds.to_string())),
    ];
    draft.witness(WRITER, (now, &format!("decision.{}", step.what.word())), &facts)
}

fn committed(draft: Draft<'_>, next: Next) -> Done {
    match &next {
        Next::Holds(held) => match held.decision() {
            Some(decision) => drop(draft.commit_decided(decision)?),
            None => return Ok(Err(DecideError::Unknown)),
        },
        Next::Waits(_) => drop(draft.commit()?),
    }
    Ok(Ok(next.motion().clone()))
}

/// Findings that stand are not told of until a date.
fn silence(draft: &mut Draft<'_>, motion: &Motion, (until, now): (Time, Time)) -> Result<(), StoreError> {
    let mut findings = draft.findings_of(motion.subject)?;
    let about = |it: &Finding| motion.findings.iter().any(|(id, _)| *id == it.id);
    for finding in findings.iter_mut().filter(|it| it.state == FindingState::Open && about(it)) {
        finding.state = FindingState::Resolved;
        finding.resolution = Some(Resolution::Accepted);
        finding.resolved_at = Some(now);
        finding.unconfirmed_since = None;
        finding.until = Some(until);
    }
    draft.put_findings(motion.subject, &findings)
}

/// Undoes what followed from a decision that held until now.
fn take_back(draft: &mut Draft<'_>, motion: &Motion, by: &str, now: Time) -> Result<(), StoreError> {
    if let Some(until) = motion.ruling.silences_until() {
        let mut findings = draft.findings_of(motion.subject)?;
        let silent = |it: &Finding| it.resolution == Some(Resolution::Accepted) && it.until == Some(until);
        let about = |it: &Finding| motion.findings.iter().any(|(id, _)| *id == it.id);
        findings.iter_mut().filter(|it| silent(it) && about(it)).for_each(|it| it.until = Some(now));
        draft.put_findings(motion.subject, &findings)?;
    }
    if matches!(motion.ruling, Ruling::Reassign { .. }) {
        let reason = "the decision was withdrawn".to_owned();
        draft.put_owner_word(motion.subject, &OwnerWord { owner: None, by: by.to_owned(), at: now, reason })?;
    }
    // What is being carried out goes back at once.
    let sagas = draft.inventory().sagas()?;
    for mut saga in sagas.into_iter().filter(|saga| saga.decision == motion.id && saga.ended.is_none()) {
        saga.not_before = now;
        draft.put_saga(&saga)?;
    }
    draft.judge_at(motion.subject, Some(now));
    Ok(())
}
