//! What this connector says of itself.
//! It must never list a read of a value, nor anything that changes something: values that the settings name are beyond it.

use provost_model::Kind;

use crate::{Permission, Reach, Read, Spec};

/// What this connector is.
pub static SPEC: Spec = Spec {
    name: "vault",
    title: "HashiCorp Vault and OpenBao",
    about: "one cluster: AppRoles and secret ids, entities and aliases, policies, static roles, certificates, transit keys, metadata of secrets, tokens",
    version: 1,
    reach: Reach::Provider,
    kinds: &[
        Kind::Application,
        Kind::IdentityProvider,
        Kind::Policy,
        Kind::ServiceAccount,
        Kind::ClientSecret,
        Kind::User,
        Kind::Group,
        Kind::Role,
        Kind::Password,
        Kind::AccessKey,
        Kind::Certificate,
        Kind::Secret,
        Kind::Token,
    ],
    reads: &[
        Read("GET /v1/sys/seal-status"),
        Read("GET /v1/auth/token/lookup-self"),
        Read("GET /v1/sys/internal/ui/resultant-acl"),
        Read("POST /v1/auth/{mount}/login"),
        Read("LIST /v1/sys/namespaces"),
        Read("GET /v1/sys/audit"),
        Read("GET /v1/sys/auth"),
        Read("GET /v1/sys/mounts"),
        Read("GET /v1/sys/internal/ui/mounts"),
        Read("GET /v1/auth/{mount}/config"),
        Read("LIST /v1/sys/policies/detailed/acl"),
        Read("LIST /v1/sys/policies/acl"),
        Read("GET /v1/sys/policies/acl/{name}"),
        Read("LIST /v1/auth/{mount}/role"),
        Read("GET /v1/auth/{mount}/role/{role}"),
        Read("GET /v1/auth/{mount}/role/{role}/role-id"),
        Read("LIST /v1/auth/{mount}/role/{role}/secret-id"),
        Read("POST /v1/auth/{mount}/role/{role}/secret-id-accessor/lookup"),
        Read("LIST /v1/identity/entity/id"),
        Read("GET /v1/identity/entity/id/{id}"),
        Read("LIST /v1/identity/group/id"),
        Read("GET /v1/identity/group/id/{id}"),
        Read("LIST /v1/{mount}/static-roles"),
        Read("GET /v1/{mount}/static-roles/{role}"),
        Read("LIST /v1/{mount}/static-role"),
        Read("GET /v1/{mount}/static-role/{role}"),
        Read("LIST /v1/{mount}/roles"),
        Read("GET /v1/{mount}/roles/{role}"),
        Read("LIST /v1/{mount}/role"),
        Read("GET /v1/{mount}/role/{role}"),
        Read("LIST /v1/sys/leases/lookup/{prefix...}"),
        Read("LIST /v1/{mount}/certs/detailed"),
        Read("LIST /v1/{mount}/certs"),
        Read("LIST /v1/{mount}/certs/revoked"),
        Read("GET /v1/{mount}/cert/{serial}"),
        Read("LIST /v1/{mount}/keys"),
        Read("GET /v1/{mount}/keys/{key}"),
        Read("GET /v1/{mount}/detailed-metadata"),
        Read("LIST /v1/{mount}/detailed-metadata"),
        Read("LIST /v1/{mount}/detailed-metadata/{path...}"),
        Read("LIST /v1/{mount}/metadata"),
        Read("LIST /v1/{mount}/metadata/{path...}"),
        Read("GET /v1/{mount}/metadata/{path...}"),
        Read("LIST /v1/{mount}"),
        Read("LIST /v1/{mount}/{path...}"),
        Read("LIST /v1/auth/token/accessors"),
        Read("POST /v1/auth/token/lookup-accessor"),
    ],
    permissions: &[
        Permission::needed(
            "GET /v1/auth/token/lookup-self",
            "whose token it is, and that it works: the policy default allows it",
        ),
        Permission::optional(
            "GET /v1/sys/internal/ui/resultant-acl",
            "what the token could do beyond reading: default allows it",
        ),
        Permission::optional("POST /v1/auth/{mount}/login", "signing in as an AppRole, where the source is set up so"),
        Permission::optional("LIST /v1/sys/namespaces", "namespaces, where they are looked for"),
        Permission::optional("GET /v1/sys/audit", "audit devices (root-protected: needs sudo)"),
        Permission::optional("GET /v1/sys/auth", "ways to sign in"),
        Permission::optional("GET /v1/sys/mounts", "secrets engines"),
        Permission::optional(
            "GET /v1/sys/internal/ui/mounts",
            "mounts in use, where the listings are refused: every token may",
        ),
        Permission::optional("GET /v1/auth/{mount}/config", "issuers of JWT and OIDC mounts"),
        Permission::optional("LIST /v1/sys/policies/detailed/acl", "all policies in one call (OpenBao)"),
        Permission::optional("LIST /v1/sys/policies/acl", "names of policies"),
        Permission::optional("GET /v1/sys/policies/acl/{name}", "what policies allow: root-like, sudo, wildcards"),
        Permission::optional("LIST /v1/auth/{mount}/role", "AppRoles"),
        Permission::optional("GET /v1/auth/{mount}/role/{role}", "their policies and limits"),
        Permission::optional(
            "GET /v1/auth/{mount}/role/{role}/role-id",
            "their public ids, by which entities and hosts name them",
        ),
        Permission::optional("LIST /v1/auth/{mount}/role/{role}/secret-id", "accessors of secret ids"),
        Permission::optional(
            "POST /v1/auth/{mount}/role/{role}/secret-id-accessor/lookup",
            "age, end, uses and limits of secret ids; a read by the capability update",
        ),
        Permission::optional("LIST /v1/identity/entity/id", "entities and their aliases"),
        Permission::optional("GET /v1/identity/entity/id/{id}", "their policies, groups and dates"),
        Permission::optional("LIST /v1/identity/group/id", "groups"),
        Permission::optional("GET /v1/identity/group/id/{id}", "their policies and members"),
        Permission::optional(
            "LIST /v1/{mount}/static-roles",
            "accounts of databases and AWS whose passwords and keys are rotated",
        ),
        Permission::optional("GET /v1/{mount}/static-roles/{role}", "when they were rotated last, and how often"),
        Permission::optional("LIST /v1/{mount}/static-role", "accounts of LDAP whose passwords are rotated"),
        Permission::optional("GET /v1/{mount}/static-role/{role}", "when they were rotated last, and how often"),
        Permission::optional("LIST /v1/{mount}/roles", "roles by which database and AWS accounts are made"),
        Permission::optional("GET /v1/{mount}/roles/{role}", "how long what they make lives"),
        Permission::optional("LIST /v1/{mount}/role", "roles by which LDAP accounts are made"),
        Permission::optional("GET /v1/{mount}/role/{role}", "how long what they make lives"),
        Permission::optional(
            "LIST /v1/sys/leases/lookup/{prefix...}",
            "how many of them live (root-protected: needs sudo)",
        ),
        Permission::optional(
            "LIST /v1/{mount}/certs/detailed",
            "all certificates with their ends in one call (OpenBao)",
        ),
        Permission::optional("LIST /v1/{mount}/certs", "serial numbers of certificates"),
        Permission::optional("LIST /v1/{mount}/certs/revoked", "which of them are revoked"),
        Permission::optional(
            "GET /v1/{mount}/cert/{serial}",
            "certificates: every token and everybody else may read them",
        ),
        Permission::optional("LIST /v1/{mount}/keys", "transit keys"),
        Permission::optional("GET /v1/{mount}/keys/{key}", "their versions, rotation, whether they can be taken out"),
        Permission::optional(
            "GET /v1/{mount}/detailed-metadata",
            "all secrets' metadata in one call (OpenBao, capability scan)",
        ),
        Permission::optional("LIST /v1/{mount}/detailed-metadata", "secrets' metadata by folder (OpenBao)"),
        Permission::optional("LIST /v1/{mount}/detailed-metadata/{path...}", "secrets' metadata by folder (OpenBao)"),
        Permission::optional("LIST /v1/{mount}/metadata", "names of secrets"),
        Permission::optional("LIST /v1/{mount}/metadata/{path...}", "names of secrets"),
        Permission::optional(
            "GET /v1/{mount}/metadata/{path...}",
            "age, versions and custom metadata of secrets; never their values",
        ),
        Permission::optional("LIST /v1/{mount}", "names of secrets in engines of the first generation"),
        Permission::optional("LIST /v1/{mount}/{path...}", "names of secrets in engines of the first generation"),
        Permission::optional("LIST /v1/auth/token/accessors", "tokens, by a sample (root-protected: needs sudo)"),
        Permission::optional(
            "POST /v1/auth/token/lookup-accessor",
            "their policies and ends; a read by the capability update",
        ),
    ],
    blind_spots: &[
        "tokens, live leases and audit devices show only to a token with sudo on their paths",
        "a secret id whose uses are not counted shows no last use; without audit_log neither do AppRoles and secrets",
        "in a warm run AppRoles beyond warm_share are looked at for new secret ids in later runs, those seen longest ago first",
        "changes of a role, entity, group, static role or transit key that no listing shows are seen within sweep_every",
        "on Vault a secret's new version and metadata are seen within sweep_every, unless audit_log tells; OpenBao shows them at once",
        "secrets of engines of the first generation have names only: no age, no versions",
        "batch tokens have no accessor and cannot be listed; neither can tokens beyond the sample",
        "rights by policies with templates, parameters, control groups or Sentinel are not evaluated; a denial by another policy of the same identity is not taken off",
        "names with control characters, or of which a part is empty or a dot, cannot be asked for; their folders are then partial",
        "certificates issued with no_store=true are kept nowhere",
    ],
    example: EXAMPLE,
    documentation: &[
        "https://openbao.org/api-docs/",
        "https://openbao.org/api-docs/auth/approle/",
        "https://openbao.org/api-docs/secret/kv/kv-v2/",
        "https://developer.hashicorp.com/vault/api-docs",
    ],
    build: &super::build,
};

const EXAMPLE: &str = r#"[[sources]]
name = "vault-prod"
connector = "vault"
schedule = "41 */6 * * *"
address = "https://vault.example.org:8200"
token = "file:/run/vault-agent/token"   # or role_id = "env:…" with secret_id = "credential:…"
# approle_mount = "approle"     # where role_id signs in
# namespace = "team-a"          # where it signs in, and from where it looks
# namespaces = "recursive"      # all below, or a list such as ["prod", "prod/eu"]
# ca_file = "/etc/ssl/vault-ca.pem"   # of a private authority
pace = "shared"                 # or "full": as fast as in_flight allows
# in_flight = 8                 # calls at a time, and so connections
# sweep_every = "7d"            # time in which what no listing shows is read again
# warm_share = 0.045            # of a cold reading's calls: what looking for new secret ids may cost
# tokens = 200                  # tokens looked at; needs sudo on auth/token/accessors
# certificates = 2000           # certificates of one mount read one by one, for their keys
# rotation_metadata = "rotation_period"   # name in custom metadata, with a value such as "90d"
# audit_log = "/var/log/vault/audit.log"   # of a file audit device on this host: who reads, and what changed
# read_values = ["secret/prod"]   # values below that are read, to fingerprint them; they are kept nowhere
# max_calls = 100000            # of one run
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_read_is_a_read_and_has_its_permission() {
        for read in SPEC.reads {
            let (method, path) = read.0.split_once(' ').unwrap();
            let posts = ["/login", "/lookup", "/lookup-accessor"];
            assert!(matches!(method, "GET" | "LIST") || posts.iter().any(|it| path.ends_with(it)), "{}", read.0);
            let values = ["/data", "/creds", "/static-creds", "/subkeys", "/export", "/backup", "/sign", "/secret-id/"];
            assert!(!values.iter().any(|it| path.contains(it)), "{}", read.0);
            let open = path == "/v1/sys/seal-status";
            assert!(open || SPEC.permissions.iter().any(|it| it.action == read.0), "{}", read.0);
        }
        assert_eq!(SPEC.permissions.len() + 1, SPEC.reads.len());
    }
}
