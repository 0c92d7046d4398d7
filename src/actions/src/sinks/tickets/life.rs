//! What becomes of a ticket by what its case does: made, commented, closed, reopened, made again when it is gone.
//! It must never take a step without having looked whether it was taken already.

use async_trait::async_trait;
use provost_model::Errand;

use super::{Receipt, Ticket};
use crate::{ActionError, Case, Event, Letter};

/// A letter as a tracker takes it.
pub(super) struct Draft<'a> {
    pub(super) letter: &'a Letter,
    /// The one case it is about.
    pub(super) case: &'a Case,
    /// In one line, for a ticket.
    pub(super) title: String,
    /// The text, with what finds it again.
    pub(super) body: String,
}

/// What a tracker's interface can do, one thing at a time.
#[async_trait]
pub(super) trait Desk: Send + Sync {
    /// Whether [`Desk::find`] tells for certain.
    const FINDS: bool;

    /// What is sent for these words: in the tracker's mark-up, with what finds the letter again.
    fn body(&self, words: &str, letter: &str) -> String;

    /// What the wire carries for a body, where that is not the body itself.
    fn wire(&self, body: &str) -> Option<String> {
        let _ = body;
        None
    }

    /// Where a person finds a ticket.
    fn url(&self, key: &str) -> String;

    /// The ticket that was made for a letter; `None` is certain where [`Desk::FINDS`].
    async fn find(&self, letter: &Letter) -> Result<Option<String>, ActionError>;

    /// Makes a ticket and gives its key.
    async fn make(&self, errand: &Errand, draft: &Draft<'_>) -> Result<String, ActionError>;

    /// How tickets stand, in the order asked for.
    async fn look(&self, keys: &[String]) -> Result<Vec<Ticket>, ActionError>;

    /// Whether a ticket has the comment that a letter made, by a list that shows what was just said.
    async fn has(&self, key: &str, letter: &Letter) -> Result<bool, ActionError>;

    /// Comments.
    async fn say(&self, errand: &Errand, key: &str, draft: &Draft<'_>) -> Result<(), ActionError>;

    /// Closes a ticket as done.
    async fn close(&self, errand: &Errand, key: &str) -> Result<(), ActionError>;

    /// Opens a closed ticket again.
    async fn reopen(&self, errand: &Errand, key: &str) -> Result<(), ActionError>;

    /// Who we are there, and whether tickets can be made.
    async fn check(&self) -> Result<String, ActionError>;
}

/// What is done to a ticket that is there.
#[derive(Clone, Copy)]
enum Step {
    Comment,
    Close,
    Reopen,
}

/// In this order: who is told of a comment sees the ticket as it is said to be, and a closed one may take no comments.
fn steps(event: Event) -> &'static [Step] {
    match event {
        Event::Opened | Event::Worse | Event::Changed | Event::Overdue => &[Step::Comment],
        Event::Settled => &[Step::Comment, Step::Close],
        Event::Unproven => &[Step::Reopen, Step::Comment],
    }
}

/// Does what a letter asks for, as far as it is not done. Sent again, it leaves one ticket, one comment and the same state.
pub(super) async fn delivered<D: Desk>(desk: &D, errand: &Errand, draft: &Draft<'_>) -> Result<Receipt, ActionError> {
    if let Some(key) = standing(desk, draft).await? {
        for step in steps(draft.case.event) {
            take(desk, errand, (&key, draft, *step)).await?;
        }
        return Ok(receipt(desk, key));
    }
    if draft.case.event == Event::Settled {
        return Ok(Receipt::default());
    }
    let found = if D::FINDS { desk.find(draft.letter).await? } else { None };
    let key = match found {
        Some(key) => key,
        None => desk.make(errand, draft).await?,
    };
    Ok(receipt(desk, key))
}

/// Whether all that a letter asks for is done. What a person undid meanwhile counts as not done.
pub(super) async fn looked_up<D: Desk>(desk: &D, draft: &Draft<'_>) -> Result<Option<Receipt>, ActionError> {
    if let Some(key) = standing(desk, draft).await? {
        for step in steps(draft.case.event) {
            if !is_done(desk, (&key, draft, *step)).await? {
                return Ok(None);
            }
        }
        return Ok(Some(receipt(desk, key)));
    }
    if draft.case.event == Event::Settled {
        return Ok(Some(Receipt::default()));
    }
    if !D::FINDS {
        return Err(ActionError::GiveUp {
            said: "this tracker has no list that shows at once what was made".to_owned(),
        });
    }
    Ok(desk.find(draft.letter).await?.map(|key| receipt(desk, key)))
}

/// The ticket that a letter goes on with: none for a case that is new, never had one, or whose ticket is gone.
async fn standing<D: Desk>(desk: &D, draft: &Draft<'_>) -> Result<Option<String>, ActionError> {
    let Some(key) = draft.letter.thread.as_ref().filter(|_| draft.case.event != Event::Opened) else { return Ok(None) };
    let there = closed(desk, key).await?.is_some();
    Ok(there.then(|| key.clone()))
}

/// Whether a ticket is closed; `None` if it is gone.
async fn closed<D: Desk>(desk: &D, key: &String) -> Result<Option<bool>, ActionError> {
    let tickets = desk.look(std::slice::from_ref(key)).await?;
    Ok(tickets.into_iter().find_map(|ticket| match ticket {
        Ticket::There { closed, .. } => Some(closed),
        Ticket::Gone => None,
    }))
}

type Target<'a> = (&'a String, &'a Draft<'a>, Step);

/// Takes a step unless it is taken. An answer that leaves open whether it was is settled by a look that finds it taken; one that
/// does not find it says nothing, for it may still come.
async fn take<D: Desk>(desk: &D, errand: &Errand, target: Target<'_>) -> Result<(), ActionError> {
    if is_done(desk, target).await? {
        return Ok(());
    }
    let (key, draft, step) = target;
    let taken = match step {
        Step::Comment => desk.say(errand, key, draft).await,
        Step::Close => desk.close(errand, key).await,
        Step::Reopen => desk.reopen(errand, key).await,
    };
    match taken {
        Err(ActionError::Ambiguous { said }) => match is_done(desk, target).await {
            Ok(true) => Ok(()),
            _ => Err(ActionError::Ambiguous { said }),
        },
        taken => taken,
    }
}

async fn is_done<D: Desk>(desk: &D, (key, draft, step): Target<'_>) -> Result<bool, ActionError> {
    match step {
        Step::Comment => desk.has(key, draft.letter).await,
        // What is gone meanwhile is closed for good, and cannot be opened.
        Step::Close => Ok(closed(desk, key).await?.unwrap_or(true)),
        Step::Reopen => Ok(!closed(desk, key).await?.unwrap_or(false)),
    }
}

fn receipt<D: Desk>(desk: &D, key: String) -> Receipt {
    let url = Some(desk.url(&key));
    Receipt { reference: Some(key), url }
}
