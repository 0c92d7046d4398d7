//! What people do with tickets comes back: who works on one, whether it was closed, whether it is still there.
//! It must never take a closed ticket for a fault that is mended, nor a list that failed for one in which a ticket is not.

use std::sync::Arc;

use provost_actions::sinks::{Sink, TICKETS_AT_ONCE, Ticket};
use provost_model::{Event, RecordId, Time, Told};
use provost_store::{
    Go, StoreError,
    inventory::{Reads, TicketRow},
};

use super::tell::MailRoom;
use crate::{config::telling::Path, house::House, wire::Wiring};

/// Looks at every ticket of a case that stands; gives the number of tickets of which something was new. What cannot be asked
/// is asked again the next time.
pub async fn turn(house: &House, wiring: &Arc<Wiring>) -> Result<u64, StoreError> {
    let mut news = 0;
    for path in &wiring.config.routes {
        let Some((_, sink)) = wiring.sink(&path.route.sink) else { continue };
        if sink.tracker().is_none() {
            continue;
        }
        let mut open: Vec<(RecordId, String)> = Vec::new();
        house.inventory().each_ticket(&path.route.name, &mut |subject, row| {
            if row.there {
                open.push((subject, row.key));
            }
            Ok(Go::On)
        })?;
        for some in open.chunks(TICKETS_AT_ONCE) {
            match asked(&sink, some).await {
                Ok(tickets) => {
                    for ((subject, key), ticket) in some.iter().zip(tickets) {
                        news += u64::from(heard(house, (wiring, path), (*subject, key), &ticket)?);
                    }
                }
                Err(said) => {
                    tracing::warn!(
                        route = path.route.name,
                        sink = path.route.sink,
                        said,
                        "cannot ask how tickets stand"
                    );
                    break;
                }
            }
        }
    }
    Ok(news)
}

/// How these tickets stand, each in its place.
async fn asked(sink: &Arc<dyn Sink>, some: &[(RecordId, String)]) -> Result<Vec<Ticket>, String> {
    let Some(tracker) = sink.tracker() else { return Ok(Vec::new()) };
    let keys: Vec<String> = some.iter().map(|(_, key)| key.clone()).collect();
    let tickets = tracker.tickets(&keys).await.map_err(|error| error.said().to_owned())?;
    if tickets.len() == keys.len() {
        Ok(tickets)
    } else {
        Err("it answered for other tickets than were asked for".into())
    }
}

/// Notes how a ticket stands, and has what follows told; whether anything was new.
fn heard(
    house: &House,
    (wiring, path): (&Wiring, &Path),
    (subject, key): (RecordId, &str),
    ticket: &Ticket,
) -> Result<bool, StoreError> {
    let route = &path.route.name;
    house.again(|| {
        // Whoever tells of cases, or notes what became of a letter, writes about the same.
        let _gavel = house.gavel();
        let now = house.now();
        let reads = Reads::default();
        let mut room = MailRoom::new(house, (wiring, &reads), now)?;
        let inventory = house.inventory();
        // Settled, or told anew, while it was asked: what was heard is of the past.
        let told = inventory.told(route, subject)?.filter(|told| told.event != Event::Settled);
        let known = inventory.ticket(route, subject)?.filter(|known| known.key == key);
        let (Some(told), Some(known)) = (told, known) else { return Ok(false) };
        let row = row_of(key, ticket, now);
        if (TicketRow { seen_at: row.seen_at, ..known.clone() }) == row {
            return Ok(false);
        }
        room.draft.put_ticket(route, subject, Some(&row))?;
        match ticket {
            // Only a later look settles a case; who closes its ticket does not.
            Ticket::There { closed: true, .. } if !known.closed => unproven(&mut room, path, told)?,
            Ticket::There { .. } => {}
            Ticket::Gone => {
                room.draft.put_told(route, &Told { event: Event::Changed, at: now, ..told.clone() })?;
                if path.route.events.contains(&Event::Changed) {
                    room.write(path, Event::Changed, &told.note)?;
                }
                tracing::warn!(route, %subject, ticket = key, "the ticket of a case that stands is not there any more");
            }
        }
        room.commit()?;
        Ok(true)
    })
}

fn unproven(room: &mut MailRoom<'_>, path: &Path, told: Told) -> Result<(), StoreError> {
    let note = told.note.clone();
    room.draft.put_told(&path.route.name, &Told { event: Event::Unproven, at: room.now, ..told })?;
    if path.route.events.contains(&Event::Unproven) {
        room.write(path, Event::Unproven, &note)?;
    }
    Ok(())
}

fn row_of(key: &str, ticket: &Ticket, now: Time) -> TicketRow {
    let (there, closed, status, assignee, comments) = match ticket {
        Ticket::There { closed, status, assignee, comments } => {
            (true, *closed, status.clone(), assignee.clone(), *comments)
        }
        Ticket::Gone => (false, false, String::new(), None, None),
    };
    TicketRow { key: key.to_owned(), there, closed, status, assignee, comments, seen_at: now }
}

/// What is known of the tickets of a case: the route of each, and how it stood when it was asked for last.
pub fn of(house: &House, wiring: &Wiring, subject: RecordId) -> Result<Vec<(String, TicketRow)>, StoreError> {
    let mut tickets = Vec::new();
    for path in &wiring.config.routes {
        if let Some(row) = house.inventory().ticket(&path.route.name, subject)? {
            tickets.push((path.route.name.clone(), row));
        }
    }
    Ok(tickets)
}
