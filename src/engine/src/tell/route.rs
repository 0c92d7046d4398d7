//! Which cases go where, and in which form.
//! It must never let a case that no other route takes go past the one for the rest.

use std::collections::BTreeSet;

use provost_model::{CaseNote, Event, Severity};

/// A way from cases to a sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Its name.
    pub name: String,
    /// Where it leads.
    pub sink: String,
    /// Which cases it takes.
    pub which: Which,
    /// What it tells of them.
    pub events: BTreeSet<Event>,
    /// How.
    pub form: Form,
    /// When nothing leaves, but what is at least that bad.
    pub quiet: Option<Quiet>,
}

/// Which cases a route takes. Everything said must hold; of a list, one of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Which {
    /// At least that bad.
    pub severity: Option<Severity>,
    /// Owned by one of these persons or teams.
    pub owners: Vec<String>,
    /// Whether they have an owner.
    pub owned: Option<bool>,
    /// Seen by one of these sources.
    pub sources: Vec<String>,
    /// Of one of these kinds.
    pub kinds: Vec<String>,
    /// With a fault of one of these rules.
    pub rules: Vec<String>,
    /// Only what no other route takes.
    pub rest: bool,
}

/// In which form cases are told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// One letter for each case and event.
    Each,
    /// One message for whatever happened in that time.
    Gathered {
        /// How long, in seconds.
        for_seconds: i64,
        /// What is at least that bad does not wait.
        at_once: Option<Severity>,
        /// One message for each owner's own address.
        by_owner: bool,
    },
}

/// Hours in which nothing leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quiet {
    /// From when, in minutes after midnight.
    pub from: u16,
    /// Until when, in minutes after midnight; before `from` it is of the next day.
    pub until: u16,
    /// What is at least that bad leaves all the same.
    pub but: Option<Severity>,
}

impl Route {
    /// Whether it takes a case, apart from what other routes take.
    pub fn takes(&self, note: &CaseNote) -> bool {
        let Which { severity, owners, owned, sources, kinds, rules, rest: _ } = &self.which;
        severity.is_none_or(|least| note.severity >= least)
            && (owners.is_empty() || note.owner.as_ref().is_some_and(|owner| owners.contains(owner)))
            && owned.is_none_or(|owned| note.owner.is_some() == owned)
            && (sources.is_empty() || note.sources.iter().any(|source| sources.contains(source)))
            && (kinds.is_empty() || kinds.contains(&note.kind))
            && (rules.is_empty() || note.faults.iter().any(|(rule, _)| rules.contains(rule)))
    }
}

/// The routes that take a case: those that name it, or those for the rest where none does.
pub fn routes_of<'r>(routes: impl Iterator<Item = &'r Route>, note: &CaseNote) -> Vec<&'r Route> {
    let (rest, named): (Vec<_>, Vec<_>) = routes.filter(|route| route.takes(note)).partition(|route| route.which.rest);
    if named.is_empty() { rest } else { named }
}

#[cfg(test)]
pub(super) mod tests {
    use provost_model::{RecordId, Remedy, Time};

    use super::*;

    /// A case of that severity.
    pub(in crate::tell) fn note(severity: Severity) -> CaseNote {
        CaseNote {
            subject: RecordId::from_bytes([7; 16]),
            kind: "access_key".into(),
            name: "deploy".into(),
            external_id: "AKIA1".into(),
            sources: vec!["aws-prod".into()],
            severity,
            action: Remedy::Disable,
            faults: vec![("CRED-STALE".into(), "210 days ago".into())],
            owner: Some("payments".into()),
            address: Some("payments@example.org".into()),
            opened_at: Time::from_seconds(0),
            deadline: None,
            overdue: false,
            stage: "open".into(),
        }
    }

    fn route(name: &str, which: Which) -> Route {
        Route {
            name: name.into(),
            sink: "s".into(),
            which,
            events: Event::ALL.into_iter().collect(),
            form: Form::Each,
            quiet: None,
        }
    }

    #[test]
    fn everything_that_is_said_must_hold() {
        let case = note(Severity::High);
        let which = |change: &dyn Fn(&mut Which)| {
            let mut which = Which::default();
            change(&mut which);
            route("r", which).takes(&case)
        };
        assert!(which(&|_| {}));
        for (takes, severity) in [(true, Severity::High), (true, Severity::Low), (false, Severity::Critical)] {
            assert_eq!(which(&|it| it.severity = Some(severity)), takes);
        }
        let of = |word: &str| vec![word.to_owned(), "other".to_owned()];
        assert!(which(&|it| it.owners = of("payments")) && !which(&|it| it.owners = of("core")));
        assert!(which(&|it| it.owned = Some(true)) && !which(&|it| it.owned = Some(false)));
        assert!(which(&|it| it.sources = of("aws-prod")) && !which(&|it| it.sources = of("aws-test")));
        assert!(which(&|it| it.kinds = of("access_key")) && !which(&|it| it.kinds = of("token")));
        assert!(which(&|it| it.rules = of("CRED-STALE")) && !which(&|it| it.rules = of("CRED-AGE")));
        assert!(!which(&|it| (it.rules, it.owned) = (of("CRED-STALE"), Some(false))));
    }

    #[test]
    fn what_nobody_takes_goes_by_the_route_for_the_rest_and_nothing_else_does() {
        let named = route("core", Which { owners: vec!["core".into()], ..Which::default() });
        let unowned = route("unowned", Which { owned: Some(false), ..Which::default() });
        let rest = route("rest", Which { rest: true, severity: Some(Severity::Medium), ..Which::default() });
        let routes = [named, unowned, rest];
        let names = |owner: Option<&str>, severity| {
            let case = CaseNote { owner: owner.map(str::to_owned), ..note(severity) };
            routes_of(routes.iter(), &case).iter().map(|route| route.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(names(Some("core"), Severity::High), ["core"]);
        assert_eq!(names(None, Severity::High), ["unowned"]);
        assert_eq!(names(Some("payments"), Severity::High), ["rest"]);
        assert!(names(Some("payments"), Severity::Low).is_empty());
    }
}
