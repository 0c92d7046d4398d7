//! The one way to change something at a provider: a declared act, sent once, for an order or an errand.
//! It must never send an act twice, follow a redirect with one, or call it failed where it may have happened.

use std::time::Duration;

use http::{Response, StatusCode};
use provost_model::{Warrant, Why};
use thiserror::Error;

use super::{Answer, Ask, Missed, Passed, Signing, Web, blame, dialect, is_redirect};
use crate::{Failure, Refused};

/// What became of an act that did not end well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nothing happened there: the same act may be sent again.
    Nothing,
    /// Nothing happened there, and nothing will while the act is the same.
    Refused,
    /// It may have happened.
    Unknown,
}

/// An act that did not end well.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{failure}")]
pub struct Undone {
    /// Whether it may have happened.
    pub fate: Fate,
    /// What went wrong.
    pub failure: Failure,
    /// How long the provider wants to be left alone.
    pub after: Option<Duration>,
}

impl Web {
    /// Sends a declared act once. Whoever has neither an order nor an errand cannot call this: looking never writes (promise 1), and
    /// nothing acts without a recorded decision (promise 5).
    pub async fn act(&self, by: &dyn Warrant, ask: Ask) -> Result<Answer, Undone> {
        let passed = self.passed_act(&ask).map_err(|refused| {
            tracing::warn!(act = ask.read, %refused, "refused an act before sending");
            undone(&ask, &Missed { refused, wait: None })
        })?;
        tracing::debug!(act = ask.read, remedy = by.remedy().word(), commit = by.decision().commit(), "acts");
        let answer = self.acted(&ask, &passed, false).await?;
        // An act that was refused for its signature did not happen: the one that may be sent again at once.
        let stale = blame::is_stale(&answer) && matches!(ask.signing, Signing::Authority);
        let answer = if stale { self.acted(&ask, &passed, true).await? } else { answer };
        if !answer.status().is_success() {
            return Err(unwelcome(&ask, &answer));
        }
        let (head, body) = answer.into_parts();
        let (operation, url) = (ask.read, passed.url);
        Ok(Answer { operation, url, status: head.status, headers: head.headers, body, gaps: Vec::new() })
    }

    fn passed_act(&self, ask: &Ask) -> Result<Passed, Refused> {
        let template = self.0.acts.get(&ask.read).ok_or_else(|| Refused::NotAnAct(ask.read.clone()))?.clone();
        if template.is_graphql() || ask.document.is_some() || ask.etag.is_some() {
            return Err(Refused::Unfit("an act is neither a GraphQL document nor conditional".to_owned()));
        }
        if ask.body.is_some() && template.method() == "DELETE" {
            return Err(Refused::Unfit("nothing goes with DELETE".to_owned()));
        }
        self.passed(ask, template)
    }

    async fn acted(&self, ask: &Ask, passed: &Passed, fresh: bool) -> Result<Response<bytes::Bytes>, Undone> {
        let signature = self.signed(ask, passed, fresh).await;
        let signature = signature.map_err(|failure| Undone { fate: Fate::Nothing, failure, after: None })?;
        let mut headers = passed.headers.clone();
        headers.extend(signature);
        let sent = self.sent(&passed.template, (&passed.url, headers, passed.body.clone())).await;
        sent.map_err(|missed| undone(ask, &missed))
    }
}

/// What a call that got no answer means.
fn undone(ask: &Ask, missed: &Missed) -> Undone {
    let fate = match missed.refused {
        Refused::NotARead(_) | Refused::NotAnAct(_) | Refused::Unfit(_) => Fate::Refused,
        Refused::Budget(_) | Refused::Spared(_) | Refused::Unreached(_) => Fate::Nothing,
        Refused::TooLarge(_) | Refused::Slow(_) | Refused::Cut | Refused::Broken => Fate::Unknown,
    };
    Undone { fate, failure: Failure::refused(&ask.read, &missed.refused), after: missed.wait }
}

/// What an answer that is no success means. An error of the provider's own may come after it did what was asked; that it is
/// not to be had just now says that it did not (RFC 9110, 15.6.4), if it says when to come again.
fn unwelcome(ask: &Ask, answer: &Response<bytes::Bytes>) -> Undone {
    let failure = blame::blamed(&ask.read, answer);
    let throttled = blame::is_throttle(answer);
    let after = dialect::wait(answer, throttled);
    let fate = match answer.status().as_u16() {
        _ if throttled => Fate::Nothing,
        503 if after.is_some() => Fate::Nothing,
        // Who may do it, and by which way one gets there, can change without the act.
        401 | 403 | 407 | 425 => Fate::Nothing,
        // The JSON protocols of AWS say all of that with 400.
        400 if matches!(failure.why, Why::Unauthenticated | Why::Denied) => Fate::Nothing,
        _ if is_redirect(answer.status()) => Fate::Refused,
        400..=499 if answer.status() != StatusCode::REQUEST_TIMEOUT => Fate::Refused,
        _ => Fate::Unknown,
    };
    Undone { fate, failure, after }
}
