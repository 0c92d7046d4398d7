//! One message for four hundred findings: counts of all, lines of the worst.
//! It must never lose a case from the counts, nor grow with their number.

use std::cmp::Reverse;

use provost_model::{CaseNote, DeliveryId, Digest, Event, Severity};

/// Cases of which a message says more than how many they are.
pub const WORST: usize = 20;
/// Letters of unknown fate that a message names.
const UNCERTAIN: usize = 20;

/// Takes one more case into a message.
pub fn gathered(digest: &mut Digest, event: Event, note: &CaseNote) {
    // What happened to a case before it was told of is told as one: it counts once.
    let before = digest.worst.iter().position(|(_, it)| it.subject == note.subject);
    let mut event = event;
    if let Some((former, known)) = before.map(|at| digest.worst.remove(at)) {
        uncount(digest, (former, known.severity));
        event = match (former, event) {
            // Nobody heard of it, and nothing of it stands: there is nothing to tell.
            (Event::Opened, Event::Settled) => return,
            (Event::Opened, _) => Event::Opened,
            (_, later) => later,
        };
    }
    *digest.counts.entry((event, note.severity)).or_default() += 1;
    digest.worst.push((event, note.clone()));
    digest.worst.sort_by_key(|(event, note)| (*event == Event::Settled, Reverse(note.severity), note.opened_at));
    digest.worst.truncate(WORST);
}

/// Takes a letter into a message of which nobody knows whether it arrived.
pub fn uncertain(digest: &mut Digest, id: DeliveryId) {
    if digest.uncertain.len() < UNCERTAIN {
        digest.uncertain.push(id);
    } else {
        digest.more_uncertain += 1;
    }
}

fn uncount(digest: &mut Digest, of: (Event, Severity)) {
    if let Some(cases) = digest.counts.get_mut(&of) {
        *cases = cases.saturating_sub(1);
        if *cases == 0 {
            digest.counts.remove(&of);
        }
    }
}

#[cfg(test)]
mod tests {
    use provost_model::{RecordId, Time};

    use super::*;
    use crate::tell::route::tests::note;

    fn case(number: u16, severity: Severity) -> CaseNote {
        let mut id = [0; 16];
        id[..2].copy_from_slice(&number.to_be_bytes());
        let opened_at = Time::from_seconds(i64::from(number));
        CaseNote { subject: RecordId::from_bytes(id), opened_at, ..note(severity) }
    }

    #[test]
    fn all_are_counted_and_the_worst_are_named() {
        let mut digest = Digest::default();
        for number in 0..400 {
            let severity = if number % 100 == 99 { Severity::Critical } else { Severity::Low };
            gathered(&mut digest, Event::Opened, &case(number, severity));
        }
        gathered(&mut digest, Event::Settled, &case(500, Severity::Critical));
        assert_eq!(digest.counts.values().sum::<u64>(), 401);
        assert_eq!(digest.counts[&(Event::Opened, Severity::Critical)], 4);
        assert_eq!(digest.worst.len(), WORST);
        let first: Vec<_> =
            digest.worst.iter().take(5).map(|(_, note)| note.opened_at.as_micros() / 1_000_000).collect();
        assert_eq!(first, [99, 199, 299, 399, 0], "the worst first, then the oldest");
        for number in 0..30 {
            uncertain(&mut digest, RecordId::from_bytes([number; 16]));
        }
        assert_eq!((digest.uncertain.len(), digest.more_uncertain), (20, 10));
    }

    #[test]
    fn what_happens_to_a_case_before_it_is_told_of_is_told_as_one() {
        type Row = (&'static [Event], &'static [(Event, u64)]);
        let table: [Row; 5] = [
            (&[Event::Opened, Event::Worse], &[(Event::Opened, 1)]),
            (&[Event::Opened, Event::Settled], &[]),
            (&[Event::Opened, Event::Settled, Event::Opened], &[(Event::Opened, 1)]),
            (&[Event::Worse, Event::Overdue], &[(Event::Overdue, 1)]),
            (&[Event::Changed, Event::Settled], &[(Event::Settled, 1)]),
        ];
        for (events, counted) in table {
            let mut digest = Digest::default();
            events.iter().for_each(|event| gathered(&mut digest, *event, &case(1, Severity::High)));
            let counts: Vec<_> = digest.counts.iter().map(|((event, _), cases)| (*event, *cases)).collect();
            assert_eq!(counts, counted, "{events:?}");
            assert_eq!(digest.worst.len(), counted.len(), "{events:?}");
            assert_eq!(digest.is_empty(), counted.is_empty(), "{events:?}");
        }
    }
}
