//! What there is to say about a case, beside what was said before.
//! It must never call a case settled that was never told of.

use provost_model::{CaseNote, Event, Told};

use crate::rules::is_about_cases;

/// Why a case is told of now, if it is. `now` is `None` once nothing of it stands.
pub fn news(before: Option<&Told>, now: Option<&CaseNote>) -> Option<Event> {
    let standing = before.filter(|told| told.event != Event::Settled);
    match (standing, now) {
        (None, None) => None,
        (None, Some(_)) => Some(Event::Opened),
        (Some(_), None) => Some(Event::Settled),
        (Some(told), Some(now)) => {
            let before = &told.note;
            if now.severity > before.severity {
                return Some(Event::Worse);
            }
            if now.overdue && !before.overdue {
                return Some(Event::Overdue);
            }
            // What is wrong with the case itself shows in its deadline and in its faults, and is told with those.
            let rules = |note: &CaseNote| {
                let faults = note.faults.iter().map(|(rule, _)| rule.clone());
                faults.filter(|rule| !is_about_cases(rule)).collect::<Vec<_>>()
            };
            let same = now.severity == before.severity
                && now.owner == before.owner
                && now.action == before.action
                && now.stage == before.stage
                && rules(now) == rules(before);
            (!same).then_some(Event::Changed)
        }
    }
}

#[cfg(test)]
mod tests {
    use provost_model::{Severity, Time};

    use super::*;
    use crate::tell::route::tests::note;

    fn told(note: CaseNote, event: Event) -> Told {
        Told { note, event, at: Time::from_seconds(1) }
    }

    #[test]
    fn what_was_told_is_told_once_and_what_is_over_is_told_if_it_was_told_of() {
        let high = note(Severity::High);
        assert_eq!(news(None, None), None);
        assert_eq!(news(None, Some(&high)), Some(Event::Opened));
        let before = told(high.clone(), Event::Opened);
        assert_eq!(news(Some(&before), Some(&high)), None);
        assert_eq!(news(Some(&before), None), Some(Event::Settled));
        let over = told(high.clone(), Event::Settled);
        assert_eq!(news(Some(&over), None), None);
        assert_eq!(news(Some(&over), Some(&high)), Some(Event::Opened), "it is back");
    }

    #[test]
    fn worse_goes_before_overdue_and_that_before_whatever_else_changed() {
        let before = told(note(Severity::High), Event::Opened);
        let change = |change: &dyn Fn(&mut CaseNote)| {
            let mut now = before.note.clone();
            change(&mut now);
            news(Some(&before), Some(&now))
        };
        let worse = |it: &mut CaseNote| (it.severity, it.overdue) = (Severity::Critical, true);
        assert_eq!(change(&worse), Some(Event::Worse));
        assert_eq!(change(&|it| (it.overdue, it.owner) = (true, None)), Some(Event::Overdue));
        assert_eq!(change(&|it| it.owner = Some("bob".into())), Some(Event::Changed));
        assert_eq!(change(&|it| it.stage = "decided".into()), Some(Event::Changed));
        assert_eq!(change(&|it| it.severity = Severity::Low), Some(Event::Changed));
        assert_eq!(change(&|it| it.faults.push(("CRED-AGE".into(), String::new()))), Some(Event::Changed));
        let breach = |it: &mut CaseNote| it.faults.push(("GOV-SLA-BREACH".into(), String::new()));
        assert_eq!(change(&breach), None);
        assert_eq!(
            change(&|it| {
                it.overdue = true;
                breach(it);
            }),
            Some(Event::Overdue)
        );
        // Figures that grow by themselves are no news, nor is a name.
        assert_eq!(change(&|it| it.faults[0].1 = "211 days ago".into()), None);
        assert_eq!(change(&|it| it.name = "other".into()), None);
    }
}
