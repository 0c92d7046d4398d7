//! Files of the AWS command line: shared credentials and configuration, and its caches of short-lived credentials.
//! It must never take an access key id for a secret.
//! Source: the AWS SDKs and Tools reference guide, "Shared config and credentials files".

use provost_model::{Kind, Time};

use super::{Recogniser, ini, text};
use crate::host::{
    environment::speaks_of,
    found::{Finds, Item},
    place::Place,
    tree::{Malformed, Node},
};

pub(super) const CREDENTIALS: Recogniser = Recogniser {
    name: "aws_credentials",
    title: "AWS shared credentials and configuration",
    keeps_secrets: true,
    takes: |place| place.ends(".aws/credentials") || place.ends(".aws/config"),
    read: profiles,
};

pub(super) const SSO_CACHE: Recogniser = Recogniser {
    name: "aws_sso_cache",
    title: "AWS sign-in cache",
    keeps_secrets: true,
    takes: |place| place.below(".aws/sso/cache") && place.has_extension("json"),
    read: sso,
};

pub(super) const CLI_CACHE: Recogniser = Recogniser {
    name: "aws_cli_cache",
    title: "AWS assumed-role cache",
    keeps_secrets: true,
    takes: |place| place.below(".aws/cli/cache") && place.has_extension("json"),
    read: cli,
};

fn profiles(_: &Place, bytes: &[u8], finds: &mut Finds<'_>) -> Result<(), Malformed> {
    let text = text(bytes)?;
    let lines: Vec<_> = ini(&text).collect();
    for (section, name, value) in &lines {
        let position = format!("{section}/{name}");
        let beside = |wanted: &str| {
            let found = lines.iter().find(|(its, name, _)| its == section && name.eq_ignore_ascii_case(wanted));
            found.map(|(_, _, value)| *value)
        };
        match name.to_ascii_lowercase().as_str() {
            "aws_secret_access_key" => {
                let id = beside("aws_access_key_id").unwrap_or_default();
                let item =
                    Item::new(Kind::AccessKey, "aws_secret_access_key", position, value).aws().service("aws").opens(id);
                finds.slot(item.long_lived(!id.starts_with("ASIA")));
            }
            "aws_session_token" => {
                finds.slot(
                    Item::new(Kind::Token, "aws_session_token", position, value).service("aws").long_lived(false),
                );
            }
            other => {
                if let Some((kind, sort)) = speaks_of(other) {
                    finds.value(Item::new(kind, sort, position, value).service("aws"));
                }
            }
        }
    }
    Ok(())
}

fn sso(_: &Place, bytes: &[u8], finds: &mut Finds<'_>) -> Result<(), Malformed> {
    let document = Node::json(bytes)?;
    let url = document.get("startUrl").text().unwrap_or("aws");
    let time = |name: &str| document.get(name).text().and_then(|text| text.replace("UTC", "Z").parse::<Time>().ok());
    for (name, kind, sort, end) in [
        ("accessToken", Kind::Token, "aws_sso_access_token", "expiresAt"),
        ("refreshToken", Kind::Token, "aws_sso_refresh_token", ""),
        ("clientSecret", Kind::ClientSecret, "aws_sso_client_secret", "registrationExpiresAt"),
    ] {
        if let Some(value) = document.get(name).text() {
            // A registration by itself carries its end under the other name.
            let ends = time(end).or_else(|| if end.is_empty() { None } else { time("expiresAt") });
            finds.slot(Item::new(kind, sort, name, value).service(url).expires(ends));
        }
    }
    Ok(())
}

fn cli(_: &Place, bytes: &[u8], finds: &mut Finds<'_>) -> Result<(), Malformed> {
    let document = Node::json(bytes)?;
    let credentials = document.get("Credentials");
    let ends = credentials.get("Expiration").text().and_then(|text| text.parse::<Time>().ok());
    let id = credentials.get("AccessKeyId").text().unwrap_or_default();
    if let Some(value) = credentials.get("SecretAccessKey").text() {
        let item = Item::new(Kind::AccessKey, "aws_secret_access_key", "Credentials.SecretAccessKey", value);
        finds.slot(item.aws().service("aws").opens(id).expires(ends).long_lived(!id.starts_with("ASIA")));
    }
    if let Some(value) = credentials.get("SessionToken").text() {
        let item = Item::new(Kind::Token, "aws_session_token", "Credentials.SessionToken", value);
        finds.slot(item.service("aws").expires(ends).long_lived(false));
    }
    Ok(())
}
