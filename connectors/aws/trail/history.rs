//! The event history of an account, which keeps what was changed and read for 90 days.
//! It must never ask oftener than the two times a second that an account has in a region.

use provost_client::Failure;
use provost_model::{Time, Why};
use serde::Deserialize;
use serde_json::json;

use super::event::Event;
use crate::aws::{call::Rpc, look::Looking, session::stopped, signed::failed};

pub(super) const LOOKUP: Rpc = Rpc {
    operation: "cloudtrail:LookupEvents",
    host: "cloudtrail",
    service: "cloudtrail",
    target: "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents",
};
/// Most elements of a page.
const PAGE: u32 = 50;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    events: Vec<Told>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Told {
    cloud_trail_event: Option<String>,
}

/// Events of one name.
#[derive(Default)]
pub(super) struct Found {
    /// The newest first. What makes no sense is left out: the history is a help, not an inventory.
    pub(super) events: Vec<Event>,
    /// Whether these are all.
    pub(super) whole: bool,
}

/// The events of that name in a region, on at most so many pages.
pub(super) async fn events(
    looking: &Looking<'_>,
    (region, name): (&str, &str),
    (from, until): (Time, Time),
    pages: usize,
) -> Result<Found, Failure> {
    let session = looking.session;
    let (mut found, mut token) = (Found::default(), None);
    for _ in 0..pages {
        if session.is_stopping() {
            return Err(stopped(LOOKUP.operation));
        }
        session.wait(looking.lookup_every).await;
        let attribute = json!([{"AttributeKey": "EventName", "AttributeValue": name}]);
        let mut body = json!({"LookupAttributes": attribute, "MaxResults": PAGE,
            "StartTime": from.as_seconds(), "EndTime": until.as_seconds() + 1});
        if let (Some(token), Some(body)) = (&token, body.as_object_mut()) {
            body.insert("NextToken".to_owned(), json!(token));
        }
        let page: Page = session.rpc(&LOOKUP, region, &body).await?;
        let texts = page.events.into_iter().filter_map(|it| it.cloud_trail_event);
        found.events.extend(texts.filter_map(|text| serde_json::from_str(&text).ok()));
        match page.next_token {
            None => {
                found.whole = true;
                return Ok(found);
            }
            next if next == token => {
                return Err(Failure { why: Why::Malformed, ..failed(LOOKUP.operation, "the history does not end") });
            }
            next => token = next,
        }
    }
    Ok(found)
}
