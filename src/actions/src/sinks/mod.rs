//! Where letters go: chats, mail, webhooks, logs. One file each, with its `SPEC`, listed in [`ALL`].
//! It must never send a letter twice where the first may have arrived, unless the other side can tell.

mod address;
mod chat_webhook;
mod mail;
mod matrix;
mod place;
mod slack;
mod slack_webhook;
mod syslog;
#[cfg(test)]
mod tests;
mod tickets;
mod trust;
mod webhook;

use std::fmt;

use async_trait::async_trait;
use provost_model::Errand;

use crate::{
    ActionError, Letter,
    given::{Handed, provider, secret, settings},
};

/// Every sink there is, by name.
pub const ALL: &[&SinkSpec] = &[
    &chat_webhook::SPEC,
    &tickets::github::SPEC,
    &tickets::gitlab::SPEC,
    &tickets::jira::SPEC,
    &mail::SPEC,
    &matrix::SPEC,
    &tickets::roundup::SPEC,
    &slack::SPEC,
    &slack_webhook::SPEC,
    &syslog::SPEC,
    &tickets::manifest::SPEC,
    &webhook::SPEC,
];

/// What can be said of a letter whose delivery gave no clear answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Whether it is there can be looked up in a list that shows what was just sent: exactly once.
    LookUp,
    /// The other side drops what it has already, by the letter's id: exactly once in effect.
    DedupKey,
    /// Nobody can tell: at most once, and what is not known to have arrived is said in the next letter.
    Blind,
}

/// How far a sink was tried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    /// With a real server.
    RealServer(&'static str),
    /// By what its maker describes.
    Description(&'static str),
    /// By nothing but its maker's words.
    Words,
}

/// A sink's description of itself.
pub struct SinkSpec {
    /// The word in `kind = "…"`.
    pub name: &'static str,
    /// Its maker's name for it.
    pub title: &'static str,
    /// One sentence: where letters go.
    pub about: &'static str,
    /// What can be said of a letter without a clear answer, at best.
    pub delivery: Delivery,
    /// The same in words, with what it takes.
    pub because: &'static str,
    /// Whether it is for messages to people, which are gathered, or takes each case by itself.
    pub gathers: bool,
    /// Letters a minute, unless the configuration says otherwise.
    pub per_minute: u32,
    /// Everything it sends that changes something.
    pub acts: &'static [&'static str],
    /// Everything else it sends.
    pub reads: &'static [&'static str],
    /// What its credential has to be allowed.
    pub permissions: &'static [&'static str],
    /// How far it was tried out.
    pub checked: Checked,
    /// A `[[sinks]]` entry that works, with a comment on each setting.
    pub example: &'static str,
    /// The documentation it was built by.
    pub documentation: &'static [&'static str],
    /// Turns a `[[sinks]]` entry's own settings into a sink.
    pub build: &'static Build,
}

/// What turns settings into a sink; an error says which setting is wrong, without its value.
pub type Build = dyn Fn(&Handed) -> Result<Box<dyn Sink>, String> + Send + Sync;

/// What the other side said of a letter that arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// What it calls the letter: a message's id, a ticket's key.
    pub reference: Option<String>,
    /// Where a person finds it.
    pub url: Option<String>,
}

/// Where letters go.
#[async_trait]
pub trait Sink: Send + Sync {
    /// What can be said of a letter without a clear answer, as this one is set up.
    fn delivery(&self) -> Delivery;

    /// Sends a letter once, for an order.
    async fn deliver(&self, errand: &Errand, letter: &Letter) -> Result<Receipt, ActionError>;

    /// Whether a letter that was tried has arrived. Only asked of a sink whose delivery is [`Delivery::LookUp`]; an answer of
    /// `None` must be certain.
    async fn look_up(&self, letter: &Letter) -> Result<Option<Receipt>, ActionError>;

    /// Whether it could be reached and would let us in, without sending a letter; what was found, in a sentence.
    async fn check(&self) -> Result<String, ActionError>;

    /// The same as a place where cases are worked off, if it is one.
    fn tracker(&self) -> Option<&dyn Tracker> {
        None
    }

    /// A letter as it would be sent: what a person would read, then what the wire would carry where that differs.
    fn preview(&self, letter: &Letter) -> Result<String, String>;
}

/// A sink in which each case is a ticket that people work on. Its letters are about one case each, and
/// [`Letter::thread`] is the ticket's key once there is one. By the letter's event it makes a ticket (`opened`), comments
/// (`worse`, `changed`, `overdue`), comments and closes (`settled`), or reopens with what stands (`unproven`); of a case that
/// never had a ticket nothing is said when it is settled.
#[async_trait]
pub trait Tracker: Send + Sync {
    /// How these tickets stand now, in the order asked for, at most [`TICKETS_AT_ONCE`].
    async fn tickets(&self, keys: &[String]) -> Result<Vec<Ticket>, ActionError>;
}

/// How many tickets are asked for at once, at most.
pub const TICKETS_AT_ONCE: usize = 50;

/// A ticket as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ticket {
    /// It is there.
    There {
        /// Whether somebody closed it.
        closed: bool,
        /// Its status in the tracker's words. From outside.
        status: String,
        /// Who works on it, in the tracker's words. From outside.
        assignee: Option<String>,
        /// How many comments it has, where the tracker tells.
        comments: Option<u64>,
    },
    /// It was deleted, or may not be seen any more.
    Gone,
}

impl fmt::Debug for SinkSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SinkSpec").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Delivery {
    /// The words used in interfaces.
    pub fn word(self) -> &'static str {
        match self {
            Delivery::LookUp => "look-up",
            Delivery::DedupKey => "dedup key",
            Delivery::Blind => "blind",
        }
    }
}

/// The sink of that kind.
pub fn find(name: &str) -> Option<&'static SinkSpec> {
    ALL.iter().copied().find(|spec| spec.name == name)
}
