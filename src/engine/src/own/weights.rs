//! How much each sort of evidence says, and how that fades with its age.
//! It must never let older evidence weigh more than the same evidence fresh.

use std::collections::BTreeMap;

use provost_model::{Signal, Span, Time};
use serde::{Deserialize, Serialize};

use crate::thresholds::digest_of;

/// What owning goes by, as configured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Owning {
    /// Names of tags or labels, in any case; the first that names somebody is believed most.
    pub tags: Vec<String>,
    /// The same for single sources, by their names.
    pub tags_of: BTreeMap<String, Vec<String>>,
    /// How much each sort of evidence says.
    pub weights: Weights,
    /// After how many days evidence that ages says half as much.
    pub half_lives: HalfLives,
}

/// How much each sort of evidence says when it is fresh, 0 to 1. A human confirmation has no weight: it decides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs, reason = "each is the weight of the signal of that name")]
pub struct Weights {
    pub account: f64,
    pub tag: f64,
    pub catalogue: f64,
    pub app_owner: f64,
    pub team_tag: f64,
    pub author: f64,
    pub contact_tag: f64,
    pub creator: f64,
    pub file_owner: f64,
    pub repo_admin: f64,
    pub last_user: f64,
    pub system_file: f64,
    pub naming: f64,
}

/// Days after which evidence says half as much. What is not listed is a state, and does not age.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs, reason = "each is the half-life of the signal of that name")]
pub struct HalfLives {
    pub author: u32,
    pub creator: u32,
    pub last_user: u32,
}

/// What a confirmation says once the confirmed owner has left: as much as a tag that names whom to ask.
const LAPSED: f64 = 0.7;
/// Evidence loses what it says in steps, so many to a half-life: between two steps nothing changes by time alone.
const STEPS: i64 = 4;
/// After so many steps nothing is left.
const STEPS_MAX: i64 = 10 * STEPS;

impl Default for Owning {
    fn default() -> Self {
        Self {
            tags: ["owner", "team", "contact"].map(str::to_owned).into(),
            tags_of: BTreeMap::new(),
            weights: Weights::default(),
            half_lives: HalfLives::default(),
        }
    }
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            account: 0.95,
            tag: 0.9,
            catalogue: 0.85,
            app_owner: 0.8,
            team_tag: 0.8,
            author: 0.75,
            contact_tag: 0.7,
            creator: 0.65,
            file_owner: 0.6,
            repo_admin: 0.45,
            last_user: 0.4,
            system_file: 0.3,
            naming: 0.3,
        }
    }
}

impl Default for HalfLives {
    fn default() -> Self {
        Self { author: 730, creator: 1095, last_user: 90 }
    }
}

impl Owning {
    /// The same, if its figures make sense.
    pub fn checked(self) -> Result<Self, String> {
        let lives = &self.half_lives;
        for signal in ALL_WEIGHTED {
            if !(0.0..=1.0).contains(&self.weights.of(signal)) {
                return Err(format!("weights.{signal} is between 0 and 1"));
            }
        }
        if [lives.author, lives.creator, lives.last_user].contains(&0) {
            return Err("a half-life is at least one day".to_owned());
        }
        Ok(self)
    }

    /// Digest of all of it, for whoever must notice that it changed.
    pub fn digest(&self) -> String {
        digest_of(self)
    }

    /// What is left of a weight at that age, and when it will be less. Evidence that ages and says not when it was so is
    /// taken to be one half-life old, and to stay so.
    pub(super) fn left_of(&self, signal: Signal, weight: f64, as_of: Option<Time>, now: Time) -> (f64, Option<Time>) {
        let Some(half_life) = self.half_lives.of(signal) else { return (weight, None) };
        let Some(as_of) = as_of else { return (weight / 2.0, None) };
        let step = Span::micros((half_life.as_micros() / STEPS).max(1));
        let steps = ((now - as_of).as_micros() / step.as_micros()).max(0);
        if steps >= STEPS_MAX {
            return (0.0, None);
        }
        let next = as_of + Span::micros(step.as_micros().saturating_mul(steps + 1));
        let left = i32::try_from(steps).map_or(0.0, |steps| 0.5_f64.powf(f64::from(steps) / 4.0));
        (weight * left, Some(next))
    }
}

/// Every signal that has a weight of its own.
pub(super) const ALL_WEIGHTED: [Signal; 13] = [
    Signal::Account,
    Signal::Tag,
    Signal::Catalogue,
    Signal::AppOwner,
    Signal::TeamTag,
    Signal::Author,
    Signal::ContactTag,
    Signal::Creator,
    Signal::FileOwner,
    Signal::RepoAdmin,
    Signal::LastUser,
    Signal::SystemFile,
    Signal::Naming,
];

impl Weights {
    /// The weight of a signal. That of a confirmation is what it says when its owner has left.
    pub(super) fn of(&self, signal: Signal) -> f64 {
        match signal {
            Signal::Confirmation => LAPSED,
            Signal::Account => self.account,
            Signal::Tag => self.tag,
            Signal::Catalogue => self.catalogue,
            Signal::AppOwner => self.app_owner,
            Signal::TeamTag => self.team_tag,
            Signal::Author => self.author,
            Signal::ContactTag => self.contact_tag,
            Signal::Creator => self.creator,
            Signal::FileOwner => self.file_owner,
            Signal::RepoAdmin => self.repo_admin,
            Signal::LastUser => self.last_user,
            Signal::SystemFile => self.system_file,
            Signal::Naming => self.naming,
        }
    }
}

impl HalfLives {
    pub(super) fn of(&self, signal: Signal) -> Option<Span> {
        let days = match signal {
            Signal::Author => self.author,
            Signal::Creator => self.creator,
            Signal::LastUser => self.last_user,
            _ => return None,
        };
        Some(Span::days(i64::from(days)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_usual_weights_are_in_the_order_of_signals() {
        let weights = Weights::default();
        let all: Vec<f64> = ALL_WEIGHTED.iter().map(|signal| weights.of(*signal)).collect();
        assert!(all.windows(2).all(|pair| pair[0] >= pair[1]), "{all:?}");
        assert!(ALL_WEIGHTED.is_sorted());
    }

    #[test]
    fn a_tag_does_not_age_and_a_last_use_does() {
        let (owning, now) = (Owning::default(), Time::from_seconds(1_000_000_000));
        let ago = |days| Some(now - Span::days(days));
        assert_eq!(owning.left_of(Signal::Tag, 0.9, ago(4000), now), (0.9, None));
        let left = |days| owning.left_of(Signal::LastUser, 0.4, ago(days), now).0;
        assert_eq!((left(0), left(22), left(90), left(180), left(900)), (0.4, 0.4, 0.2, 0.1, 0.0));
        assert_eq!(owning.left_of(Signal::LastUser, 0.4, None, now), (0.2, None));
        assert_eq!(left(-5), 0.4, "what is to come is not more than fresh");
    }

    #[test]
    fn nonsense_is_refused() {
        let with = |weights: Weights| Owning { weights, ..Owning::default() }.checked();
        assert!(with(Weights { tag: 1.2, ..Weights::default() }).unwrap_err().contains("weights.tag"));
        assert!(with(Weights { naming: f64::NAN, ..Weights::default() }).is_err());
        let lives = HalfLives { creator: 0, ..HalfLives::default() };
        assert!(Owning { half_lives: lives, ..Owning::default() }.checked().is_err());
        assert!(toml::from_str::<Weights>("tags = 0.3").is_err());
    }

    proptest! {
        #[test]
        fn decay_is_monotone_and_changes_only_when_said(
            signal in prop::sample::select(ALL_WEIGHTED.to_vec()),
            age in -1_000_i64..40_000_000, // minutes
            later in 0_i64..4_000_000,
        ) {
            let owning = Owning::default();
            let as_of = Time::from_seconds(1_700_000_000);
            let now = as_of + Span::seconds(age * 60);
            let then = now + Span::seconds(later * 60);
            let (fresh, next) = owning.left_of(signal, 0.8, Some(as_of), now);
            let (old, _) = owning.left_of(signal, 0.8, Some(as_of), then);
            prop_assert!(old <= fresh, "{} > {}", old, fresh);
            if next.is_none_or(|next| then < next) {
                prop_assert_eq!(old, fresh, "it changed before its time");
            }
        }
    }
}
