//! From cases to letters: what there is to tell, by which routes, written down before anything leaves.
//! It must never tell of what a first complete run found as if it were news, nor unwrite what was told.

mod baselines;
mod mail_room;
mod note;
mod standing;

use provost_engine::tell::{news, routes_of};
use provost_model::{About, CaseNote, Event, RecordId, Severity, Told};
use provost_store::{
    StoreError,
    inventory::{DIGEST_QUEUE, Reads, TELL_QUEUE},
};

pub(super) use self::mail_room::MailRoom;
use self::note::noted;
pub(super) use self::standing::WRITER;
use self::standing::enable;
use crate::{config::telling::Path, docket::Docket, house::House, wire::Wiring};

/// Subjects told of in one commit.
const BATCH: usize = 64;
/// Subjects taken from the queue at a time; after them the docket is put together anew: owners and sources change meanwhile.
const AT_ONCE: usize = 4_096;
/// Messages closed at a time.
const MESSAGES: usize = 16;

/// Brings standing decisions in line with the configuration, and looks at how far baselines got. This asks about each route and
/// source, whether or not anything happened.
pub fn survey(house: &House, wiring: &Wiring) -> Result<(), StoreError> {
    enable(house, wiring)?;
    baselines::work(house, wiring)?;
    baselines::tell(house, wiring)
}

/// Writes down what there is to tell; gives the number of letters written or added to.
pub fn turn(house: &House, wiring: &Wiring) -> Result<u64, StoreError> {
    let mut told = 0;
    loop {
        // Many at once: what was taken out of the queue is stepped over until the store has tidied up.
        let ids = house.inventory().due_subjects(TELL_QUEUE, house.now(), AT_ONCE)?;
        if ids.is_empty() {
            break;
        }
        // Putting it together costs as much as many cases.
        let docket = Docket::new(house, wiring, house.now())?;
        for batch in ids.chunks(BATCH) {
            told += subjects((house, wiring), &docket, batch)?;
        }
    }
    while close(house, wiring)? > 0 {}
    Ok(told)
}

/// Tells of these subjects in one commit; how much there was to tell.
fn subjects((house, wiring): (&House, &Wiring), docket: &Docket<'_>, ids: &[RecordId]) -> Result<u64, StoreError> {
    house.again(|| {
        // Whoever judges meanwhile would put a subject into the queue that is taken out of it here.
        let _gavel = house.gavel();
        let reads = Reads::default();
        let mut room = MailRoom::new(house, (wiring, &reads), house.now())?;
        let mut told = 0;
        for id in ids {
            told += subject(&mut room, docket, *id)?;
        }
        room.commit()?;
        Ok(told)
    })
}

/// Tells of one subject whatever is new.
fn subject(room: &mut MailRoom<'_>, docket: &Docket<'_>, id: RecordId) -> Result<u64, StoreError> {
    if room.wiring.config.routes.is_empty() {
        room.draft.tell_at(id, None);
        return Ok(0);
    }
    let findings = room.noting().findings_of(id)?;
    let case = docket.case(id, &findings)?;
    // What a first complete run found, and nobody said is to be worked off, is told of as a whole.
    let case = case.filter(|row| !row.baseline || row.deadline.is_some() || row.severity == Severity::Critical);
    let note = case.as_ref().map(|row| noted(row, &findings, room.people()));
    let wiring = room.wiring;
    let routes = || wiring.config.routes.iter().map(|path| &path.route);
    let named: Vec<&str> = note.iter().flat_map(|note| routes_of(routes(), note)).map(|it| it.name.as_str()).collect();
    let (mut told, mut stands) = (0, false);
    for path in &wiring.config.routes {
        let route = &path.route;
        let before = room.inventory().told(&route.name, id)?;
        // Whoever was told of a case is told how it ends, wherever it belongs by then.
        let heard = before.as_ref().is_some_and(|told| told.event != Event::Settled);
        let now = note.as_ref().filter(|_| heard || named.contains(&route.name.as_str()));
        let Some(event) = news(before.as_ref(), now) else {
            stands |= heard;
            continue;
        };
        stands |= event != Event::Settled;
        let last = || before.as_ref().map(|told| note::settled(&told.note, &findings));
        let Some(note) = now.cloned().or_else(last) else { continue };
        room.draft.put_told(&route.name, &Told { note: note.clone(), event, at: room.now })?;
        if route.events.contains(&event) {
            room.write(path, event, &note)?;
            told += 1;
        }
    }
    // Time alone makes it overdue; by the time of the docket, which may be a little behind.
    let deadline = note.as_ref().filter(|note| stands && !note.overdue).and_then(|note| note.deadline);
    room.draft.tell_at(id, deadline);
    Ok(told)
}

/// A case as it would be told of now; nothing if nothing of it stands.
pub fn note_of(house: &House, wiring: &Wiring, subject: RecordId) -> Result<Option<CaseNote>, StoreError> {
    let inventory = house.inventory();
    let findings = inventory.findings_of(subject)?;
    let people = wiring.yardstick.people.everybody(inventory)?;
    let case = Docket::new(house, wiring, house.now())?.case(subject, &findings)?;
    Ok(case.map(|row| noted(&row, &findings, &people)))
}

/// Makes letters of messages whose time is over; gives the number of messages.
fn close(house: &House, wiring: &Wiring) -> Result<usize, StoreError> {
    house.again(|| {
        let now = house.now();
        let due = house.store().due(DIGEST_QUEUE, now, MESSAGES)?;
        let reads = Reads::default();
        let mut room = MailRoom::new(house, (wiring, &reads), now)?;
        for (_, key) in &due {
            let gathering = room.inventory().gathering_at(key)?;
            let path = gathering.as_ref().and_then(|it| path_of(wiring, &it.route));
            if let (Some(gathering), Some(path)) = (gathering, path)
                && !gathering.digest.is_empty()
            {
                let lane = gathering.digest.address.clone().unwrap_or_default();
                room.post(path, lane, (About::Digest(Box::new(gathering.digest)), now))?;
            }
            room.draft.close_gathering(key);
        }
        room.commit()?;
        Ok(due.len())
    })
}

/// The configured route of that name.
pub fn path_of<'w>(wiring: &'w Wiring, route: &str) -> Option<&'w Path> {
    wiring.config.routes.iter().find(|path| path.route.name == route)
}
