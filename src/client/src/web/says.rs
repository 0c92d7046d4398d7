//! Calls that are told apart by what they say and not by where they go: a field of the form, or a header.
//! It must never send such a call without the words it was declared with, nor with others beside them.

use std::borrow::Cow;

use super::ask::{Ask, Body, Place};
use crate::Refused;

/// What a declared call says that it does, as AWS's protocols have it: `Action=CreateAccessKey` in the form,
/// `X-Amz-Target: secretsmanager.PutSecretValue` above a body of JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Says {
    name: String,
    value: String,
}

impl Says {
    /// Reads `Action=CreateAccessKey` or `X-Amz-Target=secretsmanager.PutSecretValue`: a name with a hyphen is a header's.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let (name, value) = text.split_once('=').ok_or("what it says is a name, = and a value")?;
        let plain = |text: &str, also: &str| {
            !text.is_empty() && text.chars().all(|it| it.is_ascii_alphanumeric() || also.contains(it))
        };
        if !plain(name, "-") || !plain(value, "._") {
            return Err("what it says has signs that a name or a value of it may not have");
        }
        Ok(Self { name: name.to_owned(), value: value.to_owned() })
    }

    fn is_header(&self) -> bool {
        self.name.contains('-')
    }

    /// The question with these words in it. Whatever could say something else is refused: a query, headers, an address
    /// from elsewhere, the same field once more, a body of another kind.
    pub(super) fn said<'a>(&self, ask: &'a Ask) -> Result<Cow<'a, Ask>, Refused> {
        let unfit = |said: &str| Err(Refused::Unfit(said.to_owned()));
        if !ask.query.is_empty() || !ask.headers.is_empty() || matches!(ask.place, Place::Link(_)) {
            return unfit("a call that says what it does has nothing but a body");
        }
        let mut ask = ask.clone();
        match (&mut ask.body, self.is_header()) {
            (Some(Body::Form(fields)), false) => {
                if fields.iter().any(|(name, _)| name.eq_ignore_ascii_case(&self.name)) {
                    return unfit("what it does is said by its declaration and not by its form");
                }
                fields.insert(0, (self.name.clone(), self.value.clone()));
            }
            (Some(Body::Json(_)), true) => ask.headers.push((self.name.clone(), self.value.clone())),
            (Some(Body::Raw { kind, .. }), true) if kind.contains("json") => {
                ask.headers.push((self.name.clone(), self.value.clone()));
            }
            (_, false) => return unfit("what it does is said in a form"),
            (_, true) => return unfit("what it does is said above a body of JSON"),
        }
        Ok(Cow::Owned(ask))
    }
}
