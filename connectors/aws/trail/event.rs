//! What a record of CloudTrail says, as far as it matters here.
//! It must never keep a name that could not be one, nor more of a record than is told.

use std::collections::{BTreeMap, BTreeSet};

use provost_model::{Kind, Time};
use serde::Deserialize;
use serde_json::Value;

/// Births, with where the new id stands in the answer that the record repeats.
pub(super) const BIRTHS: [(&str, Kind, &str); 3] = [
    ("CreateUser", Kind::User, "/user/userId"),
    ("CreateRole", Kind::Role, "/role/roleId"),
    ("CreateAccessKey", Kind::AccessKey, "/accessKey/accessKeyId"),
];
/// The only death that no listing of the whole account tells of.
pub(super) const DEATH: &str = "DeleteAccessKey";
/// A secret was read. What reads several at once leaves such a record for each.
pub(super) const READ: &str = "GetSecretValue";
/// Longest name taken, in bytes.
const TEXT_MAX: usize = 2_048;

/// A record, of those parts that are wanted.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Event {
    event_time: Time,
    event_name: String,
    #[serde(default)]
    aws_region: String,
    #[serde(default)]
    read_only: Option<bool>,
    error_code: Option<String>,
    user_identity: Option<Value>,
    request_parameters: Option<Value>,
    response_elements: Option<Value>,
}

/// A birth: when, who, and the name that was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Birth {
    pub(super) at: Time,
    pub(super) by: String,
    pub(super) name: String,
}

/// What many records say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Events {
    pub(super) births: BTreeMap<(Kind, String), Birth>,
    /// Ids of access keys that were deleted.
    pub(super) deaths: BTreeSet<String>,
    /// By region, and by what the reader called the secret: who read it, and when last.
    pub(super) reads: BTreeMap<String, BTreeMap<String, BTreeMap<String, Time>>>,
    /// Whether any of them only read.
    pub(super) any_read: bool,
}

impl Events {
    /// Takes what a record says.
    pub(super) fn take(&mut self, event: &Event) {
        self.any_read |= event.read_only == Some(true);
        if event.error_code.is_some() {
            return;
        }
        match event.event_name.as_str() {
            DEATH => self.deaths.extend(event.asked("/accessKeyId")),
            READ => self.read(event),
            _ => self.births.extend(event.birth()),
        }
    }

    fn read(&mut self, event: &Event) {
        let (Some(secret), Some(who)) = (event.asked("/secretId"), event.reader()) else { return };
        let region = self.reads.entry(event.aws_region.clone()).or_default();
        let latest = region.entry(secret).or_default().entry(who).or_insert(event.event_time);
        *latest = event.event_time.max(*latest);
    }
}

impl Event {
    /// When it was.
    pub(super) fn at(&self) -> Time {
        self.event_time
    }

    fn birth(&self) -> Option<((Kind, String), Birth)> {
        let (_, kind, place) = BIRTHS.iter().find(|(name, ..)| *name == self.event_name)?;
        let id = sound(self.response_elements.as_ref()?.pointer(place)?)?;
        let by = self.identity(&["/arn", "/invokedBy"])?;
        let is_key = *kind == Kind::AccessKey;
        let name = self.asked("/userName").or_else(|| self.asked("/roleName")).filter(|_| !is_key);
        let name = name.unwrap_or_else(|| id.clone());
        Some(((*kind, id), Birth { at: self.event_time, by, name }))
    }

    /// Who read: of a session the role, since sessions are named after machines and runs.
    fn reader(&self) -> Option<String> {
        self.identity(&["/sessionContext/sessionIssuer/arn", "/arn", "/invokedBy", "/principalId"])
    }

    fn identity(&self, places: &[&str]) -> Option<String> {
        let identity = self.user_identity.as_ref()?;
        places.iter().find_map(|place| sound(identity.pointer(place)?))
    }

    fn asked(&self, place: &str) -> Option<String> {
        sound(self.request_parameters.as_ref()?.pointer(place)?)
    }
}

/// A text that could be a name.
fn sound(value: &Value) -> Option<String> {
    let text = value.as_str()?;
    let is_sound = !text.is_empty() && text.len() <= TEXT_MAX && !text.contains(char::is_control);
    is_sound.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ANN: &str = "arn:aws:sts::1:assumed-role/Admin/ann@corp.example";

    fn events(name: &str, more: &Value) -> Events {
        let mut record = json!({"eventTime": "2026-11-01T00:00:00Z", "eventName": name, "awsRegion": "eu-west-1",
            "userIdentity": {"type": "AssumedRole", "arn": ANN}});
        record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let mut events = Events::default();
        events.take(&serde_json::from_value(record).unwrap());
        events
    }

    #[test]
    fn a_birth_names_its_creator_and_a_failed_one_is_none() {
        let made = json!({"requestParameters": {"userName": "svc"},
            "responseElements": {"user": {"userId": "AIDA1"}, "accessKey": {"accessKeyId": "AKIA1"}}});
        let at = "2026-11-01T00:00:00Z".parse().unwrap();
        let birth = |name: &str| Birth { at, by: ANN.to_owned(), name: name.to_owned() };
        let born = |it: Events| it.births.into_iter().collect::<Vec<_>>();
        assert_eq!(born(events("CreateUser", &made)), [((Kind::User, "AIDA1".to_owned()), birth("svc"))]);
        assert_eq!(born(events("CreateAccessKey", &made)), [((Kind::AccessKey, "AKIA1".to_owned()), birth("AKIA1"))]);
        let mut failed = made;
        failed["errorCode"] = json!("AccessDenied");
        for name in ["CreateUser", "CreateAccessKey"] {
            assert_eq!(events(name, &failed), Events::default());
        }
        let deleted = events("DeleteAccessKey", &json!({"requestParameters": {"accessKeyId": "AKIA1"}}));
        assert_eq!(deleted.deaths.into_iter().collect::<Vec<_>>(), ["AKIA1"]);
    }

    #[test]
    fn a_read_names_the_role_behind_a_session_and_nothing_that_could_not_be_a_name() {
        let issuer = json!({"sessionIssuer": {"arn": "arn:aws:iam::1:role/svc/shop"}});
        let by_role = json!({"userIdentity": {"arn": ANN, "sessionContext": issuer},
            "requestParameters": {"secretId": "app/db"}, "readOnly": true});
        let read = events(READ, &by_role);
        let at = "2026-11-01T00:00:00Z".parse::<Time>().unwrap();
        assert_eq!(read.reads["eu-west-1"]["app/db"], [("arn:aws:iam::1:role/svc/shop".to_owned(), at)].into());
        assert!(read.any_read);
        let by_user = json!({"requestParameters": {"secretId": "app/db"}});
        assert!(events(READ, &by_user).reads["eu-west-1"]["app/db"].contains_key(ANN));
        for secret in [json!(""), json!("x".repeat(TEXT_MAX + 1)), json!("\u{1b}[2J"), json!(7), Value::Null] {
            assert_eq!(events(READ, &json!({"requestParameters": {"secretId": secret}})), Events::default());
        }
    }
}
