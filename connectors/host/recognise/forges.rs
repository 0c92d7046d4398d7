//! Logins of the GitHub and GitLab command lines.
//! It must never ask the key ring where they may keep them instead.

use provost_model::Kind;

use super::Recogniser;
use crate::host::{
    found::{Finds, Item},
    place::Place,
    tree::{Malformed, Node},
};

pub(super) const GH: Recogniser = Recogniser {
    name: "gh_hosts",
    title: "GitHub command line logins",
    keeps_secrets: true,
    takes: |place| place.ends("gh/hosts.yml") || place.ends(".config/hub"),
    read: gh,
};

pub(super) const GLAB: Recogniser = Recogniser {
    name: "glab_config",
    title: "GitLab command line logins",
    keeps_secrets: true,
    takes: |place| place.ends("glab-cli/config.yml"),
    read: glab,
};

fn gh(_: &Place, bytes: &[u8], finds: &mut Finds<'_>) -> Result<(), Malformed> {
    for document in Node::yaml(bytes)? {
        for (host, entry) in document.entries() {
            // hub writes a list of accounts, gh a map of users beside the active one's token.
            for account in entry.items().iter().chain(std::iter::once(entry)) {
                if let Some(value) = account.get("oauth_token").text() {
                    let user = account.get("user").text().unwrap_or_default();
                    finds.slot(
                        Item::new(Kind::Token, "github_token", format!("{host}/oauth_token"), value)
                            .service(host)
                            .username(user),
                    );
                }
            }
            for (user, account) in entry.get("users").entries() {
                if let Some(value) = account.get("oauth_token").text() {
                    let position = format!("{host}/users/{user}/oauth_token");
                    finds.slot(Item::new(Kind::Token, "github_token", position, value).service(host).username(user));
                }
            }
        }
    }
    Ok(())
}

fn glab(_: &Place, bytes: &[u8], finds: &mut Finds<'_>) -> Result<(), Malformed> {
    for document in Node::yaml(bytes)? {
        for (host, entry) in document.get("hosts").entries() {
            for (name, sort) in [
                ("token", "gitlab_token"),
                ("job_token", "gitlab_job_token"),
                ("oauth2_refresh_token", "gitlab_refresh_token"),
            ] {
                if let Some(value) = entry.get(name).text() {
                    let user = entry.get("user").text().unwrap_or_default();
                    finds.slot(
                        Item::new(Kind::Token, sort, format!("hosts/{host}/{name}"), value)
                            .service(host)
                            .username(user),
                    );
                }
            }
        }
    }
    Ok(())
}
