//! What this connector says of itself.
//! It must never list an operation that could change anything: the one POST beside GraphQL makes its own short token.

use provost_model::Kind;

use super::{
    alerts, audit, documents, owners,
    signing::{INSTALLATIONS, TOKENS},
};
use crate::{Permission, Reach, Read, Spec};

/// What this connector is.
pub static SPEC: Spec = Spec {
    name: "github",
    title: "GitHub",
    about: "github.com, Enterprise Cloud and Enterprise Server: Apps and installations, tokens, deploy keys, secrets, \
            credentials in variables, webhooks, runners, members, leaks",
    version: 1,
    reach: Reach::Provider,
    kinds: &[
        Kind::User,
        Kind::Application,
        Kind::Workload,
        Kind::SshKey,
        Kind::Token,
        Kind::OauthGrant,
        Kind::Secret,
        Kind::Grant,
        Kind::IdentityProvider,
    ],
    reads: &[
        Read(INSTALLATIONS),
        Read(TOKENS),
        Read(GRAPHQL),
        Read(ORGANIZATION),
        Read("GET /orgs/{org}/installations"),
        Read("GET /orgs/{org}/personal-access-tokens"),
        Read("GET /orgs/{org}/personal-access-token-requests"),
        Read("GET /orgs/{org}/credential-authorizations"),
        Read("GET /orgs/{org}/actions/secrets"),
        Read("GET /orgs/{org}/actions/variables"),
        Read("GET /orgs/{org}/actions/runners"),
        Read("GET /orgs/{org}/actions/oidc/customization/sub"),
        Read("GET /orgs/{org}/dependabot/secrets"),
        Read("GET /orgs/{org}/codespaces/secrets"),
        Read("GET /orgs/{org}/hooks"),
        Read("GET /orgs/{org}/outside_collaborators"),
        Read(alerts::READ),
        Read(audit::READ),
        Read(KEYS),
        Read("GET /repos/{owner}/{repo}/actions/secrets"),
        Read("GET /repos/{owner}/{repo}/actions/variables"),
        Read("GET /repos/{owner}/{repo}/actions/runners"),
        Read("GET /repos/{owner}/{repo}/dependabot/secrets"),
        Read("GET /repos/{owner}/{repo}/codespaces/secrets"),
        Read("GET /repos/{owner}/{repo}/hooks"),
        Read(ENVIRONMENTS),
        Read("GET /repos/{owner}/{repo}/environments/{environment_name}/secrets"),
        Read("GET /repos/{owner}/{repo}/environments/{environment_name}/variables"),
    ],
    permissions: &[
        Permission::needed("metadata:read", "names of repositories, and whether they are archived"),
        Permission::needed(
            "administration:read",
            "deploy keys of repositories, their last use and who added them; their runners",
        ),
        Permission::needed(
            "organization_administration:read",
            "installed Apps and their permissions; the audit log; subjects of tokens",
        ),
        Permission::optional(
            "members:read",
            "members, owners of the organization, second factors, collaborators from outside",
        ),
        Permission::optional(
            "organization_personal_access_tokens:read",
            "fine-grained tokens, their last use and expiry; for Apps only",
        ),
        Permission::optional(
            "organization_personal_access_token_requests:read",
            "requests for access by fine-grained tokens; for Apps only",
        ),
        Permission::optional("organization_secrets:read", "names and dates of the organization's Actions secrets"),
        Permission::optional(
            "organization_actions_variables:read",
            "variables of the organization that hold a credential",
        ),
        Permission::optional(
            "organization_dependabot_secrets:read",
            "names and dates of the organization's Dependabot secrets",
        ),
        Permission::optional(
            "organization_codespaces_secrets:read",
            "names and dates of the organization's Codespaces secrets",
        ),
        Permission::optional("organization_hooks:read", "webhooks of the organization"),
        Permission::optional("organization_self_hosted_runners:read", "self-hosted runners of the organization"),
        Permission::optional(
            "secret_scanning_alerts:read",
            "credentials that GitHub found in the open; never their values",
        ),
        Permission::optional("secrets:read", "names and dates of repositories' Actions secrets"),
        Permission::optional("actions_variables:read", "variables of repositories that hold a credential"),
        Permission::optional("dependabot_secrets:read", "names and dates of repositories' Dependabot secrets"),
        Permission::optional("codespaces_secrets:read", "names and dates of repositories' Codespaces secrets"),
        Permission::optional("actions:read", "environments of repositories"),
        Permission::optional("environments:read", "names and dates of environments' secrets, and their variables"),
        Permission::optional("repository_hooks:read", "webhooks of repositories"),
        Permission::optional("contents:read", "CODEOWNERS, as evidence of who answers for a repository"),
    ],
    blind_spots: &[
        "classic personal access tokens and SSH keys of members show only where they are authorized for SAML single sign-on",
        "which OAuth apps members approved is in no listing; the audit log names approvals as they happen",
        "GPG keys and personal SSH keys without single sign-on are their owners' alone",
        "a fine-grained token is dated by its access to the organization; when it was made is not told",
        "last use of deploy keys and tokens is kept by the day, of secrets, webhooks and runners not at all",
        "an App's last use is its last action in the audit log, where there is one: reading leaves no trace there",
        "the audit log goes back 180 days: who made something older stays unknown; the API gives it with Enterprise Cloud only",
        "secrets, variables, webhooks and runners of repositories and environments are swept: seen within sweep_every, or \
         when the audit log names them",
        "subjects of OpenID Connect tokens are read of the organization; a repository may have its own",
        "who reads an organization's secret is told as all, private or selected repositories, not by name",
    ],
    example: EXAMPLE,
    documentation: &[
        "https://docs.github.com/en/rest",
        "https://docs.github.com/en/graphql/reference/objects#deploykey",
        "https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app",
        "https://docs.github.com/en/rest/authentication/permissions-required-for-github-apps",
    ],
    build: &super::build,
};

/// The read that stands for GraphQL. An Enterprise Server has it beside its REST interface, at `/api/graphql`.
pub(super) const GRAPHQL: &str = "POST /graphql";
/// An organization by its name.
pub(super) const ORGANIZATION: &str = "GET /orgs/{org}";
/// The deploy keys of a repository.
pub(super) const KEYS: &str = "GET /repos/{owner}/{repo}/keys";
/// The environments of a repository.
pub(super) const ENVIRONMENTS: &str = "GET /repos/{owner}/{repo}/environments";

const EXAMPLE: &str = r#"[[sources]]
name = "github"
connector = "github"
schedule = "41 */2 * * *"
app_id = 123456                                      # a GitHub App, installed in each organization
private_key = "file:/etc/provost/github-app.pem"     # a reference; or credential:ID, exec:/PATH
# token = "env:GITHUB_TOKEN"                         # instead of an App: sees no fine-grained tokens
# organizations = ["acme"]                           # only these; a token needs them, or an enterprise
# enterprise = "acme-inc"                            # a token looks at every organization of it
# base_url = "https://ghe.example.org"               # Enterprise Server; https://api.SUBDOMAIN.ghe.com with data residency
pace = "shared"                                      # or "full": as fast as in_flight and the budget allow
# in_flight = 8                                      # calls at a time
# reserve = 0.2                                      # share of the hourly budget that is left to others
# sweep_every = "7d"                                 # time in which repositories are looked at one by one
# max_calls = 100000                                 # of one run, to each organization
"#;

/// Reads that may be denied, or lacking in an organization's plan, without making a run partial; with the documents of which
/// that is true.
fn optional(read: &str) -> bool {
    let needed = [INSTALLATIONS, TOKENS, GRAPHQL, ORGANIZATION, "GET /orgs/{org}/installations", KEYS];
    let is_document = documents::ALL.iter().any(|(name, _)| *name == read);
    let free = [documents::name_of(documents::MEMBERS), documents::name_of(documents::OWNERS)];
    free.contains(&read) || (!is_document && !needed.contains(&read))
}

/// Whether a denial of that read makes a blind spot only.
pub(super) fn is_optional(read: &str) -> bool {
    let known = SPEC.reads.iter().any(|it| it.0 == read) || read == owners::READ;
    (known || read.starts_with("graphql:")) && optional(read)
}

/// Whether a permission of an App is used.
pub(super) fn uses(permission: &str) -> bool {
    SPEC.permissions.iter().any(|it| it.action.strip_suffix(":read") == Some(permission))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_read_is_a_read() {
        for Read(read) in SPEC.reads {
            assert!(read.starts_with("GET /") || [TOKENS, GRAPHQL].contains(read), "{read}");
        }
        assert!(SPEC.permissions.iter().all(|it| it.action.ends_with(":read")));
    }

    #[test]
    fn what_findings_rest_on_is_needed_and_the_rest_may_be_denied() {
        assert!(!is_optional("GET /orgs/{org}/installations") && !is_optional(KEYS));
        assert!(is_optional("GET /orgs/{org}/hooks") && is_optional("graphql:members"));
        assert!(!is_optional("graphql:repositories") && !is_optional("GET /unknown"));
        assert!(uses("secrets") && !uses("issues"));
    }
}
