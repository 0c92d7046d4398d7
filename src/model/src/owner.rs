//! Who answers for a thing, how sure that is, and what it rests on.
//! It must never be confused with a provider's directory owner, who may only be somebody able to add credentials.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Time;

/// What sort of evidence names somebody, in the order of their usual weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// A human being confirmed it.
    Confirmation,
    /// The people file says that this account is the person's own.
    Account,
    /// A tag set for this purpose.
    Tag,
    /// An entry of the catalogue in the people file.
    Catalogue,
    /// The owner field of the application, as its provider holds it.
    AppOwner,
    /// A tag that names a team.
    TeamTag,
    /// Who owns or wrote the code that defines it.
    Author,
    /// A tag that names somebody to ask, who may only forward.
    ContactTag,
    /// Who made it, as an audit log or a tag says.
    Creator,
    /// The ordinary user whose file keeps it.
    FileOwner,
    /// Who administers the repository it belongs to.
    RepoAdmin,
    /// The last human being who used it.
    LastUser,
    /// The system account whose file keeps it: somebody installed it, nobody is named.
    SystemFile,
    /// Its name contains that of a person or team.
    Naming,
}

/// One reason to think that somebody answers for a thing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OwnerEvidence {
    /// What sort of evidence it is.
    pub signal: Signal,
    /// Where it was found, such as `tag owner` or `created_by of its identity`.
    pub source: String,
    /// Whom it names, as found there.
    pub names: String,
    /// As of when it was so; `None` where the evidence is a state that does not age.
    pub as_of: Option<Time>,
    /// How much such evidence says when it is fresh, 0 to 1.
    pub weight: f64,
    /// How much is left of that, 0 to 1.
    pub confidence: f64,
}

/// What is known of somebody whom evidence names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Party {
    /// Nobody of the people file or a directory is called so.
    #[default]
    Unknown,
    /// A person.
    Person,
    /// A team.
    Team,
}

/// Somebody else whom evidence names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OtherOwner {
    /// The person's or team's id, or the name as found.
    pub name: String,
    /// How sure it would be, 0 to 1.
    pub confidence: f64,
    /// Whether it contradicts the owner: of comparable confidence, and neither member nor team of the owner.
    pub conflicts: bool,
    /// Since when the person has left.
    pub left: Option<Time>,
    /// What it rests on, strongest first.
    pub evidence: Vec<OwnerEvidence>,
}

/// The accountable owner of a thing as far as known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Owner {
    /// The person's or team's id in the people file or a directory, or the name as found: an address, a login.
    pub name: String,
    /// What is known of whoever is called so.
    pub party: Party,
    /// How sure that is, 0 to 1.
    pub confidence: f64,
    /// What it rests on, strongest first.
    pub evidence: Vec<OwnerEvidence>,
    /// When a human being last confirmed it.
    pub confirmed: Option<Time>,
    /// Since when the owner has left the organisation.
    pub left: Option<Time>,
    /// When the owner last moved to another team or manager.
    pub moved: Option<Time>,
    /// Who else is named, the most likely first.
    pub others: Vec<OtherOwner>,
    /// When time alone may change any of this.
    pub until: Option<Time>,
}

impl Owner {
    /// An owner of that name and confidence of whom nothing else is known.
    pub fn named(name: impl Into<String>, confidence: f64) -> Self {
        Self { name: name.into(), confidence, ..Self::default() }
    }

    /// Others of comparable confidence.
    pub fn conflicts(&self) -> impl Iterator<Item = &OtherOwner> {
        self.others.iter().filter(|it| it.conflicts)
    }
}

/// What a human being said about the owner of one record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerWord {
    /// Who answers for it: the id of a person or team; `None` withdraws what was said before.
    pub owner: Option<String>,
    /// Who says so.
    pub by: String,
    /// When.
    pub at: Time,
    /// Why.
    pub reason: String,
}

impl Signal {
    /// The word used in interfaces and in configuration.
    pub fn word(self) -> &'static str {
        match self {
            Signal::Confirmation => "confirmation",
            Signal::Account => "account",
            Signal::Tag => "tag",
            Signal::Catalogue => "catalogue",
            Signal::AppOwner => "app_owner",
            Signal::TeamTag => "team_tag",
            Signal::Author => "author",
            Signal::ContactTag => "contact_tag",
            Signal::Creator => "creator",
            Signal::FileOwner => "file_owner",
            Signal::RepoAdmin => "repo_admin",
            Signal::LastUser => "last_user",
            Signal::SystemFile => "system_file",
            Signal::Naming => "naming",
        }
    }

    /// Whether it states who answers, and not only who had to do with it.
    pub fn declares(self) -> bool {
        use Signal::{Account, AppOwner, Catalogue, Confirmation, ContactTag, Tag, TeamTag};
        matches!(self, Confirmation | Account | Tag | Catalogue | AppOwner | TeamTag | ContactTag)
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}
