//! The users of one account as this run met them: what links report rows and listings to unique ids.
//! It must never link by name alone: a user re-created under an old name is another user.

use std::collections::HashMap;

use provost_model::Time;

use super::report::Row;

/// A user, as far as later steps need it.
#[derive(Clone, Debug, Default)]
pub(super) struct User {
    /// The unique id, `AIDA…`.
    pub(super) id: String,
    pub(super) name: String,
    pub(super) arn: String,
    pub(super) path: String,
    pub(super) created: Option<Time>,
    pub(super) tags: Vec<(String, String)>,
    /// Whether what the report says of it was told with it.
    pub(super) reported: bool,
}

/// Every user that was listed.
#[derive(Debug, Default)]
pub(super) struct Users {
    all: Vec<User>,
    by_name: HashMap<String, usize>,
    /// Whether the listing they come from was read to its end.
    pub(super) complete: bool,
}

/// The number of a user in [`Users`].
pub(super) type UserNo = usize;

impl Users {
    pub(super) fn add(&mut self, user: User) {
        self.by_name.insert(user.name.clone(), self.all.len());
        self.all.push(user);
    }

    pub(super) fn get(&self, number: UserNo) -> Option<&User> {
        self.all.get(number)
    }

    /// What the report says of that user was told.
    pub(super) fn note_reported(&mut self, number: UserNo) {
        if let Some(user) = self.all.get_mut(number) {
            user.reported = true;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn named(&self, name: &str) -> Option<(UserNo, &User)> {
        let number = *self.by_name.get(name)?;
        Some((number, self.all.get(number)?))
    }

    /// The user a report row speaks of: same name, same ARN, created at the same second.
    pub(super) fn of_row(&self, row: &Row<'_>) -> Option<(UserNo, &User)> {
        let (number, user) = self.named(row.user)?;
        let same_birth = match (row.created.known(), user.created) {
            (Some(reported), Some(listed)) => reported.as_seconds() == listed.as_seconds(),
            _ => false,
        };
        (user.arn == row.arn && same_birth).then_some((number, user))
    }
}
