//! Whose eyes a run looks with: which identity of the account that is, and until when its credential lasts.
//! It must never say that a credential cannot write because nobody could tell.

use provost_model::{Reading, Time};

/// Which identity of the account a run looks as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// The root user: there is nothing it may not do.
    Root,
    /// The user with that ARN.
    User(String),
    /// Somebody in the role of that name.
    Role(String),
    /// Somebody whose rights the account's details do not tell, such as a federated user.
    Other,
}

/// What root could do.
pub(super) const EVERYTHING: &str = "every action (root user)";

impl Who {
    /// The identity behind an ARN as `GetCallerIdentity` gives it.
    pub(super) fn of(arn: &str) -> Self {
        let mut parts = arn.splitn(6, ':').skip(2);
        let (service, rest) = (parts.next().unwrap_or_default(), parts.nth(2).unwrap_or_default());
        match (service, rest.split_once('/')) {
            ("iam", None) if rest == "root" => Self::Root,
            ("iam", Some(("user", _))) => Self::User(arn.to_owned()),
            // arn:aws:sts::123456789012:assumed-role/NAME/SESSION: the role's path is left out.
            ("sts", Some(("assumed-role", named))) => {
                Self::Role(named.split('/').next().unwrap_or_default().to_owned())
            }
            _ => Self::Other,
        }
    }

    /// What is known before anything was listed.
    pub(super) fn at_once(&self) -> Reading<Vec<String>> {
        match self {
            Self::Root => Reading::Known(vec![EVERYTHING.to_owned()]),
            _ => Reading::NotCollected,
        }
    }

    pub(super) fn is_user(&self, arn: Option<&str>) -> bool {
        matches!(self, Self::User(own) if Some(own.as_str()) == arn)
    }

    pub(super) fn is_role(&self, name: &str) -> bool {
        matches!(self, Self::Role(own) if own == name)
    }
}

/// Until when a credential lasts. Only one that was handed over with a token ends without being renewed, and nobody says
/// when; a signed-in session and a program's credentials may need a human, nobody says when either.
pub(super) fn lasts(has_token: bool, needs_human: bool, handed_over: bool) -> Reading<Time> {
    if needs_human || (has_token && handed_over) { Reading::NotReported } else { Reading::Never }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_names_who_looks() {
        let table = [
            ("arn:aws:iam::123456789012:root", Who::Root),
            ("arn:aws:iam::123456789012:user/a/eyes", Who::User("arn:aws:iam::123456789012:user/a/eyes".into())),
            ("arn:aws-cn:sts::123456789012:assumed-role/Audit/me@x", Who::Role("Audit".into())),
            ("arn:aws:sts::123456789012:federated-user/eyes", Who::Other),
            ("arn:aws:iam::123456789012:user:root", Who::Other),
            ("", Who::Other),
        ];
        for (arn, who) in table {
            assert_eq!(Who::of(arn), who, "{arn}");
        }
        assert!(Who::of("arn:aws:sts::1:assumed-role/Audit/me").is_role("Audit"));
        assert!(!Who::of("arn:aws:iam::1:user/Audit").is_role("Audit"));
    }

    #[test]
    fn only_what_renews_itself_never_ends() {
        assert_eq!(lasts(false, false, true), Reading::Never, "long-lived keys");
        assert_eq!(lasts(true, false, true), Reading::NotReported, "a token in the environment");
        assert_eq!(lasts(true, false, false), Reading::Never, "an assumed role");
        assert_eq!(lasts(true, true, false), Reading::NotReported, "a signed-in session");
    }
}
