//! Where new values are put: one file or folder each, with its `SPEC`, listed in [`ALL`].
//! It must never keep a value, nor overwrite what somebody else put there meanwhile where the destination can tell.

mod aws_secrets_manager;
mod aws_ssm_parameter;
mod file;
mod github_actions_secret;
mod vault_kv;

use std::fmt;

use async_trait::async_trait;
use provost_model::Order;

use crate::{ActionError, Bundle, given::Handed, sinks::Checked};

/// Every destination there is, by name.
pub const ALL: &[&DestinationSpec] =
    &[&aws_secrets_manager::SPEC, &aws_ssm_parameter::SPEC, &file::SPEC, &github_actions_secret::SPEC, &vault_kv::SPEC];

/// A destination's description of itself.
pub struct DestinationSpec {
    /// The word in `kind = "…"`.
    pub name: &'static str,
    /// Its maker's name for it.
    pub title: &'static str,
    /// One sentence: where values go, and how consumers come by them.
    pub about: &'static str,
    /// Whether values can be read back. One that cannot is only used beside one that can.
    pub readable: bool,
    /// Everything it sends that changes something.
    pub acts: &'static [&'static str],
    /// Everything else it sends.
    pub reads: &'static [&'static str],
    /// What its credential has to be allowed.
    pub permissions: &'static [&'static str],
    /// How far it was tried out.
    pub checked: Checked,
    /// A `[[rotations.places]]` entry that works, with a comment on each setting.
    pub example: &'static str,
    /// The documentation it was built by.
    pub documentation: &'static [&'static str],
    /// Turns an entry's own settings into a destination.
    pub build: &'static Build,
}

/// What turns settings into a destination; an error says which setting is wrong, without its value.
pub type Build = dyn Fn(&Handed) -> Result<Box<dyn Destination>, String> + Send + Sync;

/// What a destination has now.
#[derive(Clone, Debug, Default)]
pub struct Holding {
    /// What it calls the present version; none if nothing is there.
    pub version: Option<String>,
    /// The value's parts under the names that the rotator gives them; none where it cannot be read, or parts are missing.
    pub value: Option<Bundle>,
}

/// Where a new value is put. One entry is one place: one secret, one file, one variable.
///
/// Errors are those of a rotator: [`ActionError::Ambiguous`] wherever something may have happened.
#[async_trait]
pub trait Destination: Send + Sync {
    /// What is there now. Only looks.
    async fn look(&self) -> Result<Holding, ActionError>;

    /// Puts a value there, and gives the version it became. `before` is the version that was there when the saga looked first: where
    /// the destination can tell, one that has another by now refuses ([`ActionError::GiveUp`]). What else is there, such as
    /// other fields of the same secret, stays as it is.
    async fn put(&self, order: &Order, value: &Bundle, before: Option<&str>) -> Result<String, ActionError>;

    /// Puts back what that version had; without one, takes away what was put. `ours` is the version that was put: where there is
    /// another by now, somebody else put it, and nothing is changed ([`ActionError::GiveUp`]).
    async fn restore(&self, order: &Order, before: Option<&str>, ours: &str) -> Result<(), ActionError>;

    /// Has consumers read it: a hook, a signal; nothing where they come by themselves. May be done twice.
    async fn reload(&self, _order: &Order) -> Result<(), ActionError> {
        Ok(())
    }

    /// The saga is over: whatever was kept for a roll-back is not needed any more. May be done twice.
    async fn settle(&self, _order: &Order) -> Result<(), ActionError> {
        Ok(())
    }

    /// Whether it could be written, without writing; what was found, in a sentence.
    async fn check(&self) -> Result<String, ActionError>;
}

impl fmt::Debug for DestinationSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DestinationSpec").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The destination of that kind.
pub fn find(name: &str) -> Option<&'static DestinationSpec> {
    ALL.iter().copied().find(|spec| spec.name == name)
}
