//! Trust policies: who may act as a role.
//! It must never show the value of a condition other than the subject or audience of a token.

use super::{Document, Effect, Principal, Statement};

/// Who may act as a role, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// AWS services.
    pub services: Vec<String>,
    /// OpenID Connect providers: workloads outside.
    pub oidc: Vec<String>,
    /// SAML providers: people.
    pub saml: Vec<String>,
    /// Accounts, roles and users.
    pub accounts: Vec<String>,
    /// Whether anybody may, at least under conditions.
    pub anyone: bool,
}

/// Who may act as the role with that trust policy: services, ARNs, account ids, providers or `*`, each followed by the
/// token subjects it is limited to and by the names of other conditions.
pub fn trusted_principals(document: &Document) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for statement in allowing(document) {
        let limits = limits(statement);
        if statement.not_principal {
            found.push(format!("everyone but those named{limits}"));
            continue;
        }
        found.extend(statement.principals.iter().map(|principal| format!("{}{limits}", name(principal))));
    }
    found.sort_unstable();
    found.dedup();
    found
}

impl Trust {
    /// Who may act as the role with that trust policy, by sort.
    pub fn of(document: &Document) -> Self {
        let mut trust = Self::default();
        for statement in allowing(document) {
            trust.anyone |= statement.not_principal;
            for principal in statement.principals.iter().filter(|_| !statement.not_principal) {
                match principal {
                    Principal::Anyone => trust.anyone = true,
                    Principal::Service(service) => trust.services.push(service.clone()),
                    Principal::Federated(provider) if provider.contains(":saml-provider/") => {
                        trust.saml.push(provider.clone());
                    }
                    Principal::Federated(provider) => trust.oidc.push(provider.clone()),
                    Principal::Aws(account) | Principal::Other(_, account) => trust.accounts.push(account.clone()),
                }
            }
        }
        for list in [&mut trust.services, &mut trust.oidc, &mut trust.saml, &mut trust.accounts] {
            list.sort_unstable();
            list.dedup();
        }
        trust
    }
}

fn allowing(document: &Document) -> impl Iterator<Item = &Statement> {
    document.statements.iter().filter(|statement| statement.effect == Effect::Allow)
}

fn name(principal: &Principal) -> String {
    match principal {
        Principal::Anyone => "*".to_owned(),
        Principal::Aws(text) | Principal::Service(text) | Principal::Federated(text) => text.clone(),
        Principal::Other(kind, text) => format!("{kind} {text}"),
    }
}

/// Conditions in words. Subjects and audiences of tokens say who is meant and are shown; of all others the names only.
fn limits(statement: &Statement) -> String {
    let mut said = String::new();
    let mut others: Vec<&str> = Vec::new();
    for (operator, key, values) in &statement.conditions {
        if key.ends_with(":sub") || key.ends_with(":aud") {
            said.push_str(&format!(" when {key} {operator} {}", values.join(" or ")));
        } else {
            others.push(key);
        }
    }
    others.extend(statement.unknown.iter().map(String::as_str));
    others.sort_unstable();
    others.dedup();
    if !others.is_empty() {
        said.push_str(&format!(" under conditions on {}", others.join(", ")));
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(statements: &str) -> Document {
        Document::parse(&format!(r#"{{"Statement":[{statements}]}}"#)).unwrap()
    }

    #[test]
    fn whoever_may_act_as_a_role_is_named_with_the_limits() {
        let github = "arn:aws:iam::1:oidc-provider/token.actions.githubusercontent.com";
        let cases: &[(&str, &[&str])] = &[
            (
                r#"{"Effect":"Allow","Principal":{"Service":["lambda.amazonaws.com","ec2.amazonaws.com"]},"Action":"sts:AssumeRole"}"#,
                &["ec2.amazonaws.com", "lambda.amazonaws.com"],
            ),
            (r#"{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}"#, &["*"]),
            (
                r#"{"Effect":"Allow","Principal":{"AWS":["*","999988887777","AROAGONE"]},"Action":"sts:AssumeRole"}"#,
                &["*", "999988887777", "AROAGONE"],
            ),
            (
                r#"{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::2:root"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"s3cr3t"}}}"#,
                &["arn:aws:iam::2:root under conditions on sts:ExternalId"],
            ),
            (
                r#"{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::1:oidc-provider/token.actions.githubusercontent.com"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringLike":{"token.actions.githubusercontent.com:sub":["repo:acme/a:*","repo:acme/b:*"]}}}"#,
                &[
                    "arn:aws:iam::1:oidc-provider/token.actions.githubusercontent.com when token.actions.githubusercontent.com:sub StringLike repo:acme/a:* or repo:acme/b:*",
                ],
            ),
            (
                r#"{"Effect":"Allow","NotPrincipal":{"AWS":"arn:aws:iam::2:root"},"Action":"sts:AssumeRole"}"#,
                &["everyone but those named"],
            ),
            (r#"{"Effect":"Deny","Principal":"*","Action":"sts:AssumeRole"}"#, &[]),
        ];
        for (statement, wanted) in cases {
            assert_eq!(trusted_principals(&document(statement)), *wanted, "{statement}");
        }
        let trust = Trust::of(&document(cases[4].0));
        assert_eq!(trust.oidc, [github]);
        assert!(Trust::of(&document(cases[1].0)).anyone && Trust::of(&document(cases[5].0)).anyone);
    }
}
