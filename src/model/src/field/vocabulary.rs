//! Every attribute there is: its stable number, its name, its type, and one clause of explanation.
//! It must never lose a number or give one twice: they are on disk.

use std::{collections::BTreeMap, marker::PhantomData};

use super::{
    Attr, Field, FieldSpec, Shape,
    posture::{
        ADVISOR_SINCE, ALIASES, ARCHIVED_AT, ASSUMES, AUDIT_DEVICES, BROAD_WRITES, CONSUMER, CONSUMER_GONE_AT,
        EPHEMERAL, ESCALATES, EVENTS, EXPORTABLE, EXTERNAL_ACCOUNTS, EXTERNAL_ID_REQUIRED, FEDERATION,
        GRANTED_SERVICES, LEAK, LEAK_VALIDITY, LEAKED_AT, LEASES, LIFETIME, LOGIN_BOUND, LOOKED_BY, OIDC_CLAIMS,
        OIDC_LOOSE, OLDEST_VERSION_ACCEPTED, ORPHAN, PERIOD, PERMISSIONS, PUBLICLY_LEAKED, REACH, REACH_SIZE,
        REACH_USED, READ_ONLY, READERS, READS_SINCE, ROTATION, ROTATION_DUE_AT, ROTATION_PERIOD, SIGNED, SUDO_PATHS,
        TLS_CHECKED, UNUSED_SERVICES, USES_LEFT, VERSION_COUNT, VERSIONS,
    },
};
use crate::{Status, Time};

pub(super) const fn spec(code: u8, name: &'static str, shape: Shape, volatile: bool, about: &'static str) -> FieldSpec {
    FieldSpec { code, name, shape, volatile, about }
}

/// The name people use for it.
pub const NAME: Attr<String> = Attr(&spec(1, "name", Shape::Text, false, "the name people use for it"), PhantomData);
/// Whether it works now: active, inactive, expired or unknown.
pub const STATUS: Attr<Status> = Attr(
    &spec(2, "status", Shape::Text, false, "whether it works now: active, inactive, expired or unknown"),
    PhantomData,
);
/// When the provider made it.
pub const CREATED_AT: Attr<Time> =
    Attr(&spec(3, "created_at", Shape::Time, false, "when the provider made it"), PhantomData);
/// When its secret part was last replaced (for AWS report rows: created or last changed).
pub const ROTATED_AT: Attr<Time> = Attr(
    &spec(
        4,
        "rotated_at",
        Shape::Time,
        false,
        "when its secret part was last replaced (for AWS report rows: created or last changed)",
    ),
    PhantomData,
);
/// The last use the provider knows of.
pub const LAST_USED_AT: Attr<Time> =
    Attr(&spec(5, "last_used_at", Shape::Time, true, "the last use the provider knows of"), PhantomData);
/// When it stops working by itself; `never` = it could expire and does not, `not_reported` = this kind has no expiry.
pub const EXPIRES_AT: Attr<Time> = Attr(
    &spec(
        6,
        "expires_at",
        Shape::Time,
        false,
        "when it stops working by itself; `never` = it could expire and does not, `not_reported` = this kind has no expiry",
    ),
    PhantomData,
);
/// Since when uses would have been recorded, so that silence means something.
pub const USAGE_SINCE: Attr<Time> = Attr(
    &spec(
        7,
        "usage_since",
        Shape::Time,
        false,
        "since when uses would have been recorded, so that silence means something",
    ),
    PhantomData,
);
/// Which service it was last used against.
pub const LAST_USED_SERVICE: Attr<String> =
    Attr(&spec(8, "last_used_service", Shape::Text, true, "which service it was last used against"), PhantomData);
/// Which region it was last used in.
pub const LAST_USED_REGION: Attr<String> =
    Attr(&spec(9, "last_used_region", Shape::Text, true, "which region it was last used in"), PhantomData);
/// The provider's path for it.
pub const PATH: Attr<String> = Attr(&spec(10, "path", Shape::Text, false, "the provider's path for it"), PhantomData);
/// Amazon Resource Name.
pub const ARN: Attr<String> = Attr(&spec(11, "arn", Shape::Text, false, "Amazon Resource Name"), PhantomData);
/// Tags or labels as the provider holds them.
pub const TAGS: Attr<BTreeMap<String, String>> =
    Attr(&spec(12, "tags", Shape::Map, false, "tags or labels as the provider holds them"), PhantomData);
/// What the provider's description field says.
pub const DESCRIPTION: Attr<String> =
    Attr(&spec(13, "description", Shape::Text, false, "what the provider's description field says"), PhantomData);
/// Groups it is a member of.
pub const GROUPS: Attr<Vec<String>> =
    Attr(&spec(16, "groups", Shape::List, false, "groups it is a member of"), PhantomData);
/// Managed policies attached to it.
pub const POLICIES: Attr<Vec<String>> =
    Attr(&spec(17, "policies", Shape::List, false, "managed policies attached to it"), PhantomData);
/// Names of policies written into it.
pub const INLINE_POLICIES: Attr<Vec<String>> =
    Attr(&spec(18, "inline_policies", Shape::List, false, "names of policies written into it"), PhantomData);
/// The policy that caps its rights.
pub const PERMISSIONS_BOUNDARY: Attr<String> =
    Attr(&spec(19, "permissions_boundary", Shape::Text, false, "the policy that caps its rights"), PhantomData);
/// Whether it holds administrator rights, as far as evaluated.
pub const ADMIN: Attr<bool> = Attr(
    &spec(20, "admin", Shape::Bool, false, "whether it holds administrator rights, as far as evaluated"),
    PhantomData,
);
/// Which statements give or deny administrator rights.
pub const ADMIN_BECAUSE: Attr<String> = Attr(
    &spec(21, "admin_because", Shape::Text, false, "which statements give or deny administrator rights"),
    PhantomData,
);
/// What could change the answer about its rights and was not evaluated.
pub const NOT_EVALUATED: Attr<Vec<String>> = Attr(
    &spec(
        22,
        "not_evaluated",
        Shape::List,
        false,
        "what could change the answer about its rights and was not evaluated",
    ),
    PhantomData,
);
/// Human, machine or unclear: inferred.
pub const NATURE: Attr<String> =
    Attr(&spec(23, "nature", Shape::Text, false, "human, machine or unclear: inferred"), PhantomData);
/// What the inference of `nature` rests on.
pub const NATURE_BECAUSE: Attr<String> =
    Attr(&spec(24, "nature_because", Shape::Text, false, "what the inference of `nature` rests on"), PhantomData);
/// Whether a second factor is bound to it.
pub const MFA: Attr<bool> =
    Attr(&spec(25, "mfa", Shape::Bool, false, "whether a second factor is bound to it"), PhantomData);
/// Who may act as it, from its trust policy.
pub const TRUSTED_PRINCIPALS: Attr<Vec<String>> =
    Attr(&spec(26, "trusted_principals", Shape::List, false, "who may act as it, from its trust policy"), PhantomData);
/// Instance profiles that carry it.
pub const INSTANCE_PROFILES: Attr<Vec<String>> =
    Attr(&spec(27, "instance_profiles", Shape::List, false, "instance profiles that carry it"), PhantomData);
/// Which of the provider's numbered slots holds it.
pub const SLOT: Attr<i64> =
    Attr(&spec(28, "slot", Shape::Int, false, "which of the provider's numbered slots holds it"), PhantomData);
/// The public half of the credential's name, such as an access key id or token id.
pub const KEY_ID: Attr<String> = Attr(
    &spec(
        29,
        "key_id",
        Shape::Text,
        false,
        "the public half of the credential's name, such as an access key id or token id",
    ),
    PhantomData,
);
/// Key algorithm: rsa, dsa, ecdsa, ed25519 ….
pub const ALGORITHM: Attr<String> =
    Attr(&spec(30, "algorithm", Shape::Text, false, "key algorithm: rsa, dsa, ecdsa, ed25519 …"), PhantomData);
/// Size of the key in bits.
pub const BITS: Attr<i64> = Attr(&spec(31, "bits", Shape::Int, false, "size of the key in bits"), PhantomData);
/// How a certificate is signed, such as sha256WithRSAEncryption.
pub const SIGNATURE_ALGORITHM: Attr<String> = Attr(
    &spec(
        32,
        "signature_algorithm",
        Shape::Text,
        false,
        "how a certificate is signed, such as sha256WithRSAEncryption",
    ),
    PhantomData,
);
/// Whether the private key file is encrypted.
pub const PASSPHRASE: Attr<bool> =
    Attr(&spec(33, "passphrase", Shape::Bool, false, "whether the private key file is encrypted"), PhantomData);
/// Certificate subject.
pub const SUBJECT: Attr<String> = Attr(&spec(34, "subject", Shape::Text, false, "certificate subject"), PhantomData);
/// Certificate or token issuer.
pub const ISSUER: Attr<String> =
    Attr(&spec(35, "issuer", Shape::Text, false, "certificate or token issuer"), PhantomData);
/// Certificate serial number, hexadecimal.
pub const SERIAL: Attr<String> =
    Attr(&spec(36, "serial", Shape::Text, false, "certificate serial number, hexadecimal"), PhantomData);
/// Certificate subject alternative names.
pub const ALTERNATIVE_NAMES: Attr<Vec<String>> =
    Attr(&spec(37, "alternative_names", Shape::List, false, "certificate subject alternative names"), PhantomData);
/// What a certificate's key may be used for.
pub const KEY_USAGE: Attr<Vec<String>> =
    Attr(&spec(38, "key_usage", Shape::List, false, "what a certificate's key may be used for"), PhantomData);
/// Keyed fingerprint of the value, or SHA-256 of the public key.
pub const FINGERPRINT: Attr<String> = Attr(
    &spec(39, "fingerprint", Shape::Text, false, "keyed fingerprint of the value, or SHA-256 of the public key"),
    PhantomData,
);
/// Why there is no fingerprint.
pub const FINGERPRINT_NOTE: Attr<String> =
    Attr(&spec(40, "fingerprint_note", Shape::Text, false, "why there is no fingerprint"), PhantomData);
/// Where it is kept: a file path, escaped.
pub const LOCATION: Attr<String> =
    Attr(&spec(41, "location", Shape::Text, false, "where it is kept: a file path, escaped"), PhantomData);
/// Where in that place: section, key or line, never the value.
pub const POSITION: Attr<String> = Attr(
    &spec(42, "position", Shape::Text, false, "where in that place: section, key or line, never the value"),
    PhantomData,
);
/// File permissions, octal.
pub const MODE: Attr<String> = Attr(&spec(43, "mode", Shape::Text, false, "file permissions, octal"), PhantomData);
/// User that owns the file.
pub const FILE_OWNER: Attr<String> =
    Attr(&spec(44, "file_owner", Shape::Text, false, "user that owns the file"), PhantomData);
/// Numeric id of the file's owner.
pub const FILE_OWNER_UID: Attr<i64> =
    Attr(&spec(45, "file_owner_uid", Shape::Int, false, "numeric id of the file's owner"), PhantomData);
/// When the file's content last changed (mtime): a lower bound of age, not a creation time.
pub const MODIFIED_AT: Attr<Time> = Attr(
    &spec(
        46,
        "modified_at",
        Shape::Time,
        false,
        "when the file's content last changed (mtime): a lower bound of age, not a creation time",
    ),
    PhantomData,
);
/// Whether users beside the file's owner can read it.
pub const READABLE_BY_OTHERS: Attr<bool> = Attr(
    &spec(47, "readable_by_others", Shape::Bool, false, "whether users beside the file's owner can read it"),
    PhantomData,
);
/// Whether the value can be read in the place where it is kept.
pub const PLAINTEXT: Attr<bool> = Attr(
    &spec(48, "plaintext", Shape::Bool, false, "whether the value can be read in the place where it is kept"),
    PhantomData,
);
/// What sort of place keeps it: aws_credentials, dotenv, systemd_unit, mcp_config ….
pub const STORE_KIND: Attr<String> = Attr(
    &spec(
        49,
        "store_kind",
        Shape::Text,
        false,
        "what sort of place keeps it: aws_credentials, dotenv, systemd_unit, mcp_config …",
    ),
    PhantomData,
);
/// What it opens: a host, registry or provider.
pub const SERVICE: Attr<String> =
    Attr(&spec(50, "service", Shape::Text, false, "what it opens: a host, registry or provider"), PhantomData);
/// The account name beside the secret.
pub const USERNAME: Attr<String> =
    Attr(&spec(51, "username", Shape::Text, false, "the account name beside the secret"), PhantomData);
/// The provider's or recogniser's name for the sort of credential.
pub const CREDENTIAL_TYPE: Attr<String> = Attr(
    &spec(52, "credential_type", Shape::Text, false, "the provider's or recogniser's name for the sort of credential"),
    PhantomData,
);
/// The program an AI agent or server is configured in, such as claude or cursor.
pub const CLIENT: Attr<String> = Attr(
    &spec(
        53,
        "client",
        Shape::Text,
        false,
        "the program an AI agent or server is configured in, such as claude or cursor",
    ),
    PhantomData,
);
/// The program a configured server starts, without arguments.
pub const COMMAND: Attr<String> = Attr(
    &spec(54, "command", Shape::Text, false, "the program a configured server starts, without arguments"),
    PhantomData,
);
/// Address without user, query and fragment.
pub const URL: Attr<String> =
    Attr(&spec(55, "url", Shape::Text, false, "address without user, query and fragment"), PhantomData);
/// How a client reaches its server: stdio, http, sse.
pub const TRANSPORT: Attr<String> =
    Attr(&spec(56, "transport", Shape::Text, false, "how a client reaches its server: stdio, http, sse"), PhantomData);
/// Names of environment variables handed over.
pub const ENVIRONMENT_NAMES: Attr<Vec<String>> =
    Attr(&spec(57, "environment_names", Shape::List, false, "names of environment variables handed over"), PhantomData);
/// Places that keep the same secret.
pub const HOLDERS: Attr<Vec<String>> =
    Attr(&spec(58, "holders", Shape::List, false, "places that keep the same secret"), PhantomData);
/// Prod, staging, dev … where a tag or configuration says so.
pub const ENVIRONMENT: Attr<String> = Attr(
    &spec(59, "environment", Shape::Text, false, "prod, staging, dev … where a tag or configuration says so"),
    PhantomData,
);
/// Limits on use, such as authorized_keys options.
pub const RESTRICTIONS: Attr<Vec<String>> =
    Attr(&spec(60, "restrictions", Shape::List, false, "limits on use, such as authorized_keys options"), PhantomData);
/// To how many identities a policy is attached.
pub const ATTACHMENT_COUNT: Attr<i64> =
    Attr(&spec(61, "attachment_count", Shape::Int, true, "to how many identities a policy is attached"), PhantomData);
/// Audiences an identity provider accepts.
pub const CLIENT_IDS: Attr<Vec<String>> =
    Attr(&spec(62, "client_ids", Shape::List, false, "audiences an identity provider accepts"), PhantomData);
/// When a password must be changed.
pub const NEXT_ROTATION_AT: Attr<Time> =
    Attr(&spec(63, "next_rotation_at", Shape::Time, false, "when a password must be changed"), PhantomData);
/// Whether several active ones at once are normal for this kind.
pub const MULTI_ACTIVE_ALLOWED: Attr<bool> = Attr(
    &spec(
        64,
        "multi_active_allowed",
        Shape::Bool,
        false,
        "whether several active ones at once are normal for this kind",
    ),
    PhantomData,
);
/// What an agent may do, as configured.
pub const TOOLS: Attr<Vec<String>> =
    Attr(&spec(65, "tools", Shape::List, false, "what an agent may do, as configured"), PhantomData);
/// Whether it works until somebody revokes it.
pub const LONG_LIVED: Attr<bool> =
    Attr(&spec(66, "long_lived", Shape::Bool, false, "whether it works until somebody revokes it"), PhantomData);
/// When a self-describing token says it was issued.
pub const ISSUED_AT: Attr<Time> =
    Attr(&spec(67, "issued_at", Shape::Time, false, "when a self-describing token says it was issued"), PhantomData);
/// SHA-256 of a policy document, to see that it changed.
pub const POLICY_DIGEST: Attr<String> = Attr(
    &spec(68, "policy_digest", Shape::Text, false, "SHA-256 of a policy document, to see that it changed"),
    PhantomData,
);
/// Key id of the credential whose secret part is kept here.
pub const OPENS: Attr<String> = Attr(
    &spec(69, "opens", Shape::Text, false, "key id of the credential whose secret part is kept here"),
    PhantomData,
);

/// Who answers for the application, as its provider or service directory holds it.
pub const APP_OWNER: Attr<Vec<String>> = Attr(
    &spec(
        70,
        "app_owner",
        Shape::List,
        false,
        "who answers for the application, as its provider or service directory holds it",
    ),
    PhantomData,
);
/// Who owns the code that defines it, as CODEOWNERS says.
pub const CODEOWNERS: Attr<Vec<String>> = Attr(
    &spec(71, "codeowners", Shape::List, false, "who owns the code that defines it, as CODEOWNERS says"),
    PhantomData,
);
/// Who wrote the code or file that defines it.
pub const AUTHORS: Attr<Vec<String>> =
    Attr(&spec(72, "authors", Shape::List, false, "who wrote the code or file that defines it"), PhantomData);
/// When its authors last changed that code or file.
pub const AUTHORED_AT: Attr<Time> =
    Attr(&spec(73, "authored_at", Shape::Time, false, "when its authors last changed that code or file"), PhantomData);
/// Who made it, as an audit log says.
pub const CREATED_BY: Attr<String> =
    Attr(&spec(74, "created_by", Shape::Text, false, "who made it, as an audit log says"), PhantomData);
/// Who administers the repository it belongs to.
pub const REPO_ADMINS: Attr<Vec<String>> =
    Attr(&spec(75, "repo_admins", Shape::List, false, "who administers the repository it belongs to"), PhantomData);
/// The last human being who used it.
pub const LAST_HUMAN_USER: Attr<String> =
    Attr(&spec(76, "last_human_user", Shape::Text, true, "the last human being who used it"), PhantomData);
/// When a human being last used it.
pub const LAST_HUMAN_USE_AT: Attr<Time> =
    Attr(&spec(77, "last_human_use_at", Shape::Time, true, "when a human being last used it"), PhantomData);
/// The provider's directory owners: who may add credentials, not who answers for it.
pub const DIRECTORY_OWNERS: Attr<Vec<String>> = Attr(
    &spec(
        78,
        "directory_owners",
        Shape::List,
        false,
        "the provider's directory owners: who may add credentials, not who answers for it",
    ),
    PhantomData,
);
/// A person's or team's e-mail addresses.
pub const EMAILS: Attr<Vec<String>> =
    Attr(&spec(79, "emails", Shape::List, false, "a person's or team's e-mail addresses"), PhantomData);
/// A person's logins elsewhere, as `login` or `realm login`.
pub const LOGINS: Attr<Vec<String>> = Attr(
    &spec(80, "logins", Shape::List, false, "a person's logins elsewhere, as `login` or `realm login`"),
    PhantomData,
);
/// The person or team above.
pub const MANAGER: Attr<String> =
    Attr(&spec(81, "manager", Shape::Text, false, "the person or team above"), PhantomData);
/// When a person left the organisation, or will.
pub const LEFT_AT: Attr<Time> =
    Attr(&spec(82, "left_at", Shape::Time, false, "when a person left the organisation, or will"), PhantomData);
/// When a person last moved to another team or manager.
pub const MOVED_AT: Attr<Time> =
    Attr(&spec(83, "moved_at", Shape::Time, false, "when a person last moved to another team or manager"), PhantomData);
/// Client id of an OAuth application.
pub const CLIENT_ID: Attr<String> =
    Attr(&spec(84, "client_id", Shape::Text, false, "client id of an OAuth application"), PhantomData);
/// Issuer of its OpenID Connect tokens.
pub const OIDC_ISSUER: Attr<String> =
    Attr(&spec(85, "oidc_issuer", Shape::Text, false, "issuer of its OpenID Connect tokens"), PhantomData);
/// Its subject in OpenID Connect tokens.
pub const OIDC_SUBJECT: Attr<String> =
    Attr(&spec(86, "oidc_subject", Shape::Text, false, "its subject in OpenID Connect tokens"), PhantomData);

/// Every attribute, by number.
pub const ALL: &[Field] = &Field::of_each::<{ SPECS.len() }>(SPECS);

/// What there is to know about each of them.
pub(super) const SPECS: &[&FieldSpec] = &[
    NAME.0,
    STATUS.0,
    CREATED_AT.0,
    ROTATED_AT.0,
    LAST_USED_AT.0,
    EXPIRES_AT.0,
    USAGE_SINCE.0,
    LAST_USED_SERVICE.0,
    LAST_USED_REGION.0,
    PATH.0,
    ARN.0,
    TAGS.0,
    DESCRIPTION.0,
    GROUPS.0,
    POLICIES.0,
    INLINE_POLICIES.0,
    PERMISSIONS_BOUNDARY.0,
    ADMIN.0,
    ADMIN_BECAUSE.0,
    NOT_EVALUATED.0,
    NATURE.0,
    NATURE_BECAUSE.0,
    MFA.0,
    TRUSTED_PRINCIPALS.0,
    INSTANCE_PROFILES.0,
    SLOT.0,
    KEY_ID.0,
    ALGORITHM.0,
    BITS.0,
    SIGNATURE_ALGORITHM.0,
    PASSPHRASE.0,
    SUBJECT.0,
    ISSUER.0,
    SERIAL.0,
    ALTERNATIVE_NAMES.0,
    KEY_USAGE.0,
    FINGERPRINT.0,
    FINGERPRINT_NOTE.0,
    LOCATION.0,
    POSITION.0,
    MODE.0,
    FILE_OWNER.0,
    FILE_OWNER_UID.0,
    MODIFIED_AT.0,
    READABLE_BY_OTHERS.0,
    PLAINTEXT.0,
    STORE_KIND.0,
    SERVICE.0,
    USERNAME.0,
    CREDENTIAL_TYPE.0,
    CLIENT.0,
    COMMAND.0,
    URL.0,
    TRANSPORT.0,
    ENVIRONMENT_NAMES.0,
    HOLDERS.0,
    ENVIRONMENT.0,
    RESTRICTIONS.0,
    ATTACHMENT_COUNT.0,
    CLIENT_IDS.0,
    NEXT_ROTATION_AT.0,
    MULTI_ACTIVE_ALLOWED.0,
    TOOLS.0,
    LONG_LIVED.0,
    ISSUED_AT.0,
    POLICY_DIGEST.0,
    OPENS.0,
    APP_OWNER.0,
    CODEOWNERS.0,
    AUTHORS.0,
    AUTHORED_AT.0,
    CREATED_BY.0,
    REPO_ADMINS.0,
    LAST_HUMAN_USER.0,
    LAST_HUMAN_USE_AT.0,
    DIRECTORY_OWNERS.0,
    EMAILS.0,
    LOGINS.0,
    MANAGER.0,
    LEFT_AT.0,
    MOVED_AT.0,
    CLIENT_ID.0,
    OIDC_ISSUER.0,
    OIDC_SUBJECT.0,
    ESCALATES.0,
    UNUSED_SERVICES.0,
    ADVISOR_SINCE.0,
    ROTATION.0,
    ROTATION_DUE_AT.0,
    EXTERNAL_ACCOUNTS.0,
    EXTERNAL_ID_REQUIRED.0,
    OIDC_LOOSE.0,
    ASSUMES.0,
    VERSIONS.0,
    LEAKED_AT.0,
    LEAK.0,
    LEAK_VALIDITY.0,
    PUBLICLY_LEAKED.0,
    ARCHIVED_AT.0,
    SIGNED.0,
    TLS_CHECKED.0,
    EVENTS.0,
    PERMISSIONS.0,
    REACH.0,
    READ_ONLY.0,
    OIDC_CLAIMS.0,
    EPHEMERAL.0,
    ROTATION_PERIOD.0,
    SUDO_PATHS.0,
    BROAD_WRITES.0,
    USES_LEFT.0,
    VERSION_COUNT.0,
    OLDEST_VERSION_ACCEPTED.0,
    EXPORTABLE.0,
    ORPHAN.0,
    PERIOD.0,
    LIFETIME.0,
    LEASES.0,
    ALIASES.0,
    AUDIT_DEVICES.0,
    LOGIN_BOUND.0,
    REACH_SIZE.0,
    REACH_USED.0,
    READERS.0,
    READS_SINCE.0,
    CONSUMER.0,
    CONSUMER_GONE_AT.0,
    FEDERATION.0,
    GRANTED_SERVICES.0,
    LOOKED_BY.0,
];
