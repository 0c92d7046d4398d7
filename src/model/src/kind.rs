//! The closed list of kinds and the noun each belongs to; part of the pinned interface.
//! It must never grow without a dated decision in ARCHITECTURE.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// What sort of thing a record is. The names are pinned: files, filters and other programs rely on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names are the field's own and say all there is")]
pub enum Kind {
    User,
    ServiceAccount,
    Role,
    Group,
    ServicePrincipal,
    Application,
    AiAgent,
    Workload,
    Person,
    Team,
    AccessKey,
    Password,
    SshKey,
    Certificate,
    Token,
    ClientSecret,
    OauthGrant,
    ServiceSpecificCredential,
    Secret,
    Grant,
    IdentityProvider,
    Policy,
}

/// The nouns of the inventory. A kind belongs to exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Noun {
    /// Somebody or something that can act.
    Identity,
    /// What an identity proves itself with.
    Credential,
    /// An item in a place where secrets are kept.
    Secret,
    /// A program or service that is granted access.
    Application,
    /// A right given to somebody, or a rule that gives it.
    Grant,
    /// A human being or a group of them who can answer for things.
    Person,
}

/// A word that is not the name of a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownKind(pub String);

impl Kind {
    /// Every kind, in the order of the pinned list.
    pub const ALL: [Kind; 22] = [
        Kind::User,
        Kind::ServiceAccount,
        Kind::Role,
        Kind::Group,
        Kind::ServicePrincipal,
        Kind::Application,
        Kind::AiAgent,
        Kind::Workload,
        Kind::Person,
        Kind::Team,
        Kind::AccessKey,
        Kind::Password,
        Kind::SshKey,
        Kind::Certificate,
        Kind::Token,
        Kind::ClientSecret,
        Kind::OauthGrant,
        Kind::ServiceSpecificCredential,
        Kind::Secret,
        Kind::Grant,
        Kind::IdentityProvider,
        Kind::Policy,
    ];

    /// The pinned name, such as `access_key`.
    pub fn name(self) -> &'static str {
        match self {
            Kind::User => "user",
            Kind::ServiceAccount => "service_account",
            Kind::Role => "role",
            Kind::Group => "group",
            Kind::ServicePrincipal => "service_principal",
            Kind::Application => "application",
            Kind::AiAgent => "ai_agent",
            Kind::Workload => "workload",
            Kind::Person => "person",
            Kind::Team => "team",
            Kind::AccessKey => "access_key",
            Kind::Password => "password",
            Kind::SshKey => "ssh_key",
            Kind::Certificate => "certificate",
            Kind::Token => "token",
            Kind::ClientSecret => "client_secret",
            Kind::OauthGrant => "oauth_grant",
            Kind::ServiceSpecificCredential => "service_specific_credential",
            Kind::Secret => "secret",
            Kind::Grant => "grant",
            Kind::IdentityProvider => "identity_provider",
            Kind::Policy => "policy",
        }
    }

    /// The noun this kind belongs to.
    pub fn noun(self) -> Noun {
        match self {
            Kind::User
            | Kind::ServiceAccount
            | Kind::Role
            | Kind::Group
            | Kind::ServicePrincipal
            | Kind::AiAgent
            | Kind::Workload => Noun::Identity,
            Kind::AccessKey
            | Kind::Password
            | Kind::SshKey
            | Kind::Certificate
            | Kind::Token
            | Kind::ClientSecret
            | Kind::ServiceSpecificCredential => Noun::Credential,
            Kind::Secret => Noun::Secret,
            Kind::Application => Noun::Application,
            Kind::OauthGrant | Kind::Grant | Kind::IdentityProvider | Kind::Policy => Noun::Grant,
            Kind::Person | Kind::Team => Noun::Person,
        }
    }

    /// The stable number used on disk; never reused.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The kind with that number on disk.
    pub fn from_code(code: u8) -> Option<Kind> {
        Self::ALL.get(usize::from(code)).copied()
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Kind {
    type Err = UnknownKind;
    fn from_str(word: &str) -> Result<Self, UnknownKind> {
        Self::ALL.into_iter().find(|kind| kind.name() == word).ok_or_else(|| UnknownKind(word.to_owned()))
    }
}

impl fmt::Display for UnknownKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not a kind", self.0)
    }
}

impl std::error::Error for UnknownKind {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_codes_lead_back() {
        for kind in Kind::ALL {
            assert_eq!(kind.name().parse::<Kind>().unwrap(), kind);
            assert_eq!(Kind::from_code(kind.code()), Some(kind));
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("{:?}", kind.name()));
        }
    }
}
