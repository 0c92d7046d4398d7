//! Trust policies judged: which outsiders may act as a role, whether they need an agreed word, and whose tokens fit.
//! It must never call a trust narrow that it does not understand, nor show the agreed word.

use std::collections::BTreeSet;

use super::{Document, Effect, Principal, Statement, pattern::covers};

/// What stands before the tenant in subjects of issuers that serve many.
const LEADS: [&str; 9] = [
    "repo:",
    "project_path:",
    "organization:",
    "org:",
    "org/",
    "workspace:",
    "system:serviceaccount:",
    "project:",
    "repository:",
];
/// Anybody, as a principal.
const ANYBODY: &str = "*";

/// Outsiders of a trust policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outsiders {
    /// Accounts that are not among one's own; `*` is anybody.
    pub accounts: BTreeSet<String>,
    /// Whether every one of them needs an external id; nothing where there are none.
    pub external_id_required: Option<bool>,
    /// Token subjects that fit strangers too, as `issuer pattern`.
    pub loose: BTreeSet<String>,
    /// ARNs and accounts that may act as the role without condition.
    pub principals: BTreeSet<String>,
}

impl Outsiders {
    /// Judges a trust policy by the accounts that are one's own.
    pub fn of(document: &Document, own: &BTreeSet<String>) -> Self {
        let mut found = Self::default();
        let mut required = true;
        for statement in document.statements.iter().filter(|it| it.effect == Effect::Allow) {
            let accounts = accounts(statement, own);
            if !accounts.is_empty() {
                required &= wants_external_id(statement);
                found.accounts.extend(accounts);
            }
            found.loose.extend(loose(statement));
            if !statement.is_conditional() && !statement.not_principal {
                let named = statement.principals.iter().filter_map(|principal| match principal {
                    Principal::Aws(text) => Some(text.clone()),
                    _ => None,
                });
                found.principals.extend(named);
            }
        }
        found.external_id_required = (!found.accounts.is_empty()).then_some(required);
        found
    }
}

/// The accounts of a statement that are not one's own.
fn accounts(statement: &Statement, own: &BTreeSet<String>) -> BTreeSet<String> {
    if statement.not_principal {
        return narrowed(statement, own);
    }
    let mut found = BTreeSet::new();
    for principal in &statement.principals {
        match principal {
            Principal::Anyone => found.extend(narrowed(statement, own)),
            Principal::Aws(text) => found.extend(account_of(text).filter(|account| !own.contains(account))),
            _ => {}
        }
    }
    found
}

/// Whom a statement about anybody means: the accounts that a condition names, nobody outside where it names the
/// organization, and else anybody.
fn narrowed(statement: &Statement, own: &BTreeSet<String>) -> BTreeSet<String> {
    for (operator, key, values) in &statement.conditions {
        if !is_positive(operator) {
            continue;
        }
        match key.to_ascii_lowercase().as_str() {
            "aws:principalorgid" | "aws:principalorgpaths" if !values.iter().any(|value| value == "*") => {
                return BTreeSet::new();
            }
            "aws:principalaccount" | "aws:principalarn" => {
                let named: Option<BTreeSet<String>> = values.iter().map(|value| account_of(value)).collect();
                if let Some(named) = named {
                    return named.into_iter().filter(|account| !own.contains(account)).collect();
                }
            }
            _ => {}
        }
    }
    [ANYBODY.to_owned()].into()
}

/// The account in an ARN, or the account that is named alone. Unique ids of what is deleted name nobody.
fn account_of(text: &str) -> Option<String> {
    let is_number = |text: &str| text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number(text) {
        return Some(text.to_owned());
    }
    text.split(':').nth(4).filter(|account| is_number(account)).map(str::to_owned)
}

fn wants_external_id(statement: &Statement) -> bool {
    statement.conditions.iter().any(|(operator, key, values)| {
        key.eq_ignore_ascii_case("sts:ExternalId")
            && is_positive(operator)
            && !values.is_empty()
            && !values.iter().any(|value| value.is_empty() || (operator.contains("Like") && covers(value, "*")))
    })
}

/// Whether an operator lets through only what it names. With `IfExists` a request without the key passes too.
fn is_positive(operator: &str) -> bool {
    let plain = operator.rsplit(':').next().unwrap_or_default();
    let compares = ["StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike"].contains(&plain);
    compares && !operator.starts_with("ForAllValues")
}

/// Subjects of a statement's tokens that fit strangers.
fn loose(statement: &Statement) -> Vec<String> {
    let mut found = Vec::new();
    for issuer in statement.principals.iter().filter_map(issuer) {
        let about = |wanted: &str| {
            let conditions = statement.conditions.iter().filter_map(move |(operator, key, values)| {
                let claim = key.strip_prefix(issuer)?.strip_prefix(':')?;
                (claim == wanted).then_some((operator.as_str(), values))
            });
            conditions.collect::<Vec<_>>()
        };
        // A pool of Cognito is chosen by the audience, everybody else's subject by the subject.
        let key = if issuer == "cognito-identity.amazonaws.com" { "aud" } else { "sub" };
        let subjects: Vec<_> = about(key).into_iter().filter(|(operator, _)| is_of_text(operator)).collect();
        if subjects.is_empty() {
            if !is_narrowed_otherwise(statement, issuer) {
                found.push(format!("{issuer} *"));
            }
            continue;
        }
        // All conditions must hold: the narrowest of them counts.
        let each: Vec<Vec<&String>> = subjects.iter().map(|(operator, values)| wide(operator, values)).collect();
        if let Some(least) = each.into_iter().min_by_key(Vec::len) {
            found.extend(least.into_iter().map(|pattern| format!("{issuer} {pattern}")));
        }
    }
    found
}

/// The host and path by which conditions name a provider of OpenID Connect.
fn issuer(principal: &Principal) -> Option<&str> {
    let Principal::Federated(text) = principal else { return None };
    match text.split_once(":oidc-provider/") {
        Some((_, issuer)) => Some(issuer),
        None if text.contains(":saml-provider/") => None,
        None => Some(text),
    }
}

fn is_of_text(operator: &str) -> bool {
    let plain = operator.strip_suffix("IfExists").unwrap_or(operator);
    is_positive(plain)
}

fn wide<'v>(operator: &str, values: &'v [String]) -> Vec<&'v String> {
    if !operator.contains("Like") {
        return Vec::new();
    }
    values.iter().filter(|pattern| fits_strangers(pattern)).collect()
}

/// Whether a pattern leaves its tenant open: no whole part of it stands before the first wildcard.
fn fits_strangers(pattern: &str) -> bool {
    let Some(at) = pattern.find(['*', '?']) else { return false };
    let fixed = pattern.get(..at).unwrap_or_default();
    let fixed = LEADS.iter().find_map(|lead| fixed.strip_prefix(lead)).unwrap_or(fixed);
    !fixed.char_indices().any(|(at, sign)| at > 0 && matches!(sign, '/' | ':' | '|'))
}

/// Whether another claim than the audience is asked for by name.
fn is_narrowed_otherwise(statement: &Statement, issuer: &str) -> bool {
    statement.conditions.iter().any(|(operator, key, values)| {
        let claim = key.strip_prefix(issuer).and_then(|rest| rest.strip_prefix(':'));
        let named = claim.is_some_and(|claim| !matches!(claim, "aud" | "sub" | "amr" | "azp" | "oaud"));
        named && is_positive(operator) && values.iter().all(|value| !value.contains(['*', '?']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(statement: &str) -> Outsiders {
        let own = ["111111111111".to_owned(), "222222222222".to_owned()].into();
        Outsiders::of(&Document::parse(&format!(r#"{{"Statement":[{statement}]}}"#)).unwrap(), &own)
    }

    fn allow(principal: &str, condition: &str) -> String {
        format!(r#"{{"Effect":"Allow","Principal":{principal},"Action":"sts:AssumeRole","Condition":{condition}}}"#)
    }

    #[test]
    fn accounts_beyond_one_s_own_are_outsiders() {
        let cases: &[(&str, &str, &[&str], Option<bool>)] = &[
            (r#"{"AWS":"arn:aws:iam::222222222222:root"}"#, "{}", &[], None),
            (
                r#"{"AWS":["arn:aws:iam::999999999999:role/x","888888888888"]}"#,
                "{}",
                &["888888888888", "999999999999"],
                Some(false),
            ),
            (
                r#"{"AWS":"999999999999"}"#,
                r#"{"StringEquals":{"sts:ExternalId":"s3cr3t"}}"#,
                &["999999999999"],
                Some(true),
            ),
            (
                r#"{"AWS":"999999999999"}"#,
                r#"{"StringEqualsIfExists":{"sts:ExternalId":"x"}}"#,
                &["999999999999"],
                Some(false),
            ),
            (r#"{"AWS":"999999999999"}"#, r#"{"StringLike":{"sts:ExternalId":"*"}}"#, &["999999999999"], Some(false)),
            (r#"{"AWS":"AROAGONE"}"#, "{}", &[], None),
            (r#""*""#, "{}", &["*"], Some(false)),
            (r#""*""#, r#"{"StringEquals":{"aws:PrincipalOrgID":"o-1"}}"#, &[], None),
            (r#""*""#, r#"{"StringNotEquals":{"aws:PrincipalOrgID":"o-1"}}"#, &["*"], Some(false)),
            (
                r#""*""#,
                r#"{"StringEquals":{"aws:PrincipalAccount":["111111111111","999999999999"]}}"#,
                &["999999999999"],
                Some(false),
            ),
            (r#"{"Service":"ec2.amazonaws.com"}"#, "{}", &[], None),
        ];
        for (principal, condition, accounts, required) in cases {
            let found = of(&allow(principal, condition));
            assert!(found.accounts.iter().eq(accounts.iter()), "{principal} {condition}: {found:?}");
            assert_eq!(found.external_id_required, *required, "{principal} {condition}");
        }
    }

    #[test]
    fn subjects_that_leave_the_tenant_open_fit_strangers() {
        let hub = "token.actions.githubusercontent.com";
        let trust = |condition: &str| {
            let principal = format!(r#"{{"Federated":"arn:aws:iam::1:oidc-provider/{hub}"}}"#);
            of(&allow(&principal, condition)).loose.into_iter().collect::<Vec<_>>()
        };
        let subject = |operator: &str, value: &str| trust(&format!(r#"{{"{operator}":{{"{hub}:sub":"{value}"}}}}"#));
        for (operator, value) in [
            ("StringEquals", "repo:acme/app:ref:refs/heads/main"),
            ("StringLike", "repo:acme/app:*"),
            ("StringLike", "repo:acme/*"),
            ("StringEquals", "repo:*"),
            ("StringLike", "system:serviceaccount:prod:*"),
        ] {
            assert!(subject(operator, value).is_empty(), "{operator} {value}");
        }
        for (operator, value) in [
            ("StringLike", "*"),
            ("StringLike", "repo:*"),
            ("StringLike", "repo:acme*"),
            ("ForAnyValue:StringLike", "repo:*/app:ref:refs/heads/main"),
            ("StringLike", "system:serviceaccount:*:deployer"),
        ] {
            assert_eq!(subject(operator, value), [format!("{hub} {value}")], "{operator} {value}");
        }
        for condition in [
            "{}".to_owned(),
            format!(r#"{{"StringEquals":{{"{hub}:aud":"sts.amazonaws.com"}}}}"#),
            format!(r#"{{"StringNotEquals":{{"{hub}:sub":"repo:evil/x"}}}}"#),
        ] {
            assert_eq!(trust(&condition), [format!("{hub} *")], "{condition}");
        }
        let narrow = format!(r#"{{"StringEquals":{{"{hub}:repository":"acme/app"}}}}"#);
        assert!(trust(&narrow).is_empty(), "another claim names the tenant");
        let both = format!(r#"{{"StringLike":{{"{hub}:sub":"repo:*"}},"StringEquals":{{"{hub}:sub":"repo:a/b"}}}}"#);
        assert!(trust(&both).is_empty(), "both must hold");
    }

    #[test]
    fn a_pool_is_chosen_by_its_audience_and_saml_has_no_subject() {
        let pool = r#"{"Federated":"cognito-identity.amazonaws.com"}"#;
        assert_eq!(of(&allow(pool, "{}")).loose.len(), 1);
        let chosen = r#"{"StringEquals":{"cognito-identity.amazonaws.com:aud":"eu-west-1:x"}}"#;
        assert!(of(&allow(pool, chosen)).loose.is_empty());
        assert!(of(&allow(r#"{"Federated":"arn:aws:iam::1:saml-provider/x"}"#, "{}")).loose.is_empty());
    }
}
