//! Attributes of posture, from number 87 on: rights that lead further, trust, rotation, exposure, reach, what stores keep,
//! who reads it. It must never lose a number or give one twice: they are on disk.

use std::{collections::BTreeMap, marker::PhantomData};

use super::{Attr, Shape, vocabulary::spec};
use crate::Time;

/// Techniques by which it could give itself more rights, such as `iam:CreatePolicyVersion` or
/// `iam:PassRole+lambda:CreateFunction`; empty = none found.
pub const ESCALATES: Attr<Vec<String>> = Attr(
    &spec(
        87,
        "escalates",
        Shape::List,
        false,
        "techniques by which it could give itself more rights, such as `iam:CreatePolicyVersion` or `iam:PassRole+lambda:CreateFunction`; empty = none found",
    ),
    PhantomData,
);
/// Services granted to it that it did not use since `advisor_since`, by namespace; empty = it uses all of them.
pub const UNUSED_SERVICES: Attr<Vec<String>> = Attr(
    &spec(
        88,
        "unused_services",
        Shape::List,
        false,
        "services granted to it that it did not use since `advisor_since`, by namespace; empty = it uses all of them",
    ),
    PhantomData,
);
/// Since when uses of services were tracked for it.
pub const ADVISOR_SINCE: Attr<Time> = Attr(
    &spec(89, "advisor_since", Shape::Time, false, "since when uses of services were tracked for it"),
    PhantomData,
);
/// Whether its secret part is replaced by itself: on, off, failing, or managed (by the service that owns it).
pub const ROTATION: Attr<String> = Attr(
    &spec(
        90,
        "rotation",
        Shape::Text,
        false,
        "whether its secret part is replaced by itself: on, off, failing, or managed (by the service that owns it)",
    ),
    PhantomData,
);
/// When its secret part is due to be replaced by itself.
pub const ROTATION_DUE_AT: Attr<Time> = Attr(
    &spec(91, "rotation_due_at", Shape::Time, false, "when its secret part is due to be replaced by itself"),
    PhantomData,
);
/// Accounts outside the organisation whose principals may act as it; empty = none.
pub const EXTERNAL_ACCOUNTS: Attr<Vec<String>> = Attr(
    &spec(
        92,
        "external_accounts",
        Shape::List,
        false,
        "accounts outside the organisation whose principals may act as it; empty = none",
    ),
    PhantomData,
);
/// Whether outsiders may act as it only with an agreed external id; `not_reported` where no outsider may.
pub const EXTERNAL_ID_REQUIRED: Attr<bool> = Attr(
    &spec(
        93,
        "external_id_required",
        Shape::Bool,
        false,
        "whether outsiders may act as it only with an agreed external id; `not_reported` where no outsider may",
    ),
    PhantomData,
);
/// Token subjects that fit strangers too, as `issuer pattern`; `*` = any subject; empty = none.
pub const OIDC_LOOSE: Attr<Vec<String>> = Attr(
    &spec(
        94,
        "oidc_loose",
        Shape::List,
        false,
        "token subjects that fit strangers too, as `issuer pattern`; `*` = any subject; empty = none",
    ),
    PhantomData,
);
/// Roles it may act as, by ARN, where both sides allow it.
pub const ASSUMES: Attr<Vec<String>> = Attr(
    &spec(95, "assumes", Shape::List, false, "roles it may act as, by ARN, where both sides allow it"),
    PhantomData,
);
/// The versions of it that are kept, each as `id stage stage`.
pub const VERSIONS: Attr<Vec<String>> = Attr(
    &spec(96, "versions", Shape::List, false, "the versions of it that are kept, each as `id stage stage`"),
    PhantomData,
);
/// When a scanner first reported its value exposed.
pub const LEAKED_AT: Attr<Time> =
    Attr(&spec(100, "leaked_at", Shape::Time, false, "when a scanner first reported its value exposed"), PhantomData);
/// What became of the report that its value is exposed: open, or how it was closed, such as revoked or false_positive.
pub const LEAK: Attr<String> = Attr(
    &spec(
        101,
        "leak",
        Shape::Text,
        false,
        "what became of the report that its value is exposed: open, or how it was closed, such as revoked or false_positive",
    ),
    PhantomData,
);
/// What the provider found when it tried an exposed value: active, inactive, unknown.
pub const LEAK_VALIDITY: Attr<String> = Attr(
    &spec(
        102,
        "leak_validity",
        Shape::Text,
        false,
        "what the provider found when it tried an exposed value: active, inactive, unknown",
    ),
    PhantomData,
);
/// Whether its value was exposed where anybody can read.
pub const PUBLICLY_LEAKED: Attr<bool> = Attr(
    &spec(103, "publicly_leaked", Shape::Bool, false, "whether its value was exposed where anybody can read"),
    PhantomData,
);
/// When it was archived: kept, but nobody works on it any more; `never` = it is not.
pub const ARCHIVED_AT: Attr<Time> = Attr(
    &spec(
        104,
        "archived_at",
        Shape::Time,
        false,
        "when it was archived: kept, but nobody works on it any more; `never` = it is not",
    ),
    PhantomData,
);
/// Whether what it sends is signed with a shared secret.
pub const SIGNED: Attr<bool> =
    Attr(&spec(105, "signed", Shape::Bool, false, "whether what it sends is signed with a shared secret"), PhantomData);
/// Whether the receiver's certificate is checked.
pub const TLS_CHECKED: Attr<bool> =
    Attr(&spec(106, "tls_checked", Shape::Bool, false, "whether the receiver's certificate is checked"), PhantomData);
/// Events it is told of.
pub const EVENTS: Attr<Vec<String>> =
    Attr(&spec(107, "events", Shape::List, false, "events it is told of"), PhantomData);
/// What it may do, in the provider's words, such as `contents:read`.
pub const PERMISSIONS: Attr<Vec<String>> = Attr(
    &spec(108, "permissions", Shape::List, false, "what it may do, in the provider's words, such as `contents:read`"),
    PhantomData,
);
/// How much of what there is it reaches: all, selected, none ….
pub const REACH: Attr<String> = Attr(
    &spec(109, "reach", Shape::Text, false, "how much of what there is it reaches: all, selected, none …"),
    PhantomData,
);
/// Whether it can only read.
pub const READ_ONLY: Attr<bool> =
    Attr(&spec(110, "read_only", Shape::Bool, false, "whether it can only read"), PhantomData);
/// Claims that make up the subject of its OpenID Connect tokens, in order.
pub const OIDC_CLAIMS: Attr<Vec<String>> = Attr(
    &spec(
        111,
        "oidc_claims",
        Shape::List,
        false,
        "claims that make up the subject of its OpenID Connect tokens, in order",
    ),
    PhantomData,
);
/// Whether it does one job and is gone.
pub const EPHEMERAL: Attr<bool> =
    Attr(&spec(112, "ephemeral", Shape::Bool, false, "whether it does one job and is gone"), PhantomData);

/// How many repositories, projects or the like it reaches.
pub const REACH_SIZE: Attr<i64> = Attr(
    &spec(140, "reach_size", Shape::Int, true, "how many repositories, projects or the like it reaches"),
    PhantomData,
);
/// How many of those it reaches it was used on since `usage_since`.
pub const REACH_USED: Attr<i64> = Attr(
    &spec(141, "reach_used", Shape::Int, true, "how many of those it reaches it was used on since `usage_since`"),
    PhantomData,
);
/// Who read it, as an audit log says, each with the time of the latest read (RFC 3339).
pub const READERS: Attr<BTreeMap<String, String>> = Attr(
    &spec(
        142,
        "readers",
        Shape::Map,
        true,
        "who read it, as an audit log says, each with the time of the latest read (RFC 3339)",
    ),
    PhantomData,
);
/// Since when reads would have been recorded, so that an empty list of readers means something.
pub const READS_SINCE: Attr<Time> = Attr(
    &spec(
        143,
        "reads_since",
        Shape::Time,
        false,
        "since when reads would have been recorded, so that an empty list of readers means something",
    ),
    PhantomData,
);
/// What it serves: the repository, workload, project or cluster it was made for.
pub const CONSUMER: Attr<String> = Attr(
    &spec(
        144,
        "consumer",
        Shape::Text,
        false,
        "what it serves: the repository, workload, project or cluster it was made for",
    ),
    PhantomData,
);
/// When what it serves was deleted; `never` = it is there.
pub const CONSUMER_GONE_AT: Attr<Time> = Attr(
    &spec(145, "consumer_gone_at", Shape::Time, false, "when what it serves was deleted; `never` = it is there"),
    PhantomData,
);
/// The way without a lasting secret that could take its place, such as `OpenID Connect of GitHub Actions`; `never` = none.
pub const FEDERATION: Attr<String> = Attr(
    &spec(
        146,
        "federation",
        Shape::Text,
        false,
        "the way without a lasting secret that could take its place, such as `OpenID Connect of GitHub Actions`; `never` = none",
    ),
    PhantomData,
);
/// How many services are granted to it, of those whose use is tracked.
pub const GRANTED_SERVICES: Attr<i64> = Attr(
    &spec(
        147,
        "granted_services",
        Shape::Int,
        false,
        "how many services are granted to it, of those whose use is tracked",
    ),
    PhantomData,
);

/// How often its secret part is meant to be replaced, in seconds; `never` = it is not.
pub const ROTATION_PERIOD: Attr<i64> = Attr(
    &spec(
        120,
        "rotation_period",
        Shape::Int,
        false,
        "how often its secret part is meant to be replaced, in seconds; `never` = it is not",
    ),
    PhantomData,
);
/// Paths on which a policy lets its holder use root-protected operations.
pub const SUDO_PATHS: Attr<Vec<String>> = Attr(
    &spec(
        121,
        "sudo_paths",
        Shape::List,
        false,
        "paths on which a policy lets its holder use root-protected operations",
    ),
    PhantomData,
);
/// Paths with a wildcard on which a policy allows more than reading.
pub const BROAD_WRITES: Attr<Vec<String>> = Attr(
    &spec(122, "broad_writes", Shape::List, false, "paths with a wildcard on which a policy allows more than reading"),
    PhantomData,
);
/// How often it still works; `never` = uses do not wear it out.
pub const USES_LEFT: Attr<i64> = Attr(
    &spec(123, "uses_left", Shape::Int, true, "how often it still works; `never` = uses do not wear it out"),
    PhantomData,
);
/// How many versions of it there were, the present one included.
pub const VERSION_COUNT: Attr<i64> = Attr(
    &spec(124, "version_count", Shape::Int, false, "how many versions of it there were, the present one included"),
    PhantomData,
);
/// The oldest version of a key that still decrypts.
pub const OLDEST_VERSION_ACCEPTED: Attr<i64> = Attr(
    &spec(125, "oldest_version_accepted", Shape::Int, false, "the oldest version of a key that still decrypts"),
    PhantomData,
);
/// Whether its secret part can be taken out of the store.
pub const EXPORTABLE: Attr<bool> = Attr(
    &spec(126, "exportable", Shape::Bool, false, "whether its secret part can be taken out of the store"),
    PhantomData,
);
/// Whether it outlives the token that made it.
pub const ORPHAN: Attr<bool> =
    Attr(&spec(127, "orphan", Shape::Bool, false, "whether it outlives the token that made it"), PhantomData);
/// How far each renewal carries a token, in seconds, without end; `never` = renewals end.
pub const PERIOD: Attr<i64> = Attr(
    &spec(
        128,
        "period",
        Shape::Int,
        false,
        "how far each renewal carries a token, in seconds, without end; `never` = renewals end",
    ),
    PhantomData,
);
/// How long what it gives out works, in seconds; `never` = until revoked.
pub const LIFETIME: Attr<i64> = Attr(
    &spec(129, "lifetime", Shape::Int, false, "how long what it gives out works, in seconds; `never` = until revoked"),
    PhantomData,
);
/// Credentials it gave out that still work.
pub const LEASES: Attr<i64> =
    Attr(&spec(130, "leases", Shape::Int, true, "credentials it gave out that still work"), PhantomData);
/// Its names at the ways of signing in, as `mount name`.
pub const ALIASES: Attr<Vec<String>> = Attr(
    &spec(131, "aliases", Shape::List, false, "its names at the ways of signing in, as `mount name`"),
    PhantomData,
);
/// Where it writes down every request, as `name type`; empty = nowhere.
pub const AUDIT_DEVICES: Attr<Vec<String>> = Attr(
    &spec(
        132,
        "audit_devices",
        Shape::List,
        false,
        "where it writes down every request, as `name type`; empty = nowhere",
    ),
    PhantomData,
);
/// Whether signing in asks for more than a name that is no secret.
pub const LOGIN_BOUND: Attr<bool> = Attr(
    &spec(134, "login_bound", Shape::Bool, false, "whether signing in asks for more than a name that is no secret"),
    PhantomData,
);
/// Whether Provost itself looks by it: it is changed by hand.
pub const LOOKED_BY: Attr<bool> = Attr(
    &spec(148, "looked_by", Shape::Bool, false, "whether Provost itself looks by it: it is changed by hand"),
    PhantomData,
);
