//! Human or machine: inferred from what the account shows, with reasons.
//! It must never decide against strong evidence of the other side.

use provost_model::{Reading, Time};

use super::policy::Trust;

/// What is known of a user. Lists may be empty, readings unknown: unknown is no evidence.
#[derive(Clone, Debug, Default)]
pub struct UserTraits<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its path.
    pub path: &'a str,
    /// Whether it has a console password.
    pub password: Reading<bool>,
    /// When that was last used.
    pub password_last_used: Reading<Time>,
    /// Whether a second factor is enabled.
    pub mfa: Reading<bool>,
    /// Number of active access keys.
    pub active_keys: usize,
    /// Whether any key was ever used.
    pub keys_used: bool,
    /// Its tags.
    pub tags: &'a [(String, String)],
}

/// The words of the `nature` attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "pinned words of the interface")]
pub enum Nature {
    Human,
    Machine,
    Unclear,
}

impl Nature {
    /// The pinned word.
    pub fn word(self) -> &'static str {
        match self {
            Nature::Human => "human",
            Nature::Machine => "machine",
            Nature::Unclear => "unclear",
        }
    }
}

/// Whether a user is a person or a machine, and what that rests on.
pub fn of_user(user: &UserTraits<'_>) -> (Nature, String) {
    let _ = user;
    (Nature::Unclear, String::new())
}

/// Whether people or machines act as a role, and what that rests on. `trust` is `None` if its policy could not be read.
pub fn of_role(name: &str, path: &str, trust: Option<&Trust>, tags: &[(String, String)]) -> (Nature, String) {
    let _ = (name, path, trust, tags);
    (Nature::Unclear, String::new())
}
