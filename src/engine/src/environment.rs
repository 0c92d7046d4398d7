//! Production or not, where a tag or the configuration says so.
//! It must never guess from a name alone.

use provost_model::{Record, field};

/// The environment a record says it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// The word used: `prod`, `staging`, `dev` …, in lower case.
    pub name: String,
    /// Where it was found, such as `tag env=prod`.
    pub because: String,
}

/// Tag names that state an environment, in order of preference.
const TAGS: [&str; 5] = ["environment", "env", "stage", "tier", "deployment_environment"];

/// Words for production.
const PROD: [&str; 5] = ["prod", "production", "prd", "live", "p"];

impl Environment {
    /// Whether it is production.
    pub fn is_prod(&self) -> bool {
        is_prod(&self.name)
    }
}

/// Whether a word for an environment means production.
pub fn is_prod(word: &str) -> bool {
    PROD.contains(&word) || word.starts_with("prod-") || word.starts_with("production-")
}

/// What a record says of its environment: the attribute if known, else the first telling tag.
pub fn environment_of(record: &Record) -> Option<Environment> {
    if let Some(name) = record.text(field::ENVIRONMENT).known().filter(|it| !it.trim().is_empty()) {
        let name = name.trim().to_lowercase();
        return Some(Environment { because: format!("environment {name}"), name });
    }
    let tags = record.pairs(field::TAGS).known()?;
    TAGS.iter().find_map(|wanted| {
        let (key, value) = tags.iter().find(|(key, _)| key.eq_ignore_ascii_case(wanted))?;
        let name = value.trim().to_lowercase();
        (!name.is_empty()).then(|| Environment { because: format!("tag {key}={value}"), name })
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use provost_model::{Kind, Reading};

    use super::*;
    use crate::rules::sample;

    #[test]
    fn tags_state_production_and_names_do_not() {
        let table = [
            ("env", "prod", Some(true)),
            ("Environment", "Production", Some(true)),
            ("stage", "live", Some(true)),
            ("env", "prod-eu", Some(true)),
            ("env", "preprod", Some(false)),
            ("env", "non-prod", Some(false)),
            ("env", " ", None),
            ("name", "prod-db", None),
        ];
        for (key, value, prod) in table {
            let tags = BTreeMap::from([(key.to_owned(), value.to_owned())]);
            let record = sample::record(Kind::User).with(field::TAGS, tags).build();
            assert_eq!(environment_of(&record).map(|it| it.is_prod()), prod, "{key}={value}");
        }
    }

    #[test]
    fn what_is_not_known_is_no_environment() {
        let unknown = sample::record(Kind::User).with(field::TAGS, Reading::NotPermitted).build();
        assert_eq!(environment_of(&unknown), None);
        let stated = sample::record(Kind::User).with(field::ENVIRONMENT, "Prod".to_owned()).build();
        assert!(environment_of(&stated).is_some_and(|it| it.is_prod()));
    }
}
