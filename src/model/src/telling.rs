//! What is told of a case, and a letter about it on its way to a sink.
//! It must never forget a letter before it arrived, or somebody said that it need not.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{RecordId, Remedy, Severity, Time};

/// A delivery's name. Names are made in the order of time.
pub type DeliveryId = RecordId;

/// Why a case is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// It is new.
    Opened,
    /// It became worse.
    Worse,
    /// Something else about it changed: its owner, its faults, what was decided.
    Changed,
    /// Its deadline is past.
    Overdue,
    /// Nothing of it stands any more.
    Settled,
    /// Somebody closed its ticket, and it stands all the same.
    Unproven,
}

/// A case as it stood when it was told of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseNote {
    /// The subject.
    pub subject: RecordId,
    /// What kind of thing it is: `access_key`, `source`.
    pub kind: String,
    /// What people call it.
    pub name: String,
    /// What the provider calls it.
    pub external_id: String,
    /// The sources that see it.
    pub sources: Vec<String>,
    /// As bad as its worst fault.
    pub severity: Severity,
    /// What its worst fault asks for.
    pub action: Remedy,
    /// Its rules, the worst first, each with what was seen.
    pub faults: Vec<(String, String)>,
    /// Who answers for it: an id of the people file where it is one of them.
    pub owner: Option<String>,
    /// Where the owner reads mail.
    pub address: Option<String>,
    /// Since when something of it stands.
    pub opened_at: Time,
    /// By when it is to be settled.
    pub deadline: Option<Time>,
    /// Whether that is past.
    pub overdue: bool,
    /// What was decided so far.
    pub stage: String,
}

/// What a route told of a case last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The case as it stood.
    pub note: CaseNote,
    /// Why it was told of.
    pub event: Event,
    /// When.
    pub at: Time,
}

/// A letter on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Its name: the same in every try.
    pub id: DeliveryId,
    /// The route that asked for it.
    pub route: String,
    /// Where it goes.
    pub sink: String,
    /// Letters of one lane of a route leave one after the other: a case's, an addressee's.
    pub lane: String,
    /// What it is about.
    pub about: About,
    /// Where it is.
    pub state: Leaving,
    /// When it was written.
    pub written_at: Time,
    /// When it was tried first.
    pub first_tried_at: Option<Time>,
    /// How often it was tried.
    pub tries: u32,
    /// Whether a try gave no clear answer.
    pub unclear: bool,
    /// When it is tried next, at the earliest.
    pub not_before: Time,
    /// What went wrong last, without secrets.
    pub said: Option<String>,
    /// What the sink calls it.
    pub reference: Option<String>,
    /// Where a person finds it there.
    pub url: Option<String>,
}

/// What a letter is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum About {
    /// One case.
    Case {
        /// Why.
        event: Event,
        /// The case as it stood.
        note: Box<CaseNote>,
    },
    /// Many of them.
    Digest(Box<Digest>),
}

/// What happened since the last message of a route.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// Whoever it is for, if not whoever reads the sink.
    pub address: Option<String>,
    /// How many cases of each event and severity.
    pub counts: BTreeMap<(Event, Severity), u64>,
    /// The worst of them.
    pub worst: Vec<(Event, CaseNote)>,
    /// What first complete runs found: source, and how many cases of each severity.
    pub baselines: Vec<(String, BTreeMap<Severity, u64>)>,
    /// Earlier letters of which nobody knows whether they arrived.
    pub uncertain: Vec<DeliveryId>,
    /// How many more of those there are.
    pub more_uncertain: u64,
}

/// Where a letter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Leaving {
    /// It waits for its turn, or to be tried again.
    Waits,
    /// It is being tried. Whoever finds it so after a start does not know whether it arrived.
    Trying,
    /// It arrived.
    Delivered {
        /// When that was known.
        at: Time,
    },
    /// Nobody can tell whether it arrived; it is not sent again.
    Uncertain {
        /// Since when.
        at: Time,
    },
    /// It was given up.
    Dead {
        /// When.
        at: Time,
    },
    /// Somebody said that it need not arrive.
    Dropped {
        /// When.
        at: Time,
    },
}

impl Event {
    /// Every event.
    pub const ALL: [Event; 6] =
        [Event::Opened, Event::Worse, Event::Changed, Event::Overdue, Event::Settled, Event::Unproven];

    /// The word used in interfaces.
    pub fn word(self) -> &'static str {
        match self {
            Event::Opened => "opened",
            Event::Worse => "worse",
            Event::Changed => "changed",
            Event::Overdue => "overdue",
            Event::Settled => "settled",
            Event::Unproven => "unproven",
        }
    }

    /// The event of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.word() == word)
    }

    /// As a message says it.
    pub fn said(self) -> &'static str {
        match self {
            Event::Opened => "new",
            Event::Worse => "worse",
            Event::Changed => "changed",
            Event::Overdue => "overdue",
            Event::Settled => "settled",
            Event::Unproven => "closed without proof",
        }
    }
}

impl Leaving {
    /// The word used in interfaces.
    pub fn word(self) -> &'static str {
        match self {
            Leaving::Waits => "waits",
            Leaving::Trying => "trying",
            Leaving::Delivered { .. } => "delivered",
            Leaving::Uncertain { .. } => "uncertain",
            Leaving::Dead { .. } => "dead",
            Leaving::Dropped { .. } => "dropped",
        }
    }

    /// Since when nothing happens to it any more by itself.
    pub fn ended_at(self) -> Option<Time> {
        match self {
            Leaving::Waits | Leaving::Trying => None,
            Leaving::Delivered { at } | Leaving::Uncertain { at } | Leaving::Dead { at } | Leaving::Dropped { at } => {
                Some(at)
            }
        }
    }
}

impl Delivery {
    /// A letter of that route to that sink, as it is before it was tried: `written_at`, and not to leave before then.
    pub fn new(
        id: DeliveryId,
        (route, sink): (&str, &str),
        (lane, about): (String, About),
        (written_at, not_before): (Time, Time),
    ) -> Self {
        Self {
            id,
            route: route.to_owned(),
            sink: sink.to_owned(),
            lane,
            about,
            state: Leaving::Waits,
            written_at,
            first_tried_at: None,
            tries: 0,
            unclear: false,
            not_before,
            said: None,
            reference: None,
            url: None,
        }
    }
}

impl Digest {
    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty() && self.baselines.is_empty() && self.uncertain.is_empty()
    }
}
