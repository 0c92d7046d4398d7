//! Administrator rights from documents: a summary per document, composed per identity.
//! It must never find more rights because a Deny was added.

use std::borrow::Cow;

use super::Document;

/// What one document contributes to the answer. Made once per document, cheap to compose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {}

/// A policy as it bears upon an identity.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    /// The policy's name.
    pub policy: &'a str,
    /// Whether it is written into the identity or group, not attached.
    pub inline: bool,
    /// The group through which it comes; `None` if directly.
    pub group: Option<&'a str>,
    /// Its summary; `None` if the document could not be read.
    pub summary: Option<&'a Summary>,
}

/// Whether an identity holds administrator rights, as far as its documents tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it does.
    pub admin: bool,
    /// Which statement gives or takes them.
    pub because: String,
    /// What could change the answer and was not evaluated.
    pub not_evaluated: Vec<Cow<'static, str>>,
}

impl Summary {
    /// Summarises a document.
    pub fn of(_document: &Document) -> Self {
        Self {}
    }
}

/// Whether these policies, under that permissions boundary, make an administrator.
pub fn admin(policies: &[Named<'_>], boundary: Option<Named<'_>>) -> Verdict {
    let _ = (policies, boundary);
    Verdict { admin: false, because: String::new(), not_evaluated: Vec::new() }
}
