//! Letters to sinks: each try is written down before it is made, and what became of it right after.
//! It must never send a letter again that may have arrived, unless the sink can tell.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt as _, stream};
use provost_actions::{
    ActionError,
    sinks::{Delivery as Kind, Receipt, Sink},
};
use provost_engine::tell::{Next, after_failure};
use provost_model::{About, Delivery, DeliveryId, Errand, Event, Leaving, RecordId, Span, Time};
use provost_store::{
    StoreError,
    inventory::{Draft, Reads, TicketRow},
};
use tokio_util::sync::CancellationToken;

use super::tell::{MailRoom, WRITER, path_of};
use crate::{config::telling, house::House, letters::letter, wire::Wiring};

/// Letters of one sink that are tried in one go, and of them at the same time.
pub const AT_ONCE: usize = 16;
const ABREAST: usize = 4;
/// How long a sink is believed to know by its id a letter that it has already: the least that any is documented or known to.
const REMEMBERED: Span = Span::hours(20);
/// How long a try may be under way after it was cut: longer than any call may take.
const UNDER_WAY: Span = Span::seconds(60);

/// One sink's pace: how many letters may leave now, and until when none may.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    letters: f64,
    at: Time,
    rests_until: Time,
}

/// What became of one try, and the letter as it is after it.
struct Tried {
    letter: Delivery,
    /// Whether it was looked for, and not sent.
    looked: bool,
    outcome: Result<Option<Receipt>, ActionError>,
}

impl Pace {
    /// A sink of which nothing left yet: a handful may at once.
    pub fn new(now: Time) -> Self {
        Self { letters: AT_ONCE as f64, at: now, rests_until: now }
    }

    /// How many letters may leave now.
    fn allows(&mut self, per_minute: u32, now: Time) -> usize {
        let seconds = (now - self.at).as_micros().max(0) as f64 / 1e6;
        let most = f64::from(per_minute).min(AT_ONCE as f64);
        self.letters = (self.letters + seconds * f64::from(per_minute) / 60.0).min(most.max(1.0));
        self.at = now;
        if now < self.rests_until { 0 } else { self.letters as usize }
    }

    fn spend(&mut self, letters: usize) {
        self.letters = (self.letters - letters as f64).max(0.0);
    }

    /// Nothing leaves until then: the sink asked for it.
    fn rest(&mut self, until: Time) {
        self.rests_until = self.rests_until.max(until);
    }
}

/// Tries letters of one sink; gives its pace after that. Stopped, it makes no new try.
pub async fn deliver(
    house: House,
    wiring: Arc<Wiring>,
    (name, ids): (String, Vec<DeliveryId>),
    mut pace: Pace,
    stop: CancellationToken,
) -> Result<Pace, StoreError> {
    let now = house.now();
    let (mut fresh, mut doubtful) = (Vec::new(), Vec::new());
    for id in ids {
        match house.inventory().delivery(id)? {
            Some(letter) if letter.state.ended_at().is_some() => forget(&house, &letter)?,
            Some(letter) if letter.state == Leaving::Trying => doubtful.push(letter),
            Some(letter) => fresh.push(letter),
            None => {}
        }
    }
    let Some((configured, sink)) = wiring.sink(&name) else {
        let open: Vec<_> = doubtful.into_iter().chain(fresh).collect();
        nowhere(&house, open, "there is no sink of that name any more")?;
        return Ok(pace);
    };
    // Of a blind sink one at a time: whoever dies in between leaves one letter of which nobody knows.
    let blind = sink.delivery() == Kind::Blind;
    let allowed = pace.allows(configured.per_minute, now).min(if blind { 1 } else { AT_ONCE });
    doubtful.truncate(allowed.max(usize::from(blind)));
    fresh.truncate(allowed.saturating_sub(doubtful.len()));
    if stop.is_cancelled() {
        return Ok(pace);
    }
    pace.spend(doubtful.len() + fresh.len());
    let looks = doubtful.into_iter().map(|letter| settle_doubt(&house, Arc::clone(&sink), letter));
    let mut looking = stream::iter(looks).buffer_unordered(ABREAST);
    while let Some(tried) = looking.next().await {
        note(&house, &wiring, (&configured, &sink), tried?, &mut pace)?;
    }
    if fresh.is_empty() {
        return Ok(pace);
    }
    let (routed, gone): (Vec<_>, Vec<_>) = fresh.into_iter().partition(|it| path_of(&wiring, &it.route).is_some());
    nowhere(&house, gone, "its route is not configured any more")?;
    let begun = house.again(|| Draft::new(house.inventory(), house.now()).commit_tries(routed.clone()))?;
    let tries = begun.into_iter().filter_map(|(letter, decision)| Some((letter, Errand::from_recorded(decision)?)));
    let tries = tries.map(|(letter, errand)| attempt(&house, Arc::clone(&sink), letter, errand));
    let mut trying = stream::iter(tries.collect::<Vec<_>>()).buffer_unordered(ABREAST);
    while let Some(tried) = trying.next().await {
        note(&house, &wiring, (&configured, &sink), tried?, &mut pace)?;
    }
    Ok(pace)
}

/// One try of a letter, for its errand.
async fn attempt(house: &House, sink: Arc<dyn Sink>, letter: Delivery, errand: Errand) -> Result<Tried, StoreError> {
    let words = self::letter(&letter, thread(house, &letter)?);
    let outcome = sink.deliver(&errand, &words).await.map(Some);
    Ok(Tried { letter, looked: false, outcome })
}

/// What became of a letter that was being tried when somebody ended, or whose try gave no clear answer.
async fn settle_doubt(house: &House, sink: Arc<dyn Sink>, letter: Delivery) -> Result<Tried, StoreError> {
    let unclear = || ActionError::Ambiguous { said: "whoever tried it ended before there was an answer".to_owned() };
    let known = house.now() - letter.first_tried_at.unwrap_or(letter.written_at) < REMEMBERED;
    let letter = Delivery { unclear: true, ..letter };
    let outcome = match sink.delivery() {
        // It is sent again under its own id: the sink drops what it has.
        Kind::DedupKey if known => Ok(None),
        Kind::DedupKey => Err(unclear()),
        Kind::LookUp => sink.look_up(&self::letter(&letter, thread(house, &letter)?)).await,
        Kind::Blind => Err(unclear()),
    };
    Ok(Tried { letter, looked: true, outcome })
}

/// What the sink calls the first letter about the same case.
fn thread(house: &House, letter: &Delivery) -> Result<Option<String>, StoreError> {
    let About::Case { note, .. } = &letter.about else { return Ok(None) };
    Ok(house.inventory().ticket(&letter.route, note.subject)?.filter(|it| it.there).map(|it| it.key))
}

/// Writes down what became of a try.
fn note(
    house: &House,
    wiring: &Wiring,
    (configured, sink): (&telling::Sink, &Arc<dyn Sink>),
    tried: Tried,
    pace: &mut Pace,
) -> Result<(), StoreError> {
    let mut letter = tried.letter;
    let now = house.now();
    let first_at = letter.first_tried_at.unwrap_or(now);
    let again = |asked: Option<Duration>| {
        after_failure((first_at, letter.tries), asked.map(|it| it.as_secs()), luck(letter.id), now)
    };
    letter.said = tried.outcome.as_ref().err().map(|error| error.said().to_owned());
    match &tried.outcome {
        Ok(Some(receipt)) => {
            letter.state = Leaving::Delivered { at: now };
            letter.reference.clone_from(&receipt.reference);
            letter.url.clone_from(&receipt.url);
        }
        // It is certain that it did not arrive, or that a second one does no harm.
        Ok(None) => {
            letter.unclear = sink.delivery() == Kind::DedupKey;
            (letter.state, letter.not_before) = (Leaving::Waits, now);
        }
        Err(ActionError::Retry { after, .. }) => {
            if let Some(after) = after {
                let seconds = i64::try_from(after.as_secs()).unwrap_or(i64::MAX).min(6 * 3_600);
                pace.rest(now + Span::seconds(seconds));
            }
            match again(*after) {
                Next::At(at) => {
                    letter.not_before = at;
                    // A look that failed says nothing of the try it looks for; nor does a refusal now of what arrived before.
                    letter.state = if tried.looked || letter.unclear { Leaving::Trying } else { Leaving::Waits };
                }
                Next::Never if letter.unclear => letter.state = Leaving::Uncertain { at: now },
                Next::Never => letter.state = Leaving::Dead { at: now },
            }
        }
        Err(ActionError::GiveUp { .. }) if letter.unclear => letter.state = Leaving::Uncertain { at: now },
        Err(ActionError::GiveUp { .. }) => letter.state = Leaving::Dead { at: now },
        Err(ActionError::Ambiguous { .. }) => {
            letter.unclear = true;
            // As one that is being tried it is looked into before it is sent again.
            match (sink.delivery(), again(None)) {
                (Kind::DedupKey, Next::At(at)) if at - first_at < REMEMBERED => {
                    (letter.state, letter.not_before) = (Leaving::Trying, at);
                }
                // What was cut on this side may still be under way to the other.
                (Kind::LookUp, Next::At(at)) => {
                    (letter.state, letter.not_before) = (Leaving::Trying, at.max(now + UNDER_WAY))
                }
                _ => letter.state = Leaving::Uncertain { at: now },
            }
        }
    }
    house.again(|| {
        // Whoever asks how tickets stand writes about them too.
        let _gavel = house.gavel();
        // Written by a batch whose answer was lost.
        if house.inventory().delivery(letter.id)?.as_ref() == Some(&letter) {
            return Ok(());
        }
        let reads = Reads::default();
        let mut room = MailRoom::new(house, (wiring, &reads), house.now())?;
        room.draft.moved_on(&letter)?;
        if let (Leaving::Delivered { .. }, About::Case { note, event }) = (letter.state, &letter.about) {
            keep_ticket(&mut room.draft, &letter, (note.subject, *event))?;
        }
        if let (Leaving::Uncertain { .. }, Some(path)) = (letter.state, path_of(wiring, &letter.route)) {
            let address = match &letter.about {
                About::Digest(digest) => digest.address.clone(),
                About::Case { .. } => None,
            };
            room.mention(path, (address, letter.id))?;
        }
        if letter.state.ended_at().is_some() {
            witness(&mut room.draft, &letter, configured.spec.name)?;
        }
        room.commit()
    })?;
    let (id, route, said) = (letter.id, &letter.route, letter.said.as_deref().unwrap_or_default());
    match letter.state {
        Leaving::Delivered { .. } => tracing::info!(%id, route, sink = letter.sink, "told"),
        Leaving::Waits | Leaving::Trying => tracing::warn!(%id, route, sink = letter.sink, said, "not told yet"),
        Leaving::Uncertain { .. } => {
            tracing::warn!(%id, route, sink = letter.sink, said, "nobody can tell whether it arrived")
        }
        Leaving::Dead { .. } | Leaving::Dropped { .. } => {
            tracing::error!(%id, route, sink = letter.sink, said, "given up; see: provost outbox");
        }
    }
    Ok(())
}

/// What somebody of that user said of a letter that is not being tried: that it is to be sent again, or need not arrive.
pub fn again(house: &House, letter: &Delivery, (state, uid): (Leaving, u32)) -> Result<(), StoreError> {
    house.again(|| {
        let now = house.now();
        let mut draft = Draft::new(house.inventory(), now);
        // A letter that is sent on its way again is tried for as long as a new one.
        let first_tried_at = if state == Leaving::Waits { None } else { letter.first_tried_at };
        let letter = Delivery { state, not_before: now, first_tried_at, unclear: false, ..letter.clone() };
        let known = house.inventory().delivery(letter.id)?;
        if known.is_some_and(|known| known.state.word() == state.word()) {
            return Ok(());
        }
        draft.moved_on(&letter)?;
        let facts = [
            ("letter", Some(letter.id.to_string())),
            ("route", Some(letter.route.clone())),
            ("uid", Some(uid.to_string())),
        ];
        let what = if state == Leaving::Waits { "letter.sent_again" } else { "letter.dropped" };
        draft.witness(WRITER, (now, what), &facts)?;
        draft.commit()?;
        Ok(())
    })
}

/// A letter that ended long ago.
fn forget(house: &House, letter: &Delivery) -> Result<(), StoreError> {
    house.again(|| {
        let mut draft = Draft::new(house.inventory(), house.now());
        draft.forget_delivery(letter);
        draft.commit()?;
        Ok(())
    })
}

/// What the sink calls the first letter about a case is what later ones belong to, until one says that the case is over.
fn keep_ticket(
    draft: &mut Draft<'_>,
    letter: &Delivery,
    (subject, event): (RecordId, Event),
) -> Result<(), StoreError> {
    if event == Event::Settled {
        return draft.put_ticket(&letter.route, subject, None);
    }
    let known = draft.inventory().ticket(&letter.route, subject)?.filter(|it| it.there);
    match &letter.reference {
        Some(reference) if known.is_none() => {
            draft.put_ticket(&letter.route, subject, Some(&TicketRow::new(reference.clone(), letter.written_at)))
        }
        _ => Ok(()),
    }
}

/// Gives up letters that lead nowhere any more.
fn nowhere(house: &House, letters: Vec<Delivery>, said: &str) -> Result<(), StoreError> {
    for mut letter in letters {
        let (at, doubtful) = (house.now(), letter.unclear || letter.state == Leaving::Trying);
        letter.state = if doubtful { Leaving::Uncertain { at } } else { Leaving::Dead { at } };
        letter.said = Some(said.to_owned());
        house.again(|| {
            let mut draft = Draft::new(house.inventory(), house.now());
            draft.moved_on(&letter)?;
            witness(&mut draft, &letter, "")?;
            draft.commit()?;
            Ok(())
        })?;
    }
    Ok(())
}

/// What evidence says of a letter that ended.
fn witness(draft: &mut Draft<'_>, letter: &Delivery, kind: &str) -> Result<(), StoreError> {
    let (case, event) = match &letter.about {
        About::Case { event, note } => (Some(note.subject.to_string()), Some(event.word().to_owned())),
        About::Digest(_) => (None, None),
    };
    let at = letter.state.ended_at().unwrap_or(letter.written_at);
    let facts = [
        ("letter", Some(letter.id.to_string())),
        ("route", Some(letter.route.clone())),
        ("sink", Some(letter.sink.clone())),
        ("kind", Some(kind.to_owned()).filter(|it| !it.is_empty())),
        ("subject", case),
        ("event", event),
        ("tries", Some(letter.tries.to_string())),
        ("reference", letter.reference.clone()),
        ("said", letter.said.clone()),
    ];
    draft.witness(WRITER, (at, &format!("letter.{}", letter.state.word())), &facts)
}

/// What spreads letters apart: always the same for one.
fn luck(id: DeliveryId) -> f64 {
    f64::from(id.as_bytes().last().copied().unwrap_or_default()) / 255.0
}
