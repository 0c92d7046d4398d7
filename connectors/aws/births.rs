//! CloudTrail: who made users, roles and access keys, from the event history of the last 90 days.
//! It must never ask oftener than the two times a second that an account has, nor take a failed attempt for a birth.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use provost_client::Failure;
use provost_model::{Cover, Cursor, Entity, Key, Kind, Scope, Span, Time, field};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    call::{At, Rpc},
    lists::{self, paged},
    look::Looking,
    told::{self, ToldOf},
};
use crate::{Emitter, Stopped};

const LOOKUP: Rpc = Rpc {
    operation: "cloudtrail:LookupEvents",
    host: "cloudtrail",
    service: "cloudtrail",
    target: "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents",
};
const SCOPE: &str = "cloudtrail/births";
/// Most elements of a page.
const PAGE: u32 = 50;
/// How long events are kept.
const KEPT: Span = Span::days(90);
/// What is read between two checkpoints.
const WINDOW: Span = Span::days(10);
/// How late events may come: CloudTrail promises an average of five minutes.
const LATE: Span = Span::hours(1);
/// Births, with where the new id stands in the answer that the event repeats.
const BIRTHS: [(&str, Kind, &str); 3] = [
    ("CreateUser", Kind::User, "/responseElements/user/userId"),
    ("CreateRole", Kind::Role, "/responseElements/role/roleId"),
    ("CreateAccessKey", Kind::AccessKey, "/responseElements/accessKey/accessKeyId"),
];
/// The only death that no listing of the whole account tells of.
const DEATH: &str = "DeleteAccessKey";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    events: Vec<Event>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Event {
    event_time: At,
    cloud_trail_event: Option<String>,
}

/// A birth: when, who, and the name that was given.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Birth {
    at: Time,
    by: String,
    name: String,
}

/// Until when events were read, and of whom was told.
#[derive(Debug, PartialEq, Eq)]
struct Position {
    until: Time,
    told: ToldOf,
}

/// The region in which a partition keeps the events of IAM.
fn home(region: &str) -> &'static str {
    match region {
        _ if region.starts_with("cn-") => "cn-north-1",
        _ if region.starts_with("us-gov-") => "us-gov-west-1",
        _ => "us-east-1",
    }
}

/// Tells who made what, of whatever is alive: `alive` are the ids of all users and roles that there are.
pub(super) async fn look(looking: &Looking<'_>, alive: &HashSet<String>, to: &mut Emitter) -> Result<(), Stopped> {
    let scope = Scope::new(looking.realm.clone(), SCOPE);
    let now = to.now();
    let oldest = now - KEPT;
    let known = looking.cursor(SCOPE).and_then(Position::read);
    let mut position = known.unwrap_or_else(|| Position { until: oldest, told: ToldOf::new() });
    let gone = |(kind, id): &&(Kind, String)| *kind != Kind::AccessKey && !alive.contains(id);
    let gone: Vec<_> = position.told.iter().filter(gone).cloned().collect();
    let mut begun = false;
    let mut from = (position.until - LATE).max(oldest);
    while from < now {
        let until = (from + WINDOW).min(now);
        let read = window(looking, (from, until)).await;
        super::count(looking.session, to).await?;
        let (mut births, deaths) = match read {
            Ok(read) => read,
            // What was told stands, and the next run goes on from the last checkpoint.
            Err(failure) => return lists::failed(&scope, LOOKUP.operation, &failure, to).await,
        };
        to.begin(&scope, None).await?;
        if !std::mem::replace(&mut begun, true) {
            for of in &gone {
                tell_gone(looking, &scope, &mut position, of.clone(), to).await?;
            }
        }
        births.retain(|(kind, id), _| if *kind == Kind::AccessKey { !deaths.contains(id) } else { alive.contains(id) });
        for (id, birth) in births {
            let key = Key::new(looking.realm.clone(), id.0, id.1.as_str());
            let entity = Entity::new(key, birth.name).with(field::CREATED_BY, birth.by);
            position.told.insert(id);
            to.see(&scope, None, birth.at, entity).await?;
        }
        for id in deaths {
            let dead = (Kind::AccessKey, id);
            if position.told.contains(&dead) {
                tell_gone(looking, &scope, &mut position, dead, to).await?;
            }
        }
        (position.until, from) = (until, until);
        to.cover(&scope, None, until, Cover::Delta { next: position.cursor() }).await?;
    }
    Ok(())
}

async fn tell_gone(
    looking: &Looking<'_>,
    scope: &Scope,
    position: &mut Position,
    (kind, id): (Kind, String),
    to: &mut Emitter,
) -> Result<(), Stopped> {
    let now = to.now();
    to.gone(scope, None, now, Key::new(looking.realm.clone(), kind, id.as_str())).await?;
    position.told.remove(&(kind, id));
    Ok(())
}

/// Births and deaths of a window.
type Told = (BTreeMap<(Kind, String), Birth>, BTreeSet<String>);

async fn window(looking: &Looking<'_>, between: (Time, Time)) -> Result<Told, Failure> {
    let (mut births, mut deaths) = (BTreeMap::new(), BTreeSet::new());
    for (name, kind, place) in BIRTHS {
        for event in events(looking, name, between).await? {
            let told = event.cloud_trail_event.as_deref().and_then(|text| birth(text, place));
            if let Some((id, by, name)) = told {
                births.insert((kind, id), Birth { at: event.event_time.0, by, name });
            }
        }
    }
    for event in events(looking, DEATH, between).await? {
        deaths.extend(event.cloud_trail_event.as_deref().and_then(death));
    }
    Ok((births, deaths))
}

/// The events of that name, at the pace that CloudTrail bears.
async fn events(looking: &Looking<'_>, name: &str, (from, until): (Time, Time)) -> Result<Vec<Event>, Failure> {
    let session = looking.session;
    let region = home(session.region());
    paged(LOOKUP.operation, session, |token| async move {
        session.wait(looking.lookup_every).await;
        let attribute = json!([{"AttributeKey": "EventName", "AttributeValue": name}]);
        let mut body = json!({"LookupAttributes": attribute, "MaxResults": PAGE,
            "StartTime": from.as_seconds(), "EndTime": until.as_seconds() + 1});
        if let (Some(token), Some(body)) = (token, body.as_object_mut()) {
            body.insert("NextToken".to_owned(), json!(token));
        }
        let page: Page = session.rpc(&LOOKUP, region, &body).await?;
        Ok((page.events, page.next_token))
    })
    .await
}

/// Id, creator and name of what an event says was made; nothing if it failed or does not say.
fn birth(text: &str, place: &str) -> Option<(String, String, String)> {
    let event: Value = serde_json::from_str(text).ok()?;
    if event.get("errorCode").is_some() {
        return None;
    }
    let id = event.pointer(place)?.as_str()?.to_owned();
    let by = event.pointer("/userIdentity/arn").or_else(|| event.pointer("/userIdentity/invokedBy"))?;
    let named = ["/requestParameters/userName", "/requestParameters/roleName"];
    let is_key = place.ends_with("accessKeyId");
    let name = named.iter().find_map(|name| event.pointer(name)?.as_str()).filter(|_| !is_key);
    let name = name.unwrap_or(&id).to_owned();
    Some((id, by.as_str()?.to_owned(), name))
}

fn death(text: &str) -> Option<String> {
    let event: Value = serde_json::from_str(text).ok()?;
    let failed = event.get("errorCode").is_some();
    let id = event.pointer("/requestParameters/accessKeyId")?.as_str()?;
    (!failed).then(|| id.to_owned())
}

impl Position {
    fn read(cursor: &Cursor) -> Option<Self> {
        let (until, told) = told::read(cursor)?;
        Some(Self { until: Time::from_micros(until.parse().ok()?), told })
    }

    fn cursor(&self) -> Cursor {
        told::cursor(&self.until.as_micros().to_string(), &self.told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_birth_names_its_creator_and_a_failed_one_is_none() {
        let event = json!({
            "userIdentity": {"type": "AssumedRole", "arn": "arn:aws:sts::1:assumed-role/Admin/ann@corp.example"},
            "requestParameters": {"userName": "svc"},
            "responseElements": {"user": {"userId": "AIDA1"}, "accessKey": {"accessKeyId": "AKIA1"}},
        });
        let by = "arn:aws:sts::1:assumed-role/Admin/ann@corp.example".to_owned();
        let told = birth(&event.to_string(), BIRTHS[0].2);
        assert_eq!(told, Some(("AIDA1".to_owned(), by.clone(), "svc".to_owned())));
        assert_eq!(birth(&event.to_string(), BIRTHS[2].2), Some(("AKIA1".to_owned(), by, "AKIA1".to_owned())));
        let mut failed = event;
        failed["errorCode"] = json!("AccessDenied");
        assert_eq!(birth(&failed.to_string(), BIRTHS[0].2), None);
        assert_eq!(birth("nonsense", BIRTHS[0].2), None);
        let deleted = json!({"requestParameters": {"accessKeyId": "AKIA1"}}).to_string();
        assert_eq!(death(&deleted).as_deref(), Some("AKIA1"));
    }

    #[test]
    fn a_position_survives_its_cursor() {
        let told = [(Kind::AccessKey, "AKIA1".to_owned())].into();
        let position = Position { until: Time::from_seconds(7), told };
        assert_eq!(Position::read(&position.cursor()).unwrap(), position);
        assert!(Position::read(&Cursor(b"nonsense".to_vec())).is_none());
    }
}
