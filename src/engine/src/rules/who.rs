//! What sort of identity a rule has before it: the account's root, a human being, the provider's own.
//! It must never infer what a connector has not stated.

use provost_model::{FieldSet, Kind, Noun, Realm, field};

use super::{Near, View, life};

/// Kinds of things for which somebody answers.
pub(super) const OWNED: &[Kind] = &[
    Kind::User,
    Kind::ServiceAccount,
    Kind::Role,
    Kind::ServicePrincipal,
    Kind::Application,
    Kind::AiAgent,
    Kind::Workload,
    Kind::AccessKey,
    Kind::SshKey,
    Kind::Certificate,
    Kind::Token,
    Kind::ClientSecret,
    Kind::Secret,
];

/// Attributes that tell whether a thing is at work and has an owner of its own: what [`life::working`] and
/// [`answered_for`] ask for.
pub(super) const OWNED_READS: FieldSet = FieldSet::of(&[
    field::STATUS.field(),
    field::EXPIRES_AT.field(),
    field::LOCATION.field(),
    field::PATH.field(),
    field::ARN.field(),
]);

/// Whether an identity is the root of an account: it has rights nobody can take away. Needs `arn` declared of it.
fn is_root(identity: &Near<'_>) -> bool {
    let arn = identity.text(field::ARN).known().unwrap_or_default();
    identity.kind() == Kind::User && (is_root_arn(arn) || is_root_name(identity.realm(), identity.external()))
}

/// The same of a subject. Needs `arn` declared.
pub(super) fn is_root_view(view: &View<'_>) -> bool {
    let arn = view.text(field::ARN).known().unwrap_or_default();
    view.kind() == Kind::User && (is_root_arn(arn) || is_root_name(view.realm(), view.external()))
}

/// Whether a credential authenticates as the root of an account, as far as the identity's name tells.
pub(super) fn authenticates_as_root(view: &View<'_>) -> bool {
    match view.identity() {
        Some(identity) => is_root(&identity),
        None => {
            view.identity_key().is_some_and(|key| key.kind == Kind::User && is_root_name(&key.realm, &key.external))
        }
    }
}

/// Whether a record is used by people, as inferred by its connector.
pub(super) fn is_human(identity: &Near<'_>) -> bool {
    identity.text(field::NATURE).known() == Some("human")
}

/// Whether rules about machines leave an identity out: a human being, the root of an account, what the provider looks after.
/// Needs `nature`, `arn` and `path` declared.
pub(super) fn is_no_machine_of_ours(view: &View<'_>) -> bool {
    view.text(field::NATURE).known() == Some("human") || is_root_view(view) || is_providers_own(view)
}

/// Whether the provider made it and looks after it: service-linked roles, and roles that a directory makes for people.
pub(super) fn is_providers_own(view: &View<'_>) -> bool {
    let path = view.text(field::PATH).known().unwrap_or_default();
    path.starts_with("/aws-service-role/") || path.starts_with("/aws-reserved/")
}

/// Whether somebody answers for the subject itself: not for the account as such or what the provider looks after. A
/// credential is answered for with its identity. Needs `arn`, `path` and whatever tells whether it keeps a secret.
pub(super) fn answered_for(view: &View<'_>) -> bool {
    if view.kind().noun() == Noun::Credential || view.kind() == Kind::Secret {
        return !view.has_identity() && life::keeps_secret(view);
    }
    !is_root_view(view) && !is_providers_own(view)
}

/// `arn:aws:iam::123456789012:root`.
fn is_root_arn(arn: &str) -> bool {
    arn.starts_with("arn:") && arn.ends_with(":root")
}

/// The external id of the root of an AWS account, which has no unique id of its own.
fn is_root_name(realm: &Realm, external: &str) -> bool {
    realm.provider() == "aws" && external == "root"
}
