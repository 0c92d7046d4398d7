//! The arithmetic of badness: a base, raised one step for what makes a fault worse, with every step shown.
//! It must never raise by more than one step, nor without saying why.

use provost_model::{FieldSet, Reading, Record, Severity, field};

use crate::{
    environment::environment_of,
    rules::{Exposure, OF_EXPOSURE},
};

/// Something that makes a fault worse than usual, with the evidence in plain words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Raiser {
    /// It, or the identity behind it, holds administrator rights.
    Privileged(String),
    /// It belongs to production.
    Prod(String),
    /// The provider, or a scanner, says that it leaked.
    Leaked(String),
}

/// Managed policies that AWS attaches to a user whose key was found in public (versions 1 to 3).
pub(crate) const QUARANTINE: &str = "AWSCompromisedKeyQuarantine";

impl Raiser {
    /// The word and the evidence.
    pub fn words(&self) -> String {
        match self {
            Raiser::Privileged(because) => format!("privileged ({because})"),
            Raiser::Prod(because) => format!("production ({because})"),
            Raiser::Leaked(because) => format!("leaked ({because})"),
        }
    }
}

/// Attributes that severity rests on, of a record and of the identity behind it.
pub const RESTS_ON: FieldSet = FieldSet::of(&[
    field::ADMIN.field(),
    field::ADMIN_BECAUSE.field(),
    field::ENVIRONMENT.field(),
    field::TAGS.field(),
    field::POLICIES.field(),
])
.and(OF_EXPOSURE);

/// Whether a record is known to hold administrator rights.
pub fn is_privileged(record: &Record) -> bool {
    record.get(field::ADMIN) == Reading::Known(true)
}

/// What makes faults of a record worse, seen on itself or on the identity behind it.
pub fn raisers(record: &Record, identity: Option<&Record>) -> Vec<Raiser> {
    let both = || std::iter::once(record).chain(identity);
    let privileged = both().find(|it| is_privileged(it)).map(|it| {
        let because = it.get(field::ADMIN_BECAUSE).known().filter(|words| !words.is_empty());
        Raiser::Privileged(because.unwrap_or_else(|| "administrator rights".into()))
    });
    let prod = both().find_map(environment_of).filter(|it| it.is_prod()).map(|it| Raiser::Prod(it.because));
    let reported = || both().filter_map(Exposure::of).find(Exposure::is_open).map(|it| Raiser::Leaked(it.words()));
    let quarantined = both().find_map(|it| {
        let policies = it.list(field::POLICIES).known()?;
        let quarantine = policies.iter().find(|policy| policy.contains(QUARANTINE))?;
        Some(Raiser::Leaked(format!("AWS attached {quarantine}")))
    });
    [privileged, prod, quarantined.or_else(reported)].into_iter().flatten().collect()
}

/// The severity of a fault, and how it came about, one step a line.
pub fn weigh(base: Severity, raisers: &[Raiser]) -> (Severity, Vec<String>) {
    let mut steps = vec![format!("{base}: the rule's own severity")];
    if raisers.is_empty() {
        return (base, steps);
    }
    let raised = base.raised();
    let causes = raisers.iter().map(Raiser::words).collect::<Vec<_>>().join("; ");
    if raised == base {
        steps.push(format!("{base}: {causes}; there is nothing above"));
    } else {
        steps.push(format!("{raised}: raised one step, because {causes}"));
    }
    (raised, steps)
}

#[cfg(test)]
mod tests {
    use provost_model::Kind;

    use super::*;
    use crate::rules::sample;

    #[test]
    fn any_number_of_causes_raises_one_step() {
        let privileged = Raiser::Privileged("policy AdministratorAccess".into());
        let prod = Raiser::Prod("tag env=prod".into());
        assert_eq!(weigh(Severity::Medium, &[]).0, Severity::Medium);
        let (severity, steps) = weigh(Severity::Medium, &[privileged.clone(), prod]);
        assert_eq!(severity, Severity::High);
        assert_eq!(
            steps,
            [
                "medium: the rule's own severity",
                "high: raised one step, because privileged (policy AdministratorAccess); production (tag env=prod)",
            ]
        );
        assert_eq!(weigh(Severity::Critical, &[privileged]).0, Severity::Critical);
    }

    #[test]
    fn rights_environment_and_leaks_are_seen_on_the_identity_too() {
        let key = sample::record(Kind::AccessKey).build();
        let user = sample::record(Kind::User)
            .with(field::ADMIN, true)
            .with(field::ENVIRONMENT, "prod".to_owned())
            .with(field::POLICIES, vec!["arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV2".to_owned()])
            .build();
        assert!(raisers(&key, None).is_empty());
        assert_eq!(raisers(&key, Some(&user)).len(), 3);
    }

    #[test]
    fn rights_that_are_not_known_raise_nothing() {
        for reading in [Reading::Known(false), Reading::NotPermitted, Reading::NotReported, Reading::NotCollected] {
            let user = sample::record(Kind::User).with(field::ADMIN, reading).build();
            assert!(raisers(&user, None).is_empty(), "{reading:?}");
        }
    }
}
