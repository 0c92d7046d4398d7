//! What the generated estates say wrongly, put right: each is an erratum of a description, with the reason beside it.
//! It must never change what a manifest reads without the ground truth being changed alike.

use serde_json::{Value, json};

use crate::generic::{Answered, Asked, Overlay};

/// Records in every list of a generated estate.
pub(super) const RECORDS: usize = 3;
/// Most records of a page there.
pub(super) const PAGE: usize = 2;

/// Settings of a source of that manifest at its estate.
pub(super) fn settings(name: &str) -> &'static [(&'static str, &'static str)] {
    match name {
        "cloudflare" => &[("account", "023e105f4ecef8ad9ca31a8372d0c353")],
        "twilio" => &[("account", "AC00000000000000000000000000000000")],
        // Integrations are of a team; the estate's are of one each, so the first one's is looked at.
        "vercel" => &[("team", TEAM)],
        _ => &[],
    }
}

/// The team of the first integration in Vercel's estate.
pub(super) const TEAM: &str = "56fc0b4407dd6377e7bd";

/// Puts right what the estate of that manifest says wrongly.
pub(super) struct Righted {
    pub name: &'static str,
}

impl Righted {
    /// A record, a whole answer or estate, with times where the description only says that there is a text.
    pub(super) fn times(&self, value: &mut Value) {
        let (members, form): (&[&str], _) = match self.name {
            "jumpcloud" => (&["created", "password_expiration_date"], "%Y-%m-%dT%H:%M:%SZ"),
            "netlify" => (&["created_at"], "%Y-%m-%dT%H:%M:%SZ"),
            "docker-hub" => (&["last_used", "created_at"], "%Y-%m-%dT%H:%M:%SZ"),
            "twilio" => (&["date_created"], "%a, %d %b %Y %H:%M:%S +0000"),
            _ => return,
        };
        if self.name == "twilio" {
            without_nameless(value);
        }
        walk(value, &mut |name, it| {
            if let Value::String(text) = it
                && members.contains(&name)
            {
                *text = made_up(text).strftime(form).to_string();
            }
        });
    }

    fn paging(&self, asked: &Asked, body: &mut Value) {
        let path = asked.target.split('?').next().unwrap_or_default();
        match (self.name, path) {
            // The description has no paging for these: what it generates there leads nowhere.
            ("vercel", _) => {
                if let Some(pagination) = body.get_mut("pagination") {
                    *pagination = json!({"hasNext": false, "count": RECORDS, "next": null, "prev": null});
                }
            }
            // https://developers.asana.com/docs/pagination
            ("asana", _) => {
                let offset: usize = query(asked, "offset").and_then(|it| it.parse().ok()).unwrap_or(0);
                let next = offset + body["data"].as_array().map_or(0, Vec::len);
                body["next_page"] = if next < RECORDS { json!({"offset": next.to_string()}) } else { Value::Null };
            }
            // https://developer.box.com/guides/api-calls/pagination/offset-based/
            ("box", "/2.0/users") => body["total_count"] = RECORDS.into(),
            ("twilio", path) if path.ends_with("AuthorizedConnectApps.json") => body["next_page_uri"] = Value::Null,
            _ => {}
        }
    }
}

impl Overlay for Righted {
    fn instead(&self, asked: &mut Asked) -> Option<Answered> {
        let path = asked.target.split('?').next().unwrap_or_default().to_owned();
        // The description is of August 2024; account tokens came in October.
        // https://developers.cloudflare.com/api/resources/accounts/subresources/tokens/methods/list/
        if self.name == "cloudflare" && path.ends_with("/tokens") && path.starts_with("/client/v4/accounts/") {
            return Some(Answered::json(200, &account_tokens()));
        }
        // Zoom's users have made-up states, none of which can be asked for.
        if self.name == "zoom" {
            asked.target =
                asked.target.replace("status=active", "page_size=300").replace("status=inactive", "page_size=300");
            asked.target = asked.target.replace("&page_size=300", "");
        }
        None
    }

    fn after(&self, asked: &Asked, mut answered: Answered) -> Answered {
        let Ok(mut body) = serde_json::from_slice::<Value>(&answered.body) else { return answered };
        if answered.status == 200 {
            self.times(&mut body);
            self.paging(asked, &mut body);
            answered.body = body.to_string().into_bytes();
        }
        answered
    }
}

/// Two account tokens as Cloudflare documents them: one without expiry that was never used, one with both.
pub(super) fn account_tokens() -> Value {
    json!({
        "success": true, "errors": [], "messages": [],
        "result": [
            {"id": "ed17574386854bf78a67040be0a770b0", "name": "readonly token", "status": "active",
             "issued_on": "2025-07-01T05:20:00Z", "modified_on": "2025-07-02T05:20:00Z",
             "last_used_on": "2026-01-02T12:34:00Z", "expires_on": "2027-01-01T00:00:00Z"},
            {"id": "0f1a2b3c4d5e6f708192a3b4c5d6e7f8", "name": "deploy", "status": "disabled", "issued_on": "2025-07-01T05:20:00Z"}
        ],
        "result_info": {"count": 2, "page": 1, "per_page": 50, "total_count": 2}
    })
}

/// A time that follows from a text.
fn made_up(text: &str) -> jiff::Zoned {
    let sum = text.bytes().fold(7_i64, |sum, byte| (sum * 31 + i64::from(byte)) % 100_000_000);
    jiff::Timestamp::from_second(1_650_000_000 + sum).unwrap().to_zoned(jiff::tz::TimeZone::UTC)
}

fn query(asked: &Asked, name: &str) -> Option<String> {
    let (_, query) = asked.target.split_once('?')?;
    url::form_urlencoded::parse(query.as_bytes()).find(|(it, _)| it == name).map(|(_, value)| value.into_owned())
}

/// The description allows a SID to be null; at Twilio it never is (https://www.twilio.com/docs/glossary/what-is-a-sid).
fn without_nameless(value: &mut Value) {
    match value {
        Value::Object(members) => members.values_mut().for_each(without_nameless),
        Value::Array(all) => {
            all.retain(|it| it.get("sid") != Some(&Value::Null));
            all.iter_mut().for_each(without_nameless);
        }
        _ => {}
    }
}

fn walk(value: &mut Value, each: &mut impl FnMut(&str, &mut Value)) {
    match value {
        Value::Object(members) => {
            for (name, it) in members {
                each(name, it);
                walk(it, each);
            }
        }
        Value::Array(all) => all.iter_mut().for_each(|it| walk(it, each)),
        _ => {}
    }
}
