//! The GraphQL documents: each in a file of its own, with what two of them ask alike in a third.
//! It must never hold a document that is not a query.

pub(super) const REPOSITORIES: &str = concat!(include_str!("repositories.graphql"), include_str!("held.graphql"));
pub(super) const REPOSITORY: &str = concat!(include_str!("repository.graphql"), include_str!("held.graphql"));
pub(super) const OWNERS: &str = include_str!("owners.graphql");
pub(super) const MEMBERS: &str = include_str!("members.graphql");
pub(super) const ORGANIZATIONS: &str = include_str!("organizations.graphql");

/// Every document with the name under which troubles speak of it.
pub const ALL: [(&str, &str); 5] = [
    ("graphql:repositories", REPOSITORIES),
    ("graphql:repository", REPOSITORY),
    ("graphql:owners", OWNERS),
    ("graphql:members", MEMBERS),
    ("graphql:organizations", ORGANIZATIONS),
];

/// The name under which troubles speak of a document.
pub(super) fn name_of(document: &str) -> &'static str {
    ALL.iter().find(|(_, text)| *text == document).map_or("graphql", |(name, _)| name)
}
