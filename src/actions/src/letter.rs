//! What is told: cases with who owns each, what is wrong, why it matters, what to do and by when.
//! It must never carry the value of a secret; it has what findings say, and those have none.

use provost_model::{Event, Remedy, Severity, Time};
use serde::Serialize;

/// One message: about one case, or about many.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Letter {
    /// Its name, a UUID: the same in every try, so that whoever gets it twice can tell.
    pub id: String,
    /// The route it is sent by.
    pub route: String,
    /// When it was written.
    pub written_at: Time,
    /// When it was tried first: nothing of it can be there from before.
    pub first_tried_at: Time,
    /// Where earlier letters about the same case went: what the sink said of the first.
    pub thread: Option<String>,
    /// Whoever it is for, where that is a person or a team with an address of their own.
    pub address: Option<String>,
    /// The cases: one, or the worst of many.
    pub cases: Vec<Case>,
    /// How many more there are of each event and severity than those above, all in all.
    pub counts: Vec<Count>,
    /// What was found by the first complete run of a source, which is a beginning and no news.
    pub baselines: Vec<Baseline>,
    /// Earlier letters of this route of which nobody knows whether they arrived.
    pub uncertain: Vec<String>,
    /// The command or page that shows everything.
    pub all: String,
}

/// One case, as it is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Case {
    /// Why it is told of.
    pub event: Event,
    /// The subject's id.
    pub id: String,
    /// What kind of thing it is: `access_key`, `source`.
    pub kind: String,
    /// What people call it. From outside.
    pub name: String,
    /// What the provider calls it. From outside.
    pub external_id: String,
    /// The sources that see it.
    pub sources: Vec<String>,
    /// As bad as its worst fault.
    pub severity: Severity,
    /// What its worst fault asks for.
    pub action: Remedy,
    /// Who answers for it. From outside.
    pub owner: Option<String>,
    /// Since when something of it stands.
    pub opened_at: Time,
    /// By when it is to be settled.
    pub deadline: Option<Time>,
    /// The same in words, with how long that is.
    pub due: Option<String>,
    /// Whether that is past.
    pub overdue: bool,
    /// What was decided so far: `open`, `asked`, `decided`.
    pub stage: String,
    /// Its faults, the worst first. Of a settled case those that were told of last.
    pub faults: Vec<Fault>,
    /// Where somebody who is signed in decides about it: a command or a page. Whoever has the link decides nothing by it.
    pub link: String,
}

/// One fault of a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The rule's id, such as `CRED-STALE`.
    pub rule: String,
    /// The fault in a few words.
    pub title: String,
    /// What was seen. From outside.
    pub because: String,
    /// Why it matters.
    pub why: String,
    /// What to do.
    pub remedy: String,
}

/// How many cases of one sort a letter is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Why they are told of.
    pub event: Event,
    /// How bad they are.
    pub severity: Severity,
    /// How many.
    pub cases: u64,
}

/// What the first complete run of a source found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Baseline {
    /// The source.
    pub source: String,
    /// How many cases of each severity, the worst first.
    pub counts: Vec<(Severity, u64)>,
    /// What says that they are to be worked off.
    pub work: String,
}

impl Letter {
    /// One that has everything a letter can have: to see a template, or a sink, at work.
    pub fn sample() -> Self {
        crate::wording::sample()
    }

    /// How many cases it is about.
    pub fn total(&self) -> u64 {
        self.counts.iter().map(|count| count.cases).sum()
    }

    /// The worst severity of what it is about; of nothing, the mildest.
    pub fn severity(&self) -> Severity {
        let standing = self.counts.iter().filter(|count| count.event != Event::Settled);
        let of_baselines = self.baselines.iter().flat_map(|it| it.counts.iter().map(|(severity, _)| *severity));
        standing.map(|count| count.severity).chain(of_baselines).max().unwrap_or(Severity::Info)
    }

    /// It in one line, without anything that comes from outside.
    pub fn title(&self) -> String {
        let mut parts = Vec::new();
        for event in Event::ALL {
            let of_event: Vec<&Count> = self.counts.iter().filter(|count| count.event == event).collect();
            let cases: u64 = of_event.iter().map(|count| count.cases).sum();
            let worst = of_event.iter().map(|count| count.severity).max();
            match (cases, worst, event) {
                (0, ..) | (_, None, _) => {}
                (1, Some(worst), Event::Settled) => parts.push(format!("1 {} case settled", worst.word())),
                (_, Some(_), Event::Settled) => parts.push(format!("{cases} cases settled")),
                (1, Some(worst), _) => parts.push(format!("1 {} case {}", worst.word(), event.said())),
                (_, Some(worst), _) => {
                    let of_worst: u64 = of_event.iter().filter(|it| it.severity == worst).map(|it| it.cases).sum();
                    parts.push(match of_worst == cases {
                        true => format!("{cases} {} cases {}", worst.word(), event.said()),
                        false => format!("{cases} cases {}, {of_worst} of them {}", event.said(), worst.word()),
                    });
                }
            }
        }
        for baseline in &self.baselines {
            let cases: u64 = baseline.counts.iter().map(|(_, cases)| cases).sum();
            let word = if cases == 1 { "case" } else { "cases" };
            parts.push(format!("{cases} {word} found by the first complete run of {}", baseline.source));
        }
        if !self.uncertain.is_empty() {
            let letters = self.uncertain.len();
            parts.push(format!("{letters} earlier message{} may be missing", if letters == 1 { "" } else { "s" }));
        }
        parts.join("; ")
    }
}
