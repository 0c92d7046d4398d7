//! Letters as sinks get them: what was noted of cases, with what the rules say of each fault.
//! It must never say at a later try what it did not say at the first: whoever gets both has to see one letter.

use jiff::Timestamp;
use provost_actions::{Baseline, Case, Count, Fault, Letter};
use provost_engine::Rule;
use provost_model::{About, CaseNote, Delivery, Event, Time};

use crate::output::{age, inventory::short_id};

/// What shows everything.
const ALL: &str = "provost cases list";

/// The letter of a delivery. `thread` is what the sink calls the first letter about the same case.
pub fn letter(delivery: &Delivery, thread: Option<String>) -> Letter {
    let written_at = delivery.written_at;
    let mut letter = Letter {
        id: delivery.id.to_string(),
        route: delivery.route.clone(),
        written_at,
        first_tried_at: delivery.first_tried_at.unwrap_or(written_at),
        thread,
        address: None,
        cases: Vec::new(),
        counts: Vec::new(),
        baselines: Vec::new(),
        uncertain: Vec::new(),
        all: ALL.to_owned(),
    };
    match &delivery.about {
        About::Case { event, note } => {
            letter.address.clone_from(&note.address);
            letter.counts.push(Count { event: *event, severity: note.severity, cases: 1 });
            letter.cases.push(case(*event, note, written_at));
        }
        About::Digest(digest) => {
            letter.address.clone_from(&digest.address);
            let counts = digest.counts.iter();
            letter.counts = counts
                .map(|((event, severity), cases)| Count { event: *event, severity: *severity, cases: *cases })
                .collect();
            letter.cases = digest.worst.iter().map(|(event, note)| case(*event, note, written_at)).collect();
            let baselines = digest.baselines.iter();
            letter.baselines = baselines
                .map(|(source, counts)| Baseline {
                    source: source.clone(),
                    counts: counts.iter().rev().map(|(severity, cases)| (*severity, *cases)).collect(),
                    work: format!("provost baseline work {source}"),
                })
                .collect();
            letter.uncertain = digest.uncertain.iter().map(ToString::to_string).collect();
            if digest.more_uncertain > 0 {
                letter.uncertain.push(format!("and {} more", digest.more_uncertain));
            }
        }
    }
    letter
}

fn case(event: Event, note: &CaseNote, at: Time) -> Case {
    Case {
        event,
        id: note.subject.to_string(),
        kind: note.kind.clone(),
        name: note.name.clone(),
        external_id: note.external_id.clone(),
        sources: note.sources.clone(),
        severity: note.severity,
        action: note.action,
        owner: note.owner.clone(),
        opened_at: note.opened_at,
        deadline: note.deadline,
        due: note.deadline.map(|deadline| due(deadline, at)),
        overdue: note.overdue,
        stage: note.stage.clone(),
        faults: note.faults.iter().map(|(rule, because)| fault(rule, because)).collect(),
        link: format!("provost cases show {}", short_id(note.subject)),
    }
}

fn fault(id: &str, because: &str) -> Fault {
    // A rule that this program does not know was judged by another one.
    let rule = Rule::of_id(id);
    let said = |of: fn(&Rule) -> &'static str| rule.map(of).unwrap_or_default().to_owned();
    Fault {
        rule: id.to_owned(),
        title: rule.map_or(id, |rule| rule.title).to_owned(),
        because: because.to_owned(),
        why: said(|rule| rule.why),
        remedy: said(|rule| rule.remedy),
    }
}

/// A deadline as people read it: the day, the minute, and how far that is from when the letter was written.
fn due(deadline: Time, at: Time) -> String {
    let day = Timestamp::from_microsecond(deadline.as_micros()).ok();
    let day = day.map_or_else(|| deadline.to_string(), |day| day.strftime("%a %Y-%m-%d %H:%M UTC").to_string());
    match age::since(deadline, at) {
        now if now == "now" => day,
        past if deadline < at => format!("{day}, {past} ago"),
        coming => format!("{day}, {coming}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_a_day_and_how_far_that_is() {
        let at = |text: &str| text.parse::<Time>().unwrap();
        let now = at("2026-11-29T13:00:00Z");
        assert_eq!(due(at("2026-12-06T13:00:00Z"), now), "Sun 2026-12-06 13:00 UTC, in 7 d");
        assert_eq!(due(now, now), "Sun 2026-11-29 13:00 UTC");
        assert_eq!(due(at("2026-11-27T09:30:00Z"), now), "Fri 2026-11-27 09:30 UTC, 2 d ago");
    }
}
