//! Role chains: which roles of the account an identity may act as, because its own documents and the role's trust say so.
//! It must never name a role that one of both sides does not allow for certain.

use std::collections::BTreeMap;

use super::{Document, Effect, Named, Outsiders, Selection, pattern::covers};

const ACTION: &str = "sts:AssumeRole";

/// Which roles the statements of a document allow to act as, without condition, and which they deny.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Assumed {
    allowed: Vec<Selection>,
    denied: Vec<Selection>,
}

/// Who may act as each role, by ARN.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trusts(BTreeMap<String, Vec<String>>);

/// What an identity's own documents say of acting as roles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chains {
    allowed: Vec<Selection>,
    denied: Vec<Selection>,
    within: Option<Vec<Selection>>,
}

impl Assumed {
    pub(super) fn of(document: &Document) -> Self {
        let mut assumed = Self::default();
        for statement in &document.statements {
            let Some(resources) = &statement.resources else { continue };
            let included = match &statement.actions {
                Selection::Only(patterns) => patterns.iter().any(|it| covers(it, ACTION)),
                Selection::AllBut(patterns) => !patterns.iter().any(|it| covers(it, ACTION)),
            };
            match statement.effect {
                _ if !included => {}
                Effect::Allow if statement.is_conditional() => {}
                Effect::Allow => assumed.allowed.push(resources.clone()),
                // A condition may not hold, or it may: what could be denied is not certain.
                Effect::Deny => assumed.denied.push(resources.clone()),
            }
        }
        assumed
    }
}

impl Chains {
    /// What these policies say under that boundary. `None` if they allow nothing.
    pub fn of(policies: &[Named<'_>], boundary: Option<Named<'_>>) -> Option<Self> {
        let mut chains = Self::default();
        for assumed in policies.iter().chain(&boundary).filter_map(|named| Some(&named.summary?.assumed)) {
            chains.denied.extend(assumed.denied.iter().cloned());
        }
        for assumed in policies.iter().filter_map(|named| Some(&named.summary?.assumed)) {
            chains.allowed.extend(assumed.allowed.iter().cloned());
        }
        chains.within = boundary.map(|named| named.summary.map(|it| it.assumed.allowed.clone()).unwrap_or_default());
        (!chains.allowed.is_empty()).then_some(chains)
    }

    /// The roles that trust the identity of that ARN, and that it may act as.
    pub fn roles(&self, arn: &str, trusts: &Trusts) -> Vec<String> {
        let account = arn.split(':').nth(4).unwrap_or_default();
        let root = |text: &String| text == account || text.ends_with(&format!("iam::{account}:root"));
        let trusted = |named: &&Vec<String>| named.iter().any(|text| text == arn || root(text));
        let all = trusts.0.iter().filter(|(role, named)| *role != arn && trusted(named));
        all.map(|(role, _)| role).filter(|role| self.allows(role)).cloned().collect()
    }

    fn allows(&self, role: &str) -> bool {
        let among = |all: &[Selection]| all.iter().any(|it| selects(it, role));
        among(&self.allowed) && !among(&self.denied) && self.within.as_deref().is_none_or(among)
    }
}

impl Trusts {
    /// Notes who may act as a role.
    pub fn note(&mut self, role: &str, outsiders: &Outsiders) {
        if !outsiders.principals.is_empty() {
            self.0.insert(role.to_owned(), outsiders.principals.iter().cloned().collect());
        }
    }
}

fn selects(resources: &Selection, role: &str) -> bool {
    match resources {
        Selection::Only(patterns) => patterns.iter().any(|it| covers(it, role)),
        Selection::AllBut(patterns) => !patterns.iter().any(|it| covers(it, role)),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Summary, *};

    fn trusts() -> Trusts {
        let mut trusts = Trusts::default();
        for (role, principal) in [
            ("deploy", "arn:aws:iam::111111111111:root"),
            ("admin", "arn:aws:iam::111111111111:user/ann"),
            ("other", "arn:aws:iam::999999999999:root"),
        ] {
            let outsiders = Outsiders { principals: [principal.to_owned()].into(), ..Outsiders::default() };
            trusts.note(&format!("arn:aws:iam::111111111111:role/{role}"), &outsiders);
        }
        trusts
    }

    fn roles(statements: &str, arn: &str) -> Vec<String> {
        let summary = Summary::of(&Document::parse(&format!(r#"{{"Statement":[{statements}]}}"#)).unwrap());
        let named = [Named { policy: "P", inline: true, group: None, summary: Some(&summary) }];
        let chains = Chains::of(&named, None);
        let roles = chains.map(|chains| chains.roles(arn, &trusts())).unwrap_or_default();
        roles.iter().filter_map(|arn| arn.split_once("role/")).map(|(_, name)| name.to_owned()).collect()
    }

    #[test]
    fn both_sides_have_to_allow_it() {
        let all = r#"{"Effect":"Allow","Action":"sts:*","Resource":"*"}"#;
        assert_eq!(roles(all, "arn:aws:iam::111111111111:user/ann"), ["admin", "deploy"]);
        assert_eq!(roles(all, "arn:aws:iam::111111111111:user/bob"), ["deploy"]);
        assert_eq!(roles(all, "arn:aws:iam::111111111111:role/deploy"), Vec::<String>::new(), "not itself");
        let one = r#"{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"arn:aws:iam::111111111111:role/adm*"}"#;
        assert_eq!(roles(one, "arn:aws:iam::111111111111:user/ann"), ["admin"]);
        let denied = r#"{"Effect":"Deny","Action":"sts:AssumeRole","Resource":"*/admin"}"#;
        assert_eq!(roles(&format!("{all},{denied}"), "arn:aws:iam::111111111111:user/ann"), ["deploy"]);
        let guarded = r#"{"Effect":"Allow","Action":"sts:*","Resource":"*","Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"}}}"#;
        assert!(roles(guarded, "arn:aws:iam::111111111111:user/ann").is_empty());
        assert!(
            roles(r#"{"Effect":"Allow","Action":"s3:*","Resource":"*"}"#, "arn:aws:iam::111111111111:user/ann")
                .is_empty()
        );
    }
}
