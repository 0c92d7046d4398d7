//! What a look means: for an act of unknown fate, and for a saga that waits.
//! It must never take a credential for ours that somebody else may have made, nor quiet for what the provider is late to tell.

use provost_model::{Act, Course, Doing, Ending, New, Phase, Placed, Reading, Remedy, Saga, Slot, Span, Time};

use super::{
    How, UNDER_WAY, advance,
    answer::{Seen, deleted, disabled, discarded, put, restored},
    hold, note, turn_back,
};

/// How far the provider's clock may be from ours.
const SKEW: Span = Span::minutes(5);

/// What became of an act that was begun and had no answer.
pub(super) fn resolved(saga: &mut Saga, doing: Doing, seen: &Seen, how: &How, now: Time) {
    let old = seen.slot(saga.old());
    let held = |at: u8| seen.held.get(usize::from(at)).cloned().unwrap_or_default();
    match doing.act {
        Act::Mint => minted(saga, doing.since, seen, how, now),
        Act::Put(at) => {
            let (there, index) = (held(at), usize::from(at));
            let before = saga.placed.get(index).and_then(|it| it.before.clone());
            let readable = how.readable.get(index).copied().unwrap_or(false);
            match there.version {
                Some(version) if there.ours || (!readable && Some(&version) != before.as_ref()) => {
                    put(saga, at, version, now);
                }
                version if version == before => {}
                _ => hold(saga, &format!("destination {at} has a value that is not ours: somebody else wrote it")),
            }
        }
        Act::Disable if old.is_none_or(|slot| !slot.active) => disabled(saga, now),
        Act::Enable => match old {
            Some(slot) if slot.active => saga.disabled_at = None,
            Some(_) => {}
            None => hold(saga, "the old one is gone: nothing can be taken back, rotate again"),
        },
        Act::Delete if old.is_none_or(|slot| !slot.active && !how.reversible) => deleted(saga, now),
        Act::Discard(id) if seen.slot(&id).is_none_or(|slot| !slot.active && !how.reversible) => discarded(saga, &id),
        Act::Restore(at) if !held(at).ours => restored(saga, at, now),
        // It did not happen, or does no harm twice: it is done again.
        _ => {}
    }
}

/// What became of a credential that was being made. Its value is lost in any case, and what was prepared for it is used up.
fn minted(saga: &mut Saga, since: Time, seen: &Seen, how: &How, now: Time) {
    // What was prepared by a program that could not yet is known by nothing.
    let mark = match how.prepares {
        true => saga.prepared.take(),
        false => how.marks.then(|| saga.mark()),
    };
    let bears = |slot: &Slot, mark: &str| slot.mark.as_deref() == Some(mark);
    let known = |slot: &&Slot| {
        let before = saga.before.iter().flatten().any(|it| it.id == slot.id);
        before || saga.strays.contains(&slot.id)
    };
    let fresh: Vec<&Slot> = seen.slots.iter().filter(|slot| !known(slot)).collect();
    if how.in_place || !how.carries {
        // Replaced in its place by somebody else is replaced too, unless the provider can tell whose it is.
        let ours = fresh.iter().rev().find(|slot| mark.as_deref().is_none_or(|mark| bears(slot, mark)));
        if let Some(slot) = ours {
            saga.minted = Some(New { id: slot.id.clone(), fingerprint: None, at: now });
            advance(saga, now);
        }
        return;
    }
    let ours = |slot: &&&Slot| match &mark {
        Some(mark) => bears(slot, mark),
        None => {
            let in_time = match slot.made_at {
                Reading::Known(at) => at >= since - SKEW && at <= now + SKEW,
                _ => true,
            };
            in_time && !matches!(slot.used_at, Reading::Known(_))
        }
    };
    // Where there is room for any number, one that nobody can tell from others' is left alone: if it is ours, its value is gone,
    // and it opens nothing to anybody.
    let blind = mark.is_none() && fresh.iter().any(|slot| !slot.used_at.is_answered());
    if blind && how.capacity.is_none() {
        let all: Vec<&str> = fresh.iter().map(|slot| slot.id.as_str()).collect();
        let said = format!("{} may be ours, and nobody has its value: it is left to expire", all.join(", "));
        note(saga, &Act::Look, ("left", &said), now);
        return;
    }
    let ids: Vec<String> = fresh.iter().filter(ours).map(|slot| slot.id.clone()).collect();
    if mark.is_some() && ids.is_empty() {
        // Whoever asked may have died while the other side was still at it.
        saga.late_until = Some(since + UNDER_WAY);
    }
    // Without a mark only one that the provider says was never used is taken for ours.
    let doubtful = mark.is_none() && (blind || ids.len() > 1 || ids.len() < fresh.len());
    if doubtful {
        let all: Vec<&str> = fresh.iter().map(|slot| slot.id.as_str()).collect();
        hold(
            saga,
            &format!("{} appeared meanwhile, and nobody can tell which is ours: look and remove it", all.join(", ")),
        );
        return;
    }
    saga.strays.extend(ids);
}

/// What a look means for a saga that waits.
pub(super) fn looked(saga: &mut Saga, seen: &Seen, how: &How, now: Time) {
    late(saga, seen, how, now);
    match (saga.course, saga.phase) {
        (Course::Back, _) => came_back(saga, seen, how, now),
        (_, Phase::Plan) => planned(saga, seen, how, now),
        (_, Phase::Observe) => observed(saga, seen, how, now),
        (_, Phase::Watch) => watched(saga, seen, how, now),
        (_, Phase::Prove) => proven(saga, seen, how, now),
        _ => {}
    }
}

/// What was asked for, was not there when it was looked for, and is there now: its call was still on its way when whoever sent it
/// died. Nobody has its value.
fn late(saga: &mut Saga, seen: &Seen, how: &How, now: Time) {
    if how.in_place || !how.carries || !how.is_known() {
        return;
    }
    saga.late_until = saga.late_until.filter(|until| now < *until);
    let ours = |mark: &String| match how.prepares {
        true => saga.asked_with.contains(mark),
        false => *mark == saga.mark(),
    };
    let is_new = |slot: &&Slot| {
        let minted = saga.minted.as_ref().is_some_and(|new| new.id == slot.id);
        let known = minted || saga.strays.contains(&slot.id) || saga.before.iter().flatten().any(|it| it.id == slot.id);
        slot.active && !known && slot.mark.as_ref().is_some_and(ours)
    };
    let ids: Vec<String> = seen.slots.iter().filter(is_new).map(|slot| slot.id.clone()).collect();
    saga.strays.extend(ids);
}

fn planned(saga: &mut Saga, seen: &Seen, how: &How, now: Time) {
    let Some(old) = seen.slot(&saga.target.external_id).or(if how.in_place { seen.slots.last() } else { None }) else {
        saga.ended = Some((Ending::Moot, now));
        return;
    };
    if saga.remedy == Remedy::Rotate && !old.active {
        return hold(saga, "it is disabled already: enable it, or decide to delete it");
    }
    let room = how.capacity.is_none_or(|capacity| seen.slots.len() < capacity);
    if saga.remedy == Remedy::Rotate && !room {
        let ids: Vec<&str> = seen.slots.iter().map(|slot| slot.id.as_str()).collect();
        let words = format!(
            "there is no room for a new one beside {}: decide which of them nobody needs, and have it deleted",
            ids.join(" and ")
        );
        return hold(saga, &words);
    }
    saga.before = Some(seen.slots.clone());
    if saga.phases.contains(&Phase::Store) {
        saga.placed =
            seen.held.iter().map(|held| Placed { before: held.version.clone(), ..Placed::default() }).collect();
    }
    advance(saga, now);
}

fn observed(saga: &mut Saga, seen: &Seen, how: &How, now: Time) {
    if !how.in_place {
        match saga.minted.as_ref().map(|new| seen.slot(&new.id)) {
            Some(Some(slot)) if slot.active => {}
            _ => return hold(saga, "the new one is gone or disabled: somebody else did that"),
        }
    }
    let windows = how.windows;
    let overlap = saga.since + windows.overlap;
    if now < overlap {
        return waits(saga, overlap, "both work for a while", how, now);
    }
    let old = seen.slot(saga.old());
    let used = old.map(|slot| slot.used_at);
    match (used, how.lag) {
        // Somebody else removed it.
        (None, _) if !how.in_place => return advance(saga, now),
        (Some(used), Some(lag)) if used.is_answered() => {
            let last = used.known().filter(|at| *at > saga.since);
            let quiet = last.unwrap_or(saga.since) + windows.quiet + lag;
            if now < quiet {
                let why = match last {
                    Some(at) => format!("the old one was used at {at}"),
                    None => "it is not known yet whether the old one is used".to_owned(),
                };
                return waits(saga, quiet, &why, how, now);
            }
            let new = saga.minted.as_ref().and_then(|new| Some((seen.slot(&new.id)?.used_at, new.at)));
            let taken_up = new.is_none_or(|(used, made)| used.known().is_some_and(|at| at + SKEW >= made));
            if !taken_up && !was_idle(saga, how) {
                let often = now + windows.look_every;
                return waits(saga, often, "nobody uses the new one yet: do consumers read it?", how, now);
            }
        }
        _ => {
            let blind = saga.since + windows.blind.max(windows.overlap);
            if now < blind {
                let why = "the provider does not say whether the old one is used";
                return waits(saga, blind, why, how, now);
            }
        }
    }
    advance(saga, now);
}

/// Whether nobody used the old one for long before all this.
fn was_idle(saga: &Saga, how: &How) -> bool {
    let old = saga.before.iter().flatten().find(|slot| slot.id == saga.old());
    match old.map(|slot| slot.used_at) {
        Some(Reading::Never) => true,
        Some(Reading::Known(at)) => saga.begun_at - at > how.windows.idle,
        _ => false,
    }
}

fn watched(saga: &mut Saga, seen: &Seen, how: &How, now: Time) {
    let Some(old) = seen.slot(saga.old()) else { return advance(saga, now) };
    if old.active {
        return hold(saga, "somebody enabled the old one again: ask whoever uses it");
    }
    let disabled = saga.disabled_at.unwrap_or(saga.since);
    if let Some(at) = old.used_at.known().filter(|at| *at > disabled + SKEW) {
        return turn_back(saga, &format!("the old one was tried at {at}, after it was disabled"), now);
    }
    let until = saga.since + how.windows.watch;
    if now < until {
        return waits(saga, until, "the old one is disabled; it is seen whether somebody misses it", how, now);
    }
    advance(saga, now);
}

fn proven(saga: &mut Saga, seen: &Seen, how: &How, now: Time) {
    // What is left of ours goes first.
    if !saga.strays.is_empty() {
        return;
    }
    let old = seen.slot(saga.old());
    let gone = old.is_none();
    let useless = old.is_none_or(|slot| !slot.active);
    let settled = match saga.remedy {
        Remedy::Rotate if how.in_place => true,
        // Some lists keep what was revoked.
        Remedy::Rotate | Remedy::Delete | Remedy::Revoke if how.removes => {
            gone || (useless && saga.deleted_at.is_some())
        }
        _ => useless,
    };
    let new = saga.minted.as_ref().map(|new| seen.slot(&new.id));
    let stands = match new {
        None => saga.remedy != Remedy::Rotate,
        Some(slot) => slot.is_some_and(|slot| slot.active),
    };
    match (settled, stands) {
        (true, true) => saga.proven_at = Some(now),
        (false, _) => hold(saga, "the provider still lists the old one as usable"),
        (true, false) => hold(saga, "the provider does not list the new one as usable"),
    }
}

/// On the way back: whether nobody uses the new one any more.
fn came_back(saga: &mut Saga, seen: &Seen, how: &How, now: Time) {
    let Some(slot) = saga.minted.as_ref().and_then(|new| seen.slot(&new.id)) else {
        saga.minted = None;
        return;
    };
    let since = saga.restored_at.unwrap_or(saga.since);
    let (last, lag) = match (slot.used_at, how.lag) {
        (Reading::Known(at), Some(lag)) => (at.max(since), lag),
        (_, lag) => (since, lag.unwrap_or(Span::seconds(0))),
    };
    let quiet = last + how.windows.quiet + lag;
    if now < quiet {
        return waits(saga, quiet, "consumers are left the time to come back to the old one", how, now);
    }
    saga.quiet_at = Some(now);
}

fn waits(saga: &mut Saga, until: Time, why: &str, how: &How, now: Time) {
    saga.waits = Some(why.to_owned());
    saga.not_before = until.min(now + how.windows.look_every);
}
