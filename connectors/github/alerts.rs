//! Alerts of secret scanning: which leaked credential GitHub found, where, and what became of it.
//! It must never ask for a leaked value, nor keep one that is sent all the same.

use std::collections::BTreeSet;

use provost_client::{Ask, Failure};
use provost_model::{Cover, Cursor, Entity, Key, Kind, Reading, Status, Why, field};
use serde::Deserialize;

use super::{
    listing::unreadable,
    org::{Org, rows_of, stopped},
    said::Said,
};
use crate::{Emitter, Stopped};

/// The read.
pub(super) const READ: &str = "GET /orgs/{org}/secret-scanning/alerts";
/// The scope's path below the organization.
const PATH: &str = "secret-scanning-alerts";
/// Alerts of a page: the most that GitHub gives.
const PAGE: usize = 100;
/// Most pages.
const PAGES_MAX: usize = 10_000;

#[derive(Deserialize)]
struct Alert {
    number: u64,
    state: String,
    #[serde(default)]
    resolution: Said<String>,
    #[serde(default)]
    created_at: Said<String>,
    #[serde(default)]
    updated_at: Said<String>,
    #[serde(default)]
    html_url: Said<String>,
    secret_type: String,
    #[serde(default)]
    secret_type_display_name: Said<String>,
    #[serde(default)]
    provider: Said<String>,
    #[serde(default)]
    validity: Said<String>,
    #[serde(default)]
    publicly_leaked: Said<bool>,
    #[serde(default)]
    first_location_detected: Said<Location>,
    repository: Repository,
}

#[derive(Deserialize)]
struct Repository {
    id: u64,
    full_name: String,
}

/// Where the value was first seen; alerts on issues and discussions have no path.
#[derive(Deserialize)]
struct Location {
    #[serde(default)]
    path: Said<String>,
    #[serde(default)]
    start_line: Said<u64>,
}

/// How far alerts were read: the tag of the first page, and the date of the alert that changed last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Position {
    tag: Option<String>,
    newest: String,
}

/// Looks at the alerts that changed, and gives the repositories they are in; `None` if nobody knows.
pub(super) async fn look(org: &Org<'_>, to: &mut Emitter) -> Result<Option<BTreeSet<u64>>, Stopped> {
    let scope = org.scope(PATH);
    let before = org.cursor(PATH).filter(|_| !org.is_due(PATH)).map(Position::read);
    let now = to.now();
    let (alerts, next) = match changed(org, before.as_ref()).await {
        Ok(Some(found)) => found,
        Ok(None) => {
            org.unchanged(PATH, to).await?;
            return Ok(Some(BTreeSet::new()));
        }
        Err(failure) => {
            org.failed(&scope, READ, &failure, to).await?;
            return Ok(None);
        }
    };
    let next = next.cursor();
    to.begin(&scope, None).await?;
    let mut repositories = BTreeSet::new();
    for alert in alerts {
        repositories.insert(alert.repository.id);
        to.see(&scope, None, now, entity(org, alert)).await?;
    }
    let cover = if before.is_some() { Cover::Delta { next } } else { Cover::Full { next: Some(next), atomic: false } };
    to.cover(&scope, None, now, cover).await?;
    Ok(Some(repositories))
}

/// The alerts that changed since that position; `None` if the provider says that none did.
async fn changed(org: &Org<'_>, before: Option<&Position>) -> Result<Option<(Vec<Alert>, Position)>, Failure> {
    let mut found = Vec::new();
    let mut next = Position { newest: before.map(|it| it.newest.clone()).unwrap_or_default(), tag: None };
    for number in 1..=PAGES_MAX {
        if org.is_stopping() {
            return Err(stopped(READ));
        }
        let tag = before.and_then(|it| it.tag.as_deref()).filter(|_| number == 1);
        let mut ask = Ask::get(READ, &[&org.login])
            .query("hide_secret", "true")
            .query("sort", "updated")
            .query("direction", "desc")
            .query("per_page", PAGE.to_string());
        if number > 1 {
            ask = ask.query("page", number.to_string());
        }
        let answer = org.web.ask(ask.if_none_match(tag)).await?;
        if answer.unchanged() {
            return Ok(None);
        }
        if number == 1 {
            next.tag = answer.etag().map(str::to_owned);
        }
        for (at, row) in rows_of(&answer, READ, "")?.into_iter().enumerate() {
            let alert: Alert = serde_json::from_value(row).map_err(|_| unreadable(READ, at))?;
            let changed = alert.updated_at.clone().is().or(alert.created_at.clone().is()).unwrap_or_default();
            if before.is_some_and(|it| changed < it.newest) {
                return Ok(Some((found, next)));
            }
            next.newest = next.newest.max(changed);
            found.push(alert);
        }
        if answer.next_link().is_none() {
            return Ok(Some((found, next)));
        }
    }
    Err(Failure::new(READ, Why::Malformed, "", "the listing does not end"))
}

fn entity(org: &Org<'_>, it: Alert) -> Entity {
    let external = format!("repos/{}/secret-scanning/{}", it.repository.id, it.number);
    let resolution = it.resolution.is();
    let became = if it.state == "open" { "open".to_owned() } else { resolution.unwrap_or(it.state) };
    let status = match (it.validity.clone().is().as_deref(), became.as_str()) {
        (Some("active"), _) => Status::Active,
        (Some("inactive"), _) | (_, "revoked") => Status::Inactive,
        _ => Status::Unknown,
    };
    let place = match it.first_location_detected.is() {
        Some(Location { path: Said::Is(path), start_line }) => {
            let line = start_line.is().map_or_else(String::new, |line| format!(":{line}"));
            format!("{}/{path}{line}", it.repository.full_name)
        }
        _ => it.repository.full_name,
    };
    let name = it.secret_type_display_name.is().unwrap_or_else(|| it.secret_type.clone());
    Entity::new(Key::new(org.realm.clone(), Kind::Secret, external), name)
        .with(field::CREDENTIAL_TYPE, it.secret_type)
        .with(field::STATUS, status)
        .with(field::LEAKED_AT, it.created_at.dated())
        .with(field::LEAK, became)
        .with(field::LEAK_VALIDITY, it.validity.reading())
        .with(field::PUBLICLY_LEAKED, it.publicly_leaked.reading())
        .with(field::SERVICE, it.provider.reading())
        .with(field::URL, it.html_url.reading())
        .with(field::LOCATION, place)
        .with(field::STORE_KIND, "repository".to_owned())
        .with(field::CREATED_AT, Reading::NotReported)
        .with(field::EXPIRES_AT, Reading::NotReported)
        .with(field::LAST_USED_AT, Reading::NotReported)
        .of(org.repository(it.repository.id))
}

impl Position {
    /// The date, a line's end, and the tag.
    fn cursor(&self) -> Cursor {
        Cursor(format!("{}\n{}", self.newest, self.tag.as_deref().unwrap_or_default()).into_bytes())
    }

    fn read(cursor: &Cursor) -> Self {
        let text = String::from_utf8_lossy(&cursor.0);
        let (newest, tag) = text.split_once('\n').unwrap_or((&text, ""));
        Self { newest: newest.to_owned(), tag: Some(tag.to_owned()).filter(|tag| !tag.is_empty()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_survives_its_cursor() {
        for tag in [None, Some("W/\"1\"".to_owned())] {
            let position = Position { newest: "2026-01-01T00:00:00Z".into(), tag };
            assert_eq!(Position::read(&position.cursor()), position);
        }
    }
}
