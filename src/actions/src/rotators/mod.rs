//! Who changes credentials at their providers: one file or folder each, with its `SPEC`, listed in [`ALL`].
//! It must never change anything but for an [`Order`], nor repeat by itself what may have happened.
//!
//! A rotator knows one provider's calls and nothing of the order in which they are made: when to mint, to disable, to wait is the
//! engine's (`provost_engine::rotate`). It keeps no state between calls.

mod aws_access_key;
mod aws_attached_policy;
mod aws_secret_rotation;
mod github_deploy_key;
mod github_token_grant;
mod marks;
mod postgresql_login;
mod ssh_authorized_key;
mod vault_approle_secret_id;
mod vault_pki_certificate;
mod vault_static_role;
mod vault_transit_key;

use std::fmt;

use async_trait::async_trait;
use provost_model::{Kind, Order, Phase, Remedy, Slot, Target};

use crate::{ActionError, Bundle, given::Handed, sinks::Checked};

/// Every rotator there is, by name.
pub const ALL: &[&RotatorSpec] = &[
    &aws_access_key::SPEC,
    &aws_attached_policy::SPEC,
    &aws_secret_rotation::SPEC,
    &github_deploy_key::SPEC,
    &github_token_grant::SPEC,
    &postgresql_login::SPEC,
    &ssh_authorized_key::SPEC,
    &vault_approle_secret_id::SPEC,
    &vault_pki_certificate::SPEC,
    &vault_static_role::SPEC,
    &vault_transit_key::SPEC,
];

/// How a rotator's credentials are replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A second one is made beside the old one, and the old one goes when nobody uses it any more.
    Overlap {
        /// How many there can be of one holder; none where there is no bound.
        capacity: Option<usize>,
    },
    /// The provider replaces it in its place: there is no value to carry, and nothing to take back.
    InPlace,
}

/// A rotator's description of itself.
pub struct RotatorSpec {
    /// The word in `kind = "…"`.
    pub name: &'static str,
    /// What its provider calls what it changes.
    pub title: &'static str,
    /// One sentence: what it changes, and how.
    pub about: &'static str,
    /// The kinds of records it can change.
    pub kinds: &'static [Kind],
    /// What it can do about them: of [`Remedy::Rotate`], [`Remedy::Disable`], [`Remedy::Delete`], [`Remedy::Restrict`],
    /// [`Remedy::Revoke`].
    pub remedies: &'static [Remedy],
    /// How they are replaced.
    pub way: Way,
    /// Whether [`Rotator::disable`] can be undone. Where it cannot, there is none, and the old one stays usable until it is removed.
    pub reversible: bool,
    /// Whether the old one is removed in the end. Where it is not, being disabled is its end.
    pub removes: bool,
    /// Names of the parts of a new value, in the order of the provider's documentation; none where none leaves the provider.
    pub parts: &'static [&'static str],
    /// Whether what it makes carries the saga's mark, so that a new one of unknown fate can be told from others.
    pub marks: bool,
    /// Whether something is made here first, by [`Rotator::prepare`], and a new one of unknown fate is told from others by that.
    pub prepares: bool,
    /// By how many seconds the provider's word on the last use is late; none where it has no word on that.
    pub lag: Option<u32>,
    /// Everything it sends that changes something.
    pub acts: &'static [&'static str],
    /// Everything else it sends.
    pub reads: &'static [&'static str],
    /// What its credential has to be allowed: not that of the source that looks.
    pub permissions: &'static [&'static str],
    /// How far it was tried out.
    pub checked: Checked,
    /// A `[[rotations]]` entry that works, with a comment on each setting.
    pub example: &'static str,
    /// The documentation it was built by.
    pub documentation: &'static [&'static str],
    /// Turns an entry's own settings into a rotator.
    pub build: &'static Build,
}

/// What turns settings into a rotator; an error says which setting is wrong, without its value.
pub type Build = dyn Fn(&Handed) -> Result<Box<dyn Rotator>, String> + Send + Sync;

/// A credential that was made.
#[derive(Clone, Debug)]
pub struct Minted {
    /// What the provider calls it, as [`Slot::id`] says it.
    pub id: String,
    /// Its value; empty where none leaves the provider.
    pub value: Bundle,
}

/// What is made here for one new credential, before that one is asked for.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// By what the new one will be known, as [`Slot::mark`] says it. It is written down, and no secret.
    pub mark: String,
    /// What it is asked for with, such as a private key. It is kept in memory only.
    pub value: Bundle,
}

/// Who changes one kind of credential at its provider.
///
/// Whatever happened is said by the error: [`ActionError::Retry`] and [`ActionError::GiveUp`] only where nothing happened,
/// [`ActionError::Ambiguous`] wherever it may have. Disabling, enabling and deleting what is so already is no error.
#[async_trait]
pub trait Rotator: Send + Sync {
    /// All credentials of the target's holder, the target among them while it is there, as a strongly consistent list has them.
    /// Only looks.
    async fn look(&self, target: &Target) -> Result<Vec<Slot>, ActionError>;

    /// Makes what one new credential is asked for with, and says by what that one will be known. It may look, and changes nothing
    /// outside. Asked only where [`RotatorSpec::prepares`] says so; each time it makes another one.
    async fn prepare(&self, _: &Target) -> Result<Prepared, ActionError> {
        Err(ActionError::GiveUp { said: "nothing is prepared for credentials of this kind".to_owned() })
    }

    /// Makes a new credential that can do what the target can. `mark` goes with it wherever the provider keeps a word of ours.
    /// `prepared` is what [`Rotator::prepare`] made for this one alone, and empty where nothing is prepared. Sent once.
    async fn mint(&self, order: &Order, target: &Target, mark: &str, prepared: &Bundle) -> Result<Minted, ActionError>;

    /// Uses a new one once, harmlessly, by the value as the destination has it. It tries for up to a minute where the
    /// provider is known to be late. [`ActionError::GiveUp`]: it does not work.
    async fn verify(&self, target: &Target, id: &str, value: &Bundle) -> Result<(), ActionError>;

    /// Makes one unusable, reversibly. Where it cannot be undone: [`ActionError::GiveUp`].
    async fn disable(&self, order: &Order, target: &Target, id: &str) -> Result<(), ActionError>;

    /// Makes one usable again.
    async fn enable(&self, order: &Order, target: &Target, id: &str) -> Result<(), ActionError>;

    /// Removes one for good.
    async fn delete(&self, order: &Order, target: &Target, id: &str) -> Result<(), ActionError>;

    /// Whether the credential by which it acts is there and works, without changing anything; what was found, in a sentence.
    async fn check(&self) -> Result<String, ActionError>;

    /// What the provider calls the credentials by which it acts itself, as far as it knows: they are never its target.
    fn own(&self) -> Vec<String> {
        Vec::new()
    }
}

impl RotatorSpec {
    /// The steps of that change; none where it cannot make it.
    pub fn phases(&self, remedy: Remedy, emergency: bool) -> Option<Vec<Phase>> {
        if !self.remedies.contains(&remedy) {
            return None;
        }
        let carries = !self.parts.is_empty();
        let wanted = |phase: &Phase| match (remedy, phase) {
            (_, Phase::Plan | Phase::Prove) => true,
            (Remedy::Rotate, Phase::Mint | Phase::Verify) => true,
            (Remedy::Rotate, Phase::Store | Phase::Propagate) => carries,
            (Remedy::Rotate, _) if self.way == Way::InPlace && !self.reversible && !self.removes => false,
            (Remedy::Rotate, Phase::Observe) => !emergency,
            (Remedy::Rotate | Remedy::Delete, Phase::Disable) => self.reversible,
            (Remedy::Rotate | Remedy::Delete, Phase::Watch) => self.reversible && self.removes,
            (Remedy::Rotate | Remedy::Delete, Phase::Delete) => self.removes,
            (Remedy::Disable | Remedy::Restrict, Phase::Disable) => true,
            (Remedy::Revoke, Phase::Delete) => true,
            _ => false,
        };
        Some(Phase::ALL.into_iter().filter(wanted).collect())
    }
}

impl fmt::Debug for RotatorSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RotatorSpec").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The rotator of that kind.
pub fn find(name: &str) -> Option<&'static RotatorSpec> {
    ALL.iter().copied().find(|spec| spec.name == name)
}
