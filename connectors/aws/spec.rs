//! What this connector says of itself.
//! It must never list an operation that could change anything.

use provost_model::Kind;

use crate::{Permission, Reach, Read, Spec};

/// What this connector is.
pub static SPEC: Spec = Spec {
    name: "aws",
    title: "Amazon Web Services",
    about: "IAM users, roles, policies, keys and root; secrets, encryption keys, certificates, workloads and agents of every region",
    version: 2,
    reach: Reach::Provider,
    kinds: &[
        Kind::User,
        Kind::Role,
        Kind::Group,
        Kind::Policy,
        Kind::AccessKey,
        Kind::Password,
        Kind::SshKey,
        Kind::Certificate,
        Kind::ServiceSpecificCredential,
        Kind::IdentityProvider,
        Kind::Secret,
        Kind::Token,
        Kind::ClientSecret,
        Kind::Application,
        Kind::Workload,
        Kind::AiAgent,
        Kind::Grant,
    ],
    reads: &[
        Read("sts:GetCallerIdentity"),
        Read("iam:GenerateCredentialReport"),
        Read("iam:GetCredentialReport"),
        Read("iam:GetAccountAuthorizationDetails"),
        Read("iam:GetAccountSummary"),
        Read("iam:ListUsers"),
        Read("iam:ListAccessKeys"),
        Read("iam:ListVirtualMFADevices"),
        Read("iam:ListServerCertificates"),
        Read("iam:ListServiceSpecificCredentials"),
        Read("iam:ListOpenIDConnectProviders"),
        Read("iam:GetOpenIDConnectProvider"),
        Read("iam:ListSAMLProviders"),
        Read("iam:ListSSHPublicKeys"),
        Read("iam:ListSigningCertificates"),
        Read("iam:GenerateServiceLastAccessedDetails"),
        Read("iam:GetServiceLastAccessedDetails"),
        Read("cloudtrail:LookupEvents"),
        Read("s3:ListBucket"),
        Read("s3:GetObject"),
        Read("organizations:ListAccounts"),
        Read("ec2:DescribeRegions"),
        Read("account:ListRegions"),
        Read("secretsmanager:ListSecrets"),
        Read("ssm:DescribeParameters"),
        Read("kms:ListKeys"),
        Read("kms:ListAliases"),
        Read("kms:DescribeKey"),
        Read("kms:GetKeyRotationStatus"),
        Read("kms:ListKeyRotations"),
        Read("acm:ListCertificates"),
        Read("acm:DescribeCertificate"),
        Read("rolesanywhere:ListTrustAnchors"),
        Read("rolesanywhere:ListProfiles"),
        Read("sso:ListInstances"),
        Read("sso:ListApplications"),
        Read("eks:ListClusters"),
        Read("eks:DescribeCluster"),
        Read("eks:ListPodIdentityAssociations"),
        Read("eks:DescribePodIdentityAssociation"),
        Read("bedrock:ListAgents"),
        Read("bedrock:GetAgent"),
        Read("lambda:ListFunctions"),
        Read("ecs:ListTaskDefinitions"),
        Read("ecs:DescribeTaskDefinition"),
    ],
    permissions: &[
        Permission::needed("iam:GenerateCredentialReport", "a fresh credential report"),
        Permission::needed(
            "iam:GetCredentialReport",
            "last use and age of keys and passwords, second factors, the root user",
        ),
        Permission::needed(
            "iam:GetAccountAuthorizationDetails",
            "users, roles, groups, policies, tags, administrator rights",
        ),
        Permission::needed("iam:ListAccessKeys", "access key ids, and inactive keys the report leaves out"),
        Permission::optional("iam:ListUsers", "users, where GetAccountAuthorizationDetails is refused"),
        Permission::optional("iam:GetAccountSummary", "what a run will cost"),
        Permission::optional(
            "iam:ListVirtualMFADevices",
            "users with a virtual second factor, where the credential report is refused",
        ),
        Permission::optional("iam:ListServerCertificates", "server certificates kept in IAM and their expiry"),
        Permission::optional(
            "iam:ListServiceSpecificCredentials",
            "Bedrock API keys, CodeCommit and Keyspaces passwords",
        ),
        Permission::optional("iam:ListOpenIDConnectProviders", "trusted OpenID Connect providers"),
        Permission::optional("iam:GetOpenIDConnectProvider", "their audiences"),
        Permission::optional("iam:ListSAMLProviders", "trusted SAML providers and their expiry"),
        Permission::optional("iam:ListSSHPublicKeys", "SSH keys of users (CodeCommit)"),
        Permission::optional("iam:ListSigningCertificates", "ids and expiry of signing certificates"),
        Permission::optional(
            "iam:GenerateServiceLastAccessedDetails",
            "a job that finds which services an identity used",
        ),
        Permission::optional("iam:GetServiceLastAccessedDetails", "which services privileged identities never used"),
        Permission::optional(
            "cloudtrail:LookupEvents",
            "who made users, roles and access keys, as evidence of owners; who read secrets",
        ),
        Permission::optional("s3:ListBucket", "log files of a trail, where one is set"),
        Permission::optional("s3:GetObject", "what they say of makers and readers; of that trail's bucket alone"),
        Permission::optional("organizations:ListAccounts", "the accounts of the organization, where role_name is set"),
        Permission::optional("ec2:DescribeRegions", "which regions are looked at, where they are not set"),
        Permission::optional("account:ListRegions", "the same, where DescribeRegions is refused"),
        Permission::optional(
            "secretsmanager:ListSecrets",
            "secrets, their rotation, last reading and versions' stages; never a value",
        ),
        Permission::optional("ssm:DescribeParameters", "names and dates of SecureString parameters; never a value"),
        Permission::optional("kms:ListKeys", "encryption keys"),
        Permission::optional("kms:ListAliases", "their names"),
        Permission::optional("kms:DescribeKey", "their state and age"),
        Permission::optional("kms:GetKeyRotationStatus", "whether they are rotated"),
        Permission::optional("kms:ListKeyRotations", "when they were rotated last"),
        Permission::optional("acm:ListCertificates", "certificates of Certificate Manager"),
        Permission::optional("acm:DescribeCertificate", "their expiry, renewal, and what uses them"),
        Permission::optional(
            "rolesanywhere:ListTrustAnchors",
            "certificate authorities that are trusted by Roles Anywhere",
        ),
        Permission::optional("rolesanywhere:ListProfiles", "the roles that their certificates may take on"),
        Permission::optional("sso:ListInstances", "instances of Identity Center"),
        Permission::optional("sso:ListApplications", "applications signed in to through it"),
        Permission::optional("eks:ListClusters", "clusters of EKS"),
        Permission::optional("eks:DescribeCluster", "the issuer of their tokens, and the role of each"),
        Permission::optional("eks:ListPodIdentityAssociations", "service accounts that act as roles"),
        Permission::optional("eks:DescribePodIdentityAssociation", "as which roles they act"),
        Permission::optional("bedrock:ListAgents", "agents of Bedrock"),
        Permission::optional("bedrock:GetAgent", "as which role each acts"),
        Permission::optional(
            "lambda:ListFunctions",
            "functions, their roles, and which of their variables are credentials",
        ),
        Permission::optional("ecs:ListTaskDefinitions", "task definitions"),
        Permission::optional("ecs:DescribeTaskDefinition", "their roles, and which of their variables are credentials"),
    ],
    blind_spots: &[
        "IAM keeps no last use of root's signing certificates, nor of users' SSH keys and certificates",
        "without the credential report only virtual second factors show, not passkeys nor hardware",
        "key ids of the root user can be listed by root only; the report shows its slots",
        "uses within 15 minutes count once, and key use is recorded since 2015-04-22 only",
        "a role's last use is kept for 400 days: silence before that says nothing",
        "service control policies, resource policies and session policies are not evaluated for administrator rights",
        "the credential report may leave out inactive keys; a sweep finds them within sweep_every",
        "last readings of secrets are kept by the day; nobody keeps last readings of parameters, nor uses of KMS keys",
        "of ECS task definitions the newest active revision of a family counts, whichever a service runs",
        "KMS keys that AWS manages are left out; a key's own policy may hide more of it than the account's",
        "of makers the last 90 days are known when a source is new; later ones as long as it is looked at",
        "who read a secret: of the event history at most the newest thousand reads of a region and run; a trail that writes down no reads tells none",
        "readers of a secret are told by role, not by session; readers of parameters are not looked up",
        "uses of services count refused attempts too, and are known some hours late",
        "rights are weighed by identity policies: a way to more rights that a condition guards, or that reaches some resources only, is not counted",
        "role chains into other accounts are told by the trusting role alone",
        "Bedrock agents are looked for in the regions that are known to have them",
    ],
    example: EXAMPLE,
    documentation: &[
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_getting-report.html",
        "https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountAuthorizationDetails.html",
        "https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListAccessKeys.html",
    ],
    build: &super::build,
};

const EXAMPLE: &str = r#"[[sources]]
name = "aws-prod"
connector = "aws"
schedule = "17 */6 * * *"
# profile = "audit"             # of ~/.aws/config; without it the order of every AWS tool holds
# region = "eu-west-1"          # for signing; IAM itself is global
# endpoint_url = "http://127.0.0.1:5000"
# regions = ["eu-west-1"]       # without it those that the account has enabled; [] for IAM alone
# role_name = "provost"         # look at every account of the organization, taking on this role in each
# external_id = "provost-7f3a"  # what the trust policies of those roles ask for
# trail = { bucket = "corp-trail", region = "eu-west-1" }   # files of CloudTrail, read instead of the event history;
#                               # prefix = "AWSLogs/o-1a2b3c" where it is the trail of an organization
# own_accounts = []             # more accounts that are no outsiders where trust is judged
# account = "123456789012"      # refuse any other account
pace = "shared"                 # or "full": as fast as in_flight allows
# in_flight = 16                # calls at a time, and so connections
# sweep_every = "7d"            # time in which users without visible keys are looked at one by one
# instance_credentials = false  # true: may ask the machine's metadata service for credentials
# max_calls = 100000            # of one run
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_read_is_a_read_and_has_its_permission() {
        for read in SPEC.reads {
            let (service, action) = read.0.split_once(':').unwrap();
            assert!(
                ["Get", "List", "Describe", "Lookup", "GenerateCredentialReport", "GenerateServiceLastAccessedDetails"]
                    .iter()
                    .any(|verb| action.starts_with(verb)),
                "{action}"
            );
            // Reads that would give away a secret's value.
            assert!(!["GetSecretValue", "GetParameter", "GetFunction"].contains(&action), "{action}");
            assert!(service == "sts" || SPEC.permissions.iter().any(|it| it.action == read.0), "{action}");
        }
        assert_eq!(SPEC.permissions.len() + 1, SPEC.reads.len());
    }
}
